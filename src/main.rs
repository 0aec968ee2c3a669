//! The `phantom-gpu` command: parse, dispatch, print the error, exit.

use std::process::ExitCode;

/// Asks for huge pages (`.cargo/config.toml`): the state of a chip is some forty megabytes that every quantum walks
/// through, and page faults were an eighth of a short run.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    phantom_gpu::internals::cli::main()
}
