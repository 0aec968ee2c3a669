//! The chip.

use super::declare::{choice, section};
use super::rules::{Rule, unless};
use super::{
    ConstCacheSpec, FetchSpec, L1Prefetch, L1Spec, L2Spec, LaunchSpec, LsuSpec, MemoryOrder,
    MemorySpec, NocSpec, PowerSpec, SchedulerPolicy, SmSpec, SmemSpec, TlbSpec,
};

choice! {
    /// Instruction-set and SM generation.
    pub enum Architecture {
        /// GV100 (sm_70).
        Volta = "volta",
        /// TU10x (sm_75).
        Turing = "turing",
        /// GA100 (sm_80).
        AmpereGa100 = "ampere_ga100",
        /// GA10x (sm_86).
        AmpereGa10x = "ampere_ga10x",
        /// AD10x (sm_89).
        Ada = "ada",
        /// GH100 (sm_90).
        Hopper = "hopper",
        /// GB100 (sm_100).
        BlackwellGb100 = "blackwell_gb100",
        /// GB20x (sm_120).
        BlackwellGb20x = "blackwell_gb20x",
    }
}

section! {
    /// One GPU, checked: `[gpu]` and all sections.
    pub struct GpuSpec {
        /// Name, e.g. `v100`.
        pub name: String = Text,
        /// Product name for people.
        pub product: String = Text,
        /// Generation.
        pub architecture: Architecture = Name(Architecture::NAMES),
        /// Compute capability times ten, e.g. 70.
        pub compute_capability: u16 = Count(70, 999),
        /// SMs.
        pub sms: u16 = Count(1, 1024),
        /// GPCs; SMs are dealt to GPCs round-robin, so that sizes differ by one at most.
        pub gpcs: u16 = Count(1, 64),
        /// SM (core) clock, kHz.
        pub core_clock_khz: u32 = Kilohertz(100_000, 10_000_000),
        /// `[sm]`.
        pub sm: SmSpec = Section,
        /// `[fetch]`.
        pub fetch: FetchSpec = Section,
        /// `[const_cache]`.
        pub const_cache: ConstCacheSpec = Section,
        /// `[lsu]`.
        pub lsu: LsuSpec = Section,
        /// `[smem]`.
        pub smem: SmemSpec = Section,
        /// `[l1]`.
        pub l1: L1Spec = Section,
        /// `[tlb]`.
        pub tlb: TlbSpec = Section,
        /// `[noc]`.
        pub noc: NocSpec = Section,
        /// `[l2]`.
        pub l2: L2Spec = Section,
        /// `[dram]`.
        pub dram: MemorySpec = Section,
        /// `[launch]`.
        pub launch: LaunchSpec = Section,
        /// `[power]`.
        pub power: PowerSpec = Section,
    }
}

impl GpuSpec {
    /// The machine at another core clock. Everything that is counted in core cycles stays: crossbar and L2 follow the clock of
    /// the core, which they share a supply with; DRAM does not.
    pub fn at_clock(&self, khz: u32) -> Self {
        GpuSpec {
            core_clock_khz: khz,
            ..self.clone()
        }
    }
}

impl GpuSpec {
    /// Whether its SMs have a component that no product has. Only builds with research features let such a machine pass.
    pub fn has_sm_components(&self) -> bool {
        self.tlb.enabled
            || self.sm.scheduler == SchedulerPolicy::Ccws
            || self.sm.memory_order == MemoryOrder::OutOfOrder
            || self.l1.prefetch == L1Prefetch::Stride
            || self.l1.perfect
    }
}

impl Architecture {
    /// Compute capabilities of its chips, times ten.
    pub fn compute_capabilities(self) -> &'static [u16] {
        match self {
            Architecture::Volta => &[70, 72],
            Architecture::Turing => &[75],
            Architecture::AmpereGa100 => &[80],
            Architecture::AmpereGa10x => &[86, 87],
            Architecture::Ada => &[89],
            Architecture::Hopper => &[90],
            Architecture::BlackwellGb100 => &[100, 103],
            Architecture::BlackwellGb20x => &[120, 121],
        }
    }
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        key: "gpu.compute_capability",
        with: &["gpu.architecture"],
        broken: |g| {
            let known = g.architecture.compute_capabilities();
            unless(
                known.contains(&g.compute_capability),
                || {
                    let name = g.architecture.name();
                    format!("{known:?} for gpu.architecture = {name}")
                },
                "change it or gpu.architecture",
            )
        },
    },
    Rule {
        key: "gpu.gpcs",
        with: &["gpu.sms"],
        broken: |g| {
            unless(
                g.gpcs <= g.sms,
                || format!("at most gpu.sms = {}", g.sms),
                "a GPC has at least one SM",
            )
        },
    },
];
