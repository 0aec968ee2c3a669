//! Products whose C has few rows or few columns, where the depth lies side by side: warps read rows of the large matrix.
//!
//! A warp, or all four of a CTA, has a few rows of the large matrix and goes along the depth by vectors of 16 bytes; the
//! few rows of the small one come from L1. Sums of lanes are added by butterflies, those of warps through shared
//! memory: cuBLAS's `gemv2T_kernel_val<..., 128, 16, 4, 4>` and, for 2 to 16 rows, `gemmSN_TN_kernel<..., 128, 16, ...>`
//! by name and threads. Their code is not public; the stream is that of a plain dot product.

use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{family, names};
use crate::kernels::operator::{DataType, EDGE_MAX, Epilogue};
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::combine::{Combine, butterfly};
use crate::kernels::rows::program::{
    Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Span, Who,
};
use crate::kernels::rows::script::list;
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

names! {
    /// How C lies in memory.
    pub enum Results {
        /// The results of one small row are side by side.
        Apart = "apart",
        /// The results of one large row are side by side.
        Together = "together",
    }
}

family! {
    /// C[i, j] = large row i x small row j. Operands: the small matrix, the large one, C, biases (one a large row).
    pub struct Gemv of arrays: Arrays {
        /// rows of the large matrix, of all products of a batch
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// depth
        pub depth: u64 = "k" count(4096, 1, EDGE_MAX),
        /// rows of the small matrix
        pub small: u64 = "small" count(1, 1, 16),
        /// products in a batch, each with a small row of its own
        pub batch: u64 = "batch" count(1, 1, 1 << 24),
        /// numbers of A and B
        pub data: DataType = "type" name(DataType::NAMES),
        /// numbers of C
        pub output: DataType = "out" name(DataType::NAMES),
        /// how C lies
        pub results: Results = "results" name(Results::NAMES),
        /// what is done to results: nothing, or biases
        pub epilogue: Epilogue = "epilogue" name(Epilogue::NAMES),
        /// large rows of a warp or CTA
        pub at_once: u64 = "at_once" count(4, 1, 4),
        /// warps that share large rows: 1 or 4
        pub warps: u64 = "warps" count(1, 1, 4),
        /// what C held is added to the results: 1
        pub beta: u64 = "beta" count(0, 0, 1).quiet(),
    }
}

/// Warps of a CTA.
const WARPS: u64 = 4;
/// Small rows on their way.
const IN_FLIGHT: u64 = 4;
/// Registers: r2 thread, r3 place along the depth, r4 to r11 addresses, then the rows on their way.
const LOADED: u16 = 12;

impl Gemv {
    /// Elements of a vector: 16 bytes, or what the depth allows.
    pub(in crate::kernels) fn vector(&self) -> u64 {
        let bytes = (self.depth * self.data.bytes()).trailing_zeros().min(4);
        (1 << bytes) / self.data.bytes()
    }

    /// Groups of rows.
    fn groups(&self) -> u64 {
        self.rows.div_ceil(self.at_once)
    }

    /// CTAs.
    pub(in crate::kernels) fn ctas(&self) -> u64 {
        self.groups().div_ceil(WARPS / self.warps)
    }

    /// Trips of a warp through the loop.
    pub(in crate::kernels) fn trips(&self) -> u64 {
        self.depth.div_ceil(32 * self.vector() * self.warps)
    }

    /// Warp instructions of a trip: loads, conversions, multiplications, control.
    pub(in crate::kernels) fn instructions(&self) -> u64 {
        let (vector, rows) = (self.vector(), self.at_once + self.small);
        let conversions = if self.data == DataType::F32 {
            0
        } else {
            vector
        };
        rows * (2 + conversions) + self.at_once * self.small * vector + 4
    }

    /// Passes over L1 of a trip: 128 bytes each.
    pub(in crate::kernels) fn passes(&self) -> u64 {
        let bytes = 32 * self.vector() * self.data.bytes();
        (self.at_once + self.small) * bytes.div_ceil(128)
    }

    /// How often a warp waits in a trip because so many small rows are on their way that the next has no register.
    pub(in crate::kernels) fn waits(&self) -> u64 {
        self.small.div_ceil(IN_FLIGHT) - 1
    }

    /// Registers of a vector on its way.
    fn words(&self) -> u64 {
        (self.vector() * self.data.bytes()).div_ceil(4)
    }

