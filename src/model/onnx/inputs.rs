//! What a graph begins with: inputs with their extents bound, and weights, wherever the file has them.

use super::import::{Importer, Scope};
use super::infer::{Fault, Infer, Out, constant, declared};
use super::proto::{self, Dim, Graph, Tensor, ValueInfo};
use crate::error::{Error, Result};
use crate::model::check::{elements, show};
use crate::model::graph::{self, Role, Shape};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Inputs of operators that are weights whatever they are called.
fn weight_slot(op: &str, slot: usize) -> bool {
    match op {
        "Conv" | "ConvTranspose" | "Gemm" | "LSTM" | "GRU" | "RNN" | "InstanceNormalization" => {
            (1..3).contains(&slot)
        }
        "LayerNormalization" | "GroupNormalization" => (1..3).contains(&slot),
        "BatchNormalization" => (1..5).contains(&slot),
        _ => false,
    }
}

/// Names that exporters give to weights.
fn weight_name(name: &str) -> bool {
    let ends = [
        ".weight",
        ".bias",
        ".running_mean",
        ".running_var",
        "_weight",
        "_bias",
        "/kernel",
        ".gamma",
        ".beta",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

/// Which of `names` are read as weights, and as nothing else.
fn used_as_weights<'a>(graph: &Graph<'a>, names: impl Fn(&str) -> bool) -> HashSet<&'a str> {
    let (mut weights, mut others) = (HashSet::new(), HashSet::new());
    // Exporters give a weight that is used twice a second name.
    let mut renamed: HashMap<&str, &str> = HashMap::new();
    for node in &graph.nodes {
        for (slot, &name) in node.inputs.iter().enumerate() {
            let name = renamed.get(name).copied().unwrap_or(name);
            if !names(name) {
                continue;
            }
            if let ("Identity", Some(&output)) = (node.op, node.outputs.first()) {
                renamed.insert(output, name);
            } else {
                match weight_slot(node.op, slot) || weight_name(name) {
                    true => weights.insert(name),
                    false => others.insert(name),
                };
            }
        }
    }
    weights.retain(|name| !others.contains(name));
    weights
}

/// Adds weights and inputs of the main graph, and gives them their names.
///
/// # Errors
/// Extents that stay open, and what cannot be a tensor.
pub fn declare<'a>(
    importer: &mut Importer<'a>,
    main: &Graph<'a>,
    scope: &mut Scope<'a, '_>,
) -> Result<()> {
    initializers(importer, &main.initializers, scope)?;
    let given: HashSet<&str> = main.initializers.iter().map(|t| t.name).collect();
    let inputs: Vec<&ValueInfo<'a>> = main
        .inputs
        .iter()
        .filter(|input| !given.contains(input.name))
        .collect();
    let fixed = |input: &&&ValueInfo<'a>| {
        let dims = input.dims.as_deref().unwrap_or(&[Dim::Unknown]);
        dims.iter().all(|dim| matches!(dim, Dim::Fixed(_)))
    };
    let closed: HashSet<&str> = inputs.iter().filter(fixed).map(|i| i.name).collect();
    let mut weights = used_as_weights(main, |name| closed.contains(name));
    if weights.len() == inputs.len() {
        weights.clear();
    }
    let shapes = Shapes::bind(importer, &inputs)?;
    for (input, shape) in inputs.iter().zip(shapes) {
        let place = format!("input {}", input.name);
        let Some(dtype) = proto::dtype(input.dtype) else {
            return Err(Error::input(
                importer.file,
                place,
                "it is no tensor",
                "sequences, maps and optional values are not read; export the model with tensors",
            ));
        };
        let role = match weights.contains(input.name) {
            true => Role::Weight,
            false => Role::Input,
        };
        let out = Out {
            dtype,
            shape,
            values: None,
        };
        let id = importer.add(input.name, out, role);
        if role == Role::Input {
            importer.graph.inputs.push(id);
        }
        if scope.put(input.name, id, "the graph").is_some() {
            return Err(Error::input(
                importer.file,
                place,
                "it is listed twice",
                "correct the model and export it again",
            ));
        }
    }
    if !weights.is_empty() {
        importer.graph.note(format!(
            "{} inputs are only read as weights and counted as such",
            weights.len()
        ));
    }
    if importer.bindings.skip_unknown {
        state(importer, &main.value_info);
    }
    filled_weights(importer, main);
    Ok(())
}

