//! `research.architecture`.

use super::compiled::run_of;
use super::*;
use crate::memory_limit;
use serde_json::Value as Json;

/// As [`super::compiled::study`], on these variants and with slopes of these parameters.
fn study_of(
    features: &[&'static str],
    gpu: &str,
    input: &str,
    sets: &[&str],
    variants: &[&str],
    slopes: Option<&[&str]>,
) -> Outcome {
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let slopes = slopes.map(words);
    let wanted = architecture::Wanted::read(&words(variants), slopes.as_deref(), gpu).unwrap();
    run_of((features, gpu, input, sets), &Besides::default(), wanted)
}

const FEATURE: &[&str] = &[architecture::FEATURE];

/// A V100 of a tenth, which runs in little time: 8 SMs, 8 channels.
const SMALL: &[&str] = &[
    "gpu.sms=8",
    "gpu.gpcs=2",
    "dram.channels=8",
    "l2.slices=8",
    "l2.bytes=786432",
];

fn section(input: &str, sets: &[&str], variants: &[&str], slopes: Option<&[&str]>) -> Json {
    let found = study_of(FEATURE, "v100", input, sets, variants, slopes);
    let finding = found.findings.into_iter().next().unwrap();
    assert_eq!(finding.name, "architecture");
    finding.data
}

fn named<'a>(rows: &'a Json, name: &str) -> &'a Json {
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row["name"] == name).unwrap()
}

fn sum(row: &Json, of: &str) -> i64 {
    let slots = row["slots"].as_array().unwrap().iter();
    slots.map(|slot| slot[of].as_i64().unwrap()).sum()
}

/// A file with a variant.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

/// A machine that only has another name is run, and nothing of it differs.
#[test]
fn an_equal_machine_has_speedup_one_and_no_differences() {
    let (_folder, mine) = file("gpu.product = \"another name\"\n");
    let data = section(
        "synth:gather?per=4&grid=16&span=1MiB",
        SMALL,
        &[&mine, "crossbar"],
        None,
    );
    for (name, status) in [("mine", "run"), ("crossbar", "base")] {
        let row = named(&data["variants"], name);
        assert_eq!(row["status"], status);
        assert_eq!(row["speedup"], 1.0);
        assert_eq!(row["geomean_speedup"], 1.0);
        assert_eq!(row["kernels"][0]["speedup"], 1.0);
        assert_eq!(row["measured"], data["base"]);
        let slots = row["slots"].as_array().unwrap();
        assert!(slots.iter().all(|slot| slot["difference"] == 0), "{row}");
        assert!(sum(row, "base") > 0);
    }
}

/// Every slot has one label, on any machine: labels sum to sub-cores times cycles, and differences to the difference.
#[test]
fn labels_and_their_differences_sum_exactly() {
    let input = "synth:gather?per=4&grid=16&span=1MiB";
    let data = section(
        input,
        SMALL,
        &["half-sms", "in-order-memory", "no-l1", "mesh"],
        None,
    );
    let slots = |row: &Json| row["issue_slots"].as_i64().unwrap();
    let cycles = |row: &Json| row["cycles"].as_i64().unwrap();
    assert_eq!(slots(&data["base"]), 8 * 4 * cycles(&data["base"]));
    for row in data["variants"].as_array().unwrap() {
        assert_eq!(row["status"], "run", "{row}");
        let sms = if row["name"] == "half-sms" { 4 } else { 8 };
        let measured = &row["measured"];
        assert_eq!(slots(measured), sms * 4 * cycles(measured));
        assert_eq!(sum(row, "variant"), slots(measured));
        assert_eq!(sum(row, "base"), slots(&data["base"]));
        assert_eq!(
            sum(row, "difference"),
            slots(measured) - slots(&data["base"])
        );
        assert_ne!(sum(row, "difference"), 0, "{row}");
        let speedup = cycles(&data["base"]) as f64 / cycles(measured) as f64;
        assert_eq!(row["speedup"].as_f64().unwrap(), speedup);
    }
    assert_eq!(
        named(&data["variants"], "no-l1")["measured"]["l1_hit_rate"],
        0.0
    );
}

