//! The messages of `onnx.proto` as far as shapes need them. Texts and nested messages point into the file; a subgraph
//! is read when it is entered.

use super::wire::{Damage, Read, Span, Value};
use crate::model::check::NODES_MAX;
use crate::model::graph::Dtype;

/// Most elements whose values are kept: shapes have a few, index tables up to some thousand.
pub const VALUES_MAX: u64 = 1 << 12;

/// A model file.
#[derive(Clone, Debug, Default)]
pub struct Model<'a> {
    /// Its graph.
    pub graph: Option<Span<'a>>,
    /// Versions of the operator sets, by domain.
    pub opsets: Vec<(&'a str, i64)>,
    /// Functions that nodes may call.
    pub functions: Vec<Function<'a>>,
}

/// A graph, or the body of a branch or loop.
#[derive(Clone, Debug, Default)]
pub struct Graph<'a> {
    /// Name.
    pub name: &'a str,
    /// Nodes in order.
    pub nodes: Vec<Node<'a>>,
    /// Weights and constants.
    pub initializers: Vec<Tensor<'a>>,
    /// What is given; older files list weights here, too.
    pub inputs: Vec<ValueInfo<'a>>,
    /// What is made.
    pub outputs: Vec<ValueInfo<'a>>,
    /// Shapes that the exporter knew.
    pub value_info: Vec<ValueInfo<'a>>,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// Name, often empty.
    pub name: &'a str,
    /// Operator.
    pub op: &'a str,
    /// Whose operator; the standard one is empty.
    pub domain: &'a str,
    /// Names of what it reads; an empty one is absent.
    pub inputs: Vec<&'a str>,
    /// Names of what it makes.
    pub outputs: Vec<&'a str>,
    /// Attributes.
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute.
#[derive(Clone, Debug, Default)]
pub struct Attribute<'a> {
    /// Name.
    pub name: &'a str,
    /// The attribute of the calling node whose value this one takes.
    pub reference: &'a str,
    /// A float.
    pub float: Option<f32>,
    /// An integer.
    pub int: Option<i64>,
    /// A text.
    pub text: Option<Span<'a>>,
    /// A tensor.
    pub tensor: Option<Tensor<'a>>,
    /// A graph.
    pub graph: Option<Span<'a>>,
    /// Floats.
    pub floats: Vec<f64>,
    /// Integers.
    pub ints: Vec<i64>,
    /// How many texts a list of them has.
    pub texts: usize,
}

/// A tensor: a weight or a constant.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// Name.
    pub name: &'a str,
    /// Number of the type.
    pub dtype: i64,
    /// Extents.
    pub dims: Vec<i64>,
    /// Its elements are in another file.
    pub external: bool,
    span: Span<'a>,
}

/// Values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Integers and truth values.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f64>),
}

/// An extent as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim<'a> {
    /// A number.
    Fixed(i64),
    /// A name that stands for a number.
    Named(&'a str),
    /// Not known.
    Unknown,
}

/// Name, type and shape of a value.
#[derive(Clone, Debug, Default)]
pub struct ValueInfo<'a> {
    /// Name.
    pub name: &'a str,
    /// Number of the type; 0 where it is no tensor.
    pub dtype: i64,
    /// Extents; none where even their number is not known.
    pub dims: Option<Vec<Dim<'a>>>,
}

/// A function that nodes call by its name.
#[derive(Clone, Debug, Default)]
pub struct Function<'a> {
    /// Domain.
    pub domain: &'a str,
    /// Name.
    pub name: &'a str,
    /// Names of what is given.
    pub inputs: Vec<&'a str>,
    /// Names of what is made.
    pub outputs: Vec<&'a str>,
    /// Nodes in order.
    pub nodes: Vec<Node<'a>>,
    /// Attributes with defaults.
    pub defaults: Vec<Attribute<'a>>,
    /// Versions of the operator sets of its nodes.
    pub opsets: Vec<(&'a str, i64)>,
    /// Bytes that it has in the file.
    pub bytes: usize,
}

