//! What the prefetcher of L1 asks for after a load.

use super::Space;
use crate::isa::{CacheOp, MemKind};
use crate::mem::cache::prefetch::ahead;
use crate::mem::{FlightId, Line, ReplyTo, Request, RequestKind, SectorMask};
use crate::sm::cores::warp::{Local, Queued};
use crate::sm::memory::miss_port::Stage;
use crate::sm::program::{Memory, Op};
use crate::sm::{Cx, Sm};

impl<S: Stage> Sm<S> {
    /// The access of `entry` has looked up its last line at `at`: tells the prefetcher of a load through L1, and sends for
    /// what it predicts. Loads come first: what finds no MSHR, or no room in the miss queue, is dropped.
    #[inline(never)]
    pub(super) fn prefetch<P>(
        &mut self,
        entry: &Queued,
        op: &Op,
        mem: &Memory,
        at: Local,
        cx: &Cx<P>,
    ) {
        let l1 = &cx.spec.l1;
        let coherent = matches!(mem.cache, CacheOp::Global | CacheOp::Volatile);
        let through_l1 = l1.enabled && !l1.perfect && !coherent;
        if mem.kind != MemKind::Load || entry.space != Space::Global || !through_l1 {
            return;
        }
        let lines = entry.lines.as_slice();
        let Some(first) = lines.first() else { return };
        let prefetcher = &mut self.memory.prefetcher;
        let stride = prefetcher.access(entry.program, op.pc, entry.warp, first.line);
        let Some(stride) = stride else { return };
        for step in 0..l1.stride.degree {
            let strides = u64::from(l1.stride.distance) + u64::from(step);
            for line in lines {
                if let Some(target) = ahead(line.line, stride, strides) {
                    let miss_at = at + Local::from(l1.miss_latency);
                    self.prefetch_line(target, line.sectors, mem, miss_at);
                }
            }
        }
    }

    fn prefetch_line(&mut self, line: Line, sectors: SectorMask, mem: &Memory, miss_at: Local) {
        let at = self.cycle(miss_at);
        let room = self.memory.lsu.port.full_until(at).is_none();
        let l1 = &mut self.memory.l1;
        let sectors = l1.prefetch(line, sectors, FlightId::NOBODY, mem.cache.into(), room);
        if !sectors.is_empty() {
            self.send(Request {
                at,
                cache: mem.cache,
                prefetch: mem.prefetch,
                ..Request::new(RequestKind::Read, line, sectors, ReplyTo::Fill)
            });
        }
    }
}
