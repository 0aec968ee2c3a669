//! The kernel: header, static code, and where its CTAs' instruction streams come from.

use super::lines::Lines;
use super::pattern::LanePattern;
use super::source::Source;
use super::stream::{CtaEncoder, EncodedCta, WarpStream};
use crate::error::Result;
use crate::ids::LayerId;
use crate::isa::{OpClass, StaticInst};
use bincode::{Decode, Encode};
use std::ops::Range;
use std::sync::Arc;

/// Grid, block or cluster dimensions: x, y, z.
pub type Dim3 = [u32; 3];

/// What is said about a kernel at its launch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KernelHeader {
    /// Function name, mangled or not.
    pub name: String,
    /// Its number in the source, from 1.
    pub id: u32,
    /// CTAs of the grid in each dimension.
    pub grid: Dim3,
    /// Threads of a CTA in each dimension.
    pub block: Dim3,
    /// CTAs of a cluster in each dimension; all ones without clusters.
    pub cluster: Dim3,
    /// Registers per thread as allocated.
    pub registers_per_thread: u16,
    /// Static plus dynamic shared memory of a CTA, bytes.
    pub smem_bytes: u32,
    /// The CUDA stream of the launch; 0 is the default stream.
    pub stream: u64,
    /// SASS version, e.g. 70, 75, 80, 86, 89, 90.
    pub sm_version: u16,
    /// Base of the shared window in the generic address space; 0 = unknown.
    pub shared_base: u64,
    /// Base of the local window in the generic address space; 0 = unknown.
    pub local_base: u64,
    /// Which tool or format the kernel comes from; what a report may assume follows from it.
    pub source: Source,
}

impl KernelHeader {
    /// CTAs of the grid.
    pub fn cta_count(&self) -> u64 {
        self.grid.iter().map(|&d| u64::from(d)).product()
    }

    /// Threads of a CTA.
    pub fn threads_per_cta(&self) -> u32 {
        self.block.iter().product()
    }

    /// Warps of a CTA.
    pub fn warps_per_cta(&self) -> u32 {
        self.threads_per_cta().div_ceil(32)
    }
}

/// The static side of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Code {
    /// Distinct instructions in order of first appearance; streams name them by index.
    pub insts: Vec<StaticInst>,
    /// Full mnemonics.
    pub mnemonics: Vec<String>,
    /// Lane-offset patterns that the streams name by number.
    pub patterns: Vec<LanePattern>,
    /// Mnemonics that the opcode table does not know, with their dynamic counts.
    pub unknown: Vec<(String, u64)>,
}

impl Code {
    /// Whether warps wait for each other at barriers.
    pub fn has_barriers(&self) -> bool {
        self.insts.iter().any(|inst| inst.class == OpClass::Barrier)
    }
}

/// Makes the stream of any CTA of a synthetic kernel on demand. Pure: the same CTA gives the same
/// stream, from any thread, in any order.
pub trait CtaGenerator: Send + Sync {
    /// How often CTA `cta` goes through the main loop of the kernel; 1 without such a loop. Iterations are alike but
    /// for their addresses and masks, so that a part of them stands for all.
    fn iterations(&self, _cta: u64) -> u64 {
        1
    }

    /// Appends all warps of CTA number `cta` (x fastest) to `out`, with the `iterations` of the main loop, which are
    /// among those that the CTA has.
    fn generate(&self, cta: u64, iterations: Range<u64>, out: &mut CtaEncoder);

    /// Appends the streams of the CTA's warps up to number `warp` or further. The reader looks at that warp only, so
    /// the streams before it may be left empty; but they must be there, because a stream's place is its number.
    ///
    /// A long stream is read in chunks. The second chunk and the following ones come from here, so that the other
    /// warps of the CTA need not be generated again.
    fn generate_warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder);
}

/// The part of a kernel that is run in place of the whole: some CTAs, each with some iterations of its main loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first CTA; those behind it follow.
    pub first_cta: u64,
    /// Which iterations.
    pub iterations: PartIterations,
}

