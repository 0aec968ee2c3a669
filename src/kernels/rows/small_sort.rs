//! Few elements of rows sorted with their places, as PyTorch's `bitonicSortKVInPlace` does it: in shared memory, 16 threads
//! for the 32 elements that a row may have (recalled from `Sort.cu` and `bitonicSort.cuh` of PyTorch 2.1).

use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Who};
use super::script::list;
use super::top_k::{PLACE_BYTES, check};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX, TOP_MAX};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, line, moves_arrays, per_warp};

family! {
    /// Few elements of each row sorted, with their places. Operands: the rows that they are from (not read), the elements,
    /// their places (64 bits).
    pub struct SmallSort of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub k: u64 = "k" count(2, 1, TOP_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// rows of a CTA
        pub together: u64 = "together" count(16, 2, 16),
    }
}

/// Elements that are sorted, of which a row has some.
const SORTED: u64 = 32;
/// Threads of a row.
const LANES: u64 = SORTED / 2;

impl SmallSort {
    /// With the rows of a CTA that leave no SM idle.
    pub(in crate::kernels) fn spread(self, gpu: &GpuSpec) -> Self {
        let least = (u64::from(gpu.sms) / 2).max(1);
        let together = (self.rows / least).clamp(2, 16);
        SmallSort {
            together: together & !1,
            ..self
        }
    }

    /// Where the two elements of a thread lie in shared memory: key, value and whether there is one, of `bytes` behind
    /// those of all rows that are smaller.
    fn shared(&self, [before, bytes]: [u64; 2], second: bool) -> Place {
        Place::Shared(SharedPlace {
            base: self.together * SORTED * before + if second { bytes } else { 0 },
            lane: 2 * bytes,
            warp: 2 * SORTED * bytes,
        })
    }

    fn both(&self, of: [u64; 2]) -> [Place; 2] {
        [false, true].map(|second| self.shared(of, second))
    }

    fn rows(&self) -> Vec<Place> {
        let of = |operand: usize, bytes: u64, first: u64| {
            Place::Row(RowPlace {
                first: (first, 0),
                ..RowPlace::rows(operand, bytes, self.k)
            })
        };
        [0, LANES]
            .into_iter()
            .flat_map(|first| [of(1, self.data.bytes(), first), of(2, PLACE_BYTES, first)])
            .collect()
    }

    /// Two elements change places where they are in the wrong order.
    fn exchange(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let [keys, values, valid] = [KEY, VALUE, VALID].map(|of| self.both(of));
        let places = [keys, valid, values, keys, values, valid].concat();
        script.once(Who::All, places, |code| {
            let text = format!(
                "IADD3 r8 = r2; LOP3.LUT r9 = r8; IADD3 r8 = r8 r9; LDS r16 = r8; LDS r17 = r8; LDS.U8 r18 = r8; LDS.U8 r19 = r8; \
                 FSETP.GT.AND p1 = r16 r17; ISETP.NE.AND p2 = r18; ISETP.EQ.OR p1 = r19 p2; LOP3.LUT p1 = r9 p1; BRA p1; \
                 LDS.64 r20 = r8; LDS.64 r22 = r8; STS r8 r17; STS r8 r16; STS.64 r8 r22; STS.64 r8 r20; STS.U8 r8 r19; \
                 STS.U8 r8 r18; BSYNC; {barrier}"
            );
            list(code, &text, &[]);
        });
    }

    fn steps(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let bytes = [self.data.bytes(), PLACE_BYTES];
        script.once(Who::All, self.rows(), |code| {
            code.entry();
            let loads = bytes.map(|bytes| code.global("LDG", bytes));
            let text = "S2R r2; S2R r3; S2R r9; IMAD r3 = r3 r9; ISETP.GE.AND p0 = r3; IMAD.WIDE r4 = r3 c1; IMAD.WIDE r6 = r3 c2";
            list(code, text, &[]);
            for (key, value) in [(16, 20), (17, 22)] {
                let [a, b] = &loads;
                let text = format!("IADD3 r10 = r2; ISETP.GE.AND p1 = r10; {a} k = r4 p1; {b} v = r6 p1");
                list(code, &text, &[("k", key), ("v", value)]);
            }
        });
        let [keys, values, valid] = [KEY, VALUE, VALID].map(|of| self.both(of));
        script.once(Who::All, [keys, values, valid].concat(), |code| {
            let text = format!("STS r8 r16; STS r8 r17; STS.64 r8 r20; STS.64 r8 r22; STS.U8 r8 r18; STS.U8 r8 r19; {barrier}");
            list(code, &text, &[]);
        });
        // Sorted pieces of 2, 4, ... elements, each merged by as many exchanges as its size has bits.
        for size in 1..=SORTED.ilog2() {
            for _ in 0..size {
                self.exchange(script);
            }
        }
        script.once(Who::All, [keys, values].concat(), |code| {
            list(
                code,
                "LDS r16 = r8; LDS r17 = r8; LDS.64 r20 = r8; LDS.64 r22 = r8",
                &[],
            );
        });
        script.once(Who::All, self.rows(), |code| {
            let [a, b] = bytes.map(|bytes| code.global("STG", bytes));
            for (key, value) in [(16, 20), (17, 22)] {
                let text = format!("ISETP.GE.AND p1 = r10; {a} r4 k; {b} r6 v");
                list(code, &text, &[("k", key), ("v", value)]);
            }
            list(code, "EXIT", &[]);
        });
    }
}

/// Bytes in front of the keys of all rows, and of one.
const KEY: [u64; 2] = [0, 4];
/// The same of values.
const VALUE: [u64; 2] = [4, 8];
/// The same of whether there is an element.
const VALID: [u64; 2] = [12, 1];

impl KernelGenerator for SmallSort {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "small_sort_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        if !self.together.is_multiple_of(2) {
            return Err(Fault::field(
                "together",
                self.together,
                "a warp has two rows",
            ));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| self.steps(script));
        let program = RowProgram {
            arrays: self.arrays,
            rows: self.rows,
            parts: 1,
            cols: self.k,
            row_warps: 1,
            cta_warp_rows: (self.together / 2) as u32,
            warp_rows: 1,
            lane_rows: 32 / LANES,
            threads: 32,
            steps,
            patterns,
        };
        Ok(Assembly {
            name: format!("bitonicSortKVInPlace<{SORTED}> {}", self.data.name()),
            grid: line(self.rows.div_ceil(self.together)),
            block: [LANES as u32, self.together as u32, 1],
            registers: 32,
            smem_bytes: (self.together * SORTED * (VALID[0] + VALID[1])) as u32,
            code,
            generator: per_warp((LANES * self.together) as u32, program),
        })
    }
}
