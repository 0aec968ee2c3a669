//! The report for people: at most 100 columns wide.

mod power;
mod summary;
mod sums;
mod text;

use super::Report;
use super::derive::{percent, ratio};
use super::schema::Status;
use comfy_table::{CellAlignment, Table, presets};
use power::power;
use summary::summary;
use sums::Sums;
use text::{group, real, shorten, wrap};

/// Characters of a full bar.
const BAR_WIDTH: f64 = 40.0;

/// The whole report as text.
pub fn render(report: &Report) -> String {
    let sums = Sums::of(&report.kernels);
    let mut out = heading(report);
    for part in [
        summary(report),
        power(report),
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
        Status::UnmodelledWork => {
            "\nUNMODELLED WORK carries a kernel: cycles say little, see the end"
        }
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

/// A table in the style of all commands, whose columns from number `numbers_from` on are numbers.
pub fn table(header: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Issue slots by label, the largest first.
fn issue(sums: &Sums) -> String {
    let mut table = table(&["issue slots", "slots", "%", ""], 1);
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let mut labels: Vec<(&str, u64)> = sums.issue.named().filter(|(_, slots)| *slots > 0).collect();
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
            real(sums.gb_per_s(read)),
            real(sums.gb_per_s(write)),
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
        share(dram.bus.data, dram.cycles),
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
    let known = |line: &&String| super::validity::UNMODELLED.contains(&line.as_str());
    let all = report.validity.unmodelled.iter();
    let of_input = all.filter(|line| !known(line));
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
