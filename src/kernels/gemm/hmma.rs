//! Tensor-core matrix multiply, C = A x B, FP16 in, FP32 out, row major.
//!
//! Before Ampere (this file): CTA tile 128 x 128 x 16, 8 warps of 32 x 64, global loads through
//! registers into double-buffered, padded shared memory. From Ampere on: [`super::hmma_async`].
//! Rows, columns and depth beyond the matrices are masked.

use super::{Gemm, Shape, TILE, append_loop_end, append_prologue};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes, r, two_row_mask};
use crate::kernels::{Assembly, WarpGenerator, access, array, insts, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

pub(super) const DEPTH: u64 = 16;
/// Bytes of a half.
const HALF: u64 = 2;
/// Rows are padded by 16 bytes, so that fragment loads do not conflict.
const PITCH_A: u64 = (DEPTH + 8) * HALF;
const PITCH_B: u64 = (TILE + 8) * HALF;
const TILE_B: u64 = TILE * PITCH_A;
const BUFFER: u64 = TILE_B + DEPTH * PITCH_B;

/// Stores of one 8-row, 8-column block of C: 8 rows of 32 bytes, by rows.
pub(super) fn result_patterns(code: &mut KernelBuilder, n: u64) -> Vec<PatternId> {
    let rows = (0..=8).map(|rows| match first_lanes(4 * rows) {
        0 => 0,
        mask => code.pattern(mask, 8, |l| l / 4 * n * 4 + l % 4 * 8),
    });
    rows.collect()
}

/// One such store, masked at the edges.
pub(super) fn store_result(
    shape: &Shape,
    (row, column): (u64, u64),
    at: u32,
    patterns: &[PatternId],
    out: &mut CtaEncoder,
) {
    let inside = column < shape.n;
    let rows = if inside { shape.rows(row, 8) } else { 0 };
    let base = array(2) + (row * shape.n + column) * 4;
    access(
        out,
        at,
        first_lanes(4 * rows),
        base,
        patterns[rows as usize],
    );
}

struct Hgemm {
    shape: Shape,
    /// First instructions of the loads and of the shared stores, before and in the loop.
    first_load: u32,
    first_store: u32,
    body: u32,
    store: u32,
    body_end: u32,
    results: u32,
    end: u32,
    a: Vec<[PatternId; 2]>,
    b: [Vec<PatternId>; 2],
    a_store: PatternId,
    b_store: PatternId,
    a_read: PatternId,
    b_read: PatternId,
    c: Vec<PatternId>,
}

impl Hgemm {
    fn load(&self, cta: u64, warp: u32, tile: u64, at: u32, out: &mut CtaEncoder) {
        let shape = &self.shape;
        let (row, column) = shape.origin(cta);
        let (depth, warp) = (tile * DEPTH, u64::from(warp));
        let row = row + warp * 16;
        let (rows, halves) = (shape.rows(row, 16), shape.depth_groups(depth, 2));
        let mask = if halves == 0 {
            0
        } else {
            two_row_mask(halves, rows)
        };
        let base = array(0) + (row * shape.k + depth) * HALF;
        let pattern = self.a[rows as usize][halves.saturating_sub(1) as usize];
        access(out, at, mask, base, pattern);
        let depth = depth + warp * 2;
        let rows = shape.k.saturating_sub(depth).min(2);
        let groups = shape.column_groups(column, 16);
        let mask = if rows == 0 {
            0
        } else {
            two_row_mask(rows, groups)
        };
        let base = array(1) + (depth * shape.n + column) * HALF;
        let pattern = self.b[rows.saturating_sub(1) as usize][groups as usize];
        access(out, at + 1, mask, base, pattern);
    }

    fn store(&self, warp: u32, tile: u64, at: u32, mask: u32, out: &mut CtaEncoder) {
        let buffer = tile % 2 * BUFFER;
        let warp = u64::from(warp);
        access(out, at, mask, buffer + warp * 16 * PITCH_A, self.a_store);
        let base = buffer + TILE_B + warp * 2 * PITCH_B;
        access(out, at + 1, mask, base, self.b_store);
    }

    /// Fragment loads; the matrix instructions follow them.
    fn fragments(&self, warp: u32, tile: u64, at: u32, out: &mut CtaEncoder) {
        let buffer = tile % 2 * BUFFER;
        let (warp_row, warp_column) = (u64::from(warp % 4), u64::from(warp / 4));
        for i in 0..4 {
            let base = buffer + (warp_row * 32 + i / 2 * 16) * PITCH_A + i % 2 * 16;
            access(out, at + i as u32, FULL, base, self.a_read);
        }
        for j in 0..8 {
            let base = buffer + TILE_B + (warp_column * 64 + j * 8) * HALF;
            access(out, at + 4 + j as u32, FULL, base, self.b_read);
        }
    }

    fn write(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let (row, column) = self.shape.origin(cta);
        let (row, column) = (
            row + u64::from(warp % 4) * 32,
            column + u64::from(warp / 4) * 64,
        );
        for n in 0..32u64 {
            let (i, j, h) = (n / 16, n / 4 % 4, n % 4);
            let place = (row + i * 16 + h % 2 * 8, column + j * 16 + h / 2 * 8);
            store_result(&self.shape, place, self.results + n as u32, &self.c, out);
        }
    }
}

impl WarpGenerator for Hgemm {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let tiles = self.shape.k.div_ceil(DEPTH);
        insts(out, 0..self.first_load, FULL);
        self.load(cta, warp, 0, self.first_load, out);
        self.store(warp, 0, self.first_store, FULL, out);
        insts(out, self.first_store + 2..self.body, FULL);
        for tile in 0..tiles {
            if out.full() {
                return;
            }
            let more = tile + 1 < tiles;
            match more {
                true => self.load(cta, warp, tile + 1, self.body, out),
                false => insts(out, self.body..self.body + 2, 0),
            }
            self.fragments(warp, tile, self.body + 2, out);
            insts(out, self.body + 14..self.store, FULL);
            let mask = if more { FULL } else { 0 };
            self.store(warp, tile + 1, self.store, mask, out);
            insts(out, self.store + 2..self.body_end - 1, FULL);
            out.inst(self.body_end - 1, mask);
        }
        insts(out, self.body_end..self.results, FULL);
        self.write(cta, warp, out);
        insts(out, self.results + 32..self.end, FULL);
    }
}

