//! Models: graphs of operators from ONNX files, PyTorch exports, configurations of Hugging Face, and names.
//!
//! `source` finds out what a user has named and reads it into a [`graph::Graph`], in which every shape is a number.
//! `check` looks at the graph as a whole, `memory` and `summary` say what is in it.

pub mod check;
pub mod diffusion;
pub mod einsum;
pub mod graph;
pub mod hf;
pub mod lower;
pub mod memory;
pub mod onnx;
pub mod options;
pub mod pt2;
pub mod shard;
pub mod source;
pub mod summary;
pub mod vision;
pub mod zoo;
