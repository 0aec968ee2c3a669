//! Joins neighbouring loads of shared memory into one wide one, as ptxas does where it can prove
//! that the address is aligned.

use super::operands::writes;
use super::values::{Value, Values};
use crate::ptx::ast::Space;
use crate::ptx::flat::{Arg, Flat, FlatInst};
use std::collections::{BTreeMap, HashSet};

/// How far ahead a partner is looked for.
const REACH: usize = 24;

/// What an address is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Base {
    /// A register that no copy or added constant wrote.
    Register(u32),
    /// A variable.
    Symbol(u32),
}

/// First load of each group with all loads of the group in the order of their addresses.
pub fn groups(flat: &Flat<'_>, values: &Values) -> BTreeMap<u32, Vec<u32>> {
    let targets: HashSet<u32> = flat.insts.iter().flat_map(labels).collect();
    let mut out = BTreeMap::new();
    let mut taken = vec![false; flat.insts.len()];
    for pc in 0..flat.insts.len() {
        if taken[pc] || values.gone[pc] {
            continue;
        }
        let Some(inst) = flat.insts.get(pc) else {
            continue;
        };
        let Some((base, _)) = word_load(flat, values, inst) else {
            continue;
        };
        let near = partners(flat, values, pc, base, &targets, &taken);
        if let Some(group) = widest(flat, values, pc as u32, base, &near) {
            for &member in &group {
                taken[member as usize] = true;
            }
            out.insert(pc as u32, group);
        }
    }
    out
}

fn labels(inst: &FlatInst<'_>) -> Vec<u32> {
    let mut out = Vec::new();
    for arg in &inst.args {
        match arg {
            Arg::Label(pc) => out.push(*pc),
            Arg::Labels(list) => out.extend(list),
            _ => {}
        }
    }
    out
}

/// Base and offset of a plain load of one word from shared memory.
fn word_load(flat: &Flat<'_>, values: &Values, inst: &FlatInst<'_>) -> Option<(Base, i64)> {
    let plain = inst.opcode == "ld"
        && inst.guard.is_none()
        && inst.has("shared")
        && !inst.has("volatile")
        && inst
            .modifiers
            .iter()
            .any(|m| matches!(*m, "f32" | "u32" | "s32" | "b32"));
    let Some(Arg::Reg(d)) = inst.args.first().filter(|_| plain) else {
        return None;
    };
    let single = values.writer.get(*d as usize).copied().flatten().is_some();
    if !single || values.what(*d) != Value::Own || values.root(*d) != *d {
        return None;
    }
    let Some(Arg::Address {
        base,
        symbol,
        offset,
    }) = inst.args.get(1)
    else {
        return None;
    };
    match (base, symbol) {
        (Some(r), _) => Some(follow(flat, values, *r, *offset)),
        (None, Some(s)) => Some((Base::Symbol(*s), *offset)),
        (None, None) => None,
    }
}

/// Through copies and added constants to where an address comes from. A register with several writers is followed
/// no further than to itself: what was made of it may be of its older value.
pub fn follow(flat: &Flat<'_>, values: &Values, mut r: u32, mut offset: i64) -> (Base, i64) {
    let writer = |r: u32| values.writer.get(r as usize).copied().flatten();
    for _ in 0..64 {
        let Some(inst) = writer(r).and_then(|pc| flat.insts.get(pc as usize)) else {
            break;
        };
        let plain = inst.guard.is_none();
        match (inst.opcode, inst.args.get(1), inst.args.get(2)) {
            ("mov", Some(Arg::Symbol(s, by)), _) if plain => {
                return (Base::Symbol(*s), offset + by);
            }
            ("mov" | "cvta", Some(Arg::Reg(s)), _) if plain && writer(*s).is_some() => r = *s,
            ("add", Some(Arg::Reg(s)), Some(Arg::Imm(n))) if plain && writer(*s).is_some() => {
                match n.int() {
                    Some(by) => {
                        offset = offset.wrapping_add(by);
                        r = *s;
                    }
                    None => break,
                }
            }
            _ => break,
        }
    }
    (Base::Register(r), offset)
}

