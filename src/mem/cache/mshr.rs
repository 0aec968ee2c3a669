//! Miss-status holding registers: lines in flight, and who waits for them.

use crate::mem::{Line, SectorMask};
use bincode::{Decode, Encode};

/// Number of a register.
pub type MshrId = u32;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Register {
    line: Line,
    chain: u32,
    waiters: u32,
    last_waiter: u32,
    merged: u16,
    /// Sectors that were requested and have not arrived.
    requested: SectorMask,
    /// Those of them that nobody waits for.
    prefetched: SectorMask,
}

#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Waiter<W> {
    who: W,
    next: u32,
    missing: SectorMask,
}

/// Why an access could not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Every register is taken.
    Entries,
    /// The line's register holds as many accesses as it can.
    Merges,
}

/// A table of registers for lines, each with a list of waiters in order of arrival.
#[derive(Clone, Debug, Encode, Decode)]
pub struct MshrTable<W> {
    registers: Vec<Register>,
    free: Vec<u32>,
    waiters: Vec<Waiter<W>>,
    free_waiters: Vec<u32>,
    index: Vec<u32>,
    shift: u32,
    merges_max: u16,
}

impl<W: Copy> MshrTable<W> {
    /// `entries` registers that hold `merges_max` waiters each, the first included.
    pub fn new(entries: u32, merges_max: u16) -> Self {
        let buckets = (entries.max(1) * 2).next_power_of_two().max(2);
        MshrTable {
            registers: vec![
                Register {
                    line: Line::default(),
                    chain: NONE,
                    waiters: NONE,
                    last_waiter: NONE,
                    merged: 0,
                    requested: SectorMask::NONE,
                    prefetched: SectorMask::NONE,
                };
                entries as usize
            ],
            free: (0..entries).rev().collect(),
            waiters: Vec::with_capacity(entries as usize * 2),
            free_waiters: Vec::with_capacity(entries as usize * 2),
            index: vec![NONE; buckets as usize],
            shift: 64 - buckets.trailing_zeros(),
            merges_max,
        }
    }

