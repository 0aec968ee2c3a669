//! The network that says what of a latent is noise: convolutions from large maps to small ones and back, and
//! transformers on the maps that look at the text.

use super::blocks::{conv, normed, pointwise, residual, upsample};
use super::vae::LATENT;
use crate::model::graph::{Dtype, Kind, TensorId};
use crate::model::hf::{Builder, whole};
use crate::model::vision::{as_image, as_tokens};

/// Tokens of a text.
const TOKENS: u64 = 77;
/// Elements of what a step is known by.
const TIME: u64 = 1280;

/// A size.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Channels of each level, and layers of each transformer on it.
    levels: &'static [(u64, u64)],
    /// Layers of the transformer on the smallest map, between the way there and the way back.
    middle: u64,
    /// How many heads there are.
    heads: Heads,
    /// Elements of a token of the text.
    text: u64,
    /// The whole text and the sizes of the image are known, too; transformers begin and end with matrices instead of
    /// convolutions.
    xl: bool,
}

/// A rule for heads.
#[derive(Clone, Copy, Debug)]
enum Heads {
    /// So many, whatever the channels.
    Count(u64),
    /// Heads of so many elements.
    Width(u64),
}

/// Version 1.5.
pub const ONE: Size = Size {
    levels: &[(320, 1), (640, 1), (1280, 1), (1280, 0)],
    middle: 1,
    heads: Heads::Count(8),
    text: 768,
    xl: false,
};
/// Version XL.
pub const XL: Size = Size {
    levels: &[(320, 0), (640, 2), (1280, 10)],
    middle: 10,
    heads: Heads::Width(64),
    text: 2048,
    xl: true,
};

/// What every block looks at besides the map.
#[derive(Clone, Copy, Debug)]
struct Context {
    size: Size,
    time: TensorId,
    text: TensorId,
}

/// Attention of the places `x` to `other`, with a sum.
fn attend(
    b: &mut Builder,
    name: &str,
    x: TensorId,
    other: Option<TensorId>,
    heads: Heads,
) -> TensorId {
    let width = b.shape(x)[2];
    let count = match heads {
        Heads::Count(count) => count,
        Heads::Width(of_head) => width / of_head,
    };
    let normed = b.layer_norm(&format!("{name}.norm"), x);
    let y = b.within(name, |b| {
        let other = other.unwrap_or(normed);
        let operands = [("to_q", normed), ("to_k", other), ("to_v", other)];
        let operands = operands.map(|(name, id)| b.linear(name, id, width, false));
        let y = b.attention("attention", &operands, whole(count, width / count));
        b.linear("to_out", y, width, true)
    });
    b.each(&format!("{name}.add"), "Add", &[x, y])
}

/// A feed-forward network one half of which is the gate of the other.
fn feed_forward(b: &mut Builder, x: TensorId) -> TensorId {
    let shape = b.shape(x).to_vec();
    let inner = 4 * shape[2];
    let y = b.layer_norm("ff.norm", x);
    let y = b.linear("ff.proj", y, 2 * inner, true);
    let half = [shape[0], shape[1], inner];
    let value = b.part("ff.value", y, half);
    let gate = b.part("ff.gate", y, half);
    let gate = b.each("ff.gelu", "Gelu", &[gate]);
    let y = b.each("ff.gated", "Mul", &[value, gate]);
    let y = b.linear("ff.out", y, shape[2], true);
    b.each("ff.add", "Add", &[x, y])
}

/// A transformer on all places of a map.
fn transformer(b: &mut Builder, x: TensorId, layers: u64, context: Context) -> TensorId {
    let shape = b.shape(x);
    let (width, places) = (shape[1], [shape[2], shape[3]]);
    let (xl, heads) = (context.size.xl, context.size.heads);
    let y = b.group_norm("norm", x);
    let mut y = match xl {
        true => {
            let y = as_tokens(b, "tokens", y);
            b.linear("proj_in", y, width, true)
        }
        false => {
            let y = pointwise(b, "proj_in", y, width);
            as_tokens(b, "tokens", y)
        }
    };
    for index in 0..layers {
        y = b.within(format_args!("blocks.{index}"), |b| {
            let y = attend(b, "attn1", y, None, heads);
            let y = attend(b, "attn2", y, Some(context.text), heads);
            feed_forward(b, y)
        });
    }
    let y = match xl {
        true => {
            let y = b.linear("proj_out", y, width, true);
            as_image(b, "map", y, places)
        }
        false => {
            let y = as_image(b, "map", y, places);
            pointwise(b, "proj_out", y, width)
        }
    };
    b.each("add", "Add", &[x, y])
}

