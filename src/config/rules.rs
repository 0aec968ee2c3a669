//! Preconditions of the model between keys, stated beside the keys that they guard.
//!
//! Each section's file has its `RULES`; [`super::check`] applies all of them, so that every fault is reported at once.
//! What a rule guards may then be computed without a check of its own.

use super::{GpuSpec, gpu, l1, l2, memory, noc, power, sm, tlb};

/// A precondition that a range of one key cannot say.
pub struct Rule {
    /// The key that is refused.
    pub key: &'static str,
    /// The other keys that the rule reads. While one of them has a fault of its own, the rule looks at a placeholder
    /// and is left out.
    pub with: &'static [&'static str],
    /// What would be allowed, when the rule does not hold.
    pub broken: fn(&GpuSpec) -> Option<Broken>,
}

/// Why a value is refused.
pub struct Broken {
    /// What is allowed; names the other keys and their values.
    pub allowed: String,
    /// What to do.
    pub remedy: String,
}

/// Nothing when `holds`, else the refusal.
pub fn unless(
    holds: bool,
    allowed: impl FnOnce() -> String,
    remedy: impl Into<String>,
) -> Option<Broken> {
    (!holds).then(|| Broken {
        allowed: allowed(),
        remedy: remedy.into(),
    })
}

/// Nothing when a key has the `value` that is `shipped`, or this build has the components of feature `architecture-research`; else
/// the refusal, which ends in their `purpose`.
pub fn architecture_research(shipped: bool, value: &str, purpose: &str) -> Option<Broken> {
    unless(
        super::ARCHITECTURE_RESEARCH || shipped,
        || format!("{value} in this build"),
        format!("build with `--features architecture-research` {purpose}"),
    )
}

/// All rules, section by section.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let sections = [
        gpu::RULES,
        sm::RULES,
        l1::RULES,
        tlb::RULES,
        noc::RULES,
        l2::RULES,
        memory::RULES,
        power::RULES,
    ];
    sections.into_iter().flatten()
}
