//! The streaming multiprocessor.
//!
//! One cycle, in this order: replies from L2, CTA starts, warp releases, the shared memory pipe, then
//! each sub-core's issue slot. Cycles in which none of these has anything to do are skipped.
//! Everything that happens at a known later time (fixed latencies, cache hits, bank conflicts) is a
//! time stored with the register or the warp, not an event.

mod advance;
pub mod coalesce;
mod cta;
pub mod fetch;
mod issue;
pub mod latency;
pub mod lsu;
pub mod program;
mod readiness;
mod reuse;
pub mod subcore;
#[cfg(test)]
mod tests;
pub mod warp;
pub mod warp_sched;

pub use crate::stats::SmCounters;
pub use cta::{CtaDone, CtaStart};
pub use program::Program;

use crate::config::GpuSpec;
use crate::engine::{Calendar, Cycle};
use crate::error::Error;
use crate::ids::SmId;
use crate::mem::l1::L1;
use crate::mem::{FlightId, Reply, Request, RequestKind};
use crate::probe::Probe;
use crate::stats::{FetchStats, IssueStats, Label, SmStats};
use crate::trace::{CtaEncoder, Kernel, WarpStream};
use cta::Cta;
use fetch::{ConstCaches, InstCaches};
use lsu::Lsu;
use program::{Pipe, REGS};
use subcore::SubCore;
use warp::{Local, PENDING, Warp};

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

/// One SM. All times inside are local: cycles since `epoch`.
pub struct Sm {
    id: SmId,
    epoch: Cycle,
    subs: [SubCore; SUB_CORES],
    warps: Vec<Warp>,
    regs: Vec<u32>,
    streams: Vec<WarpStream>,
    used: u64,
    ctas: Vec<Cta>,
    inst: InstCaches,
    consts: ConstCaches,
    lsu: Lsu,
    l1: L1<FlightId>,
    releases: Vec<(Local, u8)>,
    inbox: Calendar<Reply>,
    starts: Calendar<CtaStart>,
    replies: Vec<Reply>,
    starting: Vec<CtaStart>,
    scratch_streams: Vec<WarpStream>,
    scratch_encoder: CtaEncoder,
    issue: IssueStats,
    counters: SmStats,
    fetch_stats: FetchStats,
    resident_since: Local,
    last_reply: Cycle,
    per_program: Vec<(u64, u64)>,
    /// Requests of this quantum, in order of `at`.
    pub requests: Vec<Request>,
    /// CTAs that ended in this quantum.
    pub done: Vec<CtaDone>,
    /// A stream that could not be read.
    pub error: Option<Error>,
}

impl Sm {
    /// An idle SM for quanta of `quantum` cycles.
    pub fn new(id: SmId, spec: &GpuSpec, quantum: Cycle) -> Self {
        let warps = usize::from(spec.sm.warps_max);
        Sm {
            id,
            epoch: 0,
            subs: std::array::from_fn(|_| SubCore::new(&spec.sm)),
            warps: vec![Warp::empty(); warps],
            regs: vec![0; warps * REGS],
            streams: vec![WarpStream::default(); warps],
            used: 0,
            ctas: vec![Cta::default(); usize::from(spec.sm.ctas_max)],
            inst: InstCaches::new(&spec.fetch, SUB_CORES),
            consts: ConstCaches::new(&spec.const_cache),
            lsu: Lsu::new(id, spec),
            l1: L1::new(&spec.l1),
            releases: Vec::new(),
            inbox: Calendar::new(quantum),
            starts: Calendar::new(quantum),
            replies: Vec::new(),
            starting: Vec::new(),
            scratch_streams: Vec::new(),
            scratch_encoder: CtaEncoder::default(),
            issue: IssueStats::default(),
            counters: SmStats::default(),
            fetch_stats: FetchStats::default(),
            resident_since: 0,
            last_reply: 0,
            per_program: Vec::new(),
            requests: Vec::new(),
            done: Vec::new(),
            error: None,
        }
    }

    /// Delivers a reply; it arrives in a later quantum.
    pub fn deliver(&mut self, reply: Reply) {
        self.inbox.push(reply);
    }

    /// Starts a CTA in a later quantum.
    pub fn start(&mut self, start: CtaStart) {
        self.starts.push(start);
    }

    /// Kernel boundary: caches are invalid, `smem_bytes` of the unified memory are shared memory.
    /// The SM must be idle.
    pub fn begin_kernel(&mut self, smem_bytes: u32) {
        self.inst.invalidate();
        self.consts.invalidate();
        self.l1.flush(smem_bytes);
    }

    /// No warp is resident, nothing is in flight and nothing will arrive.
    pub fn idle(&self) -> bool {
        self.used == 0
            && self.inbox.is_empty()
            && self.starts.is_empty()
            && self.l1.in_flight() == 0
            && self.lsu.idle()
            && self.inst.idle()
            && self.consts.idle()
    }

