//! ONNX models, written byte by byte.

use crate::model::graph::Graph;
use crate::model::options::Bindings;

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    pub fn int(mut self, field: u64, n: i64) -> Self {
        self.varint(field << 3);
        self.varint(n as u64);
        self
    }

    pub fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn all<T>(self, list: &[T], add: impl Fn(Self, &T) -> Self) -> Self {
        list.iter().fold(self, add)
    }
}

/// A node: operator, inputs, outputs, attributes.
pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    Message::default()
        .all(inputs, |m, name| m.text(1, name))
        .all(outputs, |m, name| m.text(2, name))
        .text(3, &format!("the_{}", outputs[0]))
        .text(4, op)
        .all(attributes, |m, attribute| m.bytes(5, &attribute.0))
}

pub fn int(name: &str, n: i64) -> Message {
    Message::default().text(1, name).int(3, n)
}

pub fn ints(name: &str, list: &[i64]) -> Message {
    Message::default()
        .text(1, name)
        .all(list, |m, &n| m.int(8, n))
}

pub fn graph_attribute(name: &str, graph: &Message) -> Message {
    Message::default().text(1, name).bytes(6, &graph.0)
}

/// A value; extents are numbers, or names in quotes.
pub fn value(name: &str, dtype: i64, dims: &[&str]) -> Message {
    let shape = Message::default().all(dims, |m, dim| {
        let dim = match dim.parse() {
            Ok(n) => Message::default().int(1, n),
            Err(_) => Message::default().text(2, dim),
        };
        m.bytes(1, &dim.0)
    });
    let tensor = Message::default().int(1, dtype).bytes(2, &shape.0);
    let kind = Message::default().bytes(1, &tensor.0);
    Message::default().text(1, name).bytes(2, &kind.0)
}

/// A tensor without its elements, as files without weights have it.
pub fn weight(name: &str, dtype: i64, dims: &[i64]) -> Message {
    Message::default()
        .all(dims, |m, &n| m.int(1, n))
        .int(2, dtype)
        .text(8, name)
}

pub fn numbers(name: &str, list: &[i64]) -> Message {
    weight(name, 7, &[list.len() as i64]).all(list, |m, &n| m.int(7, n))
}

#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub nodes: Vec<Message>,
    pub weights: Vec<Message>,
    pub inputs: Vec<Message>,
    pub outputs: Vec<Message>,
    pub functions: Vec<Message>,
}

impl Parts {
    pub fn graph(&self) -> Message {
        Message::default()
            .all(&self.nodes, |m, node| m.bytes(1, &node.0))
            .text(2, "hand_made")
            .all(&self.weights, |m, weight| m.bytes(5, &weight.0))
            .all(&self.inputs, |m, input| m.bytes(11, &input.0))
            .all(&self.outputs, |m, output| m.bytes(12, &output.0))
    }

    pub fn file(&self) -> Vec<u8> {
        let opset = Message::default().text(1, "").int(2, 17);
        Message::default()
            .int(1, 8)
            .bytes(7, &self.graph().0)
            .bytes(8, &opset.0)
            .all(&self.functions, |m, function| m.bytes(25, &function.0))
            .0
    }

    pub fn read(&self, bindings: &Bindings) -> Result<Graph, String> {
        let graph =
            super::super::read(&self.file(), "m.onnx", bindings).map_err(|e| e.to_string())?;
        graph.check("m.onnx").map_err(|e| e.to_string())?;
        Ok(graph)
    }

    pub fn refused(&self, bindings: &Bindings) -> String {
        self.read(bindings).unwrap_err()
    }
}
