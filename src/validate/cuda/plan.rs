//! What a row launches: kernels of our files with their grids, arguments and buffers.

use super::Sizes;
use crate::validate::operator::Unfit;
use std::fmt::Write;

/// Why a plan is not made, or the plan.
pub type Planned = std::result::Result<Plan, Unfit>;

/// The launches of a row, in order, on buffers that they share.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Elements of each shared buffer, with their type.
    pub buffers: Vec<(&'static str, u64)>,
    /// Launches.
    pub steps: Vec<Step>,
    /// Operations on numbers.
    pub flops: f64,
}

/// One launch.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Kernel of one of our files.
    pub kernel: &'static str,
    /// CTAs.
    pub grid: [u64; 2],
    /// Threads of a CTA.
    pub block: [u64; 2],
    /// Dynamic shared memory, bytes.
    pub shared: u64,
    /// Arguments in order.
    pub args: Vec<Arg>,
    /// How often a kernel that does the same is launched; 0: it only runs in front of the next one.
    pub times: u64,
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// A buffer of elements of this type that no other launch has.
    Buffer(&'static str, u64),
    /// A shared buffer.
    Shared(usize),
    /// No buffer: a null pointer.
    Null,
    /// An `int`.
    Int(u64),
    /// A `float`.
    Float,
}

impl Step {
    /// A launch of `n` threads in CTAs of `block`.
    pub fn flat(kernel: &'static str, (n, block): (u64, u64), args: Vec<Arg>) -> Self {
        Self {
            kernel,
            grid: [n.div_ceil(block), 1],
            block: [block, 1],
            args,
            times: 1,
            ..Self::default()
        }
    }

    /// A launch of a thread for each place of an area, in CTAs of `block`.
    pub fn tiled(kernel: &'static str, area: [u64; 2], block: [u64; 2], args: Vec<Arg>) -> Self {
        Self {
            kernel,
            grid: [area[0].div_ceil(block[0]), area[1].div_ceil(block[1])],
            block,
            args,
            times: 1,
            ..Self::default()
        }
    }

    /// The same with dynamic shared memory.
    pub fn with_shared(self, shared: u64) -> Self {
        Self { shared, ..self }
    }

    /// CTAs of the grid.
    fn ctas(&self) -> u64 {
        self.grid[0].saturating_mul(self.grid[1])
    }
}

impl From<(Step, u64)> for Plan {
    fn from((step, flops): (Step, u64)) -> Self {
        Self {
            steps: vec![step],
            flops: flops as f64,
            ..Self::default()
        }
    }
}

impl Plan {
    /// That the grid of the row is that of the definition, where the row says one.
    pub fn fits(&self, name: &str, sizes: &Sizes<'_>) -> std::result::Result<(), Unfit> {
        let grid = sizes.or("grid", 0)?;
        // The rows of these say a thread for each element, but count the bytes of half as many results.
        let pairs = matches!(name, "reduce_sum" | "dot_product");
        match self.steps.as_slice() {
            [step] if pairs && step.ctas() == grid.div_ceil(2) => Ok(()),
            [step] if grid != 0 && step.ctas() != grid => Err(Unfit::Skip(format!(
                "hand-written kernel {name} on another grid than its definition's"
            ))),
            _ => Ok(()),
        }
    }

    /// The launch file of the plan.
    pub fn launch_file(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (i, (element, count)) in self.buffers.iter().enumerate() {
            let _ = write!(
                text,
                "[[buffers]]\nname = \"b{i}\"\ntype = \"{element}\"\ncount = {count}\ninit = \"zeros\"\n"
            );
        }
        for step in &self.steps {
            let ([gx, gy], [bx, by]) = (step.grid, step.block);
            let _ = write!(
                text,
                "[[kernels]]\nkernel = \"{}\"\ngrid = [{gx}, {gy}]\nblock = [{bx}, {by}]\ndynamic_shared_bytes = {}\n",
                step.kernel, step.shared
            );
            for (i, arg) in step.args.iter().enumerate() {
                let what = match arg {
                    Arg::Buffer(element, count) => {
                        format!("type = \"{element}\"\ncount = {count}\ninit = \"zeros\"")
                    }
                    Arg::Shared(number) => format!("buffer = \"b{number}\""),
                    Arg::Null => "type = \"u64\"\nvalue = 0".to_owned(),
                    Arg::Int(value) => format!("type = \"i32\"\nvalue = {value}"),
                    Arg::Float => "type = \"f32\"\nvalue = 1.5".to_owned(),
                };
                let _ = write!(text, "[[kernels.args]]\nname = \"p{i}\"\n{what}\n");
            }
        }
        text
    }
}

/// A kernel of which a row says too little.
pub fn undefined(name: &str) -> Unfit {
    skip(format!("{name}, whose definition the row does not give,"))
}

/// A kernel that is left out: which, and why.
pub fn skip(what: impl AsRef<str>) -> Unfit {
    Unfit::Skip(format!("hand-written kernel {}", what.as_ref()))
}
