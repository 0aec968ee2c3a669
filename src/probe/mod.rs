//! Observation points of the timing model.
//!
//! Invariant: a probe may read, never steer. Cycle counts are identical with any probe.

use crate::engine::Cycle;
use crate::ids::SmId;
use crate::mem::Request;
use crate::sm::CtaDone;

/// Events of the model. Every method has an empty default, so an unobserved event costs nothing.
pub trait Probe: Default + Send {
    /// A warp instruction issued: SM, warp slot, PC, active lanes.
    #[inline(always)]
    fn warp_issued(&mut self, _now: Cycle, _sm: SmId, _warp: u8, _pc: u32, _mask: u32) {}
    /// L1 served a load of a line: sectors present, sectors requested.
    #[inline(always)]
    fn l1_accessed(&mut self, _now: Cycle, _sm: SmId, _line: u64, _hit: u8, _missed: u8) {}
    /// A slice served `request` at `now`, perhaps after it waited for an MSHR; `hit` are the sectors of a read that
    /// were valid, those of a write whose line was present.
    #[inline(always)]
    fn l2_accessed(&mut self, _now: Cycle, _request: &Request, _hit: u8) {}
    /// A CTA ended.
    #[inline(always)]
    fn cta_done(&mut self, _done: &CtaDone) {}
    /// Adds what another shard's probe saw.
    fn merge(&mut self, _other: &Self) {}
}

/// Watches nothing; zero bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {}

impl<A: Probe, B: Probe> Probe for (A, B) {
    #[inline(always)]
    fn warp_issued(&mut self, now: Cycle, sm: SmId, warp: u8, pc: u32, mask: u32) {
        self.0.warp_issued(now, sm, warp, pc, mask);
        self.1.warp_issued(now, sm, warp, pc, mask);
    }
    #[inline(always)]
    fn l1_accessed(&mut self, now: Cycle, sm: SmId, line: u64, hit: u8, missed: u8) {
        self.0.l1_accessed(now, sm, line, hit, missed);
        self.1.l1_accessed(now, sm, line, hit, missed);
    }
    #[inline(always)]
    fn l2_accessed(&mut self, now: Cycle, request: &Request, hit: u8) {
        self.0.l2_accessed(now, request, hit);
        self.1.l2_accessed(now, request, hit);
    }
    #[inline(always)]
    fn cta_done(&mut self, done: &CtaDone) {
        self.0.cta_done(done);
        self.1.cta_done(done);
    }
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1.merge(&other.1);
    }
}

/// What this build observes. The only place where features meet the probe.
pub type BuildProbe = NoProbe;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_probe_is_zero_sized() {
        assert_eq!(size_of::<NoProbe>(), 0);
        assert_eq!(size_of::<(NoProbe, NoProbe)>(), 0);
        assert_eq!(size_of::<BuildProbe>(), 0);
    }
}
