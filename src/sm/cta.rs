//! CTAs on an SM: start, barriers, exit.

use super::program::REGS;
use super::warp::{Hold, Local, PENDING, Warp};
use super::{Cx, SUB_CORES, Sm};
use crate::engine::{Cycle, Timed};
use crate::ids::SmId;
use crate::probe::Probe;
use crate::stats::{Label, SmStats};
use crate::trace::WarpStream;

/// A CTA that starts on an SM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtaStart {
    /// Cycle.
    pub at: Cycle,
    /// Program slot.
    pub program: u8,
    /// Number within the grid.
    pub cta: u64,
}

impl Timed for CtaStart {
    fn at(&self) -> Cycle {
        self.at
    }
    /// Only the CTA scheduler sends these.
    fn rank(&self) -> u32 {
        0
    }
}

/// A CTA that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtaDone {
    /// Cycle at which its last warp's resources were free.
    pub at: Cycle,
    /// Where.
    pub sm: SmId,
    /// Program slot.
    pub program: u8,
    /// Number within the grid.
    pub cta: u64,
    /// Start cycle.
    pub started: Cycle,
}

/// Named barriers of a CTA.
const BARRIERS: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Barrier {
    arrived: u8,
    admitted: Local,
}

/// A CTA slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cta {
    pub(super) used: bool,
    pub(super) number: u64,
    program: u8,
    started: Local,
    /// Warps that have not exited.
    live: u8,
    /// Warps whose slot is not free yet.
    left: u8,
    /// Its warp slots.
    slots: u64,
    barriers: [Barrier; BARRIERS],
    /// Barriers at which somebody waits.
    waited: u16,
    /// Warps that wait at a barrier.
    held: u8,
}

impl Sm {
    /// Starts a CTA: loads its streams and puts its warps on the sub-cores, round-robin.
    pub(super) fn launch_cta<P: Probe>(
        &mut self,
        start: super::CtaStart,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let launched = &cx.programs[usize::from(start.program)];
        let warps = launched.kernel.header.warps_per_cta() as usize;
        self.scratch_streams.resize_with(warps, WarpStream::default);
        let source = &launched.kernel.ctas;
        if let Err(error) = source.load(
            start.cta,
            &mut self.scratch_streams,
            &mut self.scratch_encoder,
        ) {
            self.error.get_or_insert(error);
            return;
        }
        if self.used == 0 {
            self.resident_since = now;
        }
        let constants = launched.program.const_lines;
        self.consts.launch(launched.const_line, constants);
        let cta = self
            .ctas
            .iter()
            .position(|c| !c.used)
            .expect("the dispatcher knows the limits");
        self.ctas[cta] = Cta {
            used: true,
            number: start.cta,
            program: start.program,
            started: now,
            live: warps as u8,
            left: warps as u8,
            ..Cta::default()
        };
        self.counters.ctas_launched += 1;
        self.counters.warps_launched += warps as u64;
        let first = (0..SUB_CORES)
            .min_by_key(|&k| self.subs[k].live.count_ones())
            .unwrap_or(0);
        for number in 0..warps {
            let slot = self.free_slot((first + number) % SUB_CORES);
            std::mem::swap(&mut self.streams[slot], &mut self.scratch_streams[number]);
            self.used |= 1 << slot;
            self.ctas[cta].slots |= 1 << slot;
            let wait = u32::from(cx.spec.launch.warp_interval) * number as u32;
            self.warps[slot] = Warp {
                program: start.program,
                cta: cta as u8,
                in_cta: number as u8,
                floor: now + wait,
                floor_why: Label::NoInstruction,
                stores: self.warps[slot].stores,
                ..Warp::empty()
            };
            for part in &launched.program.used {
                self.regs[slot * REGS..][part.clone()].fill(0);
            }
            self.launch_warp(slot, now, cx);
        }
    }

    fn free_slot(&self, wanted: usize) -> usize {
        let in_sub = |k: usize| {
            (k..self.warps.len())
                .step_by(SUB_CORES)
                .find(|&slot| self.used >> slot & 1 == 0)
        };
        (0..SUB_CORES)
            .find_map(|d| in_sub((wanted + d) % SUB_CORES))
            .expect("the dispatcher knows the limits")
    }

