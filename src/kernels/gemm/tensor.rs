//! Tensor cores: what a warp reads from shared memory, and its matrix instructions.
//!
//! From Turing on, LDSM brings 16 rows of 32 bytes of depth at once, and the instructions of all types multiply 32 bytes
//! of depth: 16 halves, 8 TF32 numbers, 32 bytes. A Volta step multiplies 4 halves of depth, and its operands come by
//! plain loads: 8 bytes of each of 16 rows where the depth lies side by side, else 8 rows of 4 depths.

use super::body::Emit;
use super::lanes::Lanes;
use super::operand::{Along, Operand, Shared};
use super::pipeline::{Fragments, Math, Registers};
use super::{Gemm, Tile};
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::{DataType, Sums};

/// Bytes of depth of a step.
const STEP: u64 = 32;
/// The same on Volta.
const STEP_VOLTA: u64 = 8;
/// Rows and columns of a block of results.
const BLOCK: u64 = 16;

/// What a warp has of the tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    data: DataType,
    /// Sums have 16 bits.
    narrow: bool,
    version: u16,
    /// Rows and columns of a warp's part.
    part: [u64; 2],
    warps: [u64; 2],
    slices: u64,
    /// Bytes of depth of a stage.
    depth: u64,
    /// How A and B lie in memory.
    along: [Along; 2],
}

impl Tensor {
    pub(super) fn new(gemm: &Gemm, gpu: &GpuSpec) -> Self {
        let warps = gemm.warps.map(u64::from);
        let Tile { m, n, k } = gemm.tile;
        Tensor {
            data: gemm.data,
            narrow: gemm.accumulator == Sums::Narrow,
            version: gpu.compute_capability,
            part: [u64::from(m) / warps[0], u64::from(n) / warps[1]],
            warps,
            slices: gemm.slices.into(),
            depth: u64::from(k) * gemm.data.bytes(),
            along: gemm.along(),
        }
    }

    fn volta(&self) -> bool {
        self.version < 75
    }

    fn step(&self) -> u64 {
        if self.volta() { STEP_VOLTA } else { STEP }
    }

    /// Slice, part of the tile and lane of a thread.
    fn place(&self, thread: u64) -> (u64, [u64; 2], u64) {
        let (warp, lane) = (thread / 32, thread % 32);
        let of_slice = self.warps[0] * self.warps[1];
        let (slice, warp) = (warp / of_slice, warp % of_slice);
        (slice, [warp / self.warps[1], warp % self.warps[1]], lane)
    }

    /// Reads of one operand for a step: mnemonic, registers and bytes of each.
    fn reading(&self, code: &KernelBuilder, edge: usize) -> Vec<(String, u16, u64)> {
        let blocks = (self.part[edge] / BLOCK) as usize;
        let one = |text: &str, registers, bytes| (text.to_owned(), registers, bytes);
        match (self.volta(), self.along[edge], self.data.bytes()) {
            (true, Along::Depth, _) => vec![one("LDS.64", 2, 8); blocks],
            (true, Along::Edge, _) => {
                vec![one(code.shared_load_128(), 4, 16); blocks.div_ceil(2)]
            }
            (false, Along::Depth, _) => vec![one("LDSM.16.M88.4", 4, 16); blocks],
            (false, Along::Edge, 2) => vec![one("LDSM.16.MT88.4", 4, 16); blocks],
            // TF32 is not transposed by LDSM.
            (false, Along::Edge, _) => vec![one("LDS", 1, 4); 4 * blocks],
        }
    }

