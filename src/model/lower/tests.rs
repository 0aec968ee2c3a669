//! What models become.

use super::*;
use crate::kernels::operator::{Epilogue, Function, Layout, RowFunction};
use crate::model::options::Bindings;
use crate::model::zoo;

pub(super) fn graph(name: &str, batch: u64, seq: u64) -> Graph {
    let bindings = Bindings {
        batch: Some(batch),
        seq: Some(seq),
        ..Bindings::default()
    };
    zoo::find(name).unwrap().build(&bindings).unwrap()
}

pub(super) fn plan(precision: Precision, runtime: Runtime, attention: Path) -> Plan {
    Plan {
        precision,
        runtime,
        attention,
        training: None,
        cached: None,
        spread: Spread::Even,
    }
}

/// A word for each call.
pub(super) fn words(layers: &[Layer]) -> Vec<&'static str> {
    let word = |call: &Call| match &call.operator {
        Operator::Gemm(op) if op.epilogue == Epilogue::Gelu => "gemm+gelu",
        Operator::Gemm(_) => "gemm",
        Operator::Elementwise(op) => Function::NAMES[op.function as usize],
        Operator::Rows(op) => RowFunction::NAMES[op.function as usize],
        Operator::Rope(_) => "rope",
        Operator::Embedding(_) => "embedding",
        Operator::Cat(_) => "cat",
        Operator::Select(_) => "topk",
        Operator::Scan(_) => "cumsum",
        Operator::Conv(_) => "conv",
        Operator::Attention(_) => "attention",
    };
    layers
        .iter()
        .flat_map(|layer| &layer.calls)
        .map(word)
        .collect()
}

/// The layers whose names begin with `prefix`.
fn of(lowered: &Lowered, prefix: &str) -> Vec<Layer> {
    let own = lowered
        .layers
        .iter()
        .filter(|layer| layer.name.starts_with(prefix));
    own.cloned().collect()
}

/// GPT-2 keeps the weights of an input side by side, and its table of tokens as every other model does.
#[test]
fn matrices_of_gpt2_lie_as_its_definition_has_them() {
    let layouts = |name: &str| -> Vec<(Layout, Epilogue)> {
        let lowered = lower(
            &graph(name, 1, 64),
            &plan(Precision::Fp16, Runtime::Eager, Path::Fused),
        );
        let calls = lowered.layers.iter().flat_map(|layer| &layer.calls);
        let products = calls.filter_map(|call| match &call.operator {
            Operator::Gemm(op) => Some((op.layout, op.epilogue)),
            _ => None,
        });
        products.collect()
    };
    let gpt = layouts("gpt2");
    let (last, rest) = gpt.split_last().unwrap();
    assert_eq!(rest, [(Layout::Nn, Epilogue::Bias); 48]);
    assert_eq!(*last, (Layout::Nt, Epilogue::None));
    assert!(
        layouts("opt-125m")
            .iter()
            .all(|(layout, _)| *layout == Layout::Nt)
    );
}

#[test]
fn eager_launches_what_a_framework_launches() {
    let bert = graph("bert-base", 2, 64);
    let lowered = lower(&bert, &plan(Precision::Fp32, Runtime::Eager, Path::Spelt));
    let attention = [
        "copy",
        "copy",
        "copy",
        "gemm",
        "div_scalar",
        "add",
        "softmax",
        "gemm",
        "copy",
    ];
    let wanted = [
        &["gemm"; 3][..],
        &attention,
        &[
            "gemm",
            "add",
            "layernorm",
            "gemm",
            "gelu",
            "gemm",
            "add",
            "layernorm",
        ],
    ];
    assert_eq!(words(&of(&lowered, "layer.3.")), wanted.concat());
    // Hugging Face's own GELU, and a causal mask that chooses.
    let gpt = graph("gpt2", 1, 64);
    let lowered = lower(&gpt, &plan(Precision::Fp32, Runtime::Eager, Path::Spelt));
    let wanted = [
        "scale",
        "pow",
        "scale",
        "add",
        "scale",
        "tanh",
        "add_scalar",
        "mul",
    ];
    assert_eq!(words(&of(&lowered, "layers.0.mlp.act")), wanted);
}

