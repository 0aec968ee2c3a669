//! Operators that exporters write around others: shapes that are computed, sequences, scans, products of weights.

use super::write::{Message, Parts, graph_attribute, int, ints, node, numbers, value, weight};
use super::{body, bound};
use crate::model::graph::{Graph, Kind};
use crate::model::options::Bindings;

fn read(parts: &Parts) -> Graph {
    parts.read(&Bindings::default()).unwrap()
}

fn shape<'g>(graph: &'g Graph, name: &str) -> &'g [u64] {
    let found = graph.tensors.iter().find(|t| t.name == name);
    &found.expect(name).shape
}

/// How PyTorch writes padding: pairs from the last dimension to the first, turned around.
#[test]
fn pads_that_are_turned_around_are_computed() {
    let parts = Parts {
        nodes: vec![
            node("Concat", &["given", "none"], &["all"], &[int("axis", 0)]),
            node("Reshape", &["all", "pairs"], &["a"], &[]),
            node(
                "Slice",
                &["a", "last", "before", "zero", "last"],
                &["b"],
                &[],
            ),
            node("Transpose", &["b"], &["c"], &[ints("perm", &[1, 0])]),
            node("Reshape", &["c", "flat"], &["pads"], &[]),
            node("Pad", &["x", "pads"], &["y"], &[]),
        ],
        weights: vec![
            numbers("given", &[1, 2, 3, 4]),
            numbers("none", &[0, 0]),
            numbers("pairs", &[-1, 2]),
            numbers("last", &[-1]),
            numbers("before", &[-i64::MAX]),
            numbers("zero", &[0]),
            numbers("flat", &[-1]),
        ],
        inputs: vec![value("x", 1, &["5", "6", "7"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    // The last dimension gets 1 and 2 more, the one in front of it 3 and 4.
    assert_eq!(shape(&read(&parts), "y"), [5, 13, 10]);
}

/// Elements of constants with two dimensions, picked by columns, repeated and put side by side.
#[test]
fn values_of_matrices_are_followed() {
    let parts = Parts {
        nodes: vec![
            node("Reshape", &["six", "rows"], &["m"], &[]),
            node("Gather", &["m", "picked"], &["column"], &[int("axis", 1)]),
            node("Tile", &["column", "twice"], &["tiled"], &[]),
            node("Concat", &["tiled", "m"], &["wide"], &[int("axis", 1)]),
            node("Reshape", &["wide", "flat"], &["target"], &[]),
            node("Expand", &["x", "target"], &["y"], &[]),
        ],
        weights: vec![
            numbers("six", &[1, 2, 3, 4, 5, 6]),
            numbers("rows", &[2, 3]),
            numbers("picked", &[-1]),
            numbers("twice", &[1, 2]),
            numbers("flat", &[-1]),
        ],
        inputs: vec![value("x", 1, &["1"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    assert_eq!(shape(&read(&parts), "y"), [3, 3, 1, 2, 3, 6, 6, 4, 5, 6]);
}

/// Sizes that a detector computes: a quotient of 32-bit floats, bounded and rounded down.
#[test]
fn sizes_are_computed_through_floats() {
    let scalar = |name: &str, x: f32| weight(name, 1, &[]).bytes(9, &x.to_le_bytes());
    let parts = Parts {
        nodes: vec![
            node("Reciprocal", &["edge"], &["r"], &[]),
            node("Mul", &["r", "wanted"], &["scale"], &[]),
            node("Clip", &["scale", "", "most"], &["bounded"], &[]),
            node("Mul", &["bounded", "edge"], &["size"], &[]),
            node("Floor", &["size"], &["down"], &[]),
            node("Unsqueeze", &["down", "zero"], &["row"], &[]),
            node("Cast", &["row"], &["target"], &[int("to", 7)]),
            node("Expand", &["x", "target"], &["y"], &[]),
        ],
        weights: vec![
            scalar("edge", 480.0),
            scalar("wanted", 800.0),
            scalar("most", 1.5),
            numbers("zero", &[0]),
        ],
        inputs: vec![value("x", 1, &["1"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    assert_eq!(shape(&read(&parts), "y"), [720]);
}

/// A table of positions that goes through layers of its own is multiplied in every run.
#[test]
fn products_of_weights_alone_are_counted() {
    let parts = Parts {
        nodes: vec![
            node("Relu", &["table"], &["places"], &[]),
            node("MatMul", &["places", "w"], &["bias"], &[]),
            node("Add", &["x", "bias"], &["y"], &[]),
        ],
        weights: vec![weight("table", 1, &[9, 4]), weight("w", 1, &[4, 8])],
        inputs: vec![value("x", 1, &["9", "8"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    let graph = read(&parts);
    assert_eq!(graph.flops(), 2 * 9 * 8 * 4);
    assert_eq!(graph.nodes[0].kind, Kind::Free);
    assert_eq!(graph.nodes[1].kind, Kind::MatMul);
}

/// A matrix for a whole batch makes one product; one with dimensions in front of it is repeated.
#[test]
fn a_matrix_that_is_repeated_stays_a_batch() {
    let product = |right: &[&str]| {
        let parts = Parts {
            nodes: vec![node("MatMul", &["x", "w"], &["y"], &[])],
            inputs: vec![value("x", 1, &["4", "6", "32"]), value("w", 1, right)],
            outputs: vec![value("y", 1, &[])],
            ..Parts::default()
        };
        let product = read(&parts).nodes[0].products[0];
        (product.m, product.batch)
    };
    assert_eq!(product(&["32", "5"]), (24, 1));
    assert_eq!(product(&["1", "32", "5"]), (6, 4));
}

#[test]
fn a_sequence_is_a_name_for_its_tensors() {
    let mut parts = Parts {
        nodes: vec![
            node(
                "SplitToSequence",
                &["x", "sizes"],
                &["s"],
                &[int("axis", 1)],
            ),
            node("SequenceAt", &["s", "one"], &["second"], &[]),
            node("MatMul", &["second", "w"], &["made"], &[]),
            node("SequenceInsert", &["s", "made"], &["longer"], &[]),
            node("SequenceErase", &["longer", "one"], &["kept"], &[]),
            node("SequenceLength", &["kept"], &["count"], &[]),
            node("ConcatFromSequence", &["kept"], &["y"], &[int("axis", 1)]),
        ],
        weights: vec![
            numbers("sizes", &[2, 5]),
            weight("one", 7, &[]).int(7, 1),
            weight("w", 1, &[5, 8]),
        ],
        inputs: vec![value("x", 1, &["3", "7"])],
        outputs: vec![value("y", 1, &[]), value("kept", 1, &[])],
        functions: Vec::new(),
    };
    let graph = read(&parts);
    assert_eq!(shape(&graph, "y"), [3, 10]);
    assert_eq!(graph.flops(), 2 * 3 * 8 * 5);
    // A sequence that the caller gets is its tensors.
    assert_eq!(graph.outputs.len(), 3);
    parts.nodes.push(node("Relu", &["kept"], &["r"], &[]));
    assert!(
        parts
            .refused(&Bindings::default())
            .contains("the_r (Relu): it reads a sequence")
    );
    parts.nodes.pop();
    parts.weights[1] = weight("one", 7, &[]).int(7, 9);
    assert!(
        parts
            .refused(&Bindings::default())
            .contains("position 9 is outside")
    );
}

/// h = tanh(h W + x) for each of the rows of x.
#[test]
fn a_scan_has_a_turn_for_each_slice() {
    let nodes = vec![
        node("MatMul", &["before", "w"], &["times"], &[]),
        node("Add", &["times", "row"], &["sum"], &[]),
        node("Tanh", &["sum"], &["after"], &[]),
        node("Identity", &["after"], &["kept"], &[]),
    ];
    let inputs = vec![value("before", 1, &[]), value("row", 1, &[])];
    let turn = body(nodes, inputs, &["after", "kept"]);
    let scan = |attributes: &[Message]| {
        let mut all = vec![graph_attribute("body", &turn)];
        all.extend_from_slice(attributes);
        Parts {
            nodes: vec![node("Scan", &["start", "x"], &["last", "y"], &all)],
            weights: vec![weight("w", 1, &[8, 8])],
            inputs: vec![
                value("start", 1, &["4", "8"]),
                value("x", 1, &["6", "4", "8"]),
            ],
            outputs: vec![value("last", 1, &[]), value("y", 1, &[])],
            functions: Vec::new(),
        }
    };
    let one = int("num_scan_inputs", 1);
    let graph = read(&scan(std::slice::from_ref(&one)));
    assert_eq!(graph.flops(), 6 * 2 * 4 * 8 * 8);
    let last: Vec<&[u64]> = graph
        .outputs
        .iter()
        .map(|&id| &graph.tensors[id].shape[..])
        .collect();
    assert_eq!(last, [&[4, 8][..], &[6, 4, 8]]);
    let wrong = scan(&[one, ints("scan_input_axes", &[3])]);
    assert!(wrong.refused(&Bindings::default()).contains("dimension 3"));
    let none = scan(&[int("num_scan_inputs", 9)]);
    assert!(
        none.refused(&Bindings::default())
            .contains("num_scan_inputs")
    );
}

/// ONNX Runtime puts channels last where it quantises, and weights of a recurrence below one another.
#[test]
fn quantised_operators_lie_as_their_runtime_wants_them() {
    let own = |node: Message| node.text(7, "com.microsoft");
    let scales = ["s", "z", "s", "z"];
    let pool = ["kernel_shape", "strides"].map(|name| ints(name, &[2, 2]));
    let last = int("channels_last", 1);
    let parts = Parts {
        nodes: vec![
            own(node(
                "QLinearAveragePool",
                &[&["x"][..], &scales].concat(),
                &["pooled"],
                &[&pool[..], std::slice::from_ref(&last)].concat(),
            )),
            own(node(
                "NhwcMaxPool",
                &["pooled"],
                &["greatest"],
                &[ints("kernel_shape", &[2, 1])],
            )),
            own(node(
                "QLinearConv",
                &["greatest", "s", "z", "w", "s", "z", "s", "z"],
                &["y"],
                &[last],
            )),
            own(node(
                "DynamicQuantizeLSTM",
                &["sequence", "in", "state"],
                &["h"],
                &[int("hidden_size", 4)],
            )),
        ],
        weights: vec![
            weight("s", 1, &[]),
            weight("z", 2, &[]),
            weight("w", 2, &[16, 3, 1, 1]),
            weight("in", 2, &[1, 5, 16]),
            weight("state", 2, &[1, 4, 16]),
        ],
        inputs: vec![
            value("x", 2, &["1", "8", "6", "3"]),
            value("sequence", 1, &["7", "2", "5"]),
        ],
        outputs: vec![value("y", 2, &[]), value("h", 1, &[])],
        functions: Vec::new(),
    };
    let graph = read(&parts);
    assert_eq!(shape(&graph, "pooled"), [1, 4, 3, 3]);
    assert_eq!(shape(&graph, "y"), [1, 3, 3, 16]);
    assert_eq!(shape(&graph, "h"), [7, 1, 2, 4]);
    let gates = 7 * 2 * 16 * (5 + 4);
    assert_eq!(graph.flops(), 2 * (9 * 16 * 3 + gates));
}

#[test]
fn the_greatest_are_selected() {
    let parts = Parts {
        nodes: vec![node("TopK", &["x", "k"], &["y", "places"], &[])],
        weights: vec![numbers("k", &[5])],
        inputs: vec![value("x", 1, &["batch", "100"])],
        outputs: vec![value("y", 1, &[])],
        functions: Vec::new(),
    };
    let graph = parts.read(&bound(&["batch=3"])).unwrap();
    let kind = Kind::Select { of: 100, chosen: 5 };
    assert_eq!(graph.nodes[0].kind, kind);
    assert_eq!(shape(&graph, "places"), [3, 5]);
}

/// Experts of ONNX Runtime: scores go in, and the operator chooses by itself.
#[test]
fn experts_of_onnx_runtime_choose_by_themselves() {
    let moe = |k: i64, down: &[i64]| Parts {
        nodes: vec![
            node(
                "MoE",
                &["x", "scores", "up", "", "down"],
                &["y"],
                &[int("k", k)],
            )
            .text(7, "com.microsoft"),
        ],
        weights: vec![weight("up", 1, &[4, 8, 32]), weight("down", 1, down)],
        inputs: vec![
            value("x", 1, &["2", "6", "8"]),
            value("scores", 1, &["12", "4"]),
        ],
        outputs: vec![value("y", 1, &["2", "6", "8"])],
        functions: Vec::new(),
    };
    let graph = read(&moe(2, &[4, 32, 8]));
    assert_eq!(shape(&graph, "y"), [2, 6, 8]);
    assert_eq!(graph.flops(), 2 * 12 * 2 * (8 * 32 + 32 * 8));
    let refused = moe(5, &[4, 32, 8]).refused(&Bindings::default());
    assert!(refused.contains("k = 5"), "{refused}");
    let refused = moe(2, &[4, 16, 8]).refused(&Bindings::default());
    assert!(refused.contains("do not fit"), "{refused}");
}
