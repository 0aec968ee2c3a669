//! FlashAttention 1, forward: a CTA has a head of a sequence, keeps some keys and values in registers and shared memory,
//! and goes over all queries, 16 at a time, for each such part of the keys.

mod code;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::attention::tile::Tile;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::DataType;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use code::Writer;
use warps::FlashWarps;

family! {
    /// softmax(Q K^T) V, 16 queries a step (`fmha_fwd_loop_kernel`). Tensors are (sequence, token, head, element).
    /// Operands: Q, K, V, the result, sums of exponentials, results so far in FP32.
    pub struct Flash1 of arrays: Arrays {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 65535),
        /// heads
        pub heads: u64 = "h" count(32, 1, 4096),
        /// queries of a sequence
        pub queries: u64 = "sq" count(2048, 1, 1 << 24),
        /// keys of a sequence
        pub keys: u64 = "sk" count(2048, 1, 1 << 24),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 8, 128),
        /// queries see only the keys up to their own place: 1
        pub causal: u64 = "causal" count(0, 0, 1),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
    }
}

/// Warps of a CTA, each with a quarter of the keys of a part.
const WARPS: u64 = 4;
const THREADS: u32 = 32 * WARPS as u32;
/// Queries of a step.
const STEP: u64 = 16;
/// Bytes that a lane's row of partial results is padded by.
const PAD: u64 = 16;

impl Flash1 {
    fn padded(&self) -> u64 {
        match self.head_dim {
            ..=32 => 32,
            33..=64 => 64,
            _ => 128,
        }
    }

    /// Keys of a part: as many as registers hold.
    pub fn part(&self) -> u64 {
        let most = if self.padded() == 128 { 128 } else { 256 };
        self.keys.next_multiple_of(128).min(most)
    }

    fn parts(&self) -> u64 {
        self.keys.div_ceil(self.part())
    }

    fn steps(&self) -> u64 {
        self.queries.div_ceil(STEP)
    }

    fn key_tile(&self) -> Tile {
        Tile {
            rows: self.part(),
            cols: self.padded(),
        }
    }

    fn query_tile(&self) -> Tile {
        Tile {
            rows: STEP,
            cols: self.padded(),
        }
    }

    /// First step of part `part` in which a query sees one of its keys.
    fn first_step(&self, part: u64) -> u64 {
        match self.causal {
            0 => 0,
            _ => (part * self.part() / STEP).min(self.steps()),
        }
    }

    /// Queries twice, keys and values in turn, partial results of all warps, maxima and sums.
    fn smem_bytes(&self) -> u64 {
        let partial = WARPS * STEP * (self.padded() * 4 + PAD);
        2 * self.query_tile().bytes() + self.key_tile().bytes() + partial + WARPS * STEP * 8
    }

    fn partial_base(&self) -> u64 {
        2 * self.query_tile().bytes() + self.key_tile().bytes()
    }

    fn stats_base(&self) -> u64 {
        self.partial_base() + WARPS * STEP * (self.padded() * 4 + PAD)
    }

    /// Pairs of 8-column blocks of a warp's scores, of results, and steps of 16 along the head.
    fn shape(&self) -> Shape {
        Shape {
            keys: (self.part() / WARPS / 16) as u16,
            head: (self.padded() / 16) as u16,
        }
    }

    fn check(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        if gpu.compute_capability < 75 {
            let what = "needs tensor cores of Turing or later";
            return Err(Fault::field("sm", gpu.compute_capability, what));
        }
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        match self.head_dim.is_multiple_of(8) {
            true => Ok(()),
            false => Err(Fault::field("d", self.head_dim, "not a multiple of 8")),
        }
    }
}

#[derive(Clone, Copy)]
struct Shape {
    keys: u16,
    head: u16,
}

/// Registers: to r19 addresses and temporaries, fragments of queries, keys, values, scores, results.
const FIRST: u16 = 20;

impl Shape {
    fn keys_at(self) -> u16 {
        FIRST + 8
    }

    /// Keys stay in registers for a part.
    fn values_at(self) -> u16 {
        self.keys_at() + 16
    }

    fn scores_at(self) -> u16 {
        self.values_at() + 4 * self.keys * self.head
    }

    fn results_at(self) -> u16 {
        self.scores_at() + 8 * self.keys
    }

    fn end(self) -> u16 {
        self.results_at() + 8 * self.head
    }
}

