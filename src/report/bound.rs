//! What limits a kernel.

use super::derive::{Window, ratio};
use super::pipes::Pipes;
use crate::config::GpuSpec;
use crate::simulation::KernelRun;
use crate::stats::Label;

/// What limits a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// An execution pipe, or the issue slots.
    Compute,
    /// DRAM, or the data paths of L2.
    Memory,
    /// Neither is busy: waiting.
    Latency,
    /// Mostly starting and ending.
    Launch,
}

impl Bound {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Compute => "compute",
            Bound::Memory => "memory",
            Bound::Latency => "latency",
            Bound::Launch => "launch",
        }
    }
}

/// A kernel neither of whose sides is busier than this waits for latencies.
const BUSY: f64 = 0.1;

/// What limits `run`: the busier of its busiest execution pipe (or issue) and its memory.
pub fn bound(run: &KernelRun, spec: &GpuSpec) -> Bound {
    let launch = &spec.launch;
    let floor = u64::from(launch.kernel_start)
        + u64::from(launch.cta_start)
        + u64::from(launch.cta_end)
        + u64::from(launch.kernel_end);
    let cycles = run.end - run.start;
    if cycles < 2 * floor {
        return Bound::Launch;
    }
    let (compute, memory) = busy(run, spec);
    match compute.max(memory) {
        most if most < BUSY => Bound::Latency,
        _ if compute >= memory => Bound::Compute,
        _ => Bound::Memory,
    }
}

/// Shares of the time that the busiest pipe and the memory were busy.
fn busy(run: &KernelRun, spec: &GpuSpec) -> (f64, f64) {
    let window = Window {
        cycles: run.end - run.start,
        spec,
        counters: &run.counters,
    };
    let pipes = Pipes::of(&window);
    let used = pipes
        .named()
        .filter_map(|(_, pipe)| pipe.utilisation_percent);
    let pipe = used.fold(0.0, f64::max) / 100.0;
    let issued = ratio(run.counters.sm.issue.get(Label::Issued), window.slots());
    let slices = ratio(window.slice_busy_cycles(), window.slice_cycles());
    let dram = &run.counters.dram;
    let bus = ratio(dram.bus.data, dram.cycles);
    (pipe.max(issued), bus.max(slices))
}
