//! Mutated traces and configurations, simulated for some thousand cycles: no panic, no hang, no huge allocation.
//!
//! Seeds count up from 0, so that a run does the same cases as the one before it, as far as its time goes:
//! `FUZZ_SECONDS` (6 by default; 60 in the gate). `FUZZ_CASE=trace:17` runs one case.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a trace's fields may become besides other fields of it.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "8",
    "16",
    "31",
    "32",
    "63",
    "64",
    "127",
    "128",
    "255",
    "256",
    "1000",
    "65535",
    "65536",
    "4294967295",
    "18446744073709551615",
    "-1",
    "ffffffff",
    "0x0",
    "0x7fffffffffff",
    "R0",
    "R254",
    "R255",
    "(1,1,1)",
    "(32,1,1)",
    "(1024,1,1)",
    "LDG.E.128",
    "LDG.E.U8",
    "STG.E.64",
    "LDL.128",
    "STL.128",
    "LD.E",
    "ST.E.128",
    "LDS.U.128",
    "STS.64",
    "LDSM.16.M88.4",
    "LDC",
    "LDGSTS.E.BYPASS.128",
    "ATOMG.E.CAS.64",
    "ATOMS.ADD",
    "RED.E.ADD.F32",
    "BAR.SYNC",
    "BAR.ARV",
    "MEMBAR.SC.SYS",
    "DEPBAR.LE",
    "LDGDEPBAR",
    "NANOSLEEP",
    "TEX",
    "SHFL.IDX",
    "EXIT",
    "BRA",
    "CALL.REL",
    "HGMMA.64x256x16.F32",
    "UTMALDG",
    "SYNCS",
    "HMMA.884.F32",
    "DMMA.884",
    "IMMA.16832.S4",
    "DFMA",
    "MUFU.RCP",
    "CCTL.IVALL",
    "BOGUS",
];

/// A kernel's text.
fn text() -> String {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/traces/tiny_list/kernel-1.traceg.xz"
    );
    let packed = std::fs::File::open(file).expect("part of the repository");
    let mut text = String::new();
    let mut unpacked = liblzma::read::XzDecoder::new(packed);
    unpacked.read_to_string(&mut text).expect("a sound file");
    text
}

/// What kind of field a word is: register, opcode, address, triple, number.
fn kind(word: &str) -> u8 {
    let mut bytes = word.bytes();
    match (bytes.next(), bytes.next()) {
        (Some(b'R'), Some(b'0'..=b'9')) => 0,
        (Some(b'A'..=b'Z'), _) => 1,
        (Some(b'0'), Some(b'x')) => 2,
        (Some(b'('), _) => 3,
        _ => 4,
    }
}

/// Another word in the place of `word`: most of the time one of its kind, from another line or the list.
fn another<'a>(word: &str, donor: &'a str, random: &mut Pcg64) -> &'a str {
    let donors: Vec<&str> = donor.split(' ').collect();
    let mut new = "";
    for _ in 0..random.random_range(1..20) {
        new = match random.random_range(0..3) {
            0 => donors[random.random_range(0..donors.len())],
            _ => WORDS[random.random_range(0..WORDS.len())],
        };
        if kind(new) == kind(word) {
            break;
        }
    }
    new
}

/// One to four changes of fields, lines and bytes.
fn mutated_text(text: &str, random: &mut Pcg64) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..lines.len());
        let other = random.random_range(0..lines.len());
        match random.random_range(0..12) {
            0 => lines.swap(at, other),
            1 => lines.insert(at, lines[other].clone()),
            2 if lines.len() > 1 => drop(lines.remove(at)),
            _ => {
                let mut fields: Vec<&str> = lines[at].split(' ').collect();
                let field = random.random_range(0..fields.len());
                let donor = &lines[other];
                fields[field] = another(fields[field], donor, random);
                lines[at] = fields.join(" ");
            }
        }
    }
    let mut bytes = lines.join("\n").into_bytes();
    if random.random_range(0..8) == 0 {
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
    }
    bytes
}

/// One to three other bytes in an index.
fn mutated_index(index: &[u8], random: &mut Pcg64) -> Vec<u8> {
    let mut bytes = index.to_vec();
    for _ in 0..random.random_range(1..=3) {
        let at = random.random_range(0..bytes.len());
        bytes[at] = match random.random_range(0..3) {
            0 => random.random_range(0..5),
            1 => bytes[at] ^ 1 << random.random_range(0..8),
            _ => random.random_range(0..=255),
        };
    }
    let mut data = vec![bodies::INDEX];
    data.append(&mut bytes);
    data
}

