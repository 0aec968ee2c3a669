//! DETR: a transformer on the last map of a residual network.

use super::attention::{HIDDEN, attend, feed_forward, perceptron};
use super::blocks::{act, as_tokens};
use super::resnet;
use crate::model::graph::{Role, TensorId};
use crate::model::hf::{Builder, square};

/// Boxes.
const QUERIES: u64 = 100;
/// Numbers of the classes of COCO, and no object.
const CLASSES: u64 = 92;
/// Layers of encoder and of decoder.
const LAYERS: u64 = 6;
/// Elements inside the feed-forward networks.
const INNER: u64 = 2048;

/// DETR with ResNet-50.
pub fn detr(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let [.., map] = b.within("backbone", |b| resnet::RESNET50.frozen().features(b, x));
    let map = b.conv("input_proj", map, HIDDEN, square(2, 1, 1, 0), true);
    let mut x = as_tokens(b, "tokens", map);
    let (batch, places) = (b.shape(x)[0], b.shape(x)[1]);
    let position = b
        .graph
        .tensor("position", b.dtype, vec![1, places, HIDDEN], Role::Constant);
    for index in 0..LAYERS {
        x = b.within(format_args!("encoder.{index}"), |b| {
            let at = b.each("with_position", "Add", &[x, position]);
            let x = attend(b, "self", [at, at, x], x);
            feed_forward(b, x, INNER, "Relu")
        });
    }
    let queries = b.weight("query_position", [QUERIES, HIDDEN]);
    let queries = b.part("queries", queries, [1, QUERIES, HIDDEN]);
    // The decoder starts from zeros.
    let mut y = b.graph.tensor(
        "targets",
        b.dtype,
        vec![batch, QUERIES, HIDDEN],
        Role::Constant,
    );
    for index in 0..LAYERS {
        y = b.within(format_args!("decoder.{index}"), |b| {
            let at = b.each("with_query", "Add", &[y, queries]);
            let y = attend(b, "self", [at, at, y], y);
            let at = b.each("cross.with_query", "Add", &[y, queries]);
            let keys = b.each("cross.with_position", "Add", &[x, position]);
            let y = attend(b, "cross", [at, keys, x], y);
            feed_forward(b, y, INNER, "Relu")
        });
    }
    let y = b.layer_norm("decoder.norm", y);
    let classes = b.linear("class_labels_classifier", y, CLASSES, true);
    let boxes = perceptron(b, "bbox_predictor", y, &[HIDDEN, HIDDEN, 4]);
    let boxes = act(b, "bbox_predictor", boxes, "Sigmoid");
    vec![classes, boxes]
}
