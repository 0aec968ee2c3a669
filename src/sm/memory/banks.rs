//! The banks of shared memory: how many passes an access needs.

use crate::config::SmemSpec;

/// Bank passes of a shared-memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Passes over the banks.
    pub passes: u8,
    /// Passes that the width needs without any conflict.
    pub least: u8,
}

/// The banks of shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Banks {
    /// How many, at most [`BANKS_MAX`].
    pub count: u64,
    /// Bytes of a word: what a bank serves in one pass.
    pub word_bytes: u64,
}

/// Banks of any configuration at most.
pub const BANKS_MAX: usize = 64;

impl Banks {
    /// Those of `spec`.
    pub fn new(spec: &SmemSpec) -> Self {
        Banks {
            count: u64::from(spec.banks),
            word_bytes: u64::from(spec.bank_bytes),
        }
    }

    /// Lanes of `width` bytes whose data fill all banks once: these go in one phase.
    fn lanes_per_phase(self, width: u64) -> u32 {
        let lanes = (self.count * self.word_bytes / width.max(1)).clamp(1, 32) as u32;
        1 << lanes.ilog2()
    }
}

/// What the banks do for lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Loads of shared memory.
    SharedLoad,
    /// Stores, and loads of global memory.
    Other,
    /// Each lane on its own.
    Atomic,
}

/// Whether every active lane has the address of lane `lane ^ other`, where that one is active too.
fn paired(addresses: &[u64], mask: u32, other: u32) -> bool {
    let of = |lane: u32| addresses[(mask & ((1 << lane) - 1)).count_ones() as usize];
    let active = |lane: u32| mask >> lane & 1 == 1;
    (0..32)
        .filter(|&lane| active(lane) && active(lane ^ other))
        .all(|lane| of(lane) == of(lane ^ other))
}

