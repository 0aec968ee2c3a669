//! ONNX models written by hand, byte by byte, and what is read from them.

mod operators;
mod write;

use crate::model::graph::{Dtype, Kind};
use crate::model::options::Bindings;
use proptest::prelude::*;
use write::{Message, Parts, graph_attribute, int, ints, node, numbers, value, weight};

/// y = relu(x W + b) of `batch` x 4 with W of 4 x 8.
fn layer(batch: &str) -> Parts {
    Parts {
        nodes: vec![
            node("Gemm", &["x", "w", "b"], &["h"], &[]),
            node("Relu", &["h"], &["y"], &[]),
        ],
        weights: vec![weight("w", 1, &[4, 8]), weight("b", 1, &[8])],
        inputs: vec![value("x", 1, &[batch, "4"])],
        outputs: vec![value("y", 1, &[batch, "8"])],
        functions: Vec::new(),
    }
}

fn bound(dims: &[&str]) -> Bindings {
    let dims: Vec<String> = dims.iter().map(|s| s.to_string()).collect();
    Bindings::parse(&dims, &[]).unwrap()
}

#[test]
fn a_layer_is_read_with_its_product_and_memory() {
    let graph = layer("3").read(&Bindings::default()).unwrap();
    assert_eq!(graph.name, "hand_made");
    assert_eq!(graph.parameters(), 40);
    assert_eq!(graph.flops(), 2 * 3 * 4 * 8);
    // The result of the product and that of the ReLU; the input has gone by then.
    assert_eq!(graph.memory().activation_peak_bytes, 4 * (24 + 24));
    let product = graph.nodes[0].products[0];
    assert_eq!((product.m, product.n, product.k), (3, 8, 4));
}

#[test]
fn an_open_extent_is_asked_for_by_name() {
    let open = layer("batch");
    let refused = open.refused(&Bindings::default());
    assert!(
        refused.contains("batch of input x") && refused.contains("--dim batch=8"),
        "{refused}"
    );
    assert_eq!(open.read(&bound(&["batch=5"])).unwrap().flops(), 2 * 5 * 32);
    let by_size = Bindings {
        batch: Some(7),
        ..Bindings::default()
    };
    assert_eq!(open.read(&by_size).unwrap().flops(), 2 * 7 * 32);
    let misspelt = open.refused(&bound(&["batch=5", "bach=5"]));
    assert!(misspelt.contains("it has: batch"), "{misspelt}");
    let shapes = Bindings::parse(&[], &["x=2x4".into()]).unwrap();
    assert_eq!(open.read(&shapes).unwrap().flops(), 2 * 2 * 32);
    let wrong = Bindings::parse(&[], &["x=2x5".into()]).unwrap();
    assert!(open.refused(&wrong).contains("extent 1 is 4"));
}

#[test]
fn shapes_that_a_model_computes_are_computed() {
    // reshape(x, [shape(x)[0] * 2, -1])
    let mut parts = Parts {
        nodes: vec![
            node("Shape", &["x"], &["s"], &[]),
            node("Gather", &["s", "zero"], &["n"], &[int("axis", 0)]),
            node("Mul", &["n", "two"], &["m"], &[]),
            node("Concat", &["m", "rest"], &["t"], &[int("axis", 0)]),
            node("Reshape", &["x", "t"], &["y"], &[]),
        ],
        weights: vec![
            numbers("zero", &[0]),
            numbers("two", &[2]),
            numbers("rest", &[-1]),
        ],
        inputs: vec![value("x", 10, &["n", "6"])],
        outputs: vec![value("y", 10, &[])],
        functions: Vec::new(),
    };
    let graph = parts.read(&bound(&["n=5"])).unwrap();
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [10, 3]);
    assert!(graph.nodes.iter().all(|node| node.kind == Kind::Free));
    // The same with a shape that is not known before a run.
    parts.inputs.push(value("two", 7, &["1"]));
    parts.weights.remove(1);
    let refused = parts.refused(&bound(&["n=5"]));
    assert!(
        refused.contains("the_y") && refused.contains("not known before a run"),
        "{refused}"
    );
}

