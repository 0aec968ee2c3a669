//! Reductions and pooling.

use super::context::{Lie, Lowering};
use crate::kernels::operator::{ConvOp, DataType, Function, ImageLayout, RowFunction, RowsOp};
use crate::model::graph::{TensorId, Window};

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
