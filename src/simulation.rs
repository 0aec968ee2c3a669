//! The host side of a run: commands in program order, kernels on the chip, threads, and what stops a
//! run.

use crate::config::GpuSpec;
use crate::cta_scheduler::{CtaScheduler, Finished};
use crate::engine::{Cycle, Team};
use crate::error::{Error, Result};
use crate::gpu::{ChipCounters, Gpu, Quantum};
use crate::mem::LINE_BYTES;
use crate::occupancy::Occupancy;
use crate::probe::Probe;
use crate::sm::{CtaStart, Launched, Program};
use crate::trace::{Command, Kernel, KernelHeader, Workload};
use regex::Regex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Instant;

/// How to run.
pub struct Options<'a> {
    /// Threads, at least one.
    pub threads: usize,
    /// Stop after this many core cycles.
    pub max_cycles: Option<Cycle>,
    /// Visit every cycle.
    pub no_skip: bool,
    /// Only kernels whose name matches.
    pub kernel: Option<Regex>,
    /// Set from outside to stop the run with what there is.
    pub stop: Option<&'a AtomicBool>,
    /// Cycles done, for a progress display.
    pub progress: Option<&'a AtomicU64>,
    /// Record a timeline with samples this many cycles apart.
    pub timeline: Option<Cycle>,
    /// Cycles without progress after which the run is declared stuck.
    pub watchdog_cycles: Cycle,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            threads: 1,
            max_cycles: None,
            no_skip: false,
            kernel: None,
            stop: None,
            progress: None,
            timeline: None,
            watchdog_cycles: 4_000_000,
        }
    }
}

/// Why a run ended before its workload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// `--max-cycles`.
    MaxCycles,
    /// Interrupted by the user.
    Interrupted,
}

/// One kernel's run.
#[derive(Clone, Debug)]
pub struct KernelRun {
    /// Launch.
    pub header: KernelHeader,
    /// Start, as a profiler sees it.
    pub start: Cycle,
    /// End.
    pub end: Cycle,
    /// Warp instructions of this kernel.
    pub warp_instructions: u64,
    /// Thread instructions of this kernel.
    pub thread_instructions: u64,
    /// Occupancy.
    pub occupancy: Occupancy,
    /// Counters from start to end; with overlapping kernels those of all that ran meanwhile.
    pub counters: ChipCounters,
    /// Another kernel ran at the same time.
    pub overlapped: bool,
    /// It did not end.
    pub partial: bool,
    /// Mnemonics that the opcode table does not know, with dynamic counts.
    pub unknown: Vec<(String, u64)>,
    /// The code has control bits.
    pub control_bits: bool,
}

/// One sample of the timeline.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Cycle.
    pub at: Cycle,
    /// Counters so far.
    pub counters: ChipCounters,
    /// Resident warps.
    pub warps: u32,
}

/// A CTA's life, for the timeline.
#[derive(Clone, Copy, Debug)]
pub struct CtaSpan {
    /// Kernel, as an index into the run's kernels.
    pub kernel: usize,
    /// CTA number.
    pub cta: u64,
    /// SM.
    pub sm: u16,
    /// First and last cycle.
    pub span: (Cycle, Cycle),
}

/// What a run left.
pub struct RunResult<P> {
    /// Kernels in order of start.
    pub kernels: Vec<KernelRun>,
    /// Core cycles of the whole run.
    pub cycles: Cycle,
    /// Why it ended early, if it did.
    pub stopped: Option<Stopped>,
    /// Wall time of the simulation proper, seconds.
    pub wall_s: f64,
    /// Cycles visited quantum by quantum, for rates.
    pub quanta: u64,
    /// Samples.
    pub samples: Vec<Sample>,
    /// CTAs.
    pub ctas: Vec<CtaSpan>,
    /// Host copies.
    pub memcpys: u64,
    /// What was observed.
    pub probe: P,
}

struct Running {
    program: u8,
    kernel: usize,
    stream: u64,
    before: ChipCounters,
    finished: Option<Cycle>,
}

/// Everything that only the host side touches.
struct Host<'a> {
    spec: &'a GpuSpec,
    options: &'a Options<'a>,
    queue: VecDeque<Command>,
    scheduler: CtaScheduler,
    running: Vec<Running>,
    kernels: Vec<KernelRun>,
    codes: Vec<(Kernel, u64)>,
    next_code_line: u64,
    launches: u64,
    now: Cycle,
    quantum: Quantum,
    starts: Vec<(usize, CtaStart)>,
    finished: Vec<Finished>,
    watched: (u64, Cycle),
    samples: Vec<Sample>,
    next_sample: Cycle,
    ctas: Vec<CtaSpan>,
    memcpys: u64,
    stopped: Option<Stopped>,
    error: Option<Error>,
    quanta: u64,
}

