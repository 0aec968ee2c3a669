//! What every number of the report means: one catalogue, made of the declarations themselves.

use super::counters::{BusLabels, DramCounters, ISSUE_TEXTS};
use super::derive::{
    Derived, DramRates, FetchRates, L1Rates, L2Rates, LsuRates, NocRates, SmRates,
};
use super::metrics::METRICS;
use super::schema::*;
use crate::config;
use crate::stats::{FetchStats, L1Stats, L2Stats, Label, LsuStats, NocStats, SmStats};

/// What is known of one number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where it is in the JSON; `[]` stands for any element of a list.
    pub path: String,
    /// Its own name: the last part of the path, or the whole name of a metric.
    pub name: String,
    /// Unit.
    pub unit: &'static str,
    /// Definition.
    pub text: String,
    /// How it is computed, in names of the report; empty for what is counted or given.
    pub formula: String,
    /// Nsight Compute's names for the same number.
    pub nsight: Vec<&'static str>,
}

/// The whole catalogue, in the order of the report.
pub fn catalogue() -> Vec<Entry> {
    let mut all = Catalogue::default();
    all.fields("", Report::SCHEMA);
    all.fields("tool.", Tool::SCHEMA);
    all.configuration();
    all.fields("workload.", WorkloadInfo::SCHEMA);
    all.fields("kernels[].", Kernel::SCHEMA);
    all.fields("kernels[].occupancy.", OccupancyInfo::SCHEMA);
    all.issue();
    all.section("sm", SmStats::SCHEMA, SmRates::SCHEMA);
    all.fields("kernels[].sm.sm_cycles.", Cycles::SCHEMA);
    all.fields("kernels[].pipes.", Pipes::SCHEMA);
    for (pipe, _) in Pipes::SCHEMA {
        all.fields(&format!("kernels[].pipes.{pipe}."), Pipe::SCHEMA);
    }
    all.section("fetch", FetchStats::SCHEMA, FetchRates::SCHEMA);
    all.section("lsu", LsuStats::SCHEMA, LsuRates::SCHEMA);
    all.section("l1", L1Stats::SCHEMA, L1Rates::SCHEMA);
    all.section("noc", NocStats::SCHEMA, NocRates::SCHEMA);
    all.section("l2", L2Stats::SCHEMA, L2Rates::SCHEMA);
    all.fields("kernels[].l2.slice_cycles.", Cycles::SCHEMA);
    all.section("dram", DramCounters::SCHEMA, DramRates::SCHEMA);
    all.fields("kernels[].dram.bus.", BusLabels::SCHEMA);
    all.metrics();
    all.fields("kernels[].provenance.", Provenance::SCHEMA);
    all.fields("layers[].", Layer::SCHEMA);
    all.fields("totals.", Totals::SCHEMA);
    all.fields("validity.", Validity::SCHEMA);
    all.fields("simulation.", Simulation::SCHEMA);
    all.0
}

/// A path as editors, `jq` and JSON pointers spell it, in the spelling of the catalogue: any index of a list
/// becomes `[]`, quotes and brackets around keys become dots.
fn spelling(query: &str) -> String {
    let trimmed = query.trim().trim_start_matches('$');
    // Names have no slash, so one at the start is a JSON pointer.
    let dotted = match trimmed.strip_prefix('/') {
        Some(pointer) => pointer.replace('/', "."),
        None => trimmed.trim_start_matches('.').to_owned(),
    };
    let mut plain = String::new();
    let mut rest = dotted.as_str();
    while let Some(open) = rest.find('[') {
        plain.push_str(&rest[..open]);
        let close = rest[open..].find(']').map_or(rest.len(), |at| open + at);
        let inner = rest[open + 1..close].trim_matches(['"', '\'']);
        plain.push('.');
        plain.push_str(match inner {
            "" | "*" => "0",
            key => key,
        });
        rest = rest.get(close + 1..).unwrap_or("");
    }
    plain.push_str(rest);
    let mut out = String::new();
    for part in plain.split('.').filter(|part| !part.is_empty()) {
        let part = part.trim_matches(['"', '\'']);
        if part.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str("[]");
            continue;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(part);
    }
    out
}

/// Entries that `query` names: by path, by the end of a path, by the start of a metric's name, or as an entry of
/// a map or list that is explained as a whole.
pub fn find<'a>(catalogue: &'a [Entry], query: &str) -> Vec<&'a Entry> {
    let given = query.trim();
    let found = named(catalogue, given);
    if !found.is_empty() {
        return found;
    }
    let spelt = spelling(query);
    let path = spelt.trim_end_matches("[]");
    let metric = path.rsplit_once("metrics.").map_or(path, |(_, name)| name);
    for name in [path, metric] {
        let found = named(catalogue, name);
        if !found.is_empty() {
            return found;
        }
    }
    let above = |e: &&Entry| below(e, path) && !catalogue.iter().any(|other| below(e, &other.path));
    catalogue.iter().filter(above).collect()
}

