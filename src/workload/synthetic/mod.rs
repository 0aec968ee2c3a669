//! Synthetic workloads: kernels of any size, made on demand, one CTA at a time.
//!
//! `synth:NAME?key=value&key=value` names one. A generator is a pure function of the CTA's number, so
//! that a grid of any size needs no more memory than its resident CTAs, and two runs are equal.

mod builder;
mod chase;
mod compute;
mod control;
mod gather;
mod gemm;
mod hgemm;
mod hgemm_async;
mod local;
mod micro_bandwidth;
mod micro_cache;
mod micro_ops;
mod micro_ring;
mod micro_sweep;
mod micro_wmma;
mod params;
mod sgemm;
mod shared;
mod stream;

#[cfg(test)]
mod tests;

use crate::config::GpuSpec;
use crate::config::check::nearest;
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::trace::{
    Command, CtaEncoder, CtaGenerator, CtaSource, Dim3, Kernel, KernelHeader, PatternId, Source,
    Workload,
};
use builder::KernelBuilder;
use params::{Param, Params};
use serde::Serialize;
use std::sync::Arc;

/// What every spec starts with.
pub const PREFIX: &str = "synth:";

/// Changes whenever a generator emits something else for the same parameters.
const VERSION: u32 = 3;

/// First byte of array `index` of a kernel: far apart, and aligned to large pages.
fn array(index: u64) -> u64 {
    0x7f00_0000_0000 + (index << 36)
}

/// A made kernel.
struct Made {
    name: &'static str,
    grid: Dim3,
    block: Dim3,
    registers: u16,
    smem_bytes: u32,
    code: KernelBuilder,
    generator: Arc<dyn CtaGenerator>,
}

/// One entry of the catalogue.
struct Entry {
    name: &'static str,
    doc: &'static str,
    params: &'static [Param],
    make: fn(&Params, &GpuSpec) -> Result<Made>,
}

const CATALOGUE: &[Entry] = &[
    compute::EMPTY,
    compute::FFMA,
    compute::FFMA_ILP,
    compute::BARRIER,
    stream::STREAM,
    stream::COPY,
    stream::SCALE,
    stream::TRIAD,
    stream::READ,
    stream::INIT,
    sgemm::SGEMM,
    hgemm::HGEMM,
    gather::GATHER,
    chase::PCHASE,
    shared::SMEM,
    shared::ATOMICS,
    local::LOCAL,
    micro_ops::OPS,
    micro_wmma::WMMA,
    micro_ring::RING,
    micro_ring::LAP,
    micro_bandwidth::ELEMENTWISE,
    micro_sweep::SWEEP,
    micro_bandwidth::CHUNKS,
    micro_cache::STRIDES,
    micro_cache::CODE,
    micro_cache::CONSTANT,
    micro_cache::BARRIERS,
];

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

/// Grid of a workload that is one CTA unless more are asked for.
const GRID: Param = Param::count("grid", 1, 1, GRID_MAX, "CTAs");
/// Block of a workload that is one warp unless more are asked for.
const BLOCK: Param = Param::count("block", 32, 1, 1024, "threads of a CTA");

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
    /// Appends the instructions of `warp` of CTA `cta`.
    fn warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder);
}

/// A CTA of warps that do not depend on each other.
struct PerWarp<G> {
    warps: u32,
    generator: G,
}

impl<G: WarpGenerator> CtaGenerator for PerWarp<G> {
    fn generate(&self, cta: u64, out: &mut CtaEncoder) {
        for warp in 0..self.warps {
            out.begin_warp();
            self.generator.warp(cta, warp, out);
        }
    }

    fn generate_warp(&self, cta: u64, warp: u32, out: &mut CtaEncoder) {
        for _ in 0..=warp {
            out.begin_warp();
        }
        self.generator.warp(cta, warp, out);
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

/// Makes the workload that `spec` (`synth:...`) names, as code for `gpu`.
///
/// # Errors
/// Unknown names or parameters, values out of range, kernels that the GPU cannot run.
pub fn parse(spec: &str, gpu: &GpuSpec) -> Result<Workload> {
    let rest = spec.strip_prefix(PREFIX).unwrap_or(spec);
    let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
    if name.is_empty() || name == "help" {
        return Err(Error::Usage(help()));
    }
    let entry = CATALOGUE
        .iter()
        .find(|entry| entry.name == name)
        .ok_or_else(|| unknown(spec, name))?;
    let table = entry.params.iter().chain(COMMON).copied().collect();
    let params = Params::parse(spec, query, table)?;
    let made = (entry.make)(&params, gpu)?;
    fits(spec, &made, gpu)?;
    let source = format!("{PREFIX}{name}?{}", params.canonical());
    let key = format!("{VERSION} sm_{} {source}", gpu.compute_capability);
    let kernels = launches(made, &params, gpu, &source);
    let commands = kernels.map(|k| Command::Launch(Box::new(k))).collect();
    Ok(Workload {
        source,
        hash: ContentHash::of(key.as_bytes()).hex(),
        commands,
        ..Workload::default()
    })
}

/// The launches of a made kernel, which share its code.
fn launches(
    made: Made,
    params: &Params,
    gpu: &GpuSpec,
    source: &str,
) -> impl Iterator<Item = Kernel> {
    let streams = params.get("streams");
    let header = KernelHeader {
        name: made.name.to_owned(),
        id: 1,
        grid: made.grid,
        block: made.block,
        cluster: [1; 3],
        registers_per_thread: made.registers,
        smem_bytes: made.smem_bytes,
        stream: 0,
        sm_version: gpu.compute_capability,
        shared_base: 0,
        local_base: 0,
        source: Source::Synthetic(source.to_owned()),
    };
    let mut code = made.code.finish();
    if params.get("control") == 1 {
        control::annotate(&mut code, gpu);
    }
    let code = Arc::new(code);
    (0..params.get("launches")).map(move |launch| Kernel {
        header: KernelHeader {
            id: launch as u32 + 1,
            stream: launch % streams,
            ..header.clone()
        },
        code: Arc::clone(&code),
        ctas: CtaSource::Generated(Arc::clone(&made.generator)),
        totals: None,
        layer: None,
    })
}

/// Whether a CTA of the kernel fits an empty SM.
fn fits(spec: &str, made: &Made, gpu: &GpuSpec) -> Result<()> {
    let threads: u32 = made.block.iter().product();
    let fault = |what: String| Err(Error::Usage(format!("{spec}: {what} on {}", gpu.name)));
    if threads > gpu.sm.threads_per_cta_max {
        return fault(format!(
            "{threads} threads a CTA, at most {}",
            gpu.sm.threads_per_cta_max
        ));
    }
    if made.smem_bytes > gpu.smem.per_cta_bytes_max {
        return fault(format!(
            "{} bytes of shared memory a CTA, at most {}",
            made.smem_bytes, gpu.smem.per_cta_bytes_max
        ));
    }
    let registers = threads.next_multiple_of(32) * u32::from(made.registers);
    if registers > gpu.sm.registers {
        return fault(format!(
            "{registers} registers a CTA, at most {}",
            gpu.sm.registers
        ));
    }
    Ok(())
}

fn unknown(spec: &str, name: &str) -> Error {
    let names = CATALOGUE.iter().map(|entry| entry.name);
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
        doc: param.doc,
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
    CATALOGUE.iter().map(entry).collect()
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
