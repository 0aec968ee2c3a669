//! Straight pieces of a kernel: instructions, and what those that touch memory mean.

use crate::isa::opcode::Operand;
use crate::kernels::builder::{FULL, KernelBuilder, r};
use crate::kernels::insts;
use crate::trace::CtaEncoder;

/// What a memory instruction of a kernel touches, said once for all warps and iterations. `ahead` counts tiles from
/// the present iteration on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Load number `load` of operand `operand` from global memory.
    Load {
        ahead: u64,
        operand: usize,
        load: usize,
    },
    /// Store number `store` of the same to shared memory.
    Store {
        ahead: u64,
        operand: usize,
        store: usize,
    },
    /// Read number `read` of a step's fragments from shared memory.
    Read {
        ahead: u64,
        step: usize,
        read: usize,
    },
    /// The pointer to an operand's matrix of the batch.
    Pointer(usize),
    /// What follows the loop, by its own number.
    After(usize),
}

/// An instruction to be.
#[derive(Clone, Debug)]
pub(super) struct Emit {
    text: String,
    dst: Vec<Operand>,
    src: Vec<Operand>,
    imm: u64,
    access: Option<Access>,
    /// Stays right behind the one before it.
    close: bool,
}

impl Emit {
    /// `text` with general registers.
    pub(super) fn new(text: impl Into<String>, dst: &[u16], src: &[u16]) -> Self {
        Self::of(
            text,
            &dst.iter().map(|&n| r(n)).collect::<Vec<_>>(),
            &src.iter().map(|&n| r(n)).collect::<Vec<_>>(),
        )
    }

    /// `text` with registers of any file.
    pub(super) fn of(text: impl Into<String>, dst: &[Operand], src: &[Operand]) -> Self {
        Emit {
            text: text.into(),
            dst: dst.to_vec(),
            src: src.to_vec(),
            imm: 0,
            access: None,
            close: false,
        }
    }

    /// With an immediate.
    pub(super) fn imm(self, imm: u64) -> Self {
        Emit { imm, ..self }
    }

    /// Appends it to `code`; returns its index.
    pub(super) fn append(&self, code: &mut KernelBuilder) -> u32 {
        code.inst_imm(&self.text, &self.dst, &self.src, self.imm)
    }

    /// Right behind the one before it.
    pub(super) fn close(self) -> Self {
        Emit {
            close: true,
            ..self
        }
    }

    /// As an access to memory.
    pub(super) fn access(self, access: Access) -> Self {
        Emit {
            access: Some(access),
            ..self
        }
    }
}

/// Puts `side` evenly between the instructions of `main`, the first one early: what waits for memory goes first.
pub(super) fn weave(main: Vec<Emit>, side: Vec<Emit>) -> Vec<Emit> {
    let (mains, sides) = (main.len(), side.len());
    let mut woven = Vec::with_capacity(mains + sides);
    let mut side = side.into_iter().peekable();
    let mut put = 0;
    for (at, inst) in main.into_iter().enumerate() {
        woven.push(inst);
        let due = ((at + 1) * sides).div_ceil(mains.max(1));
        while put < due || side.peek().is_some_and(|inst| inst.close) {
            woven.extend(side.next());
            put += 1;
        }
    }
    woven.extend(side);
    woven
}

/// A piece of code.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Its first instruction, and the one behind its last.
    pub first: u32,
    pub end: u32,
    accesses: Vec<(u32, Access)>,
}

impl Body {
    /// Appends `instructions` to `code`.
    pub(super) fn append(code: &mut KernelBuilder, instructions: Vec<Emit>) -> Self {
        let first = code.here();
        let mut accesses = Vec::new();
        for inst in instructions {
            let index = inst.append(code);
            accesses.extend(inst.access.map(|access| (index, access)));
        }
        Body {
            first,
            end: code.here(),
            accesses,
        }
    }

    /// Instructions.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.end - self.first)
    }

    /// Executes it; `put` makes each access, with its instruction.
    pub(super) fn put(
        &self,
        out: &mut CtaEncoder,
        mut put: impl FnMut(u32, Access, &mut CtaEncoder),
    ) {
        let mut at = self.first;
        for &(index, access) in &self.accesses {
            insts(out, at..index, FULL);
            put(index, access, out);
            at = index + 1;
        }
        insts(out, at..self.end, FULL);
    }
}