    #[inline(always)]
    fn bucket(&self, line: Line) -> usize {
        (line.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    /// The register of `line`, if it is in flight.
    #[inline]
    pub fn find(&self, line: Line) -> Option<MshrId> {
        let mut at = self.index[self.bucket(line)];
        while at != NONE {
            if self.registers[at as usize].line == line {
                return Some(at);
            }
            at = self.registers[at as usize].chain;
        }
        None
    }

    /// Loads what [`MshrTable::find`] will read, as [`super::tags::Tags::warm`] does.
    #[inline(always)]
    pub fn warm(&self, line: Line) {
        let at = self.index[self.bucket(line)] as usize;
        std::hint::black_box(self.registers.get(at).map_or(0, |r| r.line.0));
    }

    /// Sectors of register `id` that are on their way.
    pub fn requested(&self, id: MshrId) -> SectorMask {
        self.registers[id as usize].requested
    }

    /// Puts those of `sectors` that are not on their way yet on their way with what register `id` requests now,
    /// without anybody who waits for them; returns them. They must arrive together with a sector that is waited for.
    pub fn prefetch(&mut self, id: MshrId, sectors: SectorMask) -> SectorMask {
        let register = &mut self.registers[id as usize];
        let new = sectors.without(register.requested);
        register.requested |= new;
        register.prefetched |= new;
        new
    }

    /// Who waits for `sectors` of register `id` is nobody who reads them.
    pub fn unread(&mut self, id: MshrId, sectors: SectorMask) {
        self.registers[id as usize].prefetched |= sectors;
    }

    /// Sectors of register `id` that are on their way and that nobody has waited for.
    pub fn prefetched(&self, id: MshrId) -> SectorMask {
        self.registers[id as usize].prefetched
    }

    /// Who has waited longest for register `id`.
    pub fn first(&self, id: MshrId) -> Option<&W> {
        let at = self.registers[id as usize].waiters;
        self.waiters.get(at as usize).map(|waiter| &waiter.who)
    }

    /// The line of register `id`.
    pub fn line(&self, id: MshrId) -> Line {
        self.registers[id as usize].line
    }

    /// Whether an access to `line` could wait now.
    ///
    /// # Errors
    /// The reason why not.
    #[inline]
    pub fn check(&self, found: Option<MshrId>) -> Result<(), Refusal> {
        match found {
            Some(id) if self.registers[id as usize].merged >= self.merges_max => {
                Err(Refusal::Merges)
            }
            None if self.free.is_empty() => Err(Refusal::Entries),
            _ => Ok(()),
        }
    }

    /// Lets `who` wait for `sectors` of `line`; [`MshrTable::check`] must have agreed. Returns the
    /// register and the sectors that are not on their way yet.
    #[inline(always)]
    pub fn wait(
        &mut self,
        found: Option<MshrId>,
        line: Line,
        sectors: SectorMask,
        who: W,
    ) -> (MshrId, SectorMask) {
        let id = match found {
            Some(id) => id,
            None => {
                let id = self.free.pop().expect("check() agreed");
                let bucket = self.bucket(line);
                self.registers[id as usize] = Register {
                    line,
                    chain: self.index[bucket],
                    waiters: NONE,
                    last_waiter: NONE,
                    merged: 0,
                    requested: SectorMask::NONE,
                    prefetched: SectorMask::NONE,
                };
                self.index[bucket] = id;
                id
            }
        };
        let waiter = Waiter {
            who,
            next: NONE,
            missing: sectors,
        };
        let slot = match self.free_waiters.pop() {
            Some(slot) => {
                self.waiters[slot as usize] = waiter;
                slot
            }
            None => {
                self.waiters.push(waiter);
                self.waiters.len() as u32 - 1
            }
        };
        let register = &mut self.registers[id as usize];
        match register.last_waiter {
            NONE => register.waiters = slot,
            last => self.waiters[last as usize].next = slot,
        }
        register.last_waiter = slot;
        register.merged += 1;
        let new = sectors.without(register.requested);
        register.requested |= sectors;
        register.prefetched = register.prefetched.without(sectors);
        (id, new)
    }

    /// `sectors` of register `id` have arrived: hands every waiter that now has all it asked for, in
    /// order of arrival, to `each`, and frees the register when nobody waits any more.
    ///
    /// An arrived sector is no longer on its way: when its line is evicted while the register still waits for
    /// another one, the next access must request it again.
    pub fn arrive(&mut self, id: MshrId, sectors: SectorMask, mut each: impl FnMut(W)) {
        let register = &mut self.registers[id as usize];
        register.requested = register.requested.without(sectors);
        register.prefetched = register.prefetched.without(sectors);
        let mut at = register.waiters;
        let mut kept = NONE;
        while at != NONE {
            let waiter = &mut self.waiters[at as usize];
            let next = waiter.next;
            waiter.missing = waiter.missing.without(sectors);
            if !waiter.missing.is_empty() {
                kept = at;
            } else {
                let who = waiter.who;
                match kept {
                    NONE => self.registers[id as usize].waiters = next,
                    k => self.waiters[k as usize].next = next,
                }
                self.free_waiters.push(at);
                each(who);
            }
            at = next;
        }
        self.registers[id as usize].last_waiter = kept;
        if kept == NONE {
            self.free_register(id);
        }
    }

    #[inline(always)]
    fn free_register(&mut self, id: MshrId) {
        let bucket = self.bucket(self.registers[id as usize].line);
        let next = self.registers[id as usize].chain;
        if self.index[bucket] == id {
            self.index[bucket] = next;
        } else {
            let mut prev = self.index[bucket];
            while self.registers[prev as usize].chain != id {
                prev = self.registers[prev as usize].chain;
            }
            self.registers[prev as usize].chain = next;
        }
        self.free.push(id);
    }

    /// Registers in use.
    pub fn in_use(&self) -> usize {
        self.registers.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mask(bits: u8) -> SectorMask {
        SectorMask::new(bits)
    }

    #[test]
    fn second_miss_to_a_line_merges_and_asks_only_for_new_sectors() {
        let mut mshrs = MshrTable::new(2, 2);
        let (id, new) = mshrs.wait(None, Line(7), mask(0b0011), 'a');
        assert_eq!(new, mask(0b0011));
        let found = mshrs.find(Line(7));
        assert_eq!((found, mshrs.check(found)), (Some(id), Ok(())));
        assert_eq!(
            mshrs.wait(found, Line(7), mask(0b0110), 'b'),
            (id, mask(0b0100))
        );
        assert_eq!(mshrs.check(found), Err(Refusal::Merges));
        assert_eq!(mshrs.first(id), Some(&'a'));
        let mut seen = Vec::new();
        mshrs.arrive(id, mask(0b0011), |w| seen.push(w));
        assert_eq!(mshrs.first(id), Some(&'b'));
        assert_eq!((&seen[..], mshrs.in_use()), (&['a'][..], 1));
        mshrs.arrive(id, mask(0b0100), |w| seen.push(w));
        assert_eq!((&seen[..], mshrs.in_use()), (&['a', 'b'][..], 0));
        assert_eq!(mshrs.find(Line(7)), None);
    }

    #[test]
    fn refuses_when_every_register_is_taken() {
        let mut mshrs = MshrTable::new(2, 8);
        mshrs.wait(None, Line(1), mask(1), 0);
        assert_eq!(mshrs.check(mshrs.find(Line(2))), Ok(()));
        mshrs.wait(None, Line(2), mask(1), 0);
        assert_eq!(mshrs.check(mshrs.find(Line(3))), Err(Refusal::Entries));
        assert_eq!(mshrs.check(mshrs.find(Line(2))), Ok(()));
    }

    #[test]
    fn an_arrived_sector_is_requested_again_while_its_line_is_in_flight() {
        let mut mshrs = MshrTable::new(1, 8);
        let (id, _) = mshrs.wait(None, Line(7), mask(0b0011), 'a');
        mshrs.arrive(id, mask(0b0001), |_| panic!("the other sector is missing"));
        assert_eq!(mshrs.requested(id), mask(0b0010));
        // The line was evicted meanwhile: an access that misses the arrived sector must ask for it.
        assert_eq!(
            mshrs.wait(Some(id), Line(7), mask(0b0011), 'b').1,
            mask(0b0001)
        );
    }
}
