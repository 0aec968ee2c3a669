//! Operators that ONNX Runtime makes of several others (`com.microsoft`).

use super::{Call, Infer, Made, Out, axis, conv, extent, fault, product, volume};
use crate::model::check::{elements, show};
use crate::model::graph::{AttentionShape, Dtype, Kind, Product};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "Gelu" | "QuickGelu" | "FastGelu" | "BiasGelu" => {
            let x = call.arg(0)?;
            Made::one(Kind::Elementwise, x.dtype, x.shape.clone())
        }
        "BiasAdd" | "BiasDropout" | "BitmaskDropout" | "RotaryEmbedding" => {
            let x = call.arg(0)?;
            Made::one(Kind::Elementwise, x.dtype, x.shape.clone())
        }
        "BiasSoftmax" => {
            let x = call.arg(0)?;
            Made::one(Kind::Softmax, x.dtype, x.shape.clone())
        }
        "BiasSplitGelu" => {
            let x = call.ranked(0, 3)?;
            Made::one(
                Kind::Elementwise,
                x.dtype,
                [x.shape[0], x.shape[1], x.shape[2] / 2],
            )
        }
        "FusedMatMul" | "TransposeMatMul" => fused_matmul(call)?,
        "FusedGemm" | "GemmFastGelu" => gemm(call)?,
        "FusedConv" => conv::convolution(call, 0, 1, call.arg(0)?.dtype)?,
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => skip_norm(call)?,
        "EmbedLayerNormalization" => embed(call)?,
        "GroupNorm" | "SkipGroupNorm" | "LayerNormalization" => {
            let x = call.arg(0)?;
            let out = Out::new(x.dtype, x.shape.clone());
            Made::new(Kind::Norm, vec![out.clone(), out])
        }
        // Channels in blocks, of which the last may be filled up: they are counted as the weights have them.
        "ReorderInput" => {
            let x = conv::channels_second(call, call.arg(0)?);
            Made::one(Kind::Move, x.dtype, x.shape)
        }
        "ReorderOutput" => reorder(call)?,
        "NhwcMaxPool" => conv::pool(call)?,
        "RelativePositionBias" => position_bias(call)?,
        "Attention" | "QAttention" => packed_attention(call)?,
        "MultiHeadAttention" => multi_head(call)?,
        "GroupQueryAttention" => group_query(call)?,
        "MoE" => experts(call)?,
        _ => return Ok(None),
    };
    Ok(Some(made))
}

fn fused_matmul(call: &Call<'_>) -> Infer {
    let flag = |name| call.int(name, 0) != 0;
    if flag("transBatchA") || flag("transBatchB") {
        return fault("transposed batches (transBatchA, transBatchB) are not read");
    }
    let dtype = call.same(&[0, 1])?;
    product::matmul(
        call.arg(0)?,
        call.arg(1)?,
        flag("transA"),
        flag("transB"),
        dtype,
    )
}

fn gemm(call: &Call<'_>) -> Infer {
    let dtype = call.same(&[0, 1])?;
    match call.node.op {
        "FusedGemm" => product::gemm(call, 0, 1, dtype),
        _ => product::matmul(call.arg(0)?, call.arg(1)?, false, false, dtype),
    }
}

fn reorder(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let mut shape = x.shape.clone();
    if shape.len() < 2 {
        return fault("its input has no channels");
    }
    shape[1] = call.positive("channels")?;
    let shape = conv::channels_back(call, shape);
    Ok(Made::one(Kind::Move, x.dtype, shape))
}

/// What is added to scores by the distance of query and key.
fn position_bias(call: &Call<'_>) -> Infer {
    let table = call.ranked(0, 2)?;
    let length = |index: usize| match call.values(index)?.first() {
        Some(&n) => extent(n),
        None => fault("a length is empty"),
    };
    let shape = [1, table.shape[1], length(1)?, length(2)?];
    Ok(Made::one(Kind::Lookup, table.dtype, shape))
}

fn skip_norm(call: &Call<'_>) -> Infer {
    let x = call.arg(0)?;
    let at = axis(-1, x.shape.len())?;
    let mut statistics = x.shape.clone();
    statistics[at] = 1;
    let (same, statistic) = (
        Out::new(x.dtype, x.shape.clone()),
        Out::new(Dtype::Float32, statistics),
    );
    Ok(Made::new(
        Kind::Norm,
        vec![same.clone(), statistic.clone(), statistic, same],
    ))
}

