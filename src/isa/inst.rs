//! The static instruction: what a kernel's code table holds, one entry for each distinct PC.

use bincode::{Decode, Encode};

/// What an instruction does, at the granularity that timing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum OpClass {
    /// No effect on any pipe (`NOP`, `PMTRIG`).
    Nop,
    /// FP32 add, multiply, fused multiply-add.
    Fp32,
    /// FP32 compare, select, min/max: runs on the ALU pipe.
    Fp32Alu,
    /// Packed half precision (`HADD2`, `HMUL2`, `HFMA2`).
    Fp16,
    /// `HFMA2.MMA`: half precision on the FMA-heavy pipe.
    Fp16Mma,
    /// Double precision arithmetic.
    Fp64,
    /// Integer add, logic, shift, move, select on the ALU pipe.
    IntAlu,
    /// Integer multiply-add, 32-bit result, on the FMA (heavy) pipe.
    Imad,
    /// `IMAD.WIDE`: 64-bit result.
    ImadWide,
    /// `IMAD.HI`: the high half.
    ImadHi,
    /// Compare that writes predicates (`ISETP`, `FSETP`, `PSETP`, `PLOP3`, ...).
    SetPredicate,
    /// Transcendental function (`MUFU`).
    Mufu,
    /// Conversion (`F2I`, `I2F`, `F2F`, `FRND`).
    Convert,
    /// `POPC`, `FLO`, `BREV`.
    BitCount,
    /// Warp shuffle.
    Shuffle,
    /// `VOTE`, `MATCH`, `REDUX` and their uniform forms.
    Vote,
    /// Read of a special register (`S2R`, `B2R`, `S2UR`).
    ReadSpecial,
    /// `CS2R`: special register read with fixed latency.
    ReadClock,
    /// Uniform datapath arithmetic.
    Uniform,
    /// Warp-wide matrix multiply-accumulate; see [`TensorOp`].
    Tensor,
    /// Branches, calls, returns.
    Branch,
    /// Convergence bookkeeping (`BSSY`, `BSYNC`, `WARPSYNC`, `BREAK`, `BMOV`, `YIELD`).
    Converge,
    /// End of the threads in the mask.
    Exit,
    /// CTA barrier; the number of the barrier is in `StaticInst::imm`.
    Barrier,
    /// Memory fence. It has no [`MemOp`]; its scope is in `StaticInst::imm`: 0 CTA, 1 GPU, 2 system.
    Membar,
    /// `DEPBAR`: waits for scoreboards or cp.async groups.
    DepBar,
    /// `LDGDEPBAR`, `ARRIVES`: closes a cp.async group.
    CpAsyncCommit,
    /// Any instruction with a [`MemOp`].
    Memory,
    /// Cache control and prefetch hints (`CCTL`): issued, no traffic modelled.
    CacheControl,
    /// Texture and surface access: issued through the memory path with texture latency.
    Texture,
    /// `NANOSLEEP`.
    Sleep,
    /// Hopper asynchronous machinery that is not modelled yet (TMA, wgmma, mbarrier, clusters).
    Async,
    /// Not in the opcode table: counted, given ALU timing, reported in `validity`.
    Unknown,
}

/// Register file of an operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum RegFile {
    /// `R0`..`R254`.
    #[default]
    General,
    /// `UR0`..`UR62`.
    Uniform,
    /// `P0`..`P6`.
    Predicate,
    /// `UP0`..`UP6`.
    UniformPredicate,
}

/// `count` consecutive registers of one file; `count == 0` is no operand. Zero registers (`RZ`,
/// `URZ`, `PT`) are dropped by the reader, since nothing depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct RegRange {
    /// The register file.
    pub file: RegFile,
    /// Number of the first register.
    pub first: u8,
    /// How many consecutive registers.
    pub count: u8,
}

impl RegRange {
    /// No operand.
    pub const NONE: RegRange = RegRange {
        file: RegFile::General,
        first: 0,
        count: 0,
    };

    /// `count` general registers from `first`.
    pub const fn r(first: u8, count: u8) -> Self {
        RegRange {
            file: RegFile::General,
            first,
            count,
        }
    }
}

/// Address space of a memory instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum MemSpace {
    /// Device memory through L1.
    Global,
    /// Per-thread memory: device memory through L1, write-back there.
    Local,
    /// Shared memory of the CTA; addresses are byte offsets.
    Shared,
    /// Generic: resolved per access with the kernel's shared and local windows.
    Generic,
    /// Constant bank.
    Constant,
}

/// What a memory instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum MemKind {
    /// Read into registers.
    Load,
    /// Write from registers.
    Store,
    /// Read-modify-write that returns the old value.
    Atomic,
    /// Read-modify-write without result.
    Reduction,
    /// `LDGSTS`: global to shared without registers (cp.async).
    CpAsync,
    /// `LDSM`: matrix load from shared memory.
    LoadMatrix,
    /// `STSM`: matrix store to shared memory.
    StoreMatrix,
}

