//! Gradients of products, convolutions, attention, rows and tables.

use super::super::context::Lie;
use super::super::{Call, Place};
use super::elements;
use super::tape::Tape;
use crate::kernels::operator::{
    AttentionOp, CatOp, ConvOp, Direction, EmbeddingOp, Epilogue, Function, GemmOp, ImageLayout,
    Layout, Operands, Operator, RopeOp, RowFunction, RowsOp, SelectOp,
};

/// A call of the forward pass, and the gradient of its result.
pub struct Back<'a> {
    /// What it read.
    pub reads: &'a [Place],
    /// What it wrote.
    pub result: Place,
    /// The gradient of that: where it begins, and parts of it that lie elsewhere.
    pub gradients: Vec<Place>,
}

impl Back<'_> {
    /// The gradient as an operand.
    pub fn gradient(&self) -> Place {
        self.gradients[0]
    }

    /// `first` and `second` as operands; parts of the gradient that lie elsewhere are read with them.
    fn reads(&self, first: Place, second: Place) -> Vec<Place> {
        let parts = self.gradients[1..].iter().copied();
        [first, second].into_iter().chain(parts).collect()
    }
}

/// The gradients of what `call` read.
pub fn of(tape: &mut Tape<'_>, call: &Call) {
    let (Some(&result), data) = (call.writes.first(), tape.data()) else {
        return;
    };
    let gradients = tape.take(result, results(&call.operator) * data.bytes());
    if gradients.is_empty() || call.reads.is_empty() {
        return;
    }
    let back = Back {
        reads: &call.reads,
        result,
        gradients,
    };
    match &call.operator {
        Operator::Gemm(op) => product(tape, op, &back),
        Operator::Conv(op) => convolution(tape, op, &back),
        Operator::Attention(op) => attention(tape, op, &back),
        Operator::Rows(op) => rows(tape, op, &back),
        Operator::Elementwise(op) => elements::of(tape, op, &back),
        Operator::Embedding(op) => table(tape, op, &back),
        Operator::Cat(op) => parts(tape, op, &back),
        Operator::Rope(op) => rotation(tape, op, &back),
        Operator::Select(op) => chosen(tape, op, &back),
        // Integers, which only count.
        Operator::Scan(_) => {}
    }
}

/// Elements of a result.
fn results(operator: &Operator) -> u64 {
    match operator {
        Operator::Gemm(op) => op.m * op.n * op.batch,
        Operator::Elementwise(op) => op.n,
        Operator::Rows(op) => match op.function {
            RowFunction::Sum | RowFunction::Max => op.rows,
            _ => op.rows * op.cols,
        },
        Operator::Rope(op) => op.rows * (op.heads + op.kv_heads) * op.head_dim,
        Operator::Embedding(op) => op.rows * op.cols,
        Operator::Cat(op) => op.rows * op.cols * op.tensors,
        Operator::Select(op) => op.rows * op.k,
        Operator::Scan(op) => op.matrices * op.rows * op.cols,
        Operator::Conv(op) => {
            let (height, width) = op.output().unwrap_or((0, 0));
            op.n * op.k * height * width
        }
        Operator::Attention(op) => op.batch * op.heads * op.queries * op.head_dim,
    }
}

