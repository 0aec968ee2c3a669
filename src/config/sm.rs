//! The SM: limits, issue, register file, pipes, instruction and constant caches.

use super::GpuSpec;
use super::declare::{choice, section};
use super::rules::{Broken, Rule, architecture_research, unless};

/// Sub-cores of an SM: all parts since Volta have four, and the model of the SM is built for them.
pub const SUB_CORES: u8 = 4;
/// Warps of a sub-core at most: the schedulers' sets of warps have 16 bits.
pub const WARPS_PER_SUB_CORE_MAX: u8 = 16;
/// Register banks of a sub-core at most, as the reads of an instruction are counted.
pub const REGISTER_BANKS_MAX: u8 = 2;

choice! {
    /// Which ready warp issues.
    pub enum SchedulerPolicy {
        /// Greedy, then oldest.
        Gto = "gto",
        /// Loose round-robin.
        Lrr = "lrr",
        /// Two levels: round-robin in a small active set, refilled oldest first.
        TwoLevel = "two_level",
        /// Greedy, then youngest (compiler-guided).
        Cggty = "cggty",
        /// First the warps that most others of their CTA wait for at a barrier; then as `gto`.
        BarrierAware = "barrier_aware",
        /// First the warps with the fewest memory instructions that wait for L2; then as `gto`.
        MissAware = "miss_aware",
        /// Cache-conscious: warps that lose lines of L1 which they had brought keep others from loading; then as `gto`
        /// (feature architecture-research).
        Ccws = "ccws",
    }
}

choice! {
    /// How dependences are enforced.
    pub enum DependencePolicy {
        /// Control bits where a kernel has them, else the scoreboard.
        Auto = "auto",
        /// Always the scoreboard.
        Scoreboard = "scoreboard",
    }
}

choice! {
    /// Whether memory instructions pass each other in the pipe that sub-cores share.
    pub enum MemoryOrder {
        /// One that L1 refuses stops those behind it.
        InOrder = "in_order",
        /// It steps aside, and others pass it (feature architecture-research).
        OutOfOrder = "out_of_order",
    }
}

section! {
    /// `[sm]`: limits and issue.
    pub struct SmSpec {
        /// Sub-cores; a warp's sub-core is its slot modulo this. The model knows SMs of four.
        pub sub_cores: u8 = Count(SUB_CORES as u64, SUB_CORES as u64),
        /// Resident warps.
        pub warps_max: u8 = Count(1, (SUB_CORES * WARPS_PER_SUB_CORE_MAX) as u64),
        /// Resident CTAs.
        pub ctas_max: u8 = Count(1, 64),
        /// Threads of a CTA.
        pub threads_per_cta_max: u32 = Count(32, 1024),
        /// 32-bit registers.
        pub registers: u32 = Count(1024, 1 << 20),
        /// Registers of a thread.
        pub registers_per_thread_max: u16 = Count(16, 255),
        /// Registers are given to a warp in multiples of this.
        pub register_alloc_unit: u32 = Count(1, 4096),
        /// Warps are allocated in multiples of this for the register limit.
        pub warp_alloc_unit: u8 = Count(1, 16),
        /// Warp scheduler of each sub-core.
        pub scheduler: SchedulerPolicy = Name(SchedulerPolicy::NAMES),
        /// Active set of the two-level scheduler, warps of a sub-core.
        pub two_level_active_warps: u8 = Count(1, WARPS_PER_SUB_CORE_MAX as u64),
        /// `[sm.ccws]`.
        pub ccws: CcwsSpec = Section,
        /// Order of memory instructions in the shared pipe; results come in any order.
        pub memory_order: MemoryOrder = Name(MemoryOrder::NAMES),
        /// Dependence mechanism.
        pub dependence: DependencePolicy = Name(DependencePolicy::NAMES),
        /// `[sm.regfile]`.
        pub regfile: RegfileSpec = Section,
        /// `[sm.pipes]`.
        pub pipes: PipeSpec = Section,
        /// `[sm.latency]`.
        pub latency: LatencySpec = Section,
        /// `[sm.tensor]`.
        pub tensor: TensorSpec = Section,
    }
}

