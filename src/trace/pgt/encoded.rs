//! Any CTA source, one encoded CTA at a time: what writers of trace files iterate over.

use crate::error::Result;
use crate::trace::kernel::Kernel;
use crate::trace::stream::{ChunkExtent, CtaEncoder, EncodedCta, WarpStream};

/// Buffers for [`EncodedCtas::get`].
pub struct EncodedCtas<'a> {
    kernel: &'a Kernel,
    warps: u32,
    encoder: CtaEncoder,
    stream: Vec<WarpStream>,
    cta: EncodedCta,
}

impl<'a> EncodedCtas<'a> {
    /// The CTAs of `kernel`.
    pub fn new(kernel: &'a Kernel) -> Self {
        let warps = kernel.header.warps_per_cta();
        EncodedCtas {
            kernel,
            warps,
            encoder: CtaEncoder::default(),
            stream: vec![WarpStream::default(); warps as usize],
            cta: EncodedCta::default(),
        }
    }

    /// CTA number `cta` with all its chunks, and its warp and thread instructions.
    pub fn get(&mut self, cta: u64) -> Result<(&EncodedCta, (u64, u64))> {
        self.cta.chunks.clear();
        self.cta.data.clear();
        let mut counts = (0, 0);
        let source = &self.kernel.ctas;
        // Every chunk at once: asking for them one by one would be quadratic.
        self.encoder.clear();
        let generated = source.generate(cta, &mut self.encoder);
        match generated {
            true => self.encoder.load(&mut self.stream),
            false => source.load(cta, &mut self.stream, &mut self.encoder)?,
        }
        for (warp, stream) in (0..self.warps).zip(&mut self.stream) {
            append(&mut self.cta, warp, stream, &mut counts);
            if generated {
                let rest = self.encoder.finish().warp_chunks(warp).len() as u32;
                for chunk in 1..rest {
                    self.encoder.load_chunk(warp, chunk, stream);
                    append(&mut self.cta, warp, stream, &mut counts);
                }
                continue;
            }
            while let Some(chunk) = stream.next_chunk() {
                source.load_chunk(cta, warp, chunk, stream)?;
                append(&mut self.cta, warp, stream, &mut counts);
            }
        }
        Ok((&self.cta, counts))
    }
}

/// Appends the chunk that `stream` holds.
fn append(cta: &mut EncodedCta, warp: u32, stream: &mut WarpStream, counts: &mut (u64, u64)) {
    let mut insts = 0;
    while let Some(run) = stream.next_run() {
        insts += run.length;
        counts.0 += u64::from(run.length);
        counts.1 += u64::from(run.length) * u64::from(run.mask.count_ones());
    }
    let (bytes, runs_bytes) = stream.chunk_bytes();
    cta.chunks.push(ChunkExtent {
        warp,
        offset: cta.data.len() as u32,
        runs_bytes,
        accesses_bytes: bytes.len() as u32 - runs_bytes,
        insts,
    });
    cta.data.extend_from_slice(bytes);
}
