//! What a PTX file says: modules, functions, variables, statements, operands.
//!
//! Everything borrows from the source text. Modifiers stay text: which of them an instruction may
//! have is the business of the decoder.

/// Lanes of a warp, which PTX calls `WARP_SZ`.
pub const WARP_SIZE: i64 = 32;

/// Where something was written. All places are equal, so that syntax trees compare by content.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A PTX file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module<'a> {
    /// ISA version, as written (`8.8`).
    pub version: &'a str,
    /// Target architecture and options (`sm_80`, `texmode_independent`).
    pub target: Vec<&'a str>,
    /// Bits of an address, 64 unless the file says 32.
    pub address_size: u8,
    /// Declarations in order.
    pub items: Vec<Item<'a>>,
}

/// A declaration at module level.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// A variable.
    Variable(Variable<'a>),
    /// A function with or without body.
    Function(Function<'a>),
    /// `.alias name, target;`
    Alias(&'a str, &'a str),
    /// `.pragma "text";`
    Pragma(&'a str),
}

/// Linking directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linkage {
    /// None.
    #[default]
    Local,
    /// `.visible`
    Visible,
    /// `.extern`
    Extern,
    /// `.weak`
    Weak,
    /// `.common`
    Common,
}

/// State space of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// `.reg`
    Reg,
    /// `.param`
    Param,
    /// `.global`
    Global,
    /// `.shared`
    Shared,
    /// `.const`
    Const,
    /// `.local`
    Local,
    /// `.tex`
    Tex,
}

/// Fundamental types of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Type {
    B8,
    B16,
    B32,
    B64,
    B128,
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    F32,
    F64,
    Pred,
    Texref,
    Samplerref,
    Surfref,
}

impl Type {
    /// All types with their names.
    pub const ALL: [(Type, &'static str); 23] = [
        (Type::B8, "b8"),
        (Type::B16, "b16"),
        (Type::B32, "b32"),
        (Type::B64, "b64"),
        (Type::B128, "b128"),
        (Type::U8, "u8"),
        (Type::U16, "u16"),
        (Type::U32, "u32"),
        (Type::U64, "u64"),
        (Type::S8, "s8"),
        (Type::S16, "s16"),
        (Type::S32, "s32"),
        (Type::S64, "s64"),
        (Type::F16, "f16"),
        (Type::F16x2, "f16x2"),
        (Type::Bf16, "bf16"),
        (Type::Bf16x2, "bf16x2"),
        (Type::F32, "f32"),
        (Type::F64, "f64"),
        (Type::Pred, "pred"),
        (Type::Texref, "texref"),
        (Type::Samplerref, "samplerref"),
        (Type::Surfref, "surfref"),
    ];

    /// The type that `name` (without dot) names.
    pub fn of(name: &str) -> Option<Type> {
        Type::ALL.iter().find(|(_, n)| *n == name).map(|(t, _)| *t)
    }

    /// Its name without dot.
    pub fn name(self) -> &'static str {
        Type::ALL
            .iter()
            .find(|(t, _)| *t == self)
            .map_or("b32", |(_, n)| n)
    }

    /// Bytes of a value; 0 for predicates, 8 for opaque references.
    pub fn bytes(self) -> u32 {
        use Type::*;
        match self {
            Pred => 0,
            B8 | U8 | S8 => 1,
            B16 | U16 | S16 | F16 | Bf16 => 2,
            B32 | U32 | S32 | F32 | F16x2 | Bf16x2 => 4,
            B64 | U64 | S64 | F64 | Texref | Samplerref | Surfref => 8,
            B128 => 16,
        }
    }
}

/// A variable of any space: register, parameter, memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable<'a> {
    /// Linking directive.
    pub linkage: Linkage,
    /// Where it lives.
    pub space: Space,
    /// `.align`, bytes.
    pub align: Option<u32>,
    /// Elements of a vector type, 1 without.
    pub vector: u8,
    /// Element type.
    pub ty: Type,
    /// `.ptr` of a kernel parameter: what it points to and how that is aligned.
    pub pointer: Option<Pointer>,
    /// Name, with `%` for registers that have it.
    pub name: &'a str,
    /// `name<N>`: registers `name0` to `nameN-1`.
    pub range: Option<u32>,
    /// Array dimensions; `None` is `[]`.
    pub dims: Vec<Option<u64>>,
    /// Initialiser.
    pub init: Option<Init<'a>>,
    /// Where.
    pub place: Place,
}

/// `.ptr .global .align 16` of a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    /// Space it points into; `None` is generic.
    pub space: Option<Space>,
    /// Alignment of what it points to.
    pub align: Option<u32>,
}

