//! Dependence-control bits for a generated kernel, as a compiler would set them.
//!
//! Results of fixed latency are waited for by stall counts: the instruction before the consumer stalls
//! for what its distance leaves over. Results of variable latency, and results that would need a longer
//! stall than four bits hold, get one of six scoreboards, and so do operands of variable-latency
//! instructions that are overwritten later. Loops are walked twice, so that dependences carried by the
//! branch back are met too. A result is waited for once: by the first instruction that needs it.

mod boards;

use crate::config::GpuSpec;
use crate::isa::{Control, MemSpace, OpClass, RegFile, RegRange, StaticInst};
use crate::sm::latency;
use crate::trace::Code;
use boards::Wait;
use std::collections::BTreeMap;

const NO_BARRIER: u8 = 7;
const STALL_MAX: u64 = 15;
/// An operand is kept over one access less than this.
const BETWEEN_REUSE: usize = 3;

/// Sets `control` of every instruction of `code`.
pub(super) fn annotate(code: &mut Code, gpu: &GpuSpec) {
    let mut pass = Pass::new(code, gpu);
    let order = walk(&code.insts);
    while pass.round(&order) {}
    pass.assign(&order);
    pass.reuse();
    let controls = pass.controls;
    for (inst, control) in code.insts.iter_mut().zip(controls) {
        inst.control = Some(control);
    }
}

/// Instruction indices in an order of execution in which each loop runs twice.
fn walk(insts: &[StaticInst]) -> Vec<u32> {
    let mut order = Vec::new();
    let mut repeated = vec![false; insts.len()];
    let mut at = 0;
    while at < insts.len() {
        order.push(at as u32);
        let inst = &insts[at];
        let target = (inst.imm / 16) as usize;
        if inst.class == OpClass::Branch && target < at && !repeated[at] {
            repeated[at] = true;
            at = target;
        } else {
            at += 1;
        }
    }
    order
}

/// File and number.
type Register = (u8, u8);

fn registers(ranges: &[RegRange]) -> impl Iterator<Item = Register> + '_ {
    let each = |range: &RegRange| {
        let (file, first) = (range.file as u8, range.first);
        (0..range.count).map(move |n| (file, first + n))
    };
    ranges.iter().flat_map(each)
}

/// An instruction at one place of a walk.
#[derive(Clone, Copy, PartialEq)]
struct Issue {
    index: u32,
    /// Place in the walk.
    at: usize,
    /// Cycle.
    cycle: u64,
}

/// What is pending on a register during a walk.
#[derive(Default)]
struct Pending {
    writer: Option<Issue>,
    /// Variable-latency readers since.
    readers: Vec<Issue>,
}

/// Why an instruction is waited for by scoreboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// Its result.
    Result,
    /// Its operands, which are overwritten.
    Operands,
}

/// From the issue of an instruction to the first one that waits for it, as places in a walk.
struct Span {
    setter: u32,
    side: Side,
    start: usize,
    end: usize,
}

struct Pass<'a> {
    insts: &'a [StaticInst],
    mnemonics: &'a [String],
    gpu: &'a GpuSpec,
    controls: Vec<Control>,
    /// Instructions whose result is waited for by scoreboard.
    boarded: Vec<bool>,
    /// Scoreboard waits of the last walk.
    spans: Vec<Span>,
    /// Place in the walk up to which an instruction is known to have ended, by side.
    ended: BTreeMap<(u32, Side), usize>,
}

impl<'a> Pass<'a> {
    fn new(code: &'a Code, gpu: &'a GpuSpec) -> Self {
        let clear = Control {
            stall: 1,
            yield_: false,
            write_barrier: NO_BARRIER,
            read_barrier: NO_BARRIER,
            wait_mask: 0,
            reuse: 0,
        };
        let mut pass = Pass {
            insts: &code.insts,
            mnemonics: &code.mnemonics,
            gpu,
            controls: vec![clear; code.insts.len()],
            boarded: Vec::new(),
            spans: Vec::new(),
            ended: BTreeMap::new(),
        };
        pass.boarded = code
            .insts
            .iter()
            .map(|i| pass.latency(i).is_none())
            .collect();
        for (inst, control) in code.insts.iter().zip(&mut pass.controls) {
            if inst.class == OpClass::DepBar {
                control.stall = 4;
            }
        }
        pass
    }

