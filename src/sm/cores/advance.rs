//! A warp's way through its stream: next instruction, run, chunk, and the fetch of what comes.

use super::warp::Local;
use crate::probe::{Probe, WarpRun};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Op, flag};
use crate::sm::{Cx, SUB_CORES, Sm};
use crate::stats::Label;

impl<S: Stage> Sm<S> {
    /// Moves a warp to its next instruction after `op` issued at `now`.
    #[inline(always)]
    pub(in crate::sm) fn advance<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        op: &Op,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let warp = &mut self.cores.warps[slot];
        warp.op += 1;
        let mut jumped = false;
        if warp.op == warp.run_end {
            if !self.next_run(slot, now, cx) {
                self.exit_warp(slot, now, cx);
                return;
            }
            jumped = true;
        }
        let warp = &mut self.cores.warps[slot];
        let program = &cx.programs[usize::from(warp.program)].program;
        let next = &program.ops[warp.op as usize];
        if jumped {
            jumped = !(next.pc > op.pc && next.pc - op.pc <= 16);
        } else {
            jumped = next.flags & flag::JUMPED_TO != 0;
        }
        if op.flags & flag::BRANCH != 0 {
            let l = &cx.spec.sm.latency;
            let bubble = if jumped {
                l.branch_taken
            } else {
                l.branch_not_taken
            };
            warp.floor = warp.floor.max(now + Local::from(bubble));
            warp.floor_why = Label::BranchResolving;
        }
        if jumped {
            self.cores.subs[k].streak = 0;
        }
        if jumped || next.flags & (flag::NEW_LINE | flag::CONSTANT) != 0 {
            self.look_up(k, slot, jumped, now, cx);
        }
        let index = (slot / SUB_CORES) as u8;
        self.cores.subs[k].class[next.pipe as usize] |= 1 << index;
        self.evaluate(k, slot, now + 1, cx);
    }

    /// The first instruction of a new warp.
    pub(in crate::sm) fn first_op<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        if !self.next_run(slot, now, cx) {
            self.exit_warp(slot, now, cx);
            return;
        }
        let warp = &self.cores.warps[slot];
        let program = &cx.programs[usize::from(warp.program)].program;
        let pipe = program.ops[warp.op as usize].pipe;
        self.cores.subs[k].class[pipe as usize] |= 1 << index;
        self.look_up(k, slot, true, now, cx);
        self.evaluate(k, slot, now, cx);
    }

    /// Takes the next run from the warp's stream; false at its end.
    #[inline(always)]
    fn next_run<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) -> bool {
        match self.cores.streams[slot].next_run() {
            Some(run) => {
                let warp = &mut self.cores.warps[slot];
                warp.op = run.start;
                warp.run_end = run.start + run.length;
                warp.mask = run.mask;
                warp.lanes = run.mask.count_ones() as u8;
                let begun = WarpRun {
                    first: warp.op,
                    end: warp.run_end,
                    mask: run.mask,
                    warp: slot as u8,
                    program: warp.program,
                };
                cx.probe.run_begun(self.cycle(now), &begun);
                true
            }
            None => self.next_chunk(slot, now, cx),
        }
    }

    #[cold]
    fn next_chunk<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) -> bool {
        let Some(chunk) = self.cores.streams[slot].next_chunk() else {
            return false;
        };
        let warp = &self.cores.warps[slot];
        let source = &cx.programs[usize::from(warp.program)].kernel.ctas;
        let cta = self.ctas.table[usize::from(warp.cta)].number;
        let stream = &mut self.cores.streams[slot];
        if let Err(error) = source.load_chunk(cta, u32::from(warp.in_cta), chunk, stream) {
            self.error.get_or_insert(error);
            return false;
        }
        self.next_run(slot, now, cx)
    }

    /// Tells `probe` of warps that are within a run: the simulation is broken off.
    pub fn break_off<P: Probe>(&self, probe: &mut P) {
        for (slot, warp) in self.cores.warps.iter().enumerate() {
            if warp.op < warp.run_end {
                probe.run_broken_off(self.epoch, slot as u8, warp.op);
            }
        }
    }
}
