//! Tiles of halves in swizzled shared memory, and the instructions that move and multiply them.
//!
//! A tile has rows of `d` elements, cut into parts of 64 (or 32) columns, one part behind the other; a row of a part is
//! 128 (64) bytes in chunks of 16, and chunk c of row r lies at c ^ r (at c ^ r / 2), so that neither the copies
//! nor the eight rows of an LDSM phase conflict.

use crate::kernels::builder::{FULL, KernelBuilder};
use crate::trace::PatternId;

/// Bytes of an element.
pub const HALF: u64 = 2;

/// The shape of a tile in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub rows: u64,
    /// Columns, a multiple of 32.
    pub cols: u64,
}

impl Tile {
    /// Columns of a part.
    fn part(&self) -> u64 {
        if self.cols.is_multiple_of(64) { 64 } else { 32 }
    }

    /// Size.
    pub fn bytes(&self) -> u64 {
        self.rows * self.cols * HALF
    }

    /// Offset of the 16 bytes at `row` from column `col` on.
    pub fn offset(&self, row: u64, col: u64) -> u64 {
        let part = self.part();
        let chunks = part / 8;
        let turn = if part == 64 { row } else { row / 2 };
        let chunk = (col % part / 8) ^ (turn % chunks);
        col / part * self.rows * part * HALF + row * part * HALF + chunk * 16
    }

    /// Rows that a warp copies with one instruction, each a whole row of a part.
    pub fn copied_rows(&self) -> u64 {
        32 / (self.part() / 8)
    }

    /// Copies of a warp, when `warps` warps copy the tile: first row and column of each.
    pub fn copies(&self, warp: u64, warps: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let (rows, part, step) = (self.rows, self.part(), self.copied_rows());
        let bands = rows / (step * warps);
        let first = warp * step;
        (0..self.cols / part)
            .flat_map(move |p| (0..bands).map(move |band| (band * step * warps + first, p * part)))
    }

    /// How many copies a warp makes.
    pub fn copy_count(&self, warps: u64) -> u64 {
        self.copies(0, warps).count() as u64
    }
}

/// Patterns of global copies: some rows of a part, by rows that there are and chunks of 16 bytes that a row has.
pub struct CopyPatterns {
    by_rows: Vec<Vec<(u32, PatternId)>>,
    chunks: u64,
}

impl CopyPatterns {
    /// For rows `pitch` bytes apart.
    pub fn new(code: &mut KernelBuilder, tile: Tile, pitch: u64) -> Self {
        let chunks = tile.part() / 8;
        let mut of = |rows: u64, there: u64| {
            let lanes = (0..32u64).filter(|l| l / chunks < rows && l % chunks < there);
            let mask = lanes.fold(0u32, |mask, lane| mask | 1 << lane);
            let pattern = match mask {
                0 => 0,
                _ => code.pattern(mask, 16, |l| l / chunks * pitch + l % chunks * 16),
            };
            (mask, pattern)
        };
        let by_rows =
            (0..=tile.copied_rows()).map(|rows| (0..=chunks).map(|n| of(rows, n)).collect());
        CopyPatterns {
            by_rows: by_rows.collect(),
            chunks,
        }
    }

    /// Lanes and pattern of a copy with `rows` rows left in the matrix and `columns` elements left in each.
    pub fn get(&self, rows: u64, columns: u64) -> (u32, PatternId) {
        let rows = rows.min(self.by_rows.len() as u64 - 1);
        self.by_rows[rows as usize][columns.div_ceil(8).min(self.chunks) as usize]
    }
}

/// LDSM of 16 x 16 elements from `row` and `col` on: the operand that has rows of the result, or a transposed one.
pub fn rows_pattern(code: &mut KernelBuilder, tile: Tile, row: u64, col: u64) -> (u64, PatternId) {
    fragment(code, tile, |l| (row + l % 16, col + l / 16 * 8))
}

/// LDSM of 16 x 16 elements whose rows are columns of the result.
pub fn columns_pattern(
    code: &mut KernelBuilder,
    tile: Tile,
    row: u64,
    col: u64,
) -> (u64, PatternId) {
    fragment(code, tile, |l| {
        (row + l % 8 + l / 16 * 8, col + l / 8 % 2 * 8)
    })
}

fn fragment(
    code: &mut KernelBuilder,
    tile: Tile,
    place: impl Fn(u64) -> (u64, u64),
) -> (u64, PatternId) {
    let offset = |lane: u64| {
        let (row, col) = place(lane);
        tile.offset(row, col)
    };
    (offset(0), code.pattern(FULL, 16, offset))
}

/// Where the copies of a warp lie in shared memory, 16 bytes a lane.
pub fn copied_patterns(
    code: &mut KernelBuilder,
    tile: Tile,
    warp: u64,
    warps: u64,
) -> Vec<(u64, PatternId)> {
    let chunks = 32 / tile.copied_rows();
    let place = |(row, col): (u64, u64)| {
        let offset = |l: u64| tile.offset(row + l / chunks, col + l % chunks * 8);
        (offset(0), code.pattern(FULL, 16, offset))
    };
    tile.copies(warp, warps).map(place).collect()
}
