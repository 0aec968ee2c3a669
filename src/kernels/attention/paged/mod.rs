//! vLLM's paged attention of one query a sequence: keys and values lie in blocks of 16 tokens all over memory, which a
//! table finds.
//!
//! A CTA of four warps has a head and all tokens (v1) or 512 of them (v2, with a kernel that joins the parts). Warps take
//! blocks in turn. Two lanes share a token's key; scores go to shared memory; then two lanes share a row of values.
//! Recalled from `attention_kernels.cu` of vLLM.

mod code;
pub mod reduce;
mod warps;

use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::DataType;
use crate::kernels::rows::program::Contiguous;
use crate::kernels::rows::script::{Block, list};
use crate::kernels::{Arrays, Assembly, Fault, KernelGenerator, moves_arrays, per_warp};
use warps::{Blocks, EVEN, PagedWarps};

family! {
    /// softmax(Q K^T) V of a query a sequence. Operands: queries, keys, values (blocks of 16 tokens), the result (or, of
    /// parts, theirs), sums of exponentials, (number 6) tables of blocks and lengths, maxima.
    pub struct Paged of arrays: Arrays {
        /// sequences
        pub batch: u64 = "b" count(8, 1, 65535),
        /// heads of the queries
        pub heads: u64 = "h" count(32, 1, 4096),
        /// heads of keys and values, a part of those
        pub kv_heads: u64 = "kvh" count(32, 1, 4096),
        /// tokens of a sequence
        pub keys: u64 = "sk" count(2048, 1, 1 << 20),
        /// elements of a head
        pub head_dim: u64 = "d" count(128, 16, 256),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// tokens of a CTA, a multiple of 16; 0: all
        pub partition: u64 = "partition" count(0, 0, 1 << 20),
    }
}

/// Tokens of a block.
pub(in crate::kernels) const BLOCK: u64 = 16;
/// Tokens of a part (`PARTITION_SIZE`).
pub(in crate::kernels) const PARTITION: u64 = 512;
const WARPS: u64 = 4;
const THREADS: u64 = 32 * WARPS;
const HALF: u64 = 2;
/// Registers: up to r15 addresses and temporaries; keys or values from r16 on, behind them what is worked with.
const LOADED: u16 = 16;

impl Paged {
    fn blocks(&self) -> u64 {
        self.keys.div_ceil(BLOCK)
    }

    /// Blocks of a CTA, and CTAs of a head.
    fn part(&self) -> (u64, u64) {
        match self.partition {
            0 => (self.blocks(), 1),
            tokens => (tokens / BLOCK, self.keys.div_ceil(tokens)),
        }
    }

    /// CTAs that share a head.
    pub(in crate::kernels) fn parts(&self) -> u64 {
        self.part().1
    }

    /// Where the lengths of sequences lie: behind the tables.
    fn lengths(&self) -> u64 {
        let tables = self.batch * self.blocks() * 4;
        self.arrays.at(6) + tables.next_multiple_of(512)
    }

    /// Bytes of a block of one operand, and of a head in it.
    fn block_bytes(&self) -> (u64, u64) {
        let head = BLOCK * self.head_dim * HALF;
        (self.kv_heads * head, head)
    }

    /// Where block `block` of a sequence lies: all over the pool, as after some time of use.
    fn scattered(&self, sequence: u64, block: u64) -> u64 {
        // Prime, and larger than pools are: a permutation.
        const STEP: u64 = 2_147_483_647;
        let all = self.batch * self.blocks();
        ((sequence * self.blocks() + block) * STEP) % all
    }

    /// Loads of keys a block, and of values.
    fn loads(&self) -> [u16; 2] {
        [self.head_dim / 8, self.head_dim / 16].map(|count| count as u16)
    }

    /// First registers of what is worked with, and of the sums of values.
    fn layout(&self) -> [u16; 2] {
        let work = LOADED + 4 * self.loads()[1];
        [work, work + 24]
    }

    fn registers(&self) -> u16 {
        (self.layout()[1] + self.loads()[1] + 4).next_multiple_of(8)
    }

    /// Scores, or what warps give each other of their sums; the query; maxima and sums of the warps.
    fn layout_shared(&self) -> [u64; 3] {
        let scores = self.part().0 * BLOCK * 4;
        let sums = WARPS / 2 * self.head_dim * 4;
        let query = scores.max(sums);
        [0, query, query + self.head_dim * HALF]
    }

    fn smem_bytes(&self) -> u64 {
        self.layout_shared()[2] + 2 * WARPS * 4
    }

    fn check(&self) -> Result<(), Fault> {
        if !matches!(self.data, DataType::F16 | DataType::Bf16) {
            return Err(Fault::field("type", self.data.name(), "halves only"));
        }
        if !self.head_dim.is_multiple_of(16) {
            return Err(Fault::field("d", self.head_dim, "not a multiple of 16"));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let what = "not a part of the heads of the queries";
            return Err(Fault::field("kvh", self.kv_heads, what));
        }
        match self.partition.is_multiple_of(BLOCK) && self.parts() <= 65_535 {
            true => Ok(()),
            false => Err(Fault::field(
                "partition",
                self.partition,
                "no whole number of blocks",
            )),
        }
    }
}

impl KernelGenerator for Paged {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "paged_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let mut block = |append: &dyn Fn(&Self, &mut KernelBuilder)| {
            let first = code.here();
            append(self, &mut code);
            Block::from(&code, first)
        };
        let blocks = Blocks {
            prologue: block(&Self::prologue),
            query: block(&Self::query),
            sync: block(&Self::sync),
            keys: block(&Self::keys),
            maximum: block(&Self::maximum),
            exponential: block(&Self::exponential),
            sum: block(&Self::sum),
            scale: block(&Self::scale),
            scaled: block(&Self::scaled),
            values: block(&Self::values),
            rows: block(&Self::rows),
            give: block(&Self::give),
            between: block(&Self::between),
            take: block(&Self::take),
            store: block(&Self::store),
            exit: block(&|_, code| {
                list(code, "EXIT", &[]);
            }),
        };
        let generator = PagedWarps {
            kernel: self.clone(),
            blocks,
            tokens: code.pattern(EVEN, 4, |lane| lane / 2 * 4),
            results: code.pattern(EVEN, HALF, |lane| lane / 2 * HALF),
            query: code.pattern(FULL, 8, |lane| lane % 2 * 8),
            scores: code.pattern(FULL, 16, |lane| lane % 2 * 32),
            same: code.pattern(FULL, 4, |_| 0),
            words: Contiguous::new(&mut code),
        };
        let version = if self.partition == 0 { "v1" } else { "v2" };
        let data = DataType::NAMES[self.data.value() as usize];
        Ok(Assembly {
            name: format!(
                "paged_attention_{version}_kernel<{}, 16, 128> {data}",
                self.head_dim
            ),
            grid: [self.heads, self.batch, self.parts()].map(|edge| edge as u32),
            block: [THREADS as u32, 1, 1],
            registers: self.registers(),
            smem_bytes: self.smem_bytes() as u32,
            code,
            generator: per_warp(THREADS as u32, generator),
        })
    }
}
