//! The section `research.divergence`.

use super::instruments::{Divergence as Seen, Inst};
use super::lanes::{Bin, Branch};
use super::losses::{Access, Found, Roles};
use super::refetches::{Pair, Refetches};
use super::requests::Requests;
use crate::report::derive::ratio;
use crate::report::record::{Field, record};
use crate::research::place::Place;
use crate::research::{Exhibits, Section, Study};
use std::cmp::Reverse;

/// Rows of a list by instruction.
const ROWS_MAX: usize = 400;
/// Findings that are listed.
const EVIDENCE_MAX: usize = 64;
/// Share of the sectors fetched that were fetched again, from which on an L1 thrashes.
const THRASHING_SHARE: f64 = 0.1;

record! {
    /// Lanes, requests, and lines lost.
    pub struct Divergence {
        /// Warp instructions of the run.
        pub warp_instructions: u64 = "warp instructions",
        /// Active lanes of a warp instruction on average; lanes whose guard is false are not active.
        pub active_lanes: f64 = "threads", by "sum of lanes x instructions over active_lane_histogram / warp_instructions",
        /// The same of instructions at global, local and shared memory.
        pub memory_active_lanes: f64 = "threads", by "sum of lanes x memory_instructions / sum of memory_instructions",
        /// Warp instructions by active lanes, 0 to 32.
        pub active_lane_histogram: Vec<Lanes>,
        /// Instructions other than branches by the lanes that were idle in them, the most first. At most 400.
        pub divergence: Vec<Instruction>,
        /// Branches, those that split a warp most often first. At most 400.
        pub branches: Vec<BranchRow>,
        /// Share of executed branches that split their warp; null without branches.
        pub split_share: Option<f64> = "ratio", by "splits / executions of all branches",
        /// Sectors of a request of a warp to global or local memory; null without any.
        pub sectors_per_request: Option<f64> = "sectors", by "sum of sectors / sum of requests",
        /// Sectors that the bytes of its active lanes would fill, side by side.
        pub ideal_sectors_per_request: Option<f64> = "sectors", by "sum over requests of lanes x width_bytes / 32, rounded up / sum of requests",
        /// Instructions that access global or local memory, those with most sectors beyond the ideal first. At most 400.
        pub requests: Vec<Request>,
        /// Passes over the banks of a request to shared memory; null without any.
        pub shared_passes_per_request: Option<f64> = "passes", by "sum of passes / sum of requests",
        /// Instructions that access shared memory, those with most passes beyond the ideal first. At most 400.
        pub shared: Vec<Shared>,
        /// Kernels that are in no list, because the code of those before them has 32,768 instructions; they are in all other numbers.
        pub unlisted_kernels: usize = "kernels",
        /// Lines that left L1 before they were wanted again.
        pub thrashing: Thrashing,
    }
}

record! {
    /// Warp instructions with so many active lanes.
    pub struct Lanes {
        /// Active lanes.
        pub lanes: usize = "threads",
        /// Warp instructions.
        pub instructions: u64 = "warp instructions",
        /// Those of them at global, local or shared memory.
        pub memory_instructions: u64 = "warp instructions",
    }
}

record! {
    /// The instruction of a row.
    pub struct Listed with place: Place {
        /// Name of its kernel.
        pub kernel: String,
        /// Position of that in `kernels`, from 0.
        pub launch: usize = "kernel",
    }
}

record! {
    /// An instruction.
    pub struct Instruction with at: Listed {
        /// How often warps executed it.
        pub executions: u64 = "warp instructions",
        /// Active lanes on average.
        pub active_lanes: f64 = "threads", by "active lanes / executions",
        /// Lanes that did nothing, of all executions.
        pub idle_lanes: u64 = "threads", by "32 executions - active lanes",
    }
}

record! {
    /// A branch, call or return.
    pub struct BranchRow with at: Listed {
        /// How often warps executed it.
        pub executions: u64 = "warp instructions",
        /// Lanes that were known to be active on average, whether they took it or not.
        pub active_lanes: f64 = "threads",
        /// Executions that split the warp: some of its active lanes went one way and some another.
        pub splits: u64 = "warp instructions",
        /// Share of them.
        pub split_share: f64 = "ratio", by "splits / executions",
    }
}

record! {
    /// An instruction that accesses global or local memory.
    pub struct Request with at: Listed {
        /// Requests: its executions that had an active lane.
        pub requests: u64 = "warp instructions",
        /// Active lanes of a request.
        pub active_lanes: f64 = "threads",
        /// Sectors of a request.
        pub sectors_per_request: f64 = "sectors", by "sectors / requests",
        /// Sectors that the bytes of its active lanes would fill, side by side.
        pub ideal_sectors_per_request: f64 = "sectors",
    }
}

