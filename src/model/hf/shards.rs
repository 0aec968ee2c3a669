//! The words for what several GPUs share: parts of extents, and what is exchanged behind them.

use super::build::{Builder, Heads};
use crate::model::graph::{Dtype, TensorId};
use crate::model::shard::{Exchange, Sharding};

impl Builder {
    /// An empty graph for one of `degree` GPUs.
    pub fn sharded(name: &str, dtype: Dtype, degree: u64) -> Self {
        let mut builder = Builder::new(name, dtype);
        builder.graph.sharding = Sharding::over(degree);
        builder
    }

    /// One GPU's part of an extent, which a configuration calls `name`.
    pub fn share(&mut self, name: &str, size: u64) -> u64 {
        self.graph.sharding.share(name, size)
    }

    /// One GPU's heads; those of keys and values are on several GPUs where there are fewer.
    pub fn share_heads(&mut self, heads: Heads) -> Heads {
        let sharding = &mut self.graph.sharding;
        Heads {
            heads: sharding.share("num_attention_heads", heads.heads),
            kv_heads: sharding.share_or_copy("num_key_value_heads", heads.kv_heads),
            ..heads
        }
    }

    /// One GPU's rows of a vocabulary.
    pub fn share_vocabulary(&mut self, rows: u64) -> u64 {
        let degree = self.graph.sharding.degree;
        let share = self.graph.sharding.vocabulary(rows);
        if share.saturating_mul(degree) > rows {
            let whole = share * degree;
            self.graph.note(format!(
                "the vocabulary of {rows} is padded to {whole}, so that {degree} GPUs have equal parts"
            ));
        }
        share
    }

    /// x W^T of one GPU's part of x, summed over GPUs; and a bias.
    pub fn linear_of_share(&mut self, name: &str, x: TensorId, out: u64, bias: bool) -> TensorId {
        let sum = self.linear(name, x, out, bias);
        self.summed(sum)
    }

    /// Sums `x` over all GPUs.
    pub fn summed(&mut self, x: TensorId) -> TensorId {
        let elements = self.graph.tensors[x].elements();
        self.graph.sharding.exchange(Exchange::AllReduce, elements);
        x
    }

    /// Puts the parts `x` of all GPUs side by side.
    pub fn gathered(&mut self, x: TensorId) {
        let sharding = &mut self.graph.sharding;
        let elements = self.graph.tensors[x].elements();
        let whole = elements.saturating_mul(sharding.degree);
        sharding.exchange(Exchange::AllGather, whole);
    }
}
