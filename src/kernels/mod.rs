//! Kernels that are made here rather than recorded.
//!
//! A family of kernels is a struct whose fields say what is wanted: shapes, sizes, tiles. Its
//! [`KernelGenerator::build`] checks them and gives the kernel as code for a GPU. [`synth`] names the same values by
//! text (`synth:NAME?key=value`). Streams are made when a CTA is dispatched, as a pure function of the CTA's
//! number, so that a grid of any size needs no more memory than its resident CTAs, and two runs are equal.
//!
//! ```
//! use phantom_gpu::internals::kernels::gemm::{Gemm, Shape};
//! use phantom_gpu::internals::kernels::operator::DataType;
//! use phantom_gpu::internals::kernels::KernelGenerator;
//! use phantom_gpu::session::{Options, Session};
//! use phantom_gpu::trace::{Command, Workload};
//!
//! let session = Session::new::<&str>("a100-80", &[])?;
//! let gpu = session.spec();
//! let shape = Shape { m: 128, n: 256, k: 64, batch: 1 };
//! let product = Gemm { stages: 4, ..Gemm::new(DataType::F16, shape, gpu) };
//!
//! let mut workload = Workload::default();
//! let mut kernel = product.build(gpu)?;
//! kernel.layer = Some(workload.add_layer("block.0.mlp"));
//! workload.commands.push(Command::Launch(Box::new(kernel)));
//! let outcome = session.run(&workload, &Options::default())?;
//! assert_eq!(outcome.report.kernels[0].grid, [2, 1, 1]);
//! # Ok::<(), phantom_gpu::error::Error>(())
//! ```

pub mod attention;
pub mod builder;
pub mod chase;
pub mod choose;
pub mod compute;
mod control;
pub mod conv;
pub mod fields;
pub mod gather;
pub mod gemm;
pub mod local;
pub mod micro_bandwidth;
pub mod micro_cache;
pub mod micro_ops;
pub mod micro_ring;
pub mod micro_sweep;
pub mod micro_wmma;
pub mod operands;
pub mod operator;
pub mod rows;
pub mod shared;
pub mod stream;
pub mod synth;
pub mod work;

#[cfg(test)]
mod tests;

use crate::config::GpuSpec;
use crate::error::Error;
use crate::occupancy::{Demand, Occupancy};
use crate::trace::{
    CtaEncoder, CtaGenerator, CtaSource, Dim3, Kernel, KernelHeader, PatternId, Source,
};
use builder::KernelBuilder;
use fields::{Field, Fields, names};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Why a kernel cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field has a value that the family does not make.
    Field {
        /// The field, by its name in text.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        what: String,
    },
    /// No SM of the GPU can hold a CTA.
    TooLarge {
        /// What there is too much of, and how much there may be.
        what: String,
        /// The GPU.
        gpu: String,
    },
}

