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
    let few: &[&str] = match features.contains(&architecture::FEATURE) {
        true => &["larger-l1", "half-sms"],
        false => &[],
    };
    study_of(features, gpu, input, sets, few, None)
}

/// The same, on these variants and with slopes of these parameters.
pub fn study_of(
    features: &[&'static str],
    gpu: &str,
    input: &str,
    sets: &[&str],
    variants: &[&str],
    slopes: Option<&[&str]>,
) -> Outcome {
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let slopes = slopes.map(words);
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
        architecture: architecture::Wanted::read(&words(variants), slopes.as_deref(), gpu).unwrap(),
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
            let drawn = svg.contains("<polyline") || svg.contains("<rect");
            assert!(drawn, "{}", figure.name);
        }
    }
}
