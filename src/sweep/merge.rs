//! Folders of one sweep become one: points are copied, and the tables are made of all of them.

use super::manifest::Manifest;
use super::store::{POINTS, Store};
use super::{Outcome, finish};
use crate::error::{Error, Result};
use crate::output;
use std::path::{Path, PathBuf};

/// Merges `folders` into `out`, which may be one of them; the page of all goes to `html`.
///
/// # Errors
/// A folder without a sweep, folders of different sweeps, results that differ, files that cannot be written.
pub fn merge(folders: &[PathBuf], out: &Path, html: Option<&Path>) -> Result<Outcome> {
    let mut first: Option<(Manifest, &Path)> = None;
    for folder in folders {
        let Some(manifest) = Manifest::read(folder)? else {
            let what = "there is no manifest.json of a sweep";
            let remedy = "name folders that `phantom-gpu sweep -o` has written";
            return Err(Error::input(
                folder.display().to_string(),
                "whole folder",
                what,
                remedy,
            ));
        };
        match &first {
            None => first = Some((manifest, folder)),
            Some((known, place)) if known.sweep != manifest.sweep => {
                return Err(Error::Usage(format!(
                    "{} and {} are of different sweeps, which differ in {}; merge folders of one sweep",
                    place.display(),
                    folder.display(),
                    known.difference(&manifest)
                )));
            }
            Some(_) => {}
        }
    }
    let Some((manifest, _)) = first else {
        return Err(Error::Usage("name a folder to merge".into()));
    };
    let into = Store::open(out, &manifest)?;
    let target = std::fs::canonicalize(out).map_err(|e| Error::io(out, e))?;
    for folder in folders {
        if std::fs::canonicalize(folder).is_ok_and(|place| place == target) {
            continue;
        }
        let from = Store::at(folder);
        note_damaged(&manifest, &from);
        for at in manifest.owners() {
            copy(&manifest.points[at].key, &from, &into)?;
        }
        into.add_times(&from)?;
    }
    note_damaged(&manifest, &into);
    finish(&manifest, &into, html)
}

/// Names the results in `store` that are not what was stored there, so that they are not taken.
fn note_damaged(manifest: &Manifest, store: &Store) {
    let keys = manifest.owners().into_iter();
    if let Some(damaged) = store.damaged(keys.map(|at| manifest.points[at].key.as_str())) {
        output::note(format_args!(
            "note: {}: {damaged}; not taken",
            store.folder().display()
        ));
    }
}

/// Copies the result of `key`. Limits of time and memory depend on the host, and a file that could not be read may be
/// whole elsewhere: such a result gives way to one that follows from the key.
fn copy(key: &str, from: &Store, into: &Store) -> Result<()> {
    let Some(bytes) = from.bytes(key) else {
        return Ok(());
    };
    match into.bytes(key) {
        Some(known) if known == bytes => Ok(()),
        Some(_) if from.is_provisional(key) => Ok(()),
        Some(_) if into.is_provisional(key) => into.write_bytes(key, &bytes),
        Some(_) => Err(Error::input(
            from.folder().display().to_string(),
            format!("{POINTS}/{key}.json"),
            format!("it differs from that of {}", into.folder().display()),
            "they were made by different programs: remove one of them and run it again",
        )),
        None => into.write_bytes(key, &bytes),
    }
}
