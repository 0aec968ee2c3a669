//! Every key of the configuration does something: two legal values of it make the machine do different things on some
//! small workload, or `config::inert` says why not.

use super::support::traced::warps_of;
use phantom_gpu::config::field::Kind;
use phantom_gpu::config::{self, KeyDoc};
use phantom_gpu::error::Result;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;
use phantom_gpu::trace::{Command, Workload};
use rayon::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;

/// Where keys show: the workloads are tried in order until one tells two values of the key apart.
struct Probe {
    /// Keys that begin with this; the longest match of a key holds.
    keys: &'static str,
    gpu: &'static str,
    /// Settings of both machines.
    both: &'static [&'static str],
    /// Settings that come with the other value of the key.
    other: &'static [&'static str],
    inputs: &'static [&'static str],
}

/// On a few SMs, which are built in little time.
const fn probe(keys: &'static str, gpu: &'static str, inputs: &'static [&'static str]) -> Probe {
    with(keys, gpu, &["gpu.sms=8", "gpu.gpcs=2"], inputs)
}

const fn with(
    keys: &'static str,
    gpu: &'static str,
    both: &'static [&'static str],
    inputs: &'static [&'static str],
) -> Probe {
    Probe {
        keys,
        gpu,
        both,
        other: &[],
        inputs,
    }
}

const COPY: &str = "synth:copy?bytes=256KiB";
const SGEMM: &str = "synth:sgemm?m=128&n=128&k=32";
const HGEMM: &str = "synth:hgemm?m=128&n=128&k=64";
const GATHER: &str = "synth:gather?span=4MiB&per=2&grid=48";
const PAGES: &str = "synth:gather?span=512MiB&per=4&grid=48";
const L2_ONLY: &str = "synth:sweep?bytes=128KiB&total=64KiB&grid=40&cache=l2";
const LOCAL: &str = "synth:local?grid=4&block=256&words=64";
const SHARED: &str = "synth:smem?grid=2&block=256&ways=4&iters=4";
const WRITES: &str = "synth:init?bytes=2MiB";
const MIXED: &str = "synth:triad?bytes=1MiB&width=16";

/// Loops whose loads walk on.
const STRIDES: &[&str] = &[
    "synth:sweep?bytes=512KiB&total=256KiB&grid=16&block=512",
    "synth:sgemm?m=128&n=128&k=512",
];

/// An L2 of 768 KiB, so that lines are written back while the kernel runs.
const SMALL_L2: &[&str] = &["l2.bytes=786432", "dram.write_idle=64"];
/// An L1 of 64 lines in sets of 4.
const TINY_L1: &[&str] = &[
    "l1.ways=4",
    "l1.unified_bytes=8192",
    "l1.carveouts_kib=[0]",
    "smem.per_cta_bytes_max=0",
    "gpu.sms=8",
    "gpu.gpcs=2",
];
/// The same under a scheduler that learns what it drives out.
const CCWS: &[&str] = &[
    "sm.scheduler=ccws",
    "l1.ways=4",
    "l1.unified_bytes=8192",
    "l1.carveouts_kib=[0]",
    "smem.per_cta_bytes_max=0",
    "gpu.sms=8",
    "gpu.gpcs=2",
];
/// Small TLBs, so that every level is missed.
const TRANSLATED: &[&str] = &[
    "tlb.enabled=true",
    "tlb.l1_entries=4",
    "tlb.l1_ways=4",
    "tlb.l1_mshrs=2",
    "tlb.gpc_entries=32",
    "tlb.gpc_mshrs=4",
    "tlb.gpc_interval=2",
    "tlb.l2_entries=64",
    "tlb.l2_mshrs=8",
    "tlb.l2_interval=2",
    "tlb.walkers=2",
    "tlb.walk_cache_entries=4",
    "gpu.sms=8",
    "gpu.gpcs=2",
];

/// A board that a kernel of its whole chip does not stay within.
const THROTTLED: &[&str] = &["power.throttle=true", "power.limit_w=95"];
const BUSY: &str = "synth:ffma?grid=160&block=512&iters=4";

