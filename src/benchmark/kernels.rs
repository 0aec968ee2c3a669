//! The kernels of a model as a workload: each that it launches, once, in the order of the first launches.

use super::build::{Builder, Shape};
use super::schedule;
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::session::Session;
use crate::trace::{Command, Workload};

/// The kernels of the model of `builder` in `shape`, for the machine of `session`, which the user calls `gpu`.
///
/// # Errors
/// Faults of the model; a model none of whose operators has a kernel.
pub fn workload(
    builder: &Builder<'_>,
    shape: Shape,
    gpu: &str,
    session: &Session,
) -> Result<Workload> {
    let graph = builder.graph(shape)?;
    let case = builder.case(&graph, shape, gpu);
    let plan = case.plan(session);
    let lowered = crate::model::lower::lower(&graph, &plan);
    let (kernels, missing) = schedule::each_once(&lowered, &plan, session)?;
    if kernels.is_empty() {
        return Err(Error::input(
            builder.model,
            "operators",
            "none of them has a kernel on this GPU",
            "choose another precision or GPU; `phantom-gpu benchmark` says why",
        ));
    }
    let mut workload = Workload {
        source: format!(
            "{} (batch {}, {}, {} kernels)",
            builder.model,
            case.batch,
            case.precision.name(),
            kernels.len()
        ),
        notes: missing,
        ..Workload::default()
    };
    let mut content = String::new();
    for mut kernel in kernels {
        let layer = kernel.layer.map_or(0, crate::ids::LayerId::index);
        kernel.layer = Some(workload.add_layer(&lowered.layers[layer].name));
        content.push_str(&format!("{:?}{}\n", kernel.header, kernel.header.source));
        workload.commands.push(Command::Launch(Box::new(kernel)));
    }
    workload.hash = ContentHash::of(content.as_bytes()).hex();
    Ok(workload)
}
