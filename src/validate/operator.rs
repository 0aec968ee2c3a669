//! What a row of a dataset measured: its operator, and what is known of the kernels that were launched.

use super::cuda::{self, Program};
use super::dataset::Row;
use super::layer;
use super::models;
use crate::kernels::choose::Recorded;
use crate::kernels::operator::*;
use crate::kernels::work::Roofline;
use crate::session::Session;
use serde_json::{Map, Value};

/// What a row measured.
#[derive(Clone, Debug)]
pub enum Measured {
    /// An operator, for which kernels are chosen.
    Operator(Operator),
    /// A hand-written kernel.
    Program(Box<Program>),
    /// A whole model.
    Model(Box<models::Run>),
}

impl Measured {
    /// Seconds at published peaks, and those of each side.
    pub fn roofline(&self, session: &Session) -> (f64, Roofline) {
        let spec = session.spec();
        let roofline = match self {
            Measured::Operator(operator) => Roofline::of(operator, spec),
            Measured::Program(program) => program.roofline(spec),
            Measured::Model(run) => return run.roofline(session),
        };
        (roofline.seconds(), roofline)
    }
}

/// What `row` measured.
///
/// # Errors
/// Impossible sizes, and what is not modelled.
pub fn measured(row: &Row) -> Result<Measured, Unfit> {
    match row.op.as_str() {
        "cuda_kernel" => Ok(Measured::Program(Box::new(cuda::program(row)?))),
        "model" => Ok(Measured::Model(Box::new(models::run(row)?))),
        _ => operator(row).map(Measured::Operator),
    }
}

/// Why a row is not predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its numbers are impossible: the file is at fault.
    Fault(String),
    /// Nothing is wrong with it, but it is not modelled.
    Skip(String),
}

/// The sizes of a row.
struct Sizes<'a>(&'a Map<String, Value>);

/// Sizes beyond this are a mistake, whatever they count.
const SIZE_MAX: u64 = 1 << 40;

impl Sizes<'_> {
    fn get(&self, name: &str) -> Result<u64, Unfit> {
        match self.0.get(name) {
            None => Err(Unfit::Fault(format!("shape has no {name}"))),
            Some(value) => size(name, value),
        }
    }

    fn or(&self, name: &str, default: u64) -> Result<u64, Unfit> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => zero_or_size(name, value),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

fn zero_or_size(name: &str, value: &Value) -> Result<u64, Unfit> {
    match value.as_u64() {
        Some(0) => Ok(0),
        _ => size(name, value),
    }
}

fn size(name: &str, value: &Value) -> Result<u64, Unfit> {
    let whole = value.as_u64().or_else(|| {
        value
            .as_f64()
            .filter(|f| f.fract() == 0.0 && *f >= 1.0)
            .map(|f| f as u64)
    });
    whole
        .filter(|n| (1..=SIZE_MAX).contains(n))
        .ok_or_else(|| Unfit::Fault(format!("shape: {name} = {value} is no size from 1 to 2^40")))
}

/// The operator of `row`.
///
/// # Errors
/// Impossible sizes, and operators that are not modelled.
pub fn operator(row: &Row) -> Result<Operator, Unfit> {
    let sizes = Sizes(&row.shape);
    let data = DataType::named(&row.dtype);
    let data = data.ok_or_else(|| Unfit::Skip(format!("numbers of type {}", row.dtype)));
    match row.op.as_str() {
        "gemm" | "linear" | "matmul" => gemm(row, &sizes, data?, 1),
        "bmm" => gemm(row, &sizes, data?, sizes.get("B")?),
        "elementwise" => elementwise(row, &sizes, data?),
        "softmax" => rows(row, &sizes, data?, RowFunction::Softmax),
        "layernorm" => rows(row, &sizes, data?, RowFunction::LayerNorm),
        "rmsnorm" => rows(row, &sizes, data?, RowFunction::RmsNorm),
        "rope" => {
            let op = RopeOp {
                rows: sizes.get("rows")?,
                heads: sizes.get("q_heads")?,
                kv_heads: sizes.get("kv_heads")?,
                head_dim: sizes.get("head_dim")?,
                data: data?,
                style: style(row),
            };
            Ok(Operator::Rope(op))
        }
        "cat" => cat(&sizes, data?),
        "conv2d" | "conv" => conv(row, &sizes, data?),
        "attention" => attention(&sizes, data?),
        other => Err(Unfit::Skip(format!("operator {other}"))),
    }
}

/// Whose kernels were measured.
fn style(row: &Row) -> Style {
    match layer::profiled(row) {
        true => Style::Vllm,
        false => Style::Torch21,
    }
}

