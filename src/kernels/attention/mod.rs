//! Attention: softmax(Q K^T) V in one kernel, or in few.

pub mod combine;
pub mod flash;
pub mod flash1;
mod tile;
