//! The section `research.cache`.

use super::course::Span;
use super::instruments::{Caches, DISTANCE_MAX, Written};
use crate::mem::cache::study::distance::{Octaves, Row};
use crate::mem::l1::ReservationFail;
use crate::report::record::{Field, record};
use crate::research::{Exhibits, Section, Study};

record! {
    /// What the caches did.
    pub struct Cache {
        /// Loads of a line that L1 served, by what they found.
        pub loads: Loads,
        /// Registers of an L1 in which a line is in flight, over time; a few hundred bins.
        pub mshr_occupancy: Vec<Occupancy>,
        /// The same over the whole run, of an SM.
        pub mshr_mean: f64 = "lines", by "sum of mean x (to_cycle - from_cycle) / cycles",
        /// Loads that wait for a line in flight, the first one included.
        pub loads_per_mshr: f64 = "loads", by "(loads.merged + loads.sector_misses + loads.line_misses) / registers taken",
        /// Loads of a line that L1 refused, to be tried again when something has changed; they sum to kernels[].l1.reservation_fails.
        pub reservation_failures_per_kcycle: Causes,
        /// Cycles in which the memory pipe stood for each of these causes.
        pub stall_cycles_per_kcycle: Causes,
        /// Requests that waited in front of their L2 slice, for a register or for room towards DRAM, of a slice.
        pub l2_waits_per_kcycle: f64 = "requests per kcycle", by "1000 waits / (slices x cycles)",
        /// Loads that found their line and had to fetch a sector of it, of all that found their line.
        pub sector_miss_line_hit: f64 = "ratio", by "loads.sector_misses / loads.line_found",
        /// Share of the sectors written by stores that a single store wrote in every byte; null without stores.
        pub write_mask_coverage: Option<f64> = "ratio", by "sectors written in every byte / sectors written by stores",
        /// The same of the writes that L2 gets.
        pub l2_write_mask_coverage: Option<f64> = "ratio", by "sectors written in every byte / sectors written in L2",
        /// Sectors that loads asked for the first time since their L1 was emptied, of those that L1 fetched: 1 when nothing is fetched twice; null when nothing was fetched, or there were too many lines to follow.
        pub streaming_efficiency: Option<f64> = "ratio", by "distinct sectors loaded / sectors fetched",
        /// Accesses by reuse distance: how many other lines the same cache was asked for since the last access of the line.
        pub reuse_distance: Distances,
        /// Accesses of lines that were not accessed since the cache was emptied, or farther away than distances are exact (65,536 lines).
        pub without_reuse_distance: Levels,
        /// Loads by set of L1, summed over SMs.
        pub set_pressure: Vec<Set>,
        /// Data lines of L2 by the number of SMs that asked L2 for them.
        pub line_sharing: Vec<Sharers>,
        /// Requests for lines of L2 that are not followed because there are too many (65,536 of a DRAM channel are).
        pub sharing_not_followed: u64 = "requests",
    }
}

record! {
    /// Loads of a line; each is one of the first four.
    pub struct Loads {
        /// Every sector was there.
        pub hits: u64 = "loads",
        /// What was missing was on its way already.
        pub merged: u64 = "loads",
        /// The line was there; a sector had to be fetched.
        pub sector_misses: u64 = "loads",
        /// The line was not there; a sector had to be fetched.
        pub line_misses: u64 = "loads",
        /// The line was there, with or without the sectors.
        pub line_found: u64 = "loads",
    }
}

record! {
    /// Registers in a span of time.
    pub struct Occupancy {
        /// First core cycle.
        pub from_cycle: u64 = "cycles",
        /// Core cycle behind the last.
        pub to_cycle: u64 = "cycles",
        /// Lines in flight of an SM.
        pub mean: f64 = "lines",
        /// The most that one SM had.
        pub peak: u64 = "lines",
    }
}

record! {
    /// A number for each cause of a refusal, for an SM and a thousand cycles.
    pub struct Causes {
        /// All ways of the set wait for data.
        pub line: f64 = "per kcycle",
        /// Every register is taken (of loads that pass L1 by: every buffer).
        pub mshr_entry: f64 = "per kcycle",
        /// The register of the line can take no other access.
        pub merge_slot: f64 = "per kcycle",
        /// The queue of misses is full.
        pub miss_queue: f64 = "per kcycle",
    }
}

record! {
    /// By level.
    pub struct Distances {
        /// Accesses of L1, all SMs together: loads, and stores that stay.
        pub l1: Vec<Distance>,
        /// Accesses of L2: distances within the slice, all slices together.
        pub l2: Vec<Distance>,
    }
}

record! {
    /// A number for each level.
    pub struct Levels {
        /// Of the L1 caches.
        pub l1: u64 = "accesses",
        /// Of the L2 slices.
        pub l2: u64 = "accesses",
    }
}

record! {
    /// Accesses at distances from `from` to `to`.
    pub struct Distance {
        /// Nearest.
        pub from: u64 = "lines",
        /// Farthest.
        pub to: u64 = "lines",
        /// Accesses.
        pub accesses: u64 = "accesses",
        /// Accesses that a fully associative LRU cache of `to` + 1 lines would hit, filled at once.
        pub lru_hits: u64 = "accesses",
    }
}

record! {
    /// A set of L1.
    pub struct Set {
        /// Number.
        pub set: u64 = "set",
        /// Loads of its lines.
        pub loads: u64 = "loads",
        /// Those that did not find their line and fetched a sector of it.
        pub line_misses: u64 = "loads",
    }
}

