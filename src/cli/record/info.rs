//! `trace info` of a PTX file: kernels, parameters, opcodes, what could not be executed.

use crate::error::{Error, Result, input};
use crate::ptx::ast::{Item, Linkage, Module, Space};
use crate::ptx::exec::decode::{Bindings, decode};
use crate::ptx::exec::op::Op;
use crate::ptx::flat::{Arg, Flat, entries, flatten};
use crate::ptx::parse;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// What a PTX file holds.
#[derive(Debug, Serialize)]
pub struct PtxInfo {
    source: String,
    version: String,
    target: String,
    functions: usize,
    kernels: Vec<KernelInfo>,
}

#[derive(Debug, Serialize)]
struct KernelInfo {
    name: String,
    line: u32,
    parameters: Vec<String>,
    shared_bytes: u64,
    /// Uses shared memory of which the launch says how much there is.
    dynamic_shared: bool,
    /// Threads of a CTA that the kernel asks for, or allows.
    threads_required: Option<[u32; 3]>,
    threads_max: Option<u64>,
    local_bytes: u64,
    static_instructions: usize,
    opcodes: Vec<(String, u64)>,
    unsupported: Vec<Unsupported>,
}

#[derive(Debug, Serialize)]
struct Unsupported {
    line: u32,
    why: String,
}

/// Reads `path` and says what it holds, as JSON or as text.
///
/// # Errors
/// The file cannot be read or is not PTX.
pub fn describe(path: &Path, json: bool, top: usize) -> Result<String> {
    let file = path.display().to_string();
    let bytes = input::bytes(path, input::MADE_MAX, "a PTX file")?;
    let text = String::from_utf8_lossy(&bytes);
    let module = parse(&text).map_err(|e| {
        let text = e.to_string();
        let (place, what) = text.split_once(": ").unwrap_or(("", &text));
        Error::input(&file, place, what, "name a PTX file, or mend this one")
    })?;
    let info = gather(&file, &module, top)?;
    if json {
        return Ok(serde_json::to_string_pretty(&info).unwrap_or_default());
    }
    Ok(text_of(&info))
}

fn gather(file: &str, module: &Module<'_>, top: usize) -> Result<PtxInfo> {
    let mut kernels = Vec::new();
    for entry in entries(module) {
        let flat = flatten(module, entry.name).map_err(|e| {
            Error::input(
                file,
                format!("kernel {}", entry.name),
                e.to_string(),
                "mend the file",
            )
        })?;
        let program = decode(&flat, &Bindings::default());
        let mut opcodes: BTreeMap<String, u64> = BTreeMap::new();
        for inst in &flat.insts {
            *opcodes.entry(inst.text()).or_default() += 1;
        }
        let mut opcodes: Vec<_> = opcodes.into_iter().collect();
        opcodes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        opcodes.truncate(top);
        let unsupported = program.insts.iter().filter_map(|inst| match inst.op {
            Op::Refused(n) => Some(Unsupported {
                line: inst.line,
                why: program
                    .refusals
                    .get(n as usize)
                    .cloned()
                    .unwrap_or_default(),
            }),
            _ => None,
        });
        kernels.push(KernelInfo {
            name: entry.name.to_owned(),
            line: entry.place.line,
            parameters: entry.params.iter().map(ToString::to_string).collect(),
            shared_bytes: flat.shared_bytes,
            dynamic_shared: uses_dynamic_shared(&flat),
            threads_required: flat.threads_required,
            threads_max: flat.threads_max,
            local_bytes: flat.local_variable_bytes,
            static_instructions: flat.insts.len().saturating_sub(flat.functions.len()),
            opcodes,
            unsupported: unsupported.collect(),
        });
    }
    Ok(PtxInfo {
        source: file.to_owned(),
        version: module.version.to_owned(),
        target: module.target.join(", "),
        functions: module
            .items
            .iter()
            .filter(|i| matches!(i, Item::Function(_)))
            .count(),
        kernels,
    })
}

/// Whether an instruction names an `extern` variable of shared memory.
fn uses_dynamic_shared(flat: &Flat<'_>) -> bool {
    let dynamic = |symbol: &u32| {
        let symbol = flat.symbols.get(*symbol as usize);
        symbol.is_some_and(|s| s.space == Space::Shared && s.linkage == Linkage::Extern)
    };
    flat.insts
        .iter()
        .flat_map(|i| &i.args)
        .any(|arg| match arg {
            Arg::Symbol(symbol, _) => dynamic(symbol),
            Arg::Address {
                symbol: Some(symbol),
                ..
            } => dynamic(symbol),
            _ => false,
        })
}

fn text_of(info: &PtxInfo) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{}: PTX {} for {}, {} functions, {} kernels",
        info.source,
        info.version,
        info.target,
        info.functions,
        info.kernels.len()
    );
    for kernel in &info.kernels {
        let _ = writeln!(
            out,
            "\nkernel {} (line {}): {} instructions, {} bytes of static shared memory, {} of local",
            kernel.name,
            kernel.line,
            kernel.static_instructions,
            kernel.shared_bytes,
            kernel.local_bytes
        );
        if kernel.dynamic_shared {
            let _ = writeln!(out, "  dynamic shared memory: the launch says how much");
        }
        match (kernel.threads_required, kernel.threads_max) {
            (Some([x, y, z]), _) => {
                let _ = writeln!(out, "  block: [{x}, {y}, {z}]");
            }
            (None, Some(most)) => {
                let _ = writeln!(out, "  block: at most {most} threads");
            }
            (None, None) => {}
        }
        for parameter in &kernel.parameters {
            let _ = writeln!(out, "  {parameter}");
        }
        let census: Vec<String> = kernel
            .opcodes
            .iter()
            .map(|(name, n)| format!("{name}:{n}"))
            .collect();
        let _ = writeln!(out, "  opcodes: {}", census.join(" "));
        match kernel.unsupported.len() {
            0 => {
                let _ = writeln!(out, "  every instruction can be executed");
            }
            n => {
                let _ = writeln!(out, "  {n} instructions cannot be executed:");
            }
        }
        for u in &kernel.unsupported {
            let _ = writeln!(out, "    line {}: {}", u.line, u.why);
        }
    }
    out
}
