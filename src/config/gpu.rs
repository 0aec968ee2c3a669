//! The chip.

use super::{
    ConstCacheSpec, FetchSpec, L1Spec, L2Spec, LaunchSpec, LsuSpec, MemorySpec, NocSpec, SmSpec,
    SmemSpec,
};

/// Instruction-set and SM generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// GV100 (sm_70).
    Volta,
    /// TU10x (sm_75).
    Turing,
    /// GA100 (sm_80).
    AmpereGa100,
    /// GA10x (sm_86).
    AmpereGa10x,
    /// AD10x (sm_89).
    Ada,
    /// GH100 (sm_90).
    Hopper,
    /// GB100 (sm_100).
    BlackwellGb100,
    /// GB20x (sm_120).
    BlackwellGb20x,
}

/// One GPU, checked: `[gpu]` and all sections.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSpec {
    /// Name, e.g. `v100`.
    pub name: String,
    /// Product name for people.
    pub product: String,
    /// Generation.
    pub architecture: Architecture,
    /// Compute capability times ten, e.g. 70.
    pub compute_capability: u16,
    /// SMs.
    pub sms: u16,
    /// GPCs; SMs are dealt to GPCs round-robin, so that sizes differ by one at most.
    pub gpcs: u16,
    /// SM (core) clock, kHz.
    pub core_clock_khz: u32,
    /// `[sm]`.
    pub sm: SmSpec,
    /// `[fetch]`.
    pub fetch: FetchSpec,
    /// `[const_cache]`.
    pub const_cache: ConstCacheSpec,
    /// `[lsu]`.
    pub lsu: LsuSpec,
    /// `[smem]`.
    pub smem: SmemSpec,
    /// `[l1]`.
    pub l1: L1Spec,
    /// `[noc]`.
    pub noc: NocSpec,
    /// `[l2]`.
    pub l2: L2Spec,
    /// `[dram]`.
    pub dram: MemorySpec,
    /// `[launch]`.
    pub launch: LaunchSpec,
}
