//! Boards: the machines that measurements name, each a GPU with its own clocks.

use super::registry::{BOARDS, lookup};
use super::{Resolved, load};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A board.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Its name, that of its file.
    #[serde(skip)]
    pub name: String,
    /// The GPU.
    pub gpu: String,
    /// What datasets call it.
    pub datasets: Vec<String>,
    /// Keys that differ from the GPU's.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

impl Board {
    /// Whether `name` means it: its own name, a dataset's, or its GPU's.
    pub fn is(&self, name: &str) -> bool {
        let wanted = plain(name);
        let own = [&self.name, &self.gpu].into_iter().chain(&self.datasets);
        let mut names = own.map(|name| plain(name));
        names.any(|own| own == wanted) || lookup(name).is_some_and(|gpu| gpu == self.gpu)
    }

    /// Its configuration, changed by `sets` (`key=value`).
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn load(&self, sets: &[String]) -> Result<Resolved> {
        let own = self.set.iter().map(|(key, value)| format!("{key}={value}"));
        let all: Vec<String> = own.chain(sets.iter().cloned()).collect();
        load(&self.gpu, &all)
    }
}

/// All boards.
///
/// # Errors
/// A built-in file that is no board.
pub fn boards() -> Result<Vec<Board>> {
    BOARDS
        .iter()
        .map(|(name, text)| {
            let board: Board = toml::from_str(text)
                .map_err(|e| Error::config(format!("configs/boards/{name}.toml"), e.to_string()))?;
            Ok(Board {
                name: (*name).to_owned(),
                ..board
            })
        })
        .collect()
}

/// `name` without case and punctuation.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}

/// The board that datasets call `name`, among `boards`.
pub fn of_dataset<'a>(boards: &'a [Board], name: &str) -> Option<&'a Board> {
    let wanted = plain(name);
    boards.iter().find(|board| {
        board.datasets.iter().any(|d| plain(d) == wanted) || plain(&board.name) == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_is_a_machine_and_no_name_means_two() {
        let boards = boards().unwrap();
        let mut seen: Vec<String> = Vec::new();
        for board in &boards {
            board
                .load(&[])
                .unwrap_or_else(|e| panic!("{}: {e}", board.name));
            for name in &board.datasets {
                assert!(!seen.contains(&plain(name)), "{name}");
                seen.push(plain(name));
            }
        }
        let found = of_dataset(&boards, "A100-80GB").unwrap();
        assert_eq!(
            (found.name.as_str(), found.gpu.as_str()),
            ("a100-sxm4-80gb", "a100-80")
        );
        assert!(of_dataset(&boards, "P100-PCIE-16GB").is_none());
    }

    #[test]
    fn a_board_has_the_clock_of_its_measurements() {
        let boards = boards().unwrap();
        let titan = of_dataset(&boards, "TITAN-V").unwrap().load(&[]).unwrap();
        assert_eq!(titan.spec.core_clock_khz, 1_335_000);
    }
}