/// Whether `path` is a part of what `entry` explains: an element of a list or, where nothing below it has an entry
/// of its own, a key of a map, such as an opcode.
fn below(entry: &Entry, path: &str) -> bool {
    path.strip_prefix(entry.path.as_str())
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn named<'a>(catalogue: &'a [Entry], query: &str) -> Vec<&'a Entry> {
    if query.is_empty() {
        return Vec::new();
    }
    let is = |e: &&Entry| {
        e.path == query
            || e.name == query
            || e.path
                .strip_suffix(query)
                .is_some_and(|head| head.ends_with('.'))
    };
    let exact: Vec<&Entry> = catalogue.iter().filter(is).collect();
    if !exact.is_empty() {
        return exact;
    }
    let short = |e: &&Entry| {
        e.name
            .strip_prefix(query)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    catalogue.iter().filter(short).collect()
}

/// A few names that look like `query`.
pub fn similar(catalogue: &[Entry], query: &str) -> Vec<String> {
    let names = || catalogue.iter().map(|e| e.name.as_str());
    let spelt = spelling(query);
    let query = spelt.rsplit(['.', ']']).next().unwrap_or(&spelt);
    let mut out: Vec<String> = config::check::nearest(query, names())
        .map(str::to_owned)
        .into_iter()
        .collect();
    let word = query.to_lowercase();
    for entry in catalogue {
        if out.len() == 6 {
            break;
        }
        let alike = !word.is_empty() && entry.path.to_lowercase().contains(&word);
        if alike && !out.contains(&entry.name) {
            out.push(entry.name.clone());
        }
    }
    out
}

#[derive(Default)]
struct Catalogue(Vec<Entry>);

impl Catalogue {
    fn add(&mut self, prefix: &str, name: &str, unit: &'static str, text: &str, formula: &str) {
        let path = format!("{prefix}{name}");
        let local = path.strip_prefix("kernels[].").unwrap_or(&path).to_owned();
        let nsight = METRICS.iter().filter(|m| m.formula == local);
        self.0.push(Entry {
            nsight: nsight.map(|m| m.name).collect(),
            name: name.to_owned(),
            unit,
            text: text.trim().to_owned(),
            formula: formula.to_owned(),
            path,
        });
    }

    fn fields(&mut self, prefix: &str, schema: &[(&'static str, &'static str)]) {
        for (name, text) in schema {
            let formula = match format!("{prefix}{name}").as_str() {
                "kernels[].time_us" => "1000 cycles / gpu.core_clock_khz",
                "kernels[].ipc" => "warp_instructions / cycles",
                "kernels[].occupancy.theoretical" => "ctas_per_sm x warps_per_cta / sm.warps_max",
                "kernels[].occupancy.achieved" => {
                    "sm.warp_cycles / (sm.active_cycles x sm.warps_max)"
                }
                "kernels[].total_slots" => "gpu.sms x sm.sub_cores x counted_cycles",
                "simulation.warp_instructions_per_s" => "totals.warp_instructions / wall_s",
                "simulation.cycles_per_s" => "totals.cycles / wall_s",
                _ => "",
            };
            self.add(prefix, name, unit(prefix, name, text), text, formula);
        }
    }

    fn section(
        &mut self,
        section: &str,
        counters: &[(&'static str, &'static str)],
        rates: &[Derived],
    ) {
        let prefix = format!("kernels[].{section}.");
        self.fields(&prefix, counters);
        for rate in rates {
            self.add(&prefix, rate.name, rate.unit, rate.text, rate.formula);
        }
        match section {
            "sm" => self.add(&prefix, "sm_cycles", "cycles", "SM cycles by whether a warp was resident; they sum to SMs times counted_cycles.", ""),
            "l2" => self.add(&prefix, "slice_cycles", "cycles", "Slice cycles by whether the data path was busy; they sum to slices times counted_cycles.", ""),
            "dram" => self.add(&prefix, "bus", "CK", "Elapsed cycles by what the data buses did; they sum to dram.cycles.", ""),
            _ => {}
        }
    }

    fn issue(&mut self) {
        for (name, text) in Label::NAMES.iter().zip(ISSUE_TEXTS) {
            let whose = match *name {
                "issued" | "no_warp" => text.to_owned(),
                _ => format!(
                    "{text} The slot has warps, none of them issued, and this holds the one that would have been next."
                ),
            };
            self.add("kernels[].issue.", name, "issue slots", &whose, "");
        }
    }

