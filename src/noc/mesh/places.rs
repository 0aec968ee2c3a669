//! Which node of the mesh is whose.
//!
//! SMs are taken GPC by GPC, slices in order of their numbers, and so many of each share a node. Nodes are numbered row by
//! row. Those of slices lie among them as evenly as it goes: memory node `m` of `M` is node `(2m + 1) N / 2M` of `N`. The
//! nodes of SMs take the other places in order. What is left of the last row are routers without a unit.

use super::super::Topology;
use crate::config::GpuSpec;

/// Routers of SMs and slices.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) columns: u32,
    pub(super) routers: u32,
    pub(super) sms: Vec<u32>,
    pub(super) slices: Vec<u32>,
}

impl Places {
    /// Those of `spec`.
    pub(super) fn new(spec: &GpuSpec, topology: &Topology) -> Self {
        let noc = &spec.noc;
        let per_node = usize::from(noc.mesh_node_sms);
        let memory = u32::from(spec.l2.slices.div_ceil(noc.mesh_node_slices));
        let nodes = u32::from(spec.sms.div_ceil(noc.mesh_node_sms)) + memory;
        let columns = match u32::from(noc.mesh_columns) {
            0 => (1..).find(|c| c * c >= nodes).unwrap_or(nodes),
            columns => columns,
        };
        let (mut of_memory, mut of_sms) = (Vec::new(), Vec::new());
        for node in 0..nodes {
            let next = of_memory.len() as u32;
            match node == (2 * next + 1) * nodes / (2 * memory) {
                true => of_memory.push(node),
                false => of_sms.push(node),
            }
        }
        let mut sms = vec![0; usize::from(spec.sms)];
        for (at, sm) in topology.sms_of.iter().flatten().enumerate() {
            sms[sm.index()] = of_sms[at / per_node];
        }
        let slice = |s| of_memory[usize::from(s / noc.mesh_node_slices)];
        Places {
            columns,
            routers: nodes.next_multiple_of(columns),
            sms,
            slices: (0..spec.l2.slices).map(slice).collect(),
        }
    }
}