    /// Runs quantum number `index` of `quantum` cycles.
    pub fn run<P: Probe>(&mut self, index: u64, quantum: Cycle, cx: &mut Cx<P>) {
        self.inbox.take(index, &mut self.replies);
        self.starts.take(index, &mut self.starting);
        let fills = self.replies.iter().filter(|r| r.kind == RequestKind::Read);
        fills.for_each(|r| self.l1.warm(r.line));
        let begin = index * quantum;
        if self.used == 0 && begin - self.epoch > 1 << 28 && self.lsu.idle() && self.inst.idle() {
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
            if let Some(s) = self.starting.get(start) {
                now = now.min((s.at - self.epoch) as Local);
            }
            if cx.no_skip {
                now = tick;
                tick += 1;
                self.subs.iter_mut().for_each(|s| s.next = s.next.min(now));
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
        let mut next = self.lsu.next;
        for sub in &self.subs {
            next = next.min(sub.next);
        }
        for release in &self.releases {
            next = next.min(release.0);
        }
        next
    }

    #[inline(always)]
    fn tick<P: Probe>(&mut self, now: Local, cx: &mut Cx<P>) {
        if !self.releases.is_empty() {
            self.release_due(now, cx);
        }
        if self.lsu.next <= now {
            self.memory_pipe(now, cx);
        }
        for k in 0..SUB_CORES {
            if self.subs[k].next <= now {
                self.step(k, now, cx);
            }
        }
    }

    /// Moves the epoch, from which local times are counted, to `to`. Every stored time lies before it, so all become
    /// zero.
    fn rebase(&mut self, to: Cycle) {
        let by = (to - self.epoch) as Local;
        self.charge_all(by, false);
        for sub in &mut self.subs {
            sub.pipe_free = [0; Pipe::COUNT];
            sub.issue_free = 0;
            sub.next = PENDING;
            sub.accounted = 0;
            sub.ports = [0; 2];
            sub.ports_at = 0;
            sub.agu_free = 0;
        }
        self.inst.rebase(by);
        self.lsu.rebase(by);
        self.epoch = to;
    }

    /// Labels the issue slots before `now` of every sub-core without live warps. With `all` also those of the other
    /// sub-cores: their warps are in the middle of a wait whose reason is not known yet, so that the label is `misc`.
    fn charge_all(&mut self, now: Local, all: bool) {
        for k in 0..SUB_CORES {
            if all || self.subs[k].live == 0 {
                self.charge_idle(k, now);
            }
        }
    }

    /// Labels the slots of an idle sub-core up to `now`.
    fn charge_idle(&mut self, k: usize, now: Local) {
        let sub = &mut self.subs[k];
        if now > sub.accounted {
            let label = match (sub.live, sub.draining) {
                (0, 0) => Label::NoWarp,
                (0, _) => Label::Drain,
                _ => Label::Misc,
            };
            self.issue.add(label, u64::from(now - sub.accounted));
            sub.accounted = now;
        }
    }

    /// Labels the slots of sub-core `k` up to `now`, just before a new warp is added. These slots passed while only
    /// the older warps were there, so they get the label of the oldest one, never of the new warp.
    fn charge_wait(&mut self, k: usize, now: Local) {
        if self.subs[k].live == 0 {
            return self.charge_idle(k, now);
        }
        let sub = &mut self.subs[k];
        if now > sub.accounted {
            let oldest = usize::from(sub.scheduler.first()) * SUB_CORES + k;
            self.issue
                .add(self.warps[oldest].why, u64::from(now - sub.accounted));
            sub.accounted = now;
        }
    }

    /// Counters at cycle `at`, which must not be before the last quantum's work. With `closing`
    /// every slot before `at` gets a label, even in the middle of a wait.
    pub fn counters(&mut self, at: Cycle, closing: bool) -> SmCounters {
        let now = (at - self.epoch) as Local;
        self.charge_all(now, closing);
        let mut sm = self.counters;
        self.count_residents(now, &mut sm);
        SmCounters {
            issue: self.issue,
            sm,
            fetch: self.fetch_stats,
            lsu: self.lsu.stats,
            l1: self.l1.stats,
        }
    }

    /// Warp and thread instructions issued so far for program slot `slot`, which start again at zero.
    pub fn take_program_counts(&mut self, slot: usize) -> (u64, u64) {
        self.per_program
            .get_mut(slot)
            .map_or((0, 0), std::mem::take)
    }

    /// Warp instructions issued since the start of the run.
    pub fn progress(&self) -> u64 {
        self.counters.warp_instructions
    }

    /// The cycle at which the last reply from L2 arrived.
    pub fn last_reply(&self) -> Cycle {
        self.last_reply
    }

    /// Warps that are resident now.
    pub fn resident_warps(&self) -> u32 {
        self.used.count_ones()
    }

    /// What each resident warp waits for, for people: the watchdog's wait-for graph.
    pub fn wait_graph(&self, programs: &[Launched], out: &mut Vec<String>) {
        for slot in 0..self.warps.len() {
            if self.used >> slot & 1 == 0 {
                continue;
            }
            let warp = &self.warps[slot];
            let pc = programs
                .get(usize::from(warp.program))
                .and_then(|l| l.program.ops.get(warp.op as usize))
                .map_or(0, |op| op.pc);
            out.push(format!(
                "SM {} warp slot {slot} (CTA {}, warp {}) at pc {pc:#06x}: {:?}, {} memory \
                 instructions and {} stores in flight, {} in the local queue, hold {:?}",
                self.id.0,
                self.ctas[usize::from(warp.cta)].number,
                warp.in_cta,
                warp.why.name(),
                warp.pending,
                warp.stores,
                warp.queued,
                warp.hold
            ));
        }
        self.lsu.describe(self.id, self.l1.in_flight(), out);
    }
}
