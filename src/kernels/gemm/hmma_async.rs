//! The tensor-core matrix multiply of Ampere and later: cp.async into stages of swizzled shared
//! memory, LDSM fragments, `HMMA.16816.F32`.
//!
//! CTA tile 128 x 128 x 32, 8 warps of 64 x 32. A row of A's tile is four chunks of 16 bytes, and chunk c
//! of row i lies at c ^ (i / 2 % 4); a row of B's is 16 chunks, and chunk c of row i lies at
//! c ^ (i % 8): the eight rows of each LDSM phase then hit all banks.

use super::hmma::{append_results, b_patterns, result_patterns, store_result};
use super::{Gemm, Shape, append_loop_end, append_prologue};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, r, two_row_mask};
use crate::kernels::{Assembly, WarpGenerator, access, array, insts, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

pub(super) const DEPTH: u64 = 32;
const HALF: u64 = 2;
const PITCH_A: u64 = DEPTH * HALF;
const PITCH_B: u64 = 128 * HALF;
const TILE_B: u64 = 128 * PITCH_A;
const STAGE: u64 = TILE_B + DEPTH * PITCH_B;
/// Loads of a stage by one warp, and the instruction that closes their group.
const LOADS: u32 = 5;

struct HgemmAsync {
    shape: Shape,
    stages: u64,
    prologue: u32,
    body: u32,
    body_end: u32,
    results: u32,
    end: u32,
    /// By rows (0 to 8) and chunks (0 to 4).
    a: Vec<[PatternId; 5]>,
    b: [Vec<PatternId>; 2],
    /// By half of the depth.
    a_read: [PatternId; 2],
    /// By first chunk modulo 8, halved.
    b_read: [PatternId; 4],
    c: Vec<PatternId>,
}

/// Lane 4 i + c holds chunk c of row i.
fn quad_mask(rows: u64, chunks: u64) -> u32 {
    let row = (1u32 << chunks) - 1;
    (0..rows).fold(0, |mask, i| mask | row << (4 * i))
}

impl HgemmAsync {
    /// Loads depth tile `tile`; beyond the last one the instructions are predicated off, but their
    /// (empty) group is still closed.
    fn load(&self, cta: u64, warp: u32, tile: u64, at: u32, out: &mut CtaEncoder) {
        let shape = &self.shape;
        let (row, column) = shape.origin(cta);
        let (depth, warp) = (tile * DEPTH, u64::from(warp));
        for part in 0..2 {
            let row = row + part * 64 + warp * 8;
            let (rows, chunks) = (shape.rows(row, 8), shape.depth_groups(depth, 4));
            let base = array(0) + (row * shape.k + depth) * HALF;
            let pattern = self.a[rows as usize][chunks as usize];
            access(
                out,
                at + part as u32,
                quad_mask(rows, chunks),
                base,
                pattern,
            );
        }
        for part in 0..2 {
            let depth = depth + part * 16 + warp * 2;
            let rows = shape.k.saturating_sub(depth).min(2);
            let groups = shape.column_groups(column, 16);
            let mask = if rows == 0 {
                0
            } else {
                two_row_mask(rows, groups)
            };
            let base = array(1) + (depth * shape.n + column) * HALF;
            let pattern = self.b[rows.saturating_sub(1) as usize][groups as usize];
            access(out, at + 2 + part as u32, mask, base, pattern);
        }
        out.inst(at + 4, FULL);
    }

    /// Twelve LDSM: for each half of the depth four of A and two of B.
    fn fragments(&self, warp: u32, tile: u64, at: u32, out: &mut CtaEncoder) {
        let stage = tile % self.stages * STAGE;
        let (warp_row, warp_column) = (u64::from(warp / 4), u64::from(warp % 4));
        let mut at = at;
        for half in 0..2 {
            for i in 0..4 {
                let base = stage + (warp_row * 64 + i * 16) * PITCH_A + half * 32;
                access(out, at, FULL, base, self.a_read[half as usize]);
                at += 1;
            }
            for j in 0..2 {
                let chunk = warp_column * 4 + j * 2;
                let base = stage + TILE_B + half * 16 * PITCH_B + chunk * 16;
                access(out, at, FULL, base, self.b_read[(chunk % 8 / 2) as usize]);
                at += 1;
            }
        }
    }

    fn write(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let (row, column) = self.shape.origin(cta);
        let (row, column) = (
            row + u64::from(warp / 4) * 64,
            column + u64::from(warp % 4) * 32,
        );
        for n in 0..32u64 {
            let (i, j, h) = (n / 8, n / 2 % 4, n % 2);
            let place = (row + i * 16 + h * 8, column + j * 8);
            store_result(&self.shape, place, self.results + n as u32, &self.c, out);
        }
    }
}

impl WarpGenerator for HgemmAsync {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let tiles = self.shape.k.div_ceil(DEPTH);
        insts(out, 0..self.prologue, FULL);
        for stage in 0..self.stages - 1 {
            self.load(cta, warp, stage, self.prologue + stage as u32 * LOADS, out);
        }
        for tile in 0..tiles {
            if out.full() {
                return;
            }
            insts(out, self.body..self.body + 2, FULL);
            self.load(cta, warp, tile + self.stages - 1, self.body + 2, out);
            let fragments = self.body + 2 + LOADS;
            self.fragments(warp, tile, fragments, out);
            insts(out, fragments + 12..self.body_end - 1, FULL);
            let more = tile + 1 < tiles;
            out.inst(self.body_end - 1, if more { FULL } else { 0 });
        }
        insts(out, self.body_end..self.results, FULL);
        self.write(cta, warp, out);
        insts(out, self.results + 32..self.end, FULL);
    }
}

