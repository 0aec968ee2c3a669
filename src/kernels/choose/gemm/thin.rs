//! Kernels for C of few rows or few columns: no tiles, every element of the large matrix is read once by the lane that
//! needs it.

use super::super::{Candidate, Launch};
use super::SPLITS;
use super::cost::{Cost, Thin, reducing, thin_cost};
use crate::config::GpuSpec;
use crate::kernels::gemm::gemv::{Gemv, Results};
use crate::kernels::gemm::gemv_columns::GemvColumns;
use crate::kernels::gemm::output_of;
use crate::kernels::gemm::reduce::SplitReduce;
use crate::kernels::operator::{DataType, Epilogue, GemmOp, Layout};
use crate::kernels::{Arrays, KernelGenerator};

/// Rows or columns of a thin C: those of cuBLAS's `gemv` and `gemmSN` kernels.
const THIN: u64 = 16;

/// A product as its large and small matrix.
struct Sides {
    /// Rows of the large one (columns, where the depth does not lie side by side), and of the small one.
    large: u64,
    small: u64,
    /// Whether the depth lies side by side in the large one.
    along_depth: bool,
    results: Results,
    /// With the small matrix first.
    arrays: Arrays,
}

fn sides(op: &GemmOp) -> Option<Sides> {
    let (a_depth, b_depth) = match op.layout {
        Layout::Nn => (true, false),
        Layout::Nt => (true, true),
        Layout::Tn => (false, false),
        Layout::Tt => (false, true),
    };
    let arrays = Arrays::default();
    // A single row lies side by side whatever its layout.
    if op.m <= op.n && op.m <= THIN && (op.m == 1 || a_depth) {
        return Some(Sides {
            large: op.n,
            small: op.m,
            along_depth: b_depth,
            results: Results::Apart,
            arrays,
        });
    }
    (op.n <= THIN && (op.n == 1 || b_depth)).then(|| Sides {
        large: op.m,
        small: op.n,
        along_depth: a_depth,
        results: Results::Together,
        arrays: arrays.with(0, arrays.at(1)).with(1, arrays.at(0)),
    })
}

/// Kernels without tiles for `op`, if it is thin: the best of each kind.
pub(super) fn candidates(op: &GemmOp, gpu: &GpuSpec) -> Vec<Candidate> {
    let plain = matches!(op.data, DataType::F32 | DataType::F16 | DataType::Bf16)
        && matches!(op.epilogue, Epilogue::None | Epilogue::Bias)
        && op.pointers == 0;
    let Some(sides) = sides(op).filter(|_| plain) else {
        return Vec::new();
    };
    // Biases belong to columns of C.
    let biased = op.epilogue == Epilogue::Bias;
    if biased && sides.results == Results::Together || sides.small > 1 && op.batch > 1 {
        return Vec::new();
    }
    // cuBLAS has `gemmSN` for floats only; halves of few rows go to tiles with a split depth.
    if sides.small > 1 && op.data != DataType::F32 {
        return Vec::new();
    }
    if sides.along_depth {
        let best = |warps: u64| {
            let forms = [4, 2, 1].map(|at_once| rows(op, &sides, at_once, warps, gpu));
            forms.into_iter().flatten().min_by(better)
        };
        return [1, 4].into_iter().filter_map(best).collect();
    }
    let best = |splits: &[u32]| {
        let forms = splits
            .iter()
            .flat_map(|&split| [16, 8, 4].map(|warps| (split, warps)));
        let forms =
            forms.filter_map(|(split, warps)| columns(op, &sides, warps, split.into(), gpu));
        forms.min_by(better)
    };
    [&SPLITS[..1], &SPLITS[1..]]
        .into_iter()
        .filter_map(best)
        .collect()
}

fn better(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    a.estimate.total_cmp(&b.estimate)
}

fn bytes(op: &GemmOp) -> f64 {
    let [m, n, k, batch] = [op.m, op.n, op.k, op.batch].map(|x| x as f64);
    let results = m * n * (1 + op.beta) as f64 * output_of(op.data).bytes() as f64;
    batch * ((m + n) * k * op.data.bytes() as f64 + results)
}

