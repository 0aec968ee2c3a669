//! Lookups, and elements that go to other places.

use super::Place;
use super::context::{Lie, Lowering};
use crate::kernels::operator::{CatOp, EmbeddingOp, Function, Operands};
use crate::model::graph::TensorId;

/// Rows of a table by index.
pub fn lookup(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (Some(&table), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return;
    };
    let (n, data) = (l.tensor(y).elements(), l.plan.data(l.tensor(y)));
    if n == 0 {
        return;
    }
    let shape = &l.tensor(table).shape;
    let cols = shape.last().copied().unwrap_or(1);
    let gathers = of.op.starts_with("Gather") || of.op.contains("mbed");
    let (from, write) = (l.place(table), l.place(y));
    if !gathers || !n.is_multiple_of(cols.max(1)) || cols <= 1 || l.tensor(table).elements() <= 1 {
        l.assume("scatters and searches cost as much as a copy of what comes out");
        return l.each(Function::Copy, data, n, Lie::SAME, (&[from], write));
    }
    let indices = of.inputs.get(1).map_or(from, |&id| l.place(id));
    let op = EmbeddingOp {
        rows: n / cols,
        cols,
        table: l.tensor(table).elements() / cols,
        data,
    };
    l.call(op, vec![from, indices], vec![write]);
}

/// Elements that are copied to other places.
pub fn lower(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return;
    };
    let n = l.tensor(y).elements();
    if n == 0 {
        return;
    }
    match of.op.as_str() {
        // What frameworks have as views, whose readers go by strides.
        "Slice" | "Split" | "SplitToSequence" | "Expand" | "Identity" => l.view(node),
        "Concat" => concat(l, node),
        "Transpose" => transpose(l, x, y),
        _ => {
            let (read, write) = (l.place(x), l.place(y));
            l.each(
                Function::Copy,
                l.plan.data(l.tensor(y)),
                n,
                Lie::SAME,
                (&[read], write),
            );
        }
    }
}

/// Tensors side by side. Those of different width count as of equal.
fn concat(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let y = of.outputs[0];
    let parts: Vec<TensorId> = of
        .inputs
        .iter()
        .copied()
        .filter(|&id| l.tensor(id).elements() > 0)
        .collect();
    let (Some(&first), n) = (parts.first(), l.tensor(y).elements()) else {
        return;
    };
    let write = l.place(y);
    // Kernels know where the first one lies; gradients go to all of them.
    let count = match l.plan.training {
        Some(_) => parts.len(),
        None => 1,
    };
    let reads: Vec<Place> = parts[..count].iter().map(|&id| l.place(id)).collect();
    let data = l.plan.data(l.tensor(y));
    let shapes = l.tensor(first).shape.iter().zip(&l.tensor(y).shape);
    let rows: u64 = shapes
        .take_while(|(part, whole)| part == whole)
        .map(|(_, &whole)| whole)
        .product();
    let tensors = parts.len() as u64;
    let cols = n / rows.max(1) / tensors.max(1);
    if !(2..=128).contains(&tensors) || cols == 0 || rows > 1 << 24 {
        return l.each(Function::Copy, data, n, Lie::SAME, (&reads, write));
    }
    l.assume("tensors that are put side by side are taken to be equally wide, one behind the other in memory");
    let op = CatOp {
        rows,
        cols: cols.min(1 << 24),
        tensors,
        data,
    };
    l.call(op, reads, vec![write]);
}

/// A transposed copy. Where the last dimension stays, pieces of it move; else rows become columns.
fn transpose(l: &mut Lowering<'_>, x: TensorId, y: TensorId) {
    let (from, to) = (&l.tensor(x).shape, &l.tensor(y).shape);
    let n = l.tensor(y).elements();
    let data = l.plan.data(l.tensor(y));
    let (read, write) = (l.place(x), l.place(y));
    let count = to.len();
    let stays = from.last() == to.last();
    let lie = match (stays, count) {
        (_, ..=2) if stays => Lie::SAME,
        (true, 3..) if to[count - 3] <= 4096 => Lie {
            operands: Operands::Heads,
            cols: to[count - 1],
            rows: to[count - 3],
            heads: to[count - 2].min(4096),
        },
        (true, _) => Lie::SAME,
        (false, _) => Lie {
            operands: Operands::Transposed,
            cols: to[count - 1],
            rows: n / to[count - 1] / to[..count.saturating_sub(2)].iter().product::<u64>().max(1),
            heads: 1,
        },
    };
    let whole = lie.cols.max(1) * lie.rows.max(1) * lie.heads.max(1);
    let lie = if n.is_multiple_of(whole) {
        lie
    } else {
        Lie::SAME
    };
    l.each(Function::Copy, data, n, lie, (&[read], write));
}
