//! Lines that came before they were asked for, in an L1 with a prefetcher (`l1.prefetch`).
//!
//! Apart from the cache's own code, which must stay small where nothing is prefetched.

use super::{L1, ReadResult, ReservationFail, Waiter};
use crate::mem::cache::{Access, Victim};
use crate::mem::{Line, SectorMask};

impl<W: Copy> L1<W> {
    /// A prefetch of `sectors` of `line`, for which `nobody` waits; returns those that must be requested from L2. What is
    /// here or on its way is left out, and without `room` for requests, or an MSHR, the rest is dropped.
    pub fn prefetch(
        &mut self,
        line: Line,
        sectors: SectorMask,
        nobody: W,
        access: Access,
        room: bool,
    ) -> SectorMask {
        let present = self.tags.find(line);
        let valid = present.map_or(SectorMask::NONE, |id| self.tags.entry(id).valid);
        let found = self.mshrs.find(line);
        let asked = found.map_or(SectorMask::NONE, |id| self.mshrs.requested(id));
        let new = sectors.without(valid | asked);
        if new.is_empty() {
            return new;
        }
        let waiter = Waiter {
            who: nobody,
            access,
        };
        if !room || self.wait(line, new, waiter).is_err() {
            self.stats.prefetch_drops += u64::from(new.count());
            return SectorMask::NONE;
        }
        if let Some(id) = self.mshrs.find(line) {
            self.mshrs.unread(id, new);
        }
        self.stats.prefetches += u64::from(new.count());
        new
    }

    /// As [`L1::read`]; counts the sectors of use that were prefetched, and those that were too late.
    ///
    /// # Errors
    /// As [`L1::read`].
    pub fn read_beside_prefetches(
        &mut self,
        line: Line,
        sectors: SectorMask,
        who: W,
        access: Access,
    ) -> Result<ReadResult, ReservationFail> {
        let coming = self.mshrs.find(line);
        let coming = coming.map_or(SectorMask::NONE, |id| self.mshrs.prefetched(id));
        let result = self.read(line, sectors, who, access)?;
        let late = coming & sectors.without(result.hit);
        self.stats.prefetch_late += u64::from(late.count());
        if let Some(id) = self.tags.find(line) {
            let entry = self.tags.entry_mut(id);
            self.stats.prefetch_hits += u64::from((entry.prefetched & result.hit).count());
            entry.prefetched = entry.prefetched.without(result.hit);
        }
        Ok(result)
    }

    /// As [`L1::fill`]; keeps in mind which sectors no load has asked for yet.
    #[must_use]
    pub fn fill_beside_prefetches(
        &mut self,
        line: Line,
        sectors: SectorMask,
        each: impl FnMut(W),
    ) -> Option<Victim> {
        let unread = self.mshrs.find(line);
        let unread = unread.map_or(SectorMask::NONE, |id| self.mshrs.prefetched(id));
        let victim = self.fill(line, sectors, each);
        if let Some(id) = self.tags.find(line) {
            let entry = self.tags.entry_mut(id);
            entry.prefetched = entry.prefetched.without(sectors) | (unread & sectors);
        }
        victim
    }
}
