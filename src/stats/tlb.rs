//! The counters of address translation.

use super::declare::stats;

stats! {
    /// A level of TLBs, summed over its units.
    pub struct TlbLevelStats {
        /// Pages looked up. In an SM a request that finds all entries for pending pages taken is looked up when one is free.
        lookups: count("lookups"),
        /// Lookups that found their page.
        hits: count("lookups"),
        /// Lookups that did not.
        misses: count("lookups"),
        /// Misses whose page another one had asked for already.
        merged: count("lookups"),
        /// Misses that asked the next level: misses less merged.
        asked: count("lookups"),
        /// Cycles that lookups waited for the level's port.
        wait_cycles: count("cycles"),
        /// Misses that found all entries for pending pages taken.
        parked: count("lookups"),
    }
}

stats! {
    /// The page walkers.
    pub struct WalkStats {
        /// Pages walked for.
        walks: count("walks"),
        /// Page-table entries read through L2, a sector each.
        reads: count("sectors"),
        /// Entries that the cache of the walkers had, so that they were not read.
        cached: count("entries"),
        /// Cycles that walks waited for a walker.
        queue_cycles: count("cycles"),
        /// Cycles that walkers were busy.
        busy_cycles: count("cycles"),
    }
}

stats! {
    /// Address translation.
    pub struct TlbStats {
        /// L1 TLBs of the SMs.
        l1: part(TlbLevelStats),
        /// TLBs of the GPCs.
        gpc: part(TlbLevelStats),
        /// L2 TLB.
        l2: part(TlbLevelStats),
        /// Page walkers.
        walk: part(WalkStats),
    }
}