fn gemm(row: &Row, sizes: &Sizes<'_>, data: DataType, batch: u64) -> Result<Operator, Unfit> {
    let (m, n, k) = (sizes.get("M")?, sizes.get("N")?, sizes.get("K")?);
    let transposed = |name: &str| {
        sizes
            .text(name)
            .is_some_and(|t| t.eq_ignore_ascii_case("t"))
    };
    let column_major = sizes.text("ta").is_some() || sizes.text("tb").is_some();
    let stated = row
        .extra
        .get("layout")
        .and_then(Value::as_str)
        .unwrap_or("");
    let (m, n, layout) = if column_major {
        // C' = B' A' of the row-major view: what was column major there is row major here.
        let layout = match (transposed("tb"), transposed("ta")) {
            (false, false) => Layout::Nn,
            (false, true) => Layout::Nt,
            (true, false) => Layout::Tn,
            (true, true) => Layout::Tt,
        };
        (n, m, layout)
    } else if stated.starts_with("TN") || row.op == "linear" {
        // cuBLAS's names of a linear layer, whose weights are stored n x k.
        (m, n, Layout::Nt)
    } else if stated.starts_with("NN") || row.op != "gemm" {
        (m, n, Layout::Nn)
    } else {
        (m, n, Layout::Nt)
    };
    let bias = row.extra.get("bias").and_then(Value::as_u64) == Some(1);
    let op = GemmOp {
        sums: sums(row, data),
        beta: u64::from(deepbench(row)),
        m,
        n,
        k,
        batch,
        data,
        layout,
        epilogue: if bias { Epilogue::Bias } else { Epilogue::None },
        ..GemmOp::usual()
    };
    within(&op)?;
    Ok(Operator::Gemm(op))
}

/// Whether DeepBench was the caller. Its `gemm_bench.cu` passes the integer 1 as alpha and beta, which is no zero in any
/// type of number: what C held is read and added.
fn deepbench(row: &Row) -> bool {
    row.source.starts_with("deepbench")
}

/// What products of 16 bits were added up in: DeepBench asks cuBLAS and cuDNN for 16 bits (`compute_type` and the
/// convolution's descriptor are those of its tensors), frameworks for 32.
fn sums(row: &Row, data: DataType) -> Sums {
    match data == DataType::F16 && deepbench(row) {
        true => Sums::Narrow,
        false => Sums::Wide,
    }
}

/// That every field of an operator is in its range.
fn within(op: &impl crate::kernels::fields::Fields) -> Result<(), Unfit> {
    match op
        .fields()
        .iter()
        .find(|(field, value)| !field.allows(*value))
    {
        None => Ok(()),
        Some((field, value)) => Err(Unfit::Fault(format!(
            "shape: {} = {value} is out of range ({})",
            field.name,
            field.allowed()
        ))),
    }
}

fn elementwise(row: &Row, sizes: &Sizes<'_>, data: DataType) -> Result<Operator, Unfit> {
    let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
    let stated = sizes.text("fn").unwrap_or("");
    let inputs = sizes.or("n_in", 0)?;
    let name = match stated {
        "gelu_tanh_compiled" => "gelu_tanh",
        "silu_and_mul" | "swiglu" => "silu_mul",
        other => other.strip_suffix("_scalar_or_bcast").unwrap_or(other),
    };
    // A trailing u: the other operand is a number.
    let binary = name.strip_suffix('u').unwrap_or(name);
    let name = match (binary, inputs) {
        ("add" | "sub", 1) => "add_scalar",
        ("mul", 1) => "scale",
        ("div", 1) => "div_scalar",
        ("pow", 1) => "pow",
        ("pow", _) => "pow_tensor",
        _ => name,
    };
    let function =
        Function::from_name(name).ok_or_else(|| Unfit::Skip(format!("function {stated}")))?;
    let n = rows
        .checked_mul(cols)
        .filter(|n| *n <= 1 << 44)
        .ok_or_else(|| {
            Unfit::Fault(format!(
                "shape: {rows} rows of {cols} are too many elements"
            ))
        })?;
    let op = ElementwiseOp {
        function,
        data,
        cols,
        style: style(row),
        ..ElementwiseOp {
            n,
            ..ElementwiseOp::usual()
        }
    };
    within(&op)?;
    Ok(Operator::Elementwise(op))
}

fn rows(
    row: &Row,
    sizes: &Sizes<'_>,
    data: DataType,
    function: RowFunction,
) -> Result<Operator, Unfit> {
    let op = RowsOp {
        rows: sizes.get("rows")?,
        cols: sizes.get("cols")?,
        data,
        // vLLM has a kernel for RMS norm only.
        style: match function {
            RowFunction::RmsNorm | RowFunction::AddRmsNorm => style(row),
            _ => Style::Torch21,
        },
        ..RowsOp::usual(function)
    };
    within(&op)?;
    Ok(Operator::Rows(op))
}

