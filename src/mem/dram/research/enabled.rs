//! The instruments, compiled in.

use super::instruments::Instruments;
use crate::mem::dram::DramProbe;
use crate::mem::dram::replay::{Record, Replay, Run};

pub use super::compare::{Comparison, PolicyResult, compare};
pub use super::instruments::{BankReport, LatencyReport, Section, Seen, StreamReport};
pub use super::parallelism::{BankCycles, Parallelism};

/// Whether the instruments are compiled in.
pub const ENABLED: bool = true;

/// Replays `records` under `probe` and the instruments.
pub fn run<P: DramProbe>(
    replay: &Replay,
    records: &[Record],
    probe: &mut P,
) -> (Run, Option<Section>) {
    let mut instruments = Instruments::new(&replay.spec, records);
    let run = replay.run(records, &mut (probe, &mut instruments));
    let section = instruments.section(&run);
    (run, Some(section))
}
