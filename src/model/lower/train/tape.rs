//! Where gradients lie while the way back is written.

use super::super::context::Lie;
use super::super::{Buffer, BufferId, Call, Content, Layer, Lowered, Pass, Place, Plan};
use crate::kernels::operator::{DataType, ElementwiseOp, Function, Operator, Style};
use std::collections::BTreeMap;

/// The way back, as far as it is written.
pub struct Tape<'a> {
    out: Lowered,
    plan: &'a Plan,
    /// Whether a buffer of the forward pass holds weights, or what was made with them.
    needs: Vec<bool>,
    /// Gradients so far, by what they are of.
    known: BTreeMap<Place, Place>,
    /// Buffers for the gradients of buffers.
    shadows: BTreeMap<BufferId, BufferId>,
    layer: Option<Layer>,
    /// Operations in products of the open layer.
    products: u64,
}

impl<'a> Tape<'a> {
    /// Behind `forward`.
    pub fn new(forward: Lowered, plan: &'a Plan) -> Self {
        let learnt = |buffer: &Buffer| buffer.content == Content::Weights;
        let mut needs: Vec<bool> = forward.buffers.iter().map(learnt).collect();
        for call in forward.layers.iter().flat_map(|layer| &layer.calls) {
            if call.reads.iter().any(|place| needs[place.buffer]) {
                call.writes
                    .iter()
                    .for_each(|place| needs[place.buffer] = true);
            }
        }
        Tape {
            out: forward,
            plan,
            needs,
            known: BTreeMap::new(),
            shadows: BTreeMap::new(),
            layer: None,
            products: 0,
        }
    }

    /// The result.
    pub fn finish(self) -> Lowered {
        self.out
    }

    /// A layer of the forward pass.
    pub fn layer(&self, at: usize) -> Layer {
        self.out.layers[at].clone()
    }

    /// Numbers between layers.
    pub fn data(&self) -> DataType {
        self.plan.precision.activations()
    }

    /// Whose kernels of rows and elements are launched.
    pub fn style(&self) -> Style {
        self.plan.style()
    }

    /// Whether there is a gradient of what lies at `place`.
    pub fn needs(&self, place: Place) -> bool {
        self.needs[place.buffer]
    }

    /// Elements of `data` that the buffer at `place` has room for, from there on.
    pub fn room(&self, place: Place, data: DataType) -> u64 {
        let bytes = self.out.buffers[place.buffer].bytes;
        bytes.saturating_sub(place.offset) / data.bytes()
    }

    /// Elements of all weights that have a gradient, and where the first of them and its gradient lie.
    pub fn weights(&self) -> Option<(u64, Place, Place)> {
        let found = self
            .shadows
            .iter()
            .find(|(buffer, _)| self.is_weight(**buffer));
        let (&first, &gradient) = found?;
        let start = |buffer| Place { buffer, offset: 0 };
        let all = self
            .shadows
            .keys()
            .filter(|buffer| self.is_weight(**buffer));
        let bytes: u64 = all.map(|&buffer| self.out.buffers[buffer].bytes).sum();
        Some((bytes / self.data().bytes(), start(first), start(gradient)))
    }

    fn is_weight(&self, buffer: BufferId) -> bool {
        self.out.buffers[buffer].content == Content::Weights
    }

    /// States what was taken to hold, once.
    pub fn assume(&mut self, text: &str) {
        if !self.out.assumptions.iter().any(|known| known == text) {
            self.out.assumptions.push(text.to_owned());
        }
    }

    /// A new buffer.
    pub fn buffer(&mut self, bytes: u64, content: Content) -> Place {
        self.out.buffers.push(Buffer { bytes, content });
        Place {
            buffer: self.out.buffers.len() - 1,
            offset: 0,
        }
    }

    /// Memory of `n` numbers.
    pub fn temporary(&mut self, n: u64) -> Place {
        self.buffer(n * self.data().bytes(), Content::Activation)
    }

    /// Begins a layer.
    pub fn open(&mut self, name: &str, op: &str, pass: Pass) {
        self.products = 0;
        self.layer = Some(Layer {
            times: 1,
            name: name.to_owned(),
            op: op.to_owned(),
            pass,
            flops: 0,
            bytes: 0,
            calls: Vec::new(),
        });
    }