fn opset(span: Span<'_>) -> Read<(&str, i64)> {
    let (mut domain, mut version) = ("", 0);
    for field in span.fields() {
        let field = field?;
        match field.number {
            1 => domain = field.text()?,
            2 => version = field.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

impl<'a> Model<'a> {
    /// Reads the file's outermost message.
    ///
    /// # Errors
    /// Damage.
    pub fn read(span: Span<'a>) -> Read<Self> {
        let mut model = Model::default();
        for field in span.fields() {
            let field = field?;
            match field.number {
                7 => model.graph = Some(field.span()?),
                8 => model.opsets.push(opset(field.span()?)?),
                25 => model.functions.push(Function::read(field.span()?)?),
                _ => {}
            }
        }
        Ok(model)
    }
}

fn push_node<'a>(nodes: &mut Vec<Node<'a>>, span: Span<'a>) -> Read<()> {
    if nodes.len() == NODES_MAX {
        return Err(Damage {
            offset: span.offset,
            what: format!("the graph has more than the {NODES_MAX} nodes that are read"),
            remedy: "split the model, or simplify it (onnxslim)",
        });
    }
    nodes.push(Node::read(span)?);
    Ok(())
}

impl<'a> Graph<'a> {
    /// Reads a graph, without what its subgraphs hold.
    ///
    /// # Errors
    /// Damage, and more nodes than are read.
    pub fn read(span: Span<'a>) -> Read<Self> {
        let mut graph = Graph::default();
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => push_node(&mut graph.nodes, field.span()?)?,
                2 => graph.name = field.text()?,
                5 => graph.initializers.push(Tensor::read(field.span()?)?),
                11 => graph.inputs.push(ValueInfo::read(field.span()?)?),
                12 => graph.outputs.push(ValueInfo::read(field.span()?)?),
                13 => graph.value_info.push(ValueInfo::read(field.span()?)?),
                15 => graph.initializers.push(Tensor::read_sparse(field.span()?)?),
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(span: Span<'a>) -> Read<Self> {
        let mut node = Node::default();
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.op = field.text()?,
                5 => node.attributes.push(Attribute::read(field.span()?)?),
                7 => node.domain = field.text()?,
                _ => {}
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    /// The node's name, or what else it can be found by.
    pub fn label(&self) -> &'a str {
        match (self.name, self.outputs.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        }
    }
}

impl<'a> Attribute<'a> {
    fn read(span: Span<'a>) -> Read<Self> {
        let mut attribute = Attribute::default();
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => attribute.name = field.text()?,
                2 => attribute.float = Some(field.float()?),
                3 => attribute.int = Some(field.int()?),
                4 => attribute.text = Some(field.span()?),
                5 => attribute.tensor = Some(Tensor::read(field.span()?)?),
                6 => attribute.graph = Some(field.span()?),
                7 => field.floats(&mut attribute.floats)?,
                8 => field.ints(&mut attribute.ints)?,
                9 => attribute.texts += 1,
                21 => attribute.reference = field.text()?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn read(span: Span<'a>) -> Read<Self> {
        let mut tensor = Tensor {
            name: "",
            dtype: 0,
            dims: Vec::new(),
            external: false,
            span,
        };
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => field.ints(&mut tensor.dims)?,
                2 => tensor.dtype = field.int()?,
                8 => tensor.name = field.text()?,
                14 => tensor.external = field.int()? == 1,
                _ => {}
            }
        }
        Ok(tensor)
    }

    fn read_sparse(span: Span<'a>) -> Read<Self> {
        let mut dims = Vec::new();
        let mut values = None;
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => values = Some(Tensor::read(field.span()?)?),
                3 => field.ints(&mut dims)?,
                _ => {}
            }
        }
        match values {
            Some(tensor) => Ok(Tensor {
                dims,
                external: true,
                ..tensor
            }),
            None => Err(Damage::at(span.offset, "a sparse tensor without values")),
        }
    }

    /// The elements, where the file has them all and there are at most [`VALUES_MAX`].
    ///
    /// # Errors
    /// Damage.
    pub fn values(&self, dtype: Dtype, elements: u64) -> Read<Option<Values>> {
        if self.external || elements > VALUES_MAX {
            return Ok(None);
        }
        let (mut ints, mut floats) = (Vec::new(), Vec::new());
        let count = elements as usize;
        for field in self.span.fields() {
            let field = field?;
            // No number has more than ten bytes; what is longer does not belong to this shape.
            let long = matches!(field.value, Value::Span(span) if span.bytes.len() > 10 * count);
            if matches!(field.number, 4 | 5 | 7 | 9 | 10 | 11)
                && (long || ints.len() + floats.len() > count)
            {
                return Ok(None);
            }
            match field.number {
                4 => field.floats(&mut floats)?,
                5 | 7 | 11 => field.ints(&mut ints)?,
                10 => field.doubles(&mut floats)?,
                9 => raw(dtype, field.span()?.bytes, &mut ints, &mut floats),
                _ => {}
            }
        }
        // 16-bit floats are kept as integers outside of raw data: no shape is made of them.
        Ok(match dtype.is_float() {
            true if floats.len() == count => Some(Values::Floats(floats)),
            false if ints.len() == count => Some(Values::Ints(ints)),
            _ => None,
        })
    }
}

