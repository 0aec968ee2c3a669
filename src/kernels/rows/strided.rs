//! Elementwise functions whose operands lie differently, as PyTorch launches them: every element finds its offsets by
//! divisions, dimension by dimension, and is stored before the next one is loaded.

use super::chains::{TEMPORARIES, chain, narrow, widen};
use super::pointwise::{OUTPUT, THREADS};
use super::program::Contiguous;
use super::script::{Access, Block, list};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::{Field, family, names};
use crate::kernels::operator::{DataType, EDGE_MAX, Function};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, line, moves_arrays, per_warp,
};
use crate::trace::CtaEncoder;
use std::ops::Range;

names! {
    /// How operands lie that do not lie as the result does.
    pub enum Strides {
        /// The last one is a row that all rows share.
        Row = "row",
        /// The last one is a column that all columns share.
        Column = "column",
        /// The first one is read across its rows, which have `rows` elements.
        Transposed = "transposed",
        /// The first one is every other piece of `cols` elements.
        Half = "half",
        /// The first one has its heads in front of its tokens, the result behind: of `heads` heads and `rows` tokens.
        Heads = "heads",
        /// The first one is a third of each sequence's piece of a packed tensor.
        Packed = "packed",
        /// The same, each of its heads read across its rows, which have `rows` elements.
        PackedTransposed = "packed_transposed",
    }
}

family! {
    /// A function of every element of a tensor of rows. Operands: the tensors read, then (number 3) the one written.
    pub struct Strided of arrays: Arrays {
        /// elements, whole rows
        pub n: u64 = "n" count(1 << 24, 1, 1 << 31),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// rows of a matrix or of a head
        pub rows: u64 = "rows" count(1, 1, EDGE_MAX),
        /// heads
        pub heads: u64 = "heads" count(1, 1, 4096),
        /// function
        pub function: Function = "fn" name(Function::NAMES),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// how operands lie
        pub strides: Strides = "strides" name(Strides::NAMES),
    }
}

/// A dimension: its size, and for each tensor read the elements from one place to the next.
type Dimension = (u64, [u64; 2]);

impl Strided {
    /// The dimensions, the one that the result has side by side first.
    fn dimensions(&self) -> Vec<Dimension> {
        let (n, cols, rows, heads) = (self.n, self.cols, self.rows, self.heads);
        let of_rows = n / cols;
        match self.strides {
            Strides::Row => vec![(cols, [1, 1]), (of_rows, [cols, 0])],
            Strides::Column => vec![(cols, [1, 0]), (of_rows, [cols, 1])],
            Strides::Transposed => vec![
                (cols, [rows, 1]),
                (rows, [1, cols]),
                (n / cols / rows, [cols * rows, cols * rows]),
            ],
            Strides::Half => vec![(cols, [1, 1]), (of_rows, [2 * cols, cols])],
            Strides::Packed => {
                let piece = cols * rows * heads;
                vec![(piece, [1, 1]), (n / piece, [3 * piece, piece])]
            }
            Strides::PackedTransposed => vec![
                (cols, [rows, 1]),
                (rows, [1, cols]),
                (heads, [cols * rows, cols * rows]),
                (
                    n / cols / rows / heads,
                    [3 * cols * rows * heads, cols * rows * heads],
                ),
            ],
            Strides::Heads => vec![
                (cols, [1, 1]),
                (heads, [rows * cols, cols]),
                (rows, [cols, heads * cols]),
                (
                    n / cols / rows / heads,
                    [heads * rows * cols, heads * rows * cols],
                ),
            ],
        }
    }

    /// Elements of a thread: PyTorch takes two of 4 bytes, four of less.
    fn elements(&self) -> u64 {
        if self.data.bytes() >= 4 { 2 } else { 4 }
    }

    fn check(&self) -> Result<(), Fault> {
        let period = match self.strides {
            Strides::Row | Strides::Column | Strides::Half => self.cols,
            Strides::Transposed => self.cols * self.rows,
            Strides::Heads | Strides::Packed | Strides::PackedTransposed => {
                self.cols * self.rows * self.heads
            }
        };
        if !self.n.is_multiple_of(period) {
            return Err(Fault::field(
                "n",
                self.n,
                "no whole number of rows or matrices",
            ));
        }
        if self.data.bytes() == 1 || matches!(self.function, Function::Cast | Function::Mask) {
            let what = "no kernel for operands that lie so";
            return Err(Fault::field(
                "fn",
                Function::NAMES[self.function.value() as usize],
                what,
            ));
        }
        match self.n.div_ceil(THREADS * self.elements()) > GRID_MAX {
            true => Err(Fault::field("n", self.n, "too many CTAs")),
            false => Ok(()),
        }
    }
}

struct StridedWarps {
    kernel: Strided,
    dimensions: Vec<Dimension>,
    prologue: Block,
    elements: Vec<Block>,
    end: Block,
    patterns: Contiguous,
}

impl StridedWarps {
    /// Where element `n` of the result lies in tensor `operand`.
    fn offset(&self, mut n: u64, operand: usize) -> u64 {
        let steps = self.dimensions.iter().map(|(size, strides)| {
            let at = n % size;
            n /= size;
            at * strides[operand]
        });
        steps.sum()
    }

