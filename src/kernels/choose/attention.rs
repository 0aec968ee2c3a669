//! Attention: one kernel by the rules of FlashAttention, or products with softmax between them.

mod math;

use super::{Candidate, rows};
use crate::config::GpuSpec;
use crate::kernels::attention::backward::Backward;
use crate::kernels::attention::backward::rows::{ConvertQueries, DotRows};
use crate::kernels::attention::combine::CombineSplits;
use crate::kernels::attention::efficient::Efficient;
use crate::kernels::attention::flash::Flash;
use crate::kernels::attention::flash1::Flash1;
use crate::kernels::attention::paged::reduce::PagedReduce;
use crate::kernels::attention::paged::{PARTITION, Paged};
use crate::kernels::operator::{AttentionKind, AttentionOp, DataType};
use crate::kernels::rows::pointwise::OUTPUT;
use crate::kernels::{Arrays, Fault};

/// The shape with nothing left open.
struct Shape {
    kv_heads: u64,
    keys: u64,
}

fn shape(op: &AttentionOp) -> Shape {
    let given = |value: u64, usual: u64| if value == 0 { usual } else { value };
    Shape {
        kv_heads: given(op.kv_heads, op.heads),
        keys: given(op.keys, op.queries),
    }
}

pub(super) fn candidates(op: &AttentionOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let kv_heads = shape(op).kv_heads;
    if !op.heads.is_multiple_of(kv_heads) {
        let what = format!("{} heads do not share them evenly", op.heads);
        return Err(Fault::field("kvh", kv_heads, what));
    }
    if op.backward == 1 {
        return Ok(vec![backward(op)?]);
    }
    match op.kind {
        AttentionKind::Math => Ok(vec![math::plain(op, gpu)?]),
        AttentionKind::Eager => Ok(vec![math::eager(op, gpu)?]),
        AttentionKind::Flash2 => Ok(vec![flash(op, gpu)?]),
        AttentionKind::Sdpa21 => Ok(vec![packed_flash1(op)?]),
        AttentionKind::Flash1 => Ok(vec![flash1(op)?]),
        AttentionKind::SplitKv => Ok(vec![split(op, gpu)?]),
        AttentionKind::Auto if fused(op, gpu) => {
            // The matrix of all queries and keys may be more than there can be; the fused kernel never makes it.
            let others = math::plain(op, gpu).ok();
            Ok([Some(split(op, gpu)?), others]
                .into_iter()
                .flatten()
                .collect())
        }
        AttentionKind::Auto => Ok(vec![math::plain(op, gpu)?]),
        AttentionKind::Efficient => Ok(vec![efficient(op)]),
        AttentionKind::Paged => Ok(vec![paged(op)?]),
    }
}

/// The three kernels of FlashAttention 2's backward.
fn backward(op: &AttentionOp) -> Result<Candidate, Fault> {
    let Shape { kv_heads, keys } = shape(op);
    if !matches!(op.kind, AttentionKind::Auto | AttentionKind::Flash2) {
        let name = AttentionKind::NAMES[op.kind as usize];
        let what = "backward is that of flash2";
        return Err(Fault::field("impl", name, what));
    }
    if kv_heads != op.heads {
        let what = "backward needs as many heads of keys as of queries";
        return Err(Fault::field("kvh", kv_heads, what));
    }
    let kernel = Backward {
        arrays: Arrays::default(),
        batch: op.batch,
        heads: op.heads,
        queries: op.queries,
        keys,
        head_dim: op.head_dim,
        causal: op.causal,
        data: op.data,
    };
    Ok(Candidate {
        name: "flash2_backward".into(),
        launches: vec![
            rows::launch(
                DotRows(kernel.clone()),
                "a number of each row of the result and its gradient",
            ),
            rows::launch(
                kernel.clone(),
                "a CTA for each tile of keys goes over the queries; gradients of queries by atomics",
            ),
            rows::launch(
                ConvertQueries(kernel),
                "the sums of the queries' gradients as halves",
            ),
        ],
        estimate: 1.0,
    })
}

