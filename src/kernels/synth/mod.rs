//! Generated kernels by text: `synth:NAME?key=value&key=value`.

mod catalogue;
mod params;

use super::choose::{Algorithm, choose};
use super::fields::Param;
use super::operator::Operator;
use super::work::Roofline;
use super::{Fault, KernelGenerator, set_control_bits};
use crate::config::GpuSpec;
use crate::config::check::nearest;
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::trace::source::SYNTHETIC as PREFIX;
use crate::trace::{Command, Kernel, Source, Workload};
use catalogue::entries;
use params::{Params, canonical, fault};
use serde::Serialize;

/// Changes whenever a generator emits something else for the same parameters.
const VERSION: u32 = 4;

/// One entry of the catalogue.
struct Entry {
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    make: Make,
}

/// What the parameters of an entry say, given their values in table order.
#[derive(Clone, Copy)]
enum Make {
    /// One kernel.
    Kernel(fn(&[u64], &GpuSpec) -> Box<dyn KernelGenerator>),
    /// An operator, whose kernels are chosen.
    Operator(fn(&[u64]) -> Operator),
}

impl Make {
    /// The kernels.
    fn build(
        self,
        values: &[u64],
        gpu: &GpuSpec,
        algorithm: &Algorithm,
    ) -> std::result::Result<Vec<Kernel>, Fault> {
        match self {
            Make::Kernel(make) => match algorithm {
                Algorithm::Named(name) => {
                    let what =
                        "this is one kernel; only operators (gemm, conv, ...) have candidates";
                    Err(Fault::field("algo", name, what))
                }
                _ => Ok(vec![make(values, gpu).build(gpu)?]),
            },
            Make::Operator(make) => {
                let operator = make(values);
                let mut kernels = choose(&operator, gpu, algorithm)?.build(gpu)?;
                let mut bound = Roofline::of(&operator, gpu).seconds();
                for kernel in &mut kernels {
                    kernel.roofline_s = Some(bound);
                    bound = 0.0;
                }
                Ok(kernels)
            }
        }
    }
}

/// Parameters that every workload has.
const COMMON: &[Param] = &[
    Param::count(
        "launches",
        1,
        1,
        10_000,
        "times the kernel is launched, one after the other",
    ),
    Param::name(
        "control",
        &["off", "on"],
        "dependence-control bits as a compiler would set them",
    ),
    Param::count(
        "streams",
        1,
        1,
        64,
        "CUDA streams that the launches are dealt to",
    ),
];

/// Whether `input` names a generated kernel rather than a file.
pub fn is_synth(input: &str) -> bool {
    input.starts_with(PREFIX)
}

/// The text of a family's member.
pub(super) fn text(name: &str, fields: Vec<(Param, u64)>) -> String {
    format!("{PREFIX}{name}?{}", canonical(fields))
}

/// [`parse_with`] the kernels that libraries would launch.
///
/// # Errors
/// As [`parse_with`].
pub fn parse(spec: &str, gpu: &GpuSpec) -> Result<Workload> {
    parse_with(spec, gpu, &Algorithm::Chosen)
}

/// Makes the workload that `spec` (`synth:...`) names, as code for `gpu`; operators by `algorithm`.
///
/// # Errors
/// Unknown names or parameters, values out of range, kernels that the GPU cannot run.
pub fn parse_with(spec: &str, gpu: &GpuSpec, algorithm: &Algorithm) -> Result<Workload> {
    let rest = spec.strip_prefix(PREFIX).unwrap_or(spec);
    let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
    if name.is_empty() || name == "help" {
        return Err(Error::Usage(help()));
    }
    let entry = entries()
        .find(|entry| entry.name == name)
        .ok_or_else(|| unknown(spec, name))?;
    let table = entry.params.iter().chain(COMMON).copied().collect();
    let params = Params::parse(spec, query, table)?;
    let kernels = entry.make.build(params.values(), gpu, algorithm);
    let kernels = kernels.map_err(|found| match found {
        Fault::Field { .. } => fault(spec, found),
        Fault::TooLarge { .. } => Error::Usage(format!("{spec}: {found}")),
    })?;
    let source = format!("{PREFIX}{name}?{}", params.canonical());
    let key = format!(
        "{VERSION} sm_{} {source} {algorithm:?}",
        gpu.compute_capability
    );
    let key = match entry.make {
        Make::Kernel(_) => format!("{VERSION} sm_{} {source}", gpu.compute_capability),
        Make::Operator(_) => key,
    };
    let kernels = launches(kernels, entry.make, &params, gpu, &source);
    let commands = kernels.map(|k| Command::Launch(Box::new(k))).collect();
    Ok(Workload {
        source,
        hash: ContentHash::of(key.as_bytes()).hex(),
        commands,
        ..Workload::default()
    })
}

