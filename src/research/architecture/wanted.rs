//! What a user wants to know, checked before anything is run.

use super::machine::{Base, Fit};
use super::slopes::{self, Asked};
use super::variant::{self, Variant};
use super::{FEATURE, Listed};
use crate::config::Layers;
use crate::error::Result;

/// Which machines the workload is run on.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Variants, side by side.
    pub variants: Vec<Variant>,
    /// Parameters that are moved a little; nothing where that was not asked for.
    pub slopes: Option<Vec<Asked>>,
}

impl Wanted {
    /// The variants that `--variants` names, by name or file, and the parameters of `--slopes`. All built-in variants where
    /// neither option is given, the usual parameters where `--slopes` names none.
    ///
    /// # Errors
    /// Names that there are not (exit status 2); files with faults (1).
    pub fn read(variants: &[String], slopes: Option<&[String]>, gpu: &str) -> Result<Self> {
        let layers = Layers::of(gpu)?;
        let variants = match variants.is_empty() && slopes.is_some() {
            true => Vec::new(),
            false => variant::chosen(variants, &layers)?,
        };
        let slopes = slopes.map(slopes::asked).transpose()?;
        Ok(Wanted { variants, slopes })
    }
}

/// The built-in variants; with a GPU and what the user set, also why one does not fit it.
///
/// # Errors
/// A GPU that is not known or has faults.
pub fn listed(gpu: Option<(&str, &[String])>) -> Result<Vec<Listed>> {
    let base = gpu.map(|(gpu, sets)| Base::of(gpu, sets)).transpose()?;
    // Without a GPU any will do to read values that are not relative.
    let layers = Layers::of(gpu.map_or("v100", |(gpu, _)| gpu))?;
    let row = |variant: Variant| {
        let reason = base.as_ref().and_then(|base| match base.fit(&variant) {
            Fit::Machines(machines) => {
                let same = machines.iter().all(|m| m.hash == base.config.hash);
                same.then(|| "the GPU is so already".to_owned())
            }
            Fit::Not(reason) => Some(reason),
        });
        Listed {
            name: variant.name,
            text: variant.text,
            keys: variant.written,
            reason,
        }
    };
    Ok(variant::built_in(&layers)?.into_iter().map(row).collect())
}

/// What is said where energies are not compiled in.
pub fn energy_note(known: bool) -> Option<String> {
    (!known).then(|| {
        format!(
            "energy is left out: build with `cargo build --release --features {FEATURE},gpu-profiling-research` for it"
        )
    })
}
