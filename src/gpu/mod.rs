//! The chip: owns every unit and moves messages between them. All wiring is here.
//!
//! Time goes in quanta. In phase A every SM and every memory shard runs one quantum by itself, on the messages
//! that were routed to it before. In phase B every GPC puts the messages from and to its SMs through its ports, and
//! a bridge sorts the messages that shards send to each other. What is no shard, such as a mesh, runs alone between two
//! quanta ([`Gpu::run_alone`]). A message takes at least a quantum from end to end.
//! What is sent in a quantum therefore cannot have an effect within it, and the result depends neither on the order
//! in which the shards are run nor on the thread that runs them.
//!
//! Threads: [`Gpu::phase_a`] and [`Gpu::phase_b`] are called by all threads of the team at once. Every other method
//! is for one thread while the rest waits at the barrier (see [`crate::engine::Team::barrier`]); it says "serial".

mod clock;
mod counters;
mod mesh;
mod quantum;
mod state;
mod translation;

use crate::config::GpuSpec;
use crate::engine::{Cycle, Deal};
use crate::error::Error;
use crate::ids::{ChannelId, GpcId, SliceId, SmId};
use crate::mem::shard::{MemShard, ShardCx};
use crate::mem::{Line, Request, SectorMask};
use crate::noc::{GpcPorts, Topology};
use crate::probe::{Instruments, KernelStart, Probe, Setup, Unit};
use crate::sm::{CtaDone, Cx, Launched, LineAccess, Sm};
use mesh::MeshUnit;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use translation::Translation;

pub use crate::sm::{BuildStage, ChipStage, OrdinaryStage};
pub use crate::stats::tlb::TlbStats;
pub use crate::stats::{ChipCounters, UnitCounters, UnitCounts};
pub use quantum::quantum;

struct SmUnit<P, S> {
    sm: Sm<S>,
    probe: P,
}

struct ShardUnit<P> {
    shard: MemShard,
    probe: P,
}

/// A GPC's ports, and what its SMs reported in the last quantum.
struct GpcUnit<P> {
    ports: GpcPorts,
    done: Vec<CtaDone>,
    error: Option<Error>,
    resident_warps: u32,
    active: bool,
    progress: u64,
    probe: P,
}

/// What memory shards send to each other: reads forwarded to the other partition, their replies, invalidations.
#[derive(Default)]
struct Bridge {
    /// Messages of the last quantum, by destination.
    to_shards: Vec<Vec<Request>>,
    /// Some shard has work, or has sent something.
    active: bool,
}

/// The chip. `S` is the stage in front of the miss port of each SM, and says which components SMs may have.
pub struct Gpu<P, S> {
    spec: GpuSpec,
    topology: Topology,
    quantum: Cycle,
    sms: Vec<RwLock<SmUnit<P, S>>>,
    shards: Vec<RwLock<ShardUnit<P>>>,
    gpcs: Vec<RwLock<GpcUnit<P>>>,
    bridge: RwLock<Bridge>,
    translation: Translation,
    mesh: MeshUnit,
    sm_tasks: Deal,
    shard_tasks: Deal,
    routes: Deal,
}

/// What happened on the chip in a quantum, for the host side.
#[derive(Default)]
pub struct Quantum {
    /// CTAs that ended in it.
    pub done: Vec<CtaDone>,
    /// The first error in reading an instruction stream.
    pub error: Option<Error>,
    /// Warps resident at its end.
    pub resident_warps: u32,
    /// A warp is resident, or a message in flight.
    pub active: bool,
    /// Warp instructions issued since the start of the run: the watchdog's sign of life.
    pub progress: u64,
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|e| e.into_inner())
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|e| e.into_inner())
}

/// `count` units, each thread making its share: on a fresh process most of the time goes into the first touch of
/// their memory.
fn build<T: Send>(count: u16, threads: usize, make: impl Fn(u16) -> T + Sync) -> Vec<T> {
    let threads = threads.clamp(1, usize::from(count.max(1)));
    let share = |t: usize| {
        let at = |t: usize| (usize::from(count) * t / threads) as u16;
        (at(t)..at(t + 1)).map(&make).collect::<Vec<T>>()
    };
    std::thread::scope(|scope| {
        let share = &share;
        let others: Vec<_> = (1..threads)
            .map(|t| scope.spawn(move || share(t)))
            .collect();
        let mut all = share(0);
        for other in others {
            all.extend(
                other
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e)),
            );
        }
        all
    })
}