    /// Row and byte of depth that `lane` reads with read `read` of step `step`.
    fn read_place(&self, edge: usize, (step, read): (u64, u64), lane: u64) -> (u64, u64) {
        let depth = step * self.step();
        match (self.volta(), self.along[edge], self.data.bytes()) {
            (true, along, _) => {
                let (quad, high, i) = (lane / 4 % 4, lane / 16, lane % 4);
                let quad = if edge == 0 { quad % 2 } else { quad / 2 };
                match along {
                    Along::Depth => (read * BLOCK + high * 8 + quad * 4 + i, depth),
                    Along::Edge => ((read * 4 + high * 2 + quad) * 8, depth + i * 2),
                }
            }
            (false, Along::Depth, _) if edge == 0 => {
                (read * BLOCK + lane % 16, depth + lane / 16 * 16)
            }
            (false, Along::Depth, _) => (
                read * BLOCK + lane % 8 + lane / 16 * 8,
                depth + lane / 8 % 2 * 16,
            ),
            (false, Along::Edge, 2) if edge == 0 => (
                read * BLOCK + lane / 8 % 2 * 8,
                depth + (lane % 8 + lane / 16 * 8) * 2,
            ),
            (false, Along::Edge, 2) => (
                read * BLOCK + lane / 16 * 8,
                depth + (lane % 8 + lane / 8 % 2 * 8) * 2,
            ),
            (false, Along::Edge, size) => {
                let (block, q) = (read / 4, read % 4);
                let row = block * BLOCK + q % 2 * 8 + lane / 4;
                (row, depth + (lane % 4 + q / 2 * 4) * size)
            }
        }
    }

    /// Registers of a block of sums.
    fn sums_of_block(&self) -> u16 {
        if self.narrow { 4 } else { 8 }
    }

    /// Instructions that add the product of block `a` and block `b` to `sum`.
    fn block(&self, (a, b, sum): (u16, u16, u16), all: &mut Vec<Emit>) {
        let mut put = |text: &str, c: u16, a: u16, b: u16| {
            all.push(Emit::new(text, &[c], &[a, b, c]));
        };
        if self.volta() {
            // 8 x 8 sums of a quad pair are 4 registers of 16-bit numbers or 8 of 32-bit ones, two of them a step.
            let (steps, kind) = if self.narrow {
                (2, "F16.F16")
            } else {
                (4, "F32.F32")
            };
            for step in 0..steps {
                put(&format!("HMMA.884.{kind}.STEP{step}"), sum + 2 * step, a, b);
            }
            return;
        }
        let of_column = self.sums_of_block() / 2;
        let columns = [0, 1].map(|n| (sum + of_column * n, b + 2 * n));
        let kind = if self.narrow { "F16" } else { "F32" };
        match (self.data, self.version) {
            (DataType::F16, ..80) => {
                for k in 0..2 {
                    for (c, b) in columns {
                        put(&format!("HMMA.1688.{kind}"), c, a + 2 * k, b + k);
                    }
                }
            }
            (DataType::I8, ..80) => {
                for k in 0..2 {
                    for (c, b) in columns {
                        for half in 0..2 {
                            put("IMMA.8816.S8.S8", c + 2 * half, a + 2 * k + half, b + k);
                        }
                    }
                }
            }
            (data, _) => {
                let half = format!("HMMA.16816.{kind}");
                let text = match data {
                    DataType::Bf16 => "HMMA.16816.F32.BF16",
                    DataType::Tf32 | DataType::F32 => "HMMA.1688.F32.TF32",
                    DataType::I8 => "IMMA.16832.S8.S8",
                    DataType::F8 => "QMMA.16832.F32.E4M3.E4M3",
                    DataType::F16 => &half,
                };
                for (c, b) in columns {
                    put(text, c, a, b);
                }
            }
        }
    }
}

impl Math for Tensor {
    fn shared(&self) -> Shared {
        Shared::Chunks
    }

    fn spread(&self, edge: usize) -> u64 {
        let pairs = self.volta() || self.data.bytes() == 4;
        if pairs && self.along[edge] == Along::Edge {
            2
        } else {
            1
        }
    }

    fn steps(&self) -> usize {
        (self.depth / self.slices / self.step()) as usize
    }

