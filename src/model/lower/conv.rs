//! Convolutions.

use super::context::{Lie, Lowering};
use super::fusion;
use crate::kernels::operator::{ConvOp, Function, GemmOp, ImageLayout, Layout, Operands};
use crate::model::graph::{Kind, TensorId, Window};

/// A convolution, with what is fused behind it.
pub fn lower(l: &mut Lowering<'_>, node: usize, window: &Window) {
    let of = l.node(node);
    // Quantised ones have scales and zero points in between.
    let at = if of.op.contains("QLinear") { 3 } else { 1 };
    let (Some(&x), Some(&w), Some(&y)) = (of.inputs.first(), of.inputs.get(at), of.outputs.first())
    else {
        return l.refuse(node, "a convolution without operands");
    };
    if l.tensor(y).elements() == 0 {
        return;
    }
    let Some(op) = operator(l, window, [x, w, y]) else {
        return as_product(l, node, [x, w, y]);
    };
    let biased = at == 1 && of.inputs.get(2).is_some();
    let result = fused(l, y);
    let [x, w] = [x, w].map(|id| l.place(id));
    let write = l.place(result);
    let channels = (op.k, op.output());
    l.call(op, vec![x, w], vec![write]);
    // cuDNN's bias is a kernel of its own in a framework.
    if biased
        && !l.plan.folds()
        && let (_, Some((height, width))) = channels
    {
        let bias = l.place(of.inputs[2]);
        let n = l.tensor(y).elements();
        let lie = Lie::rows_of(Operands::Column, height * width);
        l.each(Function::Add, l.data(), n, lie, (&[write, bias], write));
    }
}

/// The convolution of two dimensions that `window` is; one of one dimension is an image of one row.
fn operator(l: &Lowering<'_>, window: &Window, [x, w, y]: [TensorId; 3]) -> Option<ConvOp> {
    let plain = !window.transposed && window.dilations.iter().all(|&d| d == 1);
    let (image, filters) = (&l.tensor(x).shape, &l.tensor(w).shape);
    let rank = window.kernel.len();
    if !plain || !(1..=2).contains(&rank) || image.len() != rank + 2 {
        return None;
    }
    let two = |values: &[u64], fill: u64| match values {
        [one] => [fill, *one],
        [a, b] => [*a, *b],
        _ => [fill, fill],
    };
    let before: Vec<u64> = window.pads[..rank]
        .iter()
        .map(|&p| p.max(0) as u64)
        .collect();
    let behind: Vec<u64> = window.pads[rank..]
        .iter()
        .map(|&p| p.max(0) as u64)
        .collect();
    let [h, width] = two(&image[2..], 1);
    let [r, s] = two(&window.kernel, 1);
    let [pad, pad_w] = two(&before, 0);
    let [more, more_w] = two(&behind, 0);
    let [stride, stride_w] = two(&window.strides, 1);
    let op = ConvOp {
        n: image[0],
        c: image[1],
        // Padding behind that differs from that in front is part of the image.
        h: h + more.saturating_sub(pad),
        w: width + more_w.saturating_sub(pad_w),
        k: filters[0],
        r,
        s,
        pad,
        pad_w,
        stride,
        stride_w,
        groups: window.groups,
        data: l.plan.precision.products(),
        layout: layout(l, image[1], filters[0], window.groups),
        ..ConvOp::usual()
    };
    let result = op
        .output()
        .map(|(height, width)| op.n * op.k * height * width);
    (result == Some(l.tensor(y).elements())).then_some(op)
}

/// Frameworks keep planes of channels; compilers put channels side by side where tensor cores want them so.
fn layout(l: &Lowering<'_>, c: u64, k: u64, groups: u64) -> ImageLayout {
    let halves = l.plan.precision.products().bytes() == 2;
    let whole = (c / groups).is_multiple_of(8) && (k / groups).is_multiple_of(8);
    match l.plan.fuses() && halves && whole {
        true => ImageLayout::Nhwc,
        false => ImageLayout::Nchw,
    }
}

/// What a runtime does behind a convolution before it stores the result: normalisation by constants, a residual, an
/// activation. The result of all that.
fn fused(l: &mut Lowering<'_>, id: TensorId) -> TensorId {
    let mut result = id;
    if !l.plan.folds() {
        return result;
    }
    while let Some((node, by)) = l.only_reader(result) {
        let of = l.node(node);
        let alike = of.outputs.len() == 1
            && l.tensor(of.outputs[0]).elements() == l.tensor(result).elements();
        let taken = match of.kind {
            Kind::Norm => of.op.contains("BatchNorm"),
            Kind::Elementwise => of
                .inputs
                .iter()
                .all(|&other| other == by || l.is_known(other)),
            _ => false,
        };
        if !taken || !alike || fusion::norm_of_sum(l, of.outputs[0]).is_some() {
            break;
        }
        l.take_views(result, by);
        l.take(node);
        l.assume("normalisation and activation behind a fused convolution cost its kernel nothing");
        result = of.outputs[0];
    }
    result
}

/// A convolution that no kernel is written for, as the product that it equals.
fn as_product(l: &mut Lowering<'_>, node: usize, [x, w, y]: [TensorId; 3]) {
    let Some(product) = l.node(node).products.first() else {
        return l.refuse(node, "a convolution whose product is not known");
    };
    l.assume(format!(
        "{}: dilated, transposed or of other than two dimensions: as the product that it equals",
        l.node(node).op
    ));
    let op = GemmOp {
        layout: Layout::Nt,
        ..super::matmul::plain(l, product)
    };
    let reads = [x, w].map(|id| l.place(id)).to_vec();
    let write = l.place(y);
    l.call(op, reads, vec![write]);
}