/// Line numbers of code and constants lie above all data.
const CODE_LINES: u64 = 1 << 41;
const CONST_LINES: u64 = 1 << 42;
/// Room for the parameters and constants of a launch.
const CONST_LINES_PER_LAUNCH: u64 = 8;

/// Runs `workload` on `spec`.
///
/// # Errors
/// A kernel that does not fit, a trace that cannot be read, a machine that makes no progress.
pub fn run<P: Probe + Sync>(
    workload: &Workload,
    spec: &GpuSpec,
    options: &Options,
) -> Result<RunResult<P>> {
    let begun = Instant::now();
    let gpu = Gpu::<P>::new(spec, options.threads);
    let programs = RwLock::new(Vec::new());
    let host = Mutex::new(Host::new(workload, spec, options));
    let team = Team::new(options.threads);
    let index = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let work = |thread: usize| {
        let _member = team.join();
        loop {
            team.barrier(|| {
                gpu.begin_phase_a();
                let mut host = host.lock().unwrap_or_else(|e| e.into_inner());
                let mut programs = programs.write().unwrap_or_else(|e| e.into_inner());
                match host.between(&gpu, &mut programs, index.load(Ordering::Relaxed)) {
                    Some(next) => index.store(next, Ordering::Relaxed),
                    None => over.store(true, Ordering::Relaxed),
                }
            });
            if over.load(Ordering::Relaxed) {
                return;
            }
            let programs = programs.read().unwrap_or_else(|e| e.into_inner());
            gpu.phase_a(
                thread,
                index.load(Ordering::Relaxed),
                &programs,
                options.no_skip,
            );
            drop(programs);
            team.barrier(|| gpu.begin_phase_b());
            gpu.phase_b(thread);
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        for thread in 1..team.threads() {
            scope.spawn(move || work(thread));
        }
        work(0);
    });
    let host = host.into_inner().unwrap_or_else(|e| e.into_inner());
    if let Some(error) = host.error {
        return Err(error);
    }
    Ok(RunResult {
        cycles: host.kernels.iter().map(|k| k.end).max().unwrap_or(0),
        kernels: host.kernels,
        stopped: host.stopped,
        wall_s: begun.elapsed().as_secs_f64(),
        quanta: host.quanta,
        samples: host.samples,
        ctas: host.ctas,
        memcpys: host.memcpys,
        probe: gpu.into_probe(),
    })
}

impl<'a> Host<'a> {
    fn new(workload: &Workload, spec: &'a GpuSpec, options: &'a Options<'a>) -> Self {
        let wanted = |c: &&Command| match (c, &options.kernel) {
            (Command::Launch(k), Some(regex)) => regex.is_match(&k.header.name),
            _ => true,
        };
        Host {
            spec,
            options,
            queue: workload.commands.iter().filter(wanted).cloned().collect(),
            scheduler: CtaScheduler::new(spec),
            running: Vec::new(),
            kernels: Vec::new(),
            codes: Vec::new(),
            next_code_line: CODE_LINES,
            launches: 0,
            now: 0,
            quantum: Quantum::default(),
            starts: Vec::new(),
            finished: Vec::new(),
            watched: (0, 0),
            samples: Vec::new(),
            next_sample: 0,
            ctas: Vec::new(),
            memcpys: 0,
            stopped: None,
            error: None,
            quanta: 0,
        }
    }

    /// Everything between two quanta. `last` is the number of the quantum that is over (or the next
    /// one, before the first). Returns the quantum to run next, or nothing when the run is over.
    fn between<P: Probe + Sync>(
        &mut self,
        gpu: &Gpu<P>,
        programs: &mut Vec<Launched>,
        last: u64,
    ) -> Option<u64> {
        let next = if self.quanta == 0 { last } else { last + 1 };
        let begin = next * gpu.quantum();
        gpu.report(&mut self.quantum);
        if let Some(error) = self.quantum.error.take() {
            self.error = Some(error);
            return None;
        }
        for at in 0..self.quantum.done.len() {
            let done = self.quantum.done[at];
            self.scheduler.ended(done);
            self.note_cta(&done);
        }
        if let Err(error) = self.launch_and_retire(gpu, programs, begin) {
            self.error = Some(error);
            return None;
        }
        if self.running.is_empty() && self.queue.is_empty() {
            return None;
        }
        if self.must_stop(gpu, programs, begin) {
            return None;
        }
        self.sample(gpu, begin);
        self.quanta += 1;
        Some(self.skip_idle(gpu, next))
    }

