//! Tests of the configuration as a whole.

use super::*;
use crate::error::Error;
use proptest::prelude::*;

fn faults(gpu: &str, sets: &[&str]) -> Vec<String> {
    let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
    match load(gpu, &sets) {
        Err(Error::Config { faults, .. }) => faults,
        Err(other) => panic!("not a list of faults: {other}"),
        Ok(_) => Vec::new(),
    }
}

fn fault(set: &str) -> String {
    let mut faults = faults("v100", &[set]);
    assert_eq!(faults.len(), 1, "{set}: {faults:?}");
    faults.remove(0)
}

fn load_text(text: &str) -> Result<Resolved> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    load(file.path().to_str().unwrap(), &[])
}

#[test]
fn every_built_in_gpu_loads_under_its_own_name() {
    for name in names() {
        let resolved = load(name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(resolved.spec.name, name);
    }
}

#[test]
fn every_file_in_the_folder_is_embedded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/gpus");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut known: Vec<String> = names().iter().map(|n| format!("{n}.toml")).collect();
    known.sort();
    assert_eq!(files, known);
}

/// What vendors publish: SMs and peak DRAM bandwidth, GB/s.
#[test]
fn bandwidths_agree_with_the_published_peaks() {
    let table = [
        ("titanv", 80, 653),
        ("v100", 80, 898),
        ("t4", 40, 320),
        ("rtx2060", 30, 336),
        ("quadro-rtx6000", 72, 672),
        ("a100-40", 108, 1555),
        ("a100-80", 108, 2039),
        ("rtx3070", 46, 448),
        ("rtx3090", 82, 936),
        ("a6000", 84, 768),
        ("rtx4090", 128, 1008),
        ("l4", 58, 300),
        ("l40s", 142, 864),
        ("h100-pcie", 114, 2039),
        ("h100-sxm", 132, 3352),
        ("h200", 132, 4800),
        ("rtx5090", 170, 1792),
        ("b200", 148, 7672),
        ("v100-32", 80, 898),
        ("v100-sxm2", 80, 898),
        ("gtx1650", 14, 192),
        ("rtx2080ti", 68, 616),
        ("rtx3060", 28, 360),
        ("rtx3060ti", 38, 448),
        ("rtx3070ti", 48, 608),
        ("rtx3080", 68, 760),
        ("a10", 72, 600),
        ("a40", 84, 696),
        ("rtx4070", 46, 504),
        ("rtx-pro-6000", 188, 1792),
    ];
    assert_eq!(table.len(), names().len());
    for (name, sms, gb_per_s) in table {
        let spec = load(name, &[]).unwrap().spec;
        assert_eq!(spec.sms, sms, "{name}");
        let peak = spec.dram.peak_bytes_per_s();
        assert!(
            peak.abs_diff(gb_per_s * 1_000_000_000) < 1_000_000_000,
            "{name}: {peak}"
        );
    }
}

/// Unloaded L2 hit from the first GPC, near partition, as the machine adds it up.
#[test]
fn l2_hit_latencies_add_up_to_the_measured_plateaus() {
    let table = [
        ("v100", 212),
        ("a100-80", 206),
        ("h100-pcie", 265),
        ("l40s", 274),
    ];
    for (name, measured) in table {
        let s = load(name, &[]).unwrap().spec;
        let offsets = s.noc.gpc_offsets[0] + s.noc.slice_spread / 2;
        let sum = s.lsu.frontend_cycles
            + s.l1.miss_latency
            + s.noc.request_latency
            + offsets
            + s.l2.hit_latency
            + s.noc.reply_latency
            + s.l1.fill_latency;
        assert!(
            sum.abs_diff(measured) <= 2,
            "{name}: {sum} against {measured}"
        );
    }
}

