//! What a run says of the whole model: sums, memory, what is missing.

use super::fit::Fit;
use super::rollup::Rolled;
use super::schedule::Simulated;
use super::{Case, Phase};
use crate::model::graph::Graph;
use crate::model::lower::{Lowered, Optimizer};
use crate::report::derive::ratio;
use crate::report::schema::{Model, ModelMemory};
use std::collections::BTreeSet;

/// How sentences begin that say for what there is no kernel, and why.
pub const NO_KERNEL: &str = "no kernel for";

/// What sentences say of a node that has no kernels.
pub const NOT_LOWERED: &str = "is not lowered and in no number here";

/// What is missing, a sentence each.
pub fn unmodelled(lowered: &Lowered, simulated: &Simulated) -> Vec<String> {
    let refused = lowered.refused.iter().map(|refused| {
        format!(
            "{} ({}) {NOT_LOWERED}: {}",
            refused.node, refused.op, refused.reason
        )
    });
    let mut out: Vec<String> = refused.collect();
    let reasons: BTreeSet<&String> = simulated.missing.values().collect();
    for reason in reasons {
        let of = simulated.missing.iter().filter(|(_, why)| *why == reason);
        let layers: Vec<&str> = of
            .map(|((layer, _), _)| lowered.layers[*layer].name.as_str())
            .collect();
        out.push(format!(
            "{NO_KERNEL} {} calls, from layer {} on ({reason}): the bound of peak rates stands in",
            layers.len(),
            layers[0]
        ));
    }
    out
}

/// The model as a whole.
pub fn model(
    case: &Case,
    graph: &Graph,
    lowered: &Lowered,
    rolled: &Rolled,
    fit: Fit,
    launches: usize,
) -> Model {
    let ms = |seconds: f64| fit.fits.then_some(1e3 * seconds);
    let tokens = graph.kv_cache_bytes > 0;
    let decodes = case.phase == Phase::Decode;
    let per_run = match (tokens, decodes) {
        (true, false) => case.batch * case.tokens.unwrap_or(1),
        _ => case.batch,
    };
    let refused: u64 = lowered
        .refused
        .iter()
        .fold(0, |sum, refused| sum.saturating_add(refused.flops));
    let over = |value: f64, whole: f64| if whole > 0.0 { value / whole } else { 0.0 };
    let need = fit.need;
    Model {
        name: case.model.clone(),
        gpu: case.gpu.clone(),
        batch_size: case.batch,
        seq_len: case.tokens,
        precision: case.precision.name(),
        runtime: case.runtime.name(),
        phase: case.phase.name(),
        optimizer: case.phase.optimizer().map(Optimizer::name),
        tensor_parallel: graph.sharding.degree,
        parameters: graph.parameters(),
        flops: graph.flops(),
        fits: fit.fits,
        latency_ms: ms(rolled.latency_s),
        ci_rel: rolled.ci_rel,
        throughput: fit.fits.then(|| over(per_run as f64, rolled.latency_s)),
        steps: graph.steps.as_ref().map(|steps| steps.count),
        unit: match (tokens, &graph.steps) {
            (true, _) => "tokens/s",
            (false, Some(_)) => "images/s",
            (false, None) => "samples/s",
        },
        time_to_first_token_ms: ms(rolled.latency_s)
            .filter(|_| tokens && case.phase == Phase::Prefill),
        time_per_token_ms: ms(rolled.latency_s).filter(|_| decodes),
        memory: ModelMemory {
            weights_bytes: need.weights,
            activations_bytes: need.activations,
            kv_cache_bytes: need.kv_cache,
            gradients_bytes: need.gradients,
            optimizer_bytes: need.optimizer,
            total_bytes: need.total(),
            capacity_bytes: fit.capacity,
            missing_bytes: need.total().saturating_sub(fit.capacity),
            largest: need.largest().0,
            largest_batch: fit.largest_batch,
        },
        device_ms: if fit.fits { 1e3 * rolled.device_s } else { 0.0 },
        launch_gap_ms: if fit.fits {
            1e3 * (rolled.latency_s - rolled.device_s)
        } else {
            0.0
        },
        host_call_us: rolled.host.call_us,
        launches: launches as u64,
        unsimulated_share: over(rolled.unsimulated_s, rolled.device_s),
        refused_share: ratio(refused, graph.flops()),
    }
}
