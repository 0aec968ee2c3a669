//! What each operator makes: types and shapes of its outputs, its matrix products, and values where a shape may be
//! computed from them.

mod arrange;
mod attention;
mod conv;
mod elementwise;
mod fold;
mod fused;
mod index;
mod learning;
mod make;
mod places;
mod product;
mod quantized;
mod recurrent;
mod rows;

pub use make::{constant, declared};

use super::proto::{Node, Values};
use crate::model::check::{broadcast, elements, show};
use crate::model::graph::{Dtype, Kind, Product, Shape};
use std::rc::Rc;

/// An input of a node.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Shape,
    /// Elements, where they are known.
    pub values: Option<Rc<Values>>,
}

/// An output of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Out {
    /// Type.
    pub dtype: Dtype,
    /// Shape.
    pub shape: Shape,
    /// Elements, where they are known.
    pub values: Option<Rc<Values>>,
}

impl Out {
    fn new(dtype: Dtype, shape: impl Into<Shape>) -> Self {
        Out {
            dtype,
            shape: shape.into(),
            values: None,
        }
    }
}

/// What a node makes.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its class.
    pub kind: Kind,
    /// Its outputs, in order; those that the node does not name are left away.
    pub outputs: Vec<Out>,
    /// Its matrix products.
    pub products: Vec<Product>,
    /// What had to be assumed.
    pub note: Option<String>,
}

impl Made {
    fn new(kind: Kind, outputs: Vec<Out>) -> Self {
        Made {
            kind,
            outputs,
            products: Vec::new(),
            note: None,
        }
    }

    pub(super) fn one(kind: Kind, dtype: Dtype, shape: impl Into<Shape>) -> Self {
        Made::new(kind, vec![Out::new(dtype, shape)])
    }

    fn with(mut self, products: Vec<Product>) -> Self {
        self.products = products;
        self
    }
}

/// Why a node cannot be accepted, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Fault {
            what,
            remedy: "correct the model and export it again".into(),
        }
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Fault::from(what.to_owned())
    }
}

/// Shorthand.
pub type Infer<T = Made> = Result<T, Fault>;

fn fault<T>(what: impl Into<String>) -> Infer<T> {
    Err(Fault::from(what.into()))
}

/// A node with what it reads.
#[derive(Debug)]
pub struct Call<'c> {
    /// The node.
    pub node: &'c Node<'c>,
    /// Version of its operator set.
    pub opset: i64,
    /// Its inputs.
    pub inputs: Vec<Option<Arg>>,
}

impl<'c> Call<'c> {
    fn get(&self, index: usize) -> Option<&Arg> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    fn arg(&self, index: usize) -> Infer<&Arg> {
        match self.get(index) {
            Some(arg) => Ok(arg),
            None => fault(format!("input {index} is missing")),
        }
    }

    /// An input that must have `rank` dimensions.
    fn ranked(&self, index: usize, rank: usize) -> Infer<&Arg> {
        let arg = self.arg(index)?;
        match arg.shape.len() == rank {
            true => Ok(arg),
            false => fault(format!(
                "input {index} is {}, expected {rank} dimensions",
                show(&arg.shape)
            )),
        }
    }

