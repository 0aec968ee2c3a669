//! Components that no chip has, inside whole GPUs: other interconnects, perfect levels of memory, a scheduler that
//! learns from L1.

use super::support::traced::warps_of;
use phantom_gpu::session::{Options, Session};
use serde_json::Value;

fn run(gpu: &str, sets: &[&str], inputs: &[&str], options: Options) -> Value {
    let session = Session::new(gpu, sets).unwrap();
    let workload = session.open(inputs).unwrap();
    let mut report = session.run(&workload, &options).unwrap().report;
    report.simulation = Default::default();
    serde_json::to_value(report).unwrap()
}

fn count(report: &Value, path: &str) -> u64 {
    let at = report.pointer(path);
    at.and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{path}: {at:?}"))
}

/// Cycles of each kernel.
fn cycles(gpu: &str, sets: &[&str], inputs: &[&str]) -> Vec<u64> {
    let report = run(gpu, sets, inputs, Options::default());
    let kernels = report["kernels"].as_array().unwrap();
    kernels
        .iter()
        .map(|kernel| count(kernel, "/cycles"))
        .collect()
}

const INPUTS: &[&str] = &[
    "synth:copy?bytes=512KiB",
    "synth:gather?span=4MiB&per=2&grid=48",
    "synth:atomics?grid=8&iters=2&result=on",
    "synth:local?grid=8&block=288&words=130&iters=2",
    "synth:hgemm?m=128&n=128&k=64",
];
const SMALL: &[&str] = &["gpu.sms=12", "gpu.gpcs=3"];

