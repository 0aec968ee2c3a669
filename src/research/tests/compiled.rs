//! What every feature keeps to, and each its own laws.

use super::*;
use crate::session::{Options, Session};
use serde_json::Value as Json;

/// Paths of all leaves of `value`; `[]` stands for any element of a list.
fn leaves(path: &str, value: &Json, out: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                leaves(&format!("{path}.{key}"), value, out);
            }
        }
        Json::Array(list) => match list.first() {
            Some(first @ Json::Object(_)) => leaves(&format!("{path}[]"), first, out),
            _ => out.push(path.to_owned()),
        },
        _ => out.push(path.to_owned()),
    }
}

/// What `features` find of `input` on `gpu` with `sets`.
pub fn study(features: &[&'static str], gpu: &str, input: &str, sets: &[&str]) -> Outcome {
    study_with(features, gpu, input, sets, &Besides::default())
}

/// The same with `besides`.
pub fn study_with(
    features: &[&'static str],
    gpu: &str,
    input: &str,
    sets: &[&str],
    besides: &Besides,
) -> Outcome {
    let few: &[&str] = match features.contains(&architecture::FEATURE) {
        true => &["larger-l1", "half-sms"],
        false => &[],
    };
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let wanted = architecture::Wanted::read(&words(few), None, gpu).unwrap();
    run_of((features, gpu, input, sets), besides, wanted)
}

/// The same as [`study`], with `besides`, on the machines that are wanted.
pub fn run_of(
    (features, gpu, input, sets): (&[&'static str], &str, &str, &[&str]),
    besides: &Besides,
    architecture: architecture::Wanted,
) -> Outcome {
    let session = Session::new(gpu, sets).unwrap();
    let workload = session.open(&[input]).unwrap();
    run(&Request {
        session: &session,
        gpu,
        sets: &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        workload: &workload,
        features: features.to_vec(),
        threads: 2,
        max_cycles: None,
        memory_limit: None,
        stop: &AtomicBool::new(false),
        besides,
        architecture,
    })
    .unwrap()
}

/// No instrument changes a cycle or a counter: the kernels are those of a run without any.
#[test]
fn kernels_are_the_same_with_each_instrument_and_without() {
    for (gpu, input) in [
        ("v100", "synth:gather?per=4&grid=40&span=1MiB"),
        ("a100-80", "synth:copy?bytes=256KiB"),
    ] {
        let session = Session::new::<&str>(gpu, &[]).unwrap();
        let workload = session.open(&[input]).unwrap();
        let plain = session.run(&workload, &Options::default()).unwrap().report;
        for feature in FEATURES.iter().filter(|f| f.compiled) {
            let found = study(&[feature.name], gpu, input, &[]);
            assert_eq!(found.report.kernels, plain.kernels, "{}", feature.name);
            let sections: Vec<&&str> = found.report.research.keys().collect();
            let own = FEATURES.iter().filter(|f| f.name == feature.name);
            let mut expected: Vec<&str> = own.map(|f| f.section).collect();
            expected.sort_unstable();
            assert_eq!(sections, expected.iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_leaf_of_every_section_is_explained_and_every_number_has_a_unit() {
    let compiled: Vec<&str> = FEATURES
        .iter()
        .filter(|f| f.compiled)
        .map(|f| f.name)
        .collect();
    let found = study(
        &compiled,
        "v100",
        "synth:gather?per=4&grid=40&span=1MiB",
        &[],
    );
    let all = catalogue();
    for finding in &found.findings {
        let mut paths = Vec::new();
        leaves(
            &format!("research.{}", finding.name),
            &finding.data,
            &mut paths,
        );
        assert!(paths.len() > 10);
        for path in paths {
            let entry = all.iter().find(|e| e.path == path);
            let entry = entry.unwrap_or_else(|| panic!("{path} is not explained"));
            assert!(entry.text.len() > 5, "{path}");
            let pointer = entry.path.replace("[]", "/0").replace('.', "/");
            let pointer = pointer.trim_start_matches("research/");
            let (_, rest) = pointer.split_once('/').unwrap();
            let value = finding.data.pointer(&format!("/{rest}"));
            let number = value.is_some_and(Json::is_number);
            assert!(!number || !entry.unit.is_empty(), "{path} has no unit");
        }
    }
}

/// Exhibits are files by name: two of one name would be one.
#[test]
fn exhibits_have_names_of_their_own_and_cells_for_their_columns() {
    let compiled: Vec<&str> = FEATURES
        .iter()
        .filter(|f| f.compiled)
        .map(|f| f.name)
        .collect();
    let found = study(&compiled, "v100", "synth:copy?bytes=64KiB", &[]);
    for finding in &found.findings {
        let Exhibits { tables, figures } = &finding.exhibits;
        let mut names: Vec<&str> = tables.iter().map(|t| t.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count > 0 && !figures.is_empty());
        for table in tables {
            assert!(table.rows.iter().all(|r| r.len() == table.columns.len()));
        }
        for figure in figures {
            let svg = figure.svg.svg();
            let field = "<path class=heat fill-opacity=1.00 d=\"M";
            let drawn = ["<polyline", "<rect", field];
            assert!(drawn.iter().any(|d| svg.contains(d)), "{}", figure.name);
        }
    }
}

/// Rows of lists by instruction, wherever they are in `value`.
fn by_instruction<'a>(value: &'a Json, out: &mut Vec<&'a Json>) {
    const LISTS: [&str; 6] = [
        "source",
        "coalescing",
        "divergence",
        "branches",
        "requests",
        "shared",
    ];
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                match value {
                    Json::Array(rows) if LISTS.contains(&key.as_str()) => out.extend(rows),
                    _ => by_instruction(value, out),
                }
            }
        }
        Json::Array(list) => list.iter().for_each(|value| by_instruction(value, out)),
        _ => {}
    }
}

/// What is counted by instruction has the line of PTX beside it, where the trace knows it.
#[test]
fn instructions_of_a_recording_have_their_line() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/ptx");
    let ptx = corpus.join("sm_80/08_transpose.ptx");
    let launch = corpus.join("launch/transpose_tiled_conflict.toml");
    let (recorded, _) = crate::ptx::record::record(&ptx, &launch, false, 1).unwrap();
    let file = tempfile::Builder::new().suffix(".pgt").tempfile().unwrap();
    crate::trace::pgt::write_pgt(&recorded, file.path()).unwrap();
    let text = std::fs::read_to_string(&ptx).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let features: Vec<&'static str> = FEATURES
        .iter()
        .filter(|f| f.compiled)
        .map(|f| f.name)
        .collect();
    let found = study(&features, "a100-80", &file.path().to_string_lossy(), &[]);
    let generated = study(&features, "a100-80", "synth:copy?bytes=64KiB", &[]);
    for finding in &found.findings {
        let mut rows = Vec::new();
        by_instruction(&finding.data, &mut rows);
        let placed = rows.iter().filter(|row| row["line"].is_u64());
        for row in placed.clone() {
            let line = row["line"].as_u64().unwrap() as usize;
            assert_eq!(row["source"], lines[line - 1].trim());
        }
        // All but the few that lowering adds.
        assert!(10 * placed.count() >= 9 * rows.len(), "{}", finding.name);
        let tables = finding.exhibits.tables.iter();
        let shown = tables.filter(|t| t.columns.iter().any(|c| c.name == "source"));
        assert_eq!(shown.count() > 0, !rows.is_empty(), "{}", finding.name);
    }
    for finding in &generated.findings {
        let mut rows = Vec::new();
        by_instruction(&finding.data, &mut rows);
        assert!(rows.iter().all(|row| row.get("line").is_none()));
    }
}