/// C = A B: the gradient of A is that of C times B transposed, that of B is A transposed times that of C.
fn product(tape: &mut Tape<'_>, op: &GemmOp, back: &Back<'_>) {
    let &[a, b, ..] = back.reads else {
        return;
    };
    let &GemmOp { m, n, k, batch, .. } = op;
    let like = |[m, n, k, batch]: [u64; 4], layout: Layout| GemmOp {
        m,
        n,
        k,
        batch,
        layout,
        epilogue: Epilogue::None,
        ..op.clone()
    };
    let columns = matches!(op.layout, Layout::Nt | Layout::Tt);
    let flops = 2.0 * m as f64 * n as f64 * k as f64 * batch as f64;
    let gradient = back.gradient();
    tape.give(a, m * k * batch, |tape, to| {
        let layout = if columns { Layout::Nn } else { Layout::Nt };
        tape.count(flops);
        tape.call(like([m, k, n, batch], layout), back.reads(gradient, b), to);
    });
    // A matrix that all products of a batch share has one gradient, with the depth of all of them.
    let shared = batch > 1 && tape.room(b, tape.data()) < batch * n * k;
    let [depth, batch] = if shared { [m * batch, 1] } else { [m, batch] };
    tape.give(b, n * k * batch, |tape, to| {
        tape.count(flops);
        let (edges, reads) = match columns {
            true => ([n, k, depth, batch], back.reads(gradient, a)),
            false => ([k, n, depth, batch], back.reads(a, gradient)),
        };
        tape.call(like(edges, Layout::Tn), reads, to);
    });
    if op.epilogue != Epilogue::None
        && let Some(&bias) = back.reads.get(2)
    {
        elements::sum(tape, bias, n, m * n * batch, gradient);
    }
}

/// The gradient of the image is a convolution with the same filters, that of the filters a product with the image.
fn convolution(tape: &mut Tape<'_>, op: &ConvOp, back: &Back<'_>) {
    let (&[image, filter, ..], Some((height, width))) = (back.reads, op.output()) else {
        return;
    };
    let flops = Operator::Conv(op.clone()).work().flops;
    let (pad, strides) = (op.padding(), op.strides());
    let [depth, channels] = [op.c / op.groups, op.k / op.groups];
    let gradient = back.gradient();
    let product = |[m, n, k]: [u64; 3], layout: Layout| GemmOp {
        m,
        n,
        k,
        batch: op.groups,
        data: op.data,
        layout,
        ..GemmOp::usual()
    };
    tape.give(image, op.n * op.c * op.h * op.w, |tape, to| {
        tape.count(flops);
        let reads = back.reads(gradient, filter);
        if strides == (1, 1) && pad.0 < op.r && pad.1 < op.s {
            let direction = Direction::InputGradient;
            let op = ConvOp { direction, ..op.clone() };
            return tape.call(op, reads, to);
        }
        tape.assume(
            "the gradient of the image of a convolution with steps: the product of the transposed problem, whose operand \
             is read as the matrix that it stands for",
        );
        // Of the places of a filter a pixel meets one in so many.
        let met = (channels * op.r * op.s).div_ceil(strides.0 * strides.1);
        tape.call(product([op.n * op.h * op.w, depth, met], Layout::Nt), reads, to);
    });
    tape.give(filter, op.k * depth * op.r * op.s, |tape, to| {
        tape.count(flops);
        tape.assume(
            "the gradient of the filters of a convolution: the product of its extents, whose operand is read as the matrix \
             that it stands for",
        );
        let layout = match op.layout {
            ImageLayout::Nchw => Layout::Nt,
            ImageLayout::Nhwc => Layout::Tn,
        };
        let edges = [channels, depth * op.r * op.s, op.n * height * width];
        tape.call(product(edges, layout), back.reads(gradient, image), to);
    });
}

/// One operator makes all three gradients, one behind the other.
fn attention(tape: &mut Tape<'_>, op: &AttentionOp, back: &Back<'_>) {
    let &[q, k, v, ..] = back.reads else {
        return;
    };
    let given = |value: u64, usual: u64| if value == 0 { usual } else { value };
    let (keys, kv_heads) = (given(op.keys, op.queries), given(op.kv_heads, op.heads));
    let head = op.batch * op.heads * op.head_dim;
    let (of_queries, of_keys) = (head * op.queries, head * keys);
    let all = tape.temporary(of_queries + 2 * of_keys);
    let backward = AttentionOp {
        kv_heads: op.heads,
        backward: 1,
        ..op.clone()
    };
    tape.count(8.0 * of_queries as f64 * keys as f64);
    let reads = [q, k, v, back.result]
        .into_iter()
        .chain(back.gradients.iter().copied());
    tape.call(backward, reads.collect(), all);
    let size = tape.data().bytes();
    let part = |elements: u64| Place {
        offset: all.offset + elements * size,
        ..all
    };
    tape.pass(q, of_queries, part(0));
    let shared = op.heads / kv_heads;
    for (place, from) in [(k, of_queries), (v, of_queries + of_keys)] {
        match shared {
            1 => tape.pass(place, of_keys, part(from)),
            // Heads that share keys have gradients of their own, which are added.
            _ => elements::sum(tape, place, of_keys / shared, of_keys, part(from)),
        }
    }
}

