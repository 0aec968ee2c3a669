//! `.tracez`: the header as text, instruction lines of each warp in zstd frames, an index at the end.
//!
//! The frames are turned back into the sections of a `.traceg` file on the reading thread, so that
//! there is one parser. The index is read along with the data, a thread block at a time.

use super::decompress::{BLOCK_BYTES, BlockSink};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER_BYTES_MAX: u64 = 64 << 10;
const DICTIONARY_BYTES_MAX: u32 = 16 << 20;
const FRAME_BYTES_MAX: u64 = 1 << 30;

/// Whether a file that starts like this is a `.tracez` file: header lines, then a zero byte.
pub fn is_tracez(start: &[u8]) -> bool {
    start.first() == Some(&b'-') && start.contains(&0)
}

/// Writes the text of the `.tracez` file at `path` to `sink`.
pub fn produce(path: &Path, sink: &mut BlockSink) -> io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut start = vec![0; HEADER_BYTES_MAX.min(size) as usize];
    file.read_exact_at(&mut start, 0)?;
    let header = start
        .iter()
        .position(|&b| b == 0)
        .ok_or_else(|| bad("its header does not end within 64 KiB"))?;
    start.truncate(header);
    let mut at = header as u64 + 1;
    let mut sizes = [0; 8];
    file.read_exact_at(&mut sizes, at)?;
    at += 8;
    let dictionary_bytes = u32_in(&sizes, 0);
    if dictionary_bytes > DICTIONARY_BYTES_MAX {
        return Err(bad("its dictionary has more than 16 MiB"));
    }
    let mut dictionary = vec![0; dictionary_bytes as usize];
    file.read_exact_at(&mut dictionary, at)?;
    let decompressor = match dictionary.is_empty() {
        true => zstd::bulk::Decompressor::new()?,
        false => zstd::bulk::Decompressor::with_dictionary(&dictionary)?,
    };
    let mut reader = TracezReader {
        file: &file,
        size,
        decompressor,
        packed: Vec::new(),
        block: sink.buffer(),
    };
    reader.block.extend_from_slice(&start);
    reader.block.extend_from_slice(b"\n#traces\n");
    reader.blocks(path, sink)?;
    sink.send(reader.block);
    Ok(())
}

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn u32_in(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

struct TracezReader<'a> {
    file: &'a File,
    size: u64,
    decompressor: zstd::bulk::Decompressor<'static>,
    packed: Vec<u8>,
    block: Vec<u8>,
}

impl TracezReader<'_> {
    /// Follows the index, thread block by thread block.
    fn blocks(&mut self, path: &Path, sink: &mut BlockSink) -> io::Result<()> {
        let end = self
            .size
            .checked_sub(8)
            .ok_or_else(|| bad("it is cut short"))?;
        let mut offset = [0; 8];
        self.file.read_exact_at(&mut offset, end)?;
        let offset = u64::from_le_bytes(offset);
        if offset >= end {
            return Err(bad(format!(
                "its last 8 bytes say that the index is at byte {offset} of {}",
                self.size
            )));
        }
        let mut index = BufReader::new(File::open(path)?);
        index.seek(SeekFrom::Start(offset))?;
        let mut index = index.take(end - offset);
        let blocks = read_u32(&mut index)?;
        for number in 0..blocks {
            let wanted = self
                .one_block(&mut index, sink)
                .map_err(|e| io::Error::new(e.kind(), format!("thread block {number}: {e}")))?;
            if !wanted {
                break;
            }
        }
        Ok(())
    }

    /// One thread block; false when nobody wants more text.
    fn one_block(&mut self, index: &mut impl Read, sink: &mut BlockSink) -> io::Result<bool> {
        let mut words = [0u32; 11];
        for word in &mut words {
            *word = read_u32(index)?;
        }
        let [x, y, z, ix, iy, iz, cx, cy, cz, rank, warps] = words;
        write!(
            self.block,
            "#BEGIN_TB\nthread block = {x},{y},{z}\ncluster id = {ix},{iy},{iz}\n\
             cluster cta = {cx},{cy},{cz}\ncluster rank = {rank}\n"
        )?;
        for warp in 0..warps {
            let insts = read_u32(index)?;
            let frames = read_u32(index)?;
            let mut offset = [0; 8];
            index.read_exact(&mut offset)?;
            write!(self.block, "warp = {warp}\ninsts = {insts}\n")?;
            let mut at = u64::from_le_bytes(offset);
            if self.word_at(at)? != insts || self.word_at(at.saturating_add(4))? != frames {
                return Err(bad(format!(
                    "index and data disagree about warp {warp} at byte {at}"
                )));
            }
            at = at.saturating_add(8);
            for _ in 0..frames {
                let _insts = read_u32(index)?;
                at = self.frame(at)?;
                if self.block.len() >= BLOCK_BYTES {
                    let full = std::mem::replace(&mut self.block, sink.buffer());
                    if !sink.send(full) {
                        return Ok(false);
                    }
                }
            }
        }
        self.block.extend_from_slice(b"#END_TB\n");
        Ok(true)
    }

    /// Appends the text of the frame at `at`; returns the byte after it.
    fn frame(&mut self, at: u64) -> io::Result<u64> {
        let bytes = u64::from(self.word_at(at)?);
        let end = at.saturating_add(4 + bytes);
        if end > self.size {
            return Err(bad(format!("a frame of {bytes} bytes at byte {at}")));
        }
        self.packed.resize(bytes as usize, 0);
        self.file.read_exact_at(&mut self.packed, at + 4)?;
        let raw = zstd::zstd_safe::get_frame_content_size(&self.packed)
            .ok()
            .flatten()
            .filter(|&raw| raw <= FRAME_BYTES_MAX)
            .ok_or_else(|| bad(format!("the frame at byte {at} has no or an absurd size")))?;
        let text = self.decompressor.decompress(&self.packed, raw as usize)?;
        self.block.extend_from_slice(&text);
        self.block.push(b'\n');
        Ok(end)
    }

    fn word_at(&self, at: u64) -> io::Result<u32> {
        let mut word = [0; 4];
        self.file.read_exact_at(&mut word, at)?;
        Ok(u32::from_le_bytes(word))
    }
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut word = [0; 4];
    from.read_exact(&mut word)?;
    Ok(u32::from_le_bytes(word))
}
