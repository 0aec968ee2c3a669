//! How many CTAs of a kernel fit on an SM, and what limits them.

use crate::config::GpuSpec;
use crate::error::Error;
use crate::trace::KernelHeader;
use bincode::{Decode, Encode};

/// Why no further CTA fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
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

    /// What is counted.
    fn unit(self) -> &'static str {
        match self {
            Limit::Warps => "warps",
            Limit::Ctas => "slots",
            Limit::Registers => "registers",
            Limit::SharedMemory => "bytes of shared memory",
        }
    }
}

/// What a CTA of a kernel takes of an SM, and how many fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
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

/// What a CTA asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Threads.
    pub threads: u64,
    /// Registers of each.
    pub registers_per_thread: u16,
    /// Shared memory, bytes.
    pub smem_bytes: u32,
}

/// What there is too much of, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// `4096 threads a CTA, at most 1024`.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

fn granule(value: u32, unit: u32) -> u32 {
    value.div_ceil(unit.max(1)) * unit.max(1)
}

impl Demand {
    /// Of a CTA of a kernel.
    pub fn of(header: &KernelHeader) -> Self {
        Demand {
            threads: header.block.iter().map(|&d| u64::from(d)).product(),
            registers_per_thread: header.registers_per_thread,
            smem_bytes: header.smem_bytes,
        }
    }

    /// Refuses what no CTA may ask for.
    fn check(&self, spec: &GpuSpec) -> Result<(), Excess> {
        let of_thread = spec.sm.registers_per_thread_max;
        let limits = [
            (
                self.threads,
                "threads a CTA",
                u64::from(spec.sm.threads_per_cta_max),
                "run it on a GPU that allows the block size",
            ),
            (
                u64::from(self.registers_per_thread),
                "registers a thread",
                u64::from(of_thread),
                "run it on a GPU that allows as many",
            ),
            (
                u64::from(self.smem_bytes),
                "bytes of shared memory a CTA",
                u64::from(spec.smem.per_cta_bytes_max),
                "run it on a GPU with more shared memory",
            ),
        ];
        if self.threads == 0 {
            return Err(Excess {
                what: "a CTA without threads".to_owned(),
                remedy: "give it at least one",
            });
        }
        match limits.iter().find(|(asked, _, most, _)| asked > most) {
            Some((asked, what, most, remedy)) => Err(Excess {
                what: format!("{asked} {what}, at most {most}"),
                remedy,
            }),
            None => Ok(()),
        }
    }
}

/// What a CTA needs of each resource of an SM, and what there is.
fn needs(demand: &Demand, spec: &GpuSpec) -> [(u32, u32, Limit); 4] {
    let (sm, smem) = (&spec.sm, &spec.smem);
    let warps = (demand.threads as u32).div_ceil(32);
    let per_warp = granule(
        u32::from(demand.registers_per_thread.max(1)) * 32,
        sm.register_alloc_unit,
    );
    let registers = per_warp * granule(warps, u32::from(sm.warp_alloc_unit));
    let smem_bytes = match demand.smem_bytes + smem.reserved_per_cta_bytes {
        0 => 0,
        bytes => granule(bytes, smem.alloc_unit_bytes),
    };
    let largest = spec.l1.carveouts_kib.last().copied().unwrap_or(0) * 1024;
    [
        (warps, u32::from(sm.warps_max), Limit::Warps),
        (1, u32::from(sm.ctas_max), Limit::Ctas),
        (registers, sm.registers, Limit::Registers),
        (smem_bytes, largest, Limit::SharedMemory),
    ]
}

impl Occupancy {
    /// CTAs that ask for `demand` each, as many as each resource of an SM has room for; nothing where they ask for none.
    pub fn room(demand: &Demand, spec: &GpuSpec) -> [(Limit, Option<u32>); 4] {
        needs(demand, spec).map(|(needed, there, limit)| (limit, there.checked_div(needed)))
    }

    /// Of the kernel on the GPU.
    ///
    /// # Errors
    /// When not even one CTA fits.
    pub fn new(header: &KernelHeader, spec: &GpuSpec) -> crate::error::Result<Self> {
        Occupancy::of(&Demand::of(header), spec).map_err(|excess| {
            Error::input(
                header.source.text(),
                format!("kernel {}", header.name),
                format!("{} on {}", excess.what, spec.name),
                excess.remedy,
            )
        })
    }

    /// Of CTAs that ask for `demand` each.
    ///
    /// # Errors
    /// When not even one CTA fits.
    pub fn of(demand: &Demand, spec: &GpuSpec) -> Result<Self, Excess> {
        demand.check(spec)?;
        let limits = needs(demand, spec);
        let ctas = |&(needed, there, limit): &(u32, u32, Limit)| {
            (there.checked_div(needed).unwrap_or(u32::MAX), limit)
        };
        let tightest = limits.iter().map(ctas).min_by_key(|(n, _)| *n);
        let (ctas_per_sm, limit) = tightest.unwrap_or((0, Limit::Ctas));
        if ctas_per_sm == 0 {
            let short = limits.iter().find(|(.., other)| *other == limit);
            let (needed, there, _) = short.copied().unwrap_or((0, 0, limit));
            return Err(Excess {
                what: format!(
                    "{needed} {} a CTA as they are allocated, at most {there}",
                    limit.unit()
                ),
                remedy: "use fewer registers, less shared memory, or another GPU",
            });
        }
        let [(warps, ..), _, (registers, ..), (smem_bytes, largest, _)] = limits;
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
    fn what_rounding_up_makes_too_much_is_named() {
        let mut spec = crate::config::load("v100", &[]).unwrap().spec;
        let demand = Demand {
            threads: 256,
            registers_per_thread: 200,
            smem_bytes: 0,
        };
        assert!(Occupancy::of(&demand, &spec).is_ok());
        spec.sm.warp_alloc_unit = 16;
        let excess = Occupancy::of(&demand, &spec).unwrap_err();
        assert_eq!(
            excess.what,
            "102400 registers a CTA as they are allocated, at most 65536"
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
