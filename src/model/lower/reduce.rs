//! Reductions and pooling.

use super::context::{Lie, Lowering};
use crate::kernels::operator::{
    ConvOp, DataType, Function, ImageLayout, ROW_MAX, RowFunction, RowsOp, SelectOp, TOP_MAX,
};
use crate::model::graph::{TensorId, Window};

/// Bytes of the place of an element in its row.
const PLACE_BYTES: u64 = 8;
/// Passes of a radix sort of 32-bit keys, 8 bits each.
const SORT_PASSES: u64 = 4;

/// A reduction of some dimensions.
pub fn lower(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return;
    };
    rows(l, of.op.contains("Max"), x, y);
}

fn rows(l: &mut Lowering<'_>, greatest: bool, x: TensorId, y: TensorId) {
    let (all, results) = (l.tensor(x).elements(), l.tensor(y).elements());
    if all == 0 || results == 0 {
        return;
    }
    let (read, write) = (l.place(x), l.place(y));
    if all <= results {
        return l.each(
            Function::Copy,
            l.data(),
            results,
            Lie::SAME,
            (&[read], write),
        );
    }
    let function = if greatest {
        RowFunction::Max
    } else {
        RowFunction::Sum
    };
    l.assume("a reduction takes as long as one of rows that lie side by side");
    let op = RowsOp {
        rows: results,
        cols: all / results,
        data: l.plan.data(l.tensor(x)),
        style: l.plan.style(),
        ..RowsOp::usual(function)
    };
    l.call(op, vec![read], vec![write]);
}

/// The `chosen` greatest of every `of` elements, sorted, with their places. There is a kernel for few of a row; more
/// are selected by its passes over the row, and sorted by those of a radix sort.
pub fn select(l: &mut Lowering<'_>, node: usize, [of, chosen]: [u64; 2]) {
    let [x, y] = [l.node(node).inputs[0], l.node(node).outputs[0]];
    let taken = l.tensor(y).elements();
    if taken == 0 {
        return;
    }
    if of > ROW_MAX {
        return l.refuse(
            node,
            format!("no kernel selects of more than {ROW_MAX} elements"),
        );
    }
    let data = l.plan.data(l.tensor(x));
    let rows = taken / chosen.max(1);
    let read = l.place(x);
    let write = l.place(y);
    let places = match l.node(node).outputs.get(1) {
        Some(&places) => l.place(places),
        None => l.buffer(taken * PLACE_BYTES, super::Content::Activation),
    };
    if chosen < of || of <= TOP_MAX {
        let op = SelectOp {
            rows,
            cols: of,
            k: chosen.min(TOP_MAX),
            data,
        };
        l.call(op, vec![read], vec![write, places]);
    }
    if chosen <= TOP_MAX {
        return;
    }
    l.assume(format!(
        "more than {TOP_MAX} elements of a row are selected as fast as {TOP_MAX}, and sorted in {SORT_PASSES} passes over elements and places"
    ));
    let bytes = taken * (data.bytes() + PLACE_BYTES);
    let pairs = l.buffer(bytes, super::Content::Activation);
    let words = bytes / data.bytes();
    for _ in 0..SORT_PASSES {
        l.each(Function::Copy, data, words, Lie::SAME, (&[pairs], pairs));
    }
}

/// A pooling: a thread a result, as a convolution whose channels are each on their own.
pub fn pool(l: &mut Lowering<'_>, node: usize, window: &Window) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return;
    };
    let image = &l.tensor(x).shape;
    let ([n, c, h, w], [r, s]) = (&image[..], &window.kernel[..]) else {
        return rows(l, of.op.contains("Max"), x, y);
    };
    let strides = [window.strides[0], window.strides[1]];
    let pads = [window.pads[0].max(0) as u64, window.pads[1].max(0) as u64];
    let op = ConvOp {
        n: *n,
        c: *c,
        h: *h,
        w: *w,
        k: *c,
        r: *r,
        s: *s,
        pad: pads[0],
        pad_w: pads[1],
        stride: strides[0],
        stride_w: strides[1],
        groups: *c,
        data: pooled(l.data()),
        layout: ImageLayout::Nchw,
        ..ConvOp::usual()
    };
    if *c == 1 || op.output().is_none() {
        return rows(l, of.op.contains("Max"), x, y);
    }
    l.assume("pooling reads and writes as a convolution whose channels are each on their own");
    let (read, write) = (l.place(x), l.place(y));
    let filter = l.shared("pooling window", c * r * s * 4, super::Content::Constants);
    l.call(op, vec![read, filter], vec![write]);
}

/// There are kernels of one channel each for floats of 32 and 16 bits.
fn pooled(data: DataType) -> DataType {
    match data {
        DataType::Bf16 => DataType::F16,
        other => other,
    }
}