/// Dependences by scoreboard: latencies hold for the machine, whatever stall counts a generator wrote.
const BOARD: &[&str] = &["sm.dependence=scoreboard", "gpu.sms=2", "gpu.gpcs=1"];

/// Operations that a generator can make, each in dependent and in many independent chains.
const OPS: &[&str] = &[
    "synth:ops?block=256&op=ffma",
    "synth:ops?block=256&op=fmnmx",
    "synth:ops?block=256&op=iadd3",
    "synth:ops?block=256&op=imad",
    "synth:ops?block=256&op=imad_wide",
    "synth:ops?block=256&op=imad_hi",
    "synth:ops?op=imad_lop3",
    "synth:ops?block=256&op=imad&with=iadd3",
    "synth:ops?block=512&op=ffma&with=iadd3",
    "synth:ops?block=256&op=hfma2",
    "synth:ops?block=256&op=hfma2_pipes",
    "synth:ops?block=256&op=dfma",
    "synth:ops?block=256&op=mufu",
    "synth:ops?block=256&op=i2f_f2i",
    "synth:ops?block=256&op=popc",
    "synth:ops?block=256&op=shfl",
    "synth:ops?block=256&op=vote",
    "synth:ops?op=isetp_sel",
    "synth:ops?op=s2r",
    "synth:ops?op=cs2r",
    "synth:ops?block=256&op=uiadd3",
    "synth:barrier?block=128",
    "opcodes:MEMBAR.SC.CTA",
    "opcodes:MEMBAR.SC.GPU",
    "opcodes:MEMBAR.SC.SYS",
    "sleep:",
];

/// Kernels with control bits that reuse operands and overwrite those of memory instructions.
const CONTROLLED: &[&str] = &[
    "synth:sgemm?m=128&n=128&k=32&control=on",
    "synth:hgemm?m=128&n=128&k=64&control=on",
    "synth:local?grid=4&block=256&words=64&control=on",
    "synth:sweep?bytes=4096&total=32768&control=on",
    "synth:triad?bytes=256KiB&elements=4&control=on",
    "synth:smem?op=store&block=256&iters=4&control=on",
];

const TENSOR: &[&str] = &[
    "synth:ops?block=256&op=hmma_16816_f16",
    "synth:ops?block=256&op=hmma_16816_f32",
    "synth:ops?block=256&op=hmma_16816_bf16",
    "synth:ops?block=256&op=hmma_1688_tf32",
    "synth:ops?block=256&op=imma_16816_s8",
    "synth:ops?block=256&op=dmma_884",
    "synth:ops?block=256&op=qmma_16832_f8",
    "opcodes:IMMA.16832.S4.S4",
    "opcodes:BMMA.168128.XOR.POPC",
    "opcodes:HMMA.99.F32",
];

