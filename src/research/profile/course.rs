//! Counters over time: what was counted between two moments of the run. The intervals follow each other without a gap, so
//! that each counter sums to that of the run.

use crate::mem::SECTOR_BYTES;
use crate::report::derive::{percent, ratio};
use crate::report::html::{Curve, Scale, curves};
use crate::report::record::record;
use crate::research::{Figure, Study};
use crate::stats::{ChipCounters, Label};

record! {
    /// What was counted in a time of the run.
    pub struct Interval {
        /// First core cycle.
        pub from_cycle: u64 = "cycles",
        /// Core cycle behind the last.
        pub to_cycle: u64 = "cycles",
        /// Position in `kernels` of the one that runs at the begin, of several the first; null between kernels.
        pub kernel: Option<usize> = "kernel",
        /// Warps on the chip at the end.
        pub resident_warps: u32 = "warps",
        /// Warp instructions.
        pub warp_instructions: u64 = "warp instructions",
        /// The same of a cycle, of the whole chip.
        pub ipc: f64 = "warp instructions / cycle", by "warp_instructions / (to_cycle - from_cycle)",
        /// Sectors that loads read through L1.
        pub l1_sector_reads: u64 = "sectors",
        /// Those that L1 had.
        pub l1_sector_hits: u64 = "sectors",
        /// Share of them.
        pub l1_hit_percent: f64 = "%", by "100 l1_sector_hits / l1_sector_reads",
        /// Sectors that L2 was asked for.
        pub l2_sector_reads: u64 = "sectors",
        /// Those that L2 had.
        pub l2_read_hits: u64 = "sectors",
        /// Share of them.
        pub l2_hit_percent: f64 = "%", by "100 l2_read_hits / l2_sector_reads",
        /// Bytes read from DRAM.
        pub dram_read_bytes: u64 = "bytes",
        /// Bytes written to DRAM.
        pub dram_written_bytes: u64 = "bytes",
        /// Issue slots by label.
        pub slots: Vec<Slots>,
    }
}

record! {
    /// Issue slots with a label.
    pub struct Slots {
        /// The label, as in `issue`.
        pub label: &'static str,
        /// Slots.
        pub slots: u64 = "issue slots",
    }
}

/// The run of `study` in intervals; nothing unless they were asked for.
pub(super) fn over_time(study: &Study) -> Option<Vec<Interval>> {
    study.request.besides.interval?;
    let mut intervals = Vec::with_capacity(study.moments.len() + 1);
    let mut before = (0, ChipCounters::default());
    for moment in study.moments.iter().filter(|moment| moment.at > 0) {
        let to = (moment.at, moment.counters);
        intervals.push(interval(study, &before, &to, moment.warps));
        before = to;
    }
    let end = (study.report.totals.cycles.max(before.0), *study.counters);
    intervals.push(interval(study, &before, &end, 0));
    Some(intervals)
}

fn interval(
    study: &Study,
    (from, before): &(u64, ChipCounters),
    (to, after): &(u64, ChipCounters),
    warps: u32,
) -> Interval {
    // Of counters that only grow: the account of a DRAM bus may still change its mind about a wait that goes on.
    let counted = |of: &dyn Fn(&ChipCounters) -> u64| of(after) - of(before);
    let kernels = &mut study.report.kernels.iter();
    let kernel = kernels.position(|k| (k.start_cycle..k.start_cycle + k.cycles).contains(from));
    let warp_instructions = counted(&|c| c.sm.sm.warp_instructions);
    let l1_sector_reads = counted(&|c| c.sm.l1.sector_reads);
    let l1_sector_hits = counted(&|c| c.sm.l1.sector_hits);
    let l2_sector_reads = counted(&|c| c.l2.sector_reads);
    let l2_read_hits = counted(&|c| c.l2.read_hits);
    let slots = Label::ALL.iter().map(|label| Slots {
        label: label.name(),
        slots: counted(&|c| c.sm.issue.get(*label)),
    });
    Interval {
        from_cycle: *from,
        to_cycle: *to,
        kernel,
        resident_warps: warps,
        warp_instructions,
        ipc: ratio(warp_instructions, to - from),
        l1_sector_reads,
        l1_sector_hits,
        l1_hit_percent: percent(l1_sector_hits, l1_sector_reads),
        l2_sector_reads,
        l2_read_hits,
        l2_hit_percent: percent(l2_read_hits, l2_sector_reads),
        dram_read_bytes: SECTOR_BYTES * counted(&|c| c.dram.reads),
        dram_written_bytes: SECTOR_BYTES * counted(&|c| c.dram.writes),
        slots: slots.collect(),
    }
}

/// Instructions, hits and DRAM over time.
pub(super) fn figures(intervals: &[Interval]) -> Vec<Figure> {
    let curve = |name: &str, of: &dyn Fn(&Interval) -> f64| Curve {
        name: name.to_owned(),
        points: intervals
            .iter()
            .map(|i| ((i.from_cycle + i.to_cycle) as f64 / 2.0, of(i)))
            .collect(),
    };
    let bytes = |i: &Interval, bytes: u64| ratio(bytes, i.to_cycle - i.from_cycle);
    let figure = |name, caption: &str, y: &str, lines: &[Curve]| Figure {
        name,
        caption: caption.to_owned(),
        svg: curves("core cycle", y, lines, Scale::Linear, Scale::Linear),
    };
    vec![
        figure(
            "ipc-over-time",
            "Warp instructions of the chip over time",
            "IPC",
            &[curve("IPC", &|i| i.ipc)],
        ),
        figure(
            "hits-over-time",
            "Hits of L1 and L2 over time",
            "% of sectors",
            &[
                curve("L1", &|i| i.l1_hit_percent),
                curve("L2", &|i| i.l2_hit_percent),
            ],
        ),
        figure(
            "dram-over-time",
            "DRAM traffic over time",
            "bytes / core cycle",
            &[
                curve("read", &|i| bytes(i, i.dram_read_bytes)),
                curve("written", &|i| bytes(i, i.dram_written_bytes)),
            ],
        ),
    ]
}
