//! What a model asks for: operators on tensors, without a word about how a library computes them.
//!
//! [`choose`](super::choose) turns an operator into the kernels that libraries launch for it. Shapes are those of
//! row-major tensors, as PyTorch has them.

use super::fields::{Field, family, names};

names! {
    /// Numbers of a tensor.
    pub enum DataType {
        /// 32-bit floats, multiplied as they are.
        F32 = "f32",
        /// 32-bit floats whose products drop 13 bits (tensor cores from Ampere on).
        Tf32 = "tf32",
        /// 16-bit floats.
        F16 = "f16",
        /// 16-bit floats with 8 bits of exponent.
        Bf16 = "bf16",
        /// 8-bit integers.
        I8 = "i8",
        /// 8-bit floats.
        F8 = "f8",
    }
}

impl DataType {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            DataType::F32 | DataType::Tf32 => 4,
            DataType::F16 | DataType::Bf16 => 2,
            DataType::I8 | DataType::F8 => 1,
        }
    }

    /// The type of this name, as datasets and people write it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "f32" | "fp32" | "float32" | "float" => DataType::F32,
            "tf32" => DataType::Tf32,
            "f16" | "fp16" | "float16" | "half" => DataType::F16,
            "bf16" | "bfloat16" => DataType::Bf16,
            "i8" | "int8" => DataType::I8,
            "f8" | "fp8" | "e4m3" | "float8" => DataType::F8,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self.value() as usize]
    }
}

names! {
    /// How the operands of a product lie in memory, first A (m x k), then B (k x n).
    pub enum Layout {
        /// Both row major: `a @ b`.
        Nn = "nn",
        /// B column major: `a @ w.T`, a linear layer.
        Nt = "nt",
        /// A column major.
        Tn = "tn",
        /// Both column major.
        Tt = "tt",
    }
}

names! {
    /// Numbers in which the products of 16-bit floats are added up.
    pub enum Sums {
        /// 32 bits, as frameworks ask for.
        Wide = "f32",
        /// 16 bits: the same rate on data-centre chips, half as many registers.
        Narrow = "f16",
    }
}

names! {
    /// What is done to a result before it is stored.
    pub enum Epilogue {
        /// Nothing.
        None = "none",
        /// A row of biases is added.
        Bias = "bias",
        /// A row of biases, then ReLU.
        Relu = "relu",
        /// A row of biases, then GELU.
        Gelu = "gelu",
    }
}

/// Most elements along an edge of a tensor.
pub const EDGE_MAX: u64 = 1 << 32;
/// Most elements of a row that one CTA works on.
pub const ROW_MAX: u64 = 1 << 24;

family! {
    /// C = A x B, one or a batch of them.
    pub struct GemmOp {
        /// rows of C
        pub m: u64 = "m" count(1024, 1, EDGE_MAX),
        /// columns of C
        pub n: u64 = "n" count(1024, 1, EDGE_MAX),
        /// depth
        pub k: u64 = "k" count(1024, 1, EDGE_MAX),
        /// products in a batch, one behind the other in memory
        pub batch: u64 = "batch" count(1, 1, 1 << 24),
        /// numbers of A and B
        pub data: DataType = "type" name(DataType::NAMES),
        /// how A and B lie in memory
        pub layout: Layout = "layout" name(Layout::NAMES),
        /// what is done to results
        pub epilogue: Epilogue = "epilogue" name(Epilogue::NAMES),
        /// what C held is added to the results: 1
        pub beta: u64 = "beta" count(0, 0, 1).quiet(),
        /// the matrices of a batch are found by arrays of pointers: 1
        pub pointers: u64 = "pointers" count(0, 0, 1).quiet(),
        /// numbers that products of 16-bit floats are added up in
        pub sums: Sums = "acc" name(Sums::NAMES).quiet(),
    }
}

