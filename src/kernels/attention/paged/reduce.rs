//! The parts of a head become one (`paged_attention_v2_reduce_kernel`): a CTA a head.

use crate::config::GpuSpec;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::rows::chains::{narrow, widen};
use crate::kernels::rows::combine::{Combine, shuffled};
use crate::kernels::rows::program::{Place, RowPlace, Script, SharedPlace, Span, Who};
use crate::kernels::rows::script::list;
use crate::kernels::rows::vllm::{Made, check};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays};

family! {
    /// The results of parts, weighted by their sums of exponentials. Operands as of the kernel that makes the parts, and
    /// (number 5) the result.
    pub struct PagedReduce of arrays: Arrays {
        /// heads of all sequences
        pub rows: u64 = "rows" count(256, 1, EDGE_MAX),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 16, 256),
        /// parts
        pub parts: u64 = "parts" count(2, 2, 256),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

const THREADS: u64 = 128;
/// Words of the warps, in front of those of the parts.
const WARP_WORDS: u64 = 128;

impl PagedReduce {
    fn words(&self, number: u64) -> Place {
        Place::Shared(SharedPlace {
            base: WARP_WORDS + number * self.parts * 4,
            lane: 4,
            warp: 128,
        })
    }

    /// The greatest maximum; the weights of the parts and their sum.
    fn weights(&self, script: &mut Script<'_>) {
        let of = |operand: usize| Place::Row(RowPlace::rows(operand, 4, self.parts));
        let again = "IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0";
        script.once(Who::All, vec![], |code| {
            let text = "S2R r2; S2R r5; S2R r6; IMAD r5 = r5 r6; IMAD.WIDE r8 = r5 c0; MOV r10; MOV r3 = r2; \
                ISETP.GE.AND p0 = r2; BRA p0";
            list(code, text, &[]);
        });
        script.each(Span::Singles(self.parts), vec![of(7), self.words(0)], |code| {
            let load = code.global("LDG", 4);
            let text = format!("IMAD.WIDE r6 = r3 r8; {load} r16 = r6; STS r9 r16; FMNMX r10 = r10 r16; {again}");
            list(code, &text, &[]);
        });
        shuffled(script, Combine::Max, THREADS, [10, 11, 20]);
        script.once(Who::All, vec![], |code| {
            list(
                code,
                "MOV r10; MOV r3 = r2; ISETP.GE.AND p0 = r2; BRA p0",
                &[],
            );
        });
        let places = vec![self.words(0), of(4), self.words(1)];
        script.each(Span::Singles(self.parts), places, |code| {
            let load = code.global("LDG", 4);
            let text = format!(
                "LDS r16 = r9; FADD r16 = r16 r11; FMUL r16 = r16; MUFU.EX2 r16 = r16; IMAD.WIDE r6 = r3 r8; \
                 {load} r17 = r6; FMUL r17 = r17 r16; FADD r10 = r10 r17; STS r9 r17; {again}"
            );
            list(code, &text, &[]);
        });
        shuffled(script, Combine::Sum, THREADS, [10, 11, 20]);
        script.once(Who::All, vec![], |code| {
            list(
                code,
                "FADD r11 = r11; MUFU.RCP r11 = r11; MOV r3 = r2; ISETP.GE.AND p0 = r2; BRA p0",
                &[],
            );
        });
    }

    /// An element of all parts.
    fn add(&self, script: &mut Script<'_>) {
        let bytes = self.data.bytes();
        let part = |part: u64| {
            Place::Row(RowPlace {
                offset: part * self.head_dim,
                ..RowPlace::rows(3, bytes, self.parts * self.head_dim)
            })
        };
        let weight = |part: u64| {
            Place::Shared(SharedPlace {
                base: WARP_WORDS + (self.parts + part) * 4,
                lane: 0,
                warp: 0,
            })
        };
        let mut places: Vec<_> = (0..self.parts).flat_map(|n| [part(n), weight(n)]).collect();
        places.push(Place::Row(RowPlace::rows(5, bytes, self.head_dim)));
        script.each(Span::Singles(self.head_dim), places, |code| {
            let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
            list(code, "IMAD.WIDE r6 = r3 r8; MOV r18", &[]);
            for n in 0..self.parts {
                let to = 20 + (n % 4) as u16;
                list(
                    code,
                    &format!("{load} x = r6; LDS r17 = r9; FMUL r17 = r17 r11"),
                    &[("x", to)],
                );
                widen(code, self.data, 1, to, to);
                list(code, "FFMA r18 = x r17 r18", &[("x", to)]);
            }
            narrow(code, self.data, 1, 18, 18);
            let text = format!(
                "IMAD.WIDE r6 = r3 c5; {store} r6 r18; IADD3 r3 = r3; ISETP.GE.AND p0 = r3; BRA p0"
            );
            list(code, &text, &[]);
        });
    }
}

impl KernelGenerator for PagedReduce {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "paged_reduce_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        let made = Made {
            name: format!(
                "paged_attention_v2_reduce_kernel<{}> {}",
                self.head_dim,
                self.data.name()
            ),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.head_dim,
            threads: THREADS,
            registers: 32,
            smem_bytes: (WARP_WORDS + 2 * self.parts * 4) as u32,
        };
        Ok(made.assemble(gpu, |script| {
            self.weights(script);
            self.add(script);
        }))
    }
}
