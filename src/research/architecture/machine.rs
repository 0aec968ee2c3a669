//! From a variant to machines on the base of the user's own.

use super::change::{Change, TRIED};
use super::variant::Variant;
use crate::config::{Layers, Resolved};
use crate::error::{Error, Result};
use crate::power;
use serde_json::Value as Json;

/// The machine that variants differ from.
pub struct Base {
    layers: Layers,
    sets: Vec<String>,
    /// Its configuration.
    pub config: Resolved,
}

/// What a variant is on a machine.
#[derive(Clone, Debug)]
pub enum Fit {
    /// These machines; where they are several, each kernel takes the one that suits it best.
    Machines(Vec<Resolved>),
    /// None, and why.
    Not(String),
}

impl Base {
    /// The machine `gpu` with the user's `sets`.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn of(gpu: &str, sets: &[String]) -> Result<Self> {
        let layers = Layers::of(gpu)?;
        let config = layers.with(sets)?;
        Ok(Base {
            layers,
            sets: sets.to_vec(),
            config,
        })
    }

    /// The value of `key` as it is echoed.
    pub fn value(&self, key: &str) -> &Json {
        value(&self.config, key)
    }

    /// The machine with `more` besides what the user set.
    ///
    /// # Errors
    /// Why there is no such machine, in a sentence.
    pub fn with(&self, more: &[String]) -> std::result::Result<Resolved, String> {
        let sets: Vec<String> = self.sets.iter().chain(more).cloned().collect();
        let machine = self.layers.with(&sets).map_err(|error| match error {
            Error::Config { faults, .. } => {
                let faults = faults
                    .iter()
                    .map(|f| f.strip_prefix("--set: ").unwrap_or(f));
                faults.collect::<Vec<_>>().join("; ")
            }
            other => other.to_string(),
        })?;
        let why = "its cycles are compared with those of the base";
        let clock = power::one_clock(&machine.spec, "a variant", why);
        clock.map_err(|error| error.to_string())?;
        Ok(machine)
    }

    /// The machines of `variant`.
    pub fn fit(&self, variant: &Variant) -> Fit {
        let machines = self.settings(variant).and_then(|all| {
            let machines = all.iter().map(|sets| self.with(sets));
            machines.collect::<std::result::Result<Vec<_>, _>>()
        });
        match machines {
            Ok(machines) => Fit::Machines(machines),
            Err(reason) => Fit::Not(reason),
        }
    }

    /// What is set in each of the machines.
    fn settings(&self, variant: &Variant) -> std::result::Result<Vec<Vec<String>>, String> {
        let mut all = vec![Vec::new()];
        for (key, change) in &variant.changes {
            if *change == Change::Best {
                let each = self.carveouts()?;
                let with = |sets: &Vec<String>| {
                    let sets = sets.clone();
                    each.iter().map(move |more| [&sets[..], more].concat())
                };
                all = all.iter().flat_map(with).collect();
                continue;
            }
            let value = change.of(self.value(key));
            let value = value.ok_or_else(|| format!("{key} has no value to start from"))?;
            for sets in &mut all {
                sets.push(format!("{key}={value}"));
            }
        }
        Ok(all)
    }

    /// Carve-outs up to each of them that a CTA can live with, the whole list last: a kernel then has at most so much shared
    /// memory, and fewer CTAs where it wants more.
    fn carveouts(&self) -> std::result::Result<Vec<Vec<String>>, String> {
        let spec = &self.config.spec;
        let list = &spec.l1.carveouts_kib;
        let up_to = |at: usize| {
            let room = spec.cta_bytes_max(list[at]);
            vec![
                format!("{TRIED}={:?}", &list[..=at]),
                format!("smem.per_cta_bytes_max={room}"),
            ]
        };
        let enough = |at: &usize| list[*at] * 1024 >= spec.smem.reserved_per_cta_bytes;
        let all: Vec<Vec<String>> = (0..list.len()).filter(enough).map(up_to).collect();
        match all.len() {
            0 | 1 => Err(format!("{TRIED} = {list:?} leaves no choice")),
            _ => Ok(all),
        }
    }
}

