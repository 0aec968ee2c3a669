//! Writes a workload to a `.pgt` file.

use super::blocks::{BlockWriter, Sequential, crc32};
use super::encoded::EncodedCtas;
use super::format::{
    CommandEntry, Footer, HEAD_BYTES, INDEX_BYTES_MAX, Index, KernelEntry, MAGIC, Sources, VERSION,
    VERSION_WITH_LINES,
};
use super::hash::workload_hash;
use crate::error::{Error, Result};
use crate::output;
use crate::trace::kernel::{Command, Kernel, Workload};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// zstd's level: 9 costs a few seconds on a large trace and saves a fifth.
const LEVEL: i32 = 9;

/// Writes `workload` to `path`, under a temporary name until it is complete.
pub fn write_pgt(workload: &Workload, path: &Path) -> Result<()> {
    output::write(path, |out| write_to(workload, path, out))
}

fn write_to(workload: &Workload, path: &Path, out: &mut impl Write) -> Result<()> {
    let io = |e| Error::io(path, e);
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(&MAGIC);
    let known = |command: &Command| matches!(command, Command::Launch(k) if k.lines.is_some());
    let version = match workload.commands.iter().any(known) {
        true => VERSION_WITH_LINES,
        false => VERSION,
    };
    head[8..12].copy_from_slice(&version.to_le_bytes());
    out.write_all(&head).map_err(io)?;
    let mut writer = IndexWriter {
        at: HEAD_BYTES,
        written: Vec::new(),
        kernels: Vec::new(),
    };
    let mut commands = Vec::new();
    for command in &workload.commands {
        commands.push(match command {
            Command::MemcpyHtoD { address, bytes } => CommandEntry::Copy {
                address: *address,
                bytes: *bytes,
            },
            Command::Launch(kernel) => CommandEntry::Launch {
                kernel: writer.kernel(kernel, out, path)?,
            },
        });
    }
    let index = Index {
        tool: concat!("phantom-gpu ", env!("CARGO_PKG_VERSION")).to_string(),
        source: workload.source.clone(),
        hash: writer.hash(workload),
        notes: workload.notes.clone(),
        kernels: std::mem::take(&mut writer.kernels),
        commands,
    };
    let legacy = bincode::config::legacy();
    let other = |e| io(std::io::Error::other(e));
    let mut raw = bincode::encode_to_vec(&index, legacy).map_err(other)?;
    if version == VERSION_WITH_LINES {
        let lines = writer.written.iter().map(|k| k.lines.as_deref().cloned());
        let sources: Sources = lines.collect();
        raw.extend(bincode::encode_to_vec(&sources, legacy).map_err(other)?);
    }
    if raw.len() > INDEX_BYTES_MAX {
        return Err(Error::input(
            &workload.source,
            "its kernels",
            "their code tables together need more than 1 GiB",
            "convert fewer kernels into one file",
        ));
    }
    let packed = zstd::bulk::compress(&raw, LEVEL).map_err(io)?;
    let footer = Footer {
        offset: writer.at,
        packed: packed.len() as u32,
        raw: raw.len() as u32,
        crc: crc32(&packed),
    };
    out.write_all(&packed).map_err(io)?;
    out.write_all(&footer.to_bytes()).map_err(io)
}

struct IndexWriter<'a> {
    at: u64,
    written: Vec<&'a Kernel>,
    kernels: Vec<KernelEntry>,
}

impl<'a> IndexWriter<'a> {
    /// The number of `kernel`, whose body is written unless it was before.
    fn kernel(&mut self, kernel: &'a Kernel, out: &mut impl Write, path: &Path) -> Result<u32> {
        if let Some(number) = self.written.iter().position(|k| same(k, kernel)) {
            return Ok(number as u32);
        }
        let io = |e| Error::io(path, e);
        let mut blocks = BlockWriter::new(Sequential::new(out), LEVEL).map_err(io)?;
        let mut ctas = EncodedCtas::new(kernel);
        let warps = kernel.header.warps_per_cta();
        for cta in 0..kernel.header.cta_count() {
            let (encoded, counts) = ctas.get(cta)?;
            blocks.push(encoded, warps, counts).map_err(io)?;
        }
        let (_, body) = blocks.finish().map_err(io)?;
        self.kernels.push(KernelEntry {
            header: kernel.header.clone(),
            code: (*kernel.code).clone(),
            totals: body.totals,
            base: self.at,
            bytes: body.bytes,
            frames: body.frames,
        });
        self.at += body.bytes;
        self.written.push(kernel);
        Ok(self.kernels.len() as u32 - 1)
    }

    /// The workload's hash, kernels that were generated on demand included by what they made.
    fn hash(&self, workload: &Workload) -> String {
        let commands: Vec<Command> = workload
            .commands
            .iter()
            .map(|command| match command {
                Command::Launch(kernel) => {
                    let mut kernel = kernel.clone();
                    let number = self.written.iter().position(|k| same(k, &kernel));
                    kernel.totals = number.map(|n| self.kernels[n].totals);
                    Command::Launch(kernel)
                }
                copy => copy.clone(),
            })
            .collect();
        workload_hash(&commands)
    }
}

/// Whether two launches are of the very same kernel.
pub fn same(a: &Kernel, b: &Kernel) -> bool {
    a.ctas.is(&b.ctas) && Arc::ptr_eq(&a.code, &b.code) && a.header == b.header
}
