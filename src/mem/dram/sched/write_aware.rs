//! FR-FCFS with row-hit harvesting writes: once the bus has turned to writing, every queued write that hits an
//! open row goes before it turns back, below the low watermark too. Fewer turnarounds and fewer reopened rows,
//! at the price of read latency.

use super::{Rules, frfcfs};

/// FR-FCFS rules plus the longer drain.
pub(super) const RULES: Rules = Rules {
    drain_hits: true,
    ..frfcfs::RULES
};
