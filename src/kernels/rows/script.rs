//! Code written as text: a line an instruction, registers by name.
//!
//! ```text
//! FFMA.SAT t = x k
//! MUFU.EX2 v = v
//! BRA p
//! ```
//! Left of `=` are destinations, right of it sources, guards among them; without `=` all are sources. `r7`, `p2` and
//! `u4` are registers, `c3` is kernel parameter 3 in constant memory, any other word is a name that the caller
//! binds to a register; a name whose first letter is `p` is a predicate. Immediates are left out: they cost nothing.
//! `SKIP` is no instruction: what is before it jumps over as many as there are words behind it.

use crate::isa::opcode::Operand;
use crate::kernels::builder::{KernelBuilder, p, r, ur};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Registers by name.
pub type Names<'a> = &'a [(&'a str, u16)];

/// What a word stands for.
enum Word {
    Register(Operand),
    Constant(u32),
}

fn word(text: &str, names: Names<'_>) -> Word {
    if let Some((_, number)) = names.iter().find(|(name, _)| *name == text) {
        return Word::Register(match text.starts_with('p') {
            true => p(*number),
            false => r(*number),
        });
    }
    let (file, number) = text.split_at(1);
    let number: u16 = number
        .parse()
        .unwrap_or_else(|_| panic!("{text} is bound to no register"));
    match file {
        "r" => Word::Register(r(number)),
        "p" => Word::Register(p(number)),
        "u" => Word::Register(ur(number)),
        "c" => Word::Constant(number.into()),
        _ => panic!("{text} is bound to no register"),
    }
}

/// Appends the instruction of one line.
fn append_line(code: &mut KernelBuilder, line: &str, names: Names<'_>, renamed: &[(&str, &str)]) {
    let (left, right) = match line.split_once('=') {
        Some((left, right)) => (left, Some(right)),
        None => (line, None),
    };
    let mut left = left.split_whitespace();
    let mnemonic = left.next().expect("a line has a mnemonic");
    if mnemonic == "SKIP" {
        code.skip(left.count() as u32);
        return;
    }
    let mut constant = None;
    let mut operands = |words: &mut dyn Iterator<Item = &str>| {
        let mut found = Vec::new();
        for text in words {
            let renamed = renamed.iter().find(|(from, _)| *from == text);
            match word(renamed.map_or(text, |(_, to)| to), names) {
                Word::Register(register) => found.push(register),
                Word::Constant(index) => constant = Some(index),
            }
        }
        found
    };
    let (dst, src) = match right {
        Some(right) => (operands(&mut left), operands(&mut right.split_whitespace())),
        None => (Vec::new(), operands(&mut left)),
    };
    match constant {
        Some(index) => {
            let offset = code.parameter(index);
            code.inst_const(mnemonic, &dst, &src, offset);
        }
        None => {
            code.inst(mnemonic, &dst, &src);
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split(['\n', ';']).map(str::trim);
    lines.filter(|line| !line.is_empty())
}

/// Appends the instructions of `text`. Returns their range.
pub fn list(code: &mut KernelBuilder, text: &str, names: Names<'_>) -> Range<u32> {
    let start = code.here();
    for line in lines(text) {
        append_line(code, line, names, &[]);
    }
    start..code.here()
}

/// Appends each line of `text` once for each of `elements`, whose registers it gives other names than they have there.
pub fn list_each(
    code: &mut KernelBuilder,
    text: &str,
    elements: &[Vec<(&str, u16)>],
    renamed: &[(&str, &str)],
) {
    for line in lines(text) {
        for element in elements {
            append_line(code, line, element, renamed);
        }
    }
}

/// Straight code with the memory instructions in it.
#[derive(Clone, Debug)]
pub struct Block {
    range: Range<u32>,
    accesses: Vec<u32>,
}

/// Where the lanes of one memory instruction lie.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// The instruction is predicated off.
    Off,
    /// As a pattern.
    Pattern {
        /// Active lanes.
        mask: u32,
        /// Address of the first of them.
        base: u64,
        /// Where the others lie.
        pattern: PatternId,
    },
    /// One by one.
    List {
        /// Active lanes.
        mask: u32,
        /// Their addresses.
        addresses: Vec<u64>,
    },
}

impl Block {
    /// The code from instruction `start` to the end of what there is now.
    pub fn from(code: &KernelBuilder, start: u32) -> Self {
        let range = start..code.here();
        let accesses = range
            .clone()
            .filter(|&at| code.accesses_memory(at))
            .collect();
        Block { range, accesses }
    }

    /// Instructions.
    pub fn len(&self) -> u64 {
        (self.range.end - self.range.start).into()
    }

    /// Appends a block without memory instructions to a warp under `mask`.
    pub fn emit_plain(&self, mask: u32, out: &mut CtaEncoder) {
        self.emit(mask, out, |_| Access::Off);
    }

    /// Appends the block to a warp under `mask`; memory instruction number `n` of it accesses `access(n)`.
    pub fn emit(&self, mask: u32, out: &mut CtaEncoder, mut access: impl FnMut(usize) -> Access) {
        let mut at = self.range.start;
        for (n, &index) in self.accesses.iter().enumerate() {
            self.straight(at..index, mask, out);
            match access(n) {
                Access::Off => out.inst(index, 0),
                Access::Pattern {
                    mask,
                    base,
                    pattern,
                } => crate::kernels::access(out, index, mask, base, pattern),
                Access::List { mask, addresses } => {
                    out.inst(index, mask);
                    out.access_list(index, &addresses);
                }
            }
            at = index + 1;
        }
        self.straight(at..self.range.end, mask, out);
    }

    fn straight(&self, range: Range<u32>, mask: u32, out: &mut CtaEncoder) {
        crate::kernels::insts(out, range, mask);
    }
}
