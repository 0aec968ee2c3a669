//! Functions of each element, and chains of them.

use super::context::{Lie, Lowering};
use super::patterns::Spelt;
use super::{Place, fusion, norm, plain_op};
use crate::kernels::operator::{DataType, Function, Operands};
use crate::model::graph::{Kind, Shape, TensorId};

/// A function of each element; what a runtime fuses with it is taken along.
pub fn lower(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let Some(&y) = of.outputs.first() else {
        return;
    };
    if l.tensor(y).elements() == 0 {
        return;
    }
    match plain_op(&of.op) {
        "Rotary" | "RotaryEmbedding" => return super::attention::rotate(l, node),
        "NewGelu" if !l.plan.fuses() => return new_gelu(l, of.inputs[0], y),
        "Cast" | "CastLike" => return cast(l, of.inputs[0], y),
        "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" => {
            return quantised(l, node);
        }
        _ => {}
    }
    if of.op == "Add"
        && let [a, b] = of.inputs[..]
        && let Some(found) = fusion::norm_of_sum(l, y)
        && let Some(pair) = addends(l, a, b)
    {
        return norm::of_sum(l, found, pair, y);
    }
    if let Some(chain) = chain(l, node) {
        emit(l, &chain);
    }
}

/// A function that a graph spells out, as one operator.
pub fn found(l: &mut Lowering<'_>, found: &Spelt) {
    found.nodes.iter().for_each(|&node| l.take(node));
    l.rename(Function::NAMES[found.function as usize]);
    let (n, data) = (l.tensor(found.result).elements(), l.data());
    let (read, write) = (l.place(found.x), l.place(found.result));
    l.each(found.function, data, n, Lie::SAME, (&[read], write));
}

/// The addends as what only this sum reads, and the other.
fn addends(l: &Lowering<'_>, a: TensorId, b: TensorId) -> Option<[TensorId; 2]> {
    let alike = l.tensor(a).elements() == l.tensor(b).elements();
    let alone = |id: TensorId| l.readers(id).len() == 1 && !l.is_known(id);
    match (alike, alone(a), alone(b)) {
        (true, true, _) => Some([a, b]),
        (true, _, true) => Some([b, a]),
        _ => None,
    }
}

/// Functions of the same elements, one after the other.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The costliest function.
    function: Function,
    /// Tensors that are read from outside.
    inputs: Vec<TensorId>,
    /// The result.
    output: TensorId,
    /// Names of the operators.
    op: String,
}

impl Chain {
    /// With `node` behind it, which reads it as `by`.
    fn and(&self, l: &mut Lowering<'_>, node: usize, by: TensorId) -> Chain {
        let more = l.node(node);
        let outside = more.inputs.iter().filter(|&&id| id != by);
        Chain {
            function: costlier(self.function, function(l, node)),
            inputs: self.inputs.iter().chain(outside).copied().collect(),
            output: more.outputs[0],
            op: format!("{}+{}", self.op, more.op),
        }
    }
}

/// The chain that `node` is in, if it ends here: as long as the runtime fuses, and no more than two tensors of full size
/// are read. One that needs what is not yet there goes on at the node that reads both.
fn chain(l: &mut Lowering<'_>, node: usize) -> Option<Chain> {
    let of = l.node(node);
    let mut chain = match l.waiting(node) {
        Some((before, by)) => before.and(l, node, by),
        None => Chain {
            function: function(l, node),
            inputs: of.inputs.clone(),
            output: of.outputs[0],
            op: of.op.clone(),
        },
    };
    while l.plan.fuses() {
        let Some((next, by)) = l.only_reader(chain.output) else {
            break;
        };
        let more = l.node(next);
        let alike = more.kind == Kind::Elementwise
            && more.outputs.len() == 1
            && l.tensor(more.outputs[0]).elements() == l.tensor(chain.output).elements()
            && !matches!(
                plain_op(&more.op),
                "Rotary" | "RotaryEmbedding" | "Cast" | "QuantizeLinear" | "DequantizeLinear"
            )
            && fusion::norm_of_sum(l, more.outputs[0]).is_none();
        if !alike {
            break;
        }
        let longer = chain.and(l, next, by);
        if large(l, &longer.inputs, longer.output).len() > 2 {
            break;
        }
        if !more.inputs.iter().all(|&id| id == by || l.is_made(id)) {
            l.wait(next, chain, by);
            return None;
        }
        l.take_views(chain.output, by);
        l.skip(next);
        chain = longer;
    }
    l.rename(&chain.op);
    Some(chain)
}

