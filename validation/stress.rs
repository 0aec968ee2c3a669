//! Looks for hangs and panics: random workloads on random, mostly tiny, configurations. Each run ends in a
//! report or in a refusal that says why.
//!
//! `STRESS=1000 cargo test --release --test stress` runs so many pairs (60 otherwise), `STRESS_SEED=7` others.

use phantom_gpu::config::registry;
use phantom_gpu::error::Error;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::prelude::*;

/// Cycles without an instruction that no machine here needs. Those whose reply ports move a byte a cycle have been
/// seen to take half a million for the loads of their last warps.
const STUCK_AFTER: u64 = 1_500_000;
/// Where a run is cut off, so that a slow machine is not taken for one that hangs.
const CYCLES_MAX: u64 = 6_000_000;

const WORKLOADS: &[&str] = &[
    "synth:gather?span=64KiB&per=64&grid=80",
    "synth:gather?span=1MiB&per=8&grid=160",
    "synth:gather?span=16MiB&per=8&grid=320&seed=4",
    "synth:gather?span=4MiB&per=4&grid=80&width=16",
    "synth:copy?bytes=1MiB&width=16",
    "synth:stream?bytes=512KiB&launches=3&streams=2",
    "synth:init?bytes=1MiB&width=8",
    "synth:sgemm?m=192&n=192&k=64",
    "synth:hgemm?m=256&n=192&k=64",
    "synth:hgemm?m=128&n=128&k=64&control=on",
    "synth:atomics?grid=64&iters=3&block=96&address=line",
    "synth:atomics?grid=40&iters=2&block=64&op=cas&result=on",
    "synth:atomics?grid=16&space=shared&iters=2",
    "synth:local?grid=160&block=128&words=40&width=16",
    "synth:local?grid=40&block=288&words=130",
    "synth:smem?grid=32&ways=8&block=128",
    "synth:barrier?grid=90&block=512&iters=4",
    "synth:pchase?bytes=1MiB&iters=50&cache=l2",
    "synth:ring?bytes=256KiB&loads=100&warm=1",
    "synth:code?bytes=256KiB&block=64&iters=2",
    "synth:constant?bytes=64KiB&iters=2",
    "synth:sweep?grid=40&bytes=256KiB",
    "synth:strides?param=33",
    "synth:empty?grid=2000&block=64",
    "traces/tiny_list/kernelslist.g",
];

/// Of address translation, in builds that have it; tiny TLBs.
const TRANSLATION: &[&str] = match cfg!(feature = "memory-research") {
    true => &[
        "tlb.enabled=true tlb.l1_entries=1 tlb.l1_ways=1 tlb.l1_mshrs=1 tlb.gpc_entries=1 tlb.gpc_ways=1 tlb.gpc_mshrs=1",
        "tlb.enabled=true tlb.l2_entries=1 tlb.l2_ways=1 tlb.l2_mshrs=1 tlb.gpc_entries=2 tlb.gpc_ways=1",
        "tlb.enabled=true tlb.page=64KiB tlb.walkers=1 tlb.walk_cache_entries=0 tlb.gpc_latency=1 tlb.l2_latency=1",
        "tlb.enabled=true tlb.page=64KiB tlb.l1_entries=2 tlb.l1_ways=2 tlb.gpc_interval=16 tlb.l2_interval=16",
    ],
    false => &["tlb.l1_entries=1 tlb.l1_ways=1"],
};

/// Of components, in builds that have them.
const COMPONENTS: &[&str] = match cfg!(feature = "architecture-research") {
    true => &[
        "noc.topology=ideal",
        "noc.topology=mesh noc.mesh_link_bytes=1 noc.mesh_node_sms=7",
        "noc.topology=mesh noc.mesh_columns=1 noc.mesh_interface_latency=1",
        "sm.scheduler=ccws sm.ccws.throttle=1000",
        "l1.perfect=true",
        "l2.perfect=true noc.topology=mesh",
        "dram.perfect=true",
        "sm.memory_order=out_of_order lsu.replay_entries=1",
        "sm.memory_order=out_of_order lsu.replay_entries=64",
    ],
    false => &["noc.mesh_columns=1"],
};

/// The prefetcher of L1, in builds that have it.
const PREFETCH: &[&str] = match cfg!(feature = "cache-research") {
    true => &[
        "l1.prefetch=stride l1.stride.threshold=1 l1.stride.degree=64 l1.stride.entries=16",
        "l1.prefetch=stride l1.stride.distance=1",
    ],
    false => &["l1.stride.distance=1"],
};

