//! Attention: one kernel, or products with softmax between them; and rotary positions in front of it.

use super::context::{Lie, Lowering};
use super::patterns::Attention;
use super::{Content, Path, Place};
use crate::kernels::operator::{
    AttentionKind, AttentionOp, CatOp, Function, GemmOp, Layout, Operands, RopeOp, RowFunction,
    RowsOp, Style,
};
use crate::model::graph::{AttentionShape, Kind, TensorId};

/// Puts queries, keys and values side by side where a fused kernel rotates queries and keys in place.
pub fn adjoin(l: &mut Lowering<'_>) {
    if !l.plan.folds() {
        return;
    }
    for node in 0..l.graph.nodes.len() {
        let of = l.node(node);
        let (Kind::Attention(_), [q, k, v, ..]) = (&of.kind, &of.inputs[..]) else {
            continue;
        };
        let (Some(q), Some(k)) = (unrotated(l, *q), unrotated(l, *k)) else {
            continue;
        };
        let all = [q, k, *v];
        // Parts of one tensor are side by side already.
        let own = |id: TensorId| {
            l.maker(id)
                .is_some_and(|maker| l.node(maker).kind != Kind::Free)
        };
        if !all.iter().all(|&id| own(id)) {
            continue;
        }
        let sizes = all.map(|id| l.bytes(id));
        let whole = l.buffer(sizes.iter().sum(), Content::Activation);
        let mut offset = 0;
        for (id, size) in all.into_iter().zip(sizes) {
            l.put(id, Place { offset, ..whole });
            offset += size;
        }
    }
}

/// What is rotated to become `id`.
fn unrotated(l: &Lowering<'_>, id: TensorId) -> Option<TensorId> {
    let maker = l.node(l.maker(id)?);
    (maker.op == "Rotary").then(|| maker.inputs[0])
}

/// The attention that reads `id`, and its shape.
fn reader(l: &Lowering<'_>, id: TensorId) -> Option<(usize, AttentionShape)> {
    l.readers(id)
        .iter()
        .find_map(|&node| match l.node(node).kind {
            Kind::Attention(shape) => Some((node, shape)),
            _ => None,
        })
}

/// Rotary positions of queries or keys; a fused kernel does both at once.
pub fn rotate(l: &mut Lowering<'_>, node: usize) {
    let of = l.node(node);
    let (x, y) = (of.inputs[0], of.outputs[0]);
    let Some((attention, shape)) = reader(l, y) else {
        // As a tensor of heads that nobody attends to.
        let (read, write, n) = (l.place(x), l.place(y), l.tensor(y).elements());
        return l.each(
            Function::Mul,
            l.data(),
            n,
            Lie::SAME,
            (&[read, read], write),
        );
    };
    let [q, k] = [l.node(attention).inputs[0], l.node(attention).inputs[1]];
    let tokens = l.tensor(y).elements() / shape.head_dim.max(1) / heads_of(shape, y == q).max(1);
    let both = l.plan.folds() && y == q && unrotated(l, k).is_some();
    if !both && l.plan.fuses() {
        return fused_rotation(l, [x, y], tokens, shape.head_dim);
    }
    if !both {
        return spelt_rotation(l, [x, y], tokens, shape.head_dim);
    }
    let place = l.place(x);
    l.put(y, place);
    if let (Some(maker), Some(from)) = (l.maker(k), unrotated(l, k)) {
        let of_keys = l.place(from);
        l.put(k, of_keys);
        l.take(maker);
    }
    let table = rotary_table(l, tokens, shape.head_dim);
    let positions = l.shared("positions", tokens * 8, Content::Input);
    let op = RopeOp {
        rows: tokens,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        head_dim: shape.head_dim,
        data: l.data(),
        style: Style::Vllm,
    };
    l.call(op, vec![place, table, positions], vec![place]);
}

fn heads_of(shape: AttentionShape, queries: bool) -> u64 {
    if queries { shape.heads } else { shape.kv_heads }
}

/// Queries or keys alone, not in place: a kernel that reads rows and the table.
fn fused_rotation(l: &mut Lowering<'_>, [x, y]: [TensorId; 2], tokens: u64, head_dim: u64) {
    let (n, data) = (l.tensor(y).elements(), l.data());
    let table = rotary_table(l, tokens, head_dim);
    let (x, y) = (l.place(x), l.place(y));
    let row = Lie::rows_of(Operands::Row, head_dim);
    l.each(Function::Mul, data, n, row, (&[x, table], y));
}

/// Sines and cosines of all positions.
fn rotary_table(l: &mut Lowering<'_>, tokens: u64, head_dim: u64) -> Place {
    let bytes = tokens * head_dim * l.data().bytes();
    l.shared("rotary table", bytes, Content::Constants)
}

