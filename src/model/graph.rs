//! The graph that every source of models is turned into: nodes on tensors whose shapes are all known.

use super::shard::Sharding;
use serde::Serialize;
use std::ops::Range;

/// Type of the elements of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 64-bit floats.
    Float64,
    /// 32-bit floats.
    Float32,
    /// 16-bit floats.
    Float16,
    /// 16-bit floats with 8 bits of exponent.
    Bfloat16,
    /// 8-bit floats of any kind.
    Float8,
    /// 4-bit floats.
    Float4,
    /// Signed, 64 bits.
    Int64,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 4 bits.
    Int4,
    /// Unsigned, 64 bits.
    Uint64,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 4 bits.
    Uint4,
    /// Truth values, a byte each.
    Bool,
    /// Pairs of 32-bit floats.
    Complex64,
    /// Pairs of 64-bit floats.
    Complex128,
    /// Text; counted as nothing, since it never reaches a GPU.
    String,
}

impl Dtype {
    /// Bits of an element.
    pub fn bits(self) -> u64 {
        match self {
            Dtype::Complex128 => 128,
            Dtype::Float64 | Dtype::Int64 | Dtype::Uint64 | Dtype::Complex64 => 64,
            Dtype::Float32 | Dtype::Int32 | Dtype::Uint32 => 32,
            Dtype::Float16 | Dtype::Bfloat16 | Dtype::Int16 | Dtype::Uint16 => 16,
            Dtype::Float8 | Dtype::Int8 | Dtype::Uint8 | Dtype::Bool => 8,
            Dtype::Float4 | Dtype::Int4 | Dtype::Uint4 => 4,
            Dtype::String => 0,
        }
    }

    /// Whether the elements are floats.
    pub fn is_float(self) -> bool {
        use Dtype::*;
        matches!(
            self,
            Float64 | Float32 | Float16 | Bfloat16 | Float8 | Float4
        )
    }

    /// The name that PyTorch and NumPy have for it.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::Float64 => "float64",
            Dtype::Float32 => "float32",
            Dtype::Float16 => "float16",
            Dtype::Bfloat16 => "bfloat16",
            Dtype::Float8 => "float8",
            Dtype::Float4 => "float4",
            Dtype::Int64 => "int64",
            Dtype::Int32 => "int32",
            Dtype::Int16 => "int16",
            Dtype::Int8 => "int8",
            Dtype::Int4 => "int4",
            Dtype::Uint64 => "uint64",
            Dtype::Uint32 => "uint32",
            Dtype::Uint16 => "uint16",
            Dtype::Uint8 => "uint8",
            Dtype::Uint4 => "uint4",
            Dtype::Bool => "bool",
            Dtype::Complex64 => "complex64",
            Dtype::Complex128 => "complex128",
            Dtype::String => "string",
        }
    }
}

/// Extents of a tensor, slowest first.
pub type Shape = Vec<u64>;

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// Where a tensor comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Given by the caller at each run.
    Input,
    /// Learnt, and part of the model.
    Weight,
    /// Known before a run: constants, shapes, and what is computed from weights and constants alone.
    Constant,
    /// Made by a node at each run.
    Activation,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the model.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Extents.
    pub shape: Shape,
    /// Where it comes from.
    pub role: Role,
}

impl Tensor {
    /// Number of elements; [`Graph::check`] makes sure that it fits, and before that it is as many as there can be.
    pub fn elements(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |product: u64, &n| product.saturating_mul(n))
    }

    /// Bytes, elements of less than a byte packed.
    pub fn bytes(&self) -> u64 {
        self.elements()
            .saturating_mul(self.dtype.bits())
            .div_ceil(8)
    }
}

/// `batch` products of an m x k with a k x n matrix. A convolution is given as the product that it is equal to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Product {
    /// What it is part of: `matmul`, `conv`, `attention_scores` and so on.
    pub op: &'static str,
    /// Rows of the result.
    pub m: u64,
    /// Columns of the result.
    pub n: u64,
    /// Depth.
    pub k: u64,
    /// Products of this shape.
    pub batch: u64,
    /// Numbers that are multiplied.
    pub dtype: Dtype,
}

impl Product {
    /// Floating-point operations, a multiplication and an addition counted as two.
    pub fn flops(&self) -> u128 {
        [self.m, self.n, self.k, self.batch]
            .iter()
            .fold(2, |product: u128, &n| product.saturating_mul(u128::from(n)))
    }
}

/// How a convolution or a pooling slides over its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extents of the window.
    pub kernel: Vec<u64>,
    /// Steps.
    pub strides: Vec<u64>,
    /// Distances between the places of a window.
    pub dilations: Vec<u64>,
    /// Padding in front of each dimension, then behind each.
    pub pads: Vec<i64>,
    /// Groups of channels.
    pub groups: u64,
    /// The transposed (gradient) form, which enlarges.
    pub transposed: bool,
}

/// Shape of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: u64,
    /// Heads of the queries.
    pub heads: u64,
    /// Heads of keys and values.
    pub kv_heads: u64,
    /// Queries of a sequence.
    pub queries: u64,
    /// Keys of a sequence.
    pub keys: u64,
    /// Elements of a head of queries and keys.
    pub head_dim: u64,
    /// Elements of a head of values.
    pub value_dim: u64,
    /// Queries see only the keys before them.
    pub causal: bool,
    /// Scores are divided by the root of the length of heads; elsewhere a bias of every head is added to them.
    pub scaled: bool,
}

