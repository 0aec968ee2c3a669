//! Normalisation and softmax.

use super::Place;
use super::context::{Lie, Lowering};
use super::patterns::Rms;
use crate::kernels::operator::{DataType, Function, Operands, RowFunction, RowsOp, Style};
use crate::model::graph::{Kind, Role, TensorId};

/// Whether `op` normalises rows.
pub fn is_of_rows(op: &str) -> bool {
    is_rms(op) || matches!(op, "LayerNorm" | "LayerNormalization")
}

/// Whether `op` divides by the root mean square alone.
fn is_rms(op: &str) -> bool {
    matches!(
        op,
        "RmsNorm" | "RMSNormalization" | "SimplifiedLayerNormalization"
    )
}

/// Elements of a row that `node` normalises.
pub fn cols(l: &Lowering<'_>, node: usize) -> u64 {
    let of = l.node(node);
    let scale = of.inputs.get(1).map(|&id| l.tensor(id).elements());
    let last = l.tensor(of.inputs[0]).shape.last().copied().unwrap_or(1);
    scale.filter(|&n| n > 0).unwrap_or(last)
}

/// A normalisation.
pub fn lower(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return;
    };
    let elements = l.tensor(x).elements();
    if elements == 0 {
        return;
    }
    let weights: Vec<TensorId> = of.inputs[1..].to_vec();
    match of.op.as_str() {
        op if is_rms(op) => {
            let (read, write) = (l.place(x), l.place(y));
            let weight = weights.first().map(|&id| l.place(id));
            rms(
                l,
                [elements, cols(l, node)],
                [read, weight.unwrap_or(read), write],
            );
        }
        "LayerNorm" | "LayerNormalization" => {
            let cols = cols(l, node);
            rows(
                l,
                RowFunction::LayerNorm,
                [elements / cols, cols],
                x,
                &weights,
                y,
            );
        }
        op if op.contains("SkipLayerNorm") || op.contains("SkipSimplifiedLayerNorm") => {
            skip(l, node)
        }
        op if op.contains("BatchNorm") => batch(l, node, &weights),
        _ => {
            // Groups of channels, or channels, of each image.
            let shape = &l.tensor(x).shape;
            let channels = shape.get(1).copied().unwrap_or(1);
            let groups = match of.op.contains("Group") {
                true if channels.is_multiple_of(32) => 32,
                _ => channels,
            };
            let count = shape.first().copied().unwrap_or(1) * groups;
            l.assume("normalisation of groups of channels: that of rows of as many elements, in 32 groups");
            rows(
                l,
                RowFunction::LayerNorm,
                [count, elements / count],
                x,
                &weights,
                y,
            );
        }
    }
}

/// Batch normalisation: of constants a multiplication, in training one of the values of each channel.
fn batch(l: &mut Lowering<'_>, node: usize, weights: &[TensorId]) {
    let of = l.node(node);
    let (x, y) = (of.inputs[0], of.outputs[0]);
    let elements = l.tensor(x).elements();
    if is_learnt(l, weights) {
        l.assume("batch normalisation in training: that of rows, one for each channel");
        let channels = cols(l, node);
        let extents = [channels, elements / channels];
        return rows(l, RowFunction::LayerNorm, extents, x, weights, y);
    }
    l.assume("batch normalisation at inference: one multiplication of each element");
    let (read, write) = (l.place(x), l.place(y));
    let data = l.data();
    l.each(Function::Scale, data, elements, Lie::SAME, (&[read], write));
}

/// Whether the run changes `weights`, and the statistics with them.
fn is_learnt(l: &Lowering<'_>, weights: &[TensorId]) -> bool {
    let learnt = |&id: &TensorId| l.tensor(id).role == Role::Weight;
    l.plan.training.is_some() && weights.first().is_some_and(learnt)
}

/// A function of rows with weights.
fn rows(
    l: &mut Lowering<'_>,
    function: RowFunction,
    [rows, cols]: [u64; 2],
    x: TensorId,
    weights: &[TensorId],
    y: TensorId,
) {
    let read: Vec<TensorId> = [x].iter().chain(weights.iter().take(2)).copied().collect();
    let reads = read.iter().map(|&id| l.place(id)).collect();
    let write = l.place(y);
    let op = RowsOp {
        rows,
        cols,
        data: l.data(),
        style: l.plan.style(),
        ..RowsOp::usual(function)
    };
    l.call(op, reads, vec![write]);
}

/// Softmax of the last dimension.
pub fn softmax(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (x, y) = (of.inputs[0], of.outputs[0]);
    let elements = l.tensor(x).elements();
    let cols = l.tensor(x).shape.last().copied().unwrap_or(1);
    if elements > 0 {
        rows(l, RowFunction::Softmax, [elements / cols, cols], x, &[], y);
    }
}

