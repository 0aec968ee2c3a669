//! What is kept of a slice between two kernels.

use super::Slice;
use crate::engine::state;

state! {
    Slice {
        units: [],
        values: [tags, mshrs, free_at, reply_port, atomic_free_at, waiting, remote_in_flight, waiting_since, stats],
        left: [sets, ways, ready, header_bytes, atomic_latency, remote_max, bytes_per_cycle, hit_latency, miss_latency, fill_latency, lazy_fetch, perfect, sector_bytes, replicates, pairs],
    }
}
