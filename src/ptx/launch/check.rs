//! Named checks: what kernels should have computed, computed here the plain way.
//!
//! A check finds its operands by the names of the arguments, so it does not care in which order a
//! kernel takes them.

mod dense;
mod irregular;

use super::data::Element;
use super::run::Prepared;
use super::{Argument, Check, Launch, Operand, Value, data};
use crate::error::{Error, Result, input};
use std::collections::BTreeMap;

/// Allowed error of a check that names none.
pub const TOLERANCE: f64 = 1e-5;

/// Names of the checks.
pub const NAMES: [&str; 23] = [
    "vecadd",
    "saxpy",
    "sum",
    "gemm",
    "softmax",
    "layernorm",
    "gelu",
    "gelu_tanh",
    "transpose",
    "histogram",
    "counter",
    "stencil2d5",
    "conv1d",
    "bfs_level",
    "collatz",
    "spmv",
    "compact",
    "scan",
    "pchase",
    "chase_shared",
    "fma_chain",
    "bank_sum",
    "attention",
];

/// Values before and after the run.
pub struct Operands<'a> {
    launch: &'a Launch,
    prepared: &'a Prepared<'a>,
    operands: &'a BTreeMap<String, Operand>,
}

/// What a check says is wrong.
pub type Checked<T> = std::result::Result<T, String>;

impl Operands<'_> {
    fn find(&self, name: &str) -> Checked<(usize, &Argument)> {
        let (argument, remedy) = match self.operands.get(name) {
            Some(Operand::Argument(argument)) => (argument.as_str(), "check.operands names it"),
            Some(Operand::Number(_)) => return Err(format!("`{name}` must be an argument")),
            None => (name, "or check.operands that says what it is"),
        };
        self.launch
            .argument(argument)
            .ok_or_else(|| format!("the check needs an argument called `{argument}`, {remedy}"))
    }

    /// A scalar.
    pub fn scalar(&self, name: &str) -> Checked<f64> {
        if let Some(Operand::Number(x)) = self.operands.get(name) {
            return Ok(*x);
        }
        match self.find(name)?.1 {
            Argument {
                value: Value::Scalar(bits),
                element,
                ..
            } => Ok(element.number(*bits)),
            _ => Err(format!("`{name}` must be a scalar")),
        }
    }

    /// A scalar that counts something.
    pub fn count(&self, name: &str) -> Checked<usize> {
        let x = self.scalar(name)?;
        match x >= 0.0 {
            true => Ok(x as usize),
            false => Err(format!("`{name}` is negative")),
        }
    }

    /// A buffer as it was before the run.
    pub fn before(&self, name: &str) -> Checked<Vec<f64>> {
        let (index, argument) = self.find(name)?;
        if let Value::Shared(_) = argument.value {
            let bytes = self.prepared.before.get(index).and_then(Option::as_ref);
            let bytes = bytes.ok_or_else(|| {
                format!(
                    "`{name}` needs an `init`, or a kernel that writes all of it, for this check"
                )
            })?;
            return Ok(argument.element.numbers(bytes));
        }
        let Value::Buffer { count, init } = &argument.value else {
            return Err(format!("`{name}` must be a buffer"));
        };
        let bytes = data::content(argument.element, *count, init).map_err(|e| e.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("`{name}` needs an `init` for this check"))?;
        Ok(argument.element.numbers(&bytes))
    }

    /// A module variable as the launch sets it.
    pub fn variable(&self, name: &str) -> Checked<Vec<f64>> {
        let found = self.launch.variables.iter().find(|v| v.name == name);
        match found {
            Some(Argument {
                value: Value::Buffer { count, init },
                element,
                ..
            }) => {
                let bytes = data::content(*element, *count, init).map_err(|e| e.to_string())?;
                Ok(element.numbers(&bytes.unwrap_or_default()))
            }
            _ => Err(format!("the check needs [[variables]] `{name}`")),
        }
    }

    /// Bytes of a buffer after the run.
    pub fn bytes(&self, name: &str) -> Checked<&[u8]> {
        let (index, _) = self.find(name)?;
        match self.prepared.buffers.get(index).copied().flatten() {
            Some(number) => Ok(self.prepared.global.content(number)),
            None => Err(format!("`{name}` must be a buffer")),
        }
    }

    /// A buffer after the run, up to the first element that nobody wrote.
    pub fn after(&self, name: &str) -> Checked<Vec<f64>> {
        let (index, argument) = self.find(name)?;
        let bytes = self.bytes(name)?;
        let number = self.prepared.buffers.get(index).copied().flatten();
        let unwritten = number.and_then(|n| self.prepared.global.unwritten(n));
        let end = unwritten.map_or(bytes.len(), |at| at as usize);
        Ok(argument.element.numbers(bytes.get(..end).unwrap_or(bytes)))
    }

    /// Type of an argument.
    pub fn element(&self, name: &str) -> Checked<Element> {
        Ok(self.find(name)?.1.element)
    }

    /// Address of a buffer.
    pub fn address(&self, name: &str) -> Checked<u64> {
        let (index, _) = self.find(name)?;
        match self.prepared.buffers.get(index).copied().flatten() {
            Some(number) => Ok(self.prepared.global.address(number)),
            None => Err(format!("`{name}` must be a buffer")),
        }
    }

    /// Threads of a CTA, CTAs.
    pub fn threads(&self) -> (usize, usize) {
        let product = |dims: [u32; 3]| dims.iter().map(|&d| d as usize).product();
        (product(self.launch.block), product(self.launch.grid))
    }

    /// Threads of a CTA along x.
    pub fn block_x(&self) -> usize {
        self.launch.block[0] as usize
    }
}

