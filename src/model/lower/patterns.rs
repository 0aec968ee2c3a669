//! Operators that an exporter has spelt out: attention, RMS norm, GELU and SiLU as several nodes.
//!
//! They are found before anything is lowered, and the nodes that they are made of are taken along when the first (of
//! attention the last) of them is reached.

use super::context::Lowering;
use crate::kernels::operator::Function;
use crate::model::graph::{AttentionShape, Kind, Node, TensorId};
use std::collections::BTreeMap;

/// What was found, by the node that stands for it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Attentions, by their second product.
    pub attentions: BTreeMap<usize, Attention>,
    /// RMS norms, by their first node.
    pub norms: BTreeMap<usize, Rms>,
    /// Functions of each element, by their first node.
    pub functions: BTreeMap<usize, Spelt>,
}

/// An attention of several nodes.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Its shape.
    pub shape: AttentionShape,
    /// Queries, keys, values.
    pub operands: [TensorId; 3],
    /// Something is added to the scores.
    pub biased: bool,
    /// The result.
    pub result: TensorId,
    /// All nodes but the second product.
    pub nodes: Vec<usize>,
}

/// An RMS norm of several nodes.
#[derive(Clone, Debug)]
pub struct Rms {
    /// The rows.
    pub x: TensorId,
    /// The scale.
    pub weight: TensorId,
    /// The result.
    pub result: TensorId,
    /// All nodes but the first.
    pub nodes: Vec<usize>,
}

/// A function of several nodes.
#[derive(Clone, Debug)]
pub struct Spelt {
    /// The function.
    pub function: Function,
    /// What it is of.
    pub x: TensorId,
    /// The result.
    pub result: TensorId,
    /// All nodes but the first.
    pub nodes: Vec<usize>,
}

/// Everything in the graph.
pub fn find(l: &Lowering<'_>) -> Found {
    let mut found = Found::default();
    for index in 0..l.graph.nodes.len() {
        let node = l.node(index);
        match node.kind {
            Kind::Softmax => {
                if let Some((at, attention)) = attention(l, index) {
                    found.attentions.insert(at, attention);
                }
            }
            Kind::Elementwise => {
                if let Some(norm) = rms(l, index) {
                    found.norms.insert(index, norm);
                } else if let Some(function) = function(l, index) {
                    found.functions.insert(index, function);
                }
            }
            _ => {}
        }
    }
    found
}

/// The nodes that spell out the GELU of `id`, which nothing else reads, and its result.
pub fn gelu_of(l: &Lowering<'_>, id: TensorId) -> Option<(Vec<usize>, TensorId)> {
    let readers = l.readers(id);
    let of = |&first: &usize| {
        let spelt = function(l, first)?;
        let mut nodes = vec![first];
        nodes.extend(&spelt.nodes);
        let own = spelt.function == Function::Gelu && spelt.x == id;
        let alone = readers.iter().all(|reader| nodes.contains(reader));
        (own && alone && !nodes.iter().any(|&node| l.is_done(node)))
            .then_some((nodes, spelt.result))
    };
    let inside = !l.graph.outputs.contains(&id);
    readers.iter().find_map(of).filter(|_| inside)
}

/// The operand of `node` that is not `known`.
fn other(l: &Lowering<'_>, node: usize, known: TensorId) -> Option<TensorId> {
    let inputs = &l.node(node).inputs;
    inputs.iter().copied().find(|&id| id != known)
}

/// The only reader of `id` if it is one of `ops`, and its result.
fn then(l: &Lowering<'_>, id: TensorId, ops: &[&str]) -> Option<(usize, TensorId)> {
    let (node, _) = l.only_reader(id)?;
    let of = l.node(node);
    ops.contains(&of.op.as_str()).then(|| (node, of.outputs[0]))
}