/// Which iterations of its main loop each CTA makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartIterations {
    /// All.
    All,
    /// `run` of `most`, the number of the CTA that has most; a CTA with fewer makes as much less. CTAs that run one
    /// after the other, `wave` of them at once, begin where the ones before them ended, so that none finds in the
    /// caches what only the shortening has put there.
    Some {
        /// Iterations of the longest CTA that are run.
        run: u64,
        /// Iterations that it has.
        most: u64,
        /// CTAs that the GPU runs at once.
        wave: u64,
    },
}

impl Part {
    /// The iterations that CTA `cta` of the whole kernel makes, of the `total` that it has.
    pub fn iterations(&self, cta: u64, total: u64) -> Range<u64> {
        match self.iterations {
            PartIterations::All => 0..total,
            PartIterations::Some { run, most, wave } => {
                let share = u128::from(run) * u128::from(total) / u128::from(most.max(1));
                let run = (share as u64).clamp(1, total.max(1)).min(total);
                let turns = (total / run.max(1)).max(1);
                let first = cta / wave.max(1) % turns * run;
                first..first + run
            }
        }
    }
}

/// Reads CTA streams from a trace file.
pub trait CtaReader: Send + Sync {
    /// Loads the first chunk of every warp of `cta`; `warps` has one entry for each warp of the CTA.
    fn load(&self, cta: u64, warps: &mut [WarpStream]) -> Result<()>;
    /// Loads chunk number `chunk` (from 1) of one warp.
    fn load_chunk(&self, cta: u64, warp: u32, chunk: u32, into: &mut WarpStream) -> Result<()>;
    /// What reading takes of the host's memory.
    fn memory(&self) -> StreamMemory;
}

/// What the streams of a kernel take of the host's memory, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMemory {
    /// All the time.
    pub held: u64,
    /// Shared by all kernels of a workload while they run.
    pub unpacked: u64,
    /// For each resident CTA.
    pub cta: u64,
}

/// Where the CTA streams of a kernel come from.
#[derive(Clone)]
pub enum CtaSource {
    /// All CTAs, encoded, in memory: entry `i` is CTA number `i`.
    Memory(Arc<Vec<EncodedCta>>),
    /// Made by a generator when a CTA is dispatched.
    Generated(Arc<dyn CtaGenerator>),
    /// Read from a trace file when a CTA is dispatched.
    File(Arc<dyn CtaReader>),
    /// A part of another source. CTA 0 is the first of the part. Only generated kernels can be cut within a CTA.
    Part(Arc<(CtaSource, Part)>),
}

