//! What modifiers and operands say, and what to answer to those that are not supported.

use super::super::numeric::{Round, Small};
use super::super::op::{Mode, Ty};
use super::super::{CONST_WINDOW, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};
use super::Decoded;
use crate::ptx::ast::Type;
use crate::ptx::flat::{Arg, FlatInst};

pub(super) fn missing(arg: Option<&Arg>) -> String {
    match arg {
        None => "an operand is missing".to_owned(),
        Some(Arg::Unknown(name)) => format!("`{name}` is declared nowhere"),
        Some(Arg::Complex) => {
            "a part of a register, or an address of this form, is not supported".to_owned()
        }
        Some(other) => format!("an operand of this kind is not supported: {other:?}"),
    }
}

/// Says which instruction is not supported, and why where that is a choice.
pub(super) fn unsupported(inst: &FlatInst<'_>) -> String {
    let text = inst.text();
    match inst.opcode {
        "tcgen05" | "mbarrier" | "tensormap" | "clusterlaunchcontrol" | "multimem" => {
            format!("`{text}`: the asynchronous machinery of Hopper and later is not emulated")
        }
        "tex" | "tld4" | "txq" | "suld" | "sust" | "sured" | "suq" => {
            format!("`{text}`: textures and surfaces are not emulated")
        }
        _ => format!("`{text}` is not emulated"),
    }
}

/// The types among the modifiers, in order.
pub(super) fn types(inst: &FlatInst<'_>) -> Vec<Type> {
    inst.modifiers.iter().filter_map(|m| Type::of(m)).collect()
}

/// The last type among the modifiers.
pub(super) fn last_type(inst: &FlatInst<'_>) -> Decoded<Type> {
    types(inst)
        .last()
        .copied()
        .ok_or_else(|| format!("`{}` has no type", inst.text()))
}

/// How values of type `ty` compare and convert.
pub(super) fn ty(ty: Type) -> Ty {
    match ty {
        Type::B8 | Type::U8 => Ty::U8,
        Type::B16 | Type::U16 => Ty::U16,
        Type::B32 | Type::U32 | Type::Pred => Ty::U32,
        Type::S8 => Ty::S8,
        Type::S16 => Ty::S16,
        Type::S32 => Ty::S32,
        Type::S64 => Ty::S64,
        Type::F32 => Ty::F32,
        Type::F64 => Ty::F64,
        Type::F16 | Type::F16x2 => Ty::Small(Small::F16),
        Type::Bf16 | Type::Bf16x2 => Ty::Small(Small::Bf16),
        _ => Ty::U64,
    }
}

/// Rounding and clamping that the modifiers ask for.
pub(super) fn mode(inst: &FlatInst<'_>) -> Mode {
    let mut mode = Mode {
        ftz: inst.has("ftz"),
        sat: inst.has("sat"),
        finite: inst.has("satfinite"),
        ..Mode::default()
    };
    for modifier in &inst.modifiers {
        mode.round = match *modifier {
            "rn" | "rni" => Round::Nearest,
            "rna" => Round::Away,
            "rz" | "rzi" => Round::Zero,
            "rm" | "rmi" => Round::Down,
            "rp" | "rpi" => Round::Up,
            _ => mode.round,
        };
    }
    mode
}

/// Base of the window of a space among the modifiers; 0 for global.
pub(super) fn window_of(inst: &FlatInst<'_>) -> Option<u64> {
    inst.modifiers.iter().find_map(|m| {
        Some(match m.split("::").next().unwrap_or(m) {
            "global" => 0,
            "shared" => SHARED_WINDOW,
            "local" => LOCAL_WINDOW,
            "const" => CONST_WINDOW,
            "param" => PARAM_WINDOW,
            _ => return None,
        })
    })
}