section! {
    /// `[sm.ccws]`: cache-conscious scheduling (`scheduler = "ccws"`).
    pub struct CcwsSpec {
        /// Lines that a warp has lost whose tags are kept.
        pub victim_entries: u16 = Count(1, 1024),
        /// Entries of a set of these tags.
        pub victim_ways: u16 = Count(1, 1024),
        /// Score of a warp that loses nothing; a higher one falls to it by one a cycle.
        pub base_score: u16 = Count(1, 60_000),
        /// How many times its share of the instructions a lost line counts.
        pub throttle: u16 = Count(1, 1000),
    }
}

section! {
    /// `[sm.regfile]`: register file of a sub-core.
    pub struct RegfileSpec {
        /// Banks; a register's bank is its number modulo this.
        pub banks: u8 = Count(1, REGISTER_BANKS_MAX as u64),
        /// Read ports of a bank (1024 bits each).
        pub read_ports: u8 = Count(1, 4),
        /// Whether `.reuse` operands are kept in the reuse cache.
        pub reuse_cache: bool = Flag,
        /// Whether operands of kernels without control bits are kept as a compiler would mark them.
        pub infer_reuse: bool = Flag,
        /// Off: operand reads never conflict.
        pub conflicts: bool = Flag,
    }
}

section! {
    /// `[sm.pipes]`: issue intervals, the cycles that one warp instruction holds a pipe of a sub-core.
    pub struct PipeSpec {
        /// FP32 (all FMA pipes of the sub-core together).
        pub fp32_interval: u8 = Cycles(1, 255),
        /// Integer multiply-add (FMA heavy).
        pub imad_interval: u8 = Cycles(1, 255),
        /// ALU: integer, logic, compare, select, move.
        pub alu_interval: u8 = Cycles(1, 255),
        /// Packed half.
        pub fp16_interval: u8 = Cycles(1, 255),
        /// HFMA2.MMA, where packed half has a second pipe; 0: it takes the first.
        pub fp16_mma_interval: u8 = Cycles(0, 255),
        /// Double precision.
        pub fp64_interval: u8 = Cycles(1, 255),
        /// One FP64 unit shared by all sub-cores of the SM (GeForce).
        pub fp64_shared: bool = Flag,
        /// Transcendental.
        pub mufu_interval: u8 = Cycles(1, 255),
        /// Conversions.
        pub convert_interval: u8 = Cycles(1, 255),
        /// Population count, find leading one, bit reverse.
        pub bit_count_interval: u8 = Cycles(1, 255),
        /// Uniform datapath.
        pub uniform_interval: u8 = Cycles(1, 255),
        /// Branch unit.
        pub branch_interval: u8 = Cycles(1, 255),
        /// IMAD runs on the same pipe as FP32 (true on all known parts).
        pub imad_on_fp32: bool = Flag,
        /// FP32 and ALU instructions share one pipe (Blackwell GB20x unified INT/FP32).
        pub fp32_alu_unified: bool = Flag,
    }
}

