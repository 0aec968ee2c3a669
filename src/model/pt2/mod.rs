//! Exports of PyTorch (`torch.export.save`): a zip archive whose `models/model.json` has every node with the shapes of
//! its tensors. Weights and pickled examples in it are never read.

mod ops;
mod schema;
mod srepr;
mod symbols;
#[cfg(test)]
mod tests;

use super::graph::{Graph, Kind, Node, Role, Shape, TensorId};
use super::options::Bindings;
use crate::error::{Error, Result};
use schema::{Argument, Export};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use symbols::Symbols;

/// Most bytes of the description of a graph.
const JSON_MAX: u64 = 64 << 20;
/// Most graphs within one another.
const DEPTH_MAX: usize = 32;
/// Most members of an archive: a weight has one.
const MEMBERS_MAX: usize = 1 << 18;

type Archive = zip::ZipArchive<BufReader<File>>;

fn archive(path: &Path) -> std::result::Result<Archive, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    zip::ZipArchive::new(BufReader::new(file)).map_err(|e| format!("this is no zip archive ({e})"))
}

/// The member whose name ends with `end`, behind the top folder.
fn member(archive: &Archive, end: &str) -> Option<String> {
    let ends = |name: &str| {
        name.strip_suffix(end)
            .is_some_and(|top| top.is_empty() || top.ends_with('/'))
    };
    let names = archive.file_names().flatten();
    names.map(|name| name.into_owned()).find(|name| ends(name))
}

/// Whether the file is an archive that holds an exported graph.
pub fn is_export(path: &Path) -> bool {
    archive(path).is_ok_and(|archive| member(&archive, "models/model.json").is_some())
}

fn wrong<T>(file: &str, place: &str, what: impl Into<String>) -> Result<T> {
    let remedy = "write it again with torch.export.save";
    Err(Error::input(file, place, what, remedy))
}

/// The text of the member `name`.
fn text(archive: &mut Archive, name: &str, file: &str) -> Result<String> {
    let mut text = String::new();
    let member = match archive.by_name(name) {
        Ok(member) => member,
        Err(e) => return wrong(file, name, format!("it cannot be read ({e})")),
    };
    match member.take(JSON_MAX + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 <= JSON_MAX => Ok(text),
        Ok(_) => wrong(
            file,
            name,
            format!("it is longer than the {JSON_MAX} bytes that are read"),
        ),
        Err(e) => wrong(file, name, format!("it cannot be read ({e})")),
    }
}

/// Reads the export at `path`, which is called `file`.
///
/// # Errors
/// What is no archive, no export, or makes no sense.
pub fn read(path: &Path, file: &str, bindings: &Bindings) -> Result<Graph> {
    let mut archive = match archive(path) {
        Ok(archive) => archive,
        Err(what) => return wrong(file, "whole file", what),
    };
    if archive.len() > MEMBERS_MAX {
        let what = format!("it has more than the {MEMBERS_MAX} members that are read");
        return wrong(file, "whole file", what);
    }
    let Some(name) = member(&archive, "models/model.json") else {
        return wrong(file, "whole file", "there is no models/model.json in it");
    };
    let json = text(&mut archive, &name, file)?;
    let export: Export = match serde_json::from_str(&json) {
        Ok(export) => export,
        Err(e) => {
            return wrong(
                file,
                &name,
                format!("it is no export that is known here ({e})"),
            );
        }
    };
    let stored = match member(&archive, "data/weights/model_weights_config.json") {
        Some(name) => schema::stored(&text(&mut archive, &name, file)?),
        None => HashMap::new(),
    };
    let module = &export.graph_module;
    let mut reader = Reader {
        file,
        symbols: Symbols::bind(file, module, bindings)?,
        graph: Graph::default(),
        depth: 0,
    };
    let mut scope = HashMap::new();
    reader.inputs(module, &stored, &mut scope)?;
    reader.run(&module.graph, &mut scope)?;
    let outputs = module.graph.outputs.iter().flat_map(Argument::tensors);
    reader.graph.outputs = outputs
        .filter_map(|name| scope.get(name).copied())
        .collect();
    Ok(reader.graph)
}

struct Reader<'a> {
    file: &'a str,
    symbols: Symbols<'a>,
    graph: Graph,
    depth: usize,
}

type Scope<'a> = HashMap<&'a str, TensorId>;

impl<'a> Reader<'a> {
    /// The tensor that `graph` describes under `name`.
    fn tensor(&mut self, graph: &schema::Graph, name: &str, role: Role) -> Result<TensorId> {
        let place = format!("tensor {name}");
        let Some(meta) = graph.tensor_values.get(name) else {
            return wrong(self.file, &place, "its shape is not given");
        };
        let Some(dtype) = schema::dtype(meta.dtype) else {
            return wrong(
                self.file,
                &place,
                format!("type number {} is no type", meta.dtype),
            );
        };
        let mut shape = Shape::new();
        for size in &meta.sizes {
            match self.symbols.size(size) {
                Ok(n) => shape.push(n),
                Err(what) => return wrong(self.file, &place, what),
            }
        }
        if let Err(what) = super::check::elements(&shape) {
            return wrong(self.file, &place, what);
        }
        Ok(self.graph.tensor(name, dtype, shape, role))
    }

