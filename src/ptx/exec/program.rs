//! A decoded kernel, ready to run.

use super::matrix::{Fragment, MatrixOp};
use super::op::{Op, Pred, Slot};
use crate::ptx::flat::Special;

/// No reconvergence point: the paths meet only where the function returns.
pub const NOWHERE: u32 = u32::MAX;

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Guard.
    pub guard: Option<Pred>,
    /// Line of the file.
    pub line: u32,
}

/// A kernel for one launch: its parameters are constants by now.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Name.
    pub name: String,
    /// Instructions.
    pub insts: Vec<Inst>,
    /// Where the paths of a divergent branch meet again, by instruction.
    pub reconverge: Vec<u32>,
    /// Register lists.
    pub lists: Vec<Slot>,
    /// Matrix multiplications.
    pub matrices: Vec<MatrixOp>,
    /// Loads and stores of fragments.
    pub fragments: Vec<Fragment>,
    /// Target lists of indexed branches.
    pub targets: Vec<Vec<u32>>,
    /// First instruction of each function.
    pub functions: Vec<u32>,
    /// Why instructions cannot be executed.
    pub refusals: Vec<String>,
    /// Registers of each file: predicates, words, double words.
    pub files: [usize; 3],
    /// Words that hold constants.
    pub words: Vec<(u32, u32)>,
    /// Double words that hold constants.
    pub doubles: Vec<(u32, u64)>,
    /// Predicates that hold constants.
    pub truths: Vec<(u32, bool)>,
    /// Words that hold special registers.
    pub specials: Vec<(u32, Special)>,
    /// Double words that do.
    pub wide_specials: Vec<(u32, Special)>,
    /// Instructions as written, for messages.
    pub texts: Vec<String>,
    /// Content of constant memory.
    pub constant: Vec<u8>,
    /// Kernel parameters.
    pub params: Vec<u8>,
    /// Local memory of a thread, bytes.
    pub local_bytes: usize,
    /// Shared memory of a CTA, static and dynamic.
    pub shared_bytes: usize,
    /// Dynamic part of that.
    pub dynamic_shared_bytes: usize,
    /// Whether anything updates global memory atomically or waits for other CTAs.
    pub ordered: bool,
}

impl Program {
    /// The registers of `list`.
    #[inline(always)]
    pub fn list(&self, list: super::op::List) -> &[Slot] {
        &self.lists[list.start as usize..][..usize::from(list.count)]
    }
}
