//! The folder of a sweep: a manifest, a file for each result, times, and the locks of those who work there.
//!
//! A result takes its name when it is whole, so that what is there can be believed: nothing else says what is done.

use super::manifest::Manifest;
use super::point::{self, Limits, Stored};
use crate::error::{Error, Result};
use crate::output;
use crate::report::Report;
use serde_json::Value as Json;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of results, within that of the sweep.
pub(super) const POINTS: &str = "points";
/// Times, which are compared with nothing.
pub(super) const TIMINGS: &str = "timings.csv";
/// Files that a message names; of more it says how many.
const NAMED: usize = 3;
/// How temporary files begin and end.
const UNFINISHED: (&str, &str) = (".phantom-gpu-", ".part");

/// The folder of a sweep, while this process works there.
pub struct Store {
    folder: PathBuf,
    points: PathBuf,
    /// The folder itself, which is locked; not everywhere can folders be.
    lock: Option<File>,
    /// Others worked there when this process came.
    shared: bool,
}

impl Store {
    /// Opens `folder` for the sweep of `manifest`; it is made where it is missing. What killed processes left unfinished
    /// is removed when nobody else works there.
    ///
    /// # Errors
    /// A folder with another sweep or with other files; one that cannot be written.
    pub fn open(folder: &Path, manifest: &Manifest) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            let shown = folder.display();
            return Err(Error::Usage(format!(
                "{shown}: it is no folder; name one with -o, which is made where it is missing"
            )));
        }
        let known = Manifest::read(folder)?;
        match &known {
            Some(known) if known.sweep != manifest.sweep => {
                return Err(Error::Usage(format!(
                    "{}: another sweep is there, which differs in {}; name another folder with -o",
                    folder.display(),
                    known.difference(manifest)
                )));
            }
            Some(_) => {}
            None => only_unfinished(folder)?,
        }
        let points = folder.join(POINTS);
        fs::create_dir_all(&points).map_err(|e| Error::io(&points, e))?;
        let store = Store::at(folder);
        if known.as_ref() != Some(manifest) {
            manifest.write(folder)?;
        }
        Ok(store)
    }

    /// The folder of a sweep that is there.
    pub fn at(folder: &Path) -> Self {
        let mut store = Store {
            folder: folder.to_path_buf(),
            points: folder.join(POINTS),
            lock: File::open(folder).ok(),
            shared: false,
        };
        store.shared = !store.clean();
        if let Some(lock) = &store.lock {
            // Where folders cannot be locked nothing is ever removed.
            let _ = lock.lock_shared();
        }
        store
    }

    /// Whether others worked here when this process came, as far as that can be known.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Removes unfinished files when nobody else works here, which is returned.
    fn clean(&self) -> bool {
        let alone = self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.try_lock().is_ok());
        if !alone {
            return false;
        }
        for folder in [&self.folder, &self.points] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if is_unfinished(&entry.file_name().to_string_lossy()) {
                    // What cannot be removed does no harm.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        true
    }

    /// The file of `key`.
    fn path(&self, key: &str) -> PathBuf {
        self.points.join(format!("{key}.json"))
    }

    /// Whether the result of `key` is there and need not be made again.
    pub fn has(&self, key: &str, limits: &Limits) -> bool {
        let stored = self.read_as::<serde::de::IgnoredAny>(key);
        stored.is_some_and(|stored| !limits.reopen(&stored))
    }

    /// Names the files of `keys` that are there and are not what was stored: a part of it, or something else. Nothing
    /// where all are whole.
    pub fn damaged<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Option<String> {
        let whole = |key: &str| self.read_as::<serde::de::IgnoredAny>(key).is_some();
        let damaged: Vec<&str> = keys
            .filter(|key| self.path(key).exists() && !whole(key))
            .collect();
        let named: Vec<String> = damaged
            .iter()
            .take(NAMED)
            .map(|key| format!("{POINTS}/{key}.json"))
            .collect();
        let more = match damaged.len() - named.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        (!damaged.is_empty()).then(|| format!("damaged: {}{more}", named.join(", ")))
    }

    /// The result of `key`; nothing when it is missing, or damaged, for then it is made again.
    pub fn read(&self, key: &str) -> Option<Stored<Json>> {
        self.read_as(key)
    }

    fn read_as<R: serde::de::DeserializeOwned>(&self, key: &str) -> Option<Stored<R>> {
        point::unseal(&fs::read(self.path(key)).ok()?, key)
    }

    /// Whether the result of `key` gives way to another one: it does not follow from the key alone.
    pub fn is_provisional(&self, key: &str) -> bool {
        let stored = self.read_as::<serde::de::IgnoredAny>(key);
        stored.is_some_and(|stored| stored.limit.is_some() || stored.again)
    }

    /// The bytes of the result of `key`, where it is there.
    pub fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        self.read_as::<serde::de::IgnoredAny>(key)?;
        fs::read(self.path(key)).ok()
    }

    /// Stores a result, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, stored: &Stored<&Report>) -> Result<()> {
        self.write_bytes(&stored.key, &point::seal(stored))
    }

    /// Stores the bytes of a result.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_bytes(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(key);
        output::write(&path, |out| {
            out.write_all(bytes).map_err(|e| Error::io(&path, e))
        })
    }

    /// Adds a line to the times: nothing that is compared.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn note_time(&self, key: &str, point: usize, seconds: f64) -> Result<()> {
        let path = self.folder.join(TIMINGS);
        let io = |e| Error::io(&path, e);
        if let Ok(mut new) = File::create_new(&path) {
            new.write_all(b"key,point,seconds,finished_unix_s,host\n")
                .map_err(io)?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let line = format!(
            "{key},{point},{seconds:.6},{},{}\n",
            now.map_or(0, |t| t.as_secs()),
            sysinfo::System::host_name().unwrap_or_default()
        );
        let mut file = OpenOptions::new().append(true).open(&path).map_err(io)?;
        file.write_all(line.as_bytes()).map_err(io)
    }

    /// Adds the times that `from` has and this folder has not.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add_times(&self, from: &Store) -> Result<()> {
        let Ok(theirs) = fs::read_to_string(from.folder.join(TIMINGS)) else {
            return Ok(());
        };
        let path = self.folder.join(TIMINGS);
        let mut all = fs::read_to_string(&path).unwrap_or_default();
        let known: std::collections::BTreeSet<String> = all.lines().map(str::to_owned).collect();
        for line in theirs.lines().filter(|line| !known.contains(*line)) {
            all.push_str(line);
            all.push('\n');
        }
        output::write_text(&path, &all)
    }

    /// Lets `work` run while no other process does the same: of several that end at once, the last one sees all.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let gate = File::open(self.folder.join(super::manifest::FILE));
        if let Ok(gate) = &gate {
            let _ = gate.lock();
        }
        work()
    }

    /// Whether `path` is a file of the sweep in `folder`: one that is there, or has the name of one.
    pub fn owns(folder: &Path, path: &Path) -> bool {
        let place = |path: &Path| fs::canonicalize(path).ok();
        let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => place(above),
            _ => place(Path::new(".")),
        };
        let tables = [
            super::manifest::FILE,
            super::table::FILE,
            super::summary::FILE,
            "results.parquet",
            TIMINGS,
        ];
        let among = |name: String| tables.contains(&name.as_str());
        above.is_some()
            && (above == place(&folder.join(POINTS))
                || above == place(folder) && name(path).is_some_and(among))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
        self.clean();
    }
}

fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1)
}

/// Refuses a folder with files that no sweep has left there.
fn only_unfinished(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(folder, e)),
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let empty = || fs::read_dir(entry.path()).is_ok_and(|mut inner| inner.next().is_none());
        let ours = is_unfinished(&name) || name == POINTS && empty();
        if !ours {
            return Err(Error::Usage(format!(
                "{}: {name} is there, but no sweep; name an empty folder, or one that is not there, with -o",
                folder.display()
            )));
        }
    }
    Ok(())
}
