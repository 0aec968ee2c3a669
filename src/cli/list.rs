//! `list-gpus` and `list-hardware`: what can be simulated, and every key that describes it.

use crate::config::{self, KeyDoc, units};
use crate::config::{
    AllocatePolicy, DependencePolicy, DramMap, DramPage, DramRefresh, DramScheduler, DramStandard,
    LocalWritePolicy, SchedulerPolicy, SliceHash, WritePolicy,
};
use crate::error::{Error, Result};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::Write;

/// `phantom-gpu list-gpus`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListGpus {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `phantom-gpu list-hardware`.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ListHardware {
    /// Print every configuration key with its meaning and range.
    #[arg(long)]
    pub verbose: bool,
}

/// One built-in GPU.
#[derive(Debug, Serialize)]
struct GpuRow {
    name: String,
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

fn table(header: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn print(out: &mut dyn Write, text: impl std::fmt::Display) -> Result<()> {
    writeln!(out, "{text}").map_err(|error| Error::io("standard output", error))
}

impl ListGpus {
    /// Prints the built-in GPUs to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        let rows = gpu_rows()?;
        if self.json {
            let json = serde_json::to_string_pretty(&rows).expect("plain data serialises");
            return print(out, json);
        }
        let mut table = table(
            &[
                "name",
                "product",
                "architecture",
                "DRAM",
                "SMs",
                "MHz",
                "L2",
                "memory",
                "GB/s",
            ],
            4,
        );
        for row in rows {
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
        print(out, table)?;
        print(
            out,
            "Use a name, or a FILE.toml with `base = \"NAME\"`, as --gpu; --set key=value changes a key.",
        )
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
];

impl ListHardware {
    /// Prints units, policies, DRAM standards and keys to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<()> {
        let docs = config::key_docs();
        let mut sections = table(&["section", "models", "keys"], 2);
        for (name, models) in UNITS {
            let keys = docs.iter().filter(|doc| section(doc) == *name).count();
            sections.add_row([name.to_string(), models.to_string(), keys.to_string()]);
        }
        print(out, sections)?;
        print(out, choices())?;
        let standards = DramStandard::NAMES.join(", ");
        print(out, format!("dram.standard: {standards}"))?;
        if !self.verbose {
            return print(out, "--verbose lists every key with its meaning and range.");
        }
        let mut keys = table(&["key", "meaning", "value"], 3);
        for doc in &docs {
            let mut meaning = doc.doc.replace('`', "");
            if let Some(reason) = config::inert::reason(&doc.key) {
                meaning += &format!(" Without effect: {reason}.");
            }
            keys.add_row([doc.key.as_str(), &meaning, &doc.kind.to_string()]);
        }
        print(out, keys)
    }
}

fn section(doc: &KeyDoc) -> &str {
    doc.key.split('.').next().unwrap_or("")
}

fn choices() -> Table {
    let mut table = table(&["choice", "value", "meaning"], 3);
    let documented: [(&str, &[&str], &[&str]); 10] = [
        (
            "sm.scheduler",
            SchedulerPolicy::NAMES,
            SchedulerPolicy::DOCS,
        ),
        (
            "sm.dependence",
            DependencePolicy::NAMES,
            DependencePolicy::DOCS,
        ),
        ("l1.allocate", AllocatePolicy::NAMES, AllocatePolicy::DOCS),
        ("l1.write", WritePolicy::NAMES, WritePolicy::DOCS),
        (
            "l1.local_write",
            LocalWritePolicy::NAMES,
            LocalWritePolicy::DOCS,
        ),
        ("l2.hash", SliceHash::NAMES, SliceHash::DOCS),
        ("dram.scheduler", DramScheduler::NAMES, DramScheduler::DOCS),
        ("dram.page", DramPage::NAMES, DramPage::DOCS),
        ("dram.map", DramMap::NAMES, DramMap::DOCS),
        ("dram.refresh", DramRefresh::NAMES, DramRefresh::DOCS),
    ];
    for (key, names, docs) in documented {
        for (name, doc) in names.iter().zip(docs) {
            table.add_row([key, *name, *doc]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(run: impl FnOnce(&mut dyn Write) -> Result<()>) -> String {
        let mut out = Vec::new();
        run(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_and_the_json_have_every_gpu() {
        let table = text(|out| ListGpus::default().run(out));
        let json = text(|out| ListGpus { json: true }.run(out));
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(rows.len(), config::names().len());
        for (name, row) in config::names().into_iter().zip(rows) {
            assert!(table.contains(name));
            assert_eq!(row["name"], name);
        }
    }

    #[test]
    fn the_table_of_gpus() {
        insta::assert_snapshot!(text(|out| ListGpus::default().run(out)));
    }

    #[test]
    fn verbose_lists_every_key() {
        let verbose = text(|out| ListHardware { verbose: true }.run(out));
        for doc in config::key_docs() {
            let documented = UNITS.iter().any(|(name, _)| *name == section(&doc));
            assert!(documented, "{} has no unit", doc.key);
            assert!(verbose.contains(&doc.key), "{}", doc.key);
        }
    }
}
