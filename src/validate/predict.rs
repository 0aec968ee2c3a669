//! The time that the model gives a row.

use super::cuda::Program;
use super::dataset::Row;
use super::layer;
use super::operator::{self, L2State, Measured, Unfit};
use super::roofline;
use crate::config::GpuSpec;
use crate::error::{Error, Result};
use crate::kernels::choose::{self, Algorithm};
use crate::kernels::operator::{DataType, Function, Operator};
use crate::kernels::rows::pointwise::Pointwise;
use crate::kernels::{Arrays, KernelGenerator};
use crate::power;
use crate::report::bound::{Bound, bound};
use crate::report::microseconds;
use crate::sampling::{Memo, Sampler, Settings};
use crate::session::Session;
use crate::simulation::{KernelRun, ProvenanceKind};
use crate::trace::Kernel;
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Which kernels are run for a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Those that the chooser takes.
    Chosen,
    /// The fastest of the best candidates, by running them.
    Best,
    /// Those that the row names, where it does.
    Row,
    /// The candidate of this name.
    Named(String),
}

impl Choice {
    /// The choice of this name.
    pub fn of(name: &str) -> Self {
        match name {
            "chosen" => Choice::Chosen,
            "best" => Choice::Best,
            "row" => Choice::Row,
            other => Choice::Named(other.to_owned()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Choice::Chosen => "chosen",
            Choice::Best => "best",
            Choice::Row => "row",
            Choice::Named(name) => name,
        }
    }
}

/// How much is simulated for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every cycle.
    Full,
    /// Parts.
    Sampled,
    /// Nothing.
    Roofline,
}

impl Depth {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Depth::Full => "full",
            Depth::Sampled => "sampled",
            Depth::Roofline => "roofline",
        }
    }
}

/// How rows are predicted.
pub struct Predictor<'a> {
    /// Which kernels.
    pub choice: Choice,
    /// How much of them.
    pub depth: Depth,
    /// How they are sampled.
    pub settings: Settings,
    /// What was estimated before.
    pub memo: &'a Memo,
    /// Ends every run.
    pub stop: &'a AtomicBool,
    /// Microseconds that the host takes for an operator of a model; the runtime's own where nothing is said.
    pub host_us: Option<f64>,
}

/// A kernel that was launched for a row.
#[derive(Clone, Debug, Serialize)]
pub struct Launched {
    /// Function.
    pub kernel: String,
    /// CTAs.
    pub grid: [u32; 3],
    /// Threads.
    pub block: [u32; 3],
    /// Core cycles.
    pub cycles: u64,
    /// Microseconds.
    pub time_us: f64,
    /// Why it was chosen.
    pub reason: String,
}

/// Where a prediction comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// `full`, `sampled` or `roofline`; of several kernels the least exact.
    pub kind: &'static str,
    /// Warp instructions simulated, of all.
    pub simulated_fraction: f64,
    /// Relative half width of the confidence interval of the time.
    pub ci_rel: f64,
    /// What else should be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A prediction.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Device time, microseconds: kernels and the gaps between them.
    pub time_us: f64,
    /// What limits the kernel that takes longest.
    pub bound: Bound,
    /// The kernels.
    pub launched: Vec<Launched>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Candidates that [`Choice::Best`] runs.
const TRIED: usize = 4;