/// A graph of `nodes` that makes `outputs`, as the body of a branch or loop.
fn body(nodes: Vec<Message>, inputs: Vec<Message>, outputs: &[&str]) -> Message {
    let parts = Parts {
        nodes,
        inputs,
        outputs: outputs.iter().map(|name| value(name, 1, &[])).collect(),
        ..Parts::default()
    };
    parts.graph()
}

#[test]
fn one_branch_is_read_and_the_choice_is_noted() {
    let branch = |weight: &str| {
        body(
            vec![node("MatMul", &["x", weight], &["z"], &[])],
            vec![],
            &["z"],
        )
    };
    let branches = [
        graph_attribute("then_branch", &branch("narrow")),
        graph_attribute("else_branch", &branch("wide")),
    ];
    let mut parts = Parts {
        nodes: vec![node("If", &["flag"], &["y"], &branches)],
        weights: vec![weight("narrow", 1, &[4, 8]), weight("wide", 1, &[4, 80])],
        inputs: vec![value("x", 1, &["3", "4"]), value("flag", 9, &[])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    let graph = parts.read(&Bindings::default()).unwrap();
    assert_eq!(graph.flops(), 2 * 3 * 4 * 8);
    assert!(
        graph
            .notes
            .iter()
            .any(|note| note.contains("then_branch is counted"))
    );
    // A condition that is known chooses, and there is nothing to note.
    parts.inputs.pop();
    parts.weights.push(weight("flag", 9, &[1]).int(5, 0));
    let graph = parts.read(&Bindings::default()).unwrap();
    assert_eq!(graph.flops(), 2 * 3 * 4 * 80);
    assert!(graph.notes.is_empty());
}

#[test]
fn a_loop_is_the_nodes_of_its_turns() {
    let nodes = vec![
        node("MatMul", &["before", "square"], &["after"], &[]),
        node("Identity", &["going"], &["on"], &[]),
        node("Relu", &["after"], &["kept"], &[]),
    ];
    let inputs = vec![
        value("i", 7, &[]),
        value("going", 9, &[]),
        value("before", 1, &["3", "4"]),
    ];
    let turns = body(nodes, inputs, &["on", "after", "kept"]);
    let parts = Parts {
        nodes: vec![node(
            "Loop",
            &["five", "", "x"],
            &["l", "all"],
            &[graph_attribute("body", &turns)],
        )],
        weights: vec![weight("square", 1, &[4, 4]), numbers("five", &[5])],
        inputs: vec![value("x", 1, &["3", "4"])],
        outputs: vec![value("l", 1, &[]), value("all", 1, &[])],
        functions: Vec::new(),
    };
    let graph = parts.read(&Bindings::default()).unwrap();
    assert_eq!(graph.flops(), 5 * 2 * 3 * 4 * 4);
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [3, 4]);
    assert_eq!(graph.tensors[graph.outputs[1]].shape, [5, 3, 4]);
}

#[test]
fn a_function_is_the_nodes_of_its_body() {
    let function = Message::default()
        .text(1, "Twice")
        .text(4, "a")
        .text(5, "c")
        .bytes(7, &node("Relu", &["a"], &["b"], &[]).0)
        .bytes(7, &node("Relu", &["b"], &["c"], &[]).0)
        .text(10, "own");
    let mut parts = layer("3");
    parts.nodes[1] = node("Twice", &["h"], &["y"], &[]).text(7, "own");
    parts.functions.push(function);
    let graph = parts.read(&Bindings::default()).unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| &node.name[..]).collect();
    assert_eq!(names, ["the_h", "the_y/the_b", "the_y/the_c"]);
    assert_eq!(graph.tensors[graph.outputs[0]].dtype, Dtype::Float32);
}

