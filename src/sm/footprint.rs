//! What CTAs ask of L2, without running them.

use super::memory::coalesce::{LineAccess, Lines, PatternSet, coalesce};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::isa::{MemKind, MemSpace};
use crate::sm::memory::banks::Banks;
use crate::trace::stream::has_access;
use crate::trace::{Addresses, CtaEncoder, Kernel, WarpStream};

/// Walks the accesses of CTAs of one kernel.
pub struct Footprint<'a> {
    kernel: &'a Kernel,
    patterns: PatternSet,
    encoder: CtaEncoder,
    streams: Vec<WarpStream>,
    lines: Lines,
}

impl<'a> Footprint<'a> {
    /// Of `kernel` on the machine of `spec`.
    pub fn new(kernel: &'a Kernel, spec: &GpuSpec) -> Self {
        let warps = kernel.header.warps_per_cta() as usize;
        Footprint {
            kernel,
            patterns: PatternSet::new(&kernel.code.patterns, Banks::new(&spec.smem)),
            encoder: CtaEncoder::default(),
            streams: vec![WarpStream::default(); warps],
            lines: Lines::default(),
        }
    }

    /// Shows every line that `cta` accesses in global memory, warp by warp in program order, and whether it writes it.
    /// What L1 would have kept from L2 is shown too; it changes only how recently L2 saw a line.
    ///
    /// # Errors
    /// A trace that cannot be read.
    pub fn visit(&mut self, cta: u64, mut show: impl FnMut(LineAccess, bool)) -> Result<()> {
        self.encoder.clear();
        let source = &self.kernel.ctas;
        let mut streams = std::mem::take(&mut self.streams);
        let generated = source.generate(cta, &mut self.encoder);
        match generated {
            true => self.encoder.load(&mut streams),
            false => source.load(cta, &mut streams, &mut self.encoder)?,
        }
        for (warp, stream) in (0u32..).zip(&mut streams) {
            self.chunk(stream, &mut show);
            if generated {
                let chunks = self.encoder.finish().warp_chunks(warp).len() as u32;
                for chunk in 1..chunks {
                    self.encoder.load_chunk(warp, chunk, stream);
                    self.chunk(stream, &mut show);
                }
                continue;
            }
            while let Some(chunk) = stream.next_chunk() {
                source.load_chunk(cta, warp, chunk, stream)?;
                self.chunk(stream, &mut show);
            }
        }
        self.streams = streams;
        Ok(())
    }

    fn chunk(&mut self, stream: &mut WarpStream, show: &mut impl FnMut(LineAccess, bool)) {
        let code = &self.kernel.code;
        let mut list = [0; 32];
        while let Some(run) = stream.next_run() {
            for index in run.start..run.start + run.length {
                let inst = &code.insts[index as usize];
                if !has_access(inst, run.mask) {
                    continue;
                }
                let place = stream.next_access(index, run.mask, &mut list);
                let Some(mem) = inst.mem.filter(|mem| mem.space == MemSpace::Global) else {
                    continue;
                };
                self.lines_of(place, u64::from(mem.width_bytes), &list);
                let write = matches!(
                    mem.kind,
                    MemKind::Store | MemKind::Atomic | MemKind::Reduction
                );
                for line in self.lines.as_slice() {
                    show(*line, write);
                }
            }
        }
    }

    fn lines_of(&mut self, place: Addresses, width: u64, list: &[u64; 32]) {
        match place {
            Addresses::List { count } => {
                coalesce(&list[..usize::from(count)], width, &mut self.lines);
            }
            Addresses::Pattern { base, pattern } => {
                if self.patterns.lines_at(pattern, base, &mut self.lines) {
                    return;
                }
                let offsets = &self.kernel.code.patterns[pattern as usize].offsets;
                let mut addresses = [0; 32];
                for (address, offset) in addresses.iter_mut().zip(offsets) {
                    *address = base.wrapping_add_signed(i64::from(*offset));
                }
                coalesce(&addresses[..offsets.len()], width, &mut self.lines);
            }
        }
    }
}
