//! The section `research.memory`.

use super::instruments::Memory as Seen;
use super::misses::Correlation as Found;
use super::studies::{self, Carveout, FetchPolicy, HashRun};
use crate::config::SliceHash;
use crate::error::Result;
use crate::mem::SECTOR_BYTES;
use crate::report::Report;
use crate::report::record::{Field, record};
use crate::report::translation;
use crate::research::place::Place;
use crate::research::{Exhibits, Section, Study};
use serde_json::Value as Json;

record! {
    /// What accesses to global memory did.
    pub struct Memory {
        /// Bytes that lanes asked for, of those of the sectors that were fetched for them: of all global accesses.
        pub coalescing_efficiency: f64 = "ratio", by "sum of lanes * width_bytes / (32 * sum of sectors), over coalescing",
        /// Global accesses by kernel and instruction, those with most sectors first.
        pub coalescing: Vec<Coalescing>,
        /// Share of the L1 data paths' bytes that loads and stores used, over all cycles of the run.
        pub l1_bandwidth_utilisation: f64 = "ratio", by "32 * (l1.sector_reads + l1.sector_writes) / (config.l1.bytes_per_cycle * SMs * cycles)",
        /// The same over the cycles in which an SM had a warp.
        pub l1_bandwidth_utilisation_active: f64 = "ratio", by "32 * (l1.sector_reads + l1.sector_writes) / (config.l1.bytes_per_cycle * sm.active_cycles)",
        /// The kernel that took most cycles, of which the carve-outs are.
        pub carveout_kernel: String,
        /// That kernel, alone and with cold caches, with each carve-out of shared memory that its CTAs fit. Empty when the run ended early.
        pub carveout: Vec<Carveout>,
        /// The workload with lazy fetch on read and with fetch on write in L2. Empty when the run ended early.
        pub fetch_policy: Vec<FetchPolicy>,
        /// Which misses of L1 follow which others of the same line and kernel.
        pub miss_correlation: Correlation,
        /// Requests to L2 under each address hash.
        pub slices: Vec<Slices>,
        /// Mean over L2 slices of the sectors asked for, of those of the busiest slice, under the hash of the machine: 1 when all have the same.
        pub slice_balance: f64 = "ratio",
        /// What L2 read from DRAM and wrote back, by kernel and buffer: `copy N` is what host copy N filled, `array N` window N of a generated kernel, `other` all else of the program's data.
        pub dram_traffic: Vec<Traffic>,
        /// Address translation (`tlb.enabled=true`).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tlb: Option<Json>,
    }
}

record! {
    /// An instruction that accesses global memory.
    pub struct Coalescing with place: Place {
        /// Name of its kernel; kernels that overlap are counted with the one that began on the idle chip.
        pub kernel: String,
        /// Which launch on the idle chip that was, from 0.
        pub launch: u32 = "launch",
        /// Warp instructions.
        pub requests: u64 = "warp instructions",
        /// Lanes that were active.
        pub lanes: u64 = "thread instructions",
        /// Bytes of a lane.
        pub width_bytes: u64 = "bytes",
        /// Sectors that they lie in, each request by itself.
        pub sectors: u64 = "sectors",
        /// Sectors of a request.
        pub sectors_per_request: f64 = "sectors", by "sectors / requests",
        /// Bytes that lanes asked for, of those of their sectors; above 1 where lanes ask for the same bytes.
        pub efficiency: f64 = "ratio", by "lanes * width_bytes / (32 * sectors)",
    }
}

