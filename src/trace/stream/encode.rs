//! Writing the streams of a CTA.

use super::varint::{put_varint, zigzag};
use super::*;
use std::ops::Range;

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
    /// The chunks of each warp that are wanted, when not all are.
    wanted: Option<Range<u32>>,
    /// Number of the present chunk within its warp.
    chunk: u32,
}

impl CtaEncoder {
    /// Starts a new CTA.
    pub fn clear(&mut self) {
        self.out.chunks.clear();
        self.out.data.clear();
        self.runs.clear();
        self.accesses.clear();
        self.warp = 0;
        self.chunk = 0;
        self.in_warp = false;
        self.insts = 0;
        self.run = None;
        self.thread_insts = 0;
        self.warp_insts = 0;
        self.reset_chunk();
    }

    /// Keeps only the chunks `wanted` of each warp, so that a long warp costs no more memory than these. The
    /// first instruction behind them is still taken, to know that there is more.
    pub fn only(&mut self, wanted: Range<u32>) {
        self.wanted = Some(wanted);
    }

    /// Whether the present warp has all that is wanted of it: more would be dropped.
    #[inline(always)]
    pub fn full(&self) -> bool {
        match &self.wanted {
            Some(wanted) => self.chunk >= wanted.end && self.insts > 0,
            None => false,
        }
    }

    /// Makes `iterations` of a loop, each of exactly `each` instructions. Of a warp of which only some chunks are
    /// wanted, the iterations before them are passed over, so that a long loop costs no more than what is wanted of
    /// it; [`CtaEncoder::counts`] then misses their threads.
    pub fn iterations(
        &mut self,
        iterations: Range<u64>,
        each: u64,
        mut make: impl FnMut(u64, &mut Self),
    ) {
        let mut first = iterations.start;
        if let Some(wanted) = &self.wanted {
            let wanted = u64::from(wanted.start) * u64::from(CHUNK_INSTS);
            let here = u64::from(self.chunk) * u64::from(CHUNK_INSTS) + u64::from(self.insts);
            let passed = (wanted.saturating_sub(here) / each.max(1)).min(iterations.end - first);
            self.pass(passed * each);
            first += passed;
        }
        for iteration in first..iterations.end {
            if self.full() {
                return;
            }
            let before = self.warp_insts;
            make(iteration, self);
            debug_assert!(self.full() || self.warp_insts - before == each);
        }
    }

    /// Counts `insts` instructions of chunks that are not wanted.
    fn pass(&mut self, mut insts: u64) {
        self.warp_insts += insts;
        while insts > 0 {
            if self.insts == CHUNK_INSTS {
                self.end_chunk();
            }
            let now = insts.min(u64::from(CHUNK_INSTS - self.insts));
            self.insts += now as u32;
            insts -= now;
        }
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
        self.chunk = 0;
    }

    /// Appends an instruction of the code table under `mask`.
    #[inline]
    pub fn inst(&mut self, index: u32, mask: u32) {
        debug_assert!(self.in_warp);
        if self.full() {
            return;
        }
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
        if self.full() {
            return;
        }
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
        if self.full() {
            return;
        }
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
        if self
            .wanted
            .as_ref()
            .is_some_and(|w| !w.contains(&self.chunk))
        {
            self.runs.clear();
            self.accesses.clear();
        }
        self.chunk += 1;
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