/// Checks the result of a run in every way that the launch file asks for.
///
/// # Errors
/// The first element that is wrong, or what a check misses in the launch file.
pub fn verify(launch: &Launch, prepared: &Prepared<'_>) -> Result<()> {
    launch
        .checks
        .iter()
        .try_for_each(|check| one(launch, prepared, check))
}

fn one(launch: &Launch, prepared: &Prepared<'_>, check: &Check) -> Result<()> {
    let none = BTreeMap::new();
    let operands = Operands {
        launch,
        prepared,
        operands: match check {
            Check::Named { operands, .. } => operands,
            Check::File { .. } => &none,
        },
    };
    let (name, outcome) = match check {
        Check::Named {
            name, tolerance, ..
        } => (name.clone(), named(&operands, name, *tolerance)),
        Check::File {
            buffer,
            path,
            tolerance,
        } => {
            // One byte more than is wanted shows a file that is too long, without reading all of it.
            let most = operands.bytes(buffer).map_or(0, |bytes| bytes.len() as u64);
            let want = input::start(path, most + 1)?;
            let outcome = content(&operands, buffer, &want, *tolerance);
            (path.display().to_string(), outcome)
        }
    };
    outcome.map_err(|what| {
        Error::input(
            launch.path.display().to_string(),
            format!("check {name} of {}", prepared.program.name),
            what,
            "the kernel, its arguments or the check is wrong",
        )
    })
}

/// Whether a buffer holds just the bytes of a file.
fn content(o: &Operands<'_>, buffer: &str, want: &[u8], tolerance: Option<f64>) -> Checked<()> {
    let (element, bytes) = (o.element(buffer)?, o.bytes(buffer)?);
    if want.len() != bytes.len() {
        let found = match want.len() > bytes.len() {
            true => format!("more than {}", bytes.len()),
            false => want.len().to_string(),
        };
        return Err(format!(
            "the file has {found} bytes, expected the {} bytes of `{buffer}`",
            bytes.len()
        ));
    }
    let got = o.after(buffer)?;
    if !element.float() && tolerance.is_none() && got.len() * element.bytes() as usize == want.len()
    {
        let size = element.bytes() as usize;
        let mut pairs = bytes.chunks_exact(size).zip(want.chunks_exact(size));
        return match pairs.position(|(got, want)| got != want) {
            None => Ok(()),
            Some(i) => Err(format!(
                "{buffer}[{i}] is {:#x}, expected {:#x}",
                data::word(&bytes[i * size..][..size]),
                data::word(&want[i * size..][..size])
            )),
        };
    }
    let want = element.numbers(want);
    compare(buffer, &got, &want, tolerance.unwrap_or(TOLERANCE))
}

fn named(o: &Operands<'_>, name: &str, tolerance: f64) -> Checked<()> {
    match name {
        "vecadd" => dense::vecadd(o, tolerance),
        "saxpy" => dense::saxpy(o, tolerance),
        "sum" => dense::sum(o, tolerance),
        "gemm" => dense::gemm(o, tolerance),
        "softmax" => dense::softmax(o, tolerance),
        "layernorm" => dense::layernorm(o, tolerance),
        "gelu" => dense::gelu(o, false, tolerance),
        "gelu_tanh" => dense::gelu(o, true, tolerance),
        "transpose" => dense::transpose(o),
        "stencil2d5" => dense::stencil(o, tolerance),
        "conv1d" => dense::conv1d(o, tolerance),
        "attention" => dense::attention(o, tolerance),
        "histogram" => irregular::histogram(o),
        "counter" => irregular::counter(o),
        "bfs_level" => irregular::bfs_level(o),
        "collatz" => irregular::collatz(o),
        "spmv" => irregular::spmv(o, tolerance),
        "compact" => irregular::compact(o),
        "scan" => irregular::scan(o),
        "pchase" => irregular::pchase(o),
        "chase_shared" => irregular::chase_shared(o),
        "fma_chain" => irregular::fma_chain(o, tolerance),
        "bank_sum" => irregular::bank_sum(o),
        _ => Err("there is no such check".to_owned()),
    }
}

/// Compares element by element; the tolerance is relative to the largest magnitude of `want`.
/// Nothing to compare is an error: a result that nobody looked at is not verified.
pub fn compare(name: &str, got: &[f64], want: &[f64], tolerance: f64) -> Checked<()> {
    if want.is_empty() {
        return Err(format!("no element of `{name}` is compared"));
    }
    if !want.iter().any(|w| w.is_finite()) {
        return Err(format!(
            "no element of `{name}` is expected to be finite, which says nothing of the kernel; give smaller inputs"
        ));
    }
    if got.len() < want.len() {
        return Err(format!(
            "`{name}` has {} elements that somebody wrote, expected {}",
            got.len(),
            want.len()
        ));
    }
    let scale = want
        .iter()
        .filter(|w| w.is_finite())
        .fold(0f64, |m, w| m.max(w.abs()));
    let allowed = tolerance * if scale > 0.0 { scale } else { 1.0 };
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let same = g == w || g.is_nan() && w.is_nan();
        if !same && ((g - w).abs() > allowed || g.is_nan() || w.is_nan()) {
            return Err(format!(
                "{name}[{i}] is {g}, expected {w} within {allowed:.3e}"
            ));
        }
    }
    Ok(())
}
