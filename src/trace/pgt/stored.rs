//! Reads stored CTA streams back, one CTA at a time, from any thread.

use super::blocks::{FRAME_BYTES_MAX, Frame, crc32};
use super::cache::{FrameCache, Unpacked};
use super::spool::Spool;
use crate::error::{Error, Result};
use crate::trace::kernel::{Code, CtaReader, StreamMemory};
use crate::trace::stream::WarpStream;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where the packed bytes are.
#[derive(Debug)]
pub enum Backing {
    /// In the spool of an import.
    Spool(Spool),
    /// In a file.
    File(Arc<File>),
}

impl Backing {
    /// Bytes that are in memory.
    fn in_memory(&self) -> u64 {
        match self {
            Backing::Spool(spool) => spool.in_memory(),
            Backing::File(_) => 0,
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        match self {
            Backing::Spool(spool) => spool.read(offset, into),
            Backing::File(file) => file.read_exact_at(into, offset),
        }
    }
}

/// The stored CTAs of one kernel.
pub struct StoredCtas {
    /// File name for messages.
    pub name: String,
    /// Where the bytes are.
    pub backing: Backing,
    /// The kernel's first byte in `backing`.
    pub base: u64,
    /// Head frames in CTA order, without gaps.
    pub frames: Vec<Frame>,
    /// Set when the bytes come from outside and every stream must be checked against its code.
    pub check: Option<Arc<Code>>,
    cache: Arc<FrameCache>,
    kernel: u64,
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { RefCell::new(None) };
}

/// The head of a CTA: its warps' first chunks, and where the others are.
struct Head {
    frame: Arc<Unpacked>,
    /// Its place among the CTAs of the frame.
    slot: usize,
    /// Its bytes in the frame.
    range: std::ops::Range<usize>,
    /// Where the packed frame begins.
    offset: u64,
}

impl Head {
    fn bytes(&self) -> Option<&[u8]> {
        self.frame.bytes.get(self.range.clone())
    }
}

/// One entry of a head's directory.
#[derive(Clone, Copy, Debug, Default)]
struct ChunkEntry {
    runs: u32,
    bytes: usize,
    offset: u64,
    packed: u32,
    crc: u32,
}

impl StoredCtas {
    /// The CTAs that `frames` describe; `cache` is shared with the other kernels of the workload.
    pub fn new(
        name: String,
        backing: Backing,
        base: u64,
        frames: Vec<Frame>,
        check: Option<Arc<Code>>,
        cache: &Arc<FrameCache>,
    ) -> Self {
        StoredCtas {
            name,
            backing,
            base,
            frames,
            check,
            cache: Arc::clone(cache),
            kernel: cache.register(),
        }
    }

    fn fault(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::input(
            &self.name,
            format!("byte {}", self.base.saturating_add(offset)),
            what,
            "the file is damaged; convert or copy it again",
        )
    }

    fn unpack(&self, offset: u64, packed: u32, raw: usize, crc: u32) -> Result<Vec<u8>> {
        if raw > FRAME_BYTES_MAX as usize || packed > FRAME_BYTES_MAX {
            return Err(self.fault(offset, format!("a frame of {raw} bytes, at most 512 MiB")));
        }
        let mut bytes = vec![0; packed as usize];
        let at = self.base.saturating_add(offset);
        self.backing.read(at, &mut bytes).map_err(|e| {
            self.fault(
                offset,
                format!("a frame of {packed} bytes cannot be read ({e})"),
            )
        })?;
        if crc32(&bytes) != crc {
            return Err(self.fault(offset, "the checksum of a frame is wrong"));
        }
        let unpacked = DECOMPRESSOR.with_borrow_mut(|slot| {
            let decompressor = match slot {
                Some(d) => d,
                None => slot.insert(zstd::bulk::Decompressor::new()?),
            };
            decompressor.decompress(&bytes, raw)
        });
        match unpacked {
            Ok(out) if out.len() == raw => Ok(out),
            Ok(out) => Err(self.fault(
                offset,
                format!("a frame unpacks to {} bytes, expected {raw}", out.len()),
            )),
            Err(e) => Err(self.fault(offset, format!("a frame does not unpack ({e})"))),
        }
    }