    fn read(&self, operand: usize, first: u64, lanes: u64) -> Access {
        let bytes = self.kernel.data.bytes();
        let place = |n: u64| self.kernel.arrays.at(operand) + self.offset(n, operand) * bytes;
        let addresses: Vec<u64> = (first..first + lanes).map(place).collect();
        let together = addresses.windows(2).all(|pair| pair[1] == pair[0] + bytes);
        match together {
            true => Access::Pattern {
                mask: first_lanes(lanes),
                base: addresses[0],
                pattern: self.patterns.lanes(bytes, lanes),
            },
            false => Access::List {
                mask: first_lanes(lanes),
                addresses,
            },
        }
    }
}

impl WarpGenerator for StridedWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let elements = self.kernel.elements();
        let inputs = chain(self.kernel.function).inputs as usize;
        let bytes = self.kernel.data.bytes();
        self.prologue.emit_plain(FULL, out);
        for (e, block) in (0..).zip(&self.elements) {
            let first = (cta * elements + e) * THREADS + u64::from(warp) * 32;
            let lanes = self.kernel.n.saturating_sub(first).min(32);
            if lanes == 0 {
                break;
            }
            block.emit(first_lanes(lanes), out, |n| match n {
                n if n < inputs => self.read(n, first, lanes),
                _ => Access::Pattern {
                    mask: first_lanes(lanes),
                    base: self.kernel.arrays.at(OUTPUT) + first * bytes,
                    pattern: self.patterns.lanes(bytes, lanes),
                },
            });
        }
        self.end.emit_plain(FULL, out);
    }
}

/// Registers: r0 element, r2 to r9 offsets and addresses, data from r16.
fn append_element(code: &mut KernelBuilder, kernel: &Strided, dimensions: usize) {
    let inputs = chain(kernel.function).inputs as u16;
    list(
        code,
        "ISETP.NE.AND p0; CS2R r2; BRA p0; MOV r10 = r0; MOV r8",
        &[],
    );
    for _ in 0..dimensions {
        list(
            code,
            "ISETP.NE.AND p0 = r8; IMAD.HI.U32 r11 = r10 c5; SHF r11 = r11; IADD3 r12 = r11; IMAD r12 = r12 r10",
            &[],
        );
        for operand in 0..=inputs {
            list(code, "IMAD o = r12 o c6", &[("o", 2 + operand)]);
        }
        list(code, "BRA p0; MOV r10 = r11", &[]);
    }
    // The code has 25 dimensions.
    code.skip(10 * (25 - dimensions as u32));
    let bytes = kernel.data.bytes();
    let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
    for operand in 0..=inputs {
        let names = [("o", 2 + operand), ("a", 6 + 2 * operand)];
        list(code, "IADD3 a = o c1; IADD3.X a = a c1", &names);
    }
    for operand in 0..inputs {
        let names = [("a", 6 + 2 * operand), ("d", 16 + operand)];
        list(code, &format!("{load} d = a"), &names);
        widen(code, kernel.data, 1, 16 + operand, 16 + operand);
    }
    let result = if chain(kernel.function).is_copy() {
        16
    } else {
        18
    };
    let mut names = vec![
        ("x", 16),
        ("y", 17),
        ("z", result),
        ("k", 15),
        ("p", 1),
        ("pp", 2),
    ];
    names.extend(TEMPORARIES.iter().copied().zip(20..));
    chain(kernel.function).append(code, &[names]);
    narrow(code, kernel.data, 1, result, result);
    list(
        code,
        &format!("{store} r4 d; IADD3 r0 = r0; ISETP.GE.AND p0 = r0; BRA p0"),
        &[("d", result)],
    );
}

impl KernelGenerator for Strided {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "strided"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let dimensions = self.dimensions();
        let start = code.entry();
        list(
            &mut code,
            "S2R r0; S2R r3; LEA r0 = r0 r3; ISETP.GE.AND p0 = r0; BSSY; BRA p0",
            &[],
        );
        let prologue = Block::from(&code, start);
        let elements = (0..self.elements()).map(|_| {
            let start = code.here();
            append_element(&mut code, self, dimensions.len());
            Block::from(&code, start)
        });
        let elements = elements.collect();
        let start = code.here();
        list(&mut code, "BSYNC; EXIT", &[]);
        let end = Block::from(&code, start);
        let function = Function::NAMES[self.function.value() as usize];
        let patterns = Contiguous::new(&mut code);
        let generator = StridedWarps {
            kernel: self.clone(),
            dimensions,
            prologue,
            elements,
            end,
            patterns,
        };
        Ok(Assembly {
            name: format!(
                "elementwise_kernel<128, {}> {function} {}",
                self.elements(),
                self.data.name()
            ),
            grid: line(self.n.div_ceil(THREADS * self.elements())),
            block: [THREADS as u32, 1, 1],
            registers: if chain(self.function).branches() {
                28
            } else {
                18
            },
            smem_bytes: 0,
            code,
            generator: per_warp(THREADS as u32, generator),
        })
    }
}
