//! Execution pipes of a sub-core.

use super::declare::names;

names! {
    /// Execution pipe of a sub-core.
    pub enum Pipe {
        /// FP32 and IMAD.
        Fma = "fma",
        /// Integer, logic, compare, move.
        Alu = "alu",
        /// Packed half precision.
        Fp16 = "fp16",
        /// Double precision.
        Fp64 = "fp64",
        /// Transcendental, conversion, bit count.
        Xu = "xu",
        /// Matrix multiply-accumulate.
        Tensor = "tensor",
        /// Uniform datapath.
        Uniform = "uniform",
        /// Branch unit.
        Branch = "branch",
        /// Memory.
        Lsu = "lsu",
        /// No pipe.
        None = "none",
    }
    counted as another {
        /// Packed half precision beside `Fp16`, where there are two pipes.
        Fp16Mma as Fp16,
    }

    /// Instructions by the pipe to which they were issued.
    pub struct PipeStats {
        unit: "warp instructions",
        key: "pipe_",
        text: "Instructions issued by pipe: "
    }
}
