//! FP32 matrix multiply, C = A x B, row major, on the FMA pipes.
//!
//! CTA tile 128 x 128 x 8, 256 threads, 8 x 8 results a thread. The next tile is loaded into
//! registers while the present one is multiplied, and shared memory is double-buffered, so there is
//! one barrier a tile. Rows, columns and depth beyond the matrices are masked.

use super::{Gemm, Shape, TILE, append_loop_end, append_prologue};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes, pair_mask, r, two_row_mask};
use crate::kernels::{Assembly, WarpGenerator, access, array, insts, per_warp};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

pub(super) const DEPTH: u64 = 8;
const WORD: u64 = 4;
/// Rows of the transposed A tile are padded so that its stores do not conflict.
const PITCH_A: u64 = (TILE + 4) * WORD;
const PITCH_B: u64 = TILE * WORD;
const TILE_B: u64 = DEPTH * PITCH_A;
const BUFFER: u64 = TILE_B + DEPTH * PITCH_B;

/// Instructions of a tile's memory traffic.
#[derive(Clone, Copy, Default)]
struct TileMoves {
    /// The two global loads: A, then B.
    load: u32,
    /// Four stores of A and one of B to shared memory.
    store: u32,
}

struct Sgemm {
    m: u64,
    n: u64,
    k: u64,
    columns: u64,
    first: TileMoves,
    next: TileMoves,
    /// First instruction of the loop, of its arithmetic, and after it.
    body: u32,
    arithmetic: u32,
    body_end: u32,
    /// The 16 stores of C.
    results: u32,
    end: u32,
    patterns: Patterns,
}

struct Patterns {
    /// A: 16 rows of 2 x 16 bytes, by active rows; the second index has both halves of a row, or one.
    a: Vec<[PatternId; 2]>,
    /// B: one row of 32 x 16 bytes, by active lanes.
    b: Vec<PatternId>,
    a_store: PatternId,
    b_store: PatternId,
    a_read: PatternId,
    b_read: PatternId,
    /// C: 2 rows of 16 x 16 bytes, by rows (1, 2) and columns of 4.
    c: [Vec<PatternId>; 2],
}

impl Patterns {
    fn new(code: &mut KernelBuilder, n: u64, k: u64) -> Self {
        let a = (0..=16).map(|rows| {
            [1, 2].map(|halves| match pair_mask(rows, halves) {
                0 => 0,
                mask => code.pattern(mask, 16, |l| l / 2 * k * WORD + l % 2 * 16),
            })
        });
        let a = a.collect();
        let c = [1, 2].map(|rows| {
            let columns = (0..=16).map(|columns| match two_row_mask(rows, columns) {
                0 => 0,
                mask => code.pattern(mask, 16, |l| l / 16 * n * WORD + l % 16 * 16),
            });
            columns.collect()
        });
        Patterns {
            a,
            b: code.contiguous(16),
            a_store: code.pattern(FULL, 4, |l| l % 2 * 4 * PITCH_A + l / 2 * WORD),
            b_store: code.pattern(FULL, 16, |l| l * 16),
            a_read: code.pattern(FULL, 16, |l| l / 16 * 16),
            b_read: code.pattern(FULL, 16, |l| l % 16 * 16),
            c,
        }
    }
}

impl Sgemm {
    /// Loads of depth tile `tile`, or their predicated-off forms after the last.
    fn load(&self, cta: u64, warp: u32, tile: u64, at: u32, out: &mut CtaEncoder) {
        let (tile_row, tile_column) = (cta / self.columns * TILE, cta % self.columns * TILE);
        let depth = tile * DEPTH;
        let warp = u64::from(warp);
        let row = tile_row + warp * 16;
        let rows = self.m.saturating_sub(row).min(16);
        let halves = (self.k.saturating_sub(depth) / 4).min(2);
        let base = array(0) + (row * self.k + depth) * WORD;
        match halves {
            0 => out.inst(at, 0),
            _ => {
                let pattern = self.patterns.a[rows as usize][halves as usize - 1];
                access(out, at, pair_mask(rows, halves), base, pattern);
            }
        }
        let depth = depth + warp;
        let lanes = (self.n.saturating_sub(tile_column) / 4).min(32);
        let lanes = if depth < self.k { lanes } else { 0 };
        let base = array(1) + (depth * self.n + tile_column) * WORD;
        let mask = first_lanes(lanes);
        access(out, at + 1, mask, base, self.patterns.b[lanes as usize]);
    }

    fn store(&self, warp: u32, tile: u64, at: u32, on: bool, out: &mut CtaEncoder) {
        let mask = if on { FULL } else { 0 };
        let buffer = tile % 2 * BUFFER;
        let warp = u64::from(warp);
        for q in 0..4 {
            let base = buffer + q * PITCH_A + warp * 16 * WORD;
            access(out, at + q as u32, mask, base, self.patterns.a_store);
        }
        let base = buffer + TILE_B + warp * PITCH_B;
        access(out, at + 4, mask, base, self.patterns.b_store);
    }

    /// Eight steps of four shared loads and 64 multiply-adds.
    fn multiply(&self, warp: u32, tile: u64, out: &mut CtaEncoder) {
        let buffer = tile % 2 * BUFFER;
        for step in 0..DEPTH {
            let at = self.arithmetic + step as u32 * 68;
            for half in 0..2 {
                // A warp covers two rows of threads: rows 4 w and 4 w + 4 of each half tile.
                let a = buffer + step * PITCH_A + (u64::from(warp) * 8 + 64 * half) * WORD;
                let b = buffer + TILE_B + step * PITCH_B + 64 * half * WORD;
                let index = at + half as u32 * 2;
                access(out, index, FULL, a, self.patterns.a_read);
                access(out, index + 1, FULL, b, self.patterns.b_read);
            }
            insts(out, at + 4..at + 68, FULL);
        }
    }

