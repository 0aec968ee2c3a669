//! The border: features by name, sections that explain themselves, instruments that change nothing.

use super::*;

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|n| (*n).to_owned()).collect()
}

/// The command line and the report know a feature by what Cargo calls it.
#[test]
fn every_feature_is_one_of_the_manifest() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    for feature in FEATURES {
        assert!(manifest["features"].get(feature.name).is_some());
        assert_eq!(
            feature.compiled,
            crate::report::features().contains(&feature.name)
        );
    }
}

#[test]
fn an_unknown_feature_and_one_that_is_not_built_are_bad_usage() {
    let error = chosen(&names(&["dram-research", "dram-reserch"])).unwrap_err();
    assert_eq!(error.exit_status(), 2);
    assert!(error.to_string().contains("--features dram-reserch"));
    assert!(error.to_string().contains("cache-research, dram-research"));
    assert_eq!(chosen(&[]).unwrap_err().exit_status(), 2);
    for feature in FEATURES.iter().filter(|f| !f.compiled) {
        let error = chosen(&names(&[feature.name])).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let command = format!("cargo build --release --features {}", feature.name);
        assert!(error.to_string().contains(&command), "{error}");
    }
}

#[test]
fn features_are_chosen_once_and_in_order() {
    let compiled: Vec<&str> = FEATURES
        .iter()
        .filter(|f| f.compiled)
        .map(|f| f.name)
        .collect();
    if !compiled.is_empty() {
        let twice: Vec<&str> = compiled.iter().rev().chain(&compiled).copied().collect();
        assert_eq!(chosen(&names(&twice)).unwrap(), compiled);
    }
}

/// A section that the catalogue has and the list of features has not, or the other way round, would be a feature half
/// built in.
#[test]
fn features_and_instruments_are_the_same() {
    let all = catalogue();
    for feature in FEATURES {
        let prefix = format!("research.{}.", feature.section);
        let explained = all.iter().any(|e| e.path.starts_with(&prefix));
        assert_eq!(explained, feature.compiled, "{}", feature.name);
    }
    let paths: std::collections::BTreeSet<&str> = all.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths.len(), all.len(), "a path is explained twice");
}

#[cfg(any(
    feature = "cache-research",
    feature = "dram-research",
    feature = "gpu-profiling-research"
))]
mod compiled {
    use super::*;
    use crate::session::Session;
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

    fn study(features: &[&'static str], gpu: &str, input: &str, sets: &[&str]) -> Outcome {
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
                assert_eq!(sections, [&feature.section]);
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
                assert!(figure.svg.contains("<polyline"), "{}", figure.name);
            }
        }
    }

    #[cfg(feature = "dram-research")]
    mod dram {
        use super::*;

        /// What banks served is what the channels counted; buffers are the reads among it; latencies are of reads.
        #[test]
        fn the_section_closes_over_the_channels_counters() {
            let input = "synth:gather?per=4&grid=40&span=64MiB";
            let found = study(&["dram-research"], "v100", input, &[]);
            let data = &found.findings[0].data;
            let sum = |list: &str, name: &str| -> u64 {
                let rows = data[list].as_array().unwrap();
                rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
            };
            let dram = &found.report.kernels[0].dram;
            let served = sum("banks", "hits") + sum("banks", "misses") + sum("banks", "conflicts");
            assert_eq!(served, dram.counters.reads + dram.counters.writes);
            assert_eq!(sum("banks", "conflicts"), dram.counters.row_conflicts);
            assert_eq!(sum("banks", "activates"), dram.counters.activates);
            assert_eq!(sum("buffers", "reads"), dram.counters.reads);
            assert_eq!(
                data["latency_percentiles"][3]["count"],
                dram.counters.read_latency_count
            );
            let hits = sum("banks", "hits") as f64 / served as f64;
            assert!((data["row_hit_rate"].as_f64().unwrap() - hits).abs() < 1e-12);
            let banks = data["bank_parallelism"].as_f64().unwrap();
            assert!((1.0..=16.0).contains(&banks), "{banks}");
        }

        /// The run under each scheduler is the one that `dram.scheduler` gives, and FCFS the measure of all.
        #[test]
        fn policies_are_the_cycles_of_the_machine_with_each() {
            let input = "synth:gather?per=4&grid=40&span=64MiB";
            let found = study(&["dram-research"], "v100", input, &[]);
            let policies = found.findings[0].data["policies"].as_array().unwrap();
            let schedulers = crate::config::DramScheduler::ALL;
            assert_eq!(policies.len(), schedulers.len());
            for policy in policies {
                let name = policy["name"].as_str().unwrap();
                let set = format!("dram.scheduler={name}");
                let session = Session::new("v100", &[set]).unwrap();
                let workload = session.open(&[input]).unwrap();
                let report = session.run(&workload, &Options::default()).unwrap().report;
                assert_eq!(policy["cycles"], report.totals.cycles, "{name}");
                if name == "fcfs" {
                    assert_eq!(policy["speedup"], 1.0);
                }
            }
        }
    }
}