record! {
    /// An instruction that accesses shared memory.
    pub struct Shared with at: Listed {
        /// Requests: its executions that had an active lane.
        pub requests: u64 = "warp instructions",
        /// Passes over the banks of a request.
        pub passes_per_request: f64 = "passes", by "passes / requests",
        /// Passes that its bytes take without a bank conflict.
        pub ideal_passes_per_request: f64 = "passes",
    }
}

record! {
    /// Lines that fell out of an L1 and were fetched again before it was emptied, and sectors that L2 fetched again.
    pub struct Thrashing {
        /// Whether at least a tenth of the sectors that L1 fetched, or of those that L2 fetched, had been there before.
        pub detected: bool,
        /// Share of the sectors that L1 fetched which had fallen out of it.
        pub refetched_share: f64 = "ratio", by "refetched_sectors / fetched_sectors",
        /// Sectors that L1 asked L2 for.
        pub fetched_sectors: u64 = "sectors",
        /// Those of them that had been in the same L1, and had fallen out of it for another line.
        pub refetched_sectors: u64 = "sectors",
        /// Lines that fell out of L1 for another one.
        pub evicted_lines: u64 = "lines",
        /// Those of them of which a sector was fetched again.
        pub refetched_lines: u64 = "lines",
        /// Evictions so long ago that they were no longer remembered; of each L1 the last ones are, four times as many as it has lines.
        pub forgotten_lines: u64 = "lines",
        /// Who lost lines to whom, and wanted them back: those with most sectors first. At most 64.
        pub evidence: Vec<Evidence>,
        /// Sectors that were fetched again and are in no row of the evidence.
        pub other_sectors: u64 = "sectors",
        /// The same of L2, over all kernels: which line drove a line out is not known there.
        pub l2: Refetched,
    }
}

record! {
    /// Sectors that L2 fetched from DRAM, and again.
    pub struct Refetched {
        /// Share of the sectors fetched that had been fetched before; of the lines that are followed.
        pub refetched_share: f64 = "ratio", by "refetched_sectors / (fetched_sectors - unfollowed_sectors)",
        /// Sectors that L2 sent for in DRAM.
        pub fetched_sectors: u64 = "sectors",
        /// Those of them that it had fetched before.
        pub refetched_sectors: u64 = "sectors",
        /// Sectors of lines that are not followed because there are too many (65,536 of a DRAM channel are).
        pub unfollowed_sectors: u64 = "sectors",
        /// Kernels that fetched sectors, and those that fetched them again: those with most sectors first. At most 64.
        pub evidence: Vec<RefetchedBy>,
    }
}

record! {
    /// Sectors that one kernel fetched and another, or the same one, fetched again.
    pub struct RefetchedBy {
        /// Name of the kernel that fetched them again; of kernels that overlap the one that started last.
        pub kernel: String,
        /// Position of that in `kernels`, from 0.
        pub launch: usize = "kernel",
        /// Name of the kernel that had fetched them before.
        pub fetched_by: String,
        /// Position of that in `kernels`, from 0.
        pub fetched_by_launch: usize = "kernel",
        /// Sectors.
        pub refetched_sectors: u64 = "sectors",
    }
}

record! {
    /// Lines that one access brought in, another drove out and a third wanted back.
    pub struct Evidence {
        /// Name of the kernel of the access that wanted them back.
        pub kernel: String,
        /// Position of that in `kernels`, from 0.
        pub launch: usize = "kernel",
        /// Instruction that brought the lines in and lost them.
        pub pc: u32 = "bytes",
        /// Its mnemonic.
        pub opcode: String,
        /// Instruction whose lines took their place.
        pub evicted_by_pc: u32 = "bytes",
        /// Its mnemonic.
        pub evicted_by_opcode: String,
        /// Position in `kernels` of the kernel of that one, which may run beside the other.
        pub evicted_by_launch: usize = "kernel",
        /// Instruction that wanted the lines back.
        pub missed_by_pc: u32 = "bytes",
        /// Its mnemonic.
        pub missed_by_opcode: String,
        /// Lines.
        pub lines: u64 = "lines",
        /// Sectors that were fetched again.
        pub refetched_sectors: u64 = "sectors",
        /// Share of the lines that another CTA drove out than the one that had brought them in.
        pub other_cta_share: f64 = "ratio",
        /// How long the lines had been gone when they were wanted back, on average.
        pub gone_cycles: f64 = "cycles",
        /// The shortest of these times.
        pub gone_cycles_least: u64 = "cycles",
    }
}

impl Listed {
    fn new(launch: usize, pc: u32, study: &Study) -> Self {
        Listed {
            place: study.place(launch, pc),
            kernel: study.kernel_name(launch),
            launch,
        }
    }
}