/// Elements as they lie in memory.
fn raw(dtype: Dtype, bytes: &[u8], ints: &mut Vec<i64>, floats: &mut Vec<f64>) {
    fn each<const N: usize, T>(bytes: &[u8], into: &mut Vec<T>, make: impl Fn([u8; N]) -> T) {
        into.extend(bytes.as_chunks::<N>().0.iter().map(|&chunk| make(chunk)));
    }
    match dtype {
        Dtype::Float32 => each(bytes, floats, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::Float64 => each(bytes, floats, f64::from_le_bytes),
        Dtype::Float16 => each(bytes, floats, |b| half(u16::from_le_bytes(b))),
        Dtype::Bfloat16 => each(bytes, floats, |b| {
            f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
        }),
        Dtype::Int64 => each(bytes, ints, i64::from_le_bytes),
        Dtype::Uint64 => each(bytes, ints, |b| u64::from_le_bytes(b) as i64),
        Dtype::Int32 => each(bytes, ints, |b| i64::from(i32::from_le_bytes(b))),
        Dtype::Uint32 => each(bytes, ints, |b| i64::from(u32::from_le_bytes(b))),
        Dtype::Int16 => each(bytes, ints, |b| i64::from(i16::from_le_bytes(b))),
        Dtype::Uint16 => each(bytes, ints, |b| i64::from(u16::from_le_bytes(b))),
        Dtype::Int8 => each(bytes, ints, |b| i64::from(i8::from_le_bytes(b))),
        Dtype::Uint8 | Dtype::Bool => each(bytes, ints, |b| i64::from(u8::from_le_bytes(b))),
        _ => {}
    }
}

/// A 16-bit float.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let magnitude = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    };
    match bits >> 15 {
        0 => magnitude,
        _ => -magnitude,
    }
}

impl<'a> ValueInfo<'a> {
    fn read(span: Span<'a>) -> Read<Self> {
        let mut info = ValueInfo::default();
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => info.name = field.text()?,
                2 => info.read_type(field.span()?)?,
                _ => {}
            }
        }
        Ok(info)
    }

    fn read_type(&mut self, span: Span<'a>) -> Read<()> {
        for field in span.fields() {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            for field in field.span()?.fields() {
                let field = field?;
                match field.number {
                    1 => self.dtype = field.int()?,
                    2 => self.dims = Some(dims(field.span()?)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn dims(span: Span<'_>) -> Read<Vec<Dim<'_>>> {
    let mut dims = Vec::new();
    for field in span.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let mut dim = Dim::Unknown;
        for field in field.span()?.fields() {
            let field = field?;
            match field.number {
                1 => dim = Dim::Fixed(field.int()?),
                2 if !field.text()?.is_empty() => dim = Dim::Named(field.text()?),
                _ => {}
            }
        }
        dims.push(dim);
    }
    Ok(dims)
}

impl<'a> Function<'a> {
    fn read(span: Span<'a>) -> Read<Self> {
        let mut function = Function {
            bytes: span.bytes.len(),
            ..Function::default()
        };
        for field in span.fields() {
            let field = field?;
            match field.number {
                1 => function.name = field.text()?,
                4 => function.inputs.push(field.text()?),
                5 => function.outputs.push(field.text()?),
                7 => push_node(&mut function.nodes, field.span()?)?,
                9 => function.opsets.push(opset(field.span()?)?),
                10 => function.domain = field.text()?,
                11 => function.defaults.push(Attribute::read(field.span()?)?),
                _ => {}
            }
        }
        Ok(function)
    }
}

/// The type of this number.
pub fn dtype(number: i64) -> Option<Dtype> {
    Some(match number {
        1 => Dtype::Float32,
        2 => Dtype::Uint8,
        3 => Dtype::Int8,
        4 => Dtype::Uint16,
        5 => Dtype::Int16,
        6 => Dtype::Int32,
        7 => Dtype::Int64,
        8 => Dtype::String,
        9 => Dtype::Bool,
        10 => Dtype::Float16,
        11 => Dtype::Float64,
        12 => Dtype::Uint32,
        13 => Dtype::Uint64,
        14 => Dtype::Complex64,
        15 => Dtype::Complex128,
        16 => Dtype::Bfloat16,
        17..=20 | 24 => Dtype::Float8,
        21 => Dtype::Uint4,
        22 => Dtype::Int4,
        23 => Dtype::Float4,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn halves_are_read() {
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2f64.powi(-24));
        assert_eq!(half(0x7c00), f64::INFINITY);
    }
}
