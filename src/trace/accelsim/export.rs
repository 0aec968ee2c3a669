//! Writes a workload as `kernelslist.g` with one trace file per distinct kernel.

use super::print::LinePrinter;
use crate::error::{Error, Result};
use crate::output;
use crate::trace::kernel::{Command, Kernel, Workload};
use crate::trace::pgt::encoded::EncodedCtas;
use crate::trace::pgt::write::same;
use crate::trace::stream::WarpStream;
use std::io::{BufWriter, Write};
use std::path::Path;

/// xz's preset: higher ones double the time for a few per cent.
const XZ_PRESET: u32 = 3;

/// How trace files are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportPacking {
    /// Plain text, `.traceg`.
    #[default]
    Plain,
    /// xz, `.traceg.xz`.
    Xz,
}

/// Writes `workload` to the list `list`, its kernels to files beside it. Each file appears under its
/// name only when it is complete, the list last. Returns notes on what the format cannot say.
pub fn export(workload: &Workload, list: &Path, packing: ExportPacking) -> Result<Vec<String>> {
    let directory = match list.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let _made = output::make_folders(directory)?;
    let mut written: Vec<&Kernel> = Vec::new();
    let mut notes = Vec::new();
    let mut text = String::new();
    for command in &workload.commands {
        match command {
            Command::MemcpyHtoD { address, bytes } => {
                text.push_str(&format!("MemcpyHtoD,{address:#018x},{bytes}\n"));
            }
            Command::Launch(kernel) => {
                let number = match written.iter().position(|k| same(k, kernel)) {
                    Some(number) => number,
                    None => {
                        let name = file_name(written.len(), packing);
                        let path = directory.join(name);
                        notes.extend(export_kernel(kernel, &path, packing)?);
                        written.push(kernel);
                        written.len() - 1
                    }
                };
                text.push_str(&file_name(number, packing));
                text.push('\n');
            }
        }
    }
    output::write_text(list, &text)?;
    Ok(notes)
}

fn file_name(number: usize, packing: ExportPacking) -> String {
    let suffix = match packing {
        ExportPacking::Plain => "",
        ExportPacking::Xz => ".xz",
    };
    format!("kernel-{}.traceg{suffix}", number + 1)
}

fn export_kernel(kernel: &Kernel, path: &Path, packing: ExportPacking) -> Result<Option<String>> {
    let io = |e| Error::io(path, e);
    output::write(path, |out| match packing {
        ExportPacking::Plain => write_kernel(kernel, path, out),
        ExportPacking::Xz => {
            let mut out = BufWriter::new(liblzma::write::XzEncoder::new(out, XZ_PRESET));
            let note = write_kernel(kernel, path, &mut out)?;
            let encoder = out.into_inner().map_err(|e| io(e.into_error()))?;
            encoder.finish().map_err(io)?;
            Ok(note)
        }
    })
}

/// Writes one kernel as the text of a trace file; the note says what is lost.
pub fn write_kernel(kernel: &Kernel, path: &Path, out: &mut impl Write) -> Result<Option<String>> {
    let io = |e| Error::io(path, e);
    let clustered = kernel.header.cluster != [1; 3];
    let printer = LinePrinter::new(&kernel.code);
    let version = if clustered { 6 } else { printer.version() };
    let printer = printer.at_least(version);
    write_header(kernel, version, out).map_err(io)?;
    let mut ctas = EncodedCtas::new(kernel);
    let mut stream = WarpStream::default();
    for cta in 0..kernel.header.cta_count() {
        let (encoded, _) = ctas.get(cta)?;
        let mut write = || -> std::io::Result<()> {
            begin_block(kernel, cta, clustered, out)?;
            for warp in 0..kernel.header.warps_per_cta() {
                let chunks = encoded.warp_chunks(warp);
                let insts: u64 = chunks.iter().map(|c| u64::from(c.insts)).sum();
                writeln!(out, "\nwarp = {warp}\ninsts = {insts}")?;
                for chunk in 0..chunks.len() as u32 {
                    encoded.load_chunk(warp, chunk, &mut stream);
                    printer.chunk(&mut stream, u64::MAX, out)?;
                }
            }
            writeln!(out, "\n#END_TB")
        };
        write().map_err(io)?;
    }
    let mut inexact = printer.inexact();
    let first = inexact.next().map(|inst| {
        let name = kernel.code.mnemonics.get(usize::from(inst.mnemonic));
        format!(
            "{}: {} of {} instructions have details that the format cannot say, the first is {}",
            kernel.header.name,
            printer.inexact().count(),
            kernel.code.insts.len(),
            name.map_or("without a name", String::as_str),
        )
    });
    Ok(first)
}

fn write_header(kernel: &Kernel, version: u32, out: &mut impl Write) -> std::io::Result<()> {
    let header = &kernel.header;
    let dims = |d: &[u32; 3]| format!("({},{},{})", d[0], d[1], d[2]);
    // A line break in a name would end the line early.
    let name = header.name.replace(|c: char| c.is_control(), " ");
    writeln!(out, "-kernel name = {name}")?;
    writeln!(out, "-kernel id = {}", header.id)?;
    writeln!(out, "-grid dim = {}", dims(&header.grid))?;
    writeln!(out, "-block dim = {}", dims(&header.block))?;
    writeln!(out, "-shmem = {}", header.smem_bytes)?;
    writeln!(out, "-nregs = {}", header.registers_per_thread)?;
    writeln!(out, "-binary version = {}", header.sm_version)?;
    writeln!(out, "-cuda stream id = {}", header.stream)?;
    writeln!(out, "-shmem base_addr = {:#018x}", header.shared_base)?;
    writeln!(out, "-local mem base_addr = {:#018x}", header.local_base)?;
    writeln!(out, "-nvbit version = none")?;
    writeln!(out, "-accelsim tracer version = {version}")?;
    writeln!(out, "-enable lineinfo = 0\n")?;
    writeln!(
        out,
        "#traces format = PC mask dest_num [reg_dests] opcode src_num [reg_srcs] mem_width \
         [adrrescompress?] [mem_addresses] immediate"
    )
}

fn begin_block(
    kernel: &Kernel,
    cta: u64,
    clustered: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let [gx, gy, _] = kernel.header.grid.map(u64::from);
    let id = [cta % gx, cta / gx % gy, cta / gx / gy];
    writeln!(out, "\n#BEGIN_TB\n")?;
    writeln!(out, "thread block = {},{},{}", id[0], id[1], id[2])?;
    if clustered {
        let cluster = kernel.header.cluster.map(u64::from);
        let part = |i: usize| (id[i] / cluster[i], id[i] % cluster[i]);
        let [x, y, z] = [part(0), part(1), part(2)];
        let rank = (z.1 * cluster[1] + y.1) * cluster[0] + x.1;
        writeln!(out, "cluster id = {},{},{}", x.0, y.0, z.0)?;
        writeln!(out, "cluster cta = {},{},{}", x.1, y.1, z.1)?;
        writeln!(out, "cluster rank = {rank}")?;
    }
    Ok(())
}
