//! Address traces of simulations, and one cache alone that is fed with them, as a shell sees both.

use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn phantom_gpu(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_phantom-gpu");
    Command::new(program).args(args).output().unwrap()
}

/// What went to standard output and standard error.
fn succeeds(args: &[&str]) -> (String, String) {
    let out = phantom_gpu(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn fails(args: &[&str], status: i32) -> String {
    let out = phantom_gpu(args);
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(status), "{args:?}: {message}");
    message
}

/// A report without what may differ between two runs.
fn report(path: &Path) -> Json {
    let mut json: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("simulation");
    json
}

const INPUTS: [&str; 3] = [
    "synth:gather?per=4&grid=40&span=64KiB",
    "synth:atomics?grid=4&iters=2",
    "synth:copy?bytes=64KiB&elements=1",
];

#[test]
fn a_trace_has_every_access_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let simulate = |more: &[&str]| {
        let args = [
            &["simulate"],
            &INPUTS[..],
            &["--gpu", "v100", "--json"],
            more,
        ]
        .concat();
        succeeds(&args)
    };
    simulate(&[&text("plain.json")]);
    simulate(&[&text("one.json"), "--address-trace", &text("one.csv")]);
    simulate(&[
        &text("three.json"),
        "--threads",
        "3",
        "--address-trace",
        &text("three.csv"),
    ]);
    let plain = report(&path("plain.json"));
    assert_eq!(plain, report(&path("one.json")));
    assert_eq!(plain, report(&path("three.json")));
    let trace = fs::read_to_string(path("one.csv")).unwrap();
    assert_eq!(trace, fs::read_to_string(path("three.csv")).unwrap());

    // Sectors by operation are those that L1 counts.
    let l1 = |counter: &str| -> u64 {
        let kernels = plain["kernels"].as_array().unwrap();
        kernels
            .iter()
            .map(|k| k["l1"][counter].as_u64().unwrap())
            .sum()
    };
    let sectors = |ops: &[&str]| -> u64 {
        let fields = trace
            .lines()
            .skip(1)
            .map(|row| row.split(',').collect::<Vec<_>>());
        let of = fields.filter(|f| ops.contains(&f[5]));
        of.map(|f| f[4].parse::<u64>().unwrap() / 32).sum()
    };
    assert_eq!(
        trace.lines().next().unwrap(),
        "cycle,sm,pc,address,bytes,op"
    );
    assert_eq!(sectors(&["load"]), l1("sector_reads"));
    assert_eq!(sectors(&["store", "store_part"]), l1("sector_writes"));
    assert_eq!(sectors(&["atomic"]), l1("sector_atomics"));
    assert!(sectors(&["store_part"]) == 0 && sectors(&["atomic"]) > 0);
}

/// One warp after the other on one SM: no miss is on its way when the next access comes, as in a cache alone.
#[test]
fn a_cache_alone_finds_what_l1_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    let set = [
        "--set",
        "l1.unified_bytes=4KiB",
        "--set",
        "l1.ways=4",
        "--set",
        "l1.carveouts_kib=[0]",
    ];
    let set = [
        &set[..],
        &[
            "--set",
            "smem.per_cta_bytes_max=0",
            "--set",
            "smem.reserved_per_cta_bytes=0",
        ],
    ]
    .concat();
    let chase = "synth:pchase?bytes=6KiB&stride=64&iters=600";
    let (trace, json) = (text("t.csv"), text("r.json"));
    for policy in ["lru", "fifo", "srrip", "drrip"] {
        let policy = format!("l1.replacement={policy}");
        let set = [&set[..], &["--set", &policy]].concat();
        let run = [
            "simulate",
            chase,
            "--gpu",
            "v100",
            "--json",
            &json,
            "--address-trace",
            &trace,
        ];
        succeeds(&[&run[..], &set].concat());
        let simulated = report(Path::new(&json));
        let (alone, _) = succeeds(
            &[
                &[
                    "cache", "--config", "v100", "--trace", &trace, "--json", "-",
                ],
                &set[..],
            ]
            .concat(),
        );
        let alone: Json = serde_json::from_str(&alone).unwrap();
        let (l1, found) = (&simulated["kernels"][0]["l1"], &alone["policies"][0]);
        assert_eq!(l1["line_misses"], found["line_misses"], "{policy}");
        assert_eq!(l1["evictions"], found["evictions"], "{policy}");
        assert_eq!(l1["sector_misses"], found["sectors_fetched"], "{policy}");
        assert!(found["line_hits"].as_u64().unwrap() > 0, "{policy}");
    }
}

