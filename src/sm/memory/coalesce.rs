//! Lanes to lines: what one access of a warp touches.
//!
//! Patterns of a kernel are analysed once per kernel ([`PatternInfo`]); only lane shapes that are not
//! patterns, and bases with an alignment that was not prepared, take the general path.

use super::banks::{Banks, Passes, Service, bank_passes};
use crate::isa::{MemKind, MemOp};
use crate::mem::space::Window;
use crate::mem::{LINE_BYTES, Line, SECTOR_BYTES, SECTORS_PER_LINE, SectorMask};
use crate::trace::LanePattern;
use bincode::{Decode, Encode};

/// One line that an access touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LineAccess {
    /// The line.
    pub line: Line,
    /// Sectors touched.
    pub sectors: SectorMask,
    /// Sectors touched in every byte.
    pub full: SectorMask,
}

/// Lines of one access at most: four words a lane of local memory, each in a line of its own.
pub const LINES_MAX: usize = 128;

/// The lines of one access.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Lines {
    list: [LineAccess; LINES_MAX],
    len: u8,
}

impl Default for Lines {
    fn default() -> Self {
        Lines {
            list: [LineAccess::default(); LINES_MAX],
            len: 0,
        }
    }
}

impl Lines {
    /// The lines, in order of first touch.
    #[inline(always)]
    pub fn as_slice(&self) -> &[LineAccess] {
        &self.list[..usize::from(self.len)]
    }

    #[inline(always)]
    fn push(&mut self, line: LineAccess) {
        self.list[usize::from(self.len)] = line;
        self.len += 1;
    }

    /// Adds `mask`, the bytes that a lane touches in `line`; `bytes` are those of each line so far.
    #[inline]
    fn add(&mut self, bytes: &mut [u128], line: Line, mask: u128) {
        let at = match self.as_slice().iter().rposition(|l| l.line == line) {
            Some(at) => at,
            None => {
                self.push(LineAccess {
                    line,
                    ..LineAccess::default()
                });
                usize::from(self.len) - 1
            }
        };
        bytes[at] |= mask;
    }

    /// Sets the sectors of each line from its bytes.
    fn finish(&mut self, bytes: &[u128]) {
        for (line, &mask) in self.list[..usize::from(self.len)].iter_mut().zip(bytes) {
            let (mut sectors, mut full) = (0, 0);
            for sector in 0..SECTORS_PER_LINE {
                let part = (mask >> (sector * SECTOR_BYTES as u32)) as u32;
                sectors |= u8::from(part != 0) << sector;
                full |= u8::from(part == u32::MAX) << sector;
            }
            line.sectors = SectorMask::new(sectors);
            line.full = SectorMask::new(full);
        }
    }
}

/// Coalesces `addresses` (active lanes, in lane order) of `width` bytes each.
pub fn coalesce(addresses: &[u64], width: u64, out: &mut Lines) {
    out.len = 0;
    let mut bytes = [0; 64];
    for &address in addresses {
        let mut from = address;
        let end = address.saturating_add(width);
        while from < end {
            let line = Line::of(from);
            let offset = from % LINE_BYTES;
            let count = (end - from).min(LINE_BYTES - offset);
            let mask = (u128::MAX >> (128 - count as u32)) << offset;
            out.add(&mut bytes, line, mask);
            from += count;
        }
    }
    out.finish(&bytes);
}

/// The lines of an access to local memory: `offsets` in the memory of each thread of `mask` (in lane order),
/// `width` bytes each, by the warp in place `slot` of `slots` on the chip.
///
/// Words of the same offset of a warp's threads share a line, so that threads in step are coalesced, and rows
/// of such lines of all places lie side by side. Memory belongs to the place, not to the CTA: the next warp
/// there finds what the last one left in the caches.
pub fn local_lines(offsets: &[u64], mask: u32, width: u64, slot: u64, slots: u64, out: &mut Lines) {
    out.len = 0;
    let mut bytes = [0; LINES_MAX];
    let lanes = (0..32u64).filter(|lane| mask >> lane & 1 != 0);
    for (&offset, lane) in offsets.iter().zip(lanes) {
        // An access is aligned to its width, so it starts in the middle of a word only within it.
        for word in offset / 4..(offset + width).div_ceil(4).min(offset / 4 + 4) {
            let from = offset.max(word * 4) - word * 4;
            let end = (offset + width).min(word * 4 + 4) - word * 4;
            let within = (1u128 << end) - (1 << from);
            let line = Line(Window::Local.lines().0.0 + word * slots + slot);
            out.add(&mut bytes, line, within << (lane * 4));
        }
    }
    out.finish(&bytes);
}