const PROBES: &[Probe] = &[
    probe("gpu.", "v100", &[COPY]),
    Probe {
        keys: "gpu.compute_capability",
        gpu: "v100",
        both: &[],
        other: &["gpu.architecture=ampere_ga100"],
        inputs: &[HGEMM],
    },
    probe("sm.", "v100", &["synth:ffma?grid=400&block=96", SGEMM]),
    probe("sm.scheduler", "v100", &[SGEMM]),
    probe("sm.dependence", "v100", CONTROLLED),
    probe("lsu.store_read_cycles", "v100", CONTROLLED),
    probe("lsu.load_read_cycles", "v100", CONTROLLED),
    with(
        "sm.regfile.reuse_cache",
        "v100",
        &["sm.regfile.read_ports=1", "gpu.sms=8", "gpu.gpcs=2"],
        CONTROLLED,
    ),
    with(
        "sm.regfile.infer_reuse",
        "h100-sxm",
        &[],
        &["synth:attention?b=1&h=8&sq=1&sk=256&type=f16"],
    ),
    probe(
        "lsu.return_extra_64",
        "v100",
        &["synth:sweep?bytes=256&total=8192&width=8&block=32&window=1"],
    ),
    probe("smem.bank_bytes", "v100", &["banks:"]),
    probe("lsu.agu_interval_uniform", "a100-80", &["uniform:"]),
    with(
        "fetch.l0_ways",
        "v100",
        &["fetch.stream_buffer_lines=0"],
        &["synth:code?bytes=12416"],
    ),
    probe(
        "const_cache.l15_ways",
        "v100",
        &["synth:constant?bytes=33792&iters=4"],
    ),
    with(
        "sm.two_level_active_warps",
        "v100",
        &["sm.scheduler=two_level"],
        &[SGEMM],
    ),
    with(
        "sm.memory_order",
        "v100",
        &["l1.mshrs=8", "gpu.sms=8", "gpu.gpcs=2"],
        &[GATHER],
    ),
    with(
        "lsu.replay_entries",
        "v100",
        &[
            "sm.memory_order=out_of_order",
            "l1.mshrs=8",
            "gpu.sms=8",
            "gpu.gpcs=2",
        ],
        &[GATHER],
    ),
    with(
        "sm.ccws.",
        "v100",
        CCWS,
        &["synth:gather?span=16KiB&per=32&grid=32&block=512"],
    ),
    probe(
        "sm.regfile.",
        "v100",
        &[
            "synth:ops?block=512&op=ffma_one_bank",
            "synth:ops?block=512&op=ffma_one_bank&chains=8",
            "synth:ops?block=512&op=ffma_two_banks&chains=8",
            "synth:ffma_ilp?grid=8&block=512&iters=2",
            SGEMM,
            "synth:sgemm?m=256&n=256&k=64",
        ],
    ),
    with("sm.pipes.", "a100-80", BOARD, OPS),
    with("sm.pipes.fp16_mma_interval", "a100-80", BOARD, OPS),
    with("sm.latency.", "a100-80", BOARD, OPS),
    with("sm.tensor.", "a100-80", BOARD, TENSOR),
    with("sm.tensor.f8_rate", "rtx4090", BOARD, TENSOR),
    probe(
        "fetch.",
        "v100",
        &[
            "synth:code?bytes=24KiB&block=128",
            "synth:code?bytes=160KiB&iters=3",
        ],
    ),
    probe(
        "const_cache.",
        "v100",
        &[
            "synth:constant?bytes=4096",
            "synth:constant?bytes=48KiB",
            "synth:constant?bytes=3072&iters=20",
            "opcodes:LDC",
            COPY,
        ],
    ),
    probe(
        "lsu.",
        "v100",
        &[
            GATHER,
            COPY,
            SHARED,
            WRITES,
            LOCAL,
            SGEMM,
            "synth:sweep?bytes=4096&total=32768&width=8",
            "synth:sweep?bytes=4096&total=32768&width=16",
        ],
    ),
    probe(
        "smem.",
        "a100-80",
        &[
            SHARED,
            "synth:smem?grid=2&block=256&width=16&iters=4",
            "synth:atomics?space=shared&block=128&iters=2&result=on",
            "synth:atomics?space=shared&block=128&iters=2&result=on&op=cas",
            "synth:hgemm?m=1024&n=1024&k=32",
        ],
    ),
    probe("l1.", "v100", &[GATHER, COPY, LOCAL, MIXED, SGEMM]),
    probe(
        "l1.write",
        "v100",
        &["updates:", COPY, "synth:atomics?grid=4&iters=2"],
    ),
    probe("l1.cp_async_latency", "a100-80", &["copies:"]),
    probe(
        "l1.mshr_merges",
        "v100",
        &["synth:sweep?bytes=4096&total=16384&block=1024"],
    ),
    with(
        "l1.allocate",
        "v100",
        TINY_L1,
        &["synth:read?bytes=256KiB&elements=4"],
    ),
    with(
        "l1.replacement",
        "v100",
        TINY_L1,
        &["synth:gather?span=16KiB&per=8&grid=16"],
    ),
    with(
        "l1.stride.",
        "v100",
        &[
            "l1.prefetch=stride",
            "l1.stride.entries=16",
            "l1.stride.ways=4",
            "gpu.sms=8",
            "gpu.gpcs=2",
        ],
        STRIDES,
    ),
    probe("l1.prefetch", "v100", STRIDES),
    with("l2.replacement", "v100", SMALL_L2, &[GATHER]),
    with(
        "tlb.",
        "v100",
        TRANSLATED,
        &[PAGES, "synth:gather?span=16MiB&per=2&grid=48"],
    ),
    with("tlb.enabled", "v100", &[], &[PAGES]),
    with("power.", "v100", THROTTLED, &[BUSY]),
    with("power.throttle", "v100", &["power.limit_w=95"], &[BUSY]),
    probe("noc.", "h100-sxm", &[GATHER, L2_ONLY, WRITES]),
    with(
        "noc.mesh_",
        "v100",
        &["noc.topology=mesh", "gpu.sms=8", "gpu.gpcs=2"],
        &[GATHER, WRITES],
    ),
    probe("l2.", "a100-80", &[GATHER, L2_ONLY, WRITES, COPY]),
    probe(
        "l2.atomic",
        "v100",
        &["synth:atomics?grid=8&block=128&iters=2&result=on&address=lane"],
    ),
    probe(
        "l2.cas_interval",
        "v100",
        &["synth:atomics?grid=8&block=128&iters=2&op=cas&result=on"],
    ),
    probe(
        "l2.memcpy_fills",
        "v100",
        &["memcpy:synth:read?bytes=256KiB"],
    ),
    probe("l2.prefetch_hint_bytes", "a100-80", &["hints:"]),
    with("l2.dirty_percent", "v100", SMALL_L2, &[WRITES]),
    with("l2.lazy_fetch", "v100", SMALL_L2, &["partial:"]),
    with("dram.", "v100", SMALL_L2, &[MIXED, WRITES, COPY]),
    with(
        "dram.simple_latency",
        "v100",
        &["dram.simple=true"],
        &[COPY],
    ),
    with(
        "dram.ecc_block_lines",
        "v100",
        &["dram.inline_ecc=true"],
        &[COPY],
    ),
    with(
        "dram.row_hit_cap",
        "v100",
        &["dram.scheduler=fr-fcfs-cap", "dram.map=m1"],
        &[GATHER, MIXED],
    ),
    with(
        "dram.page_timeout",
        "v100",
        &["dram.page=timeout", "dram.map=m1"],
        &[GATHER, MIXED],
    ),
    with(
        "dram.refresh_postpone",
        "v100",
        &["dram.refresh=all-bank"],
        &[MIXED, "synth:read?bytes=8MiB"],
    ),
    probe("launch.", "v100", &["synth:ffma?grid=400&block=96"]),
    probe("launch.stream_gap", "v100", &["twice:synth:empty"]),
    probe(
        "launch.concurrent_kernels_max",
        "v100",
        &["streams:synth:empty"],
    ),
];

