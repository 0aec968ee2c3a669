//! Dependence-control bits for a generated kernel, as a compiler would set them.
//!
//! Results of fixed latency are waited for by stall counts: the instruction before the consumer stalls
//! for what its distance leaves over. Results of variable latency, and results that would need a longer
//! stall than four bits hold, get one of six scoreboards, and so do operands of variable-latency
//! instructions that are overwritten later. Loops are walked twice, so that dependences carried by the
//! branch back are met too.

use crate::config::GpuSpec;
use crate::isa::{Control, OpClass, RegFile, RegRange, StaticInst};
use crate::sm::latency;
use crate::trace::Code;
use std::collections::BTreeMap;

const NO_BARRIER: u8 = 7;
const BARRIERS: u8 = 6;
const STALL_MAX: u64 = 15;

/// Sets `control` of every instruction of `code`.
pub(super) fn annotate(code: &mut Code, gpu: &GpuSpec) {
    let mut pass = Pass::new(code, gpu);
    let order = walk(&code.insts);
    while pass.round(&order) {}
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

/// What is pending on a register during a walk.
#[derive(Default)]
struct Pending {
    /// Last writer and its time of issue.
    writer: Option<(u32, u64)>,
    /// Variable-latency readers since.
    readers: Vec<u32>,
}

struct Pass<'a> {
    insts: &'a [StaticInst],
    mnemonics: &'a [String],
    gpu: &'a GpuSpec,
    controls: Vec<Control>,
    /// Instructions whose result is waited for by scoreboard.
    boarded: Vec<bool>,
    next_barrier: u8,
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
            next_barrier: 0,
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
        let mut pending: BTreeMap<Register, Pending> = BTreeMap::new();
        let (mut now, mut previous) = (0, None);
        for &index in order {
            let inst = &self.insts[index as usize];
            for register in registers(&inst.src).chain(registers(&inst.dst)) {
                if let Some((writer, issued)) = pending.get(&register).and_then(|p| p.writer) {
                    now = self.after(writer, issued, index, previous, now);
                }
            }
            for register in registers(&inst.dst) {
                let entry = pending.entry(register).or_default();
                for reader in std::mem::take(&mut entry.readers) {
                    if reader != index {
                        self.wait_for_read(reader, index, previous);
                    }
                }
                entry.writer = Some((index, now));
            }
            if self.latency(inst).is_none() {
                for register in registers(&inst.src) {
                    pending.entry(register).or_default().readers.push(index);
                }
            }
            now += u64::from(self.controls[index as usize].stall);
            previous = Some(index);
        }
        before != self.controls || boarded != self.boarded
    }

    /// Makes `index` wait for the result of `writer`; returns when it can issue.
    fn after(
        &mut self,
        writer: u32,
        issued: u64,
        index: u32,
        previous: Option<u32>,
        now: u64,
    ) -> u64 {
        let (producer, consumer) = (&self.insts[writer as usize], &self.insts[index as usize]);
        let latency = self
            .latency(producer)
            .map(|l| l + self.extra(producer, consumer));
        let Some(latency) = latency.filter(|_| !self.boarded[writer as usize]) else {
            let barrier = self.barrier_of_result(writer);
            self.wait(barrier, writer, index, previous);
            return now;
        };
        let ready = issued + latency;
        let Some(previous) = previous.filter(|_| ready > now) else {
            return now;
        };
        let stall = u64::from(self.controls[previous as usize].stall) + ready - now;
        if stall > STALL_MAX {
            self.boarded[writer as usize] = true;
            return now;
        }
        self.controls[previous as usize].stall = stall as u8;
        ready
    }

    fn barrier_of_result(&mut self, writer: u32) -> u8 {
        if self.controls[writer as usize].write_barrier == NO_BARRIER {
            self.controls[writer as usize].write_barrier = self.new_barrier();
        }
        self.controls[writer as usize].write_barrier
    }

    fn wait_for_read(&mut self, reader: u32, index: u32, previous: Option<u32>) {
        if self.controls[reader as usize].read_barrier == NO_BARRIER {
            self.controls[reader as usize].read_barrier = self.new_barrier();
        }
        let barrier = self.controls[reader as usize].read_barrier;
        self.wait(barrier, reader, index, previous);
    }

    fn wait(&mut self, barrier: u8, setter: u32, index: u32, previous: Option<u32>) {
        self.controls[index as usize].wait_mask |= 1 << barrier;
        // A scoreboard counts up one cycle after issue.
        if previous == Some(setter) {
            let stall = &mut self.controls[setter as usize].stall;
            *stall = (*stall).max(2);
        }
    }

    fn new_barrier(&mut self) -> u8 {
        let barrier = self.next_barrier;
        self.next_barrier = (barrier + 1) % BARRIERS;
        barrier
    }

    /// Cycles from issue to dependent issue, as the machine has them; none when they vary.
    fn latency(&self, inst: &StaticInst) -> Option<u64> {
        let mnemonic = &self.mnemonics[usize::from(inst.mnemonic)];
        latency::fixed(inst, mnemonic, self.gpu).map(u64::from)
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

    /// Keeps an operand that the next instruction reads in the same position.
    fn reuse(&mut self) {
        let arithmetic = |class| {
            matches!(
                class,
                OpClass::Fp32 | OpClass::Fp16 | OpClass::Imad | OpClass::IntAlu
            )
        };
        for (at, pair) in self.insts.windows(2).enumerate() {
            if !arithmetic(pair[0].class) || !arithmetic(pair[1].class) {
                continue;
            }
            for slot in 0..3 {
                let (one, next) = (pair[0].src[slot], pair[1].src[slot]);
                let general = one.file == RegFile::General && one.count == 1;
                if general && one == next && pair[0].dst[0] != one {
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
