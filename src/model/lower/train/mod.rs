//! A step of training: the loss, the way back through every call of the forward pass, and the optimizer.
//!
//! [`step`] goes through the calls from the last to the first. Each has a rule ([`rules`], [`elements`]) for the gradients
//! of what it reads, as calls of the same operators; [`tape`] knows where gradients lie and adds those that meet. What a
//! rule reads of the forward pass is kept until then, which is how activations come to be saved.

mod elements;
mod rules;
mod tape;
#[cfg(test)]
mod tests;

use super::context::{Lie, Lowering};
use super::{Content, Lowered, Optimizer, Pass, Place, Plan};
use crate::kernels::operator::{DataType, Function, RowFunction, RowsOp};
use crate::model::graph::{Kind, Node};
use tape::Tape;

/// A result of the graph that the loss is made of.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    place: Place,
    rows: u64,
    cols: u64,
}

/// Why the gradient of `node` is not known.
fn obstacle(node: &Node) -> Option<&'static str> {
    let op = super::plain_op(&node.op);
    let says = |words: &[&str]| words.iter().any(|word| op.contains(word));
    match node.kind {
        Kind::Recurrent { .. } => Some("the way back through the steps of a recurrence"),
        _ if says(&["QLinear", "Integer", "Quantize", "QGemm", "QAttention"]) => {
            Some("quantised numbers have no gradient")
        }
        _ if says(&["SkipLayerNorm", "SkipSimplifiedLayerNorm"]) => {
            Some("an operator of inference, which overwrites what its gradient needs")
        }
        _ => None,
    }
}

/// Lists the nodes of the graph whose gradients are not known.
pub fn refuse(l: &mut Lowering<'_>) {
    if l.graph.steps.is_some() {
        l.refuse(
            0,
            "a whole image in steps is made, not trained: its parts can be, list-models has them",
        );
    }
    for node in 0..l.graph.nodes.len() {
        if let Some(reason) = obstacle(l.node(node)) {
            l.refuse(node, reason);
        }
    }
}

/// What the caller gets, as rows.
pub fn results(l: &mut Lowering<'_>) -> Vec<Output> {
    let ids = l.graph.outputs.clone();
    let whole = ids.into_iter().filter(|&id| l.tensor(id).elements() > 0);
    let whole: Vec<usize> = whole.collect();
    let output = |id: usize| {
        let cols = l.tensor(id).shape.last().copied().unwrap_or(1);
        Output {
            rows: l.tensor(id).elements() / cols,
            cols,
            place: l.place(id),
        }
    };
    whole.into_iter().map(output).collect()
}

/// The whole step: `forward` with what follows it.
pub fn step(forward: Lowered, plan: &Plan, results: &[Output], optimizer: Optimizer) -> Lowered {
    let layers = forward.layers.len();
    let mut tape = Tape::new(forward, plan);
    let mut losses: Vec<(Output, Place)> = Vec::new();
    for &output in results {
        if tape.needs(output.place) {
            losses.push((output, tape.temporary(output.rows * output.cols)));
        }
    }
    tape.open("loss", "CrossEntropy", Pass::Forward);
    for (output, chances) in &losses {
        let op = RowsOp {
            rows: output.rows,
            cols: output.cols,
            data: tape.data(),
            style: tape.style(),
            ..RowsOp::usual(RowFunction::Softmax)
        };
        tape.call(op, vec![output.place], *chances);
    }
    tape.close();
    tape.open("loss.backward", "CrossEntropy", Pass::Backward);
    for (output, chances) in &losses {
        let n = output.rows * output.cols;
        tape.give(output.place, n, |tape, to| {
            tape.each(Function::Scale, n, Lie::SAME, &[*chances], to);
        });
    }
    tape.close();
    for at in (0..layers).rev() {
        let layer = tape.layer(at);
        tape.open(
            &format!("{}.backward", layer.name),
            &layer.op,
            Pass::Backward,
        );
        layer
            .calls
            .iter()
            .rev()
            .for_each(|call| rules::of(&mut tape, call));
        tape.close();
    }
    update(&mut tape, optimizer);
    assume(&mut tape, optimizer);
    tape.finish()
}

/// One pass over all weights, their gradients and moments. A fused kernel reads and writes each of them once; three
/// elementwise kernels together move as much: moments, weights.
fn update(tape: &mut Tape<'_>, optimizer: Optimizer) {
    let Some((n, weights, gradients)) = tape.weights() else {
        return;
    };
    if optimizer == Optimizer::None {
        return;
    }
    let wide = DataType::F32;
    // Weights of 16 bits are copies of such that can hold small changes.
    let master = match tape.data() == wide {
        true => weights,
        false => tape.buffer(4 * n, Content::State),
    };
    let change = (Function::AddScalar, vec![master], master);
    let steps = match optimizer.moments() {
        0 => vec![(Function::Add, vec![master, gradients], master)],
        _ => {
            let [mean, square] = [(); 2].map(|()| tape.buffer(4 * n, Content::State));
            let of_mean = (Function::Add, vec![mean, gradients], mean);
            let of_square = (Function::AddScalar, vec![square], square);
            vec![of_mean, of_square, change]
        }
    };
    tape.open("optimizer", optimizer.name(), Pass::Optimizer);
    for (function, reads, write) in steps {
        tape.each_of(function, wide, n, Lie::SAME, &reads, write);
    }
    tape.close();
}

/// What was taken to hold.
fn assume(tape: &mut Tape<'_>, optimizer: Optimizer) {
    tape.assume(
        "training: no dropout, no activation is computed twice, batches are not accumulated",
    );
    tape.assume("the loss is the cross-entropy of the rows of every result");
    tape.assume(
        "gradients of norms, softmax and functions of each element take as long as functions of two tensors: the same \
         tensors move; sums over rows as long as sums along them",
    );
    tape.assume("parts of a tensor have their gradients in its parts, without a copy");
    if optimizer != Optimizer::None {
        tape.assume(
            "the optimizer is one pass over all weights with states of 32 bits, as kernels of elements that move as much",
        );
    }
    if optimizer != Optimizer::None && tape.data() != DataType::F32 {
        tape.assume("mixed precision: weights and gradients of 16 bits, and weights of 32 bits for the optimizer");
    }
}
