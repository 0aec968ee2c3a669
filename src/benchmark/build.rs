//! Runs of one model: its graph for every batch, and the case that the options describe.

use super::fit::{Fit, Need, largest};
use super::{Case, Phase, Runner};
use crate::error::{Error, Result};
use crate::model::graph::{Graph, Kind, Role};
use crate::model::lower::{Lowered, Path, Precision, Runtime, Spread, lower};
use crate::model::options::Bindings;
use crate::model::source::{self, Format};
use crate::report::Report;
use crate::session::Session;

/// How large a run is; what is not given, the model says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Sequences or images at a time.
    pub batch: Option<u64>,
    /// Tokens of a sequence.
    pub seq: Option<u64>,
}

/// How a model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What for.
    pub phase: Phase,
    /// Numbers; the model's own by default.
    pub precision: Option<Precision>,
    /// Who launches the kernels.
    pub runtime: Runtime,
    /// How attention is computed.
    pub attention: Path,
    /// GPUs that share every layer.
    pub tensor_parallel: u64,
    /// Tokens whose keys and values are kept, in decoding.
    pub kv_len: Option<u64>,
}

impl Wanted {
    /// All tokens of the input, as a recorded graph on one GPU.
    pub fn prefill(precision: Option<Precision>) -> Self {
        Wanted {
            phase: Phase::Prefill,
            precision,
            runtime: Runtime::Graph,
            attention: Path::Fused,
            tensor_parallel: 1,
            kv_len: None,
        }
    }
}

/// A model that can be built for any batch.
pub struct Builder<'a> {
    /// Name or file.
    pub model: &'a str,
    /// Its format.
    pub format: Option<Format>,
    /// What its open extents are, but for batch and tokens.
    pub bindings: Bindings,
    /// How it is run.
    pub run: Wanted,
}

impl Builder<'_> {
    /// The graph of `shape`, with one token for each sequence in decoding.
    ///
    /// # Errors
    /// Faults of the model, and of what it is run for.
    pub fn graph(&self, shape: Shape) -> Result<Graph> {
        let mut bindings = self.bindings.clone();
        bindings.batch = shape.batch;
        bindings.seq = match self.run.phase {
            Phase::Prefill | Phase::Train(_) => shape.seq,
            Phase::Decode => Some(1),
        };
        let degree = self.run.tensor_parallel;
        bindings.tensor_parallel = Some(degree);
        let graph = source::open(self.model, self.format, &bindings)?;
        if graph.sharding.degree != degree {
            return Err(Error::Usage(format!(
                "--tensor-parallel {degree}: {} does not say which of its matrices can be cut; name a transformer that is \
                 built in (list-models) or its config.json",
                self.model
            )));
        }
        if self.run.phase == Phase::Decode {
            self.decodes(&graph)?;
            // A model that learns its positions says no to a graph of more tokens than it knows.
            bindings.seq = self.kept(shape);
            source::open(self.model, self.format, &bindings)?;
        }
        Ok(graph)
    }

    /// Tokens whose keys and values are kept in decoding.
    fn kept(&self, shape: Shape) -> Option<u64> {
        self.run.kv_len.or(shape.seq).or(Some(128))
    }

    /// That one token at a time makes sense.
    fn decodes(&self, graph: &Graph) -> Result<()> {
        let mut shapes = graph.nodes.iter().filter_map(|node| match node.kind {
            Kind::Attention(shape) => Some(shape),
            _ => None,
        });
        match graph.kv_cache_bytes > 0 && shapes.all(|shape| shape.causal) {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "--phase decode: {} is no decoder that keeps keys and values; use --phase prefill",
                self.model
            ))),
        }
    }

    /// The run of `shape` on the machine of `session`, which the user calls `gpu`.
    ///
    /// # Errors
    /// Faults of the model and of the simulation.
    pub fn report(
        &self,
        shape: Shape,
        gpu: &str,
        session: &Session,
        runner: &Runner<'_>,
    ) -> Result<Report> {
        self.report_of(&self.graph(shape)?, shape, (gpu, session), runner)
    }

    /// The same, of the graph that was built for `shape`.
    ///
    /// # Errors
    /// As [`Builder::report`].
    pub fn report_of(
        &self,
        graph: &Graph,
        shape: Shape,
        (gpu, session): (&str, &Session),
        runner: &Runner<'_>,
    ) -> Result<Report> {
        let case = self.case(graph, shape, gpu);
        trains(&case)?;
        let spec = session.spec();
        let plan = case.plan(session);
        let kept = |graph: &Graph, lowered: &Lowered| {
            let need = Need::of(lowered, case.kept_bytes(graph));
            Fit::of(need, spec)
        };
        let fit = |lowered: &Lowered| -> Result<Fit> {
            let mut fit = kept(graph, lowered);
            if !fit.fits {
                let fits = |n: u64| -> Result<bool> {
                    let graph = self.graph(Shape {
                        batch: Some(n),
                        ..shape
                    })?;
                    Ok(kept(&graph, &lower(&graph, &plan)).fits)
                };
                // A file that fixes its batch has no other.
                fit.largest_batch = largest(case.batch, fits).ok();
            }
            Ok(fit)
        };
        runner.run(&case, graph, session, &fit)
    }

    /// The run of `shape`, whose graph is `graph`.
    pub fn case(&self, graph: &Graph, shape: Shape, gpu: &str) -> Case {
        let weight = graph
            .tensors
            .iter()
            .find(|t| t.role == Role::Weight && t.dtype.is_float());
        let own = weight.map_or(Precision::Fp32, |t| Precision::of(t.dtype));
        let first = graph.inputs.first().map(|&id| &graph.tensors[id]);
        let of_input = first.and_then(|t| t.shape.first().copied()).unwrap_or(1);
        let sequence = first.filter(|t| !t.dtype.is_float() && t.shape.len() == 2);
        let tokens = sequence.map(|t| t.shape[1]);
        Case {
            model: self.model.to_owned(),
            gpu: gpu.to_owned(),
            batch: shape.batch.unwrap_or(of_input),
            tokens: match self.run.phase {
                Phase::Prefill | Phase::Train(_) => tokens,
                Phase::Decode => self.kept(shape),
            },
            precision: self.run.precision.unwrap_or(own),
            runtime: self.run.runtime,
            attention: self.run.attention,
            phase: self.run.phase,
            spread: Spread::Even,
        }
    }
}

/// That numbers of this kind have gradients, where they need some.
fn trains(case: &Case) -> Result<()> {
    let floats = case.precision.products().bytes() > 1 && case.precision != Precision::Int4;
    match case.phase.optimizer().is_none() || floats {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "--phase train: training in {} is not modelled; use --precision fp32, tf32, fp16 or bf16",
            case.precision.name()
        ))),
    }
}
