//! Who listens is told of every insertion.

use super::super::EntryId;
use crate::mem::Line;

/// Insertions since they were taken last, in order, where somebody listens.
#[derive(Clone, Debug)]
pub struct Inserted {
    listens: bool,
    list: Vec<(EntryId, Option<Line>)>,
}

impl Inserted {
    /// Nobody listens yet.
    pub fn silent() -> Self {
        Inserted {
            listens: false,
            list: Vec::new(),
        }
    }

    /// Insertions are noted from now on, and must be taken.
    pub fn listen(&mut self) {
        self.listens = true;
    }

    /// A line was put into entry `id`, from which it drove out `victim`.
    #[inline(always)]
    pub fn note(&mut self, id: EntryId, victim: Option<Line>) {
        if self.listens {
            self.list.push((id, victim));
        }
    }

    /// What has been noted.
    pub fn take(&mut self) -> impl Iterator<Item = (EntryId, Option<Line>)> + '_ {
        self.list.drain(..)
    }
}
