//! The section `research.architecture`.

use super::compare::{self, Side};
use super::machine::Base;
use super::runs::{Ran, Runs};
use super::slopes;
use super::wanted::energy_note;
use crate::error::Result;
use crate::mem::dram::DramProbe;
use crate::probe::{Instrument, Probe};
use crate::report::record::{Field, record};
use crate::research::{Exhibits, Observe, Section, Study};

record! {
    /// The workload on other machines.
    pub struct Architecture {
        /// The machine that the report is of; absent when the run ended early, and then nothing was compared.
        pub base: Option<Measured>,
        /// Variants side by side, in the order in which they were asked for.
        pub variants: Vec<Variant>,
        /// What a step of each parameter does (`--slopes`); empty unless it was asked for.
        pub slopes: Vec<Slope>,
        /// What parts without a limit would give (`--slopes`); empty unless it was asked for.
        pub perfect: Vec<Perfect>,
        /// What is not there, and why; absent when all is.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub note: Option<String>,
    }
}

record! {
    /// A run of the workload.
    pub struct Measured {
        /// Core cycles of the whole run.
        pub cycles: u64 = "cycles",
        /// Time of the whole run.
        pub time_us: f64 = "us", by "1000 cycles / gpu.core_clock_khz",
        /// Issue slots of all sub-cores over the run.
        pub issue_slots: u64 = "issue slots", by "gpu.sms x sm.sub_cores x cycles",
        /// Bytes that SMs asked L1 for.
        pub l1_bytes: u64 = "bytes", by "32 (l1.sector_reads + l1.sector_writes + l1.sector_atomics)",
        /// Hits of L1.
        pub l1_hit_rate: f64 = "ratio", by "l1.sector_hits / l1.sector_reads",
        /// Bytes that L2 was asked for.
        pub l2_bytes: u64 = "bytes", by "32 (l2.sector_reads + l2.sector_writes + l2.sector_atomics)",
        /// Hits of L2.
        pub l2_hit_rate: f64 = "ratio", by "l2.read_hits / l2.sector_reads",
        /// Bytes read from DRAM.
        pub dram_read_bytes: u64 = "bytes", by "32 dram.reads",
        /// Bytes written to DRAM.
        pub dram_written_bytes: u64 = "bytes", by "32 dram.writes",
        /// Energy of all kernels; absent in builds without gpu-profiling-research.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub energy_j: Option<f64> = "J",
    }
}

record! {
    /// A variant of the machine.
    pub struct Variant {
        /// Its name.
        pub name: String,
        /// What is different, in a sentence.
        pub text: String,
        /// The keys that are different.
        pub keys: Vec<Key>,
        /// `run`; `base`: the machine is so already, its own run stands here; `unfit`: it does not fit the machine or the workload; `stopped`: it was not run to its end.
        pub status: &'static str,
        /// Why it was not run; null where it was.
        pub reason: Option<String>,
        /// How many times as fast as the base, in time; null where it was not run.
        pub speedup: Option<f64> = "ratio", by "base.time_us / measured.time_us",
        /// Geometric mean of the speedups of its kernels.
        pub geomean_speedup: Option<f64> = "ratio",
        /// Its energy, of that of the base; absent in builds without gpu-profiling-research.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub energy_ratio: Option<f64> = "ratio", by "measured.energy_j / base.energy_j",
        /// What was measured; null where it was not run.
        pub measured: Option<Measured>,
        /// Where the cycles went: issue slots by label. The differences sum to the difference in issue_slots.
        pub slots: Vec<Slots>,
        /// Each kernel.
        pub kernels: Vec<KernelSpeedup>,
    }
}

record! {
    /// A key that is different.
    pub struct Key {
        /// Its dotted name.
        pub key: String,
        /// What it is on the machine, as `list-hardware --gpu` shows it.
        pub base: String,
        /// What it is on the variant; `best` where each kernel has its own.
        pub value: String,
    }
}

record! {
    /// Issue slots with a label, on both machines.
    pub struct Slots {
        /// The label, as in `kernels[].issue`.
        pub label: &'static str,
        /// On the base.
        pub base: u64 = "issue slots",
        /// On the variant.
        pub variant: u64 = "issue slots",
        /// How many more.
        pub difference: i64 = "issue slots", by "variant - base",
    }
}

