//! A warp: the instruction loop and control flow.

mod access;
mod atomic;
mod collective;
mod matrices;

use super::alu::{self, Conversion};
use super::cta::Barriers;
use super::fault::{Fault, LaneFault, Ran};
use super::memory::Global;
use super::observe::Observer;
use super::op::{Int, Op, Slot, Vote};
use super::program::{Inst, NOWHERE, Program};
use super::regs::{FULL, LANES, Lanes, Regs, each};
use super::shared::Shared;
use super::stack::{Entry, Fragment, State, join};
use super::{float, int};

/// What the warps of a CTA share while one of them runs.
pub struct Cx<'a, O> {
    /// The kernel.
    pub program: &'a Program,
    /// Global memory.
    pub global: &'a mut Global,
    /// Shared memory.
    pub shared: &'a mut Shared,
    /// Who watches.
    pub observer: &'a mut O,
    /// Barriers.
    pub barriers: &'a mut Barriers,
    /// Number of this CTA.
    pub cta: [u32; 3],
    /// Threads of a CTA.
    pub block: [u32; 3],
}

/// Polls of memory after which a path that others wait for is taken to spin.
const POLLS_MAX: u32 = 8;

/// Instructions that one of several fragments runs in a row.
const TURN: u64 = 64;

/// A warp.
#[derive(Clone, Debug, Default)]
pub struct Warp {
    /// Registers.
    pub regs: Regs,
    /// Paths.
    pub fragments: Vec<Fragment>,
    /// Lanes that have not exited.
    pub alive: u32,
    /// Local memory, thread by thread.
    pub local: Vec<u8>,
    /// Number within the CTA.
    pub number: u32,
    /// Instructions executed.
    pub executed: u64,
    polls: u32,
    turn: usize,
}

/// What the loop does after a control instruction.
enum Next {
    /// Look at the stack again.
    Stack,
    /// This fragment waits or is gone.
    Yield,
}

impl Warp {
    /// Prepares the warp for `lanes` of a CTA; constants and special registers are not filled in.
    pub fn start(&mut self, program: &Program, number: u32, lanes: u32) {
        let [p, w, x] = program.files;
        self.regs.p.clear();
        self.regs.p.resize(p, 0);
        self.regs.w.reset(w);
        self.regs.x.reset(x);
        self.regs.carry = 0;
        self.fragments.clear();
        self.fragments.push(Fragment::new(lanes));
        self.alive = lanes;
        self.local.clear();
        self.local.resize(program.local_bytes * LANES, 0);
        self.number = number;
        self.executed = 0;
        self.polls = 0;
        self.turn = 0;
        for &(r, value) in &program.words {
            self.regs.w.0[r as usize] = [value; LANES];
        }
        for &(r, value) in &program.doubles {
            self.regs.x.0[r as usize] = [value; LANES];
        }
        for &(r, value) in &program.truths {
            self.regs.p[r as usize] = if value { FULL } else { 0 };
        }
    }

