//! The counters of each unit.

use crate::stats;

stats! {
    /// One SM's issue side.
    pub struct SmStats {
        /// Warp instructions issued.
        pub warp_instructions: u64,
        /// Thread instructions: active lanes of issued instructions.
        pub thread_instructions: u64,
        /// CTAs started.
        pub ctas_launched: u64,
        /// Warps started.
        pub warps_launched: u64,
        /// Sum over cycles of resident warps.
        pub warp_cycles: u64,
        /// Cycles in which at least one warp was resident.
        pub active_cycles: u64,
        /// Instructions issued to the FP32 and IMAD (FMA) pipe.
        pub pipe_fma: u64,
        /// Instructions issued to the ALU pipe.
        pub pipe_alu: u64,
        /// Instructions issued to the FP16 pipe.
        pub pipe_fp16: u64,
        /// Instructions issued to the FP64 pipe.
        pub pipe_fp64: u64,
        /// Instructions issued to the XU pipe (transcendental, conversion, bit count).
        pub pipe_xu: u64,
        /// Instructions issued to the tensor pipe.
        pub pipe_tensor: u64,
        /// Instructions issued to the uniform pipe.
        pub pipe_uniform: u64,
        /// Instructions issued to the branch unit.
        pub pipe_branch: u64,
        /// Instructions issued to the memory pipe.
        pub pipe_lsu: u64,
        /// Instructions that use no execution pipe.
        pub pipe_none: u64,
        /// Cycles that the tensor pipes of the sub-cores were held.
        pub tensor_busy_cycles: u64,
        /// Cycles that the FMA pipes of the sub-cores were held.
        pub fma_busy_cycles: u64,
        /// Cycles that operand reads were late because of register-file port conflicts.
        pub regfile_conflict_cycles: u64,
        /// Operand reads that the register reuse cache served.
        pub regfile_reuse_hits: u64,
        /// Barrier arrivals.
        pub barrier_arrivals: u64,
    }
}

stats! {
    /// One SM's instruction and constant caches.
    pub struct FetchStats {
        /// L0 lookups: line changes and jumps.
        pub l0_lookups: u64,
        /// L0 lookups that missed.
        pub l0_misses: u64,
        /// L0 misses found in the stream buffer.
        pub stream_buffer_hits: u64,
        /// Lines that missed L1 and went to L2.
        pub l1_misses: u64,
        /// Sectors that the instruction and constant caches requested from L2.
        pub sector_requests: u64,
        /// Constant accesses.
        pub const_accesses: u64,
        /// Constant accesses that missed the first level.
        pub const_misses: u64,
    }
}

stats! {
    /// One SM's load/store unit and shared memory.
    pub struct LsuStats {
        /// Global, local and generic memory instructions that entered the shared pipe.
        pub global_instructions: u64,
        /// Shared-memory instructions that entered the shared pipe.
        pub shared_instructions: u64,
        /// Shuffle instructions.
        pub shuffle_instructions: u64,
        /// Passes over the shared-memory banks.
        pub shared_passes: u64,
        /// Passes beyond the least number that the width needs.
        pub shared_conflict_passes: u64,
        /// 128-byte line requests that global instructions made.
        pub line_requests: u64,
        /// 32-byte sectors that global instructions touched.
        pub sector_requests: u64,
        /// Cycles that the head of the pipe waited for a store credit.
        pub store_credit_stall_cycles: u64,
    }
}

stats! {
    /// One L1 data cache. Reads and writes are counted in sectors.
    pub struct L1Stats {
        /// Sectors read by loads.
        pub sector_reads: u64,
        /// Sectors written by stores.
        pub sector_writes: u64,
        /// Of those, sectors of local memory that stay in L1 until they are evicted.
        pub sector_local_writes: u64,
        /// Sectors written back to L2 when their line was evicted.
        pub sector_writebacks: u64,
        /// Sectors of atomics, which bypass the cache.
        pub sector_atomics: u64,
        /// Sector reads that found valid data.
        pub sector_hits: u64,
        /// Sector reads that were requested from L2.
        pub sector_misses: u64,
        /// Sector reads that joined a request already in flight.
        pub sector_mshr_hits: u64,
        /// Misses whose line was present without the sector.
        pub sector_partial_misses: u64,
        /// Sector writes that found their line present.
        pub write_hits: u64,
        /// Reads that found no part of their line, in lines.
        pub line_misses: u64,
        /// Lines evicted.
        pub evictions: u64,
        /// Cycles that the head access waited because every MSHR was taken.
        pub fail_mshr_entries_cycles: u64,
        /// Cycles that it waited because the MSHR of its line could not take another access.
        pub fail_mshr_merges_cycles: u64,
        /// Cycles that it waited because the miss queue was full.
        pub fail_miss_queue_cycles: u64,
        /// Cycles that it waited because all ways of its set were reserved.
        pub fail_line_alloc_cycles: u64,
        /// Times that the head access was refused, any cause.
        pub reservation_fails: u64,
    }
}

stats! {
    /// The crossbar.
    pub struct NocStats {
        /// Requests from SMs to slices.
        pub requests: u64,
        /// Reads that joined another SM's read of the same sectors in the GPC's request coalescer.
        pub joined_requests: u64,
        /// Sectors of those reads: L1 asked for them, L2 never saw them.
        pub joined_sectors: u64,
        /// Replies from slices to SMs.
        pub replies: u64,
        /// Bytes of requests, headers included.
        pub request_bytes: u64,
        /// Bytes of replies, headers included.
        pub reply_bytes: u64,
        /// Cycles that requests waited for GPC ports.
        pub request_wait_cycles: u64,
        /// Cycles that replies waited for GPC and SM ports.
        pub reply_wait_cycles: u64,
        /// Requests that crossed between L2 partitions.
        pub far_requests: u64,
    }
}

stats! {
    /// One L2 slice. Reads, writes and atomics are counted in sectors.
    pub struct L2Stats {
        /// Line requests served.
        pub requests: u64,
        /// Sectors read.
        pub sector_reads: u64,
        /// Sectors written.
        pub sector_writes: u64,
        /// Sectors of atomics and reductions.
        pub sector_atomics: u64,
        /// Sector reads that found valid data.
        pub read_hits: u64,
        /// Sector reads that were requested from DRAM (or the home partition).
        pub read_misses: u64,
        /// Sector reads that joined a request already in flight.
        pub read_mshr_hits: u64,
        /// Sector writes that found their line present.
        pub write_hits: u64,
        /// Sector writes that took a new line.
        pub write_misses: u64,
        /// Reads of a partly written sector, which fetched the rest.
        pub lazy_fetches: u64,
        /// Sectors filled from DRAM.
        pub fills: u64,
        /// Sectors written back to DRAM.
        pub writebacks: u64,
        /// Partial sectors among them.
        pub partial_writebacks: u64,
        /// Lines evicted.
        pub evictions: u64,
        /// Cycles that the data path was busy.
        pub busy_cycles: u64,
        /// Cycles in which a request waited for an MSHR (the data path may be busy meanwhile).
        pub mshr_stall_cycles: u64,
        /// Reads forwarded to the home slice in the other partition.
        pub forwards: u64,
        /// Sectors of those reads: each is a miss in one partition and a read of the other.
        pub forwarded_sectors: u64,
        /// Sectors that reached a slice from its home in the other partition; part of `fills`.
        pub far_fills: u64,
    }
}
