//! Matrix products: tiles, split-K and small kernels.

use super::{Candidate, Launch, Recorded};
use crate::config::GpuSpec;
use crate::kernels::Fault;
use crate::kernels::gemm::{Gemm, Numbers, Shape};
use crate::kernels::operator::{DataType, GemmOp};

/// All tiles that fit.
pub(super) fn candidates(op: &GemmOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let numbers = match op.data {
        DataType::F32 => Numbers::F32,
        DataType::F16 => Numbers::F16,
        other => return Err(Fault::field("type", other.name(), "no kernels for it yet")),
    };
    let shape = Shape {
        m: op.m,
        n: op.n,
        k: op.k,
    };
    let kernel = Box::new(Gemm::new(numbers, shape, gpu));
    let reason = "the only tile".to_owned();
    Ok(vec![Candidate {
        name: "128x128".into(),
        launches: vec![Launch { kernel, reason }],
        estimate: 0.0,
    }])
}

/// The kernel that a library launched, if it is one of ours.
pub(super) fn recorded(_op: &GemmOp, _recorded: &Recorded, _gpu: &GpuSpec) -> Option<Candidate> {
    None
}
