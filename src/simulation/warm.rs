//! What CTAs that are not run leave in L2.

use crate::config::GpuSpec;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::mem::{LINE_BYTES, SECTOR_BYTES};
use crate::probe::Probe;
use crate::sm::{Footprint, LineAccess};
use crate::trace::Kernel;
use std::ops::Range;

/// Accesses are taken over until they have asked for this many times the bytes of L2: what came before them has been
/// replaced, but for lines that are used again and again, and those are among the last as well.
const TIMES_OF_L2: u64 = 3;

/// Takes over the accesses of the last of `ctas` of `kernel`. No time passes, nothing is counted. Serial.
///
/// # Errors
/// A trace that cannot be read.
pub fn warm<P: Probe + Sync>(
    gpu: &Gpu<P>,
    kernel: &Kernel,
    ctas: Range<u64>,
    spec: &GpuSpec,
) -> Result<()> {
    let mut footprint = Footprint::new(kernel, spec);
    let first = first_of(&mut footprint, ctas.clone(), spec)?;
    let sms = u64::from(spec.sms);
    for cta in first..ctas.end {
        // CTAs are dealt to SMs in turn, as far as is known without running them.
        let sm = (cta % sms) as usize;
        footprint.visit(cta, |line, write| gpu.touch(sm, line, write))?;
    }
    Ok(())
}

/// The CTA from which on the accesses suffice to fill L2 [`TIMES_OF_L2`] times, counting each line once for a CTA.
fn first_of(footprint: &mut Footprint, ctas: Range<u64>, spec: &GpuSpec) -> Result<u64> {
    let enough = spec.l2.bytes.saturating_mul(TIMES_OF_L2);
    let mut bytes = 0u64;
    let mut first = ctas.end;
    let mut lines = Vec::new();
    // CTAs of a kernel differ, but seldom near each other: some are asked, and stand for those around them.
    let mut stride = 1;
    while first > ctas.start && bytes < enough {
        lines.clear();
        footprint.visit(first - 1, |line: LineAccess, _| {
            lines.push((line.line.0, line.sectors.count()));
        })?;
        lines.sort_unstable();
        lines.dedup();
        let sectors: u64 = lines.iter().map(|(_, sectors)| u64::from(*sectors)).sum();
        let step = stride.min(first - ctas.start);
        // A CTA without accesses must not make this endless.
        bytes += step * (sectors * SECTOR_BYTES).max(1);
        first -= step;
        stride = (stride * 2)
            .min(enough.saturating_sub(bytes) / (sectors * SECTOR_BYTES).max(LINE_BYTES) + 1);
    }
    Ok(first)
}

/// Bytes that all CTAs of `kernel` ask of L2, each line once for a CTA, by one CTA from its middle.
///
/// # Errors
/// A trace that cannot be read.
pub fn traffic(kernel: &Kernel, spec: &GpuSpec) -> Result<f64> {
    let ctas = kernel.header.cta_count();
    let mut lines = Vec::new();
    Footprint::new(kernel, spec).visit(ctas / 2, |line, _| {
        lines.push((line.line.0, line.sectors.count()));
    })?;
    lines.sort_unstable();
    lines.dedup();
    let sectors: u64 = lines.iter().map(|(_, sectors)| u64::from(*sectors)).sum();
    Ok((sectors * SECTOR_BYTES) as f64 * ctas as f64)
}
