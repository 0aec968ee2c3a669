//! The opcode table: SASS mnemonic and raw operands to a timing-ready [`StaticInst`].
//!
//! Traces name a wide operand by its first register only; how many registers it really spans
//! follows from the mnemonic (`width`). Dependences are only as good as this inference, so the
//! rules err on the side of too few registers: a missed half of a pair costs nothing when the other
//! half carries the same dependence, while a false register would serialise independent work.

mod memory;
mod table;
mod tensor;
mod width;

pub use memory::prefetch_hint;
pub use table::{class_of, is_async_work};

use super::inst::{OpClass, RegFile, RegRange, StaticInst};

/// Set in `StaticInst::imm` of a barrier instruction that arrives without waiting (`BAR.ARV`); the
/// low eight bits are the barrier's number.
pub const BARRIER_ARRIVE_ONLY: u64 = 0x100;

/// A register operand as the trace names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Register file.
    pub file: RegFile,
    /// First register.
    pub number: u16,
}

impl Operand {
    /// General register `number`.
    pub const fn r(number: u16) -> Self {
        Operand {
            file: RegFile::General,
            number,
        }
    }

    /// Whether this is the register of its file that always reads zero (or true).
    pub fn is_zero(self) -> bool {
        match self.file {
            RegFile::General => self.number >= 255,
            RegFile::Uniform => self.number == 63 || self.number >= 255,
            RegFile::Predicate | RegFile::UniformPredicate => self.number >= 7,
        }
    }

    /// `count` registers from here; none for a zero register.
    fn range(self, count: u8) -> RegRange {
        if self.is_zero() {
            return RegRange::NONE;
        }
        let first = self.number as u8;
        let scalar = matches!(self.file, RegFile::Predicate | RegFile::UniformPredicate);
        RegRange {
            file: self.file,
            first,
            count: if scalar {
                1
            } else {
                count.min(u8::MAX - first)
            },
        }
    }
}

/// A mnemonic cut at its dots.
#[derive(Clone, Copy, Debug)]
pub struct Mnemonic<'a> {
    text: &'a str,
    /// Text before the first dot.
    pub base: &'a str,
}

impl<'a> Mnemonic<'a> {
    /// Cuts `text`.
    pub fn new(text: &'a str) -> Self {
        let base = text.split('.').next().unwrap_or("");
        Mnemonic { text, base }
    }

    /// The modifiers, in order.
    pub fn modifiers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text.split('.').skip(1)
    }

    /// Whether `modifier` is among them.
    pub fn has(&self, modifier: &str) -> bool {
        self.modifiers().any(|m| m == modifier)
    }
}

/// What the trace says about one instruction.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// Byte offset from the kernel's start.
    pub pc: u32,
    /// Full mnemonic.
    pub text: &'a str,
    /// Destination registers, zero registers included.
    pub dst: &'a [Operand],
    /// Source registers, zero registers included: their position tells an operand's role.
    pub src: &'a [Operand],
    /// Immediate, 0 without one.
    pub imm: u64,
    /// False for a memory instruction that the trace gives no addresses for.
    pub addressed: bool,
}

/// Decodes one instruction; `mnemonic` is its number in the kernel's table. Never fails: what the
/// table does not know becomes [`OpClass::Unknown`].
pub fn decode(raw: &Raw<'_>, mnemonic: u16) -> StaticInst {
    let name = Mnemonic::new(raw.text);
    let mut class = table::class_of(&name);
    let mut inst = StaticInst::new(raw.pc, mnemonic, class);
    let widths = width::Widths::of(&name, class, raw);
    let mut dst = inst.dst.iter_mut();
    for (i, operand) in raw.dst.iter().enumerate() {
        let range = operand.range(widths.dst(i, operand.file));
        if range.count > 0
            && let Some(slot) = dst.next()
        {
            *slot = range;
        }
    }
    let mut src = inst.src.iter_mut();
    let mut general = 0;
    for operand in raw.src {
        let position = general;
        general += usize::from(operand.file == RegFile::General);
        let range = operand.range(widths.src(position, operand.file));
        if range.count > 0
            && let Some(slot) = src.next()
        {
            *slot = range;
        }
    }
    if class == OpClass::Memory {
        inst.mem = memory::operation(&name, raw);
        // A line without addresses cannot make traffic; what is left of it is an issue slot.
        if inst.mem.is_none() {
            class = OpClass::CacheControl;
        }
    }
    inst.class = class;
    inst.tensor = tensor::operation(&name);
    inst.imm = immediate(&name, class, raw.imm);
    inst
}

fn immediate(name: &Mnemonic<'_>, class: OpClass, imm: u64) -> u64 {
    match class {
        OpClass::Barrier => {
            let number = if imm & 0xff < 16 { imm & 0xff } else { 0 };
            let arrive = if name.has("ARV") {
                BARRIER_ARRIVE_ONLY
            } else {
                0
            };
            number | arrive
        }
        OpClass::Membar => {
            if name.has("CTA") || name.has("SM") {
                0
            } else if name.has("SYS") || name.has("VC") {
                2
            } else {
                1
            }
        }
        _ => imm,
    }
}

#[cfg(test)]
mod tests;
