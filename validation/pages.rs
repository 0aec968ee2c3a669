//! The page of a run of kernels has the numbers of its report. How pages look and behave in a browser is tried by
//! scripts/pages.sh.

use super::support::run_with;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::report::page::page;
use serde_json::Value;
use std::process::Command;

/// The tables of a page, as they stand in it.
fn tables(html: &str) -> Vec<Value> {
    let (_, data) = html.split_once("id=data>").expect("the page has data");
    let (data, _) = data.split_once("</script>").expect("which end");
    serde_json::from_str(data).expect("and are JSON")
}

/// Column `name` of `table`.
fn column(table: &Value, name: &str) -> Vec<Value> {
    let columns = table["columns"].as_array().unwrap();
    let at = columns.iter().position(|c| c["name"] == name);
    let at = at.unwrap_or_else(|| panic!("no column {name}"));
    let rows = table["rows"].as_array().unwrap();
    rows.iter().map(|row| row[at].clone()).collect()
}

#[test]
fn the_page_of_a_run_has_the_numbers_of_its_report() {
    let options = Options {
        timeline: Some(500),
        ..Options::default()
    };
    let run = run_with("synth:copy?bytes=256KiB&launches=3", "v100", &[], &options);
    let html = page(&run.report, &run.result, &run.config.spec).render();
    let tables = tables(&html);
    let captions = [
        "Issue slots by label",
        "Kernels of the run",
        "Activity by interval",
        "Warp instructions of each SM, warp instructions/cycle",
        "Sectors asked of each L2 slice, sectors/cycle",
        "Bursts of each DRAM channel, bursts/cycle",
    ];
    assert_eq!(tables.len(), captions.len());
    for caption in captions {
        assert!(html.contains(caption), "{caption}");
    }
    let kernels = &run.report.kernels;
    let cycles: Vec<Value> = kernels.iter().map(|k| k.cycles.into()).collect();
    assert_eq!(column(&tables[1], "cycles"), cycles);
    let ipc: Vec<Value> = kernels.iter().map(|k| k.ipc.into()).collect();
    assert_eq!(column(&tables[1], "IPC"), ipc);
    // Every slot has one label, so that the shares of a kernel make a whole.
    for row in tables[0]["rows"].as_array().unwrap() {
        let shares = row.as_array().unwrap()[2..]
            .iter()
            .filter_map(Value::as_f64);
        let whole: f64 = shares.sum();
        assert!((whole - 100.0).abs() < 1e-6, "{whole}");
    }
    // Issue slots, roofline, two of curves, SMs, slices and channels over time.
    assert_eq!(html.matches("<figure>").count(), 7);
    let intervals = tables[2]["rows"].as_array().unwrap();
    assert!(intervals.len() > 3);
    let spec = &run.config.spec;
    for (table, units) in [(3, spec.sms), (4, spec.l2.slices), (5, spec.dram.channels)] {
        let rows = tables[table]["rows"].as_array().unwrap();
        assert_eq!(rows.len(), usize::from(units));
        let whole = |row: &Value| row.as_array().unwrap().len() == intervals.len() + 1;
        assert!(rows.iter().all(whole));
    }
    // Units sum to the chip at each sample.
    for sample in &run.result.timeline.samples {
        let (units, all) = (&sample.units, &sample.counters);
        let sum = |of: &[u64]| of.iter().sum::<u64>();
        assert_eq!(sum(&units.issued), all.sm.sm.warp_instructions);
        assert_eq!(
            sum(&units.slices),
            all.l2.sector_reads + all.l2.sector_writes
        );
        assert_eq!(sum(&units.channels), all.dram.reads + all.dram.writes);
    }
}

#[test]
fn a_run_without_a_course_in_time_has_a_page_all_the_same() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phantom-gpu"));
    command.args([
        "simulate",
        "synth:gemm?m=256&n=256&k=256",
        "--gpu",
        "v100",
        "--fidelity",
        "roofline",
    ]);
    let output = command.args(["--html", "-"]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let html = String::from_utf8(output.stdout).unwrap();
    assert!(
        html.starts_with("<!doctype html>"),
        "the table goes elsewhere"
    );
    assert!(!html.contains("Over time"));
    assert_eq!(column(&tables(&html)[1], "by"), ["roofline"]);
}