record! {
    /// A kernel on a variant.
    pub struct KernelSpeedup {
        /// Position in `kernels` of the report, from 0.
        pub kernel: usize = "kernel",
        /// Function name.
        pub name: String,
        /// Core cycles on the variant.
        pub cycles: u64 = "cycles",
        /// How many times as fast as on the base, in time.
        pub speedup: f64 = "ratio",
        /// Shared memory that was carved out for it.
        pub carveout_kib: u32 = "KiB",
    }
}

record! {
    /// What a step of a parameter does.
    pub struct Slope {
        /// The parameter.
        pub name: String,
        /// What it is.
        pub text: String,
        /// The keys that moved, together.
        pub keys: Vec<Key>,
        /// Step of the first key that was taken: 10 where that is a value, else the nearest that the machine allows; null where there is none.
        pub step_percent: Option<f64> = "%",
        /// Why there is no number; null where there is.
        pub reason: Option<String>,
        /// How many times as fast, in time.
        pub speedup: Option<f64> = "ratio",
        /// Change of the time.
        pub time_percent: Option<f64> = "%", by "100 (1 / speedup - 1)",
        /// Elasticity of speed: 1 when it grows as the parameter does, 0 when nothing depends on it, below 0 when more of it is slower.
        pub slope: Option<f64> = "ratio", by "ln(speedup) / ln(1 + step_percent / 100)",
    }
}

record! {
    /// A part without a limit.
    pub struct Perfect {
        /// The part.
        pub name: &'static str,
        /// What is perfect about it.
        pub text: &'static str,
        /// Why there is no number; null where there is.
        pub reason: Option<String>,
        /// Core cycles of the run with it.
        pub cycles: Option<u64> = "cycles",
        /// How many times as fast: no change of that part alone gains more.
        pub speedup: Option<f64> = "ratio",
    }
}

/// Observes nothing: other machines are run.
#[derive(Debug, Default)]
pub struct Nothing;

impl DramProbe for Nothing {}
impl Probe for Nothing {}

impl Instrument for Nothing {
    const FEATURE: &'static str = super::FEATURE;
}

impl Observe for Nothing {
    type Section = Architecture;

    fn section(self, study: &Study) -> Result<Architecture> {
        let request = study.request;
        let wanted = &request.architecture;
        let base = Base::of(request.gpu, request.sets)?;
        let mut runs = Runs::of(study, &base);
        let fits: Vec<_> = wanted.variants.iter().map(|v| base.fit(v)).collect();
        fits.iter().for_each(|fit| compare::want(fit, &mut runs));
        let steps = wanted
            .slopes
            .as_ref()
            .map(|asked| slopes::Steps::of(asked, &base));
        if let Some(steps) = &steps {
            steps.want(&mut runs);
        }
        runs.run(study)?;
        let own = match runs.get(&base.config) {
            Ran::Whole(own) => Some(own),
            _ => None,
        };
        let own = own.map(|own| Side::of(own, &base.config.spec));
        let rows = wanted.variants.iter().zip(&fits);
        let variants =
            rows.map(|(variant, fit)| compare::variant(variant, fit, &base, &runs, own.as_ref()));
        let variants: Vec<Variant> = variants.collect();
        let measured = own.as_ref().map(Measured::of);
        let known = measured.as_ref().is_none_or(|m| m.energy_j.is_some());
        let (slopes, perfect) = steps.map_or_else(Default::default, |steps| {
            (steps.slopes(&base, &runs), steps.perfect(&base, &runs))
        });
        Ok(Architecture {
            base: measured,
            variants,
            slopes,
            perfect,
            note: energy_note(known),
        })
    }
}

impl Section for Architecture {
    const NAME: &'static str = "architecture";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Architecture::SCHEMA),
        ("base.", Measured::SCHEMA),
        ("variants[].", Variant::SCHEMA),
        ("variants[].keys[].", Key::SCHEMA),
        ("variants[].measured.", Measured::SCHEMA),
        ("variants[].slots[].", Slots::SCHEMA),
        ("variants[].kernels[].", KernelSpeedup::SCHEMA),
        ("slopes[].", Slope::SCHEMA),
        ("slopes[].keys[].", Key::SCHEMA),
        ("perfect[].", Perfect::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        self.shown()
    }
}
