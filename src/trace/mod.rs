//! Kernels and their instruction streams: the internal form, our file format, foreign formats.

pub mod accelsim;
pub mod kernel;
pub mod lines;
pub mod open;
pub mod pattern;
pub mod pgt;
pub mod source;
pub mod stream;

pub use kernel::{
    Code, Command, CtaGenerator, CtaSource, Dim3, ImportCost, Kernel, KernelHeader, Part,
    PartIterations, Totals, Workload,
};
pub use pattern::{LanePattern, PatternId, PatternTable};
pub use source::Source;
pub use stream::{Addresses, CtaEncoder, EncodedCta, Run, WarpStream};
