//! Energy of a kernel: what each of its events costs, plus what runs and leaks meanwhile.
//!
//! A pure function of the counters of a kernel's report, so that sampled kernels and layers of models have it too. The
//! events are those of Wattch and its heirs: instructions by pipe, operands of the register file, passes over shared
//! memory, sectors of each cache, bytes of the crossbar, DRAM commands. Static power is that of SMs with a warp, a share
//! of it for SMs without (power gating), and a constant for the board (AccelWattch, MICRO 2021).

mod coefficients;

pub use coefficients::{Coefficient, Coefficients, Memory};

use crate::config::GpuSpec;
use crate::mem::SECTOR_BYTES;
use crate::mem::shard::channel_spec;
use crate::report::derive::{Window, seconds};
use crate::report::record::record;
use crate::report::schema::Kernel;
use crate::report::sections::Sections;
use crate::stats::{ChipCounters, Pipe};
use std::borrow::Cow;

record! {
    /// Energy of a kernel by part; the parts sum to `total_j`.
    #[derive(Default)]
    pub struct Energy {
        /// Board: fans, voltage regulators, idle memory, host interface.
        pub constant_j: f64 = "J", by "(constant_w + power.board_w) x time",
        /// Leakage and clock trees of the SMs.
        pub static_j: f64 = "J", by "(sm_static_w x sm.active_cycles + sm_static_w x idle_sm_share x sm_cycles.idle) / gpu.core_clock_khz",
        /// Fetch, decode, scheduling and dependences of warp instructions.
        pub front_end_j: f64 = "J", by "front_end_pj x sm.warp_instructions",
        /// Operands of the register file: those that an instruction of each pipe has, less those that the reuse cache served.
        pub register_file_j: f64 = "J", by "operand_pj x operands",
        /// Arithmetic of lanes, by pipe.
        pub lanes_j: f64 = "J", by "sum over pipes of lane_pj x pipes.instructions x sm.lanes_per_instruction",
        /// Tensor cores.
        pub tensor_j: f64 = "J", by "tensor_cycle_pj x sm.tensor_busy_cycles",
        /// Shared memory and shuffles.
        pub shared_j: f64 = "J", by "shared_pass_pj x (lsu.shared_passes + lsu.shuffle_instructions)",
        /// L1 data caches: sectors read, written and filled.
        pub l1_j: f64 = "J", by "l1_sector_pj x (l1.sector_reads + l1.sector_writes + l1.sector_local_writes + l1.sector_misses)",
        /// Crossbar.
        pub noc_j: f64 = "J", by "noc_byte_pj x (noc.request_bytes + noc.reply_bytes)",
        /// L2 slices: sectors read, written and filled.
        pub l2_j: f64 = "J", by "l2_sector_pj x (l2.sector_reads + l2.sector_writes + l2.sector_atomics + l2.fills)",
        /// DRAM devices and their interface: activates, and bits that moved, those of ECC included.
        pub dram_j: f64 = "J", by "activate_byte_pj x row bytes x dram.activates + bit_pj x 256 x (dram.reads + dram.writes)",
        /// Sum of the parts.
        pub total_j: f64 = "J",
        /// Average power.
        pub average_w: f64 = "W", by "total_j / time",
        /// Average power of the parts that a kernel causes by its events, without board and leakage.
        pub dynamic_w: f64 = "W",
    }
}

/// Operands that an instruction of `pipe` moves through the register file, 32 lanes of 4 bytes each: reads and writes of
/// the forms that compilers use most. The operands of matrix products are part of the tensor cores' energy.
fn operands(pipe: Pipe) -> u64 {
    match pipe {
        Pipe::Fma | Pipe::Fp16 | Pipe::Fp16Mma => 4,
        Pipe::Alu => 3,
        Pipe::Fp64 => 8,
        Pipe::Xu => 2,
        Pipe::Lsu => 3,
        Pipe::Tensor | Pipe::Uniform | Pipe::Branch | Pipe::None => 0,
    }
}

impl Energy {
    /// Of a kernel that ran on `spec`, at the clock that it settled at where it has one of its own.
    pub fn of(kernel: &Kernel, spec: &GpuSpec, table: &Coefficients) -> Self {
        let spec = clocked(kernel, spec);
        Self::of_sections(&kernel.sections, kernel.counted_cycles, &spec, table)
    }

    /// Of what was counted in `cycles` core cycles on `spec`.
    pub fn counted(
        counters: &ChipCounters,
        cycles: u64,
        spec: &GpuSpec,
        table: &Coefficients,
    ) -> Self {
        let sections = Sections::of(&Window {
            cycles,
            spec,
            counters,
        });
        Self::of_sections(&sections, cycles, spec, table)
    }