    /// First registers: of the small rows on their way, of the large rows in FP32, of a small one, of the sums.
    fn layout(&self) -> [u16; 4] {
        let wide = match self.data {
            DataType::F32 => 0,
            _ => self.vector(),
        };
        let small = u64::from(LOADED) + self.at_once * self.words().next_multiple_of(4);
        let large = small + IN_FLIGHT.min(self.small) * self.words().next_multiple_of(4);
        let other = large + self.at_once * wide;
        [small, large, other, other + wide].map(|register| register as u16)
    }

    fn sum(&self, row: u64, small: u64) -> u16 {
        self.layout()[3] + (row * self.small + small) as u16
    }

    /// Registers of a thread.
    pub(in crate::kernels) fn registers(&self) -> u16 {
        let end = u64::from(self.layout()[3]) + self.at_once * self.small + 4;
        end.next_multiple_of(8) as u16
    }

    /// The places of a trip: the large rows, then the small ones.
    fn row_places(&self) -> Vec<Place> {
        let bytes = self.data.bytes();
        let large = (0..self.at_once).map(|row| RowPlace {
            first: (0, row),
            ..RowPlace::rows(1, bytes, self.depth)
        });
        let small = (0..self.small).map(|row| RowPlace {
            offset: row * self.depth,
            shared_by: self.rows / self.batch,
            ..RowPlace::rows(0, bytes, if self.batch > 1 { self.depth } else { 0 })
        });
        large.chain(small).map(Place::Row).collect()
    }

    fn body(&self, code: &mut KernelBuilder) {
        let (count, words) = (
            self.vector() as u16,
            self.words().next_multiple_of(4) as u16,
        );
        let [small, large, other, _] = self.layout();
        let half = self.data != DataType::F32;
        let load = code.global("LDG", self.vector() * self.data.bytes());
        for row in 0..self.at_once as u16 {
            let text = format!("IMAD.WIDE r4 = r3 r6; {load} d = r4");
            list(code, &text, &[("d", LOADED + row * words)]);
        }
        let of_small = |n: u64| small + (n % IN_FLIGHT) as u16 * words;
        for n in 0..self.small + IN_FLIGHT - 1 {
            if n < self.small {
                let text = format!("IMAD.WIDE r8 = r3 r10; {load} d = r8");
                list(code, &text, &[("d", of_small(n))]);
            }
            let Some(n) = (n + 1).checked_sub(IN_FLIGHT) else {
                continue;
            };
            if n == 0 {
                for row in 0..self.at_once as u16 {
                    widen(
                        code,
                        self.data,
                        count,
                        LOADED + row * words,
                        large + row * count,
                    );
                }
            }
            widen(code, self.data, count, of_small(n), other);
            for element in 0..count {
                for row in 0..self.at_once {
                    let from = match half {
                        true => [large + row as u16 * count, other],
                        false => [LOADED + row as u16 * words, of_small(n)],
                    };
                    let names = [
                        ("s", self.sum(row, n)),
                        ("x", from[0] + element),
                        ("y", from[1] + element),
                    ];
                    list(code, "FFMA s = x y s", &names);
                }
            }
        }
        list(code, "IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0", &[]);
    }

