//! What a run takes of the host's memory.

use crate::config::GpuSpec;
use crate::error::Result;
use crate::memory_limit::{self, Part};
use crate::occupancy::Occupancy;
use crate::trace::{CtaSource, Kernel, Workload};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Host bytes of an instruction of the code table, lowered for the SMs as well.
const INST_BYTES: u64 = 256;
/// Of a lane pattern with its lines.
const PATTERN_BYTES: u64 = 1024;

/// Whether a run of `workload` on `spec` fits in `most` bytes, by default half of the host's memory.
///
/// # Errors
/// When it does not, with its largest parts.
pub fn check(workload: &Workload, spec: &GpuSpec, most: Option<u64>) -> Result<()> {
    let mut parts = memory_limit::machine(spec);
    parts.extend(self::parts(workload, spec));
    memory_limit::check(&format!("simulating {}", spec.name), parts, most)
}

/// The large parts of what `workload` takes while it runs on `spec`. A kernel that is launched often counts once.
fn parts(workload: &Workload, spec: &GpuSpec) -> Vec<Part> {
    let (mut tables, mut held) = (0u64, 0u64);
    let (mut unpacked, mut running) = (0u64, 0u64);
    let mut seen = BTreeSet::new();
    for kernel in workload.launches() {
        let code = &kernel.code;
        if seen.insert(Arc::as_ptr(code).cast::<()>()) {
            let insts = INST_BYTES.saturating_mul(code.insts.len() as u64);
            let patterns = PATTERN_BYTES.saturating_mul(code.patterns.len() as u64);
            tables = tables.saturating_add(insts).saturating_add(patterns);
        }
        if seen.insert(place(&kernel.ctas)) {
            let memory = kernel.ctas.memory();
            held = held.saturating_add(memory.held);
            unpacked = unpacked.max(memory.unpacked);
            let resident = resident_ctas(kernel, spec).saturating_mul(memory.cta);
            running = running.max(resident);
        }
    }
    let part = |what: &str, bytes| Part {
        what: what.to_owned(),
        from: workload.source.clone(),
        bytes,
    };
    vec![
        part("code tables of the workload", tables),
        part("streams that the workload keeps", held),
        part("unpacked frames of the trace", unpacked),
        part("streams of resident warps", running),
    ]
}

/// Where the streams are: equal for launches that share them.
fn place(ctas: &CtaSource) -> *const () {
    match ctas {
        CtaSource::Memory(ctas) => Arc::as_ptr(ctas).cast(),
        CtaSource::Generated(generator) => Arc::as_ptr(generator).cast(),
        CtaSource::File(reader) => Arc::as_ptr(reader).cast(),
        CtaSource::Part(part) => place(&part.0),
    }
}

/// CTAs of `kernel` that are resident at once at most.
fn resident_ctas(kernel: &Kernel, spec: &GpuSpec) -> u64 {
    let fit = Occupancy::new(&kernel.header, spec).map_or(0, |o| u64::from(o.ctas_per_sm));
    kernel.header.cta_count().min(fit * u64::from(spec.sms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Session;

    fn bytes(input: &str) -> Vec<(String, u64)> {
        let session = Session::new::<&str>("v100", &[]).unwrap();
        let workload = session.open(&[input]).unwrap();
        let all = parts(&workload, session.spec());
        all.into_iter().map(|p| (p.what, p.bytes)).collect()
    }

    #[test]
    fn streams_count_by_what_they_take() {
        let stored = bytes("traces/sgemm.pgt");
        assert!(stored.iter().all(|(_, bytes)| *bytes > 0), "{stored:?}");
        let generated = bytes("synth:gather?grid=160&per=8");
        let running = generated.last().unwrap();
        // 160 CTAs of 8 warps with 8 loads, each lane an address of its own.
        assert!(
            (160 * 8 * 8 * 32..1 << 24).contains(&running.1),
            "{generated:?}"
        );
        let one = bytes("synth:gather?grid=1&per=8").last().unwrap().1;
        assert_eq!(running.1, 160 * one);
    }
}
