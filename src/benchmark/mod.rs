//! A model on a GPU: from its graph to the time of every layer and of the whole.
//!
//! The graph is lowered to calls of operators ([`crate::model::lower`]); kernels are chosen for each operator, and each
//! kernel is simulated once for each state of L2 that it finds ([`schedule`]). Their times run on two clocks, that of the
//! device and that of the host which launches ([`clock`]), and are added up by layer ([`rollup`]).

pub mod build;
mod clock;
mod exchange;
pub mod fit;
pub mod html;
pub mod kernels;
mod rollup;
mod schedule;
mod sums;
pub mod table;

pub use clock::Host;

use crate::error::{Error, Result};
use crate::kernels::work::Roofline;
use crate::model::graph::{Graph, Role};
use crate::model::lower::{Lowered, Optimizer, Path, Plan, Precision, Runtime, Spread, lower};
use crate::power;
use crate::progress::Progress;
use crate::report::Report;
use crate::sampling::{Memo, Settings};
use crate::session::Session;
use fit::{Fit, Need};
use schedule::Simulated;
use std::sync::atomic::AtomicBool;

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every cycle of every kernel.
    Full,
    /// Parts of long kernels.
    Sampled,
    /// Nothing: the bounds of peak rates.
    Roofline,
}

/// What a model is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All tokens of the input, or one pass.
    Prefill,
    /// One further token of each sequence, behind those that keys and values are kept of.
    Decode,
    /// A step of training, forward and back.
    Train(Optimizer),
}

impl Phase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Prefill => "prefill",
            Phase::Decode => "decode",
            Phase::Train(_) => "train",
        }
    }

    /// What changes the weights.
    pub fn optimizer(self) -> Option<Optimizer> {
        match self {
            Phase::Train(optimizer) => Some(optimizer),
            Phase::Prefill | Phase::Decode => None,
        }
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Model as the user named it.
    pub model: String,
    /// GPU as the user named it.
    pub gpu: String,
    /// Sequences or images at a time.
    pub batch: u64,
    /// Tokens of a sequence, where the model has tokens; of those that are kept, in decoding.
    pub tokens: Option<u64>,
    /// Numbers.
    pub precision: Precision,
    /// Runtime.
    pub runtime: Runtime,
    /// Attention by one kernel where there is one.
    pub attention: Path,
    /// Phase.
    pub phase: Phase,
    /// How tokens spread over experts.
    pub spread: Spread,
}

/// How it is run.
pub struct Runner<'a> {
    /// How much is simulated.
    pub depth: Depth,
    /// How parts are chosen.
    pub settings: Settings,
    /// What was estimated before.
    pub memo: &'a Memo,
    /// Ends every simulation.
    pub stop: &'a AtomicBool,
    /// Threads; results do not depend on them.
    pub jobs: usize,
    /// Kernels done.
    pub progress: &'a Progress,
    /// What the host takes for a launch; the runtime's own by default.
    pub host: Option<Host>,
}

impl Case {
    /// Bytes of keys and values that `graph` keeps, in the numbers of the run.
    pub fn kept_bytes(&self, graph: &Graph) -> u64 {
        let weight = graph
            .tensors
            .iter()
            .find(|t| t.role == Role::Weight && t.dtype.is_float());
        let own = weight.map_or(32, |t| t.dtype.bits()).max(1);
        let bits = 8 * self.precision.activations().bytes();
        let of_run = graph.kv_cache_bytes.saturating_mul(bits) / own;
        match self.phase {
            Phase::Train(_) => 0,
            Phase::Prefill => of_run,
            Phase::Decode => of_run.saturating_mul(self.tokens.unwrap_or(1)),
        }
    }

