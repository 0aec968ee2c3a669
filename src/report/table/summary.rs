//! The kernels of a run, one line each, or by name when there are many.

use super::table;
use super::text::{group, real, shorten};
use crate::mem::SECTOR_BYTES;
use crate::report::Report;
use crate::report::derive::ratio;
use crate::report::schema::Kernel;
use std::collections::BTreeMap;

/// Kernels are listed one by one up to this many; beyond, launches of a kernel share a line.
const KERNELS_LISTED: usize = 20;
/// Characters of a kernel's name that are shown.
const NAME_WIDTH: usize = 22;

/// One line of the summary: one kernel, or several launches.
#[derive(Clone, Default)]
struct Line {
    launches: u64,
    cycles: u64,
    time_us: f64,
    warp_instructions: u64,
    warp_cycles: f64,
    dram_bytes: f64,
    partial: bool,
}

impl Line {
    fn add(&mut self, k: &Kernel) {
        self.launches += 1;
        self.cycles += k.cycles;
        self.time_us += k.time_us;
        self.warp_instructions += k.warp_instructions;
        self.warp_cycles += k.occupancy.achieved * k.cycles as f64;
        // Overlapped kernels share counters; the bandwidth of the time is right all the same.
        let sectors = k.dram.counters.reads + k.dram.counters.writes;
        self.dram_bytes += (sectors * SECTOR_BYTES) as f64 * ratio(k.cycles, k.counted_cycles);
        self.partial |= k.partial;
    }

    fn merge(&mut self, other: &Line) {
        self.launches += other.launches;
        self.cycles += other.cycles;
        self.time_us += other.time_us;
        self.warp_instructions += other.warp_instructions;
        self.warp_cycles += other.warp_cycles;
        self.dram_bytes += other.dram_bytes;
        self.partial |= other.partial;
    }

    fn cells(&self, name: &str, peak_gb_per_s: f64) -> Vec<String> {
        let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let gb_per_s = over(self.dram_bytes, self.time_us * 1e3);
        let name = match self.partial {
            true => shorten(name, NAME_WIDTH - 10) + " (partial)",
            false => shorten(name, NAME_WIDTH),
        };
        vec![
            name,
            group(self.launches),
            group(self.cycles),
            real(self.time_us),
            group(self.warp_instructions),
            format!("{:.2}", ratio(self.warp_instructions, self.cycles)),
            format!("{:.0}", 100.0 * over(self.warp_cycles, self.cycles as f64)),
            format!("{gb_per_s:.0}"),
            format!("{:.0}", over(100.0 * gb_per_s, peak_gb_per_s)),
        ]
    }
}

/// One line a kernel; many kernels by name, those that took most time first.
pub(super) fn summary(report: &Report) -> String {
    let header = [
        "kernel",
        "runs",
        "cycles",
        "us",
        "warp inst",
        "IPC",
        "occ%",
        "GB/s",
        "peak%",
    ];
    let mut table = table(&header, 1);
    let peak = report
        .kernels
        .first()
        .map_or(0.0, |k| k.dram.rates.peak_gb_per_s);
    let lines = lines(&report.kernels);
    for (name, line) in lines.iter().take(KERNELS_LISTED) {
        table.add_row(line.cells(name, peak));
    }
    if lines.len() > KERNELS_LISTED {
        let mut rest = Line::default();
        for (_, line) in &lines[KERNELS_LISTED..] {
            rest.merge(line);
        }
        let names = format!("{} other kernels", lines.len() - KERNELS_LISTED);
        table.add_row(rest.cells(&names, peak));
    }
    if report.kernels.len() > 1 {
        let mut total = Line::default();
        report.kernels.iter().for_each(|k| total.add(k));
        total.cycles = report.totals.cycles;
        total.time_us = report.totals.time_us;
        table.add_row(total.cells("total", peak));
    }
    format!("{table}\n")
}

/// Lines of the summary with their names.
fn lines(kernels: &[Kernel]) -> Vec<(&str, Line)> {
    let together = kernels.len() > KERNELS_LISTED;
    let mut lines: Vec<(&str, Line)> = Vec::new();
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for k in kernels {
        let at = match place.get(k.name.as_str()) {
            Some(&at) if together => at,
            _ => lines.len(),
        };
        if at == lines.len() {
            place.insert(&k.name, at);
            lines.push((&k.name, Line::default()));
        }
        lines[at].1.add(k);
    }
    if together {
        lines.sort_by_key(|(_, line)| std::cmp::Reverse(line.cycles));
    }
    lines
}