names! {
    /// What an elementwise kernel computes.
    pub enum Function {
        /// a + b.
        Add = "add",
        /// a - b.
        Sub = "sub",
        /// a * b.
        Mul = "mul",
        /// a / b.
        Div = "div",
        /// max(a, 0).
        Relu = "relu",
        /// GELU by the error function.
        Gelu = "gelu",
        /// GELU by tanh.
        GeluTanh = "gelu_tanh",
        /// a / (1 + exp(-a)).
        Silu = "silu",
        /// silu(a) * b, a and b the halves of a row.
        SiluMul = "silu_mul",
        /// tanh(a).
        Tanh = "tanh",
        /// 1 / (1 + exp(-a)).
        Sigmoid = "sigmoid",
        /// exp(a).
        Exp = "exp",
        /// a to a constant power.
        Pow = "pow",
        /// a to the power b.
        PowTensor = "pow_tensor",
        /// a squared: what a power of 2 becomes.
        Square = "square",
        /// 1 / sqrt(a).
        Rsqrt = "rsqrt",
        /// erf(a).
        Erf = "erf",
        /// a plus a scalar.
        AddScalar = "add_scalar",
        /// a times a scalar.
        Scale = "scale",
        /// a divided by a scalar.
        DivScalar = "div_scalar",
        /// a.
        Copy = "copy",
        /// a where a mask says so, else a scalar.
        Mask = "masked_fill",
        /// a in another type.
        Cast = "cast",
    }
}

names! {
    /// How the operands of an elementwise function lie.
    pub enum Operands {
        /// All alike, one behind the other.
        Same = "same",
        /// The last one is a row that all rows share, such as a bias.
        Row = "row",
        /// The last one is a column that all columns share.
        Column = "column",
        /// The first one is read across its rows: a transposed copy.
        Transposed = "transposed",
        /// The first one is every other piece of `cols` elements: half of a split tensor.
        Half = "half",
        /// The first one begins at an address that no vector can be read from.
        Misaligned = "misaligned",
        /// The first one has its heads in front of its tokens, the result behind: `heads` of `cols` elements, `rows` tokens.
        Heads = "heads",
    }
}

names! {
    /// Whose kernels compute rows and elements.
    pub enum Style {
        /// PyTorch 2.1.
        Torch21 = "torch21",
        /// PyTorch from 2.5 on.
        Torch = "torch",
        /// vLLM.
        Vllm = "vllm",
    }
}

family! {
    /// The same function of every element.
    pub struct ElementwiseOp {
        /// elements of the result
        pub n: u64 = "n" count(1 << 24, 1, 1 << 44),
        /// function
        pub function: Function = "fn" name(Function::NAMES),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// numbers of the result of a cast; other functions keep theirs
        pub output: DataType = "to" name(DataType::NAMES),
        /// elements of a row, where operands or functions know rows; 0: one row
        pub cols: u64 = "cols" count(0, 0, EDGE_MAX),
        /// how the operands lie
        pub operands: Operands = "operands" name(Operands::NAMES),
        /// whose kernel
        pub style: Style = "style" name(Style::NAMES),
        /// rows of a matrix that is read across them, or tokens of a head; 0: all rows are one matrix
        pub rows: u64 = "rows" count(0, 0, EDGE_MAX).quiet(),
        /// heads
        pub heads: u64 = "heads" count(1, 1, 4096).quiet(),
    }
}

names! {
    /// What is computed over each row.
    pub enum RowFunction {
        /// exp(a - max) / sum.
        Softmax = "softmax",
        /// (a - mean) / deviation * weight + bias.
        LayerNorm = "layernorm",
        /// a / root mean square * weight.
        RmsNorm = "rmsnorm",
        /// a + residual, stored, then RMS norm.
        AddRmsNorm = "add_rmsnorm",
        /// The sum.
        Sum = "sum",
        /// The greatest.
        Max = "max",
    }
}

family! {
    /// A function of each row.
    pub struct RowsOp of function: RowFunction {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, ROW_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// whose kernel
        pub style: Style = "style" name(Style::NAMES),
    }
}

