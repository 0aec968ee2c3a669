//! The streams of a CTA.

use super::super::array;
use super::GemvColumns;
use crate::kernels::WarpGenerator;
use crate::kernels::builder::{FULL, first_lanes};
use crate::kernels::rows::program::Contiguous;
use crate::kernels::rows::script::{Access, Block};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// Code and patterns of the kernel.
pub(super) struct Columns {
    pub kernel: GemvColumns,
    pub start: Block,
    pub body: Block,
    pub stage: Block,
    pub piece: Block,
    pub exit: Block,
    pub patterns: Contiguous,
    /// All lanes at one place.
    pub same: PatternId,
    /// Lanes of a piece in shared memory; results, by lanes that there are.
    pub shared: PatternId,
    pub results: Vec<PatternId>,
    pub bias: Vec<PatternId>,
}

impl Columns {
    fn trip(&self, [column, batch, depth]: [u64; 3], lanes: u64, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let bytes = kernel.data.bytes();
        let (rows, width) = (kernel.at_once() as usize, kernel.small_width());
        self.body.emit(FULL, out, |n| {
            if n < rows {
                let row = depth + n as u64;
                if row >= kernel.depth {
                    return Access::Off;
                }
                let first = (batch * kernel.depth + row) * kernel.cols + column;
                return Access::Pattern {
                    mask: first_lanes(lanes),
                    base: kernel.arrays.at(array::B) + first * bytes,
                    pattern: self.patterns.lanes(kernel.vector() * bytes, lanes),
                };
            }
            let n = (n - rows) as u64;
            let (small, load) = (n / kernel.small_loads(), n % kernel.small_loads());
            let row = depth + load * width / bytes;
            if row >= kernel.depth {
                return Access::Off;
            }
            let first = (batch + small) * kernel.depth + row;
            Access::Pattern {
                mask: FULL,
                base: kernel.arrays.at(array::A) + first * bytes,
                pattern: self.same,
            }
        });
    }

    /// Piece `piece` of the results, of part `part` of the depth.
    fn result(&self, [column, part, batch]: [u64; 3], piece: u64, lanes: u64, n: usize) -> Access {
        let kernel = &self.kernel;
        let of_row = kernel.vector() / kernel.piece();
        let (small, at) = (piece / of_row, piece % of_row * kernel.piece());
        let warps = kernel.warps as usize;
        if n < warps {
            let first = (n as u64 * kernel.pieces() + piece) * 32 * kernel.piece() * 4;
            return Access::Pattern {
                mask: FULL,
                base: first,
                pattern: self.shared,
            };
        }
        let mask = first_lanes(lanes);
        if kernel.biased() && n == warps {
            let base = kernel.arrays.at(array::BIAS) + (column + at) * kernel.output.bytes();
            let pattern = self.bias[lanes as usize];
            return Access::Pattern {
                mask,
                base,
                pattern,
            };
        }
        let to = match kernel.split {
            1 => array::C,
            _ => array::WORKSPACE,
        };
        let rows = kernel.small * kernel.batch;
        let first = (part * rows + batch + small) * kernel.cols + column + at;
        Access::Pattern {
            mask,
            base: kernel.arrays.at(to) + first * kernel.result_bytes(),
            pattern: self.results[lanes as usize],
        }
    }
}

impl WarpGenerator for Columns {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let grid = kernel.grid();
        let (x, part, batch) = (
            cta % grid[0],
            cta / grid[0] % grid[1],
            cta / grid[0] / grid[1],
        );
        let column = x * kernel.cta_cols();
        let lanes = ((kernel.cols - column) / kernel.vector()).min(32);
        let (all, parts) = (
            kernel.depth.div_ceil(kernel.at_once()),
            kernel.warps * kernel.split,
        );
        let own = part * kernel.warps + u64::from(warp);
        self.start.emit_plain(FULL, out);
        for trip in all * own / parts..all * (own + 1) / parts {
            let depth = trip * kernel.at_once();
            self.trip([column, batch, depth], lanes, out);
        }
        let first = u64::from(warp) * kernel.pieces() * 32 * kernel.piece() * 4;
        self.stage.emit(FULL, out, |n| Access::Pattern {
            mask: FULL,
            base: first + n as u64 * 32 * kernel.piece() * 4,
            pattern: self.shared,
        });
        for piece in (warp.into()..kernel.pieces()).step_by(kernel.warps as usize) {
            let at = [column, part, batch];
            self.piece
                .emit(FULL, out, |n| self.result(at, piece, lanes, n));
        }
        self.exit.emit_plain(FULL, out);
    }
}
