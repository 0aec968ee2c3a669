//! The SM: limits, issue, register file, pipes, instruction and constant caches.

/// Which ready warp issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerPolicy {
    /// Greedy, then oldest.
    Gto,
    /// Loose round-robin.
    Lrr,
    /// Two levels: round-robin in a small active set, refilled oldest first.
    TwoLevel,
    /// Greedy, then youngest (compiler-guided).
    Cggty,
}

/// How dependences are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencePolicy {
    /// Control bits where a kernel has them, else the scoreboard.
    Auto,
    /// Always the scoreboard.
    Scoreboard,
}

/// `[sm]`: limits and issue.
#[derive(Clone, Debug, PartialEq)]
pub struct SmSpec {
    /// Sub-cores; a warp's sub-core is its slot modulo this.
    pub sub_cores: u8,
    /// Resident warps.
    pub warps_max: u8,
    /// Resident CTAs.
    pub ctas_max: u8,
    /// Threads of a CTA.
    pub threads_per_cta_max: u32,
    /// 32-bit registers.
    pub registers: u32,
    /// Registers of a thread.
    pub registers_per_thread_max: u16,
    /// Registers are given to a warp in multiples of this.
    pub register_alloc_unit: u32,
    /// Warps are allocated in multiples of this for the register limit.
    pub warp_alloc_unit: u8,
    /// Warp scheduler of each sub-core.
    pub scheduler: SchedulerPolicy,
    /// Active set of the two-level scheduler, warps.
    pub two_level_active_warps: u8,
    /// Dependence mechanism.
    pub dependence: DependencePolicy,
    /// `[sm.regfile]`.
    pub regfile: RegfileSpec,
    /// `[sm.pipes]`.
    pub pipes: PipeSpec,
    /// `[sm.latency]`.
    pub latency: LatencySpec,
    /// `[sm.tensor]`.
    pub tensor: TensorSpec,
}

/// `[sm.regfile]`: register file of a sub-core.
#[derive(Clone, Debug, PartialEq)]
pub struct RegfileSpec {
    /// Banks; a register's bank is its number modulo this.
    pub banks: u8,
    /// Read ports of a bank (1024 bits each).
    pub read_ports: u8,
    /// Whether `.reuse` operands are kept in the reuse cache (needs control bits in the kernel).
    pub reuse_cache: bool,
    /// Off: operand reads never conflict.
    pub conflicts: bool,
}

/// `[sm.pipes]`: issue intervals, the cycles that one warp instruction holds a pipe of a sub-core.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeSpec {
    /// FP32 (all FMA pipes of the sub-core together).
    pub fp32_interval: u8,
    /// Integer multiply-add (FMA heavy).
    pub imad_interval: u8,
    /// ALU: integer, logic, compare, select, move.
    pub alu_interval: u8,
    /// Packed half.
    pub fp16_interval: u8,
    /// Double precision.
    pub fp64_interval: u8,
    /// One FP64 unit shared by all sub-cores of the SM (GeForce).
    pub fp64_shared: bool,
    /// Transcendental.
    pub mufu_interval: u8,
    /// Conversions.
    pub convert_interval: u8,
    /// Population count, find leading one, bit reverse.
    pub bit_count_interval: u8,
    /// Uniform datapath.
    pub uniform_interval: u8,
    /// Branch unit.
    pub branch_interval: u8,
    /// IMAD runs on the same pipe as FP32 (true on all known parts).
    pub imad_on_fp32: bool,
    /// FP32 and ALU instructions share one pipe (Blackwell GB20x unified INT/FP32).
    pub fp32_alu_unified: bool,
}

