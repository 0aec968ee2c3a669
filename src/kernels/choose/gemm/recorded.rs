//! The kernel that a library launched, by its name.

use super::super::{Candidate, Recorded};
use super::cost::cost;
use super::tiles::{self, Choice};
use super::{launches, reason};
use crate::config::GpuSpec;
use crate::kernels::gemm::{Gemm, Merge, Tile};
use crate::kernels::operator::{Epilogue, GemmOp};

/// The kernel that a library launched for `op`, if it is one of ours.
pub(in crate::kernels::choose) fn recorded(
    op: &GemmOp,
    recorded: &Recorded,
    gpu: &GpuSpec,
) -> Option<Candidate> {
    let reduces = |name: &&String| name.contains("splitKreduce");
    let main = recorded.kernels.iter().find(|name| !reduces(name))?;
    let choice = named(main, op, gpu)?;
    let gemm = choice.product(op, gpu);
    let z = recorded.grid.map_or(1, |grid| u64::from(grid[2]));
    let split = match z.is_multiple_of(op.batch) {
        true => (z / op.batch) as u32,
        false => 1,
    };
    let added = gemm.output.bytes() == 4 && gemm.epilogue == Epilogue::None;
    let reduced = recorded.kernels.iter().any(|name| reduces(&name));
    let gemm = Gemm {
        split,
        merge: match added && !reduced {
            true => Merge::InPlace,
            false => Merge::Workspace,
        },
        ..gemm
    };
    gemm.check(gpu).ok()?;
    let cost = cost(&gemm, gpu)?;
    let reason = format!("{main} was launched: {}", reason(&gemm, &cost, gpu));
    Some(Candidate {
        name: match split {
            1 => choice.name,
            parts => format!("{}_splitK{parts}", choice.name),
        },
        estimate: cost.cycles,
        launches: launches(gemm, reason),
    })
}

/// The kernel called `name`.
fn named(name: &str, op: &GemmOp, gpu: &GpuSpec) -> Option<Choice> {
    if let Some(rest) = after(name, "tilesize") {
        let [m, n, k] = numbers(rest)?;
        let [stages] = numbers(after(name, "_stage")?)?;
        let warps = match after(name, "warpsize") {
            Some(rest) => numbers::<3>(rest).map(|[m, n, _]| [m, n])?,
            None => return None,
        };
        return Some(tiles::xmma(Tile { m, n, k }, stages, warps));
    }
    if name.contains("s161616gemm") && name.contains("16x16_128x2") {
        return Some(tiles::wmma(op.data, gpu));
    }
    if let Some(rest) = after(name, "simt_sgemm_") {
        let [n, m] = numbers(rest)?;
        let [k, stages] = numbers(rest.split_once('_')?.1)?;
        return Some(tiles::cutlass_simt(n, m, k, stages));
    }
    if let Some(rest) = after(name, "_sgemm_") {
        let [n, m] = numbers(rest)?;
        let slices = after(rest, "sliced1x").and_then(numbers::<1>);
        return Some(tiles::sgemm(n, m, slices.map_or(1, |[slices]| slices), gpu));
    }
    // Tensor kernels: the first size is the tile, behind the kind of instruction.
    let rest = ["884gemm_", "1688gemm_", "16816gemm_"]
        .iter()
        .find_map(|kind| after(name, kind))?;
    let tile = rest
        .split('_')
        .position(|word| numbers::<2>(word).is_some())?;
    let [n, m] = numbers(rest.split('_').nth(tile)?)?;
    let slices = after(rest, "sliced1x").and_then(numbers::<1>);
    let slices = slices.map_or(1, |[slices]| slices);
    let staged = match after(rest, "stages_") {
        Some(rest) => numbers::<2>(rest),
        None => rest.split('_').nth(tile + 1).and_then(numbers::<2>),
    };
    let [halves, stages] = staged.unwrap_or([32 * slices, 2]);
    let choice = tiles::tensor(
        (op.data, op.sums),
        (n, m),
        (halves, stages.max(2), slices),
        gpu,
    );
    Some(Choice {
        raster: match name.contains("cutlass") {
            true => crate::kernels::gemm::Raster::Rows,
            false => choice.raster,
        },
        swizzled: name.contains("cutlass"),
        ..choice
    })
}

/// What follows `key` in `name`.
fn after<'a>(name: &'a str, key: &str) -> Option<&'a str> {
    name.split_once(key).map(|(_, rest)| rest)
}

/// The numbers at the start of `text`, joined by `x`.
fn numbers<const N: usize>(text: &str) -> Option<[u32; N]> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != 'x')
        .unwrap_or(text.len());
    let all: Option<Vec<u32>> = text[..end].split('x').map(|n| n.parse().ok()).collect();
    all?.get(..N)?.try_into().ok()
}