/// Those of `inputs` that have as many elements as `output`, or a good part of them; constants of the program aside.
fn large(l: &Lowering<'_>, inputs: &[TensorId], output: TensorId) -> Vec<TensorId> {
    let n = l.tensor(output).elements();
    let mut found: Vec<TensorId> = Vec::new();
    for &id in inputs {
        if l.tensor(id).elements() > 1 && l.tensor(id).elements() * 2 > n && !found.contains(&id) {
            found.push(id);
        }
    }
    found
}

/// The costlier of two functions: transcendental ones before divisions before the rest.
fn costlier(a: Function, b: Function) -> Function {
    let cost = |function: Function| match function {
        Function::PowTensor | Function::Pow => 5,
        Function::Gelu | Function::GeluTanh | Function::Erf => 4,
        Function::SiluMul | Function::Silu | Function::Tanh | Function::Sigmoid | Function::Exp => {
            3
        }
        Function::Div | Function::Rsqrt => 2,
        Function::Copy | Function::Cast => 0,
        _ => 1,
    };
    if cost(b) > cost(a) { b } else { a }
}

/// What a node computes, or what costs as much.
fn function(l: &mut Lowering<'_>, node: usize) -> Function {
    let op = plain_op(&l.node(node).op);
    let (found, exact) = match op {
        "Add" | "Sum" => (Function::Add, true),
        "Sub" => (Function::Sub, true),
        "Mul" => (Function::Mul, true),
        "Div" => (Function::Div, true),
        "Relu" | "Clip" => (Function::Relu, true),
        "Gelu" | "BiasGelu" => (Function::Gelu, true),
        "NewGelu" | "FastGelu" => (Function::GeluTanh, true),
        "Silu" | "Swish" => (Function::Silu, true),
        "Tanh" => (Function::Tanh, true),
        "Sigmoid" => (Function::Sigmoid, true),
        "Exp" => (Function::Exp, true),
        "Erf" => (Function::Erf, true),
        "Pow" => (Function::Pow, true),
        "Identity" | "Dropout" => (Function::Copy, true),
        "Where" => (Function::Mask, true),
        "Sqrt" | "Rsqrt" | "Reciprocal" => (Function::Rsqrt, false),
        "Mish" | "Atan" | "Asin" | "Acos" | "Sinh" | "Cosh" => (Function::Tanh, false),
        "Sin" | "Cos" | "Log" | "Softplus" | "Elu" | "Selu" | "Celu" => (Function::Exp, false),
        "HardSwish" | "HardSigmoid" | "LeakyRelu" | "PRelu" | "Max" | "Min" => {
            (Function::Relu, false)
        }
        "Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "Sign" | "Not" => (Function::Scale, false),
        _ => (Function::AddScalar, false),
    };
    if !exact {
        l.assume(format!(
            "{op} takes as long as {}",
            Function::NAMES[found as usize]
        ));
    }
    found
}

/// The kernel, or the kernels, of a chain.
fn emit(l: &mut Lowering<'_>, chain: &Chain) {
    let n = l.tensor(chain.output).elements();
    let data = l.plan.data(l.tensor(chain.output));
    // 64-bit integers are two words each.
    let n = n
        * (l.tensor(chain.output).dtype.bits() / 8)
            .div_ceil(data.bytes().max(4))
            .max(1);
    let write = l.place(chain.output);
    let full = large(l, &chain.inputs, chain.output);
    // A kernel has no window for small tensors, but gradients of them are made.
    let small = match l.plan.training {
        Some(_) => places(l, chain.inputs.iter().filter(|id| !full.contains(id))),
        None => Vec::new(),
    };
    let other = chain.inputs.iter().copied().find(|id| !full.contains(id));
    match full[..] {
        [] => {
            let read = chain.inputs.first().map_or(write, |&id| l.place(id));
            l.each(Function::Copy, data, n, Lie::SAME, (&[read], write));
        }
        [x] => {
            let read = l.place(x);
            match other
                .and_then(|id| Some((id, lie(&l.tensor(chain.output).shape, &l.tensor(id).shape)?)))
            {
                // A fused kernel finds rows and columns on the way; a framework's needs offsets.
                Some((other, lie)) if !l.plan.fuses() && binary(chain.function).is_some() => {
                    let function = binary(chain.function).unwrap_or(Function::Add);
                    let other = l.place(other);
                    l.each(function, data, n, lie, (&[read, other], write));
                }
                _ => {
                    let reads = [&[read][..], &small].concat();
                    l.each(unary(chain.function), data, n, Lie::SAME, (&reads, write));
                }
            }
        }
        [x, y, ..] => {
            let function = match chain.function {
                Function::Silu | Function::Sigmoid => Function::SiluMul,
                other => binary(other).unwrap_or(Function::Add),
            };
            let [mut read, next] = [x, y].map(|id| l.place(id));
            let reads = [&[read, next][..], &small].concat();
            l.each(function, data, n, Lie::SAME, (&reads, write));
            // Sums of more tensors are one kernel for each of the rest.
            for &more in &full[2..] {
                read = write;
                let next = l.place(more);
                l.each(Function::Add, data, n, Lie::SAME, (&[read, next], write));
            }
        }
    }
}

