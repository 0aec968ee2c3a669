//! Names and units of metrics, as NVIDIA's tools spell them, to those of the report.

use crate::report::metrics::{METRICS, Metric};

/// The metric of the report with this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Labels of Nsight Compute's details page, and nvprof's metrics, that mean a metric of the report.
const LABELS: &[(&str, &str)] = &[
    ("Duration", "gpu__time_duration.sum"),
    ("Elapsed Cycles", "gpc__cycles_elapsed.max"),
    ("SM Active Cycles", "sm__cycles_active.avg"),
    (
        "Executed Ipc Active",
        "sm__inst_executed.avg.per_cycle_active",
    ),
    (
        "Executed Ipc Elapsed",
        "sm__inst_executed.avg.per_cycle_elapsed",
    ),
    (
        "Issue Slots Busy",
        "smsp__issue_active.avg.pct_of_peak_sustained_active",
    ),
    ("Memory Throughput", "dram__bytes.sum.per_second"),
    (
        "Achieved Occupancy",
        "sm__warps_active.avg.pct_of_peak_sustained_active",
    ),
    (
        "Achieved Active Warps Per SM",
        "sm__warps_active.avg.per_cycle_active",
    ),
    ("Executed Instructions", "smsp__inst_executed.sum"),
    ("Issued Instructions", "smsp__inst_issued.sum"),
    (
        "Avg. Not Predicated Off Threads Per Warp",
        "smsp__thread_inst_executed_pred_on_per_inst_executed.ratio",
    ),
    ("inst_executed", "smsp__inst_executed.sum"),
    ("inst_issued", "smsp__inst_issued.sum"),
    ("thread_inst_executed", "smsp__thread_inst_executed.sum"),
    ("elapsed_cycles_sm", "sm__cycles_elapsed.sum"),
    ("active_cycles", "sm__cycles_active.sum"),
    ("warps_launched", "smsp__warps_launched.sum"),
    ("ipc", "sm__inst_executed.avg.per_cycle_active"),
    ("dram_read_transactions", "dram__sectors_read.sum"),
    ("dram_write_transactions", "dram__sectors_write.sum"),
    ("dram_read_bytes", "dram__bytes_read.sum"),
    ("dram_write_bytes", "dram__bytes_write.sum"),
    ("dram_read_throughput", "dram__bytes_read.sum.per_second"),
    ("dram_write_throughput", "dram__bytes_write.sum.per_second"),
    (
        "l2_tex_read_transactions",
        "lts__t_sectors_srcunit_tex_op_read.sum",
    ),
    (
        "l2_tex_write_transactions",
        "lts__t_sectors_srcunit_tex_op_write.sum",
    ),
    (
        "gld_transactions",
        "l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum",
    ),
    (
        "gst_transactions",
        "l1tex__t_sectors_pipe_lsu_mem_global_op_st.sum",
    ),
];

/// The metric of the report that `name` means.
pub fn named(name: &str) -> Option<&'static Metric> {
    let meant = LABELS.iter().find(|(label, _)| *label == name);
    metric(meant.map_or(name, |(_, meant)| meant))
}

/// Labels that mean something else in another unit, which no report has: the throughput of the speed-of-light section is
/// the share of a peak.
const ELSEWHERE: &[(&str, &str)] = &[("Memory Throughput", "%")];

/// Whether the label `name` in `unit` is the metric of another section than the one that [`named`] knows.
pub fn is_elsewhere(name: &str, unit: &str) -> bool {
    ELSEWHERE.contains(&(name, unit.trim()))
}

