//! The words for networks that tokens choose from.

use super::build::Builder;
use crate::model::graph::{Dtype, Kind, Product, Rule, TensorId};

/// Feed-forward networks side by side.
#[derive(Clone, Copy, Debug)]
pub struct Experts {
    /// Networks.
    pub count: u64,
    /// Of which a token takes this many.
    pub chosen: u64,
    /// Elements between their two matrices.
    pub inner: u64,
    /// A gate doubles the first matrix.
    pub gated: bool,
    /// How tokens choose.
    pub rule: Rule,
}

impl Builder {
    /// Feed-forward networks of which each token takes those with the greatest `scores` (a number for each); `gated`: the
    /// first matrix is double.
    ///
    /// The products are one for each token and network that it takes, as they are without grouping.
    pub fn experts(&mut self, x: TensorId, scores: TensorId, experts: Experts) -> TensorId {
        let width = self.width(x);
        let mut shape = self.shape(scores).to_vec();
        if let Some(last) = shape.last_mut() {
            *last = experts.chosen;
        }
        let kind = Kind::Router {
            chosen: experts.chosen,
            rule: experts.rule,
        };
        let choice = self.node("choice", "Router", kind, vec![scores], shape, Vec::new());
        // Places of 64 bits, with room for the weights.
        self.graph.tensors[choice].dtype = Dtype::Int64;
        let inner = self.share("expert intermediate_size", experts.inner);
        let first = match experts.gated {
            true => inner.saturating_mul(2),
            false => inner,
        };
        let up = self.weight("experts.up", [experts.count, first, width]);
        let down = self.weight("experts.down", [experts.count, width, inner]);
        let batch = self.taken(x, experts);
        let product = |m, k| Product {
            op: "experts",
            m,
            n: 1,
            k,
            batch,
            dtype: self.dtype,
        };
        let products = vec![product(first, width), product(width, inner)];
        let kind = Kind::Experts {
            experts: experts.count,
            chosen: experts.chosen,
        };
        let shape = self.shape(x).to_vec();
        let inputs = vec![x, choice, up, down];
        let sum = self.node("experts", "Experts", kind, inputs, shape, products);
        self.summed(sum)
    }

    /// Tokens of `x` that networks take, counted once for each network.
    fn taken(&self, x: TensorId, experts: Experts) -> u64 {
        let all = self.rows(x).saturating_mul(experts.chosen);
        match (experts.rule, self.shape(x)) {
            (Rule::Capacity { tokens }, &[sequences, length, _]) => {
                let most = tokens.saturating_mul(experts.count).min(length);
                sequences.saturating_mul(most)
            }
            _ => all,
        }
    }
}
