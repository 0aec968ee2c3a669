//! Which part of the product a CTA has.

use super::{Gemm, Raster};
use std::ops::Range;

/// The part of one CTA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First row and column of its tile.
    pub row: u64,
    pub column: u64,
    /// Which product of the batch.
    pub batch: u64,
    /// Which part of the depth, and the tiles of depth in it.
    pub part: u64,
    pub tiles: Range<u64>,
}

impl Gemm {
    /// Tiles along m and n.
    pub(super) fn tiles(&self) -> [u64; 2] {
        [
            self.shape.m.div_ceil(self.tile.m.into()),
            self.shape.n.div_ceil(self.tile.n.into()),
        ]
    }

    /// CTAs in x, y and z.
    pub(super) fn grid(&self) -> [u64; 3] {
        let [rows, columns] = self.tiles();
        let z = self.shape.batch * u64::from(self.split);
        match self.raster {
            Raster::Columns => [columns, rows, z],
            Raster::Rows => [rows << self.swizzle, columns.div_ceil(1 << self.swizzle), z],
        }
    }

    /// Tiles of depth of the whole product.
    pub(super) fn depth_tiles(&self) -> u64 {
        self.shape.k.div_ceil(self.tile.k.into())
    }

    /// Where the pointer to operand `operand` of product `batch` lies.
    pub(super) fn pointer_at(&self, operand: usize, batch: u64) -> u64 {
        self.arrays.at(super::array::POINTERS + operand) + batch * 8
    }

    /// The part of CTA number `cta`; none beyond the last column of tiles, where a swizzled grid is too large.
    pub(super) fn place(&self, cta: u64) -> Option<Place> {
        let grid = self.grid();
        let (x, y, z) = (
            cta % grid[0],
            cta / grid[0] % grid[1],
            cta / grid[0] / grid[1],
        );
        let (row, column) = match self.raster {
            Raster::Columns => (y, x),
            Raster::Rows => {
                let along = 1 << self.swizzle;
                (x / along, y * along + x % along)
            }
        };
        if column >= self.tiles()[1] {
            return None;
        }
        let split = u64::from(self.split);
        let (batch, part) = (z / split, z % split);
        let all = self.depth_tiles();
        Some(Place {
            row: row * u64::from(self.tile.m),
            column: column * u64::from(self.tile.n),
            batch,
            part,
            tiles: all * part / split..all * (part + 1) / split,
        })
    }
}
