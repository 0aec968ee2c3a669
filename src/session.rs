//! The one way to run: a configuration, the inputs, a run, its report.
//!
//! The command line, the micro-benchmark suite, benches and tests all go through here, so that an input is
//! opened in one place and a report is made in one place.

use crate::config::{self, GpuSpec, Resolved};
use crate::error::{Error, Result};
use crate::kernels::choose::Algorithm;
use crate::kernels::synth;
use crate::power;
use crate::probe::{NoProbe, Probe};
use crate::report::Report;
use crate::sampling::{self, Memo, Settings};
use crate::simulation::{self, RunResult};
pub use crate::simulation::{Checkpoint, Options};
use crate::trace::Workload;
use std::path::{Path, PathBuf};

/// Version of the machine's behaviour. It rises with every change that moves a number of a report of any
/// configuration; `validation/golden` proves that it did.
pub const MODEL_VERSION: u32 = 17;

/// A checked machine, ready to run workloads.
///
/// ```
/// use phantom_gpu::session::{Options, Session};
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

    /// The machine, as its parts see it.
    pub fn spec(&self) -> &GpuSpec {
        &self.config.spec
    }

    /// State of runs on this machine, kept in `file`; for [`Options::checkpoint`].
    pub fn checkpoint(&self, file: impl Into<PathBuf>) -> Checkpoint {
        Checkpoint {
            file: file.into(),
            model: MODEL_VERSION,
            machine: self.config.hash.clone(),
            every: None,
            stop_at: None,
        }
    }

    /// One workload of all `inputs` in order: generated kernels (`synth:...`) or trace files.
    ///
    /// # Errors
    /// What is wrong with an input; no input at all.
    pub fn open<S: AsRef<str>>(&self, inputs: &[S]) -> Result<Workload> {
        self.open_with(inputs, &Algorithm::Chosen)
    }

    /// The same, with the kernels of operators by `algorithm`.
    ///
    /// # Errors
    /// As [`Session::open`]; an algorithm that an operator has not.
    pub fn open_with<S: AsRef<str>>(
        &self,
        inputs: &[S],
        algorithm: &Algorithm,
    ) -> Result<Workload> {
        let mut all: Option<Workload> = None;
        for input in inputs {
            let more = self.open_one(input.as_ref(), algorithm)?;
            match &mut all {
                None => all = Some(more),
                Some(all) => all.append(more),
            }
        }
        all.ok_or_else(|| Error::Usage("no input".into()))
    }

    fn open_one(&self, input: &str, algorithm: &Algorithm) -> Result<Workload> {
        if synth::is_synth(input) {
            synth::parse_with(input, &self.config.spec, algorithm)
        } else {
            open_trace(input)
        }
    }

    /// Runs `workload` unobserved.
    ///
    /// # Errors
    /// A kernel that does not fit, a trace that cannot be read, a machine that makes no progress.
    pub fn run(&self, workload: &Workload, options: &Options) -> Result<Outcome<NoProbe>> {
        self.run_with::<NoProbe>(workload, options)
    }

    /// Estimates `workload` from parts of its kernels, one kernel after the other as if all were in one stream. The
    /// cycles of a kernel, and what it starts behind, are those of a run as a whole, up to the interval that its
    /// provenance has.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn sample(
        &self,
        workload: &Workload,
        options: &Options,
        settings: Settings,
        memo: &Memo,
    ) -> Result<Outcome<NoProbe>> {
        let run = sampling::run(&self.config, workload, options, settings, memo)?;
        let report = Report::new(&self.config, workload, &run, options.threads);
        Ok(Outcome { report, run })
    }

    /// The bounds of published peaks for the operators of `workload`. Nothing is simulated.
    ///
    /// # Errors
    /// A kernel that was launched for no operator.
    pub fn rooflines(&self, workload: &Workload, options: &Options) -> Result<Outcome<NoProbe>> {
        let why = "nothing is simulated, so power is not known";
        power::one_clock(self.spec(), "--fidelity roofline", why)?;
        let run = sampling::rooflines(&self.config, workload, options)?;
        let report = Report::new(&self.config, workload, &run, options.threads);
        Ok(Outcome { report, run })
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
        let spec = &self.config.spec;
        let run = match power::governor(spec) {
            None => simulation::run::<P>(workload, spec, options)?,
            Some(governor) => simulation::throttle::run::<P>(workload, spec, options, &governor)?,
        };
        let report = Report::new(&self.config, workload, &run, options.threads);
        Ok(Outcome { report, run })
    }
}

/// Opens a trace file, which no machine is needed for. PTX is no trace, and the message says how to make one of it.
///
/// # Errors
/// What is wrong with the file.
pub fn open_trace(input: &str) -> Result<Workload> {
    let path = Path::new(input);
    if crate::ptx::is_ptx(path) {
        return Err(Error::input(
            input,
            "whole file",
            "this is PTX, not a trace of a run",
            format!(
                "record one first: phantom-gpu trace record {input} --launch LAUNCH.toml -o {}",
                path.with_extension("pgt").display()
            ),
        ));
    }
    crate::trace::open::open(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Command;

    /// `input` with all its kernels in one layer.
    fn layer_of(session: &Session, input: &str, name: &str) -> Workload {
        let mut workload = session.open(&[input]).unwrap();
        let layer = workload.add_layer(name);
        for command in &mut workload.commands {
            if let Command::Launch(kernel) = command {
                kernel.layer = Some(layer);
            }
        }
        workload
    }

    #[test]
    fn a_report_names_the_layer_of_each_kernel_that_has_one() {
        let session = Session::new::<&str>("v100", &[]).unwrap();
        let mut all = layer_of(&session, "synth:empty?launches=2", "embedding");
        all.append(session.open(&["synth:empty"]).unwrap());
        all.append(layer_of(&session, "synth:copy?bytes=4KiB", "block.0"));
        let report = session.run(&all, &Options::default()).unwrap().report;
        let json = serde_json::to_value(&report).unwrap();
        let layers: Vec<_> = (0..4).map(|k| json["kernels"][k].get("layer")).collect();
        let name = |n: &str| Some(serde_json::Value::from(n));
        let expected = [name("embedding"), name("embedding"), None, name("block.0")];
        assert_eq!(layers, expected.each_ref().map(Option::as_ref));
        assert_eq!(json["kernels"][0]["provenance"]["kind"], "full");
    }
}
