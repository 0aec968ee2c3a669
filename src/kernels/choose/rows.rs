//! Kernels over elements and rows, by the launch rules of their libraries.

use super::{Candidate, Launch};
use crate::config::GpuSpec;
use crate::kernels::operator::{
    CatOp, DataType, ElementwiseOp, EmbeddingOp, Function, Operands, RopeOp, RowFunction, RowsOp,
    Style,
};
use crate::kernels::rows::cat::Cat;
use crate::kernels::rows::layer_norm::{self, LayerNorm};
use crate::kernels::rows::layer_norm_scalar::{NormalizeRows, RowMoments};
use crate::kernels::rows::pointwise::{OUTPUT, Pointwise};
use crate::kernels::rows::reduce::{GatherRows, Reduce, Reduction};
use crate::kernels::rows::rotary::Rotary;
use crate::kernels::rows::softmax::{Softmax, SoftmaxForm, WARP_COLS};
use crate::kernels::rows::strided::{Strided, Strides};
use crate::kernels::rows::vllm::{RmsNorm, SiluAndMul};
use crate::kernels::{Arrays, Fault, KernelGenerator};

/// The one way that the library has.
pub(super) fn only(name: &str, launches: Vec<Launch>) -> Vec<Candidate> {
    vec![Candidate {
        name: name.into(),
        launches,
        estimate: 0.0,
    }]
}

pub(super) fn launch(kernel: impl KernelGenerator + 'static, reason: impl Into<String>) -> Launch {
    Launch {
        kernel: Box::new(kernel),
        reason: reason.into(),
    }
}

/// Bytes that 32-bit offsets of PyTorch's iterators reach.
const INDEXABLE: u64 = 1 << 31;

/// How many equal launches elements of `widest` bytes need: halves, until 32-bit offsets reach all of each.
fn parts(elements: u64, widest: u64) -> u64 {
    let mut parts = 1;
    while elements.div_ceil(parts) * widest > INDEXABLE {
        parts *= 2;
    }
    parts
}

pub(super) fn elementwise(op: &ElementwiseOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    if op.function == Function::SiluMul && op.style == Style::Vllm {
        return silu_and_mul(op);
    }
    if let Some(strides) = strides(op) {
        return strided(op, strides);
    }
    let output = match op.function {
        Function::Cast => op.output,
        _ => op.data,
    };
    let widest = op.data.bytes().max(output.bytes());
    let count = parts(op.n, widest);
    let of_part = op.n.div_ceil(count);
    // Casts by way of the iterator, and operands that no vector can be read from, go element by element.
    let alone = op.function == Function::Cast || op.operands == Operands::Misaligned;
    let (vector, elements) = match (alone, op.style) {
        (true, _) => (1, 4),
        (false, Style::Torch21) => (4, 4),
        (false, Style::Torch | Style::Vllm) => (16 / widest.max(2), 8),
    };
    let launches = (0..count).map(|part| {
        let first = part * of_part;
        let arrays = [0, 1, 2, OUTPUT]
            .iter()
            .fold(Arrays::default(), |arrays, &at| {
                arrays.with(at, arrays.at(at) + first * widest)
            });
        let kernel = Pointwise {
            arrays,
            n: of_part.min(op.n - first),
            function: op.function,
            data: op.data,
            output,
            vector,
            elements,
        };
        let split = match count {
            1 => String::new(),
            _ => format!(", part {} of {count}: operands beyond 2^31 bytes", part + 1),
        };
        launch(
            kernel,
            format!("{elements} elements a thread, {vector} at once{split}"),
        )
    });
    Ok(only("pointwise", launches.collect()))
}

pub(super) fn rows(op: &RowsOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    match op.function {
        RowFunction::Softmax => Ok(only("softmax", vec![softmax(op)])),
        RowFunction::LayerNorm => Ok(only("layer_norm", layer_norm(op))),
        // PyTorch has no kernel that adds and norms.
        RowFunction::AddRmsNorm => Ok(only("rms_norm", vec![rms_norm(op)])),
        RowFunction::RmsNorm if op.style == Style::Vllm => Ok(only("rms_norm", vec![rms_norm(op)])),
        RowFunction::RmsNorm => eager_rms_norm(op, gpu),
        RowFunction::Sum => Ok(only("reduce", vec![reduce(op, Reduction::Sum, gpu)])),
        RowFunction::Max => Ok(only("reduce", vec![reduce(op, Reduction::Max, gpu)])),
    }
}

