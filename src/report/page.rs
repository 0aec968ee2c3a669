//! A run of kernels as a page: where issue slots went, what kernels ask of DRAM for what they compute, and what the
//! chip did over time.

use super::Report;
use super::derive::{microseconds, ratio, seconds};
use super::html::{
    Bar, Cloud, Column, Curve, Field, Page, Roof, Scale, bars, curves, heat, roofline,
};
use super::schema::Kernel;
use crate::config::GpuSpec;
use crate::mem::SECTOR_BYTES;
use crate::simulation::{RunResult, Sample};
use crate::stats::{IssueStats, Label, UnitCounts};
use serde_json::{Value as Json, json};

/// Kernels that have a bar, the longest.
const BARS_MAX: usize = 40;
/// Labels of issue slots that have a colour of their own; the others share one.
const LABELS_SHOWN: usize = 7;
/// Intervals of time at most.
const INTERVALS_MAX: usize = 60;

/// The page of `report`. With a timeline in `run` it has charts over time.
pub fn page<P>(report: &Report, run: &RunResult<P>, spec: &GpuSpec) -> Page {
    let mut page = Page::new(&format!("Kernels on {}", spec.name));
    page.paragraph(&report.workload.source);
    page.paragraph(&format!(
        "{} kernels, {} cycles, {:.3} us; machine {}.",
        report.kernels.len(),
        report.totals.cycles,
        report.totals.time_us,
        report.config.hash
    ));
    for warning in super::validity::warnings(report) {
        page.paragraph(&warning);
    }
    slots(&mut page, report);
    roof(&mut page, report, spec);
    kernels(&mut page, report);
    time(&mut page, &intervals(&run.timeline.samples), spec);
    page
}

/// A kernel by name and number.
fn name(kernel: &Kernel) -> String {
    format!("{} {}", kernel.index, kernel.name)
}

