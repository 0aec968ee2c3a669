//! The kernels of the run against a profile of real ones, counter by counter (`profile --correlate-hardware`).

use crate::correlate::{self, Correlation};
use crate::error::Result;
use crate::output;
use crate::report::html::{Cloud, Column, largest, scatter};
use crate::report::record::record;
use crate::research::{Figure, Study, Table};
use serde_json::json;
use std::collections::BTreeMap;

/// The band that the figure shows on both sides of equality.
const BAND: f64 = 0.2;

record! {
    /// Comparison with a profile.
    pub struct Hardware {
        /// What wrote the profile.
        pub profile: &'static str,
        /// How kernels were matched: `name` or `order`.
        pub matched_by: &'static str,
        /// Kernels that were matched.
        pub kernels: usize = "kernels",
        /// Simulated kernels without a measured one.
        pub only_simulated: Vec<String>,
        /// Measured kernels without a simulated one.
        pub only_measured: Vec<String>,
        /// Measured counters that the report does not have.
        pub unknown_metrics: Vec<String>,
        /// Counters that both have.
        pub metrics: Vec<MetricRow>,
        /// Each counter of each kernel.
        pub pairs: Vec<PairRow>,
    }
}

record! {
    /// A counter over all kernels.
    pub struct MetricRow {
        /// Nsight Compute's name.
        pub metric: String,
        /// Its unit.
        pub metric_unit: String,
        /// Kernels that were compared.
        pub kernels: usize = "kernels",
        /// Mean absolute relative error; null where only 0 was measured.
        pub mape: Option<f64> = "ratio", by "mean of |simulated - measured| / measured",
        /// Mean relative error with its sign.
        pub bias: Option<f64> = "ratio", by "mean of (simulated - measured) / measured",
        /// Median absolute relative error.
        pub median: Option<f64> = "ratio",
        /// Pearson's correlation; null with fewer than two kernels, or where one side is constant.
        pub pearson: Option<f64> = "ratio",
        /// Kernels whose error is far from the others.
        pub outliers: usize = "kernels",
        /// What to know when comparing, or nothing.
        pub note: String,
    }
}

record! {
    /// A counter of a kernel.
    pub struct PairRow {
        /// Nsight Compute's name.
        pub metric: String,
        /// Its unit.
        pub metric_unit: String,
        /// Name of the simulated kernel.
        pub kernel: String,
        /// Position of it in `kernels`, from 0; the first one where a mean was measured.
        pub launch: usize = "kernel",
        /// Simulated.
        pub simulated: f64 = "metric_unit",
        /// Measured.
        pub measured: f64 = "metric_unit",
        /// Relative error; null where 0 was measured.
        pub error: Option<f64> = "ratio", by "(simulated - measured) / measured",
    }
}

impl From<Correlation> for Hardware {
    fn from(found: Correlation) -> Self {
        let pairs = found.metrics.iter().flat_map(|of| {
            of.pairs.iter().map(|pair| PairRow {
                metric: of.metric.clone(),
                metric_unit: of.unit.clone(),
                kernel: pair.kernel.clone(),
                launch: pair.index,
                simulated: pair.simulated,
                measured: pair.measured,
                error: pair.error,
            })
        });
        Hardware {
            profile: found.profile,
            matched_by: found.matched_by,
            kernels: found.kernels,
            only_simulated: found.only_simulated,
            only_measured: found.only_measured,
            unknown_metrics: found.unknown_metrics,
            pairs: pairs.collect(),
            metrics: found
                .metrics
                .into_iter()
                .map(|of| MetricRow {
                    metric: of.metric,
                    metric_unit: of.unit,
                    kernels: of.stats.n,
                    mape: of.stats.mape,
                    bias: of.stats.bias,
                    median: of.stats.median,
                    pearson: of.stats.pearson,
                    outliers: of.stats.outliers,
                    note: of.note,
                })
                .collect(),
        }
    }
}

impl Hardware {
    /// The run of `study` against the profile that was asked for, if one was.
    ///
    /// # Errors
    /// Nothing in common.
    pub(super) fn of(study: &Study) -> Result<Option<Self>> {
        let Some((profile, map)) = &study.request.besides.hardware else {
            return Ok(None);
        };
        let report = serde_json::to_value(study.report).expect("plain data");
        let launches = correlate::launches(&report).unwrap_or_default();
        let found = correlate::correlate(&launches, profile, map)?;
        for note in &found.notes {
            output::note(format!("correlate: {note}"));
        }
        Ok(Some(found.into()))
    }

    /// Statistics, and each pair.
    pub(super) fn tables(&self) -> Vec<Table> {
        let percent = |share: Option<f64>| json!(share.map(|share| 100.0 * share));
        let metric = |m: &MetricRow| {
            vec![
                json!(m.metric),
                json!(m.metric_unit),
                json!(m.kernels),
                percent(m.mape),
                percent(m.bias),
                percent(m.median),
                json!(m.pearson),
                json!(m.outliers),
            ]
        };
        let pair = |p: &PairRow| {
            vec![
                json!(p.metric),
                json!(p.kernel),
                json!(p.launch),
                json!(p.simulated),
                json!(p.measured),
                percent(p.error),
            ]
        };
        let metrics = Table {
            name: "hardware",
            caption: format!(
                "Against {}: counters over {} kernels",
                self.profile, self.kernels
            ),
            columns: vec![
                Column::text("metric"),
                Column::text("unit"),
                Column::number("kernels", 0),
                Column::number("MAPE %", 1),
                Column::number("bias %", 1),
                Column::number("median %", 1),
                Column::number("Pearson", 3),
                Column::number("outliers", 0),
            ],
            rows: self.metrics.iter().map(metric).collect(),
        };
        let pairs = Table {
            name: "hardware-pairs",
            caption: format!("Against {}: each counter of each kernel", self.profile),
            columns: vec![
                Column::text("metric"),
                Column::text("kernel"),
                Column::number("launch", 0),
                Column::number("simulated", 3),
                Column::number("measured", 3),
                Column::number("error %", 1),
            ],
            rows: self.pairs.iter().map(pair).collect(),
        };
        vec![metrics, pairs]
    }

    /// All counters of all kernels in one plane, those above zero.
    pub(super) fn figure(&self) -> Option<Figure> {
        let mut clouds: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        let pairs = self.pairs.iter();
        for pair in pairs.filter(|p| p.simulated > 0.0 && p.measured > 0.0) {
            let points = clouds.entry(&pair.metric).or_default();
            points.push((pair.measured, pair.simulated));
        }
        let cloud = |(metric, points): (&str, Vec<(f64, f64)>)| Cloud {
            name: metric.to_owned(),
            points,
        };
        let clouds: Vec<Cloud> = clouds.into_iter().map(cloud).collect();
        (!clouds.is_empty()).then(|| Figure {
            name: "hardware",
            caption: format!("Against {}: identity and ±20 %", self.profile),
            svg: scatter("measured", "simulated", &largest(clouds), BAND),
        })
    }
}
