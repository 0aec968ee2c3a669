//! What CTAs that are not run leave in L2.

use super::KernelRun;
use crate::config::GpuSpec;
use crate::error::Result;
use crate::gpu::{ChipStage, Gpu};
use crate::mem::{LINE_BYTES, SECTOR_BYTES, SectorMask};
use crate::occupancy::Occupancy;
use crate::probe::Probe;
use crate::sm::{Footprint, LineAccess};
use crate::trace::{Kernel, Part, PartIterations};
use std::collections::VecDeque;
use std::ops::Range;

/// Accesses are taken over until they have asked for this many times the bytes of L2: what came before them has been
/// replaced, but for lines that are used again and again, and those are among the last as well.
const TIMES_OF_L2: u64 = 3;

/// Lines written that wait for the end of their CTA, at most.
const HELD_MAX: usize = 1 << 20;

/// Takes over the accesses of the last of `ctas` of `kernel`, and what their last wave writes behind its loops. No time
/// passes, nothing is counted. Serial.
///
/// # Errors
/// A trace that cannot be read.
pub fn warm<P: Probe + Sync, S: ChipStage>(
    gpu: &Gpu<P, S>,
    kernel: &Kernel,
    ctas: Range<u64>,
    spec: &GpuSpec,
) -> Result<()> {
    let mut footprint = Footprint::new(kernel, spec);
    let first = first_of(&mut footprint, ctas.clone(), spec)?;
    let sms = u64::from(spec.sms);
    let occupancy = Occupancy::new(&kernel.header, spec)?;
    let wave = sms * u64::from(occupancy.ctas_per_sm.max(1));
    // CTAs are dealt to SMs in turn, as far as is known without running them.
    let sm_of = |cta: u64| (cta % sms) as usize;
    // A CTA that goes through phases, by a loop or a barrier, writes in the last: as the one that takes its place begins,
    // a wave later. Any other is over as soon as it has read.
    let phases = kernel.ctas.iterations(ctas.start) > 1 || kernel.code.has_barriers();
    let behind = if phases { wave } else { 0 };
    let last_wave = ctas.end.saturating_sub(wave).max(ctas.start);
    let mut written = VecDeque::new();
    ends_of(kernel, last_wave..first, spec, |cta, line| {
        written.push_back((cta, line));
    })?;
    let write = |(cta, line)| gpu.touch(sm_of(cta), line, true);
    for cta in first..ctas.end {
        footprint.visit(cta, |line, stores| match stores {
            true => written.push_back((cta, line)),
            false => gpu.touch(sm_of(cta), line, false),
        })?;
        let due = |(of, _): &(u64, LineAccess)| of + behind <= cta;
        while written.front().is_some_and(due) || written.len() > HELD_MAX {
            written.pop_front().into_iter().for_each(write);
        }
    }
    written.into_iter().for_each(write);
    Ok(())
}

/// Shows what `ctas` of `kernel` write behind their main loops, if they have some.
fn ends_of(
    kernel: &Kernel,
    ctas: Range<u64>,
    spec: &GpuSpec,
    mut show: impl FnMut(u64, LineAccess),
) -> Result<()> {
    let most = kernel.ctas.iterations(ctas.start);
    if ctas.is_empty() || most < 2 {
        return Ok(());
    }
    let part = Part {
        first_cta: ctas.start,
        iterations: PartIterations::Some {
            run: 1,
            most,
            wave: 1,
        },
    };
    let cut = kernel.part(part, ctas.end - ctas.start);
    let mut footprint = Footprint::new(&cut, spec);
    for cta in ctas.clone() {
        footprint.visit(cta - ctas.start, |line, write| {
            if write {
                show(cta, line);
            }
        })?;
    }
    Ok(())
}

/// Bytes that `cta` asks of L2, each sector once.
fn asked(footprint: &mut Footprint, cta: u64) -> Result<u64> {
    let mut lines = Vec::new();
    footprint.visit(cta, |line: LineAccess, _| {
        lines.push((line.line.0, line.sectors))
    })?;
    lines.sort_unstable_by_key(|(line, _)| *line);
    let lines = lines.chunk_by(|a, b| a.0 == b.0);
    let sectors = lines.map(|of_line| {
        let together = of_line
            .iter()
            .fold(SectorMask::NONE, |all, (_, s)| all | *s);
        u64::from(together.count())
    });
    Ok(sectors.sum::<u64>() * SECTOR_BYTES)
}

/// The CTA from which on the accesses suffice to fill L2 [`TIMES_OF_L2`] times, counting each sector once for a CTA.
fn first_of(footprint: &mut Footprint, ctas: Range<u64>, spec: &GpuSpec) -> Result<u64> {
    let enough = spec.l2.bytes.saturating_mul(TIMES_OF_L2);
    let mut bytes = 0u64;
    let mut first = ctas.end;
    // CTAs of a kernel differ, but seldom near each other: some are asked, and stand for those around them.
    let mut stride = 1;
    while first > ctas.start && bytes < enough {
        let of_cta = asked(footprint, first - 1)?;
        let step = stride.min(first - ctas.start);
        // A CTA without accesses must not make this endless.
        bytes += step * of_cta.max(1);
        first -= step;
        stride = (stride * 2).min(enough.saturating_sub(bytes) / of_cta.max(LINE_BYTES) + 1);
    }
    Ok(first)
}

/// Whether the accesses of some of `ctas` of `kernel` replace what L2 held before.
///
/// # Errors
/// A trace that cannot be read.
pub fn replaces(kernel: &Kernel, ctas: Range<u64>, spec: &GpuSpec) -> Result<bool> {
    let start = ctas.start;
    Ok(first_of(&mut Footprint::new(kernel, spec), ctas, spec)? > start)
}

/// Bytes that all CTAs of `kernel` ask of L2, each sector once for a CTA, by one CTA from its middle.
///
/// # Errors
/// A trace that cannot be read.
pub fn traffic(kernel: &Kernel, spec: &GpuSpec) -> Result<f64> {
    let ctas = kernel.header.cta_count();
    let of_cta = asked(&mut Footprint::new(kernel, spec), ctas / 2)?;
    Ok(of_cta as f64 * ctas as f64)
}

/// Bytes that L2 took in while `run` ran, from DRAM or its other partition: each replaced another.
pub fn filled(run: &KernelRun) -> f64 {
    (run.counters.l2.fills * SECTOR_BYTES) as f64
}