/// `x * cos + rotate_half(x) * sin`, operator by operator.
fn spelt_rotation(l: &mut Lowering<'_>, [x, y]: [TensorId; 2], tokens: u64, head_dim: u64) {
    let n = l.tensor(y).elements();
    let data = l.data();
    let table = rotary_table(l, tokens, head_dim);
    let (x, y) = (l.place(x), l.place(y));
    let [cosines, turned, sines] = [0; 3].map(|_| l.temporary(n, data));
    let negative = l.temporary(n / 2, data);
    let row = Lie::rows_of(Operands::Row, head_dim);
    l.each(Function::Mul, data, n, row, (&[x, table], cosines));
    let half = Lie::rows_of(Operands::Half, (head_dim / 2).max(1));
    l.each(Function::Scale, data, n / 2, half, (&[x], negative));
    let op = CatOp {
        rows: n / head_dim.max(1),
        cols: (head_dim / 2).max(1),
        tensors: 2,
        data,
    };
    l.call(op, vec![negative], vec![turned]);
    l.each(Function::Mul, data, n, row, (&[turned, table], sines));
    l.each(Function::Add, data, n, Lie::SAME, (&[cosines, sines], y));
}

/// An attention.
pub fn lower(l: &mut Lowering<'_>, node: usize, shape: AttentionShape) {
    let of = l.node(node);
    let Some(operands) = of.inputs.get(..3) else {
        return l.refuse(node, "attention on one packed tensor");
    };
    let operands: Vec<Place> = operands.iter().map(|&id| l.place(id)).collect();
    let write = l.place(of.outputs[0]);
    let (shape, [q, k, v]) = cached(l, shape, [operands[0], operands[1], operands[2]]);
    if shape.head_dim != shape.value_dim {
        l.assume("heads of values count as long as those of keys, where they are shorter");
    }
    let biased = of.inputs.len() > 3 || !shape.scaled;
    emit(l, shape, biased, [q, k, v, write]);
}

/// An attention that a graph spells out, as one operator.
pub fn found(l: &mut Lowering<'_>, found: &Attention) {
    found.nodes.iter().for_each(|&node| l.account(node));
    l.rename("Attention");
    let places = found.operands.map(|id| l.place(id));
    let write = l.place(found.result);
    emit(
        l,
        found.shape,
        found.biased,
        [places[0], places[1], places[2], write],
    );
}

fn emit(l: &mut Lowering<'_>, shape: AttentionShape, biased: bool, [q, k, v, write]: [Place; 4]) {
    let fits = shape.head_dim <= 256 && shape.head_dim.is_multiple_of(8);
    if biased && l.plan.training.is_some() {
        l.assume(
            "a bias of attention scores has no gradient here, and costs nothing on the way back",
        );
    }
    if l.plan.attention == Path::Spelt || !fits {
        return spelt(l, shape, biased, [q, k, v, write]);
    }
    if biased {
        l.assume("a bias of attention scores costs the fused kernel nothing");
    }
    let op = AttentionOp {
        batch: shape.batch,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        queries: shape.queries,
        keys: shape.keys,
        head_dim: shape.head_dim,
        causal: shape.causal.into(),
        data: l.data(),
        kind: AttentionKind::Auto,
        backward: 0,
    };
    l.call(op, vec![q, k, v], vec![write]);
}

/// With keys and values of all tokens so far, where this is a step of decoding: those of the new token are copied to
/// the cache first.
fn cached(
    l: &mut Lowering<'_>,
    shape: AttentionShape,
    [q, k, v]: [Place; 3],
) -> (AttentionShape, [Place; 3]) {
    let Some(tokens) = l
        .plan
        .cached
        .filter(|_| shape.causal && shape.queries == shape.keys)
    else {
        return (shape, [q, k, v]);
    };
    l.assume(
        "keys and values of new tokens are copied to a cache in place; attention reads all of it",
    );
    let data = l.data();
    let mut places = [k, v];
    for (place, dim) in places.iter_mut().zip([shape.head_dim, shape.value_dim]) {
        let of_token = shape.batch * shape.kv_heads * dim;
        let cache = l.buffer(of_token * tokens * data.bytes(), Content::Cache);
        l.each(
            Function::Copy,
            data,
            of_token * shape.keys,
            Lie::SAME,
            (&[*place], cache),
        );
        *place = cache;
    }
    let shape = AttentionShape {
        keys: tokens,
        causal: false,
        ..shape
    };
    (shape, [q, places[0], places[1]])
}

