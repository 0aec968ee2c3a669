//! The way from an SM to the crossbar: everything that the SM asks of L2 passes here.
//!
//! Reads that missed L1 or pass it by, atomics, stores, written-back lines and instruction and constant fetches
//! enter as typed requests, each at the cycle in its `at`, and leave one after the other through a port of a given
//! width. Before the port lies a [`Stage`], which may hold a request for a time that nobody knows yet: the place
//! of an address translation. What comes behind a held request waits for it, so that requests leave in the order
//! in which they came.

use crate::config::{GpuSpec, NocTopology};
use crate::engine::state::{Loaded, Saved};
use crate::engine::{Cycle, State};
use crate::ids::SmId;
use crate::mem::tlb::Ask;
use crate::mem::{Line, Request, RequestKind};
use crate::stats::tlb::TlbLevelStats;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use std::collections::VecDeque;

/// What lies between the caches of an SM and its port, such as a TLB.
pub trait Stage {
    /// Whether the SM around it may have components that no product has: a scheduler that looks at L1, accesses that step
    /// aside, a prefetcher, a perfect L1. Where none can be there, the compiler leaves out what would ask for them.
    const COMPONENTS: bool;

    /// `request` stands before the stage at `at`. Every request is asked about once when it comes, in order, and while
    /// it may not pass again at each [`MissPort::resume`], with the last answer. Asking again earlier than needed must
    /// change nothing.
    fn pass(&mut self, request: &Request, at: Cycle, last: Option<Passage>) -> Passage;

    /// The first cycle at which a pending request may have another answer, after the one of the last question;
    /// `Cycle::MAX` when only a reply can bring it. The port asks again then, and after each reply to the SM.
    fn wake(&self) -> Cycle;

    /// A reply about `line` came for the stage itself.
    fn answer(&mut self, line: Line) {
        unreachable!("a stage that asks nothing is answered about {line:?}")
    }
}

/// A stage that the SMs of a chip can have: it is built from the configuration, kept with the chip's state, and the
/// chip's MMU asks it.
pub trait ChipStage: Stage + State + Send + Sync {
    /// That of an SM of `spec`.
    fn of(spec: &GpuSpec) -> Self;

    /// Hands to `each`, in order, what it has asked of the MMU since the last call.
    fn take_asks(&mut self, _each: impl FnMut(Ask)) {}

    /// Counters of its TLB, if it is one.
    fn stats(&self) -> TlbLevelStats {
        TlbLevelStats::default()
    }
}

/// What a [`Stage`] says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It leaves the stage then, not before it came.
    At(Cycle),
    /// It waits for something that is under way.
    Waits,
    /// The stage is full: it has not been looked at yet.
    Full,
}

/// No stage: addresses are physical. An SM behind it may have other components of research builds, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough<const COMPONENTS: bool>;

impl<const COMPONENTS: bool> State for PassThrough<COMPONENTS> {
    fn save<E: Encoder>(&self, _: &mut E) -> Saved {
        Ok(())
    }

    fn load<D: Decoder<Context = ()>>(&mut self, _: &mut D) -> Loaded {
        Ok(())
    }
}

impl<const COMPONENTS: bool> Stage for PassThrough<COMPONENTS> {
    const COMPONENTS: bool = COMPONENTS;

    #[inline(always)]
    fn pass(&mut self, _: &Request, at: Cycle, _: Option<Passage>) -> Passage {
        Passage::At(at)
    }

    #[inline(always)]
    fn wake(&self) -> Cycle {
        Cycle::MAX
    }
}

impl<const COMPONENTS: bool> ChipStage for PassThrough<COMPONENTS> {
    fn of(_: &GpuSpec) -> Self {
        PassThrough
    }
}

/// The port of one SM into the crossbar, with the stage in front of it.
#[derive(Clone, Debug)]
pub struct MissPort<S> {
    stage: S,
    /// Requests that the stage holds, and those behind them, with the stage's answer.
    waiting: VecDeque<(Request, Passage)>,
    free_at: Cycle,
    sm: SmId,
    header_bytes: u32,
    sector_bytes: u32,
    bytes_per_cycle: u32,
    /// What rounds up to a cycle.
    round: u32,
    queue_entries: usize,
}