    /// One walk; true when something changed that asks for another.
    fn round(&mut self, order: &[u32]) -> bool {
        let before = self.controls.clone();
        let boarded = self.boarded.clone();
        self.spans.clear();
        self.ended.clear();
        let mut pending: BTreeMap<Register, Pending> = BTreeMap::new();
        let (mut now, mut tensor_free, mut previous) = (0, 0, None);
        for (at, &index) in order.iter().enumerate() {
            let inst = &self.insts[index as usize];
            // Matrix instructions follow each other no faster than their pipe takes them.
            let tensor = inst.class == OpClass::Tensor;
            if tensor {
                now = now.max(tensor_free);
            }
            for register in registers(&inst.src).chain(registers(&inst.dst)) {
                if let Some(writer) = pending.get(&register).and_then(|p| p.writer) {
                    now = self.after(writer, (index, at), previous, now);
                }
            }
            let issue = Issue {
                index,
                at,
                cycle: now,
            };
            for register in registers(&inst.dst) {
                let entry = pending.entry(register).or_default();
                for reader in std::mem::take(&mut entry.readers) {
                    if reader.index != index {
                        self.wait(reader, Side::Operands, issue, previous);
                    }
                }
                entry.writer = Some(issue);
            }
            if self.latency(inst).is_none() {
                for register in registers(&inst.src) {
                    pending.entry(register).or_default().readers.push(issue);
                }
            }
            if tensor {
                let timing = latency::timing(inst, self.mnemonic(inst), self.gpu);
                tensor_free = now + u64::from(timing.interval);
            }
            now += u64::from(self.controls[index as usize].stall);
            previous = Some(index);
        }
        before != self.controls || boarded != self.boarded
    }

    /// Makes instruction `(index, at)` wait for the result of `writer`; returns when it can issue.
    fn after(
        &mut self,
        writer: Issue,
        (index, at): (u32, usize),
        previous: Option<u32>,
        now: u64,
    ) -> u64 {
        let producer = &self.insts[writer.index as usize];
        let consumer = &self.insts[index as usize];
        let latency = self
            .latency(producer)
            .map(|l| l + self.extra(producer, consumer));
        let boarded = self.boarded[writer.index as usize];
        let Some(latency) = latency.filter(|_| !boarded) else {
            let cycle = now;
            self.wait(writer, Side::Result, Issue { index, at, cycle }, previous);
            return now;
        };
        let ready = writer.cycle + latency;
        let Some(previous) = previous.filter(|_| ready > now) else {
            return now;
        };
        let stall = u64::from(self.controls[previous as usize].stall) + ready - now;
        if stall > STALL_MAX {
            self.boarded[writer.index as usize] = true;
            return now;
        }
        self.controls[previous as usize].stall = stall as u8;
        ready
    }

    /// `waiter` waits by scoreboard for one side of `setter`, unless one before it has.
    fn wait(&mut self, setter: Issue, side: Side, waiter: Issue, previous: Option<u32>) {
        let sides = match side {
            Side::Result => &[Side::Result, Side::Operands][..],
            Side::Operands => &[Side::Operands],
        };
        let ended = |pass: &Self, side| pass.ended.get(&(setter.index, side)).copied();
        if ended(self, side).is_some_and(|until| until >= setter.at) {
            return;
        }
        for &side in sides {
            self.ended.insert((setter.index, side), setter.at);
        }
        self.spans.push(Span {
            setter: setter.index,
            side,
            start: setter.at,
            end: waiter.at,
        });
        // A scoreboard counts up one cycle after issue.
        if previous == Some(setter.index) {
            let stall = &mut self.controls[setter.index as usize].stall;
            *stall = (*stall).max(2);
        }
    }

    /// Gives the waits of the last walk their scoreboards.
    fn assign(&mut self, order: &[u32]) {
        let mut spans = std::mem::take(&mut self.spans);
        spans.sort_by_key(|span| (span.start, span.end));
        let mut places = BTreeMap::new();
        let mut waits: Vec<Wait> = Vec::new();
        for span in &spans {
            let place = *places.entry((span.setter, span.side)).or_insert_with(|| {
                waits.push(Wait {
                    distant: span.side == Side::Result && self.is_distant(span.setter),
                    spans: Vec::new(),
                    waiters: Vec::new(),
                });
                waits.len() - 1
            });
            waits[place].spans.push(span.start..span.end);
            let waiter = order[span.end];
            let executed = order
                .iter()
                .enumerate()
                .filter(|&(_, &index)| index == waiter);
            waits[place].waiters.extend(executed.map(|(at, _)| at));
        }
        let boards = boards::assign(&waits);
        for span in &spans {
            let board = boards[places[&(span.setter, span.side)]];
            *self.barrier(span.setter, span.side) = board;
            self.controls[order[span.end] as usize].wait_mask |= 1 << board;
        }
    }

    /// Whether the result of instruction `index` comes from beyond the SM.
    fn is_distant(&self, index: u32) -> bool {
        let memory = self.insts[index as usize].mem;
        memory.is_some_and(|of| {
            matches!(
                of.space,
                MemSpace::Global | MemSpace::Local | MemSpace::Generic
            )
        })
    }

    fn barrier(&mut self, setter: u32, side: Side) -> &mut u8 {
        let control = &mut self.controls[setter as usize];
        match side {
            Side::Result => &mut control.write_barrier,
            Side::Operands => &mut control.read_barrier,
        }
    }

