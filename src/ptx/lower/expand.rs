//! Mnemonics, and sequences for what is no single instruction.

use super::emit::Emitter;
use super::values::float;
use crate::ptx::ast::Type;
use crate::ptx::flat::{Arg, FlatInst};

/// The sequence of a correctly rounded single-precision division, without its slow path.
const DIVIDE: [&str; 8] = [
    "MUFU.RCP", "FCHK", "FFMA", "FFMA", "FFMA", "FFMA", "FFMA", "FFMA",
];
const ROOT: [&str; 8] = [
    "IADD3",
    "MUFU.RSQ",
    "ISETP.GT.U32.AND",
    "FMUL",
    "FMUL",
    "FFMA",
    "FFMA",
    "FFMA",
];
const RECIPROCAL: [&str; 5] = ["IADD3", "LOP3.LUT", "ISETP.GT.U32.AND", "MUFU.RCP", "FFMA"];
const DIVIDE_DOUBLE: [&str; 10] = [
    "MUFU.RCP64H",
    "DFMA",
    "DFMA",
    "DFMA",
    "DFMA",
    "DMUL",
    "DFMA",
    "DFMA",
    "FFMA",
    "FSETP.GT.AND",
];
const DIVIDE_INTEGER: [&str; 15] = [
    "IABS",
    "I2F.RP",
    "MUFU.RCP",
    "IADD3",
    "F2I.FTZ.U32.TRUNC.NTZ",
    "IADD3",
    "IMAD",
    "IMAD.HI.U32",
    "IABS",
    "IMAD.HI.U32",
    "IADD3",
    "IMAD",
    "ISETP.GT.U32.AND",
    "IADD3",
    "SEL",
];

