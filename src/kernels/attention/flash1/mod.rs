//! FlashAttention 1, forward: a CTA has a head of a sequence, keeps some keys and values in registers, and goes over the
//! queries, 16 at a time, for each such part of the keys. Where heads do not fill the machine, CTAs share the queries of one.
//!
//! Tiles, registers that keep tensors, barriers and the rule for shares are those of the sources
//! (`fmha_fprop_kernel_1xN.h`, `fmha_fwd_launch_template.h` of flash-attention 0.2.x and 1.0).

mod code;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::attention::tile::Tile;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::family;
use crate::kernels::operator::DataType;
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use crate::occupancy::{Demand, Occupancy};
use code::Writer;
use warps::FlashWarps;

family! {
    /// softmax(Q K^T) V, 16 queries a step (`fmha_fwd_loop_kernel`). Tensors are (sequence, token, head, element).
    /// Operands: Q, K, V, the result, logarithms of sums of exponentials, results so far in FP32.
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
        /// CTAs that share the queries of a head; 0: as many as fill the machine
        pub shares: u64 = "shares" count(0, 0, 1 << 12),
    }
}

/// Warps of a CTA, each with a quarter of the keys of a part.
const WARPS: u64 = 4;
const THREADS: u32 = 32 * WARPS as u32;
/// Queries of a step.
const STEP: u64 = 16;
/// CTAs that share a head at most, and the share of the best number's filled waves that is enough.
const SHARES_MAX: u64 = 30;
const ENOUGH: f64 = 0.95;
/// Bytes that a lane's row of partial results is padded by.
const PAD: u64 = 32;

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

    /// The kernel with a number of shares: of those that fill 95 % as much of their waves as the best, the fewest.
    fn shared(&self, demand: &Demand, gpu: &GpuSpec) -> Self {
        let mut kernel = self.clone();
        if self.shares == 0 {
            let resident = Occupancy::of(demand, gpu).map_or(1, |of| u64::from(of.ctas_per_sm));
            let at_once = u64::from(gpu.sms) * resident;
            let filled = |shares: u64| {
                let waves = (self.batch * self.heads * shares) as f64 / at_once as f64;
                waves / waves.ceil()
            };
            let all = || 1..=SHARES_MAX;
            let best = all().map(filled).fold(0.0, f64::max);
            let enough = all().find(|&shares| filled(shares) > ENOUGH * best);
            kernel.shares = enough.unwrap_or(1);
        }
        kernel
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

    /// First step of part `part` in which a query of share `share` sees one of its keys. A share has every step whose
    /// number leaves its own as the rest, in all parts.
    fn first_step(&self, part: u64, share: u64) -> u64 {
        let first = match self.causal {
            0 => 0,
            _ => part * self.part() / STEP,
        };
        first + (share + self.shares - first % self.shares) % self.shares
    }

    /// Bytes of partial results of all warps.
    fn partial_bytes(&self) -> u64 {
        WARPS * STEP * (self.padded() * 4 + PAD)
    }

    /// Queries twice; keys and values in turn, then partial results, maxima and sums; and the logarithms so far.
    fn smem_bytes(&self) -> u64 {
        let stats = 2 * WARPS * STEP * 4;
        let before = if self.parts() > 1 { STEP * 4 } else { 0 };
        let steps = self.partial_bytes() + stats + before;
        self.partial_base() + self.key_tile().bytes().max(steps)
    }

    fn partial_base(&self) -> u64 {
        2 * self.query_tile().bytes()
    }

    fn stats_base(&self) -> u64 {
        self.partial_base() + self.partial_bytes()
    }

    fn before_base(&self) -> u64 {
        self.stats_base() + 2 * WARPS * STEP * 4
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

/// Registers: to r21 addresses, temporaries, queries on their way; then fragments of queries, keys, values, scores, results,
/// results so far.
const QUERIES_AT: u16 = 22;

impl Shape {
    fn keys_at(self) -> u16 {
        QUERIES_AT + 8
    }

    fn values_at(self) -> u16 {
        self.keys_at() + 4 * self.keys * self.head
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

/// Memory instructions of the start of a part, in order.
#[derive(Clone, Copy)]
enum Fetch {
    /// A copy of keys (1) or values (2), or of the first step's queries (0), from memory.
    Load(usize, usize),
    /// The same, to shared memory.
    Keep(usize, usize),
    /// A fragment of keys (1) or values (2).
    Fragment(usize, usize),
    /// The logarithms so far of 8 of the first step's rows.
    Log(u64),
}

/// Memory instructions of a step, in order.
#[derive(Clone, Copy)]
enum Kind {
    /// A fragment of queries.
    Query(usize),
    /// The results so far.
    Before(u64),
    /// The queries of the next step, from memory and to shared memory.
    Load(usize),
    Keep(usize),
    /// The logarithms so far of 8 rows: to shared memory, those of the next step from memory, those of a round's rows.
    LogKept(u64),
    LogNext(u64),
    LogOf(u64),
    /// The maximum (0) or sum (1) of 8 rows of the warp, the maxima of all warps, and either of all warps for a round.
    Stat(u64, u64),
    Stats(u64),
    StatsOf(u64, u64),
    /// A warp's part of the results, written and read.
    Write(u64),
    Read(u64, u64),
    /// The logarithms, the results with this part, the final ones.
    Log(u64),
    After(u64),
    Result(u64),
}

impl Flash1 {
    /// The memory instructions of the start of a part; [`Writer::part`] appends them in this order.
    fn fetches(&self) -> Vec<Fetch> {
        let copies = self.key_tile().copy_count(WARPS) as usize;
        let queries = self.query_copies() as usize;
        let fragments = usize::from(self.shape().keys * self.shape().head);
        let mut fetches = Vec::new();
        for (tensor, count) in [(1, copies), (0, queries), (2, copies)] {
            fetches.extend((0..count).map(|n| Fetch::Load(tensor, n)));
        }
        if self.parts() > 1 {
            fetches.extend([0, 1].map(Fetch::Log));
        }
        for (tensor, count) in [(0, queries), (2, copies)] {
            fetches.extend((0..count).map(|n| Fetch::Keep(tensor, n)));
        }
        fetches.extend((0..fragments).map(|n| Fetch::Fragment(2, n)));
        fetches.extend((0..copies).map(|n| Fetch::Keep(1, n)));
        fetches.extend((0..fragments).map(|n| Fetch::Fragment(1, n)));
        fetches
    }

    /// The memory instructions of a step; the [`Writer`] appends them in this order.
    fn kinds(&self) -> Vec<Kind> {
        let copies = self.query_copies() as usize;
        let later = self.parts() > 1;
        let both = |kind: fn(u64) -> Kind| [0, 1].map(kind);
        let rounds = || 0..self.rounds();
        let mut kinds: Vec<_> = (0..self.shape().head.into()).map(Kind::Query).collect();
        if later {
            kinds.extend(rounds().map(Kind::Before));
        }
        kinds.extend((0..copies).map(Kind::Load));
        if later {
            kinds.extend(both(Kind::LogKept));
            kinds.extend(both(Kind::LogNext));
        }
        kinds.extend(both(|half| Kind::Stat(0, half)));
        kinds.extend(both(Kind::Stats));
        kinds.extend(both(|half| Kind::Stat(1, half)));
        kinds.extend((0..copies).map(Kind::Keep));
        kinds.extend(rounds().map(|round| Kind::StatsOf(0, round)));
        if later {
            kinds.extend(rounds().map(Kind::LogOf));
        }
        kinds.extend((0..self.padded() / 4).map(Kind::Write));
        kinds.extend(rounds().map(|round| Kind::StatsOf(1, round)));
        kinds.extend(rounds().map(Kind::Log));
        for round in rounds() {
            kinds.extend((0..WARPS).map(|warp| Kind::Read(round, warp)));
            if later {
                kinds.push(Kind::After(round));
            }
            kinds.push(Kind::Result(round));
        }
        kinds
    }

    /// Rounds of all threads, four elements each, that a step's results take.
    fn rounds(&self) -> u64 {
        (STEP * self.padded() / 4).div_ceil(THREADS.into())
    }

    /// Warps that copy queries, and how often each.
    fn query_warps(&self) -> u64 {
        WARPS.min(STEP / self.query_tile().copied_rows())
    }

    fn query_copies(&self) -> u64 {
        self.query_tile().copy_count(self.query_warps())
    }
}

impl Flash1 {
    /// Sequence, head and share of `cta`.
    fn place(&self, cta: u64) -> [u64; 3] {
        let heads = cta / self.batch;
        [cta % self.batch, heads % self.heads, heads / self.heads]
    }

    /// Element of a tensor of `rows` rows a sequence at `row` of the head of `cta`.
    fn element(&self, cta: u64, rows: u64, row: u64) -> u64 {
        let [sequence, head, _] = self.place(cta);
        ((sequence * rows + row) * self.heads + head) * self.head_dim
    }

    /// Rows of results that a warp has in a round.
    fn warp_rows(&self) -> u64 {
        (32 / (self.padded() / 4)).max(1)
    }

    fn round_row(&self, round: u64, warp: u64) -> u64 {
        (round * WARPS + warp) * self.warp_rows()
    }

    /// Steps of `share` in part `part`.
    fn steps_in(&self, part: u64, share: u64) -> u64 {
        let left = self.steps().saturating_sub(self.first_step(part, share));
        left.div_ceil(self.shares)
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
        let registers = (self.shape().end() + 4 * self.rounds() as u16)
            .next_multiple_of(8)
            .min(255);
        let demand = Demand {
            threads: THREADS.into(),
            registers_per_thread: registers,
            smem_bytes: self.smem_bytes() as u32,
        };
        let kernel = self.shared(&demand, gpu);
        let shares = kernel.shares as u32;
        let generator = FlashWarps::new(kernel, &mut code, [prologue, part, step, end]);
        let causal = if self.causal == 1 { " causal" } else { "" };
        Ok(Assembly {
            name: format!(
                "fmha_fwd_loop_kernel<{}, {}> {}{causal}",
                self.part(),
                self.padded(),
                self.data.name()
            ),
            grid: [self.batch as u32, self.heads as u32, shares],
            block: [THREADS, 1, 1],
            registers,
            smem_bytes: demand.smem_bytes,
            code,
            generator: per_warp(THREADS, generator),
        })
    }
}
