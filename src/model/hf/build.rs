//! The words that definitions of models are written in: each adds a node, and the tensors that it makes.

use crate::model::graph::{
    AttentionShape, Dtype, Graph, Kind, Node, Product, Role, Shape, TensorId, Window,
};

/// A graph that is being written.
#[derive(Debug)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    /// Type of weights and activations.
    pub dtype: Dtype,
    /// Matrices of linear layers lie with the weights of an input side by side (`Conv1D`), not those of a result.
    pub by_input: bool,
    prefix: String,
    /// Weights of layers that share them, in the order in which a layer names them, and how many this one has named.
    shared: Option<(Vec<TensorId>, usize)>,
}

/// What an attention does besides its shapes.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Heads of the queries.
    pub heads: u64,
    /// Heads of keys and values.
    pub kv_heads: u64,
    /// Elements of a head of queries and keys.
    pub head_dim: u64,
    /// Elements of a head of values.
    pub value_dim: u64,
    /// Queries see only the keys before them.
    pub causal: bool,
}

impl Builder {
    /// An empty graph.
    pub fn new(name: &str, dtype: Dtype) -> Self {
        Builder {
            graph: Graph {
                name: name.into(),
                ..Graph::default()
            },
            dtype,
            by_input: false,
            prefix: String::new(),
            shared: None,
        }
    }

    /// Writes `body` with `name.` in front of its names.
    pub fn within<T>(
        &mut self,
        name: impl std::fmt::Display,
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let length = self.prefix.len();
        self.prefix.push_str(&format!("{name}."));
        let result = body(self);
        self.prefix.truncate(length);
        result
    }

    /// Writes `body` with `weights`, in their order: none at first, then those that it has made.
    pub fn sharing<T>(
        &mut self,
        weights: &mut Vec<TensorId>,
        body: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.shared = Some((std::mem::take(weights), 0));
        let result = body(self);
        if let Some((known, _)) = self.shared.take() {
            *weights = known;
        }
        result
    }

    /// Extents of a tensor.
    pub fn shape(&self, id: TensorId) -> &[u64] {
        &self.graph.tensors[id].shape
    }

    /// The last extent of a tensor.
    pub(super) fn width(&self, id: TensorId) -> u64 {
        self.shape(id).last().copied().unwrap_or(1)
    }

    /// The product of all extents but the last.
    pub(super) fn rows(&self, id: TensorId) -> u64 {
        let shape = self.shape(id);
        shape[..shape.len().saturating_sub(1)]
            .iter()
            .fold(1, |product, &n| product.saturating_mul(n))
    }

    /// An input.
    pub fn input(&mut self, name: &str, dtype: Dtype, shape: Shape) -> TensorId {
        let id = self.graph.tensor(name, dtype, shape, Role::Input);
        self.graph.inputs.push(id);
        id
    }

    /// A weight.
    pub fn weight(&mut self, name: &str, shape: impl Into<Shape>) -> TensorId {
        if let Some((known, named)) = &mut self.shared {
            *named += 1;
            if let Some(&id) = known.get(*named - 1) {
                return id;
            }
        }
        let name = format!("{}{name}", self.prefix);
        let id = self
            .graph
            .tensor(name, self.dtype, shape.into(), Role::Weight);
        if let Some((known, _)) = &mut self.shared {
            known.push(id);
        }
        id
    }

    /// A node of any kind without matrix products.
    pub fn apply(
        &mut self,
        name: &str,
        op: &str,
        kind: Kind,
        inputs: &[TensorId],
        shape: impl Into<Shape>,
    ) -> TensorId {
        self.node(name, op, kind, inputs.to_vec(), shape, Vec::new())
    }

    pub(super) fn node(
        &mut self,
        name: &str,
        op: &str,
        kind: Kind,
        inputs: Vec<TensorId>,
        shape: impl Into<Shape>,
        products: Vec<Product>,
    ) -> TensorId {
        let name = format!("{}{name}", self.prefix);
        let output = self
            .graph
            .tensor(&name, self.dtype, shape.into(), Role::Activation);
        self.graph.nodes.push(Node {
            name,
            op: op.into(),
            kind,
            inputs,
            outputs: vec![output],
            products,
        });
        output
    }

    /// x W^T, and a bias; x W where matrices lie so.
    pub fn linear(&mut self, name: &str, x: TensorId, out: u64, bias: bool) -> TensorId {
        let width = self.width(x);
        let (op, shape) = match self.by_input {
            true => ("Conv1D", [width, out]),
            false => ("Linear", [out, width]),
        };
        let weight = self.within(name, |b| b.weight("weight", shape));
        let bias = bias.then(|| self.within(name, |b| b.weight("bias", [out])));
        self.times(name, op, x, (weight, out), bias)
    }