/// Bank passes of a shared-memory access of `addresses` (active lanes of `mask`, in lane order).
///
/// Lanes go in phases of as many as fill all banks once: with 32 banks of 4 bytes, lanes of 8 bytes in two
/// half-warp phases, of 16 bytes in four quarter-warp phases. Within a phase each bank serves one distinct word a
/// pass (broadcast is free), and atomics serve each lane.
///
/// A phase of a load has twice as many lanes where all neighbours (lane ^ 1, or all lanes and lane ^ 2) have the same
/// address: what is returned then goes to two lanes at once. Source: NVIDIA developer forum, topic 77228.
pub fn bank_passes(
    addresses: &[u64],
    mask: u32,
    width: u64,
    banks: Banks,
    service: Service,
) -> Passes {
    let atomic = service == Service::Atomic;
    let mut lanes_per_phase = banks.lanes_per_phase(width);
    let pairs = || paired(addresses, mask, 1) || paired(addresses, mask, 2);
    if service == Service::SharedLoad && lanes_per_phase < 32 && pairs() {
        lanes_per_phase *= 2;
    }
    let words_per_lane = width.div_ceil(banks.word_bytes);
    let mut result = Passes {
        passes: 0,
        least: 0,
    };
    let mut next = 0;
    for phase in 0..32 / lanes_per_phase {
        let lanes = (mask >> (phase * lanes_per_phase)) & (u32::MAX >> (32 - lanes_per_phase));
        let count = lanes.count_ones() as usize;
        if count == 0 {
            continue;
        }
        // A phase has at most one word for each bank, or one for each lane.
        let mut words = [u64::MAX; BANKS_MAX];
        let mut per_bank = [0u8; BANKS_MAX];
        let mut used = 0;
        for &address in &addresses[next..next + count] {
            for word in 0..words_per_lane {
                let number = address / banks.word_bytes + word;
                if !atomic && words[..used].contains(&number) {
                    continue;
                }
                words[used.min(BANKS_MAX - 1)] = number;
                used = (used + 1).min(BANKS_MAX);
                per_bank[(number % banks.count) as usize % BANKS_MAX] += 1;
            }
        }
        next += count;
        result.passes += per_bank.iter().copied().max().unwrap_or(1).max(1);
        result.least += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANKS: Banks = Banks {
        count: 32,
        word_bytes: 4,
    };

    fn lanes(at: impl Fn(u64) -> u64) -> Vec<u64> {
        (0..32).map(at).collect()
    }

    #[test]
    fn n_way_conflicts_take_n_passes() {
        for ways in [1u64, 2, 4, 8, 16, 32] {
            let p = bank_passes(&lanes(|l| 4 * ways * l), u32::MAX, 4, BANKS, Service::Other);
            assert_eq!(
                p,
                Passes {
                    passes: ways as u8,
                    least: 1
                }
            );
        }
    }

    #[test]
    fn broadcast_is_one_pass_but_an_atomic_serialises() {
        assert_eq!(
            bank_passes(&lanes(|_| 64), u32::MAX, 4, BANKS, Service::Other).passes,
            1
        );
        assert_eq!(
            bank_passes(&lanes(|_| 64), u32::MAX, 4, BANKS, Service::Atomic).passes,
            32
        );
    }

    #[test]
    fn wide_lanes_go_in_phases() {
        let p = bank_passes(&lanes(|l| 16 * l), u32::MAX, 16, BANKS, Service::Other);
        assert_eq!(
            p,
            Passes {
                passes: 4,
                least: 4
            }
        );
        let p = bank_passes(&lanes(|l| 8 * l), u32::MAX, 8, BANKS, Service::Other);
        assert_eq!(
            p,
            Passes {
                passes: 2,
                least: 2
            }
        );
        let p = bank_passes(&[0], 1, 16, BANKS, Service::Other);
        assert_eq!(
            p,
            Passes {
                passes: 1,
                least: 1
            }
        );
    }

    /// The forum's two cases: neighbours in pairs, and four chunks in turn.
    #[test]
    fn pairs_of_one_address_are_served_together() {
        let passes = |width, at: fn(u64) -> u64, service| {
            bank_passes(&lanes(at), u32::MAX, width, BANKS, service).passes
        };
        let load = Service::SharedLoad;
        assert_eq!(passes(16, |l| l / 2 * 16, load), 2);
        assert_eq!(passes(16, |l| (l & 1 | l >> 1 & !1) * 16, load), 2);
        assert_eq!(passes(16, |l| l / 4 * 16, load), 2);
        assert_eq!(passes(16, |_| 64, load), 2);
        assert_eq!(passes(8, |l| l / 2 * 8, load), 1);
        assert_eq!(passes(16, |l| l % 4 * 16, load), 4);
        assert_eq!(passes(16, |l| l / 2 * 16, Service::Other), 4);
        // One word a lane fills the banks as it is, and a bank that pairs meet in serves them in turn.
        assert_eq!(passes(4, |l| l / 2 * 4, load), 1);
        assert_eq!(passes(16, |l| l / 2 * 128, load), 16);
        // The lane without a neighbour does not count.
        let half = [0, 16, 16, 32];
        assert_eq!(bank_passes(&half, 0b1_1101, 16, BANKS, load).passes, 1);
    }

    #[test]
    fn banks_of_eight_bytes_serve_two_words_of_neighbours() {
        let wide = Banks {
            count: 32,
            word_bytes: 8,
        };
        // Stride of two words: two lanes meet in a 4-byte bank, none in an 8-byte one.
        let two = lanes(|l| 8 * l);
        assert_eq!(
            bank_passes(&two, u32::MAX, 4, BANKS, Service::Other).passes,
            2
        );
        assert_eq!(
            bank_passes(&two, u32::MAX, 4, wide, Service::Other).passes,
            1
        );
        // 32 lanes of 8 bytes fill 32 banks of 8 bytes once, but those of 4 bytes twice.
        assert_eq!(
            bank_passes(&two, u32::MAX, 8, wide, Service::Other).least,
            1
        );
        assert_eq!(
            bank_passes(&two, u32::MAX, 8, BANKS, Service::Other).least,
            2
        );
    }
}