/// Every key of the tiny GPU with its value.
fn keys() -> Vec<(String, Value)> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(&format!("{prefix}.{key}"), value, out);
                }
            }
            other => out.push((prefix.trim_start_matches('.').to_owned(), other.clone())),
        }
    }
    let session = phantom_gpu::session::Session::new(bodies::TINY_GPU, &bodies::TINY);
    let mut out = Vec::new();
    walk(
        "",
        &session.expect("a sound configuration").config().echo,
        &mut out,
    );
    out
}

/// A kernel's number and up to five keys with other values.
fn mutated_config(keys: &[(String, Value)], random: &mut Pcg64) -> Vec<u8> {
    let mut data = vec![random.random_range(0..bodies::KERNELS.len()) as u8];
    for _ in 0..random.random_range(1..=5) {
        let (key, value) = &keys[random.random_range(0..keys.len())];
        let other = match value {
            Value::Bool(on) => (!on).to_string(),
            Value::Number(n) => {
                let n = n.as_u64().unwrap_or(1);
                let choices = [
                    0,
                    1,
                    2,
                    3,
                    4,
                    n / 2,
                    n.saturating_sub(1),
                    n + 1,
                    2 * n,
                    8 * n,
                    255,
                ];
                choices[random.random_range(0..choices.len())].to_string()
            }
            // A word or a list of another key is a fault most of the time, and the same kind at times.
            _ => {
                let others: Vec<&Value> = keys
                    .iter()
                    .map(|(_, v)| v)
                    .filter(|v| {
                        v.is_string() == value.is_string() && !v.is_number() && !v.is_boolean()
                    })
                    .collect();
                others[random.random_range(0..others.len())].to_string()
            }
        };
        data.extend_from_slice(format!("{key}={other}\n").as_bytes());
    }
    data
}

/// The case that runs: its name and when it began.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);
/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(60);
/// More memory than any case needs, kibibytes.
const RSS_MAX_KIB: u64 = 3 << 20;

fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let running = RUNNING.lock().map(|r| r.clone()).unwrap_or_default();
            if let Some((case, begun)) = running
                && begun.elapsed() > CASE_MAX
            {
                eprintln!("FUZZ_CASE={case} runs for more than {CASE_MAX:?}");
                std::process::exit(1);
            }
        }
    });
}

/// The most memory that the process had, kibibytes; 0 where the system does not say.
fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let number = line.and_then(|l| l.split_ascii_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn what_is_accepted_can_be_simulated() {
    watch();
    let (text, index, keys) = (text(), bodies::index(), keys());
    let run = |kind: &str, seed: u64| {
        let mut random = Pcg64::seed_from_u64(seed);
        match kind {
            "trace" => bodies::simulate_trace(&mutated_text(&text, &mut random)),
            "index" => bodies::simulate_trace(&mutated_index(&index, &mut random)),
            _ => bodies::simulate_config(&mutated_config(&keys, &mut random)),
        }
    };
    if let Ok(case) = std::env::var("FUZZ_CASE") {
        let (kind, seed) = case.split_once(':').expect("KIND:SEED");
        let accepted = run(kind, seed.parse().expect("a number"));
        eprintln!("{case}: accepted {accepted}");
        return;
    }
    let seconds = std::env::var("FUZZ_SECONDS").map_or(6, |s| s.parse().expect("a number"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut accepted = [0u64; 3];
    let mut failed = Vec::new();
    let mut seed = 0;
    while Instant::now() < end && failed.len() < 20 {
        for (accepted, kind) in accepted.iter_mut().zip(["trace", "index", "config"]) {
            let case = format!("{kind}:{seed}");
            let before = peak_rss_kib();
            *RUNNING.lock().expect("no panic holds it") = Some((case.clone(), Instant::now()));
            match catch_unwind(AssertUnwindSafe(|| run(kind, seed))) {
                Ok(was) => *accepted += u64::from(was),
                Err(_) => failed.push(format!("FUZZ_CASE={case} panics")),
            }
            if peak_rss_kib() > RSS_MAX_KIB && before <= RSS_MAX_KIB {
                failed.push(format!("FUZZ_CASE={case} takes {} KiB", peak_rss_kib()));
            }
        }
        seed += 1;
    }
    *RUNNING.lock().expect("no panic holds it") = None;
    eprintln!("{seed} seeds; accepted traces, indices, configurations: {accepted:?}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // A mutator whose work is always refused tests nothing.
    assert!(
        accepted.iter().all(|n| 20 * n > seed),
        "{accepted:?} of {seed}"
    );
}