/// Where tensors lie.
fn places<'a>(l: &mut Lowering<'_>, ids: impl Iterator<Item = &'a TensorId>) -> Vec<Place> {
    ids.map(|&id| l.place(id)).collect()
}

/// The same of two tensors, where there is such a kernel.
fn binary(function: Function) -> Option<Function> {
    match function {
        Function::Add | Function::Sub | Function::Mul | Function::Div => Some(function),
        Function::Mask => Some(Function::Mul),
        Function::Pow => Some(Function::Mul),
        _ => None,
    }
}

/// The same of one tensor and a number.
fn unary(function: Function) -> Function {
    match function {
        Function::Add | Function::Sub | Function::Mask => Function::AddScalar,
        Function::Mul => Function::Scale,
        Function::Div => Function::DivScalar,
        Function::SiluMul => Function::Silu,
        other => other,
    }
}

/// How a smaller operand lies under a result: a row or a column that is shared; nothing where it is a number.
fn lie(result: &Shape, operand: &Shape) -> Option<Lie> {
    let elements: u64 = operand.iter().product();
    if elements <= 1 {
        return None;
    }
    let behind = operand.iter().rev().take_while(|&&n| n == 1).count();
    let cols: u64 = result.iter().rev().take(behind).product();
    Some(match cols {
        ..=1 => {
            let total: u64 = result.iter().product();
            let cols = if total.is_multiple_of(elements) {
                elements
            } else {
                *result.last()?
            };
            Lie::rows_of(Operands::Row, cols)
        }
        cols => Lie::rows_of(Operands::Column, cols),
    })
}

/// GELU by tanh as Hugging Face's own code has it: eight operators.
fn new_gelu(l: &mut Lowering<'_>, x: TensorId, y: TensorId) {
    let n = l.tensor(y).elements();
    let data = l.data();
    let (x, y) = (l.place(x), l.place(y));
    let [half, cube, scaled, sum, inner, tanh, one] = [0; 7].map(|_| l.temporary(n, data));
    let steps = [
        (Function::Scale, x, half),
        (Function::Pow, x, cube),
        (Function::Scale, cube, scaled),
    ];
    for (function, read, write) in steps {
        l.each(function, data, n, Lie::SAME, (&[read], write));
    }
    l.each(Function::Add, data, n, Lie::SAME, (&[x, scaled], sum));
    let steps = [
        (Function::Scale, sum, inner),
        (Function::Tanh, inner, tanh),
        (Function::AddScalar, tanh, one),
    ];
    for (function, read, write) in steps {
        l.each(function, data, n, Lie::SAME, (&[read], write));
    }
    l.each(Function::Mul, data, n, Lie::SAME, (&[half, one], y));
}

/// A conversion; between types that are the same under the plan it is another name.
fn cast(l: &mut Lowering<'_>, x: TensorId, y: TensorId) {
    let [from, to] = [x, y].map(|id| l.plan.data(l.tensor(id)));
    let n = l.tensor(y).elements();
    let (read, floats) = (l.place(x), [x, y].map(|id| l.tensor(id).dtype.is_float()));
    if from == to && floats[0] == floats[1] {
        return l.put(y, read);
    }
    let write = l.place(y);
    match from == to {
        true => l.each(
            Function::Copy,
            DataType::F32,
            n,
            Lie::SAME,
            (&[read], write),
        ),
        false => l.cast([from, to], n, read, write),
    }
}

/// Conversions to and from integers are the affair of the kernels around them.
fn quantised(l: &mut Lowering<'_>, node: usize) {
    l.assume("conversions to and from quantised numbers are done by the kernels around them");
    l.view(node);
}