/// `[sm.latency]`: cycles from issue until a dependent instruction may issue.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencySpec {
    /// FADD, FMUL, FFMA.
    pub fp32: u16,
    /// FMNMX, FSEL, FSET.
    pub fp32_alu: u16,
    /// IADD3, LOP3, SHF, PRMT, MOV, SEL, IMNMX.
    pub int_alu: u16,
    /// IMAD.
    pub imad: u16,
    /// IMAD.WIDE.
    pub imad_wide: u16,
    /// IMAD.HI.
    pub imad_hi: u16,
    /// HADD2, HMUL2, HFMA2.
    pub fp16: u16,
    /// HFMA2.MMA.
    pub fp16_mma: u16,
    /// DADD, DMUL, DFMA.
    pub fp64: u16,
    /// Compare to a data consumer (select, carry).
    pub set_predicate: u16,
    /// Compare to a guard or branch.
    pub predicate_to_branch: u16,
    /// MUFU.
    pub mufu: u16,
    /// Conversions.
    pub convert: u16,
    /// POPC, FLO, BREV.
    pub bit_count: u16,
    /// SHFL.
    pub shuffle: u16,
    /// VOTE, MATCH.
    pub vote: u16,
    /// S2R.
    pub read_special: u16,
    /// CS2R.
    pub read_clock: u16,
    /// Uniform datapath.
    pub uniform: u16,
    /// Extra when a consumer runs on another pipe than the producer (IMAD <-> ALU).
    pub cross_pipe_extra: u16,
    /// From the issue of a taken branch to the warp's next issue.
    pub branch_taken: u16,
    /// From the issue of a branch that falls through.
    pub branch_not_taken: u16,
    /// Barrier: from the last arrival's issue to the first release.
    pub barrier: u16,
    /// Barrier: cycles between the arrivals of two warps that the barrier unit admits.
    pub barrier_per_warp: u16,
    /// MEMBAR.CTA.
    pub membar_cta: u16,
    /// MEMBAR.GPU, when nothing is outstanding.
    pub membar_gpu: u16,
    /// MEMBAR.SYS, when nothing is outstanding.
    pub membar_sys: u16,
    /// NANOSLEEP as traced (duration unknown).
    pub sleep: u16,
}

/// Latency of one family of matrix instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLatency {
    /// Mnemonic prefix, e.g. `HMMA.16816.F32`; the longest match holds.
    pub opcode: String,
    /// Issue to dependent issue through the accumulator.
    pub cycles: u16,
}

/// `[sm.tensor]`: tensor core of a sub-core. A rate of 0 means the type is not supported.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Multiply-adds per cycle, FP16 inputs, FP16 accumulate.
    pub f16_rate: u32,
    /// FP16 inputs, FP32 accumulate (half on some GeForce parts).
    pub f16_f32_rate: u32,
    /// BF16.
    pub bf16_rate: u32,
    /// TF32.
    pub tf32_rate: u32,
    /// FP64.
    pub f64_rate: u32,
    /// FP8.
    pub f8_rate: u32,
    /// INT8.
    pub i8_rate: u32,
    /// INT4.
    pub i4_rate: u32,
    /// 1-bit.
    pub b1_rate: u32,
    /// Percent of the rate that `mma.sync` can reach (Hopper: 62).
    pub mma_sync_percent: u8,
    /// Latency when no entry of `latency` matches.
    pub default_latency: u16,
    /// Per opcode family.
    pub latency: Vec<TensorLatency>,
}

/// `[fetch]`: instruction caches.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchSpec {
    /// Every fetch hits: no instruction cache at all.
    pub perfect: bool,
    /// Line, bytes (8 instructions of 16 bytes).
    pub line_bytes: u32,
    /// L0 of a sub-core, bytes.
    pub l0_bytes: u32,
    /// L0 ways.
    pub l0_ways: u16,
    /// L1 instruction cache of the SM, bytes.
    pub l1_bytes: u32,
    /// L1 instruction cache ways.
    pub l1_ways: u16,
    /// From an L0 miss to the line's arrival from L1.
    pub l1_latency: u16,
    /// Lines that the stream buffer of a sub-core prefetches after a miss; 0 = off.
    pub stream_buffer_lines: u8,
}

/// `[const_cache]`: constant caches.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstCacheSpec {
    /// Every constant access hits.
    pub perfect: bool,
    /// Line, bytes.
    pub line_bytes: u32,
    /// First level, bytes.
    pub l1_bytes: u32,
    /// First-level ways.
    pub l1_ways: u16,
    /// Level 1.5, bytes.
    pub l15_bytes: u32,
    /// Level-1.5 ways.
    pub l15_ways: u16,
    /// LDC hit: issue to dependent issue.
    pub load_latency: u16,
    /// First-level miss that hits level 1.5: extra cycles.
    pub l15_latency: u16,
}
