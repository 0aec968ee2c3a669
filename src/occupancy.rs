//! How many CTAs of a kernel fit on an SM, and what limits them.

use crate::config::GpuSpec;
use crate::error::{Error, Result};
use crate::trace::KernelHeader;

/// Why no further CTA fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Warp slots.
    Warps,
    /// CTA slots.
    Ctas,
    /// Registers.
    Registers,
    /// Shared memory.
    SharedMemory,
}

impl Limit {
    /// Name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Warps => "warps",
            Limit::Ctas => "ctas",
            Limit::Registers => "registers",
            Limit::SharedMemory => "shared_memory",
        }
    }
}

/// What a CTA of a kernel takes of an SM, and how many fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Warps of a CTA.
    pub warps: u32,
    /// Registers of a CTA.
    pub registers: u32,
    /// Shared memory of a CTA as allocated, bytes.
    pub smem_bytes: u32,
    /// CTAs per SM.
    pub ctas_per_sm: u32,
    /// What limits them.
    pub limit: Limit,
    /// Shared-memory carve-out of the unified memory, bytes.
    pub carveout_bytes: u32,
}

impl Occupancy {
    /// Of the kernel on the GPU.
    ///
    /// # Errors
    /// When not even one CTA fits.
    pub fn new(header: &KernelHeader, spec: &GpuSpec) -> Result<Self> {
        let sm = &spec.sm;
        let refuse = |what: String, remedy: &str| {
            Error::input(
                header.source.text(),
                format!("kernel {}", header.name),
                what,
                remedy,
            )
        };
        let threads = header.block.iter().map(|&d| u64::from(d)).product::<u64>();
        if threads == 0 || threads > u64::from(sm.threads_per_cta_max) {
            return Err(refuse(
                format!(
                    "{threads} threads in a CTA, {} takes 1 to {}",
                    spec.name, sm.threads_per_cta_max
                ),
                "run it on a GPU that allows the block size",
            ));
        }
        if header.registers_per_thread > sm.registers_per_thread_max {
            return Err(refuse(
                format!(
                    "{} registers per thread, {} has at most {}",
                    header.registers_per_thread, spec.name, sm.registers_per_thread_max
                ),
                "run it on a GPU that allows as many",
            ));
        }
        let warps = header.warps_per_cta();
        let granule = |value: u32, unit: u32| value.div_ceil(unit.max(1)) * unit.max(1);
        let per_warp = granule(
            u32::from(header.registers_per_thread.max(1)) * 32,
            sm.register_alloc_unit,
        );
        let registers = per_warp * granule(warps, u32::from(sm.warp_alloc_unit));
        let smem = &spec.smem;
        if header.smem_bytes > smem.per_cta_bytes_max {
            return Err(refuse(
                format!(
                    "{} bytes of shared memory in a CTA, {} has at most {}",
                    header.smem_bytes, spec.name, smem.per_cta_bytes_max
                ),
                "run it on a GPU with more shared memory",
            ));
        }
        let smem_bytes = match header.smem_bytes + smem.reserved_per_cta_bytes {
            0 => 0,
            bytes => granule(bytes, smem.alloc_unit_bytes),
        };
        let largest = spec.l1.carveouts_kib.last().copied().unwrap_or(0) * 1024;
        let limits = [
            (u32::from(sm.warps_max) / warps, Limit::Warps),
            (u32::from(sm.ctas_max), Limit::Ctas),
            (sm.registers / registers.max(1), Limit::Registers),
            (
                largest.checked_div(smem_bytes).unwrap_or(u32::MAX),
                Limit::SharedMemory,
            ),
        ];
        let (ctas_per_sm, limit) = limits
            .into_iter()
            .min_by_key(|(n, _)| *n)
            .unwrap_or((0, Limit::Ctas));
        if ctas_per_sm == 0 {
            return Err(refuse(
                format!(
                    "no CTA fits on an SM of {}: not enough {}",
                    spec.name,
                    limit.name()
                ),
                "use fewer registers, less shared memory, or another GPU",
            ));
        }
        let need = smem_bytes * ctas_per_sm;
        let carveouts = spec.l1.carveouts_kib.iter().map(|kib| kib * 1024);
        let carveout_bytes = carveouts.clone().find(|&c| c >= need).unwrap_or(largest);
        Ok(Occupancy {
            warps,
            registers,
            smem_bytes,
            ctas_per_sm,
            limit,
            carveout_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(threads: u32, registers: u16, smem: u32) -> KernelHeader {
        KernelHeader {
            name: "k".into(),
            id: 1,
            grid: [1, 1, 1],
            block: [threads, 1, 1],
            cluster: [1, 1, 1],
            registers_per_thread: registers,
            smem_bytes: smem,
            stream: 0,
            sm_version: 70,
            shared_base: 0,
            local_base: 0,
            source: "test".into(),
        }
    }

    #[test]
    fn any_size_of_shared_memory_is_refused_in_words() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let refused = Occupancy::new(&header(32, 16, u32::MAX), &spec).unwrap_err();
        assert!(
            refused.to_string().contains("bytes of shared memory"),
            "{refused}"
        );
    }

    #[test]
    fn the_tightest_resource_limits() {
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        let of =
            |t, r, s| Occupancy::new(&header(t, r, s), &spec).map(|o| (o.ctas_per_sm, o.limit));
        assert_eq!(of(256, 16, 0).unwrap(), (8, Limit::Warps));
        assert_eq!(of(32, 16, 0).unwrap(), (32, Limit::Ctas));
        assert_eq!(of(256, 128, 0).unwrap(), (2, Limit::Registers));
        assert_eq!(of(64, 32, 48 * 1024).unwrap(), (2, Limit::SharedMemory));
        assert!(of(1025, 16, 0).is_err() && of(32, 16, 97 * 1024).is_err());
    }
}
