//! The section `research.profile`.

use super::ceilings::{Ceilings, Flops, flops};
use super::course::{Interval, over_time};
use super::hardware::Hardware;
use super::instruments::Kernel as Seen;
use super::launch::Launch;
use super::memory::{Flow, flows};
use super::units::Units;
use crate::error::Result;
use crate::mem::SECTOR_BYTES;
use crate::report::derive::{percent, ratio};
use crate::report::record::record;
use crate::report::schema::Kernel;
use crate::research::Study;
use crate::research::by_pc::{inst_at, line_of, name_of};
use crate::stats::{IssueStats, Label};
use crate::trace::{Code, Kernel as Launched};
use std::collections::BTreeMap;

/// Instructions of a kernel that are listed, those with the most slots first.
const SOURCE_ROWS: usize = 400;

record! {
    /// Profile of the run.
    pub struct Profile {
        /// Each kernel.
        pub kernels: Vec<KernelProfile>,
        /// Peaks of the machine, by its own rates.
        pub ceilings: Peaks,
        /// Each SM, slice and channel over the whole run, and how far apart they are.
        pub units: Units,
        /// Counters over time (`profile --over-time`).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub over_time: Option<Vec<Interval>>,
        /// Comparison with a profile of real hardware (`profile --correlate-hardware`).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub hardware: Option<Hardware>,
    }
}

record! {
    /// The roofs.
    pub struct Peaks {
        /// FP32 multiply-adds as two operations.
        pub fp32_flops: f64 = "flop/s", by "2 x 32 / sm.pipes.fp32_interval x sub-cores x gpu.core_clock_khz",
        /// L1: loads that hit.
        pub l1_bytes_per_s: f64 = "B/s", by "l1.bytes_per_cycle x SMs x gpu.core_clock_khz",
        /// Data paths of the L2 slices.
        pub l2_bytes_per_s: f64 = "B/s", by "l2.slice_bytes_per_cycle x l2.slices x gpu.core_clock_khz",
        /// Memory interface.
        pub dram_bytes_per_s: f64 = "B/s", by "16 dram.channels x dram.clock_khz",
    }
}

record! {
    /// Profile of a kernel.
    pub struct KernelProfile {
        /// Position in `kernels`, from 0.
        pub kernel: usize = "kernel",
        /// Function name.
        pub name: String,
        /// Speed of light: each part of the machine, of what it could do.
        pub speed_of_light: SpeedOfLight,
        /// What was launched.
        pub launch: Launch,
        /// What moved between the levels of the memory.
        pub memory: Vec<Flow>,
        /// Place under the roofs.
        pub roofline: Roofline,
        /// Warp instructions by opcode, the most frequent first.
        pub mix: Vec<Opcode>,
        /// Issue slots that warps waited, by reason, the longest first; slots without any warp are left out.
        pub stalls: Vec<Stall>,
        /// Instructions that cost the most slots: those in which they issued and those that their warps lost before them. At most 400.
        pub source: Vec<Source>,
    }
}

record! {
    /// Shares of peaks.
    pub struct SpeedOfLight {
        /// Issue slots used.
        pub issue_percent: f64 = "%", by "sm.issue_percent",
        /// The busiest execution pipe.
        pub pipe_percent: f64 = "%", by "greatest of pipes.*.utilisation_percent",
        /// Which that is.
        pub pipe: &'static str,
        /// Data path of L1.
        pub l1_percent: f64 = "%", by "100 x 32 (l1.sector_reads + l1.sector_writes) / (l1.bytes_per_cycle x SMs x counted_cycles)",
        /// Data paths of the L2 slices.
        pub l2_percent: f64 = "%", by "100 l2.slice_cycles.busy / (slices x counted_cycles)",
        /// Memory interface.
        pub dram_percent: f64 = "%", by "dram.peak_percent",
        /// The highest of them all: what bounds the kernel, if anything does.
        pub bound: &'static str,
    }
}

