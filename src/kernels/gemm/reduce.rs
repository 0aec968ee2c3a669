//! The kernel that adds up the parts of a split depth.

use super::array;
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes, p, r};
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX, Epilogue};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, control, insts, line,
    moves_arrays, per_warp,
};
use crate::trace::CtaEncoder;
use std::ops::Range;

use super::lanes::Lanes;

family! {
    /// C = sum of parts, each as large as C, from the workspace: 512 threads a CTA, up to four elements each.
    pub struct SplitReduce of arrays: Arrays {
        /// rows of C, of all products of a batch
        pub rows: u64 = "rows" count(1024, 1, EDGE_MAX),
        /// columns of C
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// parts
        pub parts: u64 = "parts" count(2, 1, 65_535),
        /// numbers of C
        pub output: DataType = "out" name(DataType::NAMES),
        /// what is done to results
        pub epilogue: Epilogue = "epilogue" name(Epilogue::NAMES),
        /// what C held is added to the results: 1
        pub beta: u64 = "beta" count(0, 0, 1).quiet(),
    }
}

const THREADS: u64 = 512;
/// First register of the sums.
const SUMS: u16 = 8;
/// Bytes of an element of a part.
const WORD: u64 = 4;
/// Loads in flight.
const AT_ONCE: u64 = 4;

impl SplitReduce {
    /// Elements of a thread: side by side in a row.
    fn vector(&self) -> u64 {
        1 << self.cols.trailing_zeros().min(2)
    }

    fn elements(&self) -> u64 {
        self.rows * self.cols
    }

    fn ctas(&self) -> u64 {
        self.elements().div_ceil(THREADS * self.vector())
    }
}

struct Sum {
    of: SplitReduce,
    /// By whether the CTA is the last.
    load: [Lanes; 2],
    store: [Lanes; 2],
    marks: Marks,
}

impl Sum {
    fn biased(&self) -> bool {
        self.of.epilogue != Epilogue::None
    }

    /// Loads the biases of the columns that a warp has, of the CTA whose first element is `first`.
    fn bias(&self, first: u64, warp: u32, out: &mut CtaEncoder) {
        let vector = self.of.vector();
        let threads = u64::from(warp) * 32..u64::from(warp) * 32 + 32;
        let elements = threads.map(|thread| first + thread * vector);
        let inside: Vec<_> = elements.filter(|&at| at < self.of.elements()).collect();
        out.inst(self.marks.bias, first_lanes(inside.len() as u64));
        let (bias, size) = (self.of.arrays.at(array::BIAS), self.of.output.bytes());
        let addresses = inside.iter().map(|at| bias + at % self.of.cols * size);
        let addresses: Vec<_> = addresses.collect();
        if !addresses.is_empty() {
            out.access_list(self.marks.bias, &addresses);
        }
    }
}

impl WarpGenerator for Sum {
    fn iterations(&self, _cta: u64) -> u64 {
        self.of.parts.div_ceil(AT_ONCE)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let first = cta * THREADS * self.of.vector();
        let last = usize::from(cta + 1 == self.of.ctas());
        let part = self.of.elements() * WORD;
        insts(out, 0..self.marks.body, FULL);
        let end = iterations.end;
        let each = u64::from(self.marks.body_end - self.marks.body);
        out.iterations(iterations, each, |iteration, out| {
            for number in 0..AT_ONCE {
                let at = self.marks.body + number as u32;
                let which = iteration * AT_ONCE + number;
                if which >= self.of.parts {
                    out.inst(at, 0);
                    continue;
                }
                let base = self.of.arrays.at(array::WORKSPACE) + which * part + first * WORD;
                self.load[last].put(at, warp, base, out);
            }
            insts(
                out,
                self.marks.body + AT_ONCE as u32..self.marks.body_end - 1,
                FULL,
            );
            let more = iteration + 1 < end;
            out.inst(self.marks.body_end - 1, if more { FULL } else { 0 });
        });
        let base = self.of.arrays.at(array::C) + first * self.of.output.bytes();
        if self.of.beta == 1 {
            self.store[last].put(self.marks.body_end, warp, base, out);
        }
        if self.biased() {
            self.bias(first, warp, out);
        }
        let rest = self.marks.bias + u32::from(self.biased());
        insts(out, rest..self.marks.store, FULL);
        self.store[last].put(self.marks.store, warp, base, out);
        insts(out, self.marks.store + 1..self.marks.end, FULL);
    }
}

/// First instructions of the parts of the code.
struct Marks {
    body: u32,
    body_end: u32,
    bias: u32,
    store: u32,
    end: u32,
}

