//! Accesses that L1 refused and that let others pass (`sm.memory_order` = "out_of_order").
//!
//! An access that finds no MSHR, no merge slot, no way, no room in the miss queue or no store credit takes its turn in the
//! pipe and then stands aside, as long as there is room for it; its place in the queue of its sub-core is free, and what
//! comes behind it goes on. Those aside are tried again, oldest first, after each reply, or when the miss queue has room,
//! before the pipe takes the next instruction. One at a time is served, and holds the pipe as ever. When nobody else may
//! stand aside, the next refused access stops the pipe.
//!
//! A probe is told of an access when it enters the pipe, and not again: lines that are looked up later count as those of
//! the instruction that entered last.

use super::{Lsu, Progress};
use crate::config::{GpuSpec, MemoryOrder};
use crate::probe::Probe;
use crate::sm::cores::warp::{Local, PENDING, Queued};
use crate::sm::memory::miss_port::Stage;
use crate::sm::{Cx, Sm};

/// Who stands aside.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    /// Sub-core and access, the oldest first.
    #[allow(
        clippy::vec_box,
        reason = "entries are large and move between two lists"
    )]
    entries: Vec<(u8, Box<Queued>)>,
    max: usize,
    /// When one of them may go on.
    next: Local,
}

impl Aside {
    pub(super) fn new(spec: &GpuSpec) -> Self {
        let max = match spec.sm.memory_order {
            MemoryOrder::InOrder => 0,
            MemoryOrder::OutOfOrder => usize::from(spec.lsu.replay_entries),
        };
        Aside {
            entries: Vec::with_capacity(max),
            max,
            next: PENDING,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<S: Stage> Lsu<S> {
    /// Whether another access may stand aside.
    #[inline(always)]
    pub(super) fn has_room_aside(&self) -> bool {
        S::COMPONENTS && self.aside.entries.len() < self.aside.max
    }

    /// Whether an access stands aside.
    #[inline(always)]
    pub(super) fn waits_aside(&self) -> bool {
        S::COMPONENTS && !self.aside.entries.is_empty()
    }

    /// Something came at `now` that one of them may have waited for.
    #[inline(always)]
    pub(super) fn may_go_on(&mut self, now: Local) {
        if self.waits_aside() {
            self.aside.next = self.aside.next.min(now);
        }
    }

    /// The pipe is visited when it is free and one of those aside may go on.
    #[inline(always)]
    pub(super) fn plan_aside(&mut self) {
        if self.waits_aside() {
            self.next = self.next.min(self.aside.next.max(self.free));
        }
    }
}

impl<S: Stage> Sm<S> {
    /// `entry`, which the pipe took from the queue of sub-core `k` at `now`, cannot go on before `until`.
    pub(super) fn step_aside(&mut self, k: usize, entry: Box<Queued>, until: Local, now: Local) {
        let lsu = &mut self.memory.lsu;
        lsu.aside.entries.push((k as u8, entry));
        lsu.aside.next = lsu.aside.next.min(until.max(now + 1));
        lsu.free = now + 1;
        lsu.last = k;
        self.queue_has_room(k, now);
        self.memory.lsu.plan(&self.cores.subs);
    }

    /// Tries those aside again, if it is time. True when the pipe is busy with one of them, or still with another access.
    #[inline(always)]
    pub(super) fn retry_aside<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) -> bool {
        self.memory.lsu.waits_aside() && self.retry_those_aside(now, cx)
    }

    #[inline(never)]
    fn retry_those_aside<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) -> bool {
        if self.memory.lsu.free > now {
            // The next visit is when it is free, whoever goes then.
            self.memory.lsu.next = self.memory.lsu.free;
            return true;
        }
        if self.memory.lsu.aside.next > now {
            return false;
        }
        self.memory.lsu.aside.next = PENDING;
        for at in 0..self.memory.lsu.aside.entries.len() {
            let (k, mut entry) = self.memory.lsu.aside.entries.remove(at);
            // What has been tried before is not counted again.
            let head = self.memory.lsu.stuck.replace(usize::from(k));
            let progress = self.global_access(&mut entry, now, cx);
            self.memory.lsu.stuck = head;
            match progress {
                Progress::Done(hold) => {
                    self.memory.lsu.free = now + hold;
                    self.memory.lsu.aside.next = now + hold;
                    self.left_pipe(usize::from(k), entry, now, cx);
                    // A head that stopped the pipe may stand aside now, and the others go on.
                    self.memory.lsu.next = now + hold;
                    return true;
                }
                Progress::Stuck(_, until) => {
                    let aside = &mut self.memory.lsu.aside;
                    aside.entries.insert(at, (k, entry));
                    aside.next = aside.next.min(until.max(now + 1));
                }
            }
        }
        false
    }
}
