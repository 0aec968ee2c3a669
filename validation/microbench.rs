//! A few micro-benchmarks against the references, and the known misses of `DEVIATIONS.md` at the values
//! that they have: a change of the machine that moves one says so here.

use phantom_gpu::internals::microbench::results::{Point, Results};
use phantom_gpu::internals::microbench::{definition, reference::Reference, suite};
use phantom_gpu::session::Session;

fn results(gpu: &str, only: &[&str]) -> Results {
    let session = Session::new::<&str>(gpu, &[]).unwrap();
    let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
    let definitions = definition::select(definition::all().unwrap(), &only).unwrap();
    let reference = Reference::of(gpu).unwrap();
    suite::run(&definitions, &session, &reference, 3, 2).unwrap()
}

fn assert_all_ok(results: &Results) {
    for point in results.results.iter().filter(|p| p.counts()) {
        assert_eq!(
            point.verdict,
            "ok",
            "{} on {}",
            describe(point),
            results.gpu
        );
    }
}

fn describe(point: &Point) -> String {
    format!(
        "{} {}: {:?}, reference {:?}",
        point.name, point.parameter, point.simulated, point.reference
    )
}

#[test]
fn arithmetic_latencies_and_rates_are_those_of_silicon() {
    for gpu in ["titanv", "a100-80", "quadro-rtx6000"] {
        assert_all_ok(&results(
            gpu,
            &[
                "latency_f*",
                "latency_lop3",
                "latency_dfma",
                "rate_ffma",
                "rate_dfma",
            ],
        ));
    }
}

#[test]
fn matrix_chains_are_those_of_silicon() {
    for gpu in ["a100-80", "h100-pcie"] {
        assert_all_ok(&results(
            gpu,
            &["latency_hmma_16816*", "latency_imma_16832_s8"],
        ));
    }
}

#[test]
fn shared_conflicts_and_barriers_are_those_of_silicon() {
    let of = results(
        "quadro-rtx6000",
        &["shared_conflicts", "shared_latency", "barrier"],
    );
    assert_all_ok(&of);
    assert!(of.results.len() >= 7);
}

#[test]
fn caches_have_the_measured_lines_sectors_and_latencies() {
    for gpu in ["v100", "a100-80"] {
        assert_all_ok(&results(
            gpu,
            &[
                "l1_line_bytes",
                "l1_sector_bytes",
                "l2_sector_bytes",
                "latency_l2",
                "latency_dram",
            ],
        ));
    }
}

/// GPU, benchmark, point, and the relative error that is known and its row in the ledger.
const KNOWN: &[(&str, &str, &str, f64, &str)] = &[
    ("a100-80", "latency_l2_far", "", 0.076, "M1"),
    ("h100-pcie", "latency_l2_far", "", 0.045, "M1"),
    ("titanv", "atomic_global", "", -0.044, "M4"),
    ("quadro-rtx6000", "atomic_global", "", 0.091, "M4"),
    ("titanv", "rate_hmma_884_f32", "", 0.042, "M5"),
    ("titanv", "latency_wmma_f32", "", 0.005, "M5"),
    ("h100-pcie", "latency_hfma2", "", -0.008, "M8"),
    ("h100-pcie", "rate_hfma2_chain", "", 0.065, "M8"),
    ("a100-80", "rate_hfma2_chain", "", 0.166, "M8"),
    ("quadro-rtx6000", "latency_dadd", "", 0.091, "M11"),
    ("quadro-rtx6000", "code_loop", "32", 0.008, "M16"),
    ("quadro-rtx6000", "code_loop", "128", -0.270, "M16"),
    ("titanv", "bandwidth_l2", "", -0.016, "M13"),
    ("v100", "bandwidth_l2", "", 0.028, "M13"),
    ("titanv", "bandwidth_l1_128", "", 0.053, "M28"),
    ("a100-80", "small_kernels", "4096", 0.022, "M6"),
    ("l40s", "small_kernels", "4096", -0.003, "M6"),
    ("h100-sxm", "bandwidth_dram_read", "", -0.061, "M15"),
];

#[test]
fn known_misses_have_not_moved() {
    for (gpu, name, parameter, known, row) in KNOWN {
        let of = results(gpu, &[name]);
        let point = of.results.iter().find(|p| p.parameter == *parameter);
        let point = point.unwrap_or_else(|| panic!("{gpu} {name} has no point {parameter}"));
        let error = point.error_rel.unwrap();
        assert!(
            (error - known).abs() < 0.03,
            "{} on {gpu}: error {error:+.3}, {row} says {known:+.3}; correct the ledger",
            describe(point)
        );
    }
}