/// The product whose scaled and masked results `at` are; the nodes on the way, itself the last, go to `nodes`. Whether
/// something is added.
fn scores(l: &Lowering<'_>, mut at: TensorId, nodes: &mut Vec<usize>) -> Option<(usize, bool)> {
    let mut biased = false;
    loop {
        let maker = l.maker(at)?;
        let of = l.node(maker);
        if l.readers(at).len() != 1 {
            return None;
        }
        nodes.push(maker);
        match (&of.kind, of.op.as_str()) {
            (Kind::MatMul, _) => return Some((maker, biased)),
            (Kind::Free, _) | (_, "Cast") => at = of.inputs[0],
            (Kind::Elementwise, "Mul" | "Div" | "Add" | "Where" | "Sub") => {
                let size = l.tensor(of.outputs[0]).elements();
                let whole =
                    |id: &&TensorId| l.tensor(**id).elements() == size && l.maker(**id).is_some();
                biased |= matches!(of.op.as_str(), "Add" | "Where");
                at = *of.inputs.iter().find(whole)?;
            }
            _ => return None,
        }
    }
}

/// What stands for the softmax `at` where an exporter has replaced rows that are no numbers; its nodes go to `nodes`.
fn unguarded(l: &Lowering<'_>, at: TensorId, nodes: &mut Vec<usize>) -> TensorId {
    let [a, b] = l.readers(at) else {
        return at;
    };
    for (test, choice) in [(*a, *b), (*b, *a)] {
        let (test_of, choice_of) = (l.node(test), l.node(choice));
        let guards = test_of.op == "IsNaN" && choice_of.op == "Where";
        if guards && choice_of.inputs.contains(&test_of.outputs[0]) {
            nodes.extend([test, choice]);
            return choice_of.outputs[0];
        }
    }
    at
}

/// The product that weighs values by `at`; the nodes in front of it go to `nodes`.
fn values(l: &Lowering<'_>, mut at: TensorId, nodes: &mut Vec<usize>) -> Option<usize> {
    loop {
        let (node, _) = l.only_reader(at)?;
        match (&l.node(node).kind, l.node(node).op.as_str()) {
            (Kind::MatMul, _) => return Some(node),
            (_, "Cast" | "Dropout") => {
                nodes.push(node);
                at = l.node(node).outputs[0];
            }
            _ => return None,
        }
    }
}

/// softmax(Q K^T, scaled and masked) V around the softmax `index`.
fn attention(l: &Lowering<'_>, index: usize) -> Option<(usize, Attention)> {
    let softmax = l.node(index);
    let mut nodes = vec![index];
    let (scores, biased) = scores(l, softmax.inputs[0], &mut nodes)?;
    let weights = unguarded(l, softmax.outputs[0], &mut nodes);
    let values = values(l, weights, &mut nodes)?;
    let (first, second) = (
        l.node(scores).products.first()?,
        l.node(values).products.first()?,
    );
    if first.batch != second.batch || first.m != second.m || first.n != second.k {
        return None;
    }
    let result = l.tensor(l.node(scores).outputs[0]);
    let batch = match result.shape[..] {
        [batch, heads, _, _] if batch * heads == first.batch => batch,
        _ => 1,
    };
    let mut operands = [
        l.node(scores).inputs[0],
        l.node(scores).inputs[1],
        l.node(values).inputs[1],
    ];
    for operand in &mut operands {
        *operand = behind_copies(l, *operand, &mut nodes);
    }
    let mut out = l.node(values).outputs[0];
    if let Some((node, moved)) = then(l, out, &["Transpose"]) {
        nodes.push(node);
        out = moved;
    }
    let shape = AttentionShape {
        batch,
        heads: first.batch / batch,
        kv_heads: first.batch / batch,
        queries: first.m,
        keys: first.n,
        head_dim: first.k,
        value_dim: second.n,
        causal: false,
        scaled: true,
    };
    let found = Attention {
        shape,
        operands,
        biased,
        result: out,
        nodes,
    };
    Some((values, found))
}

