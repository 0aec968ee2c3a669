//! The last check of a configuration: one unit of each kind is built from it.
//!
//! This is the one place here that names units. The rules are meant to guard whatever a unit asks for; what they
//! should have missed is then a refused configuration and no failure in the middle of a run.

use super::GpuSpec;
use crate::cta_scheduler::CtaScheduler;
use crate::gpu::quantum;
use crate::ids::{ChannelId, GpcId, SmId};
use crate::mem::shard::{MemShard, channel_spec};
use crate::noc::{GpcPorts, Topology};
use crate::occupancy::Occupancy;
use crate::sm::{Program, Sm};
use crate::trace::{Code, KernelHeader};

/// Sets of a slice that is built: enough to be one, and little work for a configuration of any size.
const TRIAL_SETS: u64 = 16;

/// Builds the units of `spec`.
///
/// # Errors
/// What a unit refuses, one line each.
pub fn build(spec: &GpuSpec) -> Result<(), Vec<String>> {
    channel_spec(&spec.dram).check()?;
    let mut small = spec.clone();
    let set_bytes = u64::from(spec.l2.ways) * u64::from(spec.l2.line_bytes);
    let most = TRIAL_SETS * set_bytes * u64::from(spec.l2.slices);
    small.l2.bytes = small.l2.bytes.min(most);
    let topology = Topology::new(&small);
    let _ = GpcPorts::new(GpcId(0), &small, &topology);
    let _ = MemShard::new(
        ChannelId(0),
        &small,
        &topology.map,
        usize::from(spec.gpcs),
        quantum(spec),
    );
    let _: Sm = Sm::new(SmId(0), &small, quantum(spec));
    let _ = CtaScheduler::new(&small);
    let _ = Program::new(&Code::default(), &small);
    match Occupancy::new(&one_warp(), spec) {
        Ok(_) => Ok(()),
        Err(error) => Err(vec![error.to_string()]),
    }
}

/// The least that a kernel can ask for.
fn one_warp() -> KernelHeader {
    KernelHeader {
        name: "of one warp".to_owned(),
        id: 0,
        grid: [1; 3],
        block: [32, 1, 1],
        cluster: [1; 3],
        registers_per_thread: 1,
        smem_bytes: 0,
        stream: 0,
        sm_version: 0,
        shared_base: 0,
        local_base: 0,
        source: crate::trace::Source::Synthetic("the configuration".to_owned()),
    }
}
