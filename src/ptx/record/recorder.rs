//! Collects what the warps of a CTA execute, as streams of lowered instructions.

use crate::isa::{MemKind, MemSpace, StaticInst};
use crate::ptx::exec::observe::{Observer, Parallel};
use crate::ptx::exec::regs::Lanes;
use crate::ptx::exec::{SHARED_WINDOW, WINDOW_BYTES};
use crate::ptx::lower::{Machine, Span};
use crate::trace::stream::{ChunkExtent, EncodedCta};
use crate::trace::{CtaEncoder, LanePattern, PatternId, PatternTable};
use std::sync::Arc;

/// Collects the streams of one CTA after the other.
pub struct Recorder<'a> {
    spans: &'a [Span],
    code: &'a [StaticInst],
    encoders: Vec<CtaEncoder>,
    // Only the recorder that all others were forked from adds patterns.
    patterns: Arc<PatternTable>,
    forked: bool,
    missed: bool,
    key: LanePattern,
    // The pattern that each instruction had last: most have one only.
    last: Vec<Option<PatternId>>,
    // What the addresses of the recording are higher by than those of the emulator.
    shift: u64,
}

impl<'a> Recorder<'a> {
    pub(in crate::ptx) fn new(machine: &'a Machine, warps: u32, shift: u64) -> Self {
        Recorder {
            spans: &machine.spans,
            code: &machine.code.insts,
            encoders: vec![CtaEncoder::default(); warps as usize],
            patterns: Arc::default(),
            forked: false,
            missed: false,
            key: LanePattern {
                mask: 0,
                width_bytes: 0,
                offsets: Vec::new(),
            },
            last: vec![None; machine.code.insts.len()],
            shift,
        }
    }

    /// One that adds no pattern to those of `patterns`.
    pub(in crate::ptx) fn known(
        machine: &'a Machine,
        warps: u32,
        shift: u64,
        patterns: &Arc<PatternTable>,
    ) -> Self {
        Recorder {
            patterns: Arc::clone(patterns),
            forked: true,
            ..Recorder::new(machine, warps, shift)
        }
    }

    /// The patterns that were met.
    pub(in crate::ptx) fn into_patterns(self) -> PatternTable {
        Arc::try_unwrap(self.patterns).unwrap_or_else(|shared| PatternTable::clone(&shared))
    }

    /// All warps of the CTA as one, with warp and thread instructions.
    fn merged(&mut self) -> (EncodedCta, (u64, u64)) {
        let mut merged = EncodedCta::default();
        let mut counts = (0, 0);
        for (warp, encoder) in (0u32..).zip(&mut self.encoders) {
            let (insts, threads) = encoder.counts();
            counts = (counts.0 + insts, counts.1 + threads);
            let encoded = encoder.finish();
            let base = merged.data.len() as u32;
            merged
                .chunks
                .extend(encoded.chunks.iter().map(|chunk| ChunkExtent {
                    warp,
                    offset: base + chunk.offset,
                    ..*chunk
                }));
            merged.data.extend_from_slice(&encoded.data);
        }
        (merged, counts)
    }

    /// Whether the instruction at the start of `span` has addresses, which come with `access`.
    fn addressed(&self, span: Span) -> Option<(MemSpace, MemKind)> {
        let mem = self
            .code
            .get(span.start as usize + span.count as usize - 1)?
            .mem?;
        (mem.space != MemSpace::Constant).then_some((mem.space, mem.kind))
    }

    fn pattern(&mut self, index: u32, mask: u32, width: u8, active: &[u64]) -> Option<PatternId> {
        let last = self.last.get(index as usize).copied().flatten();
        let known = last.and_then(|id| self.patterns.patterns().get(id as usize));
        if let Some(known) = known
            && known.mask == mask
            && known
                .offsets
                .iter()
                .zip(active)
                .all(|(offset, at)| active[0].wrapping_add(i64::from(*offset) as u64) == *at)
        {
            return last;
        }
        let found = match Arc::get_mut(&mut self.patterns) {
            Some(patterns) if !self.forked => patterns.intern(mask, width, active),
            _ => self.find(mask, width, active),
        };
        if let Some(slot) = self.last.get_mut(index as usize) {
            *slot = found;
        }
        found
    }

    /// A pattern that is known. Where it is not, the CTA has to be recorded again in its turn.
    fn find(&mut self, mask: u32, width: u8, active: &[u64]) -> Option<PatternId> {
        self.key.mask = mask;
        self.key.width_bytes = width;
        self.key.offsets.clear();
        for at in active {
            let offset = at.wrapping_sub(active[0]) as i64;
            self.key.offsets.push(i32::try_from(offset).ok()?);
        }
        let found = self.patterns.find(&self.key);
        self.missed |= found.is_none() && !self.patterns.is_full();
        found
    }
}

impl Parallel for Recorder<'_> {
    type Out = (EncodedCta, (u64, u64));

    fn fork(&self) -> Self {
        Recorder {
            encoders: vec![CtaEncoder::default(); self.encoders.len()],
            patterns: Arc::clone(&self.patterns),
            forked: true,
            key: self.key.clone(),
            last: self.last.clone(),
            ..*self
        }
    }

    fn begin(&mut self) {
        self.missed = false;
        for encoder in &mut self.encoders {
            encoder.clear();
            encoder.begin_warp();
        }
    }

    fn finish(&mut self) -> (Self::Out, bool) {
        (self.merged(), !self.missed)
    }
}

impl Observer for Recorder<'_> {
    fn step(&mut self, warp: u32, pc: u32, mask: u32) {
        let Some(&span) = self.spans.get(pc as usize).filter(|s| s.count > 0) else {
            return;
        };
        if mask != 0 && self.addressed(span).is_some() {
            return;
        }
        if let Some(encoder) = self.encoders.get_mut(warp as usize) {
            for index in span.start..span.start + span.count {
                encoder.inst(index, mask);
            }
        }
    }

    fn access(&mut self, warp: u32, pc: u32, mask: u32, addresses: &Lanes<u64>) {
        let Some(&span) = self.spans.get(pc as usize).filter(|s| s.count > 0) else {
            return;
        };
        let Some((space, _)) = self.addressed(span) else {
            return;
        };
        let mut step = u64::from(span.access_back).wrapping_neg();
        for index in span.start..span.start + span.count {
            let Some(inst) = self.code.get(index as usize) else {
                return;
            };
            let Some(mem) = inst.mem.filter(|m| m.space != MemSpace::Constant) else {
                if let Some(encoder) = self.encoders.get_mut(warp as usize) {
                    encoder.inst(index, mask);
                }
                continue;
            };
            let mut list = [0; 32];
            let mut count = 0;
            for (lane, address) in addresses.iter().enumerate() {
                if mask >> lane & 1 != 0 {
                    let at = address.wrapping_add(step);
                    list[count] = match space {
                        // The place in the thread's own memory, as NVBit has it.
                        MemSpace::Local => at % WINDOW_BYTES,
                        MemSpace::Global => at.wrapping_add(self.shift),
                        MemSpace::Generic if at < SHARED_WINDOW => at.wrapping_add(self.shift),
                        _ => at,
                    };
                    count += 1;
                }
            }
            let active = &list[..count];
            let pattern = self.pattern(index, mask, mem.width_bytes, active);
            let Some(encoder) = self.encoders.get_mut(warp as usize) else {
                return;
            };
            encoder.inst(index, mask);
            match pattern {
                Some(pattern) => encoder.access_pattern(index, active[0], pattern),
                None => encoder.access_list(index, active),
            }
            step = step.wrapping_add(u64::from(span.access_step));
        }
    }
}