section! {
    /// `[sm.latency]`: cycles from issue until a dependent instruction may issue.
    pub struct LatencySpec {
        /// FADD, FMUL, FFMA.
        pub fp32: u16 = Cycles(1, 20_000),
        /// FMNMX, FSEL, FSET.
        pub fp32_alu: u16 = Cycles(1, 20_000),
        /// IADD3, LOP3, SHF, PRMT, MOV, SEL, IMNMX.
        pub int_alu: u16 = Cycles(1, 20_000),
        /// IMAD.
        pub imad: u16 = Cycles(1, 20_000),
        /// IMAD.WIDE.
        pub imad_wide: u16 = Cycles(1, 20_000),
        /// IMAD.HI.
        pub imad_hi: u16 = Cycles(1, 20_000),
        /// HADD2, HMUL2, HFMA2.
        pub fp16: u16 = Cycles(1, 20_000),
        /// HFMA2.MMA.
        pub fp16_mma: u16 = Cycles(1, 20_000),
        /// DADD, DMUL, DFMA.
        pub fp64: u16 = Cycles(1, 20_000),
        /// Compare to a data consumer (select, carry).
        pub set_predicate: u16 = Cycles(1, 20_000),
        /// Compare to a guard or branch.
        pub predicate_to_branch: u16 = Cycles(1, 20_000),
        /// MUFU.
        pub mufu: u16 = Cycles(1, 20_000),
        /// Conversions.
        pub convert: u16 = Cycles(1, 20_000),
        /// POPC, FLO, BREV.
        pub bit_count: u16 = Cycles(1, 20_000),
        /// SHFL.
        pub shuffle: u16 = Cycles(1, 20_000),
        /// VOTE, MATCH.
        pub vote: u16 = Cycles(1, 20_000),
        /// S2R.
        pub read_special: u16 = Cycles(1, 20_000),
        /// CS2R.
        pub read_clock: u16 = Cycles(1, 20_000),
        /// Uniform datapath.
        pub uniform: u16 = Cycles(1, 20_000),
        /// Extra when a consumer runs on another pipe than the producer (IMAD <-> ALU).
        pub cross_pipe_extra: u16 = Cycles(0, 20_000),
        /// From the issue of a taken branch to the warp's next issue.
        pub branch_taken: u16 = Cycles(1, 20_000),
        /// From the issue of a branch that falls through.
        pub branch_not_taken: u16 = Cycles(1, 20_000),
        /// Barrier: from the last arrival's issue to the first release.
        pub barrier: u16 = Cycles(1, 20_000),
        /// Barrier: cycles between the arrivals of two warps that the barrier unit admits.
        pub barrier_per_warp: u16 = Cycles(1, 20_000),
        /// MEMBAR.CTA.
        pub membar_cta: u16 = Cycles(1, 20_000),
        /// MEMBAR.GPU, when nothing is outstanding.
        pub membar_gpu: u16 = Cycles(1, 20_000),
        /// MEMBAR.SYS, when nothing is outstanding.
        pub membar_sys: u16 = Cycles(1, 20_000),
        /// NANOSLEEP as traced (duration unknown).
        pub sleep: u16 = Cycles(1, 20_000),
    }
}

/// Latency of one family of matrix instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorLatency {
    /// Mnemonic prefix, e.g. `HMMA.16816.F32`; the longest match holds.
    pub opcode: String,
    /// Issue to dependent issue through the accumulator.
    pub cycles: u16,
}

section! {
    /// `[sm.tensor]`: tensor core of a sub-core. A rate of 0 means the type is not supported.
    pub struct TensorSpec {
        /// Multiply-adds per cycle, FP16 inputs, FP16 accumulate.
        pub f16_rate: u32 = Count(0, 65_536),
        /// FP16 inputs, FP32 accumulate (half on some GeForce parts).
        pub f16_f32_rate: u32 = Count(0, 65_536),
        /// BF16.
        pub bf16_rate: u32 = Count(0, 65_536),
        /// TF32.
        pub tf32_rate: u32 = Count(0, 65_536),
        /// FP64.
        pub f64_rate: u32 = Count(0, 65_536),
        /// FP8.
        pub f8_rate: u32 = Count(0, 65_536),
        /// INT8.
        pub i8_rate: u32 = Count(0, 65_536),
        /// INT4.
        pub i4_rate: u32 = Count(0, 65_536),
        /// 1-bit.
        pub b1_rate: u32 = Count(0, 65_536),
        /// Percent of the rate that `mma.sync` can reach (Hopper: 62).
        pub mma_sync_percent: u8 = Count(1, 100),
        /// Latency when no entry of `latency` matches.
        pub default_latency: u16 = Cycles(1, 2000),
        /// Per opcode family.
        pub latency: Vec<TensorLatency> = OpcodeCycles(1, 2000),
    }
}

