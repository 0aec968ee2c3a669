//! The report for people: at most 100 columns wide.

use super::Report;
use super::derive::{percent, ratio};
use super::schema::{Kernel, Status};
use crate::stats::{FetchStats, IssueStats, L1Stats, L2Stats, LsuStats, NocStats, SmStats};
use comfy_table::{CellAlignment, Table, presets};
use std::collections::BTreeMap;

use super::counters::{BusLabels, DramCounters};

/// Kernels are listed one by one up to this many; beyond, launches of a kernel share a line.
const KERNELS_LISTED: usize = 20;
/// Characters of a kernel's name that are shown.
const NAME_WIDTH: usize = 28;
/// Characters of a full bar.
const BAR_WIDTH: f64 = 40.0;

/// The whole report as text.
pub fn render(report: &Report) -> String {
    let sums = Sums::of(&report.kernels);
    let mut out = heading(report);
    for part in [
        summary(report),
        issue(&sums),
        memory(&sums),
        pipes(&sums),
        notes(report),
    ] {
        if !part.is_empty() {
            out.push('\n');
            out.push_str(&part);
        }
    }
    out
}

/// Counters of all kernels together.
#[derive(Default)]
struct Sums {
    kernels: u64,
    cycles: u64,
    seconds: f64,
    slots: u64,
    slice_cycles: u64,
    slice_busy: u64,
    peak_gb_per_s: f64,
    pipe_cycles: BTreeMap<&'static str, f64>,
    issue: IssueStats,
    sm: SmStats,
    fetch: FetchStats,
    lsu: LsuStats,
    l1: L1Stats,
    noc: NocStats,
    l2: L2Stats,
    dram: DramCounters,
    bus: BusLabels,
}

impl Sums {
    fn of(kernels: &[Kernel]) -> Self {
        let mut sums = Sums::default();
        for k in kernels {
            sums.kernels += 1;
            sums.cycles += k.counted_cycles;
            if k.cycles > 0 {
                sums.seconds += k.time_us * 1e-6 * k.counted_cycles as f64 / k.cycles as f64;
            }
            sums.slots += k.total_slots;
            sums.slice_busy += k.l2.slice_cycles.busy;
            sums.slice_cycles += k.l2.slice_cycles.busy + k.l2.slice_cycles.idle;
            sums.peak_gb_per_s = k.dram.rates.peak_gb_per_s;
            for (name, pipe) in k.pipes.named() {
                if let Some(share) = pipe.utilisation_percent {
                    *sums.pipe_cycles.entry(name).or_default() += share * k.total_slots as f64;
                }
            }
            sums.issue += &k.issue.0;
            sums.sm += &k.sm.counters;
            sums.fetch += &k.fetch.counters;
            sums.lsu += &k.lsu.counters;
            sums.l1 += &k.l1.counters;
            sums.noc += &k.noc.counters;
            sums.l2 += &k.l2.counters;
            sums.dram += &k.dram.counters;
            sums.bus += &k.dram.bus;
        }
        sums
    }

    /// Bandwidth of `sectors` in the time of all kernels.
    fn gb_per_s(&self, sectors: u64) -> f64 {
        if self.seconds > 0.0 {
            sectors as f64 * 32.0 / self.seconds / 1e9
        } else {
            0.0
        }
    }
}

fn heading(report: &Report) -> String {
    let text = |key: &str| {
        report
            .config
            .keys
            .pointer(key)
            .map_or(String::new(), |v| match v {
                serde_json::Value::String(s) => s.clone(),
                other => other.to_string(),
            })
    };
    let status = match report.status {
        Status::Complete => "",
        Status::Interrupted => "\nINTERRUPTED: what follows is what was done until then",
        Status::MaxCycles => "\nSTOPPED at --max-cycles: what follows is what was done until then",
    };
    format!(
        "{} on {} ({}, {} SMs){status}\n",
        shorten(&report.workload.source, 60),
        text("/gpu/product"),
        text("/gpu/name"),
        text("/gpu/sms"),
    )
}

