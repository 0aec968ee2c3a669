//! Everything that phantom-gpu writes: files, standard output, notes on standard error.
//!
//! A file is complete or does not exist, even when a signal ends the process. `-` is standard output. A pipe whose
//! reader has gone is never an error: the reader of `| head -1` has got what it wanted.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Bytes that are buffered before they are handed to the operating system.
const BUFFER_BYTES: usize = 1 << 18;

/// What the body of an output writes to.
pub type Sink<'a> = BufWriter<Target<'a>>;

/// Where the bytes of an output end up.
#[derive(Debug)]
pub enum Target<'a> {
    /// A file, a device or a pipe with a name.
    File(&'a File),
    /// Standard output.
    Standard(StdoutLock<'static>),
    /// What stands in for standard output.
    Memory(&'a mut Vec<u8>),
}

impl Write for Target<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::File(file) => file.write(bytes),
            Target::Standard(out) => out.write(bytes),
            Target::Memory(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::File(file) => file.flush(),
            Target::Standard(out) => out.flush(),
            Target::Memory(_) => Ok(()),
        }
    }
}

thread_local! {
    /// What this thread has written to standard output, while somebody else wants to have it.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Lets `work` run on this thread, and keeps what it writes to standard output. Tables that would go to standard error,
/// because standard output has the numbers, are left out.
pub fn captured<T>(work: impl FnOnce() -> T) -> (T, Vec<u8>) {
    let before = CAPTURED.replace(Some(Vec::new()));
    let value = work();
    (value, CAPTURED.replace(before).unwrap_or_default())
}

/// Lets `body` write to standard output, or to what stands in for it. `None` when its reader has gone.
fn to_standard<T>(body: impl FnOnce(&mut Sink<'_>) -> Result<T>) -> Result<Option<T>> {
    let name = Path::new("standard output");
    match CAPTURED.take() {
        None => fill(Target::Standard(io::stdout().lock()), name, body),
        Some(mut bytes) => {
            let result = fill(Target::Memory(&mut bytes), name, body);
            CAPTURED.set(Some(bytes));
            result
        }
    }
}

/// Files that are being written, under their temporary names, and folders that were made for them.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process with `status`; files that are not complete yet are removed first.
pub fn abandon(status: i32) -> ! {
    // The lock is kept until the process ends, so that no other thread starts or completes a file meanwhile.
    let parts = unfinished();
    for part in parts.iter().rev() {
        // A folder goes only when it is empty, which the order takes care of.
        let _ = std::fs::remove_file(part).or_else(|_| std::fs::remove_dir(part));
    }
    std::process::exit(status)
}

/// Whether `path` is standard output: `-`, or the name that the system has for it.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-" || path.as_os_str() == "/dev/stdout"
}

/// The folder of `path`.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Folders that were made for an output. When this is dropped, or a signal ends the process before, those that are
/// still empty are removed.
#[must_use]
#[derive(Debug)]
pub struct MadeFolders(Vec<PathBuf>);

/// Makes `folder` and those above it that are missing.
///
/// # Errors
/// When one of them cannot be made.
pub fn make_folders(folder: &Path) -> Result<MadeFolders> {
    let mut made = MadeFolders(Vec::new());
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|f| !f.as_os_str().is_empty() && !f.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        let mut unfinished = unfinished();
        std::fs::create_dir(folder).map_err(|e| Error::io(folder, e))?;
        unfinished.push(folder.to_path_buf());
        made.0.push(folder.to_path_buf());
    }
    Ok(made)
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        unfinished().retain(|other| !self.0.contains(other));
        for folder in self.0.iter().rev() {
            // Fails, as it should, when something was written there.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Checks before a run that its output can be written after it, as far as that can be known: a long run must not
/// fail at its end because of a path that was wrong from the start.
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
    if is_standard(path) {
        return Ok(());
    }
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

/// [`check`] for each output that was asked for, named by its option. Returns the stream for tables: standard
/// output, unless one of the outputs is there already.
///
/// # Errors
/// As [`check`], and when two options name the same file.
pub fn check_all(asked: &[(&str, &Option<PathBuf>)]) -> Result<Tables> {
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for (option, file) in asked {
        let Some(file) = file else { continue };
        check(file)?;
        let place = identity(file);
        if let Some((other, _)) = seen.iter().find(|(_, known)| *known == place)
            && !is_device(file)
        {
            return Err(Error::Usage(format!(
                "{other} and {option} both name {}; give each a file of its own",
                file.display()
            )));
        }
        seen.push((option, place));
    }
    match seen.iter().any(|(_, place)| is_standard(place)) {
        true => Ok(Tables::StandardError),
        false => Ok(Tables::StandardOutput),
    }
}

/// Refuses an output, named by its option, that would take the place of one of the `inputs`.
///
/// # Errors
/// [`Error::Usage`] when there is one.
pub fn spare<'a>(
    asked: &[(&str, Option<&Path>)],
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let inputs: Vec<PathBuf> = inputs
        .into_iter()
        .filter(|input| !is_device(input))
        .map(identity)
        .collect();
    for (option, file) in asked {
        let Some(file) = file.filter(|f| !is_standard(f)) else {
            continue;
        };
        if inputs.contains(&identity(file)) {
            return Err(Error::Usage(format!(
                "{option} {}: this is an input, which it would replace; name another file",
                file.display()
            )));
        }
    }
    Ok(())
}

/// [`spare`] for `folders` of which everything is an input.
///
/// # Errors
/// [`Error::Usage`] when an output lies in one of them.
pub fn spare_within(asked: &[(&str, Option<&Path>)], folders: &[PathBuf]) -> Result<()> {
    let folders: Vec<PathBuf> = folders.iter().map(|folder| identity(folder)).collect();
    for (option, file) in asked {
        let Some(file) = file.filter(|f| !is_standard(f)) else {
            continue;
        };
        if let Some(folder) = folders
            .iter()
            .find(|folder| identity(file).starts_with(folder))
        {
            return Err(Error::Usage(format!(
                "{option} {}: it lies in {}, all of which is an input; name a file elsewhere",
                file.display(),
                folder.display()
            )));
        }
    }
    Ok(())
}

/// `path` without links, `.` and `..`, whether the file is there or not.
fn identity(path: &Path) -> PathBuf {
    if is_standard(path) {
        return PathBuf::from("-");
    }
    std::fs::canonicalize(path).unwrap_or_else(|_| {
        let folder = std::fs::canonicalize(folder(path)).unwrap_or_default();
        folder.join(path.file_name().unwrap_or_default())
    })
}

/// A device, such as `/dev/null`, takes any number of outputs.
fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_char_device())
}

