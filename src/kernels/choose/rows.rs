//! Kernels over elements and rows, by the launch rules of their libraries.

use super::Candidate;
use crate::config::GpuSpec;
use crate::kernels::Fault;
use crate::kernels::operator::{ElementwiseOp, EmbeddingOp, RopeOp, RowsOp};

pub(super) fn elementwise(_op: &ElementwiseOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    Err(Fault::field("op", "elementwise", "no kernels for it yet"))
}

pub(super) fn rows(_op: &RowsOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    Err(Fault::field("op", "rows", "no kernels for it yet"))
}

pub(super) fn rope(_op: &RopeOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    Err(Fault::field("op", "rope", "no kernels for it yet"))
}

pub(super) fn embedding(_op: &EmbeddingOp, _gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    Err(Fault::field("op", "embedding", "no kernels for it yet"))
}
