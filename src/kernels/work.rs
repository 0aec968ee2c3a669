//! How much an operator has to compute and to move, whatever kernels do it.

use super::operator::*;
use super::rows::chains::chain;
use crate::config::GpuSpec;

/// Floating-point operations and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Operations: two a multiply-add.
    pub flops: f64,
    /// Bytes that must cross DRAM's pins at least: every operand once.
    pub bytes: f64,
}

impl Operator {
    /// Numbers that it works on.
    pub fn data(&self) -> DataType {
        match self {
            Operator::Gemm(op) => op.data,
            Operator::Elementwise(op) => op.data,
            Operator::Rows(op) => op.data,
            Operator::Rope(op) => op.data,
            Operator::Embedding(op) => op.data,
            Operator::Cat(op) => op.data,
            Operator::Select(op) => op.data,
            // Integers are added; none of them is a float.
            Operator::Scan(_) => DataType::F32,
            Operator::Conv(op) => op.data,
            Operator::Attention(op) => op.data,
        }
    }

    /// Whether it is matrix products that tensor cores do where there are some.
    pub fn is_product(&self) -> bool {
        matches!(
            self,
            Operator::Gemm(_) | Operator::Conv(_) | Operator::Attention(_)
        )
    }

    /// Whether products are added up in 16 bits.
    fn narrow_sums(&self) -> bool {
        match self {
            Operator::Gemm(op) => op.sums == Sums::Narrow,
            Operator::Conv(op) => op.sums == Sums::Narrow,
            _ => false,
        }
    }

    /// Its work.
    pub fn work(&self) -> Work {
        let size = self.data().bytes() as f64;
        let work = |flops: f64, elements: f64| Work {
            flops,
            bytes: elements * size,
        };
        match self {
            Operator::Gemm(op) => {
                let [m, n, k, batch] = [op.m, op.n, op.k, op.batch].map(|x| x as f64);
                let results = m * n * (1.0 + op.beta as f64);
                work(2.0 * batch * m * n * k, batch * (m * k + k * n + results))
            }
            Operator::Elementwise(op) => {
                let inputs = chain(op.function).inputs;
                work(op.n as f64, op.n as f64 * (inputs + 1) as f64)
            }
            Operator::Rows(op) => {
                let elements = op.rows as f64 * op.cols as f64;
                let moved = match op.function {
                    RowFunction::Softmax | RowFunction::LayerNorm | RowFunction::RmsNorm => 2.0,
                    RowFunction::AddRmsNorm => 4.0,
                    RowFunction::Sum | RowFunction::Max => 1.0,
                };
                work(5.0 * elements, moved * elements)
            }
            Operator::Rope(op) => {
                let heads = (op.heads + op.kv_heads) as f64;
                let elements = op.rows as f64 * op.head_dim as f64 * heads;
                work(3.0 * elements, 2.0 * elements)
            }
            Operator::Embedding(op) => work(0.0, 2.0 * op.rows as f64 * op.cols as f64),
            Operator::Cat(op) => {
                let tensors = op.tensors as f64;
                work(0.0, 2.0 * tensors * op.rows as f64 * op.cols as f64)
            }
            Operator::Select(op) => {
                let [rows, cols, k] = [op.rows, op.cols, op.k].map(|x| x as f64);
                let places = 8.0 * k / size;
                work(rows * cols, rows * (cols + k + places))
            }
            Operator::Scan(op) => {
                let numbers = [op.matrices, op.rows, op.cols].map(|x| x as f64);
                let n: f64 = numbers.iter().product();
                // 64 bits in, 64 out.
                work(n, 4.0 * n)
            }
            Operator::Conv(op) => {
                let (height, width) = op.output().unwrap_or((0, 0));
                let [n, c, h, w, k, r, s, groups] =
                    [op.n, op.c, op.h, op.w, op.k, op.r, op.s, op.groups].map(|x| x as f64);
                let results = n * k * height as f64 * width as f64;
                let moved = n * c * h * w + k * c / groups * r * s + results;
                work(2.0 * results * c / groups * r * s, moved)
            }
            Operator::Attention(op) => {
                let keys = if op.keys == 0 { op.queries } else { op.keys };
                let kv_heads = if op.kv_heads == 0 {
                    op.heads
                } else {
                    op.kv_heads
                };
                let [b, h, kvh, q, k, d] =
                    [op.batch, op.heads, kv_heads, op.queries, keys, op.head_dim].map(|x| x as f64);
                let seen = if op.causal == 1 { 0.5 } else { 1.0 };
                let backward = if op.backward == 1 { 2.5 } else { 1.0 };
                let moved = b * d * (2.0 * h * q + 2.0 * kvh * k);
                work(4.0 * b * h * q * k * d * seen * backward, moved * backward)
            }
        }
    }
}

