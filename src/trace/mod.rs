//! Kernels and their instruction streams: the internal form, our file format, foreign formats.

pub mod kernel;
pub mod pattern;
pub mod stream;

pub use kernel::{Code, Command, CtaGenerator, CtaSource, Dim3, Kernel, KernelHeader, Workload};
pub use pattern::{LanePattern, PatternId, PatternTable};
pub use stream::{Addresses, CtaEncoder, EncodedCta, Run, WarpStream};
