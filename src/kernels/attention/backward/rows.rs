//! What goes before and after: a number of each row, and halves of the sums of gradients.

use super::Backward;
use crate::config::GpuSpec;
use crate::kernels::attention::product::{Matrix, TileCopies};
use crate::kernels::attention::tile::{HALF, Tile};
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::{Fields, Param};
use crate::kernels::operator::DataType;
use crate::kernels::rows::chains::widen;
use crate::kernels::rows::script::{Access, Block, list};
use crate::kernels::{
    Assembly, Fault, KernelGenerator, Places, WarpGenerator, fields::Field, per_warp,
};
use crate::trace::{CtaEncoder, PatternId};
use std::ops::Range;

/// The products of the rows of a result and of its gradient; clears the sums of the queries' gradients
/// (`flash_bwd_dot_do_o_kernel`).
#[derive(Clone, Debug, PartialEq)]
pub struct DotRows(pub Backward);

/// Sums of the queries' gradients, scaled, as halves (`flash_bwd_convert_dq_kernel`).
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertQueries(pub Backward);

impl Fields for DotRows {
    fn fields(&self) -> Vec<(Param, u64)> {
        self.0.fields()
    }
}

impl Fields for ConvertQueries {
    fn fields(&self) -> Vec<(Param, u64)> {
        self.0.fields()
    }
}

/// Warps of a CTA.
const WARPS: u64 = 8;

/// A CTA for a tile of queries of a head.
struct RowWarps {
    kernel: Backward,
    body: Block,
    /// Of halves, and of sums in FP32, which have twice as many halves.
    halves: TileCopies,
    words: TileCopies,
    /// The first lane of the eight of a row; by rows that there are.
    numbers: Vec<PatternId>,
    /// Lanes side by side in shared memory, 8 and 16 bytes each.
    shared: [PatternId; 2],
    converts: bool,
}

fn word_tile(kernel: &Backward) -> Tile {
    Tile {
        rows: kernel.tile().0,
        cols: 2 * kernel.padded(),
    }
}

impl RowWarps {
    fn new(kernel: &Backward, code: &mut KernelBuilder, body: Block, converts: bool) -> Self {
        let pitch = kernel.heads * kernel.head_dim * HALF;
        let numbers = (0..=4).map(|rows| match first_lanes(8 * rows) & 0x0101_0101 {
            0 => 0,
            mask => code.pattern(mask, 4, |lane| lane / 8 * 4),
        });
        let numbers = numbers.collect();
        let words = word_tile(kernel);
        RowWarps {
            kernel: kernel.clone(),
            body,
            halves: TileCopies::new(code, kernel.query_tile(), WARPS, pitch, kernel.head_dim),
            words: TileCopies::new(code, words, WARPS, words.cols * HALF, words.cols),
            numbers,
            shared: [8, 16].map(|bytes| code.pattern(FULL, bytes, |lane| lane * bytes)),
            converts,
        }
    }

    fn number(&self, head: u64, block: u64, warp: u32, n: u64) -> Access {
        let kernel = &self.kernel;
        let first = block * kernel.tile().0 + n * 4 * WARPS + u64::from(warp) * 4;
        match kernel.queries.saturating_sub(first).min(4) {
            0 => Access::Off,
            rows => Access::Pattern {
                mask: first_lanes(8 * rows) & 0x0101_0101,
                base: kernel.numbers_at() + (head * kernel.queries + first) * 4,
                pattern: self.numbers[rows as usize],
            },
        }
    }
}

impl WarpGenerator for RowWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let kernel = &self.kernel;
        let (blocks, batch) = (kernel.query_blocks(), kernel.batch);
        let (block, sequence, head) = (cta % blocks, cta / blocks % batch, cta / blocks / batch);
        let row = block * kernel.tile().0;
        let matrix = |base: u64| Matrix {
            base: base + (sequence * kernel.queries * kernel.heads + head) * kernel.head_dim * HALF,
            rows: kernel.queries,
        };
        let of_head = sequence * kernel.heads + head;
        let sums = Matrix {
            base: kernel.arrays.at(6) + of_head * kernel.summed_rows() * kernel.padded() * 4,
            rows: kernel.summed_rows(),
        };
        let (halves, words) = (self.halves.count() as usize, self.words.count() as usize);
        let rows = (kernel.tile().0 / (4 * WARPS)) as usize;
        let of_halves = |base: u64, n: usize| self.halves.access(matrix(base), (row, 0), warp, n);
        let of_words = |n: usize| self.words.access(sums, (row, 0), warp, n);
        if self.converts {
            let own = u64::from(warp) * 32;
            return self.body.emit(FULL, out, |n| match n {
                n if n < words => of_words(n),
                n if n < 2 * words => Access::Pattern {
                    mask: FULL,
                    base: ((n - words) as u64 * WARPS * 32 + own) * 8,
                    pattern: self.shared[0],
                },
                n if n < 2 * words + halves => Access::Pattern {
                    mask: FULL,
                    base: ((n - 2 * words) as u64 * WARPS * 32 + own) * 16,
                    pattern: self.shared[1],
                },
                n => of_halves(kernel.arrays.at(7), n - 2 * words - halves),
            });
        }
        self.body.emit(FULL, out, |n| match n {
            n if n < halves => of_halves(kernel.arrays.at(5), n),
            n if n < 2 * halves => of_halves(kernel.arrays.at(3), n - halves),
            n if n < 2 * halves + words => of_words(n - 2 * halves),
            n => self.number(
                of_head,
                block,
                warp,
                (n - 2 * halves - words) as u64 % rows as u64,
            ),
        });
    }
}