/// Adds the tensors of `list` and gives them their names.
///
/// # Errors
/// What cannot be a tensor, and a name that is given twice.
pub fn initializers<'a>(
    importer: &mut Importer<'a>,
    list: &[Tensor<'a>],
    scope: &mut Scope<'a, '_>,
) -> Result<()> {
    for tensor in list {
        let fault = |fault: Fault| {
            Error::input(
                importer.file,
                format!("initializer {}", tensor.name),
                fault.what,
                fault.remedy,
            )
        };
        let read: Infer<Out> = match tensor.external {
            true => declared(tensor).map(|(dtype, shape)| Out {
                dtype,
                shape,
                values: None,
            }),
            false => constant(tensor),
        };
        let id = importer.add(tensor.name, read.map_err(fault)?, Role::Weight);
        if scope.put(tensor.name, id, "an initializer").is_some() {
            return Err(Error::input(
                importer.file,
                format!("initializer {}", tensor.name),
                "the graph has two of this name",
                "correct the model and export it again",
            ));
        }
    }
    Ok(())
}

/// Keeps the shapes that the file states, as far as they are numbers.
fn state<'a>(importer: &mut Importer<'a>, list: &[ValueInfo<'a>]) {
    for info in list {
        let dims = info.dims.iter().flatten();
        let shape: Option<Shape> = dims
            .enumerate()
            .map(|(i, dim)| match dim {
                Dim::Fixed(n) => u64::try_from(*n).ok(),
                Dim::Named(name) => importer.bindings.dim(name, i == 0),
                Dim::Unknown => None,
            })
            .collect();
        if let (Some(shape), Some(dtype)) = (shape, proto::dtype(info.dtype))
            && elements(&shape).is_ok()
        {
            let out = Out {
                dtype,
                shape,
                values: None,
            };
            importer.stated.insert(info.name, out);
        }
    }
}

/// Weights that a node fills with one value, as files without weights have them: they count as weights.
fn filled_weights<'a>(importer: &mut Importer<'a>, main: &Graph<'a>) {
    let filled = main
        .nodes
        .iter()
        .filter(|node| node.op == "ConstantOfShape");
    let names: HashSet<&str> = filled
        .filter_map(|node| node.outputs.first().copied())
        .collect();
    importer.filled = used_as_weights(main, |name| names.contains(name));
}

/// The shapes of all inputs, with what is still open.
struct Shapes<'a, 'i> {
    importer: &'i Importer<'a>,
    /// Names that `--input-shape` gives a number to.
    implied: HashMap<&'a str, u64>,
    /// What is open: the name of an extent, or the place of one without a name, and the input that has it.
    open: BTreeMap<String, &'a str>,
    /// Every name, for messages.
    names: BTreeSet<&'a str>,
}

