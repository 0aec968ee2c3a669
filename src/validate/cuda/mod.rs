//! Hand-written kernels: rows that name a CUDA kernel whose definition is plain.
//!
//! The kernels are our own (`validation/kernels`), written from the definition, not from anybody's source; a row says
//! which algorithm it measured, and with which sizes, grid and block. Their CTAs are executed as the simulation asks for
//! them.

mod plain;
mod plan;
mod suites;
mod teaching;

use super::dataset::Row;
use super::operator::Unfit;
use crate::config::GpuSpec;
use crate::error::Result;
use crate::kernels::work::{Roofline, Work};
use crate::ptx::launch::run::{Memory, prepare};
use crate::ptx::launch::{Application, Value};
use crate::ptx::{lazy, parse};
use crate::trace::Kernel;
use plan::Plan;
use serde_json::Value as Json;
use std::path::Path;

/// PTX of our kernels, by the name of its file.
const FILES: [(&str, &str); 7] = [
    (
        "streams.ptx",
        include_str!("../../../validation/kernels/streams.ptx"),
    ),
    (
        "matrices.ptx",
        include_str!("../../../validation/kernels/matrices.ptx"),
    ),
    (
        "reductions.ptx",
        include_str!("../../../validation/kernels/reductions.ptx"),
    ),
    (
        "convolutions.ptx",
        include_str!("../../../validation/kernels/convolutions.ptx"),
    ),
    (
        "suite.ptx",
        include_str!("../../../validation/kernels/suite.ptx"),
    ),
    (
        "samples.ptx",
        include_str!("../../../validation/kernels/samples.ptx"),
    ),
    (
        "teaching.ptx",
        include_str!("../../../validation/kernels/teaching.ptx"),
    ),
];

/// Bytes of all buffers of a row, once for each launch: two rows at once stay below 1 GiB with what their making takes.
const BUFFERS_MAX: u64 = 256 << 20;

/// What addresses are raised by: behind everything that generated kernels use.
const SHIFT: u64 = 1 << 44;

/// Registers of an SM of every architecture that is modelled.
const REGISTERS_MAX: u64 = 65_536;

/// Threads of a CTA where a row does not say.
const THREADS: u64 = 256;

/// The launches of a row, ready to be made.
#[derive(Clone, Debug)]
pub struct Program {
    application: Application,
    /// How often each is launched.
    times: Vec<u64>,
    registers: Option<u16>,
    work: Work,
}

/// Sizes of a row.
struct Sizes<'a>(&'a Row);

impl Sizes<'_> {
    fn get(&self, name: &str) -> std::result::Result<u64, Unfit> {
        self.or(name, 0).and_then(|n| match n {
            0 => Err(Unfit::Skip(format!("a hand-written kernel without {name}"))),
            n => Ok(n),
        })
    }

    fn or(&self, name: &str, default: u64) -> std::result::Result<u64, Unfit> {
        let Some(value) = self.0.shape.get(name) else {
            return Ok(default);
        };
        let whole = value.as_u64().filter(|n| *n < 1 << 31);
        whole.ok_or_else(|| Unfit::Fault(format!("shape: {name} = {value} is no size below 2^31")))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.shape.get(name).and_then(Json::as_str)
    }
}

/// What a row measured: a kernel, or a program of a suite.
fn plan(row: &Row) -> std::result::Result<(String, Plan), Unfit> {
    let sizes = Sizes(row);
    let benchmark = || row.extra.get("benchmark").and_then(Json::as_str);
    if let Some(name) = sizes.text("kernel") {
        let made = match name.split_once(": ") {
            Some((chapter, algorithm)) => teaching::plan((chapter, algorithm), &sizes),
            None => plain::plan(name, &sizes),
        };
        return Ok((name.to_owned(), made?));
    }
    let suite = sizes.text("suite").unwrap_or("");
    let Some(name) = sizes.text("benchmark").or_else(benchmark) else {
        return Err(Unfit::Fault("shape has no kernel and no benchmark".into()));
    };
    Ok((name.to_owned(), suites::plan(suite, name, &sizes)?))
}

/// The kernels that `row` measured.
///
/// # Errors
/// Impossible sizes; a kernel whose definition the row does not give, that is too large, or that ran at a clock of its own.
pub fn program(row: &Row) -> std::result::Result<Program, Unfit> {
    let (name, plan) = plan(row)?;
    plan.fits(&name, &Sizes(row))?;
    if row.extra.get("profiler").and_then(Json::as_str) == Some("ncu") {
        return Err(Unfit::Skip(
            "hand-written kernels at the base clock that a profiler sets".into(),
        ));
    }
    // What was timed with the host in between has no time of its own for back-to-back launches.
    if row.extra.get("batch_us").is_some_and(Json::is_null) {
        return Err(Unfit::Skip(
            "hand-written kernels timed with the host's allocations between launches".into(),
        ));
    }
    let application = Application::parse(Path::new(&row.id), &plan.launch_file())
        .map_err(|e| Unfit::Fault(format!("a launch that no GPU has: {e}")))?;
    let own = application.launches.iter().flat_map(|launch| &launch.args);
    let size = |arg: &crate::ptx::launch::Argument| match arg.value {
        Value::Buffer { count, .. } => count.saturating_mul(u64::from(arg.element.bytes())),
        _ => 0,
    };
    let shared: u64 = application.buffers.iter().map(size).sum();
    let own: u64 = own.map(size).sum();
    let bytes = shared + own;
    let held = shared.saturating_mul(plan.steps.len() as u64) + own;
    if held > BUFFERS_MAX {
        let most = BUFFERS_MAX >> 20;
        return Err(Unfit::Skip(format!(
            "hand-written kernels on more than {most} MiB"
        )));
    }
    let registers = row.extra.get("regs").and_then(|regs| regs.as_u64());
    let threads = |step: &plan::Step| step.block[0] * step.block[1];
    let threads = plan.steps.iter().map(threads).max().unwrap_or(0);
    if registers.is_some_and(|registers| registers * threads > REGISTERS_MAX) {
        return Err(Unfit::Skip(
            "hand-written kernels with more registers than a CTA can have, which did not run"
                .into(),
        ));
    }
    Ok(Program {
        application,
        times: plan.steps.iter().map(|step| step.times).collect(),
        registers: registers
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| (1..=255).contains(n)),
        work: Work {
            flops: plan.flops,
            bytes: bytes as f64,
        },
    })
}

impl Program {
    /// The kernels for the machine of `spec`, in order, each with how often it is launched.
    ///
    /// # Errors
    /// A fault of a kernel's first CTA.
    pub fn kernels(&self, spec: &GpuSpec) -> Result<Vec<(Kernel, u64)>> {
        let machine = (spec.compute_capability, SHIFT);
        let launches = self.application.launches.iter().zip(&self.times);
        let made = launches.map(|(launch, times)| {
            let wanted = launch.kernel.as_deref().unwrap_or("");
            let entry = format!(".entry {wanted}(");
            let found = FILES.iter().find(|(_, text)| text.contains(&entry));
            let (file, text) = found.expect("tests launch every plan");
            let module = parse(text).expect("tests parse our own files");
            let memory = Memory::of(&self.application)?;
            let prepared = prepare(file, &module, launch, memory)?;
            let kernel = lazy::kernel(Path::new(file), prepared, launch, self.registers, machine)?;
            Ok((kernel, *times))
        });
        made.collect()
    }

    /// The time at published peaks.
    pub fn roofline(&self, spec: &GpuSpec) -> Roofline {
        Roofline::fp32(&self.work, spec)
    }
}

#[cfg(test)]
mod results;
#[cfg(test)]
mod tests;
