//! Coalescing by instruction: what its lanes ask for, and in how many sectors that lies.

use super::by_pc::ByPc;
use crate::isa::MemOp;
use crate::mem::SECTOR_BYTES;
use crate::probe::MemoryInst;
use crate::sm::memory::Space;
use std::collections::BTreeMap;

/// What the accesses of one instruction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Warp instructions that reached the memory pipe.
    pub requests: u64,
    /// Lanes of issued warp instructions.
    pub lanes: u64,
    /// Bytes of a lane.
    pub width: u64,
    /// Lines, summed over requests.
    pub lines: u64,
    /// Sectors, summed over requests.
    pub sectors: u64,
}

impl Accesses {
    /// Bytes that lanes ask for, of those that their sectors have.
    pub fn efficiency(&self) -> f64 {
        let moved = self.sectors * SECTOR_BYTES;
        (self.lanes * self.width) as f64 / moved.max(1) as f64
    }

    fn add(&mut self, more: &Accesses) {
        self.requests += more.requests;
        self.lanes += more.lanes;
        self.width = self.width.max(more.width);
        self.lines += more.lines;
        self.sectors += more.sectors;
    }
}

/// The kernel that runs, by instruction; and those before it, of which only instructions that access global memory are kept.
#[derive(Clone, Debug, Default)]
pub struct Coalescing {
    now: ByPc<Accesses>,
    kernel: u32,
    done: BTreeMap<(u32, u32), Accesses>,
}

impl Coalescing {
    /// Kernel number `kernel` begins.
    pub fn begin_kernel(&mut self, kernel: u32) {
        self.close();
        self.kernel = kernel;
    }

    /// So many lanes executed an instruction.
    pub fn executed(&mut self, pc: u32, lanes: u64) {
        self.now.at(pc).lanes += lanes;
    }

    /// A memory instruction enters the pipe.
    pub fn entered(&mut self, inst: &MemoryInst) {
        let Some(MemOp { width_bytes, .. }) = inst.op.filter(|_| inst.space == Space::Global)
        else {
            return;
        };
        let sectors = inst.lines.iter().map(|l| u64::from(l.sectors.count()));
        let (width, sectors) = (u64::from(*width_bytes), sectors.sum::<u64>());
        let accesses = self.now.at(inst.pc);
        accesses.requests += 1;
        accesses.width = width;
        accesses.lines += inst.lines.len() as u64;
        accesses.sectors += sectors;
    }

    fn close(&mut self) {
        for (pc, accesses) in std::mem::take(&mut self.now).iter() {
            if accesses.requests > 0 {
                let sum = self.done.entry((self.kernel, pc)).or_default();
                sum.add(accesses);
            }
        }
    }

    /// Adds those of another SM.
    pub fn merge(&mut self, mut other: Self) {
        other.close();
        for (place, accesses) in &other.done {
            self.done.entry(*place).or_default().add(accesses);
        }
    }

    /// Kernel, pc and accesses, in order; of all SMs after they were merged.
    pub fn rows(&self) -> impl Iterator<Item = (u32, u32, &Accesses)> {
        let rows = self.done.iter();
        rows.map(|(&(kernel, pc), accesses)| (kernel, pc, accesses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SmId;
    use crate::isa::{CacheOp, MemKind, MemSpace};
    use crate::mem::{Line, SectorMask};
    use crate::sm::LineAccess;

    const LOAD: MemOp = MemOp {
        kind: MemKind::Load,
        space: MemSpace::Global,
        width_bytes: 4,
        cache: CacheOp::All,
        uniform_address: false,
        cas: false,
    };

    fn enter(seen: &mut Coalescing, pc: u32, space: Space, lines: u64, sectors: u8) {
        let line = |n| LineAccess {
            line: Line(n),
            sectors: SectorMask::new(sectors),
            full: SectorMask::NONE,
        };
        let lines: Vec<LineAccess> = (0..lines).map(line).collect();
        seen.entered(&MemoryInst {
            sm: SmId(0),
            warp: 0,
            program: 0,
            cta: 0,
            place: pc / 16,
            pc,
            op: Some(&LOAD),
            space,
            lines: &lines,
            passes: 0,
            least_passes: 0,
        });
    }

    #[test]
    fn efficiency_is_the_bytes_of_lanes_over_those_of_sectors() {
        let mut seen = Coalescing::default();
        // Words side by side, words a line apart, one word for all lanes; an instruction that is no access.
        for (pc, lines, sectors) in [(0, 1, 0b1111), (16, 32, 1), (32, 1, 1)] {
            seen.executed(pc, 32);
            enter(&mut seen, pc, Space::Global, lines, sectors);
        }
        seen.executed(48, 32);
        enter(&mut seen, 64, Space::Shared, 0, 0);
        let mut all = Coalescing::default();
        all.merge(seen);
        let rows: Vec<_> = all
            .rows()
            .map(|(kernel, pc, a)| (kernel, pc, a.sectors, a.efficiency()))
            .collect();
        assert_eq!(rows, [(0, 0, 4, 1.0), (0, 16, 32, 0.125), (0, 32, 1, 4.0)]);
    }

    #[test]
    fn one_pc_of_two_kernels_is_two_rows_and_sms_add_up() {
        let mut seen = Coalescing::default();
        for kernel in 0..2 {
            seen.begin_kernel(kernel);
            seen.executed(16, 16);
            enter(&mut seen, 16, Space::Global, 1, 0b0011);
        }
        let mut all = Coalescing::default();
        all.merge(seen.clone());
        all.merge(seen);
        let rows: Vec<_> = all
            .rows()
            .map(|(k, pc, a)| (k, pc, a.requests, a.lanes))
            .collect();
        assert_eq!(rows, [(0, 16, 2, 32), (1, 16, 2, 32)]);
    }
}
