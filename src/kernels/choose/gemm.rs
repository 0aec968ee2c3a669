//! Matrix products: tiles, split-K and small kernels.

use super::{Candidate, Launch, Recorded};
use crate::config::GpuSpec;
use crate::kernels::Fault;
use crate::kernels::gemm::{Gemm, Shape};
use crate::kernels::operator::GemmOp;

/// All tiles that fit.
pub(super) fn candidates(op: &GemmOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let shape = Shape {
        m: op.m,
        n: op.n,
        k: op.k,
        batch: op.batch,
    };
    let kernel = Box::new(Gemm {
        layout: op.layout,
        epilogue: op.epilogue,
        ..Gemm::new(op.data, shape, gpu)
    });
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