fn on(component: &'static str) -> Vec<&'static str> {
    [SMALL, &[component]].concat()
}

#[test]
fn neither_threads_nor_skipping_change_a_byte() {
    for component in [
        "noc.topology=ideal",
        "noc.topology=mesh",
        "l1.perfect=true",
        "l2.perfect=true",
        "dram.perfect=true",
        "sm.scheduler=ccws",
        "sm.memory_order=out_of_order",
    ] {
        let sets = on(component);
        let one = run("a100-80", &sets, INPUTS, Options::default());
        for threads in [2, 3] {
            let options = Options {
                threads,
                ..Options::default()
            };
            let other = run("a100-80", &sets, INPUTS, options);
            assert_eq!(other, one, "{component}, {threads} threads");
        }
        let options = Options {
            no_skip: true,
            ..Options::default()
        };
        assert_eq!(run("a100-80", &sets, INPUTS, options), one, "{component}");
    }
}

/// One load after the other, each alone on the chip; and a kernel whose SMs all want the same slices.
#[test]
fn an_ideal_interconnect_has_the_latency_of_the_crossbar_and_no_queues() {
    let alone = "synth:pchase?bytes=64KiB&iters=300&cache=l2";
    let crowded = "synth:sweep?bytes=128KiB&total=256KiB&grid=160&cache=l2";
    for gpu in ["v100", "h100-sxm"] {
        let of = |topology, input| cycles(gpu, &[topology], &[input])[0];
        let [one, other] = ["noc.topology=crossbar", "noc.topology=ideal"];
        assert_eq!(of(one, alone), of(other, alone), "{gpu}");
        let (crossbar, ideal) = (of(one, crowded), of(other, crowded));
        assert!(ideal < crossbar, "{gpu}: {ideal} {crossbar}");
        let report = run(gpu, &[other], &[crowded], Options::default());
        for waits in ["request_wait_cycles", "reply_wait_cycles"] {
            assert_eq!(count(&report, &format!("/kernels/0/noc/{waits}")), 0);
        }
    }
}

#[test]
fn what_a_mesh_carries_is_what_sms_and_slices_send() {
    for input in INPUTS {
        let crossbar = run("v100", SMALL, &[input], Options::default());
        let mesh = run(
            "v100",
            &on("noc.topology=mesh"),
            &[input],
            Options::default(),
        );
        let of = |report, name| count(report, &format!("/kernels/0/noc/{name}"));
        assert_eq!(of(&crossbar, "mesh_hops"), 0);
        // Each message passes at least one link, and takes it at least a cycle.
        let messages = of(&mesh, "requests") + of(&mesh, "replies");
        assert!(of(&mesh, "mesh_hops") >= messages, "{input}");
        assert!(of(&mesh, "mesh_link_cycles") >= of(&mesh, "mesh_hops"));
        assert_eq!(of(&mesh, "requests"), of(&mesh, "replies"), "{input}");
        let l2 = count(&mesh, "/kernels/0/l2/requests");
        assert_eq!(of(&mesh, "requests"), l2, "{input}");
    }
}

/// 4 bytes a link and cycle: what a link moves bounds the kernel, whatever the rest of the chip does.
#[test]
fn a_narrow_mesh_is_as_slow_as_its_links() {
    let narrow = on("noc.topology=mesh");
    let narrow = [
        &narrow[..],
        &["noc.mesh_link_bytes=4", "noc.mesh_node_slices=64"],
    ]
    .concat();
    let input = ["synth:read?bytes=512KiB"];
    // All slices are one node, which has at most four links for 512 KiB of data.
    let took = cycles("v100", &narrow, &input)[0];
    assert!(took >= (512 << 10) / (4 * 4), "{took}");
}

#[test]
fn a_perfect_level_is_never_slower() {
    let traces = [
        "traces/alu/kernelslist.g",
        "traces/sgemm.pgt",
        "traces/hgemm/kernelslist.g",
        "traces/stream/kernelslist.g",
        "traces/tiny_list/kernelslist.g",
    ];
    for input in traces.iter().chain(INPUTS) {
        let real = cycles("v100", &[], &[input]);
        for level in ["l1.perfect=true", "l2.perfect=true", "dram.perfect=true"] {
            let perfect = cycles("v100", &[level], &[input]);
            let slower = perfect.iter().zip(&real).any(|(p, r)| p > r);
            assert!(!slower, "{input} {level}: {perfect:?} {real:?}");
        }
    }
}

/// A chase through 8 MiB of DRAM: what each level costs is gone when it is perfect.
#[test]
fn a_perfect_l1_answers_after_its_hit_latency_and_asks_nobody() {
    let chase = ["synth:pchase?bytes=8MiB&stride=4096&iters=400"];
    let short = ["synth:pchase?bytes=8MiB&stride=4096&iters=200"];
    let per_load = |sets: &[&str]| {
        let (long, short) = (
            cycles("v100", sets, &chase)[0],
            cycles("v100", sets, &short)[0],
        );
        (long - short) / 200
    };
    let real = per_load(&[]);
    let hit = per_load(&["l1.perfect=true"]);
    assert!(hit < 60 && real > 150, "{hit} {real}");
    let report = run("v100", &["l1.perfect=true"], &chase, Options::default());
    let l1 = |name| count(&report, &format!("/kernels/0/l1/{name}"));
    assert_eq!(l1("sector_hits"), l1("sector_reads"));
    assert_eq!((l1("sector_misses"), l1("line_misses")), (0, 0));
    let l2 = run("v100", &["l2.perfect=true"], &chase, Options::default());
    let reads = count(&l2, "/kernels/0/l2/sector_reads");
    assert_eq!(count(&l2, "/kernels/0/l2/read_hits"), reads);
    assert_eq!(count(&l2, "/kernels/0/dram/reads"), 0);
}

/// A trace of one CTA of `warps` warps. Each reads `lines` lines of its own, one after the other, in every one of
/// `rounds` rounds.
fn rereading(folder: &std::path::Path, warps: u64, lines: u64, rounds: u64) -> String {
    let of_warp = |warp: u64| {
        let loads = 0..lines * rounds;
        loads
            .flat_map(|load| {
                let address = 0x7f40_4000_0000 + (warp * lines + load % lines) * 128;
                [
                    format!("ffffffff 1 R4 LDG.E 1 R2 4 1 {address:#x} 4"),
                    "ffffffff 1 R5 FADD 2 R4 R5 0".to_owned(),
                ]
            })
            .collect()
    };
    let all: Vec<Vec<String>> = (0..warps).map(of_warp).collect();
    warps_of(folder, &all, usize::MAX)
}

/// An L1 of 64 lines in sets of 4.
const TINY_L1: &[&str] = &[
    "l1.ways=4",
    "l1.unified_bytes=8192",
    "l1.carveouts_kib=[0]",
    "smem.per_cta_bytes_max=0",
    "fetch.perfect=true",
];

/// Sixteen warps of eight lines each are twice what L1 holds; half of them would fit.
#[test]
fn a_cache_conscious_scheduler_keeps_the_lines_of_some_warps() {
    let folder = tempfile::tempdir().unwrap();
    let trace = rereading(folder.path(), 16, 8, 12);
    let of = |scheduler: &str| {
        let sets = [TINY_L1, &[scheduler]].concat();
        let report = run("v100", &sets, &[&trace], Options::default());
        let l1 = |name| count(&report, &format!("/kernels/0/l1/{name}"));
        assert_eq!(l1("sector_reads"), 16 * 8 * 12 * 4);
        let rate = l1("sector_hits") as f64 / l1("sector_reads") as f64;
        (rate, count(&report, "/kernels/0/cycles"))
    };
    let (gto, ccws) = (of("sm.scheduler=gto"), of("sm.scheduler=ccws"));
    assert!(ccws.0 > 0.5 && gto.0 < 0.2, "{ccws:?} {gto:?}");
    assert!(ccws.1 < gto.1, "{ccws:?} {gto:?}");
}

/// Nothing is read twice, or nothing is driven out: nobody loses anything.
#[test]
fn a_cache_conscious_scheduler_holds_nobody_who_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fits = rereading(folder.path(), 8, 4, 12);
    for input in [
        "synth:copy?bytes=512KiB",
        "synth:read?bytes=1MiB&elements=4",
        &fits,
    ] {
        let of = |scheduler: &str| cycles("v100", &[TINY_L1, &[scheduler]].concat(), &[input]);
        let (gto, ccws) = (of("sm.scheduler=gto"), of("sm.scheduler=ccws"));
        assert_eq!(gto, ccws, "{input}");
    }
}