    /// The next quantum in which anything can happen.
    fn skip_idle<P: Probe + Sync>(&self, gpu: &Gpu<P>, next: u64) -> u64 {
        if self.quantum.active || !self.starts.is_empty() || self.options.no_skip {
            return next;
        }
        let at = self.scheduler.next_at();
        let lead =
            Cycle::from(self.spec.launch.cta_start).min(Cycle::from(self.spec.launch.cta_end));
        if at == Cycle::MAX {
            next
        } else {
            next.max(at.saturating_sub(lead) / gpu.quantum())
        }
    }

    fn note_cta(&mut self, done: &crate::sm::CtaDone) {
        if self.options.timeline.is_none() {
            return;
        }
        if let Some(running) = self.running.iter().find(|r| r.program == done.program) {
            self.ctas.push(CtaSpan {
                kernel: running.kernel,
                cta: done.cta,
                sm: done.sm.0,
                span: (done.started, done.at),
            });
        }
    }

    fn launch_and_retire<P: Probe + Sync>(
        &mut self,
        gpu: &Gpu<P>,
        programs: &mut Vec<Launched>,
        begin: Cycle,
    ) -> Result<()> {
        self.launch(gpu, programs, begin)?;
        self.starts.clear();
        self.scheduler
            .run(begin, &mut self.starts, &mut self.finished);
        for finished in self.finished.drain(..) {
            let running = self
                .running
                .iter_mut()
                .find(|r| r.program == finished.program);
            if let Some(running) = running {
                running.finished = Some(finished.at);
            }
        }
        if self.retire(gpu, begin) {
            self.launch(gpu, programs, begin)?;
            self.scheduler
                .run(begin, &mut self.starts, &mut self.finished);
        }
        for (sm, start) in &self.starts {
            gpu.start_cta(*sm, *start);
        }
        Ok(())
    }

    /// Takes commands from the queue as long as they may start.
    fn launch<P: Probe + Sync>(
        &mut self,
        gpu: &Gpu<P>,
        programs: &mut Vec<Launched>,
        begin: Cycle,
    ) -> Result<()> {
        while let Some(command) = self.queue.front() {
            match command {
                Command::MemcpyHtoD { address, bytes } => {
                    if !self.running.is_empty() {
                        return Ok(());
                    }
                    if self.spec.l2.memcpy_fills {
                        gpu.preload(*address, *bytes, false);
                    }
                    self.memcpys += 1;
                    self.queue.pop_front();
                }
                Command::Launch(kernel) => {
                    let most = usize::from(self.spec.launch.concurrent_kernels_max);
                    let stream = kernel.header.stream;
                    if self.running.len() >= most || self.running.iter().any(|r| r.stream == stream)
                    {
                        return Ok(());
                    }
                    let kernel = (**kernel).clone();
                    self.queue.pop_front();
                    self.launch_kernel(kernel, gpu, programs, begin)?;
                }
            }
        }
        Ok(())
    }

    fn launch_kernel<P: Probe + Sync>(
        &mut self,
        kernel: Kernel,
        gpu: &Gpu<P>,
        programs: &mut Vec<Launched>,
        begin: Cycle,
    ) -> Result<()> {
        let occupancy = Occupancy::new(&kernel.header, self.spec)?;
        let ctas = kernel.header.cta_count();
        let start = self.now;
        if self.running.is_empty() {
            gpu.begin_kernel(occupancy.carveout_bytes);
        }
        let slot = (0..programs.len())
            .find(|slot| self.running.iter().all(|r| usize::from(r.program) != *slot))
            .unwrap_or(programs.len());
        let (code_line, lines, new) = self.code_line(&kernel);
        self.launches += 1;
        let const_line = CONST_LINES + self.launches * CONST_LINES_PER_LAUNCH;
        if self.spec.l2.memcpy_fills {
            // The driver uploads code once and parameters with every launch, like any host copy.
            if new {
                gpu.preload(code_line * LINE_BYTES, lines * LINE_BYTES, true);
            }
            gpu.preload(
                const_line * LINE_BYTES,
                CONST_LINES_PER_LAUNCH * LINE_BYTES,
                true,
            );
        }
        let launched = Launched {
            program: Program::new(&kernel.code, self.spec),
            code_line,
            const_line,
            kernel: kernel.clone(),
        };
        let control_bits = kernel.code.insts.iter().any(|i| i.control.is_some());
        match programs.get_mut(slot) {
            Some(old) => *old = launched,
            None => programs.push(launched),
        }
        let earliest = begin.saturating_sub(Cycle::from(self.spec.launch.cta_start));
        let first = (start + Cycle::from(self.spec.launch.kernel_start)).max(earliest);
        self.scheduler.add(slot as u8, occupancy, ctas, first);
        let overlapped = !self.running.is_empty();
        for other in &self.running {
            self.kernels[other.kernel].overlapped = true;
        }
        self.running.push(Running {
            program: slot as u8,
            kernel: self.kernels.len(),
            stream: kernel.header.stream,
            before: gpu.counters(if overlapped { begin } else { start }, true),
            finished: None,
        });
        self.kernels.push(KernelRun {
            unknown: kernel.code.unknown.clone(),
            header: kernel.header,
            start,
            end: start,
            warp_instructions: 0,
            thread_instructions: 0,
            occupancy,
            counters: ChipCounters::default(),
            overlapped,
            partial: false,
            control_bits,
        });
        Ok(())
    }