impl AttentionShape {
    /// Scores and weighted sum, dense: a causal mask saves nothing.
    pub fn products(&self, dtype: Dtype) -> Vec<Product> {
        let batch = self.batch.saturating_mul(self.heads);
        let product = |op, n, k| Product {
            op,
            m: self.queries,
            n,
            k,
            batch,
            dtype,
        };
        vec![
            product("attention_scores", self.keys, self.head_dim),
            product("attention_values", self.value_dim, self.keys),
        ]
    }
}

/// What a node does, in classes that cost alike.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing at run time: a constant, a shape, another view of the same elements.
    Free,
    /// A function of each element.
    Elementwise,
    /// Matrix products.
    MatMul,
    /// A convolution.
    Conv(Window),
    /// softmax(Q K^T) V as one operator.
    Attention(AttentionShape),
    /// LSTM, GRU or plain recurrence: its steps follow one another.
    Recurrent {
        /// Steps in a row.
        steps: u64,
    },
    /// Which of some networks each token takes, and with what weights, by a score for each.
    Router {
        /// Of which a token takes this many.
        chosen: u64,
        /// How.
        rule: Rule,
    },
    /// Feed-forward networks of which each token takes some.
    Experts {
        /// Networks.
        experts: u64,
        /// Of which a token takes this many.
        chosen: u64,
    },
    /// The greatest elements along a dimension, sorted, and their places.
    Select {
        /// Elements of that dimension.
        of: u64,
        /// How many are taken.
        chosen: u64,
    },
    /// Softmax over rows.
    Softmax,
    /// Normalisation over rows, channels or batches.
    Norm,
    /// Reduction over some dimensions.
    Reduce,
    /// Pooling.
    Pool(Window),
    /// Rows of a table by index, gathers and scatters.
    Lookup,
    /// Elements copied to other places.
    Move,
    /// Known by shape only; the reason.
    Unsupported(String),
}

/// How tokens choose their networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The greatest after a softmax over all networks; `shared`: their weights are made to sum to 1.
    Softmax {
        /// Weights sum to 1.
        shared: bool,
    },
    /// The greatest after a sigmoid and a bias, their weights made to sum to 1.
    Sigmoid,
    /// The greatest one after a softmax, unless its network has as many tokens as it takes (Switch Transformers).
    Capacity {
        /// Tokens of a sequence that a network takes.
        tokens: u64,
    },
}

/// An operator and what it works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the model.
    pub name: String,
    /// Name of the operator in its source, with its domain where it is not the standard one.
    pub op: String,
    /// What it does.
    pub kind: Kind,
    /// Tensors that it reads.
    pub inputs: Vec<TensorId>,
    /// Tensors that it makes.
    pub outputs: Vec<TensorId>,
    /// The matrix products in it.
    pub products: Vec<Product>,
}

/// Nodes that run several times, one round after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The nodes of a step.
    pub nodes: Range<usize>,
    /// Steps.
    pub count: u64,
}

/// Most notes of a graph.
const NOTES_MAX: usize = 100;

/// A model: nodes in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// Every tensor.
    pub tensors: Vec<Tensor>,
    /// Every node.
    pub nodes: Vec<Node>,
    /// What the caller gives.
    pub inputs: Vec<TensorId>,
    /// What the caller gets.
    pub outputs: Vec<TensorId>,
    /// Bytes of keys and values that are kept from one token to the next.
    pub kv_cache_bytes: u64,
    /// Nodes that run more than once in a run.
    pub steps: Option<Steps>,
    /// What was assumed on the way.
    pub notes: Vec<String>,
    /// How it was cut for several GPUs; shapes are those of one of them.
    pub sharding: Sharding,
}

impl Graph {
    /// Adds a tensor.
    pub fn tensor(
        &mut self,
        name: impl Into<String>,
        dtype: Dtype,
        shape: Shape,
        role: Role,
    ) -> TensorId {
        self.tensors.push(Tensor {
            name: name.into(),
            dtype,
            shape,
            role,
        });
        self.tensors.len() - 1
    }

    /// Notes something, once, unless there are too many notes for anybody to read.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Elements of all weights.
    pub fn parameters(&self) -> u64 {
        self.weights().map(Tensor::elements).sum()
    }

    /// Every weight.
    pub fn weights(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|t| t.role == Role::Weight)
    }

    /// How often a node runs in a run.
    pub fn times(&self, node: usize) -> u64 {
        let own = self
            .steps
            .as_ref()
            .filter(|steps| steps.nodes.contains(&node));
        own.map_or(1, |steps| steps.count)
    }

    /// Floating-point operations in matrix products and convolutions, those of steps as often as they run.
    pub fn flops(&self) -> u64 {
        u64::try_from(self.all_flops()).unwrap_or(u64::MAX)
    }

    /// The same, whatever their number.
    pub(super) fn all_flops(&self) -> u128 {
        let of = |(index, node): (usize, &Node)| {
            let once: u128 = node.products.iter().map(Product::flops).sum();
            once.saturating_mul(u128::from(self.times(index)))
        };
        self.nodes
            .iter()
            .enumerate()
            .map(of)
            .fold(0, u128::saturating_add)
    }
}