    fn of_sections(kernel: &Sections, cycles: u64, spec: &GpuSpec, table: &Coefficients) -> Self {
        let time = seconds(cycles, spec);
        let board = f64::from(spec.power.voltage_milli) / 1e3;
        let voltage = (board * table.voltage_ratio(spec.core_clock_khz)).powi(2);
        let pj = |events: u64, each: &Coefficient| events as f64 * each.value * 1e-12 * voltage;
        let sm = &kernel.sm.counters;
        let lsu = &kernel.lsu.counters;
        let l1 = &kernel.l1.counters;
        let l2 = &kernel.l2.counters;
        let busy = seconds(sm.active_cycles, spec);
        let idle = seconds(kernel.sm.sm_cycles.idle, spec) * table.idle_sm_share.value;
        let lanes = kernel.sm.rates.lanes_per_instruction;
        let of_lanes = |pipe: Pipe, each: &Coefficient| pj(sm.pipes.get(pipe), each) * lanes;
        let all_operands: u64 = Pipe::ALL
            .iter()
            .map(|pipe| sm.pipes.get(*pipe) * operands(*pipe))
            .sum();
        let parts = Energy {
            constant_j: (table.constant_w.value + f64::from(spec.power.board_w)) * time,
            static_j: table.sm_static_w.value * voltage * (busy + idle),
            front_end_j: pj(sm.warp_instructions, &table.front_end_pj),
            register_file_j: pj(
                all_operands.saturating_sub(sm.regfile_reuse_hits),
                &table.operand_pj,
            ),
            lanes_j: of_lanes(Pipe::Fma, &table.fma_lane_pj)
                + of_lanes(Pipe::Alu, &table.alu_lane_pj)
                + of_lanes(Pipe::Fp16, &table.fp16_lane_pj)
                + of_lanes(Pipe::Fp64, &table.fp64_lane_pj)
                + of_lanes(Pipe::Xu, &table.xu_lane_pj),
            tensor_j: pj(sm.tensor_busy_cycles, &table.tensor_cycle_pj),
            shared_j: pj(
                lsu.shared_passes + lsu.shuffle_instructions,
                &table.shared_pass_pj,
            ),
            l1_j: pj(
                l1.sector_reads + l1.sector_writes + l1.sector_local_writes + l1.sector_misses,
                &table.l1_sector_pj,
            ),
            noc_j: pj(
                kernel.noc.counters.request_bytes + kernel.noc.counters.reply_bytes,
                &table.noc_byte_pj,
            ),
            l2_j: pj(
                l2.sector_reads + l2.sector_writes + l2.sector_atomics + l2.fills,
                &table.l2_sector_pj,
            ),
            dram_j: dram(kernel, spec, &table.memory),
            total_j: 0.0,
            average_w: 0.0,
            dynamic_w: 0.0,
        };
        parts.summed(time)
    }

    /// The parts, in order, by name.
    pub fn parts(&self) -> [(&'static str, f64); 11] {
        [
            ("constant", self.constant_j),
            ("static", self.static_j),
            ("front end", self.front_end_j),
            ("register file", self.register_file_j),
            ("lanes", self.lanes_j),
            ("tensor", self.tensor_j),
            ("shared", self.shared_j),
            ("L1", self.l1_j),
            ("crossbar", self.noc_j),
            ("L2", self.l2_j),
            ("DRAM", self.dram_j),
        ]
    }

    /// With the sums of the parts, over `time` seconds.
    fn summed(mut self, time: f64) -> Self {
        let per_s = |joules: f64| if time > 0.0 { joules / time } else { 0.0 };
        self.total_j = self.parts().iter().map(|(_, joules)| joules).sum();
        self.average_w = per_s(self.total_j);
        // Its parts are summed: a difference of the large ones may be less than nothing by rounding.
        let by_events = &self.parts()[2..];
        self.dynamic_w = per_s(by_events.iter().map(|(_, joules)| joules).sum());
        self
    }

    /// The energy of both, one after the other.
    pub fn plus(&self, other: &Self, time: f64) -> Self {
        Energy {
            constant_j: self.constant_j + other.constant_j,
            static_j: self.static_j + other.static_j,
            front_end_j: self.front_end_j + other.front_end_j,
            register_file_j: self.register_file_j + other.register_file_j,
            lanes_j: self.lanes_j + other.lanes_j,
            tensor_j: self.tensor_j + other.tensor_j,
            shared_j: self.shared_j + other.shared_j,
            l1_j: self.l1_j + other.l1_j,
            noc_j: self.noc_j + other.noc_j,
            l2_j: self.l2_j + other.l2_j,
            dram_j: self.dram_j + other.dram_j,
            total_j: 0.0,
            average_w: 0.0,
            dynamic_w: 0.0,
        }
        .summed(time)
    }
}

/// The machine at the clock that `kernel` settled at.
pub fn clocked<'a>(kernel: &Kernel, spec: &'a GpuSpec) -> Cow<'a, GpuSpec> {
    match &kernel.power {
        Some(power) if power.throttled => Cow::Owned(spec.at_clock(power.clock_khz)),
        _ => Cow::Borrowed(spec),
    }
}

/// Of the DRAM devices, J. Their voltage does not follow that of the chip.
fn dram(kernel: &Sections, spec: &GpuSpec, memory: &Memory) -> f64 {
    let dram = &kernel.dram.counters;
    let row_bytes = f64::from(channel_spec(&spec.dram).standard.org.row_bytes);
    // Bursts of check bits are among them.
    let bits = ((dram.reads + dram.writes) * SECTOR_BYTES * 8) as f64;
    let activates = dram.activates as f64 * row_bytes * memory.activate_byte_pj.value;
    (activates + bits * memory.bit_pj.value) * 1e-12
}

#[cfg(test)]
mod tests;
