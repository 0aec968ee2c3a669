//! No warp is held back.

use crate::config::GpuSpec;
use crate::mem::Line;
use crate::mem::l1::L1;
use crate::sm::cores::warp::Local;

/// Nothing.
#[derive(Clone, Debug)]
pub struct Locality;

#[allow(clippy::unused_self, reason = "the interface of the other build")]
impl Locality {
    pub fn new<W: Copy>(_: &GpuSpec, _: &mut L1<W>) -> Self {
        Locality
    }

    #[inline(always)]
    pub fn listens(&self) -> bool {
        false
    }

    #[inline(always)]
    pub fn began(&mut self, _: u64) {}

    #[inline(always)]
    pub fn rebase(&mut self) {}

    #[inline(always)]
    pub fn launched(&mut self, _: usize) {}

    #[inline(always)]
    pub fn exited(&mut self, _: usize) {}

    #[inline(always)]
    pub fn missed(&mut self, _: u8, _: Line, _: Local, _: u64) {}

    #[inline(always)]
    pub fn inserted<W: Copy>(&mut self, _: &mut L1<W>, _: Option<u8>) {}

    #[inline(always)]
    pub fn held(&mut self, _: usize, _: Local) -> u16 {
        0
    }
}
