//! The functional emulator: what a kernel computes, exactly once and in a defined order.
//!
//! [`decode`](decode::decode) turns the flat kernel into [`op::Op`]s with register numbers; constants
//! and special registers become registers that are filled before a warp starts, so that every
//! operand of an arithmetic instruction is a register. [`cta`] runs the warps of one CTA, [`grid`]
//! the CTAs of a launch.

pub mod alu;
pub mod bytes;
pub mod carry;
pub mod cta;
pub mod decode;
pub mod fault;
pub mod float;
pub mod grid;
pub mod int;
pub mod journal;
pub mod matrix;
pub mod memory;
pub mod numeric;
pub mod observe;
pub mod op;
pub mod parts;
pub mod program;
pub mod regs;
pub mod rmw;
pub mod shared;
pub mod stack;
pub mod warp;

/// Base of the shared window in the generic address space.
pub const SHARED_WINDOW: u64 = 1 << 40;
/// Base of the local window.
pub const LOCAL_WINDOW: u64 = 1 << 41;
/// Base of the constant window.
pub const CONST_WINDOW: u64 = 1 << 42;
/// Base of the window of kernel parameters.
pub const PARAM_WINDOW: u64 = 1 << 43;
/// Base of the addresses of functions, which nothing can be read from.
pub const CODE_WINDOW: u64 = 1 << 44;
/// Distance of the addresses of two functions.
pub const CODE_STEP: u64 = 16;
/// Size of every window.
pub const WINDOW_BYTES: u64 = 1 << 40;
/// Where global memory begins.
pub const GLOBAL_BASE: u64 = 0x10_0000_0000;
