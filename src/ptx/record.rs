//! Records a run: what the warps execute, as streams of lowered instructions.

mod header;

use header::{copies, header};

use super::exec::WINDOW_BYTES;
use super::exec::observe::{Observer, Parallel};
use super::exec::regs::Lanes;
use super::launch::run::Prepared;
use super::launch::{Launch, check};
use super::lower::{self, Machine, Span};
use super::parse;
use crate::error::{Error, Result, input};
use crate::isa::{MemKind, MemSpace, SASS_VERSIONS, StaticInst, known_sass_versions};
use crate::progress::Progress;
use crate::trace::pgt::blocks::BlockWriter;
use crate::trace::pgt::hash::workload_hash;
use crate::trace::pgt::spool::{SPOOL_MEMORY_BYTES, Spool, SpoolSpace};
use crate::trace::pgt::stored::{Backing, StoredCtas};
use crate::trace::source::PTX;
use crate::trace::stream::{ChunkExtent, EncodedCta};
use crate::trace::{
    Command, CtaEncoder, CtaSource, Kernel, KernelHeader, LanePattern, PatternId, PatternTable,
    Workload,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a recording has to report besides the trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// PTX warp instructions executed.
    pub executed: u64,
    /// Whether the result was compared with a reference.
    pub verified: bool,
    /// Wall time of the run, seconds.
    pub seconds: f64,
}

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
}

impl<'a> Recorder<'a> {
    fn new(machine: &'a Machine, warps: u32) -> Self {
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
        }
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
                    list[count] = match space {
                        // The place in the thread's own memory, as NVBit has it.
                        MemSpace::Local => address.wrapping_add(step) % WINDOW_BYTES,
                        _ => address.wrapping_add(step),
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

/// Runs the kernel of `ptx` as `launch` says, checks the result, and returns the trace.
///
/// # Errors
/// Anything wrong with the files, the kernel or its result, with the place.
pub fn record(
    ptx: &Path,
    launch: &Path,
    race_check: bool,
    threads: usize,
) -> Result<(Workload, Report)> {
    record_watched(ptx, launch, race_check, threads, None, &Progress::default())
}

/// As [`record`]; its buffers may take `memory_limit` bytes, by default half of the host's memory, and `progress`
/// counts the CTAs that are done.
///
/// # Errors
/// As [`record`], and buffers that do not fit.
pub fn record_watched(
    ptx: &Path,
    launch: &Path,
    race_check: bool,
    threads: usize,
    memory_limit: Option<u64>,
    progress: &Progress,
) -> Result<(Workload, Report)> {
    let file = ptx.display().to_string();
    let bytes = input::bytes(ptx, input::MADE_MAX, "a PTX file")?;
    let text = String::from_utf8_lossy(&bytes);
    let module = parse(&text).map_err(|e| {
        let text = e.to_string();
        let (place, what) = text.split_once(": ").unwrap_or(("", &text));
        Error::input(
            &file,
            place,
            what,
            "mend the PTX file, or report this as a fault of the parser",
        )
    })?;
    let launch = Launch::load(launch)?;
    let subject = format!("{}: the launch", launch.path.display());
    crate::memory_limit::check(&subject, launch.memory(), memory_limit)?;
    let mut prepared = super::launch::run::prepare(&file, &module, &launch)?;
    let sm = architecture(&file, &module.target)?;
    let machine = lower::lower(&prepared.flat, &prepared.program, sm);
    let header = header(&file, ptx, &launch, &prepared, &machine, sm)?;
    let copies = copies(&launch, &prepared);
    progress.total.store(header.cta_count(), Ordering::Relaxed);
    let started = std::time::Instant::now();
    let how = (race_check, threads);
    let (kernel, executed) = run(&file, &mut prepared, machine, header, how, progress)?;
    let seconds = started.elapsed().as_secs_f64();
    check::verify(&launch, &prepared)?;
    let mut commands = copies;
    commands.push(Command::Launch(Box::new(kernel)));
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let workload = Workload {
        source: format!(
            "{PTX}{} with {}",
            name(ptx).unwrap_or_default(),
            name(&launch.path).unwrap_or_default()
        ),
        hash: workload_hash(&commands),
        commands,
        notes: vec![
            "lowered from PTX: instruction counts differ from those of ptxas, see validation/ptx_lowering.md"
                .to_owned(),
        ],
        ..Workload::default()
    };
    let report = Report {
        executed,
        verified: launch.check.is_some(),
        seconds,
    };
    Ok((workload, report))
}

/// SASS version of a `.target` such as `sm_90a` in `file`.
fn architecture(file: &str, target: &[&str]) -> Result<u16> {
    let digits = target.iter().find_map(|t| t.strip_prefix("sm_"));
    let digits = digits
        .unwrap_or("")
        .trim_end_matches(|c: char| !c.is_ascii_digit());
    match digits.parse() {
        Ok(sm) if SASS_VERSIONS.contains(&sm) => Ok(sm),
        _ => Err(Error::input(
            file,
            ".target",
            format!("{} names no architecture", target.join(", ")),
            format!("known are sm_ and one of {}", known_sass_versions()),
        )),
    }
}

fn run(
    file: &str,
    prepared: &mut Prepared<'_>,
    machine: Machine,
    header: KernelHeader,
    how: (bool, usize),
    progress: &Progress,
) -> Result<(Kernel, u64)> {
    let io = |e| Error::io(file, e);
    let space = SpoolSpace::new(SPOOL_MEMORY_BYTES);
    let mut writer = BlockWriter::new(Spool::new(&space), 1).map_err(io)?;
    let warps = header.warps_per_cta();
    let mut recorder = Recorder::new(&machine, warps);
    let executed = prepared.run(file, how, &mut recorder, |(cta, counts)| {
        progress.advance();
        writer.push(&cta, warps, counts).map_err(io)
    })?;
    let patterns = match Arc::try_unwrap(recorder.patterns) {
        Ok(table) => table.into_patterns(),
        Err(shared) => shared.patterns().to_vec(),
    };
    let mut code = machine.code;
    code.patterns = patterns;
    let (spool, body) = writer.finish().map_err(io)?;
    let cache = spool.cache();
    let stored = StoredCtas::new(
        file.to_owned(),
        Backing::Spool(spool),
        0,
        body.frames,
        None,
        &cache,
    );
    let kernel = Kernel {
        header,
        code: Arc::new(code),
        ctas: CtaSource::File(Arc::new(stored)),
        totals: Some(body.totals),
        layer: None,
        reason: None,
        roofline_s: None,
    };
    Ok((kernel, executed))
}
