//! Running sums down the columns of matrices of 64-bit integers, as PyTorch's `cumsum` over any but the last dimension has
//! them (`tensor_kernel_scan_outer_dim`): a thread a column, which goes from row to row.

use super::program::Contiguous;
use super::script::{Access, Block, list};
use crate::config::GpuSpec;
use crate::kernels::builder::{KernelBuilder, first_lanes};
use crate::kernels::fields::family;
use crate::kernels::operator::{EDGE_MAX, ROW_MAX};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, moves_arrays, per_warp,
};
use crate::trace::CtaEncoder;
use std::ops::Range;

family! {
    /// Sums of all rows above, and their own. Operands: the matrices, the sums.
    pub struct ScanRows of arrays: Arrays {
        /// matrices
        pub matrices: u64 = "matrices" count(1, 1, EDGE_MAX),
        /// rows of a matrix
        pub rows: u64 = "rows" count(512, 1, EDGE_MAX),
        /// columns
        pub cols: u64 = "cols" count(8, 1, ROW_MAX),
    }
}

/// Bytes of a number.
const BYTES: u64 = 8;
/// Most threads of a CTA.
const THREADS_MAX: u64 = 512;

impl ScanRows {
    fn threads(&self) -> u64 {
        self.cols.min(THREADS_MAX)
    }

    /// CTAs of a matrix.
    fn across(&self) -> u64 {
        self.cols.div_ceil(self.threads())
    }
}

struct ScanWarps {
    kernel: ScanRows,
    start: Block,
    row: Block,
    end: Block,
    patterns: Contiguous,
}

impl WarpGenerator for ScanWarps {
    fn iterations(&self, _cta: u64) -> u64 {
        self.kernel.rows
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let (matrix, part) = (cta % kernel.matrices, cta / kernel.matrices);
        let thread = u64::from(warp) * 32;
        let lanes = (kernel.threads() - thread).min(32);
        self.start.emit_plain(first_lanes(lanes), out);
        let first = part * kernel.threads() + thread;
        let lanes = kernel.cols.saturating_sub(first).min(lanes);
        let mask = first_lanes(lanes);
        if mask != 0 {
            out.iterations(iterations, self.row.len(), |row, out| {
                let element = (matrix * kernel.rows + row) * kernel.cols + first;
                self.row.emit(mask, out, |operand| Access::Pattern {
                    mask,
                    base: kernel.arrays.at(operand) + element * BYTES,
                    pattern: self.patterns.lanes(BYTES, lanes),
                });
            });
        }
        self.end
            .emit_plain(first_lanes((kernel.threads() - thread).min(32)), out);
    }
}

impl KernelGenerator for ScanRows {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "scan_rows_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        if self.matrices > GRID_MAX || self.across() > 65_535 {
            return Err(Fault::field("matrices", self.matrices, "too many CTAs"));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let [load, store] = ["LDG", "STG"].map(|base| code.global(base, BYTES));
        let mut block = |text: &str, entry: bool| {
            let first = code.here();
            if entry {
                code.entry();
            }
            list(&mut code, text, &[]);
            Block::from(&code, first)
        };
        let start = "S2R r2; S2R r3; S2R r9; IMAD r2 = r9 r2; ISETP.GE.U32.AND p0 = r2; BRA p0; IMAD r3 = r3 c4; IADD3 r3 = r3 r2; \
            IMAD.WIDE.U32 r4 = r3 c0; IMAD.WIDE.U32 r6 = r3 c1; MOV r10; MOV r11; MOV r8";
        let row = format!(
            "{load} r12 = r4; IADD3 r4 = r4; IADD3.X r5 = r5; IADD3 r10 = r10 r12; IADD3.X r11 = r11 r13; {store} r6 r10; \
             IADD3 r6 = r6; IADD3.X r7 = r7; IADD3 r8 = r8; ISETP.GE.U32.AND p0 = r8; BRA p0"
        );
        let (start, row, end) = (block(start, true), block(&row, false), block("EXIT", false));
        let threads = self.threads() as u32;
        let warps = ScanWarps {
            kernel: self.clone(),
            start,
            row,
            end,
            patterns: Contiguous::new(&mut code),
        };
        Ok(Assembly {
            name: "tensor_kernel_scan_outer_dim<int64>".into(),
            grid: [self.matrices as u32, self.across() as u32, 1],
            block: [threads, 1, 1],
            registers: 24,
            smem_bytes: 0,
            code,
            generator: per_warp(threads, warps),
        })
    }
}
