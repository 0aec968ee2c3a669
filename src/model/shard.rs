//! A model on several GPUs that share every layer (tensor parallelism): what is cut, and what they tell each other.
//!
//! Graphs that are cut have the shapes of one GPU's share. Only builders that know what a matrix is for can cut it:
//! the transformers of [`hf`](super::hf). The rules are those of Megatron-LM and vLLM: heads, the width inside of
//! feed-forward networks and the vocabulary are divided, everything else is on every GPU.

use crate::error::{Error, Result};

/// What GPUs exchange behind a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exchange {
    /// Sums of what each GPU has, on every GPU.
    AllReduce,
    /// The parts of every GPU side by side, on every GPU.
    AllGather,
}

impl Exchange {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Exchange::AllReduce => "all-reduce",
            Exchange::AllGather => "all-gather",
        }
    }
}

/// One exchange of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collective {
    /// What is done.
    pub exchange: Exchange,
    /// Elements of the result.
    pub elements: u64,
}

/// An extent that is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Extent {
    name: String,
    size: u64,
    /// Where there are fewer than GPUs, several GPUs have the same one.
    copied: bool,
}

impl Extent {
    fn fits(&self, degree: u64) -> bool {
        self.size.is_multiple_of(degree) || self.copied && degree.is_multiple_of(self.size)
    }
}

/// How a graph was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharding {
    /// GPUs that share every layer; 1: the graph is whole.
    pub degree: u64,
    /// What they exchange, in order.
    pub collectives: Vec<Collective>,
    extents: Vec<Extent>,
}

impl Default for Sharding {
    fn default() -> Self {
        Sharding::over(1)
    }
}

/// A vocabulary that does not divide is padded until every GPU has a multiple of so many rows.
const VOCABULARY_STEP: u64 = 64;
/// Degrees that are looked at for the list of those that fit.
const DEGREES_MAX: u64 = 1024;

impl Sharding {
    /// Over `degree` GPUs.
    pub fn over(degree: u64) -> Self {
        Sharding {
            degree,
            collectives: Vec::new(),
            extents: Vec::new(),
        }
    }

    /// One GPU's part of the extent `size`; [`Sharding::check`] tells whether it divides.
    pub fn share(&mut self, name: &str, size: u64) -> u64 {
        self.divide(name, size, false)
    }

    /// The same of something that several GPUs have copies of where there is less of it than GPUs.
    pub fn share_or_copy(&mut self, name: &str, size: u64) -> u64 {
        self.divide(name, size, true)
    }

    fn divide(&mut self, name: &str, size: u64, copied: bool) -> u64 {
        if self.degree == 1 {
            return size;
        }
        let extent = Extent {
            name: name.to_owned(),
            size,
            copied,
        };
        if !self.extents.contains(&extent) {
            self.extents.push(extent);
        }
        (size / self.degree).max(1)
    }

    /// One GPU's rows of a vocabulary, which is padded where it does not divide.
    pub fn vocabulary(&self, rows: u64) -> u64 {
        match rows.is_multiple_of(self.degree) {
            true => rows / self.degree,
            false => {
                let step = self.degree.saturating_mul(VOCABULARY_STEP);
                rows.div_ceil(step) * VOCABULARY_STEP
            }
        }
    }

    /// Notes that a result of `elements` is exchanged.
    pub fn exchange(&mut self, exchange: Exchange, elements: u64) {
        if self.degree > 1 {
            self.collectives.push(Collective { exchange, elements });
        }
    }

    /// That everything that is cut has as many equal parts as there are GPUs.
    ///
    /// # Errors
    /// [`Error::Usage`] with the extents that have not, and the degrees that fit.
    pub fn check(&self, model: &str) -> Result<()> {
        let wrong = self.extents.iter().filter(|e| !e.fits(self.degree));
        let wrong: Vec<String> = wrong.map(|e| format!("{} = {}", e.name, e.size)).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let fitting = (2..=DEGREES_MAX).filter(|&n| self.extents.iter().all(|e| e.fits(n)));
        let fitting: Vec<String> = fitting.map(|n| n.to_string()).collect();
        let degrees = match fitting.is_empty() {
            true => "only 1 fits".to_owned(),
            false => format!("these fit: {}", fitting.join(", ")),
        };
        Err(Error::Usage(format!(
            "--tensor-parallel {}: {model} has {}, which cannot be divided so; {degrees}",
            self.degree,
            wrong.join(" and ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_fits_what_it_divides() {
        let cut = |degree| {
            let mut sharding = Sharding::over(degree);
            let heads = sharding.share("heads", 24);
            let kv_heads = sharding.share_or_copy("kv_heads", 2);
            sharding.check("m").map(|()| (heads, kv_heads))
        };
        assert_eq!(cut(2).unwrap(), (12, 1));
        assert_eq!(cut(8).unwrap(), (3, 1));
        let three = cut(3).unwrap_err().to_string();
        assert!(
            three.contains("kv_heads = 2,") && three.contains("2, 4, 6, 8, 12, 24"),
            "{three}"
        );
        let many = cut(1_000_000_000).unwrap_err().to_string();
        assert!(many.contains("heads = 24"), "{many}");
    }

    #[test]
    fn a_vocabulary_is_padded_where_it_does_not_divide() {
        assert_eq!(Sharding::over(4).vocabulary(32_000), 8000);
        let share = Sharding::over(4).vocabulary(50_257);
        assert!(share.is_multiple_of(64) && 4 * share >= 50_257 && 4 * share < 50_257 + 256);
    }
}