    /// Whether all lanes have exited.
    pub fn done(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Whether some lane can run.
    pub fn ready(&self) -> bool {
        self.fragments.iter().any(|f| f.state == State::Ready)
    }

    /// Runs until nothing is ready or `budget` instructions are done.
    ///
    /// # Errors
    /// The first fault.
    pub fn run<O: Observer>(&mut self, cx: &mut Cx<'_, O>, budget: u64) -> Result<(), Box<Fault>> {
        let end = self.executed + budget;
        while self.executed < end {
            let count = self.fragments.len();
            let from = self.turn;
            let ready = (0..count)
                .map(|i| (from + i) % count)
                .find(|&i| self.fragments[i].state == State::Ready);
            let Some(index) = ready else {
                return Ok(());
            };
            let quantum = if count > 1 { TURN } else { end - self.executed };
            self.run_fragment(index, self.executed + quantum, cx)?;
            self.turn = index + 1;
        }
        Ok(())
    }

    fn run_fragment<O: Observer>(
        &mut self,
        index: usize,
        until: u64,
        cx: &mut Cx<'_, O>,
    ) -> Result<(), Box<Fault>> {
        let program = cx.program;
        loop {
            let Some(&top) = self.fragments.get(index).and_then(|f| f.stack.last()) else {
                self.fragments.remove(index);
                return Ok(());
            };
            let Entry {
                mut pc, meet, mask, ..
            } = top;
            loop {
                if pc == meet || self.executed >= until {
                    self.set_pc(index, pc);
                    self.fragments[index].settle();
                    break;
                }
                let inst = &program.insts[pc as usize];
                let exec = match inst.guard {
                    None => mask,
                    Some(p) => mask & self.regs.pred(p),
                };
                self.executed += 1;
                if let Op::Bra { target } = inst.op
                    && (exec == mask || exec == 0)
                {
                    cx.observer.step(self.number, pc, exec);
                    let back = exec != 0 && target <= pc;
                    pc = if exec == 0 { pc + 1 } else { target };
                    if back && self.polls > POLLS_MAX {
                        self.set_pc(index, pc);
                        self.unblock(index, mask);
                        break;
                    }
                    continue;
                }
                if is_control(&inst.op) {
                    self.set_pc(index, pc);
                    match self.control(index, pc, inst, mask, exec, cx) {
                        Ok(Next::Stack) => break,
                        Ok(Next::Yield) => return Ok(()),
                        Err(fault) => return Err(self.placed(*fault, pc, cx)),
                    }
                }
                cx.observer.step(self.number, pc, exec);
                if exec != 0
                    && let Err(fault) = self.execute(pc, &inst.op, exec, cx)
                {
                    return Err(self.placed(*fault, pc, cx));
                }
                pc += 1;
            }
            if self.executed >= until {
                return Ok(());
            }
        }
    }

    fn set_pc(&mut self, index: usize, pc: u32) {
        if let Some(top) = self.fragments[index].stack.last_mut() {
            top.pc = pc;
        }
    }

    /// Lets lanes that wait for `spinning` ones go on by themselves.
    fn unblock(&mut self, index: usize, spinning: u32) {
        self.polls = 0;
        if let Some(rest) = self.fragments[index].split(spinning) {
            self.fragments.push(rest);
        }
    }

    fn placed<O>(&self, fault: LaneFault, pc: u32, cx: &Cx<'_, O>) -> Box<Fault> {
        let thread = u64::from(self.number) * LANES as u64 + u64::from(fault.lane);
        let [bx, by, _] = cx.block.map(u64::from);
        let inst = cx.program.insts.get(pc as usize);
        Box::new(Fault {
            what: fault.what,
            line: inst.map_or(0, |i| i.line),
            inst: cx
                .program
                .texts
                .get(pc as usize)
                .cloned()
                .unwrap_or_default(),
            cta: cx.cta,
            thread: [
                (thread % bx.max(1)) as u32,
                (thread / bx.max(1) % by.max(1)) as u32,
                (thread / (bx * by).max(1)) as u32,
            ],
            remedy: fault.remedy.to_owned(),
        })
    }

    fn control<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        inst: &Inst,
        mask: u32,
        exec: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        if let Some(members) = collective::members(&inst.op) {
            return self.collective(index, pc, inst, mask, exec, members, cx);
        }
        cx.observer.step(self.number, pc, exec);
        if exec == 0 {
            self.set_pc(index, pc + 1);
            return Ok(Next::Stack);
        }
        match inst.op {
            Op::Bra { target } => {
                let meet = cx.program.reconverge[pc as usize];
                self.fragments[index].diverge(target, meet, exec);
                if target <= pc && self.polls > POLLS_MAX {
                    let running = self.fragments[index].stack.last().map_or(0, |e| e.mask);
                    self.unblock(index, running);
                }
            }
            Op::Brx { index: r, targets } => {
                let list = &cx.program.targets[targets as usize];
                let lane = exec.trailing_zeros() as usize;
                let choice = self.regs.w.get(r);
                let Some(&target) = list.get(choice[lane] as usize) else {
                    return Err(Box::new(LaneFault::new(
                        lane,
                        format!(
                            "branch to entry {} of a list of {}",
                            choice[lane],
                            list.len()
                        ),
                        "the index must be below the length of the target list",
                    )));
                };
                // One target a time: the other lanes come back to this instruction.
                let same =
                    (0..LANES).fold(0, |m, l| m | u32::from(choice[l] == choice[lane]) << l) & exec;
                if same == mask {
                    self.set_pc(index, target);
                } else {
                    let meet = cx.program.reconverge[pc as usize];
                    let fragment = &mut self.fragments[index];
                    fragment.diverge(target, meet, same);
                    for entry in fragment.stack.iter_mut().rev().take(2) {
                        if entry.pc == pc + 1 && entry.mask == mask & !same {
                            entry.pc = pc;
                        }
                    }
                }
            }
            Op::Call { function } => {
                self.set_pc(index, pc + 1);
                let fragment = &mut self.fragments[index];
                let frame = fragment.stack.last().map_or(0, |e| e.frame) + 1;
                fragment.stack.push(Entry {
                    pc: function,
                    meet: NOWHERE,
                    mask: exec,
                    frame,
                });
            }
            Op::Ret | Op::Exit => {
                self.set_pc(index, pc + 1);
                let frame = self.fragments[index].stack.last().map_or(0, |e| e.frame);
                if frame == 0 || inst.op == Op::Exit {
                    self.alive &= !exec;
                    self.fragments[index].retire(exec, 0);
                } else {
                    self.fragments[index].retire(exec, frame);
                }
            }
            Op::Bar {
                number,
                threads,
                arrive,
                red,
            } => {
                return self.barrier(index, pc, (number, threads, arrive, red), mask, exec, cx);
            }
            _ => {}
        }
        Ok(Next::Stack)
    }

