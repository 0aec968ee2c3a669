//! First ready, first come first served, and its variants (Rixner et al., "Memory Access Scheduling", ISCA 2000).

use super::{Protect, Rules};

/// Starvation cap of the uncapped variants: far above what a full queue can do in one row, so that it binds only
/// where hits keep arriving and would push the precharge away for ever (tRTP > tCCD_L on HBM).
const STARVATION_CAP: u32 = 128;

/// The oldest request whose next command is ready; an older waiting hit keeps its row.
pub(super) const RULES: Rules = Rules {
    protect: Protect::PreferredHits,
    overtake_cap: STARVATION_CAP,
    hit_first: false,
    age_ordered: true,
    strict: false,
    drain_hits: false,
};

/// Without protection of hits.
pub(super) const PLAIN: Rules = Rules {
    protect: Protect::Never,
    ..RULES
};

/// Hits first.
pub(super) const ROW_HIT: Rules = Rules {
    protect: Protect::ClassHits,
    hit_first: true,
    ..RULES
};
