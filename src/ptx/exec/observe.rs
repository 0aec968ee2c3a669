//! What watches a run: the recorder, or nobody.

use super::regs::Lanes;

/// Sees every executed instruction of a CTA, in the order in which each warp executes its own.
pub trait Observer {
    /// Instruction `pc` of `warp` under `mask`, which may be empty.
    fn step(&mut self, warp: u32, pc: u32, mask: u32);
    /// The addresses of that instruction.
    fn access(&mut self, warp: u32, pc: u32, mask: u32, addresses: &Lanes<u64>);
}

/// Watches CTA after CTA, on one thread or on several.
pub trait Parallel: Observer + Send + Sized {
    /// What it has of a CTA at its end.
    type Out: Send;
    /// One for another thread, which knows what this one knows.
    fn fork(&self) -> Self;
    /// A CTA begins.
    fn begin(&mut self);
    /// The CTA has ended. False with what a forked one could not make without knowing more, so that
    /// the CTA has to be run again for the one that it was forked from.
    fn finish(&mut self) -> (Self::Out, bool);
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

impl Parallel for Unobserved {
    type Out = ();
    fn fork(&self) -> Self {
        Unobserved
    }
    fn begin(&mut self) {}
    fn finish(&mut self) -> ((), bool) {
        ((), true)
    }
}