// Nothing waits in a drained SM.
crate::engine::state! {
    MissPort<S> where [S: crate::engine::State] {
        units: [stage],
        values: [free_at],
        left: [waiting, sm, header_bytes, sector_bytes, bytes_per_cycle, round, queue_entries],
    }
}

impl<S: Stage> MissPort<S> {
    /// The idle port of SM `id`.
    pub fn new(id: SmId, spec: &GpuSpec, stage: S) -> Self {
        let width = u32::from(spec.noc.sm_request_bytes_per_cycle);
        let (bytes_per_cycle, round) = match spec.noc.topology {
            // Any request takes no cycle.
            NocTopology::Ideal => (u32::MAX, 0),
            NocTopology::Crossbar | NocTopology::Mesh => (width, width - 1),
        };
        MissPort {
            stage,
            waiting: VecDeque::new(),
            free_at: 0,
            sm: id,
            header_bytes: u32::from(spec.noc.header_bytes),
            sector_bytes: spec.l1.sector_bytes,
            bytes_per_cycle,
            round,
            queue_entries: usize::from(spec.l1.miss_queue_entries),
        }
    }

    /// `request` comes at its `at`; it is appended to `out` when it leaves the port, now or by a later
    /// [`MissPort::resume`].
    #[inline]
    pub fn send(&mut self, request: Request, out: &mut Vec<Request>) {
        let passage = self.stage.pass(&request, request.at, None);
        match passage {
            Passage::At(at) if self.waiting.is_empty() => self.leave(request, at, out),
            _ => self.waiting.push_back((request, passage)),
        }
    }

    /// Asks the stage about pending requests again at `now`, and lets go what may go.
    pub fn resume(&mut self, now: Cycle, out: &mut Vec<Request>) {
        for (request, passage) in &mut self.waiting {
            if !matches!(passage, Passage::At(_)) {
                let at = request.at.max(now);
                *passage = self.stage.pass(request, at, Some(*passage));
            }
        }
        while let Some(&(request, Passage::At(at))) = self.waiting.front() {
            self.waiting.pop_front();
            self.leave(request, at.max(now), out);
        }
    }

    /// A reply about `line` comes for the stage at `now`; what may go then goes.
    #[cold]
    pub fn answer(&mut self, line: Line, now: Cycle, out: &mut Vec<Request>) {
        self.stage.answer(line);
        self.resume(now, out);
    }

    /// The stage.
    pub fn stage(&mut self) -> &mut S {
        &mut self.stage
    }

    #[inline(always)]
    fn leave(&mut self, request: Request, at: Cycle, out: &mut Vec<Request>) {
        let data = match request.kind {
            RequestKind::Read | RequestKind::ReadInst => 0,
            _ => request.sectors.count() * self.sector_bytes,
        };
        let at = at.max(self.free_at);
        let cycles = (self.header_bytes + data + self.round) / self.bytes_per_cycle;
        self.free_at = at + Cycle::from(cycles);
        out.push(Request {
            at,
            sm: self.sm,
            ..request
        });
    }

    /// Nothing when a load that comes at `at` finds room in the queue before the port; else the cycle at which
    /// there will be room, `Cycle::MAX` while held requests fill the queue.
    #[inline]
    pub fn full_until(&self, at: Cycle) -> Option<Cycle> {
        if self.waiting.len() >= self.queue_entries {
            return Some(Cycle::MAX);
        }
        let entries = self.queue_entries as Cycle;
        (self.free_at > at + entries).then(|| self.free_at - entries)
    }

