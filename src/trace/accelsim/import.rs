//! One trace file to one kernel, in one pass.

use super::code::CodeBuilder;
use super::decompress::TextBlocks;
use super::fields::{DAMAGED, Fault, Fields, excerpt};
use super::header::TraceHeader;
use super::section::{BlockState, IdsSeen, Parsed, in_warp_order, triple_value, value};
use super::tracez;
use crate::error::{Error, Result};
use crate::trace::kernel::{CtaSource, Kernel};
use crate::trace::pgt::blocks::BlockWriter;
use crate::trace::pgt::spool::{Spool, SpoolSpace};
use crate::trace::pgt::stored::{Backing, StoredCtas};
use crate::trace::stream::CtaEncoder;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// A header is shorter than this.
const HEADER_LOOK_BYTES: u64 = 16 << 10;

/// An imported kernel and the bytes of text that it came from.
pub struct Imported {
    /// The kernel.
    pub kernel: Kernel,
    /// Bytes of text.
    pub text_bytes: u64,
    /// What was left out of the kernel on purpose.
    pub note: Option<String>,
}

/// Imports the trace file at `path`; the streams go to `space`.
pub fn import(path: &Path, space: &Arc<SpoolSpace>) -> Result<Imported> {
    let name = path.display().to_string();
    let mut text = open_text(path)?;
    let mut parser = Parser::new(&name, space).map_err(|e| Error::io(path, e))?;
    while let Some(block) = text.next_block()? {
        parser.feed(&block).map_err(|e| parser.locate(e))?;
        text.recycle(block);
    }
    let text_bytes = text.bytes();
    let note = parser.note();
    let kernel = parser.finish()?;
    Ok(Imported {
        kernel,
        text_bytes,
        note,
    })
}

fn open_text(path: &Path) -> Result<TextBlocks> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|f| f.take(HEADER_LOOK_BYTES).read_to_end(&mut start))
        .map_err(|e| Error::io(path, e))?;
    if tracez::is_tracez(&start) {
        let file = path.to_path_buf();
        Ok(TextBlocks::start(path, move |sink| {
            tracez::produce(&file, sink)
        }))
    } else {
        TextBlocks::open(path)
    }
}

/// Where the parser stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Header,
    Between,
    Block,
}

/// A push parser of one trace file.
pub struct Parser {
    name: String,
    line: u64,
    section: Section,
    header: TraceHeader,
    warps: u32,
    code: CodeBuilder,
    encoder: CtaEncoder,
    writer: BlockWriter<Spool>,
    block: BlockState,
    ids: IdsSeen,
}

impl Parser {
    /// A parser of a file called `name`; the streams go to `space`.
    pub fn new(name: &str, space: &Arc<SpoolSpace>) -> std::io::Result<Self> {
        Ok(Parser {
            name: name.to_string(),
            line: 0,
            section: Section::Header,
            header: TraceHeader::new(name),
            warps: 0,
            code: CodeBuilder::new(super::line::Layout::default(), 0),
            encoder: CtaEncoder::default(),
            writer: BlockWriter::new(Spool::new(space), 1)?,
            block: BlockState::default(),
            ids: IdsSeen::default(),
        })
    }

