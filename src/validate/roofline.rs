//! The bound of published peaks: the longer of computing and moving every operand once.

use super::predict::{Origin, Prediction};
use crate::kernels::work::Roofline;
use crate::report::bound::Bound;

/// What limits, when one side is at least 1.5 times the other.
pub fn clear_bound(roofline: &Roofline) -> Option<Bound> {
    if roofline.compute_s >= 1.5 * roofline.memory_s {
        Some(Bound::Compute)
    } else if roofline.memory_s >= 1.5 * roofline.compute_s {
        Some(Bound::Memory)
    } else {
        None
    }
}

/// The bound as a prediction.
pub fn prediction(roofline: &Roofline) -> Prediction {
    Prediction {
        time_us: 1e6 * roofline.seconds(),
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
    use crate::kernels::operator::{DataType, GemmOp, Operator};

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
