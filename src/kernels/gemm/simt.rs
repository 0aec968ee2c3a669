//! FP32 on the FMA pipes: what a warp reads from shared memory, and its multiply-adds.
//!
//! A warp's part of the tile is shared by 4 x 8 or 8 x 4 lanes. Each has `rows` x `columns` results in groups of 4 x 4:
//! group g of a lane lies g times (lanes x 4) further, so that the lanes of a read touch neighbouring chunks. Lanes lie in
//! squares of 2 x 2, as CUTLASS has them: lanes n and n ^ 1 share rows, n and n ^ 2 columns, so that both operands come to
//! two lanes at once. cuBLAS's do: `ampere_sgemm_128x32_nn` has 52 passes at most for 16 reads, five stores and five loads
//! (counters of an A4000, NVIDIA developer forum, topic 261150).

use super::body::Emit;
use super::lanes::Lanes;
use super::operand::{Operand, Shared};
use super::pipeline::{Fragments, Math, Registers};
use super::{Gemm, Tile};
use crate::kernels::builder::KernelBuilder;

/// Results of a lane, and how lanes share a warp's part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Simt {
    /// Lanes along m and n.
    pub lanes: [u64; 2],
    /// Results of a lane along m and n.
    pub results: [u64; 2],
    /// Warps along m and n.
    warps: [u64; 2],
    slices: u64,
    depth: u64,
}

impl Simt {
    pub(super) fn new(gemm: &Gemm) -> Self {
        let warps = gemm.warps.map(u64::from);
        let Tile { m, n, k } = gemm.tile;
        let part = [u64::from(m) / warps[0], u64::from(n) / warps[1]];
        let lanes = match part {
            [rows, columns] if rows <= 32 && columns >= 32 => [4, 8],
            _ => [8, 4],
        };
        Simt {
            lanes,
            results: [part[0] / lanes[0], part[1] / lanes[1]],
            warps,
            slices: gemm.slices.into(),
            depth: k.into(),
        }
    }

    /// Place of a thread: its warp's slice, its warp's part of the tile, its lane along m and n.
    fn place(&self, thread: u64) -> (u64, [u64; 2], [u64; 2]) {
        let (warp, lane) = (thread / 32, thread % 32);
        let of_slice = self.warps[0] * self.warps[1];
        let (slice, warp) = (warp / of_slice, warp % of_slice);
        let part = [warp / self.warps[1], warp % self.warps[1]];
        (slice, part, self.lane_place(lane))
    }

    /// Place of a lane along m and n.
    fn lane_place(&self, lane: u64) -> [u64; 2] {
        let (square, squares) = (lane / 4, self.lanes[1] / 2);
        [
            square / squares * 2 + lane / 2 % 2,
            square % squares * 2 + lane % 2,
        ]
    }

    /// Groups of four along `edge` (0: rows, 1: columns).
    fn groups(&self, edge: usize) -> u64 {
        self.results[edge] / 4
    }

    /// Register of result `i`, `j`. Its bank is never that of column j's operand, so that with the row's operand kept,
    /// an FFMA reads each bank once. ptxas 12.9 comes close: in loops of this form for sm_90 (nine tiles, three orders of
    /// the multiply-adds, results scaled before they are staged) the busier bank has 0.95 to 1.11 reads, 1.03 in the middle.
    pub(super) fn sum(&self, first: u16, i: u64, j: u64) -> u16 {
        first + (i * self.results[1] + (j ^ 1)) as u16
    }
}

impl Math for Simt {
    fn shared(&self) -> Shared {
        Shared::Rows
    }

    fn steps(&self) -> usize {
        (self.depth / self.slices) as usize
    }

    fn fragments(&self) -> Fragments {
        Fragments {
            a: self.results[0] as u16,
            b: self.results[1] as u16,
            sums: (self.results[0] * self.results[1]) as u16,
        }
    }

    /// What neighbours share comes to two at once.
    fn passes(&self) -> f64 {
        let Fragments { a, b, .. } = self.fragments();
        f64::from(a + b) / 2.0
    }

    fn reads(&self, code: &KernelBuilder, registers: &Registers, buffer: usize) -> Vec<Emit> {
        let load = code.shared_load_128();
        let firsts = registers.fragments(buffer);
        let of = |edge: usize| (0..self.groups(edge) as u16).map(move |g| (edge, g));
        of(0)
            .chain(of(1))
            .map(|(edge, g)| Emit::new(load, &[firsts[edge] + 4 * g], &[registers.read[edge]]))
            .collect()
    }

    fn read_lanes(
        &self,
        code: &mut KernelBuilder,
        operands: &[Operand; 2],
        step: usize,
    ) -> Vec<Lanes> {
        let warps = self.warps[0] * self.warps[1] * self.slices;
        let second = operands[0].shared_bytes();
        let mut all = Vec::new();
        for edge in 0..2 {
            for group in 0..self.groups(edge) {
                all.push(Lanes::new(code, warps, 16, |thread| {
                    let (slice, part, lane) = self.place(thread);
                    let of_part = part[edge] * self.lanes[edge] * self.results[edge];
                    let row = of_part + (group * self.lanes[edge] + lane[edge]) * 4;
                    let depth = slice * self.steps() as u64 + step as u64;
                    let offset = operands[edge].shared_offset(row, depth);
                    Some(offset + if edge == 1 { second } else { 0 })
                }));
            }
        }
        all
    }

    /// Row by row, forth and back: an FFMA has the row's or the column's operand of the one before it.
    fn math(&self, registers: &Registers, buffer: usize) -> Vec<Emit> {
        let [a, b] = registers.fragments(buffer);
        let [rows, columns] = self.results;
        let mut all = Vec::new();
        for i in 0..rows {
            for at in 0..columns {
                let j = if i % 2 == 0 { at } else { columns - 1 - at };
                let sum = self.sum(registers.sums, i, j);
                all.push(Emit::new(
                    "FFMA",
                    &[sum],
                    &[a + i as u16, b + j as u16, sum],
                ));
            }
        }
        all
    }

    fn units(&self) -> u64 {
        self.results[0]
    }

    /// Unit i is row i of every lane; its pieces are groups of four columns.
    fn unit_sums(&self, registers: &Registers, unit: u64) -> Vec<[u16; 4]> {
        let groups = 0..self.groups(1);
        groups
            .map(|g| std::array::from_fn(|q| self.sum(registers.sums, unit, 4 * g + q as u64)))
            .collect()
    }

    fn piece_place(&self, lane: u64, piece: u64) -> Vec<(u64, u64)> {
        let [row, column] = self.lane_place(lane);
        vec![(row, (piece * self.lanes[1] + column) * 4)]
    }

    fn unit_rows(&self) -> u64 {
        self.lanes[0]
    }

    fn row_of(&self, unit: u64, row: u64) -> u64 {
        (unit / 4 * self.lanes[0] + row) * 4 + unit % 4
    }

    fn registers_besides(&self) -> u16 {
        4
    }

    fn label(&self) -> &'static str {
        "sgemm"
    }
}
