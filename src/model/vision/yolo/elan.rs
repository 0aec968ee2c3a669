//! Blocks of version 9.

use super::super::blocks::halves;
use super::blocks::{conv, repeated};
use crate::model::graph::TensorId;
use crate::model::hf::{Builder, square};

/// Channels of a block: behind it, inside, and inside each branch.
pub type Widths = [u64; 3];

/// Two branches of blocks in a row, both put beside what they start from.
pub fn elan(b: &mut Builder, x: TensorId, [out, inner, branch]: Widths, count: u64) -> TensorId {
    stage(b, x, [out, inner], |b, x, index| {
        let x = b.within("csp", |b| cross(b, x, branch, count));
        conv(b, &format!("cv{index}"), x, branch, [3, 1])
    })
}

/// The same with a convolution in place of each branch.
pub fn small_elan(b: &mut Builder, x: TensorId, [out, inner, branch]: Widths) -> TensorId {
    stage(b, x, [out, inner], |b, x, _| {
        conv(b, "conv", x, branch, [3, 1])
    })
}

fn stage(
    b: &mut Builder,
    x: TensorId,
    [out, inner]: [u64; 2],
    branch: impl Fn(&mut Builder, TensorId, u64) -> TensorId,
) -> TensorId {
    let x = conv(b, "cv1", x, inner, [1, 1]);
    let mut parts = halves(b, x).to_vec();
    let mut x = parts[1];
    for index in 2..4 {
        x = b.within(format_args!("branch{index}"), |b| branch(b, x, index));
        parts.push(x);
    }
    let x = b.concat("concat", &parts, 1);
    conv(b, "cv4", x, out, [1, 1])
}

/// Blocks on one half of the channels, none on the other.
fn cross(b: &mut Builder, x: TensorId, out: u64, count: u64) -> TensorId {
    let mut y = conv(b, "cv1", x, out / 2, [1, 1]);
    for index in 0..count {
        y = b.within(format_args!("m.{index}"), |b| {
            let inside = repeated(b, "cv1", y, out / 2);
            let inside = conv(b, "cv2", inside, out / 2, [3, 1]);
            b.each("add", "Add", &[y, inside])
        });
    }
    let other = conv(b, "cv2", x, out / 2, [1, 1]);
    let x = b.concat("concat", &[y, other], 1);
    conv(b, "cv3", x, out, [1, 1])
}

/// Half the places in both dimensions: means of 2 x 2, then a convolution.
pub fn mean_down(b: &mut Builder, x: TensorId, out: u64) -> TensorId {
    let x = b.pool("pool", "AveragePool", x, square(2, 2, 1, 0));
    conv(b, "cv1", x, out, [3, 2])
}

/// Half the places in both dimensions: half of the channels by a convolution, half by maxima.
pub fn double_down(b: &mut Builder, x: TensorId, out: u64) -> TensorId {
    let x = b.pool("pool", "AveragePool", x, square(2, 2, 1, 0));
    let [first, second] = halves(b, x);
    let first = conv(b, "cv1", first, out / 2, [3, 2]);
    let second = b.pool("maxima", "MaxPool", second, square(2, 3, 2, 1));
    let second = conv(b, "cv2", second, out / 2, [1, 1]);
    b.concat("concat", &[first, second], 1)
}
