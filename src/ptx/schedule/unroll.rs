//! Unrolls counted loops by four, as ptxas does with short ones that load and do nothing else to memory.
//!
//! A loop of one block whose counter goes by a constant gets a copy in front of it that makes four iterations at a
//! time while there are more than three left; the loop itself makes the rest. Whether that many are left is computed
//! so that no counter can wrap, so the iterations are the same, in the same order. Values of an iteration get
//! registers of their own, for the scheduler to overlap them.

use super::order::{Kind, kind};
use crate::ptx::ast::Number;
use crate::ptx::exec::decode::cfg;
use crate::ptx::exec::program::Program;
use crate::ptx::flat::{Arg, Flat, FlatInst, Register, Width};
use crate::ptx::lower::operands::{reads, writes, written};
use crate::ptx::lower::values::Values;
use std::collections::{BTreeMap, BTreeSet};

/// Iterations of the unrolled loop.
const TIMES: i64 = 4;

/// Instructions of a loop that is unrolled, at most.
const BODY_MAX: u32 = 64;

/// A loop that can be unrolled.
struct Loop {
    /// First instruction, and the branch back.
    start: u32,
    branch: u32,
    /// The counter, its step, and what it is compared with.
    counter: u32,
    step: i64,
    bound: Arg,
    /// How it is compared: modifiers of the comparison.
    compare: &'static str,
    unsigned: bool,
    /// The predicate of the branch, which is not negated.
    guard: u32,
    /// Registers that go by a constant, with the constant.
    inductions: BTreeMap<u32, i64>,
    /// Registers that are written under a guard, and keep their name.
    kept: BTreeSet<u32>,
    /// Registers whose value an iteration leaves to the next, or to what comes behind the loop.
    carried: BTreeSet<u32>,
}

/// Unrolls the loops of `flat`, of which `program` is the decoded form, for architecture `sm`. Whether there was one.
pub fn unroll(flat: &mut Flat<'_>, program: &Program, sm: u16) -> bool {
    let [only] = flat.functions.as_slice() else {
        return false;
    };
    let Some(start) = only.start.filter(|_| !only.recursive) else {
        return false;
    };
    let values = Values::of(flat, sm);
    let blocks = cfg::blocks(&program.insts, &program.targets, start, only.end);
    let loops: BTreeMap<u32, Loop> = (0..blocks.starts.len())
        .filter_map(|b| find(flat, &values, blocks.starts[b], blocks.end_of(b) - 1))
        .map(|found| (found.start, found))
        .collect();
    if !loops.is_empty() {
        Rewrite::default().run(flat, &loops);
    }
    !loops.is_empty()
}

/// The loop of `start..=branch`, if it is one that is unrolled.
fn find(flat: &Flat<'_>, values: &Values, start: u32, branch: u32) -> Option<Loop> {
    let last = flat.insts.get(branch as usize)?;
    let (guard, false) = last.guard? else {
        return None;
    };
    let back = last.opcode == "bra" && last.args.first() == Some(&Arg::Label(start));
    let body = &flat.insts[start as usize..branch as usize];
    if !back || branch - start > BODY_MAX {
        return None;
    }
    let mut loads = false;
    for inst in body {
        loads |= inst.opcode == "ld" && !inst.has("param");
        match kind(flat, values, inst) {
            Kind::Plain => {}
            Kind::Memory(access) if !access.stores() => {}
            _ => return None,
        }
    }
    let mut written: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, inst) in body.iter().enumerate() {
        writes(inst, &mut |r| written.entry(r).or_default().push(at));
    }
    let carries = body.iter().any(|inst| inst.has("cc"));
    let once = |r: u32| match written.get(&r).map(Vec::as_slice) {
        Some([at]) => Some((*at, &body[*at])),
        _ => None,
    };
    let (tested, test) = once(guard)?;
    let [_, Arg::Reg(counter), bound] = test.args.as_slice() else {
        return None;
    };
    let inductions: BTreeMap<u32, i64> = written
        .keys()
        .filter_map(|&r| Some((r, self_addition(once(r)?.1, r)?)))
        .collect();
    let step = *inductions.get(counter)?;
    let fixed = match bound {
        Arg::Imm(_) => true,
        Arg::Reg(r) => !written.contains_key(r),
        _ => false,
    };
    let (compare, unsigned) = comparison(test, step)?;
    let mut kept = BTreeSet::new();
    for inst in body.iter().filter(|inst| inst.guard.is_some()) {
        writes(inst, &mut |r| _ = kept.insert(r));
    }
    (loads && fixed && !carries && once(*counter)?.0 < tested).then(|| Loop {
        start,
        branch,
        counter: *counter,
        step,
        bound: bound.clone(),
        compare,
        unsigned,
        guard,
        inductions,
        kept,
        carried: carried(flat, (start, branch), &written),
    })
}

