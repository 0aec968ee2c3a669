//! Which operands of a PTX instruction are written and which are read.

use crate::ptx::flat::{Arg, FlatInst};

/// Number of written operands: they come first.
pub fn written(inst: &FlatInst<'_>) -> usize {
    match inst.opcode {
        "st" | "red" | "bra" | "brx" | "ret" | "exit" | "trap" | "cp" | "membar" | "fence"
        | "stmatrix" | "call" | "prefetch" | "prefetchu" | "nanosleep" | "pmevent" | "brkpt"
        | "discard" | "applypriority" | "griddepcontrol" | "setmaxnreg" | "stackrestore" => 0,
        "wmma" if inst.has("store") => 0,
        "bar" | "barrier" if !inst.has("red") => 0,
        _ => 1,
    }
}

/// Registers that `inst` writes.
pub fn writes(inst: &FlatInst<'_>, f: &mut impl FnMut(u32)) {
    inst.args
        .iter()
        .take(written(inst))
        .for_each(|a| a.registers(f));
}

/// Registers that `inst` reads, guard included.
pub fn reads(inst: &FlatInst<'_>, f: &mut impl FnMut(u32)) {
    inst.args
        .iter()
        .skip(written(inst))
        .for_each(|a| a.registers(f));
    // A warpgroup's accumulators are read where they are written.
    if inst.opcode == "wgmma"
        && let Some(accumulators) = inst.args.first()
    {
        accumulators.registers(f);
    }
    if let Some((r, _)) = inst.guard
        && r != u32::MAX
    {
        f(r);
    }
}

/// Whether `inst` does something besides writing its registers.
pub fn has_effect(inst: &FlatInst<'_>) -> bool {
    written(inst) == 0
        || matches!(
            inst.opcode,
            "atom"
                | "bar"
                | "barrier"
                | "shfl"
                | "vote"
                | "match"
                | "redux"
                | "elect"
                | "mma"
                | "wgmma"
        )
        || inst.has("volatile")
        || matches!(inst.args.get(1), Some(Arg::Special(s)) if format!("{s:?}").starts_with("Clock"))
}