    /// What a graph is lowered for on the machine of `session`.
    pub fn plan(&self, session: &Session) -> Plan {
        let halves = self.precision.activations().bytes() == 2;
        // FlashAttention: halves, from Ampere on.
        let fused = halves && session.spec().compute_capability >= 80;
        Plan {
            precision: self.precision,
            runtime: self.runtime,
            attention: if fused { self.attention } else { Path::Spelt },
            training: self.phase.optimizer(),
            cached: match self.phase {
                Phase::Prefill | Phase::Train(_) => None,
                Phase::Decode => self.tokens,
            },
            spread: self.spread,
        }
    }
}

impl Runner<'_> {
    /// As [`Runner::run`], without a search for a batch that has room where this one has not.
    ///
    /// # Errors
    /// A failed simulation.
    pub fn run_if_it_fits(&self, case: &Case, graph: &Graph, session: &Session) -> Result<Report> {
        let fit = |lowered: &Lowered| {
            let need = Need::of(lowered, case.kept_bytes(graph));
            Ok(Fit::of(need, session.spec()))
        };
        self.run(case, graph, session, &fit)
    }

    /// The report of `case`, whose graph is `graph`, on the machine of `session`. `fit` says whether it has room there; where
    /// it has not, nothing is simulated.
    ///
    /// # Errors
    /// A failed simulation; in training, a node whose gradient is not known.
    pub fn run(
        &self,
        case: &Case,
        graph: &Graph,
        session: &Session,
        fit: &dyn Fn(&Lowered) -> Result<Fit>,
    ) -> Result<Report> {
        let why = "the times of layers and the host's clock are counted in cycles of the device";
        power::one_clock(session.spec(), "models", why)?;
        let plan = case.plan(session);
        let lowered = lower(graph, &plan);
        if let (Some(_), Some(refused)) = (plan.training, lowered.refused.first()) {
            return Err(Error::input(
                &case.model,
                format!("node {} ({})", refused.node, refused.op),
                format!("it cannot be trained here: {}", refused.reason),
                "leave --phase train away, or train the part of the model in front of it",
            ));
        }
        let fit = fit(&lowered)?;
        let spec = session.spec();
        let simulated = match (fit.fits, self.depth) {
            (true, Depth::Full | Depth::Sampled) => {
                schedule::simulate(&lowered, &plan, session, self)?
            }
            _ => Simulated::default(),
        };
        let host = self.host.unwrap_or_else(|| Host::usual(plan.runtime));
        let rolled = rollup::roll(&lowered, &plan, &simulated, spec, host);
        Ok(rollup::report(
            case,
            graph,
            &lowered,
            simulated,
            rolled,
            fit,
            (session, self),
        ))
    }
}

/// Seconds that the operators of `graph` take one after the other at peak rates, and the sums of both sides.
pub fn bounds(case: &Case, graph: &Graph, session: &Session) -> (f64, Roofline) {
    let plan = case.plan(session);
    let lowered = lower(graph, &plan);
    let mut sum = Roofline {
        compute_s: 0.0,
        memory_s: 0.0,
    };
    let mut seconds = 0.0;
    let calls = lowered
        .layers
        .iter()
        .flat_map(|layer| layer.calls.iter().map(|c| (layer.times, c)));
    for (times, call) in calls {
        let bound = bound_of(call, &plan, session.spec());
        let times = times as f64;
        seconds += times * bound.seconds();
        sum.compute_s += times * bound.compute_s;
        sum.memory_s += times * bound.memory_s;
    }
    (seconds, sum)
}

/// The bound of a call whose kernels are not simulated.
fn bound_of(
    call: &crate::model::lower::Call,
    plan: &Plan,
    spec: &crate::config::GpuSpec,
) -> Roofline {
    use crate::kernels::operator::Operator;
    let mut bound = Roofline::of(&call.operator, spec);
    if let (Operator::Gemm(op), Precision::Int4) = (&call.operator, plan.precision) {
        // Four of the sixteen bits of a weight.
        let bytes = call.operator.work().bytes;
        let spared = op.batch as f64 * op.n as f64 * op.k as f64 * 1.5;
        bound.memory_s *= (bytes - spared).max(0.0) / bytes;
    }
    bound
}