/// RMS norm of rows: one kernel, or the operators of a model's own code, which computes in 32 bits.
fn rms(l: &mut Lowering<'_>, [elements, cols]: [u64; 2], [read, weight, write]: [Place; 3]) {
    let rows = elements / cols;
    if l.plan.fuses() {
        let op = RowsOp {
            rows,
            cols,
            data: l.data(),
            style: Style::Vllm,
            ..RowsOp::usual(RowFunction::RmsNorm)
        };
        return l.call(op, vec![read, weight], vec![write]);
    }
    let (data, wide) = (l.data(), DataType::F32);
    let x = match data == wide {
        true => read,
        false => {
            let x = l.temporary(elements, wide);
            l.cast([data, wide], elements, read, x);
            x
        }
    };
    let [squares, mean, shifted, root] = [elements, rows, rows, rows].map(|n| l.temporary(n, wide));
    l.each(Function::Square, wide, elements, Lie::SAME, (&[x], squares));
    let sum = RowsOp {
        rows,
        cols,
        data: wide,
        style: l.plan.style(),
        ..RowsOp::usual(RowFunction::Sum)
    };
    l.call(sum, vec![squares], vec![mean]);
    l.each(
        Function::AddScalar,
        wide,
        rows,
        Lie::SAME,
        (&[mean], shifted),
    );
    l.each(Function::Rsqrt, wide, rows, Lie::SAME, (&[shifted], root));
    let normed = l.temporary(elements, wide);
    let column = Lie::rows_of(Operands::Column, cols);
    l.each(Function::Mul, wide, elements, column, (&[x, root], normed));
    let narrow = match data == wide {
        true => normed,
        false => {
            let narrow = l.temporary(elements, data);
            l.cast([wide, data], elements, normed, narrow);
            narrow
        }
    };
    let row = Lie::rows_of(Operands::Row, cols);
    l.each(
        Function::Mul,
        data,
        elements,
        row,
        (&[narrow, weight], write),
    );
}

/// An RMS norm that a graph spells out, as one operator.
pub fn found(l: &mut Lowering<'_>, found: &Rms) {
    found.nodes.iter().for_each(|&node| l.take(node));
    l.rename("RmsNorm");
    let elements = l.tensor(found.x).elements();
    let cols = l.tensor(found.weight).elements();
    if elements > 0 && elements.is_multiple_of(cols) {
        let places = [found.x, found.weight, found.result].map(|id| l.place(id));
        rms(l, [elements, cols], places);
    }
}

/// What reads a sum and normalises it in the same kernel, in place: `x` becomes the rows, `residual` the sum.
pub fn of_sum(l: &mut Lowering<'_>, norm: usize, [x, residual]: [TensorId; 2], sum: TensorId) {
    let of = l.node(norm);
    let (elements, cols) = (l.tensor(x).elements(), cols(l, norm));
    if !is_rms(&of.op) {
        l.assume("a residual addition with layer norm takes as long as one with RMS norm: the same tensors move");
    }
    let weight = of.inputs.get(1).copied().unwrap_or(x);
    let [x, residual, weight] = [x, residual, weight].map(|id| l.place(id));
    l.put(of.outputs[0], x);
    l.put(sum, residual);
    let op = RowsOp {
        rows: elements / cols,
        cols,
        data: l.data(),
        style: Style::Vllm,
        ..RowsOp::usual(RowFunction::AddRmsNorm)
    };
    l.call(op, vec![x, weight, residual], vec![x, residual]);
    l.take(norm);
}

/// The operators of ONNX Runtime that add and normalise: input, residual, weights.
fn skip(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (x, residual) = (
        of.inputs[0],
        of.inputs.get(1).copied().unwrap_or(of.inputs[0]),
    );
    let elements = l.tensor(x).elements();
    let cols = l.tensor(x).shape.last().copied().unwrap_or(1);
    let weight = of.inputs.get(2).copied().unwrap_or(x);
    let [x, residual, weight] = [x, residual, weight].map(|id| l.place(id));
    let op = RowsOp {
        rows: elements / cols,
        cols,
        data: l.data(),
        style: Style::Vllm,
        ..RowsOp::usual(RowFunction::AddRmsNorm)
    };
    l.put(of.outputs[0], x);
    for &output in &of.outputs[1..] {
        if l.graph.tensors[output].elements() == elements {
            l.put(output, residual);
        }
    }
    l.call(op, vec![x, weight, residual], vec![x, residual]);
    debug_assert_eq!(of.kind, Kind::Norm);
}