/// Sizes of prefixes, decimal as the tools have them, and those of two.
const PREFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("K", 1e3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
];
/// How a second is spelt.
const SECONDS: &[&str] = &["s", "sec", "second", "seconds"];
/// Prefixes of times, in nanoseconds; both letters that look like a mu are in use.
const OF_TIME: &[(&str, f64)] = &[
    ("", 1e9),
    ("m", 1e6),
    ("milli", 1e6),
    ("u", 1e3),
    ("\u{b5}", 1e3),
    ("\u{3bc}", 1e3),
    ("micro", 1e3),
    ("n", 1.0),
    ("nano", 1.0),
    ("p", 1e-3),
    ("pico", 1e-3),
];
/// What is counted, which needs no factor; the report's unit, and how the tools spell it.
const COUNTS: &[(&str, &[&str])] = &[
    ("cycles", &["cycle", "cycles", "clk"]),
    ("sectors", &["sector", "sectors"]),
    ("warp instructions", &["inst", "instr", "warp"]),
    ("thread instructions", &["inst", "instr", "thread"]),
    ("instructions/cycle", &["inst/cycle", "inst/clk"]),
    ("warps", &["warp", "warps", "warp/cycle"]),
    ("CTAs", &["block", "CTA", "cta"]),
    ("threads", &["thread", "threads", "thread/inst"]),
    (
        "passes",
        &["wavefront", "wavefronts", "conflict", "conflicts"],
    ),
    ("%", &["%", "percent"]),
];

/// What a number in `unit` must be multiplied with to be one in `target`, a unit of the report; nothing where they measure
/// different things. An empty unit is that of the report.
pub fn factor(unit: &str, target: &str) -> Option<f64> {
    let unit = unit.trim();
    if unit.is_empty() || unit == target {
        return Some(1.0);
    }
    match target {
        "ns" => nanoseconds(unit),
        "bytes" => bytes(unit),
        "bytes/s" => {
            let (amount, time) = unit.rsplit_once('/')?;
            Some(bytes(amount)? * 1e9 / nanoseconds(time)?)
        }
        _ => {
            let (_, names) = COUNTS.iter().find(|(name, _)| *name == target)?;
            if names.contains(&unit) {
                return Some(1.0);
            }
            let prefix = PREFIXES.iter().find(|(prefix, _)| {
                unit.strip_prefix(prefix)
                    .is_some_and(|rest| names.contains(&rest))
            });
            prefix.map(|(_, size)| *size)
        }
    }
}

fn nanoseconds(unit: &str) -> Option<f64> {
    let of = OF_TIME.iter().find(|(prefix, _)| {
        unit.strip_prefix(prefix)
            .is_some_and(|rest| SECONDS.contains(&rest))
    });
    of.map(|(_, size)| *size)
}

fn bytes(unit: &str) -> Option<f64> {
    let is_byte = |name: &str| matches!(name, "byte" | "bytes" | "B");
    if is_byte(unit) {
        return Some(1.0);
    }
    let prefix = PREFIXES
        .iter()
        .find(|(prefix, _)| unit.strip_prefix(prefix).is_some_and(is_byte));
    prefix.map(|(_, size)| *size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_means_a_metric_and_every_unit_is_known() {
        for (label, meant) in LABELS {
            assert!(metric(meant).is_some(), "{label}");
        }
        for metric in METRICS {
            let known = matches!(metric.unit, "ns" | "bytes" | "bytes/s")
                || COUNTS.iter().any(|(name, _)| *name == metric.unit);
            assert!(known, "{}: {}", metric.name, metric.unit);
        }
    }

    #[test]
    fn units_are_honoured() {
        for (unit, target, expected) in [
            ("usecond", "ns", Some(1e3)),
            ("ms", "ns", Some(1e6)),
            ("Kbyte", "bytes", Some(1e3)),
            ("Gbyte/second", "bytes/s", Some(1e9)),
            ("byte/ns", "bytes/s", Some(1e9)),
            ("\u{b5}s", "ns", Some(1e3)),
            ("\u{3bc}s", "ns", Some(1e3)),
            ("nsecond", "ns", Some(1.0)),
            ("MiB", "bytes", Some(1_048_576.0)),
            ("Kibyte", "bytes", Some(1024.0)),
            ("GiB/s", "bytes/s", Some(1_073_741_824.0)),
            ("Tbyte/second", "bytes/s", Some(1e12)),
            ("Minst", "warp instructions", Some(1e6)),
            ("ss", "ns", None),
            ("GB/s", "bytes/s", Some(1e9)),
            ("Kcycle", "cycles", Some(1e3)),
            ("inst", "warp instructions", Some(1.0)),
            ("", "sectors", Some(1.0)),
            ("byte", "ns", None),
            ("Mhz", "cycles", None),
        ] {
            assert_eq!(factor(unit, target), expected, "{unit} as {target}");
        }
    }
}
