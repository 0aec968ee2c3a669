//! What must hold of a graph before anything is computed from it.

use super::graph::{Graph, Role, Shape};
use crate::error::{Error, Result};

/// Most elements of a tensor. A thousand times the largest table of any model; sums of such tensors fit 64 bits.
pub const ELEMENTS_MAX: u64 = 1 << 44;
/// Most nodes of a graph.
pub const NODES_MAX: usize = 200_000;
/// Most dimensions of a tensor.
pub const RANK_MAX: usize = 16;

/// Number of elements of `shape`, if a tensor may have so many.
///
/// # Errors
/// What is wrong with it.
pub fn elements(shape: &[u64]) -> std::result::Result<u64, String> {
    if shape.len() > RANK_MAX {
        return Err(format!(
            "{} dimensions, more than the {RANK_MAX} that are read",
            shape.len()
        ));
    }
    // Zeros must not hide an extent that is too large.
    let size = shape
        .iter()
        .try_fold(1u64, |product, &n| product.checked_mul(n.max(1)));
    match size.filter(|&n| n <= ELEMENTS_MAX) {
        None => Err(format!(
            "a shape of {} has more than the 2^{} elements that a tensor may have",
            show(shape),
            ELEMENTS_MAX.trailing_zeros()
        )),
        Some(size) => Ok(match shape.contains(&0) {
            true => 0,
            false => size,
        }),
    }
}

/// `2x3x4`, or `scalar`.
pub fn show(shape: &[u64]) -> String {
    match shape.is_empty() {
        true => "scalar".into(),
        false => {
            let numbers: Vec<String> = shape.iter().map(u64::to_string).collect();
            numbers.join("x")
        }
    }
}

/// The shape that tensors of shapes `a` and `b` have together; `None` when they do not fit.
pub fn broadcast(a: &[u64], b: &[u64]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at = |s: &[u64], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (1, n) | (n, 1) => Some(n),
            (n, m) => (n == m).then_some(n),
        })
        .collect()
}

impl Graph {
    /// Checks the graph as a whole: names of tensors in reach, sizes, order of nodes, sums that fit.
    ///
    /// # Errors
    /// The first fault, with node or tensor and remedy.
    pub fn check(&self, file: &str) -> Result<()> {
        let fault = |place: String, what: String| {
            Err(Error::input(
                file,
                place,
                what,
                "correct the model and export it again",
            ))
        };
        for tensor in &self.tensors {
            if let Err(what) = elements(&tensor.shape) {
                return fault(format!("tensor {}", tensor.name), what);
            }
        }
        // No sum below may wrap: bytes of all tensors together stay under 2^63.
        let bytes: u128 = self.tensors.iter().map(|t| u128::from(t.bytes())).sum();
        if bytes > u128::from(u64::MAX >> 1) {
            return fault(
                "whole graph".into(),
                "its tensors have more bytes than 64 bits count".into(),
            );
        }
        self.check_order().or_else(|(node, what)| {
            let node = &self.nodes[node];
            fault(format!("node {} ({})", node.name, node.op), what)
        })?;
        match self.all_flops() > u128::from(u64::MAX) {
            true => fault(
                "whole graph".into(),
                "it has more operations than 64 bits count".into(),
            ),
            false => Ok(()),
        }
    }

    /// Every node reads what exists before it, and no tensor is made twice.
    fn check_order(&self) -> std::result::Result<(), (usize, String)> {
        let mut made: Vec<bool> = self
            .tensors
            .iter()
            .map(|t| t.role == Role::Weight || t.role == Role::Input)
            .collect();
        for node in &self.nodes {
            for &output in &node.outputs {
                // Constants that no node makes exist from the start.
                made[output] = false;
            }
        }
        let by_node: std::collections::BTreeSet<usize> = self
            .nodes
            .iter()
            .flat_map(|n| n.outputs.iter().copied())
            .collect();
        for (id, tensor) in self.tensors.iter().enumerate() {
            made[id] |= tensor.role == Role::Constant && !by_node.contains(&id);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                if !made[input] {
                    let name = &self.tensors[input].name;
                    return Err((index, format!("it reads {name} before it is made")));
                }
            }
            for &output in &node.outputs {
                if std::mem::replace(&mut made[output], true) {
                    let name = &self.tensors[output].name;
                    return Err((index, format!("it makes {name}, which exists already")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Dtype, Kind, Node};
    use super::*;

    #[test]
    fn shapes_broadcast_as_numpy_has_it() {
        assert_eq!(broadcast(&[4, 1, 3], &[2, 1]), Some(vec![4, 2, 3]));
        assert_eq!(broadcast(&[], &[5]), Some(vec![5]));
        assert_eq!(broadcast(&[2], &[3]), None);
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        assert_eq!(elements(&[2, 3]), Ok(6));
        assert_eq!(elements(&[0, 5]), Ok(0));
        assert!(elements(&[1 << 60]).is_err());
        assert!(elements(&[1 << 40, 1 << 40]).is_err());
        assert!(elements(&[0, 1 << 60]).is_err());
        assert!(elements(&[1; 17]).is_err());
    }

    #[test]
    fn a_node_that_reads_what_comes_later_is_named() {
        let mut graph = Graph::default();
        let a = graph.tensor("a", Dtype::Float32, vec![2], Role::Activation);
        let b = graph.tensor("b", Dtype::Float32, vec![2], Role::Activation);
        let node = |name: &str, inputs, outputs| Node {
            name: name.into(),
            op: "Relu".into(),
            kind: Kind::Elementwise,
            inputs,
            outputs,
            products: Vec::new(),
        };
        graph.nodes.push(node("one", vec![b], vec![a]));
        graph.nodes.push(node("two", vec![a], vec![b]));
        let refused = graph.check("m").unwrap_err().to_string();
        assert!(
            refused.contains("node one") && refused.contains("reads b"),
            "{refused}"
        );
    }
}
