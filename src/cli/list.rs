//! `list-gpus`, `list-hardware` and `list-workloads`: what can be simulated, every key that describes it, and
//! the kernels that the program makes itself.

use super::common::{JsonFlag, MachineArgs};
use crate::config::{self, KeyDoc, Resolved, field::Kind, registry, units};
use crate::error::Result;
use crate::kernels::synth;
use crate::model::{options::Bindings, zoo};
use crate::report::table::table;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// `phantom-gpu list-gpus`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListGpus {
    /// JSON or a table.
    #[command(flatten)]
    pub json: JsonFlag,
}

/// `phantom-gpu list-hardware`.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(
    mut_arg("gpu", |gpu| gpu.help("Print the values of this GPU: a name (see list-gpus) or a TOML file")),
    mut_arg("set", |set| set.requires("gpu")),
    after_help = "Examples:
  phantom-gpu list-hardware --verbose
  phantom-gpu list-hardware --gpu v100 --json"
)]
pub struct ListHardware {
    /// Print every configuration key with its meaning and range.
    #[arg(long)]
    pub verbose: bool,
    /// The machine whose values are asked for.
    #[command(flatten)]
    pub machine: MachineArgs,
    /// JSON or tables.
    #[command(flatten)]
    pub json: JsonFlag,
}

/// `phantom-gpu list-workloads`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListWorkloads {
    /// JSON or text.
    #[command(flatten)]
    pub json: JsonFlag,
}

/// `phantom-gpu list-models`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListModels {
    /// JSON or a table.
    #[command(flatten)]
    pub json: JsonFlag,
}

/// One built-in model, on one sequence of 128 tokens or one image.
#[derive(Debug, Serialize)]
struct ModelRow {
    name: &'static str,
    aliases: Vec<&'static str>,
    family: &'static str,
    parameters: u64,
    flops: u64,
}

impl ListModels {
    /// The built-in models.
    ///
    /// # Errors
    /// A built-in model with a fault.
    pub fn text(&self) -> Result<String> {
        let row = |model: zoo::Model| {
            let graph = model.build(&Bindings::default())?;
            Ok(ModelRow {
                name: model.name,
                aliases: zoo::aliases(model.name),
                family: model.family,
                parameters: graph.parameters(),
                flops: graph.flops(),
            })
        };
        let rows: Vec<ModelRow> = zoo::all().into_iter().map(row).collect::<Result<_>>()?;
        if self.json.json {
            return Ok(json_text(&rows));
        }
        let header = ["name", "other names", "family", "parameters (M)", "GFLOP"];
        let mut table = fitting(&header, 3);
        for row in rows {
            table.add_row([
                row.name.to_owned(),
                row.aliases.join(", "),
                row.family.to_owned(),
                format!("{:.1}", row.parameters as f64 / 1e6),
                format!("{:.1}", row.flops as f64 / 1e9),
            ]);
        }
        Ok(format!(
            "{table}\nGFLOP: one sequence of 128 tokens, one image, or one step on an image. Case and punctuation of names do not matter.\n\
             `phantom-gpu load-model NAME` shows what is in a model.\n"
        ))
    }
}

pub(super) fn json_text(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain data serialises");
    format!("{text}\n")
}

/// A table that fits the terminal, if there is one.
pub(super) fn fitting(header: &[&str], numbers_from: usize) -> Table {
    let mut table = table(header, numbers_from);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

impl ListWorkloads {
    /// Every generator with its parameters, their defaults and ranges.
    pub fn text(&self) -> String {
        match self.json.json {
            true => json_text(&synth::catalogue()),
            false => synth::help(),
        }
    }
}

/// One built-in GPU.
#[derive(Debug, Serialize)]
struct GpuRow {
    name: String,
    aliases: Vec<&'static str>,
    product: String,
    architecture: &'static str,
    compute_capability: u16,
    sms: u16,
    core_clock_khz: u32,
    l1_bytes: u32,
    l2_bytes: u64,
    l2_slices: u16,
    dram_standard: &'static str,
    dram_channels: u16,
    dram_bytes: u64,
    dram_bytes_per_s: u64,
    config_hash: String,
}

fn gpu_rows() -> Result<Vec<GpuRow>> {
    let row = |name: &'static str| {
        let resolved = config::load(name, &[])?;
        let spec = resolved.spec;
        Ok(GpuRow {
            dram_bytes_per_s: spec.dram.peak_bytes_per_s(),
            name: spec.name,
            aliases: registry::aliases(name),
            product: spec.product,
            architecture: spec.architecture.name(),
            compute_capability: spec.compute_capability,
            sms: spec.sms,
            core_clock_khz: spec.core_clock_khz,
            l1_bytes: spec.l1.unified_bytes,
            l2_bytes: spec.l2.bytes,
            l2_slices: spec.l2.slices,
            dram_standard: spec.dram.standard.name(),
            dram_channels: spec.dram.channels,
            dram_bytes: spec.dram.bytes,
            config_hash: resolved.hash,
        })
    };
    config::names().into_iter().map(row).collect()
}

