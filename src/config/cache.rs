//! One cache alone: the keys of `[l1]` that say which lines it keeps.

use super::field::{Echo, Field, Kind};
use super::{L1Spec, check, registry};
use crate::error::{Error, Result};
use serde_json::Value as Json;

/// The keys that a cache without time has. A description of a whole GPU has them, too.
const KEYS: &[&str] = &[
    "l1.unified_bytes",
    "l1.ways",
    "l1.set_hash",
    "l1.replacement",
    "l1.write",
    "l1.local_write",
];

/// A cache alone that passed every check.
#[derive(Clone, Debug)]
pub struct AloneCache {
    /// The cache, of the full size. Latencies, queues and MSHRs mean nothing here.
    pub spec: L1Spec,
    /// The keys that it has, by their dotted names.
    pub echo: Json,
}

/// Loads the L1 of `config`, a built-in GPU or a file, with `--set` overrides in order. A file needs no more than the keys
/// of the cache; all keys that it has must exist.
///
/// # Errors
/// Everything that is wrong with name, file, syntax or values.
pub fn load(config: &str, sets: &[String]) -> Result<AloneCache> {
    if !config.ends_with(".toml") && registry::lookup(config).is_none() {
        return Err(Error::Usage(format!(
            "--config {config}: neither a FILE.toml nor a built-in GPU (`phantom-gpu list-gpus` lists them)"
        )));
    }
    let (mut raw, file) = registry::resolve(config)?;
    for setting in sets {
        raw.set(setting)?;
    }
    let spec = check::check_l1(&raw, &file, KEYS)?;
    let mut echo = Echo::new();
    spec.echo("l1", Kind::Section, &mut echo);
    echo.retain(|key, _| KEYS.contains(&key.as_str()));
    Ok(AloneCache {
        spec,
        echo: Json::Object(echo.into_iter().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: &str = "[l1]\nunified_bytes = \"16 KiB\"\nways = 4\nset_hash = \"linear\"\n\
        replacement = \"lru\"\nwrite = \"through_no_allocate\"\nlocal_write = \"back\"\n";

    fn of(text: &str) -> Result<AloneCache> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l1.toml");
        std::fs::write(&path, text).unwrap();
        load(path.to_str().unwrap(), &[])
    }

    #[test]
    fn six_keys_are_enough_and_each_is_needed() {
        let cache = of(CACHE).unwrap();
        assert_eq!((cache.spec.unified_bytes, cache.spec.ways), (16384, 4));
        assert_eq!(cache.echo.as_object().unwrap().len(), KEYS.len());
        for key in KEYS {
            let name = key.trim_start_matches("l1.");
            let lines = CACHE
                .lines()
                .filter(|l| !l.starts_with(&format!("{name} =")));
            let text: Vec<&str> = lines.collect();
            let refused = of(&text.join("\n")).unwrap_err();
            assert!(
                refused.to_string().contains(&format!("{key} is missing")),
                "{refused}"
            );
            assert_eq!(refused.exit_status(), 2);
        }
    }

    #[test]
    fn a_gpu_has_the_same_keys_and_what_is_wrong_is_refused() {
        let gpu = load("v100", &["l1.ways=8".into()]).unwrap();
        assert_eq!(gpu.spec.ways, 8);
        for (change, fault) in [
            ("sets = 4\n", "l1.sets = 4: no such key"),
            ("hit_latency = 0\n", "l1.hit_latency = 0"),
            ("[core]\nx = 1\n", "core.x = 1: no such key"),
        ] {
            let refused = of(&format!("{CACHE}{change}")).unwrap_err().to_string();
            assert!(refused.contains(fault), "{refused}");
        }
        let uneven = load("v100", &["l1.ways=3".into()]).unwrap_err().to_string();
        assert!(uneven.contains("power-of-two number of sets"), "{uneven}");
        let unknown = load("l1", &[]).unwrap_err();
        assert!(unknown.to_string().starts_with("--config l1:"), "{unknown}");
    }
}