fn embed(call: &Call<'_>) -> Infer {
    let (ids, table) = (call.ranked(0, 2)?, call.ranked(2, 2)?);
    let shape = [ids.shape[0], ids.shape[1], table.shape[1]];
    let out = Out::new(table.dtype, shape);
    let index = Out::new(Dtype::Int32, [ids.shape[0]]);
    Ok(Made::new(Kind::Lookup, vec![out.clone(), index, out]))
}

/// Projection of queries, keys and values, and attention.
fn packed_attention(call: &Call<'_>) -> Infer {
    let (x, w) = (call.ranked(0, 3)?, call.ranked(1, 2)?);
    let heads = call.positive("num_heads")?;
    let (batch, tokens, width) = (x.shape[0], x.shape[1], w.shape[1]);
    let sizes = match call.ints("qkv_hidden_sizes") {
        Some(&[q, k, v]) if q > 0 && k == q && v > 0 => [q as u64, k as u64, v as u64],
        Some(_) => return fault("attribute qkv_hidden_sizes is not read"),
        None => [width / 3; 3],
    };
    let sum = sizes.iter().fold(0u64, |sum, &n| sum.saturating_add(n));
    if w.shape[0] != x.shape[2] || sum != width || sizes.iter().any(|n| n % heads != 0) {
        return fault(format!(
            "weights {} do not fit to input {} and {heads} heads",
            show(&w.shape),
            show(&x.shape)
        ));
    }
    let past = match call.get(4) {
        Some(past) if past.shape.len() == 5 => past.shape[3],
        _ => 0,
    };
    let result = match call.node.op {
        "QAttention" => call.arg(3)?.dtype,
        _ => x.dtype,
    };
    let shape = AttentionShape {
        batch,
        heads,
        kv_heads: heads,
        queries: tokens,
        keys: volume(&[tokens + past])?,
        head_dim: sizes[0] / heads,
        value_dim: sizes[2] / heads,
        causal: call.int("unidirectional", 0) != 0,
        scaled: true,
    };
    let mut products = vec![Product {
        op: "matmul",
        m: volume(&[batch, tokens])?,
        n: width,
        k: x.shape[2],
        batch: 1,
        dtype: x.dtype,
    }];
    products.extend(shape.products(result));
    let outputs = vec![
        Out::new(result, [batch, tokens, sizes[2]]),
        Out::new(result, [2, batch, heads, shape.keys, shape.head_dim]),
    ];
    Ok(Made::new(Kind::Attention(shape), outputs).with(products))
}

fn multi_head(call: &Call<'_>) -> Infer {
    let heads = call.positive("num_heads")?;
    let q = call.arg(0)?;
    // Queries alone may carry keys and values: batch, tokens, heads, 3, elements.
    let (batch, queries, head_dim) = match q.shape[..] {
        [batch, tokens, n, 3, size] if n == heads => (batch, tokens, size),
        [batch, tokens, width] if width % heads == 0 => (batch, tokens, width / heads),
        _ => return fault(format!("queries {} and {heads} heads", show(&q.shape))),
    };
    let (tokens, value_dim) = match (call.get(1), call.get(2)) {
        (Some(k), Some(v)) => match (&k.shape[..], &v.shape[..]) {
            (&[_, tokens, _], &[_, _, width]) if width % heads == 0 => (tokens, width / heads),
            (&[_, n, tokens, _], &[_, _, _, size]) if n == heads => (tokens, size),
            _ => {
                return fault(format!(
                    "keys {} and values {}",
                    show(&k.shape),
                    show(&v.shape)
                ));
            }
        },
        (Some(k), None) => match k.shape[..] {
            [_, tokens, n, 2, size] if n == heads => (tokens, size),
            _ => return fault(format!("keys {} without values", show(&k.shape))),
        },
        _ => (queries, head_dim),
    };
    let past = past_tokens(call, 6)?;
    let keys = volume(&[tokens.saturating_add(past)])?;
    let shape = AttentionShape {
        batch,
        heads,
        kv_heads: heads,
        queries,
        keys,
        head_dim,
        value_dim,
        causal: call.int("unidirectional", 0) != 0,
        scaled: true,
    };
    let outputs = vec![
        Out::new(q.dtype, [batch, queries, volume(&[heads, value_dim])?]),
        Out::new(q.dtype, [batch, heads, keys, head_dim]),
        Out::new(q.dtype, [batch, heads, keys, value_dim]),
    ];
    Ok(Made::new(Kind::Attention(shape), outputs).with(shape.products(q.dtype)))
}

