//! The memory path of an SM: local queues, address generation, the shared pipe, L1, and replies.
//!
//! A memory instruction waits in its sub-core's queue until address generation is done
//! (`agu`), then enters the pipe that all sub-cores share, one at a time (`pipe`), which
//! looks up its lines (`lines`). A hit or a bank conflict has a known completion from there on; a
//! miss leaves a *flight* that replies complete (`reply`).

mod agu;
mod aside;
pub mod banks;
pub mod coalesce;
mod lines;
pub mod miss_port;
mod pipe;
mod prefetch;
mod reply;
#[cfg(feature = "memory-research")]
mod translation;

use crate::config::GpuSpec;
use crate::ids::SmId;
use crate::mem::cache::prefetch::Prefetcher;
use crate::mem::l1::{L1, ReservationFail};
use crate::mem::{FlightId, Request};
use crate::sm::Cx;
use crate::sm::SUB_CORES;
use crate::sm::cores::subcore::SubCore;
use crate::sm::cores::warp::{Local, PENDING};
use crate::stats::LsuStats;
use aside::Aside;
use bincode::{Decode, Encode};
use miss_port::{MissPort, Stage};

/// What lies in front of the miss port of an SM without components that no product has.
pub type OrdinaryStage = miss_port::PassThrough<false>;

/// What lies in front of the miss port of an SM with all components of this build.
#[cfg(not(feature = "memory-research"))]
pub type BuildStage = miss_port::PassThrough<{ crate::config::SM_COMPONENTS }>;
/// What lies in front of the miss port of an SM with all components of this build.
#[cfg(feature = "memory-research")]
pub type BuildStage = translation::Translation;

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum Space {
    /// Global, and generic that is global.
    Global,
    /// Local, and generic that is local.
    Local,
    /// Shared memory.
    Shared,
    /// Shuffle: the shared-memory data path without an access.
    Shuffle,
}

/// A memory instruction that waits for replies.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(in crate::sm) struct Flight {
    pub(super) warp: u8,
    pub(super) program: u8,
    pub(super) op: u32,
    pub(super) left: u16,
    pub(super) done: Local,
    pub(super) group: u32,
}

const NO_FLIGHT: u32 = u32::MAX;

/// The memory path of an SM: pipe, L1, and what leaves for L2.
#[derive(Clone, Debug)]
pub struct MemoryPath<S> {
    pub(in crate::sm) lsu: Lsu<S>,
    pub(in crate::sm) l1: L1<FlightId>,
    /// Begins anew with each kernel.
    pub(in crate::sm) prefetcher: Prefetcher,
    /// Requests of this quantum, in order of `at`.
    pub(in crate::sm) requests: Vec<Request>,
}

crate::engine::state! {
    MemoryPath<S> where [S: crate::engine::State] {
        units: [lsu, l1],
        values: [requests],
        left: [prefetcher],
    }
}

impl<S: Stage> MemoryPath<S> {
    /// The idle path of SM `id`, with `stage` in front of its miss port.
    pub fn new(id: SmId, spec: &GpuSpec, stage: S) -> Self {
        MemoryPath {
            lsu: Lsu::new(id, spec, stage),
            l1: L1::new(&spec.l1),
            prefetcher: Prefetcher::new(&spec.l1),
            requests: Vec::new(),
        }
    }

    /// Nothing waits, nothing is in flight.
    pub fn idle(&self) -> bool {
        self.l1.in_flight() == 0 && self.lsu.idle()
    }
}

/// The part of an SM that its sub-cores share for memory.
#[derive(Clone, Debug)]
pub struct Lsu<S> {
    /// Next cycle at which the pipe may have work.
    pub next: Local,
    /// Counters.
    pub stats: LsuStats,
    free: Local,
    last: usize,
    /// Sub-core whose head instruction is stuck in the pipe.
    stuck: Option<usize>,
    stuck_since: Local,
    stuck_on: Stuck,
    flights: Vec<Flight>,
    free_flights: Vec<u32>,
    pub(in crate::sm) port: MissPort<S>,
    bypass_left: u16,
    /// Below zero while lines are written back that a fill evicted: a fill cannot wait.
    store_credits: i32,
    store_credits_max: i32,
    frontend: Local,
    queue_entries: usize,
    aside: Aside,
}

