//! The workload on machines that differ in one thing: carve-out, fetch policy of L2, address hash.

use crate::config::SliceHash;
use crate::error::Result;
use crate::report::record::record;
use crate::research::{Again, Study};
use crate::trace::{Command, Workload};

record! {
    /// A carve-out of shared memory.
    pub struct Carveout {
        /// Shared memory of an SM; what it leaves of the unified memory is L1.
        pub kib: u32 = "KiB",
        /// L1 of an SM.
        pub l1_kib: u32 = "KiB",
        /// Core cycles of the kernel.
        pub cycles: u64 = "cycles",
        /// How many times as fast as with the carve-out that the machine chooses for it.
        pub speedup: f64 = "ratio", by "cycles as the machine chooses / cycles",
        /// Hits of L1 in sectors.
        pub l1_hit_rate: f64 = "ratio", by "l1.sector_hits / l1.sector_reads",
        /// No other is faster.
        pub best: bool,
    }
}

record! {
    /// A fetch policy of L2 for writes of part of a sector.
    pub struct FetchPolicy {
        /// `lazy_fetch_on_read`: a sector that is written in part is read from DRAM when somebody asks for it; `fetch_on_write`: at once.
        pub name: &'static str,
        /// Core cycles of the workload.
        pub cycles: u64 = "cycles",
        /// How many times as fast as the run.
        pub speedup: f64 = "ratio", by "cycles of the run / cycles",
        /// Read from DRAM.
        pub dram_read_bytes: u64 = "bytes",
        /// Written to DRAM.
        pub dram_written_bytes: u64 = "bytes",
        /// Sectors that L2 read because they had been written in part.
        pub lazy_fetches: u64 = "sectors",
    }
}

/// The workload under a hash.
pub struct HashRun {
    pub hash: SliceHash,
    pub cycles: u64,
}

/// The kernel that took most cycles: its number, and the workload of it alone with the host copies.
fn longest(study: &Study) -> Option<(usize, Workload)> {
    let kernels = study.report.kernels.iter().enumerate();
    let (number, _) = kernels.rev().max_by_key(|(_, kernel)| kernel.cycles)?;
    let mut launch = 0;
    let mut alone = study.request.workload.clone();
    alone.commands.retain(|command| match command {
        Command::Launch(_) => {
            launch += 1;
            launch == number + 1
        }
        Command::MemcpyHtoD { .. } => true,
    });
    Some((number, alone))
}

/// Carve-outs of a kernel.
pub struct Carveouts {
    /// Its name.
    pub kernel: String,
    /// With each.
    pub rows: Vec<Carveout>,
}

/// Every carve-out that the CTAs of the longest kernel fit, on that kernel alone. The largest shared memory of a CTA shrinks
/// with it.
pub fn carveouts(study: &Study) -> Result<Carveouts> {
    let spec = study.spec();
    let mut found = Carveouts {
        kernel: String::new(),
        rows: Vec::new(),
    };
    let Some((number, alone)) = longest(study) else {
        return Ok(found);
    };
    let own = match study.report.kernels.len() {
        1 => study.own(),
        _ => study.again_of(&alone, &[])?,
    };
    let Some(own) = own else { return Ok(found) };
    let kernel = &study.report.kernels[number];
    found.kernel.clone_from(&kernel.name);
    let unit = u64::from(spec.smem.alloc_unit_bytes);
    let least = u64::from(kernel.smem_bytes) + u64::from(spec.smem.reserved_per_cta_bytes);
    let least = least.next_multiple_of(unit);
    let mut rows = Vec::new();
    for &kib in &spec.l1.carveouts_kib {
        let bytes = u64::from(kib) * 1024;
        if bytes < least {
            continue;
        }
        let per_cta = spec.cta_bytes_max(kib);
        let sets = [
            format!("l1.carveouts_kib=[{kib}]"),
            format!("smem.per_cta_bytes_max={per_cta}"),
        ];
        let Some(run) = study.again_of(&alone, &sets)? else {
            return Ok(found);
        };
        let l1 = &run.counters.sm.l1;
        rows.push(Carveout {
            kib,
            l1_kib: spec.l1.unified_bytes / 1024 - kib,
            cycles: run.cycles,
            speedup: faster(&own, &run),
            l1_hit_rate: l1.sector_hits as f64 / l1.sector_reads.max(1) as f64,
            best: false,
        });
    }
    let best = rows.iter().map(|row| row.cycles).min();
    rows.iter_mut()
        .for_each(|row| row.best = Some(row.cycles) == best);
    found.rows = rows;
    Ok(found)
}

fn faster(own: &Again, run: &Again) -> f64 {
    own.cycles as f64 / run.cycles.max(1) as f64
}

/// The run and the workload with the other policy, lazy fetch first.
pub fn fetch_policies(study: &Study) -> Result<Vec<FetchPolicy>> {
    let lazy_now = study.spec().l2.lazy_fetch;
    let mut rows = Vec::new();
    for (lazy, name) in [(true, "lazy_fetch_on_read"), (false, "fetch_on_write")] {
        let run = match lazy == lazy_now {
            true => study.own(),
            false => study.again(&[format!("l2.lazy_fetch={lazy}")])?,
        };
        let (Some(run), Some(own)) = (run, study.own()) else {
            return Ok(Vec::new());
        };
        let bytes = |bursts: u64| bursts * crate::mem::SECTOR_BYTES;
        rows.push(FetchPolicy {
            name,
            cycles: run.cycles,
            speedup: faster(&own, &run),
            dram_read_bytes: bytes(run.counters.dram.reads),
            dram_written_bytes: bytes(run.counters.dram.writes),
            lazy_fetches: run.counters.l2.lazy_fetches,
        });
    }
    Ok(rows)
}

/// The workload under every hash.
pub fn hashes(study: &Study) -> Result<Vec<HashRun>> {
    let own = study.spec().l2.hash;
    let mut runs = Vec::new();
    for &hash in SliceHash::ALL {
        let run = match hash == own {
            true => study.own(),
            false => study.again(&[format!("l2.hash={}", hash.name())])?,
        };
        let Some(Again { cycles, .. }) = run else {
            return Ok(Vec::new());
        };
        runs.push(HashRun { hash, cycles });
    }
    Ok(runs)
}
