//! What a kernel can do wrong while it runs.

use std::fmt;

/// A fault of the running kernel, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub what: String,
    /// Line of the PTX file.
    pub line: u32,
    /// Instruction, as written there.
    pub inst: String,
    /// CTA.
    pub cta: [u32; 3],
    /// Thread within it, of the first lane that is at fault.
    pub thread: [u32; 3],
    /// What can be done.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.thread;
        let [cx, cy, cz] = self.cta;
        write!(
            f,
            "line {}: thread ({x}, {y}, {z}) of CTA ({cx}, {cy}, {cz}): {} in `{}`",
            self.line, self.what, self.inst
        )
    }
}

/// A fault of some lane of the instruction that is being executed; the warp adds the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFault {
    /// Lane.
    pub lane: u32,
    /// What happened.
    pub what: String,
    /// What can be done.
    pub remedy: &'static str,
}

impl LaneFault {
    /// A fault of `lane`.
    pub fn new(lane: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        LaneFault {
            lane: lane as u32,
            what: what.into(),
            remedy,
        }
    }
}

/// Shorthand for what instructions return.
pub type Ran<T> = Result<T, Box<LaneFault>>;
