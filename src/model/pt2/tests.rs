//! What operators of PyTorch compute.

use super::ops::{Shapes, rule};
use super::schema::Node;
use crate::model::graph::{Dtype, Kind, Role, Tensor};
use serde_json::{Value, json};

fn tensor(shape: &[u64], role: Role) -> Tensor {
    Tensor {
        name: "t".into(),
        dtype: Dtype::Float32,
        shape: shape.to_vec(),
        role,
    }
}

/// The class of `op` on these tensors, and batch, rows, columns and depth of its products.
fn found(op: &str, arguments: Value, inputs: &[Tensor], output: &[u64]) -> (Kind, Vec<[u64; 4]>) {
    let named = arguments.as_object().unwrap().iter();
    let named: Vec<Value> = named
        .map(|(name, arg)| json!({"name": name, "arg": arg}))
        .collect();
    let node = json!({"target": op, "inputs": named, "outputs": []});
    let node: Node = serde_json::from_value(node).unwrap();
    let output = tensor(output, Role::Activation);
    let shapes = Shapes {
        node: &node,
        inputs: inputs.iter().collect(),
        outputs: vec![&output],
    };
    let (kind, products) = rule(op, &shapes).unwrap();
    let products = products.iter().map(|p| [p.batch, p.m, p.n, p.k]);
    (kind, products.collect())
}

/// Two layers in both directions, sequences first; states stand in front of the matrices.
#[test]
fn a_recurrence_has_products_for_inputs_and_for_each_step() {
    let weight = |shape: &[u64]| tensor(shape, Role::Weight);
    let layer = |depth| {
        let one = [
            weight(&[192, depth]),
            weight(&[192, 64]),
            weight(&[192]),
            weight(&[192]),
        ];
        [one.clone(), one].concat()
    };
    let mut inputs = vec![
        tensor(&[4, 20, 32], Role::Input),
        tensor(&[4, 4, 64], Role::Constant),
    ];
    inputs.extend(layer(32));
    inputs.extend(layer(128));
    let flag = json!({"as_bool": true});
    let arguments = json!({"bidirectional": flag, "batch_first": flag});
    let (kind, products) = found("gru", arguments, &inputs, &[4, 20, 128]);
    assert_eq!(kind, Kind::Recurrent { steps: 20 });
    let expected = [
        [2, 80, 192, 32],
        [40, 4, 192, 64],
        [2, 80, 192, 128],
        [40, 4, 192, 64],
    ];
    assert_eq!(products, expected);
}

#[test]
fn equations_and_selections_are_read() {
    let given = |shape: &[u64]| tensor(shape, Role::Input);
    let operands = [given(&[2, 4, 5, 8]), given(&[2, 4, 6, 8])];
    let equation = json!({"equation": {"as_string": "bhid,bhjd->bhij"}});
    let (kind, products) = found("einsum", equation, &operands, &[2, 4, 5, 6]);
    assert_eq!((kind, products), (Kind::MatMul, vec![[8, 5, 6, 8]]));
    let of = |op, arguments| found(op, arguments, &[given(&[3, 100, 7])], &[]).0;
    let arguments = json!({"k": {"as_int": 5}, "dim": {"as_int": 1}});
    let five = Kind::Select { of: 100, chosen: 5 };
    assert_eq!(of("topk", arguments), five);
    let all = Kind::Select { of: 7, chosen: 7 };
    assert_eq!(of("sort", json!({})), all);
}

/// As PyTorch runs it: a matrix for a whole batch is one product, one that is repeated a batch.
#[test]
fn a_matrix_that_is_repeated_stays_a_batch() {
    let given = |shape: &[u64]| tensor(shape, Role::Input);
    let of = |right: &[u64]| {
        let operands = [given(&[4, 6, 32]), given(right)];
        found("matmul", json!({}), &operands, &[4, 6, 5]).1
    };
    assert_eq!(of(&[32, 5]), [[1, 24, 5, 32]]);
    assert_eq!(of(&[1, 32, 5]), [[4, 6, 5, 32]]);
}
