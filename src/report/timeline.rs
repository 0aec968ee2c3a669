//! Chrome trace of a run, which Perfetto and `chrome://tracing` open: kernels by stream, CTAs on SMs, and
//! activity over time.
//!
//! Times are microseconds of simulated time. Events are in order of their start.

use super::Report;
use super::derive::{microseconds, ratio};
use crate::config::GpuSpec;
use crate::error::{Error, Result};
use crate::mem::SECTOR_BYTES;
use crate::output;
use crate::simulation::{CtaSpan, RunResult, Sample, Timeline};
use crate::stats::Label;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Events for CTAs; with more CTAs than this, neighbours share an event.
const CTA_EVENTS_MAX: usize = 200_000;
/// Points of a curve; with more samples than this, neighbours share a point.
const POINTS_MAX: usize = 20_000;
/// SM tracks are numbered `sm * LANES + lane`.
const LANES: u64 = 64;

const KERNELS: u32 = 1;
const CHIP: u32 = 2;
const SMS: u32 = 3;

/// One event with the cycle that it is sorted by.
struct Event {
    at: u64,
    json: Json,
}

/// Writes the timeline to `path`, complete or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write<P>(path: &Path, report: &Report, result: &RunResult<P>, spec: &GpuSpec) -> Result<()> {
    let Timeline {
        samples,
        ctas,
        ctas_left_out,
        ..
    } = &result.timeline;
    let (mut events, share) = cta_events(report, ctas, spec);
    events.extend(kernel_events(report, spec));
    events.extend(counter_events(samples, result.cycles, spec));
    events.sort_by_key(|e| e.at);
    let mut names = process_names();
    names.extend(track_names(report, &events));
    let mut note = match share {
        1 => "one event for each CTA".to_owned(),
        _ => format!("{share} CTAs share an event, to keep the file small"),
    };
    if *ctas_left_out > 0 {
        note += &format!("; the last {ctas_left_out} CTAs are left out, to bound memory");
    }
    let head = json!({
        "tool": report.tool,
        "status": report.status,
        "workload": report.workload,
        "gpu": spec.name,
        "config_hash": report.config.hash,
        "ctas": note,
    });
    let write = |out: &mut output::Sink<'_>| {
        write!(
            out,
            "{{\"displayTimeUnit\":\"ns\",\"otherData\":{head},\"traceEvents\":["
        )?;
        let mut first = true;
        for json in names.iter().chain(events.iter().map(|e| &e.json)) {
            out.write_all(if first { b"\n" } else { b",\n" })?;
            first = false;
            serde_json::to_writer(&mut *out, json)?;
        }
        out.write_all(b"\n]}\n")
    };
    output::write(path, |out| write(out).map_err(|e| Error::io(path, e)))
}