/// Of the registers that a loop writes those that are read outside of it, by its branch, or by an iteration before it
/// has written them.
fn carried(
    flat: &Flat<'_>,
    (start, branch): (u32, u32),
    written: &BTreeMap<u32, Vec<usize>>,
) -> BTreeSet<u32> {
    let mut carried = BTreeSet::new();
    for (pc, inst) in (0u32..).zip(&flat.insts) {
        reads(inst, &mut |r| {
            let before = match (start..branch).contains(&pc) {
                true => written.get(&r).is_some_and(|at| at[0] as u32 >= pc - start),
                false => written.contains_key(&r),
            };
            if before {
                carried.insert(r);
            }
        });
    }
    carried
}

/// The constant that `inst` adds to `r`, if that is all it does.
fn self_addition(inst: &FlatInst<'_>, r: u32) -> Option<i64> {
    let integer = ["s32", "u32", "s64", "u64"].iter().any(|ty| inst.has(ty));
    let plain =
        inst.opcode == "add" && inst.guard.is_none() && integer && inst.modifiers.len() == 1;
    match inst.args.as_slice() {
        [Arg::Reg(d), Arg::Reg(a), Arg::Imm(n)] if plain && *d == r && *a == r => {
            n.int().filter(|step| step.unsigned_abs() < 1 << 24)
        }
        _ => None,
    }
}

/// How `test` compares the counter, which goes by `step`: towards its bound.
fn comparison(test: &FlatInst<'_>, step: i64) -> Option<(&'static str, bool)> {
    let [compare, ty] = test.modifiers.as_slice() else {
        return None;
    };
    if test.opcode != "setp" || test.guard.is_some() || step == 0 {
        return None;
    }
    let unsigned = match *ty {
        "s32" => false,
        "u32" | "b32" => true,
        _ => return None,
    };
    let compare = match (*compare, step > 0) {
        ("ne", _) => "ne",
        ("lt", true) => "lt",
        ("le", true) => "le",
        ("gt", false) => "gt",
        ("ge", false) => "ge",
        _ => return None,
    };
    Some((compare, unsigned))
}

/// The instructions under construction, with branches to places among themselves.
#[derive(Default)]
struct Rewrite<'a> {
    out: Vec<FlatInst<'a>>,
    // Where each old instruction is now, and branches that were set to a new place.
    places: Vec<u32>,
    set: BTreeMap<u32, u32>,
}

impl<'a> Rewrite<'a> {
    fn run(mut self, flat: &mut Flat<'a>, loops: &BTreeMap<u32, Loop>) {
        let old = std::mem::take(&mut flat.insts);
        let mut pc = 0;
        while pc < old.len() {
            self.places.push(self.out.len() as u32);
            let Some(found) = loops.get(&(pc as u32)) else {
                self.out.push(old[pc].clone());
                pc += 1;
                continue;
            };
            let whole = &old[pc..=found.branch as usize];
            self.unrolled(flat, found, whole);
            let plain = self.out.len() as u32;
            // Branches into the loop go in front of it, but for its own.
            for (i, inst) in whole.iter().enumerate() {
                if i > 0 {
                    self.places.push(self.out.len() as u32);
                }
                self.out.push(inst.clone());
            }
            self.set.insert(self.out.len() as u32 - 1, plain);
            pc += whole.len();
        }
        self.places.push(self.out.len() as u32);
        let moved = |pc: &mut u32| *pc = self.places[*pc as usize];
        for (at, inst) in self.out.iter_mut().enumerate() {
            for arg in &mut inst.args {
                match arg {
                    Arg::Label(pc) => match self.set.get(&(at as u32)) {
                        Some(place) => *pc = *place,
                        None => moved(pc),
                    },
                    Arg::Labels(list) => list.iter_mut().for_each(moved),
                    _ => {}
                }
            }
        }
        for function in &mut flat.functions {
            function.start.iter_mut().for_each(moved);
            moved(&mut function.end);
        }
        flat.insts = self.out;
    }

