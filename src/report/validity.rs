//! What a report says about its own limits.

use super::derive::ratio;
use super::schema::{self, Report, Status, Validity};
use crate::config::{DependencePolicy, GpuSpec, Resolved};
use crate::isa::opcode::{Mnemonic, is_async_work};
use crate::isa::{OpClass, RegFile, StaticInst};
use crate::simulation::{KernelRun, RunResult};
use crate::trace::{Code, Kernel, Source, Workload};
use std::collections::{BTreeMap, BTreeSet};

/// What real GPUs have and this machine has not.
pub const UNMODELLED: &[&str] = &[
    NO_TRANSLATION,
    CONSTANT_CLOCKS,
    "TMA, wgmma, mbarrier, thread-block clusters and distributed shared memory",
    "texture and surface units; texture instructions take the memory path",
    "L2 data compression and residency control",
    "ECC and its traffic",
    "other clock domains than core and DRAM: crossbar and L2 run with the core clock",
];

/// What is missing unless `power.throttle`.
const CONSTANT_CLOCKS: &str = "energy and power: `profile` has them beside the report; no power or thermal throttling, clocks are constant";

/// What is missing with it.
const STEADY_CLOCKS: &str = "power over time: a kernel has one clock from begin to end, that of its average power, whatever came before it and \
     however short it is; no thermal throttling";

/// What is missing unless `tlb.enabled`.
const NO_TRANSLATION: &str = "address translation: no TLB, no page walks";

/// From this share on, work that is not modelled is taken to carry the run whatever it is.
const UNMODELLED_SHARE: f64 = 0.01;

/// What the line about a key that was set in vain has.
const IDLE: &str = " has no effect: ";

/// How the line about a trace that was made for another GPU begins.
const ANOTHER_ARCHITECTURE: &str = "code of another architecture: ";

/// Of a run.
pub fn validity<P>(workload: &Workload, result: &RunResult<P>, config: &Resolved) -> Validity {
    let mut assumptions = assumptions(workload, result, &config.spec);
    assumptions.extend(config.idle.iter().cloned());
    Validity {
        unmodelled: unmodelled(workload, result, &config.spec),
        unmodelled_share: unmodelled_share(result),
        assumptions,
    }
}

/// What a person should read before the numbers, one sentence each.
pub fn warnings(report: &Report) -> Vec<String> {
    let validity = &report.validity;
    let mut out = Vec::new();
    if report.status == Status::UnmodelledWork {
        out.push(format!(
            "{:.3} % of the warp instructions do work that is not modelled or that this GPU does not have, \
             and carry a kernel: its cycles say little; validity.unmodelled names them",
            100.0 * validity.unmodelled_share
        ));
    }
    let above =
        |kernel: &&schema::Kernel| kernel.power.as_ref().is_some_and(|power| power.above_limit);
    if let Some(kernel) = report.kernels.iter().find(above)
        && let Some(power) = &kernel.power
    {
        out.push(format!(
            "{} kernels take more than the {} W of the board even at its lowest clock: {} takes {:.1} W at {} MHz",
            report.kernels.iter().filter(above).count(),
            power.limit_w,
            kernel.name,
            power.average_w,
            f64::from(power.clock_khz) / 1e3,
        ));
    }
    let foreign = |line: &&String| line.starts_with(ANOTHER_ARCHITECTURE);
    let idle = |line: &&String| line.contains(IDLE);
    out.extend(validity.assumptions.iter().filter(foreign).cloned());
    out.extend(validity.assumptions.iter().filter(idle).cloned());
    out
}

/// Whether work that is not modelled carries a kernel: matrix products or bulk copies are among it, or
/// there is much of it.
pub fn unmodelled_work<P>(workload: &Workload, result: &RunResult<P>, spec: &GpuSpec) -> bool {
    if unmodelled_share(result) >= UNMODELLED_SHARE {
        return true;
    }
    ran(workload, result, |run| unmodelled_count(run) > 0).any(|kernel| {
        kernel
            .code
            .insts
            .iter()
            .any(|inst| carries(inst, &kernel.code, spec))
    })
}

