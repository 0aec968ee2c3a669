//! The instruments are not compiled in: nothing is observed.

use serde::Serialize;

use crate::mem::dram::replay::{Record, Replay, Run};
use crate::mem::dram::{ChannelSpec, DramProbe};

/// Whether the instruments are compiled in.
pub const ENABLED: bool = false;

/// There is no section without instruments.
#[derive(Clone, Debug, Serialize)]
pub enum Section {}

impl Section {
    /// Never called: there is no section.
    pub fn text(&self) -> String {
        match *self {}
    }
}

/// There is no comparison without instruments.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {}

impl Comparison {
    /// Says what is missing.
    pub fn text(&self) -> String {
        super::MISSING.to_owned()
    }
}

/// Replays without observing.
pub fn run<P: DramProbe>(
    replay: &Replay,
    records: &[Record],
    probe: &mut P,
) -> (Run, Option<Section>) {
    (replay.run(records, probe), None)
}

/// Compares nothing; callers ask [`ENABLED`] first.
pub fn compare(_spec: &ChannelSpec, _mlp: Option<u32>, _records: &[Record]) -> Comparison {
    Comparison {}
}
