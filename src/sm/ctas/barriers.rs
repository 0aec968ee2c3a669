//! The named barriers of a CTA: arrival, waiting, opening.

use crate::probe::Probe;
use crate::sm::cores::warp::{Hold, Local};
use crate::sm::memory::miss_port::Stage;
use crate::sm::{Cx, SUB_CORES, Sm};
use crate::stats::Label;
use bincode::{Decode, Encode};

/// How many named barriers a CTA has (`BAR.SYNC 0` to `15`).
pub(super) const BARRIERS: usize = 16;

#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
pub(super) struct Barrier {
    /// Warps that have arrived since it last opened.
    arrived: u8,
    /// When the barrier unit is done with the last of them; it takes one after the other.
    admitted: Local,
}

impl<S: Stage> Sm<S> {
    /// A warp arrives at barrier `number`, and waits there if it `waits`.
    pub(in crate::sm) fn arrive<P: Probe>(
        &mut self,
        slot: usize,
        number: u8,
        waits: bool,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let cta = usize::from(self.cores.warps[slot].cta);
        let number = usize::from(number) % BARRIERS;
        if waits {
            self.cores.warps[slot].hold = Hold::Barrier;
            self.cores.warps[slot].held_by = number as u8;
            self.ctas.table[cta].held += 1;
            self.tell_barrier(cta);
        }
        self.cores.counters.barrier_arrivals += 1;
        let per_warp = Local::from(cx.spec.sm.latency.barrier_per_warp);
        self.ctas.table[cta].waited |= 1 << number;
        let barrier = &mut self.ctas.table[cta].barriers[number];
        barrier.arrived += 1;
        barrier.admitted = (barrier.admitted + per_warp).max(now + per_warp);
        self.open_barrier(cta, number, now, cx);
        self.open_if_all_wait(cta, now, cx);
    }

    /// Opens all barriers of the CTA once every live warp waits at one of them.
    ///
    /// A barrier may be for some of the CTA's warps only, and traces do not say for how many. While some warp still
    /// runs, it may be about to arrive, so the barrier stays closed. When no warp runs, nobody else can arrive: every
    /// barrier must have all the warps that it was waiting for.
    pub(super) fn open_if_all_wait<P: Probe>(&mut self, cta: usize, now: Local, cx: &mut Cx<P>) {
        if self.ctas.table[cta].held < self.ctas.table[cta].live || self.ctas.table[cta].live == 0 {
            return;
        }
        let mut waited = self.ctas.table[cta].waited;
        while waited != 0 {
            let number = waited.trailing_zeros() as usize;
            waited &= waited - 1;
            self.release_barrier(cta, number, now, cx);
        }
    }

    /// Opens barrier `number` when every live warp of the CTA has arrived.
    pub(super) fn open_barrier<P: Probe>(
        &mut self,
        cta: usize,
        number: usize,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let barrier = self.ctas.table[cta].barriers[number];
        if barrier.arrived > 0 && barrier.arrived >= self.ctas.table[cta].live {
            self.release_barrier(cta, number, now, cx);
        }
    }

    fn release_barrier<P: Probe>(&mut self, cta: usize, number: usize, now: Local, cx: &mut Cx<P>) {
        let barrier = self.ctas.table[cta].barriers[number];
        self.ctas.table[cta].barriers[number] = Barrier::default();
        self.ctas.table[cta].waited &= !(1 << number);
        let open = barrier.admitted + Local::from(cx.spec.sm.latency.barrier);
        let mut slots = self.ctas.table[cta].slots;
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let warp = &mut self.cores.warps[slot];
            if warp.hold == Hold::Barrier && usize::from(warp.held_by) == number {
                warp.hold = Hold::None;
                self.ctas.table[cta].held -= 1;
                warp.floor = open.max(now + 1);
                warp.floor_why = Label::Barrier;
                self.rewake(slot, now, cx);
            }
        }
        self.tell_barrier(cta);
    }

    /// Tells the schedulers of a CTA's warps how many of them wait at a barrier now.
    fn tell_barrier(&mut self, cta: usize) {
        if !self.cores.subs[0].scheduler.hears_barriers() {
            return;
        }
        let held = self.ctas.table[cta].held;
        let mut slots = self.ctas.table[cta].slots;
        while slots != 0 {
            let slot = slots.trailing_zeros() as usize;
            slots &= slots - 1;
            let warp = (slot / SUB_CORES) as u8;
            self.cores.subs[slot % SUB_CORES]
                .scheduler
                .barrier_changed(warp, held);
        }
    }
}
