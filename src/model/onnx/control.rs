//! Branches, loops and functions, as the nodes that they run.

use super::import::{DEPTH_MAX, Importer, Scope};
use super::infer::{Made, Out, axis};
use super::inputs;
use super::proto::{Attribute, Function, Graph, Node, Values};
use super::wire::Span;
use crate::error::Result;
use crate::model::check::elements;
use crate::model::graph::{Dtype, Kind, Role, TensorId};
use std::rc::Rc;

/// What an initializer of a loop's body counts in each turn.
const INITIALIZER_BYTES: usize = 4096;

impl<'a> Importer<'a> {
    /// A subgraph of `node`.
    fn body(&mut self, node: &Node<'a>, name: &str) -> Result<Graph<'a>> {
        let attribute = node.attributes.iter().find(|a| a.name == name);
        let Some(span): Option<Span<'a>> = attribute.and_then(|a| a.graph) else {
            return Err(self.at(node, format!("attribute {name} is missing")));
        };
        self.spend(node, span.bytes.len())?;
        Graph::read(span).map_err(|damage| self.damage(damage))
    }

    fn enter(&mut self, node: &Node<'_>, part: &str) -> Result<String> {
        if self.depth == DEPTH_MAX {
            let what = format!(
                "subgraphs and functions are nested more than the {DEPTH_MAX} deep that are read"
            );
            return Err(self.at(node, what));
        }
        self.depth += 1;
        let inner = self.inner_prefix(node, part);
        Ok(std::mem::replace(&mut self.prefix, inner))
    }

    fn leave(&mut self, prefix: String) {
        self.depth -= 1;
        self.prefix = prefix;
    }

    /// The tensors of these names at the end of a body.
    fn results<'n>(
        &self,
        node: &Node<'_>,
        names: impl Iterator<Item = &'n str>,
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<TensorId>> {
        names
            .map(|name| {
                scope
                    .get(name)
                    .ok_or_else(|| self.at(node, format!("its body does not make {name}")))
            })
            .collect()
    }

    /// The truth of a tensor, where it is known.
    fn truth(&self, id: TensorId) -> Option<bool> {
        match self.values[id].as_deref()? {
            Values::Ints(ints) => ints.first().map(|&n| n != 0),
            Values::Floats(_) => None,
        }
    }