    /// x W^T with a weight that may be shared, and a bias.
    pub fn project(
        &mut self,
        name: &str,
        x: TensorId,
        weight: TensorId,
        bias: Option<TensorId>,
    ) -> TensorId {
        let n = self.shape(weight)[0];
        self.times(name, "Linear", x, (weight, n), bias)
    }

    /// `x` times a matrix with `n` results, by the operator `op`.
    fn times(
        &mut self,
        name: &str,
        op: &str,
        x: TensorId,
        (weight, n): (TensorId, u64),
        bias: Option<TensorId>,
    ) -> TensorId {
        let product = Product {
            op: "linear",
            m: self.rows(x),
            n,
            k: self.width(x),
            batch: 1,
            dtype: self.dtype,
        };
        let mut shape = self.shape(x).to_vec();
        if let Some(last) = shape.last_mut() {
            *last = n;
        }
        let inputs = [Some(x), Some(weight), bias]
            .into_iter()
            .flatten()
            .collect();
        self.node(name, op, Kind::MatMul, inputs, shape, vec![product])
    }

    /// Rows of a table.
    pub fn lookup(&mut self, name: &str, table: TensorId, indices: TensorId) -> TensorId {
        let mut shape = self.shape(indices).to_vec();
        shape.push(self.width(table));
        let inputs = vec![table, indices];
        self.node(name, "Embedding", Kind::Lookup, inputs, shape, Vec::new())
    }