impl ListGpus {
    /// The built-in GPUs.
    ///
    /// # Errors
    /// A built-in configuration with a fault.
    pub fn text(&self) -> Result<String> {
        let rows = gpu_rows()?;
        if self.json.json {
            return Ok(json_text(&rows));
        }
        let header = [
            "name",
            "product",
            "architecture",
            "DRAM",
            "SMs",
            "MHz",
            "L2",
            "memory",
            "GB/s",
        ];
        let mut table = fitting(&header, 4);
        let mut names = String::new();
        for row in rows {
            if !row.aliases.is_empty() {
                names.push_str(&format!("  {}: {}\n", row.name, row.aliases.join(", ")));
            }
            table.add_row([
                row.name,
                row.product,
                format!("{} (sm_{})", row.architecture, row.compute_capability),
                row.dram_standard.to_owned(),
                row.sms.to_string(),
                (row.core_clock_khz / 1000).to_string(),
                units::show_bytes(row.l2_bytes),
                units::show_bytes(row.dram_bytes),
                ((row.dram_bytes_per_s + 500_000_000) / 1_000_000_000).to_string(),
            ]);
        }
        Ok(format!(
            "{table}\nUse a name, or a FILE.toml with `base = \"NAME\"`, as --gpu; --set key=value changes a key.\n\
             Case, punctuation and the words NVIDIA, GeForce and Tesla do not matter. Other names:\n{names}"
        ))
    }
}

/// Sections of the configuration, in the order of the machine.
const UNITS: &[(&str, &str)] = &[
    ("gpu", "the chip: SMs, GPCs, clock"),
    (
        "sm",
        "limits, warp schedulers, dependences; its register file, pipes, latencies, tensor core",
    ),
    ("fetch", "L0 and L1 instruction caches, stream buffer"),
    ("const_cache", "constant caches"),
    (
        "lsu",
        "memory queue, address generation, shared memory-I/O pipe",
    ),
    ("smem", "shared memory: banks, conflicts, atomics"),
    ("l1", "L1 data cache: sectors, streaming, MSHRs, carve-out"),
    (
        "tlb",
        "TLBs of SMs, GPCs and L2, page walks (feature memory-research)",
    ),
    ("noc", "crossbar between SMs and L2 slices"),
    (
        "l2",
        "L2 slices: hash, sectors, write-back, atomics, partitions",
    ),
    (
        "dram",
        "channels: standard, clock, scheduler, page policy, refresh",
    ),
    ("launch", "kernel launch and CTA dispatch"),
    (
        "power",
        "limit of the board, clocks within it (feature gpu-profiling-research)",
    ),
];

impl ListHardware {
    /// Units, policies, DRAM standards and keys; or the values of a GPU.
    ///
    /// # Errors
    /// A GPU that is not known or has faults.
    pub fn text(&self) -> Result<String> {
        let docs = config::key_docs();
        if self.machine.gpu.is_some() {
            return Ok(self.values(&docs, self.machine.load()?.config()));
        }
        if self.json.json {
            return Ok(json_text(&docs.iter().map(key_json).collect::<Vec<_>>()));
        }
        let mut sections = fitting(&["section", "models", "keys"], 2);
        for (name, models) in UNITS {
            let keys = docs.iter().filter(|doc| section(doc) == *name).count();
            sections.add_row([name.to_string(), models.to_string(), keys.to_string()]);
        }
        let mut text = format!("{sections}\n{}", choices(&docs));
        if !self.verbose {
            text.push_str(
                "--verbose lists every key with its meaning and range, --gpu NAME the values of a GPU.\n",
            );
            return Ok(text);
        }
        let mut keys = fitting(&["key", "meaning", "value"], 3);
        for doc in &docs {
            keys.add_row([doc.key.clone(), meaning(doc), doc.kind.to_string()]);
        }
        Ok(format!("{text}{keys}\n"))
    }