/// Issue slots of each kernel by what they went to.
fn slots(page: &mut Page, report: &Report) {
    let mut all = IssueStats::default();
    for kernel in &report.kernels {
        all += &kernel.issue;
    }
    let mut labels: Vec<(&'static str, u64)> =
        all.named().filter(|(_, slots)| *slots > 0).collect();
    labels.sort_by_key(|(_, slots)| std::cmp::Reverse(*slots));
    let shown: Vec<&str> = labels
        .iter()
        .take(LABELS_SHOWN)
        .map(|(name, _)| *name)
        .collect();
    let mut kinds = shown.clone();
    if labels.len() > LABELS_SHOWN {
        kinds.push("others");
    }
    let share = |kernel: &Kernel, label: &str| {
        let slots = kernel.issue.named().find(|(name, _)| *name == label);
        100.0 * ratio(slots.map_or(0, |(_, slots)| slots), kernel.total_slots)
    };
    let bar = |kernel: &&Kernel| {
        let mut parts: Vec<f64> = shown.iter().map(|label| share(kernel, label)).collect();
        if labels.len() > LABELS_SHOWN {
            let rest = labels.iter().skip(LABELS_SHOWN);
            parts.push(rest.map(|(label, _)| share(kernel, label)).sum());
        }
        Bar {
            name: name(kernel),
            parts,
        }
    };
    let mut longest: Vec<&Kernel> = report.kernels.iter().collect();
    longest.sort_by_key(|kernel| (std::cmp::Reverse(kernel.cycles), kernel.index));
    longest.truncate(BARS_MAX);
    longest.sort_by_key(|kernel| kernel.index);
    let stacks: Vec<Bar> = longest.iter().map(bar).collect();
    page.heading("Issue slots");
    page.figure(
        "What issue slots were used for, or lost to",
        &bars("%", &kinds, &stacks),
    );
    let mut columns = vec![Column::number("kernel", 0), Column::text("name")];
    columns.extend(
        labels
            .iter()
            .map(|(label, _)| Column::number(&format!("{label} %"), 2)),
    );
    let row = |kernel: &Kernel| {
        let mut cells = vec![json!(kernel.index), json!(kernel.name)];
        cells.extend(labels.iter().map(|(label, _)| json!(share(kernel, label))));
        cells
    };
    page.table(
        "Issue slots by label",
        &columns,
        report.kernels.iter().map(row).collect(),
    );
}

/// Bytes that a kernel moved to and from DRAM.
fn dram_bytes(kernel: &Kernel) -> u64 {
    (kernel.dram.counters.reads + kernel.dram.counters.writes) * SECTOR_BYTES
}

/// Kernels by their warp instructions for each byte of DRAM.
fn roof(page: &mut Page, report: &Report, spec: &GpuSpec) {
    let points: Vec<(f64, f64)> = report
        .kernels
        .iter()
        .filter(|kernel| dram_bytes(kernel) > 0 && !kernel.overlapped)
        .map(|kernel| {
            (
                ratio(kernel.warp_instructions, dram_bytes(kernel)),
                kernel.ipc,
            )
        })
        .collect();
    if points.is_empty() {
        return;
    }
    let cloud = Cloud {
        name: "kernels".into(),
        points,
    };
    let bytes_per_cycle =
        spec.dram.peak_bytes_per_s() as f64 / (f64::from(spec.core_clock_khz) * 1e3);
    let roof = Roof {
        slope: bytes_per_cycle,
        top: Some(f64::from(spec.sms) * f64::from(spec.sm.sub_cores)),
    };
    page.heading("Kernels");
    page.figure(
        "Kernels under the roof of DRAM's peak and of the issue slots",
        &roofline(
            "warp instructions for each byte of DRAM",
            "warp instructions/cycle",
            &[cloud],
            roof,
        ),
    );
}

fn kernels(page: &mut Page, report: &Report) {
    let columns = [
        Column::number("kernel", 0),
        Column::text("name"),
        Column::number("cycles", 0),
        Column::number("time us", 3),
        Column::number("warp inst", 0),
        Column::number("IPC", 3),
        Column::number("inst/byte", 4),
        Column::number("occupancy %", 1),
        Column::number("L1 hit %", 1),
        Column::number("L2 hit %", 1),
        Column::number("DRAM read GB/s", 1),
        Column::number("DRAM write GB/s", 1),
        Column::number("DRAM peak %", 1),
        Column::text("by"),
    ];
    let row = |kernel: &Kernel| {
        let bytes = dram_bytes(kernel);
        vec![
            json!(kernel.index),
            json!(kernel.name),
            json!(kernel.cycles),
            json!(kernel.time_us),
            json!(kernel.warp_instructions),
            json!(kernel.ipc),
            json!((bytes > 0).then(|| ratio(kernel.warp_instructions, bytes))),
            json!(100.0 * kernel.occupancy.achieved),
            json!(kernel.l1.rates.hit_percent),
            json!(kernel.l2.rates.read_hit_percent),
            json!(kernel.dram.rates.read_gb_per_s),
            json!(kernel.dram.rates.write_gb_per_s),
            json!(kernel.dram.rates.peak_percent),
            json!(kernel.provenance.kind),
        ]
    };
    page.table(
        "Kernels of the run",
        &columns,
        report.kernels.iter().map(row).collect(),
    );
}

/// At most so many pairs of samples, each the ends of an interval.
fn intervals(samples: &[Sample]) -> Vec<(&Sample, &Sample)> {
    let stride = samples.len().div_ceil(INTERVALS_MAX).max(1);
    let kept: Vec<&Sample> = samples.iter().step_by(stride).collect();
    kept.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// What the chip did in an interval.
struct Activity {
    from_us: f64,
    issue_percent: f64,
    warps: u32,
    l1_hit_percent: f64,
    l2_hit_percent: f64,
    read_gb_per_s: f64,
    write_gb_per_s: f64,
}

impl Activity {
    fn of((from, to): &(&Sample, &Sample), spec: &GpuSpec) -> Self {
        let cycles = to.at - from.at;
        let moved = to.counters.since(&from.counters);
        let slots = cycles * u64::from(spec.sms) * u64::from(spec.sm.sub_cores);
        let (l1, l2, dram) = (&moved.sm.l1, &moved.l2, &moved.dram);
        let gb_per_s = |sectors: u64| (sectors * SECTOR_BYTES) as f64 / seconds(cycles, spec) / 1e9;
        Activity {
            from_us: microseconds(from.at, spec),
            issue_percent: 100.0 * ratio(moved.sm.issue.get(Label::Issued), slots),
            warps: to.warps,
            l1_hit_percent: 100.0 * ratio(l1.sector_hits, l1.sector_reads),
            l2_hit_percent: 100.0 * ratio(l2.read_hits, l2.sector_reads),
            read_gb_per_s: gb_per_s(dram.reads),
            write_gb_per_s: gb_per_s(dram.writes),
        }
    }
}

/// What can be seen of an interval, and how.
type View = (&'static str, fn(&Activity) -> f64);

/// Charts over time, where there were intervals.
fn time(page: &mut Page, intervals: &[(&Sample, &Sample)], spec: &GpuSpec) {
    if intervals.is_empty() {
        return;
    }
    let activity: Vec<Activity> = intervals.iter().map(|i| Activity::of(i, spec)).collect();
    let lines = |views: &[View]| -> Vec<Curve> {
        let curve = |(name, of): &View| Curve {
            name: (*name).to_owned(),
            points: activity.iter().map(|a| (a.from_us, of(a))).collect(),
        };
        views.iter().map(curve).collect()
    };
    let shares: [View; 3] = [
        ("issue slots used", |a| a.issue_percent),
        ("L1 hits", |a| a.l1_hit_percent),
        ("L2 hits", |a| a.l2_hit_percent),
    ];
    let rates: [View; 2] = [
        ("read", |a| a.read_gb_per_s),
        ("written", |a| a.write_gb_per_s),
    ];
    page.heading("Over time");
    let (linear, time) = (Scale::Linear, "us since the start");
    page.figure(
        "Issue slots and hits",
        &curves(time, "%", &lines(&shares), linear, linear),
    );
    page.figure(
        "DRAM",
        &curves(time, "GB/s", &lines(&rates), linear, linear),
    );
    let columns = [
        Column::number("from us", 3),
        Column::number("issue slots used %", 2),
        Column::number("resident warps", 0),
        Column::number("L1 hits %", 2),
        Column::number("L2 hits %", 2),
        Column::number("DRAM read GB/s", 2),
        Column::number("DRAM write GB/s", 2),
    ];
    let row = |a: &Activity| -> Vec<Json> {
        vec![
            json!(a.from_us),
            json!(a.issue_percent),
            json!(a.warps),
            json!(a.l1_hit_percent),
            json!(a.l2_hit_percent),
            json!(a.read_gb_per_s),
            json!(a.write_gb_per_s),
        ]
    };
    page.table(
        "Activity by interval",
        &columns,
        activity.iter().map(row).collect(),
    );
    for units in &UNITS {
        units.show(page, intervals, spec);
    }
}

/// Units of a kind over time.
struct Units {
    /// What one is called.
    one: &'static str,
    caption: &'static str,
    unit: &'static str,
    /// What each has done so far.
    of: fn(&UnitCounts) -> &[u64],
}

const UNITS: [Units; 3] = [
    Units {
        one: "SM",
        caption: "Warp instructions of each SM",
        unit: "warp instructions/cycle",
        of: |counts| &counts.issued,
    },
    Units {
        one: "slice",
        caption: "Sectors asked of each L2 slice",
        unit: "sectors/cycle",
        of: |counts| &counts.slices,
    },
    Units {
        one: "channel",
        caption: "Bursts of each DRAM channel",
        unit: "bursts/cycle",
        of: |counts| &counts.channels,
    },
];

impl Units {
    /// Which of them were at work when: a field of shades and its table.
    fn show(&self, page: &mut Page, intervals: &[(&Sample, &Sample)], spec: &GpuSpec) {
        let (first, last) = (intervals[0].0, intervals[intervals.len() - 1].1);
        let rate = |unit: usize| -> Vec<f64> {
            let of = |(from, to): &(&Sample, &Sample)| {
                let done = (self.of)(&to.units)[unit] - (self.of)(&from.units)[unit];
                ratio(done, to.at - from.at)
            };
            intervals.iter().map(of).collect()
        };
        let rows: Vec<(String, Vec<f64>)> = (0..(self.of)(&first.units).len())
            .map(|unit| (format!("{} {unit}", self.one), rate(unit)))
            .collect();
        let at = |sample: &Sample| microseconds(sample.at, spec);
        let mut columns = vec![Column::text(self.one)];
        let begin = |from: &Sample| Column::number(&format!("{:.2} us", at(from)), 3);
        columns.extend(intervals.iter().map(|(from, _)| begin(from)));
        let cells = |(name, values): &(String, Vec<f64>)| -> Vec<Json> {
            let values = values.iter().map(|value| json!(value));
            std::iter::once(json!(name)).chain(values).collect()
        };
        let cells = rows.iter().map(cells).collect();
        let field = Field {
            x: ("us since the start".into(), at(first), at(last)),
            unit: self.unit.into(),
            rows,
        };
        page.figure(self.caption, &heat(&field));
        let caption = format!("{}, {}", self.caption, self.unit);
        page.table(&caption, &columns, cells);
    }
}