    fn attribute(&self, name: &str) -> Option<&super::proto::Attribute<'c>> {
        self.node.attributes.iter().find(|a| a.name == name)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|a| a.int).unwrap_or(default)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name)
            .and_then(|a| a.text)
            .and_then(|span| span.text().ok())
    }

    /// An attribute that must be there and positive.
    fn positive(&self, name: &str) -> Infer<u64> {
        match self.attribute(name).and_then(|a| a.int) {
            Some(n) if n > 0 => Ok(n as u64),
            Some(n) => fault(format!(
                "attribute {name} is {n}, expected a positive number"
            )),
            None => fault(format!("attribute {name} is missing")),
        }
    }

    /// An attribute that is none of an operator's when it is absent or zero.
    fn count(&self, name: &str) -> Infer<Option<u64>> {
        match self.int(name, 0) {
            0 => Ok(None),
            _ => self.positive(name).map(Some),
        }
    }

    /// Integers that are an input in newer operator sets and an attribute in older ones.
    fn ints_of(&self, index: usize, name: &str) -> Infer<Option<Vec<i64>>> {
        match self.get(index) {
            Some(_) => self.values(index).map(|ints| Some(ints.to_vec())),
            None => Ok(self.ints(name).map(<[i64]>::to_vec)),
        }
    }

    /// The integers of an input that must be known.
    fn values(&self, index: usize) -> Infer<&[i64]> {
        match self.arg(index)?.values.as_deref() {
            Some(Values::Ints(ints)) => Ok(ints),
            _ => Err(Fault {
                what: format!(
                    "its output's shape depends on input {index} ({}), whose elements are not known before a run",
                    self.node.inputs[index]
                ),
                remedy:
                    "export the model with fixed shapes, or fold its constants (onnxslim, onnxsim)"
                        .into(),
            }),
        }
    }

    /// The type that these inputs have in common.
    fn same(&self, indices: &[usize]) -> Infer<Dtype> {
        let first = self.arg(indices[0])?.dtype;
        for &index in indices {
            if let Some(arg) = self.get(index)
                && arg.dtype != first
            {
                return fault(format!(
                    "it computes with {} ({}) and {} ({}); both must have the same type",
                    first.name(),
                    self.node.inputs[indices[0]],
                    arg.dtype.name(),
                    self.node.inputs[index]
                ));
            }
        }
        Ok(first)
    }

    /// Shape of all inputs together.
    fn broadcast(&self, indices: impl IntoIterator<Item = usize>) -> Infer<Shape> {
        let mut shape = Shape::new();
        for index in indices {
            let other = &self.arg(index)?.shape;
            shape = match broadcast(&shape, other) {
                Some(shape) => shape,
                None => {
                    return fault(format!(
                        "shapes {} and {} do not fit together",
                        show(&shape),
                        show(other)
                    ));
                }
            };
        }
        Ok(shape)
    }

    /// How many outputs the node names.
    fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// What the node makes.
    ///
    /// # Errors
    /// Why it cannot be accepted; `Ok(None)` when its operator is not known.
    pub fn infer(&self) -> Infer<Option<Made>> {
        let made = match self.node.domain {
            "" => self.standard()?,
            "com.microsoft" | "com.microsoft.nchwc" => self.microsoft()?,
            "ai.onnx.ml" => learning::infer(self)?,
            _ => None,
        };
        let Some(mut made) = made else {
            return Ok(None);
        };
        made.outputs.truncate(self.outputs());
        if made.outputs.len() < self.outputs() {
            return fault(format!(
                "it names {} outputs, but the operator makes {}",
                self.outputs(),
                made.outputs.len()
            ));
        }
        for out in &made.outputs {
            elements(&out.shape)?;
        }
        fold::fold(self, &mut made);
        Ok(Some(made))
    }

    fn standard(&self) -> Infer<Option<Made>> {
        type Family = fn(&Call<'_>) -> Infer<Option<Made>>;
        const FAMILIES: [Family; 10] = [
            elementwise::infer,
            make::infer,
            arrange::infer,
            index::infer,
            product::infer,
            conv::infer,
            rows::infer,
            recurrent::infer,
            quantized::infer,
            attention::infer,
        ];
        for family in FAMILIES {
            if let Some(made) = family(self)? {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    fn microsoft(&self) -> Infer<Option<Made>> {
        for family in [fused::infer, quantized::infer] {
            if let Some(made) = family(self)? {
                return Ok(Some(made));
            }
        }
        // Some exporters put standard operators into this domain.
        self.standard()
    }
}

/// A dimension counted from either end.
pub fn axis(axis: i64, rank: usize) -> Infer<usize> {
    let rank = rank as i64;
    match (-rank..rank).contains(&axis) {
        true => Ok(axis.rem_euclid(rank) as usize),
        false => fault(format!("dimension {axis} of a tensor that has {rank}")),
    }
}

/// The extent `n` of a shape that was computed.
fn extent(n: i64) -> Infer<u64> {
    match u64::try_from(n) {
        Ok(n) => Ok(n),
        Err(_) => fault(format!("an extent of {n}")),
    }
}

/// The product of extents that together are no tensor's: cannot wrap.
fn volume(shape: &[u64]) -> Infer<u64> {
    Ok(elements(shape)?)
}