/// One kernel by vectors of 4; two of single elements where rows have no whole number of these.
fn layer_norm(op: &RowsOp) -> Vec<Launch> {
    let (arrays, rows, cols, data) = (Arrays::default(), op.rows, op.cols, op.data);
    if cols.is_multiple_of(layer_norm::VECTOR) {
        let kernel = LayerNorm {
            arrays,
            rows,
            cols,
            data,
        };
        return vec![launch(kernel, "a CTA of 128 threads a row, vectors of 4")];
    }
    let moments = RowMoments {
        arrays,
        rows,
        cols,
        data,
    };
    let write = NormalizeRows {
        arrays,
        rows,
        cols,
        data,
    };
    vec![
        launch(
            moments,
            "rows are no vectors of 4: moments by 512 threads a row",
        ),
        launch(write, "then the rows by 256 threads each"),
    ]
}

/// A warp up to 1024 elements; a CTA beyond, with the row in shared memory where newer versions can keep it there.
fn softmax(op: &RowsOp) -> Launch {
    let mut kernel = Softmax {
        arrays: Arrays::default(),
        rows: op.rows,
        cols: op.cols,
        data: op.data,
        form: SoftmaxForm::Block,
        serial: u64::from(op.style == Style::Torch21),
    };
    let vector = 16 / op.data.bytes();
    let kept = op.cols * op.data.bytes() < kernel.row_bytes_max() && op.cols.is_multiple_of(vector);
    let reason = if op.cols <= WARP_COLS {
        kernel.form = SoftmaxForm::Warp;
        "a warp for one or two rows: 1024 elements at most".to_owned()
    } else if op.style != Style::Torch21 && kept {
        kernel.form = SoftmaxForm::Shared;
        "a CTA a row, kept in shared memory".to_owned()
    } else {
        format!(
            "a CTA of {} threads a row, read three times",
            kernel.threads()
        )
    };
    launch(kernel, reason)
}

/// A CTA a row. With a residual, vectors of 8 halves and, from 256 rows on, fewer threads.
fn rms_norm(op: &RowsOp) -> Launch {
    let add = op.function == RowFunction::AddRmsNorm;
    let wide = add && op.data.bytes() == 2 && op.cols.is_multiple_of(8);
    let most = if wide && op.rows >= 256 { 256 } else { 1024 };
    let kernel = RmsNorm {
        arrays: Arrays::default(),
        rows: op.rows,
        cols: op.cols,
        data: op.data,
        add: add.into(),
        vector: if wide { 8 } else { 1 },
        block: op.cols.min(most),
    };
    let reason = format!(
        "a CTA of {} threads a row, {} elements at once",
        kernel.block, kernel.vector
    );
    launch(kernel, reason)
}

/// silu(a) * b with a row of both in one tensor.
fn silu_and_mul(op: &ElementwiseOp) -> Result<Vec<Candidate>, Fault> {
    let cols = if op.cols == 0 { op.n } else { op.cols };
    if !op.n.is_multiple_of(cols) {
        return Err(Fault::field("cols", cols, "rows are not whole"));
    }
    let kernel = SiluAndMul {
        arrays: Arrays::default(),
        rows: op.n / cols,
        cols,
        data: op.data,
    };
    let reason = format!(
        "a CTA of {} threads a row, element by element",
        cols.min(1024)
    );
    Ok(only("act_and_mul", vec![launch(kernel, reason)]))
}

pub(super) fn rope(op: &RopeOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let kernel = Rotary {
        arrays: Arrays::default(),
        rows: op.rows,
        heads: op.heads,
        kv_heads: op.kv_heads,
        head_dim: op.head_dim,
        data: op.data,
    };
    Ok(only(
        "rotary_embedding",
        vec![launch(kernel, "a CTA a token, 512 threads at most")],
    ))
}

/// How operands lie that need offsets of their own.
fn strides(op: &ElementwiseOp) -> Option<Strides> {
    match op.operands {
        Operands::Same | Operands::Misaligned => None,
        Operands::Row => Some(Strides::Row),
        Operands::Column => Some(Strides::Column),
        Operands::Transposed => Some(Strides::Transposed),
        Operands::Half => Some(Strides::Half),
        Operands::Heads => Some(Strides::Heads),
    }
}