/// Multiply-adds a cycle of a sub-core's tensor core for operands of type `data`; 0 where there is none for them, and for
/// 32-bit floats, which have pipes of their own.
pub(in crate::kernels) fn tensor_rate(data: DataType, sums: Sums, spec: &GpuSpec) -> u32 {
    let tensor = &spec.sm.tensor;
    match data {
        DataType::F32 => 0,
        DataType::Tf32 => tensor.tf32_rate,
        DataType::F16 if sums == Sums::Narrow => tensor.f16_rate,
        DataType::F16 => tensor.f16_f32_rate,
        DataType::Bf16 => tensor.bf16_rate,
        DataType::I8 => tensor.i8_rate,
        DataType::F8 => tensor.f8_rate,
    }
}

/// Seconds of computing and of moving.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofline {
    /// Operations at the peak rate of their type.
    pub compute_s: f64,
    /// Operands at the peak rate of DRAM.
    pub memory_s: f64,
}

impl Roofline {
    /// Of `operator` on the machine of `spec`.
    pub fn of(operator: &Operator, spec: &GpuSpec) -> Self {
        let work = operator.work();
        let sums = match operator.narrow_sums() {
            true => Sums::Narrow,
            false => Sums::Wide,
        };
        let of_tensor = tensor_rate(operator.data(), sums, spec);
        let per_cycle = match operator.is_product() && of_tensor > 0 {
            true => f64::from(of_tensor),
            false => return Roofline::fp32(&work, spec),
        };
        Roofline::at(&work, per_cycle, spec)
    }

    /// Of `work` that the FP32 pipes do.
    pub fn fp32(work: &Work, spec: &GpuSpec) -> Self {
        Roofline::at(work, 32.0 / f64::from(spec.sm.pipes.fp32_interval), spec)
    }

    /// Of `work` at `per_cycle` multiply-adds of a sub-core.
    fn at(work: &Work, per_cycle: f64, spec: &GpuSpec) -> Self {
        let clock = f64::from(spec.core_clock_khz) * 1e3;
        let sub_cores = f64::from(spec.sms) * f64::from(spec.sm.sub_cores);
        Roofline {
            compute_s: work.flops / (2.0 * per_cycle * sub_cores * clock),
            memory_s: work.bytes / spec.dram.peak_bytes_per_s() as f64,
        }
    }

    /// The bound, seconds.
    pub fn seconds(&self) -> f64 {
        self.compute_s.max(self.memory_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_that_of_the_definition() {
        let gemm = GemmOp {
            m: 2,
            n: 3,
            k: 5,
            batch: 7,
            ..GemmOp::usual()
        };
        let work = Operator::Gemm(gemm).work();
        assert_eq!((work.flops, work.bytes), (420.0, 4.0 * 7.0 * 31.0));
        let conv = ConvOp {
            n: 1,
            c: 2,
            h: 4,
            w: 4,
            k: 3,
            pad: 1,
            ..ConvOp::usual()
        };
        let work = Operator::Conv(conv).work();
        assert_eq!(work.flops, 2.0 * 3.0 * 16.0 * 2.0 * 9.0);
        assert_eq!(work.bytes, 4.0 * (32.0 + 54.0 + 48.0));
    }
}