/// Where the tables of a command go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// With the results.
    StandardOutput,
    /// Out of the way of an output that was asked for on standard output.
    StandardError,
}

impl Tables {
    /// Prints `text`.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn print(self, text: &str) -> Result<()> {
        match self {
            Tables::StandardOutput => print_text(text),
            Tables::StandardError if CAPTURED.with_borrow(Option::is_some) => Ok(()),
            Tables::StandardError => {
                // A failure here would itself be reported on standard error, so it cannot be reported.
                let _ = io::stderr().write_all(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// Writes a line to standard error, if anybody reads it.
pub fn note(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Lets `body` write to `target`. `None` when the reader of `target` has gone.
fn fill<T>(
    target: Target<'_>,
    name: &Path,
    body: impl FnOnce(&mut Sink<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, target);
    let result = body(&mut out).and_then(|value| match out.flush() {
        Ok(()) => Ok(value),
        Err(error) => Err(Error::io(name, error)),
    });
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            // The output will not be made: what is still buffered must not be written when the buffer is dropped.
            let _ = out.into_parts();
            match error {
                Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe => Ok(None),
                error => Err(error),
            }
        }
    }
}

/// Lets `body` write to standard output.
///
/// # Errors
/// When `body` fails or standard output cannot be written; a closed pipe is no error.
pub fn print(body: impl FnOnce(&mut Sink<'_>) -> Result<()>) -> Result<()> {
    to_standard(body).map(|_| ())
}

/// Prints `text` to standard output as [`print()`] does.
///
/// # Errors
/// As [`print()`].
pub fn print_text(text: &str) -> Result<()> {
    print(|out| {
        out.write_all(text.as_bytes())
            .map_err(|e| Error::io("standard output", e))
    })
}

/// Writes `path` by way of a temporary file beside it, which takes its name when it is complete. A pipe or
/// a device, such as `/dev/null`, is written to, never replaced; a link stays a link to what is written; `-`
/// is standard output. Where a pipe has no reader any more, the default of `T` is returned.
///
/// # Errors
/// When `body` fails or the file cannot be written; of a regular file nothing is left behind then.
pub fn write<T: Default>(path: &Path, body: impl FnOnce(&mut Sink<'_>) -> Result<T>) -> Result<T> {
    if is_standard(path) {
        return Ok(to_standard(body)?.unwrap_or_default());
    }
    check(path)?;
    let io = |e| Error::io(path, e);
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        let file = File::options().write(true).open(path).map_err(io)?;
        return Ok(fill(Target::File(&file), path, body)?.unwrap_or_default());
    }
    let target = target(path);
    let part = part(folder(&target)).map_err(io)?;
    let name = part.path().to_path_buf();
    let result = complete(part, path, &target, body);
    unfinished().retain(|other| *other != name);
    result
}

/// A temporary file in `folder`, which [`abandon`] knows.
fn part(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".phantom-gpu-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Like any file that a program makes: the umask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut unfinished = unfinished();
    let part = builder.tempfile_in(folder)?;
    unfinished.push(part.path().to_path_buf());
    Ok(part)
}

/// Fills `part` and gives it the name `target`; it is removed when that fails.
fn complete<T>(
    part: NamedTempFile,
    path: &Path,
    target: &Path,
    body: impl FnOnce(&mut Sink<'_>) -> Result<T>,
) -> Result<T> {
    match fill(Target::File(part.as_file()), path, body)? {
        Some(value) => {
            part.persist(target).map_err(|e| Error::io(path, e.error))?;
            Ok(value)
        }
        None => Err(Error::io(path, ErrorKind::BrokenPipe.into())),
    }
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
    fn what_stands_in_for_standard_output_has_the_numbers_and_no_table() {
        let written = || {
            Tables::StandardError.print("a table").unwrap();
            write_text(Path::new("-"), "numbers").unwrap();
            print_text(" and text").unwrap();
            7
        };
        let (value, bytes) = captured(written);
        assert_eq!((value, bytes.as_slice()), (7, &b"numbers and text"[..]));
        assert!(CAPTURED.with_borrow(Option::is_none));
    }

    #[test]
    fn folders_that_were_made_stay_only_with_something_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        drop(make_folders(&deep).unwrap());
        assert!(!folder.path().join("a").exists());
        let made = make_folders(&deep).unwrap();
        write_text(&deep.join("out"), "text").unwrap();
        drop(made);
        assert!(deep.join("out").exists() && unfinished().iter().all(|f| !deep.starts_with(f)));
        drop(make_folders(&deep).unwrap());
        assert!(deep.exists(), "it was there before");
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
