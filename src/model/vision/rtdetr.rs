//! RT-DETR: maps of three sizes that find out about each other, and a decoder that looks at a few places of them.

use super::attention::{HEADS, HIDDEN, attend, feed_forward, perceptron};
use super::blocks::{act, as_image, as_tokens, enlarge, greatest};
use super::yolo::{conv, repeated};
use super::{blocks, hgnet, resnet};
use crate::model::graph::{Kind, Role, TensorId};
use crate::model::hf::Builder;

/// Boxes.
const QUERIES: u64 = 300;
/// Classes of COCO.
const CLASSES: u64 = 80;
/// Maps.
const LEVELS: u64 = 3;
/// Places of each map that a head looks at.
const POINTS: u64 = 4;

/// A size.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    backbone: Backbone,
    /// Channels of the maps behind it.
    width: u64,
    /// Channels inside the blocks that join maps.
    joined: u64,
    /// Elements inside the feed-forward network of the encoder.
    inner: u64,
    /// Layers of the decoder.
    layers: u64,
}

/// What makes maps of an image.
#[derive(Clone, Copy, Debug)]
enum Backbone {
    Hgnet(hgnet::Size),
    Resnet(resnet::Depth),
}

/// With HGNetv2-L.
pub const LARGE: Size = Size {
    backbone: Backbone::Hgnet(hgnet::LARGE),
    width: 256,
    joined: 256,
    inner: 1024,
    layers: 6,
};
/// With HGNetv2-X.
pub const EXTRA: Size = Size {
    backbone: Backbone::Hgnet(hgnet::EXTRA),
    width: 384,
    joined: 384,
    inner: 2048,
    ..LARGE
};
/// With ResNet-50, whose normalisation is kept as another network has learnt it.
pub const R50: Size = Size {
    backbone: Backbone::Resnet(resnet::RESNET50.frozen().with_means()),
    ..LARGE
};
/// With ResNet-101, the same.
pub const R101: Size = Size {
    backbone: Backbone::Resnet(resnet::RESNET101.frozen().with_means()),
    ..EXTRA
};
/// With ResNet-18.
pub const R18: Size = Size {
    backbone: Backbone::Resnet(resnet::RESNET18.with_means()),
    joined: 128,
    layers: 3,
    ..LARGE
};
/// With ResNet-34.
pub const R34: Size = Size {
    backbone: Backbone::Resnet(resnet::RESNET34.with_means()),
    layers: 4,
    ..R18
};

/// The network.
pub fn rtdetr(b: &mut Builder, x: TensorId, size: Size) -> Vec<TensorId> {
    let maps = b.within("backbone", |b| match size.backbone {
        Backbone::Hgnet(size) => hgnet::features(b, x, size),
        Backbone::Resnet(depth) => {
            let [_, maps @ ..] = depth.features(b, x);
            maps
        }
    });
    let maps = b.within("encoder", |b| encode(b, maps, size));
    b.within("decoder", |b| decode(b, maps, size.layers))
}

/// Attention within the smallest map, then from small maps to large ones and back.
fn encode(b: &mut Builder, maps: [TensorId; 3], size: Size) -> [TensorId; 3] {
    let width = size.width;
    let mut project = |level: usize| {
        blocks::conv(
            b,
            &format!("input_proj.{level}"),
            maps[level],
            width,
            [1, 1],
        )
    };
    let [p3, p4, p5] = [project(0), project(1), project(2)];
    let p5 = b.within("aifi", |b| {
        let shape = b.shape(p5);
        let places = [shape[2], shape[3]];
        let x = as_tokens(b, "tokens", p5);
        let count = places[0] * places[1];
        let position = vec![1, count, width];
        let position = b
            .graph
            .tensor("encoder.aifi.position", b.dtype, position, Role::Constant);
        let at = b.each("with_position", "Add", &[x, position]);
        let x = attend(b, "self", [at, at, x], x);
        let x = feed_forward(b, x, size.inner, "Gelu");
        as_image(b, "map", x, places)
    });
    let y5 = conv(b, "lateral.0", p5, width, [1, 1]);
    let up = enlarge(b, "larger.0", y5, 2);
    let x = join(b, "fpn.0", [up, p4], size);
    let y4 = conv(b, "lateral.1", x, width, [1, 1]);
    let up = enlarge(b, "larger.1", y4, 2);
    let f3 = join(b, "fpn.1", [up, p3], size);
    let down = conv(b, "downsample.0", f3, width, [3, 2]);
    let f4 = join(b, "pan.0", [down, y4], size);
    let down = conv(b, "downsample.1", f4, width, [3, 2]);
    let f5 = join(b, "pan.1", [down, y5], size);
    [f3, f4, f5]
}

/// Two maps as one: blocks on one projection of both, and another projection added; of as many channels as the maps.
fn join(b: &mut Builder, name: &str, maps: [TensorId; 2], size: Size) -> TensorId {
    b.within(name, |b| {
        let both = b.concat("concat", &maps, 1);
        let mut x = conv(b, "cv1", both, size.joined, [1, 1]);
        for index in 0..3 {
            x = repeated(b, &format!("m.{index}"), x, size.joined);
        }
        let other = conv(b, "cv2", both, size.joined, [1, 1]);
        let x = b.each("add", "Add", &[x, other]);
        match size.joined == size.width {
            true => x,
            false => conv(b, "cv3", x, size.width, [1, 1]),
        }
    })
}

