//! `model.json` as far as shapes need it.

use crate::model::graph::Dtype;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The file.
#[derive(Debug, Deserialize)]
pub struct Export {
    /// The exported module.
    pub graph_module: Module,
}

/// A module: its graph, and what its inputs are.
#[derive(Debug, Deserialize)]
pub struct Module {
    /// The graph.
    pub graph: Graph,
    /// What its inputs are.
    pub signature: Signature,
}

/// A graph.
#[derive(Debug, Deserialize)]
pub struct Graph {
    /// What is given.
    pub inputs: Vec<Argument>,
    /// What is made.
    pub outputs: Vec<Argument>,
    /// Nodes in order.
    pub nodes: Vec<Node>,
    /// Every tensor.
    pub tensor_values: BTreeMap<String, Meta>,
}

/// Type and shape of a tensor.
#[derive(Debug, Deserialize)]
pub struct Meta {
    /// Number of the type.
    pub dtype: i64,
    /// Extents.
    pub sizes: Vec<Size>,
}

/// An extent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// A number.
    AsInt(i64),
    /// An expression of symbols.
    AsExpr(Expression),
}

/// An expression of symbols.
#[derive(Debug, Deserialize)]
pub struct Expression {
    /// Its text.
    pub expr_str: String,
}

/// A node.
#[derive(Debug, Deserialize)]
pub struct Node {
    /// Operator, such as `torch.ops.aten.linear.default`.
    pub target: String,
    /// Arguments.
    pub inputs: Vec<Named>,
    /// Results.
    pub outputs: Vec<Argument>,
    /// Name; older files have none.
    #[serde(default)]
    pub name: Option<String>,
}

/// An argument and its name.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Value.
    pub arg: Argument,
}

/// A value: one of many kinds, of which these matter.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Argument {
    /// A tensor.
    Tensor {
        /// Its name.
        as_tensor: Name,
    },
    /// Several tensors.
    Tensors {
        /// Their names.
        as_tensors: Vec<Name>,
    },
    /// Several tensors, of which some are absent.
    Optional {
        /// Their names.
        as_optional_tensors: Vec<Argument>,
    },
    /// A graph.
    Graph {
        /// The graph.
        as_graph: Inner,
    },
    /// A number.
    Int {
        /// The number.
        as_int: i64,
    },
    /// Numbers.
    Ints {
        /// The numbers.
        as_ints: Vec<i64>,
    },
    /// A truth value.
    Bool {
        /// The value.
        as_bool: bool,
    },
    /// A text.
    Text {
        /// The text.
        as_string: String,
    },
    /// Anything else.
    Other(serde::de::IgnoredAny),
}

/// A name.
#[derive(Debug, Deserialize)]
pub struct Name {
    /// The name.
    pub name: String,
}

/// A graph as an argument.
#[derive(Debug, Deserialize)]
pub struct Inner {
    /// The graph.
    pub graph: Box<Graph>,
}

/// What the inputs of a graph are.
#[derive(Debug, Deserialize)]
pub struct Signature {
    /// One for each input.
    pub input_specs: Vec<Spec>,
}

/// What an input is: one of these, or something that is no tensor.
#[derive(Debug, Default, Deserialize)]
pub struct Spec {
    /// Learnt.
    pub parameter: Option<Parameter>,
    /// Kept, but not learnt.
    pub buffer: Option<Kept>,
    /// A constant.
    pub tensor_constant: Option<Kept>,
    /// Given by the caller.
    pub user_input: Option<Given>,
}

/// A weight.
#[derive(Debug, Deserialize)]
pub struct Parameter {
    /// Name in the graph.
    pub arg: Name,
    /// Name in the module.
    pub parameter_name: String,
}

/// What is kept with the model.
#[derive(Debug, Deserialize)]
pub struct Kept {
    /// Name in the graph.
    pub arg: Name,
}

/// What the caller gives.
#[derive(Debug, Deserialize)]
pub struct Given {
    /// The value.
    pub arg: Argument,
}

impl Spec {
    /// The tensor that the caller gives.
    pub fn given(&self) -> Option<&str> {
        self.user_input.as_ref()?.arg.tensors().next()
    }
}

impl Argument {
    /// Names of the tensors in it.
    pub fn tensors(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Argument::Tensor { as_tensor } => Box::new(std::iter::once(&as_tensor.name[..])),
            Argument::Tensors { as_tensors } => Box::new(as_tensors.iter().map(|t| &t.name[..])),
            Argument::Optional {
                as_optional_tensors,
            } => Box::new(as_optional_tensors.iter().flat_map(Argument::tensors)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The graph in it.
    pub fn graph(&self) -> Option<&Graph> {
        match self {
            Argument::Graph { as_graph } => Some(&as_graph.graph),
            _ => None,
        }
    }
}

impl Node {
    /// The node's name, or what else it can be found by.
    pub fn label(&self) -> &str {
        let first = self.outputs.iter().flat_map(Argument::tensors).next();
        self.name.as_deref().or(first).unwrap_or(&self.target)
    }

    /// The operator without its library and overload: `linear`.
    pub fn operator(&self) -> &str {
        let op = self
            .target
            .strip_prefix("torch.ops.")
            .unwrap_or(&self.target);
        let op = op.strip_prefix("aten.").unwrap_or(op);
        match op.rsplit_once('.') {
            Some((op, _)) => op,
            None => op,
        }
    }

    fn argument(&self, name: &str) -> Option<&Argument> {
        self.inputs
            .iter()
            .find(|input| input.name == name)
            .map(|input| &input.arg)
    }

    /// A number of this name.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.argument(name)? {
            Argument::Int { as_int } => Some(*as_int),
            _ => None,
        }
    }

    /// Numbers of this name.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.argument(name)? {
            Argument::Ints { as_ints } => Some(as_ints),
            _ => None,
        }
    }

    /// A text of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.argument(name)? {
            Argument::Text { as_string } => Some(as_string),
            _ => None,
        }
    }

    /// A truth value of this name, false where it is absent.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.argument(name), Some(Argument::Bool { as_bool: true }))
    }
}

/// In which member of the archive each weight is, where its configuration says.
pub fn stored(text: &str) -> HashMap<String, String> {
    #[derive(Deserialize)]
    struct Weights {
        config: HashMap<String, Place>,
    }
    #[derive(Deserialize)]
    struct Place {
        path_name: String,
    }
    let weights: Option<Weights> = serde_json::from_str(text).ok();
    let config = weights.into_iter().flat_map(|weights| weights.config);
    config
        .map(|(name, place)| (name, place.path_name))
        .collect()
}

/// The type of this number.
pub fn dtype(number: i64) -> Option<Dtype> {
    Some(match number {
        1 => Dtype::Uint8,
        2 => Dtype::Int8,
        3 => Dtype::Int16,
        4 => Dtype::Int32,
        5 => Dtype::Int64,
        6 => Dtype::Float16,
        7 => Dtype::Float32,
        8 => Dtype::Float64,
        10 => Dtype::Complex64,
        11 => Dtype::Complex128,
        12 => Dtype::Bool,
        13 => Dtype::Bfloat16,
        28 => Dtype::Uint16,
        29..=32 => Dtype::Float8,
        _ => return None,
    })
}
