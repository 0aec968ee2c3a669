//! Decoders: transformers that predict the next token.

use super::Run;
use super::build::{Builder, Heads};
use super::config::Config;
use super::experts::Experts;
use crate::error::Result;
use crate::model::graph::{Dtype, Graph, TensorId};

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// LayerNorm with scale and bias.
    Layer,
    /// RMSNorm with scale.
    Rms,
}

impl Norm {
    /// Rows of `x`, normalised.
    fn build(self, b: &mut Builder, name: &str, x: TensorId) -> TensorId {
        match self {
            Norm::Layer => b.layer_norm(name, x),
            Norm::Rms => b.rms_norm(name, x),
        }
    }

    /// Every `head_dim` elements of `x`, normalised.
    fn build_heads(self, b: &mut Builder, name: &str, x: TensorId, head_dim: u64) -> TensorId {
        let shape = b.shape(x).to_vec();
        let heads = shape[2] / head_dim.max(1);
        let split = b.view(
            &format!("{name}_heads"),
            x,
            [shape[0], shape[1], heads, head_dim],
        );
        let normed = self.build(b, name, split);
        b.view(&format!("{name}_rows"), normed, shape)
    }
}

/// What follows the attention.
#[derive(Clone, Copy, Debug)]
pub enum Feed {
    /// Two matrices with a function between them.
    Plain(&'static str),
    /// down(act(gate) * up).
    Gated(&'static str),
    /// The same, gate and up in one matrix.
    GatedInOne(&'static str),
}

/// A decoder in the words of its definition.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Elements of a token.
    pub hidden: u64,
    /// Layers.
    pub layers: u64,
    /// Heads.
    pub heads: Heads,
    /// Elements between the matrices of the feed-forward network.
    pub inner: u64,
    /// Tokens that there are.
    pub vocabulary: u64,
    /// Rows of the table of positions; none: rotary positions, or distances.
    pub positions: Option<u64>,
    /// Scores are less by the distance of query and key (ALiBi).
    pub distances: bool,
    /// Embedded tokens are normalised.
    pub embedding_norm: bool,
    /// Elements of an embedded token, where they differ from `hidden`.
    pub embedded: u64,
    /// Normalisation.
    pub norm: Norm,
    /// Whether rows are normalised at the end.
    pub final_norm: bool,
    /// Queries, keys and values come out of one matrix.
    pub one_qkv: bool,
    /// That matrix, or those, have biases.
    pub qkv_bias: bool,
    /// The matrix behind the attention has a bias.
    pub out_bias: bool,
    /// The feed-forward network.
    pub feed: Feed,
    /// Its matrices have biases.
    pub feed_bias: bool,
    /// Attention and feed-forward network both start from the layer's input, which is normalised this often.
    pub parallel: Option<u64>,
    /// Heads of queries and keys are normalised so.
    pub head_norm: Option<Norm>,
    /// What attention and feed-forward network add is normalised, too.
    pub norm_behind: bool,
    /// Feed-forward networks of which tokens choose.
    pub experts: Option<Experts>,
    /// Elements between the matrices of a network that every token takes beside them, with a gate of its own.
    pub shared: Option<u64>,
    /// The last matrix is the table of tokens.
    pub tied: bool,
    /// The last matrix has a bias.
    pub head_bias: bool,
    /// Matrices but the last lie with the weights of an input side by side (`Conv1D`).
    pub by_input: bool,
}

impl Decoder {
    /// What most families have in common: the keys of Llama.
    ///
    /// # Errors
    /// Keys that are missing or make no sense.
    pub fn usual(config: &Config) -> Result<Self> {
        let hidden = config.count("hidden_size")?;
        let heads = config.count("num_attention_heads")?;
        let kv_heads = config.maybe("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match config.maybe("head_dim")? {
            Some(n) => n,
            None => config.divided(("hidden_size", hidden), ("num_attention_heads", heads))?,
        };
        config.divided(
            ("num_attention_heads", heads),
            ("num_key_value_heads", kv_heads),
        )?;
        Ok(Decoder {
            hidden,
            layers: config.layers("num_hidden_layers")?,
            heads: Heads {
                heads,
                kv_heads,
                head_dim,
                value_dim: head_dim,
                causal: true,
            },
            inner: config.count("intermediate_size")?,
            vocabulary: config.count("vocab_size")?,
            positions: None,
            distances: false,
            embedding_norm: false,
            embedded: hidden,
            norm: Norm::Rms,
            final_norm: true,
            one_qkv: false,
            qkv_bias: false,
            out_bias: false,
            feed: Feed::Gated("Silu"),
            feed_bias: false,
            parallel: None,
            head_norm: None,
            norm_behind: false,
            experts: None,
            shared: None,
            tied: config.flag("tie_word_embeddings", false)?,
            head_bias: false,
            by_input: false,
        })
    }

    /// The graph of a prefill: logits for every token.
    pub fn build(&self, name: &str, dtype: Dtype, run: Run) -> Graph {
        let mut b = Builder::sharded(name, dtype, run.shards);
        b.by_input = self.by_input;
        let (table, mut x) = self.embed(&mut b, run);
        for layer in 0..self.layers {
            x = b.within(format_args!("layers.{layer}"), |b| self.layer(b, x));
        }
        let elements = b
            .share_heads(self.heads)
            .kv_heads
            .saturating_mul(self.heads.head_dim)
            .saturating_mul(2);
        self.finish(b, table, x, elements.saturating_mul(self.layers), run)
    }

    /// Tokens, and positions where they have a table: the table of tokens, and the embedded ones.
    pub fn embed(&self, b: &mut Builder, run: Run) -> (TensorId, TensorId) {
        let ids = b.input("input_ids", Dtype::Int64, vec![run.batch, run.seq]);
        let rows = b.share_vocabulary(self.vocabulary);
        let table = b.weight("embed_tokens.weight", [rows, self.embedded]);
        let mut x = b.lookup("embed_tokens", table, ids);
        x = b.summed(x);
        if self.embedded != self.hidden {
            x = b.linear("project_in", x, self.hidden, false);
        }
        if let Some(rows) = self.positions {
            let places = b.weight("embed_positions.weight", [rows, self.hidden]);
            let part = b.part("positions", places, [run.seq, self.hidden]);
            x = b.each("embed", "Add", &[x, part]);
        }
        if self.embedding_norm {
            x = self.normalise(b, "embed_norm", x);
        }
        (table, x)
    }

    /// The end: normalisation, the matrix of the vocabulary, and `cached` elements a token that are kept.
    pub fn finish(
        &self,
        mut b: Builder,
        table: TensorId,
        x: TensorId,
        cached: u64,
        run: Run,
    ) -> Graph {
        let mut x = x;
        if self.final_norm {
            x = self.normalise(&mut b, "norm", x);
        }
        if self.embedded != self.hidden {
            x = b.linear("project_out", x, self.embedded, false);
        }
        let rows = b.share_vocabulary(self.vocabulary);
        let weight = match self.tied {
            true => table,
            false => b.weight("lm_head.weight", [rows, self.embedded]),
        };
        let bias = self.head_bias.then(|| b.weight("lm_head.bias", [rows]));
        let logits = b.project("lm_head", x, weight, bias);
        b.gathered(logits);
        let tokens = run.batch.saturating_mul(run.seq);
        let bits = cached.saturating_mul(tokens).saturating_mul(b.dtype.bits());
        b.graph.kv_cache_bytes = bits / 8;
        b.finish(&[logits])
    }

    /// Normalisation of rows.
    pub fn normalise(&self, b: &mut Builder, name: &str, x: TensorId) -> TensorId {
        self.norm.build(b, name, x)
    }

    /// The same behind a part, where there is one.
    fn normalise_behind(&self, b: &mut Builder, name: &str, x: TensorId) -> TensorId {
        match self.norm_behind {
            true => self.normalise(b, name, x),
            false => x,
        }
    }

    fn layer(&self, b: &mut Builder, x: TensorId) -> TensorId {
        let normed = self.normalise(b, "input_layernorm", x);
        let attended = b.within("self_attn", |b| self.attention(b, normed));
        if let Some(norms) = self.parallel {
            let normed = match norms {
                1 => normed,
                _ => self.normalise(b, "post_attention_layernorm", x),
            };
            let fed = b.within("mlp", |b| self.feed_forward(b, normed, self.inner));
            return b.each("residual", "Add", &[attended, fed, x]);
        }
        let attended = self.normalise_behind(b, "attention_norm", attended);
        let x = b.each("attention_residual", "Add", &[attended, x]);
        let normed = self.normalise(b, "post_attention_layernorm", x);
        let fed = b.within("mlp", |b| match self.experts {
            Some(experts) => self.mixture(b, normed, experts),
            None => self.feed_forward(b, normed, self.inner),
        });
        let fed = self.normalise_behind(b, "post_feedforward_layernorm", fed);
        b.each("residual", "Add", &[fed, x])
    }

    fn mixture(&self, b: &mut Builder, x: TensorId, experts: Experts) -> TensorId {
        let choice = b.linear("gate", x, experts.count, false);
        let routed = b.experts(x, choice, experts);
        let Some(inner) = self.shared else {
            return routed;
        };
        let shared = b.within("shared_expert", |b| self.feed_forward(b, x, inner));
        let gate = b.linear("shared_expert_gate", x, 1, false);
        let gate = b.each("shared_expert_act", "Sigmoid", &[gate]);
        let shared = b.each("shared_expert_mul", "Mul", &[shared, gate]);
        b.each("sum", "Add", &[routed, shared])
    }

    fn attention(&self, b: &mut Builder, x: TensorId) -> TensorId {
        let own = b.share_heads(self.heads);
        let Heads {
            heads,
            kv_heads,
            head_dim,
            ..
        } = own;
        let (wide, narrow) = (
            heads.saturating_mul(head_dim),
            kv_heads.saturating_mul(head_dim),
        );
        let shape = b.shape(x)[..2].to_vec();
        let [mut q, mut k, v] = match self.one_qkv {
            true => {
                let all = wide.saturating_add(narrow.saturating_mul(2));
                let qkv = b.linear("qkv_proj", x, all, self.qkv_bias);
                let mut part = |name, width| b.part(name, qkv, [shape[0], shape[1], width]);
                [part("q", wide), part("k", narrow), part("v", narrow)]
            }
            false => [
                b.linear("q_proj", x, wide, self.qkv_bias),
                b.linear("k_proj", x, narrow, self.qkv_bias),
                b.linear("v_proj", x, narrow, self.qkv_bias),
            ],
        };
        if let Some(norm) = self.head_norm {
            q = norm.build_heads(b, "q_norm", q, head_dim);
            k = norm.build_heads(b, "k_norm", k, head_dim);
        }
        if self.positions.is_none() && !self.distances {
            q = b.each("rotary_q", "Rotary", &[q]);
            k = b.each("rotary_k", "Rotary", &[k]);
        }
        let attended = match self.distances {
            true => b.biased_attention("attention", &[q, k, v], own),
            false => b.attention("attention", &[q, k, v], own),
        };
        b.linear_of_share("o_proj", attended, self.hidden, self.out_bias)
    }

    /// A feed-forward network with `inner` elements between its matrices.
    pub fn feed_forward(&self, b: &mut Builder, x: TensorId, inner: u64) -> TensorId {
        let inner = b.share("intermediate_size", inner);
        let inside = match self.feed {
            Feed::Plain(function) => {
                let up = b.linear("up_proj", x, inner, self.feed_bias);
                b.each("act", function, &[up])
            }
            Feed::Gated(function) => {
                let gate = b.linear("gate_proj", x, inner, self.feed_bias);
                let gate = b.each("act", function, &[gate]);
                let up = b.linear("up_proj", x, inner, self.feed_bias);
                b.each("mul", "Mul", &[gate, up])
            }
            Feed::GatedInOne(function) => {
                let both = b.linear("gate_up_proj", x, inner.saturating_mul(2), self.feed_bias);
                let mut shape = b.shape(both).to_vec();
                if let Some(last) = shape.last_mut() {
                    *last = inner;
                }
                let gate = b.part("gate", both, shape.clone());
                let up = b.part("up", both, shape);
                let gate = b.each("act", function, &[gate]);
                b.each("mul", "Mul", &[gate, up])
            }
        };
        b.linear_of_share("down_proj", inside, self.hidden, self.feed_bias)
    }
}
