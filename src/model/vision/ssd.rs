//! SSD with the features of MobileNet v1, as in the object detection library of TensorFlow: 91 classes of COCO.

use super::blocks::{act, as_tokens, conv, note_overlaps};
use super::mobilenet;
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};

/// Classes, the background among them.
const CLASSES: u64 = 91;
/// Channels inside and behind each pair of layers that make smaller maps.
const EXTRA: [[u64; 2]; 4] = [[256, 512], [128, 256], [128, 256], [64, 128]];

/// Boxes and scores of the boxes on one map.
fn predict(b: &mut Builder, x: TensorId, boxes: u64) -> [TensorId; 2] {
    let window = || square(2, 1, 1, 0);
    let ends = [("boxes", 4), ("classes", CLASSES)];
    ends.map(|(name, count)| {
        let y = b.conv(name, x, boxes * count, window(), true);
        let shape = b.shape(y);
        let (batch, places) = (shape[0], shape[2] * shape[3] * boxes);
        let y = as_tokens(b, &format!("{name}.last"), y);
        let y = b.view(&format!("{name}.rows"), y, [batch, places, count]);
        match name {
            "classes" => act(b, name, y, "Sigmoid"),
            _ => y,
        }
    })
}

/// SSD-MobileNet v1. What picks the boxes that do not overlap is not part of the graph.
pub fn ssd(b: &mut Builder, x: TensorId) -> Vec<TensorId> {
    let [middle, last] = mobilenet::features(b, x, "Clip");
    let mut maps = vec![middle, last];
    let mut x = last;
    for (index, [inside, out]) in EXTRA.into_iter().enumerate() {
        x = b.within(format_args!("extra{index}"), |b| {
            let x = conv(b, "narrow", x, inside, [1, 1]);
            let x = act(b, "narrow", x, "Clip");
            let x = conv(b, "smaller", x, out, [3, 2]);
            act(b, "smaller", x, "Clip")
        });
        maps.push(x);
    }
    let mut found = Vec::new();
    for (index, &map) in maps.iter().enumerate() {
        let boxes = if index == 0 { 3 } else { 6 };
        found.push(b.within(format_args!("predictor{index}"), |b| predict(b, map, boxes)));
    }
    let boxes: Vec<TensorId> = found.iter().map(|pair| pair[0]).collect();
    let scores: Vec<TensorId> = found.iter().map(|pair| pair[1]).collect();
    note_overlaps(b);
    vec![b.concat("boxes", &boxes, 1), b.concat("scores", &scores, 1)]
}
