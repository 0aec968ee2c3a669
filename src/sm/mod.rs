//! The streaming multiprocessor.
//!
//! One cycle, in this order: replies from L2, CTA starts, warp releases, the shared memory pipe, then
//! each sub-core's issue slot. Cycles in which none of these has anything to do are skipped.
//! Everything that happens at a known later time (fixed latencies, cache hits, bank conflicts) is a
//! time stored with the register or the warp, not an event.

pub mod async_side;
pub mod cores;
mod ctas;
mod footprint;
pub mod front;
pub mod latency;
pub mod memory;
pub mod program;
#[cfg(test)]
mod tests;

pub use ctas::{CtaDone, CtaStart};
pub use footprint::Footprint;
pub use memory::coalesce::LineAccess;
pub use memory::miss_port::ChipStage;
pub use memory::{BuildStage, OrdinaryStage};
pub use program::Program;

use crate::config::GpuSpec;
use crate::engine::{Calendar, Cycle};
use crate::error::Error;
use crate::ids::SmId;
use crate::mem::{Reply, Request, RequestKind};
use crate::probe::Probe;
use crate::stats::Label;
use crate::trace::Kernel;
use async_side::AsyncSide;
use cores::Cores;
use cores::warp::{Local, PENDING};
use ctas::CtaTable;
use front::Front;
use memory::MemoryPath;
use memory::miss_port::Stage;
use program::Pipe;

pub use crate::stats::SmCounters;

/// Sub-cores of an SM, the only number that the configuration allows.
pub const SUB_CORES: usize = crate::config::sm::SUB_CORES as usize;

/// A kernel that is running: what every SM needs of it.
#[derive(Clone)]
pub struct Launched {
    /// Its code, lowered for this GPU.
    pub program: Program,
    /// Its header, and where the streams of its CTAs come from.
    pub kernel: Kernel,
    /// Number of the first line of its code, in lines of the instruction caches.
    pub code_line: u64,
    /// Number of the first line of its constants, in lines of the constant caches.
    pub const_line: u64,
}

/// What an SM is handed for a quantum.
pub struct Cx<'a, P> {
    /// Configuration of the chip.
    pub spec: &'a GpuSpec,
    /// Running kernels by program slot.
    pub programs: &'a [Launched],
    /// The probe that watches this SM.
    pub probe: &'a mut P,
    /// Debug mode: visit every cycle.
    pub no_skip: bool,
}

/// One SM. All times inside are local: cycles since `epoch`. `S` is the stage in front of its miss port.
pub struct Sm<S = BuildStage> {
    id: SmId,
    epoch: Cycle,
    front: Front,
    cores: Cores,
    memory: MemoryPath<S>,
    async_side: AsyncSide,
    ctas: CtaTable,
    inbox: Calendar<Reply>,
    replies: Vec<Reply>,
    last_reply: Cycle,
    /// A stream that could not be read.
    pub error: Option<Error>,
}

crate::engine::state! {
    Sm<S> where [S: crate::engine::State] {
        units: [cores, memory, ctas],
        values: [epoch, front, async_side, inbox, last_reply],
        left: [id, replies, error],
    }
}

impl Sm {
    /// An idle SM for quanta of `quantum` cycles.
    pub fn new(id: SmId, spec: &GpuSpec, quantum: Cycle) -> Self {
        Sm::with_stage(id, spec, quantum, BuildStage::of(spec))
    }
}

impl<S: Stage> Sm<S> {
    /// An idle SM with `stage` in front of its miss port.
    pub fn with_stage(id: SmId, spec: &GpuSpec, quantum: Cycle, stage: S) -> Self {
        let mut memory = MemoryPath::new(id, spec, stage);
        Sm {
            id,
            epoch: 0,
            front: Front::new(spec),
            cores: Cores::new(spec, &mut memory.l1),
            memory,
            async_side: AsyncSide::new(usize::from(spec.sm.warps_max)),
            ctas: CtaTable::new(spec.sm.ctas_max, quantum),
            inbox: Calendar::new(quantum),
            replies: Vec::new(),
            last_reply: 0,
            error: None,
        }
    }

    /// Its number.
    pub fn id(&self) -> SmId {
        self.id
    }

    /// Forgets what the last quantum sent and ended.
    pub fn begin_quantum(&mut self) {
        self.memory.requests.clear();
        self.ctas.done.clear();
    }

