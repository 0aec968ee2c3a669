//! What a graph is lowered for: numbers, runtime, phase.

use crate::kernels::operator::{DataType, Style};
use crate::model::graph::{Dtype, Tensor};

/// Numbers of weights and activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 32-bit floats, whose products drop 13 bits.
    Tf32,
    /// 16-bit floats.
    Fp16,
    /// 16-bit floats with 8 bits of exponent.
    Bf16,
    /// Weights and operands of products in 8-bit floats, the rest in 16 bits.
    Fp8,
    /// Weights and operands of products in 8-bit integers, the rest in 16 bits.
    Int8,
    /// Weights in 4-bit integers, the rest in 16 bits.
    Int4,
}

impl Precision {
    /// All of them, by name.
    pub const ALL: [(&'static str, Precision); 7] = [
        ("fp32", Precision::Fp32),
        ("tf32", Precision::Tf32),
        ("fp16", Precision::Fp16),
        ("bf16", Precision::Bf16),
        ("fp8", Precision::Fp8),
        ("int8", Precision::Int8),
        ("int4", Precision::Int4),
    ];

    /// The precision of this name.
    ///
    /// # Errors
    /// Other names, with a reason for those that mean something.
    pub fn named(name: &str) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        if let Some((_, found)) = Precision::ALL.iter().find(|(known, _)| *known == lower) {
            return Ok(*found);
        }
        let known: Vec<&str> = Precision::ALL.iter().map(|(name, _)| *name).collect();
        let why = match lower.as_str() {
            "fp4" | "nvfp4" | "mxfp4" => "4-bit floats are not modelled; ",
            "2:4" | "sparse" | "sparsity" => "structured sparsity (2:4) is not modelled; ",
            _ => "",
        };
        Err(format!("{name}: {why}expected one of {}", known.join(", ")))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = Precision::ALL.iter().find(|(_, one)| *one == self);
        found.map_or("", |(name, _)| name)
    }

    /// That of a model whose weights are of `dtype`.
    pub fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float16 => Precision::Fp16,
            Dtype::Bfloat16 => Precision::Bf16,
            Dtype::Float8 => Precision::Fp8,
            Dtype::Int8 | Dtype::Uint8 => Precision::Int8,
            Dtype::Int4 | Dtype::Uint4 => Precision::Int4,
            _ => Precision::Fp32,
        }
    }

    /// Numbers between layers.
    pub fn activations(self) -> DataType {
        match self {
            Precision::Fp32 | Precision::Tf32 => DataType::F32,
            Precision::Fp16 | Precision::Int8 | Precision::Int4 => DataType::F16,
            Precision::Bf16 | Precision::Fp8 => DataType::Bf16,
        }
    }

    /// Numbers that are multiplied.
    pub fn products(self) -> DataType {
        match self {
            Precision::Tf32 => DataType::Tf32,
            Precision::Fp8 => DataType::F8,
            Precision::Int8 => DataType::I8,
            _ => self.activations(),
        }
    }

    /// Bits of a weight of a product.
    pub fn weight_bits(self) -> u64 {
        match self {
            Precision::Int4 => 4,
            _ => 8 * self.products().bytes(),
        }
    }
}

/// Who launches the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// A framework, operator by operator.
    Eager,
    /// A recorded graph of fused kernels, launched as a whole.
    Graph,
    /// Fused kernels that are launched one by one, as by `torch.compile`.
    Compile,
}

impl Runtime {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Eager => "eager",
            Runtime::Graph => "graph",
            Runtime::Compile => "compile",
        }
    }
}

/// What turns gradients into better weights at the end of a step of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// Nothing: forward and backward alone.
    None,
    /// Stochastic gradient descent, without momentum.
    Sgd,
    /// Adam: two moments of every weight.
    Adam,
    /// Adam with decay of weights, which moves as much.
    AdamW,
}

impl Optimizer {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Optimizer::None => "none",
            Optimizer::Sgd => "sgd",
            Optimizer::Adam => "adam",
            Optimizer::AdamW => "adamw",
        }
    }

    /// Moments that it keeps of each weight, in 32 bits.
    pub fn moments(self) -> u64 {
        match self {
            Optimizer::None | Optimizer::Sgd => 0,
            Optimizer::Adam | Optimizer::AdamW => 2,
        }
    }
}

/// How attention is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// One kernel that never stores the scores, where there is one for the shape.
    Fused,
    /// Products with softmax between them.
    Spelt,
}

/// What a graph is lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Numbers.
    pub precision: Precision,
    /// Runtime.
    pub runtime: Runtime,
    /// How attention is computed.
    pub attention: Path,
    /// A step of training, with this optimizer; nothing: inference.
    pub training: Option<Optimizer>,
    /// Tokens in the cache of keys and values, of which this run adds the last: one step of decoding.
    pub cached: Option<u64>,
    /// How tokens spread over experts.
    pub spread: Spread,
}

/// How tokens spread over the networks that they choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Evenly.
    #[default]
    Even,
    /// All alike: measured on sequences of one token again and again, all of which take the same networks.
    Alike,
}

impl Plan {
    /// Whether kernels are fused.
    pub fn fuses(&self) -> bool {
        self.runtime != Runtime::Eager
    }

    /// Whether kernels take along what follows them, or work in place. Training needs what that leaves no trace of.
    pub fn folds(&self) -> bool {
        self.fuses() && self.training.is_none()
    }

    /// Whose elementwise kernels are launched.
    pub fn style(&self) -> Style {
        match self.runtime {
            Runtime::Eager => Style::Torch21,
            Runtime::Graph | Runtime::Compile => Style::Torch,
        }
    }

    /// Numbers of `tensor` where it is worked on element by element; integers and truth values go as floats of as many
    /// bits or more.
    pub fn data(&self, tensor: &Tensor) -> DataType {
        match tensor.dtype.is_float() {
            true => self.precision.activations(),
            false => DataType::F32,
        }
    }

    /// Bytes of `tensor` under this plan; `weight`: it is a matrix of weights.
    pub fn bytes(&self, tensor: &Tensor, weight: bool) -> u64 {
        let bits = match (tensor.dtype.is_float(), weight) {
            (true, true) => self.precision.weight_bits(),
            (true, false) => 8 * self.precision.activations().bytes(),
            // Weights that a file has quantised are counted as what they stand for.
            (false, true) => self.precision.weight_bits().min(tensor.dtype.bits()),
            (false, false) => tensor.dtype.bits(),
        };
        (tensor.elements() * bits).div_ceil(8)
    }
}
