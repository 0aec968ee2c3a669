//! What the way back costs: operations, memory and gradients that can be counted.

use super::super::*;
use crate::kernels::operator::{Function, RowFunction};
use crate::model::graph::{Dtype, Kind, Node, Role};
use crate::model::hf::Builder;
use crate::model::options::Bindings;
use crate::model::zoo;

fn graph(name: &str) -> Graph {
    let bindings = Bindings {
        batch: Some(2),
        seq: Some(64),
        ..Bindings::default()
    };
    zoo::find(name).unwrap().build(&bindings).unwrap()
}

fn plan(precision: Precision, runtime: Runtime, optimizer: Optimizer) -> Plan {
    Plan {
        precision,
        runtime,
        attention: Path::Fused,
        training: Some(optimizer),
        cached: None,
        spread: Spread::Even,
    }
}

fn bytes(lowered: &Lowered, content: Content) -> u64 {
    let own = lowered.buffers.iter().filter(|b| b.content == content);
    own.map(|b| b.bytes).sum()
}

/// Operations of the layers of `pass` that multiply matrices.
fn products(lowered: &Lowered, pass: Pass) -> u64 {
    let pools = |layer: &&Layer| !layer.op.contains("Pool");
    let multiplies = |layer: &&Layer| layer.calls.iter().any(|call| call.operator.is_product());
    let own = lowered.layers.iter().filter(|layer| layer.pass == pass);
    own.filter(pools)
        .filter(multiplies)
        .map(|layer| layer.flops)
        .sum()
}

/// The way back multiplies twice as much as the way there, but for the gradient of the input, which nobody needs.
#[test]
fn the_way_back_is_twice_the_way_there() {
    // The first matrix that meets an input of numbers, as a part of the name of its node.
    let cases = [
        ("llama3-8b", None),
        ("mixtral-8x7b", None),
        ("gpt2", None),
        ("resnet50", Some("conv1")),
        ("vgg16", Some("features.0")),
        ("vit-base-16", Some("patch_embedding")),
    ];
    for (name, first) in cases {
        let graph = graph(name);
        let multiplied = |node: &&Node| !node.products.is_empty();
        let spared = graph.nodes.iter().find(multiplied).unwrap();
        let spared = match first {
            None => 0,
            Some(_) => u64::try_from(spared.products[0].flops()).unwrap(),
        };
        for runtime in [Runtime::Eager, Runtime::Graph] {
            let lowered = lower(&graph, &plan(Precision::Bf16, runtime, Optimizer::AdamW));
            assert!(lowered.refused.is_empty(), "{name}: {:?}", lowered.refused);
            let back = products(&lowered, Pass::Backward);
            assert_eq!(back, 2 * graph.flops() - spared, "{name} {runtime:?}");
            assert_eq!(products(&lowered, Pass::Forward), graph.flops(), "{name}");
        }
    }
}

/// Every weight of every model that can be trained has a gradient of its own size, and what the optimizer keeps of it.
#[test]
fn every_weight_has_a_gradient() {
    let mut trained = 0;
    for model in zoo::all() {
        let graph = model.build(&Bindings::default()).unwrap();
        for runtime in [Runtime::Eager, Runtime::Graph] {
            let lowered = lower(&graph, &plan(Precision::Fp16, runtime, Optimizer::Adam));
            if graph.steps.is_some() {
                assert!(!lowered.refused.is_empty(), "{}", model.name);
                continue;
            }
            if let Some(refused) = lowered.refused.first() {
                assert_eq!(refused.op, "TopK", "{}", model.name);
                continue;
            }
            trained += 1;
            let (weights, gradients) = (
                bytes(&lowered, Content::Weights),
                bytes(&lowered, Content::Gradients),
            );
            // Tables of relative positions, one for each half of T5: no kernel here knows a bias of scores.
            let tables = if model.name == "t5-base" {
                2 * 2 * 32 * 12
            } else {
                0
            };
            assert_eq!(gradients + tables, weights, "{} {runtime:?}", model.name);
            // Two moments and a weight of four bytes for each of two.
            assert_eq!(
                bytes(&lowered, Content::State),
                6 * gradients,
                "{}",
                model.name
            );
            assert_eq!(weights, 2 * graph.parameters(), "{}", model.name);
        }
    }
    assert!(trained > 100, "{trained}");
}