/// Whether an instruction is matrix or copy work that is not modelled.
fn carries(inst: &StaticInst, code: &Code, spec: &GpuSpec) -> bool {
    let name = || Mnemonic::new(mnemonic(inst, code));
    match inst.class {
        OpClass::Async => is_async_work(&name()),
        OpClass::Tensor => !spec.sm.tensor.models(inst),
        _ => false,
    }
}

fn mnemonic<'a>(inst: &StaticInst, code: &'a Code) -> &'a str {
    let name = code.mnemonics.get(usize::from(inst.mnemonic));
    name.map_or("", String::as_str)
}

fn unmodelled_count(run: &KernelRun) -> u64 {
    run.counters.sm.sm.unmodelled_instructions
}

fn unmodelled_share<P>(result: &RunResult<P>) -> f64 {
    let sum = |count: fn(&KernelRun) -> u64| result.kernels.iter().map(count).sum();
    // Both sides of overlapping kernels include those of the others.
    ratio(
        sum(unmodelled_count),
        sum(|run| run.counters.sm.sm.warp_instructions),
    )
}

/// Kernels of the workload that ran, and of whose runs `wanted` holds.
fn ran<'a, P>(
    workload: &'a Workload,
    result: &RunResult<P>,
    wanted: impl Fn(&KernelRun) -> bool,
) -> impl Iterator<Item = &'a Kernel> {
    let runs = result.kernels.iter().filter(|run| wanted(run));
    let names: BTreeSet<String> = runs.map(|run| run.header.name.clone()).collect();
    workload
        .launches()
        .filter(move |kernel| names.contains(&kernel.header.name))
}

fn unmodelled<P>(workload: &Workload, result: &RunResult<P>, spec: &GpuSpec) -> Vec<String> {
    let always = UNMODELLED.iter();
    let missing = always.filter(|what| **what != NO_TRANSLATION || !spec.tlb.enabled);
    let of = |what: &&str| match spec.power.throttle && *what == CONSTANT_CLOCKS {
        true => STEADY_CLOCKS.to_owned(),
        false => (*what).to_owned(),
    };
    let mut out: Vec<String> = missing.map(of).collect();
    let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
    for (mnemonic, count) in result.kernels.iter().flat_map(|k| &k.unknown) {
        *unknown.entry(mnemonic).or_default() += count;
    }
    for (mnemonic, count) in unknown {
        out.push(format!(
            "opcode {mnemonic} is not in the opcode table: {count} warp instruction(s) were given ALU timing"
        ));
    }
    let mut simplified: BTreeSet<(&str, &str)> = BTreeSet::new();
    for kernel in ran(workload, result, |_| true) {
        for inst in &kernel.code.insts {
            let what = match inst.class {
                OpClass::Async => "issued, its asynchronous work is not modelled",
                OpClass::Texture => "memory path with texture latency",
                OpClass::CacheControl => "issued, without effect on caches",
                OpClass::Tensor if !spec.sm.tensor.models(inst) => {
                    "this GPU's tensor core lacks the type; timed at the FP16 rate"
                }
                _ => continue,
            };
            simplified.insert((mnemonic(inst, &kernel.code), what));
        }
    }
    out.extend(
        simplified
            .into_iter()
            .map(|(mnemonic, what)| format!("opcode {mnemonic}: {what}")),
    );
    out.extend(workload.notes.iter().cloned());
    out
}

/// Whether a kernel names predicate registers anywhere.
fn names_predicates(code: &Code) -> bool {
    let predicate = |file| matches!(file, RegFile::Predicate | RegFile::UniformPredicate);
    let ranges = code.insts.iter().flat_map(|i| i.dst.iter().chain(&i.src));
    ranges.into_iter().any(|r| r.count > 0 && predicate(r.file))
}

