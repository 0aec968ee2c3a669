//! Attention without a kernel of its own: products with softmax between them.

use super::{Shape, shape};
use crate::config::GpuSpec;
use crate::kernels::choose::{Candidate, Launch, gemm, rows};
use crate::kernels::operator::{
    AttentionOp, ElementwiseOp, Function, GemmOp, Layout, RowFunction, RowsOp, Style,
};
use crate::kernels::rows::pointwise::OUTPUT;
use crate::kernels::{Arrays, Fault};

/// Copies of the views of a packed tensor, whose batch of heads has no one stride, keys transposed; then what [`plain`] does.
pub(super) fn eager(op: &AttentionOp, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let Shape { keys, kv_heads } = shape(op);
    let copy = |operand: usize, shape: [u64; 3], transposed: bool| {
        let arrays = Arrays::default();
        let arrays = arrays
            .with(0, arrays.at(6))
            .with(OUTPUT, arrays.at(operand));
        rows::unpacked(arrays, shape, op.batch, op.data, transposed)
    };
    let copies = [
        copy(0, [op.heads, op.queries, op.head_dim], false),
        copy(1, [kv_heads, op.head_dim, keys], true),
        copy(2, [kv_heads, keys, op.head_dim], false),
    ];
    let products = products(op, gpu, Layout::Nn)?;
    Ok(Candidate {
        name: "eager".into(),
        launches: copies.into_iter().chain(products).collect(),
        estimate: 2.0,
    })
}

/// Products in batches, scaling and softmax between them.
pub(super) fn plain(op: &AttentionOp, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    Ok(Candidate {
        name: "math".into(),
        launches: products(op, gpu, Layout::Nt)?,
        estimate: 2.0,
    })
}

/// The kernels of [`plain`], keys as `layout` has them.
fn products(op: &AttentionOp, gpu: &GpuSpec, layout: Layout) -> Result<Vec<Launch>, Fault> {
    let Shape { keys, .. } = shape(op);
    let batch = op.batch * op.heads;
    let product = |n: u64, k: u64, layout: Layout| GemmOp {
        m: op.queries,
        n,
        k,
        batch,
        data: op.data,
        layout,
        ..GemmOp::usual()
    };
    let scores = op.queries * keys * batch;
    let elementwise = |function: Function| ElementwiseOp {
        n: scores,
        function,
        data: op.data,
        cols: keys,
        style: Style::Torch21,
        ..ElementwiseOp::usual()
    };
    let softmax = RowsOp {
        rows: op.queries * batch,
        cols: keys,
        data: op.data,
        ..RowsOp::usual(RowFunction::Softmax)
    };
    let mut steps = vec![
        gemm::candidates(&product(keys, op.head_dim, layout), gpu)?,
        rows::elementwise(&elementwise(Function::DivScalar), gpu)?,
    ];
    if op.causal == 1 {
        steps.push(rows::elementwise(&elementwise(Function::Mask), gpu)?);
    }
    steps.push(rows::rows(&softmax, gpu)?);
    steps.push(gemm::candidates(
        &product(op.head_dim, keys, Layout::Nn),
        gpu,
    )?);
    let best = |mut all: Vec<Candidate>| {
        all.sort_by(|a, b| a.estimate.total_cmp(&b.estimate));
        all.swap_remove(0).launches
    };
    Ok(steps.into_iter().flat_map(best).collect())
}
