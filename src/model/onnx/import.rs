//! From the nodes of a file to those of the graph.

use super::infer::{Arg, Call, Fault, Made, Out};
use super::inputs;
use super::proto::{self, Function, Model, Node, Values};
use super::wire::Damage;
use crate::error::{Error, Result};
use crate::model::check::NODES_MAX;
use crate::model::graph::{self, Graph, Kind, Role, TensorId};
use crate::model::options::Bindings;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most subgraphs and functions within one another.
pub const DEPTH_MAX: usize = 32;
/// Most bytes of subgraphs and functions that are gone through, each as often as it runs.
const WORK_MAX: usize = 1 << 30;
/// Most bytes of a name in front of others, and of one that is put there.
const PREFIX_MAX: usize = 256;
const LABEL_MAX: usize = 64;
/// Most elements of known values that are kept at a time, over all tensors.
const KEPT_MAX: u64 = 8 << 20;

/// Names that nodes can read, and what made each.
#[derive(Debug, Default)]
pub struct Scope<'a, 's> {
    names: HashMap<&'a str, (TensorId, &'a str)>,
    outer: Option<&'s Scope<'a, 's>>,
}

impl<'a, 's> Scope<'a, 's> {
    /// Names within those of `outer`.
    pub fn within(outer: &'s Scope<'a, 's>) -> Self {
        Scope {
            names: HashMap::new(),
            outer: Some(outer),
        }
    }

    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<TensorId> {
        let mut scope = self;
        loop {
            if let Some(&(id, _)) = scope.names.get(name) {
                return Some(id);
            }
            scope = scope.outer?;
        }
    }

    /// Gives a tensor a name; what had it already, if something did.
    pub fn put(&mut self, name: &'a str, id: TensorId, maker: &'a str) -> Option<&'a str> {
        self.names.insert(name, (id, maker)).map(|(_, maker)| maker)
    }
}

/// A model on its way into a graph.
pub struct Importer<'a> {
    /// Name of the file, for errors.
    pub file: &'a str,
    /// What the user says about open extents.
    pub bindings: &'a Bindings,
    /// The graph so far.
    pub graph: Graph,
    /// Known values of its tensors.
    pub values: Vec<Option<Rc<Values>>>,
    /// How deep the nodes at hand are nested.
    pub depth: usize,
    /// In front of the names of nodes at hand.
    pub prefix: String,
    /// Versions of the operator sets of the nodes at hand.
    pub opsets: &'a [(&'a str, i64)],
    /// The tensors of each sequence, which has a tensor without elements as its name.
    pub sequences: HashMap<TensorId, Rc<[TensorId]>>,
    /// Shapes that the file states, for operators that are not known.
    pub stated: HashMap<&'a str, Out>,
    /// Outputs of ConstantOfShape that stand for weights.
    pub filled: HashSet<&'a str>,
    functions: HashMap<(&'a str, &'a str), &'a Function<'a>>,
    kept: u64,
    visited: usize,
    work: usize,
}

/// Reads `main`, the graph of `model`.
pub fn import<'a>(
    model: &'a Model<'a>,
    main: &'a proto::Graph<'a>,
    file: &'a str,
    bindings: &'a Bindings,
) -> Result<Graph> {
    let functions = model.functions.iter();
    let mut importer = Importer {
        file,
        bindings,
        graph: Graph::default(),
        values: Vec::new(),
        depth: 0,
        prefix: String::new(),
        opsets: &model.opsets,
        sequences: HashMap::new(),
        stated: HashMap::new(),
        filled: HashSet::new(),
        functions: functions.map(|f| ((f.domain, f.name), f)).collect(),
        kept: 0,
        visited: 0,
        work: 0,
    };
    importer.graph.name = main.name.to_owned();
    let mut scope = Scope::default();
    inputs::declare(&mut importer, main, &mut scope)?;
    importer.run(&main.nodes, &mut scope)?;
    for output in &main.outputs {
        match scope.get(output.name) {
            Some(id) => match importer.sequences.remove(&id) {
                Some(list) => importer.graph.outputs.extend(list.iter()),
                None => importer.graph.outputs.push(id),
            },
            None => {
                return Err(Error::input(
                    file,
                    format!("output {}", output.name),
                    "nothing makes it",
                    "correct the model and export it again",
                ));
            }
        }
    }
    inputs::count_cache(&mut importer.graph);
    Ok(importer.graph)
}

