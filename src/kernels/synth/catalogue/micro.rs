//! Kernels that measure the machine.

use super::{Entry, entry, family_entry};
use crate::kernels::stream::{Stream, StreamOp};
use crate::kernels::{
    chase, compute, gather, local, micro_bandwidth, micro_cache, micro_ops, micro_ring,
    micro_sweep, micro_wmma, shared,
};

pub(super) const ENTRIES: &[Entry] = &[
    family_entry!(
        "empty",
        compute::Empty,
        "a kernel that returns at once: 2 instructions a warp"
    ),
    family_entry!(
        "ffma",
        compute::FfmaChain,
        "one dependent FFMA chain a thread: 8 instructions, and 132 (128 FFMA) an iteration"
    ),
    family_entry!(
        "ffma_ilp",
        compute::FfmaChains,
        "independent FFMA chains: 6 instructions and 2 a chain, and 123 (120 FFMA) an iteration"
    ),
    family_entry!(
        "barrier",
        compute::BarrierLoop,
        "CTA barriers in a loop: 3 instructions, and 4 (one BAR) an iteration"
    ),
    entry(
        "stream",
        "c = a + b, 15 instructions a warp",
        Stream::FIELDS,
        |values, _| Box::new(Stream::of(StreamOp::Add, values)),
    ),
    entry("copy", "c = a", Stream::FIELDS, |values, _| {
        Box::new(Stream::of(StreamOp::Copy, values))
    }),
    entry("scale", "c = s * a", Stream::FIELDS, |values, _| {
        Box::new(Stream::of(StreamOp::Scale, values))
    }),
    entry("triad", "c = a + s * b", Stream::FIELDS, |values, _| {
        Box::new(Stream::of(StreamOp::Triad, values))
    }),
    entry(
        "read",
        "sums a; the store is never executed",
        Stream::FIELDS,
        |values, _| Box::new(Stream::of(StreamOp::Read, values)),
    ),
    entry("init", "c = s", Stream::FIELDS, |values, _| {
        Box::new(Stream::of(StreamOp::Init, values))
    }),
    family_entry!(
        "gather",
        gather::Gather,
        "independent random loads: 6 instructions a warp, and 4 for each load"
    ),
    family_entry!(
        "pchase",
        chase::Chase,
        "one thread, dependent loads along a random ring; cycles an iteration = latency of a load \
         (subtract a run with fewer iterations)"
    ),
    family_entry!(
        "smem",
        shared::SharedAccesses,
        "shared-memory accesses with n-way bank conflicts, 16 an iteration"
    ),
    family_entry!(
        "atomics",
        shared::Atomics,
        "atomic additions, 16 an iteration"
    ),
    family_entry!(
        "local",
        local::Spills,
        "register spills: `words` stores to local memory and as many loads, an iteration"
    ),
    family_entry!(
        "ops",
        micro_ops::Operations,
        "128 operations an iteration, in dependent chains"
    ),
    family_entry!(
        "wmma",
        micro_wmma::Wmma,
        "loop of wmma 16x16x16 as Volta issues them: 16 HMMA.884 each with f32, 8 with f16"
    ),
    family_entry!(
        "ring",
        micro_ring::Ring,
        "one thread, dependent 64-bit loads along a ring: warm laps, then loads"
    ),
    family_entry!(
        "lap",
        micro_ring::Lap,
        "one CTA of 1024 threads reads every element of a ring once, in its order"
    ),
    family_entry!(
        "doubles",
        micro_bandwidth::Elementwise,
        "doubles, one element a thread, with at most so many CTAs on an SM"
    ),
    family_entry!(
        "sweep",
        micro_sweep::Sweep,
        "every CTA reads the same buffer round and round, 32 loads unrolled"
    ),
    family_entry!(
        "chunks",
        micro_bandwidth::Chunks,
        "1024 threads a CTA read chunk (CTA mod chunks) in 32 steps of 16 KiB; chunks are interleaved"
    ),
    family_entry!(
        "strides",
        micro_cache::Strides,
        "one CTA of 1024 threads, 8 loads an iteration that hit L1, strided or as 2-D tiles"
    ),
    family_entry!(
        "code",
        micro_cache::CodeLoop,
        "a loop of so many bytes of FFMA in 8 chains"
    ),
    family_entry!(
        "constant",
        micro_cache::Constants,
        "FFMA with a constant operand, each in the next line of so many bytes of constants"
    ),
    family_entry!(
        "barriers",
        micro_cache::Barriers,
        "16 CTA barriers an iteration"
    ),
];
