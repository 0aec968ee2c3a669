//! What each event costs: tables by architecture (`configs/energy`), every number with the range that is physical and its
//! source.

use crate::config::{Architecture, DramStandard, GpuSpec};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The built-in table of an architecture.
fn text_of(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Volta => include_str!("../../configs/energy/volta.toml"),
        Architecture::Turing => include_str!("../../configs/energy/turing.toml"),
        Architecture::AmpereGa100 => include_str!("../../configs/energy/ampere_ga100.toml"),
        Architecture::AmpereGa10x => include_str!("../../configs/energy/ampere_ga10x.toml"),
        Architecture::Ada => include_str!("../../configs/energy/ada.toml"),
        Architecture::Hopper => include_str!("../../configs/energy/hopper.toml"),
        Architecture::BlackwellGb100 => include_str!("../../configs/energy/blackwell_gb100.toml"),
        Architecture::BlackwellGb20x => include_str!("../../configs/energy/blackwell_gb20x.toml"),
    }
}

/// Kinds of memory, by the begin of the names of their speed grades.
const MEMORIES: &str = include_str!("../../configs/energy/memory.toml");

/// A number with what is known of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// What is used.
    pub value: f64,
    /// Least and greatest value that is physical.
    pub range: [f64; 2],
    /// Where both come from.
    pub source: String,
}

/// The coefficients of a kind of memory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Activate, precharge and the row cycle between them, a byte of the row, pJ.
    pub activate_byte_pj: Coefficient,
    /// A bit from the sense amplifiers to the memory controller, pJ.
    pub bit_pj: Coefficient,
}

/// The coefficients of a chip, and of the memory beside it.
#[derive(Clone, Debug)]
pub struct Coefficients {
    /// Of the architecture.
    pub chip: Chip,
    /// Of the memory.
    pub memory: Memory,
}

impl std::ops::Deref for Coefficients {
    type Target = Chip;

    fn deref(&self) -> &Chip {
        &self.chip
    }
}

/// The coefficients of an architecture. Energies are those at the first voltage of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// Points of the curve of voltage over core clock, `[MHz, V]`, in ascending order.
    pub voltage: Vec<[f64; 2]>,
    /// Where the curve comes from.
    pub voltage_source: String,
    /// Core clock at which the energies hold, MHz.
    pub reference_mhz: f64,
    /// Fans, regulators, idle memory, host interface, W.
    pub constant_w: Coefficient,
    /// Leakage and clock tree of an SM with a warp, W.
    pub sm_static_w: Coefficient,
    /// Share of that which an SM without a warp takes.
    pub idle_sm_share: Coefficient,
    /// Warp instruction: fetch to issue, pJ.
    pub front_end_pj: Coefficient,
    /// Register operand of a warp, pJ.
    pub operand_pj: Coefficient,
    /// Lane of an FP32 instruction, pJ.
    pub fma_lane_pj: Coefficient,
    /// Lane of an integer instruction, pJ.
    pub alu_lane_pj: Coefficient,
    /// Lane of a packed-half instruction, pJ.
    pub fp16_lane_pj: Coefficient,
    /// Lane of an FP64 instruction, pJ.
    pub fp64_lane_pj: Coefficient,
    /// Lane of a transcendental, pJ.
    pub xu_lane_pj: Coefficient,
    /// Cycle of a sub-core's tensor pipe at full width, operands included, pJ.
    pub tensor_cycle_pj: Coefficient,
    /// Pass over the 32 banks of shared memory, pJ.
    pub shared_pass_pj: Coefficient,
    /// Sector of L1, pJ.
    pub l1_sector_pj: Coefficient,
    /// Byte through the crossbar, pJ.
    pub noc_byte_pj: Coefficient,
    /// Sector of L2, pJ.
    pub l2_sector_pj: Coefficient,
}