    fn inputs(
        &mut self,
        module: &'a schema::Module,
        stored: &HashMap<String, String>,
        scope: &mut Scope<'a>,
    ) -> Result<()> {
        let mut seen: HashSet<&str> = HashSet::new();
        for spec in &module.signature.input_specs {
            let (name, role) = if let Some(weight) = &spec.parameter {
                // A weight under two names is in the archive once.
                let place = stored.get(&weight.parameter_name);
                let first = place.is_none_or(|path| seen.insert(path));
                let role = if first { Role::Weight } else { Role::Constant };
                (&weight.arg.name[..], role)
            } else if let Some(kept) = spec.buffer.as_ref().or(spec.tensor_constant.as_ref()) {
                (&kept.arg.name[..], Role::Constant)
            } else if let Some(name) = spec.given() {
                (name, Role::Input)
            } else {
                continue;
            };
            let id = self.tensor(&module.graph, name, role)?;
            if role == Role::Input {
                self.graph.inputs.push(id);
            }
            scope.insert(name, id);
        }
        Ok(())
    }

    fn run(&mut self, graph: &'a schema::Graph, scope: &mut Scope<'a>) -> Result<()> {
        for node in &graph.nodes {
            if self.graph.nodes.len() >= super::check::NODES_MAX {
                let what = format!(
                    "more than the {} nodes that are read",
                    super::check::NODES_MAX
                );
                return wrong(self.file, "whole graph", what);
            }
            self.node(graph, node, scope)?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        graph: &'a schema::Graph,
        node: &'a schema::Node,
        scope: &mut Scope<'a>,
    ) -> Result<()> {
        let place = format!("node {} ({})", node.label(), node.target);
        let arguments: Vec<&Argument> = node.inputs.iter().map(|input| &input.arg).collect();
        let inner = arguments.iter().find_map(|arg| arg.graph());
        if let Some(inner) = inner {
            return self.nested(node, inner, &arguments, scope);
        }
        let mut inputs = Vec::new();
        for name in arguments.iter().flat_map(|arg| arg.tensors()) {
            match scope.get(name) {
                Some(&id) => inputs.push(id),
                None => {
                    let what = format!("it reads {name}, which nothing makes before it");
                    return wrong(self.file, &place, what);
                }
            }
        }
        let fixed =
            |&id: &TensorId| matches!(self.graph.tensors[id].role, Role::Weight | Role::Constant);
        let fixed = inputs.iter().all(fixed);
        let mut outputs = Vec::new();
        for name in node.outputs.iter().flat_map(Argument::tensors) {
            let id = self.tensor(graph, name, Role::Activation)?;
            if scope.insert(name, id).is_some() {
                return wrong(
                    self.file,
                    &place,
                    format!("it makes {name}, which exists already"),
                );
            }
            outputs.push(id);
        }
        let op = node.operator();
        let shapes = ops::Shapes {
            node,
            inputs: inputs.iter().map(|&id| &self.graph.tensors[id]).collect(),
            outputs: outputs.iter().map(|&id| &self.graph.tensors[id]).collect(),
        };
        let (mut kind, products) = match ops::rule(op, &shapes) {
            Ok(found) => found,
            Err(what) => return wrong(self.file, &place, what),
        };
        // What depends on constants alone is known before a run, but products of them are computed in each.
        if fixed && products.is_empty() {
            kind = Kind::Free;
            for &id in &outputs {
                self.graph.tensors[id].role = Role::Constant;
            }
        }
        self.graph.nodes.push(Node {
            name: node.label().to_owned(),
            op: op.to_owned(),
            kind,
            inputs,
            outputs,
            products,
        });
        Ok(())
    }

    /// A graph within a node, such as one that runs without gradients, or the first branch of a condition.
    fn nested(
        &mut self,
        node: &'a schema::Node,
        inner: &'a schema::Graph,
        arguments: &[&'a Argument],
        scope: &mut Scope<'a>,
    ) -> Result<()> {
        let place = format!("node {} ({})", node.label(), node.target);
        if self.depth == DEPTH_MAX {
            let what = format!("graphs are nested more than the {DEPTH_MAX} deep that are read");
            return wrong(self.file, &place, what);
        }
        let wraps = node.target.contains("wrap_with") || node.target.ends_with(".cond");
        if !wraps {
            let what = "a loop or another operator with a graph in it is not read here";
            return wrong(self.file, &place, what);
        }
        if node.target.ends_with(".cond") {
            let label = node.label();
            self.graph.note(format!(
                "cond {label}: its first branch is counted, the other is not"
            ));
        }
        // Tensors behind the graph are what it is called with, in order; a condition comes in front of it.
        let behind = arguments.iter().skip_while(|arg| arg.graph().is_none());
        let given: Vec<&str> = behind.flat_map(|arg| arg.tensors()).collect();
        let names: Vec<&str> = inner.inputs.iter().flat_map(Argument::tensors).collect();
        if given.len() != names.len() {
            return wrong(
                self.file,
                &place,
                "the graph in it takes another number of tensors",
            );
        }
        let mut within = Scope::new();
        for (name, given) in names.into_iter().zip(given) {
            match scope.get(given) {
                Some(&id) => within.insert(name, id),
                None => {
                    return wrong(
                        self.file,
                        &place,
                        format!("it reads {given}, which nothing makes before it"),
                    );
                }
            };
        }
        self.depth += 1;
        self.run(inner, &mut within)?;
        self.depth -= 1;
        let made = inner.outputs.iter().flat_map(Argument::tensors);
        let names = node.outputs.iter().flat_map(Argument::tensors);
        for (name, made) in names.zip(made) {
            match within.get(made) {
                Some(&id) => scope.insert(name, id),
                None => {
                    return wrong(
                        self.file,
                        &place,
                        format!("the graph in it does not make {made}"),
                    );
                }
            };
        }
        Ok(())
    }
}
