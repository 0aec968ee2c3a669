//! Estimates that were made before: in memory, and in a folder if there is one.
//!
//! A key says everything that an estimate depends on: the machine, its version, the kernel, the kernels before it (of
//! which L2 holds something), and how it was sampled. Files are named by the key and written whole, so that any number
//! of processes may share a folder.

use super::Settings;
use crate::config::{GpuSpec, Resolved};
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::occupancy::Occupancy;
use crate::output;
use crate::session::MODEL_VERSION;
use crate::simulation::{KernelRun, Provenance, ProvenanceKind};
use crate::stats::ChipCounters;
use crate::trace::{CtaEncoder, Kernel, WarpStream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Version of the files, and of how estimates are made: it rises with every change of what is cut or extrapolated.
const VERSION: u32 = 8;

/// Estimates by key.
#[derive(Default)]
pub struct Memo {
    folder: Option<PathBuf>,
    known: Mutex<BTreeMap<String, KernelRun>>,
}

/// What a file holds: the numbers of a run; the rest follows from the kernel.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// That of the file's name.
    key: String,
    /// Of everything else.
    check: String,
    start: u64,
    end: u64,
    warp_instructions: u64,
    thread_instructions: u64,
    sampled: bool,
    simulated_fraction: f64,
    ci_rel: f64,
    note: Option<String>,
    counters: Vec<u64>,
}

impl Memo {
    /// In memory, and in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        Ok(Memo {
            folder: folder.map(Path::to_owned),
            known: Mutex::default(),
        })
    }

    /// The run of `kernel` under `key`, made by `make` if nobody made it before. Runs that did not come to their end
    /// are not kept.
    pub(super) fn get_or_run(
        &self,
        key: &str,
        kernel: &Kernel,
        spec: &GpuSpec,
        make: impl FnOnce() -> Result<KernelRun>,
    ) -> Result<KernelRun> {
        let known = || self.known.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(run) = known().get(key) {
            return Ok(KernelRun {
                header: kernel.header.clone(),
                layer: kernel.layer,
                reason: kernel.reason.clone(),
                ..run.clone()
            });
        }
        let file = self.folder.as_ref().map(|f| f.join(format!("{key}.json")));
        let stored = file.as_deref().and_then(|file| Stored::read(file, key));
        let known_before = stored.is_some();
        let run = match stored {
            Some(stored) => stored.into_run(kernel, spec)?,
            None => make()?,
        };
        if run.partial {
            return Ok(run);
        }
        if let (Some(file), false) = (&file, known_before) {
            Stored::of(&run, key).write(file)?;
        }
        known().insert(key.to_owned(), run.clone());
        Ok(run)
    }
}

impl Stored {
    fn of(run: &KernelRun, key: &str) -> Self {
        let mut counters = Vec::new();
        let _ = run.counters.blend(&run.counters, &mut |_, count, _| {
            counters.push(count);
            count
        });
        let mut stored = Stored {
            version: VERSION,
            key: key.to_owned(),
            check: String::new(),
            start: run.start,
            end: run.end,
            warp_instructions: run.warp_instructions,
            thread_instructions: run.thread_instructions,
            sampled: run.provenance.kind == ProvenanceKind::Sampled,
            simulated_fraction: run.provenance.simulated_fraction,
            ci_rel: run.provenance.ci_rel,
            note: run.provenance.note.clone(),
            counters,
        };
        stored.check = stored.checksum();
        stored
    }

    /// Of what the file says, so that a number that was changed is no number.
    fn checksum(&self) -> String {
        let mut hash = ContentHash::default();
        hash.bytes(self.key.as_bytes());
        let fractions = [self.simulated_fraction.to_bits(), self.ci_rel.to_bits()];
        let counts = [
            self.start,
            self.end,
            self.warp_instructions,
            self.thread_instructions,
        ];
        let flags = [u64::from(self.sampled)];
        let words = counts.iter().chain(&fractions).chain(&flags);
        words
            .chain(&self.counters)
            .for_each(|word| hash.word(*word));
        hash.bytes(self.note.as_deref().unwrap_or("").as_bytes());
        hash.hex()
    }

    /// The run, with what its kernel says.
    fn into_run(self, kernel: &Kernel, spec: &GpuSpec) -> Result<KernelRun> {
        let mut counts = self.counters.iter().copied();
        let empty = ChipCounters::default();
        let counters = empty.blend(&empty, &mut |_, _, _| counts.next().unwrap_or(0));
        Ok(KernelRun {
            header: kernel.header.clone(),
            layer: kernel.layer,
            reason: kernel.reason.clone(),
            start: self.start,
            end: self.end,
            warp_instructions: self.warp_instructions,
            thread_instructions: self.thread_instructions,
            occupancy: Occupancy::new(&kernel.header, spec)?,
            counters,
            overlapped: false,
            partial: false,
            unknown: kernel.code.unknown.clone(),
            control_bits: kernel.code.insts.iter().any(|i| i.control.is_some()),
            provenance: Provenance {
                kind: match self.sampled {
                    true => ProvenanceKind::Sampled,
                    false => ProvenanceKind::Full,
                },
                simulated_fraction: self.simulated_fraction,
                ci_rel: self.ci_rel,
                note: self.note,
            },
            power: None,
        })
    }

