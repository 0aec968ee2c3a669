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

use super::pattern::{LanePattern, PatternId};
use crate::isa::{MemSpace, StaticInst};

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

/// Encodes the warps of one CTA; reusable.
#[derive(Clone, Debug, Default)]
pub struct CtaEncoder {
    out: EncodedCta,
    runs: Vec<u8>,
    accesses: Vec<u8>,
    warp: u32,
    in_warp: bool,
    insts: u32,
    run: Option<Run>,
    last_end: u32,
    last_mask: u32,
    history: [History; HISTORY],
    thread_insts: u64,
    warp_insts: u64,
}

impl CtaEncoder {
    /// Starts a new CTA.
    pub fn clear(&mut self) {
        self.out.chunks.clear();
        self.out.data.clear();
        self.runs.clear();
        self.accesses.clear();
        self.warp = 0;
        self.in_warp = false;
        self.insts = 0;
        self.run = None;
        self.thread_insts = 0;
        self.warp_insts = 0;
        self.reset_chunk();
    }

    /// Starts the next warp of the CTA (the first call starts warp 0).
    pub fn begin_warp(&mut self) {
        if self.in_warp {
            self.end_chunk();
            self.warp += 1;
        } else {
            // A fresh encoder has not been through `clear`.
            self.reset_chunk();
        }
        self.in_warp = true;
    }

    /// Appends an instruction of the code table under `mask`.
    #[inline]
    pub fn inst(&mut self, index: u32, mask: u32) {
        debug_assert!(self.in_warp);
        if self.insts == CHUNK_INSTS {
            self.end_chunk();
        }
        self.insts += 1;
        self.warp_insts += 1;
        self.thread_insts += u64::from(mask.count_ones());
        match &mut self.run {
            Some(run) if run.start + run.length == index && run.mask == mask => run.length += 1,
            _ => {
                self.flush_run();
                self.run = Some(Run {
                    start: index,
                    length: 1,
                    mask,
                });
            }
        }
    }

    /// The access of the last instruction, as a pattern.
    #[inline]
    pub fn access_pattern(&mut self, index: u32, base: u64, pattern: PatternId) {
        let slot = &mut self.history[index as usize % HISTORY];
        let delta = base.wrapping_sub(slot.base) as i64;
        let same = slot.pattern == pattern;
        *slot = History { base, pattern };
        self.accesses
            .push(if same { TAG_SAME } else { TAG_PATTERN });
        put_varint(&mut self.accesses, zigzag(delta));
        if !same {
            put_varint(&mut self.accesses, u64::from(pattern));
        }
    }

    /// The access of the last instruction, lane by lane (active lanes only).
    pub fn access_list(&mut self, index: u32, addresses: &[u64]) {
        let base = addresses[0];
        let slot = &mut self.history[index as usize % HISTORY];
        let delta = base.wrapping_sub(slot.base) as i64;
        slot.base = base;
        self.accesses.push(TAG_LIST);
        put_varint(&mut self.accesses, zigzag(delta));
        for pair in addresses.windows(2) {
            put_varint(
                &mut self.accesses,
                zigzag(pair[1].wrapping_sub(pair[0]) as i64),
            );
        }
    }

    /// Warp instructions and thread instructions since [`CtaEncoder::clear`].
    pub fn counts(&self) -> (u64, u64) {
        (self.warp_insts, self.thread_insts)
    }

    /// Ends the last warp and returns the CTA, which stays owned by the encoder.
    pub fn finish(&mut self) -> &EncodedCta {
        if self.in_warp {
            self.end_chunk();
            self.in_warp = false;
        }
        &self.out
    }

    /// Ends the CTA and loads the first chunk of every warp.
    pub fn load(&mut self, warps: &mut [WarpStream]) {
        self.finish().load(warps);
    }

    /// Ends the CTA and loads one chunk of one warp.
    pub fn load_chunk(&mut self, warp: u32, chunk: u32, into: &mut WarpStream) {
        self.finish().load_chunk(warp, chunk, into);
    }

    fn reset_chunk(&mut self) {
        self.last_end = 0;
        self.last_mask = u32::MAX;
        self.history = [History::default(); HISTORY];
    }

    fn flush_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let jumps = run.start != self.last_end;
        let masks = run.mask != self.last_mask;
        put_varint(
            &mut self.runs,
            u64::from(run.length) << 2 | u64::from(masks) << 1 | u64::from(jumps),
        );
        if jumps {
            put_varint(
                &mut self.runs,
                zigzag(i64::from(run.start) - i64::from(self.last_end)),
            );
        }
        if masks {
            self.runs.extend_from_slice(&run.mask.to_le_bytes());
        }
        self.last_end = run.start + run.length;
        self.last_mask = run.mask;
    }

    fn end_chunk(&mut self) {
        self.flush_run();
        self.out.chunks.push(ChunkExtent {
            warp: self.warp,
            offset: self.out.data.len() as u32,
            runs_bytes: self.runs.len() as u32,
            accesses_bytes: self.accesses.len() as u32,
            insts: self.insts,
        });
        self.out.data.append(&mut self.runs);
        self.out.data.append(&mut self.accesses);
        self.insts = 0;
        self.reset_chunk();
    }
}

