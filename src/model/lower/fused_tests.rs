//! What a runtime fuses, and what a framework runs one by one.

use super::tests::{graph, plan, words, written};
use super::*;
use crate::kernels::operator::Operator;
use crate::model::graph::{Dtype, Product};
use Kind::{Elementwise as E, MatMul};

/// Few of a row are one kernel's; more are sorted behind it, and a whole row is only sorted.
#[test]
fn the_greatest_of_rows_are_selected_and_sorted() {
    let of = |chosen| {
        let select = Kind::Select { of: 512, chosen };
        let graph = written(&[("TopK", select, &["x"], "greatest", &[4, chosen][..])]);
        let lowered = lower(&graph, &plan(Precision::Fp16, Runtime::Eager, Path::Fused));
        assert!(lowered.refused.is_empty());
        words(&lowered.layers)
    };
    assert_eq!(of(5), ["topk"]);
    assert_eq!(of(100), ["topk", "copy", "copy", "copy", "copy"]);
    assert_eq!(of(512), ["copy"; 4]);
}

/// An equation of three operands is two products, of which the second reads what the first has made.
#[test]
fn products_in_a_row_read_one_another() {
    let product = |n| Product {
        op: "matmul",
        m: 4,
        n,
        k: 8,
        batch: 2,
        dtype: Dtype::Float16,
    };
    let mut graph = written(&[("Einsum", MatMul, &["a", "b", "c"][..], "y", SQUARE)]);
    graph.nodes[0].products = vec![product(8), product(16)];
    let lowered = lower(&graph, &plan(Precision::Fp16, Runtime::Eager, Path::Fused));
    let calls = &lowered.layers[0].calls;
    assert_eq!(words(&lowered.layers), ["gemm", "gemm"]);
    assert_eq!(calls[0].writes[0], calls[1].reads[0]);
}

/// Both directions of a recurrence go step by step, and more steps than anybody launches are refused.
#[test]
fn every_step_of_both_directions_is_a_product() {
    let of = |steps: u64| {
        let recurrent = Kind::Recurrent { steps };
        let mut graph = written(&[("LSTM", recurrent, &["x", "w", "r"][..], "y", SQUARE)]);
        let product = |op, m, batch| Product {
            op,
            m,
            n: 256,
            k: 64,
            batch,
            dtype: Dtype::Float32,
        };
        graph.nodes[0].products = vec![
            product("recurrent_input", 8 * steps, 2),
            product("recurrent_step", 8, 2 * steps),
        ];
        lower(&graph, &plan(Precision::Fp16, Runtime::Eager, Path::Fused))
    };
    let calls = words(&of(5).layers);
    let products = calls.iter().filter(|word| **word == "gemm").count();
    assert_eq!(products, 1 + 2 * 5, "{calls:?}");
    let endless = of(1 << 40);
    assert!(endless.layers.is_empty());
    assert!(endless.refused[0].reason.contains("steps in a row"));
}

const SQUARE: &[u64] = &[2, 4, 64, 32];

