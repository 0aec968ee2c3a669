//! Raw to checked: reads every section, then the rules between keys, and reports all faults at once.

use super::field::{Field, KeyDoc, Kind, Reader};
use super::raw::RawConfig;
use super::{Architecture, GpuSpec};
use crate::error::{Error, Result};

/// Checks `raw`; `file` names the configuration as a whole.
///
/// # Errors
/// [`Error::Config`] with one line for each fault.
pub fn check(raw: &RawConfig, file: &str) -> Result<GpuSpec> {
    let mut reader = Reader::new(raw, file);
    let spec = GpuSpec::read(&mut reader, "", Kind::Section);
    report_unknown_keys(raw, &mut reader);
    for rule in RULES {
        // A rule looks at numbers that are placeholders after a fault of their own.
        if rule.sections.iter().all(|section| reader.sound(section)) {
            (rule.check)(&spec, &mut reader);
        }
    }
    let faults = reader.into_faults();
    if faults.is_empty() {
        return Ok(spec);
    }
    Err(Error::Config {
        file: file.to_owned(),
        faults,
    })
}

/// Every key with its documentation, in declaration order.
pub fn key_docs() -> Vec<KeyDoc> {
    let mut docs = Vec::new();
    GpuSpec::document("", "", Kind::Section, &mut docs);
    docs
}

