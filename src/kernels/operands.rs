//! Which of a kernel's windows hold what its operator reads and writes.
//!
//! Every kernel has eight windows ([`Arrays`](super::Arrays)), and each family says what lies in which. For an operator
//! it is the same whatever kernels are chosen, so that tensors of a model can be put where its kernels look for them;
//! the windows that are named here for none of the operands are work space.

use super::choose::Candidate;
use super::operator::{Function, Operator, RowFunction, Style};
use super::rows::chains::chain;
use super::rows::pointwise::OUTPUT;
use super::{Fault, Places, conv, gemm};
use crate::config::GpuSpec;
use crate::trace::Kernel;

/// Windows of the operands of an operator, in its own order of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operands {
    /// Of the tensors that it reads.
    pub reads: Vec<usize>,
    /// Of those that it writes; one that is written in place is among the others, too.
    pub writes: Vec<usize>,
}

impl Operands {
    /// Of `operator`, which `launches` kernels compute.
    ///
    /// | operator | reads | writes |
    /// |---|---|---|
    /// | product | A, B, bias | C |
    /// | elementwise | one tensor, or two | the result |
    /// | softmax, sum, maximum | rows | the result |
    /// | layer norm, RMS norm | rows, weights (and biases) | the result |
    /// | residual and RMS norm | rows, weights, residual | rows, residual |
    /// | rotary embedding | rows of queries' and keys' heads, table, positions | the rows |
    /// | lookup | table, indices | the result |
    /// | concatenation | the tensors, one behind the other | the result |
    /// | the greatest of rows | rows | the greatest, their places |
    /// | running sums | matrices | the sums |
    /// | convolution | image, filter | the result |
    /// | attention | queries, keys, values | the result |
    /// | attention, backward | queries, keys, values, the result, its gradient | the gradients of the first three |
    pub fn of(operator: &Operator, launches: usize) -> Self {
        let of = |reads: &[usize], writes: &[usize]| Operands {
            reads: reads.to_vec(),
            writes: writes.to_vec(),
        };
        use conv::array as image;
        use gemm::array as matrix;
        match operator {
            Operator::Gemm(_) => of(&[matrix::A, matrix::B, matrix::BIAS], &[matrix::C]),
            Operator::Elementwise(op)
                if op.function == Function::SiluMul && op.style == Style::Vllm =>
            {
                of(&[0], &[1])
            }
            Operator::Elementwise(op) => {
                let reads: Vec<usize> = (0..chain(op.function).inputs as usize).collect();
                of(&reads, &[OUTPUT])
            }
            Operator::Rows(op) => match op.function {
                RowFunction::LayerNorm => of(&[0, 1, 2], &[3]),
                RowFunction::AddRmsNorm => of(&[0, 1, 2], &[0, 2]),
                RowFunction::RmsNorm => of(&[0, 1], &[2]),
                RowFunction::Softmax | RowFunction::Sum | RowFunction::Max => of(&[0], &[1]),
            },
            Operator::Rope(_) => of(&[0, 1, 2], &[0]),
            Operator::Embedding(_) => of(&[0, 1], &[2]),
            Operator::Cat(_) => of(&[0], &[1]),
            Operator::Select(_) => of(&[0], &[1, 2]),
            Operator::Scan(_) => of(&[0], &[1]),
            Operator::Conv(_) => of(&[image::IMAGE, image::FILTER], &[image::RESULT]),
            Operator::Attention(op) if op.backward == 1 => of(&[0, 1, 2, 3, 5], &[7]),
            // Kernels that share the keys leave their parts where the result of a single one lies.
            Operator::Attention(_) => of(&[0, 1, 2], &[if launches > 1 { 5 } else { 3 }]),
        }
    }
}

impl Candidate {
    /// Its kernel `number`, from 0, with its windows at `places`, as code for `gpu`.
    ///
    /// # Errors
    /// A kernel that `gpu` cannot run.
    ///
    /// # Panics
    /// On a kernel that has no windows: no operator is computed by one.
    pub fn build_at(&self, number: usize, places: &Places, gpu: &GpuSpec) -> Result<Kernel, Fault> {
        let launch = &self.launches[number];
        let kernel = launch.kernel.moved(places);
        let mut kernel = kernel
            .expect("kernels of operators have windows")
            .build(gpu)?;
        kernel.header.id = number as u32 + 1;
        kernel.reason = Some(format!("{}: {}", self.name, launch.reason).into());
        Ok(kernel)
    }
}
