//! Issue slots: every cycle of every sub-core has exactly one label.

use super::declare::names;

names! {
    /// Why an issue slot was used or lost, by Nsight Compute's stall names.
    pub enum Label {
        /// An instruction issued.
        Issued = "issued",
        /// No warp is resident on the sub-core.
        NoWarp = "no_warp",
        /// Waiting for data of global, local or texture memory.
        LongScoreboard = "long_scoreboard",
        /// Waiting for data of shared memory, a shuffle, or the transcendental unit.
        ShortScoreboard = "short_scoreboard",
        /// Waiting for a fixed-latency dependence or a stall count.
        Wait = "wait",
        /// Waiting at a CTA barrier.
        Barrier = "barrier",
        /// The execution pipe is busy.
        MathPipeThrottle = "math_pipe_throttle",
        /// The memory-I/O queue (shared memory, shuffles) is full.
        MioThrottle = "mio_throttle",
        /// The load/store queue for global and local memory is full.
        LgThrottle = "lg_throttle",
        /// The next instruction is not in the instruction cache.
        NoInstruction = "no_instruction",
        /// The constant operand is not in the constant cache.
        ImcMiss = "imc_miss",
        /// The issue port is held, for example by register-file port conflicts.
        DispatchStall = "dispatch_stall",
        /// After EXIT, waiting for memory instructions to leave.
        Drain = "drain",
        /// Waiting at a memory fence.
        Membar = "membar",
        /// A branch is being resolved or its target fetched.
        BranchResolving = "branch_resolving",
        /// Sleeping.
        Sleeping = "sleeping",
        /// Anything else.
        Misc = "misc",
    }

    /// Issue slots by label.
    pub struct IssueStats { unit: "issue slots", key: "", text: "" }
}
