//! Attention: softmax(Q K^T) V in one kernel, or in few.

pub mod backward;
pub mod combine;
pub mod efficient;
pub mod flash;
pub mod flash1;
pub mod paged;
mod product;
mod tile;
