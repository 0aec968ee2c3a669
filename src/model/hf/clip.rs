//! CLIP: an encoder of texts, one of images, and how alike their results are.

use super::Run;
use super::build::{Builder, Heads};
use super::config::Config;
use super::encoder::{Layer, function, whole};
use super::vit::Patches;
use crate::error::Result;
use crate::model::graph::{Dtype, Graph, TensorId};

/// What both encoders have; keys that a section leaves away have the value of the first CLIP (ViT-B/32), as the
/// library that writes these files has it.
#[derive(Clone, Copy, Debug)]
struct Tower {
    layer: Layer,
    layers: u64,
}

impl Tower {
    fn read(config: &Config, usual: [u64; 4], causal: bool) -> Result<Self> {
        let [hidden, inner, layers, heads] = usual;
        let hidden = config.maybe("hidden_size")?.unwrap_or(hidden);
        let heads = config.maybe("num_attention_heads")?.unwrap_or(heads);
        let head_dim = config.divided(("hidden_size", hidden), ("num_attention_heads", heads))?;
        let layers = match config.maybe("num_hidden_layers")? {
            Some(_) => config.layers("num_hidden_layers")?,
            None => layers,
        };
        let layer = Layer {
            hidden,
            inner: config.maybe("intermediate_size")?.unwrap_or(inner),
            heads: Heads {
                causal,
                ..whole(heads, head_dim)
            },
            qkv_bias: true,
            norm_first: true,
            function: function(config, "hidden_act", "Gelu")?,
            scaled: false,
        };
        Ok(Tower { layer, layers })
    }

    fn build(&self, b: &mut Builder, mut x: TensorId) -> TensorId {
        for index in 0..self.layers {
            x = b.within(format_args!("layers.{index}"), |b| self.layer.build(b, x));
        }
        x
    }
}

/// The encoder of texts.
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    tower: Tower,
    vocabulary: u64,
    /// Every text is as long as the table of positions.
    tokens: u64,
}

impl Texts {
    /// The encoders of OpenAI and of OpenCLIP: heads of 64 elements, 77 tokens.
    pub fn usual(hidden: u64, layers: u64) -> Self {
        let layer = Layer {
            hidden,
            inner: 4 * hidden,
            heads: Heads {
                causal: true,
                ..whole(hidden / 64, 64)
            },
            qkv_bias: true,
            norm_first: true,
            function: "Gelu",
            scaled: false,
        };
        Texts {
            tower: Tower { layer, layers },
            vocabulary: 49_408,
            tokens: 77,
        }
    }

    /// Each token of `batch` texts.
    pub fn tokens(&self, b: &mut Builder, batch: u64) -> TensorId {
        let hidden = self.tower.layer.hidden;
        let ids = b.input("input_ids", Dtype::Int64, vec![batch, self.tokens]);
        let rows = b.share_vocabulary(self.vocabulary);
        let table = b.weight("token_embedding", [rows, hidden]);
        let x = b.lookup("tokens", table, ids);
        let x = b.summed(x);
        let places = b.weight("position_embedding", [self.tokens, hidden]);
        let x = b.each("embeddings", "Add", &[x, places]);
        let x = self.tower.build(b, x);
        b.layer_norm("final_layer_norm", x)
    }

    /// The whole texts, from their tokens `x`, in `width` elements.
    pub fn whole(&self, b: &mut Builder, x: TensorId, width: u64) -> TensorId {
        let shape = [b.shape(x)[0], self.tower.layer.hidden];
        let last = b.part("end_of_text", x, shape);
        b.linear("text_projection", last, width, false)
    }
}

fn text(config: &Config, b: &mut Builder, run: Run, width: u64) -> Result<TensorId> {
    let texts = Texts {
        tower: Tower::read(config, [512, 2048, 12, 8], true)?,
        vocabulary: config.maybe("vocab_size")?.unwrap_or(49_408),
        tokens: config.maybe("max_position_embeddings")?.unwrap_or(77),
    };
    let x = texts.tokens(b, run.batch);
    Ok(texts.whole(b, x, width))
}

fn image(config: &Config, b: &mut Builder, run: Run, width: u64) -> Result<TensorId> {
    let tower = Tower::read(config, [768, 3072, 12, 12], false)?;
    let hidden = tower.layer.hidden;
    let patches = Patches {
        image: config.maybe("image_size")?.unwrap_or(224),
        patch: config.maybe("patch_size")?.unwrap_or(32),
        channels: config.maybe("num_channels")?.unwrap_or(3),
        hidden,
        bias: false,
        front: 1,
    };
    let x = patches.checked(config)?.build(b, run.batch);
    let x = b.layer_norm("pre_layrnorm", x);
    let x = tower.build(b, x);
    let class = b.part("class_token", x, [run.batch, hidden]);
    let class = b.layer_norm("post_layernorm", class);
    Ok(b.linear("visual_projection", class, width, false))
}

/// CLIP.
pub fn clip(config: &Config, name: &str, run: Run) -> Result<Graph> {
    let width = config.maybe("projection_dim")?.unwrap_or(512);
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let (texts, images) = (
        config.section("text_config")?,
        config.section("vision_config")?,
    );
    let text = b.within("text_model", |b| text(&texts, b, run, width))?;
    let image = b.within("vision_model", |b| image(&images, b, run, width))?;
    let text = b.each("normalise_text", "Normalize", &[text]);
    let image = b.each("normalise_image", "Normalize", &[image]);
    let scale = b.weight("logit_scale", []);
    let scaled = b.each("scaled", "Mul", &[text, scale]);
    let alike = b.project("logits_per_text", scaled, image, None);
    b.graph.note(
        "texts are as long as the table of positions; --seq-len means nothing here; keys that are missing have the values of CLIP ViT-B/32",
    );
    Ok(b.finish(&[alike]))
}
