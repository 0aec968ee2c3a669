//! What a product asks of an SM, for those who choose between products.

use super::body::Emit;
use super::operand::Operand;
use super::pipeline::{Math, Registers, operands};
use super::writer::Writer;
use super::{Gemm, array, simt, tensor};
use crate::config::GpuSpec;
use crate::isa::StaticInst;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::DataType;
use crate::sm::latency;

/// What a warp or a CTA takes; cycles are those of a pipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Registers of a thread.
    pub registers: u32,
    /// Shared memory of a CTA, bytes.
    pub smem_bytes: u64,
    /// Warps of a CTA.
    pub warps: u32,
    /// Instructions of a warp in an iteration.
    pub instructions: f64,
    /// Cycles of the arithmetic pipe that a warp takes in an iteration.
    pub math: f64,
    /// Passes over the banks of shared memory of a warp in an iteration.
    pub passes: f64,
    /// Bytes that a CTA loads in an iteration.
    pub bytes: f64,
    /// Iterations that a tile is asked for ahead of its use.
    pub ahead: f64,
    /// Instructions of a warp behind the loop, about.
    pub finish: f64,
}

impl Gemm {
    /// Its work on `gpu`.
    pub fn work(&self, gpu: &GpuSpec) -> Work {
        match self.data {
            DataType::F32 => self.work_of(&simt::Simt::new(self), gpu),
            _ => self.work_of(&tensor::Tensor::new(self, gpu), gpu),
        }
    }

    fn work_of(&self, math: &impl Math, gpu: &GpuSpec) -> Work {
        let operands = operands(self, math);
        let writer = Writer::new(self, math, &operands, gpu);
        let registers: Registers = writer.registers();
        let iteration = writer.iteration();
        let steps = math.steps() as f64;
        let stores: u64 = operands
            .iter()
            .map(|of| of.loads() * of.piece_bytes() * of.pieces())
            .sum();
        let bytes = |of: &Operand| of.tile.min(of.edge) * of.depth * of.element;
        // Loads into registers come through the same banks.
        let loaded = match self.asynchronous(gpu.compute_capability) {
            true => 0,
            false => operands.iter().map(|of| of.loads() * of.vector).sum(),
        };
        let sums = f64::from(math.fragments().sums);
        Work {
            registers: u32::from(math.registers_of(&registers)),
            smem_bytes: writer.stage_bytes() * writer.stages(),
            warps: self.threads() / 32,
            instructions: iteration.len() as f64 + 1.0,
            math: arithmetic_cycles(math.math(&registers, 0).remove(0), &iteration, gpu),
            passes: math.passes() * steps + (stores + loaded) as f64 * 32.0 / 128.0,
            bytes: operands.iter().map(bytes).sum::<u64>() as f64,
            ahead: writer.ahead() as f64,
            finish: sums * 2.5 + 40.0,
        }
    }

    /// Bytes of A, B and C in memory.
    pub fn footprint(&self) -> [f64; 3] {
        let of = |rows: u64, columns: u64, size: u64| {
            rows as f64 * columns as f64 * size as f64 * self.shape.batch as f64
        };
        let mut all = [0.0; 3];
        all[array::A] = of(self.shape.m, self.shape.k, self.data.bytes());
        all[array::B] = of(self.shape.k, self.shape.n, self.data.bytes());
        all[array::C] = of(self.shape.m, self.shape.n, self.output.bytes());
        all
    }
}

/// Cycles that `iteration` holds the pipe of `arithmetic`: its own, and those of addresses that are multiplied there too.
fn arithmetic_cycles(arithmetic: Emit, iteration: &[Emit], gpu: &GpuSpec) -> f64 {
    let mut code = KernelBuilder::new(gpu.compute_capability);
    arithmetic.append(&mut code);
    for emit in iteration {
        emit.append(&mut code);
    }
    let code = code.finish();
    let timing = |inst: &StaticInst| {
        let text = &code.mnemonics[usize::from(inst.mnemonic)];
        latency::timing(inst, text, gpu)
    };
    let pipe = timing(&code.insts[0]).pipe;
    let all = code.insts[1..].iter().map(timing);
    let on_pipe = all.filter(|of| of.pipe == pipe);
    on_pipe.map(|of| f64::from(of.interval)).sum()
}