impl Predictor<'_> {
    /// The time of `row`, which measured `measured`, on the machine of `session`.
    ///
    /// # Errors
    /// A row that is not modelled, or an error of the simulation.
    pub fn predict(
        &self,
        row: &Row,
        measured: &Measured,
        session: &Session,
    ) -> Result<std::result::Result<Prediction, Unfit>> {
        let spec = session.spec();
        if self.depth == Depth::Roofline && !matches!(measured, Measured::Model(_)) {
            return Ok(Ok(roofline::prediction(&measured.roofline(session).1)));
        }
        let operator = match measured {
            Measured::Operator(operator) => operator,
            Measured::Program(program) => {
                return self.program(row, program, session).map(Ok);
            }
            Measured::Model(run) => return run.predict(self, session),
        };
        let algorithm = match &self.choice {
            Choice::Row => Algorithm::Recorded(operator::recorded(row)),
            Choice::Named(name) => Algorithm::Named(name.clone()),
            Choice::Chosen | Choice::Best => Algorithm::Chosen,
        };
        let candidates = match self.choice {
            Choice::Best => choose::candidates(operator, spec).map(|mut all| {
                all.truncate(TRIED);
                all
            }),
            _ => choose::choose(operator, spec, &algorithm).map(|one| vec![one]),
        };
        let candidates = match candidates {
            Ok(all) => all,
            Err(fault) => return Ok(Err(Unfit::Skip(fault.to_string()))),
        };
        let mut best: Option<Prediction> = None;
        let mut fault = None;
        for candidate in &candidates {
            match candidate.build(spec) {
                Ok(kernels) => {
                    let name = candidate.name.clone();
                    let reasons = candidate.launches.iter();
                    let reasons = reasons.map(|launch| format!("{name}: {}", launch.reason));
                    let found = self.time((row, Some(operator)), reasons, &kernels, session)?;
                    if best.as_ref().is_none_or(|b| found.time_us < b.time_us) {
                        best = Some(found);
                    }
                }
                Err(what) => fault = Some(what),
            }
        }
        Ok(best.ok_or_else(|| {
            Unfit::Skip(fault.map_or("no candidate".into(), |what| what.to_string()))
        }))
    }

    /// The kernels in order, behind what [`L2State`] says of the measurement: an earlier run of themselves, that and the
    /// rest of a layer, or a copy of other data.
    fn time(
        &self,
        (row, operator): (&Row, Option<&Operator>),
        reasons: impl IntoIterator<Item = String>,
        kernels: &[Kernel],
        session: &Session,
    ) -> Result<Prediction> {
        let runs = self.runs((row, operator), kernels, session)?;
        let gap = u64::from(session.spec().launch.stream_gap);
        Ok(prediction(reasons, &runs, (gap, session)))
    }

    /// A hand-written program: kernels that stand for several launches count as often. Profilers sum up kernels without
    /// the gaps between them.
    fn program(&self, row: &Row, program: &Program, session: &Session) -> Result<Prediction> {
        let launches = program.kernels(session.spec())?;
        let (kernels, times): (Vec<_>, Vec<_>) = launches.into_iter().unzip();
        let runs = self.runs((row, None), &kernels, session)?;
        let profiled = row.extra.contains_key("profiler");
        let gap = match profiled {
            true => 0,
            false => u64::from(session.spec().launch.stream_gap),
        };
        let reasons = times.iter().map(|times| match times {
            1 => "the kernel that the row names".to_owned(),
            times => format!("stands for {times} launches of the kernel that the row names"),
        });
        let counted = runs.into_iter().zip(&times).map(|(mut run, times)| {
            run.end = run.start + (run.end - run.start) * times;
            run.warp_instructions *= times;
            run
        });
        let counted: Vec<KernelRun> = counted.collect();
        Ok(prediction(reasons, &counted, (gap, session)))
    }

    fn runs(
        &self,
        (row, operator): (&Row, Option<&Operator>),
        kernels: &[Kernel],
        session: &Session,
    ) -> Result<Vec<KernelRun>> {
        let sampler = Sampler {
            config: session.config(),
            settings: match self.depth {
                Depth::Full => Settings {
                    budget: u64::MAX,
                    ..self.settings
                },
                _ => self.settings,
            },
            stop: Some(self.stop),
            memory_limit: None,
            memo: self.memo,
            progress: None,
        };
        let spec = session.spec();
        power::one_clock(spec, "validate", "a row is one sum of cycles")?;
        let (repeated, since) = match (operator::l2_state(row), operator) {
            (L2State::Layer, Some(operator)) => (true, layer::rest(row, operator, spec)?),
            (L2State::Foreign, _) => (false, vec![foreign(spec)?]),
            _ => (true, Vec::new()),
        };
        let mut runs = Vec::with_capacity(kernels.len());
        for at in 0..kernels.len() {
            // The rest of the round before, what ran since, then this one's.
            let round = if repeated { &kernels[at..] } else { &[] };
            let before = round.iter().chain(&since).chain(&kernels[..at]);
            let before: Vec<&Kernel> = before.collect();
            runs.push(sampler.run(&kernels[at], &before)?);
        }
        if runs.iter().any(|run| run.partial) {
            return Err(Error::Run("interrupted".into()));
        }
        Ok(runs)
    }
}

/// A copy of other data than any operator's, twice as much as L2 holds.
fn foreign(spec: &GpuSpec) -> Result<Kernel> {
    let arrays = Arrays::default();
    let apart = |arrays: Arrays, at: usize| {
        arrays.with(at, arrays.at(at) + (Arrays::MOST as u64) * (1 << 36))
    };
    let copy = Pointwise {
        arrays: (0..Arrays::MOST).fold(arrays, apart),
        n: spec.l2.bytes / 4,
        function: Function::Copy,
        data: DataType::F32,
        output: DataType::F32,
        vector: 4,
        elements: 4,
    };
    Ok(copy.build(spec)?)
}

fn prediction(
    reasons: impl IntoIterator<Item = String>,
    runs: &[KernelRun],
    (gap, session): (u64, &Session),
) -> Prediction {
    let spec = session.spec();
    let cycles = |run: &KernelRun| run.end - run.start;
    let gaps = gap * (runs.len() as u64).saturating_sub(1);
    let total: u64 = runs.iter().map(cycles).sum::<u64>() + gaps;
    let launched = runs.iter().zip(reasons).map(|(run, reason)| Launched {
        kernel: run.header.name.clone(),
        grid: run.header.grid,
        block: run.header.block,
        cycles: cycles(run),
        time_us: microseconds(cycles(run), spec),
        reason,
    });
    let weights: f64 = runs.iter().map(|run| run.warp_instructions as f64).sum();
    let simulated: f64 = runs
        .iter()
        .map(|run| run.warp_instructions as f64 * run.provenance.simulated_fraction)
        .sum();
    let spread: f64 = runs
        .iter()
        .map(|run| (run.provenance.ci_rel * cycles(run) as f64).powi(2))
        .sum();
    let sampled = runs
        .iter()
        .any(|run| run.provenance.kind == ProvenanceKind::Sampled);
    let longest = runs.iter().max_by_key(|run| cycles(run));
    Prediction {
        time_us: microseconds(total, spec),
        bound: longest.map_or(Bound::Launch, |run| bound(run, spec)),
        launched: launched.collect(),
        origin: Origin {
            kind: if sampled { "sampled" } else { "full" },
            simulated_fraction: if weights > 0.0 {
                simulated / weights
            } else {
                1.0
            },
            ci_rel: spread.sqrt() / total.max(1) as f64,
            note: runs.iter().find_map(|run| run.provenance.note.clone()),
        },
    }
}