/// A residual block, and a transformer where the level has one.
fn block(
    b: &mut Builder,
    index: u64,
    x: TensorId,
    (channels, layers): (u64, u64),
    context: Context,
) -> TensorId {
    let x = b.within(format_args!("resnets.{index}"), |b| {
        residual(b, x, channels, Some(context.time))
    });
    match layers {
        0 => x,
        _ => b.within(format_args!("attentions.{index}"), |b| {
            transformer(b, x, layers, context)
        }),
    }
}

/// A small network on what a step is known by.
fn embed(b: &mut Builder, name: &str, x: TensorId) -> TensorId {
    b.within(name, |b| {
        let x = b.linear("linear_1", x, TIME, true);
        let x = b.each("act", "Silu", &[x]);
        b.linear("linear_2", x, TIME, true)
    })
}

/// What a step is known by: its number, and the `whole` text and the sizes of the image where the version knows them.
fn time(b: &mut Builder, batch: u64, whole: Option<TensorId>, size: Size) -> TensorId {
    let step = b.input("timestep", Dtype::Float32, vec![batch]);
    let waves = [batch, size.levels[0].0];
    let waves = b.apply("time_proj", "Sin", Kind::Elementwise, &[step], waves);
    let time = embed(b, "time_embedding", waves);
    let Some(whole) = whole else {
        return time;
    };
    let sizes = b.input("time_ids", Dtype::Float32, vec![batch, 6]);
    let waves = [batch, 6 * 256];
    let waves = b.apply("add_time_proj", "Sin", Kind::Elementwise, &[sizes], waves);
    let both = b.concat("add_embeds", &[whole, waves], 1);
    let more = embed(b, "add_embedding", both);
    b.each("time", "Add", &[time, more])
}

/// Latents as an input.
pub fn latents(b: &mut Builder, batch: u64, [height, width]: [u64; 2]) -> TensorId {
    b.input("sample", b.dtype, vec![batch, LATENT, height, width])
}

/// What the network sees of a batch of texts.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// batch x tokens x elements.
    pub tokens: TensorId,
    /// batch x elements, where the version has it.
    pub whole: Option<TensorId>,
}

/// Texts as inputs.
pub fn texts(b: &mut Builder, batch: u64, size: Size) -> Text {
    let shape = vec![batch, TOKENS, size.text];
    Text {
        tokens: b.input("encoder_hidden_states", b.dtype, shape),
        whole: size
            .xl
            .then(|| b.input("text_embeds", b.dtype, vec![batch, 1280])),
    }
}

/// The network on `x`.
pub fn unet(b: &mut Builder, x: TensorId, text: Text, size: Size) -> TensorId {
    let batch = b.shape(x)[0];
    let context = Context {
        size,
        time: time(b, batch, text.whole, size),
        text: text.tokens,
    };
    let last = size.levels.len() - 1;
    let mut x = conv(b, "conv_in", x, size.levels[0].0, 1);
    let mut skips = vec![x];
    for (level, &(channels, layers)) in size.levels.iter().enumerate() {
        b.within(format_args!("down.{level}"), |b| {
            for index in 0..2 {
                x = block(b, index, x, (channels, layers), context);
                skips.push(x);
            }
            if level < last {
                x = conv(b, "downsample", x, channels, 2);
                skips.push(x);
            }
        });
    }
    let channels = size.levels[last].0;
    x = b.within("mid", |b| {
        let x = block(b, 0, x, (channels, size.middle), context);
        block(b, 1, x, (channels, 0), context)
    });
    for (level, &(channels, layers)) in size.levels.iter().rev().enumerate() {
        b.within(format_args!("up.{level}"), |b| {
            for (index, skip) in skips
                .split_off(skips.len() - 3)
                .into_iter()
                .rev()
                .enumerate()
            {
                x = b.concat(&format!("concat.{index}"), &[x, skip], 1);
                x = block(b, index as u64, x, (channels, layers), context);
            }
            if level < last {
                x = upsample(b, x);
            }
        });
    }
    normed(b, 0, x, LATENT)
}

/// A step on the latents `x`: the network with and without the text as one batch, and how much the text changes, enlarged.
/// `text` has as many empty texts as others.
pub fn guided(b: &mut Builder, x: TensorId, text: Text, size: Size) -> TensorId {
    let both = b.concat("both", &[x, x], 0);
    let noise = unet(b, both, text, size);
    let shape: [u64; 4] = b.shape(x).try_into().expect("latents have four dimensions");
    let [without, with] =
        ["noise.without_text", "noise.with_text"].map(|name| b.part(name, noise, shape));
    let change = b.each("guidance.change", "Sub", &[with, without]);
    let change = b.each("guidance.scaled", "Mul", &[change]);
    b.each("guidance", "Add", &[without, change])
}