/// Memory instructions of a step, in order.
#[derive(Clone, Copy)]
enum Kind {
    /// The queries of the next step, from memory and to shared memory.
    Load(usize),
    Keep(usize),
    /// A fragment of queries.
    Query(usize),
    /// The maximum (0) or sum (1) of 8 rows of the warp, and those of all warps.
    Stat(u64, u64),
    Stats(u64, u64),
    /// A warp's part of the results, written and read.
    Write(u64),
    Read(u64, u64),
    /// The results so far, and with this part; the last part's are final.
    Before(u64),
    After(u64),
    Result(u64),
}

impl Flash1 {
    /// The memory instructions of a step; [`Writer::step`] appends them in this order.
    fn kinds(&self) -> Vec<Kind> {
        let copies = self.query_tile().copy_count(self.query_warps()) as usize;
        let mut kinds: Vec<_> = (0..copies).map(Kind::Load).collect();
        if self.parts() > 1 {
            kinds.extend((0..self.rounds()).map(Kind::Before));
        }
        kinds.extend((0..self.shape().head.into()).map(Kind::Query));
        for stat in [0, 1] {
            kinds.extend([0, 1].map(|half| Kind::Stat(stat, half)));
            kinds.extend([0, 1].map(|half| Kind::Stats(stat, half)));
        }
        kinds.extend((0..self.padded() / 4).map(Kind::Write));
        for round in 0..self.rounds() {
            kinds.extend((0..WARPS).map(|warp| Kind::Read(round, warp)));
            if self.parts() > 1 {
                kinds.push(Kind::After(round));
            }
            kinds.push(Kind::Result(round));
        }
        kinds.extend((0..copies).map(Kind::Keep));
        kinds
    }

    /// Rounds of all threads, four elements each, that a step's results take.
    fn rounds(&self) -> u64 {
        (STEP * self.padded() / 4).div_ceil(THREADS.into())
    }

    /// Warps that copy queries.
    fn query_warps(&self) -> u64 {
        WARPS.min(STEP / self.query_tile().copied_rows())
    }
}

impl Flash1 {
    /// Element of a tensor of `rows` rows a sequence at `row` of the head of `cta`.
    fn element(&self, cta: u64, rows: u64, row: u64) -> u64 {
        let (sequence, head) = (cta % self.batch, cta / self.batch);
        ((sequence * rows + row) * self.heads + head) * self.head_dim
    }

    /// Rows of results that a warp has in a round.
    fn warp_rows(&self) -> u64 {
        (32 / (self.padded() / 4)).max(1)
    }

    fn round_row(&self, round: u64, warp: u64) -> u64 {
        (round * WARPS + warp) * self.warp_rows()
    }

    /// Iterations of the parts before `part`.
    fn before(&self, part: u64) -> u64 {
        (0..part)
            .map(|part| self.steps() - self.first_step(part))
            .sum()
    }
}

impl KernelGenerator for Flash1 {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "flash1_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check(gpu)?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut writer = Writer {
            kernel: self,
            code: &mut code,
        };
        let prologue = writer.block(|w| {
            w.code.entry();
            let start = "S2R r2; S2R r3; S2R r4; IMAD r12 = r3; IMAD r12 = r12 r4; IMAD.WIDE r16 = r12 c0; \
                IMAD.WIDE r18 = r12 c1; SHF r13 = r2; LOP3.LUT r14 = r2; LEA r16 = r16 r13; LEA.HI.X r17 = r17 r13; \
                LEA r18 = r18 r13; LEA.HI.X r19 = r19 r13; LOP3.LUT r12 = r14; IMAD r15 = r13; MOV r3";
            w.list(start, &[]);
        });
        let part = writer.block(Writer::part);
        let step = writer.block(|w| {
            w.scores();
            w.softmax();
            w.results();
        });
        let end = writer.block(|w| w.list("EXIT", &[]));
        let generator = FlashWarps::new(self, &mut code, [prologue, part, step, end]);
        let causal = if self.causal == 1 { " causal" } else { "" };
        let registers = (self.shape().end() + 4 * self.rounds() as u16)
            .next_multiple_of(8)
            .min(255);
        Ok(Assembly {
            name: format!(
                "fmha_fwd_loop_kernel<{}, {}> {}{causal}",
                self.part(),
                self.padded(),
                self.data.name()
            ),
            grid: [self.batch as u32, self.heads as u32, 1],
            block: [THREADS, 1, 1],
            registers,
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(THREADS, generator),
        })
    }
}
