//! Pipe, issue interval and latency of each instruction class on a given GPU.

use super::program::{Pipe, source};
use crate::config::{GpuSpec, TensorSpec};
use crate::isa::{OpClass, StaticInst, TensorOp};

/// How an instruction executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Pipe.
    pub pipe: Pipe,
    /// Cycles that the pipe is held.
    pub interval: u8,
    /// Issue to dependent issue.
    pub latency: u16,
    /// What a dependent waits for, see [`source`].
    pub source: u32,
}

/// The timing of `inst`, whose full mnemonic is `mnemonic`, on `spec`.
pub fn timing(inst: &StaticInst, mnemonic: &str, spec: &GpuSpec) -> Timing {
    let (p, l) = (&spec.sm.pipes, &spec.sm.latency);
    let at = |pipe, interval, latency| Timing {
        pipe,
        interval,
        latency,
        source: source::FIXED,
    };
    let short = |pipe, interval, latency| Timing {
        pipe,
        interval,
        latency,
        source: source::SHORT,
    };
    let alu = |latency| match p.fp32_alu_unified {
        true => at(Pipe::Fma, p.fp32_interval, latency),
        false => at(Pipe::Alu, p.alu_interval, latency),
    };
    let imad = |latency| match p.imad_on_fp32 {
        true => at(Pipe::Fma, p.imad_interval, latency),
        false => at(Pipe::Alu, p.imad_interval, latency),
    };
    match inst.class {
        OpClass::Fp32 => at(Pipe::Fma, p.fp32_interval, l.fp32),
        OpClass::Fp32Alu => alu(l.fp32_alu),
        OpClass::IntAlu | OpClass::Unknown => alu(l.int_alu),
        OpClass::SetPredicate => alu(l.set_predicate),
        OpClass::Imad => imad(l.imad),
        OpClass::ImadWide => imad(l.imad_wide),
        OpClass::ImadHi => imad(l.imad_hi),
        OpClass::Fp16 => at(Pipe::Fp16, p.fp16_interval, l.fp16),
        OpClass::Fp16Mma if p.fp16_mma_interval > 0 => {
            at(Pipe::Fp16Mma, p.fp16_mma_interval, l.fp16_mma)
        }
        OpClass::Fp16Mma => at(Pipe::Fp16, p.fp16_interval, l.fp16_mma),
        OpClass::Fp64 => at(Pipe::Fp64, p.fp64_interval, l.fp64),
        OpClass::Mufu => short(Pipe::Xu, p.mufu_interval, l.mufu),
        OpClass::Convert => short(Pipe::Xu, p.convert_interval, l.convert),
        OpClass::BitCount => short(Pipe::Xu, p.bit_count_interval, l.bit_count),
        OpClass::Vote => at(Pipe::Alu, p.alu_interval, l.vote),
        OpClass::ReadSpecial => short(Pipe::Alu, p.alu_interval, l.read_special),
        OpClass::ReadClock => at(Pipe::Alu, p.alu_interval, l.read_clock),
        OpClass::Uniform => at(Pipe::Uniform, p.uniform_interval, l.uniform),
        OpClass::Tensor => tensor(inst.tensor, mnemonic, &spec.sm.tensor),
        OpClass::Branch | OpClass::Converge => at(Pipe::Branch, p.branch_interval, l.int_alu),
        OpClass::Shuffle => short(Pipe::Lsu, 1, l.shuffle),
        OpClass::Memory if inst.mem.is_some() => memory(inst, spec),
        OpClass::Memory => short(Pipe::Lsu, 1, spec.const_cache.load_latency),
        OpClass::Texture => Timing {
            pipe: Pipe::Lsu,
            interval: 1,
            latency: spec.l1.hit_latency,
            source: source::LONG,
        },
        OpClass::Sleep => at(Pipe::None, 1, l.sleep),
        OpClass::Nop
        | OpClass::Exit
        | OpClass::Barrier
        | OpClass::Membar
        | OpClass::DepBar
        | OpClass::CpAsyncCommit
        | OpClass::CacheControl
        | OpClass::Async => at(Pipe::None, 1, l.int_alu),
    }
}

/// Cycles from issue until a dependent instruction may issue, when that is known at issue: what a compiler covers by
/// stall counts. Nothing for results that come when they come.
pub fn fixed(inst: &StaticInst, mnemonic: &str, spec: &GpuSpec) -> Option<u16> {
    let timing = timing(inst, mnemonic, spec);
    let shared = timing.pipe == Pipe::Fp64 && spec.sm.pipes.fp64_shared;
    (timing.source == source::FIXED && !shared).then_some(timing.latency)
}

/// What a guard or a branch waits longer for a predicate than a select does.
pub fn guard_extra(spec: &GpuSpec) -> u16 {
    spec.sm.latency.predicate_to_branch - spec.sm.latency.set_predicate
}

fn memory(inst: &StaticInst, spec: &GpuSpec) -> Timing {
    use crate::isa::MemSpace;
    let space = inst.mem.map_or(MemSpace::Global, |m| m.space);
    let (latency, source) = match space {
        MemSpace::Shared => (spec.smem.load_latency, source::SHORT),
        MemSpace::Constant => (spec.const_cache.load_latency, source::SHORT),
        _ => (spec.l1.hit_latency, source::LONG),
    };
    Timing {
        pipe: Pipe::Lsu,
        interval: 1,
        latency,
        source,
    }
}

fn tensor(op: Option<TensorOp>, mnemonic: &str, spec: &TensorSpec) -> Timing {
    let entry = spec
        .latency
        .iter()
        .filter(|entry| mnemonic.starts_with(&entry.opcode))
        .max_by_key(|entry| entry.opcode.len());
    let latency = entry.map_or(spec.default_latency, |entry| entry.cycles);
    let interval = op.map_or(u32::from(latency), |op| tensor_interval(op, spec));
    Timing {
        pipe: Pipe::Tensor,
        interval: interval.clamp(1, 255) as u8,
        latency,
        source: source::FIXED,
    }
}

/// Cycles that a matrix instruction holds the tensor pipe: its multiply-adds over the rate.
fn tensor_interval(op: TensorOp, spec: &TensorSpec) -> u32 {
    let mut work = u32::from(op.m) * u32::from(op.n) * u32::from(op.k);
    if op.sparse {
        work /= 2;
    }
    // A type that the chip lacks cannot occur in its own code; a foreign trace gets the FP16 rate, and
    // its report says so.
    let rate = match spec.rate(&op) {
        0 => spec.f16_rate.max(1),
        rate => rate,
    };
    (work * 100).div_ceil(rate * u32::from(spec.mma_sync_percent).max(1))
}
