//! The `phantom-gpu` command: parse, dispatch, print the error, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    phantom_gpu::cli::main()
}