impl Fault {
    /// That `name` cannot have `value`.
    pub fn field(name: &'static str, value: impl fmt::Display, what: impl Into<String>) -> Self {
        Fault::Field {
            name,
            value: value.to_string(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Field { name, value, what } => write!(f, "{name}={value}: {what}"),
            Fault::TooLarge { what, gpu } => write!(f, "{what} on {gpu}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Usage(format!("generated kernel: {fault}"))
    }
}

/// A kernel as a value: what is wanted of it, for any GPU.
pub trait KernelGenerator: Fields + Send + Sync {
    /// Name of the family in text.
    fn name(&self) -> &'static str;

    /// The same kernel on operands in other places; nothing for kernels whose places have no numbers.
    fn moved(&self, _places: &Places) -> Option<Box<dyn KernelGenerator>> {
        None
    }

    /// The parts of the kernel as code for `gpu`. Every field is in its range.
    ///
    /// # Errors
    /// Fields that do not go together, or not on this GPU.
    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault>;

    /// The kernel as code for `gpu`: launch number 1 in stream 0, without dependence-control bits (see
    /// [`set_control_bits`]).
    ///
    /// # Errors
    /// A field out of its range, fields that do not go together, a CTA that no SM of `gpu` can hold.
    fn build(&self, gpu: &GpuSpec) -> Result<Kernel, Fault> {
        let fields = self.fields();
        if let Some((field, value)) = fields.iter().find(|(field, value)| !field.allows(*value)) {
            let what = format!("allowed: {}", field.allowed());
            return Err(Fault::field(field.name, value, what));
        }
        let assembly = self.assemble(gpu)?;
        assembly.fits(gpu)?;
        let text = synth::text(self.name(), fields);
        Ok(assembly.kernel(gpu, Source::Synthetic(text)))
    }
}

/// The parts of a kernel.
pub struct Assembly {
    /// Function name.
    pub name: String,
    /// CTAs.
    pub grid: Dim3,
    /// Threads of a CTA.
    pub block: Dim3,
    /// Registers of a thread.
    pub registers: u16,
    /// Shared memory of a CTA, bytes.
    pub smem_bytes: u32,
    /// The static code, complete.
    pub code: KernelBuilder,
    /// Makes the streams of a CTA.
    pub generator: Arc<dyn CtaGenerator>,
}

impl Assembly {
    /// Whether a CTA fits an empty SM.
    fn fits(&self, gpu: &GpuSpec) -> Result<(), Fault> {
        let demand = Demand {
            threads: self.block.iter().map(|&d| u64::from(d)).product(),
            registers_per_thread: self.registers,
            smem_bytes: self.smem_bytes,
        };
        match Occupancy::of(&demand, gpu) {
            Ok(_) => Ok(()),
            Err(excess) => Err(Fault::TooLarge {
                what: excess.what,
                gpu: gpu.name.clone(),
            }),
        }
    }

    fn kernel(self, gpu: &GpuSpec, source: Source) -> Kernel {
        Kernel {
            header: KernelHeader {
                name: self.name,
                id: 1,
                grid: self.grid,
                block: self.block,
                cluster: [1; 3],
                registers_per_thread: self.registers,
                smem_bytes: self.smem_bytes,
                stream: 0,
                sm_version: gpu.compute_capability,
                shared_base: 0,
                local_base: 0,
                source,
            },
            code: Arc::new(self.code.finish()),
            ctas: CtaSource::Generated(self.generator),
            totals: None,
            lines: None,
            layer: None,
            reason: None,
            roofline_s: None,
        }
    }
}

/// Gives every instruction of `kernel` the dependence-control bits that a compiler would set for `gpu`.
pub fn set_control_bits(kernel: &mut Kernel, gpu: &GpuSpec) {
    control::annotate(Arc::make_mut(&mut kernel.code), gpu);
}

names! {
    /// Bytes that a lane accesses at once.
    pub enum Width {
        /// 4.
        B4 = "4",
        /// 8.
        B8 = "8",
        /// 16.
        B16 = "16",
    }
}

impl Width {
    /// As a number.
    pub fn bytes(self) -> u64 {
        4 << self.value()
    }
}

names! {
    /// Levels of the memory hierarchy that keep the lines of a load.
    pub enum Level {
        /// L1 and L2.
        All = "all",
        /// L2 only.
        L2 = "l2",
    }
}

names! {
    /// Order in which a chase visits its ring.
    pub enum RingOrder {
        /// A random permutation.
        Random = "random",
        /// One element after the other.
        Linear = "linear",
    }
}

/// First byte of the first array of a kernel.
const ARRAYS_FROM: u64 = 0x7f00_0000_0000;
/// Bytes from an array to the next, as a power of two.
const ARRAY_BITS: u32 = 36;

/// First byte of array `index` of a kernel: far apart, and aligned to large pages.
pub fn array(index: u64) -> u64 {
    ARRAYS_FROM + (index << ARRAY_BITS)
}

/// Where the operands of a kernel lie: first bytes, in the order that its family gives them. Kernels that work on each
/// other's results name the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrays([u64; Arrays::MOST]);

impl Arrays {
    /// Operands of a kernel at most.
    pub const MOST: usize = 8;

    /// First byte of operand `index`.
    pub fn at(&self, index: usize) -> u64 {
        self.0[index]
    }

    /// With operand `index` at `address`.
    pub fn with(mut self, index: usize, address: u64) -> Self {
        self.0[index] = address;
        self
    }

    /// What lies in window `n` of the usual ones, at `places[n]`; how far it lies from the window's begin stays.
    pub fn moved(self, places: &Places) -> Self {
        Arrays(self.0.map(|address| {
            let window = (address - ARRAYS_FROM) >> ARRAY_BITS;
            places[window as usize] + (address - array(window))
        }))
    }
}

/// A place for each of the usual windows of a kernel: first bytes.
pub type Places = [u64; Arrays::MOST];

/// [`KernelGenerator::moved`] of a family that has a field `arrays`.
macro_rules! moves_arrays {
    () => {
        fn moved(
            &self,
            places: &$crate::kernels::Places,
        ) -> Option<Box<dyn $crate::kernels::KernelGenerator>> {
            let arrays = self.arrays.moved(places);
            Some(Box::new(Self {
                arrays,
                ..self.clone()
            }))
        }
    };
}
use moves_arrays;

impl Default for Arrays {
    fn default() -> Self {
        Arrays(std::array::from_fn(|index| array(index as u64)))
    }
}

/// The grid of `ctas` CTAs in x.
fn line(ctas: u64) -> Dim3 {
    [
        u32::try_from(ctas).expect("the caller checked the grid"),
        1,
        1,
    ]
}

/// The most CTAs of a grid in x.
const GRID_MAX: u64 = (1 << 31) - 1;

/// Makes one warp of a CTA.
trait WarpGenerator: Send + Sync {
    /// How often CTA `cta` goes through the main loop; 1 for kernels without one.
    fn iterations(&self, _cta: u64) -> u64 {
        1
    }

    /// Appends the instructions of `warp` of CTA `cta`, with `iterations` of the main loop. What surrounds the loop is
    /// always made.
    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder);
}

/// A CTA of warps that do not depend on each other.
struct PerWarp<G> {
    warps: u32,
    generator: G,
}

impl<G: WarpGenerator> CtaGenerator for PerWarp<G> {
    fn iterations(&self, cta: u64) -> u64 {
        self.generator.iterations(cta)
    }

    fn generate(&self, cta: u64, iterations: Range<u64>, out: &mut CtaEncoder) {
        for warp in 0..self.warps {
            out.begin_warp();
            self.generator.warp(cta, warp, iterations.clone(), out);
        }
    }

    fn generate_warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        for _ in 0..=warp {
            out.begin_warp();
        }
        self.generator.warp(cta, warp, iterations, out);
    }
}

/// `threads` threads in x, whose warps `generator` makes.
fn per_warp<G: WarpGenerator + 'static>(threads: u32, generator: G) -> Arc<dyn CtaGenerator> {
    Arc::new(PerWarp {
        warps: threads.div_ceil(32),
        generator,
    })
}

/// Instructions `from..to` under `mask`.
fn insts(out: &mut CtaEncoder, range: std::ops::Range<u32>, mask: u32) {
    for index in range {
        out.inst(index, mask);
    }
}

/// A memory instruction under `mask`, whose lanes lie in `pattern` from `base`. With an empty mask
/// it has no access.
fn access(out: &mut CtaEncoder, index: u32, mask: u32, base: u64, pattern: PatternId) {
    out.inst(index, mask);
    if mask != 0 {
        out.access_pattern(index, base, pattern);
    }
}
