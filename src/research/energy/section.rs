//! The section `research.energy`.

use crate::energy::{Coefficients, Energy, clocked};
use crate::error::Result;
use crate::mem::dram::DramProbe;
use crate::probe::{Instrument, Probe};
use crate::report::html::{Column, Curve, Scale, curves};
use crate::report::microseconds;
use crate::report::record::{Field, record};
use crate::report::schema::{Kernel, PowerInfo};
use crate::research::{Exhibits, Figure, Observe, Section, Study, Table};
use serde_json::{Value as Json, json};

/// Observes nothing: everything is in the counters.
#[derive(Debug, Default)]
pub struct Meter;

impl DramProbe for Meter {}
impl Probe for Meter {}

impl Instrument for Meter {
    const FEATURE: &'static str = "gpu-profiling-research";
}

record! {
    /// Energy of the run.
    pub struct RunEnergy {
        /// All kernels, without the time between them; where kernels overlap, each of which counts what all did, the whole run.
        #[serde(flatten)]
        pub all: Energy,
        /// Each kernel.
        pub kernels: Vec<KernelEnergy>,
        /// What was used for each event, with its physical range and source.
        pub coefficients: Vec<Used>,
    }
}

record! {
    /// Energy of a kernel.
    pub struct KernelEnergy {
        /// Position in `kernels`, from 0.
        pub kernel: usize = "kernel",
        /// Function name.
        pub name: String,
        /// Time, over which the average is taken.
        pub time_us: f64 = "us", by "1000 counted_cycles / gpu.core_clock_khz, or / power.clock_khz",
        /// Its clock and the limit of the board; absent unless power.throttle.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub power: Option<PowerInfo>,
        /// The parts.
        #[serde(flatten)]
        pub energy: Energy,
    }
}

record! {
    /// A coefficient.
    pub struct Used {
        /// Name, as in `configs/energy`.
        pub name: &'static str,
        /// Value; the name ends in its unit.
        pub value: f64 = "by its name",
        /// Least value that is physical.
        pub least: f64 = "by its name",
        /// Greatest value that is physical.
        pub most: f64 = "by its name",
        /// Where it comes from.
        pub source: String,
    }
}

/// Of the whole run, where kernels overlap at one clock: what they share is counted once.
fn shared(study: &Study, table: &Coefficients) -> Option<Energy> {
    let report = study.report;
    let first = report.kernels.first()?;
    let clock = |kernel: &Kernel| kernel.power.as_ref().map(|power| power.clock_khz);
    let one_clock = report.kernels.iter().all(|k| clock(k) == clock(first));
    let overlap = report.kernels.iter().any(|k| k.overlapped);
    (overlap && one_clock).then(|| {
        let spec = clocked(first, study.spec());
        Energy::counted(study.counters, report.totals.cycles, &spec, table)
    })
}

impl RunEnergy {
    /// Of the run of `study`.
    fn of(study: &Study, table: &Coefficients) -> Self {
        let (spec, report) = (study.spec(), study.report);
        let of_kernel = |kernel: &Kernel| KernelEnergy {
            kernel: kernel.index,
            name: kernel.name.clone(),
            time_us: microseconds(kernel.counted_cycles, &clocked(kernel, spec)),
            power: kernel.power.clone(),
            energy: Energy::of(kernel, spec, table),
        };
        let kernels: Vec<KernelEnergy> = report.kernels.iter().map(of_kernel).collect();
        let all = shared(study, table).unwrap_or_else(|| {
            let mut seconds = 0.0;
            let sum = |all: Energy, kernel: &KernelEnergy| {
                seconds += kernel.time_us * 1e-6;
                all.plus(&kernel.energy, seconds)
            };
            kernels.iter().fold(Energy::default(), sum)
        });
        let memory = [
            ("activate_byte_pj", &table.memory.activate_byte_pj),
            ("bit_pj", &table.memory.bit_pj),
        ];
        let used = table.named().into_iter().chain(memory);
        RunEnergy {
            all,
            kernels,
            coefficients: used
                .map(|(name, of)| Used {
                    name,
                    value: of.value,
                    least: of.range[0],
                    most: of.range[1],
                    source: of.source.clone(),
                })
                .collect(),
        }
    }
}

impl Observe for Meter {
    type Section = RunEnergy;

