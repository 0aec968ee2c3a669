//! What a user says about a model whose file leaves it open.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Values for open extents.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Extents by name: `--dim batch=8`.
    pub dims: Vec<(String, u64)>,
    /// Shapes by input: `--input-shape x=1x128`.
    pub shapes: Vec<(String, Vec<u64>)>,
    /// Sequences or images: `--batch-size`.
    pub batch: Option<u64>,
    /// Tokens of a sequence: `--seq-len`.
    pub seq: Option<u64>,
    /// GPUs that share every layer: `--tensor-parallel`.
    pub tensor_parallel: Option<u64>,
    /// Steps of a model that has some: `--steps`.
    pub steps: Option<u64>,
    /// Operators that are not known count as nothing: `--skip-unknown`.
    pub skip_unknown: bool,
    /// What of it the model has asked for.
    pub used: RefCell<BTreeSet<String>>,
}

/// An extent of at most [`EXTENT_MAX`].
fn extent(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n| (1..=EXTENT_MAX).contains(n))
}

/// Largest extent that can be given.
pub const EXTENT_MAX: u64 = 1 << 32;

/// Whether an exporter has numbered an extent that nobody named: `unk__795`, `s77`.
fn is_made_up(name: &str) -> bool {
    let number = name.strip_prefix("unk__").or(name.strip_prefix('s'));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
}

impl Bindings {
    /// Reads `NAME=N` and `NAME=1x128` as the command line has them.
    ///
    /// # Errors
    /// [`Error::Usage`] with the argument and an example.
    pub fn parse(dims: &[String], shapes: &[String]) -> Result<Self> {
        let mut bindings = Bindings::default();
        for text in dims {
            let pair = text.split_once('=');
            let Some((name, n)) = pair.and_then(|(name, n)| Some((name, extent(n)?))) else {
                return Err(Error::Usage(format!(
                    "--dim {text}: expected a name and a number from 1 to 2^32, such as batch=8"
                )));
            };
            if bindings.dims.iter().any(|(known, _)| known == name) {
                return Err(Error::Usage(format!("--dim {name} is given twice")));
            }
            bindings.dims.push((name.to_owned(), n));
        }
        for text in shapes {
            let read = |list: &str| match list {
                "scalar" => Some(Vec::new()),
                _ => list
                    .split(['x', ','])
                    .map(extent)
                    .collect::<Option<Vec<u64>>>(),
            };
            let pair = text.rsplit_once('=');
            let Some((name, shape)) = pair.and_then(|(name, list)| Some((name, read(list)?)))
            else {
                return Err(Error::Usage(format!(
                    "--input-shape {text}: expected an input and its extents, such as input_ids=1x128"
                )));
            };
            if bindings.shapes.iter().any(|(known, _)| known == name) {
                return Err(Error::Usage(format!("--input-shape {name} is given twice")));
            }
            bindings.shapes.push((name.to_owned(), shape));
        }
        Ok(bindings)
    }

    /// The value of the extent `name`, which is the first one of its input when `first`.
    pub fn dim(&self, name: &str, first: bool) -> Option<u64> {
        if let Some((name, n)) = self.dims.iter().find(|(known, _)| known == name) {
            self.used.borrow_mut().insert(format!("--dim {name}"));
            return Some(*n);
        }
        let lower = name.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        // Lengths of caches and sums such as `past + seq` are not the length of the sequence.
        if says(&["past", "cache", "total", "+"]) {
            return None;
        }
        let nameless = name.is_empty() || is_made_up(name);
        if says(&["batch"]) || lower == "n" || lower == "b" || first && nameless {
            return self.batch;
        }
        match says(&["seq", "length", "token"]) {
            true => self.seq,
            false => None,
        }
    }

    /// The shape that was given for the input `name`.
    pub fn shape(&self, name: &str) -> Option<&[u64]> {
        let (name, shape) = self.shapes.iter().find(|(known, _)| known == name)?;
        self.used
            .borrow_mut()
            .insert(format!("--input-shape {name}"));
        Some(shape)
    }

    /// Refuses names that the model does not have: a misspelt one must not be ignored.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names that there are.
    pub fn all_used(&self, dims: &[String], inputs: &[String]) -> Result<()> {
        let used = self.used.borrow();
        let list = |names: &[String]| match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        for (name, _) in &self.dims {
            if !used.contains(&format!("--dim {name}")) {
                return Err(Error::Usage(format!(
                    "--dim {name}: the model has no open extent of this name; it has: {}",
                    list(dims)
                )));
            }
        }
        for (name, _) in &self.shapes {
            if !used.contains(&format!("--input-shape {name}")) {
                return Err(Error::Usage(format!(
                    "--input-shape {name}: the model has no input of this name; it has: {}",
                    list(inputs)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn names_and_extents_are_read() {
        let bindings =
            Bindings::parse(&strings(&["s=3"]), &strings(&["a=b=1x2", "x=scalar"])).unwrap();
        assert_eq!(bindings.dim("s", false), Some(3));
        assert_eq!(bindings.shape("a=b"), Some(&[1, 2][..]));
        assert_eq!(bindings.shape("x"), Some(&[][..]));
        for wrong in ["s", "s=", "s=0", "s=-1", "s=99999999999999"] {
            assert!(Bindings::parse(&strings(&[wrong]), &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_batch_is_the_first_extent_that_nobody_named() {
        let bindings = Bindings {
            batch: Some(4),
            ..Bindings::default()
        };
        for name in ["", "unk__795", "s77", "batch_size", "N"] {
            assert_eq!(bindings.dim(name, true), Some(4), "{name}");
        }
        for name in ["s", "size", "unk__", "height"] {
            assert_eq!(bindings.dim(name, true), None, "{name}");
        }
        assert_eq!(bindings.dim("s77", false), None);
    }

    #[test]
    fn a_name_that_nothing_asks_for_is_refused() {
        let bindings = Bindings::parse(&strings(&["bach=3"]), &[]).unwrap();
        let refused = bindings.all_used(&strings(&["batch"]), &[]).unwrap_err();
        assert!(refused.to_string().ends_with("it has: batch"), "{refused}");
    }
}