/// One kernel of CUTLASS, by the size of heads.
fn efficient(op: &AttentionOp) -> Candidate {
    let Shape { kv_heads, keys } = shape(op);
    let kernel = Efficient {
        arrays: Arrays::default(),
        batch: op.batch,
        heads: op.heads,
        kv_heads,
        queries: op.queries,
        keys,
        head_dim: op.head_dim,
        causal: op.causal,
        data: op.data,
    };
    let keys = if op.head_dim <= 64 { 64 } else { 128 };
    let reason = format!(
        "64 queries and {keys} keys at a time, results in registers: heads of {}",
        op.head_dim
    );
    Candidate {
        name: "efficient".into(),
        launches: vec![rows::launch(kernel, reason)],
        estimate: 1.5,
    }
}

/// vLLM's rule: one CTA a head up to 8192 tokens if that is one part or there are more than 512 heads; else parts of 512
/// tokens and a kernel that joins them.
fn paged(op: &AttentionOp) -> Result<Candidate, Fault> {
    let Shape { kv_heads, keys } = shape(op);
    if op.queries != 1 {
        let what = "paged attention has one query a sequence";
        return Err(Fault::field("sq", op.queries, what));
    }
    let whole = Paged {
        arrays: Arrays::default(),
        batch: op.batch,
        heads: op.heads,
        kv_heads,
        keys,
        head_dim: op.head_dim,
        data: op.data,
        partition: 0,
    };
    let heads = op.batch * op.heads;
    let parts = Paged {
        partition: PARTITION,
        ..whole.clone()
    };
    if keys <= 8192 && (parts.parts() == 1 || heads > 512) {
        let reason = format!("v1: {heads} heads of all sequences, a CTA each");
        return Ok(Candidate {
            name: "paged_v1".into(),
            launches: vec![rows::launch(whole, reason)],
            estimate: 1.0,
        });
    }
    let count = parts.parts();
    let reason = format!("v2: {heads} heads of all sequences, {count} parts of 512 tokens each");
    let reduce = PagedReduce {
        arrays: Arrays::default(),
        rows: heads,
        head_dim: op.head_dim,
        parts: count,
        data: op.data,
    };
    let mut launches = vec![rows::launch(parts, reason)];
    if count > 1 {
        launches.push(rows::launch(reduce, "joins the parts"));
    }
    Ok(Candidate {
        name: "paged_v2".into(),
        launches,
        estimate: 1.0,
    })
}

/// Whether PyTorch takes FlashAttention: halves, up to 256 elements a head, from Ampere on.
fn fused(op: &AttentionOp, gpu: &GpuSpec) -> bool {
    let halves = matches!(op.data, DataType::F16 | DataType::Bf16);
    halves && op.head_dim <= 256 && op.head_dim.is_multiple_of(8) && gpu.compute_capability >= 80
}

/// Queries and keys of a tile, and warps, by head dimension and architecture, as FlashAttention 2 has them.
fn tile(op: &AttentionOp, gpu: &GpuSpec) -> [u64; 3] {
    // Chips with less shared memory.
    let small = matches!(gpu.compute_capability, 86 | 89 | 120);
    let causal = op.causal == 1;
    match op.head_dim {
        ..=64 => [128, 128, 4],
        65..=96 if small && causal => [64, 64, 4],
        65..=96 => [128, 64, 4],
        97..=128 if small && causal => [64, 64, 4],
        97..=128 if small => [128, 32, 4],
        97..=128 => [128, 64, 4],
        129..=192 => [128, 64, 8],
        _ if gpu.compute_capability == 80 => [128, 64, 8],
        _ => [64, 64, 4],
    }
}

fn kernel(op: &AttentionOp, [bm, bn, warps]: [u64; 3], splits: u64) -> Flash {
    let shape = shape(op);
    Flash {
        arrays: Arrays::default(),
        batch: op.batch,
        heads: op.heads,
        kv_heads: shape.kv_heads,
        queries: op.queries,
        keys: shape.keys,
        head_dim: op.head_dim,
        causal: op.causal,
        data: op.data,
        bm,
        bn,
        warps,
        splits,
    }
}

fn flash(op: &AttentionOp, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let [bm, bn, warps] = tile(op, gpu);
    let reason = format!(
        "{bm} queries and {bn} keys a tile, {warps} warps: heads of {}",
        op.head_dim
    );
    Ok(Candidate {
        name: "flash2".into(),
        launches: vec![rows::launch(kernel(op, [bm, bn, warps], 1), reason)],
        estimate: 1.0,
    })
}

