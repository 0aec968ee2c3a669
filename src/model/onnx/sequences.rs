//! Sequences of tensors: which tensors each has is known while the file is read, so that they are names for these.

use super::import::Importer;
use super::infer::{Arg, Out, axis};
use super::proto::{Node, Values};
use crate::error::Result;
use crate::model::check::{elements, show};
use crate::model::graph::{self, Dtype, Kind, Role, TensorId};
use std::rc::Rc;

/// What a tensor in a sequence counts, of the bytes that are gone through: it keeps names and shapes in memory.
const ITEM_BYTES: usize = 4096;

/// What the output of `node` is called.
fn called<'a>(node: &Node<'a>) -> &'a str {
    node.outputs.first().copied().unwrap_or(node.op)
}

impl<'a> Importer<'a> {
    /// The outputs of an operator on sequences; `None` when `node` is another one.
    pub fn sequence(
        &mut self,
        node: &Node<'a>,
        inputs: &[Option<TensorId>],
    ) -> Result<Option<Vec<TensorId>>> {
        let given: Vec<TensorId> = inputs.iter().flatten().copied().collect();
        let first = given.first().copied();
        let held = first.and_then(|id| self.sequences.get(&id).cloned());
        let made = match (node.op, held) {
            ("SequenceEmpty", _) => self.bundle(node, Vec::new())?,
            ("SequenceConstruct", None) => self.bundle(node, given)?,
            ("SplitToSequence", None) => {
                let parts = self.split(node, &given)?;
                self.bundle(node, parts)?
            }
            ("SequenceInsert", Some(list)) => {
                let mut list = list.to_vec();
                let Some(&item) = given.get(1) else {
                    return Err(self.at(node, "what is to be inserted is missing"));
                };
                let at = self.place(node, given.get(2), list.len(), list.len())?;
                list.insert(at, item);
                self.bundle(node, list)?
            }
            ("SequenceErase", Some(list)) => {
                let mut list = list.to_vec();
                let Some(last) = list.len().checked_sub(1) else {
                    return Err(self.at(node, "the sequence is empty"));
                };
                let at = self.place(node, given.get(1), last, last)?;
                list.remove(at);
                self.bundle(node, list)?
            }
            ("SequenceAt", Some(list)) => {
                let Some(last) = list.len().checked_sub(1) else {
                    return Err(self.at(node, "the sequence is empty"));
                };
                list[self.place(node, given.get(1), last, 0)?]
            }
            ("SequenceLength", Some(list)) => {
                let length = Values::Ints(vec![list.len() as i64]);
                let out = Out {
                    dtype: Dtype::Int64,
                    shape: Vec::new(),
                    values: Some(Rc::new(length)),
                };
                self.add(called(node), out, Role::Constant)
            }
            ("ConcatFromSequence", Some(list)) => self.join(node, &list)?,
            ("Identity" | "Optional" | "OptionalGetElement", Some(_)) => given[0],
            (_, None) => return Ok(None),
            (_, Some(_)) => {
                return Err(self.at(node, "it reads a sequence, but does not work on one"));
            }
        };
        Ok(Some(vec![made]))
    }

    /// A name for the tensors of `list`.
    fn bundle(&mut self, node: &Node<'a>, list: Vec<TensorId>) -> Result<TensorId> {
        self.spend(node, ITEM_BYTES * list.len())?;
        let nothing = Out {
            dtype: Dtype::Int64,
            shape: vec![0],
            values: None,
        };
        let id = self.add(called(node), nothing, Role::Constant);
        self.sequences.insert(id, list.into());
        Ok(id)
    }

    /// The position that an input gives, up to `last`; `otherwise` where it is absent or not known before a run.
    fn place(
        &mut self,
        node: &Node<'a>,
        position: Option<&TensorId>,
        last: usize,
        otherwise: usize,
    ) -> Result<usize> {
        let Some(&id) = position else {
            return Ok(otherwise);
        };
        let known = match self.values[id].as_deref() {
            Some(Values::Ints(ints)) => ints.first().copied(),
            _ => None,
        };
        let Some(n) = known else {
            let place = self.called(node.label());
            self.graph.note(format!(
                "{} {place}: its position is not known before a run; {otherwise} is taken",
                node.op
            ));
            return Ok(otherwise);
        };
        // Counted from the end, the last place of an insertion is behind the last tensor.
        let length = last as i64 + i64::from(node.op != "SequenceInsert");
        let place = if n < 0 { n.saturating_add(length) } else { n };
        match usize::try_from(place) {
            Ok(place) if place <= last => Ok(place),
            _ => Err(self.at(node, format!("position {n} is outside of the sequence"))),
        }
    }

