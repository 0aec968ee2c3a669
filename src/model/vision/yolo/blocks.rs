//! Blocks of the versions 8 and 10.

use super::super::blocks::{self, act, as_image, as_tokens, depthwise, halves};
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, Heads, square};

/// A convolution with its normalisation and SiLU.
pub fn conv(b: &mut Builder, name: &str, x: TensorId, out: u64, window: [u64; 2]) -> TensorId {
    let x = blocks::conv(b, name, x, out, window);
    act(b, name, x, "Silu")
}

/// Channel by channel.
pub fn separate(b: &mut Builder, name: &str, x: TensorId, window: [u64; 2]) -> TensorId {
    let x = depthwise(b, name, x, window);
    act(b, name, x, "Silu")
}

/// A convolution of 3 x 3 that has a second one of 1 x 1 beside it until it is run: both are one by then.
pub fn repeated(b: &mut Builder, name: &str, x: TensorId, out: u64) -> TensorId {
    conv(b, &format!("{name}.rep"), x, out, [3, 1])
}

/// Two convolutions, and a sum.
pub fn bottleneck(b: &mut Builder, x: TensorId, adds: bool) -> TensorId {
    let channels = b.shape(x)[1];
    let y = conv(b, "cv1", x, channels, [3, 1]);
    let y = conv(b, "cv2", y, channels, [3, 1]);
    match adds {
        true => b.each("add", "Add", &[x, y]),
        false => y,
    }
}

/// The cheaper block of version 10: convolutions of channels and of places in turn.
pub fn compact(b: &mut Builder, x: TensorId, large: bool) -> TensorId {
    let channels = b.shape(x)[1];
    let y = separate(b, "cv1", x, [3, 1]);
    let y = conv(b, "cv2", y, 2 * channels, [1, 1]);
    let y = match large {
        // 7 x 7 and 3 x 3 side by side until it is run.
        true => separate(b, "cv3.rep", y, [7, 1]),
        false => separate(b, "cv3", y, [3, 1]),
    };
    let y = conv(b, "cv4", y, channels, [1, 1]);
    let y = separate(b, "cv5", y, [3, 1]);
    b.each("add", "Add", &[x, y])
}

/// `count` blocks in a row on one half of the channels; what each of them makes is put side by side.
pub fn split_stage(
    b: &mut Builder,
    x: TensorId,
    out: u64,
    count: u64,
    block: impl Fn(&mut Builder, TensorId) -> TensorId,
) -> TensorId {
    let x = conv(b, "cv1", x, out, [1, 1]);
    let mut parts = halves(b, x).to_vec();
    let mut x = parts[1];
    for index in 0..count {
        x = b.within(format_args!("m.{index}"), |b| block(b, x));
        parts.push(x);
    }
    let x = b.concat("concat", &parts, 1);
    conv(b, "cv2", x, out, [1, 1])
}

/// Maxima over three ever larger windows beside what they are taken of; `few` channels inside.
pub fn pyramid(b: &mut Builder, x: TensorId, few: u64, out: u64) -> TensorId {
    let mut parts = vec![conv(b, "cv1", x, few, [1, 1])];
    for index in 0..3 {
        let name = format!("pool{index}");
        parts.push(b.pool(&name, "MaxPool", parts[index], square(2, 5, 1, 2)));
    }
    let x = b.concat("concat", &parts, 1);
    conv(b, "cv2", x, out, [1, 1])
}

/// Fewer places and more channels one after the other.
pub fn separate_down(b: &mut Builder, x: TensorId, out: u64) -> TensorId {
    let x = conv(b, "cv1", x, out, [1, 1]);
    depthwise(b, "cv2", x, [3, 2])
}

/// Attention between all places on one half of the channels.
pub fn partial_attention(b: &mut Builder, x: TensorId) -> TensorId {
    let channels = b.shape(x)[1];
    let x = conv(b, "cv1", x, channels, [1, 1]);
    let [a, x] = halves(b, x);
    let y = b.within("attn", |b| attend(b, x));
    let x = b.each("attn.add", "Add", &[x, y]);
    let y = conv(b, "ffn.0", x, channels, [1, 1]);
    let y = blocks::conv(b, "ffn.1", y, channels / 2, [1, 1]);
    let x = b.each("ffn.add", "Add", &[x, y]);
    let x = b.concat("concat", &[a, x], 1);
    conv(b, "cv2", x, channels, [1, 1])
}

/// Heads of 64 elements or a few more, their keys half as wide; positions by a convolution of the values.
fn attend(b: &mut Builder, x: TensorId) -> TensorId {
    let shape = b.shape(x);
    let (width, places) = (shape[1], [shape[2], shape[3]]);
    let heads = width / 64;
    let value_dim = width / heads;
    let qkv = blocks::conv(b, "qkv", x, 2 * width, [1, 1]);
    let [q, k] = ["q", "k"].map(|name| blocks::channels(b, name, qkv, width / 2));
    let v = blocks::channels(b, "v", qkv, width);
    let operands =
        [("queries", q), ("keys", k), ("values", v)].map(|(name, id)| as_tokens(b, name, id));
    let heads = Heads {
        heads,
        kv_heads: heads,
        head_dim: value_dim / 2,
        value_dim,
        causal: false,
    };
    let y = b.attention("attention", &operands, heads);
    let y = as_image(b, "attended", y, places);
    let places = depthwise(b, "pe", v, [3, 1]);
    let y = b.each("with_position", "Add", &[y, places]);
    blocks::conv(b, "proj", y, width, [1, 1])
}
