//! The report: the serde structs are the JSON schema.

use crate::config::Resolved;
use crate::simulation::{KernelRun, RunResult};
use crate::stats::Label;
use crate::trace::Workload;
use serde::Serialize;
use std::collections::BTreeMap;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this schema.
    pub schema_version: u32,
    /// Resolved configuration with its hash.
    pub config: serde_json::Value,
    /// Kernels in order of start.
    pub kernels: Vec<Kernel>,
    /// What may differ between two runs of the same input.
    pub simulation: Simulation,
}

/// One kernel.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// Function name.
    pub name: String,
    /// Core cycles from start to end.
    pub cycles: u64,
    /// Warp instructions.
    pub warp_instructions: u64,
    /// Thread instructions.
    pub thread_instructions: u64,
    /// Issue slots by label.
    pub issue: BTreeMap<&'static str, u64>,
    /// Raw counters, for now.
    pub debug: String,
}

/// Wall time and rates.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// Seconds to read a foreign format.
    pub import_s: f64,
    /// Seconds of simulation.
    pub wall_s: f64,
    /// Threads.
    pub threads: usize,
    /// Warp instructions per second of `wall_s`.
    pub warp_instructions_per_s: f64,
}

impl Report {
    /// Of a run.
    pub fn new<P>(
        config: &Resolved,
        workload: &Workload,
        result: &RunResult<P>,
        threads: usize,
    ) -> Self {
        let total: u64 = result.kernels.iter().map(|k| k.warp_instructions).sum();
        Report {
            schema_version: 1,
            config: serde_json::json!({ "hash": config.hash }),
            kernels: result.kernels.iter().map(kernel).collect(),
            simulation: Simulation {
                import_s: workload.import.seconds,
                wall_s: result.wall_s,
                threads,
                warp_instructions_per_s: total as f64 / result.wall_s,
            },
        }
    }
}

fn kernel(run: &KernelRun) -> Kernel {
    let slots = run.counters.sm.issue.slots;
    Kernel {
        name: run.header.name.clone(),
        cycles: run.end - run.start,
        warp_instructions: run.warp_instructions,
        thread_instructions: run.thread_instructions,
        issue: Label::NAMES.iter().copied().zip(slots).collect(),
        debug: format!("{:?}", run.counters),
    }
}
