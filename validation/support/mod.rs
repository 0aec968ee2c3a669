//! Runs for the tests of the report.

#![allow(dead_code, reason = "each test target uses its part")]

pub mod traced;

use phantom_gpu::config::Resolved;
use phantom_gpu::internals::probe::NoProbe;
use phantom_gpu::internals::simulation::{Options, RunResult};
use phantom_gpu::report::Report;
use phantom_gpu::session::Session;
use serde_json::Value;

/// A finished run.
pub struct Run {
    pub config: Resolved,
    pub result: RunResult<NoProbe>,
    pub report: Report,
}

/// Runs `input` on `gpu`.
pub fn run_with(input: &str, gpu: &str, sets: &[&str], options: &Options) -> Run {
    let session = Session::new(gpu, sets).unwrap();
    let workload = session.open(&[input]).unwrap();
    let outcome = session.run(&workload, options).unwrap();
    Run {
        config: session.config().clone(),
        result: outcome.run,
        report: outcome.report,
    }
}

/// The same with default options.
pub fn run(input: &str, gpu: &str) -> Run {
    run_with(input, gpu, &[], &Options::default())
}

/// The report as JSON without what may differ between two runs.
pub fn json(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    value.as_object_mut().unwrap().remove("simulation");
    value
}
