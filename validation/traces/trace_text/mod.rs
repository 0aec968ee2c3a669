//! Trace files for tests, made from a small kernel description in any version and encoding.

use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Opcode, destination, sources, memory width; the index is the pc divided by 16.
pub const OPS: &[(&str, &[&str], &[&str], u8)] = &[
    ("IMAD.MOV.U32", &["R1"], &["R255", "R255"], 0),
    ("S2R", &["R0"], &[], 0),
    ("IMAD.WIDE", &["R2"], &["R0", "R8", "R6"], 0),
    ("LDG.E.SYS", &["R8"], &["R2"], 4),
    ("LDG.E.128.CONSTANT", &["R12"], &["R2"], 16),
    ("LDS.U.64", &["R4"], &["R9"], 8),
    ("FFMA", &["R4"], &["R4", "R5", "R255"], 0),
    ("HMMA.16816.F32", &["R16"], &["R32", "R36", "R255"], 0),
    ("LDGSTS.E.BYPASS.128", &[], &["R9", "R2"], 16),
    ("BAR.SYNC", &[], &[], 0),
    ("STG.E.64", &[], &["R255", "R4"], 8),
    ("STS.128", &[], &["R9", "R12"], 16),
    ("ATOMG.E.CAS.STRONG.GPU", &["R1"], &["R2", "R4", "R5"], 4),
    ("LD.E.U8", &["R3"], &["R2"], 1),
    ("FROBNICATE.X", &["R3"], &["R2"], 0),
    ("LDC.64", &["R2"], &[], 0),
    ("EXIT", &[], &[], 0),
];

/// How addresses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    List,
    Deltas,
    StrideOrDeltas,
}

/// One executed instruction.
#[derive(Clone, Debug)]
pub struct Step {
    pub op: usize,
    pub mask: u32,
    /// Address of each lane, active or not.
    pub lanes: Vec<u64>,
}

/// A kernel: grid of `ctas.len()`, `ctas[c][w]` the steps of a warp.
#[derive(Clone, Debug)]
pub struct TestKernel {
    pub ctas: Vec<Vec<Vec<Step>>>,
}

/// How the text is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub version: u32,
    pub lineinfo: bool,
    pub mode: Mode,
    pub reversed_warps: bool,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            version: 4,
            lineinfo: false,
            mode: Mode::StrideOrDeltas,
            reversed_warps: false,
        }
    }
}

pub fn step() -> impl Strategy<Value = Step> {
    let mask = prop_oneof![
        4 => Just(u32::MAX),
        1 => Just(0u32),
        1 => (0u32..32).prop_map(|lane| 1 << lane),
        2 => any::<u32>(),
    ];
    let lanes = prop_oneof![
        4 => (0u64..1 << 40, prop_oneof![Just(4u64), Just(16), 0u64..300])
            .prop_map(|(base, stride)| (0..32).map(|lane| base + lane * stride).collect()),
        1 => prop::collection::vec(0u64..1 << 47, 32),
        1 => prop::collection::vec(any::<u64>(), 32),
    ];
    (0..OPS.len(), mask, lanes).prop_map(|(op, mask, lanes)| Step { op, mask, lanes })
}

pub fn kernel(steps: usize) -> impl Strategy<Value = TestKernel> {
    let warp = prop::collection::vec(step(), 1..steps);
    let cta = prop::collection::vec(warp, 3);
    prop::collection::vec(cta, 1..5).prop_map(|ctas| TestKernel { ctas })
}

/// A small fixed kernel with a loop, divergence and every address shape.
pub fn sample() -> TestKernel {
    let lanes = |base: u64, stride: u64| (0..32).map(|l| base + l * stride).collect();
    let warp = |cta: u64, warp: u64| {
        let base = 0x7f40_0000_0000 + cta * 4096 + warp * 512;
        let mut steps = vec![];
        for round in 0..3u64 {
            for op in 0..OPS.len() - 1 {
                let mask = match round {
                    0 => u32::MAX,
                    1 => 0x0000_00f0 << warp,
                    _ => 0x8001_0003 >> (op % 3),
                };
                steps.push(Step {
                    op,
                    mask,
                    lanes: lanes(base + round * 64, 4 << (op % 3)),
                });
            }
        }
        steps.push(Step {
            op: OPS.len() - 1,
            mask: u32::MAX,
            lanes: lanes(0, 0),
        });
        steps
    };
    TestKernel {
        ctas: (0..4)
            .map(|c| (0..3).map(|w| warp(c, w)).collect())
            .collect(),
    }
}

impl TestKernel {
    pub fn warp_insts(&self) -> u64 {
        self.steps().count() as u64
    }

    pub fn thread_insts(&self) -> u64 {
        self.steps().map(|s| u64::from(s.mask.count_ones())).sum()
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.ctas.iter().flatten().flatten()
    }

