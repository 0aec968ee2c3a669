//! `trace info`: what a trace holds.

use super::census::census;
use super::{Input, launches, output, print_error};
use crate::cli::common::JsonFlag;
use crate::error::Result;
use crate::isa::{MemKind, MemSpace};
use crate::report::table::table;
use crate::trace::{Command, Kernel, Workload};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `trace info`.
#[derive(clap::Args, Clone, Debug)]
pub struct InfoArgs {
    /// What to read.
    #[command(flatten)]
    pub input: Input,
    /// JSON or tables.
    #[command(flatten)]
    pub json: JsonFlag,
    /// Opcodes listed for each kernel.
    #[arg(long, default_value_t = 12)]
    pub top: usize,
    /// Write to this file instead of standard output (-).
    #[arg(short, long, value_name = "FILE|-")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Info {
    source: String,
    hash: String,
    copies: u64,
    copied_bytes: u64,
    launches: u64,
    warp_instructions: u64,
    thread_instructions: u64,
    encoded_bytes: u64,
    encoded_bytes_per_warp_instruction: f64,
    file_bytes: Option<u64>,
    import_s: f64,
    text_bytes: u64,
    notes: Vec<String>,
    kernels: Vec<KernelInfo>,
}

#[derive(Debug, Serialize)]
struct KernelInfo {
    name: String,
    id: u32,
    stream: u64,
    sm_version: u16,
    grid: [u32; 3],
    block: [u32; 3],
    cluster: [u32; 3],
    ctas: u64,
    registers_per_thread: u16,
    shared_memory_bytes: u32,
    static_instructions: usize,
    patterns: usize,
    warp_instructions: u64,
    thread_instructions: u64,
    lanes_per_instruction: f64,
    encoded_bytes: u64,
    encoded_bytes_per_warp_instruction: f64,
    classes: Vec<Count>,
    opcodes: Vec<Count>,
    memory: Vec<Access>,
    unknown: Vec<Count>,
}

#[derive(Debug, Serialize)]
struct Count {
    name: String,
    warp_instructions: u64,
}

#[derive(Debug, Serialize)]
struct Access {
    space: String,
    kind: String,
    accesses: u64,
    lanes: u64,
    bytes: u64,
}

/// Prints what `workload` holds.
pub fn run(args: &InfoArgs, workload: &Workload) -> Result<()> {
    let info = gather(args, workload)?;
    output(args.output.as_ref(), |out| {
        if args.json.json {
            let text = serde_json::to_string_pretty(&info).unwrap_or_default();
            return writeln!(out, "{text}").map_err(print_error);
        }
        tables(&info, out).map_err(print_error)
    })
}

fn gather(args: &InfoArgs, workload: &Workload) -> Result<Info> {
    let kernels = launches(workload)
        .map(|kernel| kernel_info(kernel, args.top))
        .collect::<Result<Vec<_>>>()?;
    let sum = |of: fn(&KernelInfo) -> u64| kernels.iter().map(of).sum::<u64>();
    let (mut copies, mut copied_bytes) = (0, 0);
    for command in &workload.commands {
        if let Command::MemcpyHtoD { bytes, .. } = command {
            copies += 1;
            copied_bytes += bytes;
        }
    }
    let warp_instructions = sum(|k| k.warp_instructions);
    let encoded_bytes = sum(|k| k.encoded_bytes);
    Ok(Info {
        source: workload.source.clone(),
        hash: workload.hash.clone(),
        copies,
        copied_bytes,
        launches: kernels.len() as u64,
        warp_instructions,
        thread_instructions: sum(|k| k.thread_instructions),
        encoded_bytes,
        encoded_bytes_per_warp_instruction: per(encoded_bytes, warp_instructions),
        file_bytes: std::fs::metadata(&args.input.name)
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|m| m.len()),
        import_s: workload.import.seconds,
        text_bytes: workload.import.text_bytes,
        notes: workload.notes.clone(),
        kernels,
    })
}

fn per(bytes: u64, insts: u64) -> f64 {
    // Four decimals are enough for people and keep JSON short.
    (bytes as f64 / insts.max(1) as f64 * 1e4).round() / 1e4
}

fn kernel_info(kernel: &Kernel, top: usize) -> Result<KernelInfo> {
    let counted = census(kernel)?;
    let code = &kernel.code;
    let mut classes: BTreeMap<String, u64> = BTreeMap::new();
    let mut opcodes: BTreeMap<String, u64> = BTreeMap::new();
    let mut memory: BTreeMap<(String, String), [u64; 3]> = BTreeMap::new();
    for (i, inst) in code.insts.iter().enumerate() {
        let name = code.mnemonics.get(usize::from(inst.mnemonic));
        let name = name.map_or("?", String::as_str);
        *classes.entry(format!("{:?}", inst.class)).or_default() += counted.warp[i];
        *opcodes.entry(name.to_string()).or_default() += counted.warp[i];
        if let Some(mem) = inst.mem.filter(|m| m.space != MemSpace::Constant) {
            let key = (space(mem.space).to_string(), kind(mem.kind).to_string());
            let sums = memory.entry(key).or_default();
            sums[0] += counted.active[i];
            sums[1] += counted.thread[i];
            sums[2] += counted.thread[i] * u64::from(mem.width_bytes);
        }
    }
    let header = &kernel.header;
    let warp_instructions = counted.warp.iter().sum();
    let thread_instructions = counted.thread.iter().sum();
    Ok(KernelInfo {
        name: header.name.clone(),
        id: header.id,
        stream: header.stream,
        sm_version: header.sm_version,
        grid: header.grid,
        block: header.block,
        cluster: header.cluster,
        ctas: header.cta_count(),
        registers_per_thread: header.registers_per_thread,
        shared_memory_bytes: header.smem_bytes,
        static_instructions: code.insts.len(),
        patterns: code.patterns.len(),
        warp_instructions,
        thread_instructions,
        lanes_per_instruction: per(thread_instructions, warp_instructions),
        encoded_bytes: counted.encoded_bytes,
        encoded_bytes_per_warp_instruction: per(counted.encoded_bytes, warp_instructions),
        classes: ranked(classes, usize::MAX),
        opcodes: ranked(opcodes, top),
        memory: memory
            .into_iter()
            .map(|((space, kind), [accesses, lanes, bytes])| Access {
                space,
                kind,
                accesses,
                lanes,
                bytes,
            })
            .collect(),
        unknown: ranked(code.unknown.iter().cloned().collect(), usize::MAX),
    })
}