family! {
    /// Rotary position embedding of queries and keys, in place.
    pub struct RopeOp {
        /// tokens
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// heads of the queries
        pub heads: u64 = "heads" count(32, 1, 4096),
        /// heads of the keys
        pub kv_heads: u64 = "kv_heads" count(32, 1, 4096),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 2, 1024),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// whose kernel
        pub style: Style = "style" name(Style::NAMES),
    }
}

family! {
    /// Rows of a table, by index.
    pub struct EmbeddingOp {
        /// indices
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, ROW_MAX),
        /// rows of the table
        pub table: u64 = "table" count(32_000, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

family! {
    /// Tensors side by side along a dimension: rows of all of them become one.
    pub struct CatOp {
        /// rows; 1: along the first dimension
        pub rows: u64 = "rows" count(4096, 1, 1 << 24),
        /// elements of a row of a tensor
        pub cols: u64 = "cols" count(1024, 1, ROW_MAX),
        /// tensors
        pub tensors: u64 = "tensors" count(2, 1, 128),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Most elements of a row that are selected.
pub const TOP_MAX: u64 = 32;

family! {
    /// The greatest elements of each row, sorted, and their places in it.
    pub struct SelectOp {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(8, 1, ROW_MAX),
        /// how many
        pub k: u64 = "k" count(2, 1, TOP_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

family! {
    /// Running sums down the columns of matrices of 64-bit integers.
    pub struct ScanOp {
        /// matrices
        pub matrices: u64 = "matrices" count(1, 1, EDGE_MAX),
        /// rows of a matrix
        pub rows: u64 = "rows" count(512, 1, EDGE_MAX),
        /// columns
        pub cols: u64 = "cols" count(8, 1, ROW_MAX),
    }
}

names! {
    /// Direction of a convolution.
    pub enum Direction {
        /// Forward.
        Forward = "fwd",
        /// Gradient of the input.
        InputGradient = "dgrad",
        /// Gradient of the weights.
        WeightGradient = "wgrad",
    }
}

names! {
    /// How images lie in memory.
    pub enum ImageLayout {
        /// Planes of one channel.
        Nchw = "nchw",
        /// Channels of a pixel side by side.
        Nhwc = "nhwc",
    }
}

family! {
    /// A convolution of images.
    pub struct ConvOp {
        /// images
        pub n: u64 = "n" count(32, 1, 1 << 20),
        /// channels of the input
        pub c: u64 = "c" count(64, 1, 1 << 20),
        /// height of the input
        pub h: u64 = "h" count(56, 1, 1 << 16),
        /// width of the input
        pub w: u64 = "w" count(56, 1, 1 << 16),
        /// channels of the output
        pub k: u64 = "k" count(64, 1, 1 << 20),
        /// height of the filter
        pub r: u64 = "r" count(3, 1, 256),
        /// width of the filter
        pub s: u64 = "s" count(3, 1, 256),
        /// rows of padding above and below
        pub pad: u64 = "pad" count(0, 0, 256),
        /// columns of padding on the left and right; 257: as many as rows
        pub pad_w: u64 = "pad_w" count(257, 0, 257),
        /// pixels from one place of the filter to the next, down
        pub stride: u64 = "stride" count(1, 1, 256),
        /// the same, to the right; 0: as down
        pub stride_w: u64 = "stride_w" count(0, 0, 256),
        /// groups of channels
        pub groups: u64 = "groups" count(1, 1, 1 << 20),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// how images lie in memory
        pub layout: ImageLayout = "layout" name(ImageLayout::NAMES),
        /// direction
        pub direction: Direction = "dir" name(Direction::NAMES),
        /// numbers that products of 16-bit floats are added up in
        pub sums: Sums = "acc" name(Sums::NAMES).quiet(),
    }
}

impl ConvOp {
    /// Padding above and on the left.
    pub fn padding(&self) -> (u64, u64) {
        match self.pad_w {
            257 => (self.pad, self.pad),
            columns => (self.pad, columns),
        }
    }

    /// Steps down and to the right.
    pub fn strides(&self) -> (u64, u64) {
        match self.stride_w {
            0 => (self.stride, self.stride),
            right => (self.stride, right),
        }
    }

    /// Height and width of the output; nothing when the filter is larger than the padded image.
    pub fn output(&self) -> Option<(u64, u64)> {
        let (pad, stride) = (self.padding(), self.strides());
        let height = (self.h + 2 * pad.0).checked_sub(self.r)?;
        let width = (self.w + 2 * pad.1).checked_sub(self.s)?;
        Some((height / stride.0 + 1, width / stride.1 + 1))
    }
}

names! {
    /// How attention is computed.
    pub enum AttentionKind {
        /// The library's choice.
        Auto = "auto",
        /// Products, scaling, softmax, product.
        Math = "math",
        /// The same on views of one packed tensor, which `torch.matmul` copies before it multiplies them.
        Eager = "eager",
        /// What PyTorch 2.1 has: FlashAttention 1 behind copies into its layout.
        Sdpa21 = "sdpa21",
        /// FlashAttention 1.
        Flash1 = "flash1",
        /// FlashAttention 2.
        Flash2 = "flash2",
        /// The memory-efficient kernel of xFormers.
        Efficient = "efficient",
        /// FlashAttention 2 with keys split over CTAs, and a combining kernel.
        SplitKv = "splitkv",
        /// vLLM's paged attention.
        Paged = "paged",
    }
}

impl AttentionKind {
    /// The kind that datasets call `name`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eager" => AttentionKind::Eager,
            "math" => AttentionKind::Math,
            "flash_attn_v1" => AttentionKind::Flash1,
            "flash_attn_v2" => AttentionKind::Flash2,
            "mem_efficient" | "xformers" => AttentionKind::Efficient,
            "vllm_paged" | "paged_attention" => AttentionKind::Paged,
            _ if name.starts_with("sdpa_torch2.1") => AttentionKind::Sdpa21,
            _ if name.starts_with("sdpa") => AttentionKind::Auto,
            _ => return None,
        })
    }
}

family! {
    /// softmax(Q K^T) V.
    pub struct AttentionOp {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 1 << 20),
        /// heads of the queries
        pub heads: u64 = "h" count(32, 1, 4096),
        /// heads of keys and values; 0: as many
        pub kv_heads: u64 = "kvh" count(0, 0, 4096),
        /// queries of a sequence
        pub queries: u64 = "sq" count(2048, 1, 1 << 24),
        /// keys of a sequence; 0: as many
        pub keys: u64 = "sk" count(0, 0, 1 << 24),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 8, 512),
        /// queries see only the keys before them: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// how
        pub kind: AttentionKind = "impl" name(AttentionKind::NAMES),
        /// backward instead of forward: 1
        pub backward: u64 = "backward" count(0, 0, 1),
    }
}

/// An operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// Matrix products.
    Gemm(GemmOp),
    /// A function of each element.
    Elementwise(ElementwiseOp),
    /// A function of each row.
    Rows(RowsOp),
    /// Rotary position embedding.
    Rope(RopeOp),
    /// Table lookup.
    Embedding(EmbeddingOp),
    /// Concatenation.
    Cat(CatOp),
    /// The greatest of rows.
    Select(SelectOp),
    /// Running sums.
    Scan(ScanOp),
    /// Convolution.
    Conv(ConvOp),
    /// Attention.
    Attention(AttentionOp),
}

/// Every kind of operator is one.
macro_rules! from {
    ($($kind:ident($op:ty)),*) => { $(
        impl From<$op> for Operator {
            fn from(op: $op) -> Self {
                Operator::$kind(op)
            }
        }
    )* };
}
from!(
    Gemm(GemmOp),
    Elementwise(ElementwiseOp),
    Rows(RowsOp),
    Rope(RopeOp),
    Embedding(EmbeddingOp),
    Cat(CatOp),
    Select(SelectOp),
    Scan(ScanOp),
    Conv(ConvOp),
    Attention(AttentionOp)
);
