//! Addresses are not translated.

use super::super::Gpu;
use crate::config::GpuSpec;
use crate::stats::tlb::TlbStats;

/// Nothing.
pub(in crate::gpu) struct Translation;

impl Translation {
    pub(in crate::gpu) fn new(_: &GpuSpec) -> Self {
        Translation
    }

    #[inline(always)]
    pub(in crate::gpu) fn step<P, S>(&self, _: &Gpu<P, S>, _: u64) {}

    pub(in crate::gpu) fn stats<P, S>(&self, _: &Gpu<P, S>) -> Option<TlbStats> {
        None
    }

    pub(in crate::gpu) fn describe(&self, _: &mut Vec<String>) {}
}