/// Element by element, with divisions.
fn strided(op: &ElementwiseOp, strides: Strides) -> Result<Vec<Candidate>, Fault> {
    let cols = if op.cols == 0 { op.n } else { op.cols };
    let count = parts(op.n, op.data.bytes());
    // A part has whole rows, or whole matrices of them.
    let whole = match (op.rows, strides) {
        (0, _) | (_, Strides::Row | Strides::Column | Strides::Half) => cols,
        (rows, _) => cols * rows * op.heads,
    };
    let of_part = (op.n / whole).div_ceil(count) * whole;
    let bytes = op.data.bytes();
    let launches = (0..count).map(|part| {
        let first = part * of_part;
        let arrays = Arrays::default();
        let kernel = Strided {
            arrays: arrays
                .with(0, arrays.at(0) + first * bytes)
                .with(OUTPUT, arrays.at(OUTPUT) + first * bytes),
            n: of_part.min(op.n - first),
            cols,
            rows: match (op.rows, strides) {
                (0, Strides::Transposed) => op.n / cols / count,
                (0, _) => 1,
                (rows, _) => rows,
            },
            heads: op.heads,
            function: op.function,
            data: op.data,
            strides,
        };
        launch(
            kernel,
            "operands lie differently: offsets by division, one element after the other",
        )
    });
    Ok(only("strided", launches.collect()))
}

/// A copy of a view of a packed tensor, (sequence, one of three, head, token, element), with `transposed` heads.
pub(super) fn unpacked(
    arrays: Arrays,
    [heads, rows, cols]: [u64; 3],
    batch: u64,
    data: DataType,
    transposed: bool,
) -> Launch {
    let kernel = Strided {
        arrays,
        n: batch * heads * rows * cols,
        cols,
        rows,
        heads,
        function: Function::Copy,
        data,
        strides: match transposed {
            true => Strides::PackedTransposed,
            false => Strides::Packed,
        },
    };
    launch(kernel, "a view that no strided product takes: copied first")
}

/// `x.transpose(1, 2).contiguous()` of a tensor of heads.
pub(super) fn heads_behind_tokens(
    arrays: Arrays,
    [batch, heads, tokens, dim]: [u64; 4],
    data: DataType,
) -> Launch {
    let kernel = Strided {
        arrays,
        n: batch * heads * tokens * dim,
        cols: dim,
        rows: tokens,
        heads,
        function: Function::Copy,
        data,
        strides: Strides::Heads,
    };
    launch(kernel, "a copy into the layout of the attention kernel")
}

/// RMS norm as a model's own code in PyTorch: six kernels.
fn eager_rms_norm(op: &RowsOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let n = op.rows * op.cols;
    let step = |n: u64, function: Function, operands: Operands| ElementwiseOp {
        n,
        function,
        data: op.data,
        cols: op.cols,
        operands,
        style: op.style,
        ..ElementwiseOp::usual()
    };
    let before = [step(n, Function::Square, Operands::Same)];
    let after = [
        step(op.rows, Function::AddScalar, Operands::Same),
        step(op.rows, Function::Rsqrt, Operands::Same),
        step(n, Function::Mul, Operands::Column),
        step(n, Function::Mul, Operands::Row),
    ];
    let mut launches = Vec::new();
    for op in &before {
        launches.extend(elementwise(op, gpu)?.swap_remove(0).launches);
    }
    let mut mean = reduce(op, Reduction::Sum, gpu);
    mean.reason = "the mean of the squares".into();
    launches.push(mean);
    for op in &after {
        launches.extend(elementwise(op, gpu)?.swap_remove(0).launches);
    }
    Ok(only("eager", launches))
}

/// A warp or a CTA a row; several CTAs where rows are few and long.
fn reduce(op: &RowsOp, reduction: Reduction, gpu: &GpuSpec) -> Launch {
    let kernel = Reduce {
        arrays: Arrays::default(),
        rows: op.rows,
        cols: op.cols,
        data: op.data,
        reduction,
        parts: 1,
    }
    .shared(gpu);
    let reason = match kernel.parts {
        1 => "a warp a row up to 8192 elements, a CTA beyond".to_owned(),
        parts => format!(
            "{parts} CTAs a row: {} rows leave SMs idle, threads would have 256 elements or more",
            op.rows
        ),
    };
    launch(kernel, reason)
}

pub(super) fn cat(op: &CatOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let kernel = Cat {
        arrays: Arrays::default(),
        rows: op.rows,
        cols: op.cols,
        tensors: op.tensors,
        data: op.data,
        ctas: 1,
    }
    .with_grid(gpu);
    let reason = format!(
        "{} CTAs a tensor, 16 bytes read and single elements written",
        kernel.ctas
    );
    Ok(only("cat", vec![launch(kernel, reason)]))
}

pub(super) fn embedding(op: &EmbeddingOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let kernel = GatherRows {
        arrays: Arrays::default(),
        rows: op.rows,
        cols: op.cols,
        table: op.table,
        data: op.data,
    };
    Ok(only(
        "gather",
        vec![launch(kernel, "a CTA an index, as wide as rows allow")],
    ))
}