crate::engine::state! {
    Lsu<S> where [S: crate::engine::State] {
        units: [port],
        values: [next, stats, free, last, stuck, stuck_since, stuck_on, flights, free_flights, bypass_left, store_credits],
        left: [store_credits_max, frontend, queue_entries, aside],
    }
}

/// What the head of the pipe waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
enum Stuck {
    Reservation(ReservationFail),
    StoreCredit,
}

/// How far the pipe came with its head instruction.
enum Progress {
    /// Done; the pipe is held this long.
    Done(Local),
    /// Stuck until an event, or until the given cycle.
    Stuck(Stuck, Local),
}

impl<S: Stage> Lsu<S> {
    /// The idle pipe of SM `id`.
    pub fn new(id: SmId, spec: &GpuSpec, stage: S) -> Self {
        Lsu {
            next: PENDING,
            stats: LsuStats::default(),
            free: 0,
            last: SUB_CORES - 1,
            stuck: None,
            stuck_since: 0,
            stuck_on: Stuck::StoreCredit,
            flights: Vec::new(),
            free_flights: Vec::new(),
            port: MissPort::new(id, spec, stage),
            bypass_left: spec.l1.mshrs,
            store_credits: i32::from(spec.lsu.store_credits),
            store_credits_max: i32::from(spec.lsu.store_credits),
            frontend: Local::from(spec.lsu.frontend_cycles),
            queue_entries: usize::from(spec.lsu.queue_entries),
            aside: Aside::new(spec),
        }
    }

    /// Nothing waits and no reply is expected.
    pub fn idle(&self) -> bool {
        self.next == PENDING
            && !self.port.holds()
            && self.flights.len() == self.free_flights.len()
            && self.store_credits == self.store_credits_max
    }

    /// All times move back by `by`; only while idle.
    pub fn rebase(&mut self, by: Local) {
        self.free = self.free.saturating_sub(by);
    }

    /// For the wait-for graph.
    pub fn describe(&self, sm: SmId, lines: usize, out: &mut Vec<String>) {
        let flights = self.flights.len() - self.free_flights.len();
        if flights > 0 || self.stuck.is_some() {
            out.push(format!(
                "SM {}: {flights} instructions wait for replies, {lines} lines in flight, {} of {} \
                 store credits left, head of the pipe waits for {}",
                sm.0,
                self.store_credits,
                self.store_credits_max,
                match self.stuck {
                    Some(_) => format!("{:?}", self.stuck_on),
                    None => "nothing".into(),
                }
            ));
        }
        if self.waits_aside() {
            out.push(format!(
                "SM {}: {} accesses stepped aside in front of L1",
                sm.0,
                self.aside.len()
            ));
        }
        if self.port.holds() {
            out.push(format!(
                "SM {}: {} requests wait in front of the crossbar port",
                sm.0,
                self.port.held()
            ));
        }
    }

    fn take_flight(&mut self, flight: Flight) -> u32 {
        match self.free_flights.pop() {
            Some(id) => {
                self.flights[id as usize] = flight;
                id
            }
            None => {
                assert!(
                    self.flights.len() < FlightId::MAX as usize,
                    "flight numbers"
                );
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        }
    }

    /// When the pipe must look at the queues again.
    fn plan(&mut self, subs: &[SubCore; SUB_CORES]) {
        let heads = subs
            .iter()
            .filter_map(|s| s.queue.front())
            .map(|q| q.ready)
            .min();
        self.next = heads.map_or(PENDING, |ready| ready.max(self.free));
    }
}

fn l1_sector<P>(cx: &Cx<P>) -> u32 {
    cx.spec.l1.sector_bytes
}
