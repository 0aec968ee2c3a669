//! A graph while it is lowered: which nodes are done, where tensors lie, the layer that is being written.

use super::elementwise::Chain;
use super::{Buffer, BufferId, Call, Content, Layer, Lowered, Pass, Place, Plan, Refused};
use crate::kernels::operator::{DataType, ElementwiseOp, Function, Operands, Operator};
use crate::model::graph::{Graph, Kind, Node, Product, Role, Tensor, TensorId};
use std::collections::BTreeMap;

/// The state of a lowering.
pub struct Lowering<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What it is lowered for.
    pub plan: &'a Plan,
    readers: Vec<Vec<usize>>,
    makers: Vec<Option<usize>>,
    is_output: Vec<bool>,
    done: Vec<bool>,
    places: Vec<Option<Place>>,
    /// How far the parts of a buffer go that views have named so far.
    parted: BTreeMap<BufferId, u64>,
    /// Buffers that all layers share, by name.
    shared: BTreeMap<&'static str, BufferId>,
    /// Chains that go on at a node, by that node, with the tensor that it reads them by.
    waiting: BTreeMap<usize, (Chain, TensorId)>,
    layer: Option<Layer>,
    out: Lowered,
}

/// How an elementwise function's operands lie, and the sizes that says.
#[derive(Clone, Copy, Debug)]
pub struct Lie {
    /// How.
    pub operands: Operands,
    /// Elements of a row.
    pub cols: u64,
    /// Rows of a matrix, or tokens.
    pub rows: u64,
    /// Heads.
    pub heads: u64,
}

impl Lie {
    /// All alike.
    pub const SAME: Lie = Lie {
        operands: Operands::Same,
        cols: 0,
        rows: 0,
        heads: 1,
    };

    /// As `operands` say, with rows of `cols` elements.
    pub fn rows_of(operands: Operands, cols: u64) -> Self {
        Lie {
            operands,
            cols,
            ..Lie::SAME
        }
    }
}

impl<'a> Lowering<'a> {
    /// Nothing done yet.
    pub fn new(graph: &'a Graph, plan: &'a Plan) -> Self {
        let tensors = graph.tensors.len();
        let (mut readers, mut makers) = (vec![Vec::new(); tensors], vec![None; tensors]);
        for (index, node) in graph.nodes.iter().enumerate() {
            for &input in &node.inputs {
                if readers[input].last() != Some(&index) {
                    readers[input].push(index);
                }
            }
            for &output in &node.outputs {
                makers[output] = Some(index);
            }
        }
        let mut is_output = vec![false; tensors];
        for &id in &graph.outputs {
            is_output[id] = true;
        }
        Lowering {
            graph,
            plan,
            readers,
            makers,
            is_output,
            done: vec![false; graph.nodes.len()],
            places: vec![None; tensors],
            parted: BTreeMap::new(),
            shared: BTreeMap::new(),
            waiting: BTreeMap::new(),
            layer: None,
            out: Lowered::default(),
        }
    }

    /// The result.
    pub fn finish(self) -> Lowered {
        self.out
    }

