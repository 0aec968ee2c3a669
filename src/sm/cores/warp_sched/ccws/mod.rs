//! Cache-conscious wavefront scheduling (Rogers, O'Connor and Aamodt, MICRO 2012; rules and numbers from memory).
//!
//! Every warp has a small array of victim tags: lines that it brought into L1 and that were driven out. A warp that
//! misses a line whose tag is there has lost locality that it would have with fewer warps beside it. Its score is then
//! raised to
//!
//! ```text
//! lost lines of all warps × throttle × cutoff / instructions that the SM has issued
//! ```
//!
//! and falls by one a cycle, down to the base score that every warp has. The cutoff is the sum of all base scores. Warps
//! stand in order of their scores, older ones first among equals, and those with which the sum of the scores up to
//! their own passes the cutoff may not issue loads until it no longer does. So a warp that loses locality pushes the
//! youngest ones out, and all come back when nothing is lost for a while. The first warp in order may always load, and no
//! score is above the cutoff. Among the warps that may issue the choice is that of `gto`.
//!
//! The scores are of the SM, whose sub-cores share L1. A kernel begins with nothing lost. `enabled.rs` and `disabled.rs`
//! have the same interface; only this file knows the feature.

#[cfg(feature = "architecture-research")]
mod enabled;
#[cfg(feature = "architecture-research")]
mod scores;
#[cfg(all(test, feature = "architecture-research"))]
mod tests;
#[cfg(feature = "architecture-research")]
pub use enabled::Locality;

#[cfg(not(feature = "architecture-research"))]
mod disabled;
#[cfg(not(feature = "architecture-research"))]
pub use disabled::Locality;
