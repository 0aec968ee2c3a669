//! The decoded operation itself.

use super::*;

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
    /// `mov.b128`, register by register.
    MovList {
        d: List,
        a: List,
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
    /// `lop3` with a predicate: whether the result is not zero, and or or `with`.
    Lop3Pred {
        table: u8,
        any: bool,
        d: u32,
        p: u32,
        abc: [u32; 3],
        with: Pred,
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
    /// Float arithmetic whose first operand, for `fma` also the second, is of a smaller format.
    F32Mixed {
        f: Flt,
        m: Mode,
        small: Small,
        d: u32,
        a: u32,
        b: u32,
        c: u32,
    },
    /// Packed 16-bit and video instructions.
    Parts {
        f: Parts,
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
    /// `set` on both halves of packed values.
    SetPacked {
        cmp: Cmp,
        small: Small,
        /// What a half becomes where it holds.
        ones: u16,
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
    /// Two packed values of one small format to two of another.
    CvtTwo {
        from: Small,
        to: Small,
        m: Mode,
        relu: bool,
        d: u32,
        a: u32,
    },
    /// Generic address from or to that of a space.
    Cvta {
        wide: bool,
        base: u64,
        to: bool,
        d: u32,
        a: u32,
    },
    /// The address of the same variable in CTA `rank` of the cluster, which has but one.
    Mapa {
        wide: bool,
        d: u32,
        a: u32,
        rank: u32,
    },
    Isspacep {
        d: u32,
        a: u32,
        base: u64,
    },
    Ld {
        space: Where,
        ty: Ty,
        /// Others may wait for what it reads: a loop of it may have to let them run.
        polls: bool,
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
    /// Element by element, in ascending order of addresses.
    AtomVector {
        space: Where,
        f: Rmw,
        ty: Ty,
        packed: bool,
        addr: Addr,
        d: Option<List>,
        b: List,
        /// What a compare-and-swap of all elements together writes.
        c: List,
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
    /// `wgmma.mma_async`: number of its description.
    Wgmma {
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
    /// Takes bytes from the stack of each thread.
    Alloca {
        d: u32,
        bytes: u32,
        align: u32,
    },
    /// A call that copies its parameters: number of its description.
    CallSite {
        site: u32,
    },
    Ret,
    Exit,
    Trap,
}
