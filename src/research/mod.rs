//! Research: what the instruments of the Cargo features find in a run, beside the ordinary report.
//!
//! A feature is one module here. It contributes
//!
//! 1. a probe ([`Instrument`] of `src/probe/`), which collects during the run;
//! 2. a [`Section`]: typed data that stand under `research.NAME` of the report, with the explanation of every leaf;
//! 3. [`Exhibits`] of the section: tables and figures, which the terminal, the page and LaTeX show alike;
//! 4. a line in [`FEATURES`] and a place in [`BuildProbe`].
//!
//! A probe never steers. What needs other machines (all schedulers, all carve-outs) runs the workload again, unobserved,
//! with [`Study::again`].

pub mod architecture;
#[cfg(any(
    feature = "memory-research",
    feature = "memory-divergence-research",
    feature = "gpu-profiling-research"
))]
mod by_pc;
mod cache;
mod divergence;
mod dram;
mod energy;
mod exhibit;
mod memory;
mod observe;
#[cfg(any(feature = "memory-research", feature = "memory-divergence-research"))]
mod place;
mod profile;
#[cfg(any(
    feature = "memory-research",
    feature = "memory-divergence-research",
    feature = "gpu-profiling-research"
))]
mod runs;
#[cfg(any(feature = "cache-research", feature = "memory-divergence-research"))]
mod stores;
mod study;
#[cfg(test)]
mod tests;

pub use exhibit::{Exhibits, Figure, Table};
pub use observe::{Finding, Join, Observe, Observer, Section};
pub use study::{Again, Moment, Study};

use crate::correlate;
use crate::error::{Error, Result};
use crate::kernels::{Arrays, array};
use crate::power;
use crate::probe::{Buffer, Instruments, NoProbe};
use crate::progress::{self, Progress};
use crate::report::Report;
use crate::report::explain::{self, Entry};
use crate::session::{Options, Outcome as Ran, Session};
use crate::trace::{Command, Kernel, Source, Workload};
use std::sync::atomic::AtomicBool;
use study::{ctas, options};

/// A research feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// The Cargo feature.
    pub name: &'static str,
    /// Its section: `research.NAME`.
    pub section: &'static str,
    /// What it finds, in a sentence.
    pub text: &'static str,
    /// Whether this build has it.
    pub compiled: bool,
}

/// The feature that energy belongs to.
const ENERGY_FEATURE: &str = "gpu-profiling-research";

/// All research features, in the order of their sections on a page.
pub const FEATURES: &[Feature] = &[
    Feature {
        name: "cache-research",
        section: "cache",
        text: "L1 and L2: miss registers over time, refusals by cause, reuse distances, set pressure, sharing.",
        compiled: cfg!(feature = "cache-research"),
    },
    Feature {
        name: "dram-research",
        section: "dram",
        text: "DRAM channels: banks, rows, latencies by row outcome, lost cycles, and every scheduler on this workload.",
        compiled: cfg!(feature = "dram-research"),
    },
    Feature {
        name: "memory-research",
        section: "memory",
        text: "Global memory: coalescing by instruction, carve-outs, slices under each hash, who misses after whom, DRAM traffic by buffer, address translation.",
        compiled: cfg!(feature = "memory-research"),
    },
    Feature {
        name: "memory-divergence-research",
        section: "divergence",
        text: "Active lanes and branches by instruction, sectors of each memory request, and lines that leave L1 before they are wanted again.",
        compiled: cfg!(feature = "memory-divergence-research"),
    },
    Feature {
        name: "gpu-profiling-research",
        section: "profile",
        text: "Each part of the machine of what it could do, roofline, why warps wait, and where: instruction by instruction.",
        compiled: cfg!(feature = "gpu-profiling-research"),
    },
    Feature {
        name: "gpu-profiling-research",
        section: "energy",
        text: "Joules and watts of each kernel, by part of the chip and of the board.",
        compiled: cfg!(feature = "gpu-profiling-research"),
    },
    Feature {
        name: architecture::FEATURE,
        section: "architecture",
        text: "The same workload on variants of the machine: speedup, where the cycles went, traffic, energy; what each parameter is worth.",
        compiled: cfg!(feature = "architecture-research"),
    },
];

/// What this build can observe; [`NoProbe`] where it has no feature. The only place where features meet the probe.
pub type BuildProbe = Join<
    cache::Probe,
    Join<
        dram::Probe,
        Join<
            memory::Probe,
            Join<
                divergence::Probe,
                Join<profile::Probe, Join<energy::Probe, Join<architecture::Probe, NoProbe>>>,
            >,
        >,
    >,
>;

/// What is run, and on what.
pub struct Request<'a> {
    /// The machine.
    pub session: &'a Session,
    /// The GPU as the user named it.
    pub gpu: &'a str,
    /// The keys that the user changed.
    pub sets: &'a [String],
    /// The workload.
    pub workload: &'a Workload,
    /// Features, by name.
    pub features: Vec<&'static str>,
    /// Threads; results do not depend on them.
    pub threads: usize,
    /// Most core cycles.
    pub max_cycles: Option<u64>,
    /// Most memory, bytes.
    pub memory_limit: Option<u64>,
    /// Set from outside to end with what is done.
    pub stop: &'a AtomicBool,
    /// What is asked of the profile.
    pub besides: &'a Besides,
    /// Which other machines `architecture-research` runs it on.
    pub architecture: architecture::Wanted,
}