    /// Parts of a tensor along a dimension.
    fn split(&mut self, node: &Node<'a>, given: &[TensorId]) -> Result<Vec<TensorId>> {
        let int = |name: &str| node.attributes.iter().find(|a| a.name == name)?.int;
        let Some(&id) = given.first() else {
            return Err(self.at(node, "input 0 is missing"));
        };
        let Arg { dtype, shape, .. } = self.operand(id);
        let at = axis(int("axis").unwrap_or(0), shape.len());
        let at = at.map_err(|fault| self.at(node, fault))?;
        let sizes = given.get(1).map(|&sizes| self.operand(sizes));
        let ints = match sizes.as_ref().map(|sizes| sizes.values.as_deref()) {
            None => vec![1],
            Some(Some(Values::Ints(ints))) => ints.clone(),
            Some(_) => {
                return Err(self.at(node, "the sizes of its parts are not known before a run"));
            }
        };
        let equal = sizes.is_none_or(|sizes| sizes.shape.is_empty());
        let parts = match ints[..] {
            [size] if equal && size > 0 => {
                let count = shape[at].div_ceil(size as u64);
                self.spend(node, ITEM_BYTES.saturating_mul(count as usize))?;
                let rest = |i: u64| shape[at] - i * size as u64;
                (0..count).map(|i| rest(i).min(size as u64)).collect()
            }
            _ => ints.iter().map(|&n| n.max(0) as u64).collect::<Vec<u64>>(),
        };
        if parts.iter().fold(0u64, |sum, &n| sum.saturating_add(n)) != shape[at] {
            return Err(self.at(node, format!("its parts do not add up to {}", shape[at])));
        }
        let drops = given.len() < 2 && int("keepdims") == Some(0);
        let outputs = parts.into_iter().map(|part| {
            let mut shape = shape.clone();
            match drops {
                true => drop(shape.remove(at)),
                false => shape[at] = part,
            }
            shape
        });
        let shapes: Vec<Vec<u64>> = outputs.collect();
        Ok(self.moved(node, dtype, shapes, vec![id]))
    }

    /// All tensors of a sequence along a dimension, which is a new one or not.
    fn join(&mut self, node: &Node<'a>, list: &[TensorId]) -> Result<TensorId> {
        let int = |name: &str| node.attributes.iter().find(|a| a.name == name)?.int;
        let parts: Vec<Arg> = list.iter().map(|&id| self.operand(id)).collect();
        let Some(first) = parts.first() else {
            return Err(self.at(node, "the sequence is empty"));
        };
        let new = int("new_axis").unwrap_or(0) != 0;
        let mut shape = first.shape.clone();
        let at = axis(int("axis").unwrap_or(0), shape.len() + usize::from(new));
        let at = at.map_err(|fault| self.at(node, fault))?;
        let mut length = 0u64;
        for part in &parts {
            let fits = part.shape.len() == shape.len()
                && part.dtype == first.dtype
                && (0..shape.len()).all(|i| i == at && !new || part.shape[i] == shape[i]);
            if !fits {
                let what = format!(
                    "{} and {} cannot be joined along dimension {at}",
                    show(&shape),
                    show(&part.shape)
                );
                return Err(self.at(node, what));
            }
            length = length.saturating_add(if new { 1 } else { part.shape[at] });
        }
        match new {
            true => shape.insert(at, length),
            false => shape[at] = length,
        }
        elements(&shape).map_err(|what| self.at(node, what))?;
        let dtype = first.dtype;
        Ok(self.moved(node, dtype, vec![shape], list.to_vec())[0])
    }

    /// A node that puts elements into tensors of these shapes.
    fn moved(
        &mut self,
        node: &Node<'a>,
        dtype: Dtype,
        shapes: Vec<Vec<u64>>,
        inputs: Vec<TensorId>,
    ) -> Vec<TensorId> {
        let fixed =
            |&id: &TensorId| matches!(self.graph.tensors[id].role, Role::Weight | Role::Constant);
        let (role, kind) = match inputs.iter().all(fixed) {
            true => (Role::Constant, Kind::Free),
            false => (Role::Activation, Kind::Move),
        };
        let out = |shape| Out {
            dtype,
            shape,
            values: None,
        };
        let outputs: Vec<TensorId> = shapes
            .into_iter()
            .map(|shape| self.add(called(node), out(shape), role))
            .collect();
        self.graph.nodes.push(graph::Node {
            name: self.called(node.label()),
            op: match node.op {
                "ConcatFromSequence" => "Concat".into(),
                op => op.into(),
            },
            kind,
            inputs,
            outputs: outputs.clone(),
            products: Vec::new(),
        });
        outputs
    }
}