    /// Ends the layer; one without calls leaves no trace.
    pub fn close(&mut self) {
        let Some(mut layer) = self.layer.take().filter(|layer| !layer.calls.is_empty()) else {
            return;
        };
        let work = layer.calls.iter().map(|call| call.operator.work());
        let (flops, bytes) = work.fold((0.0, 0.0), |sum, work| {
            (sum.0 + work.flops, sum.1 + work.bytes)
        });
        layer.bytes = bytes as u64;
        layer.flops = match self.products {
            0 => flops as u64,
            products => products,
        };
        self.out.layers.push(layer);
    }

    /// Counts `flops` of products for the open layer.
    pub fn count(&mut self, flops: f64) {
        self.products = self.products.saturating_add(flops as u64);
    }

    /// Appends a call to the open layer.
    pub fn call(&mut self, operator: impl Into<Operator>, reads: Vec<Place>, write: Place) {
        if let Some(layer) = &mut self.layer {
            layer.calls.push(Call {
                operator: operator.into(),
                reads,
                writes: vec![write],
                waits: false,
            });
        }
    }

    /// Appends a function of `n` elements.
    pub fn each(&mut self, function: Function, n: u64, lie: Lie, reads: &[Place], write: Place) {
        self.each_of(function, self.data(), n, lie, reads, write);
    }

    /// The same of numbers of the type `data`.
    pub fn each_of(
        &mut self,
        function: Function,
        data: DataType,
        n: u64,
        lie: Lie,
        reads: &[Place],
        write: Place,
    ) {
        if n == 0 {
            return;
        }
        let op = ElementwiseOp {
            n,
            function,
            data,
            output: data,
            cols: lie.cols,
            operands: lie.operands,
            rows: lie.rows,
            heads: lie.heads,
            style: self.style(),
        };
        self.call(op, reads.to_vec(), write);
    }

    /// The gradients of `bytes` at `y`, the first one in front, if there are any; they are used up.
    pub fn take(&mut self, y: Place, bytes: u64) -> Vec<Place> {
        let end = Place {
            offset: y.offset.saturating_add(bytes.max(1)),
            ..y
        };
        let found: Vec<Place> = self.known.range(y..end).map(|(of, _)| *of).collect();
        found
            .iter()
            .filter_map(|of| self.known.remove(of))
            .collect()
    }

    /// Where a first gradient of what lies at `x` is written.
    fn shadow(&mut self, x: Place) -> Place {
        let buffer = match self.shadows.get(&x.buffer) {
            Some(&buffer) => buffer,
            None => {
                let content = match self.is_weight(x.buffer) {
                    true => Content::Gradients,
                    false => Content::Activation,
                };
                let bytes = self.out.buffers[x.buffer].bytes;
                let place = self.buffer(bytes, content);
                self.shadows.insert(x.buffer, place.buffer);
                place.buffer
            }
        };
        Place { buffer, ..x }
    }

    /// Lets `write` make the gradient of the `n` numbers at `x`, if that is needed, and adds it to what there is.
    pub fn give(&mut self, x: Place, n: u64, write: impl FnOnce(&mut Self, Place)) {
        if !self.needs(x) || n == 0 {
            return;
        }
        let Some(before) = self.known.get(&x).copied() else {
            let to = self.shadow(x);
            self.known.insert(x, to);
            return write(self, to);
        };
        let more = self.temporary(n);
        write(self, more);
        self.add(x, n, before, more);
    }

    /// Lets the `n` numbers at `gradient` be the gradient of those at `x`, too, or adds them to it.
    pub fn pass(&mut self, x: Place, n: u64, gradient: Place) {
        if !self.needs(x) || n == 0 {
            return;
        }
        match self.known.get(&x).copied() {
            Some(before) => self.add(x, n, before, gradient),
            None if self.is_weight(x.buffer) => {
                let n = n.min(self.room(x, self.data()));
                self.give(x, n, |tape, to| {
                    tape.each(Function::Copy, n, Lie::SAME, &[gradient], to);
                });
            }
            None => {
                self.known.insert(x, gradient);
            }
        }
    }

    /// The sum of two gradients of `x`: in place where it is kept, else a new tensor, for either may be another's, too.
    fn add(&mut self, x: Place, n: u64, before: Place, more: Place) {
        let n = n.min(self.room(x, self.data()));
        let sum = match self.is_weight(x.buffer) {
            true => before,
            false => self.temporary(n),
        };
        self.each(Function::Add, n, Lie::SAME, &[before, more], sum);
        self.known.insert(x, sum);
    }
}
