//! One kernel with everything it calls as a flat list of instructions with resolved names.
//!
//! Scopes are gone, labels are instruction numbers, registers and variables are indices. The
//! emulator's decoder and the lowering to machine instructions both start from here, so that
//! instruction number `n` means the same to both.

mod builtin;
mod calls;
mod labels;
mod layout;
mod resolve;
mod scope;
mod tuning;

use super::ast::{Linkage, Number, Space, Type, spelled};

/// Width of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// A predicate.
    Pred,
    /// 8 or 16 bits, in the low half of a word.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// The width of registers of type `ty`; `None` for 128 bits, which are two registers.
    pub fn of(ty: Type) -> Option<Width> {
        Some(match ty.bytes() {
            0 => Width::Pred,
            1 | 2 => Width::W16,
            4 => Width::W32,
            8 => Width::W64,
            _ => return None,
        })
    }
}

/// A register: its width and its number among the registers of its file (16-bit registers share
/// the file of the 32-bit ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Width.
    pub width: Width,
    /// Number within its file.
    pub slot: u32,
}

/// A variable in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    /// Name.
    pub name: String,
    /// Where it lives. Parameters of calls live in local memory.
    pub space: Space,
    /// Parameter of the entry itself.
    pub entry_param: bool,
    /// First byte within its space; for module-level variables of `.global`, within the module's
    /// image.
    pub offset: u64,
    /// Size; 0 for `extern` arrays without one.
    pub bytes: u64,
    /// Linking directive.
    pub linkage: Linkage,
    /// Function that it belongs to, where it is local or a parameter.
    pub owner: u32,
}

/// A special register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    Laneid,
    Warpid,
    Nwarpid,
    Smid,
    Nsmid,
    Gridid,
    LaneMask(Mask),
    Clock,
    ClockHi,
    Clock64,
    GlobalTimer,
    GlobalTimerLo,
    GlobalTimerHi,
    DynamicSmem,
    TotalSmem,
    /// `%clusterid`, `%cluster_ctaid` and the like without clusters: this value.
    Fixed(u32),
}

/// Which of the five lane masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Mask {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A resolved operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// Register by number.
    Reg(u32),
    /// `!%p`
    Not(u32),
    /// `_`
    Sink,
    /// Literal.
    Imm(Number),
    /// Special register.
    Special(Special),
    /// Address of a variable, plus bytes.
    Symbol(u32, i64),
    /// Instruction number of a label.
    Label(u32),
    /// Several labels (`.branchtargets`).
    Labels(Vec<u32>),
    /// Function by number.
    Function(u32),
    /// `{a, b}`
    Vector(Vec<Arg>),
    /// `a|b`, either of which may be `_`
    Pair(Option<u32>, Option<u32>),
    /// `(a, b)`
    Params(Vec<Arg>),
    /// `[reg+offset]`
    Address {
        /// Base register, if there is one.
        base: Option<u32>,
        /// Base variable, if there is one.
        symbol: Option<u32>,
        /// Added bytes.
        offset: i64,
    },
    /// Any address with more than one component.
    Complex,
    /// A name that nothing declares.
    Unknown(String),
}

impl Arg {
    /// Calls `f` with every register that it names.
    pub fn registers(&self, f: &mut impl FnMut(u32)) {
        match self {
            Arg::Reg(r) | Arg::Not(r) => f(*r),
            Arg::Pair(a, b) => a.iter().chain(b).for_each(|r| f(*r)),
            Arg::Vector(list) | Arg::Params(list) => list.iter().for_each(|a| a.registers(f)),
            Arg::Address { base: Some(r), .. } => f(*r),
            _ => {}
        }
    }
}

/// A resolved instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatInst<'a> {
    /// Guard: register, and whether it is negated.
    pub guard: Option<(u32, bool)>,
    /// Opcode.
    pub opcode: &'a str,
    /// Modifiers.
    pub modifiers: Vec<&'a str>,
    /// Operands.
    pub args: Vec<Arg>,
    /// Line of the file.
    pub line: u32,
}

impl FlatInst<'_> {
    /// Whether `modifier` is among the modifiers.
    pub fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// Opcode with modifiers.
    pub fn text(&self) -> String {
        spelled(self.opcode, &self.modifiers)
    }
}

/// A function of the flat list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlatFunction {
    /// Name.
    pub name: String,
    /// First instruction; `None` when it has no body here.
    pub start: Option<u32>,
    /// One past its last instruction.
    pub end: u32,
    /// Formal parameters, symbols or registers.
    pub params: Vec<Arg>,
    /// Return parameters.
    pub returns: Vec<Arg>,
    /// Numbers of the functions that it calls by name.
    pub calls: Vec<u32>,
    /// Calls what a register points to.
    pub indirect: bool,
    /// Its address is taken, so that any indirect call may be one of it.
    pub taken: bool,
    /// Can be called while it runs, or takes stack: each activation needs registers and memory of
    /// its own.
    pub recursive: bool,
    /// Local memory of its variables and parameters: start, end.
    pub local: (u64, u64),
    /// Its registers in each file: start, end.
    pub files: [(u32, u32); 3],
}

/// A kernel, flat.
#[derive(Clone, Debug, Default)]
pub struct Flat<'a> {
    /// Instructions; the entry's come first.
    pub insts: Vec<FlatInst<'a>>,
    /// Registers.
    pub registers: Vec<Register>,
    /// Variables.
    pub symbols: Vec<Symbol>,
    /// Functions; the entry is number 0.
    pub functions: Vec<FlatFunction>,
    /// The entry's parameters: symbol numbers in order, with their types and element counts.
    pub params: Vec<(u32, Type, u64)>,
    /// Registers in each file: predicates, words, double words.
    pub files: [u32; 3],
    /// Bytes of static shared memory.
    pub shared_bytes: u64,
    /// Bytes of local memory of a thread, call parameters included.
    pub local_bytes: u64,
    /// Bytes of local memory that are variables (not call parameters).
    pub local_variable_bytes: u64,
    /// Image of module-level `.global` variables.
    pub global: Image,
    /// Image of `.const` variables.
    pub constant: Image,
    /// Bytes of the entry's parameters.
    pub param_bytes: u64,
    /// `.reqntid`, or `.maxntid`: threads that a CTA may have.
    pub threads_max: Option<u64>,
    /// `.reqntid`.
    pub threads_required: Option<[u32; 3]>,
    /// Looks for what a cooperative launch gives, which no launch here does.
    pub cooperative: bool,
    /// `.reqnctapercluster`: CTAs of a cluster.
    pub cluster: Option<[u32; 3]>,
}

/// Initial content of module-level variables, with the addresses in it still to be added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// Bytes.
    pub bytes: Vec<u8>,
    /// Places that hold addresses.
    pub fixups: Vec<Fixup>,
    /// Whether each variable was initialised by the module: start, size.
    pub initialised: Vec<(u64, u64)>,
}

/// An address in an initialiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixup {
    /// Where.
    pub at: u64,
    /// Bytes.
    pub bytes: u32,
    /// Variable, or function.
    pub symbol: u32,
    /// It is a function.
    pub function: bool,
    /// Bits that the address is shifted right by, where only some of its bytes are meant.
    pub shift: u32,
    /// Added bytes.
    pub offset: i64,
    /// Taken as a generic address.
    pub generic: bool,
}

pub use layout::number_bits;
pub use resolve::{FlatError, entries, flatten};