    /// Requests of the last quantum, in order of `at`.
    pub fn requests(&self) -> &[Request] {
        &self.memory.requests
    }

    /// CTAs that ended in the last quantum.
    pub fn done(&self) -> &[CtaDone] {
        &self.ctas.done
    }

    /// The stage in front of its miss port.
    pub fn stage(&mut self) -> &mut S {
        self.memory.lsu.port.stage()
    }

    /// Delivers a reply; it arrives in a later quantum.
    pub fn deliver(&mut self, reply: Reply) {
        self.inbox.push(reply);
    }

    /// Starts a CTA in a later quantum.
    pub fn start(&mut self, start: CtaStart) {
        self.ctas.starts.push(start);
    }

    /// Kernel boundary: caches are invalid, `smem_bytes` of the unified memory are shared memory.
    /// The SM must be idle.
    pub fn begin_kernel(&mut self, smem_bytes: u32) {
        self.front.invalidate();
        self.memory.l1.flush(smem_bytes);
        self.memory.prefetcher.reset();
        let issued = self.progress();
        self.cores.locality.began(issued);
    }

    /// No warp is resident, nothing is in flight and nothing will arrive.
    pub fn idle(&self) -> bool {
        self.cores.used == 0
            && self.inbox.is_empty()
            && self.ctas.starts.is_empty()
            && self.memory.idle()
            && self.front.idle()
    }

    /// Runs quantum number `index` of `quantum` cycles.
    pub fn run<P: Probe>(&mut self, index: u64, quantum: Cycle, cx: &mut Cx<P>) {
        self.inbox.take(index, &mut self.replies);
        self.ctas.starts.take(index, &mut self.ctas.starting);
        for reply in &self.replies {
            if reply.kind == RequestKind::Read {
                self.memory.l1.warm(reply.line);
            }
        }
        let begin = index * quantum;
        if self.cores.used == 0
            && begin - self.epoch > 1 << 28
            && self.memory.lsu.idle()
            && self.front.inst.idle()
        {
            self.rebase(begin);
        }
        if begin - self.epoch > Cycle::from(PENDING) - (1 << 16) {
            self.error = Some(Error::Run(format!(
                "SM {} was busy for {} cycles without a pause; the model's limit is {PENDING}; \
                 split the kernel or stop it with --max-cycles",
                self.id.0,
                begin - self.epoch
            )));
            return;
        }
        let end = (begin + quantum - self.epoch) as Local;
        let (mut reply, mut start) = (0, 0);
        let mut tick = (begin - self.epoch) as Local;
        loop {
            let mut now = self.next_local();
            if let Some(r) = self.replies.get(reply) {
                now = now.min((r.at - self.epoch) as Local);
            }
            if let Some(s) = self.ctas.starting.get(start) {
                now = now.min((s.at - self.epoch) as Local);
            }
            if cx.no_skip {
                now = tick;
                tick += 1;
                self.cores
                    .subs
                    .iter_mut()
                    .for_each(|s| s.next = s.next.min(now));
            }
            if now >= end {
                break;
            }
            while let Some(&r) = self
                .replies
                .get(reply)
                .filter(|r| r.at - self.epoch <= now.into())
            {
                reply += 1;
                self.reply(r, now, cx);
            }
            while let Some(&s) = self
                .ctas
                .starting
                .get(start)
                .filter(|s| s.at - self.epoch <= now.into())
            {
                start += 1;
                self.launch_cta(s, now, cx);
            }
            self.tick(now, cx);
        }
    }

    #[inline(always)]
    fn next_local(&self) -> Local {
        let mut next = self.memory.lsu.next;
        for sub in &self.cores.subs {
            next = next.min(sub.next);
        }
        for release in &self.ctas.releases {
            next = next.min(release.0);
        }
        next
    }