    fn metrics(&mut self) {
        for metric in METRICS {
            self.0.push(Entry {
                path: format!("kernels[].metrics.\"{}\"", metric.name),
                name: metric.name.to_owned(),
                unit: metric.unit,
                text: format!("Nsight Compute's metric of this name. {}", metric.note)
                    .trim()
                    .to_owned(),
                formula: metric.formula.to_owned(),
                nsight: Vec::new(),
            });
        }
    }

    fn configuration(&mut self) {
        self.add("config.", "hash", "", "Hash of all resolved keys.", "");
        for key in config::key_docs() {
            let (section, name) = key.key.rsplit_once('.').unwrap_or(("", &key.key));
            let prefix = match section {
                "" => "config.".to_owned(),
                _ => format!("config.{section}."),
            };
            let text = format!("{} Configuration key {}.", key.doc.trim(), key.key);
            self.add(&prefix, name, "", &text, "");
        }
    }
}

/// The unit that a field's name or place says.
fn unit(prefix: &str, name: &str, text: &str) -> &'static str {
    let dram = prefix.starts_with("kernels[].dram");
    let ends = |suffix: &str| name.ends_with(suffix);
    match name {
        "thread_instructions" => "thread instructions",
        "ipc" => "instructions/cycle",
        "theoretical" | "achieved" | "unmodelled_share" => "ratio",
        "total_slots" => "issue slots",
        _ if ends("_us") => "us",
        _ if ends("instructions_per_s") => "instructions/s",
        _ if ends("cycles_per_s") => "cycles/s",
        _ if ends("_s") => "s",
        _ if ends("_percent") => "%",
        _ if ends("bytes") => "bytes",
        _ if dram && (ends("cycles") || ends("_sum") || prefix.ends_with("bus.")) => "CK",
        _ if ends("cycles") || ends("_cycle") || prefix.ends_with("_cycles.") => "cycles",
        _ if ends("instructions") || name.starts_with("pipe_") => "warp instructions",
        _ if name.contains("sector") || text.trim().starts_with("Sector") => "sectors",
        _ if ends("passes") => "passes",
        _ if ends("pipe_none") => "warp instructions",
        _ if prefix.starts_with("kernels[].") && prefix.matches('.').count() > 1 => "count",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_in_the_catalogue_with_a_sentence() {
        let all = catalogue();
        for schema in [
            SmStats::SCHEMA,
            L1Stats::SCHEMA,
            L2Stats::SCHEMA,
            NocStats::SCHEMA,
        ] {
            for (name, _) in schema {
                assert!(!find(&all, name).is_empty(), "{name}");
            }
        }
        for entry in &all {
            assert!(entry.text.len() > 3, "{entry:?}");
        }
    }

    #[test]
    fn names_are_found_by_path_and_by_stem() {
        let all = catalogue();
        assert_eq!(find(&all, "l1.sector_hits").len(), 1);
        assert_eq!(find(&all, "smsp__inst_executed").len(), 1);
        let reads = find(&all, "dram.reads");
        assert_eq!(reads[0].nsight, ["dram__sectors_read.sum"]);
        assert!(find(&all, "no_such_counter").is_empty());
        assert!(find(&all, "").is_empty());
        assert!(similar(&all, "l1.sector_hit").contains(&"sector_hits".to_owned()));
    }

    #[test]
    fn a_path_is_found_as_every_tool_spells_it() {
        let all = catalogue();
        for query in [
            "kernels[].l2.read_hits",
            "kernels[0].l2.read_hits",
            "kernels.12.l2.read_hits",
            ".kernels[3].l2.read_hits",
            "$.kernels[*].l2.read_hits",
            "/kernels/0/l2/read_hits",
            "kernels[0][\"l2\"][\"read_hits\"]",
        ] {
            let found = find(&all, query);
            assert_eq!(found.len(), 1, "{query}");
            assert_eq!(found[0].path, "kernels[].l2.read_hits");
        }
        for query in [
            "kernels[0].metrics.smsp__inst_executed.sum",
            "kernels[0].metrics[\"smsp__inst_executed.sum\"]",
            "/kernels/0/metrics/smsp__inst_executed.sum",
        ] {
            assert_eq!(
                find(&all, query)[0].name,
                "smsp__inst_executed.sum",
                "{query}"
            );
        }
        for (query, path) in [
            ("kernels[0].grid[2]", "kernels[].grid"),
            ("layers.0.name", "layers[].name"),
            ("validity.unmodelled[1]", "validity.unmodelled"),
            ("config.l1.carveouts_kib.0", "config.l1.carveouts_kib"),
            (
                "config.sm.tensor.latency.\"HMMA.16816\"",
                "config.sm.tensor.latency",
            ),
        ] {
            assert_eq!(find(&all, query)[0].path, path, "{query}");
        }
        assert!(find(&all, "kernels[0].l2.no_such").is_empty());
    }
}
