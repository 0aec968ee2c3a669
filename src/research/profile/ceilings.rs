//! The roofs over a kernel: what the machine's own rates would allow, and how much work its instructions are.

use super::instruments::Kernel as Seen;
use crate::config::GpuSpec;
use crate::research::by_pc::{inst_at, name_of};
use crate::trace::Code;

/// Floating-point operations of a lane of an instruction, by the start of its name: a multiply-add is two.
const FLOPS: &[(&str, u64)] = &[
    ("FFMA", 2),
    ("FADD", 1),
    ("FMUL", 1),
    ("HFMA2", 4),
    ("HADD2", 2),
    ("HMUL2", 2),
    ("DFMA", 2),
    ("DADD", 1),
    ("DMUL", 1),
];

/// Floating-point operations of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flops {
    /// Of lanes, as far as masks say that they worked.
    pub lanes: u64,
    /// Of matrix instructions, dense.
    pub tensor: u64,
}

/// The operations of the instructions that were `seen`.
pub(super) fn flops(code: &Code, seen: &Seen) -> Flops {
    let mut sum = Flops::default();
    for (pc, counts) in seen.seen() {
        let Some(inst) = inst_at(code, pc) else {
            continue;
        };
        if let Some(op) = &inst.tensor {
            let each = 2 * u64::from(op.m) * u64::from(op.n) * u64::from(op.k);
            sum.tensor += each * counts.issued;
            continue;
        }
        let name = name_of(code, inst);
        let known = FLOPS.iter().find(|(start, _)| name.starts_with(start));
        sum.lanes += known.map_or(0, |(_, each)| each * counts.lanes);
    }
    sum
}

/// Peaks of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ceilings {
    /// FP32 multiply-adds as two operations, flop/s.
    pub fp32: f64,
    /// L1, loads that hit, bytes/s.
    pub l1: f64,
    /// Data paths of the L2 slices, bytes/s.
    pub l2: f64,
    /// Memory interface, bytes/s.
    pub dram: f64,
}

impl Ceilings {
    /// Of `spec`.
    pub fn of(spec: &GpuSpec) -> Self {
        let clock = f64::from(spec.core_clock_khz) * 1e3;
        let sms = f64::from(spec.sms);
        let lanes = 32.0 / f64::from(spec.sm.pipes.fp32_interval) * f64::from(spec.sm.sub_cores);
        let slices = f64::from(spec.l2.slices) * f64::from(spec.l2.slice_bytes_per_cycle);
        Ceilings {
            fp32: 2.0 * lanes * sms * clock,
            l1: f64::from(spec.l1.bytes_per_cycle) * sms * clock,
            l2: slices * clock,
            dram: spec.dram.peak_bytes_per_s() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_those_of_the_data_sheet() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let peaks = Ceilings::of(&spec);
        // 80 SMs of 64 lanes at 1380 MHz; 898 GB/s.
        assert!((peaks.fp32 / 14.13e12 - 1.0).abs() < 0.01);
        assert!((peaks.dram / 898e9 - 1.0).abs() < 0.01);
        assert!(
            (peaks.l1 / (80.0 * f64::from(spec.l1.bytes_per_cycle) * 1.38e9) - 1.0).abs() < 1e-9
        );
    }
}
