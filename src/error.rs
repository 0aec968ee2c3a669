//! User errors. Each says which file, which place, what was expected and what to do about it.
//!
//! Our own faults are assertions, not errors.
//!
//! The exit status follows from who has to act. **2**: the command must be written differently: arguments,
//! names, ranges, a feature that is not compiled in, and every fault of the configuration (an unknown key, a
//! value out of range, keys in conflict, a base that does not exist), whether it came with `--set` or from a
//! file, because the same key is at fault in both. **1**: the command is right, but an input file cannot be
//! read or does not parse (a configuration file that is no TOML among them), an output cannot be written, or
//! the run failed.

pub(crate) mod input;

use std::path::{Path, PathBuf};

/// Everything that a user's input or environment can get wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad use of the command line (exit status 2).
    #[error("{0}")]
    Usage(String),
    /// A run that would take more of the host's memory than it may (exit status 2).
    #[error("{0}")]
    Memory(String),
    /// A file could not be opened, read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file was read, but its content is wrong.
    #[error("{file}: {place}: {what}; {remedy}")]
    Input {
        /// The file, or the name of the generated input.
        file: String,
        /// Line, byte offset or key.
        place: String,
        /// What was found and what was expected.
        what: String,
        /// What the user can do.
        remedy: String,
    },
    /// One or more faults of a configuration, all of them (exit status 2).
    #[error("{file}: {n} fault(s) in the configuration:\n{faults}", n = faults.len(), faults = faults.join("\n"))]
    Config {
        /// The configuration's file or built-in name.
        file: String,
        /// One line a fault: key, value, allowed range.
        faults: Vec<String>,
    },
    /// One or more faults of a launch file, all of them.
    #[error("{file}: {n} fault(s) in the launch file:\n{faults}", n = faults.len(), faults = faults.join("\n"))]
    Launch {
        /// The launch file.
        file: String,
        /// One line a fault: key, value, what is expected.
        faults: Vec<String>,
    },
    /// The simulated machine made no progress, or ran out of an allowed bound.
    #[error("{0}")]
    Run(String),
}

impl Error {
    /// An I/O error at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io {
            path: path.as_ref().to_path_buf(),
            source,
        }
    }

    /// A content error in `file` at `place`.
    pub fn input(
        file: impl Into<String>,
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::Input {
            file: file.into(),
            place: place.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// A single fault of the configuration `file`.
    pub fn config(file: impl Into<String>, fault: impl Into<String>) -> Self {
        Error::Config {
            file: file.into(),
            faults: vec![fault.into()],
        }
    }

    /// The process exit status that this error asks for; the rule is at the top of this file.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Memory(_) | Error::Config { .. } => 2,
            Error::Io { .. } | Error::Input { .. } | Error::Launch { .. } | Error::Run(_) => 1,
        }
    }
}

/// Shorthand for results with a user [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
