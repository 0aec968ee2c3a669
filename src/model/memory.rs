//! How much memory a graph needs: weights, the most that activations take at one time, keys and values.

use super::graph::{Graph, Role};
use serde::Serialize;

/// Bytes that a model needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All weights.
    pub weights_bytes: u64,
    /// The most that inputs and activations take at one time, when nodes run in order, every output has memory of its
    /// own, and a tensor is given back after its last reader.
    pub activation_peak_bytes: u64,
    /// Keys and values that are kept from one token to the next.
    pub kv_cache_bytes: u64,
}

impl Graph {
    /// The memory that this graph needs.
    pub fn memory(&self) -> Memory {
        Memory {
            weights_bytes: self.weights().map(|t| t.bytes()).sum(),
            activation_peak_bytes: self.activation_peak(),
            kv_cache_bytes: self.kv_cache_bytes,
        }
    }

    fn activation_peak(&self) -> u64 {
        let counts = |id: usize| matches!(self.tensors[id].role, Role::Input | Role::Activation);
        // The node after which a tensor is not needed any more; outputs stay.
        let mut last: Vec<Option<usize>> = vec![None; self.tensors.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &id in node.inputs.iter().chain(&node.outputs) {
                last[id] = Some(index);
            }
        }
        for &id in &self.outputs {
            last[id] = None;
        }
        let bytes = |id: usize| self.tensors[id].bytes();
        let mut live: u64 = self
            .inputs
            .iter()
            .copied()
            .filter(|&i| counts(i))
            .map(bytes)
            .sum();
        let mut peak = live;
        for (index, node) in self.nodes.iter().enumerate() {
            let made = node.outputs.iter().copied().filter(|&id| counts(id));
            live += made.map(bytes).sum::<u64>();
            peak = peak.max(live);
            let mut ended: Vec<usize> = node.inputs.iter().chain(&node.outputs).copied().collect();
            ended.sort_unstable();
            ended.dedup();
            ended.retain(|&id| last[id] == Some(index) && counts(id));
            live -= ended.into_iter().map(bytes).sum::<u64>();
        }
        peak
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Dtype, Kind, Node};
    use super::*;

    #[test]
    fn a_tensor_is_given_back_after_its_last_reader() {
        let mut graph = Graph::default();
        let x = graph.tensor("x", Dtype::Float32, vec![100], Role::Input);
        let w = graph.tensor("w", Dtype::Float16, vec![50], Role::Weight);
        let ids: Vec<usize> = (0..3)
            .map(|i| {
                graph.tensor(
                    format!("t{i}"),
                    Dtype::Float32,
                    vec![10 << i],
                    Role::Activation,
                )
            })
            .collect();
        graph.inputs.push(x);
        graph.outputs.push(ids[2]);
        let chain = [
            (vec![x, w], ids[0]),
            (vec![ids[0]], ids[1]),
            (vec![ids[1]], ids[2]),
        ];
        for (inputs, output) in chain {
            graph.nodes.push(Node {
                name: String::new(),
                op: "Add".into(),
                kind: Kind::Elementwise,
                inputs,
                outputs: vec![output],
                products: Vec::new(),
            });
        }
        let memory = graph.memory();
        assert_eq!(memory.weights_bytes, 100);
        assert_eq!(
            memory.activation_peak_bytes, 440,
            "the input and the first result"
        );
    }
}