/// What does not fit is there with its reason, and does not keep the others from running.
#[test]
fn what_does_not_fit_is_listed_with_its_reason() {
    // 1024 threads a CTA, and the variant allows 256.
    let (_folder, mine) = file("text = \"Few.\"\nsm.threads_per_cta_max = \"x0.25\"\n");
    let sets = ["l1.ways=4096", "l1.unified_bytes=512KiB"];
    let input = "synth:sweep?bytes=16KiB&total=16KiB&grid=8&block=1024";
    let data = section(input, &sets, &["larger-l1", &mine, "gto"], None);
    let row = named(&data["variants"], "larger-l1");
    assert_eq!(
        (&row["status"], &row["speedup"]),
        (&"unfit".into(), &Json::Null)
    );
    assert!(
        row["reason"].as_str().unwrap().contains("l1.ways = 8192"),
        "{row}"
    );
    let row = named(&data["variants"], "mine");
    assert_eq!(row["status"], "unfit");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("1024 threads a CTA, at most 256"),
        "{row}"
    );
    assert_eq!(row["keys"][0]["value"], "256");
    assert_eq!(named(&data["variants"], "gto")["status"], "run");
}

/// A copy of more than L2 holds is as fast as DRAM, and as nothing else.
#[test]
fn a_copy_gains_from_dram_alone() {
    let slopes = ["dram-clock", "core-clock", "fp32-interval", "l1-size"];
    let narrow = ["dram.channels=2", "l2.slices=2", "l2.bytes=196608"];
    let sets = [SMALL, &narrow].concat();
    let data = section("synth:copy?bytes=2MiB", &sets, &[], Some(&slopes));
    assert_eq!(data["variants"].as_array().unwrap().len(), 0);
    let slope = |name: &str| named(&data["slopes"], name)["slope"].as_f64().unwrap();
    assert!((0.85..1.05).contains(&slope("dram-clock")), "{data}");
    for other in ["core-clock", "fp32-interval", "l1-size"] {
        assert!(slope(other).abs() < 0.15, "{other}: {data}");
    }
    let row = named(&data["slopes"], "dram-clock");
    assert!((row["step_percent"].as_f64().unwrap() - 10.0).abs() < 1e-3);
    let (speedup, time) = (
        row["speedup"].as_f64().unwrap(),
        row["time_percent"].as_f64().unwrap(),
    );
    assert!((100.0 / speedup - 100.0 - time).abs() < 1e-9);
    let perfect = named(&data["perfect"], "DRAM");
    assert!(perfect["speedup"].as_f64().unwrap() > 1.5, "{perfect}");
}

/// A kernel of multiply-adds is as fast as its pipe, in time.
#[test]
fn multiply_adds_gain_from_the_core_alone() {
    let slopes = ["dram-clock", "core-clock", "fp32-interval", "l2-bandwidth"];
    let data = section("synth:ffma?grid=64&block=256", SMALL, &[], Some(&slopes));
    let slope = |name: &str| named(&data["slopes"], name)["slope"].as_f64().unwrap();
    assert!((0.95..1.01).contains(&slope("core-clock")), "{data}");
    // From 2 to 3 cycles: slower.
    assert!((-1.05..-0.6).contains(&slope("fp32-interval")), "{data}");
    assert_eq!(
        named(&data["slopes"], "fp32-interval")["step_percent"],
        50.0
    );
    for other in ["dram-clock", "l2-bandwidth"] {
        assert!(slope(other).abs() < 0.05, "{other}: {data}");
    }
    let perfect = named(&data["perfect"], "DRAM")["speedup"].as_f64().unwrap();
    assert!((0.99..1.1).contains(&perfect), "{data}");
}

