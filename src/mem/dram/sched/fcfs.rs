//! First come first served: one request at a time, reads and writes in one order, no bank overlap.

use super::{Protect, Rules};

/// Only the oldest request may issue commands.
pub(super) const RULES: Rules = Rules {
    protect: Protect::Never,
    overtake_cap: u32::MAX,
    hit_first: false,
    age_ordered: true,
    strict: true,
    drain_hits: false,
};
