//! Matrix products: MatMul, Gemm, Einsum and their relatives.

use super::{Arg, Call, Infer, Made, fault, volume};
use crate::model::check::{broadcast, show};
use crate::model::einsum;
use crate::model::graph::{Dtype, Kind, Product, Shape};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "MatMul" => {
            let dtype = call.same(&[0, 1])?;
            matmul(call.arg(0)?, call.arg(1)?, false, false, dtype)?
        }
        "Gemm" => {
            let dtype = call.same(&[0, 1, 2])?;
            gemm(call, 0, 1, dtype)?
        }
        "MatMulInteger" => matmul(call.arg(0)?, call.arg(1)?, false, false, Dtype::Int32)?,
        "Einsum" => einsum(call)?,
        "Det" => {
            let x = call.arg(0)?;
            let rank = x.shape.len().saturating_sub(2);
            Made::one(
                Kind::Unsupported("the kernel library has no determinants".into()),
                x.dtype,
                &x.shape[..rank],
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// A x B over the last two dimensions, the others broadcast. `result` is the type that comes out.
pub fn matmul(a: &Arg, b: &Arg, trans_a: bool, trans_b: bool, result: Dtype) -> Infer {
    let fits_not = || {
        fault(format!(
            "matrices {} and {} cannot be multiplied",
            show(&a.shape),
            show(&b.shape)
        ))
    };
    let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
    if left.is_empty() || right.is_empty() {
        return fits_not();
    }
    let (row, column) = (left.len() == 1, right.len() == 1);
    if row {
        left.insert(0, 1);
    }
    if column {
        right.push(1);
    }
    let swap = |shape: &mut Shape, swap: bool| {
        let rank = shape.len();
        if swap {
            shape.swap(rank - 1, rank - 2);
        }
        (shape[rank - 2], shape[rank - 1])
    };
    let (m, k) = swap(&mut left, trans_a && !row);
    let (depth, n) = swap(&mut right, trans_b && !column);
    let (left, right) = (&left[..left.len() - 2], &right[..right.len() - 2]);
    let Some(mut shape) = broadcast(left, right).filter(|_| k == depth) else {
        return fits_not();
    };
    // One matrix for all of a batch: the rows of the batch are rows of one product. A matrix that has dimensions of its own
    // in front of it is repeated, as frameworks do it.
    let batch = volume(&shape)?;
    let shared = right.is_empty() && !trans_a;
    let (rows, batch) = match shared {
        true => (volume(&[batch, m])?, 1),
        false => (m, batch),
    };
    if !row {
        shape.push(m);
    }
    if !column {
        shape.push(n);
    }
    let product = Product {
        op: "matmul",
        m: rows,
        n,
        k,
        batch,
        dtype: a.dtype,
    };
    Ok(Made::one(Kind::MatMul, result, shape).with(vec![product]))
}

/// A x B + C of two-dimensional matrices; `a` and `b` are the inputs' numbers.
pub fn gemm(call: &Call<'_>, a: usize, b: usize, result: Dtype) -> Infer {
    let (a, b) = (call.ranked(a, 2)?, call.ranked(b, 2)?);
    let trans = |name| call.int(name, 0) != 0;
    let mut made = matmul(a, b, trans("transA"), trans("transB"), result)?;
    for product in &mut made.products {
        product.op = "gemm";
    }
    Ok(made)
}

fn einsum(call: &Call<'_>) -> Infer {
    let Some(equation) = call.text("equation") else {
        return fault("attribute equation is missing");
    };
    let dtype = call.arg(0)?.dtype;
    let all = 0..call.inputs.len();
    let shapes: Vec<&[u64]> = all
        .map(|index| call.arg(index).map(|arg| &arg.shape[..]))
        .collect::<Infer<_>>()?;
    let (shape, products) = einsum::read(equation, &shapes, dtype)?;
    Ok(Made::one(einsum::kind(&shapes, &products), dtype, shape).with(products))
}
