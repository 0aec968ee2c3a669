//! Families of decoders, each by what is different about it.

use super::Run;
use super::build::Heads;
use super::config::Config;
use super::decoder::{Decoder, Feed, Norm};
use super::experts::Experts;
use super::joined::joined;
use crate::error::{Error, Result};
use crate::model::graph::{Graph, Rule};

/// Llama and Mistral.
pub fn llama(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let bias = config.flag("attention_bias", false)?;
    let decoder = Decoder {
        qkv_bias: bias,
        out_bias: bias,
        feed_bias: config.flag("mlp_bias", false)?,
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Mixtral: Llama with experts.
pub fn mixtral(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let decoder = Decoder::usual(config)?;
    let decoder = Decoder {
        experts: Some(experts(config, "num_local_experts", decoder.inner, true)?),
        ..decoder
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Qwen2: Llama with biases in front of the attention.
pub fn qwen2(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let decoder = Decoder {
        qkv_bias: true,
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Qwen3: Llama with normalised heads.
pub fn qwen3(config: &Config, name: &str, run: Run) -> Result<Graph> {
    config.count("head_dim")?;
    let bias = config.flag("attention_bias", false)?;
    let decoder = Decoder {
        qkv_bias: bias,
        out_bias: bias,
        head_norm: Some(Norm::Rms),
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Qwen2 with experts in every layer, and one network that all tokens take.
pub fn qwen2_moe(config: &Config, name: &str, run: Run) -> Result<Graph> {
    if config.maybe("decoder_sparse_step")?.unwrap_or(1) != 1 || config.has("mlp_only_layers") {
        let what = "layers with experts between others are not read";
        return Err(config.wrong("decoder_sparse_step", what));
    }
    let decoder = Decoder {
        qkv_bias: config.flag("qkv_bias", true)?,
        shared: Some(config.count("shared_expert_intermediate_size")?),
        experts: Some(experts(
            config,
            "num_experts",
            config.count("moe_intermediate_size")?,
            config.flag("norm_topk_prob", false)?,
        )?),
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Experts as many as `key` says, of which a token takes `num_experts_per_tok`.
fn experts(config: &Config, key: &str, inner: u64, shared: bool) -> Result<Experts> {
    let (count, chosen) = (config.count(key)?, config.count("num_experts_per_tok")?);
    if chosen > count {
        return Err(config.wrong(
            "num_experts_per_tok",
            format!("a token takes {chosen} of {count} experts"),
        ));
    }
    Ok(Experts {
        count,
        chosen,
        inner,
        gated: true,
        rule: Rule::Softmax { shared },
    })
}

/// Gemma: Llama with heads of a size of their own, and the table of tokens at both ends.
pub fn gemma(config: &Config, name: &str, run: Run) -> Result<Graph> {
    config.count("head_dim")?;
    let bias = config.flag("attention_bias", false)?;
    let decoder = Decoder {
        feed: Feed::Gated("Gelu"),
        // The second Gemma.
        norm_behind: config.text("model_type")? == Some("gemma2"),
        qkv_bias: bias,
        out_bias: bias,
        tied: config.flag("tie_word_embeddings", true)?,
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Phi-1 and Phi-2: attention and feed-forward network side by side.
pub fn phi(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let normed = config.flag("qk_layernorm", false)?;
    let decoder = Decoder {
        head_norm: normed.then_some(Norm::Layer),
        norm: Norm::Layer,
        feed: Feed::Plain("NewGelu"),
        qkv_bias: true,
        out_bias: true,
        feed_bias: true,
        parallel: Some(1),
        head_bias: true,
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Phi-3: Llama with fewer, larger matrices.
pub fn phi3(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let decoder = Decoder {
        feed: Feed::GatedInOne("Silu"),
        one_qkv: true,
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// GPT-NeoX.
pub fn gpt_neox(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let bias = config.flag("attention_bias", true)?;
    let parallel = config.flag("use_parallel_residual", true)?;
    let decoder = Decoder {
        norm: Norm::Layer,
        feed: Feed::Plain("Gelu"),
        one_qkv: true,
        qkv_bias: bias,
        out_bias: bias,
        feed_bias: true,
        parallel: parallel.then_some(2),
        ..Decoder::usual(config)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// GPT-2, whose keys have names of their own.
pub fn gpt2(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let hidden = ("n_embd", config.count("n_embd")?);
    let heads = ("n_head", config.count("n_head")?);
    if config.flag("add_cross_attention", false)? {
        let what = "a decoder behind an encoder is not read";
        return Err(config.wrong("add_cross_attention", what));
    }
    let joined = joined(config, [hidden, heads, heads], config.layers("n_layer")?)?;
    let decoder = Decoder {
        inner: config.maybe("n_inner")?.unwrap_or(joined.inner),
        positions: Some(positions(config, "n_positions", run.seq)?),
        by_input: true,
        ..joined
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// OPT.
pub fn opt(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let hidden = config.count("hidden_size")?;
    let heads = config.count("num_attention_heads")?;
    let head_dim = config.divided(("hidden_size", hidden), ("num_attention_heads", heads))?;
    let bias = config.flag("enable_bias", true)?;
    let before = config.flag("do_layer_norm_before", true)?;
    if !config.flag("layer_norm_elementwise_affine", true)? {
        let what = "norms without weights are not read";
        return Err(config.wrong("layer_norm_elementwise_affine", what));
    }
    let removed = config.flag("_remove_final_layer_norm", false)?;
    let decoder = Decoder {
        hidden,
        layers: config.layers("num_hidden_layers")?,
        heads: Heads {
            heads,
            kv_heads: heads,
            head_dim,
            value_dim: head_dim,
            causal: true,
        },
        inner: config.count("ffn_dim")?,
        vocabulary: config.count("vocab_size")?,
        // Two rows are kept for what is no position.
        positions: Some(positions(config, "max_position_embeddings", run.seq)? + 2),
        distances: false,
        embedding_norm: false,
        embedded: config.maybe("word_embed_proj_dim")?.unwrap_or(hidden),
        norm: Norm::Layer,
        final_norm: before && !removed,
        one_qkv: false,
        qkv_bias: bias,
        out_bias: bias,
        feed: Feed::Plain("Relu"),
        feed_bias: bias,
        parallel: None,
        head_norm: None,
        norm_behind: false,
        experts: None,
        shared: None,
        tied: config.flag("tie_word_embeddings", true)?,
        head_bias: false,
        by_input: false,
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Rows of a table of positions, of which `tokens` are needed.
///
/// # Errors
/// A key that is missing or makes no sense; more tokens than there are rows.
pub fn positions(config: &Config, key: &str, tokens: u64) -> Result<u64> {
    match config.count(key)? {
        rows if rows >= tokens => Ok(rows),
        rows => Err(Error::Usage(format!(
            "{}: the model knows {rows} positions ({key}), and {tokens} are asked for; give a smaller --seq-len or --kv-len",
            config.file()
        ))),
    }
}