/// The launches of the kernels, one sequence after the other; launches of a kernel share its code.
fn launches(
    mut kernels: Vec<Kernel>,
    make: Make,
    params: &Params,
    gpu: &GpuSpec,
    source: &str,
) -> impl Iterator<Item = Kernel> {
    let streams = params.get("streams");
    let control = params.get("control") == 1;
    for kernel in &mut kernels {
        if let Make::Kernel(_) = make {
            kernel.header.source = Source::Synthetic(source.to_owned());
        }
        if control {
            set_control_bits(kernel, gpu);
        }
    }
    let count = kernels.len() as u32;
    (0..params.get("launches")).flat_map(move |launch| {
        let mut sequence = kernels.clone();
        for (kernel, place) in sequence.iter_mut().zip(1..) {
            kernel.header.id = launch as u32 * count + place;
            kernel.header.stream = launch % streams;
        }
        sequence
    })
}

fn unknown(spec: &str, name: &str) -> Error {
    let names = entries().map(|entry| entry.name);
    let hint = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known: {}", names.collect::<Vec<_>>().join(", ")),
    };
    Error::Usage(format!("{spec}: no workload {name}; {hint}"))
}

/// A generator and its parameters, for lists.
#[derive(Clone, Debug, Serialize)]
pub struct WorkloadDoc {
    /// Name after `synth:`.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// Parameters, its own before those that every generator has.
    pub parameters: Vec<ParamDoc>,
}

/// One parameter, for lists.
#[derive(Clone, Debug, Serialize)]
pub struct ParamDoc {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Value when it is not given.
    pub default: String,
    /// Allowed values.
    pub allowed: String,
    /// Every generator has it.
    pub common: bool,
}

/// All generators with their parameters.
pub fn catalogue() -> Vec<WorkloadDoc> {
    let doc = |param: &Param, common: bool| ParamDoc {
        name: param.name,
        doc: param.doc.trim(),
        default: param.show(param.default),
        allowed: param.allowed(),
        common,
    };
    let entry = |entry: &Entry| {
        let own = entry.params.iter().map(|p| doc(p, false));
        WorkloadDoc {
            name: entry.name,
            doc: entry.doc,
            parameters: own.chain(COMMON.iter().map(|p| doc(p, true))).collect(),
        }
    };
    entries().map(entry).collect()
}

/// The catalogue in words.
pub fn help() -> String {
    let mut text = String::from(
        "synthetic workloads: synth:NAME?key=value&key=value, e.g. synth:stream?bytes=64MiB\n",
    );
    let all = catalogue();
    let list = |text: &mut String, params: &mut dyn Iterator<Item = &ParamDoc>| {
        for param in params {
            text.push_str(&format!(
                "    {:<10} {} (default {}; {})\n",
                param.name, param.doc, param.default, param.allowed
            ));
        }
    };
    for entry in &all {
        text.push_str(&format!("\n  {}: {}\n", entry.name, entry.doc));
        list(
            &mut text,
            &mut entry.parameters.iter().filter(|p| !p.common),
        );
    }
    text.push_str("\n  all of them:\n");
    let common = all.first().map_or(&[][..], |entry| &entry.parameters);
    list(&mut text, &mut common.iter().filter(|p| p.common));
    text
}
