//! Mnemonics of memory and matrix instructions.

use super::emit::Emitter;
use crate::ptx::ast::{Space, Type};
use crate::ptx::flat::{Arg, FlatInst};

/// Mnemonic of a memory instruction.
pub fn memory_text(e: &Emitter<'_>, inst: &FlatInst<'_>) -> String {
    match inst.opcode {
        "cp" => return copy_text(inst),
        "ldmatrix" => return tile_text("LDSM", inst),
        "stmatrix" => return tile_text("STSM", inst),
        _ => {}
    }
    let address = inst.args.iter().find(|a| matches!(a, Arg::Address { .. }));
    let space = space(e, inst, address);
    let ty = inst
        .modifiers
        .iter()
        .rev()
        .find_map(|t| Type::of(t))
        .unwrap_or(Type::B32);
    let lanes = ["v8", "v4", "v2"].iter().find(|v| inst.has(v));
    let lanes = lanes
        .and_then(|v| v.get(1..)?.parse::<u32>().ok())
        .unwrap_or(1);
    let size = match (ty.bytes() * lanes, ty) {
        (1, Type::S8) => ".S8",
        (1, _) => ".U8",
        (2, Type::S16) => ".S16",
        (2, _) => ".U16",
        (8, _) => ".64",
        (16.., _) => ".128",
        _ => "",
    };
    let global = matches!(space, 'G' | ' ');
    let extended = if global { ".E" } else { "" };
    if matches!(inst.opcode, "atom" | "red") {
        return atomic(e, inst, space, extended, size);
    }
    let scope = match (
        inst.has("volatile") || inst.has("acquire") || inst.has("relaxed"),
        e.sm,
    ) {
        _ if !global => "",
        (true, _) => ".STRONG.SYS",
        (false, ..80) => ".SYS",
        _ => "",
    };
    let read_only = if inst.has("nc") && global {
        ".CONSTANT"
    } else {
        ""
    };
    let cache = if inst.has("cg") && global {
        ".STRONG.GPU"
    } else {
        ""
    };
    let (letters, store) = (
        if inst.opcode == "st" { "ST" } else { "LD" },
        inst.opcode == "st",
    );
    let base = match space {
        ' ' => letters.to_owned(),
        'C' if !store => "LDC".to_owned(),
        s => format!("{letters}{s}"),
    };
    format!("{base}{extended}{size}{read_only}{cache}{scope}")
}

/// Mnemonic of an asynchronous copy, or of what groups copies.
fn copy_text(inst: &FlatInst<'_>) -> String {
    if inst.has("commit_group") {
        return "LDGDEPBAR".to_owned();
    }
    if inst.has("wait_group") || inst.has("wait_all") {
        return "DEPBAR.LE".to_owned();
    }
    let way = if inst.has("cg") { "BYPASS" } else { "ACCESS" };
    let size = match inst.args.get(2) {
        Some(Arg::Imm(n)) if n.int() == Some(16) => ".128",
        Some(Arg::Imm(n)) if n.int() == Some(8) => ".64",
        _ => "",
    };
    format!("LDGSTS.E.{way}{size}")
}

/// Mnemonic of a load or store of matrix tiles.
fn tile_text(base: &str, inst: &FlatInst<'_>) -> String {
    let shape = if inst.has("trans") { "MT88" } else { "M88" };
    let count = match (inst.has("x4"), inst.has("x2")) {
        (true, _) => ".4",
        (_, true) => ".2",
        _ => "",
    };
    format!("{base}.16.{shape}{count}")
}

fn atomic(e: &Emitter<'_>, inst: &FlatInst<'_>, space: char, extended: &str, size: &str) -> String {
    let operation = [
        "add", "min", "max", "and", "or", "xor", "inc", "dec", "exch", "cas",
    ]
    .iter()
    .find(|o| inst.has(o))
    .map_or("ADD".to_owned(), |o| o.to_uppercase());
    // A vector is as wide as all its elements.
    let ty = match (size, inst.has("f32")) {
        ("" | ".32", true) => ".F32.FTZ.RN".to_owned(),
        (size, true) => format!(".F32{size}.FTZ.RN"),
        (size, false) => size.to_owned(),
    };
    // Reductions exist for all but exchanges.
    let reduction = !inst.has("exch") && !inst.has("cas") && !returns(e, inst);
    match (space, reduction) {
        ('S', _) => format!("ATOMS.{operation}{ty}"),
        ('G', true) => format!("RED{extended}.{operation}{ty}.STRONG.GPU"),
        ('G', false) => format!("ATOMG{extended}.{operation}{ty}.STRONG.GPU"),
        _ => format!("ATOM{extended}.{operation}{ty}.STRONG.GPU"),
    }
}

