//! Vision transformers.

use super::Run;
use super::build::{Builder, square};
use super::config::Config;
use super::encoder::{Layer, function, whole};
use crate::error::Result;
use crate::model::graph::{Graph, TensorId};

/// How an image becomes tokens.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    /// Edge of the image.
    pub image: u64,
    /// Edge of a patch.
    pub patch: u64,
    /// Channels of the image.
    pub channels: u64,
    /// Elements of a token.
    pub hidden: u64,
    /// The convolution has a bias.
    pub bias: bool,
    /// Tokens in front of the patches: for the class, and for what another model says (DeiT).
    pub front: u64,
}

impl Patches {
    /// Reads the keys of ViT.
    ///
    /// # Errors
    /// Keys that are missing or make no sense.
    pub fn read(config: &Config, hidden: u64, bias: bool) -> Result<Self> {
        let patches = Patches {
            image: config.count("image_size")?,
            patch: config.count("patch_size")?,
            channels: config.maybe("num_channels")?.unwrap_or(3),
            hidden,
            bias,
            front: 1,
        };
        patches.checked(config)
    }

    /// Refuses patches that are larger than the image.
    ///
    /// # Errors
    /// Such patches.
    pub fn checked(self, config: &Config) -> Result<Self> {
        match self.patch <= self.image {
            true => Ok(self),
            false => {
                let what = format!("patches of {} in an image of {}", self.patch, self.image);
                Err(config.wrong("patch_size", what))
            }
        }
    }

    /// Tokens of `batch` images: a class token, then the patches, all with their positions.
    pub fn build(&self, b: &mut Builder, batch: u64) -> TensorId {
        let shape = vec![batch, self.channels, self.image, self.image];
        let dtype = b.dtype;
        let pixels = b.input("pixel_values", dtype, shape);
        let window = square(2, self.patch, self.patch, 0);
        let x = b.conv("patch_embedding", pixels, self.hidden, window, self.bias);
        let edge = self.image / self.patch;
        let count = edge.saturating_mul(edge);
        let x = b.view("patches", x, [batch, count, self.hidden]);
        let class = b.weight("class_embedding", [1, self.front, self.hidden]);
        let class = b.view("class", class, [1, self.front, self.hidden]);
        let classes = b.part("classes", class, [batch, self.front, self.hidden]);
        let x = b.concat("tokens", &[classes, x], 1);
        let rows = count.saturating_add(self.front);
        let places = b.weight("position_embedding", [rows, self.hidden]);
        b.each("embeddings", "Add", &[x, places])
    }
}

/// ViT, with the pooler.
pub fn vit(config: &Config, name: &str, run: Run) -> Result<Graph> {
    transformer(config, name, run, 1)
}

/// DeiT: ViT with a token more, which learns from another model.
pub fn deit(config: &Config, name: &str, run: Run) -> Result<Graph> {
    transformer(config, name, run, 2)
}

/// A transformer with `front` tokens in front of those of the image.
fn transformer(config: &Config, name: &str, run: Run, front: u64) -> Result<Graph> {
    let (hidden, heads) = (
        config.count("hidden_size")?,
        config.count("num_attention_heads")?,
    );
    let head_dim = config.divided(("hidden_size", hidden), ("num_attention_heads", heads))?;
    let layer = Layer {
        hidden,
        inner: config.count("intermediate_size")?,
        heads: whole(heads, head_dim),
        qkv_bias: config.flag("qkv_bias", true)?,
        norm_first: true,
        function: function(config, "hidden_act", "Gelu")?,
        scaled: false,
    };
    let layers = config.layers("num_hidden_layers")?;
    let patches = Patches {
        front,
        ..Patches::read(config, hidden, true)?
    };
    let mut b = Builder::sharded(name, config.dtype()?, run.shards);
    let mut x = patches.build(&mut b, run.batch);
    for index in 0..layers {
        x = b.within(format_args!("layer.{index}"), |b| layer.build(b, x));
    }
    let x = b.layer_norm("layernorm", x);
    let class = b.part("class_token", x, [run.batch, hidden]);
    let wide = config.maybe("pooler_output_size")?.unwrap_or(hidden);
    let pooled = b.linear("pooler", class, wide, true);
    let pooled = b.each("pooler.act", "Tanh", &[pooled]);
    b.graph
        .note("the base model: without a head for a task, with the pooler");
    Ok(b.finish(&[x, pooled]))
}
