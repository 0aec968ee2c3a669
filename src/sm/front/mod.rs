//! The front of an SM: where instructions and their constants come from.

pub mod const_cache;
pub mod inst_cache;

use bincode::{Decode, Encode};
pub use const_cache::ConstCaches;
pub use inst_cache::InstCaches;

use super::program::flag;
use super::{Cx, SUB_CORES, Sm};
use crate::config::GpuSpec;
use crate::mem::cache::SmallTags;
use crate::mem::space::sectors_of;
use crate::mem::{CodeCache, ReplyTo, Request, RequestKind};
use crate::probe::Probe;
use crate::sm::cores::warp::Local;
use crate::sm::memory::miss_port::Stage;
use crate::stats::FetchStats;

/// A line number in the address space of instructions and constants.
pub type CodeLine = u64;

/// Instruction and constant caches with their counters.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Front {
    pub(in crate::sm) inst: InstCaches,
    pub(in crate::sm) consts: ConstCaches,
    pub(in crate::sm) stats: FetchStats,
}

impl Front {
    /// Empty caches.
    pub fn new(spec: &GpuSpec) -> Self {
        Front {
            inst: InstCaches::new(&spec.fetch, SUB_CORES),
            consts: ConstCaches::new(&spec.const_cache),
            stats: FetchStats::default(),
        }
    }

    /// Kernel boundary: everything is invalid. No line may be in flight.
    pub fn invalidate(&mut self) {
        self.inst.invalidate();
        self.consts.invalidate();
    }

    /// No line is on its way from L2.
    pub fn idle(&self) -> bool {
        self.inst.idle() && self.consts.idle()
    }
}

fn tags(bytes: u32, line_bytes: u32, ways: u16) -> SmallTags {
    let ways = u32::from(ways);
    SmallTags::new((bytes / line_bytes / ways).max(1), ways)
}

impl<S: Stage> Sm<S> {
    /// Instruction and constant caches for the warp's next instruction.
    pub(in crate::sm) fn look_up<P: Probe>(
        &mut self,
        k: usize,
        slot: usize,
        jumped: bool,
        now: Local,
        cx: &mut Cx<P>,
    ) {
        let warp = &mut self.cores.warps[slot];
        let launched = &cx.programs[usize::from(warp.program)];
        let op = &launched.program.ops[warp.op as usize];
        if jumped || op.flags & flag::NEW_LINE != 0 {
            let end = launched.code_line + u64::from(launched.program.lines);
            let line = launched.code_line + u64::from(op.line);
            warp.fetched_at = self
                .front
                .inst
                .fetch(k, line, end, now, &mut self.front.stats);
        }
        if op.flags & flag::CONSTANT != 0 {
            let line = launched.const_line + u64::from(op.const_line);
            warp.constant_at = self.front.consts.access(line, now, &mut self.front.stats);
        }
        if !self.front.inst.requests.is_empty() || !self.front.consts.requests.is_empty() {
            self.send_fetches(cx);
        }
    }

    /// Sends the lines that the instruction and constant caches missed.
    fn send_fetches<P>(&mut self, cx: &Cx<P>) {
        for (line, at) in std::mem::take(&mut self.front.inst.requests) {
            self.send_fetch(CodeCache::Inst, line, cx.spec.fetch.line_bytes, at);
        }
        for (line, at) in std::mem::take(&mut self.front.consts.requests) {
            self.send_fetch(CodeCache::Const, line, cx.spec.const_cache.line_bytes, at);
        }
    }

    fn send_fetch(&mut self, cache: CodeCache, line: u64, line_bytes: u32, at: Local) {
        let (line, sectors) = sectors_of(line, line_bytes);
        self.front.stats.sector_requests += u64::from(sectors.count());
        self.send(Request {
            at: self.cycle(at),
            ..Request::new(RequestKind::ReadInst, line, sectors, ReplyTo::Fetch(cache))
        });
    }
}