/// What is asked of the profile besides what it always has.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Counters over time, so many core cycles apart.
    pub interval: Option<u64>,
    /// A profile of real hardware to compare with, and which names of it are which of the report.
    pub hardware: Option<(correlate::Profile, correlate::Map)>,
}

/// What a run found.
pub struct Outcome {
    /// The ordinary report, with the sections under `research`.
    pub report: Report,
    /// The sections.
    pub findings: Vec<Finding>,
}

/// The features with these names, in the order of [`FEATURES`], each once.
///
/// # Errors
/// A name that none has; one that is not in this build.
pub fn chosen(names: &[String]) -> Result<Vec<&'static str>> {
    let known = |name: &String| FEATURES.iter().any(|f| f.name == name);
    let list = |of: &mut dyn Iterator<Item = &'static Feature>| {
        let mut names: Vec<&str> = of.map(|f| f.name).collect();
        names.dedup(); // a feature may have several sections
        names.join(", ")
    };
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(Error::Usage(format!(
            "--features {unknown}: there is no such research feature; there are {}",
            list(&mut FEATURES.iter())
        )));
    }
    let mut wanted: Vec<&Feature> = FEATURES
        .iter()
        .filter(|f| names.iter().any(|name| name == f.name))
        .collect();
    wanted.dedup_by_key(|f| f.name); // a feature may have several sections
    if wanted.is_empty() {
        return Err(Error::Usage(format!(
            "--features is missing; there are {}",
            list(&mut FEATURES.iter())
        )));
    }
    let missing = list(&mut wanted.iter().copied().filter(|f| !f.compiled));
    if !missing.is_empty() {
        let all: Vec<&str> = wanted.iter().map(|f| f.name).collect();
        return Err(Error::Usage(format!(
            "research: not in this build: {missing}; build with `cargo build --release --features {}`",
            all.join(",")
        )));
    }
    Ok(wanted.iter().map(|f| f.name).collect())
}

/// Runs the workload under the instruments that were chosen.
///
/// # Errors
/// A failed run.
pub fn run(request: &Request) -> Result<Outcome> {
    for feature in request.features.iter().filter(|f| **f != ENERGY_FEATURE) {
        let why = "it compares cycles, of machines or of moments";
        power::one_clock(
            request.session.spec(),
            &format!("--features {feature}"),
            why,
        )?;
    }
    let progress = Progress::of(ctas(request.workload));
    let instruments = Instruments::new(request.features.clone(), buffers(request.workload));
    let options = Options {
        timeline: request.besides.interval,
        ..options(request, &progress, instruments)
    };
    let run = || {
        let session = request.session;
        session.run_with::<BuildProbe>(request.workload, &options)
    };
    let Ran { run, mut report } = progress::watch(&progress, "CTAs", run)?;
    let moments: Vec<Moment> = run
        .timeline
        .samples
        .into_iter()
        .map(|sample| Moment {
            at: sample.at,
            warps: sample.warps,
            counters: sample.counters,
        })
        .collect();
    let mut findings = Vec::new();
    let study = Study {
        request,
        report: &report,
        counters: &run.counters,
        units: &run.units,
        moments: &moments,
    };
    run.probe.find(&study, &mut findings)?;
    for finding in &findings {
        report.research.insert(finding.name, finding.data.clone());
    }
    Ok(Outcome { report, findings })
}

/// Host copies whose memory is told apart: the largest.
const COPIES_MAX: usize = 64;

/// Memory of `workload` that has a name: what its host copies fill, and the arrays of generated kernels. Nothing is known
/// of the rest.
fn buffers(workload: &Workload) -> Vec<Buffer> {
    let mut buffers: Vec<Buffer> = Vec::new();
    for command in &workload.commands {
        let &Command::MemcpyHtoD { address, bytes } = command else {
            continue;
        };
        if !buffers.iter().any(|b| b.first == address) {
            buffers.push(Buffer {
                name: format!("copy {}", buffers.len()),
                first: address,
                bytes,
            });
        }
    }
    buffers.sort_by_key(|b| std::cmp::Reverse(b.bytes));
    buffers.truncate(COPIES_MAX);
    let generated = |kernel: &Kernel| matches!(kernel.header.source, Source::Synthetic(_));
    if workload.launches().all(generated) {
        let arrays = (0..Arrays::MOST as u64).map(|n| Buffer {
            name: format!("array {n}"),
            first: array(n),
            bytes: array(n + 1) - array(n),
        });
        buffers.extend(arrays);
    }
    buffers
}

/// What every number of a report means, with the sections that this build can add.
pub fn catalogue() -> Vec<Entry> {
    let mut all = explain::catalogue();
    for feature in FEATURES.iter().filter(|f| f.compiled) {
        let path = format!("research.{}", feature.section);
        all.push(Entry {
            name: feature.section.to_owned(),
            text: feature.text.to_owned(),
            path,
            ..Entry::default()
        });
    }
    BuildProbe::explain(&mut all);
    all
}