    fn section(self, study: &Study) -> Result<RunEnergy> {
        let table = Coefficients::of(study.spec());
        Ok(RunEnergy::of(study, &table))
    }
}

impl Section for RunEnergy {
    const NAME: &'static str = "energy";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Energy::SCHEMA),
        ("", RunEnergy::LISTS),
        ("kernels[].", KernelEnergy::OWN),
        ("kernels[].", Energy::SCHEMA),
        ("kernels[].power.", PowerInfo::SCHEMA),
        ("coefficients[].", Used::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        Exhibits {
            tables: [self.by_part(), self.by_kernel()]
                .into_iter()
                .chain(self.clocks())
                .collect(),
            figures: vec![self.power()],
        }
    }
}

impl KernelEnergy {
    /// The fields beside those of the energy.
    const OWN: &'static [Field] = Self::SCHEMA.split_at(4).0;
}

impl RunEnergy {
    /// The fields beside those of the energy.
    const LISTS: &'static [Field] = Self::SCHEMA.split_at(1).1;

    fn by_part(&self) -> Table {
        let total = self.all.total_j;
        let row = |(part, joules): (&str, f64)| {
            let share = if total > 0.0 {
                100.0 * joules / total
            } else {
                0.0
            };
            let watts = share / 100.0 * self.all.average_w;
            vec![json!(part), json!(joules), json!(watts), json!(share)]
        };
        let mut rows: Vec<Vec<Json>> = self.all.parts().into_iter().map(row).collect();
        rows.push(row(("total", total)));
        Table {
            name: "parts",
            caption: "Where the energy goes".into(),
            columns: vec![
                Column::text("part"),
                Column::number("J", 9),
                Column::number("W", 2),
                Column::number("%", 1),
            ],
            rows,
        }
    }

    fn by_kernel(&self) -> Table {
        let row = |k: &KernelEnergy| {
            vec![
                json!(k.name),
                json!(k.time_us),
                json!(k.energy.total_j),
                json!(k.energy.average_w),
                json!(k.energy.dynamic_w),
            ]
        };
        Table {
            name: "kernels",
            caption: "Energy and average power of each kernel".into(),
            columns: vec![
                Column::text("kernel"),
                Column::number("us", 3),
                Column::number("J", 9),
                Column::number("W", 2),
                Column::number("dynamic W", 2),
            ],
            rows: self.kernels.iter().map(row).collect(),
        }
    }

    /// Clocks of kernels, where the power of the board holds them; nothing elsewhere.
    fn clocks(&self) -> Option<Table> {
        let row = |k: &KernelEnergy| {
            let power = k.power.as_ref()?;
            let state = match (power.above_limit, power.throttled) {
                (true, _) => "above the limit at the lowest clock",
                (false, true) => "throttled",
                (false, false) => "within the limit",
            };
            Some(vec![
                json!(k.name),
                json!(power.limit_w),
                json!(power.average_w),
                json!(f64::from(power.clock_khz) / 1e3),
                json!(power.runs),
                json!(state),
            ])
        };
        let rows: Vec<Vec<Json>> = self.kernels.iter().filter_map(row).collect();
        (!rows.is_empty()).then(|| Table {
            name: "clocks",
            caption: "Clock of each kernel within the limit of the board".into(),
            columns: vec![
                Column::text("kernel"),
                Column::number("limit W", 0),
                Column::number("W", 2),
                Column::number("MHz", 1),
                Column::number("runs", 0),
                Column::text("state"),
            ],
            rows,
        })
    }

    /// Power over time, kernel by kernel.
    fn power(&self) -> Figure {
        let mut total = Vec::new();
        let mut dynamic = Vec::new();
        let mut at = 0.0;
        for kernel in &self.kernels {
            let end = at + kernel.time_us;
            for x in [at, end] {
                total.push((x, kernel.energy.average_w));
                dynamic.push((x, kernel.energy.dynamic_w));
            }
            at = end;
        }
        let curve = |name: &str, points: Vec<(f64, f64)>| Curve {
            name: name.into(),
            points,
        };
        Figure {
            name: "power",
            caption: "Power over time, an average for each kernel".into(),
            svg: curves(
                "us",
                "W",
                &[curve("board", total), curve("dynamic", dynamic)],
                Scale::Linear,
                Scale::Linear,
            ),
        }
    }
}