    fn fragments(&self) -> Fragments {
        let of = |edge: usize| (self.part[edge] * self.step() / 128) as u16;
        // Volta's lanes hold every element of A and B twice.
        let twice = if self.volta() { 2 } else { 1 };
        Fragments {
            a: of(0) * twice,
            b: of(1) * twice,
            sums: (self.part[0] * self.part[1] / 256) as u16 * self.sums_of_block(),
        }
    }

    fn reads(&self, code: &KernelBuilder, registers: &Registers, buffer: usize) -> Vec<Emit> {
        let firsts = registers.fragments(buffer);
        let mut all = Vec::new();
        for (edge, first) in firsts.into_iter().enumerate() {
            let mut to = first;
            for (text, count, _) in self.reading(code, edge) {
                all.push(Emit::new(text, &[to], &[registers.read[edge]]));
                to += count;
            }
        }
        all
    }

    fn read_lanes(
        &self,
        code: &mut KernelBuilder,
        operands: &[Operand; 2],
        step: usize,
    ) -> Vec<Lanes> {
        let warps = self.warps[0] * self.warps[1] * self.slices;
        let second = operands[0].shared_bytes();
        let mut all = Vec::new();
        for edge in 0..2 {
            for (read, (_, _, bytes)) in self.reading(code, edge).into_iter().enumerate() {
                all.push(Lanes::new(code, warps, bytes, |thread| {
                    let (slice, part, lane) = self.place(thread);
                    let (row, depth) = self.read_place(edge, (step as u64, read as u64), lane);
                    let row = part[edge] * self.part[edge] + row;
                    let depth = (slice * self.depth / self.slices + depth) / self.data.bytes();
                    let offset = operands[edge].shared_offset(row, depth);
                    Some(offset + if edge == 1 { second } else { 0 })
                }));
            }
        }
        all
    }

    fn math(&self, registers: &Registers, buffer: usize) -> Vec<Emit> {
        let [a, b] = registers.fragments(buffer);
        let of_block = self.fragments();
        let blocks = self.part.map(|part| (part / BLOCK) as u16);
        let (a_each, b_each) = (of_block.a / blocks[0], of_block.b / blocks[1]);
        let mut all = Vec::new();
        for i in 0..blocks[0] {
            for at in 0..blocks[1] {
                let j = if i % 2 == 0 { at } else { blocks[1] - 1 - at };
                let sum = registers.sums + self.sums_of_block() * (i * blocks[1] + j);
                self.block((a + a_each * i, b + b_each * j, sum), &mut all);
            }
        }
        all
    }

    fn units(&self) -> u64 {
        self.part[0] / BLOCK
    }

    /// Unit i is rows 16 i to 16 i + 15; a piece is 8 columns of them: two neighbours of a row, and of the row 8 below.
    fn unit_sums(&self, registers: &Registers, unit: u64) -> Vec<[u16; 4]> {
        let pieces = (self.part[1] / 8) as u16;
        let (of_piece, in_register) = (self.sums_of_block() / 2, if self.narrow { 2 } else { 1 });
        let first = registers.sums + unit as u16 * pieces * of_piece;
        (0..pieces)
            .map(|piece| std::array::from_fn(|q| first + of_piece * piece + q as u16 / in_register))
            .collect()
    }

    fn packed_sums(&self) -> bool {
        self.narrow
    }

    fn piece_place(&self, lane: u64, piece: u64) -> Vec<(u64, u64)> {
        let (row, column) = (lane / 4, piece * 8 + lane % 4 * 2);
        vec![(row, column), (row + 8, column)]
    }

    fn unit_rows(&self) -> u64 {
        BLOCK
    }

    fn row_of(&self, unit: u64, row: u64) -> u64 {
        unit * BLOCK + row
    }

    fn registers_besides(&self) -> u16 {
        8
    }

    fn label(&self) -> &'static str {
        "hgemm"
    }
}
