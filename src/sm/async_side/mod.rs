//! The asynchronous side of an SM: operations that go on while their warp does, and that it waits for later.
//!
//! Today these are the groups of `cp.async`. Bulk copies (TMA), warp-group matrix operations and the `mbarrier`s
//! that they complete on belong here too: each in a file, with its state in [`AsyncSide`], not in the warp.

pub mod cp_async;

use bincode::{Decode, Encode};
use cp_async::Groups;

/// State of the asynchronous operations of an SM.
#[derive(Clone, Debug, Encode, Decode)]
pub struct AsyncSide {
    /// Copies of each warp slot.
    pub(in crate::sm) groups: Vec<Groups>,
}

impl AsyncSide {
    /// Nothing is under way in any of `warps` slots.
    pub fn new(warps: usize) -> Self {
        AsyncSide {
            groups: vec![Groups::default(); warps],
        }
    }

    /// A new warp has slot `slot`.
    pub fn warp_started(&mut self, slot: usize) {
        self.groups[slot] = Groups::default();
    }
}
