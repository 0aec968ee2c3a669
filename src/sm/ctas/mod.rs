//! CTAs on an SM: start, exit, and the barriers of each.

mod barriers;

use crate::engine::{Calendar, Cycle, Timed};
use crate::ids::SmId;
use crate::probe::Probe;
use crate::sm::cores::warp::{Hold, Local, PENDING, Warp};
use crate::sm::memory::miss_port::Stage;
use crate::sm::{Cx, SUB_CORES, Sm};
use crate::stats::{Label, SmStats};
use crate::trace::{CtaEncoder, WarpStream};
use barriers::{BARRIERS, Barrier};
use bincode::{Decode, Encode};

/// A CTA that starts on an SM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CtaStart {
    /// Cycle at which its first warp may issue.
    pub at: Cycle,
    /// Which of the running kernels it belongs to: index into `Cx::programs`.
    pub program: u8,
    /// Its number within the grid, x fastest.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CtaDone {
    /// Cycle at which its last warp's resources were free.
    pub at: Cycle,
    /// The SM on which it ran.
    pub sm: SmId,
    /// Which of the running kernels it belongs to: index into `Cx::programs`.
    pub program: u8,
    /// Its number within the grid, x fastest.
    pub cta: u64,
    /// Cycle at which it started.
    pub started: Cycle,
}

/// A place for a resident CTA, and the state of the CTA in it.
#[derive(Clone, Copy, Debug, Default, Encode, Decode)]
pub(in crate::sm) struct Cta {
    pub(in crate::sm) used: bool,
    pub(in crate::sm) number: u64,
    program: u8,
    started: Local,
    /// Warps that have not exited.
    live: u8,
    /// Warps whose slot is not free yet.
    left: u8,
    /// Its warps: bit `i` for warp slot `i` of the SM.
    slots: u64,
    barriers: [Barrier; BARRIERS],
    /// Barriers at which some warp has arrived: bit `i` for barrier `i`.
    waited: u16,
    /// Warps that wait at a barrier.
    held: u8,
}

/// The CTAs of an SM, and those that start and end.
pub(in crate::sm) struct CtaTable {
    pub(in crate::sm) table: Vec<Cta>,
    /// Warp slots that become free, and when.
    pub(in crate::sm) releases: Vec<(Local, u8)>,
    /// CTAs that start in later quanta.
    pub(in crate::sm) starts: Calendar<CtaStart>,
    /// Those of this quantum.
    pub(in crate::sm) starting: Vec<CtaStart>,
    /// CTAs that ended in this quantum.
    pub(in crate::sm) done: Vec<CtaDone>,
    /// When the SM got its first warp after it had none.
    resident_since: Local,
    scratch_streams: Vec<WarpStream>,
    scratch_encoder: CtaEncoder,
}

crate::engine::state! {
    CtaTable {
        units: [],
        values: [table, releases, starts, starting, done, resident_since],
        left: [scratch_streams, scratch_encoder],
    }
}

impl CtaTable {
    /// No CTA in any of `slots` slots.
    pub(in crate::sm) fn new(slots: u8, quantum: Cycle) -> Self {
        CtaTable {
            table: vec![Cta::default(); usize::from(slots)],
            releases: Vec::new(),
            starts: Calendar::new(quantum),
            starting: Vec::new(),
            done: Vec::new(),
            resident_since: 0,
            scratch_streams: Vec::new(),
            scratch_encoder: CtaEncoder::default(),
        }
    }
}

impl<S: Stage> Sm<S> {
    /// Starts a CTA: loads its streams and puts its warps on the sub-cores, round-robin.
    pub(in crate::sm) fn launch_cta<P: Probe>(
        &mut self,
        start: CtaStart,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let launched = &cx.programs[usize::from(start.program)];
        let warps = launched.kernel.header.warps_per_cta() as usize;
        self.ctas
            .scratch_streams
            .resize_with(warps, WarpStream::default);
        let source = &launched.kernel.ctas;
        if let Err(error) = source.load(
            start.cta,
            &mut self.ctas.scratch_streams,
            &mut self.ctas.scratch_encoder,
        ) {
            self.error.get_or_insert(error);
            return;
        }
        if self.cores.used == 0 {
            self.ctas.resident_since = now;
        }
        let constants = launched.program.const_lines;
        self.front.consts.launch(launched.const_line, constants);
        let cta = self
            .ctas
            .table
            .iter()
            .position(|c| !c.used)
            .expect("the dispatcher knows the limits");
        self.ctas.table[cta] = Cta {
            used: true,
            number: start.cta,
            program: start.program,
            started: now,
            live: warps as u8,
            left: warps as u8,
            ..Cta::default()
        };
        self.cores.counters.ctas_launched += 1;
        self.cores.counters.warps_launched += warps as u64;
        let first = (0..SUB_CORES)
            .min_by_key(|&k| self.cores.subs[k].live.count_ones())
            .unwrap_or(0);
        for number in 0..warps {
            let slot = self.free_slot((first + number) % SUB_CORES);
            std::mem::swap(
                &mut self.cores.streams[slot],
                &mut self.ctas.scratch_streams[number],
            );
            self.cores.used |= 1 << slot;
            self.ctas.table[cta].slots |= 1 << slot;
            let wait = u32::from(cx.spec.launch.warp_interval) * number as u32;
            self.cores.warps[slot] = Warp {
                program: start.program,
                cta: cta as u8,
                in_cta: number as u8,
                floor: now + wait,
                floor_why: Label::NoInstruction,
                stores: self.cores.warps[slot].stores,
                ..Warp::empty()
            };
            self.cores.regs.start(slot, launched.program.width);
            self.async_side.warp_started(slot);
            self.launch_warp(slot, now, cx);
        }
    }

