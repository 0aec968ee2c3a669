//! `benchmark --batch-size auto`: the batch with the greatest throughput.

use crate::benchmark::Runner;
use crate::benchmark::build::{Builder, Shape};
use crate::error::Result;
use crate::report::Report;
use crate::report::schema::Model;
use crate::session::Session;

/// Batches up to here are tried, each twice as large as the one before.
const LARGEST: u64 = 4096;
/// A batch that gains less than this on the one before is the last.
const GAIN: f64 = 1.02;

/// What `--batch-size` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// So many.
    Of(u64),
    /// The best.
    Auto,
}

impl Batch {
    /// A number, or `auto`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        use crate::model::options::EXTENT_MAX;
        match text.parse() {
            _ if text == "auto" => Ok(Batch::Auto),
            Ok(n) if (1..=EXTENT_MAX).contains(&n) => Ok(Batch::Of(n)),
            _ => Err(format!("{text}: expected auto, or a number from 1 to 2^32")),
        }
    }
}

/// Runs of 1, 2, 4, ... sequences, until they have no room, take longer than `max_ms`, or gain nothing more.
///
/// # Errors
/// Faults of the model and of the simulation.
pub fn curve(
    builder: &Builder<'_>,
    seq: Option<u64>,
    (gpu, session): (&str, &Session),
    max_ms: Option<f64>,
    runner: &Runner<'_>,
) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    let mut batch = 1;
    while batch <= LARGEST {
        let shape = Shape {
            batch: Some(batch),
            seq,
        };
        let report = builder.report(shape, gpu, session, runner)?;
        let throughput = |report: &Report| report.model.as_ref().and_then(|model| model.throughput);
        let before = reports.last().and_then(throughput);
        let fits = report
            .model
            .as_ref()
            .is_some_and(|model| allowed(model, max_ms));
        let gains = match (before, throughput(&report)) {
            (Some(before), Some(now)) => now > GAIN * before,
            _ => true,
        };
        reports.push(report);
        if !fits || !gains {
            break;
        }
        batch *= 2;
    }
    Ok(reports)
}

fn allowed(model: &Model, max_ms: Option<f64>) -> bool {
    model
        .latency_ms
        .is_some_and(|ms| max_ms.is_none_or(|max| ms <= max))
}

/// The best of `reports` on each GPU, in words.
pub fn best(reports: &[Report], max_ms: Option<f64>) -> String {
    let models = || reports.iter().filter_map(|report| report.model.as_ref());
    let mut gpus: Vec<&str> = models().map(|model| model.gpu.as_str()).collect();
    gpus.dedup();
    let mut out = String::new();
    for gpu in gpus {
        let own = models().filter(|model| model.gpu == gpu && allowed(model, max_ms));
        let best = own.max_by(|a, b| {
            a.throughput
                .unwrap_or(0.0)
                .total_cmp(&b.throughput.unwrap_or(0.0))
        });
        out.push_str(&match best {
            Some(model) => format!(
                "best batch on {gpu}: {}, {:.1} {} at {:.3} ms\n",
                model.batch_size,
                model.throughput.unwrap_or(0.0),
                model.unit,
                model.latency_ms.unwrap_or(0.0)
            ),
            None => format!("no batch on {gpu} has room and keeps the limit of latency\n"),
        });
    }
    out
}
