//! Warp instruction streams: the compact dynamic side of a kernel.
//!
//! A warp's stream is a sequence of self-contained chunks of at most [`CHUNK_INSTS`] instructions, so
//! that no reader needs more than one chunk of each resident warp in memory. A chunk has two columns:
//!
//! - **runs**: `(start, length, mask)`, `length` instructions of the code table from index `start`
//!   in table order under one active mask. A loop body costs one run per iteration.
//!   Encoding: varint `length << 2 | mask_follows << 1 | start_follows`, then, as flagged, the zigzag
//!   varint of `start` minus the end of the previous run, and the mask as 4 bytes, little-endian.
//! - **accesses**: one record for each instruction that [`has_access`], in order. A tag byte, the
//!   zigzag varint of the base address minus the base of the previous access of the same history
//!   slot (code index modulo 16), then by tag: 0 the pattern's number, 1 nothing (the slot's last
//!   pattern again), 2 one zigzag varint for each further active lane, relative to the lane before.
//!
//! Typical cost: below one byte per instruction before compression.

use super::pattern::PatternId;
use crate::isa::{MemSpace, StaticInst};

pub use encode::CtaEncoder;
pub use read::WarpStream;

mod encode;
mod read;
#[cfg(test)]
mod tests;
mod varint;

/// The most instructions of one chunk.
pub const CHUNK_INSTS: u32 = 4096;

const HISTORY: usize = 16;
const TAG_PATTERN: u8 = 0;
const TAG_SAME: u8 = 1;
const TAG_LIST: u8 = 2;

/// Whether an execution of `inst` under `mask` has an access record.
#[inline(always)]
pub fn has_access(inst: &StaticInst, mask: u32) -> bool {
    mask != 0 && inst.mem.is_some_and(|m| m.space != MemSpace::Constant)
}

/// `length` instructions from `start` under one mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of the first instruction in the code table.
    pub start: u32,
    /// Instructions.
    pub length: u32,
    /// Active lanes; bit i is lane i.
    pub mask: u32,
}

/// The addresses of one access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// A pattern of the kernel at a base address.
    Pattern {
        /// Address of the first active lane.
        base: u64,
        /// Which pattern.
        pattern: PatternId,
    },
    /// This many addresses, in lane order, were put into the caller's list.
    List {
        /// Active lanes.
        count: u8,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct History {
    base: u64,
    pattern: PatternId,
}

/// Where a chunk lies in an [`EncodedCta`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkExtent {
    /// Warp within the CTA.
    pub warp: u32,
    /// First byte.
    pub offset: u32,
    /// Bytes of the runs column.
    pub runs_bytes: u32,
    /// Bytes of the accesses column, which follows.
    pub accesses_bytes: u32,
    /// Instructions.
    pub insts: u32,
}

impl ChunkExtent {
    /// Bytes of both columns.
    pub fn bytes(&self) -> u32 {
        self.runs_bytes + self.accesses_bytes
    }
}

/// The streams of one CTA, encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedCta {
    /// Chunks in (warp, chunk) order.
    pub chunks: Vec<ChunkExtent>,
    /// Their bytes.
    pub data: Vec<u8>,
}

impl EncodedCta {
    /// The chunks of `warp`, in order.
    pub fn warp_chunks(&self, warp: u32) -> &[ChunkExtent] {
        let from = self.chunks.partition_point(|c| c.warp < warp);
        let to = self.chunks.partition_point(|c| c.warp <= warp);
        &self.chunks[from..to]
    }

    /// The bytes of `chunk`.
    pub fn bytes(&self, chunk: &ChunkExtent) -> &[u8] {
        &self.data[chunk.offset as usize..][..chunk.bytes() as usize]
    }

    /// Loads the first chunk of every warp.
    pub fn load(&self, warps: &mut [WarpStream]) {
        for (warp, stream) in warps.iter_mut().enumerate() {
            self.load_chunk(warp as u32, 0, stream);
        }
    }

    /// Loads one chunk of one warp.
    pub fn load_chunk(&self, warp: u32, chunk: u32, into: &mut WarpStream) {
        let chunks = self.warp_chunks(warp);
        match chunks.get(chunk as usize) {
            Some(extent) => {
                into.fill(
                    self.bytes(extent),
                    extent.runs_bytes,
                    chunk,
                    chunks.len() as u32,
                );
            }
            None => into.fill(&[], 0, chunk, chunks.len() as u32),
        }
    }
}
