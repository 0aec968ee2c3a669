//! Joins the parts of a split attention.

use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::rows::chains::narrow;
use crate::kernels::rows::program::{
    Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Span, Who,
};
use crate::kernels::rows::script::list;
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

family! {
    /// The results of parts, each weighted by its sum of exponentials, added (`flash_fwd_splitkv_combine_kernel`).
    /// Operands as of the kernel that makes the parts, and (number 5) the result.
    pub struct CombineSplits of arrays: Arrays {
        /// queries of all heads and sequences
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 8, 256),
        /// parts
        pub splits: u64 = "splits" count(2, 2, 256),
        /// numbers of the result
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

const THREADS: u64 = 128;
const VECTOR: u64 = 4;

impl CombineSplits {
    /// Queries of a CTA: as many as keep its threads busy, and a part of all.
    fn queries(&self) -> u64 {
        let usual = match self.head_dim {
            d if d.is_multiple_of(128) => 4,
            d if d.is_multiple_of(64) => 8,
            _ => 16,
        };
        let parts = [usual, usual / 2, usual / 4, 1];
        parts
            .into_iter()
            .find(|&n| n > 0 && self.rows.is_multiple_of(n))
            .unwrap_or(1)
    }

    fn cols(&self) -> u64 {
        self.queries() * self.head_dim
    }

    /// The sums of all parts, their greatest, and each part's weight, in shared memory.
    fn weights(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let queries = self.queries();
        let sum = |split: u64| {
            Place::Row(RowPlace {
                offset: split * self.rows,
                ..RowPlace::rows(4, 4, queries)
            })
        };
        script.once(Who::All, vec![], |code| {
            code.entry();
            list(
                code,
                "S2R r2; S2R r3; IMAD r4 = r3; IMAD.WIDE r6 = r4 c4; ISETP.GE.AND p0 = r2; BRA p0",
                &[],
            );
        });
        let leaders = Who::Lanes {
            warps: (0, 1),
            lanes: queries,
        };
        let place = Place::Shared(SharedPlace {
            base: 0,
            lane: 4 * self.splits,
            warp: 0,
        });
        let places = (0..self.splits)
            .flat_map(|split| [sum(split), place])
            .collect();
        script.once(leaders, places, |code| {
            let load = code.global("LDG", 4);
            for _ in 0..self.splits {
                list(code, &format!("{load} r8 = r6; STS r9 r8"), &[]);
            }
        });
        let places = (0..self.splits).map(|_| place).collect();
        script.once(leaders, places, |code| {
            list(code, "MOV r10; MOV r11", &[]);
            for _ in 0..self.splits {
                list(code, "LDS r8 = r9; FMNMX r10 = r10 r8; FADD r12 = r8 r10; FMUL r12 = r12; MUFU.EX2 r12 = r12", &[]);
                list(code, "FADD r11 = r11 r12", &[]);
            }
            list(code, "MUFU.LG2 r11 = r11; FFMA r11 = r11 r10", &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, &format!("BSYNC; {barrier}; MOV r3 = r2"), &[]);
        });
    }

    /// All parts of four elements of each thread.
    fn add(&self, script: &mut Script<'_>) {
        let part = |split: u64| {
            Place::Row(RowPlace {
                offset: split * self.rows * self.head_dim,
                ..RowPlace::rows(3, 4, self.cols())
            })
        };
        let weight = Place::Shared(SharedPlace {
            base: 0,
            lane: 0,
            warp: 0,
        });
        let mut places: Vec<_> = (0..self.splits)
            .flat_map(|split| [part(split), weight])
            .collect();
        places.push(Place::Row(RowPlace::rows(
            5,
            self.data.bytes(),
            self.cols(),
        )));
        script.each(Span::Vectors(VECTOR), places, |code| {
            list(code, "IMAD.WIDE r4 = r3 c3; CS2R r20; CS2R r22", &[]);
            let load = code.global("LDG", 4 * VECTOR);
            for _ in 0..self.splits {
                list(code, &format!("{load} r16 = r4; LDS r8 = r9; IADD3 r4 = r4; IADD3.X r5 = r5"), &[]);
                for e in 0..VECTOR as u16 {
                    list(code, "FFMA s = x r8 s", &[("s", 20 + e), ("x", 16 + e)]);
                }
            }
            narrow(code, self.data, VECTOR as u16, 20, 20);
            let store = code.global("STG", VECTOR * self.data.bytes());
            list(code, &format!("IMAD.WIDE r6 = r3 c5; {store} r6 r20; IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0"), &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

impl KernelGenerator for CombineSplits {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "combine_splits_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let (queries, ctas) = (self.queries(), self.rows / self.queries());
        if ctas > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "too many CTAs"));
        }
        if self.data.bytes() == 1 || !self.cols().is_multiple_of(VECTOR) {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no kernel that joins parts",
            ));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| {
            self.weights(script);
            self.add(script);
        });
        let shape = [ctas, self.cols(), THREADS];
        let program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        Ok(Assembly {
            name: format!(
                "flash_fwd_splitkv_combine_kernel<{queries}, {}> {}",
                self.splits,
                self.data.name()
            ),
            grid: line(ctas),
            block: [THREADS as u32, 1, 1],
            registers: 40,
            smem_bytes: (queries * self.splits * 4) as u32,
            code,
            generator: per_warp(THREADS as u32, program),
        })
    }
}