/// Softmax, norms and sums.
fn rows(tape: &mut Tape<'_>, op: &RowsOp, back: &Back<'_>) {
    let (x, n, gradient) = (back.reads[0], op.rows * op.cols, back.gradient());
    let other = match op.function {
        RowFunction::Softmax => back.result,
        _ => x,
    };
    if let RowFunction::Sum | RowFunction::Max = op.function {
        // Every element of a row has the gradient of its sum.
        let column = Lie::rows_of(Operands::Column, op.cols);
        return tape.give(x, n, |tape, to| {
            tape.each_of(Function::Mul, op.data, n, column, &[x, gradient], to);
        });
    }
    tape.give(x, n, |tape, to| {
        tape.each(Function::Mul, n, Lie::SAME, &[gradient, other], to);
    });
    // The gradient of the scale needs rows and gradients; that of the bias is made by the same reading of gradients.
    let &[_, scale, ref bias @ ..] = back.reads else {
        return;
    };
    elements::sum(tape, scale, op.cols, n, x);
    match bias.first() {
        Some(&bias) => elements::sum(tape, bias, op.cols, n, gradient),
        None if tape.needs(scale) => {
            let parts = tape.temporary(op.cols);
            let op = elements::sums(tape, op.cols, n);
            tape.call(op, vec![gradient], parts);
        }
        None => {}
    }
}

/// Rows of a table: its gradient is cleared, and rows are added to it.
fn table(tape: &mut Tape<'_>, op: &EmbeddingOp, back: &Back<'_>) {
    let (table, n) = (back.reads[0], op.table * op.cols);
    let indices = back.reads.get(1).copied().unwrap_or(table);
    tape.give(table, n, |tape, to| {
        tape.assume(
            "rows that are added to a table take as long as a lookup, and clearing it as long as a copy of its half",
        );
        tape.each(Function::Copy, n / 2, Lie::SAME, &[to], to);
        tape.call(op.clone(), back.reads(back.gradient(), indices), to);
    });
}

/// Tensors side by side have parts of the gradient.
fn parts(tape: &mut Tape<'_>, op: &CatOp, back: &Back<'_>) {
    let n = op.rows * op.cols;
    for (&part, number) in back.reads.iter().zip(0..) {
        let gradient = back.gradient();
        let offset = gradient.offset + number * n * op.data.bytes();
        tape.pass(part, n, Place { offset, ..gradient });
    }
}

/// The greatest of rows: the gradient of rows is cleared, and theirs are put to their places.
fn chosen(tape: &mut Tape<'_>, op: &SelectOp, back: &Back<'_>) {
    let (rows, n) = (back.reads[0], op.rows * op.cols);
    tape.give(rows, n, |tape, to| {
        tape.assume("clearing a gradient takes as long as a copy of its half");
        tape.each(Function::Copy, n.div_ceil(2), Lie::SAME, &[to], to);
        tape.each(
            Function::Copy,
            op.rows * op.k,
            Lie::SAME,
            &[back.gradient()],
            to,
        );
    });
}

/// Turned back.
fn rotation(tape: &mut Tape<'_>, op: &RopeOp, back: &Back<'_>) {
    let n = op.rows * (op.heads + op.kv_heads) * op.head_dim;
    let gradient = back.gradient();
    let reads = [&[gradient][..], &back.reads[1..]].concat();
    tape.call(op.clone(), reads, gradient);
    tape.pass(back.reads[0], n, gradient);
}
