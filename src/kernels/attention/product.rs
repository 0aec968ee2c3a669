//! Products of tiles in shared memory by a warp, and copies of tiles: what attention kernels are made of.

use super::tile::{CopyPatterns, HALF, Tile, columns_pattern, rows_pattern};
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::operator::DataType;
use crate::kernels::rows::script::{Access, list};
use crate::trace::PatternId;

/// An operand of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// How it lies.
    pub tile: Tile,
    /// Its first byte in shared memory.
    pub base: u64,
    /// Whether its rows are along the depth.
    pub across: bool,
    /// Where along the depth the product begins.
    pub first: u64,
}

/// A warp's part of a product: `rows` x `cols` results over `depth`, all multiples of 16.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub rows: u64,
    pub cols: u64,
    pub depth: u64,
    pub a: Side,
    pub b: Side,
    /// Warps along the rows; the others are along the columns.
    pub warps_m: u64,
}

/// Registers of a product: a place in shared memory, two sets of fragments, the sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProductRegisters {
    pub address: u16,
    pub fragments: u16,
    pub sums: u16,
}

/// A fragment in shared memory: first byte of lane 0, and the lanes.
pub(super) type Place = (u64, PatternId);

impl Product {
    fn bands(&self) -> [u16; 2] {
        [self.rows, self.cols].map(|edge| (edge / 16) as u16)
    }

    /// Registers of one set of fragments.
    pub(super) fn fragment_registers(&self) -> u16 {
        4 * self.bands().iter().sum::<u16>()
    }

    /// Registers of the sums.
    pub(super) fn sum_registers(&self) -> u16 {
        (self.rows * self.cols / 32) as u16
    }

    /// Appends loads and products: fragments are loaded a step of 16 ahead. Sums start from zero if `clear`.
    pub(super) fn append(
        &self,
        code: &mut KernelBuilder,
        data: DataType,
        registers: ProductRegisters,
        clear: bool,
    ) {
        let [a_bands, b_bands] = self.bands();
        let multiply = match data {
            DataType::Bf16 => "HMMA.16816.F32.BF16",
            _ => "HMMA.16816.F32",
        };
        let set = |step: u64| registers.fragments + (step % 2) as u16 * self.fragment_registers();
        let text = |across: bool| match across {
            true => "LDSM.16.MT88.4 f = a",
            false => "LDSM.16.M88.4 f = a",
        };
        let load = |code: &mut KernelBuilder, step: u64| {
            for band in 0..a_bands + b_bands {
                let across = if band < a_bands {
                    self.a.across
                } else {
                    self.b.across
                };
                let names = [("f", set(step) + 4 * band), ("a", registers.address)];
                list(code, text(across), &names);
            }
        };
        load(code, 0);
        for step in 0..self.depth / 16 {
            if step + 1 < self.depth / 16 {
                load(code, step + 1);
            }
            for a in 0..a_bands {
                for b in 0..2 * b_bands {
                    let sum = registers.sums + (a * 2 * b_bands + b) * 4;
                    let names = [
                        ("d", sum),
                        ("c", if clear && step == 0 { 255 } else { sum }),
                        ("a", set(step) + 4 * a),
                        ("b", set(step) + 4 * a_bands + 2 * b),
                    ];
                    list(code, &format!("{multiply} d = a b c"), &names);
                }
            }
        }
    }

    /// Where the fragments of `warp` lie, in the order of the code.
    pub(super) fn places(&self, code: &mut KernelBuilder, warp: u64) -> Vec<Place> {
        let first = [
            warp % self.warps_m * self.rows,
            warp / self.warps_m * self.cols,
        ];
        let mut all = Vec::new();
        for step in 0..self.depth / 16 {
            for (side, edge, of_b) in [(self.a, 0, false), (self.b, 1, true)] {
                let count = [self.rows, self.cols][edge] / 16;
                for band in 0..count {
                    let (along, depth) = (first[edge] + band * 16, side.first + step * 16);
                    let (row, col) = match side.across {
                        true => (depth, along),
                        false => (along, depth),
                    };
                    // Which halves of 16 x 16 come first: those along the rows of the result, or along its columns.
                    let (offset, pattern) = match of_b == side.across {
                        true => rows_pattern(code, side.tile, row, col),
                        false => columns_pattern(code, side.tile, row, col),
                    };
                    all.push((side.base + offset, pattern));
                }
            }
        }
        all
    }

    /// Where the sums of `warp` go as halves in `to`, whose first byte is `base`: two of them a lane of 8 rows and 8
    /// columns.
    pub(super) fn written(
        &self,
        code: &mut KernelBuilder,
        warp: u64,
        to: Tile,
        base: u64,
    ) -> Vec<Place> {
        let first = [
            warp % self.warps_m * self.rows,
            warp / self.warps_m * self.cols,
        ];
        let mut all = Vec::new();
        for band in 0..self.rows / 16 {
            for column in 0..self.cols / 8 {
                for half in 0..2 {
                    let row = first[0] + band * 16 + half * 8;
                    let col = first[1] + column * 8;
                    let offset = |l: u64| to.offset(row + l / 4, col) + l % 4 * 4;
                    all.push((base + offset(0), code.pattern(FULL, 4, offset)));
                }
            }
        }
        all
    }
}

/// The access of a fragment.
pub(super) fn shared((base, pattern): Place) -> Access {
    Access::Pattern {
        mask: FULL,
        base,
        pattern,
    }
}

/// Rows of a tensor that belong to a head.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    /// First byte of its first row.
    pub base: u64,
    pub rows: u64,
}

/// Copies of tiles between a tensor of rows and shared memory, 16 bytes a lane, by all warps of a CTA.
pub(super) struct TileCopies {
    tile: Tile,
    warps: u64,
    /// Bytes from row to row of the tensor, and elements of a row.
    pitch: u64,
    columns: u64,
    patterns: CopyPatterns,
}

impl TileCopies {
    pub(super) fn new(
        code: &mut KernelBuilder,
        tile: Tile,
        warps: u64,
        pitch: u64,
        columns: u64,
    ) -> Self {
        TileCopies {
            tile,
            warps,
            pitch,
            columns,
            patterns: CopyPatterns::new(code, tile, pitch),
        }
    }

    /// Copies of a warp.
    pub(super) fn count(&self) -> u64 {
        self.tile.copy_count(self.warps)
    }

    /// Copy `n` of `warp`, of the tile that begins at `row` and `column`.
    pub(super) fn access(
        &self,
        matrix: Matrix,
        (row, column): (u64, u64),
        warp: u32,
        n: usize,
    ) -> Access {
        let mut copies = self.tile.copies(warp.into(), self.warps);
        let (of_tile, col) = copies.nth(n).expect("the code has as many copies");
        let (row, column) = (row + of_tile, column + col);
        let left = matrix.rows.saturating_sub(row);
        match self.patterns.get(left, self.columns.saturating_sub(column)) {
            (0, _) => Access::Off,
            (mask, pattern) => Access::Pattern {
                mask,
                base: matrix.base + row * self.pitch + column * HALF,
                pattern,
            },
        }
    }
}

/// Appends the packing of `count` FP32 numbers from `first` on, two in each register.
pub(super) fn pack(code: &mut KernelBuilder, data: DataType, first: u16, count: u16) {
    crate::kernels::rows::chains::narrow(code, data, count, first, first);
}
