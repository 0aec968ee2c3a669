//! Memory requests of warps: sectors of global and local memory, passes over the banks of shared memory, beside what their
//! bytes would take at least.

use crate::mem::SECTOR_BYTES;
use crate::probe::MemoryInst;
use crate::sm::SUB_CORES;
use crate::sm::memory::Space;
use std::collections::VecDeque;

/// Requests of one instruction, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Warp instructions at global or local memory.
    pub requests: u64,
    /// Their lanes.
    pub lanes: u64,
    /// Sectors that they touch, each request by itself.
    pub sectors: u64,
    /// Sectors that the bytes of their lanes would fill.
    pub least_sectors: u64,
    /// Warp instructions at shared memory.
    pub shared: u64,
    /// Passes over the banks.
    pub passes: u64,
    /// Passes without a conflict.
    pub least_passes: u64,
}

impl Requests {
    /// Adds others.
    pub fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.lanes += more.lanes;
        self.sectors += more.sectors;
        self.least_sectors += more.least_sectors;
        self.shared += more.shared;
        self.passes += more.passes;
        self.least_passes += more.least_passes;
    }

    /// The one of `inst`, of `lanes` lanes; nothing for a shuffle.
    pub fn one(inst: &MemoryInst, lanes: u32) -> Option<Self> {
        let op = inst.op?;
        let lanes = u64::from(lanes);
        let bytes = lanes * u64::from(op.width_bytes);
        let sectors = inst.lines.iter().map(|l| u64::from(l.sectors.count()));
        Some(match inst.space {
            Space::Global | Space::Local => Requests {
                requests: 1,
                lanes,
                sectors: sectors.sum(),
                least_sectors: bytes.div_ceil(SECTOR_BYTES),
                ..Requests::default()
            },
            _ => Requests {
                shared: 1,
                passes: inst.passes.into(),
                least_passes: inst.least_passes.into(),
                ..Requests::default()
            },
        })
    }
}

/// Lanes of memory instructions on their way to the pipe, by sub-core: those of each enter it in order.
#[derive(Clone, Debug, Default)]
pub struct OnTheWay([VecDeque<u8>; SUB_CORES]);

impl OnTheWay {
    /// An instruction of `warp` issues with the lanes `mask`.
    #[inline]
    pub fn queued(&mut self, warp: u8, mask: u32) {
        self.0[usize::from(warp) % SUB_CORES].push_back(mask.count_ones() as u8);
    }

    /// The next one of `warp` enters: how many lanes it has.
    #[inline]
    pub fn entered(&mut self, warp: u8) -> u32 {
        let next = self.0[usize::from(warp) % SUB_CORES].pop_front();
        next.unwrap_or_default().into()
    }
}
