//! Where a line lives: slice, partition, and its address within the slice's DRAM channel.
//!
//! Chunks of `interleave_bytes` are dealt to slices. Each group of as many consecutive chunks as there
//! are slices goes to all slices, one each, in an order that depends on the group; so every slice
//! gets the same share of any region, and a chunk's address within its slice is its group's number.

use super::{LINE_BYTES, Line};
use crate::config::{L2Spec, SliceHash};
use crate::ids::{ChannelId, SliceId};

/// How lines are dealt to slices, whichever gets which.
#[derive(Clone, Copy, Debug)]
pub struct Interleave {
    slices: u64,
    /// log2 of the lines of a chunk.
    chunk_bits: u32,
}

impl Interleave {
    /// That of `spec`.
    pub fn new(spec: &L2Spec) -> Self {
        Interleave {
            slices: u64::from(spec.slices),
            chunk_bits: (u64::from(spec.interleave_bytes) / LINE_BYTES).trailing_zeros(),
        }
    }

    /// Group of chunks of `line`, of which every slice has one.
    #[inline(always)]
    fn group(&self, line: Line) -> u64 {
        (line.0 >> self.chunk_bits) / self.slices
    }

    /// The line of chunk number `chunk` that is where `line` is in its own.
    #[inline(always)]
    fn line_of(&self, chunk: u64, line: Line) -> u64 {
        chunk << self.chunk_bits | line.0 & ((1 << self.chunk_bits) - 1)
    }

    /// The number of `line` among the lines of its slice.
    #[inline(always)]
    pub fn number(&self, line: Line) -> u64 {
        self.line_of(self.group(line), line)
    }
}

/// The map of a GPU.
#[derive(Clone, Debug)]
pub struct AddrMap {
    interleave: Interleave,
    slices_per_partition: u64,
    slices_per_channel: u64,
    /// Channel and partition of each slice.
    places: Vec<(ChannelId, u8)>,
    hash: SliceHash,
    /// Remainders of each byte at each position, for the polynomial hash.
    remainders: Vec<[u16; 256]>,
}

/// Irreducible polynomials over GF(2) by degree, without the leading term (Lidl and Niederreiter,
/// Introduction to Finite Fields, table C).
const IRREDUCIBLE: [u32; 13] = [
    0,
    0b1,
    0b11,
    0b011,
    0b0011,
    0b00101,
    0b000011,
    0b0000011,
    0b0001_1011,
    0b0_0001_0001,
    0b00_0000_1001,
    0b000_0000_0101,
    0b0000_0101_0011,
];

impl AddrMap {
    /// The map for `spec`, whose slices are dealt to `channels` in order.
    pub fn new(spec: &L2Spec, channels: u16) -> Self {
        let slices = u64::from(spec.slices);
        let bits = (64 - (slices - 1).leading_zeros()).min(12);
        let slices_per_partition = slices / u64::from(spec.partitions);
        let slices_per_channel = slices / u64::from(channels);
        let place = |slice| {
            let channel = slice / slices_per_channel;
            (
                ChannelId(channel as u16),
                (slice / slices_per_partition) as u8,
            )
        };
        AddrMap {
            interleave: Interleave::new(spec),
            slices_per_partition,
            slices_per_channel,
            places: (0..slices).map(place).collect(),
            hash: spec.hash,
            remainders: remainder_tables(bits),
        }
    }

    /// Remainder of the polynomial `number` modulo the irreducible one.
    #[inline]
    fn remainder(&self, number: u64) -> u64 {
        let mut rest = 0;
        for (at, table) in self.remainders.iter().enumerate() {
            rest ^= u64::from(table[(number >> (8 * at) & 255) as usize]);
        }
        rest
    }

    /// The home slice of `line`.
    #[inline]
    pub fn home(&self, line: Line) -> SliceId {
        let Interleave { slices, chunk_bits } = self.interleave;
        let chunk = line.0 >> chunk_bits;
        let (group, member) = (chunk / slices, chunk % slices);
        let slice = match self.hash {
            SliceHash::Linear => member,
            SliceHash::Xor => self.rotate(member, group ^ group >> 7 ^ group >> 17),
            SliceHash::Ipoly => self.rotate(member, self.remainder(group * 2 + 1)),
        };
        SliceId(slice as u16)
    }