    /// The copy that makes several iterations at a time; `whole` is the loop with its branch.
    fn unrolled(&mut self, flat: &mut Flat<'a>, found: &Loop, whole: &[FlatInst<'a>]) {
        let line = whole.last().map_or(0, |inst| inst.line);
        let (left, more) = (fresh(flat, Width::W32), fresh(flat, Width::Pred));
        if found.compare != "ne" {
            let ty = if found.unsigned { "u32" } else { "s32" };
            let args = vec![Arg::Reg(more), Arg::Reg(found.counter), found.bound.clone()];
            self.push("setp", &[found.compare, ty], args, line);
        }
        self.more(found, (left, more), more, line);
        let skip = self.branch((more, true), line);
        let begin = self.out.len() as u32;
        let mut names: BTreeMap<u32, u32> = BTreeMap::new();
        for copy in 0..TIMES {
            self.iteration(flat, found, whole, copy, &mut names);
        }
        self.more(found, (left, more), found.guard, line);
        let again = self.branch((more, false), line);
        self.set.insert(again, begin);
        // Nothing may be left for the loop itself.
        let over = self.branch((found.guard, true), line);
        self.out[over as usize].args = vec![Arg::Label(found.branch + 1)];
        self.set.insert(skip, self.out.len() as u32);
    }

    /// Sets `more` to whether more than three iterations are left. `goes_on` is whether there is one at all.
    fn more(&mut self, found: &Loop, (left, more): (u32, u32), goes_on: u32, line: u32) {
        let counter = Arg::Reg(found.counter);
        let (from, to) = match found.step > 0 {
            true => (found.bound.clone(), counter),
            false => (counter, found.bound.clone()),
        };
        self.push("sub", &["s32"], vec![Arg::Reg(left), from, to], line);
        let steps = Arg::Imm(Number::Int((TIMES - 1) * found.step.abs()));
        let mut args = vec![Arg::Reg(more), Arg::Reg(left), steps];
        match found.compare {
            "ne" => self.push("setp", &["gt", "s32"], args, line),
            compare => {
                let at_least = if matches!(compare, "le" | "ge") {
                    "ge"
                } else {
                    "gt"
                };
                args.push(Arg::Reg(goes_on));
                self.push("setp", &[at_least, "and", "u32"], args, line);
            }
        }
    }

    /// One iteration, number `copy`; `names` are those that values have by now.
    fn iteration(
        &mut self,
        flat: &mut Flat<'a>,
        found: &Loop,
        whole: &[FlatInst<'a>],
        copy: i64,
        names: &mut BTreeMap<u32, u32>,
    ) {
        let last = copy == TIMES - 1;
        let body = &whole[..whole.len() - 1];
        // Steps that each induction has made before the instruction at hand, but for those of the register itself.
        let mut ahead: BTreeMap<u32, i64> = found.inductions.keys().map(|&r| (r, copy)).collect();
        for inst in body {
            let mut new = inst.clone();
            let count = written(inst);
            for arg in new.args.iter_mut().skip(count) {
                if !advanced(arg, found, &ahead) {
                    renamed(arg, names);
                }
            }
            if let Some((guard, _)) = &mut new.guard {
                *guard = names.get(guard).copied().unwrap_or(*guard);
            }
            let mut targets = Vec::new();
            writes(inst, &mut |r| targets.push(r));
            if let [target] = targets.as_slice()
                && let Some(&step) = found.inductions.get(target)
            {
                // All at once, and from the register itself.
                new.args[1] = Arg::Reg(*target);
                new.args[2] = Arg::Imm(Number::Int((copy + 1) * step));
                ahead.insert(*target, if last { 0 } else { copy + 1 });
            }
            for r in targets.into_iter().filter(|r| !found.kept.contains(r)) {
                match last && (found.carried.contains(&r) || found.inductions.contains_key(&r)) {
                    true => {
                        names.remove(&r);
                    }
                    false => {
                        let width = flat.registers[r as usize].width;
                        names.insert(r, fresh(flat, width));
                    }
                }
            }
            new.args
                .iter_mut()
                .take(count)
                .for_each(|arg| renamed(arg, names));
            self.out.push(new);
        }
    }

    fn push(
        &mut self,
        opcode: &'static str,
        modifiers: &[&'static str],
        args: Vec<Arg>,
        line: u32,
    ) {
        self.out.push(FlatInst {
            guard: None,
            opcode,
            modifiers: modifiers.to_vec(),
            args,
            line,
        });
    }

    /// A branch whose target comes later; its number.
    fn branch(&mut self, guard: (u32, bool), line: u32) -> u32 {
        self.push("bra", &[], vec![Arg::Label(0)], line);
        let at = self.out.len() - 1;
        self.out[at].guard = Some(guard);
        at as u32
    }
}

/// An address relative to an induction that has gone some steps becomes one relative to the register itself. Whether
/// `arg` was one.
fn advanced(arg: &mut Arg, found: &Loop, ahead: &BTreeMap<u32, i64>) -> bool {
    if let Arg::Address {
        base: Some(r),
        offset,
        ..
    } = arg
        && let (Some(step), Some(steps)) = (found.inductions.get(r), ahead.get(r))
    {
        *offset += step * steps;
        return true;
    }
    false
}

/// Puts the names that values have by now into `arg`.
fn renamed(arg: &mut Arg, names: &BTreeMap<u32, u32>) {
    let name = |r: &mut u32| *r = names.get(r).copied().unwrap_or(*r);
    match arg {
        Arg::Reg(r) | Arg::Not(r) => name(r),
        Arg::Pair(a, b) => a.iter_mut().chain(b).for_each(name),
        Arg::Vector(list) | Arg::Params(list) => {
            list.iter_mut().for_each(|arg| renamed(arg, names))
        }
        Arg::Address { base: Some(r), .. } => name(r),
        _ => {}
    }
}

/// A register that nothing names yet.
fn fresh(flat: &mut Flat<'_>, width: Width) -> u32 {
    let file = match width {
        Width::Pred => 0,
        Width::W16 | Width::W32 => 1,
        Width::W64 => 2,
    };
    let slot = flat.files[file];
    flat.files[file] += 1;
    flat.registers.push(Register { width, slot });
    flat.registers.len() as u32 - 1
}