#[test]
fn what_would_run_without_an_end_is_refused() {
    let body = Parts {
        nodes: vec![node("Identity", &["going"], &["on"], &[])],
        inputs: vec![value("i", 7, &[]), value("going", 9, &[])],
        outputs: vec![value("on", 9, &[])],
        ..Parts::default()
    };
    let endless = |turns: i64| Parts {
        nodes: vec![node(
            "Loop",
            &["turns", ""],
            &["nothing"],
            &[graph_attribute("body", &body.graph())],
        )],
        weights: vec![numbers("turns", &[turns])],
        ..Parts::default()
    };
    assert!(
        endless(1 << 50)
            .refused(&Bindings::default())
            .contains("200000 nodes")
    );
    // A function that calls itself.
    let mut parts = layer("3");
    let inner = node("Again", &["a"], &["b"], &[]).text(7, "own");
    parts.functions.push(
        Message::default()
            .text(1, "Again")
            .text(4, "a")
            .text(5, "b")
            .bytes(7, &inner.0)
            .text(10, "own"),
    );
    parts.nodes[1] = node("Again", &["h"], &["y"], &[]).text(7, "own");
    assert!(
        parts
            .refused(&Bindings::default())
            .contains("nested more than")
    );
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let with = |change: &dyn Fn(&mut Parts)| {
        let mut parts = layer("3");
        change(&mut parts);
        parts.refused(&Bindings::default())
    };
    type Change<'a> = &'a dyn Fn(&mut Parts);
    let cases: [(Change<'_>, &str, &str); 9] = [
        (
            &|p| p.nodes[0] = node("Gemm", &["x", "v", "b"], &["h"], &[]),
            "the_h",
            "reads v",
        ),
        (&|p| p.nodes.swap(0, 1), "the_y", "reads h"),
        (
            &|p| p.nodes[1] = node("Relu", &["h"], &["h"], &[]),
            "the_h",
            "makes h",
        ),
        (
            &|p| p.nodes[1] = node("Frobnicate", &["h"], &["y"], &[]),
            "the_y",
            "Frobnicate",
        ),
        (
            &|p| p.weights[0] = weight("w", 7, &[4, 8]),
            "the_h",
            "int64",
        ),
        (&|p| p.weights[0] = weight("w", 1, &[5, 8]), "the_h", "5x8"),
        (
            &|p| p.weights[0] = weight("w", 1, &[1 << 60, 8]),
            "initializer w",
            "2^44",
        ),
        (
            &|p| p.inputs[0] = value("x", 1, &["-3", "4"]),
            "input x",
            "-3",
        ),
        (
            &|p| p.weights[0] = weight("w", 99, &[4, 8]),
            "initializer w",
            "99",
        ),
    ];
    for (change, place, what) in cases {
        let refused = with(change);
        assert!(
            refused.contains(place) && refused.contains(what),
            "{refused}"
        );
    }
}

#[test]
fn an_unknown_operator_counts_as_nothing_on_request() {
    let mut parts = layer("3");
    parts.nodes[1] = node("Frobnicate", &["h"], &["y"], &[]);
    let bindings = Bindings {
        skip_unknown: true,
        ..Bindings::default()
    };
    let graph = parts.read(&bindings).unwrap();
    assert!(matches!(graph.nodes[1].kind, Kind::Unsupported(_)));
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [3, 8]);
}

#[test]
fn convolutions_are_products() {
    let parts = Parts {
        nodes: vec![node(
            "Conv",
            &["x", "w"],
            &["y"],
            &[
                ints("pads", &[1, 1, 1, 1]),
                ints("strides", &[2, 2]),
                int("group", 2),
            ],
        )],
        weights: vec![weight("w", 1, &[6, 2, 3, 3])],
        inputs: vec![value("x", 1, &["2", "4", "7", "8"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    let graph = parts.read(&Bindings::default()).unwrap();
    assert_eq!(graph.tensors[graph.outputs[0]].shape, [2, 6, 4, 4]);
    let product = graph.nodes[0].products[0];
    let shape = (product.m, product.n, product.k, product.batch);
    assert_eq!(shape, (32, 3, 18, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Damage of any kind is refused or read, in no time, and what is read is sound.
    #[test]
    fn a_damaged_file_never_panics(
        at in 0usize..400,
        byte: u8,
        cut in proptest::option::of(0usize..400),
    ) {
        let mut bytes = layer("3").file();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut % length);
        }
        if let Ok(graph) = super::read(&bytes, "m.onnx", &Bindings::default()) {
            let _ = graph.check("m.onnx").map(|()| (graph.flops(), graph.memory(), graph.parameters()));
        }
    }
}
