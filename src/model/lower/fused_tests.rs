//! What a runtime fuses, and what a framework runs one by one.

use super::tests::{graph, plan, words, written};
use super::*;
use crate::kernels::operator::Operator;
use Kind::{Elementwise as E, MatMul};

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
