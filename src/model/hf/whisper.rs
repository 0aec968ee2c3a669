//! Whisper: an encoder of sound and a decoder of text.

use super::Run;
use super::build::{Builder, Heads, square};
use super::config::Config;
use super::encoder::{function, whole};
use super::families::positions;
use crate::error::Result;
use crate::model::graph::{Dtype, Graph, TensorId};

/// A half of the model.
struct Half {
    width: u64,
    inner: u64,
    heads: Heads,
    layers: u64,
    function: &'static str,
}

impl Half {
    fn read(config: &Config, which: &str) -> Result<Self> {
        let width = config.count("d_model")?;
        let key = format!("{which}_attention_heads");
        let heads = config.count(&key)?;
        let head_dim = config.divided(("d_model", width), (&key, heads))?;
        Ok(Half {
            width,
            inner: config.count(&format!("{which}_ffn_dim"))?,
            heads: whole(heads, head_dim),
            layers: config.layers(&format!("{which}_layers"))?,
            function: function(config, "activation_function", "Gelu")?,
        })
    }

    fn attend(
        &self,
        b: &mut Builder,
        x: TensorId,
        other: Option<TensorId>,
        causal: bool,
    ) -> TensorId {
        let normed = b.layer_norm("layer_norm", x);
        let source = other.unwrap_or(normed);
        let own = b.share_heads(self.heads);
        let width = own.heads.saturating_mul(own.head_dim);
        let q = b.linear("q_proj", normed, width, true);
        let k = b.linear("k_proj", source, width, false);
        let v = b.linear("v_proj", source, width, true);
        let heads = Heads { causal, ..own };
        let attended = b.attention("attention", &[q, k, v], heads);
        let out = b.linear_of_share("out_proj", attended, self.width, true);
        b.each("residual", "Add", &[out, x])
    }

    fn feed(&self, b: &mut Builder, x: TensorId) -> TensorId {
        let normed = b.layer_norm("final_layer_norm", x);
        let inner = b.share("ffn_dim", self.inner);
        let up = b.linear("fc1", normed, inner, true);
        let up = b.each("act", self.function, &[up]);
        let down = b.linear_of_share("fc2", up, self.width, true);
        b.each("residual", "Add", &[down, x])
    }

    fn build(&self, b: &mut Builder, mut x: TensorId, encoded: Option<TensorId>) -> TensorId {
        for layer in 0..self.layers {
            x = b.within(format_args!("layers.{layer}"), |b| {
                let mut x = b.within("self_attn", |b| self.attend(b, x, None, encoded.is_some()));
                if encoded.is_some() {
                    x = b.within("encoder_attn", |b| self.attend(b, x, encoded, false));
                }
                self.feed(b, x)
            });
        }
        b.layer_norm("layer_norm", x)
    }
}

/// Whisper, on as much sound as it takes at a time.
pub fn whisper(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let (encoder, decoder) = (
        Half::read(config, "encoder")?,
        Half::read(config, "decoder")?,
    );
    let width = encoder.width;
    let frames = config.count("max_source_positions")?;
    let bands = config.count("num_mel_bins")?;
    let rows = positions(config, "max_target_positions", run.seq)?;
    let vocabulary = config.count("vocab_size")?;
    let tied = config.flag("tie_word_embeddings", true)?;
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let dtype = b.dtype;
    // The second convolution halves the frames.
    let sound = b.input("input_features", dtype, vec![run.batch, bands, frames * 2]);
    let encoded = b.within("encoder", |b| {
        let x = b.conv("conv1", sound, width, square(1, 3, 1, 1), true);
        let x = b.each("act1", "Gelu", &[x]);
        let x = b.conv("conv2", x, width, square(1, 3, 2, 1), true);
        let x = b.each("act2", "Gelu", &[x]);
        let x = b.view("frames", x, [run.batch, frames, width]);
        let places = b.weight("embed_positions", [frames, width]);
        let x = b.each("embed", "Add", &[x, places]);
        encoder.build(b, x, None)
    });
    let ids = b.input("decoder_input_ids", Dtype::Int64, vec![run.batch, run.seq]);
    let own = b.share_vocabulary(vocabulary);
    let table = b.weight("decoder.embed_tokens", [own, width]);
    let decoded = b.within("decoder", |b| {
        let x = b.lookup("tokens", table, ids);
        let x = b.summed(x);
        let places = b.weight("embed_positions", [rows, width]);
        let part = b.part("positions", places, [run.seq, width]);
        let x = b.each("embed", "Add", &[x, part]);
        decoder.build(b, x, Some(encoded))
    });
    let weight = match tied {
        true => table,
        false => b.weight("proj_out", [own, width]),
    };
    let logits = b.project("proj_out", decoded, weight, None);
    b.gathered(logits);
    let tokens = run.seq.saturating_add(frames);
    let heads = b.share_heads(decoder.heads);
    let kept = heads.heads.saturating_mul(heads.head_dim);
    b.graph.kv_cache_bytes = [2, decoder.layers, kept, run.batch, tokens]
        .iter()
        .fold(dtype.bits() / 8, |product, &n| product.saturating_mul(n));
    b.graph.note(format!(
        "{} frames of sound, and as many tokens for the decoder as --seq-len says",
        frames * 2
    ));
    Ok(b.finish(&[logits]))
}