    fn launch_warp<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        self.charge_wait(k, now);
        self.subs[k].live |= 1 << index;
        let held = self.ctas[usize::from(self.warps[slot].cta)].held;
        self.subs[k].scheduler.launched(index, held);
        self.first_op(slot, now, cx);
    }

    /// A warp arrives at barrier `number`, and waits there if it `waits`.
    pub(super) fn arrive<P: Probe>(
        &mut self,
        slot: usize,
        number: u8,
        waits: bool,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let cta = usize::from(self.warps[slot].cta);
        let number = usize::from(number) % BARRIERS;
        if waits {
            self.warps[slot].hold = Hold::Barrier;
            self.warps[slot].held_by = number as u8;
            self.ctas[cta].held += 1;
            self.tell_barrier(cta);
        }
        self.counters.barrier_arrivals += 1;
        let per_warp = Local::from(cx.spec.sm.latency.barrier_per_warp);
        self.ctas[cta].waited |= 1 << number;
        let barrier = &mut self.ctas[cta].barriers[number];
        barrier.arrived += 1;
        barrier.admitted = (barrier.admitted + per_warp).max(now + per_warp);
        self.open_barrier(cta, number, now, cx);
        self.open_if_all_wait(cta, now, cx);
    }

    /// A barrier may be meant for some of the CTA's warps, and traces do not say how many. When every
    /// live warp waits at some barrier, each of them must have all that it is meant for.
    fn open_if_all_wait<P: Probe>(&mut self, cta: usize, now: Local, cx: &mut Cx<P>) {
        if self.ctas[cta].held < self.ctas[cta].live || self.ctas[cta].live == 0 {
            return;
        }
        let mut waited = self.ctas[cta].waited;
        while waited != 0 {
            let number = waited.trailing_zeros() as usize;
            waited &= waited - 1;
            self.release_barrier(cta, number, now, cx);
        }
    }

    /// Opens barrier `number` when every live warp of the CTA has arrived.
    fn open_barrier<P: Probe>(&mut self, cta: usize, number: usize, now: Local, cx: &mut Cx<P>) {
        let barrier = self.ctas[cta].barriers[number];
        if barrier.arrived > 0 && barrier.arrived >= self.ctas[cta].live {
            self.release_barrier(cta, number, now, cx);
        }
    }

    fn release_barrier<P: Probe>(&mut self, cta: usize, number: usize, now: Local, cx: &mut Cx<P>) {
        let barrier = self.ctas[cta].barriers[number];
        self.ctas[cta].barriers[number] = Barrier::default();
        self.ctas[cta].waited &= !(1 << number);
        let open = barrier.admitted + Local::from(cx.spec.sm.latency.barrier);
        let mut slots = self.ctas[cta].slots;
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let warp = &mut self.warps[slot];
            if warp.hold == Hold::Barrier && usize::from(warp.held_by) == number {
                warp.hold = Hold::None;
                self.ctas[cta].held -= 1;
                warp.floor = open.max(now + 1);
                warp.floor_why = Label::Barrier;
                self.rewake(slot, now, cx);
            }
        }
        self.tell_barrier(cta);
    }

    /// Tells the schedulers of a CTA's warps how many of them wait at a barrier now.
    fn tell_barrier(&mut self, cta: usize) {
        if !self.subs[0].scheduler.hears_barriers() {
            return;
        }
        let held = self.ctas[cta].held;
        let mut slots = self.ctas[cta].slots;
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let warp = (slot / SUB_CORES) as u8;
            self.subs[slot % SUB_CORES]
                .scheduler
                .barrier_changed(warp, held);
        }
    }

    /// The warp's last instruction issued at `now`.
    pub(super) fn exit_warp<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        let sub = &mut self.subs[k];
        sub.live &= !(1 << index);
        sub.draining |= 1 << index;
        sub.ready &= !(1 << index);
        sub.blocked &= !(1 << index);
        sub.scheduler.exited(index);
        self.warps[slot].hold = Hold::Drain;
        let cta = usize::from(self.warps[slot].cta);
        self.ctas[cta].live -= 1;
        let mut waited = self.ctas[cta].waited;
        while waited != 0 {
            let number = waited.trailing_zeros() as usize;
            waited &= waited - 1;
            self.open_barrier(cta, number, now, cx);
        }
        self.open_if_all_wait(cta, now, cx);
        self.drained(slot, now);
    }

    /// Frees the slot of an exited warp once its memory instructions are done.
    pub(super) fn drained(&mut self, slot: usize, now: Local) {
        let warp = &self.warps[slot];
        if warp.hold == Hold::Drain && warp.pending == 0 && warp.queued == 0 {
            self.releases
                .push((warp.memory_done.max(now + 1), slot as u8));
        }
    }

    /// Frees every warp slot whose time has come.
    pub(super) fn release_due<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        let mut at = 0;
        while at < self.releases.len() {
            let (when, slot) = self.releases[at];
            if when <= now {
                self.releases.swap_remove(at);
                self.release(usize::from(slot), when, cx);
            } else {
                at += 1;
            }
        }
    }

    /// Adds the time up to `now` of warps that are still resident.
    pub(super) fn count_residents(&self, now: Local, out: &mut SmStats) {
        let mut used = self.used;
        if used != 0 {
            out.active_cycles += u64::from(now.saturating_sub(self.resident_since));
        }
        while used != 0 {
            let cta = self.warps[used.trailing_zeros() as usize].cta;
            used &= used - 1;
            let started = self.ctas[usize::from(cta)].started;
            out.warp_cycles += u64::from(now.saturating_sub(started));
        }
    }

    fn release<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, slot / SUB_CORES);
        if self.subs[k].live == 0 {
            self.charge_idle(k, now);
        }
        self.subs[k].draining &= !(1 << index);
        self.used &= !(1 << slot);
        self.warps[slot].hold = Hold::None;
        let number = usize::from(self.warps[slot].cta);
        let cta = &mut self.ctas[number];
        cta.left -= 1;
        self.counters.warp_cycles += u64::from(now - cta.started);
        if self.used == 0 {
            self.counters.active_cycles += u64::from(now - self.resident_since);
        }
        if cta.left == 0 {
            cta.used = false;
            let done = CtaDone {
                at: self.epoch + Cycle::from(now),
                sm: self.id,
                program: cta.program,
                cta: cta.number,
                started: self.epoch + Cycle::from(cta.started),
            };
            self.done.push(done);
            cx.probe.cta_done(done.at, &done);
        }
        debug_assert!(now < PENDING);
    }
}
