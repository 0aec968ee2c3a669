//! A slice in which every access hits (`l2.perfect`): the data path, the port and the atomic unit are those of the
//! slice, and nothing is looked up, fetched or written back.

use super::{Action, Slice, Waiter};
use crate::engine::Cycle;
use crate::mem::{Request, RequestKind, SectorMask};

impl Slice {
    /// As [`Slice::serve`].
    pub(super) fn serve_perfectly(
        &mut self,
        r: &Request,
        now: Cycle,
        act: &mut Vec<Action>,
    ) -> SectorMask {
        if r.kind.is_news() {
            return SectorMask::NONE;
        }
        let start = self.start(now, self.data_cycles(r.sectors));
        if r.kind == RequestKind::Write {
            let count = u64::from(r.sectors.count());
            self.stats.requests += 1;
            self.stats.sector_writes += count;
            self.stats.write_hits += count;
            self.acknowledge(r, start, act);
        } else {
            self.count_read(r, r.sectors, SectorMask::NONE);
            self.answer(&Waiter::of(r), r.line, start, self.hit_latency, act);
        }
        r.sectors
    }
}