impl<'a> Importer<'a> {
    /// An error at a node.
    pub fn at(&self, node: &Node<'_>, fault: impl Into<Fault>) -> Error {
        let fault = fault.into();
        let place = format!("node {}{} ({})", self.prefix, node.label(), node.op);
        Error::input(self.file, place, fault.what, fault.remedy)
    }

    /// An error of the file's bytes.
    pub fn damage(&self, damage: Damage) -> Error {
        Error::input(
            self.file,
            format!("byte {}", damage.offset),
            damage.what,
            damage.remedy,
        )
    }

    /// Adds a tensor with values, if they are known.
    pub fn add(&mut self, name: &str, out: Out, role: Role) -> TensorId {
        let name = self.called(name);
        let size = out.values.as_ref().map_or(0, |values| match &**values {
            Values::Ints(ints) => ints.len() as u64,
            Values::Floats(floats) => floats.len() as u64,
        });
        let keep = self.kept + size <= KEPT_MAX;
        self.kept += if keep { size } else { 0 };
        self.values.push(out.values.filter(|_| keep));
        self.graph.tensor(name, out.dtype, out.shape, role)
    }

    /// The tensor as an operand.
    pub fn operand(&self, id: TensorId) -> Arg {
        let tensor = &self.graph.tensors[id];
        Arg {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            values: self.values[id].clone(),
        }
    }

    /// Visits nodes in order.
    pub fn run(&mut self, nodes: &[Node<'a>], scope: &mut Scope<'a, '_>) -> Result<()> {
        for (index, node) in nodes.iter().enumerate() {
            self.visit(node)?;
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for &name in &node.inputs {
                inputs.push(match name {
                    "" => None,
                    name => match scope.get(name) {
                        Some(id) => Some(id),
                        None => return Err(self.missing(node, name, &nodes[index..])),
                    },
                });
            }
            self.node(node, inputs, scope)?;
        }
        Ok(())
    }

    /// Counts a node, whether it is of the file or of a loop's next turn.
    pub fn visit(&mut self, node: &Node<'_>) -> Result<()> {
        self.visited += 1;
        match self.visited > NODES_MAX {
            false => Ok(()),
            true => {
                let what = format!(
                    "with loops and functions written out, the model has more than the {NODES_MAX} nodes that are read"
                );
                Err(self.at(node, what))
            }
        }
    }

    /// Counts `bytes` of a subgraph or function that is gone through once more.
    pub fn spend(&mut self, node: &Node<'_>, bytes: usize) -> Result<()> {
        self.work = self.work.saturating_add(bytes);
        match self.work > WORK_MAX {
            false => Ok(()),
            true => {
                let what = format!(
                    "with loops and functions written out, the model has more than the {WORK_MAX} bytes that are read"
                );
                Err(self.at(node, what))
            }
        }
    }

    /// The name of a node or tensor. What runs many times has its name as often, so that it must not be long.
    pub fn called(&self, name: &str) -> String {
        match self.depth {
            0 => name.to_owned(),
            _ => self
                .prefix
                .chars()
                .chain(name.chars().take(LABEL_MAX))
                .collect(),
        }
    }

    /// What stands in front of names within `part` of `node`. Its length is bounded, because every name has it.
    pub fn inner_prefix(&self, node: &Node<'_>, part: &str) -> String {
        if self.prefix.len() > PREFIX_MAX {
            return self.prefix.clone();
        }
        let label: String = node.label().chars().take(LABEL_MAX).collect();
        format!("{}{label}/{part}", self.prefix)
    }

    fn missing(&self, node: &Node<'_>, name: &str, later: &[Node<'a>]) -> Error {
        let maker = later.iter().find(|other| other.outputs.contains(&name));
        self.at(
            node,
            match maker {
                Some(maker) => Fault {
                    what: format!(
                        "it reads {name}, which {} makes only after it: the graph has a cycle or is not in order",
                        maker.label()
                    ),
                    remedy: "sort its nodes (onnxslim does), or export the model again".into(),
                },
                None => Fault::from(format!("it reads {name}, which nothing makes")),
            },
        )
    }

    fn node(
        &mut self,
        node: &Node<'a>,
        inputs: Vec<Option<TensorId>>,
        scope: &mut Scope<'a, '_>,
    ) -> Result<()> {
        if let Some(&function) = self.functions.get(&(node.domain, node.op)) {
            return self.call(function, node, &inputs, scope);
        }
        let outputs = match (node.domain, node.op) {
            ("", "If") => self.branch(node, &inputs, scope)?,
            ("", "Loop") => self.repeat(node, &inputs, scope)?,
            ("", "Scan") => self.scan(node, &inputs, scope)?,
            _ => match self.sequence(node, &inputs)? {
                Some(outputs) => outputs,
                None => self.operator(node, &inputs)?,
            },
        };
        self.name_outputs(node, outputs, scope)
    }

