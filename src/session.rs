//! The one way to run: a configuration, the inputs, a run, its report.
//!
//! The command line, the micro-benchmark suite, benches and tests all go through here, so that an input is
//! opened in one place and a report is made in one place.

use crate::config::{self, Resolved};
use crate::error::{Error, Result};
use crate::probe::{NoProbe, Probe};
use crate::report::Report;
use crate::simulation::{self, Options, RunResult};
use crate::trace::Workload;

/// Version of the machine's behaviour. It rises with every change that moves a number of a report of any
/// configuration; `validation/golden` proves that it did.
pub const MODEL_VERSION: u32 = 2;

/// A checked machine, ready to run workloads.
///
/// ```
/// use phantom_gpu::session::Session;
/// use phantom_gpu::simulation::Options;
///
/// let session = Session::new("v100", &["l2.ways=8"])?;
/// let workload = session.open(&["synth:copy?bytes=64KiB"])?;
/// let outcome = session.run(&workload, &Options::default())?;
/// assert!(outcome.report.kernels[0].cycles > 0);
/// # Ok::<(), phantom_gpu::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    config: Resolved,
}

/// What a run left: its report, and what the report was made of.
pub struct Outcome<P> {
    /// The report.
    pub report: Report,
    /// Kernels with their counters, timeline, probe.
    pub run: RunResult<P>,
}

impl Session {
    /// The machine `gpu` (a built-in name or a TOML file), changed by `sets` (`key=value`).
    ///
    /// # Errors
    /// An unknown GPU, an unreadable file, or every fault of the configuration.
    pub fn new<S: AsRef<str>>(gpu: &str, sets: &[S]) -> Result<Self> {
        let sets: Vec<String> = sets.iter().map(|s| s.as_ref().to_owned()).collect();
        Ok(Self::of(config::load(gpu, &sets)?))
    }

    /// The machine of a resolved configuration.
    pub fn of(config: Resolved) -> Self {
        Session { config }
    }

    /// The resolved configuration.
    pub fn config(&self) -> &Resolved {
        &self.config
    }

    /// One workload of all `inputs` in order: generated kernels (`synth:...`) or trace files.
    ///
    /// # Errors
    /// What is wrong with an input; no input at all.
    pub fn open<S: AsRef<str>>(&self, inputs: &[S]) -> Result<Workload> {
        let mut all: Option<Workload> = None;
        for input in inputs {
            let more = self.open_one(input.as_ref())?;
            match &mut all {
                None => all = Some(more),
                Some(all) => all.append(more),
            }
        }
        all.ok_or_else(|| Error::Usage("no input".into()))
    }

    fn open_one(&self, input: &str) -> Result<Workload> {
        if input.starts_with(crate::workload::synthetic::PREFIX) {
            crate::workload::synthetic::parse(input, &self.config.spec)
        } else {
            crate::trace::open::open(input)
        }
    }

    /// Runs `workload` unobserved.
    ///
    /// # Errors
    /// A kernel that does not fit, a trace that cannot be read, a machine that makes no progress.
    pub fn run(&self, workload: &Workload, options: &Options) -> Result<Outcome<NoProbe>> {
        self.run_with::<NoProbe>(workload, options)
    }

    /// Runs `workload` under the eyes of probe `P`.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_with<P: Probe + Sync>(
        &self,
        workload: &Workload,
        options: &Options,
    ) -> Result<Outcome<P>> {
        let run = simulation::run::<P>(workload, &self.config.spec, options)?;
        let report = Report::new(&self.config, workload, &run, options.threads);
        Ok(Outcome { report, run })
    }
}