    fn write(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        let (tile_row, tile_column) = (cta / self.columns * TILE, cta % self.columns * TILE);
        for i in 0..8u64 {
            for half in 0..2u64 {
                // Thread row y = 2 w + l / 16 holds rows 4 y .. 4 y + 4 of each half: with the two
                // rows of threads 4 rows apart, lanes of one store are 4 rows apart too.
                let row = tile_row + u64::from(warp) * 8 + i / 4 * 64 + i % 4;
                let rows = u64::from(row < self.m) + u64::from(row + 4 < self.m);
                let column = tile_column + half * 64;
                let columns = (self.n.saturating_sub(column) / 4).min(16);
                let at = self.results + (i * 2 + half) as u32;
                if rows == 0 || columns == 0 {
                    out.inst(at, 0);
                    continue;
                }
                let base = array(2) + (row * self.n + column) * WORD;
                let pattern = self.patterns.c[rows as usize - 1][columns as usize];
                access(out, at, two_row_mask(rows, columns), base, pattern);
            }
        }
    }
}

impl WarpGenerator for Sgemm {
    fn iterations(&self, _cta: u64) -> u64 {
        self.k.div_ceil(DEPTH)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let Range { start, end: tiles } = iterations;
        insts(out, 0..self.first.load, FULL);
        self.load(cta, warp, start, self.first.load, out);
        self.store(warp, start, self.first.store, true, out);
        insts(out, self.first.store + 5..self.body, FULL);
        let each = u64::from(self.body_end - self.body);
        out.iterations(start..tiles, each, |tile, out| {
            let more = tile + 1 < tiles;
            match more {
                true => self.load(cta, warp, tile + 1, self.next.load, out),
                false => insts(out, self.next.load..self.next.load + 2, 0),
            }
            self.multiply(warp, tile, out);
            self.store(warp, tile + 1, self.next.store, more, out);
            insts(out, self.next.store + 5..self.body_end - 1, FULL);
            out.inst(self.body_end - 1, if more { FULL } else { 0 });
        });
        insts(out, self.body_end..self.results, FULL);
        self.write(cta, warp, out);
        insts(out, self.results + 16..self.end, FULL);
    }
}

/// Loads into R8..R15, and their way to shared memory.
fn append_load(code: &mut KernelBuilder) -> u32 {
    let load = code.global("LDG", 16);
    let at = code.inst(&load, &[r(8)], &[r(2)]);
    code.inst(&load, &[r(12)], &[r(4)]);
    at
}

fn append_store(code: &mut KernelBuilder) -> u32 {
    let at = code.inst("STS", &[], &[r(6), r(8)]);
    for q in 1..4 {
        code.inst("STS", &[], &[r(6), r(8 + q)]);
    }
    code.inst("STS.128", &[], &[r(7), r(12)]);
    code.inst(code.barrier_text(), &[], &[]);
    at
}

/// Eight steps: two fragments of A and B each, and an outer product.
fn append_multiply(code: &mut KernelBuilder) {
    let lds = code.shared_load_128();
    for _ in 0..DEPTH {
        for half in 0..2 {
            code.inst(lds, &[r(24 + 4 * half)], &[r(20)]);
            code.inst(lds, &[r(32 + 4 * half)], &[r(21)]);
        }
        for i in 0..8 {
            for j in 0..8 {
                let sum = r(40 + 8 * i + j);
                code.inst("FFMA", &[sum], &[r(24 + i), r(32 + j), sum]);
            }
        }
    }
}

/// Registers: R2, R4 global addresses, R6, R7, R20, R21 shared ones, R8.. next tile, R24.. fragments,
/// R40.. results.
pub(super) fn assemble(gemm: &Gemm, gpu: &GpuSpec) -> Assembly {
    let Shape { m, n, k } = gemm.shape;
    let mut code = KernelBuilder::new(gpu.compute_capability);
    append_prologue(&mut code, &[6, 7, 20, 21, 22], 40..104);
    let first = TileMoves {
        load: append_load(&mut code),
        store: append_store(&mut code),
    };
    let body = code.here();
    let next_load = append_load(&mut code);
    let arithmetic = code.here();
    append_multiply(&mut code);
    let next = TileMoves {
        load: next_load,
        store: append_store(&mut code),
    };
    let body_end = append_loop_end(&mut code, 22, body);
    let parameter = code.parameter(2);
    code.inst_const("IMAD.WIDE", &[r(2)], &[r(0), r(3)], parameter);
    let store = code.global("STG", 16);
    let results = code.here();
    for result in 0..16 {
        code.inst(&store, &[], &[r(2), r(40 + 4 * result)]);
    }
    code.inst("EXIT", &[], &[]);
    let patterns = Patterns::new(&mut code, n * 4, k);
    let columns = n.div_ceil(TILE);
    let generator = Sgemm {
        m,
        n,
        k,
        columns,
        first,
        next,
        body,
        arithmetic,
        body_end,
        results,
        end: code.here(),
        patterns,
    };
    Assembly {
        name: format!("sgemm_{}", gemm.tile),
        grid: gemm.shape.grid(),
        block: [256, 1, 1],
        registers: 120,
        smem_bytes: (2 * BUFFER) as u32,
        code,
        generator: per_warp(256, generator),
    }
}
