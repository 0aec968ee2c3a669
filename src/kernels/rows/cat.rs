//! Tensors one behind the other along a dimension, as PyTorch's `CatArrayBatchedCopy_aligned16_contig` puts them.
//!
//! Grid: 128 threads a CTA, a vector of 16 bytes a thread, at most 32 CTAs an SM, a row of CTAs for each tensor. A thread
//! reads 16 bytes and writes the elements one by one, each to an offset that it finds by a division (recalled from
//! `Shape.cu` of PyTorch 2.1).

use super::program::Contiguous;
use super::script::{Access, Block, list};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::family;
use crate::kernels::operator::{DataType, ROW_MAX};
use crate::kernels::{
    Arrays, Assembly, Fault, KernelGenerator, WarpGenerator, moves_arrays, per_warp,
};
use crate::trace::CtaEncoder;
use std::ops::Range;

family! {
    /// Rows of several tensors, side by side in the rows of one. Operands: the tensors, one behind the other; the result.
    pub struct Cat of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, 1 << 24),
        /// elements of a row of a tensor
        pub cols: u64 = "cols" count(1024, 1, ROW_MAX),
        /// tensors
        pub tensors: u64 = "tensors" count(2, 1, 128),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// CTAs of a tensor
        pub ctas: u64 = "ctas" count(128, 1, 65_535),
    }
}

/// Threads of a CTA.
const THREADS: u64 = 128;
/// Bytes that a thread reads at once.
const VECTOR_BYTES: u64 = 16;
/// CTAs of a tensor on an SM at most.
const SM_CTAS: u64 = 32;

impl Cat {
    fn elements(&self) -> u64 {
        self.rows * self.cols
    }

    /// Elements of a vector.
    fn vector(&self) -> u64 {
        VECTOR_BYTES / self.data.bytes()
    }

    /// With the CTAs that PyTorch gives it on `gpu`.
    pub(in crate::kernels) fn with_grid(self, gpu: &GpuSpec) -> Self {
        let vectors = self.elements().div_ceil(self.vector());
        let most = u64::from(gpu.sms) * SM_CTAS;
        Cat {
            ctas: vectors.div_ceil(THREADS).min(most),
            ..self
        }
    }

    /// Where element `at` of a tensor goes.
    fn place(&self, tensor: u64, at: u64) -> u64 {
        let (row, column) = (at / self.cols, at % self.cols);
        self.arrays.at(1) + ((row * self.tensors + tensor) * self.cols + column) * self.data.bytes()
    }
}

/// The offset of an element: index / size by reciprocal with two corrections, remainder, two products.
const OFFSET: &str = "
    IADD3 a = r2
    IMAD.HI.U32 b = a r12
    IADD3 c = b
    IMAD c = c a
    ISETP.GE.U32.AND p1 = c
    IADD3 c = c p1
    IADD3 b = b p1
    ISETP.GE.U32.AND p2 = c
    IADD3 b = b p2
    SEL b = b p3
    IADD3 c = b
    IMAD c = c a
    IMAD c = c c5
    IMAD c = b c6";

struct CatWarps {
    kernel: Cat,
    start: Block,
    vector: Block,
    single: Block,
    end: Block,
    patterns: Contiguous,
}

impl CatWarps {
    /// Stores of elements `skip` behind each of `first`.
    fn stores(&self, tensor: u64, first: &[u64], skip: u64) -> Access {
        Access::List {
            mask: first_lanes(first.len() as u64),
            addresses: first
                .iter()
                .map(|at| self.kernel.place(tensor, at + skip))
                .collect(),
        }
    }
}

impl WarpGenerator for CatWarps {
    fn iterations(&self, cta: u64) -> u64 {
        let (kernel, first) = (&self.kernel, cta % self.kernel.ctas * THREADS);
        let whole = kernel.elements() / kernel.vector();
        whole.saturating_sub(first).div_ceil(kernel.ctas * THREADS)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let (x, tensor) = (cta % kernel.ctas, cta / kernel.ctas);
        let (vector, bytes, all) = (kernel.vector(), kernel.data.bytes(), kernel.elements());
        let whole = all / vector;
        let base = kernel.arrays.at(0) + tensor * all * bytes;
        let step = kernel.ctas * THREADS;
        self.start.emit_plain(FULL, out);
        let own = x * THREADS + u64::from(warp) * 32;
        let trips = whole.saturating_sub(own).div_ceil(step);
        let range = iterations.start.min(trips)..iterations.end.min(trips);
        out.iterations(range, self.vector.len(), |trip, out| {
            let at = own + trip * step;
            let lanes = (whole - at).min(32);
            let first: Vec<u64> = (at..at + lanes).map(|n| n * vector).collect();
            let mask = first_lanes(lanes);
            self.vector.emit(mask, out, |n| match n {
                0 => Access::Pattern {
                    mask,
                    base: base + first[0] * bytes,
                    pattern: self.patterns.lanes(VECTOR_BYTES, lanes),
                },
                n => self.stores(tensor, &first, n as u64 - 1),
            });
        });
        // What is less than a vector: by the thread whose turn it is.
        let lane = whole.checked_sub(own).map(|ahead| ahead % step);
        if let Some(lane) = lane.filter(|lane| *lane < 32) {
            for element in whole * vector..all {
                self.single.emit(1 << lane, out, |n| Access::List {
                    mask: 1 << lane,
                    addresses: vec![match n {
                        0 => base + element * bytes,
                        _ => kernel.place(tensor, element),
                    }],
                });
            }
        }
        self.end.emit_plain(FULL, out);
    }
}

