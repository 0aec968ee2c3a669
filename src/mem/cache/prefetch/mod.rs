//! A stride prefetcher per program counter in front of L1 (feature `cache-research`, key `l1.prefetch`).
//!
//! A table of predictions, after Baer and Chen (Supercomputing 1991), has an entry for each load of each warp: the line
//! that it touched last, the stride to it from the one before, and how often in a row that stride has come again. From
//! `l1.stride.threshold` times on, each access asks for those `l1.stride.distance` and more accesses ahead. What it asks
//! for becomes requests like those of loads; what is in L1 or under way is left out, and so is what lies on another page
//! of 2 MiB than the access. An access to the line that was touched last says nothing.
//!
//! Warps are apart because their loads come in any order. A kernel begins with an empty table. `enabled.rs` and
//! `disabled.rs` have the same interface; only this file knows the feature.

#[cfg(feature = "cache-research")]
mod enabled;
#[cfg(feature = "cache-research")]
pub use enabled::Prefetcher;

#[cfg(not(feature = "cache-research"))]
mod disabled;
#[cfg(not(feature = "cache-research"))]
pub use disabled::Prefetcher;

use crate::mem::{LINE_BYTES, Line};

/// Whether there are prefetchers in this build.
pub const COMPILED: bool = cfg!(feature = "cache-research");

/// Bytes of a page, which a prefetch does not leave.
const PAGE: u64 = 2 << 20;

/// The line `strides` strides of `stride` lines from `line`, if it lies on the same page.
pub fn ahead(line: Line, stride: i64, strides: u64) -> Option<Line> {
    let away = stride.checked_mul(strides as i64)?;
    let target = Line(line.0.checked_add_signed(away)?);
    let page = |line: Line| line.0 / (PAGE / LINE_BYTES);
    (page(target) == page(line)).then_some(target)
}