fn words(cost: &Cost) -> String {
    format!(
        "{:.2} waves of {} CTAs an SM, limited by {}",
        cost.waves, cost.resident, cost.limit
    )
}

/// Warps with rows of the large matrix.
fn rows(op: &GemmOp, sides: &Sides, at_once: u64, warps: u64, gpu: &GpuSpec) -> Option<Candidate> {
    let kernel = Gemv {
        arrays: sides.arrays,
        rows: sides.large * op.batch,
        depth: op.k,
        small: sides.small,
        batch: op.batch,
        data: op.data,
        output: output_of(op.data),
        results: sides.results,
        epilogue: op.epilogue,
        at_once,
        warps,
        beta: op.beta,
    };
    let thin = Thin {
        ctas: kernel.ctas(),
        warps: 4,
        registers: kernel.registers(),
        smem_bytes: 0,
        trips: kernel.trips(),
        instructions: kernel.instructions(),
        passes: kernel.passes(),
        finish: 13 * at_once * sides.small + 40,
        bytes: bytes(op),
        small_bytes: sides.small * op.k * op.data.bytes(),
        waits: kernel.waits(),
    };
    let cost = thin_cost(&thin, gpu)?;
    kernel.build(gpu).ok()?;
    let name = match sides.small {
        1 => "gemv2T",
        _ => "gemmSN_TN",
    };
    let of = if warps == 1 { "a warp" } else { "four warps" };
    let reason = format!("{of} for {at_once} rows of the depth, {}", words(&cost));
    Some(Candidate {
        name: format!("{name}_{at_once}x{warps}"),
        launches: vec![super::super::rows::launch(kernel, reason)],
        estimate: cost.cycles,
    })
}

/// Lanes with columns of the large matrix.
fn columns(op: &GemmOp, sides: &Sides, warps: u64, split: u64, gpu: &GpuSpec) -> Option<Candidate> {
    let output = output_of(op.data);
    let kernel = GemvColumns {
        arrays: sides.arrays,
        cols: sides.large,
        depth: op.k,
        small: sides.small,
        batch: op.batch,
        data: op.data,
        output,
        results: sides.results,
        epilogue: op.epilogue,
        warps,
        split,
        beta: op.beta,
    };
    let thin = Thin {
        ctas: kernel.ctas(),
        warps,
        registers: kernel.registers(),
        smem_bytes: kernel.smem_bytes(),
        trips: kernel.trips(),
        instructions: kernel.instructions(),
        passes: kernel.passes(),
        finish: 10 * warps + 40,
        bytes: bytes(op),
        small_bytes: sides.small * op.k.div_ceil(split) * op.data.bytes(),
        waits: 0,
    };
    let cost = thin_cost(&thin, gpu)?;
    let made = kernel.build(gpu).ok();
    made.filter(|_| split <= op.k)?;
    let results = sides.large * sides.small * op.batch;
    let mut launches: Vec<Launch> = Vec::new();
    let reason = format!(
        "lanes with columns, {warps} warps share the depth, {}",
        words(&cost)
    );
    launches.push(super::super::rows::launch(kernel, reason));
    let mut estimate = cost.cycles;
    if split > 1 {
        estimate += reducing((results * split) as f64 * 4.0, gpu);
        let reduce = SplitReduce {
            arrays: sides.arrays,
            rows: results / sides.large,
            cols: sides.large,
            parts: split,
            output,
            epilogue: op.epilogue,
            beta: op.beta,
        };
        let reason = format!("adds up the {split} parts of the split depth");
        launches.push(super::super::rows::launch(reduce, reason));
    }
    let name = match sides.small {
        1 => "gemv2N",
        _ => "gemmSN_NN",
    };
    let parts = if split > 1 {
        format!("_splitK{split}")
    } else {
        String::new()
    };
    Some(Candidate {
        name: format!("{name}_{warps}{parts}"),
        launches,
        estimate,
    })
}
