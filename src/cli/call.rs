//! Commands that a program calls: what a terminal would show comes back.

use super::common::begin;
pub use super::common::stop as interrupt;
use super::{Cli, dispatch};
use crate::output;
use clap::Parser;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A command that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status that the command line would have.
    pub status: u8,
    /// What is wrong, where, and what to do.
    pub message: String,
}

/// Commands that run now.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Counts a command while it runs.
struct Running;

impl Running {
    fn begin() -> Self {
        if RUNNING.fetch_add(1, Ordering::SeqCst) == 0 {
            begin();
        }
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a command, `args` without the name of the program, on this thread. What it writes to standard output comes back,
/// so `--json -` gives its numbers; warnings go to standard error.
///
/// # Errors
/// What the command line would say, and its exit status.
pub fn call(args: &[String]) -> Result<Vec<u8>, Failure> {
    let words = std::iter::once("phantom-gpu").chain(args.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).map_err(|error| Failure {
        // Help and version are no faults for clap, but nobody who calls a command wants them.
        status: 2,
        message: error.render().to_string(),
    })?;
    let _running = Running::begin();
    let (done, bytes) = output::captured(|| dispatch(cli.command));
    match done {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Failure {
            status: error.exit_status(),
            message: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_call_gives_what_the_command_writes_or_what_is_wrong() {
        let args = words("simulate synth:copy?bytes=4KiB --gpu v100 --json -");
        let report: serde_json::Value = serde_json::from_slice(&call(&args).unwrap()).unwrap();
        assert!(report["kernels"][0]["cycles"].as_u64().unwrap() > 0);
        let failure = call(&words("simulate synth:copy --gpu none --json -")).unwrap_err();
        assert_eq!(failure.status, 2);
        assert!(failure.message.contains("none"), "{}", failure.message);
        let failure = call(&words("simulate nothing.pgt --gpu v100")).unwrap_err();
        assert_eq!(failure.status, 1, "{}", failure.message);
        assert!(failure.message.contains("nothing.pgt"));
        assert_eq!(call(&words("simulate --bytes")).unwrap_err().status, 2);
    }
}
