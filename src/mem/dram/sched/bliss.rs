//! The Blacklisting scheduler (Subramanian et al., ICCD 2014): a stream served [`STREAK`] times in a row is
//! blacklisted; requests of blacklisted streams come after all others; the list is cleared every [`CLEAR_CK`].

use super::{Protect, Rules};
use bincode::{Decode, Encode};

/// Consecutive services that blacklist a stream.
const STREAK: u32 = 4;
/// CK between clearings.
const CLEAR_CK: u64 = 10_000;

/// Class (blacklisted or not), then hits, then age.
pub(super) const RULES: Rules = Rules {
    protect: Protect::ClassHits,
    overtake_cap: 128,
    hit_first: true,
    age_ordered: false,
    strict: false,
    drain_hits: false,
};

/// Who is blacklisted.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub(in crate::mem::dram) struct Bliss {
    blacklist: u32,
    last: u8,
    streak: u32,
    clear_at: u64,
}

impl Bliss {
    /// The class of a request of `stream`.
    pub fn class(&self, stream: u8) -> u64 {
        u64::from(self.blacklist >> stream & 1)
    }

    /// A request of `stream` was served at `now` (CK); true if classes changed.
    pub fn served(&mut self, now: u64, stream: u8) -> bool {
        let before = self.blacklist;
        if now >= self.clear_at {
            self.blacklist = 0;
            self.clear_at = now + CLEAR_CK;
        }
        self.streak = if stream == self.last {
            self.streak + 1
        } else {
            1
        };
        self.last = stream;
        if self.streak >= STREAK {
            self.blacklist |= 1 << stream;
            self.streak = 0;
        }
        before != self.blacklist
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_blacklists_and_time_forgives() {
        let mut b = Bliss::default();
        b.served(0, 3);
        for _ in 0..2 {
            assert!(!b.served(1, 3));
        }
        assert!(b.served(1, 3));
        assert_eq!((b.class(3), b.class(2)), (1, 0));
        assert!(b.served(CLEAR_CK, 2));
        assert_eq!(b.class(3), 0);
    }
}