/// A CTA for each head of a sequence, or several.
fn flash1(op: &AttentionOp) -> Result<Candidate, Fault> {
    let shape = shape(op);
    if shape.kv_heads != op.heads {
        return Err(Fault::field(
            "kvh",
            shape.kv_heads,
            "FlashAttention 1 has as many heads of keys",
        ));
    }
    let kernel = Flash1 {
        arrays: Arrays::default(),
        batch: op.batch,
        heads: op.heads,
        queries: op.queries,
        keys: shape.keys,
        head_dim: op.head_dim,
        causal: op.causal,
        data: op.data,
        shares: 0,
    };
    let reason = format!(
        "{} keys at a time, 16 queries a step; as many CTAs to a head as fill the machine",
        kernel.part()
    );
    Ok(Candidate {
        name: "flash1".into(),
        launches: vec![rows::launch(kernel, reason)],
        estimate: 1.5,
    })
}

/// FlashAttention 1 behind copies of queries, keys and values, whose heads lie in front of their tokens.
fn packed_flash1(op: &AttentionOp) -> Result<Candidate, Fault> {
    let flash = flash1(op)?;
    let tokens = [op.queries, shape(op).keys, shape(op).keys];
    let copies = tokens.iter().enumerate().map(|(operand, &tokens)| {
        let arrays = Arrays::default();
        let arrays = arrays
            .with(0, arrays.at(6))
            .with(OUTPUT, arrays.at(operand));
        rows::heads_behind_tokens(arrays, [op.batch, op.heads, tokens, op.head_dim], op.data)
    });
    Ok(Candidate {
        name: "sdpa21".into(),
        launches: copies.chain(flash.launches).collect(),
        estimate: 1.5,
    })
}

/// With keys shared by CTAs where there are too few queries for all SMs; FlashAttention 2 as it is elsewhere.
fn split(op: &AttentionOp, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let mut op = op.clone();
    let kv_heads = shape(&op).kv_heads;
    if op.queries == 1 {
        // One query sees all keys; the heads that share keys become queries of one head.
        op.keys = shape(&op).keys;
        op.causal = 0;
        op.queries = op.heads / kv_heads;
        op.heads = kv_heads;
    }
    let bn = match op.head_dim {
        ..=64 => 256,
        65..=128 => 128,
        _ => 64,
    };
    let ctas = op.batch * op.heads * op.queries.div_ceil(64);
    let sms = u64::from(gpu.sms);
    let splits = split_count(ctas, sms, shape(&op).keys.div_ceil(bn));
    if splits == 1 && op.kind != AttentionKind::SplitKv {
        return flash(&op, gpu);
    }
    let reason = format!("keys in {splits} parts: {ctas} CTAs for {sms} SMs without");
    let mut launches = vec![rows::launch(kernel(&op, [64, bn, 4], splits), reason)];
    if splits > 1 {
        let combine = CombineSplits {
            arrays: Arrays::default(),
            rows: op.batch * op.heads * op.queries,
            head_dim: op.head_dim,
            splits,
            data: op.data,
        };
        launches.push(rows::launch(combine, "joins the parts"));
    }
    Ok(Candidate {
        name: "splitkv".into(),
        launches,
        estimate: 1.0,
    })
}

/// The fewest parts whose last wave is nearly as full as the best number's; one if the SMs are nearly busy without.
fn split_count(ctas: u64, sms: u64, key_blocks: u64) -> u64 {
    if 10 * ctas >= 8 * sms {
        return 1;
    }
    let most = key_blocks.min(sms).min(128);
    // Parts that only differ in how their last one is filled are no others.
    let differs =
        |splits: u64| splits == 1 || key_blocks.div_ceil(splits) != key_blocks.div_ceil(splits - 1);
    let efficiency = |splits: u64| {
        let waves = (ctas * splits) as f64 / sms as f64;
        waves / waves.ceil()
    };
    let eligible = || (1..=most).filter(|&splits| differs(splits));
    let best = eligible().map(efficiency).fold(0.0, f64::max);
    eligible()
        .find(|&splits| efficiency(splits) >= 0.85 * best)
        .unwrap_or(1)
}
