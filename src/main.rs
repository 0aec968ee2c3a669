//! The `phantom-gpu` command.
use clap::Parser;
#[derive(Parser)]
enum Cli {
    Dram(phantom_gpu::cli::dram::Args),
}
fn main() {
    let Cli::Dram(args) = Cli::parse();
    if let Err(e) = phantom_gpu::cli::dram::run(&args) {
        eprintln!("error: {e}");
        std::process::exit(i32::from(e.exit_status()));
    }
}