impl<P: Probe + Sync, S: ChipStage> Gpu<P, S> {
    /// An idle chip, to be run by `threads` threads.
    pub fn new(spec: &GpuSpec, threads: usize) -> Self {
        let topology = Topology::new(spec);
        let quantum = quantum(spec);
        let gpcs = usize::from(spec.gpcs);
        let sm = |id| SmUnit {
            sm: Sm::with_stage(SmId(id), spec, quantum, S::of(spec)),
            probe: P::default(),
        };
        let shard = |id| ShardUnit {
            shard: MemShard::new(ChannelId(id), spec, &topology.map, gpcs, quantum),
            probe: P::default(),
        };
        let gpc = |g| GpcUnit {
            ports: GpcPorts::new(GpcId(g), spec, &topology),
            done: Vec::new(),
            error: None,
            resident_warps: 0,
            active: false,
            progress: 0,
            probe: P::default(),
        };
        Gpu {
            quantum,
            sms: build(spec.sms, threads, |id| RwLock::new(sm(id))),
            shards: build(spec.dram.channels, threads, |id| RwLock::new(shard(id))),
            gpcs: (0..spec.gpcs).map(|g| RwLock::new(gpc(g))).collect(),
            bridge: RwLock::new(Bridge {
                to_shards: vec![Vec::new(); usize::from(spec.dram.channels)],
                active: false,
            }),
            translation: Translation::new(spec),
            mesh: MeshUnit::new(spec, &topology),
            sm_tasks: Deal::new(usize::from(spec.sms), threads),
            shard_tasks: Deal::new(usize::from(spec.dram.channels), threads),
            routes: Deal::new(usize::from(spec.gpcs) + 1, threads),
            spec: spec.clone(),
            topology,
        }
    }

    /// Cycles of a quantum.
    pub fn quantum(&self) -> Cycle {
        self.quantum
    }

    /// Opens the tasks of phase A for the next quantum. Serial.
    pub fn begin_phase_a(&self) {
        self.sm_tasks.reset();
        self.shard_tasks.reset();
    }

    /// Opens the tasks of phase B for the next quantum. Serial.
    pub fn begin_phase_b(&self) {
        self.routes.reset();
    }

    /// The part of thread `thread` in phase A of quantum `index`: it takes SMs and memory shards until none is left,
    /// and runs each of them for the quantum.
    pub fn phase_a(&self, thread: usize, index: u64, programs: &[Launched], no_skip: bool) {
        let gpcs: Vec<_> = self.gpcs.iter().map(read).collect();
        let bridge = read(&self.bridge);
        self.sm_tasks.work(thread, |sm| {
            self.run_sm(sm, index, &gpcs, programs, no_skip)
        });
        self.shard_tasks
            .work(thread, |shard| self.run_shard(shard, index, &gpcs, &bridge));
    }

    fn run_sm(
        &self,
        number: usize,
        index: u64,
        gpcs: &[RwLockReadGuard<GpcUnit<P>>],
        programs: &[Launched],
        no_skip: bool,
    ) {
        let unit = &mut *write(&self.sms[number]);
        let count = gpcs.len();
        for reply in &gpcs[number % count].ports.to_sms[number / count] {
            unit.sm.deliver(*reply);
        }
        unit.sm.begin_quantum();
        if unit.sm.idle() && !no_skip {
            return;
        }
        let mut cx = Cx {
            spec: &self.spec,
            programs,
            probe: &mut unit.probe,
            no_skip,
        };
        unit.sm.run(index, self.quantum, &mut cx);
    }

    fn run_shard(
        &self,
        number: usize,
        index: u64,
        gpcs: &[RwLockReadGuard<GpcUnit<P>>],
        bridge: &Bridge,
    ) {
        let unit = &mut *write(&self.shards[number]);
        let routed = gpcs.iter().map(|g| &g.ports.to_shards[number]);
        for request in routed.chain([&bridge.to_shards[number]]).flatten() {
            unit.shard.deliver(*request);
        }
        let mut cx = ShardCx {
            gpc_of: &self.topology.gpc_of,
            probe: &mut unit.probe,
        };
        unit.shard.run(index, self.quantum, &mut cx);
    }

