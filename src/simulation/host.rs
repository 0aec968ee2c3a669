//! Between two quanta: commands in program order, kernels on and off the chip, and what stops a run.

mod code;
mod state;
mod throttle;

use super::checkpoint::Keeper;
use super::throttle::Clocks;
use super::timeline::{CtaSpan, Timeline};
use super::{KernelRun, Options, Provenance, Stopped};
use crate::config::GpuSpec;
use crate::cta_scheduler::{CtaScheduler, Finished};
use crate::engine::Cycle;
use crate::error::{Error, Result};
use crate::gpu::{ChipCounters, ChipStage, Gpu, Quantum};
use crate::mem::space::Window;
use crate::occupancy::Occupancy;
use crate::probe::{KernelStart, Probe};
use crate::sm::{CtaDone, CtaStart, Launched};
use crate::trace::{Command, Kernel, Workload};
use std::sync::atomic::Ordering;
pub(super) use throttle::Throttle;

struct Running {
    program: u8,
    kernel: usize,
    stream: u64,
    before: ChipCounters,
    finished: Option<Cycle>,
}

/// Everything that only the host side touches.
pub(super) struct Host<'a> {
    spec: &'a GpuSpec,
    options: &'a Options<'a>,
    commands: Vec<Command>,
    /// The first of them that was not taken yet.
    next_command: usize,
    scheduler: CtaScheduler,
    running: Vec<Running>,
    pub(super) kernels: Vec<KernelRun>,
    /// Kernels whose code has its place, as commands, and the first line of it.
    codes: Vec<(usize, u64)>,
    next_code_line: u64,
    /// Where the constants of the next launch will lie, bytes.
    next_constant: u64,
    now: Cycle,
    quantum: Quantum,
    starts: Vec<(usize, CtaStart)>,
    finished: Vec<Finished>,
    watched: (u64, Cycle),
    pub(super) timeline: Timeline,
    pub(super) memcpys: u64,
    pub(super) stopped: Option<Stopped>,
    pub(super) error: Option<Error>,
    pub(super) quanta: u64,
    /// Number of the quantum that is over.
    pub(super) last_quantum: u64,
    /// Begin of the first quantum that was not run.
    pub(super) ended_at: Cycle,
    ctas_done: u64,
    keeper: Option<Keeper<'a>>,
    pub(super) throttle: Throttle<'a>,
    /// Wall time of the run before this process, seconds.
    pub(super) earlier_s: f64,
}

impl<'a> Host<'a> {
    pub(super) fn new(workload: &Workload, spec: &'a GpuSpec, options: &'a Options<'a>) -> Self {
        let wanted = |c: &&Command| match (c, &options.kernel) {
            (Command::Launch(k), Some(regex)) => regex.is_match(&k.header.name),
            _ => true,
        };
        Host {
            spec,
            options,
            commands: workload.commands.iter().filter(wanted).cloned().collect(),
            next_command: 0,
            scheduler: CtaScheduler::new(spec),
            running: Vec::new(),
            kernels: Vec::new(),
            codes: Vec::new(),
            next_code_line: Window::Code.base() / u64::from(spec.fetch.line_bytes),
            next_constant: Window::Constants.base(),
            now: 0,
            quantum: Quantum::default(),
            starts: Vec::new(),
            finished: Vec::new(),
            watched: (0, 0),
            timeline: Timeline::new(options.timeline, options.cta_times),
            memcpys: 0,
            stopped: None,
            error: None,
            quanta: 0,
            last_quantum: 0,
            ended_at: 0,
            ctas_done: 0,
            keeper: options
                .checkpoint
                .as_ref()
                .map(|c| Keeper::new(c, workload, options)),
            throttle: Throttle::new(Clocks::Configured),
            earlier_s: 0.0,
        }
    }