#[test]
fn a_graph_runtime_fuses() {
    let llama = graph("llama2-7b", 1, 256);
    let lowered = lower(&llama, &plan(Precision::Fp16, Runtime::Graph, Path::Fused));
    let wanted = [
        "add_rmsnorm",
        "gemm",
        "gemm",
        "gemm",
        "rope",
        "attention",
        "gemm",
        "add_rmsnorm",
        "gemm",
        "gemm",
        "silu_mul",
        "gemm",
    ];
    let all = words(&lowered.layers);
    // The residual behind a layer is added with the norm in front of the next.
    let found = all
        .windows(wanted.len())
        .filter(|window| *window == wanted)
        .count();
    assert_eq!(found, 31, "{all:?}");
    let bert = graph("bert-base", 1, 128);
    let lowered = lower(&bert, &plan(Precision::Fp16, Runtime::Graph, Path::Fused));
    let wanted = [
        "gemm",
        "gemm",
        "gemm",
        "attention",
        "gemm",
        "add_rmsnorm",
        "gemm+gelu",
        "gemm",
        "add_rmsnorm",
    ];
    assert_eq!(words(&of(&lowered, "layer.5.")), wanted);
}

/// What one kernel writes is what the next one reads: rotated queries and keys lie side by side with the values.
#[test]
fn tensors_are_where_their_readers_look() {
    let llama = graph("llama2-7b", 1, 256);
    let lowered = lower(&llama, &plan(Precision::Fp16, Runtime::Graph, Path::Fused));
    let layers = of(&lowered, "layers.4.self_attn.");
    let calls: Vec<&Call> = layers.iter().flat_map(|layer| &layer.calls).collect();
    let written: Vec<Place> = calls[..3].iter().map(|call| call.writes[0]).collect();
    let bytes = 256 * 4096 * 2;
    assert!(
        written
            .iter()
            .all(|place| place.buffer == written[0].buffer)
    );
    assert_eq!(
        written.iter().map(|place| place.offset).collect::<Vec<_>>(),
        [0, bytes, 2 * bytes]
    );
    assert_eq!(calls[3].writes, [written[0]]);
    assert_eq!(calls[4].reads, written);
    assert_eq!(calls[5].reads[0], calls[4].writes[0]);
    // Every read is of a weight, an input, or of what was written before.
    let mut known: Vec<bool> = lowered
        .buffers
        .iter()
        .map(|b| b.content != Content::Activation)
        .collect();
    for call in lowered.layers.iter().flat_map(|layer| &layer.calls) {
        assert!(
            call.reads.iter().all(|place| known[place.buffer]),
            "{call:?}"
        );
        call.writes
            .iter()
            .for_each(|place| known[place.buffer] = true);
    }
}

/// No operation of a built-in model is lost on the way, whatever the runtime.
#[test]
fn every_product_is_lowered() {
    for model in zoo::all() {
        let graph = model.build(&Bindings::default()).unwrap();
        for runtime in [Runtime::Eager, Runtime::Graph, Runtime::Compile] {
            let lowered = lower(&graph, &plan(Precision::Fp16, runtime, Path::Fused));
            // Detectors choose the best of their boxes by a selection that no kernel here makes; it multiplies nothing.
            let known = |refused: &Refused| refused.op == "TopK" && refused.flops == 0;
            assert!(
                lowered.refused.iter().all(known),
                "{}: {:?}",
                model.name,
                lowered.refused
            );
            let products = |layer: &&Layer| {
                let product = |call: &Call| call.operator.is_product();
                layer.calls.iter().any(product)
            };
            let flops: u64 = lowered
                .layers
                .iter()
                .filter(products)
                .map(|layer| layer.flops * layer.times)
                .sum();
            let error = flops as f64 / graph.flops() as f64 - 1.0;
            // Pooling counts as a convolution.
            assert!(
                (-1e-9..0.01).contains(&error),
                "{} {runtime:?}: {error}",
                model.name
            );
        }
    }
}

