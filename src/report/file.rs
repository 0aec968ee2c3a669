//! Output files: complete or not there.

use crate::error::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// The folder of `path`.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether `path` can be written later, as far as that can be told now: so that a long run does not end in
/// an error that was there before it began.
///
/// # Errors
/// When its folder does not exist, or it is a folder itself.
pub fn check(path: &Path) -> Result<()> {
    let refuse = |what: &str, remedy: &str| {
        Err(Error::input(
            path.display().to_string(),
            "output file",
            what,
            remedy,
        ))
    };
    if !folder(path).is_dir() {
        return refuse("its folder does not exist", "make the folder first");
    }
    if path.is_dir() {
        return refuse("it is a folder", "name a file");
    }
    Ok(())
}

/// Writes `path` by way of a temporary file beside it, which takes its name when it is complete.
///
/// # Errors
/// When the file cannot be written; nothing is left behind then.
pub fn write(path: &Path, body: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let io = |e| Error::io(path, e);
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        // A pipe or a device must be written to, not replaced.
        let mut out = BufWriter::new(std::fs::File::create(path).map_err(io)?);
        return body(&mut out).and_then(|()| out.flush()).map_err(io);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".phantom-gpu-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Like any file that a program makes: the umask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder(path)).map_err(io)?;
    {
        let mut out = BufWriter::new(&mut file);
        body(&mut out).and_then(|()| out.flush()).map_err(io)?;
    }
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}