/// Groups of settings; a configuration takes some of the groups, and one line of each.
const SETTINGS: &[&[&str]] = &[
    &[
        "sm.scheduler=gto",
        "sm.scheduler=lrr",
        "sm.scheduler=two_level sm.two_level_active_warps=1",
        "sm.scheduler=cggty",
        "sm.scheduler=barrier_aware",
        "sm.scheduler=miss_aware",
    ],
    &["sm.dependence=scoreboard", "sm.dependence=auto"],
    &[
        "sm.ctas_max=1",
        "sm.warps_max=32 sm.threads_per_cta_max=1024",
        "gpu.sms=1 gpu.gpcs=1",
        "gpu.sms=7 gpu.gpcs=3",
    ],
    &["l1.mshrs=1", "l1.mshrs=2", "l1.mshrs=5"],
    &["l1.mshr_merges=1", "l1.mshr_merges=2"],
    &["l1.miss_queue_entries=1", "l1.miss_queue_entries=2"],
    &["l1.allocate=on_miss", "l1.allocate=on_fill"],
    &[
        "l1.write=through_validate",
        "l1.write=through_invalidate",
        "l1.write=through_no_allocate",
    ],
    &["l1.local_write=through", "l1.local_write=back"],
    &["l1.enabled=false"],
    TRANSLATION,
    COMPONENTS,
    PREFETCH,
    &[
        "l1.carveouts_kib=[0] smem.per_cta_bytes_max=0 smem.reserved_per_cta_bytes=0 l1.unified_bytes=8192 l1.ways=4",
        "l1.carveouts_kib=[0] smem.per_cta_bytes_max=0 smem.reserved_per_cta_bytes=0 l1.unified_bytes=1024 l1.ways=1",
        "l1.carveouts_kib=[0,64] smem.per_cta_bytes_max=65536 smem.reserved_per_cta_bytes=0 l1.unified_bytes=131072 l1.ways=64",
    ],
    &["l1.tags_per_cycle=1 l1.bytes_per_cycle=16"],
    &["L2=1", "L2=2", "L2=6"],
    &["l2.mshrs=1", "l2.mshrs=2", "l2.mshrs=3"],
    &["l2.mshr_merges=1", "l2.mshr_merges=2"],
    &["l2.hash=linear", "l2.hash=xor", "l2.hash=ipoly"],
    &["l2.lazy_fetch=false", "l2.lazy_fetch=true"],
    &["l2.replicate_far=false", "l2.replicate_far=true"],
    &["l2.memcpy_fills=false", "l2.slice_bytes_per_cycle=8"],
    &[
        "lsu.queue_entries=1",
        "lsu.store_credits=1",
        "lsu.queue_entries=1 lsu.store_credits=1",
    ],
    &[
        "noc.coalescer_entries=4 noc.coalescer_joins=1",
        "noc.coalescer_entries=64 noc.coalescer_joins=6",
        "noc.coalescer_entries=0",
    ],
    &[
        "noc.sm_request_bytes_per_cycle=1",
        "noc.gpc_reply_bytes_per_cycle=1",
        "noc.header_bytes=0",
    ],
    &["dram.read_queue=1", "dram.read_queue=2"],
    &[
        "dram.write_queue=1 dram.write_high=1 dram.write_low=0",
        "dram.write_queue=2 dram.write_high=2 dram.write_low=1",
        "dram.write_high=2 dram.write_low=0",
        "dram.write_low=0",
    ],
    &["dram.write_idle=0", "dram.write_idle=60000"],
    &[
        "dram.scheduler=fcfs",
        "dram.scheduler=fr-fcfs-plain",
        "dram.scheduler=fr-fcfs-rowhit",
        "dram.scheduler=fr-fcfs-cap",
        "dram.scheduler=bliss",
        "dram.scheduler=par-bs",
        "dram.scheduler=write-aware",
    ],
    &[
        "dram.page=closed",
        "dram.page=closed-batch",
        "dram.page=timeout",
    ],
    &[
        "dram.map=m0",
        "dram.map=m1-xor",
        "dram.map=m0-ipoly",
        "dram.map=gpu-split",
    ],
    &[
        "dram.refresh=off",
        "dram.refresh=per-bank",
        "dram.refresh=all-bank",
    ],
    &["dram.simple=true"],
    &[
        "fetch.l0_bytes=128 fetch.l0_ways=1",
        "fetch.l0_bytes=256 fetch.l0_ways=2 fetch.l1_bytes=512 fetch.l1_ways=1",
        "fetch.stream_buffer_lines=0",
        "fetch.line_bytes=64",
    ],
    &[
        "const_cache.l1_bytes=64 const_cache.l1_ways=1",
        "const_cache.launch_fills=false",
        "const_cache.line_bytes=128",
    ],
    &["smem.banks=16 smem.bank_bytes=8", "smem.bank_bytes=16"],
    &[
        "launch.cta_interval_milli=1",
        "launch.warp_interval=100",
        "launch.concurrent_kernels_max=1",
    ],
];

/// A pair, as the command line would name it.
struct Pair {
    gpu: &'static str,
    workload: &'static str,
    sets: Vec<String>,
}

