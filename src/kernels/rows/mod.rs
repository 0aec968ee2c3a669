//! Kernels over elements and rows, as PyTorch and vLLM have them: one pass over tensors, or one CTA or warp a row.
//!
//! Instruction mixes and register counts are those of compilers for the same algorithm. What is arithmetic is in
//! [`chains`], written as [`script`].

pub mod cat;
pub(in crate::kernels) mod chains;
pub mod combine;
pub mod layer_norm;
pub mod layer_norm_scalar;
mod place;
pub mod pointwise;
pub(in crate::kernels) mod program;
pub mod reduce;
pub mod rotary;
pub mod scan;
pub(in crate::kernels) mod script;
pub mod small_sort;
pub mod softmax;
pub mod strided;
pub mod top_k;
pub mod vllm;
