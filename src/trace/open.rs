//! Opens any trace by what it is: a list of kernels, a single trace file, or a `.pgt` file.

use super::accelsim::list;
use super::kernel::Workload;
use super::pgt;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Opens the trace that `input` names: `kernelslist.g` or its directory, a `.traceg` file in any
/// compression, or a `.pgt` file. The content decides, not the name.
pub fn open(input: &str) -> Result<Workload> {
    let path = Path::new(input);
    let listed = path.join("kernelslist.g");
    if path.is_dir() {
        if listed.is_file() {
            return list::import_list(&listed);
        }
        return Err(Error::input(
            input,
            "the directory",
            "it has no kernelslist.g",
            "name a trace file, or a directory with a kernelslist.g",
        ));
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|f| f.take(4096).read_to_end(&mut start))
        .map_err(|e| Error::io(path, e))?;
    let named_list = path.extension().is_some_and(|e| e == "g");
    if start.is_empty() && !named_list {
        return Err(Error::input(
            input,
            "byte 0",
            "the file is empty",
            "record or copy it again",
        ));
    }
    if pgt::read::is_pgt(&start) {
        pgt::read_pgt(path)
    } else if named_list || is_list(&start) {
        list::import_list(path)
    } else {
        list::import_single(path)
    }
}

/// The files that [`open`] reads for `input`, as far as they can be found.
pub fn files(input: &str) -> Vec<PathBuf> {
    let path = Path::new(input);
    let listed = path.join("kernelslist.g");
    let path = match path.is_dir() {
        true => listed,
        false => path.to_path_buf(),
    };
    let kernels = match path.extension().is_some_and(|e| e == "g") {
        true => list::files(&path),
        false => Vec::new(),
    };
    [path].into_iter().chain(kernels).collect()
}

/// Whether a file that starts like this is a list of commands.
fn is_list(start: &[u8]) -> bool {
    let first = start
        .split(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|l| !l.is_empty())
        .unwrap_or(&[]);
    first.starts_with(b"kernel") || first.starts_with(b"Memcpy")
}
