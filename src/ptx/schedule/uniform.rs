//! Values that are the same in all lanes of a warp, which have registers of their own from Turing on.

use crate::ptx::flat::{Arg, Flat, FlatInst, Special, Width};
use crate::ptx::lower::operands::writes;
use crate::ptx::lower::values::float;

/// For each register whether it takes none of a thread's: what integer arithmetic makes of numbers, parameters,
/// block indices and sizes. Control flow is not looked at, so a loop counter counts as uniform, whatever ends
/// the loop.
pub fn registers(flat: &Flat<'_>, sm: u16) -> Vec<bool> {
    let mut uniform: Vec<bool> = flat
        .registers
        .iter()
        .map(|r| sm >= 75 && r.width != Width::Pred)
        .collect();
    let mut changed = sm >= 75;
    while changed {
        changed = false;
        for inst in &flat.insts {
            if computed(inst) && inst.args.iter().skip(1).all(|arg| known(arg, &uniform)) {
                continue;
            }
            writes(inst, &mut |r| {
                if let Some(slot) = uniform.get_mut(r as usize) {
                    changed |= std::mem::take(slot);
                }
            });
        }
    }
    uniform
}

/// Whether the uniform datapath has what `inst` does.
fn computed(inst: &FlatInst<'_>) -> bool {
    let parameter = inst.opcode == "ld" && inst.has("param");
    let integer = matches!(
        inst.opcode,
        "mov"
            | "cvt"
            | "cvta"
            | "add"
            | "sub"
            | "mul"
            | "mad"
            | "shl"
            | "shr"
            | "and"
            | "or"
            | "xor"
    );
    inst.guard.is_none() && (parameter || integer && !float(inst))
}

fn known(arg: &Arg, uniform: &[bool]) -> bool {
    match arg {
        Arg::Special(s) => matches!(s, Special::Ctaid(_) | Special::Nctaid(_) | Special::Ntid(_)),
        Arg::Address { base: None, .. } => true,
        _ => {
            let mut all = true;
            arg.registers(&mut |r| all &= uniform.get(r as usize).copied().unwrap_or(false));
            all
        }
    }
}
