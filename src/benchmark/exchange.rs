//! What GPUs that share a model exchange, which no time here includes.

use super::{Case, Phase};
use crate::model::graph::Graph;
use crate::model::shard::Exchange;

/// How sentences about it begin.
pub const UNTIMED: &str = "NOT TIMED: ";

/// What is exchanged in a run of `case`, in a sentence; nothing on one GPU.
///
/// In training the sums go both ways: what is added up behind a layer on the way there is added up in front of it on the
/// way back.
pub fn untimed(graph: &Graph, case: &Case) -> Option<String> {
    let sharding = &graph.sharding;
    if sharding.degree == 1 {
        return None;
    }
    let back = matches!(case.phase, Phase::Train(_));
    let of = |exchange: Exchange| {
        let all = sharding
            .collectives
            .iter()
            .filter(|c| c.exchange == exchange);
        let (count, elements) = all.fold((0, 0u64), |(count, sum), c| {
            (count + 1, sum.saturating_add(c.elements))
        });
        let turns = match exchange {
            Exchange::AllReduce if back => 2,
            _ => 1,
        };
        let bytes = elements.saturating_mul(turns * case.precision.activations().bytes());
        (count > 0).then(|| {
            let name = exchange.name();
            format!("{} {name}s of {bytes} bytes together", count * turns)
        })
    };
    let kinds = [Exchange::AllReduce, Exchange::AllGather];
    let said: Vec<String> = kinds.into_iter().filter_map(of).collect();
    Some(format!(
        "{UNTIMED}what {} GPUs exchange in a run: {}; latency and throughput are without it",
        sharding.degree,
        said.join(", ")
    ))
}
