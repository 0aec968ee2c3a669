//! What a tensor core makes of an instruction.

use super::TensorSpec;
use crate::isa::{OpClass, StaticInst, TensorOp, TensorType};

impl TensorSpec {
    /// Multiply-adds of `op` per cycle; 0 when the chip lacks the type.
    pub fn rate(&self, op: &TensorOp) -> u32 {
        match op.input {
            TensorType::F16 if op.wide_accumulate => self.f16_f32_rate,
            TensorType::F16 => self.f16_rate,
            TensorType::Bf16 => self.bf16_rate,
            TensorType::Tf32 => self.tf32_rate,
            TensorType::F64 => self.f64_rate,
            TensorType::F8 => self.f8_rate,
            TensorType::I8 => self.i8_rate,
            TensorType::I4 => self.i4_rate,
            TensorType::B1 => self.b1_rate,
        }
    }

    /// Whether the model does the work of an instruction. It does not for asynchronous machinery,
    /// unknown opcodes, and matrix instructions of a type that the chip lacks.
    pub fn models(&self, inst: &StaticInst) -> bool {
        match inst.class {
            OpClass::Async | OpClass::Unknown => false,
            OpClass::Tensor => inst.tensor.is_some_and(|op| self.rate(&op) > 0),
            _ => true,
        }
    }
}