/// Rows of all kernels: a part of each with its launch and pc, the largest by `rank` first.
fn rows<T: Copy, K: Ord>(
    seen: &Seen,
    of: impl Fn(&super::instruments::Kernel) -> Vec<(u32, T)>,
    rank: impl Fn(&T) -> K,
) -> Vec<(usize, u32, T)> {
    let kernels = seen.kernels.iter();
    let mut all: Vec<(usize, u32, T)> = kernels
        .flat_map(|(&launch, kernel)| of(kernel).into_iter().map(move |(pc, t)| (launch, pc, t)))
        .collect();
    all.sort_by_key(|(launch, pc, t)| (Reverse(rank(t)), *launch, *pc));
    all.truncate(ROWS_MAX);
    all
}

impl Divergence {
    /// Of what was `seen` in the run of `study`.
    pub(super) fn new(seen: &Seen, study: &Study) -> Self {
        let bins = || (0u64..).zip(&seen.histogram.0);
        let sum = |of: fn(&Bin) -> u64| bins().map(|(_, bin)| of(bin)).sum::<u64>();
        let lanes = |of: fn(&Bin) -> u64| bins().map(|(n, bin)| n * of(bin)).sum::<u64>();
        let (all, memory) = (|bin: &Bin| bin.all, |bin: &Bin| bin.memory);
        let (branches, requests) = (&seen.branches, &seen.requests);
        let mean = |part: u64, whole: u64| (whole > 0).then(|| ratio(part, whole));
        Divergence {
            warp_instructions: sum(all),
            active_lanes: ratio(lanes(all), sum(all)),
            memory_active_lanes: ratio(lanes(memory), sum(memory)),
            active_lane_histogram: seen.histogram.0.iter().enumerate().map(bin).collect(),
            divergence: instructions(seen, study),
            branches: branch_rows(seen, study),
            split_share: mean(branches.splits, branches.executed),
            sectors_per_request: mean(requests.sectors, requests.requests),
            ideal_sectors_per_request: mean(requests.least_sectors, requests.requests),
            requests: request_rows(seen, study),
            shared_passes_per_request: mean(requests.passes, requests.shared),
            shared: shared_rows(seen, study),
            unlisted_kernels: seen.unlisted,
            thrashing: Thrashing::new(seen, study),
        }
    }
}

fn bin((lanes, bin): (usize, &Bin)) -> Lanes {
    Lanes {
        lanes,
        instructions: bin.all,
        memory_instructions: bin.memory,
    }
}

fn instructions(seen: &Seen, study: &Study) -> Vec<Instruction> {
    let idle = |inst: &Inst| 32 * inst.executed - inst.lanes;
    let of = |kernel: &super::instruments::Kernel| {
        // A branch has the lanes that take it; those that do not are not idle.
        let branch = |pc: &u32| kernel.branches.contains_key(pc);
        let insts = kernel.insts.iter().filter(|(pc, _)| !branch(pc));
        insts.map(|(pc, inst)| (*pc, *inst)).collect()
    };
    let row = |(launch, pc, inst): (usize, u32, Inst)| Instruction {
        at: Listed::new(launch, pc, study),
        executions: inst.executed,
        active_lanes: ratio(inst.lanes, inst.executed),
        idle_lanes: idle(&inst),
    };
    rows(seen, of, idle).into_iter().map(row).collect()
}

fn branch_rows(seen: &Seen, study: &Study) -> Vec<BranchRow> {
    let of = |kernel: &super::instruments::Kernel| {
        let branches = kernel.branches.iter();
        branches.map(|(pc, branch)| (*pc, *branch)).collect()
    };
    let row = |(launch, pc, branch): (usize, u32, Branch)| BranchRow {
        at: Listed::new(launch, pc, study),
        executions: branch.executed,
        active_lanes: ratio(branch.lanes, branch.executed),
        splits: branch.splits,
        split_share: ratio(branch.splits, branch.executed),
    };
    let rank = |branch: &Branch| (branch.splits, branch.executed);
    rows(seen, of, rank).into_iter().map(row).collect()
}

/// What was asked for, where `some` of it was.
fn requests_of(
    some: fn(&Requests) -> u64,
) -> impl Fn(&super::instruments::Kernel) -> Vec<(u32, Requests)> {
    move |kernel| {
        let all = kernel.requests.iter().filter(|(_, r)| some(r) > 0);
        all.map(|(pc, requests)| (*pc, *requests)).collect()
    }
}

