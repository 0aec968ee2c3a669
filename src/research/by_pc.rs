//! Instructions of a kernel by their pc: what they are.

use crate::isa::StaticInst;
use crate::trace::{Code, Kernel};

/// The instruction of `code` at `pc`.
pub(super) fn inst_at(code: &Code, pc: u32) -> Option<&StaticInst> {
    code.insts.iter().find(|inst| inst.pc == pc)
}

/// The name of `inst`, as the trace has it.
pub(super) fn name_of<'a>(code: &'a Code, inst: &StaticInst) -> &'a str {
    code.mnemonics
        .get(usize::from(inst.mnemonic))
        .map_or("", String::as_str)
}

/// Where an instruction stands in the source of its kernel: its line, and the text of that.
pub(super) type Line = (Option<u32>, Option<String>);

/// That of the instruction of `kernel` at `pc`; only recordings of PTX know it.
pub(super) fn line_of(kernel: Option<&Kernel>, pc: u32) -> Line {
    match kernel.and_then(|kernel| kernel.line(pc)) {
        Some((line, text)) => (Some(line), Some(text.to_owned())),
        None => (None, None),
    }
}
