//! From an operator to the kernels that a library launches for it.
//!
//! Each kind of operator has candidates: sequences of kernels, each with a reason, the best by the chooser's estimate
//! first. Where the library's rule is known exactly there is one candidate; where it is not (tiles of matrix
//! products), the estimate comes from the machine's own rates. Nothing here knows a measured time.

use super::operator::Operator;
use super::{Fault, KernelGenerator};
use crate::config::GpuSpec;
use crate::trace::{Dim3, Kernel};

mod attention;
mod conv;
mod gemm;
mod rows;
mod select;

/// Units that are busy at the same time wait for each other now and then: their times add up by this norm, which is
/// between the sum (1) and the longest (infinity). By simulation of FP32 tiles: 92 % of the peak where shared memory is
/// busy for half of the time, 70 % where it is busy as long as the arithmetic.
const NORM: i32 = 3;

/// Cycles in which units are done that are busy at once, for so many cycles each.
fn together(busy: impl IntoIterator<Item = f64>) -> f64 {
    let sum: f64 = busy.into_iter().map(|cycles| cycles.powi(NORM)).sum();
    sum.powf(1.0 / f64::from(NORM))
}

/// One kernel of a candidate.
pub struct Launch {
    /// The kernel.
    pub kernel: Box<dyn KernelGenerator>,
    /// Why it looks as it does, in a sentence.
    pub reason: String,
}

/// One way to compute an operator.
pub struct Candidate {
    /// What `--algo` calls it.
    pub name: String,
    /// The kernels in order.
    pub launches: Vec<Launch>,
    /// Core cycles by the chooser's estimate: good for comparing candidates, for nothing else.
    pub estimate: f64,
}

impl Candidate {
    /// Its kernels as code for `gpu`, numbered from 1, each with its reason.
    ///
    /// # Errors
    /// A kernel that `gpu` cannot run.
    pub fn build(&self, gpu: &GpuSpec) -> Result<Vec<Kernel>, Fault> {
        let kernels = self.launches.iter().zip(1..).map(|(launch, id)| {
            let mut kernel = launch.kernel.build(gpu)?;
            kernel.header.id = id;
            kernel.reason = Some(format!("{}: {}", self.name, launch.reason).into());
            Ok(kernel)
        });
        kernels.collect()
    }
}

/// What is known of the kernels that a library launched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Names of kernels, the one that did the work first.
    pub kernels: Vec<String>,
    /// Its grid.
    pub grid: Option<Dim3>,
    /// Its block.
    pub block: Option<Dim3>,
}

/// Which candidate.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// The one with the best estimate.
    #[default]
    Chosen,
    /// The one of this name.
    Named(String),
    /// The one that a library launched.
    Recorded(Recorded),
}

/// All candidates for `operator` on `gpu`, the best estimate first.
///
/// # Errors
/// Operators that no candidate can compute, with the reason.
pub fn candidates(operator: &Operator, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let mut all = match operator {
        Operator::Gemm(op) => gemm::candidates(op, gpu)?,
        Operator::Elementwise(op) => rows::elementwise(op, gpu)?,
        Operator::Rows(op) => rows::rows(op, gpu)?,
        Operator::Rope(op) => rows::rope(op, gpu)?,
        Operator::Embedding(op) => rows::embedding(op, gpu)?,
        Operator::Cat(op) => rows::cat(op, gpu)?,
        Operator::Select(op) => select::select(op, gpu)?,
        Operator::Scan(op) => select::scan(op)?,
        Operator::Conv(op) => conv::candidates(op, gpu)?,
        Operator::Attention(op) => attention::candidates(op, gpu)?,
    };
    all.sort_by(|a, b| a.estimate.total_cmp(&b.estimate));
    Ok(all)
}

/// The candidate that `algorithm` asks for.
///
/// # Errors
/// As [`candidates`]; a name that no candidate has. A recorded kernel that is not among the candidates is no error: the
/// chosen one is taken and its reason says so.
pub fn choose(
    operator: &Operator,
    gpu: &GpuSpec,
    algorithm: &Algorithm,
) -> Result<Candidate, Fault> {
    if let Algorithm::Recorded(recorded) = algorithm {
        let known = match operator {
            Operator::Gemm(op) => gemm::recorded(op, recorded, gpu),
            Operator::Conv(op) => conv::recorded(op, recorded, gpu),
            _ => None,
        };
        if let Some(candidate) = known {
            return Ok(candidate);
        }
    }
    let mut all = candidates(operator, gpu)?;
    if let Algorithm::Recorded(recorded) = algorithm
        && let Some(kernel) = recorded.kernels.first()
    {
        // Where the library's rule is known, its kernel is the only candidate; elsewhere it must be said.
        if all.len() > 1
            && let Some(launch) = all[0].launches.first_mut()
        {
            launch.reason = format!("{}; {kernel} was recorded and is not known", launch.reason);
        }
    }
    let at = match algorithm {
        Algorithm::Named(name) => match all.iter().position(|c| c.name == *name) {
            Some(at) => at,
            None => {
                let names: Vec<_> = all.iter().map(|c| c.name.as_str()).collect();
                let what = format!("there are {}", names.join(", "));
                return Err(Fault::field("algo", name, what));
            }
        },
        Algorithm::Chosen | Algorithm::Recorded(_) => 0,
    };
    Ok(all.swap_remove(at))
}