/// A table whose columns from number `numbers_from` are numbers.
fn table(header: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

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
        self.dram_bytes += 32.0 * sectors as f64 * ratio(k.cycles, k.counted_cycles);
        self.partial |= k.partial;
    }

    fn cells(&self, name: &str, peak_gb_per_s: f64) -> Vec<String> {
        let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let gb_per_s = over(self.dram_bytes, self.time_us * 1e3);
        let mut name = shorten(name, NAME_WIDTH);
        if self.partial {
            name.push_str(" (partial)");
        }
        vec![
            name,
            group(self.launches),
            group(self.cycles),
            format!("{:.2}", self.time_us),
            group(self.warp_instructions),
            format!("{:.2}", ratio(self.warp_instructions, self.cycles)),
            format!("{:.0}", 100.0 * over(self.warp_cycles, self.cycles as f64)),
            format!("{gb_per_s:.1}"),
            format!("{:.0}", over(100.0 * gb_per_s, peak_gb_per_s)),
        ]
    }
}

/// One line a kernel; many kernels by name, those that took most time first.
fn summary(report: &Report) -> String {
    let header = [
        "kernel",
        "runs",
        "cycles",
        "us",
        "warp inst",
        "IPC",
        "occ %",
        "GB/s",
        "peak %",
    ];
    let mut table = table(&header, 1);
    let peak = report
        .kernels
        .first()
        .map_or(0.0, |k| k.dram.rates.peak_gb_per_s);
    let mut lines: Vec<(&str, Line)> = Vec::new();
    let mut total = Line::default();
    let together = report.kernels.len() > KERNELS_LISTED;
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for k in &report.kernels {
        let at = match place.get(k.name.as_str()) {
            Some(&at) if together => at,
            _ => {
                lines.push((&k.name, Line::default()));
                place.insert(&k.name, lines.len() - 1);
                lines.len() - 1
            }
        };
        lines[at].1.add(k);
        total.add(k);
    }
    if together {
        lines.sort_by_key(|(_, line)| std::cmp::Reverse(line.cycles));
    }
    let mut rest = Line::default();
    for (at, (name, line)) in lines.iter().enumerate() {
        if at < KERNELS_LISTED {
            table.add_row(line.cells(name, peak));
        } else {
            rest.merge(line);
        }
    }
    if rest.launches > 0 {
        let names = format!("{} other kernels", lines.len() - KERNELS_LISTED);
        table.add_row(rest.cells(&names, peak));
    }
    if report.kernels.len() > 1 {
        total.cycles = report.totals.cycles;
        total.time_us = report.totals.time_us;
        table.add_row(total.cells("total", peak));
    }
    format!("{table}\n")
}

impl Line {
    fn merge(&mut self, other: &Line) {
        self.launches += other.launches;
        self.cycles += other.cycles;
        self.time_us += other.time_us;
        self.warp_instructions += other.warp_instructions;
        self.warp_cycles += other.warp_cycles;
        self.dram_bytes += other.dram_bytes;
        self.partial |= other.partial;
    }
}

/// Issue slots by label, the largest first.
fn issue(sums: &Sums) -> String {
    let mut table = table(&["issue slots", "slots", "%", ""], 1);
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let mut labels: Vec<(&str, u64)> = super::counters::IssueSlots(sums.issue)
        .iter()
        .filter(|(_, slots)| *slots > 0)
        .collect();
    labels.sort_by_key(|(_, slots)| std::cmp::Reverse(*slots));
    for (label, slots) in labels {
        let share = ratio(slots, sums.slots);
        let bar = "#".repeat((share * BAR_WIDTH).round() as usize);
        table.add_row([
            label.to_owned(),
            group(slots),
            format!("{:.1}", 100.0 * share),
            bar,
        ]);
    }
    format!("{table}\n")
}