fn append_load(code: &mut KernelBuilder) {
    for (shared, global) in [(6, 2), (6, 2), (7, 4), (7, 4)] {
        code.inst("LDGSTS.E.BYPASS.128", &[], &[r(shared), r(global)]);
    }
    code.inst("LDGDEPBAR", &[], &[]);
}

/// Registers: R2, R4 global addresses, R6, R7, R8, R9, R10 shared ones and the counter, R16.. A and
/// R48.. B fragments, R64.. results.
pub(super) fn assemble(gemm: &Gemm, gpu: &GpuSpec) -> Assembly {
    let (shape, stages) = (gemm.shape, u64::from(gemm.stages));
    let mut code = KernelBuilder::new(gpu.compute_capability);
    append_prologue(&mut code, &[6, 7, 8, 9, 10], 64..128);
    let prologue = code.here();
    for _ in 0..stages - 1 {
        append_load(&mut code);
    }
    let body = code.here();
    // All but the newest group have arrived; then all warps have read the stage to be overwritten.
    code.inst_imm("DEPBAR.LE", &[], &[], stages - 2);
    code.inst(code.barrier_text(), &[], &[]);
    append_load(&mut code);
    for half in 0..2 {
        for i in 0..4 {
            code.inst("LDSM.16.M88.4", &[r(16 + 16 * half + 4 * i)], &[r(8)]);
        }
        for j in 0..2 {
            code.inst("LDSM.16.MT88.4", &[r(48 + 8 * half + 4 * j)], &[r(9)]);
        }
    }
    for half in 0..2 {
        for i in 0..4 {
            for j in 0..4 {
                let sum = r(64 + 4 * (4 * i + j));
                let (a, b) = (r(16 + 16 * half + 4 * i), r(48 + 8 * half + 2 * j));
                code.inst("HMMA.16816.F32", &[sum], &[a, b, sum]);
            }
        }
    }
    let body_end = append_loop_end(&mut code, 10, body);
    let results = append_results(&mut code, 64);
    let generator = HgemmAsync {
        shape,
        stages,
        prologue,
        body,
        body_end,
        results,
        end: code.here(),
        a: a_patterns(&mut code, shape.k),
        b: b_patterns(&mut code, shape.n),
        a_read: [0, 2].map(|first| {
            code.pattern(FULL, 16, |l| {
                l % 16 * PITCH_A + ((first + l / 16) ^ (l % 16 / 2 % 4)) * 16
            })
        }),
        b_read: [0, 2, 4, 6].map(|first| {
            code.pattern(FULL, 16, |l| {
                l % 16 * PITCH_B + ((first + l / 16) ^ (l % 8)) * 16
            })
        }),
        c: result_patterns(&mut code, shape.n),
    };
    Assembly {
        name: format!("hgemm_{}_async", gemm.tile),
        grid: shape.grid(),
        block: [256, 1, 1],
        registers: 128,
        smem_bytes: (stages * STAGE) as u32,
        code,
        generator: per_warp(256, generator),
    }
}

/// A: 8 rows of 4 x 16 bytes.
fn a_patterns(code: &mut KernelBuilder, k: u64) -> Vec<[PatternId; 5]> {
    let rows = (0..=8).map(|rows| {
        [0, 1, 2, 3, 4].map(|chunks| match quad_mask(rows, chunks) {
            0 => 0,
            mask => code.pattern(mask, 16, |l| l / 4 * k * HALF + l % 4 * 16),
        })
    });
    rows.collect()
}
