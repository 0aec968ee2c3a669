//! Probes see what the counters count, and change nothing.

use super::*;
use crate::session::Session;
use crate::simulation::Options;

/// Counts every event.
#[derive(Debug, Default)]
struct Counts {
    issued: u64,
    lost: u64,
    /// Instructions of runs, and the run of each warp slot.
    in_runs: u64,
    runs: Vec<WarpRun>,
    queued: u64,
    /// Accesses that entered the pipe, and those of them to global memory.
    accesses: u64,
    entered: u64,
    l1_hits: u64,
    l1_refused: u64,
    l1_filled: u64,
    l1_evicted: u64,
    warps: u64,
    kernels: Vec<usize>,
    requests: u64,
    joined: u64,
    replies: u64,
    l2: u64,
    l2_hits: u64,
    l2_filled: u64,
    dram: u64,
    ctas: u64,
}

impl DramProbe for Counts {
    fn request_served(&mut self, _served: &crate::mem::dram::Served) {
        self.dram += 1;
    }
}

fn sectors(mask: SectorMask) -> u64 {
    u64::from(mask.count())
}

impl Probe for Counts {
    fn warp_issued(&mut self, _: Cycle, _: &WarpInst) {
        self.issued += 1;
    }
    fn slots_lost(&mut self, _: Cycle, _: &WarpInst, (_, slots): (Label, u64)) {
        assert!(slots > 0, "an event without a slot");
        self.lost += slots;
    }
    fn run_begun(&mut self, _: Cycle, run: &WarpRun) {
        self.in_runs += u64::from(run.end - run.first);
        let slot = usize::from(run.warp);
        self.runs
            .resize(self.runs.len().max(slot + 1), WarpRun::default());
        self.runs[slot] = *run;
    }
    fn run_broken_off(&mut self, _: Cycle, warp: u8, place: u32) {
        self.in_runs -= u64::from(self.runs[usize::from(warp)].end - place);
    }
    fn memory_queued(&mut self, _: Cycle, _: u8, mask: u32) {
        assert_ne!(mask, 0, "an access of no lane");
        self.queued += 1;
    }
    fn memory_entered(&mut self, _: Cycle, inst: &MemoryInst) {
        self.accesses += u64::from(inst.op.is_some());
        self.entered += u64::from(matches!(inst.space, Space::Global | Space::Local));
    }
    fn l1_accessed(&mut self, _: Cycle, access: &L1Access) {
        self.l1_hits += sectors(access.found.hit);
    }
    fn l1_refused(&mut self, _: Cycle, _: SmId, _: Line, _: ReservationFail) {
        self.l1_refused += 1;
    }
    fn l1_filled(&mut self, _: Cycle, _: SmId, _: Line, filled: SectorMask, _: usize) {
        self.l1_filled += sectors(filled);
    }
    fn l1_evicted(&mut self, _: Cycle, evicted: &L1Evicted) {
        assert_ne!(evicted.line, evicted.by);
        self.l1_evicted += 1;
    }
    fn warp_started(&mut self, _: Cycle, _: SmId, _: u8, _: u8) {
        self.warps += 1;
    }
    fn kernel_started(&mut self, _: Cycle, started: &KernelStart) {
        assert!(!started.insts.is_empty() && started.alone);
        self.kernels.push(started.kernel);
    }
    fn request_routed(&mut self, _: Cycle, _: &Request, joined: bool) {
        self.requests += 1;
        self.joined += u64::from(joined);
    }
    fn reply_routed(&mut self, _: Cycle, _: &Reply) {
        self.replies += 1;
    }
    fn l2_accessed(&mut self, _: Cycle, request: &Request, hit: SectorMask) {
        self.l2 += 1;
        if matches!(request.kind, crate::mem::RequestKind::Read) {
            self.l2_hits += sectors(hit);
        }
    }
    fn l2_filled(&mut self, _: Cycle, _: SliceId, _: Line, filled: SectorMask) {
        self.l2_filled += sectors(filled);
    }
    fn cta_done(&mut self, _: Cycle, _: &CtaDone) {
        self.ctas += 1;
    }
    fn merge(&mut self, other: Self) {
        self.issued += other.issued;
        self.lost += other.lost;
        self.in_runs += other.in_runs;
        self.queued += other.queued;
        self.accesses += other.accesses;
        self.entered += other.entered;
        self.l1_hits += other.l1_hits;
        self.l1_refused += other.l1_refused;
        self.l1_filled += other.l1_filled;
        self.l1_evicted += other.l1_evicted;
        self.warps += other.warps;
        self.kernels.extend(other.kernels);
        self.requests += other.requests;
        self.joined += other.joined;
        self.replies += other.replies;
        self.l2 += other.l2;
        self.l2_hits += other.l2_hits;
        self.l2_filled += other.l2_filled;
        self.dram += other.dram;
        self.ctas += other.ctas;
    }
    fn sections(&self, run: &Observed, out: &mut Sections) {
        out.insert("issued", self.issued.into());
        assert_eq!(run.counters.sm.sm.warp_instructions, self.issued);
    }
}