#[test]
fn all_policies_stand_beside_beladys_bound() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    let mut rows = String::from("cycle,sm,pc,address,bytes,op\n");
    for at in 0..400 {
        rows += &format!("{at},0,16,{},32,load\n", at % 9 * 128);
    }
    fs::write(text("loop.csv"), rows).unwrap();
    let cache = "[l1]\nunified_bytes = 1024\nways = 8\nset_hash = \"linear\"\nreplacement = \"lru\"\n\
        write = \"through_no_allocate\"\nlocal_write = \"back\"\n";
    fs::write(text("l1.toml"), cache).unwrap();
    let unified = "l1.unified_bytes=2048";
    let args = [
        "cache",
        "--config",
        &text("l1.toml"),
        "--trace",
        &text("loop.csv"),
        "--policy",
        "all",
        "--set",
        unified,
    ];
    let args = [&args[..], &["--set", "l1.ways=16"]].concat();
    let (table, _) = succeeds(&args);
    for name in [
        "lru",
        "plru",
        "fifo",
        "srrip",
        "random",
        "evict_first",
        "brrip",
        "drrip",
    ] {
        assert!(
            table.lines().any(|l| l.starts_with(&format!("{name} "))),
            "{name}: {table}"
        );
    }
    // Sixteen ways hold the loop of nine lines; eight do not, and LRU loses every line of it before it comes back.
    assert!(table.contains("391   97.75 %"), "{table}");
    let (json, table) = succeeds(&[&args[..7], &["--json", "-"]].concat());
    assert!(table.contains("of Belady"), "{table}");
    let json: Json = serde_json::from_str(&json).unwrap();
    let hits = |name: &str| {
        let policies = json["policies"].as_array().unwrap();
        policies.iter().find(|p| p["policy"] == name).unwrap()["line_hits"]
            .as_u64()
            .unwrap()
    };
    let bound = json["belady"]["line_hits"].as_u64().unwrap();
    assert_eq!((hits("lru"), hits("fifo")), (0, 0));
    assert!(
        hits("lru") < hits("brrip") && hits("brrip") <= bound,
        "{json}"
    );
    // After the first round Belady misses one access in eight: there is one line more than ways.
    assert_eq!(bound, 400 - 9 - 48);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    for (name, content) in [
        ("empty.csv", ""),
        ("column.csv", "cycle,sm,pc,address,bytes\n"),
        (
            "nan.csv",
            "cycle,sm,pc,address,bytes,op\n0,0,0,NaN,4,load\n",
        ),
        ("none.csv", "cycle,sm,pc,address,bytes,op\n"),
        ("key.toml", "base = \"v100\"\n[l1]\nwayz = 4\n"),
        ("part.toml", "[l1]\nways = 4\n"),
    ] {
        fs::write(text(name), content).unwrap();
    }
    let cache = |config: &str, trace: &str, more: &[&str], status| {
        let (config, trace) = (config.to_owned(), text(trace));
        let args = [&["cache", "--config", &config, "--trace", &trace], more].concat();
        fails(&args, status)
    };
    for (trace, what) in [
        ("empty.csv", "whole file: it is empty"),
        ("column.csv", "line 1: the column \"op\" is missing"),
        ("nan.csv", "line 2: address = \"NaN\""),
        ("none.csv", "whole file: the trace has no access"),
        ("missing.csv", "No such file"),
    ] {
        let message = cache("v100", trace, &["--json", &text("out.json")], 1);
        assert!(
            message.contains(trace) && message.contains(what),
            "{message}"
        );
        assert!(!Path::new(&text("out.json")).exists());
    }
    for (config, more, what) in [
        (
            text("key.toml"),
            &[][..],
            "l1.wayz = 4: no such key; did you mean l1.ways?",
        ),
        (text("part.toml"), &[], "l1.unified_bytes is missing"),
        (
            "l1".into(),
            &[],
            "--config l1: neither a FILE.toml nor a built-in GPU",
        ),
        (
            "v100".into(),
            &["--policy", "opt"],
            "--policy opt: unknown; expected one of lru,",
        ),
        ("v100".into(), &["--sm", "70000"], "70000"),
    ] {
        let message = cache(&config, "none.csv", more, 2);
        assert!(message.contains(what), "{message}");
    }
    let trace = text("t.csv");
    let sampled = [
        "simulate",
        "synth:empty",
        "--gpu",
        "v100",
        "--address-trace",
        &trace,
        "--fidelity",
        "sampled",
    ];
    assert!(fails(&sampled, 2).contains("--address-trace"));
    assert!(!Path::new(&trace).exists());
}
