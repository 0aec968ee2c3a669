//! The way of an operand's tile from global to shared memory.
//!
//! A tile has `edge` rows (rows of A, columns of B) of `depth` elements. In global memory either the elements of a row
//! lie side by side (`Along::Depth`) or those of the same depth (`Along::Edge`). Threads take vectors of it in order,
//! each of as many bytes as the alignment of the matrix allows.

use super::lanes::Lanes;
use crate::kernels::builder::KernelBuilder;

/// Which elements of an operand lie side by side in global memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// Those of a row of A, or of a column of B.
    Depth,
    /// Those of a column of A, or of a row of B.
    Edge,
}

/// How a tile lies in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// For every depth a row along the edge, padded by 16 bytes so that transposing stores do not conflict.
    Rows,
    /// As in global memory, in chunks of 16 bytes, which are swizzled so that 8 chunks at the same place of 8
    /// neighbouring rows fill all banks.
    Chunks,
}

/// One operand of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    /// Number among the kernel's arrays.
    pub array: usize,
    pub along: Along,
    /// Bytes of an element.
    pub element: u64,
    /// Rows of a tile, and elements of a row.
    pub tile: u64,
    pub depth: u64,
    /// The same of the whole matrix.
    pub edge: u64,
    pub k: u64,
    /// Bytes of a load.
    pub vector: u64,
    pub threads: u64,
    pub shared: Shared,
    /// Chunks that lanes read side by side, where chunks are swizzled: 1, or 2 where a phase has two of each of 4 rows.
    pub spread: u64,
}

/// Bytes of a chunk: what a lane reads at once.
const CHUNK: u64 = 16;
/// Bytes along the depth that a warp takes of a row before it goes on to the next, where stores transpose.
const SECTOR: u64 = 32;

impl Operand {
    /// Bytes from one row (or depth) to the next in global memory.
    pub(super) fn pitch(&self) -> u64 {
        match self.along {
            Along::Depth => self.k * self.element,
            Along::Edge => self.edge * self.element,
        }
    }

    /// Bytes of the whole matrix.
    pub(super) fn bytes(&self) -> u64 {
        self.edge * self.k * self.element
    }

    /// Loads of a tile by each thread.
    pub(super) fn loads(&self) -> u64 {
        (self.tile * self.depth * self.element).div_ceil(self.threads * self.vector)
    }

    /// Registers that hold a tile on its way.
    pub(super) fn registers(&self) -> u64 {
        self.loads() * self.vector.div_ceil(4)
    }

    /// First element of load number `load` of `thread`: row and depth.
    fn place(&self, load: u64, thread: u64) -> Option<(u64, u64)> {
        let elements = self.vector / self.element;
        let vector = load * self.threads + thread;
        if vector >= self.tile * self.depth / elements {
            return None;
        }
        Some(match (self.along, self.shared) {
            (Along::Depth, Shared::Rows) => {
                let block = SECTOR / self.element;
                let (of_block, blocks) = (block / elements, self.tile * block / elements);
                let (block_at, at) = (vector / blocks * block, vector % blocks);
                (at / of_block, block_at + at % of_block * elements)
            }
            (Along::Depth, Shared::Chunks) => {
                let of_row = self.depth / elements;
                (vector / of_row, vector % of_row * elements)
            }
            (Along::Edge, _) => {
                let of_row = self.tile / elements;
                (vector % of_row * elements, vector / of_row)
            }
        })
    }

    /// Offset of a row and depth from the first of its tile, in global memory.
    fn global_offset(&self, (row, depth): (u64, u64)) -> u64 {
        match self.along {
            Along::Depth => row * self.pitch() + depth * self.element,
            Along::Edge => depth * self.pitch() + row * self.element,
        }
    }

    /// Address of the tile whose first row and depth these are, from the start of the matrix.
    pub(super) fn base(&self, row: u64, depth: u64) -> u64 {
        self.global_offset((row, depth))
    }

    /// The lanes of each load, masked to `rows` rows and `depth` elements of each.
    pub(super) fn loading(
        &self,
        code: &mut KernelBuilder,
        (rows, depth): (u64, u64),
    ) -> Vec<Lanes> {
        let loads = (0..self.loads()).map(|load| {
            Lanes::new(code, self.threads / 32, self.vector, |thread| {
                let place = self.place(load, thread)?;
                (place.0 < rows && place.1 < depth).then(|| self.global_offset(place))
            })
        });
        loads.collect()
    }

    /// Bytes of a row of the tile in shared memory.
    fn shared_pitch(&self) -> u64 {
        match (self.shared, self.along) {
            (Shared::Rows, _) => self.tile * self.element + CHUNK,
            (Shared::Chunks, Along::Depth) => self.depth * self.element,
            (Shared::Chunks, Along::Edge) => self.tile * self.element,
        }
    }

    /// Bytes of a tile in shared memory.
    pub(super) fn shared_bytes(&self) -> u64 {
        match self.shared {
            Shared::Rows => self.depth * self.shared_pitch(),
            Shared::Chunks => self.tile * self.depth * self.element,
        }
    }

    /// Where a row and depth lie in shared memory.
    pub(super) fn shared_offset(&self, row: u64, depth: u64) -> u64 {
        let pitch = self.shared_pitch();
        match (self.shared, self.along) {
            (Shared::Rows, _) => depth * pitch + row * self.element,
            (Shared::Chunks, Along::Depth) => self.swizzled(row, depth * self.element),
            (Shared::Chunks, Along::Edge) => self.swizzled(depth, row * self.element),
        }
    }

    /// Stores to shared memory that a load needs: several where a vector along the depth becomes a column.
    pub(super) fn pieces(&self) -> u64 {
        match (self.shared, self.along) {
            (Shared::Rows, Along::Depth) => self.vector / self.element,
            _ => 1,
        }
    }

    /// Bytes of each of these stores.
    pub(super) fn piece_bytes(&self) -> u64 {
        self.vector / self.pieces()
    }

    /// The lanes of each store: `pieces` for each load.
    pub(super) fn storing(&self, code: &mut KernelBuilder) -> Vec<Lanes> {
        let stores = (0..self.loads() * self.pieces()).map(|store| {
            let (load, piece) = (store / self.pieces(), store % self.pieces());
            Lanes::new(code, self.threads / 32, self.piece_bytes(), |thread| {
                let (row, depth) = self.place(load, thread)?;
                Some(self.shared_offset(row, depth + piece))
            })
        });
        stores.collect()
    }

    /// Where byte `at` of row `row` of a swizzled tile lies.
    fn swizzled(&self, row: u64, at: u64) -> u64 {
        let pitch = self.shared_pitch();
        let rows_of_line = (128 / pitch).max(1);
        let key = row / rows_of_line * self.spread % (pitch / CHUNK).min(8);
        row * pitch + ((at / CHUNK) ^ key) * CHUNK + at % CHUNK
    }
}