impl CtaSource {
    /// Whether `other` is this very source.
    pub fn is(&self, other: &CtaSource) -> bool {
        match (self, other) {
            (CtaSource::Memory(a), CtaSource::Memory(b)) => Arc::ptr_eq(a, b),
            (CtaSource::Generated(a), CtaSource::Generated(b)) => Arc::ptr_eq(a, b),
            (CtaSource::File(a), CtaSource::File(b)) => Arc::ptr_eq(a, b),
            (CtaSource::Part(a), CtaSource::Part(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Iterations of the main loop of CTA `cta`, as far as they can be told apart: 1 for recorded kernels.
    pub fn iterations(&self, cta: u64) -> u64 {
        match self {
            CtaSource::Memory(_) | CtaSource::File(_) => 1,
            CtaSource::Generated(generator) => generator.iterations(cta),
            CtaSource::Part(part) => {
                let (of, part) = &**part;
                let cta = cta + part.first_cta;
                let run = part.iterations(cta, of.iterations(cta));
                run.end - run.start
            }
        }
    }

    /// Appends CTA `cta` as a generator makes it; nothing happens, and false is returned, for recorded kernels.
    pub fn generate(&self, cta: u64, out: &mut CtaEncoder) -> bool {
        match self.generator(cta) {
            Some((generator, cta, iterations)) => {
                generator.generate(cta, iterations, out);
                true
            }
            None => false,
        }
    }

    /// The generator behind CTA `cta`, the number that it knows the CTA by, and the iterations to make.
    fn generator(&self, cta: u64) -> Option<(&dyn CtaGenerator, u64, Range<u64>)> {
        match self {
            CtaSource::Memory(_) | CtaSource::File(_) => None,
            CtaSource::Generated(generator) => {
                Some((&**generator, cta, 0..generator.iterations(cta)))
            }
            CtaSource::Part(whole) => {
                let (of, part) = &**whole;
                let (generator, cta, all) = of.generator(cta + part.first_cta)?;
                let cut = part.iterations(cta, all.end - all.start);
                Some((generator, cta, all.start + cut.start..all.start + cut.end))
            }
        }
    }

    /// What the streams take of the host's memory. Of a generated kernel the first CTA is made for it.
    pub fn memory(&self) -> StreamMemory {
        let streams = |ctas: &mut dyn Iterator<Item = &EncodedCta>| {
            let bytes = ctas.map(|cta| cta.data.len() as u64);
            bytes.fold((0u64, 0), |(all, most), b| (all + b, b.max(most)))
        };
        match self {
            CtaSource::Memory(ctas) => {
                let (held, cta) = streams(&mut ctas.iter());
                StreamMemory {
                    held,
                    cta,
                    ..StreamMemory::default()
                }
            }
            CtaSource::Generated(_) => {
                let mut encoder = CtaEncoder::default();
                encoder.only(0..1);
                self.generate(0, &mut encoder);
                StreamMemory {
                    cta: encoder.finish().data.len() as u64,
                    ..StreamMemory::default()
                }
            }
            CtaSource::File(reader) => reader.memory(),
            CtaSource::Part(part) => part.0.memory(),
        }
    }

    /// Loads the first chunk of every warp of `cta`. `scratch` is reused between calls.
    pub fn load(&self, cta: u64, warps: &mut [WarpStream], scratch: &mut CtaEncoder) -> Result<()> {
        match self {
            CtaSource::Memory(ctas) => {
                ctas[cta as usize].load(warps);
                Ok(())
            }
            CtaSource::File(reader) => reader.load(cta, warps),
            CtaSource::Generated(_) | CtaSource::Part(_) => {
                scratch.clear();
                scratch.only(0..1);
                if self.generate(cta, scratch) {
                    scratch.load(warps);
                } else if let CtaSource::Part(part) = self {
                    return part.0.load(cta + part.1.first_cta, warps, scratch);
                }
                Ok(())
            }
        }
    }

    /// Loads chunk number `chunk` (from 1) of `warp` of `cta`.
    pub fn load_chunk(&self, cta: u64, warp: u32, chunk: u32, into: &mut WarpStream) -> Result<()> {
        match self {
            CtaSource::Memory(ctas) => {
                ctas[cta as usize].load_chunk(warp, chunk, into);
                Ok(())
            }
            CtaSource::File(reader) => reader.load_chunk(cta, warp, chunk, into),
            CtaSource::Generated(_) | CtaSource::Part(_) => {
                if let Some((generator, cta, iterations)) = self.generator(cta) {
                    let mut encoder = CtaEncoder::default();
                    encoder.only(chunk..chunk + 1);
                    generator.generate_warp(cta, warp, iterations, &mut encoder);
                    encoder.load_chunk(warp, chunk, into);
                } else if let CtaSource::Part(part) = self {
                    return part.0.load_chunk(cta + part.1.first_cta, warp, chunk, into);
                }
                Ok(())
            }
        }
    }
}

/// What is known of a kernel without decoding its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// Warp instructions.
    pub warp_insts: u64,
    /// Thread instructions: active lanes of each warp instruction, summed.
    pub thread_insts: u64,
    /// Content hash of all streams.
    pub content: u128,
}

/// One kernel launch.
#[derive(Clone)]
pub struct Kernel {
    /// Name, shape, registers, shared memory and stream of the launch.
    pub header: KernelHeader,
    /// The table of its distinct instructions.
    pub code: Arc<Code>,
    /// What each warp executed, CTA by CTA.
    pub ctas: CtaSource,
    /// Dynamic totals, when the source has them.
    pub totals: Option<Totals>,
    /// Lines of the source that its instructions come from, where they are known: those of PTX.
    pub lines: Option<Arc<Lines>>,
    /// The layer that it computes a part of, by its place in [`Workload::layers`]. Trace files have no layers.
    pub layer: Option<LayerId>,
    /// Why this kernel was taken for its operator, in a sentence; kernels that the user named have no reason.
    pub reason: Option<Arc<str>>,
    /// What the operator that it was launched for takes at published peaks, seconds. Of several kernels the first has it,
    /// the others have 0.
    pub roofline_s: Option<f64>,
}

impl Kernel {
    /// Line and text of the source that the instruction at `pc` comes from, where they are known.
    pub fn line(&self, pc: u32) -> Option<(u32, &str)> {
        let lines = self.lines.as_ref()?;
        let index = self.code.insts.iter().position(|inst| inst.pc == pc)?;
        lines.of_inst(index)
    }

    /// Whether this and `other` are launches of one kernel, which may differ in number and stream.
    pub fn is_launch_of(&self, other: &Kernel) -> bool {
        let launch = KernelHeader {
            id: other.header.id,
            stream: other.header.stream,
            ..self.header.clone()
        };
        self.ctas.is(&other.ctas) && Arc::ptr_eq(&self.code, &other.code) && launch == other.header
    }

    /// A part of this kernel as a kernel of its own, of `ctas` CTAs in x.
    ///
    /// # Panics
    /// When the kernel has not so many CTAs behind the first of `part`.
    pub fn part(&self, part: Part, ctas: u64) -> Kernel {
        assert!(part.first_cta + ctas <= self.header.cta_count());
        let mut header = self.header.clone();
        header.grid = [u32::try_from(ctas).expect("a part has few CTAs"), 1, 1];
        Kernel {
            header,
            ctas: CtaSource::Part(Arc::new((self.ctas.clone(), part))),
            totals: None,
            ..self.clone()
        }
    }
}

/// One command of a workload, in program order.
#[derive(Clone)]
pub enum Command {
    /// A host-to-device copy, which leaves its sectors in L2 without taking time.
    MemcpyHtoD {
        /// First byte.
        address: u64,
        /// Length.
        bytes: u64,
    },
    /// A kernel launch.
    Launch(Box<Kernel>),
}

/// Everything that one simulation runs.
#[derive(Clone, Default)]
pub struct Workload {
    /// The input as the user named it.
    pub source: String,
    /// Content hash of the input, hexadecimal.
    pub hash: String,
    /// Commands in program order.
    pub commands: Vec<Command>,
    /// Names of the layers that kernels belong to; empty when no model is behind them.
    pub layers: Vec<String>,
    /// What reading a foreign format took.
    pub import: ImportCost,
    /// Things in the input that were passed over, one sentence each.
    pub notes: Vec<String>,
}

/// What reading a foreign text format took; zero for our own formats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ImportCost {
    /// Wall time, seconds.
    pub seconds: f64,
    /// Text parsed, bytes after decompression.
    pub text_bytes: u64,
}

impl Workload {
    /// Kernel launches in program order.
    pub fn launches(&self) -> impl Iterator<Item = &Kernel> {
        self.commands.iter().filter_map(|c| match c {
            Command::Launch(kernel) => Some(&**kernel),
            Command::MemcpyHtoD { .. } => None,
        })
    }

    /// A new layer. Two layers of one name stay two.
    pub fn add_layer(&mut self, name: impl Into<String>) -> LayerId {
        self.layers.push(name.into());
        LayerId(self.layers.len() as u32 - 1)
    }

    /// Runs `more` after this one.
    pub fn append(&mut self, mut more: Workload) {
        let before = self.layers.len() as u32;
        for command in &mut more.commands {
            if let Command::Launch(kernel) = command
                && let Some(layer) = &mut kernel.layer
            {
                layer.0 += before;
            }
        }
        self.layers.append(&mut more.layers);
        self.source = format!("{} {}", self.source, more.source);
        let joined = format!("{} {}", self.hash, more.hash);
        self.hash = crate::hash::ContentHash::of(joined.as_bytes()).hex();
        self.commands.extend(more.commands);
        self.import.seconds += more.import.seconds;
        self.import.text_bytes += more.import.text_bytes;
        self.notes.extend(more.notes);
    }
}