    fn mnemonic(&self, inst: &StaticInst) -> &'a str {
        &self.mnemonics[usize::from(inst.mnemonic)]
    }

    /// Cycles from issue to dependent issue, as the machine has them; none when they vary.
    fn latency(&self, inst: &StaticInst) -> Option<u64> {
        latency::fixed(inst, self.mnemonic(inst), self.gpu).map(u64::from)
    }

    /// What a consumer of another kind waits longer.
    fn extra(&self, producer: &StaticInst, consumer: &StaticInst) -> u64 {
        let branches = matches!(consumer.class, OpClass::Branch | OpClass::Exit);
        match producer.class {
            OpClass::SetPredicate if branches => u64::from(latency::guard_extra(self.gpu)),
            OpClass::Tensor | OpClass::SetPredicate => 0,
            class if class == consumer.class => 0,
            _ => u64::from(self.gpu.sm.latency.cross_pipe_extra),
        }
    }

    /// Keeps an operand that the next arithmetic instruction reads in the same position. Accesses to memory between
    /// the two leave it alone.
    fn reuse(&mut self) {
        let arithmetic = |class| {
            matches!(
                class,
                OpClass::Fp32 | OpClass::Fp16 | OpClass::Imad | OpClass::IntAlu
            )
        };
        for (at, one) in self.insts.iter().enumerate() {
            let mut behind = self.insts[at + 1..].iter().take(BETWEEN_REUSE);
            let next = behind.find(|inst| inst.class != OpClass::Memory);
            let Some(next) = next.filter(|next| arithmetic(next.class)) else {
                continue;
            };
            if !arithmetic(one.class) {
                continue;
            }
            for slot in 0..3 {
                let kept = one.src[slot];
                let general = kept.file == RegFile::General && kept.count == 1;
                if general && kept == next.src[slot] && one.dst[0] != kept {
                    self.controls[at].reuse |= 1 << slot;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::kernels::builder::{KernelBuilder, r};

    fn annotated(name: &str, build: impl FnOnce(&mut KernelBuilder)) -> Vec<Control> {
        let gpu = config::load(name, &[]).unwrap().spec;
        let mut builder = KernelBuilder::new(gpu.compute_capability);
        build(&mut builder);
        let mut code = builder.finish();
        annotate(&mut code, &gpu);
        code.insts
            .iter()
            .map(|inst| inst.control.unwrap())
            .collect()
    }

    #[test]
    fn a_dependent_ffma_stalls_for_its_latency_less_the_distance() {
        let controls = annotated("v100", |code| {
            code.inst("FFMA", &[r(4)], &[r(5), r(6)]);
            code.inst("FFMA", &[r(7)], &[r(8), r(9)]);
            code.inst("FFMA", &[r(4)], &[r(4), r(6)]);
            code.inst("FFMA", &[r(4)], &[r(4), r(6)]);
        });
        let stalls: Vec<u8> = controls.iter().map(|c| c.stall).collect();
        assert_eq!(stalls, [1, 3, 4, 1]);
        assert!(controls.iter().all(|c| c.write_barrier == NO_BARRIER));
    }

    #[test]
    fn the_two_fp16_pipes_wait_for_each_other() {
        let controls = annotated("a100-80", |code| {
            for text in ["HFMA2", "HFMA2", "HFMA2.MMA", "HFMA2"] {
                code.inst(text, &[r(9)], &[r(9), r(3)]);
            }
        });
        let stalls: Vec<u8> = controls.iter().map(|c| c.stall).collect();
        assert_eq!(stalls, [4, 5, 11, 1], "ptxas: 4, 6, 10");
    }

    #[test]
    fn a_load_is_waited_for_by_scoreboard_and_its_address_is_protected() {
        let controls = annotated("a100-80", |code| {
            code.inst("LDG.E", &[r(8)], &[r(2)]);
            code.inst("IADD3", &[r(2)], &[r(2)]);
            code.inst("FADD", &[r(9)], &[r(8)]);
        });
        assert_ne!(controls[0].write_barrier, controls[0].read_barrier);
        assert_eq!(controls[1].wait_mask, 1 << controls[0].read_barrier);
        assert_eq!(controls[2].wait_mask, 1 << controls[0].write_barrier);
        assert_eq!(
            controls[0].stall, 2,
            "the next instruction waits for its scoreboard"
        );
    }

    #[test]
    fn a_latency_beyond_the_stall_count_takes_a_scoreboard() {
        let controls = annotated("a100-80", |code| {
            code.inst("HMMA.16816.F32", &[r(64)], &[r(16), r(48), r(64)]);
            code.inst("HMMA.16816.F32", &[r(64)], &[r(16), r(48), r(64)]);
        });
        assert_ne!(controls[0].write_barrier, NO_BARRIER);
        assert_eq!(controls[1].wait_mask, 1 << controls[0].write_barrier);
    }

    #[test]
    fn dependences_through_the_branch_back_are_met() {
        let controls = annotated("v100", |code| {
            let body = code.inst("FADD", &[r(9)], &[r(8)]);
            code.inst("LDG.E", &[r(8)], &[r(2)]);
            code.branch(body);
        });
        assert_eq!(
            controls[0].wait_mask & 1 << controls[1].write_barrier,
            1 << controls[1].write_barrier
        );
    }

    #[test]
    fn operands_in_the_same_position_are_reused() {
        let controls = annotated("v100", |code| {
            code.inst("FFMA", &[r(4)], &[r(20), r(6), r(4)]);
            code.inst("FFMA", &[r(5)], &[r(20), r(7), r(5)]);
        });
        assert_eq!(controls[0].reuse, 0b001);
    }
}
