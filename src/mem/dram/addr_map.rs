//! Channel-local byte address → bank group, bank, row, column.
//!
//! `m0` and `m1` are the plain layouts of the reference traces; the hashed ones spread strided traffic over
//! banks the way GPUs do, by folding row bits into the bank index.

use super::spec::Organisation;
pub use crate::config::DramMap as Map;

/// Where a burst lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Flat bank index: bank group × banks per group + bank.
    pub bank: u8,
    /// Row.
    pub row: u32,
    /// Burst within the row.
    pub column: u32,
}

/// Hash folded into the bank index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    None,
    Xor,
    Ipoly,
}

/// A map resolved for one organisation: shifts and masks only.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    offset_bits: u32,
    low_column_bits: u32,
    column_bits: u32,
    group_bits: u32,
    bank_bits: u32,
    row_bits: u32,
    hash: Hash,
    /// Remainders of each byte of the row at each position, for the polynomial hash.
    remainders: [[u8; 256]; 4],
}

impl Decoder {
    /// `map` over the bits of `org`, all of whose sizes are powers of two.
    pub fn new(map: Map, org: &Organisation) -> Decoder {
        let bits = |v: u32| v.trailing_zeros();
        let column_bits = bits(org.columns());
        let low_column_bits = match map {
            Map::M0 | Map::M0Xor | Map::M0Ipoly => 0,
            Map::M1 | Map::M1Xor | Map::M1Ipoly => column_bits,
            Map::GpuSplit => 2.min(column_bits),
        };
        let hash = match map {
            Map::M0 | Map::M1 => Hash::None,
            Map::M0Xor | Map::M1Xor | Map::GpuSplit => Hash::Xor,
            Map::M0Ipoly | Map::M1Ipoly => Hash::Ipoly,
        };
        Decoder {
            offset_bits: bits(org.burst_bytes),
            low_column_bits,
            column_bits,
            group_bits: bits(org.bank_groups),
            bank_bits: bits(org.banks_per_group),
            row_bits: bits(org.rows),
            hash,
            remainders: remainder_tables(bits(org.bank_groups) + bits(org.banks_per_group)),
        }
    }

    /// Where `addr` lives; addresses wrap at the capacity.
    #[inline]
    pub fn decode(&self, addr: u64) -> Location {
        let mut rest = addr >> self.offset_bits;
        let mut take = |bits: u32| {
            let field = (rest & ((1u64 << bits) - 1)) as u32;
            rest >>= bits;
            field
        };
        let low = take(self.low_column_bits);
        let group = take(self.group_bits);
        let bank = take(self.bank_bits);
        let high = take(self.column_bits - self.low_column_bits);
        let row = take(self.row_bits);
        let flat = (group << self.bank_bits) | bank;
        let index_bits = self.group_bits + self.bank_bits;
        let bank = match self.hash {
            Hash::None => flat,
            Hash::Xor => flat ^ (row & ((1 << index_bits) - 1)),
            Hash::Ipoly => flat ^ self.remainder(row),
        };
        Location {
            bank: bank as u8,
            row,
            column: low | (high << self.low_column_bits),
        }
    }
}

impl Decoder {
    /// Remainder of the row as a polynomial: that of a sum is the sum of the remainders.
    #[inline(always)]
    fn remainder(&self, row: u32) -> u32 {
        let [a, b, c, d] = row.to_le_bytes();
        let t = &self.remainders;
        u32::from(
            t[0][usize::from(a)]
                ^ t[1][usize::from(b)]
                ^ t[2][usize::from(c)]
                ^ t[3][usize::from(d)],
        )
    }
}

fn remainder_tables(bits: u32) -> [[u8; 256]; 4] {
    std::array::from_fn(|at| {
        let mut table = [0; 256];
        for byte in 1..256usize {
            // The remainder of a sum is the sum of the remainders.
            let lowest = byte & byte.wrapping_neg();
            table[byte] = if byte == lowest {
                polynomial_remainder((byte as u32) << (8 * at), bits) as u8
            } else {
                table[lowest] ^ table[byte ^ lowest]
            };
        }
        table
    })
}

/// Irreducible polynomials over GF(2) by degree, without the leading term.
const IRREDUCIBLE: [u32; 7] = [0, 1, 0b11, 0b011, 0b0011, 0b0_0101, 0b00_0011];

/// `value` as a polynomial over GF(2), modulo the irreducible one of degree `bits`.
fn polynomial_remainder(value: u32, bits: u32) -> u32 {
    if bits == 0 {
        return 0;
    }
    let poly = IRREDUCIBLE[bits as usize] | (1 << bits);
    let mut rest = u64::from(value);
    for i in (bits..32).rev() {
        if rest >> i & 1 == 1 {
            rest ^= u64::from(poly) << (i - bits);
        }
    }
    rest as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::dram::spec::standard;

    #[test]
    fn every_map_is_a_bijection_on_a_small_device() {
        let org = Organisation {
            bank_groups: 4,
            banks_per_group: 4,
            rows: 16,
            row_bytes: 256,
            burst_bytes: 32,
        };
        for &map in Map::ALL {
            let decoder = Decoder::new(map, &org);
            let mut seen: Vec<(u8, u32, u32)> = (0..org.capacity_bytes() / 32)
                .map(|i| decoder.decode(i * 32))
                .map(|l| (l.bank, l.row, l.column))
                .collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(
                seen.len() as u64,
                org.capacity_bytes() / 32,
                "{}",
                map.name()
            );
        }
    }

    #[test]
    fn m0_walks_bank_groups_then_banks_then_columns() {
        let decoder = Decoder::new(Map::M0, &standard("HBM2_2000").unwrap().org);
        assert_eq!(
            decoder.decode(32),
            Location {
                bank: 4,
                row: 0,
                column: 0
            }
        );
        assert_eq!(
            decoder.decode(128),
            Location {
                bank: 1,
                row: 0,
                column: 0
            }
        );
        assert_eq!(
            decoder.decode(512),
            Location {
                bank: 0,
                row: 0,
                column: 1
            }
        );
        assert_eq!(
            decoder.decode(16 * 1024),
            Location {
                bank: 0,
                row: 1,
                column: 0
            }
        );
    }

    #[test]
    fn m1_keeps_a_row_together() {
        let decoder = Decoder::new(Map::M1, &standard("GDDR6_14000").unwrap().org);
        assert_eq!(
            decoder.decode(2047),
            Location {
                bank: 0,
                row: 0,
                column: 63
            }
        );
        assert_eq!(
            decoder.decode(2048),
            Location {
                bank: 4,
                row: 0,
                column: 0
            }
        );
    }
}