/// Places, bounds and addresses.
fn start(code: &mut KernelBuilder) {
    code.entry();
    let text = "S2R r0; S2R r2; S2R r3; S2R r4; IMAD r5 = r2; ISETP.GE.AND p0 = r5; IMAD.WIDE r8 = r5 r3 c0; \
        IMAD.WIDE r10 = r5 r3 c1; SHF r6 = r0; LOP3.LUT r6 = r6; LEA r8 = r8 r6; LEA.HI.X r9 = r9 r8; LEA r10 = r10 r6; \
        LEA.HI.X r11 = r11 r10";
    list(code, text, &[]);
}

/// Registers of data on their way, of what is worked with, of numbers of rows.
const LOADED: u16 = 16;
const WORK: u16 = 80;
const NUMBERS: u16 = 100;

impl DotRows {
    fn append(&self, code: &mut KernelBuilder) {
        start(code);
        let (kernel, load) = (&self.0, code.global("LDG", 16));
        let count = kernel.query_tile().copy_count(WARPS) as u16;
        let rows = (kernel.tile().0 / (4 * WARPS)) as u16;
        for n in 0..2 * count {
            list(
                code,
                &format!("IADD3 r7 = r8; {load} d = r8"),
                &[("d", LOADED + 4 * (n % 16))],
            );
        }
        for row in 0..rows {
            list(code, "MOV s", &[("s", NUMBERS + row)]);
        }
        for n in 0..count {
            // Parts of a head of 64 elements come one behind the other.
            let number = NUMBERS + n % rows;
            widen(code, kernel.data, 8, LOADED + 4 * (n % 16), WORK);
            widen(
                code,
                kernel.data,
                8,
                LOADED + 4 * ((count + n) % 16),
                WORK + 8,
            );
            for e in 0..8 {
                let names = [("s", number), ("x", WORK + e), ("y", WORK + 8 + e)];
                list(code, "FFMA s = x y s", &names);
            }
        }
        let store = code.global("STG", 16);
        list(code, "CS2R r16; CS2R r18", &[]);
        for _ in 0..word_tile(kernel).copy_count(WARPS) {
            list(code, &format!("IADD3 r7 = r10; {store} r10 r16"), &[]);
        }
        let store = code.global("STG", 4);
        for row in 0..rows {
            let names = [("s", NUMBERS + row), ("t", WORK)];
            for _ in 0..3 {
                list(code, "SHFL.BFLY t = s; FADD s = s t", &names);
            }
            list(code, &format!("FMUL s = s c3; {store} r12 s"), &names);
        }
        list(code, "EXIT", &[]);
    }
}

impl ConvertQueries {
    fn append(&self, code: &mut KernelBuilder) {
        start(code);
        let (kernel, load) = (&self.0, code.global("LDG", 16));
        let words = word_tile(kernel).copy_count(WARPS) as u16;
        let of = |n: u16| LOADED + 4 * (n % 24);
        for n in 0..words {
            list(
                code,
                &format!("IADD3 r7 = r10; {load} d = r10"),
                &[("d", of(n))],
            );
        }
        for n in 0..words {
            for e in 0..4 {
                list(code, "FMUL x = x c3", &[("x", of(n) + e)]);
            }
            super::super::product::pack(code, kernel.data, of(n), 4);
            list(code, "STS.64 r12 d", &[("d", of(n))]);
        }
        list(code, code.barrier_text(), &[]);
        let halves = kernel.query_tile().copy_count(WARPS) as u16;
        let (load, store) = (code.shared_load_128(), code.global("STG", 16));
        for n in 0..halves {
            list(code, &format!("{load} d = r12"), &[("d", of(n))]);
        }
        for n in 0..halves {
            list(
                code,
                &format!("IADD3 r7 = r8; {store} r8 d"),
                &[("d", of(n))],
            );
        }
        list(code, "EXIT", &[]);
    }
}

fn assemble(
    kernel: &Backward,
    gpu: &GpuSpec,
    (name, converts): (&str, bool),
    append: impl FnOnce(&mut KernelBuilder),
) -> Result<Assembly, Fault> {
    kernel.check(gpu)?;
    let mut code = KernelBuilder::new(gpu.compute_capability);
    let first = code.here();
    append(&mut code);
    let body = Block::from(&code, first);
    let generator = RowWarps::new(kernel, &mut code, body, converts);
    let threads = 32 * WARPS as u32;
    let grid = [kernel.query_blocks(), kernel.batch, kernel.heads];
    let data = DataType::NAMES[kernel.data.value() as usize];
    Ok(Assembly {
        name: format!("{name}<{}> {data}", kernel.padded()),
        grid: grid.map(|edge| edge as u32),
        block: [threads, 1, 1],
        registers: 112,
        smem_bytes: if converts {
            kernel.query_tile().bytes() as u32
        } else {
            0
        },
        code,
        generator: per_warp(threads, generator),
    })
}

impl KernelGenerator for DotRows {
    fn moved(&self, places: &Places) -> Option<Box<dyn KernelGenerator>> {
        let arrays = self.0.arrays.moved(places);
        Some(Box::new(DotRows(Backward {
            arrays,
            ..self.0.clone()
        })))
    }

    fn name(&self) -> &'static str {
        "flash_backward_dot_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let name = ("flash_bwd_dot_do_o_kernel", false);
        assemble(&self.0, gpu, name, |code| self.append(code))
    }
}

impl KernelGenerator for ConvertQueries {
    fn moved(&self, places: &Places) -> Option<Box<dyn KernelGenerator>> {
        let arrays = self.0.arrays.moved(places);
        Some(Box::new(ConvertQueries(Backward {
            arrays,
            ..self.0.clone()
        })))
    }

    fn name(&self) -> &'static str {
        "flash_backward_convert_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let name = ("flash_bwd_convert_dq_kernel", true);
        assemble(&self.0, gpu, name, |code| self.append(code))
    }
}
