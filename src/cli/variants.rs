//! `list-variants`, and the options of `research` that choose variants of a machine and parameters of it.

use super::common::{JsonFlag, MachineArgs};
use super::list::{fitting, json_text};
use crate::error::{Error, Result};
use crate::research::architecture::{self, Listed, Wanted};

/// What `architecture-research` runs the workload on.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ArchitectureArgs {
    /// Variants of the machine, built-in (see list-variants) or FILE.toml, separated by commas [default: all that are
    /// built in; none with --slopes alone].
    #[arg(long, value_name = "NAME|FILE.toml,...", value_delimiter = ',')]
    pub variants: Vec<String>,
    /// What 10 % more of each parameter does, and what perfect caches and DRAM would give; parameters or keys after =
    /// [default: the usual parameters].
    #[arg(long, value_name = "NAME|KEY,...", num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    pub slopes: Option<Vec<String>>,
}

impl ArchitectureArgs {
    /// What is wanted of the feature, if it is one of `features`.
    ///
    /// # Errors
    /// Options without the feature; names that there are not; files with faults.
    pub fn wanted(&self, features: &[&str], gpu: &str) -> Result<Wanted> {
        if features.contains(&architecture::FEATURE) {
            return Wanted::read(&self.variants, self.slopes.as_deref(), gpu);
        }
        let options = [
            ("--variants", !self.variants.is_empty()),
            ("--slopes", self.slopes.is_some()),
        ];
        match options.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::Usage(format!(
                "{option} needs --features {}",
                architecture::FEATURE
            ))),
            None => Ok(Wanted::default()),
        }
    }
}

/// `phantom-gpu list-variants`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(
    mut_arg("gpu", |gpu| gpu.help("Say of each variant whether it fits this GPU: a name (see list-gpus) or a TOML file")),
    mut_arg("set", |set| set.requires("gpu")),
    after_help = "Needs a build with `--features architecture-research`.

Examples:
  phantom-gpu list-variants
  phantom-gpu list-variants --gpu a100-80 --json"
)]
pub struct ListVariants {
    /// The machine that variants are of.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// JSON or a table.
    #[command(flatten)]
    pub json: JsonFlag,
}

impl ListVariants {
    /// The built-in variants.
    ///
    /// # Errors
    /// A build without them; a GPU that is not known or has faults.
    pub fn text(&self) -> Result<String> {
        let gpu = self.machine.gpu.as_deref();
        let rows = architecture::listed(gpu.map(|gpu| (gpu, &self.machine.set[..])))?;
        if self.json.json {
            return Ok(json_text(&rows));
        }
        let mut header = vec!["name", "what is different", "keys"];
        header.extend(gpu.map(|_| "does not fit because"));
        let mut table = fitting(&header, header.len());
        for row in rows {
            let keys = row
                .keys
                .iter()
                .map(|(key, value)| format!("{key} = {value}"));
            let keys: Vec<String> = keys.collect();
            let Listed {
                name, text, reason, ..
            } = row;
            let mut cells = vec![name, text, keys.join(", ")];
            cells.extend(gpu.map(|_| reason.unwrap_or_default()));
            table.add_row(cells);
        }
        Ok(format!(
            "{table}\nUse names, or a FILE.toml with such keys, as --variants of research.\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(gpu: Option<&str>, json: bool) -> Result<String> {
        let machine = MachineArgs {
            gpu: gpu.map(str::to_owned),
            set: Vec::new(),
        };
        let json = JsonFlag { json };
        ListVariants { machine, json }.text()
    }

    #[test]
    fn variants_are_listed_with_what_does_not_fit_a_gpu() {
        if !crate::report::features().contains(&architecture::FEATURE) {
            let refused = list(None, false).unwrap_err();
            assert_eq!(refused.exit_status(), 2);
            let needed = format!("--features {}", architecture::FEATURE);
            assert!(refused.to_string().contains(&needed), "{refused}");
            return;
        }
        let rows: Vec<serde_json::Value> =
            serde_json::from_str(&list(Some("v100"), true).unwrap()).unwrap();
        let table = list(Some("v100"), false).unwrap();
        for row in &rows {
            assert!(table.contains(row["name"].as_str().unwrap()), "{row}");
        }
        let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
        assert!(of("larger-l1")["reason"].is_null());
        assert_eq!(of("crossbar")["reason"], "the GPU is so already");
        assert_eq!(list(Some("v10"), false).unwrap_err().exit_status(), 2);
    }

    #[test]
    fn options_without_the_feature_are_bad_usage() {
        let given = ArchitectureArgs {
            variants: vec!["larger-l1".into()],
            slopes: None,
        };
        let refused = given.wanted(&["dram-research"], "v100").unwrap_err();
        assert_eq!(refused.exit_status(), 2);
        assert!(
            refused.to_string().starts_with("--variants needs"),
            "{refused}"
        );
        let none = ArchitectureArgs::default();
        assert!(none.wanted(&["dram-research"], "v100").is_ok());
    }
}
