//! vLLM's rotary position embedding: a CTA a token.

use super::program::{Place, RowPlace, Script, Span, Who};
use super::script::list;
use super::vllm::{Made, check};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays};

family! {
    /// Rotation of queries and keys by position, in place (`rotary_embedding_kernel`). Operands: rows of the queries',
    /// keys' and values' heads, the table of cosines and sines by position, positions.
    pub struct Rotary of arrays: Arrays {
        /// tokens
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// heads of the queries
        pub heads: u64 = "heads" count(32, 1, 4096),
        /// heads of the keys
        pub kv_heads: u64 = "kv_heads" count(32, 1, 4096),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 2, 1024),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

impl Rotary {
    fn pair(&self) -> u64 {
        self.head_dim / 2
    }

    /// One of the two elements that are rotated together, of heads that begin `offset` heads into a row.
    fn element(&self, head: u64, second: bool) -> Place {
        let half = if second { self.pair() } else { 0 };
        let pitch = (self.heads + 2 * self.kv_heads) * self.head_dim;
        Place::Row(RowPlace {
            offset: head * self.head_dim + half,
            groups: Some((self.pair(), self.head_dim)),
            ..RowPlace::rows(0, self.data.bytes(), pitch)
        })
    }

    /// Its factor: the same for all heads.
    fn factor(&self, sine: bool) -> Place {
        Place::Row(RowPlace {
            offset: if sine { self.pair() } else { 0 },
            groups: Some((self.pair(), 0)),
            ..RowPlace::rows(1, self.data.bytes(), self.head_dim)
        })
    }

    /// A division by a number that is no constant finds head and element.
    fn rotate(&self, script: &mut Script<'_>, first_head: u64, heads: u64) {
        script.once(Who::All, vec![], list_divisor);
        let x = self.element(first_head, false);
        let y = self.element(first_head, true);
        let places = vec![self.factor(true), x, y, self.factor(false), x, y];
        script.each(Span::Singles(heads * self.pair()), places, |code| {
            let bytes = self.data.bytes();
            let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
            list(code, HEAD_AND_ELEMENT, &[]);
            list(code, &format!("{load} r24 = r10; LEA r12 = r20; IMAD.X r28 = r7 r12; LEA r14 = r23"), &[]);
            list(code, "LEA.HI.X r15 = r23 r28; LEA.HI.X r13 = r20 r26", &[]);
            let rest = format!("{load} r25 = r12; {load} r26 = r14; {load} r27 = r10; IADD3 r2 = r2; ISETP.GE.AND p1 = r2");
            list(code, &rest, &[]);
            match self.data {
                DataType::F16 => {
                    let text = "PRMT r5 = r26 r25; HMUL2 r5 = r5 r24; HFMA2 r25 = r25 r27 r5; HFMA2 r26 = r26 r27 r5";
                    list(code, text, &[]);
                }
                _ => {
                    let text = "FMUL r5 = r26 r24; FMUL r6 = r25 r24; FFMA r25 = r25 r27 r5; FFMA r26 = r26 r27 r6";
                    list(code, text, &[]);
                }
            }
            list(code, &format!("{store} r12 r25; {store} r14 r26; BRA p1"), &[]);
        });
    }
}

/// The reciprocal of the divisor.
fn list_divisor(code: &mut KernelBuilder) {
    let text = "IMAD r17 = r15; ISETP.GE.AND p0 = r2 r17; BRA p0; IABS r18 = r15; MOV r20; ISETP.NE.AND p0 = r15; \
        IMAD r19 = r16; I2F.RP r4 = r18; MOV r22 = r2; MUFU.RCP r4 = r4; IADD3 r5 = r4; F2I.FTZ.U32.TRUNC.NTZ r21 = r5; \
        IMAD.MOV r7 = r21; IMAD r7 = r7 r18; IMAD.HI.U32 r20 = r21 r7 r20; LOP3.LUT r21 = r15";
    list(code, text, &[]);
}

/// Quotient and remainder of the index, and the addresses of factors and elements.
const HEAD_AND_ELEMENT: &str = "
    IABS r4 = r15
    IABS r5 = r22
    IMAD.MOV r6 = r4
    IMAD.HI.U32 r4 = r20 r5
    IMAD r5 = r4 r6 r5
    ISETP.GT.U32.AND p2 = r18 r5
    IMAD.IADD r5 = r5 r18 p2
    IADD3 r4 = r4 p2
    ISETP.GE.U32.AND p1 = r5 r18
    LOP3.LUT r5 = r22 r15
    ISETP.GE.AND p3 = r5
    IADD3 r4 = r4 p1
    IMAD.MOV r4 = r4 p3
    SEL r4 = r21 r4 p0
    IMAD.MOV r6 = r4
    IMAD r11 = r4 r19
    IMAD r6 = r15 r6 r22
    SHF r8 = r11
    IMAD.IADD r24 = r15 r6
    SHF r7 = r6
    IADD3 r5 = r6 r13
    IADD3 r9 = r11 r24
    IADD3 r11 = r11 r6
    IMAD.X r10 = r7 r3
    LEA r10 = r5
    LEA.HI.X.SX32 r24 = r24 r8
    IMAD.X r26 = r8 r7
    LEA.HI.X r11 = r5 r10
    IADD3 r23 = r6 r3";

impl KernelGenerator for Rotary {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "rotary_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        check(self.rows, self.data)?;
        if !self.head_dim.is_multiple_of(2) {
            return Err(Fault::field("d", self.head_dim, "odd"));
        }
        let made = Made {
            name: format!("rotary_embedding_kernel {}", self.data.name()),
            arrays: self.arrays,
            rows: self.rows,
            cols: self.heads * self.pair(),
            threads: (self.heads * self.pair()).min(512),
            registers: 32,
            smem_bytes: 0,
        };
        Ok(made.assemble(gpu, |script| {
            let position = Place::PerRow {
                operand: 2,
                bytes: 8,
            };
            script.once(Who::All, vec![position], |code| {
                let load = code.global("LDG", 8);
                let text = format!(
                    "S2R r16; MOV r5; IMAD.WIDE r4 = r16 r5 c0; {load} r4 = r4; MOV r7; BSSY; S2R r2; LEA.HI r15 = r7; \
                     SHF r7 = r7; SHF r15 = r15; IMAD r3 = r5; IMAD.WIDE.U32 r8 = r4; IMAD r7 = r4 r7 r3; \
                     IADD3 r13 = r15 r8; IMAD.IADD r12 = r9 r7; LEA.HI.X.SX32 r3 = r15 r12"
                );
                list(code, &text, &[]);
            });
            self.rotate(script, 0, self.heads);
            self.rotate(script, self.heads, self.kv_heads);
        }))
    }
}
