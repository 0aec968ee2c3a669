//! The greatest elements of rows, as PyTorch's `gatherTopK` finds them: a CTA a row. From the highest bits down, two at a
//! time, it counts the elements that begin as the one it looks for, until that is the only one left; then it writes what
//! is greater, and that one (recalled from `SortingRadixSelect.cuh` and `TensorTopK.cu` of PyTorch 2.1).

use super::combine::BROADCAST;
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX, ROW_MAX, TOP_MAX};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, moves_arrays, per_warp,
};

family! {
    /// The `k` greatest of each row, in no order. Operands: the rows, the greatest, their places in the row (64 bits).
    pub struct TopK of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(8, 1, ROW_MAX),
        /// how many
        pub k: u64 = "k" count(2, 1, TOP_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Bytes of a place.
pub(super) const PLACE_BYTES: u64 = 8;

/// An element as bits that order as it does, and nothing where it is no number.
const ORDERED: &str =
    "SHF a = x; LOP3.LUT a = a; LOP3.LUT a = x a; FSETP.NEU.AND p3 = x; SEL a = a p3";
/// The next element of a thread.
const NEXT: &str = "IADD3 r8 = r8; ISETP.GE.U32.AND p0 = r8; BRA p0";

/// A word of shared memory, the same for all lanes.
fn word(number: u64) -> Place {
    Place::Shared(SharedPlace {
        base: 4 * number,
        lane: 0,
        warp: 0,
    })
}

impl TopK {
    fn threads(&self) -> u64 {
        self.cols.next_multiple_of(32).min(1024)
    }

    /// Rounds of two bits until one element is left: sign and exponent, then as many bits of the fraction as tell the
    /// elements of a row apart.
    fn rounds(&self) -> u64 {
        let (exponent, bits) = match self.data {
            DataType::F16 => (5, 16),
            DataType::Bf16 => (8, 16),
            _ => (8, 32),
        };
        let apart = u64::from(self.cols.next_power_of_two().ilog2());
        (2 + exponent + apart).min(bits).div_ceil(2)
    }

    fn row(&self) -> Place {
        Place::Row(RowPlace::rows(0, self.data.bytes(), self.cols))
    }

    /// Loads an element, which becomes bits in `r17`.
    fn load(&self, code: &mut KernelBuilder) {
        let load = code.global("LDG", self.data.bytes());
        list(
            code,
            &format!("IMAD.WIDE.U32 r22 = r8 r4; {load} r16 = r22"),
            &[],
        );
        if self.data.bytes() == 2 {
            list(code, "PRMT r16 = r16", &[]);
        }
        list(code, ORDERED, &[("a", 17), ("x", 16)]);
    }

    /// How many elements have each of the four values of two bits.
    fn count(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();

        let four: Vec<Place> = (0..4).map(word).collect();
        script.once(Who::All, vec![], |code| {
            let text = "MOV r12; MOV r13; MOV r14; MOV r15; ISETP.GE.AND p0 = r2; BRA p0";
            list(code, text, &[]);
        });
        let each = Place::Shared(SharedPlace {
            base: 0,
            lane: 4,
            warp: 0,
        });
        let first = Who::Lanes {
            warps: (0, 1),
            lanes: 4,
        };
        script.once(first, vec![each], |code| {
            list(code, "STS r20 r21", &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                &format!("{barrier}; MOV r8 = r2; ISETP.GE.AND p0 = r2; BRA p0"),
                &[],
            );
        });
        script.each(Span::Singles(self.cols), vec![self.row()], |code| {
            self.load(code);
            list(
                code,
                "LOP3.LUT r24 = r17 r18; ISETP.EQ.AND p1 = r24 r19; SHF r25 = r17",
                &[],
            );
            for value in 12..16 {
                let text =
                    "ISETP.EQ.AND p2 = r25 p1; VOTE.ANY r26 = p2; POPC r26 = r26; IADD3 n = n r26";
                list(code, text, &[("n", value)]);
            }
            list(code, NEXT, &[]);
        });
        self.decide(script, four);
    }

    /// The counts of all warps become those of the CTA, and say which value the element has.
    fn decide(&self, script: &mut Script<'_>, four: Vec<Place>) {
        let barrier = script.code.barrier_text();
        script.once(Who::LEADERS, four.clone(), |code| {
            for value in 12..16 {
                list(code, "ATOMS.ADD r20 n", &[("n", value)]);
            }
        });
        script.once(Who::All, four, |code| {
            list(code, barrier, &[]);
            for value in 12..16 {
                list(code, "LDS n = r20", &[("n", value)]);
            }
            list(code, barrier, &[]);
            // From the highest value down, until as many elements are reached as are asked for.
            for value in 12..16 {
                list(
                    code,
                    "ISETP.GE.AND p1 = n r28; IADD3 r28 = r28 n; BRA p1",
                    &[("n", value)],
                );
            }
            list(
                code,
                "SHF r29 = r25; LOP3.LUT r19 = r19 r29; LOP3.LUT r18 = r18 r29; BRA p1",
                &[],
            );
        });
    }

    /// The one element that begins so.
    fn find(&self, script: &mut Script<'_>) {
        let barrier = script.code.barrier_text();
        let both = Place::Shared(SharedPlace {
            base: 0,
            lane: 4,
            warp: 0,
        });
        let second = word(1);
        script.once(
            Who::Lanes {
                warps: (0, 1),
                lanes: 2,
            },
            vec![both],
            |code| {
                list(code, "STS r20 r21", &[]);
            },
        );
        script.once(Who::All, vec![], |code| {
            list(code, &format!("{barrier}; MOV r8 = r2"), &[]);
        });
        script.each(Span::Singles(self.cols), vec![self.row()], |code| {
            self.load(code);
            list(
                code,
                "LOP3.LUT r24 = r17 r18; ISETP.EQ.AND p1 = r24 r19",
                &[],
            );
            list(code, NEXT, &[]);
        });
        script.once(Who::FIRST, vec![BROADCAST, second], |code| {
            list(code, "STS r20 r21; STS r20 r16", &[]);
        });
        script.once(Who::All, vec![BROADCAST, second], |code| {
            list(code, &format!("{barrier}; LDS r24 = r20; LDS r30 = r20; {barrier}; ISETP.NE.AND p0 = r24; BRA p0"), &[]);
        });
    }

    /// Writes `count` elements from number `first` on: those whose bits compare so to the one that was found. Where each
    /// goes is a sum over the threads in front of it.
    fn write(&self, script: &mut Script<'_>, compare: &str, [first, count]: [u64; 2]) {
        let barrier = script.code.barrier_text();
        let warps = self.threads().div_ceil(32);
        script.once(Who::All, vec![], |code| {
            list(code, "MOV r8 = r2", &[]);
        });
        script.each(Span::Singles(self.cols), vec![self.row()], |code| {
            self.load(code);
            let text = format!(
                "{compare} p1 = r17 r30; VOTE.ANY r26 = p1; POPC r27 = r26; LOP3.LUT r26 = r26 r31"
            );
            list(code, &text, &[]);
            list(code, "POPC r26 = r26", &[]);
            list(code, NEXT, &[]);
        });
        let of_warp = Place::Shared(SharedPlace {
            base: 0,
            lane: 0,
            warp: 4,
        });
        script.once(Who::LEADERS, vec![of_warp], |code| {
            list(code, "STS r20 r27", &[]);
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                &format!("{barrier}; ISETP.NE.AND p2 = r2; BRA p2"),
                &[],
            );
        });
        let words = (0..warps).flat_map(|n| [word(n), word(n)]);
        script.once(Who::FIRST, words.collect(), |code| {
            for _ in 0..warps {
                list(code, "LDS r24 = r20; IADD3 r25 = r25 r24; STS r20 r25", &[]);
            }
        });
        let last = word(warps - 1);
        script.once(Who::All, vec![of_warp, last], |code| {
            let text = format!("{barrier}; LDS r24 = r20; LDS r25 = r20; {barrier}; IADD3 r26 = r26 r24 r9; IADD3 r9 = r9 r25; BRA p1");
            list(code, &text, &[]);
        });
        let found = Who::Lanes {
            warps: (0, 1),
            lanes: count,
        };
        let to = |operand: usize, bytes: u64| {
            Place::Row(RowPlace {
                offset: first,
                ..RowPlace::rows(operand, bytes, self.k)
            })
        };
        let places = vec![to(1, self.data.bytes()), to(2, PLACE_BYTES)];
        script.once(found, places, |code| {
            let [value, place] = [self.data.bytes(), PLACE_BYTES].map(|bytes| code.global("STG", bytes));
            let text = format!(
                "IMAD.WIDE r22 = r26 r6; {value} r22 r16; IMAD.WIDE r24 = r26 r10; MOV r32 = r8; MOV r33; {place} r24 r32"
            );
            list(code, &text, &[]);
        });
    }

    fn steps(&self, script: &mut Script<'_>) {
        script.once(Who::All, vec![], |code| {
            code.entry();
            let text = "S2R r2; S2R r3; S2R r31; IMAD.WIDE.U32 r4 = r3 c0; IMAD.WIDE.U32 r6 = r3 c1; \
                IMAD.WIDE.U32 r10 = r3 c2; MOV r18; MOV r19; MOV r21; MOV r9; MOV r28";
            list(code, text, &[]);
        });
        for _ in 0..self.rounds() {
            self.count(script);
        }
        self.find(script);
        self.write(script, "ISETP.GT.U32.AND", [0, self.k - 1]);
        self.write(script, "ISETP.EQ.U32.AND", [self.k - 1, 1]);
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

impl KernelGenerator for TopK {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "top_k_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        if self.k > self.cols {
            return Err(Fault::field("k", self.k, "more than a row has"));
        }
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let steps = Script::of(&mut code, |script| self.steps(script));
        let threads = self.threads();
        let shape = [self.rows, self.cols, threads];
        let program = RowProgram::cta_a_row(self.arrays, shape, steps, patterns);
        Ok(Assembly {
            name: format!("gatherTopK<{}>", self.data.name()),
            grid: line(self.rows),
            block: [threads as u32, 1, 1],
            registers: 40,
            smem_bytes: 4 * 64,
            code,
            generator: per_warp(threads as u32, program),
        })
    }
}

pub(super) fn check(rows: u64, data: DataType) -> Result<(), Fault> {
    match rows <= GRID_MAX && data.bytes() > 1 {
        true => Ok(()),
        false => Err(Fault::field(
            "rows",
            rows,
            "no selection of so many rows or of bytes",
        )),
    }
}
