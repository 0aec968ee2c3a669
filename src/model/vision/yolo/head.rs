//! The heads: boxes as distributions of distances to their edges, and scores of classes, at each place of three maps.

use super::super::blocks::{act, greatest, note_overlaps};
use super::blocks::{conv, separate};
use crate::model::graph::{Kind, Role, TensorId};
use crate::model::hf::{Builder, square};

/// Classes of COCO.
const CLASSES: u64 = 80;
/// Distances of a distribution.
const BINS: u64 = 16;
/// Boxes that version 10 keeps.
const KEPT: u64 = 300;

/// What the scores are computed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Convolutions of all channels.
    Dense,
    /// Channel by channel and place by place in turn; the best boxes are picked at the end.
    Separate,
}

/// Boxes and scores of all places: batch x (4 + classes) x places, or the best boxes.
pub fn detect(b: &mut Builder, maps: [TensorId; 3], head: Head) -> Vec<TensorId> {
    b.within("detect", |b| {
        let first = b.shape(maps[0])[1];
        let widths = [(first / 4).max(4 * BINS), first.max(CLASSES.min(100))];
        let mut parts = Vec::new();
        for (level, &map) in maps.iter().enumerate() {
            let both = b.within(level, |b| {
                let boxes = b.within("box", |b| boxes(b, map, widths[0]));
                let scores = b.within("class", |b| scores(b, map, widths[1], head));
                b.concat("concat", &[boxes, scores], 1)
            });
            let shape = b.shape(both);
            let flat = [shape[0], shape[1], shape[2] * shape[3]];
            parts.push(b.view(&format!("{level}.flat"), both, flat));
        }
        let all = b.concat("concat", &parts, 2);
        decode(b, all, head)
    })
}

fn boxes(b: &mut Builder, map: TensorId, width: u64) -> TensorId {
    let x = conv(b, "0", map, width, [3, 1]);
    let x = conv(b, "1", x, width, [3, 1]);
    b.conv("2", x, 4 * BINS, square(2, 1, 1, 0), true)
}

fn scores(b: &mut Builder, map: TensorId, width: u64, head: Head) -> TensorId {
    let mut x = map;
    for name in ["0", "1"] {
        x = match head {
            Head::Dense => conv(b, name, x, width, [3, 1]),
            Head::Separate => {
                let x = separate(b, &format!("{name}.channels"), x, [3, 1]);
                conv(b, &format!("{name}.places"), x, width, [1, 1])
            }
        };
    }
    b.conv("2", x, CLASSES, square(2, 1, 1, 0), true)
}

/// Boxes from their distributions, and scores from 0 to 1.
fn decode(b: &mut Builder, all: TensorId, head: Head) -> Vec<TensorId> {
    let (batch, places) = (b.shape(all)[0], b.shape(all)[2]);
    let bins = b.part("distributions", all, [batch, 4 * BINS, places]);
    let bins = b.view("bins", bins, [batch, 4, BINS, places]);
    let bins = b.apply(
        "last",
        "Transpose",
        Kind::Move,
        &[bins],
        [batch, 4, places, BINS],
    );
    let shape = b.shape(bins).to_vec();
    let likely = b.apply("softmax", "Softmax", Kind::Softmax, &[bins], shape);
    // The mean of each distribution: its weights are the numbers 0 to 15, and part of the model.
    let distances = b.linear("dfl", likely, 1, false);
    let distances = b.view("distances", distances, [batch, 4, places]);
    let before = b.part("before", distances, [batch, 2, places]);
    let behind = b.part("behind", distances, [batch, 2, places]);
    let dtype = b.dtype;
    let centres = b
        .graph
        .tensor("detect.anchors", dtype, vec![1, 2, places], Role::Constant);
    let strides = b
        .graph
        .tensor("detect.strides", dtype, vec![1, 1, places], Role::Constant);
    // Distances before and behind the centres of the places.
    let low = b.each("low", "Sub", &[before, centres]);
    let high = b.each("high", "Add", &[behind, centres]);
    let boxes = match head {
        Head::Dense => {
            let sum = b.each("sum", "Add", &[low, high]);
            let centre = b.each("centre", "Div", &[sum]);
            let size = b.each("size", "Sub", &[high, low]);
            b.concat("boxes", &[centre, size], 1)
        }
        Head::Separate => b.concat("boxes", &[low, high], 1),
    };
    let boxes = b.each("scaled", "Mul", &[boxes, strides]);
    let scores = b.part("logits", all, [batch, CLASSES, places]);
    let scores = act(b, "scores", scores, "Sigmoid");
    let found = b.concat("found", &[boxes, scores], 1);
    match head {
        Head::Dense => {
            note_overlaps(b);
            vec![found]
        }
        Head::Separate => vec![best(b, found)],
    }
}

/// The best boxes with score and class.
fn best(b: &mut Builder, found: TensorId) -> TensorId {
    let shape = b.shape(found);
    let (batch, rows, places) = (shape[0], shape[1], shape[2]);
    let kept = KEPT.min(places);
    let found = b.apply(
        "rows",
        "Transpose",
        Kind::Move,
        &[found],
        [batch, places, rows],
    );
    let scores = b.part("row_scores", found, [batch, places, CLASSES]);
    let highest = b.reduce(
        "highest",
        "ReduceMax",
        Kind::Reduce,
        scores,
        [batch, places],
    );
    let chosen = greatest(b, "topk", highest, kept);
    let rows = b.apply(
        "chosen",
        "GatherElements",
        Kind::Lookup,
        &[found, chosen],
        [batch, kept, rows],
    );
    let scores = b.part("chosen_scores", rows, [batch, kept * CLASSES]);
    let chosen = greatest(b, "topk2", scores, kept);
    let boxes = b.apply(
        "best",
        "GatherElements",
        Kind::Lookup,
        &[rows, chosen],
        [batch, kept, 4],
    );
    let scores = b.view("best_scores", chosen, [batch, kept, 1]);
    let classes = b.each("classes", "Mod", &[scores]);
    b.concat("detections", &[boxes, scores, classes], 2)
}