/// Loads from the same base that nothing stands in the way of, by offset.
fn partners(
    flat: &Flat<'_>,
    values: &Values,
    pc: usize,
    base: Base,
    targets: &HashSet<u32>,
    taken: &[bool],
) -> BTreeMap<i64, u32> {
    let mut near = BTreeMap::new();
    for (at, inst) in flat.insts.iter().enumerate().skip(pc).take(REACH) {
        let barrier = matches!(
            inst.opcode,
            "st" | "atom"
                | "red"
                | "bar"
                | "barrier"
                | "call"
                | "bra"
                | "brx"
                | "ret"
                | "exit"
                | "cp"
                | "membar"
                | "fence"
                | "ldmatrix"
                | "stmatrix"
        );
        if barrier || at > pc && targets.contains(&(at as u32)) {
            break;
        }
        if taken[at] || values.gone[at] {
            continue;
        }
        if let Some((other, offset)) = word_load(flat, values, inst)
            && other == base
        {
            near.entry(offset).or_insert(at as u32);
        }
        let mut rewritten = false;
        writes(inst, &mut |r| rewritten |= base == Base::Register(r));
        if rewritten {
            break;
        }
    }
    near
}

/// The widest aligned group of four or two that holds `first`.
fn widest(
    flat: &Flat<'_>,
    values: &Values,
    first: u32,
    base: Base,
    near: &BTreeMap<i64, u32>,
) -> Option<Vec<u32>> {
    let own = near
        .iter()
        .find(|(_, pc)| **pc == first)
        .map(|(offset, _)| *offset)?;
    let known = match base {
        Base::Register(r) => alignment(flat, values, r, 0),
        Base::Symbol(s) => symbol_alignment(flat, s),
    };
    [4i64, 2].into_iter().find_map(|words| {
        let bytes = 4 * words;
        let start = own.div_euclid(bytes) * bytes;
        if known % bytes as u64 != 0 {
            return None;
        }
        (0..words)
            .map(|i| near.get(&(start + 4 * i)).copied())
            .collect()
    })
}

fn symbol_alignment(flat: &Flat<'_>, symbol: u32) -> u64 {
    match flat.symbols.get(symbol as usize) {
        Some(s) if s.space == Space::Shared => 1 << s.offset.trailing_zeros().min(7),
        _ => 1,
    }
}

/// A power of two that divides whatever `r` holds.
fn alignment(flat: &Flat<'_>, values: &Values, r: u32, depth: u32) -> u64 {
    const MOST: u64 = 128;
    let writer = values.writer.get(r as usize).copied().flatten();
    let Some(inst) = writer
        .and_then(|pc| flat.insts.get(pc as usize))
        .filter(|_| depth < 12)
    else {
        return 1;
    };
    let of = |arg: Option<&Arg>| match arg {
        Some(Arg::Reg(r)) => alignment(flat, values, *r, depth + 1),
        Some(Arg::Symbol(s, offset)) => {
            symbol_alignment(flat, *s).min(1 << offset.trailing_zeros().min(7))
        }
        Some(Arg::Imm(n)) => n.int().map_or(1, |n| 1 << n.trailing_zeros().min(7)),
        _ => 1,
    };
    let (a, b, c) = (
        of(inst.args.get(1)),
        of(inst.args.get(2)),
        of(inst.args.get(3)),
    );
    match inst.opcode {
        "mov" | "cvt" | "cvta" => a,
        "add" | "sub" | "or" | "xor" => a.min(b),
        "and" => a.max(b),
        "mul" if !inst.has("hi") => (a * b).min(MOST),
        "mad" if !inst.has("hi") => (a * b).min(MOST).min(c),
        "shl" => match inst.args.get(2) {
            Some(Arg::Imm(n)) => (a << n.int().unwrap_or(0).clamp(0, 7)).min(MOST),
            _ => a,
        },
        _ => 1,
    }
}