/// An initialiser.
#[derive(Clone, Debug, PartialEq)]
pub enum Init<'a> {
    /// A number.
    Number(Number),
    /// An address: `name`, `name+offset`, `generic(name)`, `0xff00(name)`.
    Address {
        /// Variable or function.
        name: &'a str,
        /// Added bytes.
        offset: i64,
        /// Taken as a generic address.
        generic: bool,
        /// Only these bits of the address.
        mask: Option<u64>,
    },
    /// A brace list.
    List(Vec<Init<'a>>),
}

/// A literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Integer; unsigned values above the signed range wrap.
    Int(i64),
    /// Bits of `0f...`.
    F32(u32),
    /// Bits of `0d...`, or of a decimal fraction.
    F64(u64),
}

/// An entry or a device function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function<'a> {
    /// Linking directive.
    pub linkage: Linkage,
    /// `.entry`, else `.func`.
    pub entry: bool,
    /// Name.
    pub name: &'a str,
    /// Return parameters.
    pub returns: Vec<Variable<'a>>,
    /// Parameters.
    pub params: Vec<Variable<'a>>,
    /// `.maxntid 256, 1, 1` and the like, in order.
    pub tuning: Vec<Tuning<'a>>,
    /// Statements; `None` for a declaration.
    pub body: Option<Vec<Statement<'a>>>,
    /// Where.
    pub place: Place,
}

/// A performance-tuning or ABI directive of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning<'a> {
    /// Name without dot.
    pub name: &'a str,
    /// Numbers.
    pub values: Vec<i64>,
    /// Text of a `.pragma`.
    pub text: Option<&'a str>,
}

/// A statement of a function body.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement<'a> {
    /// `name:`
    Label(&'a str),
    /// An instruction.
    Instruction(Instruction<'a>),
    /// A declaration.
    Variable(Variable<'a>),
    /// `{ ... }`: a scope of its own.
    Block(Vec<Statement<'a>>),
    /// `.pragma "text";`
    Pragma(&'a str),
    /// `name: .callprototype (returns) _ (params);`
    Prototype(Prototype<'a>),
    /// `name: .branchtargets a, b;` or `.calltargets`
    Targets {
        /// Label of the list.
        name: &'a str,
        /// `.calltargets`, else `.branchtargets`.
        call: bool,
        /// What it lists.
        targets: Vec<&'a str>,
    },
}

/// The signature of an indirect call.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototype<'a> {
    /// Its label.
    pub name: &'a str,
    /// Return parameters.
    pub returns: Vec<Variable<'a>>,
    /// Parameters.
    pub params: Vec<Variable<'a>>,
    /// `.noreturn` and the like.
    pub tuning: Vec<Tuning<'a>>,
}

/// `@!%p`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard<'a> {
    /// Predicate register.
    pub name: &'a str,
    /// Executes where it is false.
    pub negated: bool,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction<'a> {
    /// Guard predicate.
    pub guard: Option<Guard<'a>>,
    /// Opcode without modifiers.
    pub opcode: &'a str,
    /// Modifiers without dots, in order.
    pub modifiers: Vec<&'a str>,
    /// Operands in order.
    pub operands: Vec<Operand<'a>>,
    /// Where.
    pub place: Place,
}

impl Instruction<'_> {
    /// Whether `modifier` is among the modifiers.
    pub fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// Opcode with its modifiers, as written.
    pub fn text(&self) -> String {
        spelled(self.opcode, &self.modifiers)
    }
}

/// Opcode with its modifiers, as written.
pub fn spelled(opcode: &str, modifiers: &[&str]) -> String {
    modifiers
        .iter()
        .fold(opcode.to_owned(), |text, m| text + "." + m)
}

/// An operand.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand<'a> {
    /// Register, variable, label, function or `_`, perhaps with a component (`%tid.x`) or an added
    /// offset (`name+8`), perhaps negated (`!%p`).
    Name(Name<'a>),
    /// A literal.
    Number(Number),
    /// `{a, b}`
    Vector(Vec<Operand<'a>>),
    /// `a|b`: two destinations.
    Pair(Name<'a>, Name<'a>),
    /// `(a, b)`: parameters of a call.
    Parameters(Vec<Operand<'a>>),
    /// `[base+offset]`, `[base, {x, y}]`
    Address(Vec<Operand<'a>>),
}

/// A named operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name.
    pub name: &'a str,
    /// Component without dot.
    pub component: Option<&'a str>,
    /// Added bytes.
    pub offset: i64,
    /// `!` in front.
    pub negated: bool,
}

impl<'a> Name<'a> {
    /// A bare name.
    pub fn plain(name: &'a str) -> Self {
        Name {
            name,
            ..Name::default()
        }
    }
}