    /// Gives the outputs of a node their names.
    pub fn name_outputs(
        &self,
        node: &Node<'a>,
        outputs: Vec<TensorId>,
        scope: &mut Scope<'a, '_>,
    ) -> Result<()> {
        for (&name, id) in node.outputs.iter().zip(outputs) {
            if !name.is_empty()
                && let Some(other) = scope.put(name, id, node.label())
            {
                let what = format!("it makes {name}, which {other} makes already");
                return Err(self.at(node, what));
            }
        }
        Ok(())
    }

    /// Version of the operator set of `domain`.
    fn opset(&self, domain: &str) -> i64 {
        let fits = |known: &str| known == domain || domain.is_empty() && known == "ai.onnx";
        let found = self.opsets.iter().find(|(known, _)| fits(known));
        found.map_or(1, |(_, version)| *version)
    }

    fn operator(&mut self, node: &Node<'a>, inputs: &[Option<TensorId>]) -> Result<Vec<TensorId>> {
        let call = Call {
            node,
            opset: self.opset(node.domain),
            inputs: inputs
                .iter()
                .map(|id| id.map(|id| self.operand(id)))
                .collect(),
        };
        let made = match call.infer().map_err(|fault| self.at(node, fault))? {
            Some(made) => made,
            None if self.bindings.skip_unknown => self.skipped(&call),
            None => return Err(self.at(node, unknown(node))),
        };
        if let Some(note) = &made.note {
            self.graph.note(note.clone());
        }
        let ids: Vec<TensorId> = inputs.iter().flatten().copied().collect();
        Ok(self.push(node, made, ids))
    }

    /// An operator that nobody knows, as the user wants it: the shapes that the file states, or that of its input.
    fn skipped(&self, call: &Call<'_>) -> Made {
        let first = call.inputs.iter().flatten().next();
        let outputs = call.node.outputs.iter().map(|name| {
            let stated = self.stated.get(name).cloned();
            stated.unwrap_or_else(|| Out {
                dtype: first.map_or(graph::Dtype::Float32, |x| x.dtype),
                shape: first.map_or_else(Vec::new, |x| x.shape.clone()),
                values: None,
            })
        });
        Made {
            kind: Kind::Unsupported("unknown operator, counted as nothing (--skip-unknown)".into()),
            outputs: outputs.collect(),
            products: Vec::new(),
            note: None,
        }
    }

    /// Adds a node and its outputs. What depends on constants alone is known before a run and costs nothing in it, but
    /// for matrix products: frameworks compute those of weights alone, such as tables of relative positions, in each run.
    pub fn push(&mut self, node: &Node<'_>, made: Made, inputs: Vec<TensorId>) -> Vec<TensorId> {
        let fixed =
            |&id: &TensorId| matches!(self.graph.tensors[id].role, Role::Weight | Role::Constant);
        let random = node.op.starts_with("Random") || node.op == "Bernoulli";
        let measured = matches!(node.op, "Shape" | "Size");
        let multiplies = !made.products.is_empty();
        let constant = !random && !multiplies && (measured || inputs.iter().all(fixed));
        let weight = |name: &&str| constant && self.filled.contains(*name);
        let role = match (constant, node.outputs.first().is_some_and(weight)) {
            (true, true) => Role::Weight,
            (true, false) => Role::Constant,
            (false, _) => Role::Activation,
        };
        let outputs: Vec<TensorId> = made
            .outputs
            .into_iter()
            .zip(&node.outputs)
            .map(|(out, name)| self.add(name, out, role))
            .collect();
        let op = match node.domain {
            "" => node.op.to_owned(),
            domain => format!("{domain}::{}", node.op),
        };
        self.graph.nodes.push(graph::Node {
            name: self.called(node.label()),
            op,
            kind: match (constant, made.kind) {
                (true, _) => Kind::Free,
                (false, kind) => kind,
            },
            inputs,
            outputs: outputs.clone(),
            products: made.products,
        });
        outputs
    }
}

fn unknown(node: &Node<'_>) -> Fault {
    let domain = match node.domain {
        "" => "the standard operator set",
        domain => domain,
    };
    Fault {
        what: format!("there is no operator {} of {domain} here", node.op),
        remedy: "export the model without it, or count it as nothing with --skip-unknown".into(),
    }
}
