//! `trace dump`: instructions as text.

use super::{Input, launches, output, print_error};
use crate::error::{Error, Result};
use crate::trace::accelsim::print::LinePrinter;
use crate::trace::pgt::encoded::EncodedCtas;
use crate::trace::stream::WarpStream;
use crate::trace::{Kernel, Workload};
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `trace dump`.
#[derive(clap::Args, Clone, Debug)]
pub struct DumpArgs {
    /// What to read.
    #[command(flatten)]
    pub input: Input,
    /// Which launch, from 1.
    #[arg(long, default_value_t = 1)]
    pub kernel: usize,
    /// Which thread block, x fastest, from 0.
    #[arg(long, default_value_t = 0)]
    pub cta: u64,
    /// Only this warp of it.
    #[arg(long)]
    pub warp: Option<u32>,
    /// The most instructions of each warp.
    #[arg(long, default_value_t = 1000)]
    pub limit: u64,
    /// Write to this file instead of standard output (-).
    #[arg(short, long, value_name = "FILE|-")]
    pub output: Option<PathBuf>,
}

/// Prints one thread block of `workload`.
pub fn run(args: &DumpArgs, workload: &Workload) -> Result<()> {
    let count = launches(workload).count();
    let kernel = args
        .kernel
        .checked_sub(1)
        .and_then(|n| launches(workload).nth(n))
        .ok_or_else(|| Error::Usage(format!("--kernel {}: there are 1 to {count}", args.kernel)))?;
    let header = &kernel.header;
    if args.cta >= header.cta_count() {
        let last = header.cta_count() - 1;
        return Err(Error::Usage(format!(
            "--cta {}: there are 0 to {last}",
            args.cta
        )));
    }
    let warps = header.warps_per_cta();
    if args.warp.is_some_and(|w| w >= warps) {
        return Err(Error::Usage(format!(
            "--warp {}: there are 0 to {}",
            args.warp.unwrap_or(0),
            warps - 1
        )));
    }
    output(args.output.as_ref(), |out| print(args, kernel, out))
}

fn print(args: &DumpArgs, kernel: &Kernel, out: &mut dyn Write) -> Result<()> {
    let mut out = out;
    let printer = LinePrinter::new(&kernel.code);
    let mut ctas = EncodedCtas::new(kernel);
    let (encoded, _) = ctas.get(args.cta)?;
    let mut stream = WarpStream::default();
    writeln!(
        out,
        "kernel {}: {}, CTA {}",
        args.kernel, kernel.header.name, args.cta
    )
    .map_err(print_error)?;
    for warp in 0..kernel.header.warps_per_cta() {
        if args.warp.is_some_and(|w| w != warp) {
            continue;
        }
        let chunks = encoded.warp_chunks(warp);
        let insts: u64 = chunks.iter().map(|c| u64::from(c.insts)).sum();
        writeln!(out, "\nwarp {warp}: {insts} instructions").map_err(print_error)?;
        let mut left = args.limit;
        for chunk in 0..chunks.len() as u32 {
            encoded.load_chunk(warp, chunk, &mut stream);
            left -= printer
                .chunk(&mut stream, left, &mut out)
                .map_err(print_error)?;
        }
        if insts > args.limit {
            writeln!(out, "... {} more; see --limit", insts - args.limit).map_err(print_error)?;
        }
    }
    Ok(())
}
