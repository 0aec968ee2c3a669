//! Every access of L1 to global memory, for a study of the cache alone.
//!
//! An access is logged when its instruction enters the memory pipe, which is before L1 can refuse it, so that each is there
//! once. What passes L1 by (coherent loads) is left out, and so is local memory.

use super::{MemoryInst, Probe};
use crate::engine::Cycle;
use crate::mem::cache::study::trace::{Kind, Op, Row};
use crate::mem::dram::DramProbe;
use crate::mem::{Line, SECTOR_BYTES, SECTORS_PER_LINE, SectorMask};
use crate::sm::memory::Space;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Accesses of lines that are kept of an SM: 128 MiB.
pub const ACCESSES_MAX: usize = 1 << 22;

/// An access of a line.
#[derive(Clone, Copy, Debug)]
struct Entry {
    cycle: Cycle,
    line: Line,
    pc: u32,
    op: Op,
    sectors: SectorMask,
    full: SectorMask,
}

const _: () = assert!(size_of::<Entry>() <= 32);

/// The accesses of one SM, in order.
#[derive(Clone, Debug)]
struct SmLog {
    sm: u16,
    entries: Vec<Entry>,
    overflown: bool,
}

/// Logs accesses: those of the own SM, or of all after they were merged.
#[derive(Clone, Debug, Default)]
pub struct AddressLog {
    sms: Vec<SmLog>,
}

impl AddressLog {
    /// An SM of which not all accesses were kept.
    pub fn overflown(&self) -> Option<u16> {
        self.sms.iter().find(|log| log.overflown).map(|log| log.sm)
    }

    /// The rows of a trace: in order of cycles, those of one cycle by SM.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let first = |(at, log): (usize, &SmLog)| {
            let entry = log.entries.first()?;
            Some(Reverse((entry.cycle, log.sm, at, 0)))
        };
        let mut heads: BinaryHeap<_> = self.sms.iter().enumerate().filter_map(first).collect();
        let entries = std::iter::from_fn(move || {
            let Reverse((_, sm, log, at)) = heads.pop()?;
            let entries = &self.sms[log].entries;
            if let Some(next) = entries.get(at + 1) {
                heads.push(Reverse((next.cycle, sm, log, at + 1)));
            }
            Some((sm, &entries[at]))
        });
        entries.flat_map(|(sm, entry)| entry.rows(sm))
    }
}

impl Entry {
    /// A row for each run of sectors that are written in the same way, whole or in part; for a load a row for each run.
    fn rows(&self, sm: u16) -> impl Iterator<Item = Row> {
        let store = self.op.kind == Kind::Store;
        let part = move |sector: u32| store && !self.full.has(sector);
        let mut sector = 0;
        std::iter::from_fn(move || {
            while sector < SECTORS_PER_LINE && !self.sectors.has(sector) {
                sector += 1;
            }
            let first = sector;
            let same =
                |s: u32| s < SECTORS_PER_LINE && self.sectors.has(s) && part(s) == part(first);
            while same(sector) {
                sector += 1;
            }
            (sector > first).then(|| Row {
                cycle: self.cycle,
                sm,
                pc: self.pc.into(),
                address: self.line.sector_address(first),
                bytes: u64::from(sector - first) * SECTOR_BYTES,
                op: Op {
                    part: part(first),
                    ..self.op
                },
            })
        })
    }
}

impl DramProbe for AddressLog {}

impl Probe for AddressLog {
    fn memory_entered(&mut self, now: Cycle, inst: &MemoryInst) {
        let op = inst.op.filter(|_| inst.space == Space::Global);
        let Some(op) = op.and_then(Op::of) else {
            return;
        };
        if self.sms.is_empty() {
            self.sms.push(SmLog {
                sm: inst.sm.0,
                entries: Vec::new(),
                overflown: false,
            });
        }
        let log = &mut self.sms[0];
        if log.entries.len() + inst.lines.len() > ACCESSES_MAX {
            log.overflown = true;
            return;
        }
        log.entries.extend(inst.lines.iter().map(|line| Entry {
            cycle: now,
            line: line.line,
            pc: inst.pc,
            op,
            sectors: line.sectors,
            full: line.full,
        }));
    }

    fn merge(&mut self, other: Self) {
        self.sms.extend(other.sms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::cache::study::trace::Op;

    fn rows(op: &str, sectors: u8, full: u8) -> Vec<(u64, u64, String)> {
        let entry = Entry {
            cycle: 1,
            line: Line(2),
            pc: 0,
            op: Op::from_name(op).unwrap(),
            sectors: SectorMask::new(sectors),
            full: SectorMask::new(full),
        };
        let rows = entry.rows(0);
        rows.map(|row| (row.address, row.bytes, row.op.to_string()))
            .collect()
    }

    #[test]
    fn a_row_is_a_run_of_sectors() {
        let row = |address, bytes, op: &str| (address, bytes, op.to_owned());
        assert_eq!(rows("load", 0b1111, 0b0010), [row(256, 128, "load")]);
        assert_eq!(
            rows("atomic", 0b1001, 0),
            [row(256, 32, "atomic"), row(352, 32, "atomic")]
        );
        assert_eq!(
            rows("store.streaming", 0b1110, 0b0110),
            [
                row(288, 64, "store.streaming"),
                row(352, 32, "store_part.streaming")
            ]
        );
    }

    #[test]
    fn rows_of_one_cycle_are_in_order_of_sms() {
        let log = |sm, cycles: &[u64]| SmLog {
            sm,
            overflown: false,
            entries: cycles
                .iter()
                .map(|&cycle| Entry {
                    cycle,
                    line: Line(0),
                    pc: 0,
                    op: Op::from_name("load").unwrap(),
                    sectors: SectorMask::ALL,
                    full: SectorMask::ALL,
                })
                .collect(),
        };
        let all = AddressLog {
            sms: vec![log(1, &[2, 2, 5]), log(0, &[2, 7]), log(3, &[])],
        };
        let order: Vec<_> = all.rows().map(|row| (row.cycle, row.sm)).collect();
        assert_eq!(order, [(2, 0), (2, 1), (2, 1), (5, 1), (7, 0)]);
        assert_eq!(all.overflown(), None);
    }
}
