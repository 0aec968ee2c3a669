//! The detector of lost locality: victim tags, and who brought which line into L1.

use super::scores::Scores;
use crate::config::{GpuSpec, SchedulerPolicy};
use crate::mem::cache::SmallTags;
use crate::mem::{Line, l1::L1};
use crate::sm::SUB_CORES;
use crate::sm::cores::warp::Local;
use crate::sm::cores::warp_sched::WARPS_MAX;

const NOBODY: u8 = u8::MAX;

/// Detector and scores of an SM, where its scheduler is `ccws`. Warps are numbered by slot.
#[derive(Clone, Debug)]
pub struct Locality(Option<Box<Detector>>);

#[derive(Clone, Debug)]
struct Detector {
    scores: Scores,
    /// Victim tags of each warp.
    victims: Vec<SmallTags>,
    /// The warp that brought the line of each entry of L1.
    owners: Vec<u8>,
    /// Lost lines of the kernel.
    lost: u64,
    /// Instructions that the SM had issued when the kernel began.
    first_instruction: u64,
    throttle: u64,
}

impl Locality {
    /// That of an SM of `spec`, which hears from now on what comes into `l1`.
    pub fn new<W: Copy>(spec: &GpuSpec, l1: &mut L1<W>) -> Self {
        if spec.sm.scheduler != SchedulerPolicy::Ccws {
            return Locality(None);
        }
        l1.inserted.listen();
        let (ccws, warps) = (&spec.sm.ccws, usize::from(spec.sm.warps_max));
        let ways = u32::from(ccws.victim_ways);
        let tags = SmallTags::new(u32::from(ccws.victim_entries) / ways, ways);
        Locality(Some(Box::new(Detector {
            scores: Scores::new(warps, u32::from(ccws.base_score)),
            victims: vec![tags; warps],
            owners: vec![NOBODY; (spec.l1.unified_bytes / spec.l1.line_bytes) as usize],
            lost: 0,
            first_instruction: 0,
            throttle: u64::from(ccws.throttle),
        })))
    }

    /// Whether anything is to be told.
    pub fn listens(&self) -> bool {
        self.0.is_some()
    }

    /// A kernel begins with an empty L1, after `issued` instructions of the SM.
    pub fn began(&mut self, issued: u64) {
        if let Some(detector) = &mut self.0 {
            detector.owners.fill(NOBODY);
            (detector.lost, detector.first_instruction) = (0, issued);
        }
    }

    /// Times begin at zero again; no warp is resident.
    pub fn rebase(&mut self) {
        if let Some(detector) = &mut self.0 {
            detector.scores.rebase();
        }
    }

    /// A warp starts in `slot`.
    pub fn launched(&mut self, slot: usize) {
        if let Some(detector) = &mut self.0 {
            detector.scores.launched(slot);
            detector.victims[slot].reset();
        }
    }

    /// The warp of `slot` has issued its last instruction.
    pub fn exited(&mut self, slot: usize) {
        if let Some(detector) = &mut self.0 {
            detector.scores.exited(slot);
        }
    }

    /// A load of `warp` missed `line`, of which nothing is in L1, at `now`, after `issued` instructions of the SM.
    pub fn missed(&mut self, warp: u8, line: Line, now: Local, issued: u64) {
        let Some(detector) = &mut self.0 else { return };
        let victims = &mut detector.victims[usize::from(warp)];
        let Some(id) = victims.find(line.0) else {
            return;
        };
        victims.remove(id);
        detector.lost += 1;
        let issued = (issued - detector.first_instruction).max(1);
        let lost = detector.lost * detector.throttle;
        detector.scores.raise(usize::from(warp), now, lost, issued);
    }

    /// What has come into `l1` since the last call was brought by `warp`.
    pub fn inserted<W: Copy>(&mut self, l1: &mut L1<W>, warp: Option<u8>) {
        let Some(detector) = &mut self.0 else { return };
        for (id, victim) in l1.inserted.take() {
            let owner = &mut detector.owners[id as usize];
            let lost_by = std::mem::replace(owner, warp.unwrap_or(NOBODY));
            if let (Some(line), Some(tags)) =
                (victim, detector.victims.get_mut(usize::from(lost_by)))
            {
                match tags.find(line.0) {
                    Some(known) => tags.touch(known),
                    None => {
                        tags.insert(line.0);
                    }
                }
            }
        }
    }

    /// Warps of sub-core `k`, numbered within it, that may not issue loads at `now`.
    #[inline(always)]
    pub fn held(&mut self, k: usize, now: Local) -> u16 {
        match &mut self.0 {
            None => 0,
            Some(detector) => detector.held(k, now),
        }
    }
}

impl Detector {
    /// Away from the issue slot's own code, which other schedulers go through, too.
    #[inline(never)]
    fn held(&mut self, k: usize, now: Local) -> u16 {
        let held = self.scores.held(now);
        if held == 0 {
            return 0;
        }
        (0..WARPS_MAX).fold(0, |mask, index| {
            mask | ((held >> (index * SUB_CORES + k) & 1) as u16) << index
        })
    }
}
