//! Products whose C has few rows or few columns, where neighbours of the long edge of C lie side by side: lanes have
//! columns of the large matrix and go down them.
//!
//! The warps of a CTA share the depth and add up through shared memory; CTAs may share it too, and leave their parts
//! in the workspace (cuBLAS's `gemv2N_kernel` and, for 2 to 16 rows, `gemmSN_NN_kernel` by name; their code is not
//! public).

mod streams;

use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::family;
use crate::kernels::gemm::gemv::Results;
use crate::kernels::operator::{DataType, Epilogue};
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::program::Contiguous;
use crate::kernels::rows::script::{Block, list};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use crate::trace::PatternId;
use streams::Columns;

family! {
    /// C[i, j] = small row i x large column j. Operands: the small matrix, the large one (rows of all columns), C, biases
    /// (one a column), workspace.
    pub struct GemvColumns of arrays: Arrays {
        /// columns of the large matrix
        pub cols: u64 = "cols" count(4096, 1, 1 << 24),
        /// depth
        pub depth: u64 = "k" count(4096, 1, 1 << 24),
        /// rows of the small matrix
        pub small: u64 = "small" count(1, 1, 16),
        /// products in a batch
        pub batch: u64 = "batch" count(1, 1, 65_535),
        /// numbers of A and B
        pub data: DataType = "type" name(DataType::NAMES),
        /// numbers of C
        pub output: DataType = "out" name(DataType::NAMES),
        /// how C lies: together for one small row only
        pub results: Results = "results" name(Results::NAMES),
        /// what is done to results: nothing, or biases
        pub epilogue: Epilogue = "epilogue" name(Epilogue::NAMES),
        /// warps of a CTA, that share the depth
        pub warps: u64 = "warps" count(8, 1, 16),
        /// CTAs that share the depth of a column
        pub split: u64 = "split" count(1, 1, 1024),
        /// what C held is added to the results: 1; parts of a split depth meet it later
        pub beta: u64 = "beta" count(0, 0, 1).quiet(),
    }
}

/// Registers: r2 lane, r3 depth, r4 to r11 addresses, then rows of the large matrix on their way.
const LOADED: u16 = 12;
/// Shared memory that a CTA has without asking for more.
const SMEM_MAX: u64 = 48 << 10;
/// Sums of a thread at most.
const SUMS_MAX: u64 = 64;

impl GemvColumns {
    /// Columns of a lane.
    fn vector(&self) -> u64 {
        let bytes = 1 << (self.cols * self.data.bytes()).trailing_zeros().min(4);
        (bytes / self.data.bytes()).min((SUMS_MAX / self.small).next_power_of_two())
    }

    /// Rows of the large matrix on their way.
    fn at_once(&self) -> u64 {
        if self.small == 1 { 8 } else { 4 }
    }

    fn cta_cols(&self) -> u64 {
        32 * self.vector()
    }

    /// CTAs along columns, parts of the depth, batch.
    fn grid(&self) -> [u64; 3] {
        [self.cols.div_ceil(self.cta_cols()), self.split, self.batch]
    }

    /// CTAs.
    pub(in crate::kernels) fn ctas(&self) -> u64 {
        self.grid().iter().product()
    }

    /// Trips of a warp through the loop.
    pub(in crate::kernels) fn trips(&self) -> u64 {
        let all = self.depth.div_ceil(self.at_once());
        all.div_ceil(self.warps * self.split)
    }

    /// Warp instructions of a trip: loads, conversions, multiplications, control.
    pub(in crate::kernels) fn instructions(&self) -> u64 {
        let (rows, vector) = (self.at_once(), self.vector());
        let conversions = match self.data {
            DataType::F32 => 0,
            _ => rows * (vector + self.small),
        };
        let loads = 2 * rows + self.small * self.small_loads();
        loads + conversions + rows * self.small * vector + 4
    }

    /// Passes over L1 of a trip: 128 bytes each; a small row's load is one.
    pub(in crate::kernels) fn passes(&self) -> u64 {
        let bytes = 32 * self.vector() * self.data.bytes();
        self.at_once() * bytes.div_ceil(128) + self.small * self.small_loads()
    }

    /// Registers of a vector of columns.
    fn words(&self) -> u64 {
        (self.vector() * self.data.bytes()).div_ceil(4)
    }

    /// Bytes of a load of a small row; all lanes have the same.
    fn small_width(&self) -> u64 {
        let aligned = 1 << (self.depth * self.data.bytes()).trailing_zeros().min(4);
        (self.at_once() * self.data.bytes()).min(aligned)
    }

