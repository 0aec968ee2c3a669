//! Use of the execution pipes.

use super::derive::{Window, percent};
use super::record::record;
use crate::stats::Pipe;
use serde::ser::{Serialize, SerializeMap, Serializer};

record! {
    /// Use of one pipe.
    pub struct PipeUse {
        /// Warp instructions issued to it.
        pub instructions: u64 = "warp instructions",
        /// Share of the time that it was held, over all sub-cores; null where intervals are mixed.
        pub utilisation_percent: Option<f64> = "%",
    }
}

/// Use of the pipes of the sub-cores, in the order of [`Pipe::ALL`].
#[derive(Clone, Debug, PartialEq)]
pub struct Pipes(Vec<PipeUse>);

impl Pipes {
    /// Of a window of time.
    pub fn of(w: &Window) -> Self {
        let pipe_use = |pipe: &Pipe| PipeUse {
            instructions: w.counters.sm.sm.pipes.get(*pipe),
            utilisation_percent: held(*pipe, w).map(|cycles| percent(cycles, w.slots())),
        };
        Pipes(Pipe::ALL.iter().map(pipe_use).collect())
    }

    /// Pipes by name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &PipeUse)> {
        Pipe::ALL.iter().map(|pipe| pipe.name()).zip(&self.0)
    }
}

impl Serialize for Pipes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, pipe) in self.named() {
            map.serialize_entry(name, pipe)?;
        }
        map.end()
    }
}

/// Cycles that `pipe` of all sub-cores was held; nothing where its instructions hold it for different times.
fn held(pipe: Pipe, w: &Window) -> Option<u64> {
    let sm = &w.counters.sm.sm;
    let intervals = &w.spec.sm.pipes;
    let instructions = sm.pipes.get(pipe);
    let at = |interval: u8| Some(instructions * u64::from(interval));
    // What is booked beyond the end is cut off.
    let booked = |cycles: u64| Some(cycles.min(w.slots()));
    match pipe {
        Pipe::Fma => booked(sm.fma_busy_cycles),
        Pipe::Tensor => booked(sm.tensor_busy_cycles),
        Pipe::Alu => at(intervals.alu_interval),
        Pipe::Fp16 | Pipe::Fp16Mma => match u64::from(intervals.fp16_mma_interval) {
            0 => at(intervals.fp16_interval),
            // Two pipes share the instructions.
            mma => {
                let first = u64::from(intervals.fp16_interval);
                booked(instructions * first * mma / (first + mma))
            }
        },
        Pipe::Fp64 => at(intervals.fp64_interval),
        Pipe::Uniform => at(intervals.uniform_interval),
        Pipe::Branch => at(intervals.branch_interval),
        Pipe::Xu | Pipe::Lsu | Pipe::None => None,
    }
}