    fn free_slot(&self, wanted: usize) -> usize {
        let in_sub = |k: usize| {
            (k..self.cores.warps.len())
                .step_by(SUB_CORES)
                .find(|&slot| self.cores.used >> slot & 1 == 0)
        };
        (0..SUB_CORES)
            .find_map(|d| in_sub((wanted + d) % SUB_CORES))
            .expect("the dispatcher knows the limits")
    }

    fn launch_warp<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        self.charge_wait(k, now);
        self.cores.subs[k].live |= 1 << index;
        let warp = &self.cores.warps[slot];
        let (at, program) = (self.epoch + Cycle::from(now), warp.program);
        let held = self.ctas.table[usize::from(warp.cta)].held;
        cx.probe.warp_started(at, self.id, slot as u8, program);
        self.cores.subs[k].scheduler.launched(index, held);
        self.cores.locality.launched(slot);
        self.first_op(slot, now, cx);
    }

    /// The warp's last instruction issued at `now`.
    pub(in crate::sm) fn exit_warp<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, (slot / SUB_CORES) as u8);
        let sub = &mut self.cores.subs[k];
        sub.live &= !(1 << index);
        sub.draining |= 1 << index;
        sub.ready &= !(1 << index);
        sub.blocked &= !(1 << index);
        sub.scheduler.exited(index);
        self.cores.locality.exited(slot);
        self.cores.warps[slot].hold = Hold::Drain;
        let cta = usize::from(self.cores.warps[slot].cta);
        self.ctas.table[cta].live -= 1;
        let mut waited = self.ctas.table[cta].waited;
        while waited != 0 {
            let number = waited.trailing_zeros() as usize;
            waited &= waited - 1;
            self.open_barrier(cta, number, now, cx);
        }
        self.open_if_all_wait(cta, now, cx);
        self.drained(slot, now);
    }

    /// Frees the slot of an exited warp once its memory instructions are done.
    pub(in crate::sm) fn drained(&mut self, slot: usize, now: Local) {
        let warp = &self.cores.warps[slot];
        if warp.hold == Hold::Drain && warp.pending == 0 && warp.queued == 0 {
            self.ctas
                .releases
                .push((warp.memory_done.max(now + 1), slot as u8));
        }
    }

    /// Frees every warp slot whose time has come.
    pub(in crate::sm) fn release_due<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        let mut at = 0;
        while at < self.ctas.releases.len() {
            let (when, slot) = self.ctas.releases[at];
            if when <= now {
                self.ctas.releases.swap_remove(at);
                self.release(usize::from(slot), when, cx);
            } else {
                at += 1;
            }
        }
    }

    /// Adds the time up to `now` of warps that are still resident.
    pub(in crate::sm) fn count_residents(&self, now: Local, out: &mut SmStats) {
        let mut used = self.cores.used;
        if used != 0 {
            out.active_cycles += u64::from(now.saturating_sub(self.ctas.resident_since));
        }
        while used != 0 {
            let cta = self.cores.warps[used.trailing_zeros() as usize].cta;
            used &= used - 1;
            let started = self.ctas.table[usize::from(cta)].started;
            out.warp_cycles += u64::from(now.saturating_sub(started));
        }
    }

    fn release<P: Probe>(&mut self, slot: usize, now: Local, cx: &mut Cx<P>) {
        let (k, index) = (slot % SUB_CORES, slot / SUB_CORES);
        if self.cores.subs[k].live == 0 {
            self.charge_idle(k, now);
        }
        self.cores.subs[k].draining &= !(1 << index);
        self.cores.used &= !(1 << slot);
        self.cores.warps[slot].hold = Hold::None;
        let number = usize::from(self.cores.warps[slot].cta);
        let cta = &mut self.ctas.table[number];
        cta.left -= 1;
        self.cores.counters.warp_cycles += u64::from(now - cta.started);
        if self.cores.used == 0 {
            self.cores.counters.active_cycles += u64::from(now - self.ctas.resident_since);
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
            self.ctas.done.push(done);
            cx.probe.cta_done(done.at, &done);
        }
        debug_assert!(now < PENDING);
    }
}
