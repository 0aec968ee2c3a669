//! The MMU runs between two quanta, alone: misses of the L1 TLBs come from the SMs, entries of the page table from the
//! slices, and its answers and reads arrive in a later quantum.

use super::super::{Gpu, read, write};
use crate::config::GpuSpec;
use crate::mem::Request;
use crate::mem::tlb::Mmu;
use crate::sm::ChipStage;
use crate::stats::tlb::TlbStats;
use std::sync::RwLock;

/// The MMU, where addresses are translated.
pub(in crate::gpu) struct Translation(Option<RwLock<Mmu>>);

impl Translation {
    pub(in crate::gpu) fn new(spec: &GpuSpec) -> Self {
        Translation(Mmu::new(spec).map(RwLock::new))
    }

    /// What happens at the MMU up to the end of quantum number `index`.
    pub(in crate::gpu) fn step<P, S: ChipStage>(&self, gpu: &Gpu<P, S>, index: u64) {
        let Some(mmu) = &self.0 else { return };
        let mmu = &mut *write(mmu);
        for (unit, &gpc) in gpu.sms.iter().zip(&gpu.topology.gpc_of) {
            let sm = &mut write(unit).sm;
            let id = sm.id();
            sm.stage().take_asks(|ask| mmu.ask(gpc, id, ask));
        }
        for unit in &gpu.shards {
            for entry in read(unit).shard.walks.messages() {
                if let Some((_, walker)) = entry.to.walker() {
                    mmu.entry_sent(walker, entry.at);
                }
            }
        }
        mmu.run((index + 1) * gpu.quantum);
        for answer in mmu.answers.drain(..) {
            write(&gpu.sms[answer.sm.index()]).sm.deliver(answer);
        }
        for request in mmu.reads.drain(..) {
            let slice = gpu.topology.map.home(request.line);
            let channel = gpu.topology.map.channel(slice);
            let request = Request { slice, ..request };
            write(&gpu.shards[channel.index()]).shard.deliver(request);
        }
    }

    /// Counters of all levels.
    pub(in crate::gpu) fn stats<P, S: ChipStage>(&self, gpu: &Gpu<P, S>) -> Option<TlbStats> {
        let mmu = self.0.as_ref()?;
        let mut stats = read(mmu).stats();
        for unit in &gpu.sms {
            stats.l1 += &write(unit).sm.stage().stats();
        }
        Some(stats)
    }

    /// For the wait-for graph.
    pub(in crate::gpu) fn describe(&self, out: &mut Vec<String>) {
        if let Some(mmu) = &self.0 {
            read(mmu).describe(out);
        }
    }
}
