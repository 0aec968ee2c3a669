//! The counters of each unit.

use super::PipeStats;
use super::declare::stats;

stats! {
    /// One SM's issue side.
    pub struct SmStats {
        /// Warp instructions issued.
        warp_instructions: count("warp instructions"),
        /// Thread instructions: active lanes of issued instructions.
        thread_instructions: count("thread instructions"),
        /// Warp instructions whose work is not modelled or that this GPU does not have: asynchronous machinery, matrix types that the chip lacks, unknown opcodes.
        unmodelled_instructions: count("warp instructions"),
        /// CTAs started.
        ctas_launched: count("CTAs"),
        /// Warps started.
        warps_launched: count("warps"),
        /// Sum over cycles of resident warps.
        warp_cycles: count("warp-cycles"),
        /// Cycles in which at least one warp was resident.
        active_cycles: count("cycles"),
        /// Instructions by pipe.
        pipes: flat(PipeStats),
        /// Cycles that the tensor pipes of the sub-cores were held.
        tensor_busy_cycles: count("cycles"),
        /// Cycles that the FMA pipes of the sub-cores were held.
        fma_busy_cycles: count("cycles"),
        /// Cycles that operand reads were late because of register-file port conflicts.
        regfile_conflict_cycles: count("cycles"),
        /// Operand reads that the register reuse cache served.
        regfile_reuse_hits: count("operand reads"),
        /// Barrier arrivals.
        barrier_arrivals: count("warps"),
    }
}

stats! {
    /// One SM's instruction and constant caches.
    pub struct FetchStats {
        /// L0 lookups: line changes and jumps.
        l0_lookups: count("lookups"),
        /// L0 lookups that missed.
        l0_misses: count("lookups"),
        /// L0 misses found in the stream buffer.
        stream_buffer_hits: count("lookups"),
        /// Lines that missed L1 and went to L2.
        l1_misses: count("lines"),
        /// Sectors that the instruction and constant caches requested from L2.
        sector_requests: count("sectors"),
        /// Constant accesses.
        const_accesses: count("accesses"),
        /// Constant accesses that missed the first level.
        const_misses: count("accesses"),
    }
}

stats! {
    /// One SM's load/store unit and shared memory.
    pub struct LsuStats {
        /// Global, local and generic memory instructions that entered the shared pipe.
        global_instructions: count("warp instructions"),
        /// Shared-memory instructions that entered the shared pipe.
        shared_instructions: count("warp instructions"),
        /// Shuffle instructions.
        shuffle_instructions: count("warp instructions"),
        /// Passes over the shared-memory banks.
        shared_passes: count("passes"),
        /// Passes beyond the least number that the width needs.
        shared_conflict_passes: count("passes"),
        /// 128-byte line requests that global instructions made.
        line_requests: count("lines"),
        /// 32-byte sectors that global instructions touched.
        sector_requests: count("sectors"),
        /// Cycles that the head of the pipe waited for a store credit.
        store_credit_stall_cycles: count("cycles"),
    }
}

stats! {
    /// One L1 data cache. Reads and writes are counted in sectors.
    pub struct L1Stats {
        /// Sectors read by loads.
        sector_reads: count("sectors"),
        /// Sectors written by stores.
        sector_writes: count("sectors"),
        /// Of those, sectors of local memory that stay in L1 until they are evicted.
        sector_local_writes: count("sectors"),
        /// Sectors written back to L2 when their line was evicted.
        sector_writebacks: count("sectors"),
        /// Sectors of atomics, which bypass the cache.
        sector_atomics: count("sectors"),
        /// Sector reads that found valid data.
        sector_hits: count("sectors"),
        /// Sector reads that were requested from L2.
        sector_misses: count("sectors"),
        /// Sector reads that joined a request already in flight.
        sector_mshr_hits: count("sectors"),
        /// Misses whose line was present without the sector.
        sector_partial_misses: count("sectors"),
        /// Sector writes that found their line present.
        write_hits: count("sectors"),
        /// Reads that found no part of their line, in lines.
        line_misses: count("lines"),
        /// Lines evicted.
        evictions: count("lines"),
        /// Sectors that the prefetcher of L1 requested from L2; 0 without one.
        prefetches: count("sectors"),
        /// Of those, sectors that a load found in L1.
        prefetch_hits: count("sectors"),
        /// Of those, sectors that a load waited for while they were on their way.
        prefetch_late: count("sectors"),
        /// Sectors that it did not request because no MSHR was free, or the miss queue was full.
        prefetch_drops: count("sectors"),
        /// Cycles that the head access waited because every MSHR was taken.
        fail_mshr_entries_cycles: count("cycles"),
        /// Cycles that it waited because the MSHR of its line could not take another access.
        fail_mshr_merges_cycles: count("cycles"),
        /// Cycles that it waited because the miss queue was full.
        fail_miss_queue_cycles: count("cycles"),
        /// Cycles that it waited because all ways of its set were reserved.
        fail_line_alloc_cycles: count("cycles"),
        /// Times that the head access was refused, any cause.
        reservation_fails: count("refusals"),
    }
}

stats! {
    /// The crossbar.
    pub struct NocStats {
        /// Requests from SMs to slices.
        requests: count("requests"),
        /// Reads that joined another SM's read of the same sectors in the GPC's request coalescer.
        joined_requests: count("requests"),
        /// Sectors of those reads: L1 asked for them, L2 never saw them.
        joined_sectors: count("sectors"),
        /// Replies from slices to SMs.
        replies: count("replies"),
        /// Bytes of requests, headers included.
        request_bytes: count("bytes"),
        /// Bytes of replies, headers included.
        reply_bytes: count("bytes"),
        /// Cycles that requests waited for GPC ports, or for links of a mesh.
        request_wait_cycles: count("cycles"),
        /// Cycles that replies waited for GPC and SM ports, or for links of a mesh and SM ports.
        reply_wait_cycles: count("cycles"),
        /// Requests that crossed between L2 partitions.
        far_requests: count("requests"),
        /// Links of a mesh that messages passed; 0 without a mesh.
        mesh_hops: count("links"),
        /// Cycles that links of a mesh were taken; 0 without a mesh.
        mesh_link_cycles: count("cycles"),
    }
}