/// Keys of components that some builds refuse to turn on, and whether this one has them.
const COMPONENTS: &[(&str, bool)] = &[
    ("tlb.", cfg!(feature = "memory-research")),
    ("power.", cfg!(feature = "gpu-profiling-research")),
    ("noc.topology", ARCHITECTURE),
    ("noc.mesh_", ARCHITECTURE),
    ("l1.perfect", ARCHITECTURE),
    ("l2.perfect", ARCHITECTURE),
    ("dram.perfect", ARCHITECTURE),
    ("sm.ccws.", ARCHITECTURE),
    ("sm.memory_order", ARCHITECTURE),
    ("lsu.replay_entries", ARCHITECTURE),
    ("l1.prefetch", cfg!(feature = "cache-research")),
    ("l1.stride.", cfg!(feature = "cache-research")),
];
const ARCHITECTURE: bool = cfg!(feature = "architecture-research");

fn compiled_in(key: &str) -> bool {
    let mut of = COMPONENTS.iter().filter(|(keys, _)| key.starts_with(keys));
    of.all(|(_, compiled)| *compiled)
}

fn probe_of(key: &str) -> &'static Probe {
    let matching = PROBES.iter().filter(|p| key.starts_with(p.keys));
    matching
        .max_by_key(|p| p.keys.len())
        .unwrap_or_else(|| panic!("{key}: no workload shows this key; add one to PROBES"))
}