fn process_names() -> Vec<Json> {
    [(KERNELS, "kernels"), (CHIP, "activity"), (SMS, "SMs")]
        .into_iter()
        .flat_map(|(pid, name)| {
            [
                json!({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}),
                json!({"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}),
            ]
        })
        .collect()
}

/// Names of the tracks that have events.
fn track_names(report: &Report, events: &[Event]) -> Vec<Json> {
    let name = |pid: u32, tid: u64, name: String| json!({"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": name}});
    let mut out: Vec<Json> = streams(report)
        .iter()
        .map(|(stream, tid)| name(KERNELS, *tid, format!("stream {stream}")))
        .collect();
    let lanes: std::collections::BTreeSet<u64> = events
        .iter()
        .filter(|e| e.json["pid"] == SMS)
        .filter_map(|e| e.json["tid"].as_u64())
        .collect();
    for tid in lanes {
        let (sm, lane) = (tid / LANES, tid % LANES);
        out.push(name(SMS, tid, format!("SM {sm:03} slot {lane:02}")));
    }
    out
}

/// Streams with their track numbers.
fn streams(report: &Report) -> BTreeMap<u64, u64> {
    let mut streams: Vec<u64> = report.kernels.iter().map(|k| k.stream).collect();
    streams.sort_unstable();
    streams.dedup();
    streams.into_iter().zip(1..).collect()
}

/// A slice on a track.
fn slice(pid: u32, tid: u64, name: &str, span: (u64, u64), args: Json, spec: &GpuSpec) -> Event {
    Event {
        at: span.0,
        json: json!({
            "ph": "X", "pid": pid, "tid": tid, "name": name,
            "ts": microseconds(span.0, spec), "dur": microseconds(span.1 - span.0, spec),
            "args": args,
        }),
    }
}

fn kernel_events(report: &Report, spec: &GpuSpec) -> Vec<Event> {
    let streams = streams(report);
    let event = |k: &super::schema::Kernel| {
        let span = (k.start_cycle, k.start_cycle + k.cycles);
        let args = json!({
            "index": k.index, "grid": k.grid, "block": k.block, "cycles": k.cycles,
            "warp_instructions": k.warp_instructions, "ipc": k.ipc, "partial": k.partial,
            "occupancy_achieved": k.occupancy.achieved,
        });
        slice(KERNELS, streams[&k.stream], &k.name, span, args, spec)
    };
    report.kernels.iter().map(event).collect()
}

/// CTAs on the tracks of their SMs, and how many share an event.
///
/// Slices of a track must not overlap, so each SM has as many tracks as it had CTAs at once.
fn cta_events(report: &Report, ctas: &[CtaSpan], spec: &GpuSpec) -> (Vec<Event>, usize) {
    let share = ctas.len().div_ceil(CTA_EVENTS_MAX).max(1);
    let mut sorted: Vec<&CtaSpan> = ctas.iter().collect();
    sorted.sort_by_key(|c| (c.sm, c.span, c.kernel, c.cta));
    let mut tracks: BTreeMap<u64, Vec<&CtaSpan>> = BTreeMap::new();
    let mut free: Vec<u64> = Vec::new();
    let mut sm = None;
    for cta in sorted {
        if sm != Some(cta.sm) {
            sm = Some(cta.sm);
            free.clear();
        }
        let lane = match free.iter().position(|&end| end <= cta.span.0) {
            Some(lane) => lane,
            None => {
                free.push(0);
                free.len() - 1
            }
        };
        free[lane] = cta.span.1;
        let track = u64::from(cta.sm) * LANES + (lane as u64).min(LANES - 1);
        tracks.entry(track).or_default().push(cta);
    }
    let mut events = Vec::new();
    for (track, ctas) in &tracks {
        for group in ctas.chunks(share) {
            events.push(cta_event(report, *track, group, spec));
        }
    }
    (events, share)
}

fn cta_event(report: &Report, track: u64, group: &[&CtaSpan], spec: &GpuSpec) -> Event {
    let (first, last) = (group[0], group[group.len() - 1]);
    let kernel = report
        .kernels
        .get(first.kernel)
        .map_or("", |k| k.name.as_str());
    let name = match group.len() {
        1 => format!("{kernel} CTA {}", first.cta),
        n => format!("{kernel} {n} CTAs from {}", first.cta),
    };
    let args = json!({"kernel": first.kernel, "cta": first.cta, "ctas": group.len()});
    slice(SMS, track, &name, (first.span.0, last.span.1), args, spec)
}

/// A point of a curve.
fn point(at: u64, name: &str, args: Json, spec: &GpuSpec) -> Event {
    Event {
        at,
        json: json!({
            "ph": "C", "pid": CHIP, "tid": 0, "name": name, "ts": microseconds(at, spec), "args": args,
        }),
    }
}

/// What the chip did between each two samples, at the time of the first.
fn counter_events(samples: &[Sample], end: u64, spec: &GpuSpec) -> Vec<Event> {
    let stride = samples.len().div_ceil(POINTS_MAX).max(1);
    let kept: Vec<&Sample> = samples.iter().step_by(stride).collect();
    let mut out = Vec::new();
    for pair in kept.windows(2) {
        if pair[1].at > pair[0].at {
            out.extend(activity(pair[0], pair[1], spec));
        }
    }
    // The curves end with the run, not at infinity.
    if let Some(last) = kept.last() {
        let end = end.max(last.at);
        for (name, args) in [
            ("DRAM GB/s", json!({"read": 0.0, "write": 0.0})),
            ("issue utilisation %", json!({"issued": 0.0})),
            ("resident warps", json!({"warps": 0})),
            ("L2 read hit %", json!({"hit": 0.0})),
        ] {
            out.push(point(end, name, args, spec));
        }
    }
    out
}

fn activity(from: &Sample, to: &Sample, spec: &GpuSpec) -> [Event; 4] {
    let cycles = to.at - from.at;
    let seconds = super::derive::seconds(cycles, spec);
    let (a, b) = (&from.counters, &to.counters);
    let gb_per_s = |bursts: u64| (bursts * SECTOR_BYTES) as f64 / seconds / 1e9;
    let slots = cycles * u64::from(spec.sms) * u64::from(spec.sm.sub_cores);
    let issued = b.sm.issue.get(Label::Issued) - a.sm.issue.get(Label::Issued);
    let hits = b.l2.read_hits - a.l2.read_hits;
    let reads = b.l2.sector_reads - a.l2.sector_reads;
    let dram = json!({
        "read": gb_per_s(b.dram.reads - a.dram.reads),
        "write": gb_per_s(b.dram.writes - a.dram.writes),
    });
    [
        point(from.at, "DRAM GB/s", dram, spec),
        point(
            from.at,
            "issue utilisation %",
            json!({"issued": 100.0 * ratio(issued, slots)}),
            spec,
        ),
        point(from.at, "resident warps", json!({"warps": to.warps}), spec),
        point(
            from.at,
            "L2 read hit %",
            json!({"hit": 100.0 * ratio(hits, reads)}),
            spec,
        ),
    ]
}
