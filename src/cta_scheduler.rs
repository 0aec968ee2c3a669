//! The CTA scheduler: which kernel runs, and where each CTA goes.
//!
//! It works once per quantum, between two quanta of the SMs, on what is known by then. Its decisions are the same as
//! if it watched every cycle: the end of a CTA becomes known `cta_end` cycles after it, a start takes `cta_start`
//! cycles, and together these are at least a quantum. A start that answers an end is therefore never due within the
//! quantum of that end.

use crate::config::LaunchSpec;
use crate::engine::Cycle;
use crate::occupancy::Occupancy;
use crate::sm::{CtaDone, CtaStart};
use bincode::{Decode, Encode};

/// A kernel with CTAs that have not started or not ended.
#[derive(Clone, Debug, Encode, Decode)]
struct Active {
    program: u8,
    occupancy: Occupancy,
    /// The next CTA to start.
    next: u64,
    /// CTAs of its grid.
    ctas: u64,
    /// CTAs whose end is not known yet.
    unfinished: u64,
    /// The first cycle at which a CTA of it may be dispatched.
    not_before: Cycle,
}

/// Free resources of an SM.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Room {
    warps: u32,
    ctas: u32,
    registers: u32,
    smem_bytes: u32,
}

/// A kernel whose CTAs have all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Program slot.
    pub program: u8,
    /// When the scheduler knew of the last CTA's end.
    pub at: Cycle,
}

/// The scheduler: kernels in order of their launch, and what is free on each SM.
#[derive(Clone, Debug)]
pub struct CtaScheduler {
    /// What is free on each SM.
    room: Vec<Room>,
    active: Vec<Active>,
    /// CTA ends by the cycle at which they become known.
    ends: Vec<(Cycle, CtaDone)>,
    /// Thousandths of a cycle between two dispatches.
    interval_milli: u64,
    /// When the dispatcher is free for the next CTA, in thousandths of a cycle.
    free_milli: u64,
    cta_start: Cycle,
    cta_end: Cycle,
    last_sm: usize,
}

crate::engine::state! {
    CtaScheduler {
        units: [],
        values: [room, active, ends, free_milli, last_sm],
        left: [interval_milli, cta_start, cta_end],
    }
}

impl CtaScheduler {
    /// A scheduler without kernels for the chip of `spec`, all of whose SMs are empty.
    pub fn new(spec: &crate::config::GpuSpec) -> Self {
        let LaunchSpec {
            cta_interval_milli,
            cta_start,
            cta_end,
            ..
        } = spec.launch;
        let smem_kib = spec.l1.carveouts_kib.last().copied().unwrap_or(0);
        let room = Room {
            warps: u32::from(spec.sm.warps_max),
            ctas: u32::from(spec.sm.ctas_max),
            registers: spec.sm.registers,
            smem_bytes: smem_kib * 1024,
        };
        CtaScheduler {
            room: vec![room; usize::from(spec.sms)],
            active: Vec::new(),
            ends: Vec::new(),
            interval_milli: u64::from(cta_interval_milli),
            free_milli: 0,
            cta_start: Cycle::from(cta_start),
            cta_end: Cycle::from(cta_end),
            last_sm: usize::from(spec.sms) - 1,
        }
    }

    /// Adds a kernel in program slot `program`; its first CTA may be dispatched at `not_before`.
    pub fn add(&mut self, program: u8, occupancy: Occupancy, ctas: u64, not_before: Cycle) {
        self.active.push(Active {
            program,
            occupancy,
            next: 0,
            ctas,
            unfinished: ctas,
            not_before,
        });
    }

    /// Tells the scheduler that a CTA ended; it acts on that from `cta_end` cycles after the end on.
    pub fn ended(&mut self, done: CtaDone) {
        self.ends.push((done.at + self.cta_end, done));
    }

    /// The earliest cycle at which a CTA could start or a kernel finish, given what is known.
    pub fn next_at(&self) -> Cycle {
        let ends = self
            .ends
            .iter()
            .map(|(at, _)| *at)
            .min()
            .unwrap_or(Cycle::MAX);
        let begins = self.active.iter().filter(|a| a.next < a.ctas);
        let begins = begins
            .map(|a| a.not_before.max(self.free_milli / 1000))
            .min();
        ends.min(begins.unwrap_or(Cycle::MAX))
    }

