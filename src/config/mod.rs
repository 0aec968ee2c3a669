//! The checked configuration: immutable specs in cycles and bytes, one for each unit.
//!
//! Field names are the TOML keys, the module names and the JSON fields. Every latency is in cycles of
//! the core clock unless the name says otherwise. Nothing here has a default in code: each number
//! comes from `configs/`, with its source.
//!
//! The way in: [`registry`] finds the layers of a GPU (architecture, chip, user file), [`raw`] merges
//! them with `--set` overrides into dotted keys that know their place, [`check`] reads them into the
//! specs and reports all faults at once. `declare` holds the macros with which each key is
//! declared once.

pub mod boards;
pub mod cache;
pub mod check;
mod declare;
pub mod field;
pub mod gpu;
pub mod inert;
pub mod l1;
pub mod l2;
pub mod launch;
pub mod memory;
pub mod noc;
pub mod power;
pub mod raw;
pub mod registry;
pub mod rules;
pub mod sm;
mod tensor;
pub mod tlb;
mod trial;
pub mod units;

pub use gpu::{Architecture, GpuSpec};
pub use l1::{
    AllocatePolicy, L1Prefetch, L1Spec, LocalWritePolicy, LsuSpec, Replacement, SetHash, SmemSpec,
    StrideSpec, WritePolicy,
};
pub use l2::{L2Spec, SliceHash};
pub use launch::LaunchSpec;
pub use memory::{DramMap, DramPage, DramRefresh, DramScheduler, DramStandard, MemorySpec};
pub use noc::{NocSpec, NocTopology};
pub use power::PowerSpec;
pub use sm::{
    CcwsSpec, ConstCacheSpec, DependencePolicy, FetchSpec, LatencySpec, MemoryOrder, PipeSpec,
    RegfileSpec, SchedulerPolicy, SmSpec, TensorLatency, TensorSpec,
};
pub use tlb::{PageSize, TlbSpec};

/// Whether the machine's components for feature `architecture-research` are compiled in.
pub const ARCHITECTURE_RESEARCH: bool = cfg!(feature = "architecture-research");
/// Whether energy, and with it throttling, is compiled in (feature `gpu-profiling-research`).
pub const PROFILING_RESEARCH: bool = cfg!(feature = "gpu-profiling-research");

/// Whether an SM may have components that no product has: the same for every machine of a build without research features.
pub const SM_COMPONENTS: bool = cfg!(any(
    feature = "architecture-research",
    feature = "cache-research",
    feature = "memory-research"
));

use crate::error::Result;
use crate::hash::ContentHash;
use field::{Echo, Field, Kind};
use serde_json::Value as Json;

pub use check::key_docs;
pub use field::KeyDoc;
pub use registry::names;

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The machine.
    pub spec: GpuSpec,
    /// Every resolved key, nested by section, numbers as integers. Loading it again (as TOML) gives
    /// the same configuration.
    pub echo: Json,
    /// Hash of the resolved keys, hexadecimal: equal hashes, equal machines. Those of `[power]` are among them where
    /// `power.throttle`.
    pub hash: String,
    /// A sentence for each key that was set over the files though it has no effect on this machine.
    pub idle: Vec<String>,
}

/// Loads `gpu`, a built-in name or a file, with `--set` overrides in order.
///
/// # Errors
/// Everything that is wrong with name, file, syntax or values; see [`crate::error::Error`].
pub fn load(gpu: &str, sets: &[String]) -> Result<Resolved> {
    Layers::of(gpu)?.with(sets)
}

/// The files of a GPU, read once, for many configurations that differ in some keys.
#[derive(Clone, Debug)]
pub struct Layers {
    raw: raw::RawConfig,
    file: String,
}

impl Layers {
    /// The files of `gpu`, a built-in name or a file.
    ///
    /// # Errors
    /// Unknown names, unreadable files, bad TOML.
    pub fn of(gpu: &str) -> Result<Self> {
        let (raw, file) = registry::resolve(gpu)?;
        Ok(Layers { raw, file })
    }

    /// The configuration with the overrides `sets` (`key=value`) in order.
    ///
    /// # Errors
    /// Everything that is wrong with keys and values.
    pub fn with(&self, sets: &[String]) -> Result<Resolved> {
        let mut raw = self.raw.clone();
        for setting in sets {
            raw.set(setting)?;
        }
        let mut config = resolved(check::check(&raw, &self.file)?);
        config.idle = inert::idle(&config.echo, sets);
        Ok(config)
    }

    /// What `value` means as a value of `key`, as the JSON echo has it; other keys are not looked at, but for the clock
    /// that times become cycles of.
    ///
    /// # Errors
    /// A key that does not exist, or a value that it does not allow, in a sentence.
    pub fn value(&self, key: &str, value: &str) -> std::result::Result<Json, String> {
        let kind = check::kind(key)?;
        let mut raw = self.raw.clone();
        let set = raw.set(&format!("{key}={value}"));
        let read = set.ok().and_then(|()| field::value(&raw, key, kind));
        read.ok_or_else(|| format!("{key} = {value}: allowed: {kind}"))
    }
}

fn resolved(spec: GpuSpec) -> Resolved {
    let mut flat = Echo::new();
    spec.echo("", Kind::Section, &mut flat);
    let mut hash = ContentHash::default();
    // What is known of power changes no machine whose clock it may not lower.
    let counts = |key: &str| spec.power.throttle || !key.starts_with("power.");
    for (key, value) in flat.iter().filter(|(key, _)| counts(key)) {
        hash.update(format!("{key}={value}\n").as_bytes());
    }
    let mut echo = Json::Object(serde_json::Map::new());
    for (key, value) in flat {
        let mut at = &mut echo;
        for part in key.split('.') {
            at = at
                .as_object_mut()
                .expect("no key is both value and section")
                .entry(part)
                .or_insert_with(|| Json::Object(serde_json::Map::new()));
        }
        *at = value;
    }
    Resolved {
        spec,
        echo,
        hash: hash.hex(),
        idle: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
