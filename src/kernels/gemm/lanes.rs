//! Which lanes of each warp a memory instruction has, and what they touch.

use crate::kernels::access;
use crate::kernels::builder::KernelBuilder;
use crate::trace::{CtaEncoder, PatternId};

/// What one warp touches: offsets are from a base that moves with CTA and iteration.
#[derive(Clone, Copy, Debug, Default)]
struct Spot {
    mask: u32,
    /// Of the first active lane.
    offset: u64,
    pattern: PatternId,
}

/// One memory instruction, warp by warp.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Vec<Spot>);

impl Lanes {
    /// Lanes of `width` bytes; `place` has the offset of a thread of the CTA, or nothing where it is predicated off.
    pub(super) fn new(
        code: &mut KernelBuilder,
        warps: u64,
        width: u64,
        place: impl Fn(u64) -> Option<u64>,
    ) -> Self {
        let spots = (0..warps).map(|warp| {
            let offsets: Vec<_> = (0..32).map(|lane| place(warp * 32 + lane)).collect();
            let on = offsets.iter().enumerate().filter(|(_, at)| at.is_some());
            let mask = on.fold(0, |mask, (lane, _)| mask | 1 << lane);
            let Some(first) = offsets.iter().copied().flatten().next() else {
                return Spot::default();
            };
            let pattern = code.pattern(mask, width, |lane| {
                offsets[lane as usize].expect("the mask has active lanes only")
            });
            Spot {
                mask,
                offset: first,
                pattern,
            }
        });
        Lanes(spots.collect())
    }

    /// Instruction `index` of `warp`, from `base`.
    #[inline]
    pub(super) fn put(&self, index: u32, warp: u32, base: u64, out: &mut CtaEncoder) {
        let spot = self.0[warp as usize];
        access(out, index, spot.mask, base + spot.offset, spot.pattern);
    }
}