#[test]
fn a_step_of_decoding_reads_the_cache() {
    let graph = graph("llama3-8b", 4, 1);
    let plan = Plan {
        cached: Some(1000),
        ..plan(Precision::Fp16, Runtime::Graph, Path::Fused)
    };
    let lowered = lower(&graph, &plan);
    let layers = of(&lowered, "layers.0.self_attn.attention");
    assert_eq!(words(&layers), ["copy", "copy", "attention"]);
    let Operator::Attention(op) = &layers[0].calls[2].operator else {
        panic!("no attention");
    };
    assert_eq!(
        (op.queries, op.keys, op.kv_heads, op.causal),
        (1, 1000, 8, 0)
    );
    let cache = lowered
        .buffers
        .iter()
        .filter(|b| b.content == Content::Cache);
    assert_eq!(
        cache.map(|b| b.bytes).sum::<u64>(),
        32 * 2 * 4 * 1000 * 8 * 128 * 2
    );
}

#[test]
fn memory_is_that_of_the_runtime() {
    let gpt = graph("gpt2", 1, 1024);
    let peak = |attention| {
        lower(&gpt, &plan(Precision::Fp16, Runtime::Eager, attention)).activation_peak()
    };
    // Scores of all heads are stored only where attention is spelt out.
    let scores = 12 * 1024 * 1024 * 2;
    assert!(peak(Path::Spelt) > 2 * scores && peak(Path::Spelt) < peak(Path::Fused) + 4 * scores);
    let weights = |precision| {
        let lowered = lower(&gpt, &plan(precision, Runtime::Graph, Path::Fused));
        let own = lowered
            .buffers
            .iter()
            .filter(|b| b.content == Content::Weights);
        own.map(|b| b.bytes).sum::<u64>() as f64
    };
    let ratio = weights(Precision::Fp32) / weights(Precision::Fp16);
    assert!((ratio - 2.0).abs() < 0.01, "{ratio}");
    assert!(weights(Precision::Int8) < 0.6 * weights(Precision::Fp16));
}

#[test]
fn a_precision_that_is_not_modelled_is_refused_by_name() {
    assert_eq!(Precision::named("FP16"), Ok(Precision::Fp16));
    assert!(
        Precision::named("fp4")
            .unwrap_err()
            .contains("4-bit floats")
    );
    assert!(Precision::named("2:4").unwrap_err().contains("sparsity"));
}

/// A node: name of the operator, kind, inputs by name, result and its shape.
pub(super) type Written<'a> = (&'a str, Kind, &'a [&'a str], &'a str, &'a [u64]);

