//! Parts of transformers that detectors have.

use super::blocks::act;
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, whole};

/// Elements of a token in the decoders of detectors.
pub const HIDDEN: u64 = 256;
/// Heads over them.
pub const HEADS: u64 = 8;

/// Attention with projections of queries, keys and values, and of the result; the norm of its sum with `residual`.
pub fn attend(
    b: &mut Builder,
    name: &str,
    operands: [TensorId; 3],
    residual: TensorId,
) -> TensorId {
    b.within(name, |b| {
        let width = *b.shape(operands[0]).last().expect("rows of tokens");
        let mut projected = operands;
        for (name, id) in ["query", "key", "value"].into_iter().zip(&mut projected) {
            *id = b.linear(name, *id, width, true);
        }
        let y = b.attention("attention", &projected, whole(HEADS, width / HEADS));
        let y = b.linear("output", y, width, true);
        let sum = b.each("residual", "Add", &[y, residual]);
        b.layer_norm("norm", sum)
    })
}

/// Two matrices and a function between them; the norm of their sum with `x`.
pub fn feed_forward(b: &mut Builder, x: TensorId, inner: u64, function: &str) -> TensorId {
    b.within("ffn", |b| {
        let width = *b.shape(x).last().expect("rows of tokens");
        let y = b.linear("linear1", x, inner, true);
        let y = act(b, "linear1", y, function);
        let y = b.linear("linear2", y, width, true);
        let sum = b.each("residual", "Add", &[y, x]);
        b.layer_norm("norm", sum)
    })
}

/// Matrices with ReLU between them.
pub fn perceptron(b: &mut Builder, name: &str, x: TensorId, widths: &[u64]) -> TensorId {
    b.within(name, |b| {
        let mut x = x;
        for (index, &width) in widths.iter().enumerate() {
            let name = format!("layers.{index}");
            x = b.linear(&name, x, width, true);
            if index + 1 < widths.len() {
                x = act(b, &name, x, "Relu");
            }
        }
        x
    })
}
