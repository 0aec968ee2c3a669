//! Matrix products: tiles, split-K and small kernels.
//!
//! Libraries' own choosers are not public. The candidates are the tiles that they have; which one is taken follows from
//! an estimate of its time by the machine's own rates ([`cost`]).

mod cost;
mod recorded;
mod thin;
mod tiles;

pub(super) use recorded::recorded;

use super::{Candidate, Launch};
use crate::config::GpuSpec;
use crate::kernels::Fault;
use crate::kernels::gemm::reduce::SplitReduce;
use crate::kernels::gemm::{Gemm, Merge};
use crate::kernels::operator::{DataType, Epilogue, GemmOp};
use cost::{Cost, cost};
use tiles::Choice;

/// Parts that a depth is split into.
const SPLITS: &[u32] = &[1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 18];
/// Trips of a part's loop at least.
const TRIPS_MIN: u64 = 4;

/// All tiles that fit, each without and with the best split of the depth; and kernels without tiles where C is thin.
pub(super) fn candidates(op: &GemmOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let mut all = thin::candidates(op, gpu);
    let mut first_fault = None;
    for choice in tiles::all(op, gpu) {
        let gemm = choice.product(op, gpu);
        if let Err(fault) = gemm.check(gpu) {
            first_fault.get_or_insert(fault);
            continue;
        }
        all.extend(split(&gemm, 1, gpu).and_then(|gemm| candidate(&choice, gemm, gpu)));
        let splits = SPLITS[1..].iter();
        let splits = splits.filter_map(|&parts| split(&gemm, parts, gpu));
        let splits = splits.filter_map(|gemm| candidate(&choice, gemm, gpu));
        all.extend(splits.min_by(|a, b| a.estimate.total_cmp(&b.estimate)));
    }
    match (all.is_empty(), first_fault) {
        (true, Some(fault)) => Err(fault),
        (true, None) => Err(Fault::field("type", op.data.name(), "no kernel fits")),
        _ => Ok(all),
    }
}

/// `gemm` with its depth in `parts`, merged in place where results have 32 bits and nothing is left to do to them.
fn split(gemm: &Gemm, parts: u32, gpu: &GpuSpec) -> Option<Gemm> {
    // What is known of libraries: from GA100 on they do not split an FP32 depth, unless it is far longer than C is wide.
    let wide = gemm.shape.m.max(gemm.shape.n);
    let large = matches!(gpu.compute_capability, 80 | 90..);
    if parts > 1 && gemm.data == DataType::F32 && large && gemm.shape.k < DEEP * wide {
        return None;
    }
    let trips = gemm.shape.k / u64::from(gemm.tile.k) / u64::from(parts);
    if parts > 1 && trips < TRIPS_MIN {
        return None;
    }
    let in_place = gemm.output.bytes() == 4 && gemm.epilogue == Epilogue::None;
    let small = gemm.shape.m * gemm.shape.n <= REDUCED_MAX;
    let gemm = Gemm {
        split: parts,
        merge: match in_place && !small {
            true => Merge::InPlace,
            false => Merge::Workspace,
        },
        ..gemm.clone()
    };
    gemm.check(gpu).is_ok().then_some(gemm)
}

/// How much longer than C is wide a depth is that is split all the same.
const DEEP: u64 = 24;
/// Results that a kernel of its own adds up, at most, where they could be added in place: what is known of libraries.
const REDUCED_MAX: u64 = 60_000;

fn candidate(choice: &Choice, gemm: Gemm, gpu: &GpuSpec) -> Option<Candidate> {
    let cost = cost(&gemm, gpu)?;
    let name = match gemm.split {
        1 => choice.name.clone(),
        parts => format!("{}_splitK{parts}", choice.name),
    };
    let reason = reason(&gemm, &cost, gpu);
    Some(Candidate {
        name,
        estimate: cost.cycles,
        launches: launches(gemm, reason),
    })
}

/// The product, and the sum of its parts.
fn launches(gemm: Gemm, reason: String) -> Vec<Launch> {
    let shape = &gemm.shape;
    let reduce = (gemm.split > 1 && gemm.merge == Merge::Workspace).then(|| Launch {
        kernel: Box::new(SplitReduce {
            arrays: gemm.arrays,
            rows: shape.m * shape.batch,
            cols: shape.n,
            parts: gemm.split.into(),
            output: gemm.output,
            epilogue: gemm.epilogue,
            beta: gemm.beta.into(),
        }),
        reason: format!("adds up the {} parts of the split depth", gemm.split),
    });
    let product = Launch {
        kernel: Box::new(gemm),
        reason,
    };
    std::iter::once(product).chain(reduce).collect()
}

fn reason(gemm: &Gemm, cost: &Cost, gpu: &GpuSpec) -> String {
    let waves = format!(
        "{:.2} waves of {} CTAs an SM, limited by {}",
        cost.waves, cost.resident, cost.limit
    );
    let split = match (gemm.split, gemm.merge) {
        (1, _) => "the depth is not split".to_owned(),
        (parts, Merge::InPlace) => format!("the depth is split in {parts}, added in place"),
        (parts, Merge::Workspace) => format!("the depth is split in {parts}, added by a kernel"),
    };
    let wgmma = match gpu.compute_capability >= 90 && gemm.data.bytes() < 4 {
        true => "; mma.sync as on Ampere, wgmma is not modelled yet",
        false => "",
    };
    format!("tile {}, {waves}; {split}{wgmma}", gemm.tile)
}

#[cfg(test)]
mod tests;