impl SplitReduce {
    /// Registers: R2 and R4 addresses, R8.. sums, R12.. loads and biases, R16.. what C held.
    fn write(&self, code: &mut KernelBuilder) -> Marks {
        let vector = self.vector();
        code.entry();
        code.thread_number();
        for (address, parameter) in [(2, 0), (4, 1)] {
            let parameter = code.parameter(parameter);
            code.inst_const("IMAD.WIDE", &[r(address)], &[r(0), r(3)], parameter);
        }
        for sum in 0..vector as u16 {
            code.inst("MOV", &[r(SUMS + sum)], &[]);
        }
        let body = code.here();
        let load = code.global("LDG", vector * WORD);
        for number in 0..AT_ONCE as u16 {
            code.inst(&load, &[r(12 + 4 * number)], &[r(2)]);
        }
        for number in 0..AT_ONCE as u16 {
            for q in 0..vector as u16 {
                let sum = r(SUMS + q);
                code.inst("FADD", &[sum], &[sum, r(12 + 4 * number + q)]);
            }
        }
        code.inst("IADD3", &[r(2)], &[r(2)]);
        code.inst("IADD3.X", &[r(3)], &[r(3)]);
        code.inst("ISETP.NE.AND", &[p(0)], &[r(2)]);
        let body_end = code.branch(body) + 1;
        if self.beta == 1 {
            let load = self.access_text("LDG", code);
            code.inst(&load, &[r(16)], &[r(4)]);
        }
        let bias = code.here();
        let store = self.finish(code);
        code.inst("EXIT", &[], &[]);
        Marks {
            body,
            body_end,
            bias,
            store,
            end: code.here(),
        }
    }

    /// Mnemonic of an access to C or the biases.
    fn access_text(&self, base: &str, code: &KernelBuilder) -> String {
        super::convert::global(code, base, self.vector() * self.output.bytes())
    }

    /// Bias, activation, conversion, store; returns the store.
    fn finish(&self, code: &mut KernelBuilder) -> u32 {
        let (vector, size) = (self.vector(), self.output.bytes());
        let biased = self.epilogue != Epilogue::None;
        if biased {
            let load = self.access_text("LDG", code);
            code.inst(&load, &[r(12)], &[r(4)]);
        }
        for q in 0..vector as u16 {
            let sum = r(SUMS + q);
            match self.beta {
                1 => code.inst("FFMA", &[sum], &[sum, r(16 + q * size as u16 / 4)]),
                _ => code.inst("FMUL", &[sum], &[sum]),
            };
            if biased {
                code.inst("FADD", &[sum], &[sum, r(12 + q * size as u16 / 4)]);
            }
            match self.epilogue {
                Epilogue::None | Epilogue::Bias => {}
                Epilogue::Relu => {
                    code.inst("FMNMX", &[sum], &[sum]);
                }
                Epilogue::Gelu => {
                    for emit in super::convert::gelu(code, SUMS + q, 6) {
                        emit.append(code);
                    }
                }
            }
        }
        if size == 2 {
            for pair in 0..vector.div_ceil(2) as u16 {
                let from = [SUMS + 2 * pair, SUMS + 2 * pair + 1];
                for emit in super::convert::pack(code, SUMS + pair, &from) {
                    emit.append(code);
                }
            }
        }
        let store = self.access_text("STG", code);
        code.inst(&store, &[], &[r(4), r(SUMS)])
    }
}

impl KernelGenerator for SplitReduce {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "splitk_reduce"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        if self.ctas() > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "more CTAs than a grid has"));
        }
        let (vector, size) = (self.vector(), self.output.bytes());
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let marks = self.write(&mut code);
        let warps = THREADS / 32;
        let left = self.elements() - (self.ctas() - 1) * THREADS * vector;
        let mut lanes = |size: u64| {
            [THREADS * vector, left].map(|elements| {
                Lanes::new(&mut code, warps, vector * size, |thread| {
                    (thread * vector < elements).then_some(thread * vector * size)
                })
            })
        };
        let generator = Sum {
            of: self.clone(),
            load: lanes(WORD),
            store: lanes(size),
            marks,
        };
        control::annotate(code.code_mut(), gpu);
        Ok(Assembly {
            name: "splitKreduce_kernel".to_owned(),
            grid: line(self.ctas()),
            block: [THREADS as u32, 1, 1],
            registers: 32,
            smem_bytes: 0,
            code,
            generator: per_warp(THREADS as u32, generator),
        })
    }
}