    /// The part of thread `thread` in phase B: it takes GPCs, and the bridge, until none is left, and routes the
    /// messages of each of them.
    pub fn phase_b(&self, thread: usize) {
        let shards: Vec<_> = self.shards.iter().map(read).collect();
        self.routes
            .work(thread, |task| match task == self.gpcs.len() {
                true => self.route_bridge(&shards),
                false => self.route_gpc(task, &shards),
            });
    }

    fn route_gpc(&self, number: usize, shards: &[RwLockReadGuard<ShardUnit<P>>]) {
        let gpc = &mut *write(&self.gpcs[number]);
        gpc.ports.begin();
        gpc.done.clear();
        (gpc.resident_warps, gpc.active, gpc.progress) = (0, false, 0);
        for &sm in &self.topology.sms_of[number] {
            let mut unit = write(&self.sms[sm.index()]);
            if !self.mesh.present() {
                gpc.ports.collect(unit.sm.requests());
            }
            gpc.done.extend_from_slice(unit.sm.done());
            gpc.resident_warps += unit.sm.resident_warps();
            gpc.active |= !unit.sm.idle();
            gpc.progress += unit.sm.progress();
            if let Some(error) = unit.sm.error.take() {
                gpc.error.get_or_insert(error);
            }
        }
        if self.mesh.present() {
            return;
        }
        for unit in shards {
            gpc.ports.collect_replies(&unit.shard.replies[number]);
        }
        gpc.ports.route(&self.topology, &mut gpc.probe);
    }

    fn route_bridge(&self, shards: &[RwLockReadGuard<ShardUnit<P>>]) {
        let bridge = &mut *write(&self.bridge);
        bridge.to_shards.iter_mut().for_each(Vec::clear);
        bridge.active = false;
        for unit in shards {
            bridge.active |= !unit.shard.idle() || !unit.shard.forwards.is_empty();
            for request in &unit.shard.forwards {
                let channel = self.topology.map.channel(request.slice);
                bridge.to_shards[channel.index()].push(*request);
            }
        }
    }

    /// Collects in `out` what the host side has to know of the quantum that is over. Serial.
    pub fn report(&self, out: &mut Quantum) {
        out.done.clear();
        out.resident_warps = 0;
        out.progress = 0;
        let bridge = read(&self.bridge);
        out.active = bridge.active;
        for gpc in &self.gpcs {
            let mut gpc = write(gpc);
            out.done.extend_from_slice(&gpc.done);
            out.resident_warps += gpc.resident_warps;
            out.active |= gpc.active;
            out.active |= gpc.ports.to_shards.iter().any(|r| !r.is_empty());
            out.active |= gpc.ports.to_sms.iter().any(|r| !r.is_empty());
            out.progress += gpc.progress;
            if let Some(error) = gpc.error.take() {
                out.error.get_or_insert(error);
            }
        }
    }

    /// Runs what is no shard after quantum number `index`, which is over: translates addresses for the SMs that asked in
    /// it, and moves the messages of a mesh. Serial.
    pub fn run_alone(&self, index: u64) {
        self.translation.step(self, index);
        self.mesh.step(self, index);
    }

    /// Counters of address translation, where there is one. Serial.
    pub fn translated(&self) -> Option<TlbStats> {
        self.translation.stats(self)
    }

    /// Hands a CTA to SM number `sm`, which starts it at the cycle in `start`. Serial.
    pub fn start_cta(&self, sm: usize, start: crate::sm::CtaStart) {
        write(&self.sms[sm]).sm.start(start);
    }

    /// Tells every probe what it watches. Serial, before the first quantum.
    pub fn begin_probes(&self, instruments: &Instruments) {
        let setup = |unit| Setup {
            spec: &self.spec,
            unit,
            instruments,
        };
        for (unit, sm) in self.sms.iter().zip(0..) {
            write(unit).probe.begin(&setup(Unit::Sm(SmId(sm))));
        }
        for (unit, gpc) in self.gpcs.iter().zip(0..) {
            write(unit).probe.begin(&setup(Unit::Gpc(GpcId(gpc))));
        }
        for (unit, channel) in self.shards.iter().zip(0..) {
            let unit = &mut *write(unit);
            unit.probe.begin(&setup(Unit::Shard(ChannelId(channel))));
        }
    }