/// Most frequent first, by name among equals.
fn ranked(counts: BTreeMap<String, u64>, top: usize) -> Vec<Count> {
    let mut list: Vec<_> = counts
        .into_iter()
        .map(|(name, warp_instructions)| Count {
            name,
            warp_instructions,
        })
        .collect();
    list.sort_by_key(|c| std::cmp::Reverse(c.warp_instructions));
    list.truncate(top);
    list
}

fn space(space: MemSpace) -> &'static str {
    match space {
        MemSpace::Global => "global",
        MemSpace::Local => "local",
        MemSpace::Shared => "shared",
        MemSpace::Generic => "generic",
        MemSpace::Constant => "constant",
    }
}

fn kind(kind: MemKind) -> &'static str {
    match kind {
        MemKind::Load => "load",
        MemKind::Store => "store",
        MemKind::Atomic => "atomic",
        MemKind::Reduction => "reduction",
        MemKind::CpAsync => "cp_async",
        MemKind::LoadMatrix => "load_matrix",
        MemKind::StoreMatrix => "store_matrix",
    }
}

fn tables(info: &Info, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}  (content {})", info.source, info.hash)?;
    writeln!(
        out,
        "{} launches, {} copies of {} bytes, {} warp instructions, {} thread instructions",
        info.launches,
        info.copies,
        info.copied_bytes,
        info.warp_instructions,
        info.thread_instructions
    )?;
    write!(
        out,
        "{} bytes encoded, {} per warp instruction",
        info.encoded_bytes, info.encoded_bytes_per_warp_instruction
    )?;
    if let Some(bytes) = info.file_bytes.filter(|_| info.text_bytes == 0) {
        write!(
            out,
            "; file {} bytes, {} per warp instruction",
            bytes,
            per(bytes, info.warp_instructions)
        )?;
    }
    if info.text_bytes > 0 {
        let rate = info.text_bytes as f64 / info.import_s.max(1e-9) / 1e6;
        write!(
            out,
            "; {} bytes of text read in {:.3} s, {rate:.0} MB/s",
            info.text_bytes, info.import_s
        )?;
    }
    writeln!(out)?;
    for note in &info.notes {
        writeln!(out, "note: {note}")?;
    }
    for kernel in &info.kernels {
        kernel_tables(kernel, out)?;
    }
    Ok(())
}

fn kernel_tables(kernel: &KernelInfo, out: &mut dyn Write) -> std::io::Result<()> {
    let dims = |d: [u32; 3]| format!("{} x {} x {}", d[0], d[1], d[2]);
    writeln!(
        out,
        "\nkernel {}: {} (sm_{}, stream {})",
        kernel.id, kernel.name, kernel.sm_version, kernel.stream
    )?;
    writeln!(
        out,
        "  grid {} ({} CTAs), block {}, {} registers, {} bytes of shared memory",
        dims(kernel.grid),
        kernel.ctas,
        dims(kernel.block),
        kernel.registers_per_thread,
        kernel.shared_memory_bytes
    )?;
    writeln!(
        out,
        "  {} warp instructions, {} thread instructions ({} lanes each), {} static, {} lane patterns, {} bytes each",
        kernel.warp_instructions,
        kernel.thread_instructions,
        kernel.lanes_per_instruction,
        kernel.static_instructions,
        kernel.patterns,
        kernel.encoded_bytes_per_warp_instruction
    )?;
    let mut opcodes = table(&["opcode", "warp instructions"], 1);
    for count in &kernel.opcodes {
        opcodes.add_row([count.name.clone(), count.warp_instructions.to_string()]);
    }
    writeln!(out, "{opcodes}")?;
    if !kernel.memory.is_empty() {
        let mut memory = table(&["memory", "accesses", "lanes", "bytes"], 1);
        for a in &kernel.memory {
            let name = format!("{} {}", a.space, a.kind);
            memory.add_row([
                name,
                a.accesses.to_string(),
                a.lanes.to_string(),
                a.bytes.to_string(),
            ]);
        }
        writeln!(out, "{memory}")?;
    }
    for count in &kernel.unknown {
        writeln!(
            out,
            "  unknown opcode {}: {} times",
            count.name, count.warp_instructions
        )?;
    }
    Ok(())
}
