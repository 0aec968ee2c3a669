//! Our own trace form: stored CTA streams, and the `.pgt` file that holds a workload.

pub mod blocks;
pub mod hash;
pub mod spool;
pub mod stored;