impl Chip {
    /// All coefficients by name.
    pub fn named(&self) -> [(&'static str, &Coefficient); 15] {
        [
            ("constant_w", &self.constant_w),
            ("sm_static_w", &self.sm_static_w),
            ("idle_sm_share", &self.idle_sm_share),
            ("front_end_pj", &self.front_end_pj),
            ("operand_pj", &self.operand_pj),
            ("fma_lane_pj", &self.fma_lane_pj),
            ("alu_lane_pj", &self.alu_lane_pj),
            ("fp16_lane_pj", &self.fp16_lane_pj),
            ("fp64_lane_pj", &self.fp64_lane_pj),
            ("xu_lane_pj", &self.xu_lane_pj),
            ("tensor_cycle_pj", &self.tensor_cycle_pj),
            ("shared_pass_pj", &self.shared_pass_pj),
            ("l1_sector_pj", &self.l1_sector_pj),
            ("noc_byte_pj", &self.noc_byte_pj),
            ("l2_sector_pj", &self.l2_sector_pj),
        ]
    }

    /// Voltage at a core clock of `khz`, of that at which the energies hold. Beyond the ends of the curve it stays.
    pub fn voltage_ratio(&self, khz: u32) -> f64 {
        self.voltage_at(f64::from(khz) / 1e3) / self.voltage_at(self.reference_mhz)
    }

    fn voltage_at(&self, mhz: f64) -> f64 {
        let above = self.voltage.partition_point(|[at, _]| *at < mhz);
        match (above.checked_sub(1), self.voltage.get(above)) {
            (None, first) => first.map_or(1.0, |[_, volts]| *volts),
            (Some(below), None) => self.voltage[below][1],
            (Some(below), Some([to, high])) => {
                let [from, low] = self.voltage[below];
                low + (high - low) * (mhz - from) / (to - from)
            }
        }
    }
}

impl Coefficients {
    /// Those of the chip and the memory of `spec`: there are some for every architecture and every speed grade.
    pub fn of(spec: &GpuSpec) -> Self {
        let chip = toml::from_str(text_of(spec.architecture));
        Coefficients {
            chip: chip.expect("built-in tables are tested"),
            memory: Self::memory(spec.dram.standard),
        }
    }

    fn memory(standard: DramStandard) -> Memory {
        let mut all: BTreeMap<String, Memory> =
            toml::from_str(MEMORIES).expect("built-in tables are tested");
        let kind = standard.name().split('_').next().unwrap_or_default();
        all.remove(kind).expect("tested for every speed grade")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coefficient_is_within_its_physical_range_and_has_a_source() {
        for architecture in Architecture::ALL {
            let name = architecture.name();
            let chip: Chip =
                toml::from_str(text_of(*architecture)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!chip.voltage_source.is_empty());
            let curve = &chip.voltage;
            assert!(
                curve.is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1]),
                "{name}"
            );
            for (coefficient, of) in chip.named() {
                holds(&format!("{name} {coefficient}"), of);
            }
        }
        for standard in DramStandard::ALL {
            let memory = Coefficients::memory(*standard);
            holds(
                &format!("{} activate_byte_pj", standard.name()),
                &memory.activate_byte_pj,
            );
            holds(&format!("{} bit_pj", standard.name()), &memory.bit_pj);
        }
    }

    fn holds(name: &str, coefficient: &Coefficient) {
        let [least, most] = coefficient.range;
        assert!(
            least > 0.0 && least <= coefficient.value && coefficient.value <= most,
            "{name}: {coefficient:?}"
        );
        assert!(coefficient.source.len() > 10, "{name} has no source");
    }

    #[test]
    fn voltage_follows_the_curve_and_stays_beyond_its_ends() {
        let mut chip: Chip = toml::from_str(text_of(Architecture::Volta)).unwrap();
        chip.voltage = vec![[1000.0, 0.8], [1500.0, 1.0]];
        chip.reference_mhz = 1500.0;
        for (khz, expected) in [
            (500_000, 0.8),
            (1_000_000, 0.8),
            (1_250_000, 0.9),
            (1_500_000, 1.0),
            (1_800_000, 1.0),
        ] {
            assert!((chip.voltage_ratio(khz) - expected).abs() < 1e-12, "{khz}");
        }
    }
}