    /// Where the head of `cta` is.
    fn head(&self, cta: u64) -> Result<Head> {
        let number = self.frames.partition_point(|f| f.first_cta <= cta);
        let frame = number
            .checked_sub(1)
            .and_then(|n| self.frames.get(n))
            .filter(|f| cta - f.first_cta < u64::from(f.ctas))
            .ok_or_else(|| self.fault(0, format!("there is no thread block {cta}")))?;
        let raw = self.frame(number - 1, frame)?;
        let slot = (cta - frame.first_cta) as usize;
        let start_of = |slot: usize| -> Option<usize> {
            let bytes = raw.bytes.get(slot * 4..slot * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let from = start_of(slot);
        let to = if slot + 1 < frame.ctas as usize {
            start_of(slot + 1)
        } else {
            Some(raw.bytes.len())
        };
        match (from, to) {
            (Some(from), Some(to)) if from <= to && to <= raw.bytes.len() => Ok(Head {
                frame: raw,
                slot,
                range: from..to,
                offset: frame.offset,
            }),
            _ => Err(self.fault(frame.offset, "a thread block lies outside its frame")),
        }
    }

    fn frame(&self, number: usize, frame: &Frame) -> Result<Arc<Unpacked>> {
        let key = (self.kernel, number);
        if let Some(hit) = self.cache.get(key) {
            return Ok(hit);
        }
        // Unpacked outside the cache's lock: at worst two threads do the same work.
        let bytes = self.unpack(frame.offset, frame.packed, frame.raw as usize, frame.crc)?;
        let raw = Arc::new(Unpacked::new(bytes, frame.ctas));
        self.cache.put(key, &raw);
        Ok(raw)
    }

    fn checked(&self, warp: &mut WarpStream, offset: u64, cta: u64, number: u32) -> Result<()> {
        match &self.check {
            Some(code) => warp.validate(&code.insts, &code.patterns).map_err(|what| {
                self.fault(offset, format!("thread block {cta}, warp {number}: {what}"))
            }),
            None => Ok(()),
        }
    }
}

impl CtaReader for StoredCtas {
    fn memory(&self) -> StreamMemory {
        let largest = self.frames.iter().map(|f| u64::from(f.raw)).max();
        let ctas = self.frames.iter();
        let cta = ctas.map(|f| u64::from(f.raw) / u64::from(f.ctas.max(1)));
        let directory = self.frames.len() as u64 * size_of::<Frame>() as u64;
        StreamMemory {
            held: directory + self.backing.in_memory(),
            unpacked: FrameCache::at_most(largest.unwrap_or(0)),
            cta: cta.max().unwrap_or(0),
        }
    }

    fn load(&self, cta: u64, warps: &mut [WarpStream]) -> Result<()> {
        let found = self.head(cta)?;
        let offset = found.offset;
        let short = || self.fault(offset, format!("thread block {cta} is cut short"));
        let head = found.bytes().ok_or_else(short)?;
        let known = found.frame.is_checked(found.slot);
        let mut directory = Directory::of(head).ok_or_else(short)?;
        let mut data = directory.end;
        for (number, warp) in warps.iter_mut().enumerate() {
            let (first, chunks) = directory.warp(None).ok_or_else(short)?;
            let bytes = head
                .get(data..)
                .and_then(|d| d.get(..first.bytes))
                .ok_or_else(short)?;
            data += first.bytes;
            warp.fill(bytes, first.runs, 0, chunks);
            if !known {
                self.checked(warp, offset, cta, number as u32)?;
            }
        }
        if directory.at != directory.end || data != head.len() {
            return Err(self.fault(
                offset,
                format!("thread block {cta} has not {} warps", warps.len()),
            ));
        }
        found.frame.set_checked(found.slot);
        Ok(())
    }

    fn load_chunk(&self, cta: u64, warp: u32, chunk: u32, into: &mut WarpStream) -> Result<()> {
        let found = self.head(cta)?;
        let short = || {
            self.fault(
                found.offset,
                format!("thread block {cta} has no chunk {chunk} of warp {warp}"),
            )
        };
        let head = found.bytes().ok_or_else(short)?;
        let mut directory = Directory::of(head).ok_or_else(short)?;
        for _ in 0..warp {
            directory.warp(None).ok_or_else(short)?;
        }
        let (entry, chunks) = directory.warp(Some(chunk)).ok_or_else(short)?;
        let bytes = self.unpack(entry.offset, entry.packed, entry.bytes, entry.crc)?;
        into.fill(&bytes, entry.runs, chunk, chunks);
        self.checked(into, entry.offset, cta, warp)
    }
}

/// Cursor over the directory of a head.
struct Directory<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Directory<'a> {
    fn of(head: &'a [u8]) -> Option<Self> {
        let mut directory = Directory {
            bytes: head,
            at: 0,
            end: head.len(),
        };
        let length = usize::try_from(directory.varint()?).ok()?;
        directory.end = directory.at.checked_add(length)?;
        directory.bytes = head.get(..directory.end)?;
        Some(directory)
    }

    /// Passes one warp: its first chunk, or chunk `wanted` (from 1), and the number of chunks.
    fn warp(&mut self, wanted: Option<u32>) -> Option<(ChunkEntry, u32)> {
        let chunks = u32::try_from(self.varint()?).ok()?;
        let mut found = wanted.is_none().then(ChunkEntry::default);
        for number in 0..chunks {
            let entry = self.chunk(number > 0)?;
            if number == wanted.unwrap_or(0) && (number > 0) == wanted.is_some() {
                found = Some(entry);
            }
        }
        Some((found?, chunks))
    }

    fn chunk(&mut self, tail: bool) -> Option<ChunkEntry> {
        let runs = u32::try_from(self.varint()?).ok()?;
        let accesses = u32::try_from(self.varint()?).ok()?;
        let _insts = self.varint()?;
        let mut entry = ChunkEntry {
            runs,
            bytes: usize::try_from(u64::from(runs) + u64::from(accesses)).ok()?,
            ..ChunkEntry::default()
        };
        if tail {
            entry.offset = self.varint()?;
            entry.packed = u32::try_from(self.varint()?).ok()?;
            let crc = self.bytes.get(self.at..self.at + 4)?;
            entry.crc = u32::from_le_bytes(crc.try_into().ok()?);
            self.at += 4;
        }
        Some(entry)
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut v = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            v |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(v);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{OpClass, StaticInst};
    use crate::trace::pgt::blocks::{BlockWriter, FrameSink};
    use crate::trace::pgt::spool::SpoolSpace;
    use crate::trace::stream::CtaEncoder;
    use proptest::prelude::*;

    fn code() -> Arc<Code> {
        Arc::new(Code {
            insts: vec![StaticInst::new(0, 0, OpClass::Fp32); 20],
            mnemonics: vec!["FFMA".into()],
            ..Code::default()
        })
    }

    /// CTA `n` runs `n + 1` instructions in each of two warps.
    fn stored(ctas: u64, memory: u64) -> StoredCtas {
        let mut writer = BlockWriter::new(Spool::new(&SpoolSpace::new(memory)), 1).unwrap();
        let mut encoder = CtaEncoder::default();
        for cta in 0..ctas {
            encoder.clear();
            for _ in 0..2 {
                encoder.begin_warp();
                for i in 0..=cta {
                    encoder.inst((i % 20) as u32, cta as u32);
                }
            }
            let counts = encoder.counts();
            writer.push(encoder.finish(), 2, counts).unwrap();
        }
        let (spool, body) = writer.finish().unwrap();
        assert_eq!(spool.spilled(), memory < 10_000);
        let backing = Backing::Spool(spool);
        StoredCtas::new(
            "t".into(),
            backing,
            0,
            body.frames,
            Some(code()),
            &Arc::default(),
        )
    }

    fn insts(warp: &mut WarpStream) -> u64 {
        std::iter::from_fn(|| warp.next_run())
            .map(|r| u64::from(r.length))
            .sum()
    }

    #[test]
    fn ctas_are_read_in_any_order_from_memory_and_from_a_file() {
        for memory in [0, 3000, u64::MAX] {
            let stored = stored(5000, memory);
            assert!(stored.frames.len() > 1);
            let mut warps = vec![WarpStream::default(); 2];
            for i in 0..5000 {
                let cta = i * 2741 % 5000;
                stored.load(cta, &mut warps).unwrap();
                assert_eq!(insts(&mut warps[1]), (cta + 1).min(4096));
                assert_eq!(warps[1].next_chunk().is_some(), cta >= 4096);
            }
            assert!(stored.load(5000, &mut warps).is_err());
            assert!(stored.load(0, &mut warps[..1]).is_err());
            stored.load_chunk(4100, 1, 1, &mut warps[0]).unwrap();
            assert_eq!(insts(&mut warps[0]), 5);
            assert!(stored.load_chunk(4100, 1, 2, &mut warps[0]).is_err());
            assert!(stored.load_chunk(4100, 2, 1, &mut warps[0]).is_err());
        }
    }

    #[test]
    fn a_thread_block_is_checked_once_as_long_as_its_frame_is_kept() {
        let mut stored = stored(40, u64::MAX);
        let mut warps = vec![WarpStream::default(); 2];
        stored.load(7, &mut warps).unwrap();
        // No code that the streams could fit: only what was checked before is loaded.
        stored.check = Some(Arc::default());
        stored.load(7, &mut warps).unwrap();
        assert_eq!(insts(&mut warps[1]), 8);
        assert!(stored.load(8, &mut warps).is_err());
        assert!(stored.load(8, &mut warps).is_err(), "a fault is no check");
        assert!(stored.load(7, &mut warps[..1]).is_err(), "another shape");
        stored.cache = Arc::default();
        assert!(stored.load(7, &mut warps).is_err());
    }

    proptest! {
        /// Heads behind a correct checksum may still hold anything.
        #[test]
        fn any_head_is_survived(
            raw in prop::collection::vec(prop_oneof![3 => 0u8..6, 1 => any::<u8>()], 0..80),
            ctas in 1u32..4,
        ) {
            let packed = zstd::bulk::compress(&raw, 1).unwrap();
            let frame = Frame {
                first_cta: 0,
                ctas,
                offset: 0,
                packed: packed.len() as u32,
                raw: raw.len() as u32,
                crc: crc32(&packed),
            };
            let mut spool = Spool::new(&SpoolSpace::new(u64::MAX));
            spool.append(&packed).unwrap();
            let backing = Backing::Spool(spool);
            let stored = StoredCtas::new("t".into(), backing, 0, vec![frame], Some(code()), &Arc::default());
            let mut warps = vec![WarpStream::default(); 2];
            for cta in 0..u64::from(ctas) {
                let _ = stored.load(cta, &mut warps);
                let _ = stored.load_chunk(cta, 0, 1, &mut warps[0]);
                let _ = stored.load_chunk(cta, 1, 7, &mut warps[0]);
            }
        }
    }
}
