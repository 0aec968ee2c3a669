//! Mixtures of experts, and recurrent layers.

use super::Content;
use super::context::{Lie, Lowering};
use crate::kernels::operator::{EmbeddingOp, Function, GemmOp, Operands};

/// Feed-forward networks of which each token takes some: tokens are spread evenly, and the networks that are taken are a
/// batch of products.
pub fn lower(l: &mut Lowering<'_>, node: usize, [experts, chosen]: [u64; 2]) {
    let of = l.node(node);
    let (&[x, choice, up, down], [first, second]) = (&of.inputs[..], &of.products[..]) else {
        return l.refuse(node, "experts without two matrices");
    };
    let y = of.outputs[0];
    let (width, inner) = (second.m, second.k);
    let tokens = l.tensor(x).elements() / width.max(1);
    let taken = tokens * chosen;
    let active = experts.min(taken).max(1);
    let rows = taken.div_ceil(active);
    l.assume("tokens are spread evenly over experts, each with a part of a batch of products");
    let data = l.data();
    let [gathered, wide, inside, narrow] =
        [width, first.m, inner, width].map(|n| l.temporary(active * rows * n, data));
    let [x, choice, up, down] = [x, choice, up, down].map(|id| l.place(id));
    let y = l.place(y);
    let gather = EmbeddingOp {
        rows: active * rows,
        cols: width,
        table: tokens.max(1),
        data,
    };
    l.call(gather, vec![x, choice], vec![gathered]);
    let product = |l: &mut Lowering<'_>, n: u64, k: u64| GemmOp {
        m: rows,
        n,
        k,
        batch: active,
        ..super::matmul::plain(l, first)
    };
    let op = product(l, first.m, width);
    l.call(op, vec![gathered, up], vec![wide]);
    let n = active * rows * inner;
    match first.m == 2 * inner {
        true => {
            let half = super::Place {
                offset: wide.offset + n * data.bytes(),
                ..wide
            };
            l.each(
                Function::SiluMul,
                data,
                n,
                Lie::SAME,
                (&[wide, half], inside),
            );
        }
        false => l.each(Function::Relu, data, n, Lie::SAME, (&[wide], inside)),
    }
    let op = product(l, width, inner);
    l.call(op, vec![inside, down], vec![narrow]);
    // Each token's results, weighted, become one.
    let column = Lie::rows_of(Operands::Column, width);
    let of_choice = taken.min(active * rows);
    for turn in 0..chosen {
        let part = of_choice / chosen.max(1) * width;
        let from = super::Place {
            offset: narrow.offset + turn * part * data.bytes(),
            ..narrow
        };
        match turn {
            0 => l.each(Function::Mul, data, part, column, (&[from, choice], y)),
            _ => l.each(Function::Add, data, part, Lie::SAME, (&[from, y], y)),
        }
    }
}

/// A recurrent layer: the products of inputs at once, then step after step that of the state and the gates.
pub fn recurrent(l: &mut Lowering<'_>, node: usize, steps: u64) {
    let of = l.node(node);
    let (Some(&x), Some(&y)) = (of.inputs.first(), of.outputs.first()) else {
        return l.refuse(node, "a recurrent layer without operands");
    };
    let weights: Vec<super::Place> = of.inputs[1..]
        .iter()
        .take(2)
        .map(|&id| l.place(id))
        .collect();
    let (x, y) = (l.place(x), l.place(y));
    let data = l.data();
    l.assume("recurrent layers: a product and an elementwise kernel for the gates in every step");
    for (product, weight) in of.products.iter().zip(weights.iter().cycle()) {
        let stepped = product.batch == steps && steps > 1;
        let op = GemmOp {
            batch: if stepped { 1 } else { product.batch },
            ..super::matmul::plain(l, product)
        };
        let gates = l.buffer(op.m * op.n * op.batch * data.bytes(), Content::Activation);
        for _ in 0..if stepped { steps } else { 1 } {
            l.call(op.clone(), vec![x, *weight], vec![gates]);
            if stepped {
                l.each(
                    Function::SiluMul,
                    data,
                    op.m * op.n / 2,
                    Lie::SAME,
                    (&[gates, gates], y),
                );
            }
        }
    }
}