    /// Every key with its value in `config`; with --verbose also what it means.
    fn values(&self, docs: &[KeyDoc], config: &Resolved) -> String {
        if self.json.json {
            let mut all = json!({ "hash": config.hash });
            if let (Some(all), Some(keys)) = (all.as_object_mut(), config.echo.as_object()) {
                all.extend(keys.clone());
            }
            return json_text(&all);
        }
        let header: &[&str] = match self.verbose {
            true => &["key", "value", "meaning"],
            false => &["key", "value"],
        };
        let mut table = fitting(header, header.len());
        for doc in docs {
            let path = format!("/{}", doc.key.replace('.', "/"));
            let value = config.echo.pointer(&path).unwrap_or(&Json::Null);
            let mut row = vec![doc.key.clone(), show(value, &doc.kind)];
            if self.verbose {
                row.push(meaning(doc));
            }
            table.add_row(row);
        }
        format!(
            "{} ({}), configuration {}\n{table}\n",
            config.spec.product, config.spec.name, config.hash
        )
    }
}

/// A value for people: sizes with their unit, tables in a line.
fn show(value: &Json, kind: &Kind) -> String {
    match (value, kind) {
        (Json::Null, _) => "-".to_owned(),
        (Json::String(text), _) => text.clone(),
        (Json::Number(n), Kind::Bytes(..)) => match n.as_u64() {
            Some(bytes) => units::show_bytes(bytes),
            None => n.to_string(),
        },
        (Json::Number(n), Kind::Kilohertz(..)) => format!("{n} kHz"),
        (Json::Number(n), Kind::Cycles(..)) => format!("{n} cycles"),
        (Json::Object(map), _) => {
            let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
            pairs.join(", ")
        }
        (other, _) => other.to_string(),
    }
}

fn meaning(doc: &KeyDoc) -> String {
    let mut meaning = doc.doc.replace('`', "");
    if let Some(reason) = config::inert::reason(&doc.key) {
        meaning += &format!(" Without effect: {reason}.");
    }
    meaning
}

fn key_json(doc: &KeyDoc) -> Json {
    json!({ "key": doc.key, "meaning": meaning(doc), "value": doc.kind.to_string() })
}

fn section(doc: &KeyDoc) -> &str {
    doc.key.split('.').next().unwrap_or("")
}

/// Every key that is one of several names, from the declarations: with meanings, or where they are documented
/// with what is modelled, the names alone.
fn choices(docs: &[KeyDoc]) -> String {
    let mut table = fitting(&["choice", "value", "meaning"], 3);
    let mut bare = String::new();
    for doc in docs {
        let Kind::Name(names) = doc.kind else {
            continue;
        };
        for (name, meaning) in names.iter().zip(doc.meanings) {
            table.add_row([doc.key.as_str(), *name, *meaning]);
        }
        if doc.meanings.is_empty() {
            bare.push_str(&format!("{}: {}\n", doc.key, names.join(", ")));
        }
    }
    format!("{table}\n{bare}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(json: bool) -> String {
        let json = JsonFlag { json };
        ListGpus { json }.text().unwrap()
    }

    #[test]
    fn the_table_and_the_json_have_every_gpu() {
        let table = gpus(false);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&gpus(true)).unwrap();
        assert_eq!(rows.len(), config::names().len());
        for (name, row) in config::names().into_iter().zip(rows) {
            assert!(table.contains(name));
            assert_eq!(row["name"], name);
        }
    }

    #[test]
    fn the_table_of_gpus() {
        insta::assert_snapshot!(gpus(false));
    }

    fn hardware(verbose: bool, gpu: Option<&str>, json: bool) -> String {
        let machine = MachineArgs {
            gpu: gpu.map(str::to_owned),
            set: Vec::new(),
        };
        let json = JsonFlag { json };
        let list = ListHardware {
            verbose,
            machine,
            json,
        };
        list.text().unwrap()
    }

    #[test]
    fn verbose_lists_every_key_and_a_gpu_has_a_value_for_each() {
        let verbose = hardware(true, None, false);
        let values = hardware(false, Some("v100"), false);
        for doc in config::key_docs() {
            let documented = UNITS.iter().any(|(name, _)| *name == section(&doc));
            assert!(documented, "{} has no unit", doc.key);
            assert!(verbose.contains(&doc.key), "{}", doc.key);
            let line = values
                .lines()
                .find(|l| l.split_whitespace().nth(1) == Some(&doc.key));
            assert!(
                line.is_some_and(|l| !l.contains("| - ")),
                "{}: {line:?}",
                doc.key
            );
        }
        let json: Json = serde_json::from_str(&hardware(false, Some("v100"), true)).unwrap();
        assert_eq!(json["l2"]["slices"], 64);
    }

    #[test]
    fn every_choice_of_the_declarations_is_listed() {
        let table = hardware(false, None, false);
        for key in [
            "l1.local_write",
            "gpu.architecture",
            "sm.scheduler",
            "l2.hash",
            "dram.map",
        ] {
            assert!(table.contains(key), "{key}");
        }
    }
}