    #[inline(always)]
    fn tick<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        if !self.ctas.releases.is_empty() {
            self.release_due(now, cx);
        }
        if self.memory.lsu.next <= now {
            self.memory_pipe(now, cx);
        }
        for k in 0..SUB_CORES {
            if self.cores.subs[k].next <= now {
                self.step(k, now, cx);
            }
        }
    }

    /// Moves the epoch, from which local times are counted, to `to`. Every stored time lies before it, so all become
    /// zero.
    fn rebase(&mut self, to: Cycle) {
        let by = (to - self.epoch) as Local;
        self.charge_all(by, false);
        for sub in &mut self.cores.subs {
            sub.pipe_free = [0; Pipe::COUNT];
            sub.issue_free = 0;
            sub.next = PENDING;
            sub.accounted = 0;
            sub.ports = [0; 2];
            sub.ports_at = 0;
            sub.agu_free = 0;
        }
        self.front.inst.rebase(by);
        self.memory.lsu.rebase(by);
        self.cores.locality.rebase();
        self.epoch = to;
    }

    /// Labels the issue slots before `now` of every sub-core without live warps. With `all` also those of the other
    /// sub-cores: their warps are in the middle of a wait whose reason is not known yet, so that the label is `misc`.
    fn charge_all(&mut self, now: Local, all: bool) {
        for k in 0..SUB_CORES {
            if all || self.cores.subs[k].live == 0 {
                self.charge_idle(k, now);
            }
        }
    }

    /// Labels the slots of an idle sub-core up to `now`.
    fn charge_idle(&mut self, k: usize, now: Local) {
        let sub = &mut self.cores.subs[k];
        if now > sub.accounted {
            let label = match (sub.live, sub.draining) {
                (0, 0) => Label::NoWarp,
                (0, _) => Label::Drain,
                _ => Label::Misc,
            };
            self.cores.issue.add(label, u64::from(now - sub.accounted));
            sub.accounted = now;
        }
    }

    /// Labels the slots of sub-core `k` up to `now`, just before a new warp is added. These slots passed while only
    /// the older warps were there, so they get the label of the oldest one, never of the new warp.
    fn charge_wait(&mut self, k: usize, now: Local) {
        if self.cores.subs[k].live == 0 {
            return self.charge_idle(k, now);
        }
        let sub = &mut self.cores.subs[k];
        if now > sub.accounted {
            let oldest = usize::from(sub.scheduler.first()) * SUB_CORES + k;
            self.cores
                .issue
                .add(self.cores.warps[oldest].why, u64::from(now - sub.accounted));
            sub.accounted = now;
        }
    }

    /// Counters at cycle `at`, which must not be before the last quantum's work. With `closing`
    /// every slot before `at` gets a label, even in the middle of a wait.
    pub fn counters(&mut self, at: Cycle, closing: bool) -> SmCounters {
        let now = (at - self.epoch) as Local;
        self.charge_all(now, closing);
        let mut sm = self.cores.counters;
        self.count_residents(now, &mut sm);
        SmCounters {
            issue: self.cores.issue,
            sm,
            fetch: self.front.stats,
            lsu: self.memory.lsu.stats,
            l1: self.memory.l1.stats,
        }
    }

    /// Warp and thread instructions issued so far for program slot `slot`, which start again at zero.
    pub fn take_program_counts(&mut self, slot: usize) -> (u64, u64) {
        self.cores
            .per_program
            .get_mut(slot)
            .map_or((0, 0), std::mem::take)
    }

    /// Warp instructions issued since the start of the run.
    pub fn progress(&self) -> u64 {
        self.cores.counters.warp_instructions
    }

    /// The cycle at which the last reply from L2 arrived.
    pub fn last_reply(&self) -> Cycle {
        self.last_reply
    }

    /// Warps that are resident now.
    pub fn resident_warps(&self) -> u32 {
        self.cores.used.count_ones()
    }

    /// What each resident warp waits for, for people: the watchdog's wait-for graph.
    pub fn wait_graph(&self, programs: &[Launched], out: &mut Vec<String>) {
        for slot in 0..self.cores.warps.len() {
            if self.cores.used >> slot & 1 == 0 {
                continue;
            }
            let warp = &self.cores.warps[slot];
            let pc = programs
                .get(usize::from(warp.program))
                .and_then(|l| l.program.ops.get(warp.op as usize))
                .map_or(0, |op| op.pc);
            out.push(format!(
                "SM {} warp slot {slot} (CTA {}, warp {}) at pc {pc:#06x}: {:?}, {} memory \
                 instructions and {} stores in flight, {} in the local queue, hold {:?}",
                self.id.0,
                self.ctas.table[usize::from(warp.cta)].number,
                warp.in_cta,
                warp.why.name(),
                warp.pending,
                warp.stores,
                warp.queued,
                warp.hold
            ));
        }
        self.memory
            .lsu
            .describe(self.id, self.memory.l1.in_flight(), out);
    }
}
