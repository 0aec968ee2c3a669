//! Raw to checked: reads every section, then the rules between keys, and reports all faults at once.

use super::field::{Field, KeyDoc, Kind, Reader};
use super::raw::RawConfig;
use super::rules::{self, Broken};
use super::trial;
use super::{GpuSpec, L1Spec, l1};
use crate::error::{Error, Result};

/// Checks `raw`; `file` names the configuration as a whole.
///
/// # Errors
/// [`Error::Config`] with one line for each fault.
pub fn check(raw: &RawConfig, file: &str) -> Result<GpuSpec> {
    let mut reader = Reader::new(raw, file);
    let spec = GpuSpec::read(&mut reader, "", Kind::Section);
    report_unknown_keys(raw, &mut reader);
    for rule in rules::all() {
        // After a fault of its own a key is a placeholder.
        if [&[rule.key], rule.with]
            .concat()
            .iter()
            .any(|key| reader.refused(key))
        {
            continue;
        }
        if let Some(Broken { allowed, remedy }) = (rule.broken)(&spec) {
            reader.fault(rule.key, &allowed, &remedy);
        }
    }
    let mut faults = reader.into_faults();
    if faults.is_empty() {
        match trial::build(&spec) {
            Ok(()) => return Ok(spec),
            Err(refused) => faults = refused,
        }
    }
    Err(Error::Config {
        file: file.to_owned(),
        faults,
    })
}

/// The L1 of `raw` for a cache that is alone: the keys `needed` of `[l1]` must be there, and all that are there are
/// checked; `file` names the configuration as a whole.
///
/// # Errors
/// As [`check`].
pub(super) fn check_l1(
    raw: &RawConfig,
    file: &str,
    needed: &'static [&'static str],
) -> Result<L1Spec> {
    let mut reader = Reader::new(raw, file).for_keys(needed);
    let spec = L1Spec::read(&mut reader, "l1", Kind::Section);
    report_unknown_keys(raw, &mut reader);
    let rules = [
        ("l1.unified_bytes", l1::whole_lines(&spec)),
        ("l1.ways", l1::ways(&spec)),
        ("l1.replacement", l1::compiled_in(spec.replacement)),
    ];
    for (key, broken) in rules {
        let refused = ["l1.unified_bytes", key].iter().any(|k| reader.refused(k));
        if let Some(Broken { allowed, remedy }) = broken.filter(|_| !refused) {
            reader.fault(key, &allowed, &remedy);
        }
    }
    let faults = reader.into_faults();
    match faults.is_empty() {
        true => Ok(spec),
        false => Err(Error::Config {
            file: file.to_owned(),
            faults,
        }),
    }
}

/// Every key with its documentation, in declaration order.
pub fn key_docs() -> Vec<KeyDoc> {
    let mut docs = Vec::new();
    GpuSpec::document("", "", Kind::Section, &mut docs);
    docs
}

/// The kind of `key`.
///
/// # Errors
/// A key that nothing declares, in a sentence with a near one.
pub fn kind(key: &str) -> std::result::Result<Kind, String> {
    let docs = key_docs();
    match docs.iter().find(|doc| covers(doc, key)) {
        Some(KeyDoc {
            kind: Kind::OpcodeCycles(min, max),
            ..
        }) => Ok(Kind::Cycles(*min, *max)),
        Some(doc) => Ok(doc.kind),
        None => Err(format!("{key}: no such key; {}", hint(key, &docs))),
    }
}

/// Whether `doc` is that of `key`.
fn covers(doc: &KeyDoc, key: &str) -> bool {
    match doc.kind {
        Kind::OpcodeCycles(..) => key
            .strip_prefix(doc.key.as_str())
            .is_some_and(|rest| rest.starts_with('.') && rest.len() > 1),
        _ => doc.key == key,
    }
}

/// What to do about `key`, which does not exist.
fn hint(key: &str, docs: &[KeyDoc]) -> String {
    match nearest(key, docs.iter().map(|doc| doc.key.as_str())) {
        Some(near) => format!("did you mean {near}?"),
        None => "`phantom-gpu list-hardware --verbose` lists the keys".to_owned(),
    }
}

fn report_unknown_keys(raw: &RawConfig, reader: &mut Reader<'_>) {
    let docs = key_docs();
    let known = |key: &str| docs.iter().any(|doc| covers(doc, key));
    for (key, entry) in raw.iter().filter(|(key, _)| !known(key)) {
        reader.unknown(key, entry, &hint(key, &docs));
    }
}

/// The name closest to `word`, if any is close: other capitals, a few typing errors, or the right last part in the
/// wrong section.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    // Distances of very long words cost time and help nobody.
    if word.len() > 80 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let limit = (word.chars().count() / 4).clamp(1, 4);
    let by_distance = names
        .clone()
        .map(|name| (distance(&word, &name.to_ascii_lowercase()), name))
        .min()
        .filter(|&(distance, _)| distance <= limit)
        .map(|(_, name)| name);
    let last = word.rsplit('.').next().unwrap_or(&word);
    by_distance.or_else(|| {
        names.into_iter().find(|name| {
            name.rsplit('.')
                .next()
                .is_some_and(|own| own.eq_ignore_ascii_case(last))
        })
    })
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