/// Any instruction that is neither memory, control, matrix nor an integer addition.
pub fn arithmetic(e: &mut Emitter<'_>, inst: &FlatInst<'_>, wide: bool) {
    if inst
        .modifiers
        .iter()
        .any(|m| matches!(*m, "f16" | "f16x2" | "bf16" | "bf16x2"))
        && half(e, inst)
    {
        return;
    }
    if float(inst) {
        return floating(e, inst);
    }
    let width = |narrow: &[&str], double: &[&str], e: &mut Emitter<'_>| {
        let texts = if wide { double } else { narrow };
        if let Some((first, rest)) = texts.split_first() {
            e.simple(first, inst);
            e.chain(rest, inst);
        }
    };
    match inst.opcode {
        "mul" | "mad" if inst.has("wide") => {
            e.simple(
                if inst.has("u32") {
                    "IMAD.WIDE.U32"
                } else {
                    "IMAD.WIDE"
                },
                inst,
            );
        }
        "mul" | "mad" | "mul24" | "mad24" | "madc" if inst.has("hi") => {
            width(
                &["IMAD.HI.U32"],
                &["IMAD.WIDE.U32", "IMAD.WIDE.U32", "IADD3", "IMAD.WIDE.U32.X"],
                e,
            );
        }
        "mul" | "mad" | "mul24" | "mad24" | "madc" => {
            width(&["IMAD"], &["IMAD", "IMAD.WIDE.U32", "IMAD", "IADD3"], e);
        }
        "add" | "sub" | "addc" | "subc" => width(&["IADD3"], &["IADD3", "IADD3.X"], e),
        "div" | "rem" => {
            e.simple("IABS", inst);
            e.chain(&DIVIDE_INTEGER, inst);
            if wide {
                e.chain(&["IMAD.WIDE.U32"; 24], inst);
            }
        }
        "min" | "max" => width(
            &["IMNMX"],
            &["ISETP.LT.U32.AND", "ISETP.LT.AND.EX", "SEL", "SEL"],
            e,
        ),
        "abs" => width(&["IABS"], &["IADD3", "IADD3.X", "SEL", "SEL"], e),
        "neg" => width(&["IADD3"], &["IADD3", "IADD3.X"], e),
        "sad" => width(&["VABSDIFF"], &["IADD3"], e),
        "and" | "or" | "xor" | "not" if inst.has("pred") => predicate_logic(e, inst),
        "and" | "or" | "xor" | "not" | "lop3" | "cnot" => {
            width(&["LOP3.LUT"], &["LOP3.LUT", "LOP3.LUT"], e);
        }
        "shl" => width(&["SHF.L.U32"], &["SHF.L.U32", "SHF.L.U64.HI"], e),
        "shr" if inst.modifiers.iter().any(|m| m.starts_with('s')) => {
            width(&["SHF.R.S32.HI"], &["SHF.R.S64", "SHF.R.S32.HI"], e);
        }
        "shr" => width(&["SHF.R.U32.HI"], &["SHF.R.U64", "SHF.R.U32.HI"], e),
        "shf" => e.simple("SHF.L.W.U32.HI", inst),
        "bfe" => width(
            &["SHF.R.U32.HI", "SGXT"],
            &["SHF.R.U64", "SGXT", "LOP3.LUT"],
            e,
        ),
        "bfi" => width(
            &["BMSK", "SHF.L.U32", "LOP3.LUT"],
            &["BMSK", "SHF.L.U64.HI", "LOP3.LUT", "LOP3.LUT"],
            e,
        ),
        "prmt" => e.simple("PRMT", inst),
        "popc" => e.simple("POPC", inst),
        "clz" | "bfind" => width(&["FLO.U32"], &["FLO.U32"], e),
        "brev" => width(&["BREV"], &["BREV", "BREV"], e),
        "dp4a" | "dp2a" => e.simple("IDP.4A.S8.S8", inst),
        "bmsk" => e.simple("BMSK", inst),
        "szext" => e.simple("SGXT", inst),
        "setp" | "set" => compare(e, inst),
        "selp" | "slct" => width(&["SEL"], &["SEL", "SEL"], e),
        "cvt" => e.simple("SHF.R.S32.HI", inst),
        "cvta" | "isspacep" => e.simple("IADD3", inst),
        "shfl" => e.simple(shuffle(inst), inst),
        "vabsdiff" | "vabsdiff4" => e.simple("VABSDIFF4.U8", inst),
        // The other video instructions are sequences on every chip of today.
        op if op.starts_with('v') && op.ends_with(['2', '4']) => {
            width(
                &["LOP3.LUT", "LOP3.LUT", "IADD3", "LOP3.LUT"],
                &["IADD3"],
                e,
            );
        }
        "vadd" | "vsub" | "vmin" | "vmax" | "vset" => width(&["IADD3", "IMNMX"], &["IADD3"], e),
        "vote" if inst.has("ballot") => e.simple("VOTE.ANY", inst),
        "vote" => e.simple(
            if inst.has("all") {
                "VOTE.ALL"
            } else {
                "VOTE.ANY"
            },
            inst,
        ),
        "activemask" => e.simple("VOTE.ANY", inst),
        "match" => e.simple(
            if inst.has("all") {
                "MATCH.ALL"
            } else {
                "MATCH.ANY"
            },
            inst,
        ),
        "redux" => e.simple("REDUX.SUM", inst),
        "elect" => e.simple("ELECT", inst),
        "movmatrix" => e.simple("MOVM.16.MT88", inst),
        "nanosleep" => e.simple("NANOSLEEP", inst),
        "prefetch" | "prefetchu" => e.simple("CCTL.E.PF2", inst),
        _ => {}
    }
}