/// Cache operator of a memory instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum CacheOp {
    /// Cached at every level.
    #[default]
    All,
    /// Cached in L2 only (`.STRONG.GPU`, `.BYPASS`, `ld.cg`).
    Global,
    /// Streaming, evict first (`.EF`).
    Streaming,
    /// Last use (`ld.lu`): the line is not needed afterwards.
    LastUse,
    /// Volatile or system-coherent.
    Volatile,
}

/// How much of what lies around its data a load asks L2 to fetch as well (`.LTC64B`, `ld.global.L2::64B`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum PrefetchHint {
    /// Nothing beyond the sectors of the load.
    #[default]
    None,
    /// The aligned piece of 64 bytes.
    Half,
    /// The line of 128 bytes.
    Line,
    /// Both lines of an aligned piece of 256 bytes.
    Pair,
}

impl PrefetchHint {
    /// Bytes of the piece; 0 without a hint.
    pub const fn bytes(self) -> u16 {
        match self {
            PrefetchHint::None => 0,
            PrefetchHint::Half => 64,
            PrefetchHint::Line => 128,
            PrefetchHint::Pair => 256,
        }
    }
}

/// The memory side of a static instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct MemOp {
    /// Load, store, atomic, ...
    pub kind: MemKind,
    /// The address space that it accesses.
    pub space: MemSpace,
    /// Bytes per lane: 1, 2, 4, 8, 16 (`LDSM.x4`: 16).
    pub width_bytes: u8,
    /// Cache operator.
    pub cache: CacheOp,
    /// True when the address comes from a uniform register or constant (shorter address path).
    pub uniform_address: bool,
    /// True for compare-and-swap, which takes the slice longer.
    pub cas: bool,
}

/// Element type of a matrix operation's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
pub enum TensorType {
    /// IEEE half.
    F16,
    /// bfloat16.
    Bf16,
    /// TensorFloat-32.
    Tf32,
    /// Double.
    F64,
    /// FP8 (either format).
    F8,
    /// 8-bit integer.
    I8,
    /// 4-bit integer.
    I4,
    /// 1-bit.
    B1,
}

/// Shape and type of a matrix instruction. A Volta `HMMA.884` step is m8n8k4 with four quad-pairs,
/// that is 256 multiply-adds a warp instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct TensorOp {
    /// Rows of the result.
    pub m: u16,
    /// Columns of the result.
    pub n: u16,
    /// Length of the dot products.
    pub k: u16,
    /// Element type of both inputs.
    pub input: TensorType,
    /// Accumulates in 32 bits (or wider).
    pub wide_accumulate: bool,
    /// 2:4 structured sparsity.
    pub sparse: bool,
}

/// Dependence-control bits of an instruction (the 21 bits of the SASS encoding), when known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Control {
    /// Cycles before this warp may issue again, 0..=15.
    pub stall: u8,
    /// Prefer another warp next cycle.
    pub yield_: bool,
    /// Scoreboard incremented now, decremented at write-back; 7 = none.
    pub write_barrier: u8,
    /// Scoreboard incremented now, decremented at operand read; 7 = none.
    pub read_barrier: u8,
    /// Bit i: wait until scoreboard i is zero before issue.
    pub wait_mask: u8,
    /// Bit i: keep source operand i in the reuse cache.
    pub reuse: u8,
}

/// One instruction of a kernel's code table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct StaticInst {
    /// Byte offset from the kernel's first instruction.
    pub pc: u32,
    /// Index into `Code::mnemonics`: full text with modifiers.
    pub mnemonic: u16,
    /// What it does, which decides its timing.
    pub class: OpClass,
    /// Destination registers.
    pub dst: [RegRange; 2],
    /// Source registers in operand order (address base first for memory instructions).
    pub src: [RegRange; 6],
    /// Set when `class` is [`OpClass::Memory`].
    pub mem: Option<MemOp>,
    /// Set when `class` is [`OpClass::Tensor`].
    pub tensor: Option<TensorOp>,
    /// Constant-bank operand: byte offset in bank 0, when known.
    pub constant: Option<u32>,
    /// Its immediate, or a number that depends on the class: see [`OpClass::Barrier`], [`OpClass::Membar`].
    pub imm: u64,
    /// Control bits, when the source has them.
    pub control: Option<Control>,
}

impl StaticInst {
    /// An instruction of `class` without operands.
    pub fn new(pc: u32, mnemonic: u16, class: OpClass) -> Self {
        StaticInst {
            pc,
            mnemonic,
            class,
            dst: [RegRange::NONE; 2],
            src: [RegRange::NONE; 6],
            mem: None,
            tensor: None,
            constant: None,
            imm: 0,
            control: None,
        }
    }
}