impl<'a> Shapes<'a, '_> {
    fn bind(importer: &Importer<'a>, inputs: &[&ValueInfo<'a>]) -> Result<Vec<Shape>> {
        let mut shapes = Shapes {
            importer,
            implied: HashMap::new(),
            open: BTreeMap::new(),
            names: BTreeSet::new(),
        };
        for input in inputs {
            shapes.imply(input)?;
        }
        let found = inputs
            .iter()
            .map(|input| shapes.shape(input))
            .collect::<Result<Vec<Shape>>>()?;
        let names: Vec<String> = shapes.names.iter().map(|s| s.to_string()).collect();
        let inputs: Vec<String> = inputs.iter().map(|i| i.name.to_owned()).collect();
        importer.bindings.all_used(&names, &inputs)?;
        match shapes.open.is_empty() {
            true => Ok(found),
            false => Err(shapes.ask()),
        }
    }

    fn ask(&self) -> Error {
        let list: Vec<String> = self
            .open
            .iter()
            .map(|(name, input)| format!("{name} of input {input}"))
            .collect();
        let hints: Vec<String> = self
            .open
            .iter()
            .map(|(name, input)| match name.starts_with("extent ") {
                true => format!("--input-shape {input}=1x128"),
                false => format!("--dim {name}=8"),
            })
            .collect();
        Error::Usage(format!(
            "{}: the model leaves open: {}; give numbers, such as {}",
            self.importer.file,
            list.join(", "),
            hints.join(" ")
        ))
    }

    fn wrong<T>(&self, input: &str, what: String) -> Result<T> {
        Err(Error::input(
            self.importer.file,
            format!("input {input}"),
            what,
            "correct the model and export it again",
        ))
    }

    /// Takes the named extents of an input whose shape the user gives.
    fn imply(&mut self, input: &ValueInfo<'a>) -> Result<()> {
        let Some(given) = self.importer.bindings.shape(input.name) else {
            return Ok(());
        };
        let Some(dims) = &input.dims else {
            return Ok(());
        };
        let refuse = |why: String| {
            Err(Error::Usage(format!(
                "--input-shape {}={}: {why}",
                input.name,
                show(given)
            )))
        };
        if dims.len() != given.len() {
            return refuse(format!("the input has {} dimensions", dims.len()));
        }
        for (i, (dim, &n)) in dims.iter().zip(given).enumerate() {
            match *dim {
                Dim::Fixed(fixed) if fixed != -1 && fixed != n as i64 => {
                    return refuse(format!("extent {i} is {fixed} in the model"));
                }
                Dim::Named(name) if *self.implied.entry(name).or_insert(n) != n => {
                    return refuse(format!("{name} has another number elsewhere"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn shape(&mut self, input: &ValueInfo<'a>) -> Result<Shape> {
        if let Some(given) = self.importer.bindings.shape(input.name) {
            return Ok(given.to_vec());
        }
        let Some(dims) = &input.dims else {
            if proto::dtype(input.dtype).is_some() {
                self.open.insert("extent 0".into(), input.name);
            }
            return Ok(Vec::new());
        };
        let mut shape = Shape::new();
        for (i, dim) in dims.iter().enumerate() {
            shape.push(match *dim {
                Dim::Fixed(n) if n >= 0 => n as u64,
                // Some exporters write -1 for what they do not know.
                Dim::Fixed(-1) | Dim::Unknown => self.anonymous(input.name, i),
                Dim::Fixed(n) => return self.wrong(input.name, format!("extent {i} is {n}")),
                Dim::Named(name) => self.named(input.name, name, i),
            });
        }
        match elements(&shape) {
            Ok(_) => Ok(shape),
            Err(what) => self.wrong(input.name, what),
        }
    }

    fn anonymous(&mut self, input: &'a str, index: usize) -> u64 {
        self.importer
            .bindings
            .dim("", index == 0)
            .unwrap_or_else(|| {
                self.open.insert(format!("extent {index}"), input);
                1
            })
    }

    fn named(&mut self, input: &'a str, name: &'a str, index: usize) -> u64 {
        self.names.insert(name);
        let bound = self.importer.bindings.dim(name, index == 0);
        let implied = self.implied.get(name).copied();
        bound.or(implied).unwrap_or_else(|| {
            self.open.insert(name.to_owned(), input);
            1
        })
    }
}

/// Counts keys and values of earlier tokens among inputs and outputs.
pub fn count_cache(graph: &mut graph::Graph) {
    let bytes = |ids: &[usize], words: &[&str]| -> u64 {
        let tensors = ids.iter().map(|&id| &graph.tensors[id]);
        let cached = tensors.filter(|t| {
            let name = t.name.to_ascii_lowercase();
            t.shape.len() >= 3 && t.dtype.is_float() && words.iter().any(|word| name.contains(word))
        });
        cached.map(|t| t.bytes()).fold(0, u64::saturating_add)
    };
    let before = bytes(&graph.inputs, &["past", "cache"]);
    if before > 0 {
        // The step adds its own keys and values, which outputs hold together with the earlier ones.
        graph.kv_cache_bytes = before.max(bytes(&graph.outputs, &["present", "cache"]));
    }
}
