//! Kernels over elements and rows, by the launch rules of their libraries.

use super::{Candidate, Launch};
use crate::config::GpuSpec;
use crate::kernels::operator::{
    ElementwiseOp, EmbeddingOp, Function, Operands, RopeOp, RowFunction, RowsOp, Style,
};
use crate::kernels::rows::layer_norm::LayerNorm;
use crate::kernels::rows::pointwise::{OUTPUT, Pointwise};
use crate::kernels::rows::softmax::{Softmax, SoftmaxForm, WARP_COLS};
use crate::kernels::rows::vllm::{RmsNorm, Rotary, SiluAndMul};
use crate::kernels::{Arrays, Fault, KernelGenerator};

/// The one way that the library has.
fn only(name: &str, launches: Vec<Launch>) -> Vec<Candidate> {
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

pub(super) fn rows(op: &RowsOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    match op.function {
        RowFunction::Softmax => Ok(only("softmax", vec![softmax(op)])),
        RowFunction::LayerNorm => {
            let kernel = LayerNorm {
                arrays: Arrays::default(),
                rows: op.rows,
                cols: op.cols,
                data: op.data,
            };
            let reason = "a CTA of 128 threads a row, vectors of 4";
            Ok(only("layer_norm", vec![launch(kernel, reason)]))
        }
        RowFunction::RmsNorm | RowFunction::AddRmsNorm if op.style == Style::Vllm => {
            Ok(only("rms_norm", vec![rms_norm(op)]))
        }
        _ => Err(Fault::field("op", "rows", "no kernels for it yet")),
    }
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
    let kept = op.cols * op.data.bytes() < kernel.row_bytes_max() && op.cols % vector == 0;
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

pub(super) fn embedding(_op: &EmbeddingOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    Err(Fault::field("op", "embedding", "no kernels for it yet"))
}