    /// One branch of an If: the one that its condition chooses, or else the first.
    pub fn branch(
        &mut self,
        node: &Node<'a>,
        inputs: &[Option<TensorId>],
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<TensorId>> {
        let Some(&Some(condition)) = inputs.first() else {
            return Err(self.at(node, "its condition is missing"));
        };
        let known = self.truth(condition);
        let name = match known {
            Some(false) => "else_branch",
            _ => "then_branch",
        };
        if known.is_none() {
            let place = self.called(node.label());
            self.graph.note(format!(
                "If {place}: its condition is not known before a run; then_branch is counted, else_branch is not"
            ));
        }
        let body = self.body(node, name)?;
        let prefix = self.enter(node, "")?;
        let mut inner = Scope::within(scope);
        inputs::initializers(self, &body.initializers, &mut inner)?;
        self.run(&body.nodes, &mut inner)?;
        let results = self.results(node, body.outputs.iter().map(|o| o.name), &inner)?;
        self.leave(prefix);
        Ok(results)
    }

    /// A Loop, turn by turn.
    pub fn repeat(
        &mut self,
        node: &Node<'a>,
        inputs: &[Option<TensorId>],
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<TensorId>> {
        let body = self.body(node, "body")?;
        let carried = inputs.len().saturating_sub(2);
        if body.inputs.len() != carried + 2 || body.outputs.len() < carried + 1 {
            return Err(self.at(node, "its body does not fit to its inputs"));
        }
        let most = match inputs.first().copied().flatten() {
            None => Some(u64::MAX),
            Some(id) => match self.values[id].as_deref() {
                Some(Values::Ints(ints)) => ints.first().map(|&n| n.max(0) as u64),
                _ => None,
            },
        };
        let start = inputs.get(1).copied().flatten();
        let mut going = start.map_or(Some(true), |id| self.truth(id));
        let mut state: Vec<Option<TensorId>> = inputs.get(2..).unwrap_or_default().to_vec();
        let mut collected: Vec<Vec<TensorId>> = vec![Vec::new(); body.outputs.len() - carried - 1];
        let mut turn = 0;
        // With an open number of turns or an open condition one turn is counted.
        let mut open = most.is_none() || going.is_none();
        while turn < most.unwrap_or(1) && going != Some(false) {
            self.visit(node)?;
            self.spend(node, INITIALIZER_BYTES * body.initializers.len())?;
            let prefix = self.enter(node, &format!("{turn}/"))?;
            let results = self.turn(node, &body, scope, turn, &state)?;
            self.leave(prefix);
            turn += 1;
            going = self.truth(results[0]);
            state = results[1..=carried].iter().map(|&id| Some(id)).collect();
            for (list, &id) in collected.iter_mut().zip(&results[carried + 1..]) {
                list.push(id);
            }
            let endless = going.is_none() && most.is_none_or(|most| most > i64::MAX as u64 - 1);
            open |= endless;
            if open {
                break;
            }
        }
        let place = self.called(node.label());
        if open {
            self.graph.note(format!(
                "Loop {place}: how often it runs is not known before a run; one turn is counted"
            ));
        } else if turn > 0 && going.is_none() {
            self.graph.note(format!(
                "Loop {place}: when it ends is not known before a run; all of its {turn} turns are counted"
            ));
        }
        let Some(mut outputs) = state.into_iter().collect::<Option<Vec<TensorId>>>() else {
            return Err(self.at(node, "a carried value is missing"));
        };
        for list in collected {
            outputs.push(self.stack(node, &list)?);
        }
        Ok(outputs)
    }

    /// One turn of a Loop, whose body is told its number and that it goes on.
    fn turn(
        &mut self,
        node: &Node<'a>,
        body: &Graph<'a>,
        scope: &Scope<'a, '_>,
        turn: u64,
        state: &[Option<TensorId>],
    ) -> Result<Vec<TensorId>> {
        let scalar = |dtype, n: i64| Out {
            dtype,
            shape: Vec::new(),
            values: Some(Rc::new(Values::Ints(vec![n]))),
        };
        let (number, going) = (scalar(Dtype::Int64, turn as i64), scalar(Dtype::Bool, 1));
        let number = self.add(body.inputs[0].name, number, Role::Constant);
        let going = self.add(body.inputs[1].name, going, Role::Constant);
        let mut given = vec![number, going];
        for (id, input) in state.iter().zip(&body.inputs[2..]) {
            match id {
                Some(id) => given.push(*id),
                None => return Err(self.at(node, format!("a value for {} is missing", input.name))),
            }
        }
        self.inside(node, body, scope, &given)
    }

    /// The results of a body whose inputs are `given`.
    fn inside(
        &mut self,
        node: &Node<'a>,
        body: &Graph<'a>,
        scope: &Scope<'a, '_>,
        given: &[TensorId],
    ) -> Result<Vec<TensorId>> {
        let mut inner = Scope::within(scope);
        inputs::initializers(self, &body.initializers, &mut inner)?;
        for (input, &id) in body.inputs.iter().zip(given) {
            inner.put(input.name, id, "the loop");
        }
        self.run(&body.nodes, &mut inner)?;
        self.results(node, body.outputs.iter().map(|o| o.name), &inner)
    }

    /// A Scan: a turn for each slice of its last inputs.
    pub fn scan(
        &mut self,
        node: &Node<'a>,
        inputs: &[Option<TensorId>],
        scope: &Scope<'a, '_>,
    ) -> Result<Vec<TensorId>> {
        let body = self.body(node, "body")?;
        let attribute = |name| node.attributes.iter().find(|a| a.name == name);
        let scanned = attribute("num_scan_inputs").and_then(|a| a.int);
        let carried = usize::try_from(scanned.unwrap_or(0))
            .ok()
            .and_then(|n| inputs.len().checked_sub(n));
        let given: Option<Vec<TensorId>> = inputs.iter().copied().collect();
        let (Some(carried), Some(given)) = (carried, given) else {
            return Err(self.at(node, "attribute num_scan_inputs does not fit to its inputs"));
        };
        if body.inputs.len() != given.len()
            || body.outputs.len() < carried
            || carried == given.len()
        {
            return Err(self.at(node, "its body does not fit to its inputs"));
        }
        let (state, whole) = given.split_at(carried);
        let axes = attribute("scan_input_axes").map_or(&[][..], |a| &a.ints);
        let mut turns = None;
        let mut at = Vec::new();
        for (index, &id) in whole.iter().enumerate() {
            let shape = &self.graph.tensors[id].shape;
            let axis = axis(axes.get(index).copied().unwrap_or(0), shape.len());
            let axis = axis.map_err(|fault| self.at(node, fault))?;
            let n = shape[axis];
            if *turns.get_or_insert(n) != n {
                return Err(self.at(node, "the tensors that it goes through differ in length"));
            }
            at.push(axis);
        }
        let mut state = state.to_vec();
        let mut collected: Vec<Vec<TensorId>> = vec![Vec::new(); body.outputs.len() - carried];
        for turn in 0..turns.unwrap_or(0) {
            self.visit(node)?;
            self.spend(node, INITIALIZER_BYTES * body.initializers.len())?;
            let prefix = self.enter(node, &format!("{turn}/"))?;
            for (&id, &axis) in whole.iter().zip(&at) {
                state.push(self.slice(node, id, axis));
            }
            let results = self.inside(node, &body, scope, &state)?;
            self.leave(prefix);
            state = results[..carried].to_vec();
            for (list, &id) in collected.iter_mut().zip(&results[carried..]) {
                list.push(id);
            }
        }
        for list in collected {
            let stacked = self.stack(node, &list)?;
            state.push(stacked);
        }
        Ok(state)
    }

    /// A tensor without its dimension `axis`, as another view of the whole.
    fn slice(&mut self, node: &Node<'_>, id: TensorId, axis: usize) -> TensorId {
        let whole = self.operand(id);
        let mut shape = whole.shape;
        shape.remove(axis);
        self.push(node, Made::one(Kind::Free, whole.dtype, shape), vec![id])[0]
    }

    /// What all turns have made, one behind the other.
    fn stack(&mut self, node: &Node<'_>, parts: &[TensorId]) -> Result<TensorId> {
        let first = parts.first().map(|&id| self.operand(id));
        let mut shape = vec![parts.len() as u64];
        shape.extend(first.iter().flat_map(|part| part.shape.iter().copied()));
        elements(&shape).map_err(|what| self.at(node, what))?;
        let dtype = first.map_or(Dtype::Float32, |part| part.dtype);
        let made = Made::one(Kind::Move, dtype, shape);
        Ok(self.push(node, made, parts.to_vec())[0])
    }

    /// A call of a function of the file.
    pub fn call(
        &mut self,
        function: &'a Function<'a>,
        node: &Node<'a>,
        inputs: &[Option<TensorId>],
        scope: &mut Scope<'a, '_>,
    ) -> Result<()> {
        if inputs.len() > function.inputs.len() || node.outputs.len() > function.outputs.len() {
            let what = format!(
                "function {} has {} inputs and {} outputs",
                function.name,
                function.inputs.len(),
                function.outputs.len()
            );
            return Err(self.at(node, what));
        }
        self.spend(node, function.bytes)?;
        let nodes = function
            .nodes
            .iter()
            .map(|inner| with_values(inner, function, node));
        let nodes: Vec<Node<'a>> = nodes.collect();
        let prefix = self.enter(node, "")?;
        let opsets = std::mem::replace(&mut self.opsets, &function.opsets);
        let mut inner = Scope::default();
        for (&name, id) in function.inputs.iter().zip(inputs) {
            if let Some(id) = id {
                inner.put(name, *id, "the call");
            }
        }
        self.run(&nodes, &mut inner)?;
        let results = self.results(node, function.outputs.iter().copied(), &inner)?;
        self.leave(prefix);
        self.opsets = opsets;
        self.name_outputs(node, results, scope)
    }
}

/// A node of a function with the attributes that the call or the function's defaults give it.
fn with_values<'a>(inner: &Node<'a>, function: &Function<'a>, call: &Node<'a>) -> Node<'a> {
    let value = |attribute: &Attribute<'a>| -> Option<Attribute<'a>> {
        if attribute.reference.is_empty() {
            return Some(attribute.clone());
        }
        let given = call.attributes.iter().chain(&function.defaults);
        let mut found = given
            .into_iter()
            .find(|a| a.name == attribute.reference)?
            .clone();
        found.name = attribute.name;
        Some(found)
    };
    Node {
        attributes: inner.attributes.iter().filter_map(value).collect(),
        ..inner.clone()
    }
}
