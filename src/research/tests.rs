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

#[cfg(any(feature = "cache-research", feature = "dram-research"))]
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

        /// A copy reads one of its arrays, each sector once, and only writes the other.
        #[test]
        fn a_copy_reads_the_sectors_of_one_array() {
            let found = study(&["dram-research"], "v100", "synth:copy?bytes=1MiB", &[]);
            let buffers = found.findings[0].data["buffers"].as_array().unwrap();
            assert_eq!(buffers.len(), 1);
            assert_eq!(buffers[0]["buffer"], "array 0");
            assert_eq!(buffers[0]["reads"], 32768);
        }

        /// A chase has one request in DRAM at a time: one bank at work, whichever it is.
        #[test]
        fn a_chase_keeps_one_bank_busy() {
            let input = "synth:pchase?bytes=32MiB&stride=4096&iters=300&warmup=0&cache=l2";
            let found = study(&["dram-research"], "v100", input, &[]);
            let data = &found.findings[0].data;
            assert_eq!(data["buffers"][0]["reads"], 300);
            assert_eq!(data["buffers"][0]["bank_parallelism"], 1.0);
            // One after the other, no scheduler has a choice.
            let policies = data["policies"].as_array().unwrap();
            assert!(policies.iter().all(|p| p["speedup"] == 1.0), "{policies:?}");
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

    #[cfg(feature = "cache-research")]
    mod cache {
        use super::*;

        fn section(gpu: &str, input: &str, sets: &[&str]) -> (Json, Report) {
            let found = study(&["cache-research"], gpu, input, sets);
            (found.findings[0].data.clone(), found.report)
        }

        fn number(data: &Json, pointer: &str) -> u64 {
            data.pointer(pointer).and_then(Json::as_u64).unwrap()
        }

        fn real(data: &Json, pointer: &str) -> f64 {
            data.pointer(pointer).and_then(Json::as_f64).unwrap()
        }

        fn sum(data: &Json, list: &str, name: &str) -> u64 {
            let rows = data.pointer(list).and_then(Json::as_array).unwrap();
            rows.iter().map(|row| row[name].as_u64().unwrap()).sum()
        }

        /// Whatever the kernel: outcomes, distances and sets sum to the same loads, causes to the counter of refusals,
        /// stalls to those by cause, and what L2 was asked for is what L2 counted.
        #[test]
        fn the_section_closes_over_the_counters() {
            for (gpu, input, sets) in [
                (
                    "v100",
                    "synth:gather?per=4&grid=40&span=1MiB",
                    &["l1.mshrs=8"][..],
                ),
                (
                    "v100",
                    "synth:gather?per=16&grid=40&span=4KiB",
                    &["l1.mshr_merges=1"],
                ),
                (
                    "a100-80",
                    "synth:gather?per=4&grid=60&span=64KiB",
                    &["l1.miss_queue_entries=1"],
                ),
                (
                    "v100",
                    "synth:gather?per=8&grid=40&span=32KiB",
                    &["l1.allocate=on_miss", "l1.ways=2"],
                ),
            ] {
                let (data, report) = section(gpu, input, sets);
                let kernel = &report.kernels[0];
                let (l1, l2) = (&kernel.l1.counters, &kernel.l2.counters);
                let outcome = |name: &str| number(&data, &format!("/loads/{name}"));
                let loads = outcome("hits")
                    + outcome("merged")
                    + outcome("sector_misses")
                    + outcome("line_misses");
                assert!(loads > 0);
                assert_eq!(sum(&data, "/set_pressure", "loads"), loads);
                let misses = sum(&data, "/set_pressure", "line_misses");
                assert_eq!(misses, outcome("line_misses"));
                let accesses = |level: &str| {
                    sum(&data, &format!("/reuse_distance/{level}"), "accesses")
                        + number(&data, &format!("/without_reuse_distance/{level}"))
                };
                assert_eq!(accesses("l1"), loads, "{input}: no store stays");
                assert_eq!(accesses("l2"), l2.requests);
                let rate = |group: &str| -> f64 {
                    let causes = data[group].as_object().unwrap().values();
                    causes.map(|v| v.as_f64().unwrap()).sum::<f64>()
                };
                let sms = report.config.keys["gpu"]["sms"].as_f64().unwrap();
                let kcycles = sms * report.totals.cycles as f64 / 1e3;
                let close = |rate: f64, count: u64| {
                    let count = count as f64;
                    assert!(
                        (rate * kcycles - count).abs() < 1e-6 * count + 1e-6,
                        "{input}"
                    );
                };
                close(
                    rate("reservation_failures_per_kcycle"),
                    l1.reservation_fails,
                );
                let stalls = l1.fail_line_alloc_cycles
                    + l1.fail_miss_queue_cycles
                    + l1.fail_mshr_entries_cycles
                    + l1.fail_mshr_merges_cycles;
                close(rate("stall_cycles_per_kcycle"), stalls);
                assert!(l1.reservation_fails > 0, "{input}: nothing to count");
            }
        }

        /// The registers that a kernel takes: a chase has one line in flight at a time, from the miss to the fill. All
        /// of its loads take the same time, so the integral is the number of misses times that time.
        #[test]
        fn a_chase_has_one_register_for_the_time_of_a_miss() {
            let input =
                "synth:pchase?bytes=256KiB&stride=128&iters=500&warmup=0&cache=all&order=linear";
            let (data, report) = section("v100", input, &[]);
            let loads = &data["loads"];
            assert_eq!(loads["line_misses"], 500);
            assert_eq!(loads["merged"], 0);
            let spans = data["mshr_occupancy"].as_array().unwrap();
            let peak = spans.iter().map(|s| s["peak"].as_u64().unwrap()).max();
            assert_eq!(peak, Some(1));
            let cycles = real(&data, "/mshr_mean") * 80.0 * report.totals.cycles as f64;
            let each = cycles / 500.0;
            // Between a hit in L2 and a miss, and less than the time of a load, which has its way through the pipe besides.
            let load = report.totals.cycles as f64 / 500.0;
            assert!(each > 150.0 && each < load, "{each} of {load}");
            assert_eq!(data["loads_per_mshr"], 1.0);
        }

        /// Eight loads of eight lines fill eight registers, and none is refused; with seven the eighth load waits.
        #[test]
        fn as_many_registers_as_lines_refuse_nothing_and_one_fewer_does() {
            let input = "synth:gather?per=8&grid=1&block=1&span=1GiB";
            let refused = |registers: u32| {
                let (data, report) = section("v100", input, &[&format!("l1.mshrs={registers}")]);
                let causes = data["reservation_failures_per_kcycle"].as_object().unwrap();
                let others = causes.iter().filter(|(cause, _)| *cause != "mshr_entry");
                assert!(others.into_iter().all(|(_, rate)| *rate == 0.0));
                assert_eq!(data["loads"]["line_misses"], 8);
                let spans = data["mshr_occupancy"].as_array().unwrap();
                let peak = spans.iter().map(|s| s["peak"].as_u64().unwrap()).max();
                assert_eq!(peak, Some(registers.min(8).into()));
                let rate = causes["mshr_entry"].as_f64().unwrap();
                (rate * 80.0 * report.totals.cycles as f64 / 1e3).round()
            };
            assert_eq!(refused(8), 0.0);
            assert_eq!(refused(7), 1.0);
        }

        /// One thread, one load at a time: the hits of a fully associative LRU cache are exactly those that the
        /// histogram predicts.
        #[test]
        fn distances_predict_the_hits_of_a_fully_associative_l1() {
            for bytes in [64, 96, 160] {
                let input = format!(
                    "synth:pchase?bytes={bytes}KiB&stride=128&iters=400&warmup=1&cache=all"
                );
                let sets = ["l1.ways=1024", "l1.replacement=lru"];
                let (data, _) = section("v100", &input, &sets);
                let rows = data.pointer("/reuse_distance/l1").unwrap();
                let rows = rows.as_array().unwrap();
                let fits = |row: &&Json| row["to"].as_u64() < Some(1024);
                let fitting = rows.iter().rev().find(fits);
                let predicted = fitting.map_or(0, |row| row["lru_hits"].as_u64().unwrap());
                assert_eq!(data["loads"]["hits"], predicted, "{bytes} KiB");
                assert_eq!(predicted, if bytes < 128 { 400 } else { 0 });
            }
        }

        /// A kernel that reads everything once fetches nothing twice, and a copy writes whole sectors.
        #[test]
        fn a_copy_streams_and_covers_its_sectors() {
            let (data, _) = section("v100", "synth:copy?bytes=1MiB", &[]);
            assert_eq!(data["streaming_efficiency"], 1.0);
            assert_eq!(data["write_mask_coverage"], 1.0);
            assert_eq!(data["l2_write_mask_coverage"], 1.0);
            // Each of 2 x 8192 lines belongs to one SM.
            let rows = data["line_sharing"].as_array().unwrap();
            assert_eq!((rows.len(), &rows[0]["lines"]), (1, &Json::from(16384)));
        }
    }
}
