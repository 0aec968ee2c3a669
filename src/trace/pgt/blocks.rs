//! Stored CTA streams: the writer that packs them into compressed frames and what a frame holds.
//!
//! The *heads* of consecutive CTAs, that is the first chunk of every warp with a directory of all
//! chunks, share one frame of about [`FRAME_BYTES`], so that a small CTA costs neither a read nor a
//! decompressor start of its own. Every later chunk of a long warp is a frame of its own, written
//! before the head that points at it: paging a warp touches nothing else.
//!
//! ```text
//! head frame  u32 start of each head … | head head head …        (zstd)
//! head        varint bytes of the directory | directory | first chunk of warp 0, 1, 2 …
//! directory   per warp: varint chunks, then per chunk: varint runs, accesses, instructions;
//!             per chunk after the first also: varint offset, packed bytes, and u32 CRC-32
//! ```
//!
//! The same form serves as the spool of an import and as the body of a `.pgt` file. Offsets count
//! from the kernel's first byte.

use crate::hash::ContentHash;
use crate::trace::kernel::Totals;
use crate::trace::stream::{ChunkExtent, EncodedCta};
use bincode::{Decode, Encode};
use std::io::{self, Write};

/// Heads are gathered until a frame has this many bytes.
pub const FRAME_BYTES: usize = 64 << 10;
/// No frame may be larger when unpacked.
pub const FRAME_BYTES_MAX: u32 = 512 << 20;

/// One compressed frame of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Frame {
    /// Number of the first CTA.
    pub first_cta: u64,
    /// CTAs.
    pub ctas: u32,
    /// First byte, from the kernel's first.
    pub offset: u64,
    /// Bytes in the file.
    pub packed: u32,
    /// Bytes unpacked.
    pub raw: u32,
    /// CRC-32 of the packed bytes.
    pub crc: u32,
}

/// Takes frames; each may be asked for again by where it was put.
pub trait FrameSink {
    /// Puts `bytes` and says where.
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64>;
}

/// Frames one after the other in a stream of bytes.
#[derive(Debug)]
pub struct Sequential<W> {
    out: W,
    at: u64,
}

impl<W: Write> Sequential<W> {
    /// Frames to `out`, the first at 0.
    pub fn new(out: W) -> Self {
        Sequential { out, at: 0 }
    }
}

impl<W: Write> FrameSink for Sequential<W> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        self.out.write_all(bytes)?;
        let offset = self.at;
        self.at += bytes.len() as u64;
        Ok(offset)
    }
}

/// What a finished kernel body is described by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Head frames in CTA order.
    pub frames: Vec<Frame>,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Counts and content hash.
    pub totals: Totals,
}

/// Packs the CTAs of one kernel, in order, into `out`.
pub struct BlockWriter<S> {
    out: S,
    heads: Vec<u8>,
    starts: Vec<u32>,
    directory: Vec<u8>,
    packed: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
    body: Body,
    ctas: u64,
    hash: ContentHash,
}

impl<S: FrameSink> BlockWriter<S> {
    /// A writer at the start of a kernel body. `level` is zstd's.
    pub fn new(out: S, level: i32) -> io::Result<Self> {
        Ok(BlockWriter {
            out,
            heads: Vec::with_capacity(FRAME_BYTES * 2),
            starts: Vec::new(),
            directory: Vec::new(),
            packed: Vec::new(),
            compressor: zstd::bulk::Compressor::new(level)?,
            body: Body {
                frames: Vec::new(),
                bytes: 0,
                raw_bytes: 0,
                totals: Totals::default(),
            },
            ctas: 0,
            hash: ContentHash::default(),
        })
    }

    /// CTAs so far.
    pub fn ctas(&self) -> u64 {
        self.ctas
    }

