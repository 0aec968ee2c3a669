//! What watches a run: the recorder, or nobody.

use super::regs::Lanes;

/// Sees every executed instruction of a CTA, in the order in which each warp executes its own.
pub trait Observer {
    /// Instruction `pc` of `warp` under `mask`, which may be empty.
    fn step(&mut self, warp: u32, pc: u32, mask: u32);
    /// The addresses of that instruction.
    fn access(&mut self, warp: u32, pc: u32, mask: u32, addresses: &Lanes<u64>);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    #[inline(always)]
    fn step(&mut self, _: u32, _: u32, _: u32) {}
    #[inline(always)]
    fn access(&mut self, _: u32, _: u32, _: u32, _: &Lanes<u64>) {}
}
