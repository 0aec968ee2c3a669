//! Records a run: what the warps execute, as streams of lowered instructions.

mod header;
mod recorder;

pub(in crate::ptx) use header::header;
use header::{copies, known_registers, own_copies};
pub use recorder::Recorder;

use super::ast::Module;
use super::exec::GLOBAL_BASE;
use super::launch::run::{Memory, Prepared, prepare};
use super::launch::{Application, Dump, Launch, Place, SLOTS, check};
use super::lower::{self, Machine};
use super::parse;
use crate::error::{Error, Result, input};
use crate::hash::ContentHash;
use crate::isa::{SASS_VERSIONS, known_sass_versions};
use crate::progress::Progress;
use crate::trace::lines::Lines;
use crate::trace::pgt::blocks::BlockWriter;
use crate::trace::pgt::hash::workload_hash;
use crate::trace::pgt::spool::{SPOOL_MEMORY_BYTES, Spool, SpoolSpace};
use crate::trace::pgt::stored::{Backing, StoredCtas};
use crate::trace::source::PTX;
use crate::trace::{Command, CtaSource, Kernel, KernelHeader, Workload};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a recording has to report besides the trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// PTX warp instructions executed.
    pub executed: u64,
    /// Whether a result was compared with a reference.
    pub verified: bool,
    /// Kernels that were run.
    pub kernels: u32,
    /// Checks that were made.
    pub checks: u32,
    /// Buffers that the launch file asks for, and the files that they are to be written to.
    pub dumps: Vec<(PathBuf, Vec<u8>)>,
    /// Wall time of the run, seconds.
    pub seconds: f64,
}

/// Runs the kernels of `ptx` as the launch file `launch` says, checks the results, and returns the trace.
///
/// # Errors
/// Anything wrong with the files, a kernel or its result, with the place.
pub fn record(
    ptx: &Path,
    launch: &Path,
    race_check: bool,
    threads: usize,
) -> Result<(Workload, Report)> {
    let application = Application::load(launch)?;
    let how = How {
        race_check,
        threads,
        memory_limit: None,
    };
    record_watched(ptx, &application, how, &Progress::default())
}

/// How kernels are executed.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Looks for races in shared memory.
    pub race_check: bool,
    /// Threads that execute CTAs.
    pub threads: usize,
    /// Bytes that the buffers may take; `None`: half of the host's memory.
    pub memory_limit: Option<u64>,
}

/// As [`record`], of a launch file that was read before; `progress` counts the CTAs that are done.
///
/// # Errors
/// As [`record`], and buffers that do not fit.
pub fn record_watched(
    ptx: &Path,
    application: &Application,
    how: How,
    progress: &Progress,
) -> Result<(Workload, Report)> {
    let bytes = input::bytes(ptx, input::MADE_MAX, "a PTX file")?;
    record_text(
        ptx,
        &String::from_utf8_lossy(&bytes),
        application,
        how,
        progress,
    )
}

/// As [`record_watched`], of PTX that is in memory; `ptx` is its name.
///
/// # Errors
/// As [`record_watched`].
pub fn record_text(
    ptx: &Path,
    text: &str,
    application: &Application,
    how: How,
    progress: &Progress,
) -> Result<(Workload, Report)> {
    let file = ptx.display().to_string();
    let module = parse(text).map_err(|e| {
        let text = e.to_string();
        let (place, what) = text.split_once(": ").unwrap_or(("", &text));
        Error::input(
            &file,
            place,
            what,
            "mend the PTX file, or report this as a fault of the parser",
        )
    })?;
    let subject = format!("{}: the launch", application.path.display());
    crate::memory_limit::check(&subject, application.memory(), how.memory_limit)?;
    let sm = architecture(&file, &module.target)?;
    let ctas = application.launches.iter().map(Launch::cta_count).sum();
    progress.total.store(ctas, Ordering::Relaxed);
    let slot = application
        .slot
        .unwrap_or_else(|| own_slot(text, application));
    let job = Job {
        ptx,
        text,
        file: &file,
        sm,
        shift: u64::from(slot) * SLOT_BYTES + FIRST_SLOT - GLOBAL_BASE,
        how,
        progress,
    };
    let mut report = Report::default();
    let mut memory = Memory::of(application)?;
    let mut commands = copies(&application.buffers, &memory, job.shift);
    for (id, launch) in (1..).zip(&application.launches) {
        memory = job.launch(&module, (id, launch), memory, &mut commands, &mut report)?;
    }
    report.dumps = dumps(application, &memory);
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let workload = Workload {
        source: format!(
            "{PTX}{} with {}",
            name(ptx).unwrap_or_default(),
            name(&application.path).unwrap_or_default()
        ),
        hash: workload_hash(&commands),
        commands,
        notes: notes(application),
        ..Workload::default()
    };
    Ok((workload, report))
}