/// A traced kernel of four warps that all execute `ops` sixteen times, each time at other program counters.
fn traced(ops: &[&str]) -> Workload {
    let ops: Vec<String> = ops.repeat(16).into_iter().map(str::to_owned).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = warps_of(folder.path(), &vec![ops; 4], usize::MAX);
    phantom_gpu::trace::open::open(&path).unwrap()
}

/// The workload of a probe: a generated kernel, or one of the kinds that generators do not make.
fn workload(input: &str, session: &Session) -> Result<Workload> {
    let (kind, rest) = input.split_once(':').unwrap();
    Ok(match kind {
        "opcodes" => {
            let line = format!("ffffffff 1 R4 {rest} 2 R4 R8 0");
            traced(&[&line, "ffffffff 1 R4 FADD 2 R4 R4 0"])
        }
        // A line is read, part of it is written, and it is read again.
        "updates" => traced(&[
            "ffffffff 1 R4 LDG.E 1 R2 4 1 0x7f4040000000 4",
            "ffffffff 1 R6 FADD 2 R4 R4 0",
            "ffffffff 0 STG.E 2 R2 R6 4 1 0x7f4040000000 4",
            "ffffffff 0 STG.E 2 R2 R6 4 1 0x7f4040000100 4",
            "ffffffff 1 R7 LDG.E 1 R2 4 1 0x7f4040000100 4",
        ]),
        // One sector, whose hints name what lies around it.
        "hints" => traced(&[
            "00000001 1 R4 LDG.E.LTC64B 1 R2 4 1 0x7f4040000000 0",
            "00000001 1 R5 LDG.E.LTC256B 1 R2 4 1 0x7f4040000400 0",
        ]),
        "sleep" => traced(&["ffffffff 0 NANOSLEEP 1 R8 0"]),
        // Lanes 64 bytes apart meet in banks of 4 bytes otherwise than in wider ones.
        "banks" => traced(&["ffffffff 1 R4 LDS 1 R2 4 1 0x7f0000000000 64"]),
        "uniform" => traced(&["ffffffff 1 R4 LDS 1 UR4 4 1 0x7f0000000000 4"]),
        // Copies to shared memory that hit L1.
        "copies" => traced(&[
            "ffffffff 1 R4 LDG.E.128 1 R2 16 1 0x7f4040000000 16",
            "ffffffff 1 R4 FADD 2 R4 R4 0",
            "ffffffff 0 LDGSTS.E.128 2 R9 R2 16 1 0x7f4040000000 16",
            "ffffffff 0 LDGDEPBAR 0 0",
            "ffffffff 0 DEPBAR.LE 0 0",
        ]),
        // Sectors are written in part and never read.
        "partial" => traced(&["ffffffff 0 STG.E.U8 2 R2 R6 1 1 0x7f4040000000 64"]),
        "memcpy" => {
            let mut made = session.open(&[rest])?;
            let (address, bytes) = (0x7f00_0000_0000, 1 << 20);
            made.commands
                .insert(0, Command::MemcpyHtoD { address, bytes });
            made
        }
        "twice" | "streams" => {
            let mut made = session.open(&[rest])?;
            made.append(session.open(&[rest])?);
            if let ("streams", Some(Command::Launch(kernel))) = (kind, made.commands.last_mut()) {
                kernel.header.stream = 1;
            }
            made
        }
        _ => return session.open(&[input]),
    })
}

/// All that the machine did: times and counters of each kernel, or why it refused the kernel.
fn behaviour(input: &str, session: &Session) -> String {
    let options = Options {
        max_cycles: Some(400_000),
        ..Options::default()
    };
    let made = workload(input, session);
    match made.and_then(|made| session.run(&made, &options)) {
        Ok(outcome) => outcome
            .run
            .kernels
            .iter()
            .fold(String::new(), |mut text, k| {
                let facts = (k.start, k.end, k.warp_instructions, k.occupancy);
                write!(text, "{facts:?} {:?}", k.counters).unwrap();
                text
            }),
        Err(error) => error.to_string(),
    }
}

