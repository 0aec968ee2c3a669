//! Runs for the tests of the report.

#![allow(dead_code, reason = "each test target uses its part")]

use phantom_gpu::cli::simulate::open;
use phantom_gpu::config::{self, Resolved};
use phantom_gpu::probe::NoProbe;
use phantom_gpu::report::Report;
use phantom_gpu::simulation::{self, Options, RunResult};
use serde_json::Value;

/// A finished run.
pub struct Run {
    pub config: Resolved,
    pub result: RunResult<NoProbe>,
    pub report: Report,
}

/// Runs `input` on `gpu`.
pub fn run_with(input: &str, gpu: &str, sets: &[&str], options: &Options) -> Run {
    let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
    let config = config::load(gpu, &sets).unwrap();
    let workload = open(input, &config).unwrap();
    let result = simulation::run::<NoProbe>(&workload, &config.spec, options).unwrap();
    let report = Report::new(&config, &workload, &result, options.threads);
    Run {
        config,
        result,
        report,
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
