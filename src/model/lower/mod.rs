//! From a graph to calls of operators: what a runtime would launch for each layer, and on which memory.
//!
//! [`lower`] is a pure function of the graph and the [`Plan`]. Nothing is fused in eager mode but what PyTorch itself
//! fuses; the other runtimes put what surrounds a product, a convolution or a norm into it ([`fusion`]). A step of
//! training goes back through the calls of the forward pass ([`train`]). What an exporter
//! has spelt out ([`patterns`]) is one operator again, whatever the runtime. A node that costs nothing gives another name
//! to memory. What cannot be lowered is listed.

mod attention;
mod context;
mod conv;
mod elementwise;
mod experts;
#[cfg(test)]
mod fused_tests;
mod fusion;
mod matmul;
mod moves;
mod norm;
mod patterns;
mod plan;
mod reduce;
mod router;
#[cfg(test)]
mod tests;
mod train;

pub use plan::{Optimizer, Path, Plan, Precision, Runtime, Spread};

use super::graph::{Graph, Kind};
use crate::kernels::operator::Operator;
use context::Lowering;
use std::collections::BTreeMap;

/// Index of a buffer in [`Lowered::buffers`].
pub type BufferId = usize;

/// Where a tensor lies: a buffer, and the bytes in front of it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The buffer.
    pub buffer: BufferId,
    /// Bytes from its begin.
    pub offset: u64,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Weights, which training changes: there before the run and after it.
    Weights,
    /// What is as constant, but not learnt.
    Constants,
    /// Gradients of weights, which stay until the optimizer has read them.
    Gradients,
    /// What the optimizer keeps from step to step.
    State,
    /// Keys and values of tokens before this run.
    Cache,
    /// What the caller gives.
    Input,
    /// What is made and used up.
    Activation,
}

/// Memory of one tensor, or of several that lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Bytes.
    pub bytes: u64,
    /// What it holds.
    pub content: Content,
}

/// One call of a framework's operator, which launches one kernel or some.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The operator.
    pub operator: Operator,
    /// What it reads, in the order of [`Operands`](crate::kernels::operands::Operands).
    pub reads: Vec<Place>,
    /// What it writes.
    pub writes: Vec<Place>,
    /// The host reads what it finds before it goes on.
    pub waits: bool,
}

/// What a layer is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// From inputs to results, and the loss in training.
    Forward,
    /// From the loss to the gradients of weights.
    Backward,
    /// From gradients to new weights.
    Optimizer,
}

impl Pass {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
            Pass::Optimizer => "optimizer",
        }
    }
}

/// A layer: a node of the graph, with those that are fused to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name of the node.
    pub name: String,
    /// Its operator, and those that are fused to it.
    pub op: String,
    /// What it is part of.
    pub pass: Pass,
    /// Operations in matrix products; of layers without any, those of the operators.
    pub flops: u64,
    /// Bytes that must move at least.
    pub bytes: u64,
    /// What is called, in order.
    pub calls: Vec<Call>,
    /// How often it runs; the numbers above are of one time.
    pub times: u64,
}

/// A node that was not lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Name of the node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Why.
    pub reason: String,
    /// Operations in its matrix products.
    pub flops: u64,
}

/// A graph as calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lowered {
    /// Layers in the order in which they run.
    pub layers: Vec<Layer>,
    /// Memory.
    pub buffers: Vec<Buffer>,
    /// What is missing.
    pub refused: Vec<Refused>,
    /// What was taken to hold.
    pub assumptions: Vec<String>,
}

impl Lowered {
    /// The most bytes that inputs and activations take at one time, when each buffer is there from its first to its last
    /// use.
    pub fn activation_peak(&self) -> u64 {
        let mut spans: Vec<Option<(usize, usize)>> = vec![None; self.buffers.len()];
        let calls = self.layers.iter().flat_map(|layer| &layer.calls);
        let mut count = 0;
        for (at, call) in calls.enumerate() {
            for place in call.reads.iter().chain(&call.writes) {
                let span = spans[place.buffer].get_or_insert((at, at));
                span.1 = at;
            }
            count = at + 1;
        }
        // What is allocated before and given back after each call.
        let mut changes = vec![0i128; count + 1];
        for (buffer, span) in self.buffers.iter().zip(&spans) {
            let (Some((first, last)), Content::Input | Content::Activation) =
                (span, buffer.content)
            else {
                continue;
            };
            changes[*first] += i128::from(buffer.bytes);
            changes[last + 1] -= i128::from(buffer.bytes);
        }
        let mut live = 0;
        let peak = changes.iter().fold(0, |peak: i128, change| {
            live += change;
            peak.max(live)
        });
        peak as u64
    }
}

/// The calls of `graph` under `plan`.
pub fn lower(graph: &Graph, plan: &Plan) -> Lowered {
    let mut lowering = Lowering::new(graph, plan);
    attention::adjoin(&mut lowering);
    let found = patterns::find(&lowering);
    // A runtime that fuses, or that has one kernel for it, never runs the nodes that lead up to an attention.
    let attentions = match plan.attention {
        Path::Fused => found.attentions,
        Path::Spelt => BTreeMap::new(),
    };
    let inner = attentions.values().flat_map(|attention| &attention.nodes);
    inner.for_each(|&node| lowering.skip(node));
    for node in 0..graph.nodes.len() {
        if lowering.is_done(node) {
            continue;
        }
        lowering.open(node);
        if let Some(attention) = attentions.get(&node) {
            attention::found(&mut lowering, attention);
        } else if let Some(rms) = found.norms.get(&node) {
            norm::found(&mut lowering, rms);
        } else if let Some(spelt) = found.functions.get(&node).filter(|_| !plan.fuses()) {
            elementwise::found(&mut lowering, spelt);
        } else {
            one(&mut lowering, node);
        }
        lowering.close();
    }
    let Some(optimizer) = plan.training else {
        return lowering.finish();
    };
    train::refuse(&mut lowering);
    let results = train::results(&mut lowering);
    train::step(lowering.finish(), plan, &results, optimizer)
}

/// The name of an operator without its domain.
fn plain_op(op: &str) -> &str {
    op.rsplit("::").next().unwrap_or(op)
}

/// The calls of one node, and of those that it takes along.
fn one(lowering: &mut Lowering<'_>, node: usize) {
    match &lowering.node(node).kind {
        Kind::Free => lowering.view(node),
        Kind::MatMul => matmul::lower(lowering, node),
        Kind::Conv(window) => conv::lower(lowering, node, window),
        Kind::Attention(shape) => attention::lower(lowering, node, *shape),
        Kind::Softmax => norm::softmax(lowering, node),
        Kind::Norm => norm::lower(lowering, node),
        Kind::Elementwise => elementwise::lower(lowering, node),
        Kind::Reduce => reduce::lower(lowering, node),
        Kind::Pool(window) => reduce::pool(lowering, node, window),
        Kind::Lookup => moves::lookup(lowering, node),
        Kind::Move => moves::lower(lowering, node),
        Kind::Select { of, chosen } => reduce::select(lowering, node, [*of, *chosen]),
        Kind::Router { chosen, rule } => router::lower(lowering, node, *chosen, *rule),
        Kind::Experts { experts, chosen } => experts::lower(lowering, node, [*experts, *chosen]),
        Kind::Recurrent { steps } => experts::recurrent(lowering, node, *steps),
        Kind::Unsupported(reason) => lowering.refuse(node, reason.clone()),
    }
}
