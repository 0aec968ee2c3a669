//! Issue slots: every cycle of every sub-core has exactly one label.

/// Why an issue slot was used or lost, by Nsight Compute's stall names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    /// An instruction issued.
    Issued,
    /// No warp is resident.
    NoWarp,
    /// Waiting for data of global, local or texture memory.
    LongScoreboard,
    /// Waiting for data of shared memory, shuffles or the transcendental unit.
    ShortScoreboard,
    /// Fixed-latency dependence or stall count.
    Wait,
    /// CTA barrier.
    Barrier,
    /// The execution pipe is busy.
    MathPipeThrottle,
    /// The memory-I/O queue (shared memory, shuffles) is full.
    MioThrottle,
    /// The load/store queue for global and local memory is full.
    LgThrottle,
    /// The next instruction is not in the instruction cache.
    NoInstruction,
    /// The constant operand is not in the constant cache.
    ImcMiss,
    /// The issue port is held, for example by register-file port conflicts.
    DispatchStall,
    /// After EXIT, waiting for memory instructions to leave.
    Drain,
    /// Memory fence.
    Membar,
    /// A branch is being resolved or its target fetched.
    BranchResolving,
    /// Sleeping.
    Sleeping,
    /// Anything else.
    Misc,
}

impl Label {
    /// Number of labels.
    pub const COUNT: usize = 17;

    /// Names in declaration order, as in the report.
    pub const NAMES: [&'static str; Self::COUNT] = [
        "issued",
        "no_warp",
        "long_scoreboard",
        "short_scoreboard",
        "wait",
        "barrier",
        "math_pipe_throttle",
        "mio_throttle",
        "lg_throttle",
        "no_instruction",
        "imc_miss",
        "dispatch_stall",
        "drain",
        "membar",
        "branch_resolving",
        "sleeping",
        "misc",
    ];
}

/// Slots by label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssueStats {
    /// Indexed by [`Label`].
    pub slots: [u64; Label::COUNT],
}

impl IssueStats {
    /// Adds `cycles` slots to `label`.
    #[inline(always)]
    pub fn add(&mut self, label: Label, cycles: u64) {
        self.slots[label as usize] += cycles;
    }

    /// All slots.
    pub fn total(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// Slots of `label`.
    pub fn get(&self, label: Label) -> u64 {
        self.slots[label as usize]
    }

    /// The slots since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut out = *self;
        for (slot, before) in out.slots.iter_mut().zip(&earlier.slots) {
            *slot -= before;
        }
        out
    }
}

impl core::ops::AddAssign<&IssueStats> for IssueStats {
    fn add_assign(&mut self, other: &Self) {
        for (slot, more) in self.slots.iter_mut().zip(&other.slots) {
            *slot += more;
        }
    }
}
