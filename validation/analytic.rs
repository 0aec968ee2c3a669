//! What can be derived by hand or was measured on silicon, on synthetic kernels: latencies of dependent
//! chains, peaks of independent ones, memory plateaus, launch and dispatch.

use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;

fn gpu(name: &str) -> Session {
    Session::new::<&str>(name, &[]).unwrap()
}

/// Cycles of the one kernel of `workload`.
fn cycles(session: &Session, workload: &str) -> u64 {
    let workload = session.open(&[workload]).unwrap();
    let outcome = session.run(&workload, &Options::default()).unwrap();
    outcome.report.kernels[0].cycles
}

/// Cycles of one iteration: the difference of two runs, so that launch and warm-up drop out.
fn per_iteration(session: &Session, workload: &str, few: u64, many: u64) -> f64 {
    let run = |iters: u64| cycles(session, &format!("{workload}&iters={iters}"));
    (run(many) - run(few)) as f64 / (many - few) as f64
}

fn assert_within(what: &str, got: f64, expected: f64, tolerance: f64) {
    let error = got / expected - 1.0;
    assert!(
        error.abs() <= tolerance,
        "{what}: {got:.1}, expected {expected:.1}: {:+.1} %, allowed {:.1} %",
        error * 100.0,
        tolerance * 100.0
    );
}

/// RRZE-HPC/gpu-benches gpu-latency: v100.txt, a100_80.txt; te42kyfo/gpu-benches h100_pcie.txt. DRAM: the middle of
/// what working sets of different sizes give.
const PLATEAUS: [(&str, f64, f64, f64); 3] = [
    ("v100", 28.0, 212.0, 429.5),
    ("a100-80", 33.0, 205.0, 556.5),
    ("h100-pcie", 34.0, 265.0, 642.0),
];

#[test]
fn pointer_chases_meet_the_measured_plateaus() {
    for (name, l1, l2, dram) in PLATEAUS {
        let session = gpu(name);
        let chase = |what: &str, shape: &str, expected, tolerance| {
            let got = per_iteration(&session, &format!("synth:pchase?{shape}"), 64, 576);
            assert_within(&format!("{name} {what}"), got, expected, tolerance);
        };
        chase("L1", "bytes=8KiB", l1, 0.05);
        chase("L2", "bytes=64KiB&cache=l2", l2, 0.05);
        chase(
            "DRAM",
            "bytes=256MiB&stride=4096&cache=l2&warmup=0",
            dram,
            0.10,
        );
    }
}

#[test]
fn a_dependent_ffma_takes_four_cycles_and_the_loop_twelve() {
    for name in [
        "v100",
        "t4",
        "a100-80",
        "rtx3070",
        "l40s",
        "h100-pcie",
        "b200",
    ] {
        // 128 x 4, and the taken branch: 524 on an H100 PCIe (sarchlab/mgpusim, ncu).
        let got = per_iteration(&gpu(name), "synth:ffma?block=32", 10, 40);
        assert_within(name, got, 524.0, 0.02);
    }
}

#[test]
fn independent_ffma_reach_the_peak_of_the_pipe() {
    for name in ["v100", "a100-80", "rtx3070", "h100-pcie"] {
        let session = gpu(name);
        let got = per_iteration(&session, "synth:ffma_ilp?block=1024&ilp=8", 4, 24);
        // 8 warps a sub-core, 120 FFMA each; the loop's other three instructions run beside them
        // where FFMA takes two cycles, and cost a slot each where it takes one.
        let interval = f64::from(session.spec().sm.pipes.fp32_interval);
        let slots = 8.0 * (120.0 * interval).max(123.0);
        assert_within(name, got, slots, 0.02);
    }
}

#[test]
fn an_n_way_conflict_adds_two_cycles_a_way() {
    // TU102 (connollydavid/tu102): 22, 24, 28, 36, 52, 84 cycles for 1, 2, 4, 8, 16, 32 ways.
    let session = gpu("quadro-rtx6000");
    for (ways, measured) in [
        (1, 22.0),
        (2, 24.0),
        (4, 28.0),
        (8, 36.0),
        (16, 52.0),
        (32, 84.0),
    ] {
        let got = per_iteration(&session, &format!("synth:smem?ways={ways}"), 8, 40) / 16.0;
        assert_within(&format!("{ways} ways"), got, measured, 0.05);
    }
}