#[test]
fn events_are_as_many_as_the_counters_say() {
    let mut evictions = 0;
    for (gpu, input) in [
        ("v100", "synth:gather?per=4&grid=200&span=1MiB"),
        ("h100-sxm", "synth:gather?per=4&grid=200&span=64KiB"),
        ("rtx3070", "synth:copy?bytes=1MiB"),
    ] {
        let session = Session::new(gpu, &["l1.mshrs=8"]).unwrap();
        let workload = session.open(&[input]).unwrap();
        let options = Options::default();
        let seen = session
            .run_with::<(Counts, NoProbe)>(&workload, &options)
            .unwrap();
        let counts = &seen.run.probe.0;
        let counters = &seen.run.counters;
        let (l1, l2) = (&counters.sm.l1, &counters.l2);
        assert_eq!(counts.issued, counters.sm.sm.warp_instructions);
        assert_eq!(counts.in_runs, counts.issued);
        assert_eq!(counts.queued, counts.accesses);
        assert_eq!(counts.entered, counters.sm.lsu.global_instructions);
        assert_eq!(counts.l1_hits, l1.sector_hits);
        assert_eq!(counts.l1_refused, l1.reservation_fails);
        assert_eq!(counts.l1_filled, l1.sector_misses);
        assert_eq!(counts.l1_evicted, l1.evictions);
        assert_eq!(counts.warps, counters.sm.sm.warps_launched);
        let spec = session.spec();
        let units = usize::from(spec.sms + spec.gpcs + spec.dram.channels);
        assert_eq!(counts.kernels, vec![0; units]);
        assert_eq!(counts.requests, counters.noc.requests);
        assert_eq!(counts.joined, counters.noc.joined_requests);
        assert_eq!(counts.replies + counts.joined, counters.noc.replies);
        assert_eq!(counts.l2, l2.requests);
        assert!(counts.l2_hits <= l2.read_hits);
        assert_eq!(counts.l2_filled, l2.fills - l2.far_fills);
        assert!(counts.dram >= counters.dram.reads);
        assert_eq!(counts.ctas, counters.sm.sm.ctas_launched);
        assert!(counts.lost > 0 && counts.lost <= counters.sm.issue.total());
        assert_eq!(seen.report.research["issued"], counts.issued);
        // Watching changes nothing.
        let unseen = session.run(&workload, &options).unwrap();
        assert_eq!(unseen.report.kernels, seen.report.kernels);
        assert!(unseen.report.research.is_empty());
        evictions += l1.evictions;
    }
    assert!(evictions > 0, "nothing fell out of any L1");
}

/// Wherever a simulation is broken off, runs have the instructions that issued, and no others.
#[test]
fn runs_that_are_broken_off_end_where_their_warp_is() {
    let session = Session::new("v100", &[] as &[&str]).unwrap();
    let workload = session.open(&["synth:gather?per=4&grid=200&span=1MiB"]);
    let workload = workload.unwrap();
    let mut within = 0;
    for max_cycles in [3_000, 3_500, 4_000] {
        let options = Options {
            max_cycles: Some(max_cycles),
            ..Options::default()
        };
        let seen = session
            .run_with::<(Counts, NoProbe)>(&workload, &options)
            .unwrap();
        let counts = &seen.run.probe.0;
        assert!(seen.run.stopped.is_some() && counts.issued > 0);
        assert_eq!(counts.in_runs, counts.issued);
        within += counts.queued - counts.accesses;
    }
    assert!(within > 0, "no access was on its way to the pipe");
}

#[test]
fn an_unobserved_build_carries_nothing() {
    assert_eq!(size_of::<NoProbe>(), 0);
    assert_eq!(size_of::<(NoProbe, NoProbe)>(), 0);
}
