//! Decoders whose queries, keys and values come out of one matrix: GPT-2 (`families.rs`), Bloom and Falcon.

use super::Run;
use super::build::Heads;
use super::config::Config;
use super::decoder::{Decoder, Feed, Norm};
use super::encoder::function;
use crate::error::Result;
use crate::model::graph::Graph;

/// What all of them have, with `layers` layers of `heads` heads over `hidden` elements.
pub fn joined(
    config: &Config,
    [hidden, heads, kv_heads]: [(&str, u64); 3],
    layers: u64,
) -> Result<Decoder> {
    let head_dim = config.divided(hidden, heads)?;
    config.divided(heads, kv_heads)?;
    let (hidden, heads, kv_heads) = (hidden.1, heads.1, kv_heads.1);
    Ok(Decoder {
        hidden,
        layers,
        heads: Heads {
            heads,
            kv_heads,
            head_dim,
            value_dim: head_dim,
            causal: true,
        },
        inner: hidden.saturating_mul(4),
        vocabulary: config.count("vocab_size")?,
        positions: None,
        distances: false,
        embedding_norm: false,
        embedded: hidden,
        norm: Norm::Layer,
        final_norm: true,
        one_qkv: true,
        qkv_bias: true,
        out_bias: true,
        feed: Feed::Plain("NewGelu"),
        feed_bias: true,
        parallel: None,
        head_norm: None,
        norm_behind: false,
        experts: None,
        shared: None,
        tied: config.flag("tie_word_embeddings", true)?,
        head_bias: false,
        by_input: false,
    })
}

/// A number that one of two keys gives, the first of them if both are there; with its key.
fn either<'a>(config: &Config, [first, second]: [&'a str; 2]) -> Result<(&'a str, u64)> {
    match config.maybe(first)? {
        Some(n) => Ok((first, n)),
        None => Ok((second, config.count(second)?)),
    }
}

/// Layers, by one of two keys.
fn layers(config: &Config) -> Result<u64> {
    match config.has("n_layer") {
        true => config.layers("n_layer"),
        false => config.layers("num_hidden_layers"),
    }
}

/// Bloom: scores are less by distance, and embedded tokens are normalised.
pub fn bloom(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let hidden = either(config, ["n_embed", "hidden_size"])?;
    let heads = either(config, ["n_head", "num_attention_heads"])?;
    let decoder = Decoder {
        distances: true,
        embedding_norm: true,
        ..joined(config, [hidden, heads, heads], layers(config)?)?
    };
    Ok(decoder.build(name, config.dtype()?, run))
}

/// Falcon, the first (one head of keys and values, or as many as of queries) and the later ones (some).
pub fn falcon(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let hidden = ("hidden_size", config.count("hidden_size")?);
    let heads = either(config, ["n_head", "num_attention_heads"])?;
    let later = config.flag("new_decoder_architecture", false)?;
    let one = !later && config.flag("multi_query", true)?;
    let kv_heads = match one {
        true => 1,
        false => config.maybe("num_kv_heads")?.unwrap_or(heads.1),
    };
    let bias = config.flag("bias", false)?;
    let parallel = later || config.flag("parallel_attn", true)?;
    let norms = config.maybe("num_ln_in_parallel_attn")?;
    let joined = joined(
        config,
        [hidden, heads, ("num_kv_heads", kv_heads)],
        layers(config)?,
    )?;
    let decoder = Decoder {
        distances: config.flag("alibi", false)?,
        inner: config.maybe("ffn_hidden_size")?.unwrap_or(joined.inner),
        qkv_bias: bias,
        out_bias: bias,
        feed: Feed::Plain(function(config, "activation", "Gelu")?),
        feed_bias: bias,
        parallel: parallel.then(|| match later {
            true => norms.unwrap_or(2),
            false => 1,
        }),
        ..joined
    };
    Ok(decoder.build(name, config.dtype()?, run))
}
