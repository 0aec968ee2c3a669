//! Kernel launch and CTA dispatch.

use super::declare::section;

section! {
    /// `[launch]`.
    pub struct LaunchSpec {
        /// From the start of a kernel (as a profiler sees it) to the first CTA dispatch.
        pub kernel_start: u32 = Cycles(0, 10_000_000),
        /// From the last CTA's end to the end of the kernel.
        pub kernel_end: u32 = Cycles(0, 10_000_000),
        /// From the end of a kernel to the start of the next one of its stream.
        pub stream_gap: u32 = Cycles(0, 10_000_000),
        /// GPU-wide cycles between two CTA dispatches, in thousandths.
        pub cta_interval_milli: u32 = Count(1, 1_000_000),
        /// From a CTA's dispatch to its first warp's start on the SM.
        pub cta_start: u16 = Cycles(20, 20_000),
        /// From the end of a CTA's last warp to the dispatcher's knowledge of the free slot.
        pub cta_end: u16 = Cycles(20, 20_000),
        /// Cycles between the starts of two warps of a CTA.
        pub warp_interval: u16 = Cycles(0, 1000),
        /// Kernels of different streams that may run at once.
        pub concurrent_kernels_max: u16 = Count(1, 1024),
    }
}