/// A graph of `nodes`.
pub(super) fn written(nodes: &[Written<'_>]) -> Graph {
    use crate::model::graph::{Dtype, Node, Product, Role};
    let mut graph = Graph::default();
    let mut names: Vec<(String, usize)> = Vec::new();
    for (op, kind, inputs, result, shape) in nodes {
        let inputs: Vec<usize> = inputs
            .iter()
            .map(|name| match names.iter().find(|(known, _)| known == name) {
                Some((_, id)) => *id,
                None => {
                    let (role, shape) = match name.split('.').next() {
                        Some("one") => (Role::Constant, vec![1]),
                        Some("bias") => (Role::Constant, vec![32]),
                        _ => (Role::Input, vec![2, 4, 64, 32]),
                    };
                    let id = graph.tensor(*name, Dtype::Float32, shape, role);
                    names.push(((*name).to_owned(), id));
                    id
                }
            })
            .collect();
        let id = graph.tensor(*result, Dtype::Float32, shape.to_vec(), Role::Activation);
        names.push(((*result).to_owned(), id));
        let products = match (kind, *result) {
            (Kind::MatMul, "scores") => Some((64, 64, 32)),
            (Kind::MatMul, _) => Some((64, 32, 64)),
            _ => None,
        };
        let product = |(m, n, k)| Product {
            op: "matmul",
            m,
            n,
            k,
            batch: 8,
            dtype: Dtype::Float32,
        };
        graph.nodes.push(Node {
            name: (*result).to_owned(),
            op: (*op).to_owned(),
            kind: kind.clone(),
            inputs,
            outputs: vec![id],
            products: products.map(product).into_iter().collect(),
        });
    }
    graph.outputs = vec![graph.tensors.len() - 1];
    graph
}

/// Attention, and GELU, of several nodes are one operator again.
#[test]
fn what_an_exporter_spells_out_is_one_operator() {
    use Kind::{Elementwise as E, MatMul, Move, Softmax};
    let (square, rows) = (&[2u64, 4, 64, 64][..], &[2u64, 4, 64, 32][..]);
    let nodes = [
        ("Transpose", Move, &["k"][..], "kt", &[2u64, 4, 32, 64][..]),
        ("MatMul", MatMul, &["q", "kt"], "scores", square),
        ("Mul", E, &["scores", "one"], "scaled", square),
        ("Add", E, &["scaled", "mask"], "masked", square),
        ("Softmax", Softmax, &["masked"], "weights", square),
        ("IsNaN", E, &["weights"], "missing", square),
        ("Where", E, &["missing", "one", "weights"], "whole", square),
        ("MatMul", MatMul, &["whole", "v"], "attended", rows),
        ("Div", E, &["attended", "one.root"], "x", rows),
        ("Erf", E, &["x"], "erf", rows),
        ("Add", E, &["erf", "one"], "shifted", rows),
        ("Mul", E, &["attended", "shifted"], "product", rows),
        ("Mul", E, &["product", "one.half"], "gelu", rows),
    ];
    let graph = written(&nodes);
    let plan = |attention| plan(Precision::Fp16, Runtime::Eager, attention);
    let lowered = lower(&graph, &plan(Path::Fused));
    assert_eq!(words(&lowered.layers), ["attention", "gelu"]);
    let Operator::Attention(op) = &lowered.layers[0].calls[0].operator else {
        panic!("no attention");
    };
    assert_eq!(
        (op.batch, op.heads, op.queries, op.head_dim),
        (2, 4, 64, 32)
    );
    assert_eq!(lowered.layers[0].flops, graph.flops());
    let spelt = words(&lower(&graph, &plan(Path::Spelt)).layers);
    assert!(
        spelt.contains(&"gemm") && spelt.contains(&"softmax"),
        "{spelt:?}"
    );
}

/// Exporters that leave weights out write nodes which fill them: they have memory of their own.
#[test]
fn weights_that_a_node_fills_are_weights() {
    use Kind::{Free, MatMul};
    let nodes = [
        (
            "ConstantOfShape",
            Free,
            &["one.shape"][..],
            "w",
            &[64u64, 32][..],
        ),
        ("MatMul", MatMul, &["x", "w"], "y", &[2, 4, 64, 32]),
    ];
    let mut graph = written(&nodes);
    let filled = graph.tensors.iter().position(|tensor| tensor.name == "w");
    graph.tensors[filled.unwrap()].role = crate::model::graph::Role::Weight;
    let plan = plan(Precision::Fp16, Runtime::Eager, Path::Fused);
    let lowered = lower(&graph, &plan);
    let weights = |b: &&Buffer| b.content == Content::Weights;
    let sizes: Vec<u64> = lowered
        .buffers
        .iter()
        .filter(weights)
        .map(|b| b.bytes)
        .collect();
    assert_eq!(sizes, [64 * 32 * 2]);
}