record! {
    /// Which misses follow which. The five shares sum to 1.
    pub struct Correlation {
        /// Loads of a line for which L1 asked L2.
        pub misses: u64 = "misses",
        /// Those that were looked at: all misses of lines that a hash chose.
        pub sampled: u64 = "misses",
        /// Share of first misses of a line.
        pub first: f64 = "ratio",
        /// Share of those after a miss of the same CTA: the line has gone again, or other sectors of it are asked for.
        pub same_cta: f64 = "ratio",
        /// Share of those after a miss of another CTA on the same SM.
        pub same_sm: f64 = "ratio",
        /// Share of those after a miss of another SM of the GPC.
        pub same_gpc: f64 = "ratio",
        /// Share of those after a miss of another GPC.
        pub other_gpc: f64 = "ratio",
        /// Median of the cycles since the miss before.
        pub gap_cycles: u64 = "cycles",
        /// Misses that are not the first of their line, by how far the numbers of the two CTAs are apart.
        pub cta_distances: Vec<Distance>,
    }
}

record! {
    /// Misses by distance of CTA numbers.
    pub struct Distance {
        /// Least distance.
        pub from: u64 = "CTAs",
        /// Largest distance.
        pub to: u64 = "CTAs",
        /// Misses.
        pub misses: u64 = "misses",
    }
}

record! {
    /// How a hash deals the run's requests to L2 slices, each to the home slice of its line.
    pub struct Slices {
        /// The hash, a value of `l2.hash`.
        pub hash: &'static str,
        /// Mean over slices of the sectors asked for, of those of the busiest slice.
        pub balance: f64 = "ratio", by "mean of sectors / largest of sectors",
        /// How many times as long as with perfect balance it takes if every window of time waits for its busiest slice.
        pub camping: f64 = "ratio", by "slices * sum over windows of the largest / sum of sectors",
        /// Cycles of a window.
        pub window_cycles: u64 = "cycles",
        /// Sectors asked for by slice.
        pub sectors: Vec<u64> = "sectors",
        /// Core cycles of the workload under it; nothing when the run ended early.
        pub cycles: Option<u64> = "cycles",
    }
}

record! {
    /// DRAM traffic of a buffer while a kernel ran.
    pub struct Traffic {
        /// Name of the kernel; writes may be those of lines that an earlier one left dirty.
        pub kernel: String,
        /// Which launch on the idle chip it was, from 0.
        pub launch: u32 = "launch",
        /// The buffer.
        pub buffer: String,
        /// Read by L2, check bits not included.
        pub read_bytes: u64 = "bytes",
        /// Written back by L2.
        pub written_bytes: u64 = "bytes",
    }
}

/// Kernels that begin on an idle chip, in order: their numbers among all.
struct Launches(Vec<usize>);

impl Launches {
    fn of(report: &Report) -> Self {
        let mut idle_from = 0;
        let mut found = Vec::new();
        for (at, kernel) in report.kernels.iter().enumerate() {
            if kernel.start_cycle >= idle_from {
                found.push(at);
            }
            idle_from = idle_from.max(kernel.start_cycle + kernel.cycles);
        }
        Launches(found)
    }

    /// The number among all kernels of the one that was `launch`; one that no kernel has, if there was none.
    fn kernel(&self, launch: u32) -> usize {
        let kernel = self.0.get(launch as usize);
        kernel.copied().unwrap_or(usize::MAX)
    }
}

