//! How long shards may run alone.

use crate::config::{GpuSpec, NocTopology};
use crate::engine::Cycle;

/// The longest quantum that `spec` allows: no message between shards is faster.
pub fn quantum(spec: &GpuSpec) -> Cycle {
    let mut q = Cycle::from(match spec.noc.topology {
        NocTopology::Mesh => spec.noc.mesh_interface_latency,
        _ => spec.noc.request_latency.min(spec.noc.reply_latency),
    });
    q = q.min(Cycle::from(spec.launch.cta_start) + Cycle::from(spec.launch.cta_end));
    if spec.l2.two_copies() {
        q = q.min(Cycle::from(spec.noc.far_extra) / 2);
    }
    if spec.tlb.enabled {
        q = q.min(Cycle::from(spec.tlb.gpc_latency));
    }
    q.max(1)
}
