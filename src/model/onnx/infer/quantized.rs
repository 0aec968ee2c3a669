//! Quantised operators: the standard ones (QDQ and QOperator), and those of ONNX Runtime.

use super::{Call, Infer, Made, Out, conv, fault, product, recurrent, volume};
use crate::model::graph::{Dtype, Kind, Product};
use crate::model::onnx::proto;

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let op = call.node.op;
    let made = match op {
        "QuantizeLinear" => {
            let dtype = match (call.get(2), call.int("output_dtype", 0)) {
                (Some(zero), _) => zero.dtype,
                (None, 0) => Dtype::Uint8,
                (None, number) => match proto::dtype(number) {
                    Some(dtype) => dtype,
                    None => {
                        return fault(format!(
                            "attribute output_dtype is {number}, which is no type"
                        ));
                    }
                },
            };
            Made::one(Kind::Elementwise, dtype, call.arg(0)?.shape.clone())
        }
        "DequantizeLinear" => Made::one(
            Kind::Elementwise,
            call.arg(1)?.dtype,
            call.arg(0)?.shape.clone(),
        ),
        "DynamicQuantizeLinear" => {
            let outputs = vec![
                Out::new(Dtype::Uint8, call.arg(0)?.shape.clone()),
                Out::new(Dtype::Float32, []),
                Out::new(Dtype::Uint8, []),
            ];
            Made::new(Kind::Elementwise, outputs)
        }
        "QLinearConv" => {
            let dtype = zero_dtype(call, 7)?;
            conv::convolution(call, 0, 3, dtype)?
        }
        "QLinearMatMul" => {
            let dtype = zero_dtype(call, 7)?;
            product::matmul(call.arg(0)?, call.arg(3)?, false, false, dtype)?
        }
        "QGemm" => {
            // Without a scale of the result it stays a float.
            let dtype = match call.get(8) {
                Some(zero) => zero.dtype,
                None => Dtype::Float32,
            };
            product::gemm(call, 0, 3, dtype)?
        }
        "MatMulIntegerToFloat" => {
            product::matmul(call.arg(0)?, call.arg(1)?, false, false, call.arg(2)?.dtype)?
        }
        "DynamicQuantizeMatMul" => {
            let a = call.arg(0)?;
            product::matmul(a, call.arg(1)?, false, false, a.dtype)?
        }
        "MatMulNBits" | "MatMulBnb4" => packed(call)?,
        "DynamicQuantizeLSTM" => recurrent::layer(call, 4, true)?,
        _ => return unmultiplied(call),
    };
    Ok(Some(made))
}

/// Those without matrix products.
fn unmultiplied(call: &Call<'_>) -> Infer<Option<Made>> {
    let op = call.node.op;
    let made = match op {
        "QLinearAdd" | "QLinearMul" => Made::one(
            Kind::Elementwise,
            call.arg(0)?.dtype,
            call.broadcast([0, 3])?,
        ),
        "QLinearSigmoid" | "QLinearLeakyRelu" | "QLinearSoftmax" => {
            let x = call.arg(0)?;
            let kind = match op {
                "QLinearSoftmax" => Kind::Softmax,
                _ => Kind::Elementwise,
            };
            Made::one(kind, x.dtype, x.shape.clone())
        }
        "QLinearGlobalAveragePool" => global(call)?,
        "QLinearConcat" => concat(call)?,
        "QLinearAveragePool" => conv::pool(call)?,
        "QLinearWhere" => Made::one(
            Kind::Elementwise,
            call.arg(1)?.dtype,
            call.broadcast([0, 1, 4])?,
        ),
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// The type of the zero point that says what comes out.
fn zero_dtype(call: &Call<'_>, index: usize) -> Infer<Dtype> {
    Ok(call.arg(index)?.dtype)
}

/// Weights of a few bits, packed in blocks; their extents are attributes.
fn packed(call: &Call<'_>) -> Infer {
    let a = call.arg(0)?;
    let (k, n) = (call.positive("K")?, call.positive("N")?);
    let Some((&depth, rows)) = a.shape.split_last() else {
        return fault("its input is a scalar");
    };
    if depth != k {
        return fault(format!("rows of {depth} for matrices of {k} rows"));
    }
    let product = Product {
        op: "matmul",
        m: volume(rows)?,
        n,
        k,
        batch: 1,
        dtype: a.dtype,
    };
    let mut shape = rows.to_vec();
    shape.push(n);
    Ok(Made::one(Kind::MatMul, a.dtype, shape).with(vec![product]))
}

fn global(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    if call.int("channels_last", 0) == 0 {
        return conv::global_pool(x);
    }
    let [n, space @ .., c] = &x.shape[..] else {
        return fault("its input has no channels");
    };
    let mut shape = vec![*n];
    shape.extend(space.iter().map(|_| 1));
    shape.push(*c);
    Ok(Made::one(Kind::Reduce, x.dtype, shape))
}

/// Scale and zero point of the result, then tensor, scale and zero point of each part.
fn concat(call: &Call<'_>) -> Infer {
    let parts: Vec<usize> = (2..call.inputs.len()).step_by(3).collect();
    let Some(&first) = parts.first() else {
        return fault("it joins nothing");
    };
    let mut shape = call.arg(first)?.shape.clone();
    let at = super::axis(call.int("axis", 1), shape.len())?;
    for &index in &parts[1..] {
        let other = &call.arg(index)?.shape;
        if other.len() != shape.len() {
            return fault("its parts differ in their number of dimensions");
        }
        shape[at] = shape[at].saturating_add(other[at]);
    }
    let dtype = call.arg(first)?.dtype;
    Ok(Made::one(Kind::Move, dtype, shape))
}