    /// Takes in a block of whole lines.
    pub fn feed(&mut self, text: &[u8]) -> Parsed<()> {
        let mut rest = text;
        while !rest.is_empty() {
            self.line += 1;
            if self.block.left > 0
                && let Some(bytes) = self.code.expected(rest, &mut self.encoder)
            {
                self.block.left -= 1;
                rest = &rest[bytes..];
                continue;
            }
            let newline = rest.iter().position(|&b| b == b'\n');
            let end = newline.unwrap_or(rest.len());
            self.one_line(rest[..end].trim_ascii_end())?;
            rest = rest.get(end + 1..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// A fault with file and line.
    pub fn locate(&self, fault: Fault) -> Error {
        Error::input(
            &self.name,
            format!("line {}, column {}", self.line, fault.column),
            fault.what,
            fault.remedy,
        )
    }

    fn one_line(&mut self, line: &[u8]) -> Parsed<()> {
        if line.is_empty() {
            return Ok(());
        }
        match self.section {
            Section::Header => self.header_line(line),
            Section::Between if line == b"#BEGIN_TB" => self.begin_block(),
            Section::Between if line[0] == b'#' => Ok(()),
            Section::Between => Err(Fault::new(
                0,
                format!("{} where #BEGIN_TB is expected", excerpt(line)),
            )),
            Section::Block => self.block_line(line),
        }
    }

    fn header_line(&mut self, line: &[u8]) -> Parsed<()> {
        match line[0] {
            b'-' => self.header.line(line),
            b'#' => {
                self.header.finish()?;
                self.warps = self.header.kernel.warps_per_cta();
                self.code = CodeBuilder::new(self.header.layout, self.header.kernel.shared_base);
                self.section = Section::Between;
                if line == b"#BEGIN_TB" {
                    self.begin_block()?;
                }
                Ok(())
            }
            _ => Err(Fault::new(
                0,
                format!("{} where \"-key = value\" is expected", excerpt(line)),
            )),
        }
    }

    fn begin_block(&mut self) -> Parsed<()> {
        if self.writer.ctas() >= self.header.kernel.cta_count() {
            return Err(Fault::new(
                0,
                format!(
                    "thread block number {} in a grid of {}",
                    self.writer.ctas() + 1,
                    self.header.kernel.cta_count()
                ),
            ));
        }
        self.section = Section::Block;
        self.encoder.clear();
        self.block.begin(self.warps);
        Ok(())
    }

    fn block_line(&mut self, line: &[u8]) -> Parsed<()> {
        let mut f = Fields::new(line, 0);
        match f.token() {
            b"#END_TB" => self.end_block(),
            b"#BEGIN_TB" => Err(Fault::new(
                0,
                "#BEGIN_TB before the #END_TB of the last one",
            )),
            b"thread" => self.block_id(line),
            b"cluster" => self.cluster(line),
            b"warp" => {
                self.end_warp()?;
                let warp = value(line)?;
                self.begin_warp(warp)
            }
            b"insts" => {
                let count = value(line)?;
                if self.block.warp.is_none() || self.block.declared != 0 || count == 0 {
                    let what = format!(
                        "insts = {count} where \"warp = n\" and then one \"insts = n\" above 0 are expected"
                    );
                    return Err(Fault::new(0, what));
                }
                self.block.declared = count;
                self.block.left = count;
                Ok(())
            }
            _ if self.block.left > 0 => {
                self.block.left -= 1;
                self.code.line(line, &mut self.encoder)
            }
            token if token.first().is_some_and(u8::is_ascii_hexdigit) => Err(Fault::new(
                0,
                format!(
                    "an instruction line more than \"insts = {}\" says",
                    self.block.declared
                ),
            )),
            _ => Err(Fault::new(
                0,
                format!("{} inside a thread block", excerpt(line)),
            )),
        }
    }

    fn block_id(&mut self, line: &[u8]) -> Parsed<()> {
        let id = triple_value(line)?;
        let grid = self.header.kernel.grid;
        if self.block.id.is_some() {
            return Err(Fault::new(
                0,
                "a second \"thread block\" line in one thread block",
            ));
        }
        if id.iter().zip(&grid).any(|(i, g)| i >= g) {
            return Err(Fault::new(
                0,
                format!("thread block {id:?} in a grid of {grid:?}"),
            ));
        }
        let [x, y, z] = id.map(u64::from);
        let number = (z * u64::from(grid[1]) + y) * u64::from(grid[0]) + x;
        if !self.ids.insert(number) {
            return Err(Fault::new(0, format!("thread block {id:?} comes twice")));
        }
        self.block.id = Some(id);
        Ok(())
    }

    /// `cluster id`, `cluster cta`, `cluster rank`: the shape of a cluster is that of its CTAs.
    fn cluster(&mut self, line: &[u8]) -> Parsed<()> {
        let mut f = Fields::new(line, 7);
        match f.token() {
            b"cta" => {
                let cta = triple_value(line)?;
                if cta.iter().any(|&c| c >= 1024) {
                    return Err(Fault::new(0, format!("CTA {cta:?} of a cluster")));
                }
                let cluster = &mut self.header.kernel.cluster;
                for (most, cta) in cluster.iter_mut().zip(cta) {
                    *most = (*most).max(cta + 1);
                }
                Ok(())
            }
            b"id" => triple_value(line).map(|_| ()),
            _ => value(line).map(|_| ()),
        }
    }

    fn begin_warp(&mut self, warp: u64) -> Parsed<()> {
        let Some(seen) = usize::try_from(warp)
            .ok()
            .and_then(|w| self.block.seen.get_mut(w))
        else {
            return Err(Fault::new(
                0,
                format!("warp {warp} in a thread block of {} warps", self.warps),
            ));
        };
        if std::mem::replace(seen, true) {
            return Err(Fault::new(0, format!("warp {warp} comes twice")));
        }
        let warp = warp as u32;
        self.block.in_order &= warp == self.block.order.len() as u32;
        self.block.order.push(warp);
        self.block.warp = Some(warp);
        self.block.declared = 0;
        self.encoder.begin_warp();
        Ok(())
    }

    fn end_warp(&mut self) -> Parsed<()> {
        self.code.end_warp(&mut self.encoder);
        let block = &mut self.block;
        let Some(warp) = block.warp.take() else {
            return Ok(());
        };
        if block.left > 0 || block.declared == 0 {
            let found = block.declared - block.left;
            return Err(Fault::new(
                0,
                format!(
                    "warp {warp} ends after {found} instructions, \"insts = {}\" says more",
                    block.declared
                ),
            ));
        }
        Ok(())
    }

    fn end_block(&mut self) -> Parsed<()> {
        self.end_warp()?;
        if let Some(missing) = self.block.seen.iter().position(|&s| !s) {
            return Err(Fault::new(
                0,
                format!(
                    "the thread block ends without warp {missing} of {}",
                    self.warps
                ),
            ));
        }
        if self.block.id.is_none() {
            return Err(Fault::new(
                0,
                "the thread block has no \"thread block = x,y,z\" line",
            ));
        }
        let counts = self.encoder.counts();
        let cta = self.encoder.finish();
        let written = if self.block.in_order {
            self.writer.push(cta, self.warps, counts)
        } else {
            let sorted = in_warp_order(cta, &self.block.order);
            self.writer.push(&sorted, self.warps, counts)
        };
        written.map_err(|e| Fault {
            remedy: "free space in the directory for temporary files",
            ..Fault::new(0, format!("the thread block cannot be stored ({e})"))
        })?;
        self.section = Section::Between;
        Ok(())
    }

    /// What was left out on purpose.
    pub fn note(&self) -> Option<String> {
        let halves = self.code.halves();
        (halves > 0).then(|| {
            format!(
                "{}: {halves} shared-memory records of LDGSTS left out, their instructions have one for global memory",
                self.name
            )
        })
    }

    /// Ends the file: checks that it is complete and gives the kernel.
    pub fn finish(self) -> Result<Kernel> {
        let grid = self.header.kernel.cta_count();
        let ctas = self.writer.ctas();
        let end = match self.section {
            Section::Header if self.line == 0 => Some("the file is empty".to_string()),
            Section::Header => Some("the file ends inside its header".to_string()),
            Section::Block => Some(format!(
                "the file ends inside thread block number {}",
                ctas + 1
            )),
            Section::Between if ctas < grid => Some(format!(
                "the file ends after {ctas} of {grid} thread blocks"
            )),
            Section::Between => None,
        };
        if let Some(what) = end {
            let place = format!("line {}", self.line);
            return Err(Error::input(self.name, place, what, DAMAGED));
        }
        let (spool, body) = self.writer.finish().map_err(|e| Error::io(&self.name, e))?;
        let cache = spool.cache();
        let stored = StoredCtas::new(
            self.name,
            Backing::Spool(spool),
            0,
            body.frames,
            None,
            &cache,
        );
        Ok(Kernel {
            header: self.header.kernel,
            code: Arc::new(self.code.finish()),
            ctas: CtaSource::File(Arc::new(stored)),
            totals: Some(body.totals),
            lines: None,
            layer: None,
            reason: None,
            roofline_s: None,
        })
    }
}