    /// Whether requests wait for the stage.
    #[inline(always)]
    pub fn holds(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Requests that wait for the stage.
    pub fn held(&self) -> usize {
        self.waiting.len()
    }

    /// When [`MissPort::resume`] should be called at the latest; `Cycle::MAX` when only a reply can help.
    #[inline(always)]
    pub fn wake(&self) -> Cycle {
        match self.holds() {
            true => self.stage.wake(),
            false => Cycle::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{ReplyTo, SectorMask};

    /// A translation that walks for the pages it does not know: one walk at a time, as long as it takes.
    #[derive(Default)]
    struct Walker {
        known: Vec<u64>,
        walk: Option<(u64, Cycle)>,
    }

    const WALK: Cycle = 100;

    fn page(line: Line) -> u64 {
        line.0 / 32
    }

    impl Stage for Walker {
        const COMPONENTS: bool = false;

        fn pass(&mut self, request: &Request, at: Cycle, _: Option<Passage>) -> Passage {
            if let Some((page, end)) = self.walk
                && end <= at
            {
                self.known.push(page);
                self.walk = None;
            }
            let page = page(request.line);
            if self.known.contains(&page) {
                return Passage::At(at + 1);
            }
            self.walk.get_or_insert((page, at + WALK));
            Passage::Waits
        }

        fn wake(&self) -> Cycle {
            self.walk.map_or(Cycle::MAX, |(_, end)| end)
        }
    }

    fn port<S: Stage>(stage: S) -> MissPort<S> {
        let mut spec = crate::config::load("v100", &[]).unwrap().spec;
        spec.l1.miss_queue_entries = 3;
        spec.noc.header_bytes = 16;
        spec.noc.sm_request_bytes_per_cycle = 32;
        MissPort::new(SmId(7), &spec, stage)
    }

    fn read(at: Cycle, line: u64) -> Request {
        Request {
            at,
            ..Request::new(
                RequestKind::Read,
                Line(line),
                SectorMask::ALL,
                ReplyTo::Fill,
            )
        }
    }

    fn left(out: &[Request]) -> Vec<(u64, Cycle)> {
        out.iter().map(|r| (r.line.0, r.at)).collect()
    }

    #[test]
    fn without_a_stage_requests_take_turns_at_the_port() {
        let (mut port, mut out) = (port(PassThrough::<false>), Vec::new());
        // A header takes a cycle, a whole line of data with its header 4.5, rounded up.
        port.send(read(10, 1), &mut out);
        let write = Request::new(
            RequestKind::Write,
            Line(2),
            SectorMask::ALL,
            ReplyTo::WriteBack,
        );
        port.send(Request { at: 10, ..write }, &mut out);
        port.send(read(10, 3), &mut out);
        port.send(read(50, 4), &mut out);
        assert_eq!(left(&out), [(1, 10), (2, 11), (3, 16), (4, 50)]);
        assert!(out.iter().all(|r| r.sm == SmId(7)));
        assert!(!port.holds() && port.wake() == Cycle::MAX);
        // Full when the port is busy for more cycles than the queue has entries.
        for _ in 0..4 {
            port.send(read(60, 5), &mut out);
        }
        assert_eq!((port.full_until(60), port.full_until(61)), (Some(61), None));
    }

    #[test]
    fn an_ideal_interconnect_takes_all_that_comes_at_once() {
        let mut spec = crate::config::load("v100", &[]).unwrap().spec;
        spec.noc.topology = NocTopology::Ideal;
        let mut port = MissPort::new(SmId(7), &spec, PassThrough::<false>);
        let mut out = Vec::new();
        for line in 1..100 {
            port.send(read(10, line), &mut out);
        }
        assert!(out.iter().all(|request| request.at == 10));
        assert_eq!(port.full_until(10), None);
    }

    #[test]
    fn a_held_request_keeps_those_behind_it_in_order_and_fills_the_queue() {
        let (mut port, mut out) = (port(Walker::default()), Vec::new());
        port.stage.known.push(page(Line(0)));
        port.send(read(10, 0), &mut out);
        assert_eq!(left(&out), [(0, 11)], "a known page costs a cycle");
        port.send(read(12, 32), &mut out);
        port.send(read(13, 1), &mut out);
        assert_eq!(
            left(&out),
            [(0, 11)],
            "the known page waits behind the walk"
        );
        assert_eq!(
            (port.held(), port.wake(), port.full_until(14)),
            (2, 112, None)
        );
        port.send(read(14, 64), &mut out);
        assert_eq!(port.full_until(15), Some(Cycle::MAX), "three are held");
        // Asking too early changes nothing.
        port.resume(60, &mut out);
        assert_eq!((port.held(), port.wake()), (3, 112));
        // The first walk ends; the request behind it goes in the next cycle, the third begins a walk.
        port.resume(112, &mut out);
        assert_eq!(left(&out), [(0, 11), (32, 113), (1, 114)]);
        assert_eq!(
            (port.held(), port.wake(), port.full_until(115)),
            (1, 212, None)
        );
        port.resume(212, &mut out);
        assert_eq!(left(&out)[3..], [(64, 213)]);
        assert!(!port.holds());
    }
}
