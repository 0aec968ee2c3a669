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
    /// What the sources of the rows that it stands for contain, where it is one author's; otherwise it stands for those of
    /// no other board.
    #[serde(default)]
    pub sources: Vec<String>,
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

/// The board that datasets call `name` in rows of `source`, among `boards`.
pub fn of_dataset<'a>(boards: &'a [Board], name: &str, source: &str) -> Option<&'a Board> {
    let wanted = plain(name);
    let called = |board: &Board| {
        board.datasets.iter().any(|d| plain(d) == wanted) || plain(&board.name) == wanted
    };
    let source = source.to_ascii_lowercase();
    let own = |board: &Board| board.sources.iter().any(|known| source.contains(known));
    let of_source = boards.iter().find(|board| own(board) && called(board));
    let mut others = boards.iter().filter(|board| board.sources.is_empty());
    of_source.or_else(|| others.find(|board| called(board)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_is_a_machine_and_no_name_means_two() {
        let boards = boards().unwrap();
        let mut seen: Vec<[String; 2]> = Vec::new();
        for board in &boards {
            board
                .load(&[])
                .unwrap_or_else(|e| panic!("{}: {e}", board.name));
            let sources = match board.sources.is_empty() {
                true => [String::new()].to_vec(),
                false => board.sources.clone(),
            };
            for name in &board.datasets {
                for source in &sources {
                    let means = [plain(name), source.clone()];
                    assert!(!seen.contains(&means), "{means:?}");
                    seen.push(means);
                }
            }
        }
        let found = of_dataset(&boards, "A100-80GB", "vidur/mlp").unwrap();
        assert_eq!(
            (found.name.as_str(), found.gpu.as_str()),
            ("a100-sxm4-80gb", "a100-80")
        );
        assert!(of_dataset(&boards, "P100-PCIE-16GB", "").is_none());
    }

    #[test]
    fn a_board_has_the_clock_of_its_measurements() {
        let boards = boards().unwrap();
        let clock = |name: &str, source: &str| {
            let board = of_dataset(&boards, name, source).unwrap();
            board.load(&[]).unwrap().spec.core_clock_khz
        };
        assert_eq!(clock("TITAN-V", ""), 1_335_000);
        assert_eq!(clock("A100-80GB", "liangan1/GPU_travel@07d0469"), 1_200_000);
        assert_eq!(clock("A100-80GB", "another"), 1_410_000);
    }
}