    /// Loads of a small row in a trip.
    fn small_loads(&self) -> u64 {
        self.at_once() * self.data.bytes() / self.small_width()
    }

    /// First registers: of the small rows, of a row of the large matrix in FP32, of the sums.
    fn layout(&self) -> [u16; 3] {
        let small = u64::from(LOADED) + self.at_once() * self.words();
        let of_small = self.at_once() * self.data.bytes() / 4;
        let wide = (small + self.small * of_small).next_multiple_of(4);
        let sums = match self.data {
            DataType::F32 => wide,
            // And one small element.
            _ => wide + self.vector().next_multiple_of(4) + 4,
        };
        [small, wide, sums].map(|register| register as u16)
    }

    /// Registers of a thread.
    pub(in crate::kernels) fn registers(&self) -> u16 {
        let end = u64::from(self.layout()[2]) + self.vector() * self.small + 8;
        end.next_multiple_of(8) as u16
    }

    /// Sums that go through shared memory by one access.
    fn piece(&self) -> u64 {
        self.vector().min(4)
    }

    fn pieces(&self) -> u64 {
        self.vector() * self.small / self.piece()
    }

    pub(in crate::kernels) fn smem_bytes(&self) -> u64 {
        self.warps * self.pieces() * 32 * self.piece() * 4
    }

    fn result_bytes(&self) -> u64 {
        match self.split {
            1 => self.output.bytes(),
            _ => 4,
        }
    }

    fn biased(&self) -> bool {
        self.epilogue == Epilogue::Bias && self.split == 1
    }

    fn body(&self, code: &mut KernelBuilder) {
        let [small, wide, sums] = self.layout();
        let (vector, words) = (self.vector() as u16, self.words() as u16);
        let half = self.data != DataType::F32;
        let load = code.global("LDG", self.vector() * self.data.bytes());
        for row in 0..self.at_once() as u16 {
            let text = format!("IMAD.WIDE r4 = r4 c1; {load} d = r4");
            list(code, &text, &[("d", LOADED + row * words)]);
        }
        let load = code.global("LDG", self.small_width());
        let of_load = self.small_width().div_ceil(4) as u16;
        for n in 0..(self.small * self.small_loads()) as u16 {
            list(
                code,
                &format!("{load} d = r6"),
                &[("d", small + n * of_load)],
            );
        }
        for row in 0..self.at_once() as u16 {
            let loaded = LOADED + row * words;
            widen(code, self.data, vector, loaded, wide);
            for n in 0..self.small as u16 {
                let of_small = self.at_once() as u16 * self.data.bytes() as u16 / 4;
                let at = small + n * of_small + if half { row / 2 } else { row };
                let factor = if half { sums - 4 } else { at };
                widen(code, self.data, 1, at, factor);
                for element in 0..vector {
                    let names = [
                        ("s", sums + n * vector + element),
                        ("x", if half { wide } else { loaded } + element),
                        ("y", factor),
                    ];
                    list(code, "FFMA s = x y s", &names);
                }
            }
        }
        list(
            code,
            "IADD3 r3 = r3; IADD3 r6 = r6; ISETP.GE.AND p0 = r3; BRA p0",
            &[],
        );
    }

    /// A warp's sums to shared memory.
    fn stage(&self, code: &mut KernelBuilder) {
        let store = ["STS", "STS.64", "STS.128"][self.piece().ilog2() as usize];
        for piece in 0..self.pieces() {
            let from = self.layout()[2] + (piece * self.piece()) as u16;
            list(code, &format!("{store} r8 s"), &[("s", from)]);
        }
        list(code, code.barrier_text(), &[]);
    }

