//! Softmax of rows as PyTorch has it: a warp a row up to 1024 elements, a CTA a row beyond.

mod block;
mod warp;

use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{family, names};
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::rows::chains::{DIVIDE, add_exponential, exponential};
use crate::kernels::rows::program::{Contiguous, RowPlace, RowProgram, Script};
use crate::kernels::rows::script::list;
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};
use warp::WarpShape;

names! {
    /// Which kernel.
    pub enum SoftmaxForm {
        /// A warp for one or two rows of 1024 elements at most.
        Warp = "warp",
        /// A CTA a row, which is read three times.
        Block = "block",
        /// A CTA a row, which is read once and kept in shared memory.
        Shared = "shared",
    }
}

family! {
    /// exp(a - max) / sum of each row. Operands: the rows, the result.
    pub struct Softmax of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// which kernel
        pub form: SoftmaxForm = "form" name(SoftmaxForm::NAMES),
        /// sums over a CTA by one thread of values that lanes have added one by one, as up to PyTorch 2.1: 1
        pub serial: u64 = "serial" count(1, 0, 1),
    }
}

/// Most elements of a row that a warp takes.
pub const WARP_COLS: u64 = 1024;

impl Softmax {
    /// Elements of 16 bytes.
    fn vector(&self) -> u64 {
        16 / self.data.bytes()
    }

    /// Threads of a CTA that has a row.
    pub fn threads(&self) -> u64 {
        match (self.form, self.serial) {
            (SoftmaxForm::Warp, _) => 128,
            (SoftmaxForm::Block, 1) => {
                let most = (self.cols / self.vector()).min(1024);
                let mut threads = 1;
                while threads < most / 2 {
                    threads *= 2;
                }
                threads.max(32)
            }
            _ => self.cols.min(1024).next_power_of_two().max(32),
        }
    }

    /// Bytes of shared memory in which a row can lie.
    pub fn row_bytes_max(&self) -> u64 {
        (48 << 10) - self.threads() / 32 * 4
    }

    fn check(&self) -> Result<(), Fault> {
        if self.data.bytes() == 1 {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no softmax kernel for it",
            ));
        }
        if self.rows > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "too many CTAs"));
        }
        let what = match self.form {
            SoftmaxForm::Warp if self.cols > WARP_COLS => "1024 elements a warp at most",
            SoftmaxForm::Shared
                if self.cols * self.data.bytes() >= self.row_bytes_max()
                    || !self.cols.is_multiple_of(self.vector()) =>
            {
                "rows of whole vectors that fit shared memory"
            }
            _ => return Ok(()),
        };
        Err(Fault::field("cols", self.cols, what))
    }

    fn row(&self, operand: usize) -> RowPlace {
        RowPlace::rows(operand, self.data.bytes(), self.cols)
    }
}

/// Registers: r2 thread, r4 and r6 addresses of the row and of the result, r8 index, r12 to r16 sums and row values.
const MAXIMUM: u16 = 12;
const SUM: u16 = 13;
const OWN: u16 = 16;
/// As loaded, then in FP32, results, temporaries.
const DATA: u16 = 32;
const WIDE: u16 = 40;
const RESULT: u16 = 48;
const TEMPORARY: u16 = 56;

/// Subtracts the maximum and gives the exponential of `count` elements in `WIDE` to `use_it`, four at a time.
fn exponentials(code: &mut KernelBuilder, first: u16, count: u16, sum: Option<u16>) {
    for group in (0..count).step_by(4) {
        let elements = group..count.min(group + 4);
        let names = |e: u16| {
            let own = TEMPORARY + 2 * (e - group);
            let z = sum.unwrap_or(first + e);
            vec![
                ("x", first + e),
                ("m", MAXIMUM),
                ("z", z),
                ("t", own),
                ("v", own + 1),
                ("k", 3),
            ]
        };
        let names: Vec<_> = elements.map(names).collect();
        for names in &names {
            list(code, "FADD x = x m", names);
        }
        match sum {
            Some(_) => add_exponential(code, &names),
            None => exponential(code, &names),
        }
    }
}

/// Divides registers from `from` by the sum, into registers from `to`.
fn divide(code: &mut KernelBuilder, [from, to, sum]: [u16; 3], count: u16) {
    for e in 0..count {
        let names = [
            ("x", from + e),
            ("y", sum),
            ("z", to + e),
            ("t", TEMPORARY),
            ("u", TEMPORARY + 1),
            ("v", TEMPORARY + 2),
            ("p", 0),
        ];
        list(code, DIVIDE, &names);
    }
}

/// Where a loop over a row reads.
const ADDRESS: &str = "IMAD.WIDE r4 = r8 r6";
/// The end of a loop's body.
const AGAIN: &str = "IADD3 r8 = r8; IMAD.SHL r9 = r8; ISETP.GE.AND p0 = r9; BRA p0";

/// What is done with the elements of a row.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Maximum,
    Sum,
    Write,
}

impl KernelGenerator for Softmax {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "softmax_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let (shape, threads) = (WarpShape::of(self.cols.min(WARP_COLS)), self.threads());
        let warp = self.form == SoftmaxForm::Warp;
        let steps = Script::of(&mut code, |script| match self.form {
            SoftmaxForm::Warp => self.warp_steps(script, &shape),
            SoftmaxForm::Block => self.block_steps(script),
            SoftmaxForm::Shared => self.shared_steps(script),
        });
        let lane_rows = if warp { 32 / shape.lanes } else { 1 };
        let cta_rows = if warp {
            4 * lane_rows * u64::from(shape.rows)
        } else {
            1
        };
        let program = RowProgram {
            parts: 1,
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            row_warps: if warp { 1 } else { threads as u32 / 32 },
            cta_warp_rows: if warp { 4 } else { 1 },
            warp_rows: if warp { shape.rows.into() } else { 1 },
            lane_rows,
            threads: if warp { 32 } else { threads },
            steps,
            patterns,
        };
        let name = match self.form {
            SoftmaxForm::Warp => format!(
                "softmax_warp_forward<{}>",
                self.cols.next_power_of_two().ilog2()
            ),
            SoftmaxForm::Block => format!("cunn_SoftMaxForward<{}>", self.vector()),
            SoftmaxForm::Shared => format!("cunn_SoftMaxForwardSmem<{}>", self.vector()),
        };
        let block = match self.form {
            SoftmaxForm::Warp => [shape.lanes as u32, 128 / shape.lanes as u32, 1],
            _ => [threads as u32, 1, 1],
        };
        Ok(Assembly {
            name: format!("{name} {}", self.data.name()),
            grid: line(self.rows.div_ceil(cta_rows)),
            block,
            registers: match self.form {
                SoftmaxForm::Warp => 24 + shape.each.max(8),
                _ if gpu.compute_capability < 80 || self.data.bytes() == 2 => 40,
                _ => 32,
            },
            smem_bytes: match self.form {
                SoftmaxForm::Warp => 0,
                SoftmaxForm::Block if self.serial == 1 => threads as u32 * 4,
                SoftmaxForm::Block => threads as u32 / 32 * 4,
                SoftmaxForm::Shared => 48 << 10,
            },
            code,
            generator: per_warp(threads as u32, program),
        })
    }
}