/// What each level of the memory system moved.
fn memory(sums: &Sums) -> String {
    let header = [
        "memory",
        "sectors read",
        "hit %",
        "written",
        "hit %",
        "read GB/s",
        "write GB/s",
        "busy %",
    ];
    let mut table = table(&header, 1);
    let (l1, l2, dram) = (&sums.l1, &sums.l2, &sums.dram);
    let row = |name: &str, read: u64, hit: String, write: u64, write_hit: String, busy: String| {
        vec![
            name.to_owned(),
            group(read),
            hit,
            group(write),
            write_hit,
            format!("{:.1}", sums.gb_per_s(read)),
            format!("{:.1}", sums.gb_per_s(write)),
            busy,
        ]
    };
    let share = |part: u64, whole: u64| match whole {
        0 => "-".to_owned(),
        _ => format!("{:.1}", percent(part, whole)),
    };
    table.add_row(row(
        "L1",
        l1.sector_reads,
        share(l1.sector_hits, l1.sector_reads),
        l1.sector_writes,
        share(l1.write_hits, l1.sector_writes),
        "-".into(),
    ));
    table.add_row(row(
        "L2",
        l2.sector_reads,
        share(l2.read_hits, l2.sector_reads),
        l2.sector_writes,
        share(l2.write_hits, l2.sector_writes),
        share(sums.slice_busy, sums.slice_cycles),
    ));
    let accesses = dram.reads + dram.writes;
    table.add_row(row(
        "DRAM (rows)",
        dram.reads,
        share(accesses.saturating_sub(dram.activates), accesses),
        dram.writes,
        "-".into(),
        share(sums.bus.data, dram.cycles),
    ));
    let atomics = match l2.sector_atomics {
        0 => String::new(),
        n => format!("atomics: {} sectors at L2\n", group(n)),
    };
    let shared = match sums.lsu.shared_instructions {
        0 => String::new(),
        n => format!(
            "shared memory: {} instructions, {} bank passes, {} of them conflicts\n",
            group(n),
            group(sums.lsu.shared_passes),
            group(sums.lsu.shared_conflict_passes)
        ),
    };
    format!("{table}\n{shared}{atomics}")
}

/// Pipes that were used, the busiest first.
fn pipes(sums: &Sums) -> String {
    let mut used: Vec<(&str, f64)> = sums
        .pipe_cycles
        .iter()
        .map(|(name, cycles)| (*name, cycles / (sums.slots.max(1)) as f64))
        .filter(|(_, share)| *share > 0.0)
        .collect();
    used.sort_by(|a, b| b.1.total_cmp(&a.1));
    if used.is_empty() {
        return String::new();
    }
    let list: Vec<String> = used.iter().map(|(n, s)| format!("{n} {s:.1}")).collect();
    format!("pipes held, %: {}\n", list.join(", "))
}

/// What to know before believing the numbers.
fn notes(report: &Report) -> String {
    let known = super::validity::UNMODELLED.len();
    let of_input = report.validity.unmodelled.iter().skip(known);
    let mut out = String::new();
    for note in of_input.chain(&report.validity.assumptions) {
        for (at, line) in wrap(note, 96).iter().enumerate() {
            out.push_str(if at == 0 { "- " } else { "  " });
            out.push_str(line);
            out.push('\n');
        }
    }
    let s = &report.simulation;
    out.push_str(&format!(
        "{} warp instructions/s, {} cycles/s, {:.2} s on {} thread(s), {} MiB\n",
        group(s.warp_instructions_per_s as u64),
        group(s.cycles_per_s as u64),
        s.wall_s,
        s.threads,
        s.peak_rss_bytes >> 20,
    ));
    out
}

/// `text` in lines of at most `width` characters, cut at spaces.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("one line at least");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `text`, its middle left out when it is longer than `width`.
fn shorten(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let head = (width - 2) / 2;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - (width - 2 - head)).collect();
    format!("{start}..{end}")
}

/// Digits in groups of three.
fn group(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_fit() {
        assert_eq!(group(0), "0");
        assert_eq!(group(1_234_567), "1,234,567");
        assert_eq!(shorten("abcdefghij", 6), "ab..ij");
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
    }
}
