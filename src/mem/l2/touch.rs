//! Accesses without time: they change what a slice holds, and nothing is counted.

use super::Slice;
use crate::mem::cache::Access;
use crate::mem::{Line, SectorMask};

impl Slice {
    /// Leaves `line` as a read of `sectors` would, or as a write would that covers them whole but for those that are not
    /// in `full`. Lines that make room are lost: their write-back belongs to time that is not simulated.
    pub fn touch(&mut self, line: Line, sectors: SectorMask, full: SectorMask, write: bool) {
        let id = match self.find(line) {
            Some(id) => id,
            None => {
                let set = self.sets.set_of(line);
                self.tags.insert_in(set, line, Access::default()).0
            }
        };
        self.tags.hit(id, Access::default());
        let entry = self.tags.entry_mut(id);
        if !write {
            entry.valid |= sectors;
            entry.partial = entry.partial.without(sectors);
            return;
        }
        let unknown = sectors.without(full).without(entry.valid);
        entry.valid |= full;
        entry.partial = (entry.partial | unknown).without(full);
        // What this cleans is written back in time that is not simulated.
        self.tags.soil(id, sectors);
    }
}
