//! Puts the instructions of a kernel into the order that ptxas would give them, more or less.
//!
//! PTX is in the order of its source; ptxas unrolls short loops, hoists loads, spreads dependent instructions and
//! joins neighbouring loads. The same is done here, on the PTX itself and before anything is executed: counted loops
//! are unrolled ([`unroll`]), then within each basic block a list
//! scheduler ([`list`]) orders what its dependences ([`region`]) leave open, by the latencies of the machine
//! ([`latency`]) and under a budget of registers ([`budget`]). The emulator executes the result, so that every
//! check of a kernel's output is a check of its schedule too.

pub mod budget;
pub mod latency;
pub mod list;
mod live;
mod order;
mod region;
#[cfg(test)]
mod tests;
mod uniform;
pub mod unroll;

use super::ast::Space;
use super::exec::decode::cfg;
use super::exec::program::Program;
use super::flat::{Arg, Flat, FlatInst, Register};
use super::lower::values::{Values, words};
use super::lower::{Operand, emit, join};
use list::{Around, Held};
use live::Use;
use order::Kind;
use region::Facts;
use std::collections::BTreeSet;

/// Instructions of a region at most: the time to order one grows with the square.
const REGION_MAX: u32 = 2048;

/// Reorders the instructions of `flat`, of which `program` is the decoded form, for architecture `sm`. A thread
/// may hold `budget` registers, or as many as the given order needs.
pub fn schedule(flat: &mut Flat<'_>, program: &Program, sm: u16, budget: u16) {
    let order = order(flat, program, sm, u32::from(budget));
    let mut old: Vec<Option<FlatInst<'_>>> = std::mem::take(&mut flat.insts)
        .into_iter()
        .map(Some)
        .collect();
    flat.insts = order
        .iter()
        .filter_map(|&pc| old.get_mut(pc as usize)?.take())
        .collect();
}

/// For each place the number of the instruction that goes there.
fn order(flat: &Flat<'_>, program: &Program, sm: u16, budget: u32) -> Vec<u32> {
    let values = Values::of(flat, sm);
    let (list, spans) = emit::emit(flat, &values, sm);
    let sizes = sizes(flat, sm);
    let mut uses = vec![Use::default(); flat.insts.len()];
    let mut latencies = vec![0; flat.insts.len()];
    for (pc, (of, latency)) in uses.iter_mut().zip(&mut latencies).enumerate() {
        let span = spans[pc];
        let machine = &list[span.start as usize..(span.start + span.count) as usize];
        of.guarded = flat.insts[pc].guard.is_some();
        for lowered in machine {
            // What an earlier instruction of the same span wrote comes from within.
            let inner = |read: &Held| of.writes.contains(read);
            let reads: Vec<Held> = held(&sizes, &lowered.src)
                .filter(|read| !inner(read))
                .collect();
            of.reads.extend(reads);
            of.writes.extend(held(&sizes, &lowered.dst));
        }
        if let Some(last) = machine.last() {
            *latency = span.count - 1 + latency::of(&last.text, sm);
        }
    }
    let joined = join::groups(flat, &values);
    for group in joined.values() {
        let whole = group
            .iter()
            .map(|&pc| latencies[pc as usize])
            .max()
            .unwrap_or(0);
        group.iter().for_each(|&pc| latencies[pc as usize] = whole);
    }
    let issue: Vec<u32> = spans.iter().map(|span| span.count).collect();
    let facts = Facts {
        flat,
        values: &values,
        uses: &uses,
        sizes: &sizes,
        issue: &issue,
        latency: &latencies,
        joined: &joined,
    };
    let mut order: Vec<u32> = (0..flat.insts.len() as u32).collect();
    for function in &flat.functions {
        let Some(start) = function.start else {
            continue;
        };
        let blocks = cfg::blocks(&program.insts, &program.targets, start, function.end);
        let slices: Vec<&[Use]> = (0..blocks.starts.len())
            .map(|b| &uses[blocks.starts[b] as usize..blocks.end_of(b) as usize])
            .collect();
        let behind = live::behind(&slices, &blocks.successors);
        for (b, live) in behind.into_iter().enumerate() {
            block(
                &facts,
                (blocks.starts[b], blocks.end_of(b)),
                live,
                budget,
                &mut order,
            );
        }
    }
    order
}

/// Words that each register takes of a thread's own.
fn sizes(flat: &Flat<'_>, sm: u16) -> Vec<u32> {
    let uniform = uniform::registers(flat, sm);
    let shared = shared_addresses(flat);
    let size = |((register, uniform), shared): ((&Register, bool), bool)| match (uniform, shared) {
        (true, _) => 0,
        (_, true) => 1,
        _ => u32::from(words(register.width)),
    };
    flat.registers
        .iter()
        .zip(uniform)
        .zip(shared)
        .map(size)
        .collect()
}

/// For each register whether it is an address in shared memory: PTX has them in 64 bits, the machine in 32.
fn shared_addresses(flat: &Flat<'_>) -> Vec<bool> {
    let mut shared = vec![false; flat.registers.len()];
    let of_shared = |arg: &Arg, shared: &[bool]| match arg {
        Arg::Symbol(s, _) => flat
            .symbols
            .get(*s as usize)
            .is_some_and(|s| s.space == Space::Shared),
        Arg::Reg(r) => shared.get(*r as usize).copied().unwrap_or(false),
        _ => false,
    };
    let mut changed = true;
    while changed {
        changed = false;
        for inst in flat
            .insts
            .iter()
            .filter(|inst| matches!(inst.opcode, "mov" | "add"))
        {
            if let Some(Arg::Reg(d)) = inst.args.first()
                && !shared[*d as usize]
                && inst.args[1..].iter().any(|arg| of_shared(arg, &shared))
            {
                shared[*d as usize] = true;
                changed = true;
            }
        }
    }
    shared
}

/// Values in registers among `operands`.
fn held<'a>(sizes: &'a [u32], operands: &'a [Operand]) -> impl Iterator<Item = Held> + 'a {
    operands.iter().filter_map(|operand| match operand {
        Operand::Value(value, _) => Some(Held {
            value: *value,
            words: sizes.get(*value as usize).copied()?,
        }),
        Operand::Pred(_) => None,
    })
}

/// Orders the regions of a block, last one first; `live` is what is needed behind it.
fn block(
    facts: &Facts<'_>,
    (start, end): (u32, u32),
    mut live: BTreeSet<u32>,
    budget: u32,
    order: &mut [u32],
) {
    let fence = |pc: u32| {
        let inst = &facts.flat.insts[pc as usize];
        order::kind(facts.flat, facts.values, inst) == Kind::Fence
    };
    let mut to = end;
    while to > start {
        // From behind the fence before to the fence that ends it, as far as it is not too long.
        let mut from = to - 1;
        while from > start && to - from < REGION_MAX && !fence(from - 1) {
            from -= 1;
        }
        let behind = live.clone();
        for pc in (from..to).rev() {
            live::step_back(&mut live, &facts.uses[pc as usize]);
        }
        let around = Around {
            before: live.iter().map(|&value| facts.held(value)).collect(),
            behind,
        };
        let pcs: Vec<u32> = (from..to).collect();
        let (graph, members) = region::graph(facts, &pcs);
        let found = list::schedule(&graph, &around, budget);
        let placed = found
            .iter()
            .flat_map(|&n| members[n as usize].iter().copied());
        for (slot, pc) in order[from as usize..to as usize].iter_mut().zip(placed) {
            *slot = pc;
        }
        to = from;
    }
}
