//! Shared memory of a CTA: what was written in it, and the race check.
//!
//! A byte that no thread of the CTA wrote has no value, as in CUDA: whoever reads it is at fault.
//!
//! Two warps race when they touch the same byte between two barriers, at least one writes, and not
//! both accesses are atomic. The lanes of one warp count as ordered, as does everything on the two
//! sides of any barrier that completed, named ones included.

use super::regs::Lanes;

/// Who touched a byte since the last barrier.
#[derive(Clone, Copy, Debug)]
struct Touch {
    epoch: u32,
    writer: u16,
    reader: u16,
    atomic: bool,
}

/// A warp's accesses in a row, and rows with gaps, are shorter than this; lanes that are further
/// apart are looked at one by one.
const LOOK_BYTES: u64 = 2048;

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
    // A bit for each byte that was written.
    written: Vec<u64>,
    touched: Option<Vec<Touch>>,
    epoch: u32,
}

impl Shared {
    /// Makes it `bytes` long, with nothing written.
    pub fn reset(&mut self, bytes: usize, race_check: bool) {
        self.bytes.clear();
        self.bytes.resize(bytes, 0);
        self.written.clear();
        self.written.resize(bytes.div_ceil(64), 0);
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

    /// Notes a write of `bytes` bytes that are known to be inside.
    #[inline]
    pub fn wrote(&mut self, address: u64, bytes: u64) {
        for_words(address, address + bytes, |word, bits| {
            if let Some(word) = self.written.get_mut(word) {
                *word |= bits;
            }
            true
        });
    }

    /// Notes stores of `bytes` bytes by the lanes of `mask`, which lie in `low..high`.
    #[inline]
    pub fn wrote_lanes(&mut self, (low, high): (u64, u64), at: &Lanes<u64>, mask: u32, bytes: u64) {
        if self.is_written(low, high) {
            return;
        }
        for (lane, &at) in at.iter().enumerate() {
            if mask >> lane & 1 != 0 {
                self.wrote(at, bytes);
            }
        }
    }

    /// Whether every byte of `from..to` was written. Of ranges that are too long to look through
    /// it may say no although they were.
    #[inline]
    pub fn is_written(&self, from: u64, to: u64) -> bool {
        if to.wrapping_sub(from) > LOOK_BYTES {
            return false;
        }
        for_words(from, to, |word, bits| {
            self.written.get(word).is_some_and(|w| w & bits == bits)
        })
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

/// Calls `visit` with each word of the bits for `from..to`, and with its bits of the range, as long
/// as it returns true. Returns whether it always did.
#[inline(always)]
fn for_words(from: u64, to: u64, mut visit: impl FnMut(usize, u64) -> bool) -> bool {
    let mut at = from;
    while at < to {
        let end = (at | 63).saturating_add(1).min(to);
        let bits = u64::MAX >> (64 - (end - at)) << (at % 64);
        if !visit((at / 64) as usize, bits) {
            return false;
        }
        at = end;
    }
    true
}
