//! The bench: a hand-written kernel of one CTA, and when each of its instructions issued.

use crate::config::{self, GpuSpec};
use crate::engine::Cycle;
use crate::isa::{CacheOp, MemKind, MemOp, MemSpace, OpClass, RegRange, StaticInst};
use crate::mem::dram::DramProbe;
use crate::probe::{Probe, WarpInst};
use crate::simulation::{self, Options};
use crate::trace::kernel::Totals;
use crate::trace::{
    Code, Command, CtaEncoder, CtaSource, Kernel, KernelHeader, PatternTable, Workload,
};
use std::sync::Arc;

/// (cycle, warp slot, pc) of every issue.
#[derive(Default)]
struct Issues(Vec<(Cycle, u8, u32)>);

impl DramProbe for Issues {}

impl Probe for Issues {
    fn warp_issued(&mut self, now: Cycle, inst: &WarpInst) {
        self.0.push((now, inst.warp, inst.pc));
    }
    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// A kernel of one CTA whose warps run all instructions once, in order.
pub struct Bench {
    pub spec: GpuSpec,
    pub code: Code,
    pub patterns: PatternTable,
    /// Address pattern and base of each memory instruction.
    pub accesses: Vec<Option<(u32, u64)>>,
    pub warps: u32,
    /// Instructions in the order in which a warp runs them; all of them in order when empty.
    pub order: Vec<usize>,
}

impl Bench {
    pub fn new(gpu: &str, sets: &[&str]) -> Self {
        let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
        Bench {
            spec: config::load(gpu, &sets).unwrap().spec,
            code: Code {
                mnemonics: vec!["TEST".into()],
                ..Code::default()
            },
            patterns: PatternTable::default(),
            accesses: Vec::new(),
            warps: 1,
            order: Vec::new(),
        }
    }

    pub fn inst(&mut self, class: OpClass, dst: Option<u8>, src: &[u8]) -> &mut StaticInst {
        let mut inst = StaticInst::new(16 * self.code.insts.len() as u32, 0, class);
        if let Some(dst) = dst {
            inst.dst[0] = RegRange::r(dst, 1);
        }
        for (slot, &r) in inst.src.iter_mut().zip(src) {
            *slot = RegRange::r(r, 1);
        }
        self.code.insts.push(inst);
        self.accesses.push(None);
        self.code.insts.last_mut().unwrap()
    }

    pub fn memory(
        &mut self,
        kind: MemKind,
        space: MemSpace,
        dst: Option<u8>,
        src: &[u8],
        at: &[u64],
    ) {
        let pattern = self.patterns.intern(u32::MAX, 4, at).unwrap();
        self.inst(OpClass::Memory, dst, src).mem = Some(MemOp {
            kind,
            space,
            width_bytes: 4,
            cache: CacheOp::All,
            uniform_address: false,
            cas: false,
        });
        *self.accesses.last_mut().unwrap() = Some((pattern, at[0]));
    }

    /// The kernel, and what it runs on.
    pub fn kernel(mut self) -> (GpuSpec, Kernel) {
        self.inst(OpClass::Exit, None, &[]);
        self.code.patterns = self.patterns.patterns().to_vec();
        if self.order.is_empty() {
            self.order = (0..self.accesses.len()).collect();
        }
        let mut cta = CtaEncoder::default();
        cta.clear();
        for _ in 0..self.warps {
            cta.begin_warp();
            for &index in &self.order {
                cta.inst(index as u32, u32::MAX);
                if let Some((pattern, base)) = &self.accesses[index] {
                    cta.access_pattern(index as u32, *base, *pattern);
                }
            }
        }
        let header = KernelHeader {
            name: "test".into(),
            id: 1,
            grid: [1, 1, 1],
            block: [32 * self.warps, 1, 1],
            cluster: [1, 1, 1],
            registers_per_thread: 32,
            smem_bytes: 16384,
            stream: 0,
            sm_version: 70,
            shared_base: 0,
            local_base: 0,
            source: "test".into(),
        };
        let kernel = Kernel {
            header,
            code: Arc::new(self.code),
            ctas: CtaSource::Memory(Arc::new(vec![cta.finish().clone()])),
            totals: None::<Totals>,
            lines: None,
            layer: None,
            reason: None,
            roofline_s: None,
        };
        (self.spec, kernel)
    }

    /// Issue cycles by instruction of each warp, relative to its first instruction.
    pub fn issue_cycles(self) -> Vec<Vec<Cycle>> {
        let (spec, kernel) = self.kernel();
        let workload = Workload {
            commands: vec![Command::Launch(Box::new(kernel))],
            ..Workload::default()
        };
        let run = |no_skip| {
            let options = Options {
                no_skip,
                ..Options::default()
            };
            simulation::run::<Issues>(&workload, &spec, &options)
                .unwrap()
                .probe
                .0
        };
        let issues = run(false);
        assert_eq!(issues, run(true), "skipping changed something");
        (0..64u8)
            .map(|w| {
                issues
                    .iter()
                    .filter(|i| i.1 == w)
                    .map(|i| i.0)
                    .collect::<Vec<_>>()
            })
            .filter(|w| !w.is_empty())
            .map(|w| w.iter().map(|at| at - w[0]).collect())
            .collect()
    }
}

/// A bench on which only the named mechanism shows: no fetch, one warp.
pub fn quiet(sets: &[&str]) -> Bench {
    let mut all = vec![
        "fetch.perfect=true",
        "const_cache.perfect=true",
        "launch.warp_interval=0",
    ];
    all.extend(sets);
    Bench::new("v100", &all)
}

pub fn words() -> Vec<u64> {
    (0..32).map(|l| 4096 + 4 * l).collect()
}