/// Whether anything reads what an atomic instruction returns.
fn returns(e: &Emitter<'_>, inst: &FlatInst<'_>) -> bool {
    let mut read = false;
    if inst.opcode == "atom"
        && let Some(result) = inst.args.first()
    {
        result.registers(&mut |r| read |= e.values.is_read(r));
    }
    read
}

/// Letter of the space of an access; a blank is generic.
pub fn space(e: &Emitter<'_>, inst: &FlatInst<'_>, address: Option<&Arg>) -> char {
    let symbol = match address {
        Some(Arg::Address {
            symbol: Some(s), ..
        }) => e.flat.symbols.get(*s as usize),
        _ => None,
    };
    let named = inst
        .modifiers
        .iter()
        .find_map(|m| match m.split("::").next() {
            Some("global") => Some('G'),
            Some("shared") => Some('S'),
            Some("local") => Some('L'),
            Some("const") => Some('C'),
            // What functions are called with lies in local memory.
            Some("param") if symbol.is_none() && !e.in_entry() => Some('L'),
            Some("param") => Some('C'),
            _ => None,
        });
    match (named, symbol.map(|s| (s.space, s.entry_param))) {
        (Some('C') | None, Some((Space::Param | Space::Local, false))) => 'L',
        (Some(space), _) => space,
        (None, Some((Space::Shared, _))) => 'S',
        (None, Some((Space::Const | Space::Param, _))) => 'C',
        (None, Some(_)) => 'G',
        (None, None) => ' ',
    }
}

/// The machine instruction of a warpgroup; none for what only marks a group.
pub fn group_text(inst: &FlatInst<'_>) -> String {
    let shape = crate::ptx::exec::decode::decoded_shape(inst);
    let Some((m, n, k)) = shape.filter(|_| inst.has("mma_async")) else {
        return match (inst.has("fence"), inst.has("wait_group")) {
            (true, _) => "WARPGROUP.ARRIVE".to_owned(),
            (_, true) => "WARPGROUP.DEPBAR.LE".to_owned(),
            _ => String::new(),
        };
    };
    let (base, types) = match () {
        () if inst.has("bf16") => ("HGMMA", ".F32.BF16"),
        () if inst.has("tf32") => ("HGMMA", ".F32.TF32"),
        () if inst.has("s32") => ("IGMMA", ".S8.S8"),
        () if inst.has("e4m3") || inst.has("e5m2") => ("QGMMA", ".F32.E4M3.E4M3"),
        () if inst.has("f32") => ("HGMMA", ".F32"),
        () => ("HGMMA", ".F16"),
    };
    format!("{base}.{m}x{n}x{k}{types}")
}

/// Machine instructions of one multiply-accumulate.
pub fn matrix_texts(sm: u16, inst: &FlatInst<'_>, (m, n, k): (u32, u32, u32)) -> Vec<String> {
    let types: Vec<&str> = inst
        .modifiers
        .iter()
        .copied()
        .filter(|t| crate::ptx::exec::decode::decoded_element(t).is_some())
        .collect();
    let input = match types.as_slice() {
        [_, a, ..] if types.len() == 4 => *a,
        _ => "f16",
    };
    let wide = types
        .first()
        .is_some_and(|t| matches!(*t, "f32" | "s32" | "f64"));
    let accumulate = if wide { ".F32" } else { ".F16" };
    let work = m * n * k;
    match input {
        "f64" => vec!["DMMA.884".to_owned(); (work / 256).max(1) as usize],
        "s8" | "u8" => vec!["IMMA.16816.S8.S8".to_owned(); (work / 2048).max(1) as usize],
        "s4" | "u4" => vec!["IMMA.16864.S4.S4".to_owned(); (work / 8192).max(1) as usize],
        "b1" => vec!["BMMA.168256.XOR.POPC".to_owned(); (work / 32768).max(1) as usize],
        "tf32" if k % 8 == 0 => {
            vec!["HMMA.1688.F32.TF32".to_owned(); (work / 1024).max(1) as usize]
        }
        "tf32" => vec!["HMMA.1684.F32.TF32".to_owned(); (work / 512).max(1) as usize],
        _ if sm < 75 => (0..(work / 256).max(1))
            .map(|i| format!("HMMA.884{accumulate}{accumulate}.STEP{}", i % 4))
            .collect(),
        _ => {
            let bf = if input == "bf16" { ".BF16" } else { "" };
            let (shape, each) = if sm >= 80 && k >= 16 {
                ("16816", 2048)
            } else {
                ("1688", 1024)
            };
            vec![format!("HMMA.{shape}{accumulate}{bf}"); (work / each).max(1) as usize]
        }
    }
}
