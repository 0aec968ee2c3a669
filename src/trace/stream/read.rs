//! Reading the stream of a warp.

use super::varint::{get_varint, unzigzag};
use super::*;
use crate::trace::pattern::LanePattern;

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