/// What holds for kernels because of where they came from.
fn of_sources<P>(workload: &Workload, result: &RunResult<P>, out: &mut Vec<String>) {
    let mut say = |text: &str| out.push(text.to_owned());
    let foreign = |run: &KernelRun| matches!(run.header.source, Source::AccelSim(_));
    let without = |missing: fn(&Code) -> bool| {
        ran(workload, result, foreign).any(|kernel| missing(&kernel.code))
    };
    if without(|code| !names_predicates(code)) {
        say(
            "traces of tracer versions 3 to 5 name no predicate registers: branches and EXIT are taken to depend on the latest compare",
        );
    }
    if without(|code| code.insts.iter().all(|inst| inst.constant.is_none())) {
        say(
            "traces name no constant addresses: constant operands are taken to lie in the first lines of the parameter bank",
        );
    }
    let recorded = |run: &KernelRun| !matches!(run.header.source, Source::Synthetic(_));
    if result.kernels.iter().any(recorded) {
        say("a trace is replayed: its control flow does not react to the timing");
    }
}

/// Kernels whose code was made for another compute capability than that of the GPU.
fn of_other_architectures<P>(result: &RunResult<P>, spec: &GpuSpec, out: &mut Vec<String>) {
    let mut kernels: BTreeMap<u16, usize> = BTreeMap::new();
    for run in &result.kernels {
        let version = run.header.sm_version;
        if version != spec.compute_capability {
            *kernels.entry(version).or_default() += 1;
        }
    }
    // What tracers write that do not know it.
    if let Some(count) = kernels.remove(&0) {
        out.push(format!(
            "{count} kernel(s) do not say for which architecture they were made: taken to be for this GPU"
        ));
    }
    out.extend(kernels.into_iter().map(|(version, count)| {
        format!(
            "{ANOTHER_ARCHITECTURE}{count} kernel(s) of sm_{version} on a GPU of sm_{}, for which a compiler would \
             emit other instructions",
            spec.compute_capability
        )
    }));
}

fn assumptions<P>(workload: &Workload, result: &RunResult<P>, spec: &GpuSpec) -> Vec<String> {
    let mut out = Vec::new();
    of_sources(workload, result, &mut out);
    of_other_architectures(result, spec, &mut out);
    let mut say = |text: &str| out.push(text.to_owned());
    let any = |f: fn(&KernelRun) -> bool| result.kernels.iter().any(f);
    say("CTAs are dispatched in the order of their numbers");
    if spec.l2.memcpy_fills {
        say("code and parameters of a launch, and the data of host copies, are in L2 beforehand");
    }
    let scoreboard = spec.sm.dependence == DependencePolicy::Scoreboard;
    if scoreboard || any(|k| !k.control_bits) {
        say("dependences go through a scoreboard where a kernel has no control bits");
    }
    if !scoreboard && any(|k| k.control_bits) {
        say("dependences follow the kernel's own control bits");
    }
    if spec.sm.regfile.reuse_cache && spec.sm.regfile.infer_reuse && any(|k| !k.control_bits) {
        say(
            "where a kernel has no control bits, reuse flags of operands are inferred as a compiler would set them",
        );
    }
    if any(|k| k.overlapped) {
        say("kernels that overlap share counters: each reports all that was counted while it ran");
        let mut clocks = result
            .kernels
            .iter()
            .map(|k| k.power.as_ref().map(|p| p.clock_khz));
        let first = clocks.next();
        if clocks.any(|clock| Some(clock) != first) {
            say(
                "kernels ran at several clocks, some of them overlapping: the energy of the run is the sum of the kernels', \
                 which counts what overlapping ones share for each of them",
            );
        }
    }
    if spec.fetch.perfect {
        say("the instruction caches are perfect");
    }
    if spec.const_cache.perfect {
        say("the constant caches are perfect");
    }
    if spec.dram.simple {
        say("DRAM is a fixed latency: its cycles and commands are not counted");
    }
    out
}