impl Memory {
    /// Of what was seen.
    ///
    /// # Errors
    /// A run on another machine that failed.
    pub fn new(seen: Seen, study: &Study) -> Result<Self> {
        let launches = Launches::of(study.report);
        let spec = study.spec();
        let (l1, sm) = (&study.counters.sm.l1, &study.counters.sm.sm);
        let bytes = SECTOR_BYTES * (l1.sector_reads + l1.sector_writes);
        let used = |cycles: u64| {
            bytes as f64 / (u64::from(spec.l1.bytes_per_cycle) * cycles.max(1)) as f64
        };
        let coalescing = coalescing(&seen, &launches, study);
        let (asked, moved) = coalescing.iter().fold((0, 0), |(asked, moved), row| {
            let own = row.lanes * row.width_bytes;
            (asked + own, moved + SECTOR_BYTES * row.sectors)
        });
        let carveouts = studies::carveouts(study)?;
        let hashes = studies::hashes(study)?;
        let slices: Vec<Slices> = seen
            .slices
            .by_hash()
            .map(|(hash, windows)| Slices {
                hash: hash.name(),
                balance: windows.balance(),
                camping: windows.camping(),
                window_cycles: windows.cycles(),
                sectors: windows.by_slice(),
                cycles: cycles_of(&hashes, hash),
            })
            .collect();
        let own = slices.iter().find(|s| s.hash == spec.l2.hash.name());
        Ok(Memory {
            coalescing_efficiency: asked as f64 / (moved as f64).max(1.0),
            coalescing,
            l1_bandwidth_utilisation: used(study.sm_cycles()),
            l1_bandwidth_utilisation_active: used(sm.active_cycles),
            carveout_kernel: carveouts.kernel,
            carveout: carveouts.rows,
            fetch_policy: studies::fetch_policies(study)?,
            miss_correlation: seen.misses.correlation(spec.gpcs).into(),
            slice_balance: own.map_or(1.0, |s| s.balance),
            slices,
            dram_traffic: seen
                .traffic
                .rows()
                .map(|(launch, buffer, sectors)| Traffic {
                    kernel: study.kernel_name(launches.kernel(launch as u32)),
                    launch: launch as u32,
                    buffer: buffer.to_owned(),
                    read_bytes: SECTOR_BYTES * sectors.read,
                    written_bytes: SECTOR_BYTES * sectors.written,
                })
                .collect(),
            tlb: study
                .report
                .research
                .get(translation::SECTION)
                .and_then(|section| section.get("tlb").cloned()),
        })
    }
}

fn cycles_of(runs: &[HashRun], hash: SliceHash) -> Option<u64> {
    runs.iter()
        .find(|run| run.hash == hash)
        .map(|run| run.cycles)
}

fn coalescing(seen: &Seen, launches: &Launches, study: &Study) -> Vec<Coalescing> {
    let mut rows: Vec<Coalescing> = seen
        .coalescing
        .rows()
        .map(|(launch, pc, accesses)| {
            let kernel = launches.kernel(launch);
            Coalescing {
                place: study.place(kernel, pc),
                kernel: study.kernel_name(kernel),
                launch,
                requests: accesses.requests,
                lanes: accesses.lanes,
                width_bytes: accesses.width,
                sectors: accesses.sectors,
                sectors_per_request: accesses.sectors as f64 / accesses.requests.max(1) as f64,
                efficiency: accesses.efficiency(),
            }
        })
        .collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.sectors), row.launch, row.place.pc));
    rows
}

impl From<Found> for Correlation {
    fn from(found: Found) -> Self {
        let distance = |(at, &misses): (usize, &u64)| Distance {
            from: if at == 0 { 0 } else { 1 << (at - 1) },
            to: (1u64 << at) - 1,
            misses,
        };
        let after = found.after;
        Correlation {
            misses: found.misses,
            sampled: found.sampled,
            first: after.first,
            same_cta: after.same_cta,
            same_sm: after.same_sm,
            same_gpc: after.same_gpc,
            other_gpc: after.other_gpc,
            gap_cycles: found.gap_cycles,
            cta_distances: found.distances.iter().enumerate().map(distance).collect(),
        }
    }
}

impl Section for Memory {
    const NAME: &'static str = translation::SECTION;
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Memory::SCHEMA),
        ("coalescing[].", Coalescing::SCHEMA),
        ("carveout[].", Carveout::SCHEMA),
        ("fetch_policy[].", FetchPolicy::SCHEMA),
        ("miss_correlation.", Correlation::SCHEMA),
        ("miss_correlation.cta_distances[].", Distance::SCHEMA),
        ("slices[].", Slices::SCHEMA),
        ("dram_traffic[].", Traffic::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        self.shown()
    }
}
