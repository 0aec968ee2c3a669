//! Metrics by Nsight Compute's names. Only what means the same here is in the table.

use super::derive::{Window, percent, ratio};
use crate::mem::SECTOR_BYTES;
use crate::stats::{Label, Pipe};
use serde::Serialize;
use std::collections::BTreeMap;

/// A count or a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// Exact.
    Count(u64),
    /// A ratio, a rate or a time.
    Real(f64),
}

/// One metric: its value is a function of a window of time.
pub struct Metric {
    /// Nsight Compute's name.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// How it is computed, in names of the report.
    pub formula: &'static str,
    /// What to know when comparing, or nothing.
    pub note: &'static str,
    /// Value.
    pub value: fn(&Window) -> Number,
}

/// Metrics of a window, by name.
pub type Metrics = BTreeMap<&'static str, Number>;

/// Computes all metrics.
pub fn metrics(window: &Window) -> Metrics {
    METRICS
        .iter()
        .map(|m| (m.name, (m.value)(window)))
        .collect()
}

macro_rules! metrics {
    ($w:ident; $( $name:literal, $unit:literal, $kind:ident, $formula:literal $(, $note:literal)? => $value:expr; )+) => {
        /// All metrics, by name.
        pub const METRICS: &[Metric] = &[ $( Metric {
            name: $name,
            unit: $unit,
            formula: $formula,
            note: concat!("" $(, $note)?),
            value: |$w| Number::$kind($value),
        }, )+ ];
    };
}