    /// The content of `file`; nothing when it is missing, damaged, or of another kernel or version, for then it is made
    /// again.
    fn read(file: &Path, key: &str) -> Option<Self> {
        let text = std::fs::read(file).ok()?;
        let stored: Stored = serde_json::from_slice(&text).ok()?;
        let mut expected = 0;
        let empty = ChipCounters::default();
        let _ = empty.blend(&empty, &mut |_, count, _| {
            expected += 1;
            count
        });
        let whole = stored.counters.len() == expected && stored.end >= stored.start;
        let own = stored.version == VERSION && stored.key == key;
        (own && whole && stored.check == stored.checksum()).then_some(stored)
    }

    fn write(&self, file: &Path) -> Result<()> {
        output::write(file, |out| {
            serde_json::to_writer(out, self).map_err(|e| Error::io(file, e.into()))
        })
    }
}

/// The name under which the run of the last kernel is kept, behind the others, whose `contents` these are.
pub fn key(config: &Resolved, settings: &Settings, contents: &[String]) -> String {
    let mut hash = ContentHash::default();
    hash.word(u64::from(MODEL_VERSION));
    hash.bytes(config.hash.as_bytes());
    hash.word(settings.ci.to_bits());
    hash.word(settings.budget);
    hash.word(settings.patience);
    contents
        .iter()
        .for_each(|content| hash.bytes(content.as_bytes()));
    hash.hex()
}

/// What each of `kernels` does, as a hash. Launches of a kernel come one after the other and are looked at once.
///
/// # Errors
/// A trace that cannot be read.
pub fn contents(kernels: &[&Kernel]) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::with_capacity(kernels.len());
    for (at, kernel) in kernels.iter().enumerate() {
        let content = match at.checked_sub(1) {
            Some(last) if kernels[last].is_launch_of(kernel) => all[last].clone(),
            _ => content(kernel)?,
        };
        all.push(content);
    }
    Ok(all)
}

/// What a kernel does: its shape, its code, and the beginning of some of its CTAs, which tells where its buffers lie.
fn content(kernel: &Kernel) -> Result<String> {
    let mut hash = ContentHash::default();
    let header = &kernel.header;
    hash.bytes(header.source.text().as_bytes());
    hash.bytes(header.name.as_bytes());
    for size in header
        .grid
        .iter()
        .chain(&header.block)
        .chain(&header.cluster)
    {
        hash.word(u64::from(*size));
    }
    hash.word(u64::from(header.registers_per_thread));
    hash.word(u64::from(header.smem_bytes));
    hash.word(u64::from(header.sm_version));
    if let Some(totals) = kernel.totals {
        hash.bytes(&totals.content.to_le_bytes());
    }
    let code = bincode::encode_to_vec(&*kernel.code, bincode::config::legacy());
    hash.bytes(&code.map_err(|e| Error::Run(format!("{}: its code: {e}", header.name)))?);
    let ctas = header.cta_count();
    let mut encoder = CtaEncoder::default();
    let mut streams = vec![WarpStream::default(); header.warps_per_cta() as usize];
    for cta in [0, ctas / 2, ctas.saturating_sub(1)] {
        hash.word(kernel.ctas.iterations(cta));
        kernel.ctas.load(cta, &mut streams, &mut encoder)?;
        for stream in &streams {
            hash.bytes(stream.chunk_bytes().0);
        }
    }
    Ok(hash.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_whatever_its_fractions() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        let mut counters = Vec::new();
        let empty = ChipCounters::default();
        let _ = empty.blend(&empty, &mut |_, count, _| {
            counters.push(count);
            count
        });
        for n in 1..2000u32 {
            // The first of these came back as another number from a reader that rounds.
            let ci_rel = 0.029712066557770294 / f64::from(n);
            let mut stored = Stored {
                version: VERSION,
                key: "k".into(),
                check: String::new(),
                start: 0,
                end: 1,
                warp_instructions: 1,
                thread_instructions: 1,
                sampled: true,
                simulated_fraction: ci_rel / 3.0,
                ci_rel,
                note: None,
                counters: counters.clone(),
            };
            stored.check = stored.checksum();
            stored.write(&file).unwrap();
            assert!(Stored::read(&file, "k").is_some(), "{ci_rel}");
        }
    }
}