    /// A kernel starts at `now`, and every probe is told. Where no other one is on the chip, the SMs are prepared for its
    /// `smem_bytes` of shared memory: their caches are emptied. Serial.
    pub fn start_kernel(&self, started: &KernelStart, smem_bytes: u32, now: Cycle) {
        for (unit, sm) in self.sms.iter().zip(0..) {
            let unit = &mut *write(unit);
            if started.alone {
                unit.sm.begin_kernel(smem_bytes);
                unit.probe.l1_emptied(now, SmId(sm));
            }
            unit.probe.kernel_started(now, started);
        }
        for unit in &self.gpcs {
            write(unit).probe.kernel_started(now, started);
        }
        for unit in &self.shards {
            write(unit).probe.kernel_started(now, started);
        }
    }

    /// Whether no SM has work and no request is on its way. Lines may still be on their way from L2 to DRAM. Serial.
    pub fn quiet(&self) -> bool {
        self.sms.iter().all(|u| read(u).sm.idle())
            && self.shards.iter().all(|u| read(u).shard.quiet())
            && read(&self.bridge).to_shards.iter().all(Vec::is_empty)
    }

    /// The cycle at which the last reply of any kind reached an SM. Serial.
    pub fn last_reply(&self) -> Cycle {
        self.sms
            .iter()
            .map(|u| read(u).sm.last_reply())
            .max()
            .unwrap_or(0)
    }

    /// A host copy: afterwards its sectors are in L2, the last ones if not all fit; with `everywhere` in every
    /// partition. Takes no simulated time. Serial.
    pub fn preload(&self, address: u64, bytes: u64, everywhere: bool) {
        // Only the last bytes can stay; the rest would fall out again.
        let keep = self.spec.l2.bytes.saturating_mul(2).min(bytes);
        let end = address.saturating_add(bytes);
        let mut at = end - keep;
        while at < end {
            let line = Line::of(at);
            let line_end = line.offset(1).address();
            let first = SectorMask::sector_of(at);
            let last = SectorMask::sector_of(line_end.min(end) - 1);
            let sectors = SectorMask::range(first, last - first + 1);
            for slice in self.topology.copies(line, everywhere) {
                let shard = &self.shards[self.topology.map.channel(slice).index()];
                write(shard).shard.preload(slice, line, sectors);
            }
            at = line_end;
        }
    }

    /// An access of SM `sm` to `line` that takes no time and is not counted: afterwards L2 is as it would be behind it.
    /// A write leaves no copy in another partition. Serial.
    pub fn touch(&self, sm: usize, line: LineAccess, write: bool) {
        let touch = |slice: SliceId| {
            let shard = &self.shards[self.topology.map.channel(slice).index()];
            let sectors = (line.sectors, line.full);
            self::write(shard)
                .shard
                .touch(slice, line.line, sectors, write);
        };
        let (home, near) = self.topology.places(sm, line.line);
        touch(home);
        if near != home && !write {
            touch(near);
        }
    }

    /// Warp and thread instructions of program slot `slot` since the last call, for the whole chip. Serial.
    pub fn take_program_counts(&self, slot: usize) -> (u64, u64) {
        self.sms.iter().fold((0, 0), |sum, unit| {
            let (warp, thread) = write(unit).sm.take_program_counts(slot);
            (sum.0 + warp, sum.1 + thread)
        })
    }

    /// What each warp and each queue waits for, a line each, for the watchdog's message. Serial.
    pub fn wait_graph(&self, programs: &[Launched]) -> Vec<String> {
        let mut out = Vec::new();
        for unit in &self.sms {
            read(unit).sm.wait_graph(programs, &mut out);
        }
        for unit in &self.shards {
            read(unit).shard.describe(&mut out);
        }
        self.translation.describe(&mut out);
        out
    }

    /// The probes of all SMs, GPCs and memory shards, merged in this order.
    pub fn into_probe(self) -> P {
        let mut all = P::default();
        for unit in self.sms {
            let mut unit = unit.into_inner().unwrap_or_else(|e| e.into_inner());
            unit.sm.break_off(&mut unit.probe);
            all.merge(unit.probe);
        }
        for unit in self.gpcs {
            all.merge(unit.into_inner().unwrap_or_else(|e| e.into_inner()).probe);
        }
        for unit in self.shards {
            all.merge(unit.into_inner().unwrap_or_else(|e| e.into_inner()).probe);
        }
        all
    }
}
