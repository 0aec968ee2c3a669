//! Registers by linear scan over live intervals.
//!
//! An interval reaches from the first to the last instruction at which a value is live, loops
//! included, so a register may be held longer than ptxas would. Values that a vector instruction
//! wants side by side are placed together when each of them is born there.

use super::values::words;
use super::{Lowered, Operand, Span};
use crate::isa::RegFile;
use crate::isa::RegRange;
use crate::ptx::exec::decode::cfg;
use crate::ptx::exec::program::Program;
use crate::ptx::flat::Flat;

/// Where the virtual registers are.
#[derive(Clone, Debug, Default)]
pub struct Allocation {
    general: Vec<u16>,
    /// Registers a thread.
    pub registers: u16,
}

/// No register.
const NONE: u16 = u16::MAX;

/// Registers that a thread can have, and those that a value can be in.
const REGISTERS: usize = 254;

impl Allocation {
    /// The machine registers of an operand.
    pub fn range(&self, operand: Operand) -> Option<RegRange> {
        match operand {
            Operand::Pred(r) => Some(RegRange {
                file: RegFile::Predicate,
                // Predicates are short-lived: seven in turn do.
                first: (r % 7) as u8,
                count: 1,
            }),
            Operand::Value(r, count) => {
                let first = self
                    .general
                    .get(r as usize)
                    .copied()
                    .filter(|&n| n != NONE)?;
                Some(RegRange::r(first.min(254) as u8, count))
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Interval {
    from: u32,
    to: u32,
}

/// Allocates registers for `list`.
pub fn allocate(
    flat: &Flat<'_>,
    program: &Program,
    list: &[Lowered],
    spans: &[Span],
) -> Allocation {
    let count = flat.registers.len();
    let intervals = intervals(flat, program, list, spans);
    let mut order: Vec<u32> = (0..count as u32)
        .filter(|&r| intervals[r as usize].is_some())
        .collect();
    order.sort_by_key(|&r| (intervals[r as usize].map_or(0, |i| i.from), r));
    let mut general = vec![NONE; count];
    // R1 is the stack pointer.
    let mut free_at = vec![0u32; REGISTERS + 1];
    free_at[1] = u32::MAX;
    let mut highest = 2;
    for &r in &order {
        if general[r as usize] != NONE {
            continue;
        }
        let Some(interval) = intervals[r as usize] else {
            continue;
        };
        let group = group(r, list, &intervals, flat, &general, interval.from);
        let size: usize = group.iter().map(|&(_, words)| usize::from(words)).sum();
        let start = fit(&free_at, size, interval.from);
        let mut at = start;
        for (member, words) in group {
            let end = intervals[member as usize].map_or(interval.to, |i| i.to);
            general[member as usize] = at as u16;
            for slot in free_at.iter_mut().skip(at).take(usize::from(words)) {
                *slot = (*slot).max(end.saturating_add(1));
            }
            at += usize::from(words);
        }
        highest = highest.max(at);
    }
    Allocation {
        general,
        registers: highest.min(255) as u16,
    }
}

/// The first aligned run of `size` registers that is free at `from`; when there is none, the one
/// that is free soonest: a spill, of which only the false dependence is modelled.
fn fit(free_at: &[u32], size: usize, from: u32) -> usize {
    let align = size.next_power_of_two().min(4);
    let runs = (0..free_at.len().saturating_sub(size)).step_by(align);
    let mut best = (u32::MAX, 2);
    for start in runs {
        let busy = free_at
            .iter()
            .skip(start)
            .take(size)
            .copied()
            .max()
            .unwrap_or(0);
        if busy <= from {
            return start;
        }
        best = best.min((busy, start));
    }
    best.1
}

/// The values that have to lie beside `r`, in order, `r` included.
fn group(
    r: u32,
    list: &[Lowered],
    intervals: &[Option<Interval>],
    flat: &Flat<'_>,
    general: &[u16],
    from: u32,
) -> Vec<(u32, u8)> {
    let alone = vec![(
        r,
        flat.registers.get(r as usize).map_or(1, |r| words(r.width)),
    )];
    let Some(lowered) = list.get(from as usize) else {
        return alone;
    };
    let members: Vec<(u32, u8)> = lowered
        .dst
        .iter()
        .filter_map(|o| match o {
            Operand::Value(v, words) => Some((*v, *words)),
            Operand::Pred(_) => None,
        })
        .collect();
    let born = |v: u32| {
        general.get(v as usize) == Some(&NONE)
            && intervals
                .get(v as usize)
                .copied()
                .flatten()
                .is_some_and(|i| i.from == from)
    };
    let distinct = members
        .iter()
        .enumerate()
        .all(|(i, m)| !members[..i].contains(m));
    let whole = members.iter().any(|&(v, _)| v == r) && members.iter().all(|&(v, _)| born(v));
    match whole && distinct && members.len() <= 8 {
        true => members,
        false => alone,
    }
}

/// Live intervals in numbers of lowered instructions.
fn intervals(
    flat: &Flat<'_>,
    program: &Program,
    list: &[Lowered],
    spans: &[Span],
) -> Vec<Option<Interval>> {
    let mut out: Vec<Option<Interval>> = vec![None; flat.registers.len()];
    let mut extend = |r: u32, at: u32| {
        if let Some(slot) = out.get_mut(r as usize) {
            let old = slot.unwrap_or(Interval { from: at, to: at });
            *slot = Some(Interval {
                from: old.from.min(at),
                to: old.to.max(at),
            });
        }
    };
    for (i, lowered) in list.iter().enumerate() {
        for operand in lowered.dst.iter().chain(&lowered.src) {
            if let Operand::Value(r, _) = operand {
                extend(*r, i as u32);
            }
        }
    }
    // A value from before a loop that is read in it lives to the loop's end; so does one that is
    // written in the loop and read there before.
    let start_of = |pc: u32| spans.get(pc as usize).map_or(0, |s| s.start);
    for (from, to) in loops(flat, program) {
        let (first, last) = (start_of(from), start_of(to));
        for (i, lowered) in list
            .iter()
            .enumerate()
            .take(last as usize + 1)
            .skip(first as usize)
        {
            for operand in &lowered.src {
                let Operand::Value(r, _) = operand else {
                    continue;
                };
                let Some(Some(interval)) = out.get_mut(*r as usize) else {
                    continue;
                };
                let outside = interval.from < first;
                let carried = interval.from >= i as u32;
                if outside || carried {
                    interval.to = interval.to.max(last);
                }
                if carried && !outside {
                    interval.from = interval.from.min(first);
                }
            }
        }
    }
    out
}

/// Loops as first and last instruction, inner ones first.
fn loops(flat: &Flat<'_>, program: &Program) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    for function in &flat.functions {
        let Some(start) = function.start else {
            continue;
        };
        let blocks = cfg::blocks(&program.insts, &program.targets, start, function.end);
        for (b, next) in blocks.successors.iter().enumerate() {
            for &n in next.iter().filter(|&&n| n <= b) {
                out.push((
                    blocks.starts.get(n).copied().unwrap_or(0),
                    blocks.end_of(b) - 1,
                ));
            }
        }
    }
    out.sort_by_key(|&(from, to)| (to - from, from));
    out.dedup();
    out
}