/// What a reader of the trace should know.
fn notes(application: &Application) -> Vec<String> {
    let mut notes = vec![
        "lowered from PTX: instruction counts differ from those of ptxas, see validation/ptx_lowering.md"
            .to_owned(),
    ];
    if application.launches.iter().any(|launch| !launch.schedule) {
        notes
            .push("instructions in the order of the PTX file, which no compiler leaves".to_owned());
    }
    notes
}

/// Bytes of a slot of addresses.
const SLOT_BYTES: u64 = 1 << 36;
/// Where slots begin: behind all windows of the generic address space.
const FIRST_SLOT: u64 = 1 << 44;

/// A slot that only these files have, most likely.
fn own_slot(text: &str, application: &Application) -> u16 {
    let mut hash = ContentHash::of(text.as_bytes());
    for launch in &application.launches {
        let dims = launch.grid.iter().chain(&launch.block);
        dims.for_each(|&dim| hash.word(u64::from(dim)));
        hash.bytes(format!("{:?}", launch.args).as_bytes());
    }
    hash.bytes(format!("{:?}", application.buffers).as_bytes());
    (hash.value() % u128::from(SLOTS)) as u16
}

/// The buffers that the launch file asks for. What nobody wrote is zeros.
fn dumps(application: &Application, memory: &Memory) -> Vec<(PathBuf, Vec<u8>)> {
    let content = |dump: &Dump| {
        let number = match application.place(&dump.buffer)? {
            Place::Shared(number) => memory.shared.get(number).copied()?,
            Place::Argument(number) => memory.buffers.get(number).copied().flatten()?,
        };
        Some((dump.path.clone(), memory.global.content(number).to_vec()))
    };
    application.dumps.iter().filter_map(content).collect()
}

/// What all kernels of a recording have in common.
struct Job<'a> {
    ptx: &'a Path,
    text: &'a str,
    file: &'a str,
    sm: u16,
    shift: u64,
    how: How,
    progress: &'a Progress,
}

impl Job<'_> {
    /// Runs and checks one kernel; adds its copies and its launch to `commands`.
    fn launch(
        &self,
        module: &Module<'_>,
        (id, launch): (u32, &Launch),
        memory: Memory,
        commands: &mut Vec<Command>,
        report: &mut Report,
    ) -> Result<Memory> {
        let mut prepared = prepare(self.file, module, launch, memory)?;
        let name = &prepared.program.name;
        let registers = known_registers(self.file, self.ptx, launch, name, self.sm)?;
        if launch.schedule {
            prepared.schedule(self.sm, registers);
        }
        let machine = lower::lower(&prepared.flat, &prepared.program, self.sm);
        let known = (&machine, registers);
        let header = KernelHeader {
            id,
            ..header(self.ptx, launch, &prepared, known, self.sm)
        };
        commands.extend(own_copies(launch, &prepared, self.shift));
        let started = std::time::Instant::now();
        let (kernel, executed) = self.run(&mut prepared, machine, header)?;
        report.seconds += started.elapsed().as_secs_f64();
        report.executed += executed;
        check::verify(launch, &prepared)?;
        report.verified |= !launch.checks.is_empty();
        report.checks += launch.checks.len() as u32;
        report.kernels += 1;
        commands.push(Command::Launch(Box::new(kernel)));
        Ok(prepared.into_memory())
    }

    fn run(
        &self,
        prepared: &mut Prepared<'_>,
        machine: Machine,
        header: KernelHeader,
    ) -> Result<(Kernel, u64)> {
        let io = |e| Error::io(self.file, e);
        let space = SpoolSpace::new(SPOOL_MEMORY_BYTES);
        let mut writer = BlockWriter::new(Spool::new(&space), 1).map_err(io)?;
        let warps = header.warps_per_cta();
        let mut recorder = Recorder::new(&machine, warps, self.shift);
        let how = (self.how.race_check, self.how.threads);
        let executed = prepared.run(self.file, how, &mut recorder, |(cta, counts)| {
            self.progress.advance();
            writer.push(&cta, warps, counts).map_err(io)
        })?;
        let patterns = recorder.into_patterns().into_patterns();
        let name = self.ptx.file_name().unwrap_or_default();
        let lines = Lines::new(name.to_string_lossy().into(), machine.lines, self.text);
        let mut code = machine.code;
        code.patterns = patterns;
        let (spool, body) = writer.finish().map_err(io)?;
        let cache = spool.cache();
        let stored = StoredCtas::new(
            self.file.to_owned(),
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
            lines: Some(Arc::new(lines)),
            layer: None,
            reason: None,
            roofline_s: None,
        };
        Ok((kernel, executed))
    }
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
