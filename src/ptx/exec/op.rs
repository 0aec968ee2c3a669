//! Decoded instructions.
//!
//! `d`, `a`, `b`, `c` are register numbers within the file that the operation implies.

mod decoded;

pub use decoded::Op;

use super::numeric::{Round, Small};

/// A register of either file of values, with the width that its declaration gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// 16-bit register in the file of words.
    Half(u32),
    /// 32-bit register.
    Word(u32),
    /// 64-bit register.
    Double(u32),
}

/// Integer operations of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Int {
    Add,
    AddSat,
    Sub,
    SubSat,
    Mul,
    MulHiS,
    MulHiU,
    Mad,
    MadSat,
    MadHiS,
    MadHiU,
    DivS,
    DivU,
    RemS,
    RemU,
    MinS,
    MinU,
    MaxS,
    MaxU,
    Abs,
    Neg,
    And,
    Or,
    Xor,
    Not,
    Cnot,
    Brev,
    SadS,
    SadU,
    /// The last number is the truth table.
    Lop3(u8),
}

/// Shifts: the amount is a word whatever the width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shift {
    Left,
    RightS,
    RightU,
}

/// Operations on words alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Word {
    Popc,
    Clz,
    BfindS {
        shift: bool,
    },
    BfindU {
        shift: bool,
    },
    BfeS,
    BfeU,
    Prmt(Prmt),
    FunnelL {
        clamp: bool,
    },
    FunnelR {
        clamp: bool,
    },
    Dp4a {
        a: bool,
        b: bool,
    },
    Dp2a {
        a: bool,
        b: bool,
        high: bool,
    },
    /// `mul24` and `mad24`: the low word of the product, or its upper 32 of 48 bits.
    Mad24 {
        signed: bool,
        high: bool,
    },
    /// `cvt.pack`: integers to `bits` bits each, on top of those of the third operand.
    Pack {
        bits: u8,
        signed: bool,
    },
    Bmsk {
        clamp: bool,
    },
    SzextS {
        clamp: bool,
    },
    SzextU {
        clamp: bool,
    },
    Fns,
}

/// Modes of `prmt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Prmt {
    Index,
    F4e,
    B4e,
    Rc8,
    Ecl,
    Ecr,
    Rc16,
}

/// Operations with double-word sources and a word somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mixed {
    Popc,
    Clz,
    BfindS { shift: bool },
    BfindU { shift: bool },
}

/// Floating-point operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Flt {
    Add,
    Sub,
    Mul,
    Fma,
    Div,
    Min,
    Max,
    MinNan,
    MaxNan,
    Abs,
    Neg,
    Rcp,
    Sqrt,
    Rsqrt,
    Sin,
    Cos,
    Lg2,
    Ex2,
    Tanh,
    Copysign,
    /// Of three numbers.
    Min3,
    Max3,
    Min3Nan,
    Max3Nan,
    /// Of the magnitudes; the sign is that of the product.
    MinSigned,
    MaxSigned,
    MinNanSigned,
    MaxNanSigned,
    /// `fma.relu`: negative results become zero.
    FmaRelu,
}

/// How a floating-point operation rounds and clamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Rounding.
    pub round: Round,
    /// Subnormals flush to zero.
    pub ftz: bool,
    /// Clamp to 0..1.
    pub sat: bool,
    /// Clamp to the finite numbers of the result's format.
    pub finite: bool,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

/// What is compared, or converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Ty {
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    /// A smaller floating-point format.
    Small(Small),
}

impl Ty {
    /// Bytes of a value.
    pub fn bytes(self) -> u32 {
        match self {
            Ty::S8 | Ty::U8 => 1,
            Ty::S16 | Ty::U16 => 2,
            Ty::S32 | Ty::U32 | Ty::F32 => 4,
            Ty::S64 | Ty::U64 | Ty::F64 => 8,
            Ty::Small(small) => small.bytes(),
        }
    }

    /// Whether values are signed integers.
    pub fn signed(self) -> bool {
        matches!(self, Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64)
    }

    /// Whether values are floating-point numbers.
    pub fn float(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64 | Ty::Small(_))
    }
}

/// How a comparison's result is combined with a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Bool {
    And,
    Or,
    Xor,
}

/// A predicate operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pred {
    /// Register.
    pub register: u32,
    /// Read inverted.
    pub negated: bool,
}

/// Address of a memory instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addr {
    /// Base register.
    pub base: Slot,
    /// Added bytes.
    pub offset: i64,
}

/// Space of a memory instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Where {
    Generic,
    Global,
    Shared,
    Local,
    Const,
    Param,
}

/// Registers listed beside the program: first and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// First entry.
    pub start: u32,
    /// Entries.
    pub count: u8,
}

/// Read-modify-write operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Rmw {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Inc,
    Dec,
    Exch,
    Cas,
}

/// Shuffles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Shfl {
    Up,
    Down,
    Bfly,
    Idx,
}

/// Votes and reductions over the lanes of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Vote {
    All,
    Any,
    Uni,
    Ballot,
}

/// Carry arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// Subtracts.
    pub sub: bool,
    /// Multiplies first: low half, or high half.
    pub mul: Option<Half>,
    /// The high half of the product is a signed one.
    pub signed: bool,
    /// Takes the carry in.
    pub takes: bool,
    /// Sets the carry.
    pub sets: bool,
}

/// Arithmetic on the parts of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Operation.
    pub op: PartsOp,
    /// Bits of a part: 8, 16 or 32.
    pub bits: u8,
    /// The first operand's parts are signed.
    pub a_signed: bool,
    /// The second operand's are.
    pub b_signed: bool,
    /// The result's are, which matters to saturation.
    pub d_signed: bool,
    /// Clamps to the range of the result.
    pub sat: bool,
    /// Negative results become zero.
    pub relu: bool,
    /// The result is the third operand plus all parts.
    pub sum: bool,
}

/// Operations on parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PartsOp {
    Add,
    Sub,
    Average,
    Difference,
    Min,
    Max,
    Set(Cmp),
}

/// Which half of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Half {
    Low,
    High,
}