/// Tokens of a cache of batch, heads, tokens, elements.
fn past_tokens(call: &Call<'_>, index: usize) -> Infer<u64> {
    match call.get(index) {
        Some(past) if past.shape.len() == 4 => Ok(past.shape[2]),
        Some(past) => fault(format!("past keys of {}", show(&past.shape))),
        None => Ok(0),
    }
}

fn group_query(call: &Call<'_>) -> Infer {
    let q = call.ranked(0, 3)?;
    let (heads, kv_heads) = (call.positive("num_heads")?, call.positive("kv_num_heads")?);
    let (batch, queries, width) = (q.shape[0], q.shape[1], q.shape[2]);
    let packed = call.get(1).is_none();
    let split = match packed {
        true => volume(&[heads.saturating_add(kv_heads.saturating_mul(2))])?,
        false => heads,
    };
    if width % split != 0 || heads % kv_heads != 0 {
        return fault(format!(
            "queries {} with {heads} heads and {kv_heads} of keys and values",
            show(&q.shape)
        ));
    }
    let head_dim = width / split;
    let past = past_tokens(call, 3)?;
    let keys = match call.get(6).map(|_| call.values(6)) {
        Some(Ok([total, ..])) => extent(*total)?,
        _ => past.saturating_add(queries),
    };
    let shape = AttentionShape {
        batch,
        heads,
        kv_heads,
        queries,
        keys: elements(&[keys])?,
        head_dim,
        value_dim: head_dim,
        causal: true,
        scaled: true,
    };
    let cache = Out::new(q.dtype, [batch, kv_heads, shape.keys.max(past), head_dim]);
    let outputs = vec![
        Out::new(q.dtype, [batch, queries, volume(&[heads, head_dim])?]),
        cache.clone(),
        cache,
    ];
    Ok(Made::new(Kind::Attention(shape), outputs).with(shape.products(q.dtype)))
}

/// Feed-forward networks, of which each token takes those with the greatest of its scores. Their matrices lie either way.
fn experts(call: &Call<'_>) -> Infer {
    let (x, scores) = (call.arg(0)?, call.ranked(1, 2)?);
    let (up, down) = (call.ranked(2, 3)?, call.ranked(4, 3)?);
    let width = x.shape.last().copied().unwrap_or(0);
    let tokens = volume(&x.shape)?.checked_div(width).unwrap_or(0);
    let count = scores.shape[1];
    let inside = |matrices: &[u64]| match *matrices {
        [n, a, b] if n == count && b == width => Some(a),
        [n, a, b] if n == count && a == width => Some(b),
        _ => None,
    };
    let gated = call.text("activation_type") == Some("swiglu") || call.get(6).is_some();
    let (first, inner) = match (inside(&up.shape), inside(&down.shape)) {
        (Some(one), Some(inner)) if one == inner && gated => (one.saturating_mul(2), inner),
        (Some(both), Some(inner)) if both == inner || gated && both == 2 * inner => (both, inner),
        _ => {
            return fault(format!(
                "matrices {} and {} do not fit to {count} experts and tokens of {width}",
                show(&up.shape),
                show(&down.shape)
            ));
        }
    };
    let chosen = match call.int("k", 1) {
        k if k >= 1 && k as u64 <= count => k as u64,
        k => return fault(format!("attribute k = {k}: there are {count} experts")),
    };
    if scores.shape[0] != tokens {
        return fault(format!(
            "{} rows of scores for {tokens} tokens",
            scores.shape[0]
        ));
    }
    let product = |m, k| Product {
        op: "experts",
        m,
        n: 1,
        k,
        batch: tokens.saturating_mul(chosen),
        dtype: x.dtype,
    };
    let kind = Kind::Experts {
        experts: count,
        chosen,
    };
    let made = Made::one(kind, x.dtype, x.shape.clone());
    Ok(made.with(vec![product(first, width), product(width, inner)]))
}
