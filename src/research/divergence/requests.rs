//! Memory requests of warps: sectors of global and local memory, passes over the banks of shared memory, beside what their
//! bytes would take at least.

use super::lanes::Kind;
use crate::mem::SECTOR_BYTES;
use crate::probe::MemoryInst;
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

/// Memory instructions of a warp on their way to the pipe, which they enter in order.
#[derive(Clone, Debug, Default)]
pub struct OnTheWay(VecDeque<(u32, u32)>);

impl OnTheWay {
    /// An instruction issues with so many lanes.
    #[inline]
    pub fn issued(&mut self, pc: u32, lanes: u32, kind: Kind) {
        if kind == Kind::Memory && lanes != 0 {
            self.0.push_back((pc, lanes));
        }
    }

    /// Another warp takes the place.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The instruction at `pc` enters: how many lanes it has.
    pub fn entered(&mut self, pc: u32) -> u32 {
        while let Some((issued, lanes)) = self.0.pop_front() {
            if issued == pc {
                return lanes;
            }
        }
        0
    }
}
