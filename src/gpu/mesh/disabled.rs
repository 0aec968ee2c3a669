//! All messages go through the ports of GPCs.

use super::super::Gpu;
use crate::config::GpuSpec;
use crate::engine::state::{Loaded, Saved};
use crate::noc::Topology;
use crate::probe::Probe;
use crate::sm::ChipStage;
use crate::stats::NocStats;
use bincode::de::Decoder;
use bincode::enc::Encoder;

/// Nothing.
pub(in crate::gpu) struct MeshUnit;

impl MeshUnit {
    pub(in crate::gpu) fn new(_: &GpuSpec, _: &Topology) -> Self {
        MeshUnit
    }

    #[inline(always)]
    pub(in crate::gpu) fn present(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(in crate::gpu) fn step<P: Probe, S: ChipStage>(&self, _: &Gpu<P, S>, _: u64) {}

    pub(in crate::gpu) fn stats(&self) -> NocStats {
        NocStats::default()
    }

    pub(in crate::gpu) fn save<E: Encoder>(&self, _: &mut E) -> Saved {
        Ok(())
    }

    pub(in crate::gpu) fn load<D: Decoder<Context = ()>>(&self, _: &mut D) -> Loaded {
        Ok(())
    }
}