/// Values of a key that are tried.
const VALUES: usize = 5;

/// Other values of the key, the likeliest first.
fn candidates(doc: &KeyDoc, value: &Value) -> Vec<String> {
    match doc.kind {
        Kind::Flag => vec![(value != &Value::Bool(true)).to_string()],
        Kind::Name(names) => {
            let others = names.iter().filter(|name| value != **name);
            others.map(|name| format!("{name:?}")).collect()
        }
        Kind::Count(min, max)
        | Kind::Cycles(min, max)
        | Kind::Bytes(min, max)
        | Kind::Kilohertz(min, max) => {
            let now = value.as_u64().unwrap();
            let tries = [
                now * 2,
                min,
                80,
                now / 2,
                now * 4,
                now / 8,
                now + 40,
                now + 1,
                max,
            ];
            let mut tries: Vec<u64> = tries.into_iter().collect();
            tries.retain(|v| *v != now && (min..=max).contains(v));
            tries.iter().map(u64::to_string).collect()
        }
        Kind::Counts(..) => {
            let list: Vec<u64> = serde_json::from_value(value.clone()).unwrap();
            let more: Vec<u64> = list.iter().map(|v| v + 32).collect();
            vec![
                format!("{more:?}"),
                format!("{:?}", &list[..1]),
                "[0, 96]".to_owned(),
            ]
        }
        Kind::OpcodeCycles(..) | Kind::Text | Kind::Section => Vec::new(),
    }
}

fn settings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// The other machines that differ in `doc` alone.
fn others(doc: &KeyDoc, probe: &Probe, base: &Session) -> Vec<Session> {
    let pointer = format!("/{}", doc.key.replace('.', "/"));
    let value = base.config().echo.pointer(&pointer).unwrap();
    let set = |values: &[String]| {
        let mut all = settings(probe.both);
        all.extend(settings(probe.other));
        all.extend_from_slice(values);
        Session::new(probe.gpu, &all).ok()
    };
    match doc.kind {
        Kind::OpcodeCycles(..) => {
            let rows = value.as_object().unwrap().keys();
            rows.filter_map(|row| set(&[format!("{}.{row:?}=90", doc.key)]))
                .collect()
        }
        Kind::Text => set(&[format!("{}=\"another\"", doc.key)])
            .into_iter()
            .collect(),
        _ => candidates(doc, value)
            .into_iter()
            .filter_map(|other| set(&[format!("{}={other}", doc.key)]))
            .take(VALUES)
            .collect(),
    }
}

/// Whether some value of the key makes a difference, and how many legal values were tried.
fn alive(doc: &KeyDoc) -> (bool, usize) {
    let probe = probe_of(&doc.key);
    let base = Session::new(probe.gpu, &settings(probe.both)).unwrap();
    let others = others(doc, probe, &base);
    let tells = |input: &&str| {
        let before = behaviour(input, &base);
        others.iter().any(|other| behaviour(input, other) != before)
    };
    (probe.inputs.iter().any(tells), others.len())
}

#[test]
fn every_key_has_an_effect_or_a_reason() {
    let docs = config::key_docs();
    let wrong: Vec<String> = docs
        .par_iter()
        .filter(|doc| compiled_in(&doc.key))
        .filter_map(|doc| {
            let reason = config::inert::reason(&doc.key);
            let (alive, tried) = alive(doc);
            match (alive, reason) {
                (true, Some(reason)) => Some(format!(
                    "{} has an effect; its reason says: {reason}",
                    doc.key
                )),
                (false, None) => Some(format!(
                    "{} made no difference, {tried} values tried",
                    doc.key
                )),
                _ => None,
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn reasons_are_of_keys_that_exist() {
    let docs = config::key_docs();
    for (key, _) in config::inert::INERT {
        assert!(docs.iter().any(|doc| doc.key == *key), "{key}");
    }
}
