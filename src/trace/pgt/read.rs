//! Opens a `.pgt` file: footer, index, checks; the bodies stay where they are.

use super::blocks::crc32;
use super::format::{
    CommandEntry, FOOTER_BYTES, Footer, HEAD_BYTES, INDEX_BYTES_MAX, Index, MAGIC, Sources,
    VERSION, VERSION_WITH_LINES, check_kernel,
};
use super::stored::{Backing, StoredCtas};
use crate::error::{Error, Result};
use crate::trace::kernel::{Command, CtaSource, ImportCost, Kernel, Workload};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Whether a file that starts like this is a `.pgt` file, whole or not.
pub fn is_pgt(start: &[u8]) -> bool {
    start.starts_with(b"PGT\r\n")
}

/// Opens the `.pgt` file at `path`. Streams are read and checked when they are asked for.
pub fn read_pgt(path: &Path) -> Result<Workload> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let (index, sources) = read_index(&name, &file, size)?;
    let mut sources = sources.into_iter();
    let file = Arc::new(file);
    let cache = Arc::default();
    let mut kernels = Vec::with_capacity(index.kernels.len());
    for (number, entry) in index.kernels.into_iter().enumerate() {
        let body_end = entry.base.checked_add(entry.bytes);
        let placed = entry.base >= HEAD_BYTES && body_end.is_some_and(|e| e <= size);
        let sound = match placed {
            true => check_kernel(&entry),
            false => Err("its body lies outside the file".to_string()),
        };
        let lines = sources.next().flatten();
        let insts = entry.code.insts.len();
        let sound = sound.and(match lines.as_ref().and_then(|lines| lines.fault(insts)) {
            Some(what) => Err(what),
            None => Ok(()),
        });
        sound.map_err(|what| fault(&name, format!("index, kernel {number}"), what))?;
        let code = Arc::new(entry.code);
        let stored = StoredCtas::new(
            name.clone(),
            Backing::File(Arc::clone(&file)),
            entry.base,
            entry.frames,
            Some(Arc::clone(&code)),
            &cache,
        );
        kernels.push(Kernel {
            header: entry.header,
            code,
            ctas: CtaSource::File(Arc::new(stored)),
            totals: Some(entry.totals),
            lines: lines.map(Arc::new),
            layer: None,
            reason: None,
            roofline_s: None,
        });
    }
    let mut commands = Vec::with_capacity(index.commands.len());
    for (number, command) in index.commands.into_iter().enumerate() {
        commands.push(match command {
            CommandEntry::Copy { address, bytes } => Command::MemcpyHtoD { address, bytes },
            CommandEntry::Launch { kernel } => match kernels.get(kernel as usize) {
                Some(kernel) => Command::Launch(Box::new(kernel.clone())),
                None => {
                    let place = format!("index, command {number}");
                    return Err(fault(&name, place, format!("there is no kernel {kernel}")));
                }
            },
        });
    }
    Ok(Workload {
        source: name,
        hash: index.hash,
        commands,
        import: ImportCost::default(),
        notes: index.notes,
        layers: Vec::new(),
    })
}

fn fault(name: &str, place: impl Into<String>, what: impl Into<String>) -> Error {
    Error::input(
        name,
        place,
        what,
        "the file is damaged; convert or copy it again",
    )
}

fn read_index(name: &str, file: &File, size: u64) -> Result<(Index, Sources)> {
    let short = |at: u64, bytes: u64, what: &str| {
        let found = size.saturating_sub(at);
        fault(
            name,
            format!("byte {at}"),
            format!(
                "{found} bytes where {what} of {bytes} bytes is expected: the file is cut short"
            ),
        )
    };
    let mut head = [0; HEAD_BYTES as usize];
    file.read_exact_at(&mut head, 0)
        .map_err(|_| short(0, HEAD_BYTES, "a head"))?;
    if head[..8] != MAGIC {
        return Err(Error::input(
            name,
            "byte 0",
            "no .pgt file: the magic number is missing",
            "name a file that `trace convert` or `trace record` wrote",
        ));
    }
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if ![VERSION, VERSION_WITH_LINES].contains(&version) {
        return Err(Error::input(
            name,
            "byte 8",
            format!(
                "a .pgt file of version {version}, this program reads versions {VERSION} and {VERSION_WITH_LINES}"
            ),
            "convert the trace again with this program",
        ));
    }
    if head[12..] != [0; 4] {
        return Err(fault(name, "byte 12", "reserved bytes are not zero"));
    }
    let footer_at = size.saturating_sub(FOOTER_BYTES).max(HEAD_BYTES);
    let mut footer = [0; FOOTER_BYTES as usize];
    file.read_exact_at(&mut footer, footer_at)
        .map_err(|_| short(footer_at, FOOTER_BYTES, "a footer"))?;
    let Some(footer) = Footer::from_bytes(&footer) else {
        let what = "no footer of a .pgt file: the file is cut short or not completely written";
        return Err(fault(name, format!("byte {footer_at}"), what));
    };
    let place = format!("byte {}", footer.offset);
    let end = footer.offset.checked_add(u64::from(footer.packed));
    if end != Some(footer_at) || footer.raw as usize > INDEX_BYTES_MAX {
        return Err(fault(name, place, "the index is out of place"));
    }
    let mut packed = vec![0; footer.packed as usize];
    file.read_exact_at(&mut packed, footer.offset)
        .map_err(|_| short(footer.offset, u64::from(footer.packed), "an index"))?;
    if crc32(&packed) != footer.crc {
        return Err(fault(name, place, "the checksum of the index is wrong"));
    }
    let raw = zstd::bulk::decompress(&packed, footer.raw as usize)
        .map_err(|e| fault(name, &place, format!("the index does not unpack ({e})")))?;
    if raw.len() != footer.raw as usize {
        return Err(fault(name, place, "the index is not as long as it says"));
    }
    decode(&raw, version).map_err(|what| fault(name, place, what))
}

/// The index in `raw`, and the lines behind it in a file of a `version` that has them.
fn decode(raw: &[u8], version: u32) -> std::result::Result<(Index, Sources), String> {
    let config = bincode::config::legacy().with_limit::<INDEX_BYTES_MAX>();
    let broken = |e| format!("the index cannot be decoded ({e})");
    let (index, used) = bincode::decode_from_slice::<Index, _>(raw, config).map_err(broken)?;
    let rest = &raw[used..];
    let (sources, more) = match version {
        VERSION_WITH_LINES => bincode::decode_from_slice(rest, config).map_err(broken)?,
        _ => (Sources::new(), 0),
    };
    if more != rest.len() {
        return Err("the index has bytes too many".to_owned());
    }
    Ok((index, sources))
}
