//! The mesh runs between two quanta, alone: requests come from the SMs, replies from the memory shards, and what
//! arrives does so in a later quantum.

use super::super::{Gpu, read, write};
use crate::config::GpuSpec;
use crate::engine::State;
use crate::engine::state::{Loaded, Saved};
use crate::noc::Topology;
use crate::noc::mesh::Mesh;
use crate::probe::Probe;
use crate::sm::ChipStage;
use crate::stats::NocStats;
use bincode::de::Decoder;
use bincode::enc::Encoder;
use std::sync::RwLock;

/// The mesh, where the chip has one.
pub(in crate::gpu) struct MeshUnit(Option<RwLock<Mesh>>);

impl MeshUnit {
    pub(in crate::gpu) fn new(spec: &GpuSpec, topology: &Topology) -> Self {
        MeshUnit(Mesh::new(spec, topology).map(RwLock::new))
    }

    /// Whether messages go through it, and not through the ports of GPCs.
    pub(in crate::gpu) fn present(&self) -> bool {
        self.0.is_some()
    }

    /// What happens in the mesh up to the end of quantum number `index`.
    pub(in crate::gpu) fn step<P: Probe, S: ChipStage>(&self, gpu: &Gpu<P, S>, index: u64) {
        let Some(mesh) = &self.0 else { return };
        let (mesh, topology) = (&mut *write(mesh), &gpu.topology);
        for (unit, &gpc) in gpu.sms.iter().zip(&topology.gpc_of) {
            for request in read(unit).sm.requests() {
                mesh.ask(*request, gpc, topology);
            }
        }
        for unit in &gpu.shards {
            for (replies, gpc) in read(unit).shard.replies.iter().zip(&gpu.gpcs) {
                for reply in replies {
                    write(gpc).probe.reply_routed(reply.at, reply);
                    mesh.answer(*reply, topology);
                }
            }
        }
        let end = (index + 1) * gpu.quantum;
        while let Some(request) = mesh.arriving_request(end) {
            let gpc = topology.gpc_of[request.sm.index()];
            let probe = &mut write(&gpu.gpcs[gpc.index()]).probe;
            probe.request_routed(request.at, &request, false);
            let channel = topology.map.channel(request.slice);
            write(&gpu.shards[channel.index()]).shard.deliver(request);
        }
        while let Some(reply) = mesh.arriving_reply(end, topology) {
            write(&gpu.sms[reply.sm.index()]).sm.deliver(reply);
        }
    }

    /// Counters.
    pub(in crate::gpu) fn stats(&self) -> NocStats {
        let mesh = self.0.as_ref();
        mesh.map(|mesh| read(mesh).stats()).unwrap_or_default()
    }

    /// As [`Gpu::save`].
    pub(in crate::gpu) fn save<E: Encoder>(&self, to: &mut E) -> Saved {
        let Some(mesh) = &self.0 else { return Ok(()) };
        let mesh = read(mesh);
        assert!(mesh.is_empty(), "something is still in flight");
        mesh.save(to)
    }

    /// As [`Gpu::load`].
    pub(in crate::gpu) fn load<D: Decoder<Context = ()>>(&self, from: &mut D) -> Loaded {
        match &self.0 {
            Some(mesh) => write(mesh).load(from),
            None => Ok(()),
        }
    }
}
