//! T5 and Switch Transformers: an encoder and a decoder with relative positions; Switch has experts in some layers.

use super::Run;
use super::build::{Builder, Heads};
use super::config::Config;
use super::experts::Experts;
use crate::error::Result;
use crate::model::graph::{Dtype, Graph, Rule, TensorId};

/// What both halves have.
struct Stack {
    width: u64,
    inner: u64,
    heads: Heads,
    buckets: u64,
    function: &'static str,
    gated: bool,
    /// Layers.
    layers: u64,
    /// Every such layer has experts; 0: none.
    sparse_step: u64,
    experts: u64,
    /// Tokens of a sequence that an expert takes.
    capacity: u64,
    /// The matrix that chooses has a bias.
    router_bias: bool,
}

impl Stack {
    fn read(config: &Config, decoder: bool) -> Result<Self> {
        let switch = config.text("model_type")? == Some("switch_transformers");
        let heads = config.count("num_heads")?;
        let head_dim = config.count("d_kv")?;
        let feed = config.text("feed_forward_proj")?;
        let (gated, function) = match feed {
            None | Some("relu") => (false, "Relu"),
            Some("gated-gelu") => (true, "Gelu"),
            Some("gated-silu") => (true, "Silu"),
            Some("gelu") => (false, "Gelu"),
            Some(other) => {
                let what = format!("there is no feed-forward network {other} here");
                return Err(config.wrong("feed_forward_proj", what));
            }
        };
        let layers = match decoder && config.maybe("num_decoder_layers")?.is_some() {
            true => config.layers("num_decoder_layers")?,
            false => config.layers("num_layers")?,
        };
        let key = match decoder {
            true => "num_sparse_decoder_layers",
            false => "num_sparse_encoder_layers",
        };
        let sparse = match switch {
            true => config.count_or(key, 3)?,
            false => 0,
        };
        Ok(Stack {
            width: config.count("d_model")?,
            inner: config.count("d_ff")?,
            heads: Heads {
                heads,
                kv_heads: heads,
                head_dim,
                value_dim: head_dim,
                causal: decoder,
            },
            buckets: config
                .maybe("relative_attention_num_buckets")?
                .unwrap_or(32),
            function,
            gated,
            layers,
            sparse_step: layers.checked_div(sparse).unwrap_or(0),
            experts: match switch {
                true => config.count("num_experts")?,
                false => 0,
            },
            capacity: config.maybe("expert_capacity")?.unwrap_or(64),
            router_bias: config.flag("router_bias", false)?,
        })
    }

    /// softmax(x y^T + bias) y with a residual; the bias is the positions', or the mask of the other half for every head.
    fn attend(
        &self,
        b: &mut Builder,
        x: TensorId,
        other: Option<TensorId>,
        bias: Option<TensorId>,
    ) -> TensorId {
        let normed = b.rms_norm("layer_norm", x);
        let source = other.unwrap_or(normed);
        let own = b.share_heads(self.heads);
        let inner = own.heads.saturating_mul(own.head_dim);
        let q = b.linear("q", normed, inner, false);
        let k = b.linear("k", source, inner, false);
        let v = b.linear("v", source, inner, false);
        let operands: Vec<TensorId> = [q, k, v].into_iter().chain(bias).collect();
        let heads = Heads {
            causal: self.heads.causal && other.is_none(),
            ..own
        };
        let attended = b.biased_attention("attention", &operands, heads);
        let out = b.linear_of_share("o", attended, self.width, false);
        b.each("residual", "Add", &[out, x])
    }

    fn feed(&self, b: &mut Builder, x: TensorId, layer: u64) -> TensorId {
        let normed = b.rms_norm("layer_norm", x);
        let sparse = match self.sparse_step {
            0 => false,
            1 => true,
            step => layer % step == 1,
        };
        let out = if sparse {
            let choice = b.linear("router", normed, self.experts, self.router_bias);
            let experts = Experts {
                count: self.experts,
                chosen: 1,
                inner: self.inner,
                gated: self.gated,
                rule: Rule::Capacity {
                    tokens: self.capacity,
                },
            };
            b.experts(normed, choice, experts)
        } else {
            let inner = b.share("d_ff", self.inner);
            let up = b.linear("wi", normed, inner, false);
            let mut inside = b.each("act", self.function, &[up]);
            if self.gated {
                let other = b.linear("wi_1", normed, inner, false);
                inside = b.each("mul", "Mul", &[inside, other]);
            }
            b.linear_of_share("wo", inside, self.width, false)
        };
        b.each("residual", "Add", &[out, x])
    }

    /// The stack on `x`; a decoder looks at `encoded`, too.
    fn build(&self, b: &mut Builder, mut x: TensorId, encoded: Option<TensorId>) -> TensorId {
        let tokens = b.shape(x)[1];
        let heads = b.share_heads(self.heads).heads;
        let table = b.weight("relative_attention_bias", [self.buckets, heads]);
        let bias = b.part("position_bias", table, [1, heads, tokens, tokens]);
        for layer in 0..self.layers {
            x = b.within(format_args!("block.{layer}"), |b| {
                let mut x = b.within("self_attention", |b| self.attend(b, x, None, Some(bias)));
                if encoded.is_some() {
                    x = b.within("cross_attention", |b| self.attend(b, x, encoded, None));
                }
                b.within("feed_forward", |b| self.feed(b, x, layer))
            });
        }
        b.rms_norm("final_layer_norm", x)
    }
}

/// T5 and Switch Transformers, both sides as long as `run` says.
pub fn t5(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let (encoder, decoder) = (Stack::read(config, false)?, Stack::read(config, true)?);
    let vocabulary = config.count("vocab_size")?;
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let rows = b.share_vocabulary(vocabulary);
    let table = b.weight("shared", [rows, encoder.width]);
    let shape = vec![run.batch, run.seq];
    let ids = b.input("input_ids", Dtype::Int64, shape.clone());
    let x = b.lookup("encoder.embed", table, ids);
    let x = b.summed(x);
    let encoded = b.within("encoder", |b| encoder.build(b, x, None));
    let ids = b.input("decoder_input_ids", Dtype::Int64, shape);
    let x = b.lookup("decoder.embed", table, ids);
    let x = b.summed(x);
    let decoded = b.within("decoder", |b| decoder.build(b, x, Some(encoded)));
    let weight = match config.flag("tie_word_embeddings", true)? {
        true => table,
        false => b.weight("lm_head", [rows, encoder.width]),
    };
    let logits = b.project("lm_head", decoded, weight, None);
    b.gathered(logits);
    // Keys and values of the decoder's own tokens, and of the encoder's.
    let heads = b.share_heads(decoder.heads);
    b.graph.kv_cache_bytes = [
        4,
        decoder.layers,
        heads.heads,
        heads.head_dim,
        run.batch,
        run.seq,
    ]
    .iter()
    .fold(b.dtype.bits() / 8, |product, &n| product.saturating_mul(n));
    b.graph
        .note("as many tokens for the decoder as for the encoder");
    Ok(b.finish(&[logits]))
}