/// The value of `key` in `config`.
pub fn value<'a>(config: &'a Resolved, key: &str) -> &'a Json {
    let pointer = format!("/{}", key.replace('.', "/"));
    config.echo.pointer(&pointer).unwrap_or(&Json::Null)
}

#[cfg(test)]
mod tests {
    use super::super::variant::built_in;
    use super::*;
    use crate::config::names;

    fn base(gpu: &str, sets: &[&str]) -> Base {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Base::of(gpu, &sets).unwrap()
    }

    fn machines(base: &Base, text: &str) -> std::result::Result<Vec<Resolved>, String> {
        let variant = Variant::read("v", "v.toml", text, &base.layers).unwrap();
        match base.fit(&variant) {
            Fit::Machines(machines) => Ok(machines),
            Fit::Not(reason) => Err(reason),
        }
    }

    #[test]
    fn values_are_relative_to_what_the_user_set() {
        let base = base("v100", &["l1.mshrs=10"]);
        let found = machines(&base, "l1.mshrs = \"x2\"\nnoc.gpc_offsets = \"last\"\n").unwrap();
        assert_eq!(found[0].spec.l1.mshrs, 20);
        assert_eq!(found[0].spec.noc.gpc_offsets, [15]);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let base = base("v100", &[]);
        let reason = machines(&base, "l1.unified_bytes = \"+50%\"\n").unwrap_err();
        assert!(reason.contains("l1.ways = 256: allowed: "), "{reason}");
        let reason = machines(&base, "sm.warps_max = \"x2\"\n").unwrap_err();
        assert!(
            reason.contains("sm.warps_max = 128: allowed: 1 to 64"),
            "{reason}"
        );
    }

    /// A run at clocks of its own has fewer cycles and takes longer.
    #[test]
    fn a_variant_whose_kernels_have_clocks_of_their_own_is_not_compared() {
        let base = base("v100", &[]);
        let reason = machines(&base, "power.throttle = true\n").unwrap_err();
        assert!(reason.contains("power.throttle"), "{reason}");
    }

    #[test]
    fn carve_outs_are_tried_up_to_each_and_the_last_machine_is_the_base() {
        let base = base("v100", &[]);
        let tried = machines(&base, "l1.carveouts_kib = \"best\"\n").unwrap();
        assert_eq!(tried.len(), 6);
        assert_eq!(tried[2].spec.l1.carveouts_kib, [0, 8, 16]);
        assert_eq!(tried[2].spec.smem.per_cta_bytes_max, 16 << 10);
        assert_eq!(tried[5].hash, base.config.hash);
    }

    /// A variant that fits nowhere would be dead, and one that is what every machine is, too. Those of components that
    /// another feature compiles in say so.
    #[test]
    fn every_built_in_variant_fits_most_gpus_and_is_another_machine() {
        let bases: Vec<Base> = names().into_iter().map(|gpu| base(gpu, &[])).collect();
        let odd = base("v100", &["noc.topology=ideal"]);
        let differs = |base: &Base, variant: &Variant| match base.fit(variant) {
            Fit::Machines(machines) => Ok(machines.iter().any(|m| m.hash != base.config.hash)),
            Fit::Not(reason) => Err(reason),
        };
        for variant in built_in(&bases[0].layers).unwrap() {
            let found = bases.iter().map(|base| differs(base, &variant));
            let found: Vec<std::result::Result<bool, String>> = found.collect();
            let needs = |reason: &String| reason.contains("build with `--features ");
            if found.iter().all(|f| f.as_ref().is_err_and(needs)) {
                assert!(
                    variant.text.contains("needs a build with"),
                    "{}",
                    variant.name
                );
                continue;
            }
            let fits: Vec<bool> = found.into_iter().flatten().collect();
            assert!(
                fits.len() * 2 > bases.len(),
                "{}: {}",
                variant.name,
                fits.len()
            );
            let other = fits.contains(&true) || differs(&odd, &variant) == Ok(true);
            assert!(other, "{} changes nothing", variant.name);
        }
    }
}