/// Cycles of a slice's atomic unit for the lanes of each line: one for each lane that shares a word
/// with others, distinct words of a sector together.
pub fn atomic_weight(addresses: &[u64], line: Line) -> u8 {
    let mut weight = 0u32;
    for sector in 0..SECTORS_PER_LINE {
        let start = line.sector_address(sector);
        let inside = |a: &&u64| (start..start + SECTOR_BYTES).contains(*a);
        let most = addresses
            .iter()
            .filter(inside)
            .map(|a| addresses.iter().filter(|b| *b / 4 == a / 4).count())
            .max();
        weight += most.unwrap_or(0) as u32;
    }
    weight.clamp(1, 255) as u8
}

/// Base alignments within a line that are prepared for every pattern.
const ALIGNMENTS: usize = 4;

/// Everything about a pattern that does not depend on its base.
#[derive(Clone, Debug)]
pub struct PatternInfo {
    /// Passes over the banks of a store, or of a load of global memory, for word-aligned bases.
    passes: Passes,
    /// Of a load of shared memory.
    load_passes: Passes,
    /// Of a shared-memory atomic.
    atomic_passes: Passes,
    prepared: [(u32, u8); ALIGNMENTS],
}

impl PatternInfo {
    /// Passes over the banks.
    #[inline(always)]
    pub fn passes(&self, service: Service) -> Passes {
        match service {
            Service::SharedLoad => self.load_passes,
            Service::Other => self.passes,
            Service::Atomic => self.atomic_passes,
        }
    }
}

/// The analysed patterns of a kernel.
#[derive(Clone, Debug, Default)]
pub struct PatternSet {
    infos: Vec<PatternInfo>,
    /// Lines relative to the base's line, for all patterns and alignments.
    lines: Vec<(i32, SectorMask, SectorMask)>,
}

impl PatternSet {
    /// Analyses `patterns` for `banks` of shared memory.
    pub fn new(patterns: &[LanePattern], banks: Banks) -> Self {
        let mut set = PatternSet::default();
        for pattern in patterns {
            set.add(pattern, banks);
        }
        set
    }

    fn add(&mut self, pattern: &LanePattern, banks: Banks) {
        // Far above zero, so that negative offsets stay positive.
        const ORIGIN: u64 = 1 << 40;
        let width = u64::from(pattern.width_bytes);
        let mut addresses = Vec::with_capacity(32);
        let mut prepared = [(0, 0); ALIGNMENTS];
        let mut lines = Lines::default();
        for (alignment, slot) in prepared.iter_mut().enumerate() {
            let base = ORIGIN + alignment as u64 * SECTOR_BYTES;
            place(pattern, base, &mut addresses);
            coalesce(&addresses, width, &mut lines);
            *slot = (self.lines.len() as u32, lines.as_slice().len() as u8);
            let home = Line::of(ORIGIN).0 as i64;
            self.lines.extend(
                lines
                    .as_slice()
                    .iter()
                    .map(|l| ((l.line.0 as i64 - home) as i32, l.sectors, l.full)),
            );
        }
        place(pattern, ORIGIN, &mut addresses);
        let passes = |service| bank_passes(&addresses, pattern.mask, width, banks, service);
        self.infos.push(PatternInfo {
            passes: passes(Service::Other),
            load_passes: passes(Service::SharedLoad),
            atomic_passes: passes(Service::Atomic),
            prepared,
        });
    }

    /// The analysis of pattern number `id`.
    #[inline(always)]
    pub fn info(&self, id: u32) -> &PatternInfo {
        &self.infos[id as usize]
    }

    /// The lines of pattern `id` at `base`, if that alignment was prepared.
    #[inline]
    pub fn lines_at(&self, id: u32, base: u64, out: &mut Lines) -> bool {
        if !base.is_multiple_of(SECTOR_BYTES) {
            return false;
        }
        let (start, len) = self.infos[id as usize].prepared[SectorMask::sector_of(base) as usize];
        let home = Line::of(base);
        out.len = 0;
        for &(offset, sectors, full) in &self.lines[start as usize..][..usize::from(len)] {
            out.push(LineAccess {
                line: home.offset(i64::from(offset)),
                sectors,
                full,
            });
        }
        true
    }
}

