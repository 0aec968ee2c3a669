//! Content hash of kernels and workloads: two multiply-rotate lanes over 8-byte words.
//!
//! It names a workload in reports, so that two results can be told to come from the same input; it
//! is no defence against forgery. It covers what a simulation sees (header without its source,
//! code, patterns, streams, copies) and not the container: a trace keeps its hash when it is
//! converted to `.pgt` or exported and imported again.

use crate::trace::kernel::{Command, Kernel};

const K: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

/// The hash under construction.
#[derive(Clone, Debug)]
pub struct ContentHash {
    lanes: [u64; 2],
    words: u64,
}

impl Default for ContentHash {
    fn default() -> Self {
        ContentHash {
            lanes: [K[1], K[0]],
            words: 0,
        }
    }
}

impl ContentHash {
    /// Takes in one word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.words += 1;
        self.lanes[0] = (self.lanes[0] ^ word).wrapping_mul(K[0]).rotate_left(29);
        self.lanes[1] = (self.lanes[1].wrapping_add(word))
            .rotate_left(31)
            .wrapping_mul(K[1]);
    }

    /// Takes in a byte string, its length included.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }

    /// The 128 bits.
    pub fn finish(&self) -> [u64; 2] {
        let mut out = self.lanes;
        out[0] ^= self.words;
        for (i, lane) in out.iter_mut().enumerate() {
            *lane ^= *lane >> 32;
            *lane = lane.wrapping_mul(K[1 - i]);
            *lane ^= *lane >> 29;
        }
        out
    }
}

/// The hash of a workload whose kernels have totals, as hexadecimal digits. A kernel without totals
/// (generated on demand) counts by its header alone, source included, which names its generator.
pub fn workload_hash(commands: &[Command]) -> String {
    let mut hash = ContentHash::default();
    for command in commands {
        match command {
            Command::MemcpyHtoD { address, bytes } => {
                hash.word(0);
                hash.word(*address);
                hash.word(*bytes);
            }
            Command::Launch(kernel) => {
                hash.word(1);
                kernel_hash(kernel, &mut hash);
            }
        }
    }
    let [a, b] = hash.finish();
    format!("{a:016x}{b:016x}")
}

fn kernel_hash(kernel: &Kernel, hash: &mut ContentHash) {
    let mut header = kernel.header.clone();
    if let Some(totals) = &kernel.totals {
        header.source.clear();
        hash.word(totals.content[0]);
        hash.word(totals.content[1]);
    }
    let config = bincode::config::legacy();
    // Encoding into memory cannot fail for these types.
    if let Ok(bytes) = bincode::encode_to_vec(&header, config) {
        hash.bytes(&bytes);
    }
    if let Ok(bytes) = bincode::encode_to_vec(&*kernel.code, config) {
        hash.bytes(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_order_matter() {
        let hash = |parts: &[&[u8]]| {
            let mut h = ContentHash::default();
            parts.iter().for_each(|p| h.bytes(p));
            h.finish()
        };
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"a"]), hash(&[b"a\0"]));
        assert_eq!(hash(&[b"abc"]), hash(&[b"abc"]));
    }
}