impl Pair {
    fn random(rng: &mut Pcg64) -> Self {
        let gpu = *registry::names().choose(rng).expect("GPUs are built in");
        let workload = *WORKLOADS.choose(rng).expect("workloads");
        let mut sets = Vec::new();
        for group in SETTINGS {
            if rng.random_ratio(1, 6) {
                let line = *group.choose(rng).expect("a group has settings");
                sets.extend(line.split(' ').map(|set| in_sets(gpu, set)));
            }
        }
        Pair {
            gpu,
            workload,
            sets,
        }
    }

    /// Runs the pair.
    ///
    /// # Errors
    /// Anything but a report or a refusal of names, keys or sizes.
    fn run(&self) -> Result<bool, String> {
        let session = match Session::new(self.gpu, &self.sets) {
            Ok(session) => session,
            Err(Error::Config { .. } | Error::Usage(_)) => return Ok(false),
            Err(other) => return Err(other.to_string()),
        };
        let workload = match session.open(&[self.workload]) {
            Ok(workload) => workload,
            Err(Error::Usage(_)) => return Ok(false),
            Err(other) => return Err(other.to_string()),
        };
        let options = Options {
            max_cycles: Some(CYCLES_MAX),
            watchdog_cycles: STUCK_AFTER,
            ..Options::default()
        };
        match session.run(&workload, &options) {
            Ok(_) => Ok(true),
            Err(Error::Usage(_)) => Ok(false),
            Err(other) => Err(other.to_string()),
        }
    }

    fn command(&self) -> String {
        let sets: String = self.sets.iter().map(|s| format!(" --set '{s}'")).collect();
        format!(
            "phantom-gpu simulate '{}' --gpu {}{sets}",
            self.workload, self.gpu
        )
    }
}

/// `L2=n` as an L2 of n sets a slice on `gpu`; any other setting as it is.
fn in_sets(gpu: &str, set: &str) -> String {
    let Some(sets) = set.strip_prefix("L2=") else {
        return set.to_owned();
    };
    let session = Session::new::<&str>(gpu, &[]).expect("a built-in GPU");
    let l2 = &session.config().spec.l2;
    let lines = u64::from(l2.slices) * u64::from(l2.ways);
    let sets: u64 = sets.parse().expect("a number of sets");
    format!("l2.bytes={}", sets * lines * u64::from(l2.line_bytes))
}

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |v| {
        v.parse()
            .unwrap_or_else(|_| panic!("{variable}={v} is no number"))
    })
}

#[test]
fn every_pair_ends_in_a_report_or_a_refusal() {
    let count = number("STRESS", 60);
    let seed = number("STRESS_SEED", 1);
    let outcomes: Vec<(Pair, Result<bool, String>)> = (0..count)
        .into_par_iter()
        .map(|at| {
            let pair = Pair::random(&mut Pcg64::seed_from_u64(seed << 32 | at));
            let outcome = std::panic::catch_unwind(|| pair.run());
            let outcome = outcome.unwrap_or_else(|_| Err("panicked".into()));
            if let Err(what) = &outcome {
                eprintln!("{}\n  {what}", pair.command());
            }
            (pair, outcome)
        })
        .collect();
    let failed = outcomes.iter().filter(|(_, o)| o.is_err()).count();
    let ran = outcomes.iter().filter(|(_, o)| *o == Ok(true)).count() as u64;
    assert!(failed == 0, "{failed} of {count} pairs failed (above)");
    assert!(
        ran * 2 > count,
        "only {ran} of {count} pairs ran: too many are refused"
    );
}

/// Lines that were evicted while another of their sectors was awaited were never fetched again.
#[test]
fn a_line_evicted_in_flight_is_fetched_again() {
    let l1 = "l1.carveouts_kib=[0] smem.per_cta_bytes_max=0 smem.reserved_per_cta_bytes=0 \
              l1.unified_bytes=8192 l1.ways=4";
    let big = "synth:gather?span=64MiB&per=8&grid=640";
    let cases = [
        (format!("{big}&seed=4"), ""),
        (format!("{big}&seed=1"), "sm.scheduler=gto"),
        (format!("{big}&seed=1"), "l2.bytes=1572864"),
        (format!("{big}&seed=1"), "l2.hash=linear"),
        (
            "synth:gather?span=1MiB&per=8&grid=160".into(),
            "l2.bytes=196608",
        ),
        ("synth:gather?span=64KiB&per=64&grid=80".into(), l1),
    ];
    cases.par_iter().for_each(|(workload, sets)| {
        let sets: Vec<&str> = sets.split_whitespace().collect();
        let session = Session::new("v100", &sets).unwrap();
        let workload = session.open(&[workload]).unwrap();
        let options = Options {
            watchdog_cycles: STUCK_AFTER,
            ..Options::default()
        };
        session.run(&workload, &options).map(drop).unwrap();
    });
}
