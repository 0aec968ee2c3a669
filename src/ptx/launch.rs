//! Launch files: what a kernel is started with, and what has to come out.
//!
//! A launch file is TOML: `kernel`, `grid`, `block`, `dynamic_shared_bytes`, one `[[args]]` table for
//! each parameter in order, `[[variables]]` for module variables that the host would set, and
//! `[check]`. All faults of a file are reported together.

pub mod check;
pub mod data;
mod fits;
mod raw;
pub mod run;

use crate::error::{Error, Result, input};
use crate::memory_limit::Part;
use data::{Element, Init};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A checked launch file.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The file.
    pub path: PathBuf,
    /// Kernel; `None` when the PTX file has only one.
    pub kernel: Option<String>,
    /// CTAs.
    pub grid: [u32; 3],
    /// Threads of a CTA.
    pub block: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub dynamic_shared_bytes: u64,
    /// Arguments in order, fields of structures one by one.
    pub args: Vec<Argument>,
    /// Parameters that the arguments make up, with their bytes.
    pub parameters: Vec<u64>,
    /// Content of module variables.
    pub variables: Vec<Argument>,
    /// What has to come out.
    pub check: Option<Check>,
    /// Output of `ptxas -v`, relative to the PTX file or to this one.
    pub ptxas_v: Option<PathBuf>,
    /// Registers a thread, when known otherwise.
    pub registers: Option<u16>,
}

/// Copies of a buffer while it is made: its content, memory itself and room to grow.
const COPIES: u64 = 3;

impl Launch {
    /// The buffers, for [`crate::memory_limit::check`].
    pub fn memory(&self) -> Vec<Part> {
        let part = |arg: &Argument| match arg.value {
            Value::Scalar(_) => None,
            Value::Buffer { count, .. } => Some(Part {
                what: format!("buffer `{}`", arg.name),
                from: format!("{count} elements of {}", arg.element.name()),
                bytes: count.saturating_mul(u64::from(arg.element.bytes()) * COPIES),
            }),
        };
        self.args.iter().filter_map(part).collect()
    }
}

/// An argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Name, by which checks find it.
    pub name: String,
    /// Type of the value, or of the elements of the buffer.
    pub element: Element,
    /// Value or buffer.
    pub value: Value,
    /// Parameter of the kernel, of which it may be one field among several.
    pub parameter: usize,
    /// Bytes of the parameter in front of it.
    pub offset: u64,
}

impl Argument {
    /// Bytes that it takes of its parameter.
    pub fn width(&self) -> u64 {
        match self.value {
            Value::Scalar(_) => u64::from(self.element.bytes()),
            Value::Buffer { .. } => 8,
        }
    }
}

/// What an argument is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A scalar, by its bits.
    Scalar(u64),
    /// A buffer: the parameter is its address.
    Buffer {
        /// Elements.
        count: u64,
        /// Initial content.
        init: Init,
    },
}

/// What an operand of a check is.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The argument of this name.
    Argument(String),
    /// A number that the kernel was compiled with.
    Number(f64),
}

/// What has to come out.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A reference computation of ours.
    Named {
        /// Which.
        name: String,
        /// Allowed error, relative to the largest magnitude of the result.
        tolerance: f64,
        /// Operands that are no argument of that name.
        operands: BTreeMap<String, Operand>,
    },
    /// A buffer equals the content of a file.
    File {
        /// The buffer.
        buffer: String,
        /// Raw little-endian elements.
        path: PathBuf,
        /// Allowed error, relative to the largest magnitude of the file. `None`: 1e-5 for floats,
        /// integers have to be the same.
        tolerance: Option<f64>,
    },
}

impl Launch {
    /// Reads a launch file.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn load(path: &Path) -> Result<Launch> {
        let text = input::text(path, input::MADE_MAX, "a launch file (TOML)")?;
        Launch::parse(path, &text)
    }

    /// Parses the text of a launch file.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn parse(path: &Path, text: &str) -> Result<Launch> {
        let file = path.display().to_string();
        let raw: raw::Launch = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start);
            let line = text.get(..at).unwrap_or("").matches('\n').count() + 1;
            Error::input(
                &file,
                format!("line {line}"),
                e.message().to_owned(),
                "traces/ptx/README.md says what a launch file holds",
            )
        })?;
        let mut faults = Vec::new();
        let launch = raw.check(path, &mut faults);
        match launch {
            Some(launch) if faults.is_empty() => Ok(launch),
            _ => Err(Error::Launch { file, faults }),
        }
    }

    /// The argument called `name`.
    pub fn argument(&self, name: &str) -> Option<(usize, &Argument)> {
        self.args.iter().enumerate().find(|(_, a)| a.name == name)
    }
}