fn place(pattern: &LanePattern, base: u64, out: &mut Vec<u64>) {
    out.clear();
    out.extend(
        pattern
            .offsets
            .iter()
            .map(|&o| base.wrapping_add_signed(i64::from(o))),
    );
}

/// Whether the access is a read-modify-write at the slice or in shared memory.
pub fn is_atomic(mem: &MemOp) -> bool {
    matches!(mem.kind, MemKind::Atomic | MemKind::Reduction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANKS: Banks = Banks {
        count: 32,
        word_bytes: 4,
    };

    fn lanes(f: impl Fn(u64) -> u64) -> Vec<u64> {
        (0..32).map(f).collect()
    }

    #[test]
    fn contiguous_words_are_one_line_and_four_sectors() {
        let mut lines = Lines::default();
        coalesce(&lanes(|l| 4096 + 4 * l), 4, &mut lines);
        assert_eq!(
            lines.as_slice(),
            [LineAccess {
                line: Line(32),
                sectors: SectorMask::new(15),
                full: SectorMask::new(15)
            }]
        );
        coalesce(&lanes(|l| 4096 + 16 + 4 * l), 4, &mut lines);
        assert_eq!(
            lines.as_slice(),
            [
                LineAccess {
                    line: Line(32),
                    sectors: SectorMask::new(15),
                    full: SectorMask::new(14)
                },
                LineAccess {
                    line: Line(33),
                    sectors: SectorMask::new(1),
                    full: SectorMask::new(0)
                }
            ]
        );
    }

    #[test]
    fn threads_in_step_share_the_lines_of_their_local_memory() {
        let mut lines = Lines::default();
        let places = |lines: &Lines| -> Vec<_> {
            let all = lines.as_slice().iter();
            let first = Window::Local.lines().0.0;
            all.map(|l| (l.line.0 - first, l.sectors, l.full)).collect()
        };
        // Word 3 of every thread of place 5 of 100.
        local_lines(&[12; 32], u32::MAX, 4, 5, 100, &mut lines);
        assert_eq!(
            places(&lines),
            [(305, SectorMask::new(15), SectorMask::new(15))]
        );
        // Two words each: two lines. Lanes 8 to 15 only: the second sector.
        local_lines(&[8; 8], 0xff00, 8, 5, 100, &mut lines);
        assert_eq!(
            places(&lines),
            [
                (205, SectorMask::new(2), SectorMask::new(2)),
                (305, SectorMask::new(2), SectorMask::new(2))
            ]
        );
        // A byte each fills no sector.
        local_lines(&[1; 32], u32::MAX, 1, 0, 100, &mut lines);
        assert_eq!(
            places(&lines),
            [(0, SectorMask::new(15), SectorMask::new(0))]
        );
        // Every lane at a place of its own: the most lines that an access can have.
        let apart: Vec<u64> = (0..32).map(|l| l * 16).collect();
        local_lines(&apart, u32::MAX, 16, 0, 1, &mut lines);
        assert_eq!(lines.as_slice().len(), 128);
        assert!(lines.as_slice().iter().all(|l| l.sectors.count() == 1));
    }

    #[test]
    fn a_pattern_gives_the_same_lines_as_its_addresses() {
        let pattern = LanePattern {
            mask: u32::MAX,
            width_bytes: 8,
            offsets: (0..32).map(|l| (l * 40 - 3 * l * l) & !7).collect(),
        };
        let set = PatternSet::new(std::slice::from_ref(&pattern), BANKS);
        for base in [4096u64, 4128, 8160 + 32, 1 << 45] {
            let (mut a, mut b) = (Lines::default(), Lines::default());
            let addresses: Vec<u64> = pattern
                .offsets
                .iter()
                .map(|&o| base.wrapping_add_signed(o.into()))
                .collect();
            coalesce(&addresses, 8, &mut a);
            assert!(set.lines_at(0, base, &mut b));
            assert_eq!(a.as_slice(), b.as_slice());
        }
        assert!(!set.lines_at(0, 4100, &mut Lines::default()));
    }
}