    pub fn header(&self, style: Style) -> String {
        format!(
            "-kernel name = _Z4testPf\n-kernel id = 3\n-grid dim = ({},1,1)\n\
             -block dim = (96,1,1)\n-shmem = 2048\n-nregs = 40\n-binary version = 80\n\
             -cuda stream id = 0\n-shmem base_addr = 0x00007f0000000000\n\
             -local mem base_addr = 0x00007f0001000000\n-nvbit version = 1.7\n\
             -accelsim tracer version = {}\n-enable lineinfo = {}\n",
            self.ctas.len(),
            style.version,
            u8::from(style.lineinfo)
        )
    }

    /// The whole `.traceg` text.
    pub fn text(&self, style: Style) -> String {
        let mut out = self.header(style);
        out.push_str("\n#traces format = whatever\n\n\n");
        for (c, cta) in self.ctas.iter().enumerate() {
            let _ = write!(out, "\n#BEGIN_TB\n\nthread block = {c},0,0\n");
            if style.version >= 6 {
                out.push_str("cluster id = 0,0,0\ncluster cta = 0,0,0\ncluster rank = 0\n");
            }
            let mut order: Vec<usize> = (0..cta.len()).collect();
            if style.reversed_warps {
                order.reverse();
            }
            for w in order {
                let _ = write!(out, "\nwarp = {w}\ninsts = {}\n", cta[w].len());
                for step in &cta[w] {
                    out.push_str(&line(step, style, (c, w)));
                    out.push('\n');
                }
            }
            out.push_str("\n#END_TB\n");
        }
        out
    }

    /// The bytes of a `.tracez` file.
    pub fn tracez(&self, style: Style, dictionary: &[u8]) -> Vec<u8> {
        let mut out = self.header(style).into_bytes();
        let word = |out: &mut Vec<u8>, v: usize| out.extend_from_slice(&(v as u32).to_le_bytes());
        out.push(0);
        word(&mut out, dictionary.len());
        word(&mut out, 5);
        out.extend_from_slice(dictionary);
        let mut packer = zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap();
        let mut index = Vec::new();
        word(&mut index, self.ctas.len());
        for (c, cta) in self.ctas.iter().enumerate() {
            for field in [c, 0, 0, 0, 0, 0, 0, 0, 0, 0, cta.len()] {
                word(&mut index, field);
            }
            for (w, warp) in cta.iter().enumerate() {
                let frames = warp.len().div_ceil(5);
                word(&mut index, warp.len());
                word(&mut index, frames);
                index.extend_from_slice(&(out.len() as u64).to_le_bytes());
                word(&mut out, warp.len());
                word(&mut out, frames);
                for part in warp.chunks(5) {
                    let lines: Vec<_> = part.iter().map(|s| line(s, style, (c, w))).collect();
                    let packed = packer.compress(lines.join("\n").as_bytes()).unwrap();
                    word(&mut out, packed.len());
                    out.extend_from_slice(&packed);
                    word(&mut index, part.len());
                }
            }
        }
        let at = out.len() as u64;
        out.extend_from_slice(&index);
        out.extend_from_slice(&at.to_le_bytes());
        out
    }
}

fn line(step: &Step, style: Style, (cta, warp): (usize, usize)) -> String {
    let (name, dst, src, width) = OPS[step.op];
    let mut out = String::new();
    if style.version < 3 {
        let _ = write!(out, "{cta} 0 0 {warp} ");
    }
    if style.lineinfo {
        let _ = write!(out, "{} ", 100 + step.op);
    }
    let _ = write!(out, "{:04x} {:08x} {}", step.op * 16, step.mask, dst.len());
    for r in dst {
        let _ = write!(out, " {r}");
    }
    let _ = write!(out, " {name} {}", src.len());
    for r in src {
        let _ = write!(out, " {r}");
    }
    let _ = write!(out, " {width}");
    if width > 0 {
        addresses(step, style.mode, &mut out);
    }
    match style.version {
        0..=4 => {}
        5 => out.push_str(" 0"),
        _ => out.push_str(" 0 0 NoVal"),
    }
    out.push(' ');
    out
}

fn addresses(step: &Step, mode: Mode, out: &mut String) {
    let active: Vec<u64> = (0..32)
        .filter(|lane| step.mask >> lane & 1 == 1)
        .map(|lane| step.lanes[lane])
        .collect();
    let deltas: Vec<i64> = active
        .windows(2)
        .map(|p| p[1].wrapping_sub(p[0]) as i64)
        .collect();
    let Some(base) = active.first() else {
        out.push_str(" 1 0x0 0");
        return;
    };
    let regular = !deltas.is_empty() && deltas.iter().all(|d| *d == deltas[0]);
    match mode {
        Mode::List => {
            out.push_str(" 0");
            for address in &active {
                let _ = write!(out, " 0x{address:016x}");
            }
        }
        Mode::StrideOrDeltas if regular => {
            let _ = write!(out, " 1 {base:#x} {}", deltas[0]);
        }
        _ => {
            let _ = write!(out, " 2 {base:#x}");
            for delta in deltas {
                let _ = write!(out, " {delta}");
            }
        }
    }
}

/// Writes `bytes` to `name` in `directory`.
pub fn file(directory: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