/// Of two kernels one wants L1 and asks for shared memory, the other asks for none: each has what suits it.
#[test]
fn each_kernel_has_the_carve_out_that_suits_it() {
    let session = Session::new("v100", SMALL).unwrap();
    let inputs = [
        "synth:sweep?bytes=64KiB&total=512KiB&grid=8&block=1024",
        "synth:sgemm?m=128&n=128&k=32",
    ];
    let workload = session.open(&inputs).unwrap();
    let variants = ["adaptive-partitioning", "static-partitioning"].map(str::to_owned);
    let found = run(&Request {
        session: &session,
        gpu: "v100",
        sets: &SMALL.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        workload: &workload,
        features: FEATURE.to_vec(),
        threads: 3,
        max_cycles: None,
        memory_limit: None,
        stop: &AtomicBool::new(false),
        besides: &Besides::default(),
        architecture: architecture::Wanted::read(&variants, None, "v100").unwrap(),
    })
    .unwrap();
    let data = &found.findings[0].data;
    let best = named(&data["variants"], "adaptive-partitioning");
    let largest = named(&data["variants"], "static-partitioning");
    assert_eq!(
        (&best["status"], &largest["status"]),
        (&"run".into(), &"run".into())
    );
    assert_eq!(largest["kernels"][0]["carveout_kib"], 96);
    assert!(
        largest["kernels"][0]["speedup"].as_f64().unwrap() < 0.95,
        "{largest}"
    );
    for row in best["kernels"].as_array().unwrap() {
        assert!(row["speedup"].as_f64().unwrap() >= 1.0, "{best}");
    }
    // Slots are those of the kernels that were chosen and of what is between them.
    let measured = &best["measured"];
    let cycles = measured["cycles"].as_i64().unwrap();
    assert_eq!(sum(best, "variant"), 8 * 4 * cycles);
}

/// The order in which machines are run, and how many at a time, is not to be seen.
#[test]
fn threads_change_nothing() {
    let session = Session::new("v100", SMALL).unwrap();
    let workload = session.open(&["synth:copy?bytes=64KiB"]).unwrap();
    let sets: Vec<String> = SMALL.iter().map(|s| (*s).to_owned()).collect();
    let variants = ["lrr", "half-hbm", "larger-l2"].map(str::to_owned);
    let with = |threads: usize, memory: u64| {
        let found = run(&Request {
            session: &session,
            gpu: "v100",
            sets: &sets,
            workload: &workload,
            features: FEATURE.to_vec(),
            threads,
            max_cycles: None,
            memory_limit: Some(memory),
            stop: &AtomicBool::new(false),
            besides: &Besides::default(),
            architecture: architecture::Wanted::read(&variants, None, "v100").unwrap(),
        });
        found.unwrap().findings[0].data.clone()
    };
    let alone = with(1, 1 << 30);
    assert_eq!(alone, with(4, 1 << 30));
    // Too little memory for four at a time, enough for one.
    let parts = memory_limit::machine(session.spec());
    let machine: u64 = parts.iter().map(|part| part.bytes).sum();
    assert_eq!(alone, with(4, 3 * machine));
}

/// A run that has ended early is compared with nothing, and what was asked for is there all the same.
#[test]
fn a_run_that_ended_early_has_no_comparison() {
    let session = Session::new("v100", SMALL).unwrap();
    let workload = session.open(&["synth:copy?bytes=1MiB"]).unwrap();
    let found = run(&Request {
        session: &session,
        gpu: "v100",
        sets: &SMALL.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        workload: &workload,
        features: FEATURE.to_vec(),
        threads: 1,
        max_cycles: Some(2000),
        memory_limit: None,
        stop: &AtomicBool::new(false),
        besides: &Besides::default(),
        architecture: architecture::Wanted::read(&["lrr".into()], None, "v100").unwrap(),
    })
    .unwrap();
    let data = &found.findings[0].data;
    assert_eq!(data["base"], Json::Null);
    assert_eq!(data["variants"][0]["status"], "stopped");
    assert!(found.findings[0].exhibits.tables.len() == 2);
}

/// Energies are those of the kernels, and of a machine that moves less data they are lower.
#[test]
fn energy_is_there_where_it_is_compiled_in() {
    let data = section("synth:copy?bytes=256KiB", SMALL, &["no-refresh"], None);
    let known = crate::report::features().contains(&"gpu-profiling-research");
    let row = &data["variants"][0];
    assert_eq!(row["energy_ratio"].is_number(), known);
    assert_eq!(data["base"]["energy_j"].is_number(), known);
    assert_eq!(data["note"].is_string(), !known);
}