    /// XOR where the slices are a power of two, else addition: both deal a group to all slices.
    #[inline(always)]
    fn rotate(&self, member: u64, by: u64) -> u64 {
        let slices = self.interleave.slices;
        if slices.is_power_of_two() {
            member ^ (by & (slices - 1))
        } else {
            (member + by) % slices
        }
    }

    /// Partition of `slice`.
    #[inline]
    pub fn partition(&self, slice: SliceId) -> u8 {
        self.places[slice.index()].1
    }

    /// The slice that stands for `slice` in `partition`.
    #[inline]
    pub fn mirror(&self, slice: SliceId, partition: u8) -> SliceId {
        let per = self.slices_per_partition;
        SliceId((u64::from(partition) * per + u64::from(slice.0) % per) as u16)
    }

    /// The channel of `slice`.
    #[inline]
    pub fn channel(&self, slice: SliceId) -> ChannelId {
        self.places[slice.index()].0
    }

    /// Byte address of `line`, at home in `slice`, within its channel.
    #[inline]
    pub fn local(&self, line: Line, slice: SliceId) -> u64 {
        let group = self.interleave.group(line);
        let chunk = group * self.slices_per_channel + u64::from(slice.0) % self.slices_per_channel;
        self.interleave.line_of(chunk, line) * LINE_BYTES
    }
}

fn remainder_tables(bits: u32) -> Vec<[u16; 256]> {
    let poly = u64::from(IRREDUCIBLE[bits as usize]) | 1 << bits;
    let reduce = |mut value: u128| {
        for bit in (bits..128).rev() {
            if value >> bit & 1 == 1 {
                value ^= u128::from(poly) << (bit - bits);
            }
        }
        value as u16
    };
    // The remainder of a sum is the sum of the remainders, so those of the single bits are enough.
    let table = |at: u32| {
        let mut table = [0; 256];
        for byte in 1..256usize {
            let lowest = byte & byte.wrapping_neg();
            table[byte] = if byte == lowest {
                reduce((byte as u128) << (8 * at))
            } else {
                table[lowest] ^ table[byte ^ lowest]
            };
        }
        table
    };
    (0..6)
        .map(|at| if bits == 0 { [0; 256] } else { table(at) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn map(slices: u16, channels: u16, hash: SliceHash) -> AddrMap {
        let mut spec = crate::config::load("a100-80", &[]).unwrap().spec.l2;
        spec.slices = slices;
        spec.partitions = spec.partitions.min(slices as u8);
        spec.hash = hash;
        AddrMap::new(&spec, channels)
    }

    #[test]
    fn every_group_of_chunks_goes_to_all_slices() {
        for (slices, channels) in [(64, 64), (80, 40), (96, 48), (22, 11), (1, 1)] {
            for hash in [SliceHash::Linear, SliceHash::Xor, SliceHash::Ipoly] {
                let map = map(slices, channels, hash);
                for group in [0u64, 1, 77, 1 << 20, (1 << 38) + 3] {
                    let first = (group * u64::from(slices)) << map.interleave.chunk_bits;
                    let homes: HashSet<SliceId> = (0..u64::from(slices))
                        .map(|c| map.home(Line(first + (c << map.interleave.chunk_bits))))
                        .collect();
                    assert_eq!(homes.len(), usize::from(slices));
                }
            }
        }
    }

    #[test]
    fn lines_of_a_channel_have_distinct_addresses() {
        let map = map(80, 40, SliceHash::Ipoly);
        let mut seen = HashSet::new();
        for line in (0..40_000).map(Line) {
            let slice = map.home(line);
            assert!(seen.insert((map.channel(slice), map.local(line, slice))));
        }
    }

    #[test]
    fn power_of_two_strides_spread_over_all_slices() {
        let map = map(64, 64, SliceHash::Ipoly);
        for shift in 7..16 {
            let homes: HashSet<SliceId> = (0..256u64).map(|k| map.home(Line(k << shift))).collect();
            assert!(
                homes.len() > 48,
                "stride of 2^{shift} lines: {} slices",
                homes.len()
            );
        }
    }
}