    /// Makes all decisions that the quantum beginning at `begin` needs. All CTA ends before `begin` must have been
    /// told. Adds to `starts` the CTAs to start, with their SMs, at `begin` or later, and to `finished` the kernels
    /// that ended.
    pub fn run(
        &mut self,
        begin: Cycle,
        starts: &mut Vec<(usize, CtaStart)>,
        finished: &mut Vec<Finished>,
    ) {
        let limit = begin + self.cta_end;
        self.ends
            .sort_unstable_by_key(|(at, done)| (*at, done.sm, done.cta, done.program));
        let ends = std::mem::take(&mut self.ends);
        let mut known = ends.iter().peekable();
        loop {
            let now = self.free_milli.div_ceil(1000);
            while let Some((_, done)) = known.next_if(|(at, _)| *at <= now) {
                self.free(done, finished);
            }
            if now < limit
                && let Some(at) = self.dispatch(now, limit, starts)
            {
                // The dispatch interval is in thousandths of a cycle, and CTAs start at whole cycles. While the
                // dispatcher is busy, the fraction left over from rounding up counts towards the next CTA; after a
                // pause it starts again at a whole cycle.
                if self.free_milli + 1000 <= at * 1000 {
                    self.free_milli = at * 1000;
                }
                self.free_milli += self.interval_milli;
                continue;
            }
            match known.next_if(|(at, _)| *at < limit) {
                Some((at, done)) => {
                    self.free_milli = self.free_milli.max(at * 1000);
                    self.free(done, finished);
                }
                None => break,
            }
        }
        self.ends = known.copied().collect();
    }

    /// Sends one CTA of the first kernel that has one and finds room; returns when.
    fn dispatch(
        &mut self,
        now: Cycle,
        limit: Cycle,
        starts: &mut Vec<(usize, CtaStart)>,
    ) -> Option<Cycle> {
        let sms = self.room.len();
        for active in &mut self.active {
            let at = now.max(active.not_before);
            if active.next == active.ctas || at >= limit {
                continue;
            }
            let o = &active.occupancy;
            let fits = |r: &Room| {
                r.warps >= o.warps
                    && r.ctas >= 1
                    && r.registers >= o.registers
                    && r.smem_bytes >= o.smem_bytes
            };
            let from = self.last_sm + 1;
            let Some(sm) = (from..from + sms)
                .map(|s| s % sms)
                .find(|&s| fits(&self.room[s]))
            else {
                continue;
            };
            let room = &mut self.room[sm];
            room.warps -= o.warps;
            room.ctas -= 1;
            room.registers -= o.registers;
            room.smem_bytes -= o.smem_bytes;
            self.last_sm = sm;
            let (program, cta) = (active.program, active.next);
            active.next += 1;
            let start = CtaStart {
                at: at + self.cta_start,
                program,
                cta,
            };
            starts.push((sm, start));
            return Some(at);
        }
        None
    }

    fn free(&mut self, done: &CtaDone, finished: &mut Vec<Finished>) {
        let Some(at) = self.active.iter().position(|a| a.program == done.program) else {
            return;
        };
        let active = &mut self.active[at];
        let room = &mut self.room[done.sm.index()];
        room.warps += active.occupancy.warps;
        room.ctas += 1;
        room.registers += active.occupancy.registers;
        room.smem_bytes += active.occupancy.smem_bytes;
        active.unfinished -= 1;
        if active.unfinished == 0 {
            finished.push(Finished {
                program: active.program,
                at: done.at + self.cta_end,
            });
            self.active.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SmId;
    use crate::occupancy::Limit;

    fn scheduler() -> CtaScheduler {
        let mut spec = crate::config::load("v100", &[]).unwrap().spec;
        spec.sms = 2;
        spec.launch.cta_interval_milli = 1500;
        spec.launch.cta_start = 100;
        spec.launch.cta_end = 50;
        CtaScheduler::new(&spec)
    }

    fn occupancy(warps: u32) -> Occupancy {
        Occupancy {
            warps,
            registers: 1024,
            smem_bytes: 0,
            ctas_per_sm: 64 / warps,
            limit: Limit::Warps,
            carveout_bytes: 0,
        }
    }

    #[test]
    fn ctas_go_round_robin_at_the_dispatch_interval() {
        let mut s = scheduler();
        s.add(0, occupancy(8), 5, 10);
        let (mut starts, mut finished) = (Vec::new(), Vec::new());
        s.run(64, &mut starts, &mut finished);
        let got: Vec<_> = starts.iter().map(|(sm, c)| (*sm, c.at, c.cta)).collect();
        assert_eq!(
            got,
            [
                (0, 110, 0),
                (1, 112, 1),
                (0, 113, 2),
                (1, 115, 3),
                (0, 116, 4)
            ]
        );
    }

    #[test]
    fn a_full_sm_waits_for_an_end_to_become_known() {
        let mut s = scheduler();
        s.add(0, occupancy(64), 3, 0);
        let (mut starts, mut finished) = (Vec::new(), Vec::new());
        s.run(64, &mut starts, &mut finished);
        assert_eq!(starts.len(), 2);
        starts.clear();
        let done = CtaDone {
            at: 500,
            sm: SmId(1),
            program: 0,
            cta: 1,
            started: 112,
        };
        s.ended(done);
        s.run(512, &mut starts, &mut finished);
        assert_eq!(
            starts,
            [(
                1,
                CtaStart {
                    at: 650,
                    program: 0,
                    cta: 2,
                }
            )]
        );
        s.ended(CtaDone {
            at: 700,
            cta: 2,
            ..done
        });
        s.ended(CtaDone {
            at: 701,
            sm: SmId(0),
            cta: 0,
            ..done
        });
        s.run(704, &mut starts, &mut finished);
        assert_eq!(
            finished,
            [Finished {
                program: 0,
                at: 751
            }]
        );
    }
}