#[test]
fn three_faults_give_three_lines_with_file_key_value_and_range() {
    let error =
        load_text("base = \"v100\"\n[l1]\nmshrs = 0\n[l2]\nhash = \"crc\"\n[sm]\nwarps_mx = 32\n")
            .unwrap_err();
    let Error::Config { faults, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(faults.len(), 3, "{error}");
    assert!(
        faults[0].contains(".toml:3: l1.mshrs = 0: allowed: 1 to 8192;"),
        "{error}"
    );
    assert!(
        faults[1].contains(".toml:5: l2.hash = \"crc\": allowed: one of linear, xor, ipoly;"),
        "{error}"
    );
    assert!(
        faults[2].contains(".toml:7: sm.warps_mx = 32: no such key; did you mean sm.warps_max?"),
        "{error}"
    );
    assert_eq!(error.exit_status(), 2);
}

#[test]
fn an_l1_of_three_ways_in_five_kilobytes_is_refused_with_advice() {
    let faults = faults("v100", &["l1.ways=3", "l1.unified_bytes=5 KiB"]);
    assert!(
        faults[0].contains("l1.ways = 3") && faults[0].contains("choose one of 40, 20, 10, 5"),
        "{faults:?}"
    );
    assert!(fault("l1.unified_bytes=5 KB").contains("multiple of the 128-byte line"));
}

#[test]
fn rules_between_keys_hold() {
    assert!(fault("l1.carveouts_kib=[0, 64, 32]").contains("ascending"));
    assert!(fault("l1.carveouts_kib=[0, 96, 128]").contains("leaves at least one"));
    assert_eq!(
        faults("v100", &["l2.slices=63"]).len(),
        2,
        "bytes and channels both"
    );
    assert!(fault("dram.channels=60").contains("l2.slices = 64"));
    assert!(fault("sm.warps_max=62").contains("multiple of sm.sub_cores"));
    assert!(fault("dram.write_high=145").contains("at most dram.write_queue = 144"));
    assert!(fault("dram.write_low=124").contains("below dram.write_high"));
    assert!(fault("noc.coalescer_entries=5").contains("a multiple of noc.coalescer_ways = 4"));
    assert!(fault("noc.request_latency=19").contains("20 to 4000 cycles"));
    assert!(fault("launch.cta_end=19").contains("20 to 20000 cycles"));
    assert!(fault("sm.sub_cores=2").contains("allowed: 4 to 4"));
    assert!(fault("noc.coalescer_joins=7").contains("0 to 6"));
    assert!(fault("gpu.compute_capability=75").contains("[70, 72] for gpu.architecture = volta"));
}

/// Each pair of keys broke, hung or falsified a run when one of them was set against the other.
#[test]
fn keys_that_contradict_each_other_are_refused_with_both_names() {
    let table: &[(&str, &[&str], &str)] = &[
        (
            "t4",
            &["sm.latency.predicate_to_branch=1"],
            "sm.latency.set_predicate",
        ),
        ("v100", &["l1.hit_latency=3"], "lsu.frontend_cycles"),
        ("v100", &["smem.load_latency=3"], "lsu.frontend_cycles"),
        ("v100", &["sm.latency.shuffle=3"], "lsu.frontend_cycles"),
        (
            "v100",
            &[
                "l2.bytes=1 TiB",
                "l2.slices=1",
                "dram.channels=1",
                "l2.ways=256",
            ],
            "l2.slices",
        ),
        ("a100-80", &["l2.mshrs=1"], "l2.replicate_far"),
        ("a100-80", &["noc.far_extra=1"], "l2.replicate_far"),
        (
            "v100",
            &["sm.registers=1024", "sm.warp_alloc_unit=8"],
            "sm.warp_alloc_unit",
        ),
        (
            "v100",
            &["smem.alloc_unit_bytes=65536"],
            "smem.alloc_unit_bytes",
        ),
    ];
    for (gpu, sets, other) in table {
        let faults = faults(gpu, sets);
        assert_eq!(faults.len(), 1, "{sets:?}: {faults:?}");
        let key = sets[0].split('=').next().unwrap();
        let named = faults[0].contains(key) || key.starts_with("smem");
        assert!(named && faults[0].contains(other), "{faults:?}");
    }
}

/// A rule is skipped while a key that it reads is a placeholder, and no other rule is.
#[test]
fn a_bad_key_hides_only_the_rules_that_read_it() {
    let sets = [
        "sm.latency.set_predicate=0",
        "sm.latency.predicate_to_branch=1",
        "sm.warps_max=63",
        "dram.write_low=2000",
        "dram.write_high=145",
    ];
    let faults = faults("v100", &sets);
    let keys: Vec<&str> = faults
        .iter()
        .map(|f| f.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "sm.latency.set_predicate",
            "sm.warps_max",
            "dram.write_high"
        ],
        "{faults:?}"
    );
}

/// Every rule names declared keys, so that a renamed key cannot leave one behind.
#[test]
fn rules_read_keys_that_exist() {
    let docs = key_docs();
    for rule in rules::all() {
        for key in [&[rule.key], rule.with].concat() {
            assert!(docs.iter().any(|doc| doc.key == key), "{key}");
        }
    }
}

#[test]
fn overrides_take_units_and_toml() {
    let sets = [
        "l2.bytes=3 MiB",
        "l2.ways=12",
        "sm.latency.fp32=5",
        "noc.request_latency=40 ns",
        "noc.gpc_offsets=[1,2]",
        "sm.tensor.latency.\"HMMA.884.F16\"=7",
        "l1.enabled=false",
    ];
    let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
    let spec = load("v100", &sets).unwrap().spec;
    assert_eq!(spec.l2.bytes, 3 << 20);
    assert_eq!(spec.sm.latency.fp32, 5);
    assert_eq!(spec.noc.request_latency, 55);
    assert_eq!(spec.noc.gpc_offsets, [1, 2]);
    assert!(!spec.l1.enabled);
    let row = spec
        .sm
        .tensor
        .latency
        .iter()
        .find(|r| r.opcode == "HMMA.884.F16")
        .unwrap();
    assert_eq!(row.cycles, 7);
}