    #[allow(clippy::type_complexity)]
    fn barrier<O: Observer>(
        &mut self,
        index: usize,
        pc: u32,
        (number, threads, arrive, red): (
            u32,
            Option<u32>,
            bool,
            Option<(Vote, u32, super::op::Pred)>,
        ),
        mask: u32,
        exec: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Next> {
        let lane = exec.trailing_zeros() as usize;
        let which = self.regs.w.get(number)[lane];
        let expected = threads.map(|t| self.regs.w.get(t)[lane]);
        let Some(barrier) = cx.barriers.get_mut(which) else {
            return Err(Box::new(LaneFault::new(
                lane,
                format!("barrier number {which}"),
                "barriers are numbered 0 to 15",
            )));
        };
        barrier.arrived += exec.count_ones();
        barrier.expected = expected;
        if let Some((_, _, p)) = red {
            let truths = self.regs.pred(p) & exec;
            barrier.truths += truths.count_ones();
        }
        self.set_pc(index, pc + 1);
        if arrive {
            return Ok(Next::Stack);
        }
        if let Some(rest) = self.fragments[index].split(exec) {
            self.fragments.push(rest);
        }
        let _ = mask;
        self.fragments[index].state = State::Barrier(which);
        self.turn = index + 1;
        Ok(Next::Yield)
    }

    /// Lets fragments go that wait at barrier `number`, which `truths` of `arrived` voted for.
    pub fn release(&mut self, number: u32, truths: u32, arrived: u32, program: &Program) {
        for fragment in &mut self.fragments {
            if fragment.state != State::Barrier(number) {
                continue;
            }
            fragment.state = State::Ready;
            let Some(top) = fragment.stack.last() else {
                continue;
            };
            let inst = program.insts.get(top.pc.wrapping_sub(1) as usize);
            if let Some(Inst {
                op:
                    Op::Bar {
                        red: Some((vote, d, _)),
                        ..
                    },
                ..
            }) = inst
            {
                let all = if truths == arrived { FULL } else { 0 };
                let any = if truths > 0 { FULL } else { 0 };
                match vote {
                    Vote::All | Vote::Uni => self.regs.put_pred(*d, top.mask, all),
                    Vote::Any => self.regs.put_pred(*d, top.mask, any),
                    Vote::Ballot => self.regs.w.put(*d, top.mask, &[truths; LANES]),
                }
            }
        }
        join(&mut self.fragments);
        self.polls = 0;
        // Arrived lanes may stand right where their paths meet.
        for fragment in &mut self.fragments {
            fragment.settle();
        }
    }

    /// Any instruction that does not change the flow of control.
    #[inline]
    fn execute<O: Observer>(&mut self, pc: u32, op: &Op, mask: u32, cx: &mut Cx<'_, O>) -> Ran<()> {
        let regs = &mut self.regs;
        match *op {
            Op::F32 { f, m, d, a, b, c } => float::f32(regs, f, m, d, [a, b, c], mask),
            Op::Ld { space, ty, addr, d } => return self.load(pc, space, ty, addr, d, mask, cx),
            Op::St {
                space,
                bytes,
                addr,
                a,
            } => {
                return self.store(pc, space, bytes, addr, a, mask, cx);
            }
            Op::Mov32 { d, a } => {
                let value = *regs.w.get(a);
                regs.w.put(d, mask, &value);
            }
            Op::Mov64 { d, a } => {
                let value = *regs.x.get(a);
                regs.x.put(d, mask, &value);
            }
            Op::Int32 {
                f: Int::Add,
                d,
                a,
                b,
                ..
            } => {
                regs.w.map2(d, a, b, mask, |x, y| x.wrapping_add(y));
            }
            Op::Int64 {
                f: Int::Add,
                d,
                a,
                b,
                ..
            } => {
                regs.x.map2(d, a, b, mask, |x, y| x.wrapping_add(y));
            }
            Op::Int32 { f, d, a, b, c } => int::int32(regs, f, d, [a, b, c], mask),
            Op::Int64 { f, d, a, b, c } => int::int64(regs, f, d, [a, b, c], mask),
            Op::Int16 { f, d, a, b, c } => int::int16(regs, f, d, [a, b, c], mask),
            Op::Setp {
                cmp,
                ty,
                ftz,
                d,
                e,
                a,
                b,
                with,
            } => {
                let holds = alu::comparison(regs, cmp, ty, ftz, a, b);
                let value = alu::combine(regs, holds, with);
                let other = e.map(|_| alu::combine(regs, !holds, with));
                regs.put_pred(d, mask, value);
                if let (Some(e), Some(other)) = (e, other) {
                    regs.put_pred(e, mask, other);
                }
            }
            Op::Wide { signed, d, a, b } => int::wide(regs, signed, d, a, b, mask),
            Op::MadWide { signed, d, a, b, c } => int::mad_wide(regs, signed, d, [a, b, c], mask),
            Op::Shift32 { f, d, a, b } => int::shift32(regs, f, d, a, b, mask),
            Op::Shift64 { f, d, a, b } => int::shift64(regs, f, d, a, b, mask),
            Op::Sel32 { d, a, b, p } => {
                let p = regs.pred(p);
                let (x, y) = (*regs.w.get(a), *regs.w.get(b));
                regs.w.put(d, mask & p, &x);
                regs.w.put(d, mask & !p, &y);
            }
            Op::Sel64 { d, a, b, p } => {
                let p = regs.pred(p);
                let (x, y) = (*regs.x.get(a), *regs.x.get(b));
                regs.x.put(d, mask & p, &x);
                regs.x.put(d, mask & !p, &y);
            }
            _ => return self.execute_rarer(pc, op, mask, cx),
        }
        Ok(())
    }

    fn execute_rarer<O: Observer>(
        &mut self,
        pc: u32,
        op: &Op,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let executed = self.executed;
        let regs = &mut self.regs;
        match *op {
            Op::Cvt {
                from,
                to,
                m,
                integral,
                relu,
                d,
                a,
            } => {
                let how = Conversion {
                    from,
                    to,
                    m,
                    integral,
                    relu,
                };
                alu::convert(regs, how, d, a, mask);
            }
            Op::CvtPack {
                to,
                m,
                relu,
                d,
                a,
                b,
            } => {
                alu::convert_pack(regs, to, m, relu, d, [a, b], mask);
            }
            Op::F64 { f, m, d, a, b, c } => float::f64(regs, f, m, d, [a, b, c], mask),
            Op::F16 {
                f,
                m,
                small,
                packed,
                d,
                a,
                b,
                c,
            } => {
                float::half(regs, f, m, small, packed, d, [a, b, c], mask);
            }
            Op::F32x2 { f, m, d, a, b, c } => float::f32x2(regs, f, m, d, [a, b, c], mask),
            Op::PredOp { f, d, a, b } => alu::predicates(regs, f, d, a, b, mask),
            Op::MovPred { d, a } => {
                let value = regs.pred(a);
                regs.put_pred(d, mask, value);
            }
            Op::Word { f, d, a, b, c } => int::word(regs, f, d, [a, b, c], mask),
            Op::Shift16 { f, d, a, b } => int::shift16(regs, f, d, a, b, mask),
            Op::Mixed { f, d, a } => int::mixed(regs, f, d, a, mask),
            Op::Bfe64 { signed, d, a, b, c } => int::bfe64(regs, signed, d, [a, b, c], mask),
            Op::Bfi32 { d, a, b, c, e } => int::bfi32(regs, d, [a, b, c, e], mask),
            Op::Bfi64 { d, a, b, c, e } => int::bfi64(regs, d, [a, b, c, e], mask),
            Op::Wide16 { signed, d, a, b, c } => int::wide16(regs, signed, d, [a, b, c], mask),
            Op::Carry32 { f, d, a, b, c } => int::carry(regs, f, 32, d, [a, b, c], mask),
            Op::Carry64 { f, d, a, b, c } => int::carry(regs, f, 64, d, [a, b, c], mask),
            Op::Clock { d, high } => {
                // A clock that only counts this warp's instructions, four cycles each.
                let now = 4 * executed;
                let value = if high { now >> 32 } else { now };
                for lane in 0..LANES {
                    if mask >> lane & 1 != 0 {
                        regs.put_lane(d, lane, value);
                    }
                }
            }
            Op::SetpPacked {
                cmp,
                small,
                d,
                e,
                a,
                b,
                with,
            } => {
                let (low, high) = alu::comparison_packed(regs, cmp, small, a, b);
                let value = alu::combine(regs, low, with);
                let other = alu::combine(regs, high, with);
                match e {
                    Some(e) => {
                        regs.put_pred(d, mask, value);
                        regs.put_pred(e, mask, other);
                    }
                    None => regs.put_pred(d, mask, value & other),
                }
            }
            Op::Set {
                cmp,
                ty,
                ftz,
                ones,
                d,
                a,
                b,
                with,
            } => {
                let holds = alu::comparison(regs, cmp, ty, ftz, a, b);
                let holds = alu::combine(regs, holds, with);
                let out: Lanes<u32> = each(|i| if holds >> i & 1 != 0 { ones } else { 0 });
                regs.w.put(d, mask, &out);
            }
            Op::Slct {
                wide,
                float,
                d,
                a,
                b,
                c,
            } => {
                let sign = regs.w.get(c);
                let mut first = 0u32;
                for (lane, &bits) in sign.iter().enumerate() {
                    let yes = match float {
                        true => f32::from_bits(bits) >= 0.0,
                        false => bits as i32 >= 0,
                    };
                    first |= u32::from(yes) << lane;
                }
                if wide {
                    let (x, y) = (*regs.x.get(a), *regs.x.get(b));
                    regs.x.put(d, mask & first, &x);
                    regs.x.put(d, mask & !first, &y);
                } else {
                    let (x, y) = (*regs.w.get(a), *regs.w.get(b));
                    regs.w.put(d, mask & first, &x);
                    regs.w.put(d, mask & !first, &y);
                }
            }
            Op::TestP { d, a, class } => {
                let wide = matches!(a, Slot::Double(_));
                let value = (0..LANES).fold(0, |m, lane| {
                    m | u32::from(float::test_class(class, regs.lane(a, lane), wide)) << lane
                });
                regs.put_pred(d, mask, value);
            }
            _ => return self.execute_moves(pc, op, mask, cx),
        }
        Ok(())
    }

    fn execute_moves<O: Observer>(
        &mut self,
        pc: u32,
        op: &Op,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let regs = &mut self.regs;
        match *op {
            Op::Pack { d, parts } => {
                let list = cx.program.list(parts);
                let bits = bits_of(d) / list.len().max(1) as u32;
                for lane in lanes(mask) {
                    let value = list.iter().rev().fold(0u64, |value, &part| {
                        let ones = u64::MAX >> (64 - bits.clamp(1, 64));
                        value.wrapping_shl(bits) | regs.lane(part, lane) & ones
                    });
                    regs.put_lane(d, lane, value);
                }
            }
            Op::Unpack { parts, a } => {
                let list = cx.program.list(parts);
                let bits = bits_of(a) / list.len().max(1) as u32;
                for lane in lanes(mask) {
                    let value = regs.lane(a, lane);
                    for (i, &part) in list.iter().enumerate() {
                        let ones = u64::MAX >> (64 - bits.clamp(1, 64));
                        regs.put_lane(part, lane, value >> (bits * i as u32) & ones);
                    }
                }
            }
            Op::Cvta {
                wide,
                base,
                to,
                d,
                a,
            } => {
                let by = if to { base.wrapping_neg() } else { base };
                if wide {
                    regs.x.map1(d, a, mask, |x| x.wrapping_add(by));
                } else {
                    regs.w.map1(d, a, mask, |x| x.wrapping_add(by as u32));
                }
            }
            Op::Isspacep { d, a, base } => {
                let x = regs.x.get(a);
                let value = (0..LANES).fold(0, |m, lane| {
                    m | u32::from(access::window(x[lane]) == base) << lane
                });
                regs.put_pred(d, mask, value);
            }
            Op::Activemask { d } => regs.w.put(d, mask, &[mask; LANES]),
            Op::Atom {
                space,
                f,
                ty,
                packed,
                addr,
                d,
                b,
                c,
            } => {
                let what = atomic::Atom {
                    f,
                    ty,
                    packed,
                    b,
                    c,
                };
                return self.atom(pc, space, what, addr, d, mask, cx);
            }
            Op::CpAsync {
                dst,
                src,
                bytes,
                size,
                ignore,
            } => {
                return self.copy_async(pc, [dst, src], bytes, size, ignore, mask, cx);
            }
            Op::Ldmatrix { addr, trans, d } => {
                return self.load_matrix(pc, addr, trans, d, mask, cx);
            }
            Op::Stmatrix { addr, trans, a } => {
                return self.store_matrix(pc, addr, trans, a, mask, cx);
            }
            Op::Mma { which } => return self.multiply(which, mask, cx),
            Op::Fragment { which } => return self.fragment(pc, which, mask, cx),
            Op::Movmatrix { d, a } => matrices::transpose(regs, d, a, mask),
            Op::Refused(number) => {
                let why = cx
                    .program
                    .refusals
                    .get(number as usize)
                    .cloned()
                    .unwrap_or_default();
                return Err(Box::new(LaneFault::new(
                    mask.trailing_zeros() as usize,
                    why,
                    "the emulator cannot run this kernel; `trace info` lists all such instructions",
                )));
            }
            Op::Trap => {
                return Err(Box::new(LaneFault::new(
                    mask.trailing_zeros() as usize,
                    "the kernel gave up (trap)",
                    "an assertion of the kernel failed: look at its arguments",
                )));
            }
            _ => {}
        }
        Ok(())
    }
}

fn bits_of(slot: Slot) -> u32 {
    match slot {
        Slot::Half(_) => 16,
        Slot::Word(_) => 32,
        Slot::Double(_) => 64,
    }
}

/// The lanes of a mask.
fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 != 0)
}

fn is_control(op: &Op) -> bool {
    matches!(
        op,
        Op::Bra { .. }
            | Op::Brx { .. }
            | Op::Call { .. }
            | Op::Ret
            | Op::Exit
            | Op::Bar { .. }
            | Op::Shfl { .. }
            | Op::Vote { .. }
            | Op::Match { .. }
            | Op::Redux { .. }
            | Op::ReduxFloat { .. }
            | Op::Elect { .. }
            | Op::WarpSync { .. }
    )
}