fn shuffle(inst: &FlatInst<'_>) -> &'static str {
    match () {
        () if inst.has("up") => "SHFL.UP",
        () if inst.has("down") => "SHFL.DOWN",
        () if inst.has("bfly") => "SHFL.BFLY",
        () => "SHFL.IDX",
    }
}

/// Logic with a fused comparison is one comparison with a predicate source.
fn predicate_logic(e: &mut Emitter<'_>, inst: &FlatInst<'_>) {
    let (src, _) = e.src(inst);
    let compares = src.iter().any(|o| matches!(o, super::Operand::Value(..)));
    let fused = inst.args.iter().skip(1).any(|arg| match arg {
        Arg::Reg(r) | Arg::Not(r) => e.values.what(*r) == super::values::Value::Fused,
        _ => false,
    });
    e.simple(
        if compares || fused {
            "ISETP.LT.AND"
        } else {
            "PLOP3.LUT"
        },
        inst,
    );
}

fn compare(e: &mut Emitter<'_>, inst: &FlatInst<'_>) {
    let operator = ["eq", "ne", "lt", "le", "gt", "ge"]
        .iter()
        .find(|c| inst.modifiers.iter().any(|m| m.starts_with(*c)))
        .map_or("LT".to_owned(), |c| c.to_uppercase());
    let ty = inst.modifiers.iter().rev().find_map(|t| Type::of(t));
    if inst.opcode == "set" {
        return e.simple("ISET.BF.LT.AND", inst);
    }
    match ty {
        Some(Type::F32) => e.simple(&format!("FSETP.{operator}.AND"), inst),
        Some(Type::F64) => e.simple(&format!("DSETP.{operator}.AND"), inst),
        Some(Type::F16 | Type::F16x2 | Type::Bf16 | Type::Bf16x2) => {
            e.simple(&format!("HSETP2.{operator}.AND"), inst);
        }
        Some(ty) if ty.bytes() == 8 => {
            e.simple(&format!("ISETP.{operator}.U32.AND"), inst);
            e.simple(&format!("ISETP.{operator}.AND.EX"), inst);
        }
        _ => e.simple(&format!("ISETP.{operator}.AND"), inst),
    }
}

/// Half precision; false when it is a conversion for the general rules.
fn half(e: &mut Emitter<'_>, inst: &FlatInst<'_>) -> bool {
    let bf = if inst.modifiers.iter().any(|m| m.starts_with("bf16")) {
        ".BF16_V2"
    } else {
        ""
    };
    let text = match inst.opcode {
        "add" | "sub" => format!("HADD2{bf}"),
        "mul" => format!("HMUL2{bf}"),
        "fma" => format!("HFMA2{bf}"),
        "min" | "max" => format!("HMNMX2{bf}"),
        "neg" | "abs" => format!("HADD2{bf}"),
        "cvt" if inst.modifiers.first().is_some_and(|m| *m == "f32") => "HADD2.F32".to_owned(),
        "cvt" if e.sm >= 80 => "F2FP.PACK_AB".to_owned(),
        "cvt" => "F2F.F16.F32".to_owned(),
        "setp" => {
            compare(e, inst);
            return true;
        }
        _ => return false,
    };
    let packed = ["f16x2", "bf16x2"].iter().any(|ty| inst.has(ty));
    let arithmetic = matches!(inst.opcode, "add" | "sub" | "mul" | "fma");
    match packed && arithmetic && matches!(e.sm, 80 | 90) {
        true => e.packed_half(&text, bf, inst),
        false => e.simple(&text, inst),
    }
    true
}

fn sequence(e: &mut Emitter<'_>, inst: &FlatInst<'_>, texts: &[&str]) {
    if let Some((first, rest)) = texts.split_first() {
        e.simple(first, inst);
        e.chain(rest, inst);
    }
}

fn floating(e: &mut Emitter<'_>, inst: &FlatInst<'_>) {
    let double = inst.has("f64") && inst.opcode != "cvt";
    let (approx, ftz) = (inst.has("approx"), inst.has("ftz"));
    match inst.opcode {
        "add" | "sub" => e.simple(if double { "DADD" } else { "FADD" }, inst),
        "mul" => e.simple(if double { "DMUL" } else { "FMUL" }, inst),
        "fma" | "mad" => e.simple(if double { "DFMA" } else { "FFMA" }, inst),
        "min" | "max" if double => sequence(e, inst, &["DSETP.MIN.AND", "SEL", "SEL"]),
        "min" | "max" => e.simple("FMNMX", inst),
        "abs" | "neg" | "copysign" => e.simple(if double { "DADD" } else { "FADD" }, inst),
        "div" if double => sequence(e, inst, &DIVIDE_DOUBLE),
        "div" if approx || inst.has("full") => {
            sequence(
                e,
                inst,
                &["FSETP.GT.AND", "FMUL", "MUFU.RCP", "FMUL", "FMUL"],
            );
        }
        "div" => sequence(e, inst, &DIVIDE),
        "rcp" | "sqrt" | "rsqrt" if double => sequence(e, inst, &DIVIDE_DOUBLE),
        "rcp" if approx && ftz => e.simple("MUFU.RCP", inst),
        "rcp" if approx => sequence(e, inst, &["FSETP.GEU.AND", "FMUL", "MUFU.RCP", "FMUL"]),
        "rcp" => sequence(e, inst, &RECIPROCAL),
        "sqrt" if approx => sequence(e, inst, &["MUFU.RSQ", "FMUL"]),
        "sqrt" => sequence(e, inst, &ROOT),
        "rsqrt" if ftz => e.simple("MUFU.RSQ", inst),
        "rsqrt" => sequence(e, inst, &["FSETP.GEU.AND", "FMUL", "MUFU.RSQ", "FMUL"]),
        "sin" => sequence(e, inst, &["FMUL.RZ", "MUFU.SIN"]),
        "cos" => sequence(e, inst, &["FMUL.RZ", "MUFU.COS"]),
        "ex2" if ftz => e.simple("MUFU.EX2", inst),
        "ex2" => sequence(e, inst, &["FSETP.GEU.AND", "FMUL", "MUFU.EX2", "FMUL"]),
        "lg2" if ftz => e.simple("MUFU.LG2", inst),
        "lg2" => sequence(e, inst, &["FSETP.GEU.AND", "FMUL", "MUFU.LG2", "FADD"]),
        "tanh" => e.simple("MUFU.TANH", inst),
        "setp" | "set" => compare(e, inst),
        "selp" | "slct" if double => sequence(e, inst, &["FSEL", "FSEL"]),
        "selp" | "slct" => e.simple("FSEL", inst),
        "testp" => e.simple("FSETP.LT.AND", inst),
        "redux" => e.simple("CREDUX.MAX", inst),
        // Limited to 0 to 1: two comparisons, of whose operands words are selected and NaNs are kept.
        "cvt" if inst.has("sat") && conversion(inst, e.sm) == "FRND" && inst.has("f64") => {
            sequence(e, inst, &LIMIT_DOUBLE);
        }
        "cvt" => e.simple(conversion(inst, e.sm), inst),
        _ => {}
    }
}

/// A double number, but from 0 to 1.
const LIMIT_DOUBLE: [&str; 8] = [
    "DSETP.MAX.AND",
    "FSEL",
    "SEL",
    "LOP3.LUT",
    "DSETP.MIN.AND",
    "FSEL",
    "SEL",
    "LOP3.LUT",
];

fn conversion(inst: &FlatInst<'_>, sm: u16) -> &'static str {
    let types: Vec<Type> = inst.modifiers.iter().filter_map(|t| Type::of(t)).collect();
    let (to, from) = match types.as_slice() {
        [to, from, ..] => (*to, *from),
        _ => (Type::F32, Type::F32),
    };
    let float = |t: Type| matches!(t, Type::F32 | Type::F64);
    match (float(to), float(from)) {
        (true, true) if to == from => "FRND",
        (true, true) if to == Type::F64 => "F2F.F64.F32",
        (true, true) => "F2F.F32.F64",
        // ptxas has it from sm_86 on for numbers of 32 bits: an ALU instruction.
        (true, false) if to == Type::F32 && matches!(from, Type::S32 | Type::U32) && sm >= 86 => {
            "I2FP.F32.S32"
        }
        (true, false) => "I2F",
        (false, true) => "F2I.TRUNC.NTZ",
        (false, false) => "F2F",
    }
}
