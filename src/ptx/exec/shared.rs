//! Shared memory of a CTA, with the race check.
//!
//! Two warps race when they touch the same byte between two barriers, at least one writes, and not
//! both accesses are atomic. The lanes of one warp count as ordered, as does everything on the two
//! sides of any barrier that completed, named ones included.

/// Who touched a byte since the last barrier.
#[derive(Clone, Copy, Debug)]
struct Touch {
    epoch: u32,
    writer: u16,
    reader: u16,
    atomic: bool,
}

const NOBODY: u16 = u16::MAX;
const MANY: u16 = u16::MAX - 1;

/// How an instruction touches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Use {
    Read,
    Write,
    Atomic,
}

/// Shared memory.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Content.
    pub bytes: Vec<u8>,
    touched: Option<Vec<Touch>>,
    epoch: u32,
}

impl Shared {
    /// Makes it `bytes` long and zero.
    pub fn reset(&mut self, bytes: usize, race_check: bool) {
        self.bytes.clear();
        self.bytes.resize(bytes, 0);
        self.epoch = 0;
        let clean = Touch {
            epoch: 0,
            writer: NOBODY,
            reader: NOBODY,
            atomic: false,
        };
        self.touched = race_check.then(|| vec![clean; bytes]);
    }

    /// Whether races are looked for.
    #[inline(always)]
    pub fn checked(&self) -> bool {
        self.touched.is_some()
    }

    /// A barrier completed.
    pub fn barrier(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Notes an access of `warp`; the other warp's number if it races.
    pub fn touch(&mut self, warp: u32, address: u64, bytes: u64, kind: Use) -> Option<(u16, Use)> {
        let epoch = self.epoch;
        let warp = warp as u16;
        let range = address as usize..(address + bytes) as usize;
        let touched = self.touched.as_mut()?.get_mut(range)?;
        let mut race = None;
        for t in touched {
            if t.epoch != epoch {
                *t = Touch {
                    epoch,
                    writer: NOBODY,
                    reader: NOBODY,
                    atomic: false,
                };
            }
            let both_atomic = t.atomic && kind == Use::Atomic;
            if t.writer != NOBODY && t.writer != warp && !both_atomic {
                race = race.or(Some((t.writer, Use::Write)));
            }
            match kind {
                Use::Read => {
                    t.reader = if matches!(t.reader, NOBODY) || t.reader == warp {
                        warp
                    } else {
                        MANY
                    }
                }
                Use::Write | Use::Atomic => {
                    if t.reader != NOBODY && t.reader != warp {
                        race = race.or(Some((t.reader, Use::Read)));
                    }
                    t.writer = warp;
                    t.atomic = kind == Use::Atomic;
                }
            }
        }
        race
    }
}