    /// Appends the next CTA, which has `warps` warps and these warp and thread instructions.
    pub fn push(&mut self, cta: &EncodedCta, warps: u32, counts: (u64, u64)) -> io::Result<()> {
        self.hash_cta(cta, warps);
        self.body.totals.warp_insts += counts.0;
        self.body.totals.thread_insts += counts.1;
        self.directory.clear();
        for warp in 0..warps {
            let chunks = cta.warp_chunks(warp);
            put_varint(&mut self.directory, chunks.len() as u64);
            for (i, chunk) in chunks.iter().enumerate() {
                self.describe(chunk);
                if i > 0 {
                    self.write_tail(cta.bytes(chunk))?;
                }
            }
        }
        if self.starts.is_empty() {
            self.body.frames.push(Frame {
                first_cta: self.ctas,
                ctas: 0,
                offset: 0,
                packed: 0,
                raw: 0,
                crc: 0,
            });
        }
        self.starts.push(self.heads.len() as u32);
        put_varint(&mut self.heads, self.directory.len() as u64);
        self.heads.extend_from_slice(&self.directory);
        for warp in 0..warps {
            if let Some(first) = cta.warp_chunks(warp).first() {
                self.heads.extend_from_slice(cta.bytes(first));
            }
        }
        self.ctas += 1;
        if self.heads.len() >= FRAME_BYTES {
            self.flush_heads()?;
        }
        Ok(())
    }

    /// Writes what is pending; gives the sink back with the description of what it holds.
    pub fn finish(mut self) -> io::Result<(S, Body)> {
        self.flush_heads()?;
        self.body.totals.content = self.hash.value();
        Ok((self.out, self.body))
    }

    fn describe(&mut self, chunk: &ChunkExtent) {
        put_varint(&mut self.directory, u64::from(chunk.runs_bytes));
        put_varint(&mut self.directory, u64::from(chunk.accesses_bytes));
        put_varint(&mut self.directory, u64::from(chunk.insts));
    }

    fn write_tail(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (offset, crc) = self.pack(bytes)?;
        put_varint(&mut self.directory, offset);
        put_varint(&mut self.directory, self.packed.len() as u64);
        self.directory.extend_from_slice(&crc.to_le_bytes());
        Ok(())
    }

    fn flush_heads(&mut self) -> io::Result<()> {
        if self.starts.is_empty() {
            return Ok(());
        }
        let table = self.starts.len() * 4;
        let mut raw = Vec::with_capacity(table + self.heads.len());
        for start in &self.starts {
            raw.extend_from_slice(&(start + table as u32).to_le_bytes());
        }
        raw.append(&mut self.heads);
        if raw.len() > FRAME_BYTES_MAX as usize {
            return Err(io::Error::other("one thread block needs more than 512 MiB"));
        }
        let (offset, crc) = self.pack(&raw)?;
        if let Some(frame) = self.body.frames.last_mut() {
            frame.ctas = self.starts.len() as u32;
            frame.offset = offset;
            frame.packed = self.packed.len() as u32;
            frame.raw = raw.len() as u32;
            frame.crc = crc;
        }
        self.starts.clear();
        raw.clear();
        self.heads = raw;
        Ok(())
    }

    /// Compresses and writes `bytes`; says where, and the checksum of the packed form.
    fn pack(&mut self, bytes: &[u8]) -> io::Result<(u64, u32)> {
        self.packed.clear();
        self.packed
            .reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor
            .compress_to_buffer(bytes, &mut self.packed)?;
        let offset = self.out.append(&self.packed)?;
        self.body.bytes += self.packed.len() as u64;
        self.body.raw_bytes += bytes.len() as u64;
        Ok((offset, crc32(&self.packed)))
    }

    fn hash_cta(&mut self, cta: &EncodedCta, warps: u32) {
        self.hash.word(u64::from(warps));
        for chunk in &cta.chunks {
            self.hash
                .word(u64::from(chunk.warp) << 32 | u64::from(chunk.insts));
            self.hash
                .word(u64::from(chunk.runs_bytes) << 32 | u64::from(chunk.accesses_bytes));
            self.hash.bytes(cta.bytes(chunk));
        }
    }
}

/// CRC-32 of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}