fn cat(sizes: &Sizes<'_>, data: DataType) -> Result<Operator, Unfit> {
    let op = CatOp {
        rows: sizes.get("rows")?,
        cols: sizes.get("cols")?,
        tensors: sizes.or("n_in", 2)?,
        data,
    };
    within(&op)?;
    Ok(Operator::Cat(op))
}

fn conv(row: &Row, sizes: &Sizes<'_>, data: DataType) -> Result<Operator, Unfit> {
    let direction = match sizes.text("dir").unwrap_or("fwd") {
        "fwd" | "fprop" => Direction::Forward,
        "dgrad" => Direction::InputGradient,
        "wgrad" => Direction::WeightGradient,
        other => return Err(Unfit::Skip(format!("direction {other}"))),
    };
    // DeepBench fills channels of halves up to the vectors of tensor cores (`pad_kernels` of `conv_bench.cu`).
    let channels = match sums(row, data) {
        Sums::Narrow => sizes.get("C")?.next_multiple_of(8),
        Sums::Wide => sizes.get("C")?,
    };
    let pad = sizes.or("pad", 0)?;
    let stride = sizes.or("stride", 1)?;
    let op = ConvOp {
        n: sizes.get("N")?,
        c: channels,
        h: sizes.get("H")?,
        w: sizes.get("W")?,
        k: sizes.get("K")?,
        r: sizes.get("R")?,
        s: sizes.get("S")?,
        pad: sizes.or("pad_h", pad)?,
        pad_w: sizes.or("pad_w", pad)?,
        stride: sizes.or("stride_h", stride)?,
        stride_w: sizes.or("stride_w", stride)?,
        groups: sizes.or("groups", 1)?.max(1),
        data,
        direction,
        sums: sums(row, data),
        ..ConvOp::usual()
    };
    within(&op)?;
    if op.output().is_none() {
        return Err(Unfit::Fault(
            "shape: the filter is larger than the image".into(),
        ));
    }
    Ok(Operator::Conv(op))
}

fn attention(sizes: &Sizes<'_>, data: DataType) -> Result<Operator, Unfit> {
    let stated = sizes.text("impl").unwrap_or("auto");
    let kind = AttentionKind::named(stated)
        .or_else(|| AttentionKind::from_name(stated))
        .ok_or_else(|| Unfit::Skip(format!("attention by {stated}")))?;
    let op = AttentionOp {
        batch: sizes.get("B")?,
        heads: sizes.get("H")?,
        kv_heads: sizes.or("KVH", 0)?,
        queries: sizes.get("Sq")?,
        keys: sizes.or("Sk", 0)?,
        head_dim: sizes.get("D")?,
        causal: sizes.or("causal", 0)?,
        data,
        kind,
        backward: u64::from(matches!(sizes.text("dir"), Some("bwd" | "backward"))),
    };
    within(&op)?;
    Ok(Operator::Attention(op))
}

/// What was in L2 when a row was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L2State {
    /// What an earlier run of the same operator had left: it was repeated.
    Repeated,
    /// What the rest of a layer had left, which ran since.
    Layer,
    /// Nothing of its own: L2 was flushed.
    Foreign,
}

/// What was in L2 when `row` was measured.
pub fn l2_state(row: &Row) -> L2State {
    let method = row
        .extra
        .get("method")
        .and_then(Value::as_str)
        .unwrap_or("");
    if method.contains("cold") || method.contains("flush") {
        return L2State::Foreign;
    }
    match layer::profiled(row) {
        true => L2State::Layer,
        false => L2State::Repeated,
    }
}

/// What `row` says about the kernels that were launched.
pub fn recorded(row: &Row) -> Recorded {
    let extra = &row.extra;
    let dim = |name: &str| {
        let list = extra.get(name)?.as_array()?;
        let sizes: Option<Vec<u32>> = list
            .iter()
            .map(|v| v.as_u64().and_then(|n| u32::try_from(n).ok()))
            .collect();
        <[u32; 3]>::try_from(sizes?).ok()
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut kernels: Vec<String> = extra.get("kernel").and_then(text).into_iter().collect();
    if let Some(list) = extra.get("kernels").and_then(Value::as_array) {
        kernels.extend(
            list.iter()
                .filter_map(text)
                .filter(|name| !kernels.contains(name))
                .collect::<Vec<_>>(),
        );
    }
    Recorded {
        kernels,
        grid: dim("grid"),
        block: dim("block"),
    }
}
