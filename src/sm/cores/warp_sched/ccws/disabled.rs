//! No warp is held back.

use crate::config::GpuSpec;
use crate::mem::{Line, l1::L1};
use crate::sm::cores::warp::Local;

/// Nothing.
#[derive(Clone, Debug)]
pub struct Locality;

impl Locality {
    /// Nothing.
    pub fn new<W: Copy>(_: &GpuSpec, _: &mut L1<W>) -> Self {
        Locality
    }

    /// Never.
    #[inline(always)]
    pub fn listens(&self) -> bool {
        false
    }

    /// Nothing begins.
    #[inline(always)]
    pub fn began(&mut self, _: u64) {}

    /// No times.
    #[inline(always)]
    pub fn rebase(&mut self) {}

    /// No scores.
    #[inline(always)]
    pub fn launched(&mut self, _: usize) {}

    /// No scores.
    #[inline(always)]
    pub fn exited(&mut self, _: usize) {}

    /// Nothing is lost.
    #[inline(always)]
    pub fn missed(&mut self, _: u8, _: Line, _: Local, _: u64) {}

    /// Nobody is told.
    #[inline(always)]
    pub fn inserted<W: Copy>(&mut self, _: &mut L1<W>, _: Option<u8>) {}

    /// Nobody.
    #[inline(always)]
    pub fn held(&mut self, _: usize, _: Local) -> u16 {
        0
    }
}