    /// A tensor of the graph.
    pub fn tensor(&self, id: TensorId) -> &'a Tensor {
        &self.graph.tensors[id]
    }

    /// A node of the graph.
    pub fn node(&self, index: usize) -> &'a Node {
        &self.graph.nodes[index]
    }

    /// Whether another node has taken this one along.
    pub fn is_done(&self, node: usize) -> bool {
        self.done[node]
    }

    /// Who makes a tensor.
    pub fn maker(&self, id: TensorId) -> Option<usize> {
        self.makers[id]
    }

    /// Who reads a tensor.
    pub fn readers(&self, id: TensorId) -> &[usize] {
        &self.readers[id]
    }

    /// Whether a tensor has been made so far.
    pub fn is_made(&self, id: TensorId) -> bool {
        self.makers[id].is_none_or(|maker| self.done[maker])
    }

    /// Lets `chain` go on at `node`, which reads it as `by`.
    pub fn wait(&mut self, node: usize, chain: Chain, by: TensorId) {
        self.waiting.insert(node, (chain, by));
    }

    /// The chain that waits for `node`.
    pub fn waiting(&mut self, node: usize) -> Option<(Chain, TensorId)> {
        self.waiting.remove(&node)
    }

    /// The one node that reads what `id` holds, and the tensor by which it does: views are looked through. Nothing where
    /// several read it, or the caller gets it.
    pub fn only_reader(&self, id: TensorId) -> Option<(usize, TensorId)> {
        let mut id = id;
        loop {
            match self.readers[id].as_slice() {
                [one] if !self.is_output[id] && !self.done[*one] => match self.node(*one).kind {
                    Kind::Free => id = *self.node(*one).outputs.first()?,
                    _ => return Some((*one, id)),
                },
                _ => return None,
            }
        }
    }

    /// Whether a tensor is there before the run.
    pub fn is_known(&self, id: TensorId) -> bool {
        matches!(self.tensor(id).role, Role::Weight | Role::Constant)
    }

    /// Begins the layer of `node`.
    pub fn open(&mut self, node: usize) {
        let of = self.node(node);
        self.done[node] = true;
        self.layer = Some(Layer {
            name: of.name.clone(),
            op: of.op.clone(),
            pass: Pass::Forward,
            flops: flops(&of.products),
            bytes: 0,
            calls: Vec::new(),
            times: self.graph.times(node),
        });
    }

    /// Leaves `node` to another, which will account for it.
    pub fn skip(&mut self, node: usize) {
        self.done[node] = true;
    }

    /// Accounts for `node`, which was skipped, in the layer that is open.
    pub fn account(&mut self, node: usize) {
        let more = flops(&self.node(node).products);
        if let Some(layer) = &mut self.layer {
            layer.flops = layer.flops.saturating_add(more);
        }
    }

    /// Calls the open layer by what it is.
    pub fn rename(&mut self, op: &str) {
        if let Some(layer) = &mut self.layer {
            layer.op = op.to_owned();
        }
    }

    /// Takes `node` along with the layer that is open.
    pub fn take(&mut self, node: usize) {
        if self.done[node] {
            return;
        }
        self.done[node] = true;
        let of = self.node(node);
        if let Some(layer) = &mut self.layer {
            layer.flops = layer.flops.saturating_add(flops(&of.products));
            if of.kind != Kind::Free {
                layer.op.push('+');
                layer.op.push_str(&of.op);
            }
        }
    }

    /// Takes along the views between `id` and the reader of `until`.
    pub fn take_views(&mut self, id: TensorId, until: TensorId) {
        let mut id = id;
        while id != until {
            let Some(&view) = self.readers[id].first() else {
                return;
            };
            self.take(view);
            id = self.node(view).outputs[0];
        }
    }

    /// Ends the layer; one without calls leaves no trace.
    pub fn close(&mut self) {
        let Some(mut layer) = self.layer.take() else {
            return;
        };
        if layer.calls.is_empty() {
            return;
        }
        let work = layer.calls.iter().map(|call| call.operator.work());
        let (flops, bytes) = work.fold((0.0, 0.0), |sum, work| {
            (sum.0 + work.flops, sum.1 + work.bytes)
        });
        layer.bytes = bytes as u64;
        if layer.flops == 0 {
            layer.flops = flops as u64;
        }
        self.out.layers.push(layer);
    }

    /// Lists `node` as not lowered, with its reason.
    pub fn refuse(&mut self, node: usize, reason: impl Into<String>) {
        let of = self.node(node);
        self.out.refused.push(Refused {
            node: of.name.clone(),
            op: of.op.clone(),
            reason: reason.into(),
            flops: flops(&of.products).saturating_mul(self.graph.times(node)),
        });
    }

    /// States what was taken to hold, once.
    pub fn assume(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.out.assumptions.contains(&text) {
            self.out.assumptions.push(text);
        }
    }

    /// A new buffer.
    pub fn buffer(&mut self, bytes: u64, content: Content) -> Place {
        self.out.buffers.push(Buffer { bytes, content });
        Place {
            buffer: self.out.buffers.len() - 1,
            offset: 0,
        }
    }

    /// Memory of a result that no tensor of the graph names: `elements` of `data`.
    pub fn temporary(&mut self, elements: u64, data: DataType) -> Place {
        self.buffer(elements * data.bytes(), Content::Activation)
    }

    /// A buffer that all layers share, under a name.
    pub fn shared(&mut self, name: &'static str, bytes: u64, content: Content) -> Place {
        let buffer = match self.shared.get(name) {
            Some(&buffer) => buffer,
            None => {
                let place = self.buffer(0, content);
                self.shared.insert(name, place.buffer);
                place.buffer
            }
        };
        let size = &mut self.out.buffers[buffer].bytes;
        *size = bytes.max(*size);
        Place { buffer, offset: 0 }
    }

    /// Bytes of a tensor.
    pub fn bytes(&self, id: TensorId) -> u64 {
        let tensor = self.tensor(id);
        // Vectors of weights (biases, scales) keep the type of activations.
        let matrix = self.is_known(id) && tensor.shape.iter().filter(|&&n| n > 1).count() > 1;
        self.plan.bytes(tensor, matrix)
    }

    /// Where a tensor lies.
    pub fn place(&mut self, id: TensorId) -> Place {
        if let Some(place) = self.places[id] {
            return place;
        }
        let tensor = self.tensor(id);
        let content = match tensor.role {
            Role::Weight if tensor.dtype.is_float() => Content::Weights,
            Role::Weight | Role::Constant => Content::Constants,
            Role::Input => Content::Input,
            Role::Activation => Content::Activation,
        };
        let place = self.buffer(self.bytes(id), content);
        self.places[id] = Some(place);
        place
    }

    /// Puts a tensor at `place`.
    pub fn put(&mut self, id: TensorId, place: Place) {
        self.places[id] = Some(place);
    }

    /// The results of `node` are other names for its first input: whole, or parts one behind the other.
    pub fn view(&mut self, node: usize) {
        let of = self.node(node);
        let source = of
            .inputs
            .iter()
            .copied()
            .find(|&id| self.tensor(id).elements() > 0);
        let Some(source) = source else {
            return;
        };
        let whole = self.place(source);
        let size = self.bytes(source);
        for &output in &of.outputs {
            // A weight that a node fills, such as `ConstantOfShape`, is no view of its shape.
            if self.places[output].is_some() || self.tensor(output).role == Role::Weight {
                continue;
            }
            let part = self.bytes(output);
            let place = match part < size {
                false => whole,
                true => {
                    let from = self.parted.entry(whole.buffer).or_default();
                    let offset = if *from + part > size { 0 } else { *from };
                    *from = offset + part;
                    Place {
                        offset: whole.offset + offset,
                        ..whole
                    }
                }
            };
            self.places[output] = Some(place);
        }
    }

    /// Appends a call to the open layer.
    pub fn call(&mut self, operator: impl Into<Operator>, reads: Vec<Place>, writes: Vec<Place>) {
        if let Some(layer) = &mut self.layer {
            layer.calls.push(Call {
                operator: operator.into(),
                reads,
                writes,
                waits: false,
            });
        }
    }

    /// The host waits for the last call.
    pub fn read_by_host(&mut self) {
        let calls = self.layer.as_mut().map(|layer| &mut layer.calls);
        if let Some(call) = calls.and_then(|calls| calls.last_mut()) {
            call.waits = true;
        }
    }

    /// Appends an elementwise function of `n` elements.
    pub fn each(
        &mut self,
        function: Function,
        data: DataType,
        n: u64,
        lie: Lie,
        tensors: (&[Place], Place),
    ) {
        if n == 0 {
            return;
        }
        let op = ElementwiseOp {
            n,
            function,
            data,
            output: data,
            cols: lie.cols,
            operands: lie.operands,
            rows: lie.rows,
            heads: lie.heads,
            style: self.plan.style(),
        };
        self.call(op, tensors.0.to_vec(), vec![tensors.1]);
    }

    /// Appends a conversion of `n` elements.
    pub fn cast(&mut self, [from, to]: [DataType; 2], n: u64, read: Place, write: Place) {
        if from == to || n == 0 {
            return;
        }
        let op = ElementwiseOp {
            n,
            function: Function::Cast,
            data: from,
            output: to,
            style: self.plan.style(),
            ..ElementwiseOp::usual()
        };
        self.call(op, vec![read], vec![write]);
    }

    /// Numbers between layers.
    pub fn data(&self) -> DataType {
        self.plan.precision.activations()
    }
}

fn flops(products: &[Product]) -> u64 {
    let flops: u128 = products.iter().map(Product::flops).sum();
    u64::try_from(flops).unwrap_or(u64::MAX)
}
