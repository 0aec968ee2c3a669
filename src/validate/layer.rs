//! What runs between two measured runs of an operator in Vidur's profiles: the rest of a layer.
//!
//! Vidur (`vidur/profiling/mlp`) runs one block of a model twenty times, with the same weights and no attention, and
//! takes the median of an operator's kernels. The block reads its weights and writes activations, so that an operator
//! finds its input just written, and its weights only where the rest of the layer leaves room for them in L2.

use super::dataset::Row;
use crate::config::GpuSpec;
use crate::error::Result;
use crate::kernels::operator::{DataType, Function, Operator};
use crate::kernels::rows::pointwise::{self, Pointwise};
use crate::kernels::rows::reduce::{Reduce, Reduction};
use crate::kernels::{Arrays, KernelGenerator};
use crate::trace::Kernel;
use serde_json::Value;

/// Sizes of a model as its configuration states them.
struct Model {
    name: &'static str,
    hidden: u64,
    mlp: u64,
    heads: u64,
    kv_heads: u64,
    /// Gate and up projection in one, a norm behind attention: all but phi-2.
    gated: bool,
}

const fn gated(name: &'static str, sizes: [u64; 2], heads: [u64; 2]) -> Model {
    Model {
        name,
        hidden: sizes[0],
        mlp: sizes[1],
        heads: heads[0],
        kv_heads: heads[1],
        gated: true,
    }
}

/// The models that Vidur profiled, by the last part of their names.
const MODELS: &[Model] = &[
    gated("Llama-2-7b-hf", [4096, 11_008], [32, 32]),
    gated("Llama-2-70b-hf", [8192, 28_672], [64, 8]),
    gated("Meta-Llama-3-8B", [4096, 14_336], [32, 8]),
    gated("Meta-Llama-3-70B", [8192, 28_672], [64, 8]),
    gated("CodeLlama-34b-Instruct-hf", [8192, 22_016], [64, 8]),
    gated("internlm-20b", [5120, 13_824], [40, 40]),
    gated("Qwen-72B", [8192, 24_576], [64, 64]),
    Model {
        gated: false,
        ..gated("phi-2", [2560, 10_240], [32, 32])
    },
];

/// A step of a layer: bytes of weights that it reads, and of results that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// As Vidur calls it.
    layer: &'static str,
    weights: u64,
    writes: u64,
}

/// Bytes of a number.
const HALF: u64 = 2;

impl Model {
    /// The steps of a block for so many `tokens`, its heads and neurons shared by `devices`.
    fn steps(&self, tokens: u64, devices: u64) -> Vec<Step> {
        let width = self.hidden / self.heads;
        let [q, kv] = [self.heads, self.kv_heads].map(|heads| heads * width / devices);
        let neurons = self.mlp / devices;
        let up = if self.gated { 2 * neurons } else { neurons };
        let hidden = self.hidden;
        let step = |layer, depth: u64, columns: u64| Step {
            layer,
            weights: depth * columns * HALF,
            writes: tokens * columns * HALF,
        };
        let mut steps = vec![
            step("emb", 0, hidden),
            step("input_layernorm", 0, hidden),
            step("attn_pre_proj", hidden, q + 2 * kv),
            step("attn_rope", 0, q + kv),
            // Random numbers stand for the result of attention.
            step("randn", 0, q),
            step("attn_post_proj", q, hidden),
        ];
        if self.gated {
            steps.push(step("residual", 0, hidden));
            steps.push(step("post_attention_layernorm", 0, hidden));
        }
        steps.extend([
            step("mlp_up_proj", hidden, up),
            step("mlp_act", 0, neurons),
            step("mlp_down_proj", neurons, hidden),
            step("add", 0, hidden),
        ]);
        steps
    }
}

/// The steps between two runs of `row`'s operator, the last one that before it; nothing for a row that does not say of
/// which model it is.
fn between(row: &Row, operator: &Operator) -> Option<Vec<Step>> {
    let text = |name: &str| row.extra.get(name).and_then(Value::as_str);
    let model = text("model")?.rsplit('/').next()?;
    let model = MODELS.iter().find(|known| known.name == model)?;
    let devices = row.extra.get("tp").and_then(Value::as_u64);
    let devices = devices.filter(|&devices| devices > 0 && model.heads.is_multiple_of(devices))?;
    let tokens = match operator {
        Operator::Gemm(op) => op.m,
        Operator::Rows(op) => op.rows,
        Operator::Rope(op) => op.rows,
        Operator::Elementwise(op) => op.n / op.cols.max(1),
        _ => return None,
    };
    let mut steps = model.steps(tokens, devices);
    let layer = text("layer")?;
    let own = steps.iter().position(|step| step.layer == layer)?;
    steps.rotate_left(own);
    steps.remove(0);
    Some(steps)
}

/// Times what L2 holds that a step reads at most: of more, the last part is there all the same.
const TIMES_OF_L2: u64 = 3;

/// Whether `row` comes from such a profile.
pub fn profiled(row: &Row) -> bool {
    row.source.contains("vidur")
}