/// The best places of all maps, and their boxes.
fn select(b: &mut Builder, memory: TensorId) -> [TensorId; 2] {
    let (batch, places) = (b.shape(memory)[0], b.shape(memory)[1]);
    let features = b.linear("enc_output", memory, HIDDEN, true);
    let features = b.layer_norm("enc_output.norm", features);
    let scores = b.linear("enc_score_head", features, CLASSES, true);
    let highest = b.reduce(
        "highest",
        "ReduceMax",
        Kind::Reduce,
        scores,
        [batch, places],
    );
    let kept = QUERIES.min(places);
    let chosen = greatest(b, "topk", highest, kept);
    let queries = [batch, kept, HIDDEN];
    let inputs = [features, chosen];
    let queries = b.apply("queries", "GatherElements", Kind::Lookup, &inputs, queries);
    let boxes = perceptron(b, "enc_bbox_head", queries, &[HIDDEN, HIDDEN, 4]);
    let shape = vec![1, kept, 4];
    let anchors = b
        .graph
        .tensor("decoder.anchors", b.dtype, shape, Role::Constant);
    let boxes = b.each("boxes", "Add", &[boxes, anchors]);
    [queries, act(b, "boxes", boxes, "Sigmoid")]
}

fn decode(b: &mut Builder, maps: [TensorId; 3], layers: u64) -> Vec<TensorId> {
    let mut levels = Vec::new();
    for (level, &map) in maps.iter().enumerate() {
        let name = format!("input_proj.{level}");
        let x = blocks::conv(b, &name, map, HIDDEN, [1, 1]);
        levels.push(as_tokens(b, &format!("tokens.{level}"), x));
    }
    let memory = b.concat("memory", &levels, 1);
    let [mut x, mut boxes] = select(b, memory);
    // Each layer has what looks up positions in common, as weights.
    let hidden = 2 * HIDDEN;
    let first = [
        b.weight("query_pos_head.0.weight", [hidden, 4]),
        b.weight("query_pos_head.0.bias", [hidden]),
    ];
    let second = [
        b.weight("query_pos_head.1.weight", [HIDDEN, hidden]),
        b.weight("query_pos_head.1.bias", [HIDDEN]),
    ];
    for index in 0..layers {
        [x, boxes] = b.within(format_args!("layers.{index}"), |b| {
            let y = b.project("query_pos.0", boxes, first[0], Some(first[1]));
            let y = act(b, "query_pos.0", y, "Relu");
            let position = b.project("query_pos.1", y, second[0], Some(second[1]));
            let at = b.each("with_position", "Add", &[x, position]);
            let x = attend(b, "self", [at, at, x], x);
            let at = b.each("cross.with_position", "Add", &[x, position]);
            let y = b.within("cross", |b| sample(b, at, memory, boxes));
            let x = b.each("cross.residual", "Add", &[y, x]);
            let x = b.layer_norm("cross.norm", x);
            let x = feed_forward(b, x, 1024, "Relu");
            let moved = perceptron(b, "bbox_head", x, &[HIDDEN, HIDDEN, 4]);
            let old = b.each("inverse_sigmoid", "Log", &[boxes]);
            let moved = b.each("moved", "Add", &[moved, old]);
            [x, act(b, "boxes", moved, "Sigmoid")]
        });
    }
    let scores = b.linear("score_head", x, CLASSES, true);
    let scores = act(b, "score_head", scores, "Sigmoid");
    vec![b.concat("detections", &[boxes, scores], 2)]
}

/// What each head of each query sees at a few places of each map, weighted.
fn sample(b: &mut Builder, x: TensorId, memory: TensorId, boxes: TensorId) -> TensorId {
    let (batch, queries) = (b.shape(x)[0], b.shape(x)[1]);
    let count = HEADS * LEVELS * POINTS;
    let values = b.linear("value_proj", memory, HIDDEN, true);
    let offsets = b.linear("sampling_offsets", x, 2 * count, true);
    let offsets = b.view(
        "sampling_offsets.points",
        offsets,
        [batch, queries, count, 2],
    );
    let [centre, size] = ["centre", "size"].map(|name| b.part(name, boxes, [batch, queries, 1, 2]));
    let places = b.each("scaled_offsets", "Mul", &[offsets, size]);
    let places = b.each("sampling_locations", "Add", &[places, centre]);
    let weights = b.linear("attention_weights", x, count, true);
    let by_head = [batch, queries, HEADS, LEVELS * POINTS];
    let weights = b.view("attention_weights.heads", weights, by_head);
    let weights = b.apply("softmax", "Softmax", Kind::Softmax, &[weights], by_head);
    let weights = b.view(
        "softmax.points",
        weights,
        [batch, queries, HEADS, LEVELS * POINTS, 1],
    );
    let seen = [batch, queries, HEADS, LEVELS * POINTS, HIDDEN / HEADS];
    let seen = b.apply(
        "grid_sample",
        "GridSample",
        Kind::Lookup,
        &[values, places],
        seen,
    );
    let seen = b.each("weighted", "Mul", &[seen, weights]);
    let sum = b.reduce(
        "sum",
        "ReduceSum",
        Kind::Reduce,
        seen,
        [batch, queries, HIDDEN],
    );
    b.linear("output_proj", sum, HIDDEN, true)
}
