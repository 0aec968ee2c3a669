//! A warp's way through its stream: next instruction, run, chunk, and the fetch of what comes.

use super::program::{Op, flag};
use super::warp::Local;
use super::{Cx, SUB_CORES, Sm};
use crate::probe::Probe;
use crate::stats::Label;

impl Sm {
    /// Moves a warp to its next instruction after `op` issued at `now`.
    #[inline(always)]
    pub(super) fn advance<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        op: &Op,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let warp = &mut self.warps[slot];
        warp.op += 1;
        let mut jumped = false;
        if warp.op == warp.run_end {
            if !self.next_run(slot, cx) {
                self.exit_warp(slot, now, cx);
                return;
            }
            jumped = true;
        }
        let warp = &mut self.warps[slot];
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
            self.subs[k].streak = 0;
        }
        if jumped || next.flags & (flag::NEW_LINE | flag::CONSTANT) != 0 {
            self.look_up(k, slot, jumped, now, cx);
        }
        let index = (slot / SUB_CORES) as u8;
        self.subs[k].class[next.pipe as usize] |= 1 << index;
        self.evaluate(k, slot, now + 1, cx);
    }

    /// The first instruction of a new warp.
    pub(super) fn first_op<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        if !self.next_run(slot, cx) {
            self.exit_warp(slot, now, cx);
            return;
        }
        let warp = &self.warps[slot];
        let program = &cx.programs[usize::from(warp.program)].program;
        let pipe = program.ops[warp.op as usize].pipe;
        self.subs[k].class[pipe as usize] |= 1 << index;
        self.look_up(k, slot, true, now, cx);
        self.evaluate(k, slot, now, cx);
    }

    /// Takes the next run from the warp's stream; false at its end.
    #[inline(always)]
    fn next_run<P: Probe>(&mut self, slot: usize, cx: &Cx<P>) -> bool {
        match self.streams[slot].next_run() {
            Some(run) => {
                let warp = &mut self.warps[slot];
                warp.op = run.start;
                warp.run_end = run.start + run.length;
                warp.mask = run.mask;
                warp.lanes = run.mask.count_ones() as u8;
                true
            }
            None => self.next_chunk(slot, cx),
        }
    }

    #[cold]
    fn next_chunk<P: Probe>(&mut self, slot: usize, cx: &Cx<P>) -> bool {
        let Some(chunk) = self.streams[slot].next_chunk() else {
            return false;
        };
        let warp = &self.warps[slot];
        let source = &cx.programs[usize::from(warp.program)].kernel.ctas;
        let cta = self.ctas[usize::from(warp.cta)].number;
        let stream = &mut self.streams[slot];
        if let Err(error) = source.load_chunk(cta, u32::from(warp.in_cta), chunk, stream) {
            self.error.get_or_insert(error);
            return false;
        }
        self.next_run(slot, cx)
    }

    /// Instruction and constant caches for the warp's next instruction.
    fn look_up<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        jumped: bool,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let warp = &mut self.warps[slot];
        let launched = &cx.programs[usize::from(warp.program)];
        let op = &launched.program.ops[warp.op as usize];
        if jumped || op.flags & flag::NEW_LINE != 0 {
            let end = launched.code_line + u64::from(launched.program.lines);
            let line = launched.code_line + u64::from(op.line);
            warp.fetched_at = self.inst.fetch(k, line, end, now, &mut self.fetch_stats);
        }
        if op.flags & flag::CONSTANT != 0 {
            let line = launched.const_line + u64::from(op.const_line);
            warp.constant_at = self.consts.access(line, now, &mut self.fetch_stats);
        }
        if !self.inst.requests.is_empty() || !self.consts.requests.is_empty() {
            self.send_fetches(cx);
        }
    }
}