record! {
    /// Arithmetic and traffic.
    pub struct Roofline {
        /// Floating-point operations of lanes; a multiply-add is two.
        pub flop: u64 = "flop",
        /// Floating-point operations of matrix instructions.
        pub tensor_flop: u64 = "flop",
        /// Rate of both.
        pub flop_per_s: f64 = "flop/s", by "(flop + tensor_flop) / time",
        /// Operations for each byte between L1 and the cores.
        pub l1_intensity: f64 = "flop/B", by "(flop + tensor_flop) / 32 (l1.sector_reads + l1.sector_writes)",
        /// Operations for each byte at L2.
        pub l2_intensity: f64 = "flop/B", by "(flop + tensor_flop) / 32 (l2.sector_reads + l2.sector_writes)",
        /// Operations for each byte of DRAM.
        pub dram_intensity: f64 = "flop/B", by "(flop + tensor_flop) / 32 (dram.reads + dram.writes)",
    }
}

record! {
    /// Instructions of an opcode.
    pub struct Opcode {
        /// Name without modifiers.
        pub opcode: String,
        /// How often warps executed it.
        pub warp_instructions: u64 = "warp instructions",
        /// Share of all.
        pub percent: f64 = "%",
    }
}

record! {
    /// A reason to wait.
    pub struct Stall {
        /// Label, as in `issue`.
        pub reason: &'static str,
        /// Slots.
        pub slots: u64 = "issue slots",
        /// Share of the slots in which the sub-core had a warp.
        pub percent: f64 = "%",
    }
}

record! {
    /// An instruction.
    pub struct Source {
        /// Byte offset from the kernel's first instruction.
        pub pc: u32 = "bytes",
        /// The instruction, as the trace has it.
        pub instruction: String,
        /// Line of the source that it comes from; left out where it is not known: only recordings of PTX know it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub line: Option<u32> = "line",
        /// That line.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub source: Option<String>,
        /// How often warps executed it.
        pub issued: u64 = "warp instructions",
        /// Active lanes on average.
        pub active_lanes: f64 = "threads", by "active lanes / issued",
        /// Issue slots that warps lost before it.
        pub lost: u64 = "issue slots",
        /// Share of all slots that were lost or used by warps of the kernel.
        pub percent: f64 = "%", by "100 (issued + lost) / sum over all instructions",
        /// The most frequent reason of the slots lost; empty where none was.
        pub reason: &'static str,
        /// Slots lost for that reason.
        pub reason_slots: u64 = "issue slots",
    }
}

impl Profile {
    /// Of what was seen of each kernel.
    ///
    /// # Errors
    /// A profile of real hardware that has nothing in common with the run.
    pub(super) fn new(seen: &BTreeMap<usize, Seen>, study: &Study) -> Result<Self> {
        let none = Seen::default();
        let launches = study.request.workload.launches();
        let of = |(kernel, launch): (&Kernel, &Launched)| {
            KernelProfile::new(
                kernel,
                launch,
                seen.get(&kernel.index).unwrap_or(&none),
                study,
            )
        };
        let peaks = Ceilings::of(study.spec());
        Ok(Profile {
            kernels: study.report.kernels.iter().zip(launches).map(of).collect(),
            ceilings: Peaks {
                fp32_flops: peaks.fp32,
                l1_bytes_per_s: peaks.l1,
                l2_bytes_per_s: peaks.l2,
                dram_bytes_per_s: peaks.dram,
            },
            units: Units::new(study.units),
            over_time: over_time(study),
            hardware: Hardware::of(study)?,
        })
    }
}

impl KernelProfile {
    fn new(kernel: &Kernel, launch: &Launched, seen: &Seen, study: &Study) -> Self {
        let code = &launch.code;
        KernelProfile {
            kernel: kernel.index,
            name: kernel.name.clone(),
            speed_of_light: SpeedOfLight::of(kernel, study),
            launch: Launch::of(kernel, &launch.header, study.spec()),
            memory: flows(kernel),
            roofline: Roofline::of(kernel, flops(code, seen)),
            mix: mix(code, seen),
            stalls: stalls(&kernel.issue),
            source: source(launch, seen),
        }
    }
}

/// Sectors between L1 and the cores.
fn l1_sectors(kernel: &Kernel) -> u64 {
    kernel.l1.counters.sector_reads + kernel.l1.counters.sector_writes
}