#[test]
fn names_that_nobody_knows_get_a_hint() {
    let message = |gpu: &str| load(gpu, &[]).unwrap_err().to_string();
    assert!(message("v10").contains("did you mean "));
    assert!(message("no/such.toml").contains("no/such.toml"));
    let base = load_text("base = \"volt\"").unwrap_err().to_string();
    assert!(base.contains("did you mean volta?"), "{base}");
    assert_eq!(load("v10", &[]).unwrap_err().exit_status(), 2);
}

#[test]
fn a_file_without_base_reports_every_missing_key() {
    let Err(Error::Config { faults, .. }) = load_text("") else {
        panic!()
    };
    assert!(faults.len() > 150);
    assert!(faults.iter().all(|f| f.contains("is missing: allowed: ")));
}

#[test]
fn the_echo_loads_to_the_same_machine() {
    for name in names() {
        let first = load(name, &[]).unwrap();
        let text = toml::to_string(&first.echo).unwrap();
        let second = load_text(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(first.hash, second.hash, "{name}");
        assert_eq!(first.spec, second.spec, "{name}");
        assert_eq!(first.echo, second.echo, "{name}");
    }
}

#[test]
fn every_key_has_a_sentence_and_is_echoed() {
    let echo = load("v100", &[]).unwrap().echo;
    let docs = key_docs();
    assert!(docs.len() > 150);
    for doc in docs {
        assert!(!doc.doc.is_empty(), "{}", doc.key);
        let pointer = format!("/{}", doc.key.replace('.', "/"));
        assert!(echo.pointer(&pointer).is_some(), "{}", doc.key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_text_never_panics(text in "[a-z0-9\\[\\]{}=\".,\n -]{0,200}") {
        let _ = load_text(&text);
    }

    #[test]
    fn random_overrides_never_panic(index in 0usize..400, value in "[-a-zA-Z0-9 .\"\\[\\],]{0,20}") {
        let docs = key_docs();
        let key = &docs[index % docs.len()].key;
        let _ = load("a100-80", &[format!("{key}={value}")]);
    }

    /// Any number either changes exactly its key and loads again to the same hash, or is refused.
    #[test]
    fn accepted_overrides_survive_the_echo(index in 0usize..400, value in 0u64..3000) {
        let docs = key_docs();
        let key = &docs[index % docs.len()].key;
        if let Ok(first) = load("h100-sxm", &[format!("{key}={value}")]) {
            let second = load_text(&toml::to_string(&first.echo).unwrap()).unwrap();
            prop_assert_eq!(first.hash, second.hash);
        }
    }
}

#[test]
fn address_translation_that_is_not_compiled_in_is_refused_by_its_feature() {
    let loaded = load("a100-80", &["tlb.enabled=true".to_owned()]);
    if cfg!(feature = "memory-research") {
        assert!(loaded.unwrap().spec.tlb.enabled);
        return;
    }
    let refused = loaded.unwrap_err();
    assert_eq!(refused.exit_status(), 2);
    let text = refused.to_string();
    assert!(text.contains("tlb.enabled"), "{text}");
    assert!(text.contains("--features memory-research"), "{text}");
}

#[test]
fn a_policy_that_is_not_compiled_in_is_refused_by_its_feature() {
    for key in ["l1.replacement", "l2.replacement"] {
        for policy in ["brrip", "drrip"] {
            let loaded = load("v100", &[format!("{key}={policy}")]);
            if cfg!(feature = "cache-research") {
                assert!(loaded.is_ok(), "{key}={policy}");
                continue;
            }
            let refused = loaded.unwrap_err();
            assert_eq!(refused.exit_status(), 2);
            let text = refused.to_string();
            assert!(text.contains(key), "{text}");
            assert!(text.contains("--features cache-research"), "{text}");
            assert!(text.contains("one of lru, plru"), "{text}");
        }
    }
}

#[test]
fn components_that_are_not_compiled_in_are_refused_by_their_feature() {
    let architecture = cfg!(feature = "architecture-research");
    let cache = cfg!(feature = "cache-research");
    for (setting, compiled, feature) in [
        ("noc.topology=ideal", architecture, "architecture-research"),
        ("noc.topology=mesh", architecture, "architecture-research"),
        (
            "sm.memory_order=out_of_order",
            architecture,
            "architecture-research",
        ),
        ("sm.scheduler=ccws", architecture, "architecture-research"),
        ("l1.prefetch=stride", cache, "cache-research"),
        ("l1.perfect=true", architecture, "architecture-research"),
        ("l2.perfect=true", architecture, "architecture-research"),
        ("dram.perfect=true", architecture, "architecture-research"),
    ] {
        let loaded = load("a100-80", &[setting.to_owned()]);
        if compiled {
            assert!(loaded.is_ok(), "{setting}");
            continue;
        }
        let refused = loaded.unwrap_err();
        assert_eq!(refused.exit_status(), 2, "{setting}");
        let text = refused.to_string();
        let (key, _) = setting.split_once('=').unwrap();
        assert!(text.contains(key), "{text}");
        assert!(text.contains(&format!("--features {feature}")), "{text}");
    }
}