record! {
    /// Lines that so many SMs share.
    pub struct Sharers {
        /// SMs at least.
        pub from_sms: u64 = "SMs",
        /// SMs at most.
        pub to_sms: u64 = "SMs",
        /// Lines.
        pub lines: u64 = "lines",
        /// Requests for them.
        pub requests: u64 = "requests",
    }
}

pub(super) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Written {
    fn coverage(self) -> Option<f64> {
        (self.sectors > 0).then(|| share(self.full, self.sectors))
    }
}

/// The rows of `octaves`, and the accesses that are in none of them.
fn distances(octaves: &Octaves) -> (Vec<Distance>, u64) {
    let distance = |row: Row| Distance {
        from: row.from,
        to: row.to,
        accesses: row.accesses,
        lru_hits: row.lru_hits,
    };
    let rows = octaves.rows(DISTANCE_MAX).into_iter().map(distance);
    (rows.collect(), octaves.beyond(DISTANCE_MAX))
}

impl Cache {
    /// Of what was `seen` in the run of `study`.
    pub fn new(seen: &Caches, study: &Study) -> Self {
        let spec = study.spec();
        let (cycles, sms) = (study.report.totals.cycles, u64::from(spec.sms));
        let spans = seen.occupancy.spans(cycles);
        let loads = &seen.loads;
        let waiting = loads.all() - loads.hits;
        let (l1, far_l1) = distances(&seen.l1_reuse);
        let (l2, far_l2) = distances(&seen.l2_reuse);
        let slices = u64::from(spec.l2.slices);
        Cache {
            loads: Loads {
                hits: loads.hits,
                merged: loads.merged,
                sector_misses: loads.sector_misses,
                line_misses: loads.line_misses,
                line_found: loads.line_found,
            },
            mshr_occupancy: spans.iter().map(|span| occupancy(span, sms)).collect(),
            mshr_mean: share(spans.iter().map(|s| s.integral).sum(), study.sm_cycles()),
            loads_per_mshr: share(waiting, loads.registers_taken),
            reservation_failures_per_kcycle: causes(study, |fail| seen.refusals[fail as usize]),
            stall_cycles_per_kcycle: stalls(study),
            l2_waits_per_kcycle: 1e3 * share(seen.l2_waits, slices * cycles),
            sector_miss_line_hit: share(loads.sector_misses, loads.line_found),
            write_mask_coverage: seen.l1_written.coverage(),
            l2_write_mask_coverage: seen.l2_written.coverage(),
            streaming_efficiency: (seen.forgotten == 0 && loads.fetched_sectors > 0)
                .then(|| share(loads.new_sectors, loads.fetched_sectors)),
            reuse_distance: Distances { l1, l2 },
            without_reuse_distance: Levels {
                l1: far_l1,
                l2: far_l2,
            },
            set_pressure: sets(seen),
            line_sharing: sharers(seen),
            sharing_not_followed: seen.sharing.unfollowed,
        }
    }
}

fn occupancy(span: &Span, sms: u64) -> Occupancy {
    Occupancy {
        from_cycle: span.from,
        to_cycle: span.to,
        mean: share(span.integral, sms * (span.to - span.from)),
        peak: span.peak,
    }
}

fn causes(study: &Study, count: impl Fn(ReservationFail) -> u64) -> Causes {
    let rate = |fail| 1e3 * share(count(fail), study.sm_cycles());
    Causes {
        line: rate(ReservationFail::LineAlloc),
        mshr_entry: rate(ReservationFail::MshrEntries),
        merge_slot: rate(ReservationFail::MshrMerges),
        miss_queue: rate(ReservationFail::MissQueue),
    }
}

fn stalls(study: &Study) -> Causes {
    let l1 = &study.counters.sm.l1;
    causes(study, |fail| match fail {
        ReservationFail::LineAlloc => l1.fail_line_alloc_cycles,
        ReservationFail::MshrEntries => l1.fail_mshr_entries_cycles,
        ReservationFail::MshrMerges => l1.fail_mshr_merges_cycles,
        ReservationFail::MissQueue => l1.fail_miss_queue_cycles,
    })
}

fn sets(seen: &Caches) -> Vec<Set> {
    let sets = seen.sets.iter().zip(0..);
    sets.map(|(set, number)| Set {
        set: number,
        loads: set.loads,
        line_misses: set.line_misses,
    })
    .collect()
}

fn sharers(seen: &Caches) -> Vec<Sharers> {
    let rows = seen.sharing.rows().into_iter();
    rows.map(|row| Sharers {
        from_sms: row.from,
        to_sms: row.to,
        lines: row.lines,
        requests: row.requests,
    })
    .collect()
}

impl Section for Cache {
    const NAME: &'static str = "cache";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Cache::SCHEMA),
        ("loads.", Loads::SCHEMA),
        ("mshr_occupancy[].", Occupancy::SCHEMA),
        ("reservation_failures_per_kcycle.", Causes::SCHEMA),
        ("stall_cycles_per_kcycle.", Causes::SCHEMA),
        ("reuse_distance.", Distances::SCHEMA),
        ("reuse_distance.l1[].", Distance::SCHEMA),
        ("reuse_distance.l2[].", Distance::SCHEMA),
        ("without_reuse_distance.", Levels::SCHEMA),
        ("set_pressure[].", Set::SCHEMA),
        ("line_sharing[].", Sharers::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        self.show()
    }
}