impl SpeedOfLight {
    fn of(kernel: &Kernel, study: &Study) -> Self {
        let spec = study.spec();
        let l1_bytes =
            u64::from(spec.l1.bytes_per_cycle) * u64::from(spec.sms) * kernel.counted_cycles;
        let pipes = kernel.pipes.named();
        let used = pipes.filter_map(|(name, pipe)| Some((name, pipe.utilisation_percent?)));
        let (pipe, pipe_percent) = used
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or(("none", 0.0));
        let cycles = kernel.l2.slice_cycles.busy + kernel.l2.slice_cycles.idle;
        let parts = [
            ("issue", kernel.sm.rates.issue_percent),
            (pipe, pipe_percent),
            ("l1", percent(l1_sectors(kernel) * SECTOR_BYTES, l1_bytes)),
            ("l2", percent(kernel.l2.slice_cycles.busy, cycles)),
            ("dram", kernel.dram.rates.peak_percent),
        ];
        let most = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        SpeedOfLight {
            issue_percent: parts[0].1,
            pipe_percent,
            pipe,
            l1_percent: parts[2].1,
            l2_percent: parts[3].1,
            dram_percent: parts[4].1,
            bound: most.map_or("none", |(name, _)| name),
        }
    }
}

impl Roofline {
    fn of(kernel: &Kernel, flops: Flops) -> Self {
        let all = flops.lanes + flops.tensor;
        let intensity = |sectors: u64| ratio(all, sectors * SECTOR_BYTES);
        let l2 = &kernel.l2.counters;
        let dram = &kernel.dram.counters;
        Roofline {
            flop: flops.lanes,
            tensor_flop: flops.tensor,
            flop_per_s: match kernel.time_us > 0.0 {
                true => all as f64 / (kernel.time_us * 1e-6),
                false => 0.0,
            },
            l1_intensity: intensity(l1_sectors(kernel)),
            l2_intensity: intensity(l2.sector_reads + l2.sector_writes),
            dram_intensity: intensity(dram.reads + dram.writes),
        }
    }
}

fn mix(code: &Code, seen: &Seen) -> Vec<Opcode> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (pc, counted) in seen.seen() {
        let name = inst_at(code, pc).map_or("", |inst| name_of(code, inst));
        let opcode = name.split('.').next().unwrap_or(name);
        *counts.entry(opcode).or_default() += counted.issued;
    }
    let all = counts.values().sum();
    let mut mix: Vec<Opcode> = counts
        .into_iter()
        .map(|(opcode, warp_instructions)| Opcode {
            opcode: opcode.to_owned(),
            warp_instructions,
            percent: percent(warp_instructions, all),
        })
        .collect();
    mix.sort_by_key(|o| std::cmp::Reverse(o.warp_instructions));
    mix
}

/// The labels of `issue` that stand for waiting warps.
fn stalls(issue: &IssueStats) -> Vec<Stall> {
    let with_warp = issue.total() - issue.get(Label::NoWarp);
    let waiting = Label::ALL
        .iter()
        .filter(|label| !matches!(label, Label::Issued | Label::NoWarp));
    let mut stalls: Vec<Stall> = waiting
        .map(|label| Stall {
            reason: label.name(),
            slots: issue.get(*label),
            percent: percent(issue.get(*label), with_warp),
        })
        .filter(|stall| stall.slots > 0)
        .collect();
    stalls.sort_by_key(|s| std::cmp::Reverse(s.slots));
    stalls
}

fn source(launch: &Launched, seen: &Seen) -> Vec<Source> {
    let code = &launch.code;
    let all: u64 = seen.seen().map(|(_, c)| c.issued + c.lost.total()).sum();
    let row = |(pc, counts): (u32, &super::instruments::Counts)| {
        let lost = counts.lost.total();
        let most = Label::ALL.iter().max_by_key(|l| counts.lost.get(**l));
        let reason = most.filter(|_| lost > 0);
        let (line, source) = line_of(Some(launch), pc);
        Source {
            pc,
            instruction: inst_at(code, pc)
                .map_or("", |i| name_of(code, i))
                .to_owned(),
            line,
            source,
            issued: counts.issued,
            active_lanes: ratio(counts.lanes, counts.issued),
            lost,
            percent: percent(counts.issued + lost, all),
            reason: reason.map_or("", |label| label.name()),
            reason_slots: reason.map_or(0, |label| counts.lost.get(*label)),
        }
    };
    let mut rows: Vec<Source> = seen.seen().map(row).collect();
    rows.sort_by_key(|s| (std::cmp::Reverse(s.issued + s.lost), s.pc));
    rows.truncate(SOURCE_ROWS);
    rows
}