/// Products with softmax between them, as Hugging Face's models have them: operands are copied where heads lie behind
/// tokens, for products in batches need them in front.
fn spelt(l: &mut Lowering<'_>, shape: AttentionShape, biased: bool, [q, k, v, write]: [Place; 4]) {
    let data = l.data();
    let AttentionShape {
        queries,
        keys,
        head_dim,
        heads,
        ..
    } = shape;
    let batch = shape.batch * heads;
    // Heads of one query, and those of a cache, lie in front already.
    let in_front = l.plan.cached.is_some() && queries == 1;
    let shared = shape.kv_heads < heads;
    let sizes = [batch, heads, head_dim];
    let q = in_heads(l, q, queries, sizes, !in_front);
    let k = in_heads(l, k, keys, sizes, !in_front || shared);
    let v = in_heads(l, v, keys, sizes, !in_front || shared);
    let product = |n: u64, k: u64, layout: Layout| GemmOp {
        m: queries,
        n,
        k,
        batch,
        data: match data {
            crate::kernels::operator::DataType::F32 => l.plan.precision.products(),
            other => other,
        },
        layout,
        ..GemmOp::usual()
    };
    let (scores, values) = (
        product(keys, head_dim, Layout::Nt),
        product(head_dim, keys, Layout::Nn),
    );
    let n = batch * queries * keys;
    let mut at = l.temporary(n, data);
    l.call(scores, vec![q, k], vec![at]);
    if !l.plan.fuses() {
        at = scale_and_mask(l, shape, biased, at);
    }
    let weights = l.temporary(n, data);
    let softmax = RowsOp {
        rows: batch * queries,
        cols: keys,
        data,
        style: l.plan.style(),
        ..RowsOp::usual(RowFunction::Softmax)
    };
    l.call(softmax, vec![at], vec![weights]);
    let result = match in_front {
        true => write,
        false => l.temporary(batch * queries * head_dim, data),
    };
    l.call(values, vec![weights, v], vec![result]);
    if !in_front {
        let lie = Lie {
            operands: Operands::Heads,
            cols: head_dim,
            rows: heads,
            heads: queries.min(4096),
        };
        l.each(
            Function::Copy,
            data,
            batch * queries * head_dim,
            lie,
            (&[result], write),
        );
    }
}

/// An operand of `batch` heads of `tokens` elements each, as a copy with heads in front if it has to be `moved`.
fn in_heads(
    l: &mut Lowering<'_>,
    place: Place,
    tokens: u64,
    [batch, heads, head_dim]: [u64; 3],
    moved: bool,
) -> Place {
    if !moved {
        return place;
    }
    let (n, data) = (batch * tokens * head_dim, l.data());
    let copy = l.temporary(n, data);
    let lie = Lie {
        operands: Operands::Heads,
        cols: head_dim,
        rows: tokens,
        heads,
    };
    l.each(Function::Copy, data, n, lie, (&[place], copy));
    copy
}

/// Division by the root of the head's length, and the mask: a causal one chooses, others are added.
fn scale_and_mask(
    l: &mut Lowering<'_>,
    shape: AttentionShape,
    biased: bool,
    scores: Place,
) -> Place {
    let data = l.data();
    let n = shape.batch * shape.heads * shape.queries * shape.keys;
    if !shape.scaled {
        return with_bias(l, shape, scores);
    }
    let [scaled, masked] = [0; 2].map(|_| l.temporary(n, data));
    let mask = l.shared(
        "attention mask",
        shape.queries * shape.keys * data.bytes(),
        Content::Input,
    );
    if shape.causal {
        // The divisor is a tensor of one element, and the mask one for all heads: offsets are found by division.
        let row = Lie::rows_of(Operands::Row, shape.keys);
        l.each(Function::Div, data, n, row, (&[scores, mask], scaled));
        let row = Lie::rows_of(Operands::Row, shape.queries * shape.keys);
        l.each(Function::Mul, data, n, row, (&[scaled, mask], masked));
        return masked;
    }
    l.each(Function::DivScalar, data, n, Lie::SAME, (&[scores], scaled));
    let cols = if biased {
        shape.queries * shape.keys
    } else {
        shape.keys
    };
    let row = Lie::rows_of(Operands::Row, cols);
    l.each(Function::Add, data, n, row, (&[scaled, mask], masked));
    masked
}

/// The bias of every head, to which the mask has been added once, in place.
fn with_bias(l: &mut Lowering<'_>, shape: AttentionShape, scores: Place) -> Place {
    let data = l.data();
    let of_sequence = shape.heads * shape.queries * shape.keys;
    let name = match shape.causal {
        true => "bias of causal scores",
        false => "bias of scores",
    };
    let bias = l.shared(name, of_sequence * data.bytes(), Content::Activation);
    let lie = match shape.batch {
        1 => Lie::SAME,
        _ => Lie::rows_of(Operands::Row, of_sequence),
    };
    let n = shape.batch * of_sequence;
    l.each(Function::Add, data, n, lie, (&[scores, bias], scores));
    scores
}
