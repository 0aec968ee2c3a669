//! Functions of each element.

use super::{Call, Infer, Made, fault};
use crate::model::graph::{Dtype, Kind};
use crate::model::onnx::proto;

const UNARY: &[&str] = &[
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "BitwiseNot",
    "Ceil",
    "Celu",
    "Cos",
    "Cosh",
    "CumProd",
    "CumSum",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Trilu",
];
const BINARY: &[&str] = &[
    "Add",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Div",
    "Mod",
    "Mul",
    "PRelu",
    "Sub",
];
/// Both operands of one type, except that these take any.
const MIXED: &[&str] = &["Pow", "BitShift"];
const COMPARISONS: &[&str] = &[
    "And",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Or",
    "Xor",
];
const VARIADIC: &[&str] = &["Max", "Mean", "Min", "Sum"];

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let op = call.node.op;
    let elementwise = |dtype, shape| Made::one(Kind::Elementwise, dtype, shape);
    let made = if UNARY.contains(&op) {
        let x = call.arg(0)?;
        elementwise(x.dtype, x.shape.clone())
    } else if BINARY.contains(&op) {
        elementwise(call.same(&[0, 1])?, call.broadcast([0, 1])?)
    } else if MIXED.contains(&op) {
        elementwise(call.arg(0)?.dtype, call.broadcast([0, 1])?)
    } else if COMPARISONS.contains(&op) {
        call.same(&[0, 1])?;
        elementwise(Dtype::Bool, call.broadcast([0, 1])?)
    } else if VARIADIC.contains(&op) {
        let all: Vec<usize> = (0..call.inputs.len().max(1)).collect();
        elementwise(call.same(&all)?, call.broadcast(all)?)
    } else {
        return other(call);
    };
    Ok(Some(made))
}

fn other(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "IsNaN" | "IsInf" => Made::one(Kind::Elementwise, Dtype::Bool, call.arg(0)?.shape.clone()),
        "Clip" => {
            let x = call.arg(0)?;
            Made::one(Kind::Elementwise, x.dtype, x.shape.clone())
        }
        "Where" => Made::one(
            Kind::Elementwise,
            call.same(&[1, 2])?,
            call.broadcast(0..3)?,
        ),
        "Cast" => {
            let x = call.arg(0)?;
            let to = call.int("to", 0);
            let Some(dtype) = proto::dtype(to) else {
                return fault(format!("attribute to is {to}, which is no type"));
            };
            let kind = match dtype == x.dtype {
                true => Kind::Free,
                false => Kind::Elementwise,
            };
            Made::one(kind, dtype, x.shape.clone())
        }
        "CastLike" => Made::one(
            Kind::Elementwise,
            call.arg(1)?.dtype,
            call.arg(0)?.shape.clone(),
        ),
        "Dropout" => {
            let x = call.arg(0)?;
            let mut made = Made::one(Kind::Free, x.dtype, x.shape.clone());
            made.outputs
                .push(super::Out::new(Dtype::Bool, x.shape.clone()));
            made
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}
