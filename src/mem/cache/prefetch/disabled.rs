//! Nothing is predicted.

use crate::config::L1Spec;
use crate::mem::Line;

/// Nothing.
#[derive(Clone, Debug)]
pub struct Prefetcher;

impl Prefetcher {
    /// Nothing.
    pub fn new(_: &L1Spec) -> Self {
        Prefetcher
    }

    /// Never.
    #[inline(always)]
    pub fn learns(&self) -> bool {
        false
    }

    /// Nothing to forget.
    #[inline(always)]
    pub fn reset(&mut self) {}

    /// No stride.
    #[inline(always)]
    pub fn access(&mut self, _: u8, _: u32, _: u8, _: Line) -> Option<i64> {
        None
    }
}