/// A network of two matrices: what is saved, and what is gone when the most memory is in use.
#[test]
fn activations_are_kept_for_the_way_back() {
    let mut b = Builder::new("two", Dtype::Float32);
    let x = b.input("x", Dtype::Float32, vec![4, 8]);
    let wide = b.linear("up", x, 16, false);
    let inside = b.each("act", "Relu", &[wide]);
    let y = b.linear("down", inside, 2, false);
    let graph = b.finish(&[y]);
    let step = |optimizer| lower(&graph, &plan(Precision::Fp32, Runtime::Eager, optimizer));
    let lowered = step(Optimizer::None);
    let names: Vec<&str> = lowered.layers.iter().map(|layer| &layer.name[..]).collect();
    let wanted = [
        "up",
        "act",
        "down",
        "loss",
        "loss.backward",
        "down.backward",
        "act.backward",
        "up.backward",
    ];
    assert_eq!(names, wanted);
    // In the gradient of the function: the input, its result, and the gradients on both sides of it.
    assert_eq!(lowered.activation_peak(), 4 * (4 * 8 + 3 * 4 * 16));
    let inference = Plan {
        training: None,
        ..plan(Precision::Fp32, Runtime::Eager, Optimizer::None)
    };
    assert_eq!(
        lower(&graph, &inference).activation_peak(),
        4 * (2 * 4 * 16)
    );
    let weights = 4 * (8 * 16 + 16 * 2);
    for (optimizer, state, moved) in [(Optimizer::Sgd, 0, 3), (Optimizer::AdamW, 2 * weights, 7)] {
        let lowered = step(optimizer);
        assert_eq!(bytes(&lowered, Content::State), state);
        let last = lowered.layers.last().unwrap();
        assert_eq!((last.pass, last.bytes), (Pass::Optimizer, moved * weights));
    }
}

/// Where each gradient of a product comes from, by its extents.
#[test]
fn products_are_turned_around() {
    let mut b = Builder::new("one", Dtype::Float32);
    let ids = b.input("ids", Dtype::Int64, vec![1, 6]);
    let table = b.weight("table", [10, 8]);
    let x = b.lookup("tokens", table, ids);
    let y = b.project("head", x, table, None);
    let graph = b.finish(&[y]);
    let lowered = lower(
        &graph,
        &plan(Precision::Fp32, Runtime::Eager, Optimizer::None),
    );
    let of = |name: &str| {
        let layer = lowered
            .layers
            .iter()
            .find(|layer| layer.name == name)
            .unwrap();
        layer.calls.clone()
    };
    let edges: Vec<[u64; 3]> = of("head.backward")
        .iter()
        .filter_map(|call| match &call.operator {
            Operator::Gemm(op) => Some([op.m, op.n, op.k]),
            _ => None,
        })
        .collect();
    assert_eq!(edges, [[6, 8, 10], [10, 8, 6]]);
    // The table has two gradients: the second is made apart, and added to the first where that lies.
    let calls = of("tokens.backward");
    let Operator::Elementwise(last) = &calls.last().unwrap().operator else {
        panic!("no sum");
    };
    assert_eq!((last.function, last.n), (Function::Add, 80));
    assert_eq!(
        calls.last().unwrap().writes,
        of("head.backward").last().unwrap().writes
    );
}

/// One operator makes the gradients of an attention; heads that share keys add theirs.
#[test]
fn attention_goes_back_in_one_operator() {
    let graph = graph("llama3-8b");
    let lowered = lower(
        &graph,
        &plan(Precision::Bf16, Runtime::Graph, Optimizer::None),
    );
    let name = "layers.5.self_attn.attention.backward";
    let layer = lowered
        .layers
        .iter()
        .find(|layer| layer.name == name)
        .unwrap();
    let Operator::Attention(op) = &layer.calls[0].operator else {
        panic!("no attention");
    };
    assert_eq!((op.backward, op.heads, op.kv_heads), (1, 32, 32));
    let of_keys = 2 * 64 * 8 * 128;
    let sums = layer.calls[1..].iter().map(|call| match &call.operator {
        Operator::Rows(op) if op.function == RowFunction::Sum => [op.rows, op.cols],
        other => panic!("{other:?}"),
    });
    assert_eq!(sums.collect::<Vec<_>>(), [[of_keys, 4]; 2]);
}

/// What cannot be differentiated is named.
#[test]
fn a_recurrence_is_refused() {
    let mut graph = Graph::default();
    let x = graph.tensor("x", Dtype::Float32, vec![5, 1, 4], Role::Input);
    let w = graph.tensor("w", Dtype::Float32, vec![16, 4], Role::Weight);
    let y = graph.tensor("y", Dtype::Float32, vec![5, 1, 4], Role::Activation);
    graph.nodes.push(Node {
        name: "steps".into(),
        op: "LSTM".into(),
        kind: Kind::Recurrent { steps: 5 },
        inputs: vec![x, w],
        outputs: vec![y],
        products: Vec::new(),
    });
    graph.outputs = vec![y];
    let plan = plan(Precision::Fp32, Runtime::Eager, Optimizer::Sgd);
    let refused = lower(&graph, &plan).refused;
    assert_eq!((refused.len(), &refused[0].node[..]), (1, "steps"));
    assert!(refused[0].reason.contains("recurrence"), "{refused:?}");
}
