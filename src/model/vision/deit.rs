//! DeiT: vision transformers with a classifier. The large one is of the third version, which scales what a layer adds
//! and has no position for the class token; the paper of the first version has none of this size.

use crate::model::graph::TensorId;
use crate::model::hf::{Builder, Layer, square, whole};

/// A size.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    hidden: u64,
    layers: u64,
    heads: u64,
    /// The third version.
    third: bool,
}

/// DeiT-B, without distillation.
pub const BASE: Size = Size {
    hidden: 768,
    layers: 12,
    heads: 12,
    third: false,
};
/// DeiT III-L.
pub const LARGE: Size = Size {
    hidden: 1024,
    layers: 24,
    heads: 16,
    third: true,
};

/// The tokens of the patches with their positions, behind a class token.
fn embed(b: &mut Builder, x: TensorId, size: Size) -> TensorId {
    let hidden = size.hidden;
    let x = b.conv("patch_embed", x, hidden, square(2, 16, 16, 0), true);
    let shape = b.shape(x);
    let (batch, count) = (shape[0], shape[2] * shape[3]);
    let x = b.view("patches", x, [batch, count, hidden]);
    let class = b.weight("cls_token", [1, 1, hidden]);
    let class = b.part("class", class, [batch, 1, hidden]);
    let places = b.weight("pos_embed", [count + u64::from(!size.third), hidden]);
    match size.third {
        true => {
            let x = b.each("embeddings", "Add", &[x, places]);
            b.concat("tokens", &[class, x], 1)
        }
        false => {
            let x = b.concat("tokens", &[class, x], 1);
            b.each("embeddings", "Add", &[x, places])
        }
    }
}

/// The network.
pub fn deit(b: &mut Builder, x: TensorId, size: Size) -> Vec<TensorId> {
    let hidden = size.hidden;
    let layer = Layer {
        hidden,
        inner: 4 * hidden,
        heads: whole(size.heads, hidden / size.heads),
        qkv_bias: true,
        norm_first: true,
        function: "Gelu",
        scaled: size.third,
    };
    let mut x = embed(b, x, size);
    for index in 0..size.layers {
        x = b.within(format_args!("blocks.{index}"), |b| layer.build(b, x));
    }
    let x = b.layer_norm("norm", x);
    let batch = b.shape(x)[0];
    let class = b.part("class_token", x, [batch, hidden]);
    vec![b.linear("head", class, 1000, true)]
}
