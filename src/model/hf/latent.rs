//! DeepSeek V2 and V3: keys and values out of a narrow, shared row (multi-head latent attention), and many experts.

use super::Run;
use super::build::{Builder, Heads};
use super::config::Config;
use super::decoder::Decoder;
use super::experts::Experts;
use crate::error::Result;
use crate::model::graph::{Graph, Rule, TensorId};

/// The attention.
struct Latent {
    hidden: u64,
    heads: u64,
    /// Elements of the narrow row of queries, if there is one.
    q_rank: Option<u64>,
    /// Elements of that of keys and values.
    kv_rank: u64,
    /// Elements of a head without position.
    plain: u64,
    /// Elements of a head with rotary position, which all heads of the keys share.
    rotary: u64,
    /// Elements of a head of values.
    value: u64,
    bias: bool,
}

impl Latent {
    fn read(config: &Config) -> Result<Self> {
        Ok(Latent {
            hidden: config.count("hidden_size")?,
            heads: config.count("num_attention_heads")?,
            q_rank: config.maybe("q_lora_rank")?,
            kv_rank: config.count("kv_lora_rank")?,
            plain: config.count("qk_nope_head_dim")?,
            rotary: config.count("qk_rope_head_dim")?,
            value: config.count("v_head_dim")?,
            bias: config.flag("attention_bias", false)?,
        })
    }

    fn build(&self, b: &mut Builder, x: TensorId) -> TensorId {
        let (batch, tokens) = (b.shape(x)[0], b.shape(x)[1]);
        let head_dim = self.plain.saturating_add(self.rotary);
        let own = b.share("num_attention_heads", self.heads);
        let wide = own.saturating_mul(head_dim);
        let q = match self.q_rank {
            Some(rank) => {
                let narrow = b.linear("q_a_proj", x, rank, self.bias);
                let narrow = b.rms_norm("q_a_layernorm", narrow);
                b.linear("q_b_proj", narrow, wide, false)
            }
            None => b.linear("q_proj", x, wide, false),
        };
        let both = self.kv_rank.saturating_add(self.rotary);
        let narrow = b.linear("kv_a_proj_with_mqa", x, both, self.bias);
        let shared = b.part("k_rotary", narrow, [batch, tokens, self.rotary]);
        let narrow = b.part("kv_narrow", narrow, [batch, tokens, self.kv_rank]);
        let narrow = b.rms_norm("kv_a_layernorm", narrow);
        let out = self.plain.saturating_add(self.value);
        let kv = b.linear("kv_b_proj", narrow, own.saturating_mul(out), false);
        let q = b.each("rotary_q", "Rotary", &[q]);
        let shared = b.each("rotary_k", "Rotary", &[shared]);
        let plain = own.saturating_mul(self.plain);
        let plain = b.part("k_plain", kv, [batch, tokens, plain]);
        let spread = own.saturating_mul(self.rotary);
        let shared = b.part("k_shared", shared, [batch, tokens, spread]);
        let k = b.concat("k", &[plain, shared], 2);
        let value = own.saturating_mul(self.value);
        let v = b.part("v", kv, [batch, tokens, value]);
        let heads = Heads {
            heads: own,
            kv_heads: own,
            head_dim,
            value_dim: self.value,
            causal: true,
        };
        let attended = b.attention("attention", &[q, k, v], heads);
        b.linear_of_share("o_proj", attended, self.hidden, self.bias)
    }
}

/// The experts, and from which layer on.
struct Mixture {
    experts: Experts,
    shared: u64,
    dense: u64,
    step: u64,
}

impl Mixture {
    fn read(config: &Config) -> Result<Option<Self>> {
        let Some(count) = config.maybe("n_routed_experts")? else {
            return Ok(None);
        };
        let chosen = config.count("num_experts_per_tok")?;
        if chosen > count {
            let what = format!("a token takes {chosen} of {count} experts");
            return Err(config.wrong("num_experts_per_tok", what));
        }
        let inner = config.count("moe_intermediate_size")?;
        Ok(Some(Mixture {
            experts: Experts {
                count,
                chosen,
                inner,
                gated: true,
                rule: match config.text("scoring_func")? {
                    Some("sigmoid") => Rule::Sigmoid,
                    _ => Rule::Softmax {
                        shared: config.flag("norm_topk_prob", false)?,
                    },
                },
            },
            shared: config
                .count_or("n_shared_experts", 0)?
                .saturating_mul(inner),
            dense: config.count_or("first_k_dense_replace", 0)?,
            step: config.maybe("moe_layer_freq")?.unwrap_or(1),
        }))
    }
}

/// DeepSeek V2 and V3.
pub fn deepseek(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let (latent, mixture) = (Latent::read(config)?, Mixture::read(config)?);
    let decoder = Decoder::usual(config)?;
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let (table, mut x) = decoder.embed(&mut b, run);
    for layer in 0..decoder.layers {
        let sparse = mixture
            .as_ref()
            .filter(|m| layer >= m.dense && layer % m.step == 0);
        x = b.within(format_args!("layers.{layer}"), |b| {
            let normed = b.rms_norm("input_layernorm", x);
            let attended = b.within("self_attn", |b| latent.build(b, normed));
            let x = b.each("attention_residual", "Add", &[attended, x]);
            let normed = b.rms_norm("post_attention_layernorm", x);
            let fed = b.within("mlp", |b| feed(b, &decoder, sparse, normed));
            b.each("residual", "Add", &[fed, x])
        });
    }
    let head = latent
        .plain
        .saturating_add(latent.rotary)
        .saturating_add(latent.value);
    let heads = b.share("num_attention_heads", latent.heads);
    let cached = head.saturating_mul(heads).saturating_mul(decoder.layers);
    b.graph.note(
        "keys and values are expanded before they are kept, as the reference definition does",
    );
    Ok(decoder.finish(b, table, x, cached, run))
}

fn feed(b: &mut Builder, decoder: &Decoder, sparse: Option<&Mixture>, x: TensorId) -> TensorId {
    let Some(mixture) = sparse else {
        return decoder.feed_forward(b, x, decoder.inner);
    };
    let choice = b.linear("gate", x, mixture.experts.count, false);
    let routed = b.experts(x, choice, mixture.experts);
    match mixture.shared {
        0 => routed,
        inner => {
            let shared = b.within("shared_experts", |b| decoder.feed_forward(b, x, inner));
            b.each("sum", "Add", &[routed, shared])
        }
    }
}
