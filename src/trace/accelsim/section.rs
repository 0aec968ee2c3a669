//! State of the thread-block section being read, and its `key = value` lines.

use super::fields::{Fault, decimal, excerpt};
use super::header::triple;
use crate::trace::kernel::Dim3;
use crate::trace::stream::EncodedCta;
use std::collections::HashSet;

/// Result of taking in a line.
pub type Parsed<T> = std::result::Result<T, Fault>;

/// The thread block being read.
#[derive(Debug, Default)]
pub struct BlockState {
    /// Its coordinates, once read.
    pub id: Option<Dim3>,
    /// Warps in order of appearance.
    pub order: Vec<u32>,
    /// Whether that is 0, 1, 2 …
    pub in_order: bool,
    /// Which warps have appeared.
    pub seen: Vec<bool>,
    /// The warp being read.
    pub warp: Option<u32>,
    /// Its `insts`, 0 before that line.
    pub declared: u64,
    /// Instruction lines still to come.
    pub left: u64,
}

impl BlockState {
    /// Starts a thread block of `warps` warps.
    pub fn begin(&mut self, warps: u32) {
        self.id = None;
        self.order.clear();
        self.in_order = true;
        self.seen.clear();
        self.seen.resize(warps as usize, false);
        self.warp = None;
        self.declared = 0;
        self.left = 0;
    }
}

/// Thread block numbers seen: those in order cost nothing.
#[derive(Debug, Default)]
pub struct IdsSeen {
    next: u64,
    ahead: HashSet<u64>,
}

impl IdsSeen {
    /// False when `id` was there before.
    pub fn insert(&mut self, id: u64) -> bool {
        if id < self.next || !self.ahead.insert(id) {
            return false;
        }
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        true
    }
}

/// The chunks of `cta`, whose n-th warp is warp `order[n]`, sorted by warp.
pub fn in_warp_order(cta: &EncodedCta, order: &[u32]) -> EncodedCta {
    let mut sorted = cta.clone();
    for chunk in &mut sorted.chunks {
        chunk.warp = order
            .get(chunk.warp as usize)
            .copied()
            .unwrap_or(chunk.warp);
    }
    sorted.chunks.sort_by_key(|c| c.warp);
    sorted
}

fn after_equals(line: &[u8]) -> Parsed<(usize, &[u8])> {
    match line.iter().position(|&b| b == b'=') {
        Some(at) => Ok((at + 1, line[at + 1..].trim_ascii())),
        None => Err(Fault::new(line.len(), "no \"=\" and value")),
    }
}

/// The number after `=`.
pub fn value(line: &[u8]) -> Parsed<u64> {
    let (at, text) = after_equals(line)?;
    decimal(text)
        .ok_or_else(|| Fault::new(at, format!("{} where a number is expected", excerpt(text))))
}

/// The `x,y,z` after `=`.
pub fn triple_value(line: &[u8]) -> Parsed<Dim3> {
    let (at, text) = after_equals(line)?;
    std::str::from_utf8(text)
        .ok()
        .and_then(triple)
        .ok_or_else(|| Fault::new(at, format!("{} where x,y,z is expected", excerpt(text))))
}
