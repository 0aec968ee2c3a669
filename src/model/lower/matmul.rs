//! Matrix products.

use super::context::Lowering;
use super::fusion;
use crate::kernels::operator::{Epilogue, GemmOp, Layout};
use crate::model::graph::{Product, TensorId};

/// The products of `node`, with what is fused behind them.
pub fn lower(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    // Quantised ones have scales and zero points in between.
    let second = if of.op.contains("QLinear") || of.op.contains("QGemm") {
        3
    } else {
        1
    };
    let (Some(product), Some(&a), Some(&b)) = (
        of.products.first(),
        of.inputs.first(),
        of.inputs.get(second),
    ) else {
        return l.refuse(node, "a product without operands");
    };
    if [product.m, product.n, product.k, product.batch].contains(&0) {
        return;
    }
    if of.products.len() > 1 {
        return several(l, node);
    }
    let own = of.inputs.get(2).copied().filter(|_| second == 1);
    let mut bias = own.filter(|&id| l.tensor(id).elements() == product.n);
    let mut result = of.outputs[0];
    if bias.is_none()
        && let Some(found) = fusion::bias(l, result, product.n)
    {
        bias = Some(found.bias);
        result = found.result;
    }
    let mut epilogue = if bias.is_some() {
        Epilogue::Bias
    } else {
        Epilogue::None
    };
    if bias.is_some()
        && let Some(found) = fusion::activation(l, result)
    {
        (epilogue, result) = found;
    }
    let reads = [Some(a), Some(b), bias].into_iter().flatten();
    let reads = reads.map(|id| l.place(id)).collect();
    let write = l.place(result);
    let op = GemmOp {
        epilogue,
        layout: layout(l, product, b, &of.op),
        ..plain(l, product)
    };
    l.call(op, reads, vec![write]);
}

/// Products of a result with the next operand, such as those of an equation with more than two.
fn several(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let mut left = l.place(of.inputs[0]);
    let last = of.products.len() - 1;
    for (index, product) in of.products.iter().enumerate() {
        let Some(elements) = [product.m, product.n, product.batch]
            .iter()
            .try_fold(1u64, |all, &n| all.checked_mul(n))
        else {
            return l.refuse(node, "a result between its products is too large");
        };
        let right = of.inputs[(index + 1).min(of.inputs.len() - 1)];
        let right = l.place(right);
        let write = match index == last {
            true => l.place(of.outputs[0]),
            false => l.temporary(elements, l.data()),
        };
        let op = plain(l, product);
        l.call(op, vec![left, right], vec![write]);
        left = write;
    }
}

/// `product` as an operator.
pub fn plain(l: &mut Lowering<'_>, product: &Product) -> GemmOp {
    let data = l.plan.precision.products();
    if data.bytes() == 1 {
        l.assume(
            "operands of 8 bits are made by the kernels in front of a product; their conversion costs nothing of its own",
        );
    }
    GemmOp {
        m: product.m,
        n: product.n,
        k: product.k,
        batch: product.batch,
        data,
        layout: Layout::Nt,
        ..GemmOp::usual()
    }
}

/// Linear layers have the depth of their weights side by side; elsewhere the shape tells.
fn layout(l: &Lowering<'_>, product: &Product, b: TensorId, op: &str) -> Layout {
    if l.plan.precision.products().bytes() == 1 {
        return Layout::Nt;
    }
    let last: Vec<u64> = l
        .tensor(b)
        .shape
        .iter()
        .rev()
        .take(2)
        .rev()
        .copied()
        .collect();
    match op == "Linear" || last == [product.n, product.k] && product.n != product.k {
        true => Layout::Nt,
        false => Layout::Nn,
    }
}