/// sarchlab/mgpusim, H100 PCIe, nsys: empty kernels; microseconds at 1755 MHz as cycles.
#[test]
fn empty_kernels_meet_the_measured_launch_and_dispatch() {
    let session = gpu("h100-pcie");
    for (grid, block, measured, tolerance) in [
        (1, 256, 2358.0, 0.10),
        (1, 1024, 2472.0, 0.10),
        (1024, 256, 3098.0, 0.10),
        (8192, 256, 11382.0, 0.10),
        (8192, 416, 11728.0, 0.10),
        (1024, 640, 3903.0, 0.20),
        (1024, 1024, 5027.0, 0.20),
        (8192, 1024, 25721.0, 0.20),
    ] {
        let got = cycles(&session, &format!("synth:empty?grid={grid}&block={block}"));
        assert_within(
            &format!("{grid} x {block}"),
            got as f64,
            measured,
            tolerance,
        );
    }
}

/// CUDA C++ Best Practices Guide: with GDDR, fetching check bits for each memory transaction takes about 20 % of the
/// bandwidth: a burst beside the four of a line. PyTorch streams reach 234 to 243 of 300 GB/s on L4.
#[test]
fn in_line_ecc_takes_a_fifth_of_the_bandwidth() {
    let bytes = 24u64 << 20;
    let read = format!("synth:read?bytes={bytes}");
    let run = |ecc: bool| {
        let session = Session::new("l4", &[format!("dram.inline_ecc={ecc}")]).unwrap();
        let workload = session.open(&[&read]).unwrap();
        let outcome = session.run(&workload, &Options::default()).unwrap();
        let kernel = &outcome.report.kernels[0];
        let dram = &kernel.dram.counters;
        (
            dram.reads,
            dram.ecc_reads,
            kernel.cycles as f64,
            kernel.time_us,
        )
    };
    let (off, on) = (run(false), run(true));
    let code = off.0 - bytes / 32;
    assert_eq!((off.1, on.1), (0, bytes / 128 + code.div_ceil(4)));
    assert_eq!(on.0, off.0 + on.1, "a burst for each line");
    assert_within("time with ECC over time without", on.2 / off.2, 1.25, 0.03);
    assert_within("GB/s", bytes as f64 / on.3 / 1e3, 238.5, 0.03);
}

/// connollydavid/tu102: ATOMS.ADD takes 2 cycles more for each further lane on its address, and without conflict one
/// goes every second cycle.
#[test]
fn shared_atomics_take_two_cycles_a_lane_of_an_address() {
    for name in ["quadro-rtx6000", "v100", "a100-80", "h100-pcie"] {
        let session = gpu(name);
        for (address, cycles) in [("lane", 2.0), ("same", 64.0)] {
            let shape = format!("synth:atomics?space=shared&address={address}&block=512&grid=1");
            // An iteration is 16 atomics of each of the 16 warps.
            let got = per_iteration(&session, &shape, 8, 40) / (16.0 * 16.0);
            assert_within(&format!("{name}, {address}"), got, cycles, 0.02);
        }
    }
}

/// accel-sim/accel-sim-framework@2260456, accelwattch hw_perf.csv, sectors of kernels on a GV100 with 6 MiB of L2:
/// 393,216 are stored and 294,938 written to DRAM (quasirandomGenerator), 65,536 stored and none written (mri-q),
/// 1,048,576 stored and 945,003 to 950,169 written (fastWalshTransform, mergeSort).
#[test]
fn half_of_l2_may_be_dirty() {
    let session = gpu("v100");
    for (stored, written) in [
        (393_216u64, 294_938.0),
        (98_304, 0.0),
        (98_304 + 4096, 4096.0),
    ] {
        let workload = session
            .open(&[format!("synth:init?bytes={}", stored * 32)])
            .unwrap();
        let outcome = session.run(&workload, &Options::default()).unwrap();
        let kernel = &outcome.report.kernels[0];
        let (l2, dram) = (&kernel.l2.counters, &kernel.dram.counters);
        assert_eq!(l2.sector_writes, stored);
        let got = (dram.writes + dram.merged_writes + dram.queued_writes_at_end) as f64;
        assert!(
            (got - written).abs() <= 64.0,
            "{stored} stored, {got} written, {written} expected"
        );
        assert_eq!(
            4 * l2.cleaned_lines,
            l2.writebacks,
            "nothing dirty is evicted"
        );
    }
}
