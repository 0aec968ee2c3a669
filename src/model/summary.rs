//! What `load-model` says about a model.

use super::graph::{Graph, Kind, Product};
use super::memory::Memory;
use serde::Serialize;
use std::collections::BTreeMap;

/// A model in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of this schema.
    pub schema_version: u32,
    /// Name of the model.
    pub name: String,
    /// What it was read from: a file, or the name of a built-in model.
    pub source: String,
    /// Elements of distinct weights.
    pub parameters: u64,
    /// Operations in matrix products and convolutions, 2 for a multiplication with its addition.
    pub flops: u64,
    /// What the caller gives.
    pub inputs: Vec<Input>,
    /// Operators by name.
    pub operators: Vec<Operator>,
    /// Matrix products by shape.
    pub gemms: Vec<Gemm>,
    /// Bytes that it needs.
    pub memory: Memory,
    /// Nodes that are known by their shape only.
    pub unsupported: Vec<Unsupported>,
    /// What was assumed.
    pub notes: Vec<String>,
}

/// An input.
#[derive(Clone, Debug, Serialize)]
pub struct Input {
    /// Name.
    pub name: String,
    /// Extents.
    pub shape: Vec<u64>,
    /// Type of the elements.
    pub dtype: &'static str,
}

/// All nodes of an operator.
#[derive(Clone, Debug, Serialize)]
pub struct Operator {
    /// Name.
    pub op: String,
    /// Nodes.
    pub count: u64,
    /// Operations in their matrix products, as often as they run.
    pub flops: u64,
    /// Whether what they do is known, and not only what shape comes out.
    pub supported: bool,
}

/// Matrix products of one shape.
#[derive(Clone, Debug, Serialize)]
pub struct Gemm {
    /// What they are part of.
    pub op: &'static str,
    /// Rows of the result.
    pub m: u64,
    /// Columns of the result.
    pub n: u64,
    /// Depth.
    pub k: u64,
    /// Products at a time.
    pub batch: u64,
    /// How often.
    pub count: u64,
    /// Numbers that are multiplied.
    pub dtype: &'static str,
}

/// A node that is known by its shape only.
#[derive(Clone, Debug, Serialize)]
pub struct Unsupported {
    /// Name of the node.
    pub node: String,
    /// Operator.
    pub op: String,
    /// Why.
    pub reason: String,
}

/// Products of the same shape, in the order in which they first occur.
fn gemms(graph: &Graph) -> Vec<Gemm> {
    let mut places: BTreeMap<Product, usize> = BTreeMap::new();
    let mut gemms: Vec<Gemm> = Vec::new();
    let each = graph.nodes.iter().enumerate();
    let each = each.flat_map(|(index, node)| node.products.iter().map(move |p| (index, p)));
    for (node, product) in each {
        let times = graph.times(node);
        let place = *places.entry(*product).or_insert(gemms.len());
        match gemms.get_mut(place) {
            Some(gemm) => gemm.count += times,
            None => gemms.push(Gemm {
                op: product.op,
                m: product.m,
                n: product.n,
                k: product.k,
                batch: product.batch,
                count: times,
                dtype: product.dtype.name(),
            }),
        }
    }
    gemms
}

fn operators(graph: &Graph) -> Vec<Operator> {
    let mut all: BTreeMap<&str, Operator> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let entry = all.entry(&node.op).or_insert_with(|| Operator {
            op: node.op.clone(),
            count: 0,
            flops: 0,
            supported: true,
        });
        let flops: u128 = node.products.iter().map(Product::flops).sum();
        entry.count += 1;
        // Checked graphs have no more operations than 64 bits count.
        entry.flops += flops as u64 * graph.times(index);
        entry.supported &= !matches!(node.kind, Kind::Unsupported(_));
    }
    let mut all: Vec<Operator> = all.into_values().collect();
    all.sort_by(|a, b| (b.flops, b.count, &a.op).cmp(&(a.flops, a.count, &b.op)));
    all
}

impl Summary {
    /// The numbers of `graph`, which was read from `source` and checked.
    pub fn of(graph: &Graph, source: &str) -> Self {
        let input = |&id: &usize| {
            let tensor = &graph.tensors[id];
            Input {
                name: tensor.name.clone(),
                shape: tensor.shape.clone(),
                dtype: tensor.dtype.name(),
            }
        };
        let unsupported = graph.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Unsupported(reason) => Some(Unsupported {
                node: node.name.clone(),
                op: node.op.clone(),
                reason: reason.clone(),
            }),
            _ => None,
        });
        Summary {
            schema_version: 1,
            name: graph.name.clone(),
            source: source.to_owned(),
            parameters: graph.parameters(),
            flops: graph.flops(),
            inputs: graph.inputs.iter().map(input).collect(),
            operators: operators(graph),
            gemms: gemms(graph),
            memory: graph.memory(),
            unsupported: unsupported.collect(),
            notes: graph.notes.clone(),
        }
    }
}
