//! `kernelslist.g`: the commands of a run, and the import of every kernel that it names.

use super::import::{Imported, import};
use crate::error::{Error, Result, input};
use crate::trace::kernel::{Command, ImportCost, Kernel, Workload};
use crate::trace::pgt::hash::workload_hash;
use crate::trace::pgt::spool::{SPOOL_MEMORY_BYTES, SpoolSpace};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A file longer than this is no list.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A copy to the device.
    Copy {
        /// First byte.
        address: u64,
        /// Length.
        bytes: u64,
    },
    /// A launch: the name of its trace file.
    Kernel(String),
}

/// Imports the list at `path` with every kernel that it names.
pub fn import_list(path: &Path) -> Result<Workload> {
    let started = Instant::now();
    let name = path.display().to_string();
    let what = "the kernelslist.g of an Accel-Sim trace";
    let text = input::bytes(path, LIST_BYTES_MAX, what)?;
    let (entries, mut notes) = parse_list(&name, &text)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = Vec::new();
    let mut number_of: HashMap<&str, usize> = HashMap::new();
    for entry in &entries {
        if let Entry::Kernel(file) = entry
            && !number_of.contains_key(&**file)
        {
            let found = existing(directory.join(file)).ok_or_else(|| {
                Error::input(
                    &name,
                    format!("the line \"{file}\""),
                    format!("there is no such file in {}", directory.display()),
                    "copy it there or take the line out",
                )
            })?;
            number_of.insert(file, files.len());
            files.push(found);
        }
    }
    let (kernels, text_bytes) = import_all(&files, &mut notes)?;
    let commands = entries
        .iter()
        .map(|entry| match entry {
            Entry::Copy { address, bytes } => Command::MemcpyHtoD {
                address: *address,
                bytes: *bytes,
            },
            Entry::Kernel(file) => Command::Launch(Box::new(kernels[number_of[&**file]].clone())),
        })
        .collect::<Vec<_>>();
    Ok(Workload {
        source: name,
        hash: workload_hash(&commands),
        commands,
        import: ImportCost {
            seconds: started.elapsed().as_secs_f64(),
            text_bytes,
        },
        notes,
        layers: Vec::new(),
    })
}

/// The trace files that the list at `path` names, as far as it can be read and they are there.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.display().to_string();
    let text = input::bytes(path, LIST_BYTES_MAX, "a list").unwrap_or_default();
    let entries = parse_list(&name, &text).map(|(entries, _)| entries);
    let directory = path.parent().unwrap_or(Path::new(""));
    let file = |entry| match entry {
        Entry::Kernel(file) => existing(directory.join(file)),
        Entry::Copy { .. } => None,
    };
    entries
        .unwrap_or_default()
        .into_iter()
        .filter_map(file)
        .collect()
}

/// Imports one trace file as a workload of its own.
pub fn import_single(path: &Path) -> Result<Workload> {
    let started = Instant::now();
    let imported = import(path, &SpoolSpace::new(SPOOL_MEMORY_BYTES))?;
    let commands = vec![Command::Launch(Box::new(imported.kernel))];
    Ok(Workload {
        source: path.display().to_string(),
        hash: workload_hash(&commands),
        commands,
        import: ImportCost {
            seconds: started.elapsed().as_secs_f64(),
            text_bytes: imported.text_bytes,
        },
        notes: imported.note.into_iter().collect(),
        layers: Vec::new(),
    })
}

/// The entries of a list, and a note on every kind of line that was passed over.
pub fn parse_list(name: &str, text: &[u8]) -> Result<(Vec<Entry>, Vec<String>)> {
    let mut entries = Vec::new();
    let mut ignored = 0u64;
    let mut first_ignored = String::new();
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        let line = line.trim_ascii();
        let fault = |what: String| {
            Error::input(
                name,
                format!("line {}", number + 1),
                what,
                "the list is damaged; write it again",
            )
        };
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|_| fault("not text".into()))?;
        if text.starts_with("MemcpyHtoD") {
            entries.push(copy(text).ok_or_else(|| {
                fault(format!(
                    "\"{text}\" where MemcpyHtoD,<hexadecimal address>,<bytes> is expected"
                ))
            })?);
        } else if text.starts_with("kernel") {
            entries.push(Entry::Kernel(text.to_string()));
        } else {
            ignored += 1;
            if first_ignored.is_empty() {
                first_ignored = text.chars().take(40).collect();
            }
        }
    }
    if entries.is_empty() {
        return Err(Error::input(
            name,
            "the whole file",
            "no kernel and no MemcpyHtoD line",
            "write the names of its kernel-*.traceg files into it, one a line; Accel-Sim's post-traces-processing \
             does that from the tracer's kernelslist",
        ));
    }
    let notes = (ignored > 0).then(|| {
        format!("{name}: {ignored} other line(s) passed over, the first \"{first_ignored}\"")
    });
    Ok((entries, notes.into_iter().collect()))
}

fn copy(line: &str) -> Option<Entry> {
    let mut fields = line.split(',').map(str::trim);
    if fields.next()? != "MemcpyHtoD" {
        return None;
    }
    let address = super::fields::hexadecimal(fields.next()?.as_bytes())?;
    let bytes = super::fields::decimal(fields.next()?.as_bytes())?;
    let whole = fields.next().is_none() && address.checked_add(bytes).is_some();
    whole.then_some(Entry::Copy { address, bytes })
}

/// `path`, or the same name with a compression suffix when only that exists: lists name files as
/// the tracer wrote them.
fn existing(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let with = |suffix: &str| {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    [".xz", ".gz", ".zst"]
        .map(with)
        .into_iter()
        .find(|p| p.exists())
}

/// Imports `files`, as many at a time as there are cores; the first fault in list order counts.
fn import_all(files: &[PathBuf], notes: &mut Vec<String>) -> Result<(Vec<Kernel>, u64)> {
    let workers = std::thread::available_parallelism()
        .map_or(1, |n| n.get())
        .min(files.len())
        .min(8);
    let space = SpoolSpace::new(SPOOL_MEMORY_BYTES);
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<Imported>>>> =
        files.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(number) else { break };
            let result = import(file, &space);
            if result.is_err() {
                // Files before this one are done or under way, so the first fault is found.
                next.store(files.len(), Ordering::Relaxed);
            }
            if let Ok(mut slot) = results[number].lock() {
                *slot = Some(result);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    let mut kernels = Vec::new();
    let mut bytes = 0;
    for slot in results {
        match slot.into_inner().ok().flatten() {
            Some(Ok(imported)) => {
                bytes += imported.text_bytes;
                kernels.push(imported.kernel);
                notes.extend(imported.note);
            }
            Some(Err(error)) => return Err(error),
            // Not reached because a later file failed first; that fault follows.
            None => {}
        }
    }
    Ok((kernels, bytes))
}
