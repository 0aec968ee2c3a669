//! The kernels of the hardware kit, executed from their PTX, recorded, and run on the machine: they measure what the
//! suite's own kernels, built instruction by instruction, measure.

use phantom_gpu::internals::microbench::{definition, reference::Reference, suite};
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;
use std::fmt::Write as _;
use std::path::Path;

/// A kernel of the kit: file, name, threads, trips, and its arguments after `out` and the trips.
struct Kernel {
    file: &'static str,
    name: &'static str,
    threads: u32,
    trips: (u32, u32),
    arguments: &'static [(&'static str, u32)],
}

/// Cycles a trip: two trip counts subtracted, as `run.py` does.
fn slope(gpu: &str, kernel: &Kernel) -> f64 {
    let (few, many) = kernel.trips;
    let taken = [few, many].map(|trips| cycles(gpu, kernel, trips));
    (taken[1] - taken[0]) as f64 / f64::from(many - few)
}

fn cycles(gpu: &str, kernel: &Kernel, trips: u32) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = folder.path().join("launch.toml");
    let mut text = format!(
        "kernel = \"{}\"\ngrid = 1\nblock = {}\n\
         [[args]]\nname = \"out\"\ntype = \"u64\"\ncount = 4\ninit = \"zeros\"\n\
         [[args]]\nname = \"trips\"\ntype = \"u32\"\nvalue = {trips}\n",
        kernel.name, kernel.threads
    );
    for (name, value) in kernel.arguments {
        let content = match *name {
            "buffer" => format!("count = {value}\ninit = \"zeros\""),
            _ => format!("value = {value}"),
        };
        write!(
            text,
            "[[args]]\nname = \"{name}\"\ntype = \"u32\"\n{content}\n"
        )
        .expect("text");
    }
    std::fs::write(&launch, text).expect("a writable folder");
    let ptx = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("microbench/ptx")
        .join(kernel.file);
    let (workload, _) = record(&ptx, &launch, false, 1).unwrap_or_else(|e| panic!("{e}"));
    let session = Session::new::<&str>(gpu, &[]).unwrap();
    let outcome = session.run(&workload, &Options::default()).unwrap();
    outcome.report.kernels[0].cycles
}

/// What the suite says of `name` at `parameter`.
fn of_suite(gpu: &str, name: &str, parameter: &str) -> f64 {
    let session = Session::new::<&str>(gpu, &[]).unwrap();
    let all = definition::all().unwrap();
    let definitions = definition::select(all, &[name.to_owned()]).unwrap();
    let reference = Reference::of(gpu).unwrap();
    let results = suite::run(&definitions, &session, &reference, 12, 1).unwrap();
    let point = results.results.iter().find(|p| p.parameter == parameter);
    point.and_then(|p| p.simulated).expect("the suite has it")
}

fn assert_agrees(gpu: &str, name: &str, parameter: &str, kit: f64, tolerance: f64) {
    let suite = of_suite(gpu, name, parameter);
    let error = kit / suite - 1.0;
    assert!(
        error.abs() <= tolerance,
        "{name} {parameter} on {gpu}: the kit's kernel {kit:.2}, the suite's {suite:.2}"
    );
}

const GPUS: [&str; 2] = ["v100", "a100-80"];

/// 128 steps a trip; the loop's own counter and branch are 24 cycles of it.
#[test]
fn latencies_agree() {
    for gpu in GPUS {
        for (name, kernel) in [
            ("latency_ffma", "latency_ffma"),
            ("latency_imad", "latency_imad"),
            ("latency_lop3", "latency_lop3"),
            ("latency_popc", "latency_popc"),
            ("latency_shfl", "latency_shfl"),
            ("latency_dfma", "latency_dfma"),
            ("latency_mufu_ex2", "latency_mufu_ex2"),
        ] {
            let kernel = Kernel {
                file: "latency.ptx",
                name: kernel,
                threads: 32,
                trips: (16, 48),
                arguments: &[],
            };
            assert_agrees(gpu, name, "", slope(gpu, &kernel) / 128.0, 0.05);
        }
    }
}

#[test]
fn rates_agree() {
    for gpu in GPUS {
        for (name, kernel) in [("rate_ffma", "rate_ffma"), ("rate_mufu", "rate_mufu_ex2")] {
            let kernel = Kernel {
                file: "rate.ptx",
                name: kernel,
                threads: 1024,
                trips: (4, 12),
                arguments: &[],
            };
            assert_agrees(gpu, name, "", 128.0 * 32.0 / slope(gpu, &kernel), 0.03);
        }
    }
}

#[test]
fn shared_memory_barriers_and_matrices_agree() {
    for gpu in GPUS {
        for (ways, arguments) in [
            ("1", &[("ways", 1)]),
            ("8", &[("ways", 8)]),
            ("32", &[("ways", 32)]),
        ] {
            let kernel = Kernel {
                file: "shared.ptx",
                name: "shared_chase",
                threads: 32,
                trips: (8, 24),
                arguments,
            };
            assert_agrees(
                gpu,
                "shared_conflicts",
                ways,
                slope(gpu, &kernel) / 64.0,
                0.02,
            );
        }
        let barrier = Kernel {
            file: "shared.ptx",
            name: "barrier",
            threads: 256,
            trips: (8, 24),
            arguments: &[],
        };
        assert_agrees(gpu, "barrier", "8", slope(gpu, &barrier) / 16.0, 0.03);
        let atomic = Kernel {
            file: "atomics.ptx",
            name: "atomic_shared",
            threads: 32,
            trips: (8, 24),
            arguments: &[("buffer", 64), ("stride", 4)],
        };
        assert_agrees(gpu, "atomic_shared", "", slope(gpu, &atomic) / 32.0, 0.03);
    }
    let matrix = Kernel {
        file: "mma.ptx",
        name: "mma_16816",
        threads: 32,
        trips: (8, 24),
        arguments: &[],
    };
    let kit = slope("a100-80", &matrix) / 32.0;
    assert_agrees("a100-80", "latency_hmma_16816_f32", "", kit, 0.03);
}