    /// Everything between two quanta. `last` is the number of the quantum that is over (or the next
    /// one, before the first). Returns the quantum to run next, or nothing when the run is over.
    pub(super) fn between<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        programs: &mut Vec<Launched>,
        last: u64,
    ) -> Option<u64> {
        let mut next = if self.quanta == 0 { last } else { last + 1 };
        self.last_quantum = last;
        self.ended_at = next * gpu.quantum();
        if self.quanta > 0 {
            gpu.run_alone(last);
        }
        gpu.report(&mut self.quantum);
        if let Some(error) = self.quantum.error.take() {
            self.error = Some(error);
            return None;
        }
        self.ctas_done += self.quantum.done.len() as u64;
        for at in 0..self.quantum.done.len() {
            let done = self.quantum.done[at];
            self.scheduler.ended(done);
            self.note_cta(&done);
        }
        match self.turn(gpu, programs, next) {
            Ok(turned) => next = turned,
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        }
        let begin = next * gpu.quantum();
        let over = self.running.is_empty() && self.next_command == self.commands.len();
        if over || self.stopped.is_some() {
            return None;
        }
        if self.must_stop(gpu, programs, begin) {
            return None;
        }
        let warps = self.quantum.resident_warps;
        self.timeline.sample(begin, warps, || gpu.sample(begin));
        self.quanta += 1;
        let next = self.skip_idle(gpu, next);
        self.throttle.goes_on(gpu, next * gpu.quantum());
        Some(next)
    }

    /// The next quantum in which anything can happen.
    fn skip_idle<P: Probe + Sync, S: ChipStage>(&self, gpu: &Gpu<P, S>, next: u64) -> u64 {
        if self.quantum.active || !self.starts.is_empty() || self.options.no_skip {
            return next;
        }
        let at = self.scheduler.next_at();
        let lead =
            Cycle::from(self.spec.launch.cta_start).min(Cycle::from(self.spec.launch.cta_end));
        match at {
            Cycle::MAX => next,
            at => next.max(at.saturating_sub(lead) / gpu.quantum()),
        }
    }

    fn note_cta(&mut self, done: &CtaDone) {
        if !self.timeline.wanted() {
            return;
        }
        if let Some(running) = self.running.iter().find(|r| r.program == done.program) {
            self.timeline.cta(CtaSpan {
                kernel: running.kernel,
                cta: done.cta,
                sm: done.sm.0,
                span: (done.started, done.at),
            });
        }
    }

    fn launch_and_retire<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
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
            if self.after_kernels(gpu, begin)? {
                return Ok(());
            }
            self.keep(gpu)?;
            if self.stopped.is_some() {
                return Ok(());
            }
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
    fn launch<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        programs: &mut Vec<Launched>,
        begin: Cycle,
    ) -> Result<()> {
        self.before_launch(gpu, begin)?;
        while let Some(command) = self.commands.get(self.next_command) {
            match command {
                Command::MemcpyHtoD { address, bytes } => {
                    if !self.running.is_empty() {
                        return Ok(());
                    }
                    if self.spec.l2.memcpy_fills {
                        gpu.preload(*address, *bytes, false);
                    }
                    self.memcpys += 1;
                    self.next_command += 1;
                }
                Command::Launch(kernel) => {
                    let most = usize::from(self.spec.launch.concurrent_kernels_max);
                    let stream = kernel.header.stream;
                    if self.running.len() >= most || self.running.iter().any(|r| r.stream == stream)
                    {
                        return Ok(());
                    }
                    let kernel = (**kernel).clone();
                    self.next_command += 1;
                    self.launch_kernel(kernel, gpu, programs, begin)?;
                }
            }
        }
        Ok(())
    }

    fn launch_kernel<P: Probe + Sync, S: ChipStage>(
        &mut self,
        kernel: Kernel,
        gpu: &Gpu<P, S>,
        programs: &mut Vec<Launched>,
        begin: Cycle,
    ) -> Result<()> {
        let occupancy = Occupancy::new(&kernel.header, self.spec)?;
        let ctas = kernel.header.cta_count();
        let stream = kernel.header.stream;
        let gap = Cycle::from(self.spec.launch.stream_gap);
        let before = self.kernels.iter().rfind(|k| k.header.stream == stream);
        let start = before.map_or(self.now, |k| self.now.max(k.end + gap));
        let slot = (0..programs.len())
            .find(|slot| self.running.iter().all(|r| usize::from(r.program) != *slot))
            .unwrap_or(programs.len());
        let launched = self.upload(&kernel, gpu);
        let started = KernelStart {
            kernel: self.kernels.len(),
            program: slot as u8,
            alone: self.running.is_empty(),
            insts: &kernel.code.insts,
        };
        gpu.start_kernel(&started, occupancy.carveout_bytes, start);
        let control_bits = kernel.code.insts.iter().any(|i| i.control.is_some());
        match programs.get_mut(slot) {
            Some(old) => *old = launched,
            None => programs.push(launched),
        }
        let earliest = begin.saturating_sub(Cycle::from(self.spec.launch.cta_start));
        let first = (start + Cycle::from(self.spec.launch.kernel_start)).max(earliest);
        self.scheduler.add(slot as u8, occupancy, ctas, first);
        let overlapped = !self.running.is_empty();
        let before = gpu.counters(if overlapped { begin } else { start }, true);
        if !overlapped {
            self.starts_alone(gpu, start, &before);
        }
        for other in &self.running {
            self.kernels[other.kernel].overlapped = true;
        }
        self.running.push(Running {
            program: slot as u8,
            kernel: self.kernels.len(),
            stream: kernel.header.stream,
            before,
            finished: None,
        });
        self.kernels.push(KernelRun {
            unknown: kernel.code.unknown.clone(),
            header: kernel.header,
            layer: kernel.layer,
            reason: kernel.reason,
            start,
            end: start,
            warp_instructions: 0,
            thread_instructions: 0,
            occupancy,
            counters: ChipCounters::default(),
            overlapped,
            partial: false,
            control_bits,
            provenance: Provenance::FULL,
            power: None,
        });
        Ok(())
    }

    /// Ends kernels whose last CTA has ended; alone on the chip a kernel also waits for its stores.
    /// True when one ended.
    fn retire<P: Probe + Sync, S: ChipStage>(&mut self, gpu: &Gpu<P, S>, begin: Cycle) -> bool {
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

    fn close<P: Probe + Sync, S: ChipStage>(
        &mut self,
        running: &Running,
        end: Cycle,
        counted_to: Cycle,
        gpu: &Gpu<P, S>,
    ) {
        let counts = gpu.take_program_counts(usize::from(running.program));
        let run = &mut self.kernels[running.kernel];
        run.end = end;
        (run.warp_instructions, run.thread_instructions) = counts;
        run.counters = gpu.counters(counted_to, true).since(&running.before);
    }

    fn must_stop<P: Probe + Sync, S: ChipStage>(
        &mut self,
        gpu: &Gpu<P, S>,
        programs: &[Launched],
        begin: Cycle,
    ) -> bool {
        if let Some(progress) = self.options.progress {
            progress.store(self.ctas_done, Ordering::Relaxed);
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
}