    /// Normalisation of rows to mean 0 and deviation 1, with scale and bias.
    pub fn layer_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let width = self.width(x);
        let weights = self.within(name, |b| {
            [b.weight("weight", [width]), b.weight("bias", [width])]
        });
        let shape = self.shape(x).to_vec();
        let inputs = vec![x, weights[0], weights[1]];
        self.node(name, "LayerNorm", Kind::Norm, inputs, shape, Vec::new())
    }

    /// Normalisation of rows to root mean square 1, with scale.
    pub fn rms_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let width = self.width(x);
        let weight = self.within(name, |b| b.weight("weight", [width]));
        let shape = self.shape(x).to_vec();
        self.node(
            name,
            "RmsNorm",
            Kind::Norm,
            vec![x, weight],
            shape,
            Vec::new(),
        )
    }

    /// Normalisation of channels by the statistics of training, which are part of the model but not learnt.
    pub fn batch_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        self.channel_norm(name, x, Role::Weight)
    }

    /// The same with scale and bias that are not learnt, either.
    pub fn frozen_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        self.channel_norm(name, x, Role::Constant)
    }

    fn channel_norm(&mut self, name: &str, x: TensorId, scale: Role) -> TensorId {
        let shape = self.shape(x).to_vec();
        let vectors = [
            ("weight", scale),
            ("bias", scale),
            ("running_mean", Role::Constant),
            ("running_var", Role::Constant),
        ];
        let mut inputs = vec![x];
        inputs.extend(vectors.map(|(vector, role)| {
            let name = format!("{}{name}.{vector}", self.prefix);
            self.graph.tensor(name, self.dtype, vec![shape[1]], role)
        }));
        self.node(name, "BatchNorm", Kind::Norm, inputs, shape, Vec::new())
    }

    /// Normalisation of groups of channels to mean 0 and deviation 1, with a scale and a bias for each channel.
    pub fn group_norm(&mut self, name: &str, x: TensorId) -> TensorId {
        let shape = self.shape(x).to_vec();
        let weights = self.within(name, |b| {
            [b.weight("weight", [shape[1]]), b.weight("bias", [shape[1]])]
        });
        let inputs = vec![x, weights[0], weights[1]];
        self.node(name, "GroupNorm", Kind::Norm, inputs, shape, Vec::new())
    }

    /// A pooling or another reduction of `x` to `shape`.
    pub fn reduce(
        &mut self,
        name: &str,
        op: &str,
        kind: Kind,
        x: TensorId,
        shape: impl Into<Shape>,
    ) -> TensorId {
        self.node(name, op, kind, vec![x], shape, Vec::new())
    }

    /// A function of each element; the shape is that of the first operand.
    pub fn each(&mut self, name: &str, op: &str, operands: &[TensorId]) -> TensorId {
        let shape = self.shape(operands[0]).to_vec();
        let inputs = operands.to_vec();
        self.node(name, op, Kind::Elementwise, inputs, shape, Vec::new())
    }

    /// The same elements under another shape.
    pub fn view(&mut self, name: &str, x: TensorId, shape: impl Into<Shape>) -> TensorId {
        self.node(name, "Reshape", Kind::Free, vec![x], shape, Vec::new())
    }

    /// A part of the elements, in a piece.
    pub fn part(&mut self, name: &str, x: TensorId, shape: impl Into<Shape>) -> TensorId {
        self.node(name, "Slice", Kind::Free, vec![x], shape, Vec::new())
    }

    /// Tensors one behind the other along a dimension.
    pub fn concat(&mut self, name: &str, parts: &[TensorId], at: usize) -> TensorId {
        let mut shape = self.shape(parts[0]).to_vec();
        shape[at] = parts.iter().map(|&id| self.shape(id)[at]).sum();
        self.node(
            name,
            "Concat",
            Kind::Move,
            parts.to_vec(),
            shape,
            Vec::new(),
        )
    }

    /// softmax(Q K^T) V of batch x tokens x width operands, each head a part of the width.
    pub fn attention(&mut self, name: &str, operands: &[TensorId], heads: Heads) -> TensorId {
        self.scores(name, operands, heads, true)
    }

    /// The same, of scores that are not divided, with a bias of every head (T5).
    pub fn biased_attention(
        &mut self,
        name: &str,
        operands: &[TensorId],
        heads: Heads,
    ) -> TensorId {
        self.scores(name, operands, heads, false)
    }

    fn scores(
        &mut self,
        name: &str,
        operands: &[TensorId],
        heads: Heads,
        scaled: bool,
    ) -> TensorId {
        let (q, k) = (operands[0], operands[1]);
        let (batch, queries) = (self.shape(q)[0], self.shape(q)[1]);
        let shape = AttentionShape {
            batch,
            heads: heads.heads,
            kv_heads: heads.kv_heads,
            queries,
            keys: self.shape(k)[1],
            head_dim: heads.head_dim,
            value_dim: heads.value_dim,
            causal: heads.causal,
            scaled,
        };
        let products = shape.products(self.dtype);
        let result = [batch, queries, heads.heads.saturating_mul(heads.value_dim)];
        let kind = Kind::Attention(shape);
        self.node(name, "Attention", kind, operands.to_vec(), result, products)
    }

    /// A convolution of batch x channels x places with a window of `kernel` places in each dimension.
    pub fn conv(
        &mut self,
        name: &str,
        x: TensorId,
        out: u64,
        window: Window,
        bias: bool,
    ) -> TensorId {
        let shape = self.shape(x).to_vec();
        let (batch, channels, space) = (shape[0], shape[1], &shape[2..]);
        let depth = channels / window.groups;
        let mut extents = vec![out, depth];
        extents.extend(&window.kernel);
        let weight = self.within(name, |b| b.weight("weight", extents));
        let bias = bias.then(|| self.within(name, |b| b.weight("bias", [out])));
        let mut result = vec![batch, out];
        result.extend(slide(&window, space));
        let multiply = |ns: &[u64]| {
            ns.iter()
                .fold(1u64, |product, &n| product.saturating_mul(n))
        };
        let product = Product {
            op: "conv",
            m: batch.saturating_mul(multiply(&result[2..])),
            n: out / window.groups,
            k: depth.saturating_mul(multiply(&window.kernel)),
            batch: window.groups,
            dtype: self.dtype,
        };
        let inputs = [Some(x), Some(weight), bias]
            .into_iter()
            .flatten()
            .collect();
        self.node(
            name,
            "Conv",
            Kind::Conv(window),
            inputs,
            result,
            vec![product],
        )
    }

    /// A pooling of batch x channels x places.
    pub fn pool(&mut self, name: &str, op: &str, x: TensorId, window: Window) -> TensorId {
        let shape = self.shape(x);
        let mut result = shape[..2].to_vec();
        result.extend(slide(&window, &shape[2..]));
        self.apply(name, op, Kind::Pool(window), &[x], result)
    }

    /// The graph, with `outputs` as what the caller gets.
    pub fn finish(mut self, outputs: &[TensorId]) -> Graph {
        self.graph.outputs = outputs.to_vec();
        self.graph
    }
}

/// Places that a window has on `space`, padded, in each dimension.
fn slide(window: &Window, space: &[u64]) -> Shape {
    let places = space.iter().enumerate().map(|(i, &n)| {
        let pads = (window.pads[i] + window.pads[i + space.len()]) as u64;
        (n + pads).saturating_sub(window.kernel[i]) / window.strides[i] + 1
    });
    places.collect()
}

/// A window of the same extent, step and padding in `rank` dimensions.
pub fn square(rank: usize, kernel: u64, stride: u64, pad: u64) -> Window {
    Window {
        kernel: vec![kernel; rank],
        strides: vec![stride; rank],
        dilations: vec![1; rank],
        pads: vec![pad as i64; 2 * rank],
        groups: 1,
        transposed: false,
    }
}
