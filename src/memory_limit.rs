//! How much of the host's memory a run will take, estimated before any of it is allocated.
//!
//! A configuration may ask for more than there is (a cache of a terabyte), and a launch file too. An allocation that
//! fails ends the process without a word, so whoever is about to allocate adds up the large parts first.

use crate::config::{GpuSpec, units};
use crate::error::{Error, Result};
use crate::sm::SUB_CORES;
use crate::sm::program::REGS;

/// A large part of what will be allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub what: String,
    /// What its size follows from: keys, or a place in a file.
    pub from: String,
    /// Bytes, within a factor of two.
    pub bytes: u64,
}

/// Refuses what does not fit `limit`, by default half of the machine's memory. `subject` is what is about to be done.
///
/// # Errors
/// [`Error::Memory`], which names the largest parts and where they come from.
pub fn check(subject: &str, mut parts: Vec<Part>, limit: Option<u64>) -> Result<()> {
    let total = parts
        .iter()
        .fold(0u64, |sum, p| sum.saturating_add(p.bytes));
    let limit = limit.unwrap_or_else(half_of_the_machine);
    if total <= limit {
        return Ok(());
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let largest: Vec<String> = parts
        .iter()
        .take(3)
        .filter(|part| part.bytes > total / 100)
        .map(|p| format!("{} {} ({})", p.what, units::show_bytes(p.bytes), p.from))
        .collect();
    Err(Error::Memory(format!(
        "{subject} would take about {} of memory, the limit is {}: {}; make them smaller, or raise --memory-limit",
        units::show_bytes(total),
        units::show_bytes(limit),
        largest.join(", ")
    )))
}

/// Reads the argument of `--memory-limit`: bytes, with or without a unit.
///
/// # Errors
/// A text that is no size.
pub fn size(text: &str) -> std::result::Result<u64, String> {
    units::bytes(text)
        .ok_or_else(|| "expected a number of bytes, or a size such as 16GiB".to_owned())
}

/// Half of the memory that this process may use.
pub fn half_of_the_machine() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    let group = system.cgroup_limits().map_or(machine, |g| g.total_memory);
    match machine.min(group) / 2 {
        // Where the system does not tell there is no limit.
        0 => u64::MAX,
        half => half,
    }
}

/// Host bytes of a line's tag: entry, its share of the set and of the index.
const TAG_BYTES: u64 = 48;
/// Of an MSHR with its waiters.
const MSHR_BYTES: u64 = 160;
/// Of a warp slot beside its scoreboard: state, stream and what its streams keep.
const WARP_BYTES: u64 = 2048;
/// Of a memory instruction in a queue, with all its lines.
const QUEUED_BYTES: u64 = 4096;
/// Of a read in a request coalescer.
const COALESCED_BYTES: u64 = 96;
/// Of a burst in a DRAM queue.
const BURST_BYTES: u64 = 64;
/// Of a channel with empty queues.
const CHANNEL_BYTES: u64 = 64 << 10;

/// `count` things of `bytes` each.
fn part(what: &str, from: &str, count: u64, bytes: u64) -> Part {
    Part {
        what: what.to_owned(),
        from: from.to_owned(),
        bytes: count.saturating_mul(bytes),
    }
}

/// The large parts of the machine that `spec` describes.
pub fn machine(spec: &GpuSpec) -> Vec<Part> {
    let mut parts = caches(spec);
    let (sms, dram) = (u64::from(spec.sms), &spec.dram);
    let queued = u64::from(spec.lsu.queue_entries) * SUB_CORES as u64;
    let bursts =
        u64::from(dram.read_queue) + u64::from(dram.write_queue) + u64::from(dram.write_backlog);
    let tlb = &spec.tlb;
    if tlb.enabled {
        let (l1, gpc) = (u64::from(tlb.l1_entries), u64::from(tlb.gpc_entries));
        parts.push(part(
            "TLBs",
            "tlb.l1_entries, tlb.gpc_entries, tlb.l2_entries",
            sms * l1 + u64::from(spec.gpcs) * gpc + u64::from(tlb.l2_entries),
            TAG_BYTES,
        ));
    }
    parts.extend([
        part(
            "warps",
            "sm.warps_max, gpu.sms",
            sms * u64::from(spec.sm.warps_max),
            REGS as u64 * 4 + WARP_BYTES,
        ),
        part(
            "memory queues of sub-cores",
            "lsu.queue_entries, gpu.sms",
            sms * queued,
            QUEUED_BYTES,
        ),
        part(
            "request coalescers",
            "noc.coalescer_entries, gpu.gpcs",
            u64::from(spec.gpcs) * u64::from(spec.noc.coalescer_entries),
            COALESCED_BYTES,
        ),
        part(
            "DRAM channels",
            "dram.channels, dram.read_queue, dram.write_queue",
            u64::from(dram.channels),
            CHANNEL_BYTES + bursts * BURST_BYTES,
        ),
    ]);
    parts
}

/// Tags and MSHRs.
fn caches(spec: &GpuSpec) -> Vec<Part> {
    let (sms, slices) = (u64::from(spec.sms), u64::from(spec.l2.slices));
    let (l1, l2) = (&spec.l1, &spec.l2);
    let code_lines = |bytes: u32| u64::from(bytes / spec.fetch.line_bytes);
    let const_lines = |bytes: u32| u64::from(bytes / spec.const_cache.line_bytes);
    let code = SUB_CORES as u64 * code_lines(spec.fetch.l0_bytes)
        + code_lines(spec.fetch.l1_bytes)
        + const_lines(spec.const_cache.l1_bytes)
        + const_lines(spec.const_cache.l15_bytes);
    vec![
        part(
            "tags of L2",
            "l2.bytes",
            l2.bytes / u64::from(l2.line_bytes),
            TAG_BYTES,
        ),
        part(
            "MSHRs of L2",
            "l2.mshrs, l2.slices",
            slices * u64::from(l2.mshrs),
            MSHR_BYTES,
        ),
        part(
            "tags of L1",
            "l1.unified_bytes, gpu.sms",
            sms * u64::from(l1.unified_bytes / l1.line_bytes),
            TAG_BYTES,
        ),
        part(
            "MSHRs of L1",
            "l1.mshrs, gpu.sms",
            sms * u64::from(l1.mshrs),
            MSHR_BYTES,
        ),
        part(
            "tags of instruction and constant caches",
            "fetch.l0_bytes, fetch.l1_bytes, const_cache.l15_bytes, gpu.sms",
            sms * code,
            TAG_BYTES,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_terabyte_of_l2_is_refused_with_its_key() {
        let sets = ["l2.bytes=1 TiB", "l2.ways=256"].map(String::from);
        let spec = config::load("v100", &sets).unwrap().spec;
        let error = check("v100", machine(&spec), Some(8 << 30)).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let text = error.to_string();
        assert!(text.contains("tags of L2 384 GiB (l2.bytes)"), "{text}");
        assert!(
            text.contains("the limit is 8 GiB") && text.contains("--memory-limit"),
            "{text}"
        );
    }

    #[test]
    fn every_built_in_gpu_takes_some_megabytes() {
        for name in config::names() {
            let spec = config::load(name, &[]).unwrap().spec;
            let total: u64 = machine(&spec).iter().map(|p| p.bytes).sum();
            assert!((4 << 20..400 << 20).contains(&total), "{name}: {total}");
        }
    }

    #[test]
    pub fn half_of_the_machine_is_some_memory() {
        assert!(half_of_the_machine() > 64 << 20);
    }
}