    /// The sums of lanes, and of warps, in the first lane.
    fn add_up(&self, script: &mut Script<'_>) {
        let end = self.registers() - 1;
        let sums = self.at_once * self.small;
        let first = self.layout()[3];
        script.once(Who::All, vec![], |code| {
            for sum in 0..sums as u16 {
                butterfly(code, Combine::Sum, 32, first + sum, end);
            }
        });
        if self.warps == 1 {
            return;
        }
        let word = |base: u64, warp: u64| {
            Place::Shared(SharedPlace {
                base,
                lane: 0,
                warp,
            })
        };
        let barrier = script.code.barrier_text();
        let places = (0..sums).map(|sum| word(4 * sum, 4 * sums)).collect();
        script.once(Who::LEADERS, places, |code| {
            for sum in 0..sums as u16 {
                list(code, "STS r9 s", &[("s", first + sum)]);
            }
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                &format!("{barrier}; ISETP.NE.AND p0 = r2; BRA p0"),
                &[],
            );
        });
        let others = (1..self.warps).flat_map(|warp| (0..sums).map(move |sum| (warp, sum)));
        let places = others.map(|(warp, sum)| word(4 * (warp * sums + sum), 0));
        script.once(Who::FIRST, places.collect(), |code| {
            for _ in 1..self.warps {
                for sum in 0..sums as u16 {
                    let names = [("s", first + sum), ("t", end)];
                    list(code, "LDS t = r9; FADD s = s t", &names);
                }
            }
        });
    }

    /// The first lane stores the results one by one.
    fn store(&self, script: &mut Script<'_>) {
        let bytes = self.output.bytes();
        let biased = self.epilogue == Epilogue::Bias;
        let mut places = Vec::new();
        for row in 0..self.at_once {
            let bias = RowPlace {
                first: (0, row),
                ..RowPlace::rows(3, bytes, 1)
            };
            places.extend(biased.then_some(Place::Row(bias)));
            places.extend((0..self.small).flat_map(|small| {
                let (pitch, offset) = match self.results {
                    Results::Apart => (1, small * self.rows),
                    Results::Together => (self.small, small),
                };
                let result = RowPlace {
                    first: (0, row),
                    offset,
                    ..RowPlace::rows(2, bytes, pitch)
                };
                // With beta it is read before it is written.
                (0..=self.beta).map(move |_| Place::Row(result))
            }));
        }
        let end = self.registers() - 1;
        let who = match self.warps {
            1 => Who::LEADERS,
            _ => Who::FIRST,
        };
        script.once(who, places, |code| {
            let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
            for row in 0..self.at_once {
                if biased {
                    list(
                        code,
                        &format!("IMAD.WIDE r6 = r2; {load} t = r6"),
                        &[("t", end)],
                    );
                    widen(code, self.output, 1, end, end);
                }
                for small in 0..self.small {
                    let names = [("s", self.sum(row, small)), ("t", end)];
                    let text = if biased { "FFMA s = s t" } else { "FMUL s = s" };
                    list(code, text, &names);
                    if self.beta == 1 {
                        list(code, &format!("IMAD.WIDE r4 = r2; {load} r10 = r4"), &[]);
                        widen(code, self.output, 1, 10, 10);
                        list(code, "FFMA s = r10 s", &names);
                    }
                    narrow(code, self.output, 1, names[0].1, names[0].1);
                    list(code, &format!("IMAD.WIDE r4 = r2; {store} r4 s"), &names);
                }
            }
        });
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
        if self.batch > 1 && (self.small > 1 || !self.rows.is_multiple_of(self.batch)) {
            let what = "a batch has one small row each, and as many large ones";
            return Err(Fault::field("batch", self.batch, what));
        }
        if !matches!(self.warps, 1 | WARPS) || self.at_once == 3 {
            return Err(Fault::field(
                "warps",
                self.warps,
                "1 or 4, with 1, 2 or 4 rows",
            ));
        }
        match self.ctas() > GRID_MAX {
            true => Err(Fault::field("rows", self.rows, "too many CTAs")),
            false => Ok(()),
        }
    }
}

impl KernelGenerator for Gemv {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "gemv_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| {
            script.once(Who::All, vec![], |code| {
            code.entry();
            let start = "S2R r2; S2R r9; SHF r8 = r2; LOP3.LUT r3 = r2; IMAD r9 = r9 r8; ISETP.GE.AND p0 = r9; \
                IMAD.WIDE r6 = r9 c0; IMAD.WIDE r10 = r9 c1; ISETP.GE.AND p1 = r3; BRA p1";
            list(code, start, &[]);
            for sum in 0..(self.at_once * self.small) as u16 {
                list(code, "MOV s", &[("s", self.layout()[3] + sum)]);
            }
        });
            script.each(Span::Vectors(self.vector()), self.row_places(), |code| {
                self.body(code)
            });
            self.add_up(script);
            self.store(script);
            script.once(Who::All, vec![], |code| {
                list(code, "EXIT", &[]);
            });
        });
        let shape = [self.rows, self.depth, 32 * self.warps];
        let program = RowProgram {
            cta_warp_rows: (WARPS / self.warps) as u32,
            warp_rows: self.at_once,
            ..RowProgram::cta_a_row(self.arrays, shape, steps, patterns)
        };
        let form = match self.small {
            1 => "gemv2T_kernel_val".to_owned(),
            small => format!("gemmSN_TN_kernel<{small}>"),
        };
        let sums = self.at_once * self.small;
        Ok(Assembly {
            name: format!(
                "{form} {} {}x{}",
                self.data.name(),
                self.at_once,
                self.warps
            ),
            grid: line(self.ctas()),
            block: [(32 * WARPS) as u32, 1, 1],
            registers: self.registers(),
            smem_bytes: if self.warps > 1 {
                (4 * sums * WARPS) as u32
            } else {
                0
            },
            code,
            generator: per_warp((32 * WARPS) as u32, program),
        })
    }
}