    /// The address of a kernel's code: the same code keeps its place from launch to launch.
    /// Returns its first line, its lines, and whether it is new.
    fn code_line(&mut self, kernel: &Kernel) -> (u64, u64, bool) {
        let same =
            |k: &Kernel| k.header.name == kernel.header.name && k.code.insts == kernel.code.insts;
        if let Some((_, line)) = self.codes.iter().find(|(k, _)| same(k)) {
            return (*line, 0, false);
        }
        let line = self.next_code_line;
        let end = kernel.code.insts.iter().map(|i| i.pc).max().unwrap_or(0);
        let lines = u64::from(end / self.spec.fetch.line_bytes) + 1;
        self.next_code_line += lines + 1;
        self.codes.push((kernel.clone(), line));
        (line, lines, true)
    }

    /// Ends kernels whose last CTA has ended; alone on the chip a kernel also waits for its stores.
    /// True when one ended.
    fn retire<P: Probe + Sync>(&mut self, gpu: &Gpu<P>, begin: Cycle) -> bool {
        let mut ended = false;
        for at in (0..self.running.len()).rev() {
            let Some(finished) = self.running[at].finished else {
                continue;
            };
            let alone = self.running.len() == 1;
            if alone && !gpu.quiet() {
                continue;
            }
            let drained = if alone {
                gpu.last_reply().max(finished)
            } else {
                finished
            };
            let end = drained + Cycle::from(self.spec.launch.kernel_end);
            let running = self.running.remove(at);
            self.close(&running, end, if alone { end } else { begin }, gpu);
            self.now = self.now.max(end);
            ended = true;
        }
        ended
    }

    fn close<P: Probe + Sync>(
        &mut self,
        running: &Running,
        end: Cycle,
        counted_to: Cycle,
        gpu: &Gpu<P>,
    ) {
        let counts = gpu.take_program_counts(usize::from(running.program));
        let run = &mut self.kernels[running.kernel];
        run.end = end;
        (run.warp_instructions, run.thread_instructions) = counts;
        run.counters = gpu.counters(counted_to, true).since(&running.before);
    }

    fn must_stop<P: Probe + Sync>(
        &mut self,
        gpu: &Gpu<P>,
        programs: &[Launched],
        begin: Cycle,
    ) -> bool {
        if let Some(progress) = self.options.progress {
            progress.store(begin, Ordering::Relaxed);
        }
        let interrupted = self.options.stop.is_some_and(|s| s.load(Ordering::Relaxed));
        if interrupted || self.options.max_cycles.is_some_and(|most| begin >= most) {
            self.stopped = Some(match interrupted {
                true => Stopped::Interrupted,
                false => Stopped::MaxCycles,
            });
            for running in std::mem::take(&mut self.running) {
                self.kernels[running.kernel].partial = true;
                let end = begin.max(self.kernels[running.kernel].start);
                self.close(&running, end, end, gpu);
            }
            return true;
        }
        if self.quantum.progress != self.watched.0 || self.quantum.resident_warps == 0 {
            self.watched = (self.quantum.progress, begin);
        } else if begin - self.watched.1 > self.options.watchdog_cycles {
            let mut lines = gpu.wait_graph(programs);
            let more = lines.len().saturating_sub(40);
            lines.truncate(40);
            self.error = Some(Error::Run(format!(
                "no instruction issued for {} cycles, up to cycle {begin}; what waits for what:\n{}{}",
                self.options.watchdog_cycles,
                lines.join("\n"),
                if more > 0 {
                    format!("\n... and {more} more")
                } else {
                    String::new()
                }
            )));
            return true;
        }
        false
    }

    fn sample<P: Probe + Sync>(&mut self, gpu: &Gpu<P>, begin: Cycle) {
        let Some(interval) = self.options.timeline else {
            return;
        };
        if begin >= self.next_sample {
            self.next_sample = begin + interval;
            let counters = gpu.counters(begin, false);
            self.samples.push(Sample {
                at: begin,
                counters,
                warps: self.quantum.resident_warps,
            });
        }
    }
}
