//! What a runtime puts into the kernel in front of it.

use super::context::Lowering;
use super::{Runtime, patterns};
use crate::kernels::operator::Epilogue;
use crate::model::graph::{Kind, TensorId};

/// A bias that is added to a product.
pub struct Bias {
    /// The vector.
    pub bias: TensorId,
    /// The sum.
    pub result: TensorId,
}

/// The bias of `n` elements that the only reader of `id` adds, which is taken along. That is one operator of every
/// framework (`addmm`), whatever the runtime.
pub fn bias(l: &mut Lowering<'_>, id: TensorId, n: u64) -> Option<Bias> {
    let (node, by) = l.only_reader(id)?;
    let of = l.node(node);
    if of.op != "Add" || of.inputs.len() != 2 {
        return None;
    }
    let bias = *of.inputs.iter().find(|&&other| other != by)?;
    (l.is_known(bias) && l.tensor(bias).elements() == n).then(|| {
        l.take_views(id, by);
        l.take(node);
        Bias {
            bias,
            result: of.outputs[0],
        }
    })
}

/// The activation that the only reader of `id` computes, if a product of this runtime can do it.
pub fn activation(l: &mut Lowering<'_>, id: TensorId) -> Option<(Epilogue, TensorId)> {
    if l.plan.runtime != Runtime::Graph || !l.plan.folds() {
        return None;
    }
    if let Some((nodes, result)) = patterns::gelu_of(l, id) {
        nodes.into_iter().for_each(|node| l.take(node));
        return Some((Epilogue::Gelu, result));
    }
    let (node, by) = l.only_reader(id)?;
    let epilogue = match l.node(node).op.as_str() {
        "Relu" => Epilogue::Relu,
        "Gelu" | "NewGelu" | "FastGelu" => Epilogue::Gelu,
        _ => return None,
    };
    l.take_views(id, by);
    l.take(node);
    Some((epilogue, l.node(node).outputs[0]))
}

/// The normalisation of rows that reads the sum `id`, if nothing but additions reads it besides.
pub fn norm_of_sum(l: &Lowering<'_>, id: TensorId) -> Option<usize> {
    if !l.plan.folds() {
        return None;
    }
    let readers = l.readers(id).iter().copied();
    let found = readers.clone().find(|&node| {
        let of = l.node(node);
        of.kind == Kind::Norm && of.inputs.first() == Some(&id) && super::norm::is_of_rows(&of.op)
    })?;
    (!l.is_done(found)).then_some(found)
}