    /// A piece of all warps added up, and stored.
    fn finish(&self, code: &mut KernelBuilder) {
        let sums = self.layout()[2];
        let load = match self.piece() {
            4 => code.shared_load_128(),
            2 => "LDS.64",
            _ => "LDS",
        };
        for warp in 0..self.warps {
            let to = if warp == 0 { sums } else { sums + 4 };
            list(code, &format!("{load} d = r8"), &[("d", to)]);
            for element in 0..if warp == 0 { 0 } else { self.piece() as u16 } {
                let names = [("s", sums + element), ("t", to + element)];
                list(code, "FADD s = s t", &names);
            }
        }
        let (count, size) = (self.piece() as u16, self.result_bytes());
        if self.biased() {
            let load = code.global("LDG", self.piece() * size);
            list(
                code,
                &format!("IMAD.WIDE r6 = r2; {load} d = r6"),
                &[("d", LOADED)],
            );
            widen(code, self.output, count, LOADED, LOADED + 4);
        }
        for element in 0..count {
            let bias = if size == 4 { LOADED } else { LOADED + 4 } + element;
            let text = if self.biased() {
                "FFMA s = s b"
            } else {
                "FMUL s = s"
            };
            list(code, text, &[("s", sums + element), ("b", bias)]);
        }
        if self.beta == 1 && self.split == 1 {
            let load = code.global("LDG", self.piece() * size);
            let text = format!("IMAD.WIDE r4 = r2; {load} d = r4");
            list(code, &text, &[("d", LOADED)]);
            widen(code, self.output, count, LOADED, LOADED + 4);
            for element in 0..count {
                let held = if size == 4 { LOADED } else { LOADED + 4 } + element;
                let names = [("s", sums + element), ("c", held)];
                list(code, "FFMA s = c s", &names);
            }
        }
        if size == 2 {
            narrow(code, self.output, count, sums, sums);
        }
        let store = code.global("STG", self.piece() * size);
        list(
            code,
            &format!("IMAD.WIDE r4 = r2; {store} r4 s"),
            &[("s", sums)],
        );
    }

    fn check(&self) -> Result<(), Fault> {
        if !matches!(self.data, DataType::F32 | DataType::F16 | DataType::Bf16) {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no such kernel for it",
            ));
        }
        if !matches!(self.epilogue, Epilogue::None | Epilogue::Bias) {
            let name = Epilogue::NAMES[self.epilogue as usize];
            return Err(Fault::field("epilogue", name, "biases at most"));
        }
        if self.small > 1 && (self.batch > 1 || self.results == Results::Together) {
            let what = "several small rows have their results apart, and are no batch";
            return Err(Fault::field("small", self.small, what));
        }
        if !self.warps.is_power_of_two() || self.smem_bytes() > SMEM_MAX {
            let what = "1, 2, 4, 8 or 16 warps whose sums fit shared memory";
            return Err(Fault::field("warps", self.warps, what));
        }
        Ok(())
    }
}

impl KernelGenerator for GemvColumns {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "gemv_columns_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut block = |append: &dyn Fn(&mut KernelBuilder)| {
            let first = code.here();
            append(&mut code);
            Block::from(&code, first)
        };
        let start = block(&|code| {
            code.entry();
            let text = "S2R r2; S2R r9; S2R r8; IMAD r4 = r9 r2; IMAD r3 = r8; ISETP.GE.AND p1 = r4; \
                IMAD.WIDE r6 = r3 c0; IMAD.WIDE r4 = r4 c1; ISETP.GE.AND p0 = r3; BRA p0";
            list(code, text, &[]);
            for sum in 0..(self.vector() * self.small) as u16 {
                list(code, "MOV s", &[("s", self.layout()[2] + sum)]);
            }
        });
        let body = block(&|code| self.body(code));
        let stage = block(&|code| self.stage(code));
        let piece = block(&|code| self.finish(code));
        let exit = block(&|code| {
            list(code, "EXIT", &[]);
        });
        let (piece_size, stride) = (self.piece(), self.vector());
        let mut results = |size: u64| -> Vec<PatternId> {
            let of = |lanes: u64| match first_lanes(lanes) {
                0 => 0,
                mask => code.pattern(mask, piece_size * size, |lane| lane * stride * size),
            };
            (0..=32).map(of).collect()
        };
        let (results, bias) = (results(self.result_bytes()), results(self.output.bytes()));
        let columns = Columns {
            kernel: self.clone(),
            start,
            body,
            stage,
            piece,
            exit,
            patterns: Contiguous::new(&mut code),
            same: code.pattern(FULL, self.small_width(), |_| 0),
            shared: code.pattern(FULL, piece_size * 4, |lane| lane * piece_size * 4),
            results,
            bias,
        };
        let form = match self.small {
            1 => "gemv2N_kernel".to_owned(),
            small => format!("gemmSN_NN_kernel<{small}>"),
        };
        let split = match self.split {
            1 => String::new(),
            split => format!(" splitK{split}"),
        };
        Ok(Assembly {
            name: format!(
                "{form} {} {}x{}{split}",
                self.data.name(),
                stride,
                self.warps
            ),
            grid: self.grid().map(|edge| edge as u32),
            block: [32, self.warps as u32, 1],
            registers: self.registers(),
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(32 * self.warps as u32, columns),
        })
    }
}