impl Cat {
    fn offset(code: &mut KernelBuilder, element: u16) {
        let names = [
            ("a", 16 + element),
            ("b", 24 + element),
            ("c", 32 + element),
        ];
        list(code, OFFSET, &names);
    }

    /// Places; the reciprocal of the size, which does not change.
    fn start(&self, code: &mut KernelBuilder) {
        code.entry();
        let text = "S2R r2; S2R r3; S2R r4; IMAD r2 = r3 r2; SHF r2 = r2; MOV r5 = c2; ISETP.GE.U32.AND p0 = r2; BRA p0; \
            I2F.U32.RP r12 = r5; MUFU.RCP r12 = r12; IADD3 r12 = r12; F2I.FTZ.U32.TRUNC.NTZ r12 = r12; IADD3 r13 = r12; \
            IMAD r13 = r13 r5; IMAD.HI.U32 r12 = r12 r13; ISETP.NE.U32.AND p3 = r5; IMAD r14 = c3 c4; \
            IADD3 r15 = r2; ISETP.GT.U32.AND p0 = r15; BRA p0";
        list(code, text, &[]);
    }

    /// A vector: one load, each element's offset and store.
    fn vectors(&self, code: &mut KernelBuilder) {
        let (vector, bytes) = (self.vector() as u16, self.data.bytes());
        let load = code.global("LDG", VECTOR_BYTES);
        list(
            code,
            &format!("IMAD.WIDE.U32 r6 = r2 c0; {load} r40 = r6"),
            &[],
        );
        for element in 0..vector {
            Cat::offset(code, element);
        }
        let store = code.global("STG", bytes);
        for element in 0..vector {
            if bytes == 2 && element % 2 == 1 {
                list(code, "PRMT d = d", &[("d", 40 + element / 2)]);
            }
            let names = [("c", 32 + element), ("d", 40 + element * bytes as u16 / 4)];
            list(
                code,
                &format!("IADD3 c = c r14; IMAD.WIDE.U32 r8 = c c1; {store} r8 d"),
                &names,
            );
        }
        list(
            code,
            "IADD3 r2 = r2; IADD3 r15 = r2; ISETP.GT.U32.AND p0 = r15; BRA p0",
            &[],
        );
    }

    /// One element of those behind the last vector.
    fn single(&self, code: &mut KernelBuilder) {
        let bytes = self.data.bytes();
        let (load, store) = (code.global("LDG", bytes), code.global("STG", bytes));
        list(
            code,
            &format!("IMAD.WIDE.U32 r6 = r2 c0; {load} r40 = r6"),
            &[],
        );
        Cat::offset(code, 0);
        let text = format!(
            "IADD3 r32 = r32 r14; IMAD.WIDE.U32 r8 = r32 c1; {store} r8 r40; IADD3 r2 = r2"
        );
        list(
            code,
            &format!("{text}; ISETP.GE.U32.AND p0 = r2; BRA p0"),
            &[],
        );
    }

    fn check(&self) -> Result<(), Fault> {
        if self.data.bytes() == 1 {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no kernel for bytes",
            ));
        }
        match self.elements() * self.tensors > 1 << 31 {
            true => Err(Fault::field("rows", self.rows, "beyond 32-bit offsets")),
            false => Ok(()),
        }
    }
}

impl KernelGenerator for Cat {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "cat_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut block = |append: &dyn Fn(&mut KernelBuilder)| {
            let first = code.here();
            append(&mut code);
            Block::from(&code, first)
        };
        let warps = CatWarps {
            kernel: self.clone(),
            start: block(&|code| self.start(code)),
            vector: block(&|code| self.vectors(code)),
            single: block(&|code| self.single(code)),
            end: block(&|code| {
                list(code, "EXIT", &[]);
            }),
            patterns: Contiguous::new(&mut code),
        };
        Ok(Assembly {
            name: format!("CatArrayBatchedCopy_aligned16_contig {}", self.data.name()),
            grid: [self.ctas as u32, self.tensors as u32, 1],
            block: [THREADS as u32, 1, 1],
            registers: 48,
            smem_bytes: 0,
            code,
            generator: per_warp(THREADS as u32, warps),
        })
    }
}