fn report_unknown_keys(raw: &RawConfig, reader: &mut Reader<'_>) {
    let docs = key_docs();
    let known = |key: &str| {
        docs.iter().any(|doc| match doc.kind {
            Kind::OpcodeCycles(..) => key
                .strip_prefix(doc.key.as_str())
                .is_some_and(|rest| rest.starts_with('.') && rest.len() > 1),
            _ => doc.key == key,
        })
    };
    for (key, entry) in raw.iter().filter(|(key, _)| !known(key)) {
        let hint = match nearest(key, docs.iter().map(|doc| doc.key.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "`phantom-gpu list-hardware --verbose` lists the keys".to_owned(),
        };
        reader.unknown(key, entry, &hint);
    }
}

/// The name closest to `word`, if any is close: a few typing errors, or the right last part in the
/// wrong section.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    // Distances of very long words cost time and help nobody.
    if word.len() > 80 {
        return None;
    }
    let limit = (word.chars().count() / 4).clamp(1, 4);
    let by_distance = names
        .clone()
        .map(|name| (distance(word, name), name))
        .min()
        .filter(|&(distance, _)| distance <= limit)
        .map(|(_, name)| name);
    let last = word.rsplit('.').next().unwrap_or(word);
    by_distance.or_else(|| {
        names
            .into_iter()
            .find(|name| name.rsplit('.').next() == Some(last))
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

struct Rule {
    /// Sections whose keys the rule reads.
    sections: &'static [&'static str],
    check: fn(&GpuSpec, &mut Reader<'_>),
}

const RULES: &[Rule] = &[
    Rule {
        sections: &["gpu"],
        check: chip,
    },
    Rule {
        sections: &["sm"],
        check: warps,
    },
    Rule {
        sections: &["fetch", "const_cache"],
        check: code_caches,
    },
    Rule {
        sections: &["l1"],
        check: l1_shape,
    },
    Rule {
        sections: &["l1", "smem"],
        check: shared_memory,
    },
    Rule {
        sections: &["l2", "dram"],
        check: l2_shape,
    },
    Rule {
        sections: &["noc"],
        check: coalescer,
    },
    Rule {
        sections: &["dram"],
        check: dram_queues,
    },
];

fn chip(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let capabilities: &[u16] = match spec.architecture {
        Architecture::Volta => &[70, 72],
        Architecture::Turing => &[75],
        Architecture::AmpereGa100 => &[80],
        Architecture::AmpereGa10x => &[86, 87],
        Architecture::Ada => &[89],
        Architecture::Hopper => &[90],
        Architecture::BlackwellGb100 => &[100, 103],
        Architecture::BlackwellGb20x => &[120, 121],
    };
    if !capabilities.contains(&spec.compute_capability) {
        reader.fault(
            "gpu.compute_capability",
            &format!("{capabilities:?} for {}", spec.architecture.name()),
            "change it or gpu.architecture",
        );
    }
    if spec.gpcs > spec.sms {
        reader.fault(
            "gpu.gpcs",
            &format!("at most gpu.sms = {}", spec.sms),
            "a GPC has at least one SM",
        );
    }
}

fn warps(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let sm = &spec.sm;
    let per_core = sm.warps_max / sm.sub_cores;
    if !sm.warps_max.is_multiple_of(sm.sub_cores) || per_core > 16 {
        reader.fault(
            "sm.warps_max",
            &format!(
                "a multiple of sm.sub_cores = {}, at most {}",
                sm.sub_cores,
                u32::from(sm.sub_cores) * 16
            ),
            "every sub-core has the same number of warp slots, at most 16",
        );
    }
    let cta_warps = sm.threads_per_cta_max.div_ceil(32);
    if cta_warps > u32::from(sm.warps_max) {
        reader.fault(
            "sm.threads_per_cta_max",
            &format!(
                "at most 32 x sm.warps_max = {}",
                u32::from(sm.warps_max) * 32
            ),
            "the largest CTA must fit an SM",
        );
    }
    if !sm.registers.is_multiple_of(u32::from(sm.sub_cores)) {
        reader.fault(
            "sm.registers",
            &format!("a multiple of sm.sub_cores = {}", sm.sub_cores),
            "every sub-core has its own register file of the same size",
        );
    }
}

fn code_caches(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let (fetch, constant) = (&spec.fetch, &spec.const_cache);
    let caches = [
        (
            "fetch.l0_bytes",
            fetch.l0_bytes,
            fetch.l0_ways,
            fetch.line_bytes,
        ),
        (
            "fetch.l1_bytes",
            fetch.l1_bytes,
            fetch.l1_ways,
            fetch.line_bytes,
        ),
        (
            "const_cache.l1_bytes",
            constant.l1_bytes,
            constant.l1_ways,
            constant.line_bytes,
        ),
        (
            "const_cache.l15_bytes",
            constant.l15_bytes,
            constant.l15_ways,
            constant.line_bytes,
        ),
    ];
    for (key, bytes, ways, line) in caches {
        let way_bytes = u64::from(ways) * u64::from(line);
        if !u64::from(bytes).is_multiple_of(way_bytes) {
            reader.fault(
                key,
                &format!("a multiple of {ways} ways x {line} bytes a line = {way_bytes}"),
                "change the size or the ways",
            );
        }
    }
    for (key, line) in [
        ("fetch.line_bytes", fetch.line_bytes),
        ("const_cache.line_bytes", constant.line_bytes),
    ] {
        if !line.is_power_of_two() {
            reader.fault(key, "a power of two", "round it");
        }
    }
}

fn l1_shape(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let l1 = &spec.l1;
    if !l1.unified_bytes.is_multiple_of(l1.line_bytes) {
        reader.fault(
            "l1.unified_bytes",
            &format!("a multiple of the {}-byte line", l1.line_bytes),
            "round it, e.g. to whole KiB",
        );
        return;
    }
    let lines = l1.unified_bytes / l1.line_bytes;
    let sets = lines / u32::from(l1.ways);
    if sets * u32::from(l1.ways) != lines || !sets.is_power_of_two() {
        let choices: Vec<String> = (0..lines.trailing_zeros() + 1)
            .map(|shift| lines >> shift)
            .filter(|&ways| ways <= 4096)
            .map(|ways| ways.to_string())
            .collect();
        reader.fault(
            "l1.ways",
            &format!(
                "ways that leave a power-of-two number of sets in l1.unified_bytes = {} ({lines} lines)",
                l1.unified_bytes
            ),
            &format!("choose one of {}, or another size", choices.join(", ")),
        );
        return;
    }
    let way_bytes = sets * l1.line_bytes;
    let ascending = l1.carveouts_kib.windows(2).all(|pair| pair[0] < pair[1]);
    let bytes = |kib: u32| u64::from(kib) * 1024;
    let aligned = l1
        .carveouts_kib
        .iter()
        .all(|&kib| bytes(kib).is_multiple_of(u64::from(way_bytes)));
    let largest = l1.carveouts_kib.last().copied().unwrap_or(0);
    let room = u64::from(l1.unified_bytes - way_bytes);
    if !ascending || !aligned || bytes(largest) > room {
        reader.fault(
            "l1.carveouts_kib",
            &format!(
                "ascending KiB, each a multiple of a way ({way_bytes} bytes), at most {room} bytes"
            ),
            "a carve-out takes whole ways and leaves at least one; change the list, l1.ways or \
             l1.unified_bytes",
        );
    }
}

fn shared_memory(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let (l1, smem) = (&spec.l1, &spec.smem);
    for (key, value) in [
        ("smem.banks", u32::from(smem.banks)),
        ("smem.bank_bytes", u32::from(smem.bank_bytes)),
        ("smem.alloc_unit_bytes", smem.alloc_unit_bytes),
    ] {
        if !value.is_power_of_two() {
            reader.fault(key, "a power of two", "round it");
        }
    }
    let largest = u64::from(l1.carveouts_kib.last().copied().unwrap_or(0)) * 1024;
    let cta = u64::from(smem.per_cta_bytes_max) + u64::from(smem.reserved_per_cta_bytes);
    if cta > largest {
        reader.fault(
            "smem.per_cta_bytes_max",
            &format!(
                "with smem.reserved_per_cta_bytes at most {largest}, the largest of l1.carveouts_kib"
            ),
            "lower it or add a carve-out",
        );
    }
}

fn l2_shape(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let (l2, dram) = (&spec.l2, &spec.dram);
    let slices = u64::from(l2.slices);
    let unit = slices * u64::from(l2.ways) * u64::from(l2.line_bytes);
    if l2.bytes % unit != 0 || l2.bytes < unit {
        let near = (l2.bytes / unit).max(1) * unit;
        reader.fault(
            "l2.bytes",
            &format!(
                "a multiple of {slices} slices x {} ways x {} bytes a line = {unit}",
                l2.ways, l2.line_bytes
            ),
            &format!("the next below (or smallest) is {near}"),
        );
    }
    if l2.slices % u16::from(l2.partitions) != 0 {
        reader.fault(
            "l2.slices",
            &format!("a multiple of l2.partitions = {}", l2.partitions),
            "partitions have the same number of slices",
        );
    }
    if l2.slices % dram.channels != 0 {
        reader.fault(
            "l2.slices",
            &format!("a multiple of dram.channels = {}", dram.channels),
            "each channel serves the same number of slices; change either",
        );
    }
    if !l2.interleave_bytes.is_power_of_two() {
        reader.fault("l2.interleave_bytes", "a power of two", "round it");
    }
}

fn coalescer(spec: &GpuSpec, reader: &mut Reader<'_>) {
    if !spec.noc.coalescer_entries.is_multiple_of(4) {
        reader.fault(
            "noc.coalescer_entries",
            "a multiple of 4",
            "sets have four entries; 0 turns it off",
        );
    }
}

fn dram_queues(spec: &GpuSpec, reader: &mut Reader<'_>) {
    let dram = &spec.dram;
    if dram.write_high > dram.write_queue {
        reader.fault(
            "dram.write_high",
            &format!("at most dram.write_queue = {}", dram.write_queue),
            "the drain must start before the queue is full",
        );
    }
    if dram.write_low >= dram.write_high {
        reader.fault(
            "dram.write_low",
            &format!("below dram.write_high = {}", dram.write_high),
            "a drain must empty at least one entry",
        );
    }
}
