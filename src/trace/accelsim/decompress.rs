//! Text of a trace file in blocks of whole lines, read and decompressed on a thread of its own.

use crate::error::{Error, Result};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of a block, about.
pub const BLOCK_BYTES: usize = 256 << 10;
/// The longest line that is accepted.
const LINE_BYTES_MAX: usize = 1 << 20;
const BLOCKS_IN_FLIGHT: usize = 4;

/// Blocks of whole lines; each line ends with a newline.
pub struct TextBlocks {
    blocks: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    path: PathBuf,
    bytes: u64,
}

/// How a file is packed, by its first bytes; the name is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Text as it is.
    Plain,
    /// xz.
    Xz,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Packing {
    /// Looks at the first bytes of a file.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Packing::Xz,
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// A reader of the unpacked content of `path`.
pub fn unpacked(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut file = BufReader::with_capacity(BLOCK_BYTES, file);
    let start = file.fill_buf().map_err(|e| Error::io(path, e))?;
    Ok(match Packing::sniff(start) {
        Packing::Plain => Box::new(file),
        Packing::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(file)),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(
            zstd::stream::read::Decoder::with_buffer(file).map_err(|e| Error::io(path, e))?,
        ),
    })
}

impl TextBlocks {
    /// Starts reading `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = unpacked(path)?;
        Ok(TextBlocks::start(path, move |out| cut(reader, out)))
    }

    /// Starts `produce` on a thread; it gives blocks to its sink until the sink refuses.
    pub fn start<F>(path: &Path, produce: F) -> Self
    where
        F: FnOnce(&mut BlockSink) -> io::Result<()> + Send + 'static,
    {
        let (to_parser, blocks) = bounded(BLOCKS_IN_FLIGHT);
        let (used, from_parser) = bounded(BLOCKS_IN_FLIGHT + 2);
        // Detached: it ends when the file does or when the receiver is gone.
        std::thread::spawn(move || {
            let mut sink = BlockSink {
                to_parser,
                from_parser,
            };
            if let Err(error) = produce(&mut sink) {
                let _ = sink.to_parser.send(Err(error));
            }
        });
        TextBlocks {
            blocks,
            used,
            path: path.to_path_buf(),
            bytes: 0,
        }
    }

    /// The next block, `None` at the end of the file.
    pub fn next_block(&mut self) -> Result<Option<Vec<u8>>> {
        match self.blocks.recv() {
            Ok(Ok(block)) => {
                self.bytes += block.len() as u64;
                Ok(Some(block))
            }
            Ok(Err(error)) => Err(Error::input(
                self.path.display().to_string(),
                format!("after {} bytes of text", self.bytes),
                format!("it cannot be read on ({error})"),
                "the file is cut short or damaged; copy or record it again",
            )),
            Err(_) => Ok(None),
        }
    }

    /// Gives a block back for reuse.
    pub fn recycle(&self, block: Vec<u8>) {
        let _ = self.used.try_send(block);
    }

    /// Bytes of text so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Takes blocks of whole lines from the reading thread.
pub struct BlockSink {
    to_parser: Sender<io::Result<Vec<u8>>>,
    from_parser: Receiver<Vec<u8>>,
}

impl BlockSink {
    /// An empty buffer.
    pub fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.from_parser.try_recv().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Passes a block on; false when nobody wants it any more.
    pub fn send(&self, block: Vec<u8>) -> bool {
        self.to_parser.send(Ok(block)).is_ok()
    }
}

/// Cuts a stream into blocks at newlines.
fn cut(mut reader: Box<dyn Read + Send>, sink: &mut BlockSink) -> io::Result<()> {
    let mut block = sink.buffer();
    loop {
        let kept = block.len();
        block.resize(kept + BLOCK_BYTES, 0);
        let mut filled = kept;
        let mut ended = false;
        while filled < block.len() {
            match reader.read(&mut block[filled..]) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        block.truncate(filled);
        if ended {
            if !block.is_empty() {
                block.push(b'\n');
                sink.send(block);
            }
            return Ok(());
        }
        let Some(newline) = block.iter().rposition(|&b| b == b'\n') else {
            if block.len() > LINE_BYTES_MAX {
                return Err(io::Error::other(
                    "a line longer than 1 MiB: this is no text trace",
                ));
            }
            continue;
        };
        let mut next = sink.buffer();
        next.extend_from_slice(&block[newline + 1..]);
        block.truncate(newline + 1);
        if !sink.send(block) {
            return Ok(());
        }
        block = next;
    }
}