/// GELU by the error function behind a product and its bias; `more` nodes follow.
fn gelu_behind_a_product(more: &[(&'static str, &'static [&'static str], &'static str)]) -> Graph {
    let mut nodes = vec![
        ("MatMul", MatMul, &["a", "b"][..], "product", SQUARE),
        ("Add", E, &["product", "bias"], "sum", SQUARE),
        ("Div", E, &["sum", "one.root"], "x", SQUARE),
        ("Erf", E, &["x"], "erf", SQUARE),
        ("Add", E, &["erf", "one"], "shifted", SQUARE),
        ("Mul", E, &["sum", "shifted"], "half", SQUARE),
        ("Mul", E, &["half", "one.half"], "gelu", SQUARE),
    ];
    nodes.extend(
        more.iter()
            .map(|&(op, inputs, result)| (op, E, inputs, result, SQUARE)),
    );
    written(&nodes)
}

#[test]
fn a_spelt_gelu_becomes_the_end_of_the_product_in_front_of_it() {
    let graph = gelu_behind_a_product(&[]);
    let of = |runtime| words(&lower(&graph, &plan(Precision::Fp16, runtime, Path::Fused)).layers);
    assert_eq!(of(Runtime::Graph), ["gemm+gelu"]);
    assert_eq!(of(Runtime::Eager), ["gemm", "gelu"]);
}

#[test]
fn a_sum_that_others_read_is_stored_before_its_gelu() {
    let graph = gelu_behind_a_product(&[("Add", &["gelu", "sum"], "residual")]);
    let plan = plan(Precision::Fp16, Runtime::Graph, Path::Fused);
    let found = words(&lower(&graph, &plan).layers);
    assert!(found.starts_with(&["gemm"]) && found.len() > 1, "{found:?}");
}

/// A framework runs one expert after the other, each with products of its own; elsewhere they are a batch.
#[test]
fn experts_run_one_by_one_in_a_framework() {
    let switch = graph("mixtral-8x7b", 1, 64);
    let of = |runtime| {
        let lowered = lower(&switch, &plan(Precision::Fp16, runtime, Path::Fused));
        let layers = lowered.layers.into_iter();
        let mut experts =
            layers.filter(|layer| layer.op.contains("Experts") || layer.op.contains("MoE"));
        experts.next().expect("experts")
    };
    let products = |layer: &Layer| -> Vec<(u64, u64)> {
        let products = layer.calls.iter().filter_map(|call| match &call.operator {
            Operator::Gemm(op) => Some((op.m, op.batch)),
            _ => None,
        });
        products.collect()
    };
    // 64 tokens take two of eight experts each.
    assert_eq!(products(&of(Runtime::Graph)), [(16, 8); 2]);
    assert_eq!(products(&of(Runtime::Eager)), [(16, 1); 16]);
    let weights = |layer: &Layer| -> Vec<u64> {
        let calls = layer.calls.iter();
        let products = calls.filter(|call| matches!(call.operator, Operator::Gemm(_)));
        products
            .map(|call| call.reads[1].offset)
            .step_by(2)
            .collect()
    };
    let offsets = weights(&of(Runtime::Eager));
    assert!(
        offsets.windows(2).all(|pair| pair[1] > pair[0]),
        "{offsets:?}"
    );
}

/// The words of the first layer of `name` whose name ends with `end`.
fn layer(graph: &Graph, end: &str, runtime: Runtime) -> Vec<&'static str> {
    let lowered = lower(graph, &plan(Precision::Fp16, runtime, Path::Fused));
    assert!(lowered.refused.is_empty(), "{:?}", lowered.refused);
    let found = lowered
        .layers
        .iter()
        .position(|layer| layer.name.ends_with(end));
    words(&lowered.layers[found.expect(end)..][..1])
}

/// A softmax, the two greatest, their shares; a framework marks them in memory that it has cleared.
#[test]
fn a_router_of_mixtral_takes_the_greatest() {
    let mixtral = graph("mixtral-8x7b", 2, 64);
    let picked = ["softmax", "topk", "sum", "div"];
    assert_eq!(layer(&mixtral, "choice", Runtime::Graph), picked);
    let eager = layer(&mixtral, "choice", Runtime::Eager);
    assert_eq!(eager, [&picked[..], &["copy", "copy"]].concat());
    let experts = layer(&mixtral, "experts", Runtime::Eager);
    // Its tokens are counted and listed, gathered, and scattered.
    let one = [
        "sum",
        "copy",
        "embedding",
        "gemm",
        "silu_mul",
        "gemm",
        "mul",
        "embedding",
    ];
    assert_eq!(experts, [&["copy"][..], &one.repeat(8)].concat());
}

