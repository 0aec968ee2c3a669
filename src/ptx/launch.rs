//! Launch files: what a kernel is started with, and what has to come out.
//!
//! A launch file is TOML: `kernel`, `grid`, `block`, `dynamic_shared_bytes`, one `[[args]]` table for
//! each parameter in order, `[[variables]]` for module variables that the host would set, and
//! `[check]`. An application has several kernels, `[[kernels]]`, which run in order on `[[buffers]]`. All faults of
//! a file are reported together.

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

/// One kernel of a launch file, checked.
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
    pub checks: Vec<Check>,
    /// Output of `ptxas -v`, relative to the PTX file or to this one.
    pub ptxas_v: Option<PathBuf>,
    /// Registers a thread, when known otherwise.
    pub registers: Option<u16>,
    /// Whether the instructions are scheduled as a compiler would, rather than left in the order of the file.
    pub schedule: bool,
}

/// Recordings have addresses of their own, so that several of them can run on one machine: each has one of so many
/// slots.
pub const SLOTS: u16 = 3839;

/// A checked launch file.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// The file.
    pub path: PathBuf,
    /// Buffers that all kernels share.
    pub buffers: Vec<Argument>,
    /// Kernels, in the order in which they run.
    pub launches: Vec<Launch>,
    /// Buffers that are written to files at the end.
    pub dumps: Vec<Dump>,
    /// Slot of the addresses; `None`: one that follows from the files.
    pub slot: Option<u16>,
}

/// A buffer that is written to a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Dump {
    /// Its name.
    pub buffer: String,
    /// The file: raw little-endian elements.
    pub path: PathBuf,
}

/// Where a buffer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among those that all kernels share.
    Shared(usize),
    /// Among the arguments of the only kernel.
    Argument(usize),
}

/// Copies of a buffer while it is made: its content, memory itself and room to grow.
const COPIES: u64 = 3;

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
            Value::Buffer { .. } | Value::Shared(_) => 8,
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
    /// The buffer of this number of those that all kernels share.
    Shared(usize),
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

impl Application {
    /// Reads a launch file.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn load(path: &Path) -> Result<Application> {
        let text = input::text(path, input::MADE_MAX, "a launch file (TOML)")?;
        Application::parse(path, &text)
    }

    /// Parses the text of a launch file.
    ///
    /// # Errors
    /// Every fault of the text.
    pub fn parse(path: &Path, text: &str) -> Result<Application> {
        let file = path.display().to_string();
        let raw: raw::File = toml::from_str(text).map_err(|e| {
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
        let application = raw.check(path, &mut faults);
        match faults.is_empty() {
            true => Ok(application),
            false => Err(Error::Launch { file, faults }),
        }
    }

    /// The buffers, for [`crate::memory_limit::check`].
    pub fn memory(&self) -> Vec<Part> {
        let checked = self.launches.iter().any(|launch| !launch.checks.is_empty());
        let part = |arg: &Argument, copies: u64| match arg.value {
            Value::Scalar(_) | Value::Shared(_) => None,
            Value::Buffer { count, .. } => Some(Part {
                what: format!("buffer `{}`", arg.name),
                from: format!("{count} elements of {}", arg.element.name()),
                bytes: count.saturating_mul(u64::from(arg.element.bytes()) * copies),
            }),
        };
        // A check compares with what a shared buffer held before the kernel.
        let shared = self
            .buffers
            .iter()
            .filter_map(|arg| part(arg, COPIES + u64::from(checked)));
        let own = self.launches.iter().flat_map(|launch| &launch.args);
        shared
            .chain(own.filter_map(|arg| part(arg, COPIES)))
            .collect()
    }

    /// Where the buffer `name` is found, for a dump.
    pub fn place(&self, name: &str) -> Option<Place> {
        let shared = self.buffers.iter().position(|buffer| buffer.name == name);
        if let Some(number) = shared {
            return Some(Place::Shared(number));
        }
        let [only] = self.launches.as_slice() else {
            return None;
        };
        let (number, argument) = only.argument(name)?;
        match argument.value {
            Value::Scalar(_) => None,
            Value::Buffer { .. } => Some(Place::Argument(number)),
            Value::Shared(number) => Some(Place::Shared(number)),
        }
    }
}

impl Launch {
    /// CTAs of the grid.
    pub fn cta_count(&self) -> u64 {
        self.grid.iter().map(|&dim| u64::from(dim)).product()
    }

    /// The argument called `name`.
    pub fn argument(&self, name: &str) -> Option<(usize, &Argument)> {
        self.args.iter().enumerate().find(|(_, a)| a.name == name)
    }
}