/// What runs between two runs of `operator`, of a row that is [`profiled`]: reading of weights, writing of activations.
/// Where the row does not say its model, the weights are taken to be more than L2 holds.
///
/// # Errors
/// None for valid machines.
pub fn rest(row: &Row, operator: &Operator, spec: &GpuSpec) -> Result<Vec<Kernel>> {
    let most = TIMES_OF_L2 * spec.l2.bytes;
    let unknown = || {
        let [weights, writes] = [most, input(operator)];
        vec![Step {
            layer: "",
            weights,
            writes,
        }]
    };
    let steps = between(row, operator).unwrap_or_else(unknown);
    // An addition also reads what the one before it, or attention's projection, has written.
    let added = matches!(operator, Operator::Elementwise(op) if op.function == Function::Add);
    let residual = |step: &Step| matches!(step.layer, "residual" | "attn_post_proj");
    let residual = steps.iter().rposition(residual).filter(|_| added);
    let arrays = Arrays::default();
    let apart = |place: usize| arrays.at(0) + ((Arrays::MOST + place) as u64) * (1 << 36);
    let mut kernels = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if step.weights > 0 {
            kernels.push(read(apart(2 * at), step.weights.min(most)).build(spec)?);
        }
        let to = match at + 1 == steps.len() {
            true => arrays.at(usize::from(added)),
            false if Some(at) == residual => arrays.at(0),
            false => apart(2 * at + 1),
        };
        kernels.push(write(to, step.writes).build(spec)?);
    }
    Ok(kernels)
}

/// Bytes that `operator` takes from the one before it.
fn input(operator: &Operator) -> u64 {
    let elements = match operator {
        Operator::Gemm(op) => op.m * op.k,
        Operator::Rows(op) => op.rows * op.cols,
        Operator::Rope(op) => op.rows * (op.heads + op.kv_heads) * op.head_dim,
        Operator::Elementwise(op) if op.function == Function::SiluMul => 2 * op.n,
        Operator::Elementwise(op) => op.n,
        _ => 1,
    };
    elements * HALF
}

/// Reads `bytes` from `place` on, in rows of 2 KiB.
fn read(place: u64, bytes: u64) -> Reduce {
    let arrays = Arrays::default();
    Reduce {
        // What it writes, one number a row, is out of everybody's way.
        arrays: arrays.with(0, place).with(1, place + (1 << 35)),
        rows: bytes.div_ceil(1024 * HALF),
        cols: 1024,
        data: DataType::F16,
        reduction: Reduction::Sum,
        parts: 1,
    }
}

/// Writes `bytes` from `place` on.
fn write(place: u64, bytes: u64) -> Pointwise {
    Pointwise {
        arrays: Arrays::default()
            .with(0, place)
            .with(pointwise::OUTPUT, place),
        n: bytes.div_ceil(4),
        function: Function::Copy,
        data: DataType::F32,
        output: DataType::F32,
        vector: 4,
        elements: 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{dataset, operator};

    fn row(op: &str, shape: &str, extra: &str) -> (Row, Operator) {
        let quoted = |json: &str| json.replace('"', "\"\"");
        let text = format!(
            "id,gpu,op,dtype,shape,latency_us,extra,source\na,A100-80GB,{op},fp16,\"{}\",5,\"{}\",vidur/mlp\n",
            quoted(shape),
            quoted(extra)
        );
        let row = dataset::parse(&text, "set.csv").unwrap().remove(0);
        let operator = operator::operator(&row).unwrap();
        (row, operator)
    }

    /// The products of a layer have the shapes of the dataset's rows, and every other step runs once in between.
    #[test]
    fn a_layer_runs_round_its_operator() {
        let shape = r#"{"K":1792,"M":64,"N":4096}"#;
        let extra = r#"{"layer":"mlp_down_proj","model":"meta-llama/Meta-Llama-3-8B","tp":8}"#;
        let (of_row, operator) = row("gemm", shape, extra);
        let steps = between(&of_row, &operator).unwrap();
        assert_eq!(steps.len(), 11);
        assert_eq!(steps[0].layer, "add");
        assert_eq!(steps[10].layer, "mlp_act");
        // What it takes is what the step before has written.
        assert_eq!(steps[10].writes, input(&operator));
        let weights = |layer| {
            let step = steps.iter().find(|step| step.layer == layer);
            step.unwrap().weights
        };
        assert_eq!(weights("mlp_up_proj"), 4096 * 3584 * 2);
        assert_eq!(weights("attn_pre_proj"), 4096 * 768 * 2);
        assert_eq!(weights("attn_post_proj"), 512 * 4096 * 2);
    }

    /// The input is the last thing written, and an addition's other operand is written on the way.
    #[test]
    fn the_operator_finds_its_input_where_it_reads_it() {
        let spec = crate::config::load("a100-80", &[]).unwrap().spec;
        let shape = r#"{"cols":4096,"fn":"add","n_in":2,"n_out":1,"rows":928}"#;
        let extra = r#"{"layer":"add","model":"meta-llama/Llama-2-7b-hf","tp":1}"#;
        let known = row("elementwise", shape, extra);
        let unknown = row("elementwise", shape, "{}");
        for ((row, operator), steps) in [(known, 11 + 4), (unknown, 2)] {
            let kernels = rest(&row, &operator, &spec).unwrap();
            assert_eq!(kernels.len(), steps);
            let last = &kernels[steps - 1].header;
            assert_eq!(last.cta_count(), input(&operator) / 4 / 512);
        }
    }
}