/// Products of the experts of a Switch Transformer of four, 512 tokens in each of two sequences: rows of each.
fn rows_of_experts(spread: Spread, more: &str) -> Vec<u64> {
    let config = format!(
        r#"{{"model_type": "switch_transformers", "d_model": 64, "d_ff": 128, "num_heads": 2, "d_kv": 32, "num_layers": 2,
        "vocab_size": 100, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1{more}}}"#
    );
    let bindings = crate::model::options::Bindings {
        batch: Some(2),
        seq: Some(512),
        ..Default::default()
    };
    let switch = crate::model::hf::read(&config, "config.json", "switch", &bindings).unwrap();
    let plan = Plan {
        spread,
        ..plan(Precision::Fp32, Runtime::Eager, Path::Spelt)
    };
    let lowered = lower(&switch, &plan);
    let experts = lowered.layers.iter().find(|l| l.name.ends_with("experts"));
    let calls = experts.expect("experts").calls.iter();
    let waits = calls.clone().filter(|call| call.waits).count();
    assert_eq!(waits, 2 * 4, "the host looks twice for the tokens of each");
    let rows = calls.filter_map(|call| match &call.operator {
        Operator::Gemm(op) => Some(op.m),
        _ => None,
    });
    rows.collect()
}

/// Of each sequence an expert takes 64 tokens unless a configuration says another number; tokens that are all alike take
/// the same expert.
#[test]
fn experts_take_no_more_than_they_have_room_for() {
    assert_eq!(rows_of_experts(Spread::Even, ""), [128; 8]);
    let roomy = r#", "expert_capacity": 500"#;
    assert_eq!(rows_of_experts(Spread::Even, roomy), [256; 8]);
    assert_eq!(rows_of_experts(Spread::Alike, ""), [128; 2]);
    assert_eq!(rows_of_experts(Spread::Alike, roomy), [1000; 2]);
}

/// Scores of T5 are not divided, and positions and masks of all heads are added to them at once, on both sides.
#[test]
fn scores_of_t5_have_a_bias_and_no_scale() {
    let t5 = graph("t5-base", 1, 64);
    let lowered = lower(&t5, &plan(Precision::Fp32, Runtime::Eager, Path::Spelt));
    let attentions = lowered
        .layers
        .iter()
        .filter(|l| l.name.ends_with("attention.attention"));
    let of = |layer: &Layer| words(std::slice::from_ref(layer));
    let all: Vec<_> = attentions.map(of).collect();
    assert_eq!(all.len(), 12 + 2 * 12);
    let wanted = [
        "copy", "copy", "copy", "gemm", "add", "softmax", "gemm", "copy",
    ];
    assert!(all.iter().all(|words| *words == wanted), "{all:?}");
}

/// Switch Transformers number the tokens of each expert by a running sum, and find them by masks, twice.
#[test]
fn a_router_of_switch_counts_what_experts_take() {
    let config = r#"{"model_type": "switch_transformers", "d_model": 64, "d_ff": 128, "num_heads": 2, "d_kv": 32,
        "num_layers": 2, "vocab_size": 100, "num_experts": 4, "num_sparse_encoder_layers": 1,
        "num_sparse_decoder_layers": 1}"#;
    let bindings = crate::model::options::Bindings {
        batch: Some(2),
        seq: Some(16),
        ..Default::default()
    };
    let switch = crate::model::hf::read(config, "config.json", "switch", &bindings).unwrap();
    let router = [
        "softmax",
        "max",
        "copy",
        "copy",
        "cumsum",
        "add_scalar",
        "mul",
        "max",
    ];
    assert_eq!(layer(&switch, "choice", Runtime::Eager), router);
    assert_eq!(
        layer(&switch, "choice", Runtime::Compile).len(),
        router.len() - 1
    );
    // A mask of truth values, their number, their places.
    let found = ["sum", "copy"];
    let one = [
        &["copy"][..],
        &found,
        &["embedding", "gemm", "relu", "gemm"],
        &found,
        &["embedding"],
    ]
    .concat();
    let all = [&["copy"][..], &one.repeat(4), &["mul"]].concat();
    assert_eq!(layer(&switch, "experts", Runtime::Eager), all);
    // Sums run down the tokens of a sequence.
    let lowered = lower(&switch, &plan(Precision::Fp16, Runtime::Eager, Path::Fused));
    let calls = lowered.layers.iter().flat_map(|layer| &layer.calls);
    let scan = calls.filter_map(|call| match &call.operator {
        Operator::Scan(op) => Some([op.matrices, op.rows, op.cols]),
        _ => None,
    });
    assert_eq!(scan.collect::<Vec<_>>(), [[2, 16, 4]; 2]);
}