/// The decoder's view of one warp: its current chunk and the position in both columns. The buffer
/// is reused from warp to warp.
#[derive(Clone, Debug, Default)]
pub struct WarpStream {
    bytes: Vec<u8>,
    run_at: u32,
    runs_end: u32,
    access_at: u32,
    chunk: u32,
    chunks: u32,
    last_end: u32,
    last_mask: u32,
    history: [History; HISTORY],
}

impl WarpStream {
    /// Takes over the bytes of chunk `chunk` of `chunks`: the runs column, then the accesses.
    pub fn fill(&mut self, bytes: &[u8], runs_bytes: u32, chunk: u32, chunks: u32) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.chunk = chunk;
        self.chunks = chunks;
        self.runs_end = runs_bytes;
        self.rewind();
    }

    /// The bytes of the chunk, and how many of them are the runs column.
    pub fn chunk_bytes(&self) -> (&[u8], u32) {
        (&self.bytes, self.runs_end)
    }

    /// Back to the start of the chunk.
    pub fn rewind(&mut self) {
        self.run_at = 0;
        self.access_at = self.runs_end;
        self.last_end = 0;
        self.last_mask = u32::MAX;
        self.history = [History::default(); HISTORY];
    }

    /// The chunk after this one, if there is one.
    pub fn next_chunk(&self) -> Option<u32> {
        (self.chunk + 1 < self.chunks).then_some(self.chunk + 1)
    }

    /// The next run of this chunk.
    #[inline]
    pub fn next_run(&mut self) -> Option<Run> {
        if self.run_at >= self.runs_end {
            return None;
        }
        let head = self.run_varint();
        let mut start = self.last_end;
        if head & 1 != 0 {
            start = (i64::from(start) + unzigzag(self.run_varint())) as u32;
        }
        if head & 2 != 0 {
            let mut mask = [0u8; 4];
            for byte in &mut mask {
                *byte = self.bytes.get(self.run_at as usize).copied().unwrap_or(0);
                self.run_at += 1;
            }
            self.last_mask = u32::from_le_bytes(mask);
        }
        let length = (head >> 2) as u32;
        self.last_end = start.wrapping_add(length);
        Some(Run {
            start,
            length,
            mask: self.last_mask,
        })
    }

    /// The next access, which is that of instruction `index` under `mask`; single addresses go to
    /// `list`.
    #[inline]
    pub fn next_access(&mut self, index: u32, mask: u32, list: &mut [u64; 32]) -> Addresses {
        let tag = self
            .bytes
            .get(self.access_at as usize)
            .copied()
            .unwrap_or(TAG_SAME);
        self.access_at += 1;
        let delta = unzigzag(self.access_varint());
        let slot = index as usize % HISTORY;
        let base = self.history[slot].base.wrapping_add(delta as u64);
        self.history[slot].base = base;
        match tag {
            TAG_LIST => {
                let count = mask.count_ones() as u8;
                list[0] = base;
                for lane in 1..usize::from(count) {
                    list[lane] = list[lane - 1].wrapping_add(unzigzag(self.access_varint()) as u64);
                }
                Addresses::List { count }
            }
            TAG_PATTERN => {
                let pattern = self.access_varint() as PatternId;
                self.history[slot].pattern = pattern;
                Addresses::Pattern { base, pattern }
            }
            _ => Addresses::Pattern {
                base,
                pattern: self.history[slot].pattern,
            },
        }
    }

    /// Checks the whole chunk against the code table, so that decoding it later cannot fail: every
    /// run within the table, every access present with a known tag and pattern of the right mask,
    /// both columns used up exactly. Leaves the stream rewound.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn validate(
        &mut self,
        code: &[StaticInst],
        patterns: &[LanePattern],
    ) -> Result<(), String> {
        self.rewind();
        if self.runs_end as usize > self.bytes.len() {
            return Err("the runs column is longer than the chunk".into());
        }
        let mut insts = 0u64;
        while let Some(run) = self.next_run() {
            insts += u64::from(run.length);
            let end = u64::from(run.start) + u64::from(run.length);
            if run.length == 0 || end > code.len() as u64 || insts > u64::from(CHUNK_INSTS) {
                return Err(format!(
                    "a run of {} instructions from {} in a code table of {}",
                    run.length,
                    run.start,
                    code.len()
                ));
            }
            for index in run.start..run.start + run.length {
                if has_access(&code[index as usize], run.mask) {
                    self.validate_access(index, run.mask, patterns)?;
                }
            }
        }
        if self.run_at != self.runs_end || self.access_at as usize != self.bytes.len() {
            return Err(format!(
                "columns end at bytes {} and {}, expected {} and {}",
                self.run_at,
                self.access_at,
                self.runs_end,
                self.bytes.len()
            ));
        }
        self.rewind();
        Ok(())
    }

    fn validate_access(
        &mut self,
        index: u32,
        mask: u32,
        patterns: &[LanePattern],
    ) -> Result<(), String> {
        let tag = self.bytes.get(self.access_at as usize).copied();
        if tag.is_none_or(|t| t > TAG_LIST) {
            return Err(format!("no access record for instruction {index}"));
        }
        let mut list = [0; 32];
        if let Addresses::Pattern { pattern, .. } = self.next_access(index, mask, &mut list) {
            match patterns.get(pattern as usize) {
                Some(p) if p.mask == mask => {}
                Some(p) => {
                    return Err(format!(
                        "instruction {index}: mask {mask:08x}, but pattern {pattern} has {:08x}",
                        p.mask
                    ));
                }
                None => return Err(format!("instruction {index}: no pattern {pattern}")),
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn run_varint(&mut self) -> u64 {
        get_varint(&self.bytes, &mut self.run_at)
    }

    #[inline(always)]
    fn access_varint(&mut self) -> u64 {
        get_varint(&self.bytes, &mut self.access_at)
    }
}

#[inline(always)]
fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

#[inline(always)]
fn unzigzag(v: u64) -> i64 {
    ((v >> 1) as i64) ^ -((v & 1) as i64)
}

#[inline]
fn put_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// Reads a varint of at most ten bytes; bytes past the end read as zero.
#[inline(always)]
fn get_varint(bytes: &[u8], at: &mut u32) -> u64 {
    let first = bytes.get(*at as usize).copied().unwrap_or(0);
    *at += 1;
    if first < 0x80 {
        return u64::from(first);
    }
    let mut v = u64::from(first & 0x7f);
    let mut shift = 7;
    while shift < 70 {
        let byte = bytes.get(*at as usize).copied().unwrap_or(0);
        *at += 1;
        v |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_loop_costs_one_run_an_iteration() {
        let mut enc = CtaEncoder::default();
        enc.clear();
        enc.begin_warp();
        for _ in 0..8 {
            for i in 0..65 {
                enc.inst(i, u32::MAX);
            }
        }
        let cta = enc.finish();
        assert_eq!(cta.chunks[0].insts, 520);
        assert!(cta.chunks[0].runs_bytes <= 8 * 4);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            seq in prop::collection::vec((0u32..40, 1u32..=u32::MAX, any::<u64>(), any::<bool>()), 1..9000)
        ) {
            let mut enc = CtaEncoder::default();
            enc.clear();
            enc.begin_warp();
            for &(index, mask, base, pattern) in &seq {
                enc.inst(index, mask);
                if pattern {
                    enc.access_pattern(index, base, index * 3);
                } else {
                    let list: Vec<u64> = (0..mask.count_ones())
                        .map(|i| base.wrapping_mul(u64::from(i) + 1)).collect();
                    enc.access_list(index, &list);
                }
            }
            let cta = enc.finish().clone();
            let mut warp = WarpStream::default();
            cta.load_chunk(0, 0, &mut warp);
            let mut at = 0;
            loop {
                while let Some(run) = warp.next_run() {
                    for index in run.start..run.start + run.length {
                        let (i, mask, base, pattern) = seq[at];
                        at += 1;
                        prop_assert_eq!((i, mask), (index, run.mask));
                        let mut list = [0; 32];
                        let got = warp.next_access(index, mask, &mut list);
                        if pattern {
                            prop_assert_eq!(got, Addresses::Pattern { base, pattern: index * 3 });
                        } else {
                            prop_assert_eq!(got, Addresses::List { count: mask.count_ones() as u8 });
                            for (k, item) in list.iter().enumerate().take(mask.count_ones() as usize) {
                                prop_assert_eq!(*item, base.wrapping_mul(k as u64 + 1));
                            }
                        }
                    }
                }
                match warp.next_chunk() {
                    Some(chunk) => cta.load_chunk(0, chunk, &mut warp),
                    None => break,
                }
            }
            prop_assert_eq!(at, seq.len());
        }

        #[test]
        fn validation_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), split in 0u32..200) {
            let mut warp = WarpStream::default();
            warp.fill(&bytes, split, 0, 1);
            let code = vec![StaticInst::new(0, 0, crate::isa::OpClass::Fp32); 20];
            let _ = warp.validate(&code, &[]);
        }
    }
}
