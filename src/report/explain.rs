//! What every number of the report means: one catalogue, made of the declarations themselves.

use super::metrics::METRICS;
use super::pipes::PipeUse;
use super::record::Field;
use super::schema::*;
use super::sections::{Cycles, Section, Sections};
use super::translation;
use crate::config;
use crate::stats::tlb::TlbStats;
use crate::stats::{ChipCounters, Counter, Label, Pipe};

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
    all.kernel();
    if config::PROFILING_RESEARCH {
        all.fields("kernels[].power.", PowerInfo::SCHEMA);
    }
    all.fields("kernels[].occupancy.", OccupancyInfo::SCHEMA);
    let counters = ChipCounters::schema();
    for section in Sections::SCHEMA {
        all.section(section, &counters);
    }
    all.metrics();
    all.fields("kernels[].provenance.", Provenance::SCHEMA);
    all.fields("layers[].", Layer::SCHEMA);
    all.fields("layers[].provenance.", Provenance::SCHEMA);
    all.fields("model.", Model::SCHEMA);
    all.fields("model.memory.", ModelMemory::SCHEMA);
    all.fields("totals.", Totals::SCHEMA);
    all.fields("validity.", Validity::SCHEMA);
    all.fields("simulation.", Simulation::SCHEMA);
    if super::features().contains(&translation::FEATURE) {
        all.translation();
    }
    all.0
}

/// The entries of `fields`, whose paths begin with `prefix`.
pub fn entries(prefix: &str, fields: &[Field]) -> Vec<Entry> {
    let mut all = Catalogue::default();
    all.fields(prefix, fields);
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

    fn fields(&mut self, prefix: &str, schema: &[Field]) {
        for field in schema {
            self.add(prefix, field.name, field.unit, field.text, field.formula);
        }
    }

    /// A kernel's own fields; its sections stand among them.
    fn kernel(&mut self) {
        for field in Kernel::SCHEMA {
            if field.name == "power" && !config::PROFILING_RESEARCH {
                continue;
            }
            if field.name != "sections" {
                self.fields("kernels[].", std::slice::from_ref(field));
                continue;
            }
            for section in Sections::SCHEMA {
                self.add("kernels[].", section.name, "", section.text, "");
            }
        }
    }

    /// Counters of `section`, what is derived from them, and how its unit's cycles split; then what is in groups.
    fn section(&mut self, section: &Section, counters: &[Counter]) {
        let prefix = format!("kernels[].{}.", section.name);
        let own = counters.iter().filter_map(|counter| {
            let name = counter.path.strip_prefix(section.name)?.strip_prefix('.')?;
            Some((name, counter))
        });
        let (groups, own): (Vec<_>, Vec<_>) = own.partition(|(name, _)| name.contains('.'));
        for (name, counter) in own {
            self.add(
                &prefix,
                name,
                counter.unit,
                &text_of(section, name, counter),
                "",
            );
        }
        self.fields(&prefix, section.rates);
        for (split, text) in section.splits {
            self.add(&prefix, split, "cycles", text, "");
        }
        for (split, _) in section.splits {
            self.fields(&format!("{prefix}{split}."), Cycles::SCHEMA);
        }
        for (path, counter) in groups {
            let (group, name) = path.rsplit_once('.').unwrap_or(("", path));
            self.add(
                &format!("{prefix}{group}."),
                name,
                counter.unit,
                &counter.text,
                "",
            );
        }
        if section.name == "pipes" {
            self.pipes(&prefix);
        }
    }

    /// `research.memory.tlb`.
    fn translation(&mut self) {
        let prefix = format!("research.{}.tlb.", translation::SECTION);
        for counter in TlbStats::schema() {
            let (group, name) = match counter.path.rsplit_once('.') {
                Some((group, name)) => (format!("{prefix}{group}."), name),
                None => (prefix.clone(), counter.path.as_str()),
            };
            self.add(&group, name, counter.unit, &counter.text, "");
        }
        self.fields(&prefix, translation::TlbRates::SCHEMA);
    }

    fn pipes(&mut self, prefix: &str) {
        for pipe in Pipe::ALL {
            self.add(prefix, pipe.name(), "", pipe.text(), "");
        }
        for pipe in Pipe::ALL {
            self.fields(&format!("{prefix}{}.", pipe.name()), PipeUse::SCHEMA);
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

/// The sentence of a counter. That of a lost issue slot also says whose loss it is.
fn text_of(section: &Section, name: &str, counter: &Counter) -> String {
    let free = [Label::Issued.name(), Label::NoWarp.name()];
    match section.name == "issue" && !free.contains(&name) {
        true => format!(
            "{} The slot has warps, none of them issued, and this holds the one that would have been next.",
            counter.text
        ),
        false => counter.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_in_the_catalogue_with_unit_and_sentence() {
        let all = catalogue();
        for counter in ChipCounters::schema() {
            let path = format!("kernels[].{}", counter.path);
            let entries: Vec<&Entry> = all.iter().filter(|e| e.path == path).collect();
            assert_eq!(entries.len(), 1, "{path}");
            assert!(
                counter.group || !entries[0].unit.is_empty(),
                "{path} has no unit"
            );
            assert!(entries[0].text.len() > 5, "{path} has no sentence");
        }
        let paths: std::collections::BTreeSet<&str> = all.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths.len(), all.len(), "a path is explained twice");
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
