//! Power: the board's limit, and what holds a kernel within it.

use super::declare::section;
use super::rules::{Broken, Rule, unless};
use super::{GpuSpec, PROFILING_RESEARCH};

section! {
    /// `[power]`: what a board may take, with feature `gpu-profiling-research`. Energy itself is in `configs/energy`.
    pub struct PowerSpec {
        /// A kernel whose average power is above the limit runs at a lower core clock (feature gpu-profiling-research); else clocks stay where they are.
        pub throttle: bool = Flag,
        /// Power that the board may take, W; only for power.throttle.
        pub limit_w: u32 = Count(1, 100_000),
        /// Lowest core clock that power may force; only for power.throttle.
        pub clock_min_khz: u32 = Kilohertz(50_000, 10_000_000),
        /// Between two core clocks; only for power.throttle.
        pub clock_step_khz: u32 = Kilohertz(1_000, 1_000_000),
        /// Core voltage of this board at a clock, of that of the curve of its architecture, thousandths.
        pub voltage_milli: u16 = Count(500, 2000),
        /// Power that this board takes at all times beside the constant of its architecture, W.
        pub board_w: u16 = Count(0, 10_000),
    }
}

impl PowerSpec {
    /// Core clocks that a kernel may run at where `top_khz` is the highest, kHz, in ascending order: a whole number of
    /// steps below the highest.
    pub fn clocks(&self, top_khz: u32) -> Vec<u32> {
        let steps = top_khz.saturating_sub(self.clock_min_khz) / self.clock_step_khz;
        let down = (0..=steps).rev();
        down.map(|step| top_khz - step * self.clock_step_khz)
            .collect()
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "power.throttle",
        with: &[],
        broken: |g| compiled_in(g.power.throttle),
    },
    Rule {
        key: "power.throttle",
        with: &["tlb.enabled"],
        broken: |g| {
            unless(
                !(g.power.throttle && g.tlb.enabled),
                || "false while tlb.enabled = true".to_owned(),
                "a kernel that runs again begins with the state that it found, and what TLBs hold is not kept",
            )
        },
    },
    Rule {
        key: "power.clock_min_khz",
        with: &["gpu.core_clock_khz", "power.throttle"],
        broken: lowest,
    },
];

fn compiled_in(throttle: bool) -> Option<Broken> {
    unless(
        PROFILING_RESEARCH || !throttle,
        || "false in this build".to_owned(),
        "build with `--features gpu-profiling-research` for power throttling",
    )
}

fn lowest(g: &GpuSpec) -> Option<Broken> {
    unless(
        !g.power.throttle || g.power.clock_min_khz <= g.core_clock_khz,
        || format!("at most gpu.core_clock_khz = {}", g.core_clock_khz),
        "throttling lowers the clock",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Resolved, load};
    use crate::error::{Error, Result};

    fn of(gpu: &str, sets: &[&str]) -> Result<Resolved> {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        load(gpu, &sets)
    }

    fn faults(gpu: &str, sets: &[&str]) -> Vec<String> {
        match of(gpu, sets) {
            Err(Error::Config { faults, .. }) => faults,
            Err(other) => panic!("not a list of faults: {other}"),
            Ok(_) => Vec::new(),
        }
    }

    fn fault(set: &str) -> String {
        let mut faults = faults("v100", &[set]);
        assert_eq!(faults.len(), 1, "{set}: {faults:?}");
        faults.remove(0)
    }

    #[test]
    fn clocks_are_whole_steps_below_the_highest() {
        let power = |min, step| PowerSpec {
            throttle: true,
            limit_w: 1,
            clock_min_khz: min,
            clock_step_khz: step,
            voltage_milli: 1000,
            board_w: 0,
        };
        let clocks = |min, step| power(min, step).clocks(1_410_000);
        assert_eq!(clocks(1_370_000, 15_000), [1_380_000, 1_395_000, 1_410_000]);
        assert_eq!(clocks(1_380_000, 15_000), [1_380_000, 1_395_000, 1_410_000]);
        assert_eq!(clocks(1_410_000, 15_000), [1_410_000]);
        assert_eq!(clocks(1_410_001, 1_000_000), [1_410_000]);
        assert_eq!(clocks(210_000, 15_000).len(), 81);
    }

    #[test]
    fn throttling_that_is_not_compiled_in_is_refused_by_its_feature() {
        let loaded = of("a100-80", &["power.throttle=true"]);
        if cfg!(feature = "gpu-profiling-research") {
            assert!(loaded.unwrap().spec.power.throttle);
            return;
        }
        let refused = loaded.unwrap_err();
        assert_eq!(refused.exit_status(), 2);
        let text = refused.to_string();
        assert!(text.contains("power.throttle"), "{text}");
        assert!(text.contains("--features gpu-profiling-research"), "{text}");
    }

    #[test]
    fn limits_of_power_are_whole_watts() {
        for value in [
            "0",
            "-5",
            "nan",
            "inf",
            "1e9",
            "100001",
            "99999999999999999999",
            "\"much\"",
            "300 W",
            "2.5",
            "true",
        ] {
            let text = fault(&format!("power.limit_w={value}"));
            assert!(
                text.contains("power.limit_w") && text.contains("1 to 100000"),
                "{text}"
            );
        }
        for set in [
            "power.clock_step_khz=0",
            "power.clock_min_khz=0",
            "power.voltage_milli=0",
            "power.board_w=-1",
        ] {
            assert!(fault(set).contains("allowed"), "{set}");
        }
    }

    /// Unless clocks follow power, nothing of it changes a machine, nor its hash: results that are kept stay valid.
    #[test]
    fn power_is_part_of_the_hash_where_it_holds_clocks() {
        let hash = |sets: &[&str]| of("v100", sets).unwrap().hash;
        assert_eq!(hash(&["power.limit_w=100"]), hash(&[]));
        if PROFILING_RESEARCH {
            let on = "power.throttle=true";
            assert_ne!(hash(&[on]), hash(&[]));
            assert_ne!(hash(&[on, "power.limit_w=100"]), hash(&[on]));
            assert_ne!(hash(&[on, "power.voltage_milli=900"]), hash(&[on]));
        }
    }

    #[test]
    fn a_lowest_clock_above_the_clock_is_refused_where_it_counts() {
        let set = "power.clock_min_khz=2 GHz";
        assert!(faults("v100", &[set]).is_empty());
        if PROFILING_RESEARCH {
            let faults = faults("v100", &[set, "power.throttle=true"]);
            assert!(
                faults[0].contains("at most gpu.core_clock_khz = 1380000"),
                "{faults:?}"
            );
        }
    }
}
