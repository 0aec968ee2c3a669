//! The bound of published peaks: the longer of computing and moving every operand once.

use super::predict::{Origin, Prediction};
use crate::config::GpuSpec;
use crate::kernels::operator::{DataType, Operator};
use crate::report::bound::Bound;

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
        let clock = f64::from(spec.core_clock_khz) * 1e3;
        let sub_cores = f64::from(spec.sms) * f64::from(spec.sm.sub_cores);
        let tensor = &spec.sm.tensor;
        let of_tensor = match operator.data() {
            DataType::F32 => 0,
            DataType::Tf32 => tensor.tf32_rate,
            DataType::F16 => tensor.f16_f32_rate,
            DataType::Bf16 => tensor.bf16_rate,
            DataType::I8 => tensor.i8_rate,
            DataType::F8 => tensor.f8_rate,
        };
        let per_cycle = match operator.is_product() && of_tensor > 0 {
            true => f64::from(of_tensor),
            false => 32.0 / f64::from(spec.sm.pipes.fp32_interval),
        };
        Roofline {
            compute_s: work.flops / (2.0 * per_cycle * sub_cores * clock),
            memory_s: work.bytes / spec.dram.peak_bytes_per_s() as f64,
        }
    }

    /// The bound, microseconds.
    pub fn time_us(&self) -> f64 {
        1e6 * self.compute_s.max(self.memory_s)
    }

    /// What limits, when one side is at least 1.5 times the other.
    pub fn clear_bound(&self) -> Option<Bound> {
        if self.compute_s >= 1.5 * self.memory_s {
            Some(Bound::Compute)
        } else if self.memory_s >= 1.5 * self.compute_s {
            Some(Bound::Memory)
        } else {
            None
        }
    }
}

/// The bound as a prediction.
pub fn prediction(operator: &Operator, spec: &GpuSpec) -> Prediction {
    let roofline = Roofline::of(operator, spec);
    Prediction {
        time_us: roofline.time_us(),
        bound: match roofline.compute_s > roofline.memory_s {
            true => Bound::Compute,
            false => Bound::Memory,
        },
        launched: Vec::new(),
        origin: Origin {
            kind: "roofline",
            simulated_fraction: 0.0,
            ci_rel: 0.0,
            note: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::operator::GemmOp;

    #[test]
    fn peaks_are_those_of_the_data_sheets() {
        let spec = crate::config::load("a100-80", &[]).unwrap().spec;
        let gemm = |data| {
            let op = GemmOp {
                m: 8192,
                n: 8192,
                k: 8192,
                data,
                ..GemmOp::usual()
            };
            2.0 * 8192f64.powi(3) / Roofline::of(&Operator::Gemm(op), &spec).compute_s / 1e12
        };
        assert!((gemm(DataType::F32) - 19.5).abs() < 0.1);
        assert!((gemm(DataType::F16) - 312.0).abs() < 1.0);
        assert!((gemm(DataType::I8) - 624.0).abs() < 2.0);
    }
}