stats! {
    /// One L2 slice. Reads, writes and atomics are counted in sectors.
    pub struct L2Stats {
        /// Line requests served.
        requests: count("requests"),
        /// Sectors read.
        sector_reads: count("sectors"),
        /// Sectors written.
        sector_writes: count("sectors"),
        /// Sectors of atomics and reductions.
        sector_atomics: count("sectors"),
        /// Sector reads that found valid data.
        read_hits: count("sectors"),
        /// Sector reads that were requested from DRAM (or the home partition).
        read_misses: count("sectors"),
        /// Sector reads that joined a request already in flight.
        read_mshr_hits: count("sectors"),
        /// Sector writes that found their line present.
        write_hits: count("sectors"),
        /// Sector writes that took a new line.
        write_misses: count("sectors"),
        /// Reads of a partly written sector, which fetched the rest.
        lazy_fetches: count("sectors"),
        /// Sectors filled from DRAM.
        fills: count("sectors"),
        /// Sectors requested from DRAM only because a load's hint (LTC64B, LTC128B, LTC256B) asked for what lies around its data; part of `fills`.
        prefetches: count("sectors"),
        /// Those of them that a read found in L2 or on their way.
        prefetch_hits: count("sectors"),
        /// Sectors that a hint asked for and for which no MSHR was free.
        prefetch_drops: count("sectors"),
        /// Sectors written back to DRAM.
        writebacks: count("sectors"),
        /// Partial sectors among them.
        partial_writebacks: count("sectors"),
        /// Lines evicted.
        evictions: count("lines"),
        /// Lines written back because too many of their set were dirty; they stay.
        cleaned_lines: count("lines"),
        /// Cycles that the data path was busy.
        busy_cycles: count("cycles"),
        /// Cycles in which a request waited for an MSHR (the data path may be busy meanwhile).
        mshr_stall_cycles: count("cycles"),
        /// Reads forwarded to the home slice in the other partition.
        forwards: count("requests"),
        /// Sectors of those reads: each is a miss in one partition and a read of the other.
        forwarded_sectors: count("sectors"),
        /// Sectors that reached a slice from its home in the other partition; part of `fills`.
        far_fills: count("sectors"),
    }
}

stats! {
    /// Why the data buses carried what they carried: every command-clock cycle of every channel has one label.
    pub struct BusCycles {
        /// Data beats moved.
        data: count("CK"),
        /// No request was pending.
        idle: count("CK"),
        /// The next data waited for a precharge, an activate, or the activate-to-column delay.
        activate_wait: count("CK"),
        /// The bus changed direction.
        turnaround: count("CK"),
        /// A refresh was due or under way while requests waited.
        refresh: count("CK"),
        /// The row was open and the column command could not come sooner: column spacing, command-to-data latency.
        column_wait: count("CK"),
    }
}

stats! {
    /// One DRAM channel. Cycles and latencies are of the command clock (CK).
    pub struct DramStats {
        /// Read bursts, 32 bytes each.
        reads: count("sectors"),
        /// Write bursts, 32 bytes each.
        writes: count("sectors"),
        /// Reads of check bits (in-line ECC), each with the data of a fetch; those that were not answered from the write queue are part of `reads`.
        ecc_reads: count("sectors"),
        /// Writes of check bits, each with a line that L2 wrote back; those that were not merged are part of `writes`.
        ecc_writes: count("sectors"),
        /// Reads answered from the write queue, without a command.
        forwarded_reads: count("sectors"),
        /// Writes merged into a queued write to the same burst, without a command.
        merged_writes: count("sectors"),
        /// Activates.
        activates: count("commands"),
        /// Explicit precharges (an all-bank precharge counts once).
        precharges: count("commands"),
        /// Precharges done by an access itself.
        auto_precharges: count("commands"),
        /// All-bank refreshes.
        refreshes: count("commands"),
        /// Per-bank refreshes.
        bank_refreshes: count("commands"),
        /// Requests whose row was open when their first command issued.
        row_hits: count("requests"),
        /// Requests whose bank was closed then.
        row_misses: count("requests"),
        /// Requests that found another row open.
        row_conflicts: count("requests"),
        /// Switches of a data bus between reading and writing.
        direction_switches: count("switches"),
        /// Sum of read latencies, from acceptance by the channel to the last data beat.
        read_latency_sum: count("CK"),
        /// Reads in `read_latency_sum`.
        read_latency_count: count("requests"),
        /// Shortest read latency (`u64::MAX` before the first read).
        read_latency_min: least("CK"),
        /// Longest read latency.
        read_latency_max: most("CK"),
        /// Sectors that L2 had written back and DRAM had not yet written when the kernel began: in the channels' write queues and on the way to them.
        queued_writes_at_start: level_before(queued_writes_at_end, "sectors"),
        /// The same when it ended: with them l2.writebacks + ecc_writes + queued_writes_at_start = writes + merged_writes + queued_writes_at_end.
        queued_writes_at_end: level("sectors"),
        /// Elapsed command-clock cycles of all channels, which `bus` labels.
        cycles: count("CK"),
        /// Elapsed cycles by what the data buses did; they sum to dram.cycles.
        bus: labels(BusCycles, "CK"),
    }
}