fn append_load(code: &mut KernelBuilder) -> u32 {
    let load = code.global("LDG", 16);
    let at = code.inst(&load, &[r(8)], &[r(2)]);
    code.inst(&load, &[r(12)], &[r(4)]);
    at
}

fn append_store(code: &mut KernelBuilder) -> u32 {
    let at = code.inst("STS.128", &[], &[r(6), r(8)]);
    code.inst("STS.128", &[], &[r(7), r(12)]);
    code.inst(code.barrier_text(), &[], &[]);
    at
}

/// The products of a 16 x 16 x 16 block: 16 steps on Volta, four `HMMA.1688` on Turing.
fn append_block(code: &mut KernelBuilder, a: u16, b: u16, sum: u16) {
    if code.sm_version() < 75 {
        for set in 0..4 {
            for step in 0..4 {
                let text = format!("HMMA.884.F32.F32.STEP{step}");
                let c = r(sum + 2 * step);
                code.inst(&text, &[c], &[r(a + 2 * set), r(b + 2 * set), c]);
            }
        }
        return;
    }
    for k in 0..2 {
        for n in 0..2 {
            let c = r(sum + 4 * n);
            code.inst("HMMA.1688.F32", &[c], &[r(a + 2 * k), r(b + 2 * n + k), c]);
        }
    }
}

/// Registers: R2, R4 global addresses, R6, R7, R20..R22 shared ones and the counter, R8.. next tile,
/// R24.. A fragments, R40.. B fragments, R80.. results.
pub(super) fn assemble(gemm: &Gemm, gpu: &GpuSpec) -> Assembly {
    let shape = gemm.shape;
    let mut code = KernelBuilder::new(gpu.compute_capability);
    append_prologue(&mut code, &[6, 7, 20, 21, 22], 80..144);
    let first_load = append_load(&mut code);
    let first_store = append_store(&mut code);
    let body = append_load(&mut code);
    let load = code.shared_load_128();
    for i in 0..4 {
        code.inst(load, &[r(24 + 4 * i)], &[r(20)]);
    }
    for j in 0..8 {
        code.inst(load, &[r(40 + 4 * j)], &[r(21)]);
    }
    for i in 0..2 {
        for j in 0..4 {
            append_block(&mut code, 24 + 8 * i, 40 + 8 * j, 80 + 8 * (4 * i + j));
        }
    }
    let store = append_store(&mut code);
    let body_end = append_loop_end(&mut code, 22, body);
    let results = append_results(&mut code, 80);
    let (n, k) = (shape.n, shape.k);
    let generator = Hgemm {
        shape,
        first_load,
        first_store,
        body,
        store,
        body_end,
        results,
        end: code.here(),
        a: a_patterns(&mut code, k),
        b: b_patterns(&mut code, n),
        a_store: code.pattern(FULL, 16, |l| l % 16 * PITCH_A + l / 16 * 16),
        b_store: code.pattern(FULL, 16, |l| l / 16 * PITCH_B + l % 16 * 16),
        a_read: code.pattern(FULL, 16, |l| l % 16 * PITCH_A),
        b_read: code.pattern(FULL, 16, |l| l % 16 * PITCH_B),
        c: result_patterns(&mut code, n),
    };
    Assembly {
        name: format!("hgemm_{}", gemm.tile),
        grid: shape.grid(),
        block: [256, 1, 1],
        registers: 152,
        smem_bytes: (2 * BUFFER) as u32,
        code,
        generator: per_warp(256, generator),
    }
}

/// The address of C, 32 stores of two registers each from `first`, the end.
pub(super) fn append_results(code: &mut KernelBuilder, first: u16) -> u32 {
    let parameter = code.parameter(2);
    code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
    let store = code.global("STG", 8);
    let at = code.here();
    for n in 0..32 {
        code.inst(&store, &[], &[r(2), r(first + 2 * n)]);
    }
    code.inst("EXIT", &[], &[]);
    at
}

/// A: 16 rows of 2 x 16 bytes, by rows and halves. Neighbouring lanes take neighbouring rows, so that
/// the stores to padded shared memory do not conflict.
fn a_patterns(code: &mut KernelBuilder, k: u64) -> Vec<[PatternId; 2]> {
    let rows = (0..=16).map(|rows| {
        [1, 2].map(|halves| match two_row_mask(halves, rows) {
            0 => 0,
            mask => code.pattern(mask, 16, |l| l % 16 * k * HALF + l / 16 * 16),
        })
    });
    rows.collect()
}

/// B: 2 rows of 16 x 16 bytes, by rows and columns.
pub(super) fn b_patterns(code: &mut KernelBuilder, n: u64) -> [Vec<PatternId>; 2] {
    [1, 2].map(|rows| {
        let groups = (0..=16).map(|groups| match two_row_mask(rows, groups) {
            0 => 0,
            mask => code.pattern(mask, 16, |l| l / 16 * n * HALF + l % 16 * 16),
        });
        groups.collect()
    })
}
