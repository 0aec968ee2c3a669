//! Rows of a trace to accesses of lines, as the coalescer makes them.

use super::trace::{Kind, Row};
use crate::isa::CacheOp;
use crate::mem::{LINE_BYTES, Line, SECTOR_BYTES, SECTORS_PER_LINE, SectorMask};

/// An access of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its SM.
    pub sm: u16,
    /// Program counter.
    pub pc: u64,
    /// What it does.
    pub kind: Kind,
    /// Its cache operator.
    pub cache: CacheOp,
    /// The line.
    pub line: Line,
    /// Sectors touched.
    pub sectors: SectorMask,
    /// Sectors touched in every byte.
    pub full: SectorMask,
}

/// An access to which further rows may belong.
#[derive(Clone, Copy, Debug)]
struct Open {
    cycle: u64,
    access: Reference,
    bytes: u128,
}

/// Joins neighbouring rows of one cycle, SM, pc and operation that touch the same line: they are one access.
#[derive(Debug, Default)]
pub struct Coalescer {
    open: Option<Open>,
}

impl Coalescer {
    /// Hands the accesses that are complete now that `row` has come to `each`.
    pub fn push(&mut self, row: &Row, mut each: impl FnMut(&Reference)) {
        let mut from = row.address;
        let mut left = row.bytes;
        while left > 0 {
            let offset = from % LINE_BYTES;
            let count = left.min(LINE_BYTES - offset);
            self.add(
                row,
                Line::of(from),
                (u128::MAX >> (128 - count as u32)) << offset,
                &mut each,
            );
            left -= count;
            // Wraps behind the last byte of all, where nothing is left.
            from = from.wrapping_add(count);
        }
    }

    fn add(&mut self, row: &Row, line: Line, bytes: u128, each: &mut impl FnMut(&Reference)) {
        let access = Reference {
            sm: row.sm,
            pc: row.pc,
            kind: row.op.kind,
            cache: row.op.cache,
            line,
            sectors: SectorMask::NONE,
            full: SectorMask::NONE,
        };
        let same = |open: &Open| {
            let empty = Reference {
                sectors: SectorMask::NONE,
                ..open.access
            };
            open.cycle == row.cycle && empty == access
        };
        if !self.open.as_ref().is_some_and(same) {
            self.finish(&mut *each);
        }
        let open = self.open.get_or_insert(Open {
            cycle: row.cycle,
            access,
            bytes: 0,
        });
        open.access.sectors |= sectors_of(bytes, |part| part != 0);
        // Of a part nobody knows the bytes: they complete no sector.
        if !row.op.part {
            open.bytes |= bytes;
        }
    }

    /// Hands the last access to `each`.
    pub fn finish(&mut self, mut each: impl FnMut(&Reference)) {
        if let Some(open) = self.open.take() {
            each(&Reference {
                full: sectors_of(open.bytes, |part| part == u32::MAX),
                ..open.access
            });
        }
    }
}

/// The sectors of whose bytes `is` holds.
fn sectors_of(bytes: u128, is: impl Fn(u32) -> bool) -> SectorMask {
    let mut sectors = SectorMask::NONE;
    for sector in 0..SECTORS_PER_LINE {
        if is((bytes >> (sector * SECTOR_BYTES as u32)) as u32) {
            sectors |= SectorMask::one(sector);
        }
    }
    sectors
}

#[cfg(test)]
mod tests {
    use super::super::trace::Op;
    use super::*;

    fn accesses(rows: &[(u64, u64, u64, &str)]) -> Vec<Reference> {
        let mut found = Vec::new();
        let mut coalescer = Coalescer::default();
        for &(cycle, address, bytes, op) in rows {
            let op = Op::from_name(op).unwrap();
            let row = Row {
                cycle,
                sm: 0,
                pc: 0,
                address,
                bytes,
                op,
            };
            coalescer.push(&row, |r| found.push(*r));
        }
        coalescer.finish(|r| found.push(*r));
        found
    }

    #[test]
    fn lanes_of_a_line_are_one_access() {
        let lanes: Vec<_> = (0..64).map(|lane| (3, 96 + lane * 4, 4, "store")).collect();
        let found = accesses(&lanes);
        let what: Vec<_> = found.iter().map(|r| (r.line, r.sectors, r.full)).collect();
        let (last, all, most) = (SectorMask::one(3), SectorMask::ALL, SectorMask::range(0, 3));
        assert_eq!(
            what,
            [
                (Line(0), last, last),
                (Line(1), all, all),
                (Line(2), most, most)
            ]
        );
        // One row says the same.
        assert_eq!(accesses(&[(3, 96, 256, "store")]), found);
    }

    #[test]
    fn what_differs_in_cycle_operation_or_line_is_another_access() {
        let rows = [
            (0, 0, 4, "load"),
            (1, 4, 4, "load"),
            (1, 8, 4, "store"),
            (1, 128, 4, "store"),
            (1, 12, 4, "store"),
        ];
        assert_eq!(accesses(&rows).len(), 5);
        assert_eq!(
            accesses(&[(0, 0, 4, "load"), (0, 4, 4, "load.streaming")]).len(),
            2
        );
    }

    #[test]
    fn a_part_completes_no_sector_and_belongs_to_its_store() {
        let found = accesses(&[(0, 0, 64, "store"), (0, 64, 32, "store_part")]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].sectors, found[0].full),
            (SectorMask::range(0, 3), SectorMask::range(0, 2))
        );
        let last = accesses(&[(0, u64::MAX, 1, "load")]);
        assert_eq!(
            (last[0].sectors, last[0].full),
            (SectorMask::one(3), SectorMask::NONE)
        );
    }
}
