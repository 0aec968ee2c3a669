//! Decoded instructions.
//!
//! `d`, `a`, `b`, `c` are register numbers within the file that the operation implies.

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
    BfindS { shift: bool },
    BfindU { shift: bool },
    BfeS,
    BfeU,
    Prmt(Prmt),
    FunnelL { clamp: bool },
    FunnelR { clamp: bool },
    Dp4a { a: bool, b: bool },
    Dp2a { a: bool, b: bool, high: bool },
    Mul24S,
    Mul24U,
    Mad24S,
    Mad24U,
    Bmsk { clamp: bool },
    SzextS { clamp: bool },
    SzextU { clamp: bool },
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

/// Which half of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Half {
    Low,
    High,
}

/// A decoded operation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Op {
    Nop,
    /// Not executable: number of the reason.
    Refused(u32),
    Mov32 {
        d: u32,
        a: u32,
    },
    Mov64 {
        d: u32,
        a: u32,
    },
    MovPred {
        d: u32,
        a: Pred,
    },
    Pack {
        d: Slot,
        parts: List,
    },
    Unpack {
        parts: List,
        a: Slot,
    },
    Clock {
        d: Slot,
        high: bool,
    },
    Int16 {
        f: Int,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Int32 {
        f: Int,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Int64 {
        f: Int,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Shift16 {
        f: Shift,
        d: u32,
        a: u32,
        b: u32,
    },
    Shift32 {
        f: Shift,
        d: u32,
        a: u32,
        b: u32,
    },
    Shift64 {
        f: Shift,
        d: u32,
        a: u32,
        b: u32,
    },
    Word {
        f: Word,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Mixed {
        f: Mixed,
        d: u32,
        a: u32,
    },
    Bfe64 {
        signed: bool,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Bfi32 {
        d: u32,
        a: u32,
        b: u32,
        c: u32,
        e: u32,
    },
    Bfi64 {
        d: u32,
        a: u32,
        b: u32,
        c: u32,
        e: u32,
    },
    /// `mul.wide` from 32 bits.
    Wide {
        signed: bool,
        d: u32,
        a: u32,
        b: u32,
    },
    MadWide {
        signed: bool,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    /// `mul.wide` from 16 bits, plus `c`.
    Wide16 {
        signed: bool,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Carry32 {
        f: Carry,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    Carry64 {
        f: Carry,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    F32 {
        f: Flt,
        m: Mode,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    F64 {
        f: Flt,
        m: Mode,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    /// Half and bfloat16, one or two to a register.
    F16 {
        f: Flt,
        m: Mode,
        small: Small,
        packed: bool,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    /// Two floats in a double word.
    F32x2 {
        f: Flt,
        m: Mode,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    /// `testp`: class of a number.
    TestP {
        d: u32,
        a: Slot,
        class: u8,
    },
    Setp {
        cmp: Cmp,
        ty: Ty,
        ftz: bool,
        d: u32,
        e: Option<u32>,
        a: u32,
        b: u32,
        with: Option<(Bool, Pred)>,
    },
    /// Both halves of packed values.
    SetpPacked {
        cmp: Cmp,
        small: Small,
        d: u32,
        e: Option<u32>,
        a: u32,
        b: u32,
        with: Option<(Bool, Pred)>,
    },
    /// `set`: a value of all ones, or 1.0.
    Set {
        cmp: Cmp,
        ty: Ty,
        ftz: bool,
        ones: u32,
        d: u32,
        a: u32,
        b: u32,
        with: Option<(Bool, Pred)>,
    },
    Sel32 {
        d: u32,
        a: u32,
        b: u32,
        p: Pred,
    },
    Sel64 {
        d: u32,
        a: u32,
        b: u32,
        p: Pred,
    },
    /// `slct`: by the sign of `c`.
    Slct {
        wide: bool,
        float: bool,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    PredOp {
        f: Int,
        d: u32,
        a: Pred,
        b: Pred,
    },
    Cvt {
        from: Ty,
        to: Ty,
        m: Mode,
        integral: bool,
        relu: bool,
        d: Slot,
        a: Slot,
    },
    /// Two floats to a packed register, first to the high half.
    CvtPack {
        to: Small,
        m: Mode,
        relu: bool,
        d: u32,
        a: u32,
        b: u32,
    },
    /// Generic address from or to that of a space.
    Cvta {
        wide: bool,
        base: u64,
        to: bool,
        d: u32,
        a: u32,
    },
    Isspacep {
        d: u32,
        a: u32,
        base: u64,
    },
    Ld {
        space: Where,
        ty: Ty,
        addr: Addr,
        d: List,
    },
    St {
        space: Where,
        bytes: u8,
        addr: Addr,
        a: List,
    },
    Atom {
        space: Where,
        f: Rmw,
        ty: Ty,
        packed: bool,
        addr: Addr,
        d: Option<Slot>,
        b: Slot,
        c: Option<Slot>,
    },
    CpAsync {
        dst: Addr,
        src: Addr,
        bytes: u8,
        size: Option<u32>,
        ignore: Option<Pred>,
    },
    Ldmatrix {
        addr: Addr,
        trans: bool,
        d: List,
    },
    Stmatrix {
        addr: Addr,
        trans: bool,
        a: List,
    },
    /// `mma.sync`: number of its description.
    Mma {
        which: u32,
    },
    /// `wmma.load` or `.store`: number of its description.
    Fragment {
        which: u32,
    },
    Movmatrix {
        d: u32,
        a: u32,
    },
    Shfl {
        f: Shfl,
        d: u32,
        p: Option<u32>,
        a: u32,
        b: u32,
        c: u32,
        members: u32,
    },
    Vote {
        f: Vote,
        d: u32,
        a: Pred,
        members: u32,
    },
    /// `match`: to a mask, with the predicate of `.all`.
    Match {
        all: bool,
        d: u32,
        p: Option<u32>,
        a: Slot,
        members: u32,
    },
    Redux {
        f: Int,
        d: u32,
        a: u32,
        members: u32,
    },
    ReduxFloat {
        f: Flt,
        abs: bool,
        d: u32,
        a: u32,
        members: u32,
    },
    Activemask {
        d: u32,
    },
    Elect {
        d: u32,
        p: u32,
        members: u32,
    },
    WarpSync {
        members: u32,
    },
    Bar {
        number: u32,
        threads: Option<u32>,
        arrive: bool,
        red: Option<(Vote, u32, Pred)>,
    },
    Bra {
        target: u32,
    },
    /// Indexed branch: register and list of targets.
    Brx {
        index: u32,
        targets: u32,
    },
    Call {
        function: u32,
    },
    Ret,
    Exit,
    Trap,
}
