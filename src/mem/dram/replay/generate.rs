//! Simple request traces of known character, for tests and benchmarks: each has a closed-form bound.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::trace::Record;
use crate::mem::dram::Kind;

/// A class of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Neighbouring bursts.
    Sequential,
    /// Bursts `bytes` apart.
    Stride {
        /// Distance.
        bytes: u64,
    },
    /// Random blocks of `bytes`.
    Random {
        /// Block size.
        bytes: u64,
    },
    /// Different rows of one bank, `bytes` apart.
    RowConflict {
        /// Bytes of a row in all banks.
        bytes: u64,
    },
    /// `streams` sequential streams, `chunk` bytes from each in turn.
    Streams {
        /// Streams.
        streams: u64,
        /// Bytes from one stream at a time.
        chunk: u64,
    },
}

/// `count` requests, all due at cycle 0, within `span` bytes; of every `of` requests the first `writes` write.
pub fn generate(
    pattern: Pattern,
    count: usize,
    (writes, of): (usize, usize),
    span: u64,
    seed: u64,
) -> Vec<Record> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut block = 0;
    (0..count)
        .map(|i| {
            let n = i as u64;
            let addr = match pattern {
                Pattern::Sequential => n * 32,
                Pattern::Stride { bytes } | Pattern::RowConflict { bytes } => n * bytes,
                Pattern::Random { bytes } => {
                    let within = n * 32 % bytes;
                    if within == 0 {
                        block = rng.random_range(0..span / bytes) * bytes;
                    }
                    block + within
                }
                Pattern::Streams { streams, chunk } => {
                    let burst = n * 32;
                    let turn = burst / chunk;
                    let (stream, round) = (turn % streams, turn / streams);
                    stream * (span / streams) + round * chunk + burst % chunk
                }
            };
            let kind = if i % of < writes {
                Kind::Write
            } else {
                Kind::Read
            };
            Record {
                cycle: 0,
                addr: addr % span,
                kind,
            }
        })
        .collect()
}