metrics! { w;
    "dram__bytes.sum", "bytes", Count, "32 (dram.reads + dram.writes)"
        => (w.counters.dram.reads + w.counters.dram.writes) * SECTOR_BYTES;
    "dram__bytes.sum.pct_of_peak_sustained_elapsed", "%", Real, "dram.peak_percent"
        => super::derive::DramRates::of(w).peak_percent;
    "dram__bytes.sum.per_second", "bytes/s", Real, "32 (dram.reads + dram.writes) / time"
        => per_second(w, (w.counters.dram.reads + w.counters.dram.writes) * SECTOR_BYTES);
    "dram__bytes_read.sum", "bytes", Count, "32 dram.reads"
        => w.counters.dram.reads * SECTOR_BYTES;
    "dram__bytes_read.sum.per_second", "bytes/s", Real, "32 dram.reads / time"
        => per_second(w, w.counters.dram.reads * SECTOR_BYTES);
    "dram__bytes_write.sum", "bytes", Count, "32 dram.writes"
        => w.counters.dram.writes * SECTOR_BYTES;
    "dram__bytes_write.sum.per_second", "bytes/s", Real, "32 dram.writes / time"
        => per_second(w, w.counters.dram.writes * SECTOR_BYTES);
    "dram__sectors_read.sum", "sectors", Count, "dram.reads"
        => w.counters.dram.reads;
    "dram__sectors_write.sum", "sectors", Count, "dram.writes",
        "Dirty sectors that are still in L2 when the kernel ends are not written yet."
        => w.counters.dram.writes;
    "gpc__cycles_elapsed.max", "cycles", Count, "counted_cycles"
        => w.cycles;
    "gpu__time_duration.sum", "ns", Real, "counted_cycles / core clock"
        => w.seconds() * 1e9;
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum", "passes", Count, "lsu.shared_conflict_passes"
        => w.counters.sm.lsu.shared_conflict_passes;
    "l1tex__data_pipe_lsu_wavefronts_mem_shared.sum", "passes", Count, "lsu.shared_passes"
        => w.counters.sm.lsu.shared_passes;
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum", "sectors", Count, "l1.sector_reads",
        "Loads of local memory are counted with those of global memory."
        => w.counters.sm.l1.sector_reads;
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_hit.sum", "sectors", Count,
        "l1.sector_hits + l1.sector_mshr_hits",
        "The hardware's tag stage counts a sector that is on its way as a hit."
        => w.counters.sm.l1.sector_hits + w.counters.sm.l1.sector_mshr_hits;
    "l1tex__t_sectors_pipe_lsu_mem_global_op_ld_lookup_miss.sum", "sectors", Count, "l1.sector_misses"
        => w.counters.sm.l1.sector_misses;
    "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum", "sectors", Count,
        "l1.sector_writes - l1.sector_local_writes",
        "Without `l1.local_write = back` stores to local memory are counted with those to global memory."
        => w.counters.sm.l1.sector_writes - w.counters.sm.l1.sector_local_writes;
    "l1tex__t_sectors_pipe_lsu_mem_global_op_st_lookup_hit.sum", "sectors", Count, "l1.write_hits",
        "Stores to local memory that found their line are counted as well."
        => w.counters.sm.l1.write_hits;
    "l1tex__t_sectors_pipe_lsu_mem_local_op_st.sum", "sectors", Count, "l1.sector_local_writes"
        => w.counters.sm.l1.sector_local_writes;
    "lts__t_sectors_op_read.sum", "sectors", Count, "l2.sector_reads - l2.forwarded_sectors",
        "Reads of the L1, instruction and constant caches; lookups for the other partition count once."
        => w.l2_reads();
    "lts__t_sectors_op_read_lookup_hit.sum", "sectors", Count, "l2.read_hits + l2.read_mshr_hits",
        "A sector that is on its way counts as a hit."
        => w.counters.l2.read_hits + w.counters.l2.read_mshr_hits;
    "lts__t_sectors_op_read_lookup_miss.sum", "sectors", Count, "l2.read_misses - l2.forwarded_sectors",
        "A miss in both partitions counts once."
        => w.l2_read_misses();
    "lts__t_sectors_op_write.sum", "sectors", Count, "l2.sector_writes"
        => w.counters.l2.sector_writes;
    "lts__t_sectors_srcunit_tex_op_read.sum", "sectors", Count, "l1.sector_misses - noc.joined_sectors",
        "What the L1 data caches asked of L2, and the GPC's request coalescer did not join to another read."
        => w.counters.sm.l1.sector_misses.saturating_sub(w.counters.noc.joined_sectors);
    "lts__t_sectors_srcunit_tex_op_write.sum", "sectors", Count,
        "l1.sector_writes - l1.sector_local_writes + l1.sector_writebacks"
        => {
            let l1 = &w.counters.sm.l1;
            l1.sector_writes - l1.sector_local_writes + l1.sector_writebacks
        };
    "sm__ctas_launched.sum", "CTAs", Count, "sm.ctas_launched"
        => w.counters.sm.sm.ctas_launched;
    "sm__cycles_active.avg", "cycles", Real, "sm.active_cycles / SMs"
        => ratio(w.counters.sm.sm.active_cycles, u64::from(w.spec.sms));
    "sm__cycles_active.sum", "cycles", Count, "sm.active_cycles"
        => w.counters.sm.sm.active_cycles;
    "sm__cycles_elapsed.max", "cycles", Count, "counted_cycles"
        => w.cycles;
    "sm__cycles_elapsed.sum", "cycles", Count, "SMs x counted_cycles"
        => w.sm_cycles();
    "sm__inst_executed.avg.per_cycle_active", "instructions/cycle", Real,
        "sm.warp_instructions / sm.active_cycles"
        => ratio(w.counters.sm.sm.warp_instructions, w.counters.sm.sm.active_cycles);
    "sm__inst_executed.avg.per_cycle_elapsed", "instructions/cycle", Real,
        "sm.warp_instructions / (SMs x counted_cycles)"
        => ratio(w.counters.sm.sm.warp_instructions, w.sm_cycles());
    "sm__inst_executed.sum", "warp instructions", Count, "sm.warp_instructions"
        => w.counters.sm.sm.warp_instructions;
    "sm__inst_executed_pipe_alu.sum", "warp instructions", Count, "sm.pipe_alu"
        => w.counters.sm.sm.pipes.get(Pipe::Alu);
    "sm__inst_executed_pipe_fma.sum", "warp instructions", Count, "sm.pipe_fma"
        => w.counters.sm.sm.pipes.get(Pipe::Fma);
    "sm__inst_executed_pipe_fp16.sum", "warp instructions", Count, "sm.pipe_fp16"
        => w.counters.sm.sm.pipes.get(Pipe::Fp16);
    "sm__inst_executed_pipe_fp64.sum", "warp instructions", Count, "sm.pipe_fp64"
        => w.counters.sm.sm.pipes.get(Pipe::Fp64);
    "sm__inst_executed_pipe_tensor.sum", "warp instructions", Count, "sm.pipe_tensor"
        => w.counters.sm.sm.pipes.get(Pipe::Tensor);
    "sm__inst_executed_pipe_uniform.sum", "warp instructions", Count, "sm.pipe_uniform"
        => w.counters.sm.sm.pipes.get(Pipe::Uniform);
    "sm__inst_executed_pipe_xu.sum", "warp instructions", Count, "sm.pipe_xu"
        => w.counters.sm.sm.pipes.get(Pipe::Xu);
    "sm__warps_active.avg.pct_of_peak_sustained_active", "%", Real, "100 occupancy.achieved"
        => percent(w.counters.sm.sm.warp_cycles,
            w.counters.sm.sm.active_cycles * u64::from(w.spec.sm.warps_max));
    "sm__warps_active.avg.per_cycle_active", "warps", Real, "sm.warp_cycles / sm.active_cycles"
        => ratio(w.counters.sm.sm.warp_cycles, w.counters.sm.sm.active_cycles);
    "smsp__cycles_active.avg", "cycles", Real, "(total_slots - issue.no_warp) / sub-cores of the chip"
        => ratio(w.active_slots(), u64::from(w.spec.sm.sub_cores) * u64::from(w.spec.sms));
    "smsp__cycles_active.sum", "cycles", Count, "total_slots - issue.no_warp"
        => w.active_slots();
    "smsp__cycles_elapsed.max", "cycles", Count, "counted_cycles"
        => w.cycles;
    "smsp__cycles_elapsed.sum", "cycles", Count, "total_slots"
        => w.slots();
    "smsp__inst_executed.sum", "warp instructions", Count, "sm.warp_instructions"
        => w.counters.sm.sm.warp_instructions;
    "smsp__inst_issued.sum", "warp instructions", Count, "issue.issued",
        "Nothing is issued twice here."
        => w.counters.sm.issue.get(Label::Issued);
    "smsp__issue_active.avg.pct_of_peak_sustained_active", "%", Real,
        "100 issue.issued / (total_slots - issue.no_warp)"
        => percent(w.counters.sm.issue.get(Label::Issued), w.active_slots());
    "smsp__issue_active.sum", "cycles", Count, "issue.issued"
        => w.counters.sm.issue.get(Label::Issued);
    "smsp__thread_inst_executed.sum", "thread instructions", Count, "sm.thread_instructions",
        "The masks of traces have no lanes that a guard turned off; the hardware counts those too."
        => w.counters.sm.sm.thread_instructions;
    "smsp__thread_inst_executed_pred_on.sum", "thread instructions", Count, "sm.thread_instructions"
        => w.counters.sm.sm.thread_instructions;
    "smsp__thread_inst_executed_pred_on_per_inst_executed.ratio", "threads", Real,
        "sm.lanes_per_instruction"
        => ratio(w.counters.sm.sm.thread_instructions, w.counters.sm.sm.warp_instructions);
    "smsp__warps_launched.sum", "warps", Count, "sm.warps_launched"
        => w.counters.sm.sm.warps_launched;
}

fn per_second(w: &Window, bytes: u64) -> f64 {
    if w.cycles == 0 {
        0.0
    } else {
        bytes as f64 / w.seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_none_is_twice() {
        assert!(METRICS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