section! {
    /// `[fetch]`: instruction caches.
    pub struct FetchSpec {
        /// Every fetch hits: no instruction cache at all.
        pub perfect: bool = Flag,
        /// Line, bytes (8 instructions of 16 bytes).
        pub line_bytes: u32 = Bytes(32, 128),
        /// L0 of a sub-core, bytes.
        pub l0_bytes: u32 = Bytes(128, 1 << 20),
        /// L0 ways.
        pub l0_ways: u16 = Count(1, 1024),
        /// L1 instruction cache of the SM, bytes.
        pub l1_bytes: u32 = Bytes(128, 1 << 24),
        /// L1 instruction cache ways.
        pub l1_ways: u16 = Count(1, 1024),
        /// From an L0 miss to the line's arrival from L1.
        pub l1_latency: u16 = Cycles(1, 2000),
        /// Lines that the stream buffer of a sub-core prefetches after a miss; 0 = off.
        pub stream_buffer_lines: u8 = Count(0, 64),
        /// From an L0 miss whose line the stream buffer has to the issue of its first instruction.
        pub stream_latency: u16 = Cycles(0, 4000),
    }
}

section! {
    /// `[const_cache]`: constant caches.
    pub struct ConstCacheSpec {
        /// Every constant access hits.
        pub perfect: bool = Flag,
        /// Line, bytes.
        pub line_bytes: u32 = Bytes(32, 128),
        /// First level, bytes.
        pub l1_bytes: u32 = Bytes(64, 1 << 20),
        /// First-level ways.
        pub l1_ways: u16 = Count(1, 1024),
        /// Level 1.5, bytes.
        pub l15_bytes: u32 = Bytes(64, 1 << 24),
        /// Level-1.5 ways.
        pub l15_ways: u16 = Count(1, 1024),
        /// LDC hit: issue to dependent issue.
        pub load_latency: u16 = Cycles(1, 2000),
        /// First-level miss that hits level 1.5: extra cycles.
        pub l15_latency: u16 = Cycles(1, 2000),
        /// A kernel's parameters are in level 1.5 of an SM when its first CTA starts there.
        pub launch_fills: bool = Flag,
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "sm.scheduler",
        with: &[],
        broken: |g| {
            architecture_research(
                g.sm.scheduler != SchedulerPolicy::Ccws,
                "any but ccws",
                "for cache-conscious scheduling",
            )
        },
    },
    Rule {
        key: "sm.memory_order",
        with: &[],
        broken: |g| {
            architecture_research(
                g.sm.memory_order == MemoryOrder::InOrder,
                MemoryOrder::InOrder.name(),
                "for accesses that pass each other",
            )
        },
    },
    Rule {
        key: "sm.ccws.victim_entries",
        with: &["sm.ccws.victim_ways"],
        broken: |g| {
            let ways = g.sm.ccws.victim_ways;
            unless(
                g.sm.ccws.victim_entries.is_multiple_of(ways),
                || format!("a multiple of sm.ccws.victim_ways = {ways}"),
                "sets have the same number of entries",
            )
        },
    },
    Rule {
        key: "sm.warps_max",
        with: &["sm.sub_cores"],
        broken: |g| {
            unless(
                g.sm.warps_max.is_multiple_of(g.sm.sub_cores),
                || format!("a multiple of sm.sub_cores = {}", g.sm.sub_cores),
                "every sub-core has the same number of warp slots",
            )
        },
    },
    Rule {
        key: "sm.threads_per_cta_max",
        with: &["sm.warps_max"],
        broken: |g| {
            let most = u32::from(g.sm.warps_max) * 32;
            unless(
                g.sm.threads_per_cta_max <= most,
                || format!("at most 32 x sm.warps_max = {most}"),
                "the largest CTA must fit an SM",
            )
        },
    },
    Rule {
        key: "sm.registers",
        with: &["sm.sub_cores"],
        broken: |g| {
            unless(
                g.sm.registers.is_multiple_of(u32::from(g.sm.sub_cores)),
                || format!("a multiple of sm.sub_cores = {}", g.sm.sub_cores),
                "every sub-core has its own register file of the same size",
            )
        },
    },
    Rule {
        key: "sm.registers",
        with: &["sm.register_alloc_unit", "sm.warp_alloc_unit"],
        broken: |g| {
            let warp = 32u32.next_multiple_of(g.sm.register_alloc_unit);
            let least = warp * u32::from(g.sm.warp_alloc_unit);
            unless(
                g.sm.registers >= least,
                || {
                    format!(
                        "at least {least}, what sm.register_alloc_unit = {} and sm.warp_alloc_unit \
                         = {} give to the smallest CTA",
                        g.sm.register_alloc_unit, g.sm.warp_alloc_unit
                    )
                },
                "one CTA must fit an SM",
            )
        },
    },
    Rule {
        key: "sm.latency.predicate_to_branch",
        with: &["sm.latency.set_predicate"],
        broken: |g| {
            let data = g.sm.latency.set_predicate;
            unless(
                g.sm.latency.predicate_to_branch >= data,
                || format!("at least sm.latency.set_predicate = {data}"),
                "a branch sees a predicate no earlier than a select does; change either",
            )
        },
    },
    Rule {
        key: "fetch.line_bytes",
        with: &[],
        broken: |g| power_of_two(g.fetch.line_bytes),
    },
    Rule {
        key: "const_cache.line_bytes",
        with: &[],
        broken: |g| power_of_two(g.const_cache.line_bytes),
    },
    Rule {
        key: "fetch.l0_bytes",
        with: &["fetch.l0_ways", "fetch.line_bytes"],
        broken: |g| {
            whole_sets(
                g.fetch.l0_bytes,
                "fetch.l0_ways",
                g.fetch.l0_ways,
                fetch_line(g),
            )
        },
    },
    Rule {
        key: "fetch.l1_bytes",
        with: &["fetch.l1_ways", "fetch.line_bytes"],
        broken: |g| {
            whole_sets(
                g.fetch.l1_bytes,
                "fetch.l1_ways",
                g.fetch.l1_ways,
                fetch_line(g),
            )
        },
    },
    Rule {
        key: "const_cache.l1_bytes",
        with: &["const_cache.l1_ways", "const_cache.line_bytes"],
        broken: |g| {
            let c = &g.const_cache;
            whole_sets(c.l1_bytes, "const_cache.l1_ways", c.l1_ways, const_line(g))
        },
    },
    Rule {
        key: "const_cache.l15_bytes",
        with: &["const_cache.l15_ways", "const_cache.line_bytes"],
        broken: |g| {
            let c = &g.const_cache;
            whole_sets(
                c.l15_bytes,
                "const_cache.l15_ways",
                c.l15_ways,
                const_line(g),
            )
        },
    },
];

type LineKey = (&'static str, u32);

fn fetch_line(g: &GpuSpec) -> LineKey {
    ("fetch.line_bytes", g.fetch.line_bytes)
}

fn const_line(g: &GpuSpec) -> LineKey {
    ("const_cache.line_bytes", g.const_cache.line_bytes)
}

/// A cache of `bytes` has a whole number of sets.
fn whole_sets(bytes: u32, ways_key: &str, ways: u16, (line_key, line): LineKey) -> Option<Broken> {
    let set = u64::from(ways) * u64::from(line);
    unless(
        u64::from(bytes).is_multiple_of(set),
        || format!("a multiple of {ways_key} = {ways} times {line_key} = {line}, that is {set}"),
        "change the size or the ways",
    )
}

pub(super) fn power_of_two(value: u32) -> Option<Broken> {
    unless(
        value.is_power_of_two(),
        || "a power of two".to_owned(),
        "round it",
    )
}
