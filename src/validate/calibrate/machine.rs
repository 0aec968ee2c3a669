//! The machine that is fitted, and the rows that were measured on it.

use crate::config::boards::{Board, boards, of_dataset};
use crate::config::{self, Resolved, registry};
use crate::error::{Error, Result};
use crate::validate::dataset::Row;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What `--gpu` says.
#[derive(Clone, Debug)]
pub struct Asked {
    name: String,
    boards: Vec<Board>,
    means: Means,
}

#[derive(Clone, Debug)]
enum Means {
    /// One board, by its place.
    Board(usize),
    /// A GPU: one of its boards.
    Gpu(&'static str),
    /// A file: its name, its product's, and its GPU's boards.
    File(Box<Resolved>),
}

/// The machine before the fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// As the user named it.
    pub name: String,
    /// What the fit is laid over: a built-in GPU or a file.
    pub base: String,
    /// What the board changes in it.
    pub set: BTreeMap<String, String>,
}

/// `name` without case and punctuation.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.collect::<String>().to_ascii_lowercase()
}

impl Asked {
    /// What `name` means: a board, a GPU or a file.
    ///
    /// # Errors
    /// A name that nobody knows, and everything that is wrong with a file.
    pub fn of(name: &str) -> Result<Self> {
        let boards = boards()?;
        let board = boards
            .iter()
            .position(|board| plain(&board.name) == plain(name));
        let means = if name.ends_with(".toml") {
            Means::File(Box::new(config::load(name, &[])?))
        } else if let Some(place) = board {
            Means::Board(place)
        } else if let Some(gpu) = registry::lookup(name) {
            Means::Gpu(gpu)
        } else {
            // The error names what there is.
            config::load(name, &[])?;
            unreachable!("a configuration that is no GPU")
        };
        Ok(Asked {
            name: name.to_owned(),
            boards,
            means,
        })
    }

    /// Whether `row` was measured on it.
    pub fn is_of(&self, row: &Row) -> bool {
        let board = of_dataset(&self.boards, &row.gpu, &row.source);
        match &self.means {
            Means::Board(place) => board == Some(&self.boards[*place]),
            Means::Gpu(gpu) => board.is_some_and(|board| board.gpu == *gpu),
            Means::File(config) => {
                let [name, product] = [&config.spec.name, &config.spec.product];
                let own = [name, product].map(|own| plain(own));
                let gpu = registry::lookup(name);
                own.contains(&plain(&row.gpu)) || board.is_some_and(|b| Some(&b.gpu[..]) == gpu)
            }
        }
    }

    /// The machine of `rows`, which are all of it.
    ///
    /// # Errors
    /// Rows of boards that are different machines: a fit of both is none of them.
    pub fn machine<'a>(
        &self,
        dataset: &str,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Result<Machine> {
        let board = match &self.means {
            Means::File(_) => None,
            Means::Board(place) => Some(&self.boards[*place]),
            Means::Gpu(_) => {
                let found = rows.filter_map(|row| of_dataset(&self.boards, &row.gpu, &row.source));
                let names: BTreeSet<&str> = found.map(|board| &board.name[..]).collect();
                if names.len() > 1 {
                    let names: Vec<&str> = names.into_iter().collect();
                    return Err(Error::input(
                        dataset,
                        "rows",
                        format!(
                            "they are of different boards of {}: {}",
                            self.name,
                            names.join(", ")
                        ),
                        "name one of them with --gpu",
                    ));
                }
                let first = names.first();
                first.and_then(|name| self.boards.iter().find(|board| board.name == *name))
            }
        };
        Ok(Machine {
            name: self.name.clone(),
            base: board.map_or(self.name.clone(), |board| board.gpu.clone()),
            set: board.map(|board| board.set.clone()).unwrap_or_default(),
        })
    }
}

impl Machine {
    /// Its configuration, changed by `sets` (`key=value`).
    ///
    /// # Errors
    /// Every fault of the configuration.
    pub fn load(&self, sets: &[String]) -> Result<Resolved> {
        let own = self.set.iter().map(|(key, value)| format!("{key}={value}"));
        let all: Vec<String> = own.chain(sets.iter().cloned()).collect();
        config::load(&self.base, &all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::dataset::parse;

    fn rows(gpus: &[&str]) -> Vec<Row> {
        let lines = gpus
            .iter()
            .map(|gpu| format!("a,{gpu},gemm,fp32,\"{{\"\"M\"\":1}}\",5\n"));
        let text = format!(
            "id,gpu,op,dtype,shape,latency_us\n{}",
            lines.collect::<String>()
        );
        parse(&text, "t.csv").unwrap()
    }

    fn machine(name: &str, rows: &[Row]) -> Result<(usize, Machine)> {
        let asked = Asked::of(name)?;
        let own: Vec<&Row> = rows.iter().filter(|row| asked.is_of(row)).collect();
        Ok((own.len(), asked.machine("t.csv", own.into_iter())?))
    }

    #[test]
    fn a_gpu_is_the_board_of_its_rows() {
        let of_both = rows(&[
            "A100-SXM4-80GB",
            "A100-PCIE-80GB",
            "V100-PCIE-32GB",
            "Quantum9",
        ]);
        let error = machine("a100", &of_both).unwrap_err();
        assert_eq!(error.exit_status(), 1);
        assert!(
            error.to_string().contains("a100-pcie-80gb, a100-sxm4-80gb"),
            "{error}"
        );
        let (count, found) = machine("a100-sxm4-80gb", &of_both).unwrap();
        assert_eq!((count, &found.base[..]), (1, "a100-80"));
        let (count, found) = machine("a100-80", &of_both[..1]).unwrap();
        assert_eq!((count, &found.base[..]), (1, "a100-80"));
        let (_, found) = machine("rtx2060", &rows(&["RTX2060"])).unwrap();
        assert_eq!(found.load(&[]).unwrap().spec.core_clock_khz, 1_680_000);
        assert_eq!(machine("a101", &of_both).unwrap_err().exit_status(), 2);
    }

    #[test]
    fn a_file_is_meant_by_its_own_name_and_by_its_gpu() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        let name = file.display().to_string();
        std::fs::write(&file, "base = \"v100\"\ngpu.name = \"my-v100\"\n").unwrap();
        let (count, found) = machine(&name, &rows(&["My V100", "V100-PCIE-16GB", "T4"])).unwrap();
        assert_eq!((count, &found.base), (1, &name));
        std::fs::write(&file, "base = \"v100-32\"\nl1.ways = 64\n").unwrap();
        assert_eq!(
            machine(&name, &rows(&["V100-PCIE-32GB", "T4"])).unwrap().0,
            1
        );
    }
}