fn request_rows(seen: &Seen, study: &Study) -> Vec<Request> {
    let row = |(launch, pc, r): (usize, u32, Requests)| Request {
        at: Listed::new(launch, pc, study),
        requests: r.requests,
        active_lanes: ratio(r.lanes, r.requests),
        sectors_per_request: ratio(r.sectors, r.requests),
        ideal_sectors_per_request: ratio(r.least_sectors, r.requests),
    };
    let rank = |r: &Requests| (r.sectors.saturating_sub(r.least_sectors), r.sectors);
    let found = rows(seen, requests_of(|r| r.requests), rank);
    found.into_iter().map(row).collect()
}

fn shared_rows(seen: &Seen, study: &Study) -> Vec<Shared> {
    let row = |(launch, pc, r): (usize, u32, Requests)| Shared {
        at: Listed::new(launch, pc, study),
        requests: r.shared,
        passes_per_request: ratio(r.passes, r.shared),
        ideal_passes_per_request: ratio(r.least_passes, r.shared),
    };
    let rank = |r: &Requests| (r.passes - r.least_passes, r.passes);
    let found = rows(seen, requests_of(|r| r.shared), rank);
    found.into_iter().map(row).collect()
}

impl Thrashing {
    fn new(seen: &Seen, study: &Study) -> Self {
        let losses = &seen.losses;
        let l2 = Refetched::new(&seen.refetches, study);
        let totals = &losses.totals;
        let again = &totals.again;
        let mut found: Vec<(&Roles, &Found)> = losses.found.iter().collect();
        found.sort_by_key(|(roles, found)| (Reverse(found.sectors), **roles));
        found.truncate(EVIDENCE_MAX);
        let listed: u64 = found.iter().map(|(_, found)| found.sectors).sum();
        let refetched_share = ratio(again.sectors, totals.fetched_sectors);
        Thrashing {
            detected: refetched_share.max(l2.refetched_share) >= THRASHING_SHARE,
            refetched_share,
            fetched_sectors: totals.fetched_sectors,
            refetched_sectors: again.sectors,
            evicted_lines: totals.evicted_lines,
            refetched_lines: again.lines,
            forgotten_lines: totals.forgotten_lines,
            evidence: found.into_iter().map(|row| evidence(row, study)).collect(),
            other_sectors: again.sectors - listed,
            l2,
        }
    }
}

impl Refetched {
    fn new(refetches: &Refetches, study: &Study) -> Self {
        let mut pairs: Vec<&(Pair, u64)> = refetches.pairs.iter().collect();
        pairs.sort_by_key(|(pair, sectors)| (Reverse(*sectors), *pair));
        pairs.truncate(EVIDENCE_MAX);
        let row = |(pair, sectors): &(Pair, u64)| RefetchedBy {
            kernel: study.kernel_name(pair.again as usize),
            launch: pair.again as usize,
            fetched_by: study.kernel_name(pair.before as usize),
            fetched_by_launch: pair.before as usize,
            refetched_sectors: *sectors,
        };
        Refetched {
            refetched_share: ratio(refetches.again, refetches.sectors - refetches.unfollowed),
            fetched_sectors: refetches.sectors,
            refetched_sectors: refetches.again,
            unfollowed_sectors: refetches.unfollowed,
            evidence: pairs.into_iter().map(row).collect(),
        }
    }
}

fn evidence((roles, found): (&Roles, &Found), study: &Study) -> Evidence {
    let opcode = |access: &Access| study.opcode(access.kernel as usize, access.pc);
    Evidence {
        kernel: study.kernel_name(roles.again.kernel as usize),
        launch: roles.again.kernel as usize,
        pc: roles.lost.pc,
        opcode: opcode(&roles.lost),
        evicted_by_pc: roles.by.pc,
        evicted_by_opcode: opcode(&roles.by),
        evicted_by_launch: roles.by.kernel as usize,
        missed_by_pc: roles.again.pc,
        missed_by_opcode: opcode(&roles.again),
        lines: found.lines,
        refetched_sectors: found.sectors,
        other_cta_share: ratio(found.other_cta, found.lines),
        gone_cycles: ratio(found.cycles, found.lines),
        gone_cycles_least: found.least,
    }
}

impl Section for Divergence {
    const NAME: &'static str = "divergence";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Divergence::SCHEMA),
        ("active_lane_histogram[].", Lanes::SCHEMA),
        ("divergence[].", Instruction::SCHEMA),
        ("branches[].", BranchRow::SCHEMA),
        ("requests[].", Request::SCHEMA),
        ("shared[].", Shared::SCHEMA),
        ("thrashing.", Thrashing::SCHEMA),
        ("thrashing.evidence[].", Evidence::SCHEMA),
        ("thrashing.l2.", Refetched::SCHEMA),
        ("thrashing.l2.evidence[].", RefetchedBy::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        self.show()
    }
}
