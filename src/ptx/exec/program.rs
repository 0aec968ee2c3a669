//! A decoded kernel, ready to run.

use super::matrix::{Fragment, GroupOp, MatrixOp};
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

/// Where a parameter of a call lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a register, or a constant that is in one.
    Register(Slot),
    /// In local memory.
    Local {
        /// Double word to add to the offset, in functions that are recursive.
        base: Option<u32>,
        /// First byte.
        offset: u64,
        /// Size.
        bytes: u64,
    },
    /// Nowhere.
    Sink,
}

/// Whom a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Function of this number.
    Function(u32),
    /// The function whose address is in this double word.
    Pointer(u32),
}

/// A call that copies its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSite {
    /// Whom.
    pub target: Target,
    /// Arguments.
    pub params: Vec<Place>,
    /// Where results go.
    pub returns: Vec<Place>,
}

/// What calls have to know of a function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Callee {
    /// Name.
    pub name: String,
    /// First instruction.
    pub start: Option<u32>,
    /// Formal parameters.
    pub params: Vec<Place>,
    /// Formal results.
    pub returns: Vec<Place>,
    /// Of a recursive function.
    pub frame: Option<Frame>,
}

/// What every activation of a recursive function has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Double word that is added to the offsets of its variables.
    pub base: u32,
    /// First offset.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
    /// Its registers in each file: start, end.
    pub files: [(u32, u32); 3],
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
    /// Matrix multiplications of warpgroups.
    pub groups: Vec<GroupOp>,
    /// Loads and stores of fragments.
    pub fragments: Vec<Fragment>,
    /// Target lists of indexed branches.
    pub targets: Vec<Vec<u32>>,
    /// First instruction of each function.
    pub functions: Vec<u32>,
    /// Functions by number.
    pub callees: Vec<Callee>,
    /// Calls that copy their parameters.
    pub sites: Vec<CallSite>,
    /// Double word with the top of the stack, where recursive functions have frames.
    pub stack: Option<u32>,
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
    /// Whether the kernel looks for what a cooperative launch gives.
    pub cooperative: bool,
}

impl Program {
    /// The registers of `list`.
    #[inline(always)]
    pub fn list(&self, list: super::op::List) -> &[Slot] {
        &self.lists[list.start as usize..][..usize::from(list.count)]
    }
}
