//! Attention and rotary embedding of the standard operator set.

use super::{Call, Infer, Made, Out, fault, volume};
use crate::model::check::show;
use crate::model::graph::{AttentionShape, Kind, Shape};

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    match call.node.op {
        "Attention" => attention(call).map(Some),
        "RotaryEmbedding" => {
            let x = call.arg(0)?;
            Ok(Some(Made::one(Kind::Elementwise, x.dtype, x.shape.clone())))
        }
        _ => Ok(None),
    }
}

/// Sequences, heads, tokens and elements of a head of an operand, which is split into heads or not.
fn heads(shape: &[u64], heads: Option<u64>) -> Infer<[u64; 4]> {
    match (shape, heads) {
        (&[batch, heads, tokens, size], _) => Ok([batch, heads, tokens, size]),
        (&[batch, tokens, width], Some(heads)) if width % heads == 0 => {
            Ok([batch, heads, tokens, width / heads])
        }
        (shape, heads) => fault(format!(
            "an operand of {} cannot be split into {} heads",
            show(shape),
            heads.map_or("unknown".into(), |n| n.to_string())
        )),
    }
}

fn attention(call: &Call<'_>) -> Infer {
    let dtype = call.same(&[0, 1, 2])?;
    let (q, k, v) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    let (own, others) = (call.count("q_num_heads")?, call.count("kv_num_heads")?);
    let [batch, q_heads, queries, head_dim] = heads(&q.shape, own)?;
    let [k_batch, kv_heads, tokens, k_size] = heads(&k.shape, others)?;
    let [_, v_heads, v_tokens, value_dim] = heads(&v.shape, others)?;
    let fits = k_size == head_dim && k_batch == batch && kv_heads > 0 && v_heads == kv_heads;
    if !fits || v_tokens != tokens || q_heads % kv_heads != 0 {
        return fault(format!(
            "queries {}, keys {} and values {} do not fit together",
            show(&q.shape),
            show(&k.shape),
            show(&v.shape)
        ));
    }
    let past = match call.get(4) {
        Some(past) if past.shape.len() == 4 => past.shape[2],
        Some(past) => return fault(format!("past keys of {}", show(&past.shape))),
        None => 0,
    };
    let keys = volume(&[past + tokens])?;
    let shape = AttentionShape {
        batch,
        heads: q_heads,
        kv_heads,
        queries,
        keys,
        head_dim,
        value_dim,
        causal: call.int("is_causal", 0) != 0,
        scaled: true,
    };
    let result: Shape = match q.shape.len() {
        4 => vec![batch, q_heads, queries, value_dim],
        _ => vec![batch, queries, volume(&[q_heads, value_dim])?],
    };
    let outputs = vec![
        Out::new(dtype, result),
        Out::new(dtype, [batch, kv_heads, keys, head_dim]),
        Out::new(dtype, [batch, kv_heads, keys, value_dim]),
        Out::new(dtype, [batch, q_heads, queries, keys]),
    ];
    let products = shape.products(dtype);
    Ok(Made::new(Kind::Attention(shape), outputs).with(products))
}
