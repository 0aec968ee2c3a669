//! Whether a model has room on a GPU.

use crate::config::GpuSpec;
use crate::model::lower::{Content, Lowered};

/// Bytes that a model needs, and those that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Weights and constants.
    pub weights: u64,
    /// The most that inputs and activations take at a time.
    pub activations: u64,
    /// Keys and values that are kept.
    pub kv_cache: u64,
    /// Gradients of weights.
    pub gradients: u64,
    /// What the optimizer keeps.
    pub optimizer: u64,
}

impl Need {
    /// Of `lowered`; `kept`: bytes of keys and values that its own calls do not read.
    pub fn of(lowered: &Lowered, kept: u64) -> Self {
        let of = |content: Content| {
            let all = lowered
                .buffers
                .iter()
                .filter(|buffer| buffer.content == content);
            all.map(|buffer| buffer.bytes).sum::<u64>()
        };
        Need {
            weights: of(Content::Weights) + of(Content::Constants),
            activations: lowered.activation_peak(),
            kv_cache: of(Content::Cache).max(kept),
            gradients: of(Content::Gradients),
            optimizer: of(Content::State),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.parts()
            .iter()
            .fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Each kind, with its bytes.
    fn parts(&self) -> [(&'static str, u64); 5] {
        [
            ("weights", self.weights),
            ("activations", self.activations),
            ("keys and values", self.kv_cache),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
        ]
    }

    /// What takes most.
    pub fn largest(&self) -> (&'static str, u64) {
        self.parts()
            .into_iter()
            .max_by_key(|(_, bytes)| *bytes)
            .unwrap_or(("nothing", 0))
    }
}

/// Whether it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What is needed.
    pub need: Need,
    /// Bytes of the GPU's memory.
    pub capacity: u64,
    /// Whether that is enough.
    pub fits: bool,
    /// The largest batch that has room; 0: none. Known only where this one has not.
    pub largest_batch: Option<u64>,
}

impl Fit {
    /// Of `need` on the machine of `spec`.
    pub fn of(need: Need, spec: &GpuSpec) -> Self {
        let capacity = spec.dram.bytes;
        Fit {
            need,
            capacity,
            fits: need.total() <= capacity,
            largest_batch: None,
        }
    }
}

/// The largest batch below `batch` that `fits`; 0 where none does.
///
/// # Errors
/// Those of `fits`.
pub fn largest<E>(batch: u64, mut fits: impl FnMut(u64) -> Result<bool, E>) -> Result<u64, E> {
    let (mut known, mut too_many) = (0, batch);
    while known + 1 < too_many {
        let middle = known + (too_many - known) / 2;
        match fits(middle)? {
            true => known = middle,
            false => too_many = middle,
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_is_found() {
        for most in [0, 1, 7, 63] {
            let found = largest(64, |n| Ok::<_, ()>(n <= most));
            assert_eq!(found, Ok(most));
        }
    }
}
