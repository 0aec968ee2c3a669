//! Output files: complete or not there. Every file that phantom-gpu writes is written here.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes collected before they go to the system.
const BUFFER_BYTES: usize = 1 << 18;

/// What the body of an output file writes to.
pub type Sink<'a> = BufWriter<&'a File>;

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
    let refuse = |what: String, remedy: &str| {
        Err(Error::input(
            path.display().to_string(),
            "output file",
            what,
            remedy,
        ))
    };
    let folder = folder(path);
    if !folder.is_dir() {
        let what = format!("its folder {} does not exist", folder.display());
        return refuse(what, "make the folder first");
    }
    if path.is_dir() {
        return refuse("it is a folder".into(), "name a file");
    }
    Ok(())
}

/// [`check`] for each file that was asked for; `-` is standard output.
///
/// # Errors
/// As [`check`].
pub fn check_all<'a>(asked: impl IntoIterator<Item = &'a Option<PathBuf>>) -> Result<()> {
    let mut files = asked.into_iter().flatten();
    files.try_for_each(|file| match file.as_os_str() == "-" {
        true => Ok(()),
        false => check(file),
    })
}

/// Writes `path` by way of a temporary file beside it, which takes its name when it is complete. A pipe or
/// a device, such as `/dev/null`, is written to, never replaced; a link stays a link to what is written.
///
/// # Errors
/// When `body` fails or the file cannot be written; of a regular file nothing is left behind then.
pub fn write<T>(path: &Path, body: impl FnOnce(&mut Sink<'_>) -> Result<T>) -> Result<T> {
    check(path)?;
    let io = |e| Error::io(path, e);
    let fill = |file: &File| {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let result = body(&mut out);
        if result.is_err() {
            // What is collected belongs to a file that will not be.
            let _ = out.into_parts();
            return result;
        }
        out.flush().map_err(io)?;
        result
    };
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        let file = File::options().write(true).open(path).map_err(io)?;
        return fill(&file);
    }
    let target = target(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".phantom-gpu-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Like any file that a program makes: the umask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder(&target)).map_err(io)?;
    let result = fill(file.as_file())?;
    file.persist(&target).map_err(|e| io(e.error))?;
    Ok(result)
}

/// Writes `text` to `path` as [`write`] does.
///
/// # Errors
/// As [`write`].
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    write(path, |out| {
        out.write_all(text.as_bytes())
            .map_err(|e| Error::io(path, e))
    })
}

/// The file that `path` names, links followed.
fn target(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_file_is_complete_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write_text(&path, "whole").unwrap();
        let failed = write(&path, |out| {
            out.write_all(&[b'x'; 2 * BUFFER_BYTES]).unwrap();
            Err::<(), _>(Error::Run("stopped".into()))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_known_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("out")).is_ok());
        let missing = check(&folder.path().join("none/out")).unwrap_err();
        assert!(missing.to_string().contains("does not exist"));
        let itself = write_text(folder.path(), "").unwrap_err();
        assert!(itself.to_string().contains("it is a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_are_written_through_and_stay() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_text(&path("file"), "old").unwrap();
        symlink(path("file"), path("link")).unwrap();
        write_text(&path("link"), "new").unwrap();
        assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "new");
        assert!(path("link").is_symlink());

        // A pipe in place of a device, whose replacement would need the rights to do so.
        let pipe = path("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.is_ok_and(|s| s.success()), "mkfifo is needed here");
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                let mut file = File::open(pipe).unwrap();
                file.read_to_string(&mut text).unwrap();
                text
            }
        });
        write_text(&pipe, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
}
