//! What a report says about its own limits.

use super::schema::Validity;
use crate::config::{DependencePolicy, GpuSpec};
use crate::isa::OpClass;
use crate::simulation::{KernelRun, RunResult};
use crate::trace::Workload;
use std::collections::{BTreeMap, BTreeSet};

/// What real GPUs have and this machine has not.
pub const UNMODELLED: &[&str] = &[
    "address translation: no TLB, no page walks",
    "energy and power: no `energy` section; no power or thermal throttling, clocks are constant",
    "TMA, wgmma, mbarrier, thread-block clusters and distributed shared memory",
    "texture and surface units; texture instructions take the memory path",
    "L2 data compression and residency control",
    "ECC and its traffic",
    "other clock domains than core and DRAM: crossbar and L2 run with the core clock",
];

/// Of a run.
pub fn validity<P>(workload: &Workload, result: &RunResult<P>, spec: &GpuSpec) -> Validity {
    Validity {
        unmodelled: unmodelled(workload, result),
        assumptions: assumptions(result, spec),
    }
}

fn unmodelled<P>(workload: &Workload, result: &RunResult<P>) -> Vec<String> {
    let mut out: Vec<String> = UNMODELLED.iter().map(|s| (*s).to_owned()).collect();
    let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
    for (mnemonic, count) in result.kernels.iter().flat_map(|k| &k.unknown) {
        *unknown.entry(mnemonic).or_default() += count;
    }
    for (mnemonic, count) in unknown {
        out.push(format!(
            "opcode {mnemonic} is not in the opcode table: {count} warp instruction(s) were given ALU timing"
        ));
    }
    let names: BTreeSet<&str> = result
        .kernels
        .iter()
        .map(|k| k.header.name.as_str())
        .collect();
    let mut simplified: BTreeSet<(&str, &str)> = BTreeSet::new();
    let ran = workload
        .launches()
        .filter(|k| names.contains(k.header.name.as_str()));
    for kernel in ran {
        for inst in &kernel.code.insts {
            let what = match inst.class {
                OpClass::Async => "issued, its asynchronous work is not modelled",
                OpClass::Texture => "memory path with texture latency",
                OpClass::CacheControl => "issued, without effect on caches",
                _ => continue,
            };
            if let Some(mnemonic) = kernel.code.mnemonics.get(usize::from(inst.mnemonic)) {
                simplified.insert((mnemonic, what));
            }
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

fn assumptions<P>(result: &RunResult<P>, spec: &GpuSpec) -> Vec<String> {
    let mut out = Vec::new();
    let mut say = |text: &str| out.push(text.to_owned());
    let any = |f: fn(&KernelRun) -> bool| result.kernels.iter().any(f);
    let traced = any(|k| !k.header.source.starts_with("synth:"));
    if traced {
        say(
            "traces of tracer versions 3 to 5 name no predicate registers: branches and EXIT are taken to depend on the latest compare",
        );
        say(
            "traces name no constant addresses: constant operands are taken to lie in the first lines of the parameter bank",
        );
        say("a trace is replayed: its control flow does not react to the timing");
    }
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
    if any(|k| k.overlapped) {
        say("kernels that overlap share counters: each reports all that was counted while it ran");
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