/// What `id` is a moved or scaled copy of; nodes that nobody else needs go to `nodes`.
fn behind_copies(l: &Lowering<'_>, mut id: TensorId, nodes: &mut Vec<usize>) -> TensorId {
    while let Some(maker) = l.maker(id) {
        let of = l.node(maker);
        let scales = matches!(of.op.as_str(), "Mul" | "Div")
            && of.inputs.len() == 2
            && of
                .inputs
                .iter()
                .any(|&other| l.tensor(other).elements() == 1);
        let moves = of.op == "Transpose" || of.kind == Kind::Free && of.inputs.len() <= 2;
        if l.readers(id).len() != 1 || of.outputs.len() != 1 || !(scales || moves) {
            break;
        }
        let whole = |other: &&TensorId| l.tensor(**other).elements() == l.tensor(id).elements();
        let Some(&from) = of.inputs.iter().find(whole) else {
            break;
        };
        nodes.push(maker);
        id = from;
    }
    id
}

/// x / sqrt(mean(x^2) + e) * weight from its square on.
fn rms(l: &Lowering<'_>, index: usize) -> Option<Rms> {
    let square = l.node(index);
    if square.op != "Pow" {
        return None;
    }
    let x = square.inputs[0];
    let mut nodes = Vec::new();
    let mut step = |id: TensorId, ops: &[&str]| {
        let (node, result) = then(l, id, ops)?;
        nodes.push(node);
        Some((node, result))
    };
    let (_, mean) = step(square.outputs[0], &["ReduceMean"])?;
    let (_, shifted) = step(mean, &["Add"])?;
    let (_, root) = step(shifted, &["Sqrt", "Rsqrt"])?;
    let inverse = step(root, &["Reciprocal"]).map_or(root, |(_, id)| id);
    // One over the root, then the rows times that; or the rows divided by it.
    let inverse = match then(l, inverse, &["Div"]) {
        Some((node, result)) if l.tensor(result).elements() == l.tensor(inverse).elements() => {
            step(inverse, &["Div"])?;
            let _ = node;
            result
        }
        _ => inverse,
    };
    let (scaled, mut rows) = step(inverse, &["Mul", "Div"])?;
    if other(l, scaled, inverse) != Some(x) {
        return None;
    }
    if let Some((_, cast)) = step(rows, &["Cast"]) {
        rows = cast;
    }
    let (last, result) = step(rows, &["Mul"])?;
    let weight = other(l, last, rows).filter(|&id| l.is_known(id))?;
    Some(Rms {
        x,
        weight,
        result,
        nodes,
    })
}

/// Whether `node` works with one number beside its first input, which builders of graphs may leave out.
fn by_one_number(l: &Lowering<'_>, node: &Node) -> bool {
    let second = node.inputs.get(1);
    second.is_none_or(|&id| l.tensor(id).elements() == 1)
}

/// GELU by the error function, or SiLU, from their first node on.
fn function(l: &Lowering<'_>, index: usize) -> Option<Spelt> {
    let first = l.node(index);
    let x = *first.inputs.first()?;
    let mut nodes = Vec::new();
    let mut step = |id: TensorId, op: &str| {
        let (node, result) = then(l, id, &[op])?;
        nodes.push(node);
        Some((node, result))
    };
    let (function, result) = match first.op.as_str() {
        "Sigmoid" => {
            let (node, result) = step(first.outputs[0], "Mul")?;
            (other(l, node, first.outputs[0]) == Some(x)).then_some((Function::Silu, result))?
        }
        "Div" | "Mul" if by_one_number(l, first) => {
            let (_, erf) = step(first.outputs[0], "Erf")?;
            let (_, one) = step(erf, "Add")?;
            let (node, product) = step(one, "Mul")?;
            let (_, result) = match other(l, node, one) == Some(x) {
                true => step(product, "Mul")?,
                false => (node, product),
            };
            (Function::Gelu, result)
        }
        _ => return None,
    };
    Some(Spelt {
        function,
        x,
        result,
        nodes,
    })
}
