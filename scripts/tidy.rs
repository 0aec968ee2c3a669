//! Properties of the source itself. Runs as an ordinary test.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code of a file at most: without comments, blank lines and unit tests.
const LINES_MAX: usize = 400;
/// Lines of code of a function at most.
const FUNCTION_LINES_MAX: usize = 70;
/// Functions that are one `match` over all opcodes, a line or two each, or a kernel written out.
const DISPATCH: &[&str] = &[
    "src/kernels/stream.rs",
    "src/ptx/exec/int.rs",
    "src/ptx/exec/warp/execute",
    "src/ptx/lower/expand",
];
/// Declarations that cannot be in two files: the one enum of all operations.
const DECLARATION: &[&str] = &["src/ptx/exec/op/decoded.rs"];

/// What must not be written, where it may be all the same, and what to do instead.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("static mut", &[], "pass state through the context"),
    ("unsafe {", &[], "the crate has no unsafe code"),
    (
        "env::var",
        &["src/cli"],
        "configuration comes from TOML and flags",
    ),
    (
        "HashMap",
        &[
            "src/cli",
            "src/report",
            "src/trace",
            "src/ptx",
            "src/microbench",
            "src/isa",
            "src/kernels",
            "src/config",
            "src/model",
        ],
        "dense index tables in the model",
    ),
    (
        "Instant::now",
        &[
            "src/simulation",
            "src/sampling",
            "src/trace",
            "src/cli",
            "src/mem/dram/replay",
            "src/mem/dram/research",
            "src/ptx",
            "src/microbench",
            "src/progress",
            "src/sweep",
        ],
        "the model knows no clock",
    ),
    (
        "cfg(feature",
        &["src/probe", "src/lib.rs", "mod.rs"],
        "gate definitions, not uses",
    ),
    (
        "print!(",
        &[],
        "print with crate::output, which knows what to do about a closed pipe",
    ),
    (
        "println!(",
        &[],
        "print with crate::output, which knows what to do about a closed pipe",
    ),
    (
        "crate::cli",
        &["src/cli", "src/lib.rs"],
        "what is not a command goes through crate::session",
    ),
    ("todo!(", &[], "finish it"),
    ("unimplemented!(", &[], "finish it"),
    (
        "#[ignore",
        &["src/mem/dram/tests/laws.rs"],
        "assert the present value instead",
    ),
];

/// What each part of the crate may name, by the longest path that fits: the data flows one way. ARCHITECTURE.md
/// has the map.
const MAY_NAME: &[(&str, &[&str])] = &[
    (
        "src/benchmark",
        &[
            "config",
            "error",
            "hash",
            "ids",
            "kernels",
            "mem",
            "model",
            "power",
            "probe",
            "progress",
            "report",
            "sampling",
            "session",
            "simulation",
            "stats",
            "trace",
        ],
    ),
    ("src/cli", &["*"]),
    ("src/config", &["error", "hash", "isa", "mem"]),
    ("src/config/trial.rs", &["*"]),
    ("src/correlate", &["config", "error", "report"]),
    (
        "src/cta_scheduler",
        &["config", "engine", "occupancy", "sm"],
    ),
    (
        "src/diff",
        &[
            "error",
            "report::schema",
            "sweep::manifest",
            "sweep::results",
            "sweep::store",
            "sweep::table",
        ],
    ),
    ("src/energy", &["config", "mem", "report", "stats"]),
    ("src/engine", &[]),
    ("src/error", &[]),
    ("src/expression", &["error"]),
    (
        "src/gpu",
        &[
            "config", "engine", "error", "ids", "mem", "noc", "probe", "sm", "stats",
        ],
    ),
    ("src/hash", &[]),
    ("src/ids", &[]),
    ("src/isa", &[]),
    (
        "src/kernels",
        &[
            "config",
            "error",
            "hash",
            "ids",
            "isa",
            "mem::dram::spec",
            "occupancy",
            "sm::latency",
            "sm::Program",
            "trace",
        ],
    ),
    (
        "src/mem/",
        &["config", "engine", "error", "ids", "isa", "probe", "stats"],
    ),
    ("src/memory_limit", &["config", "error", "mem", "sm"]),
    (
        "src/microbench",
        &[
            "config",
            "error",
            "expression",
            "kernels",
            "output",
            "power",
            "progress",
            "report",
            "session",
            "simulation",
            "trace",
        ],
    ),
    ("src/model", &["error"]),
    ("src/model/lower", &["error", "kernels"]),
    (
        "src/noc",
        &["config", "engine", "ids", "mem", "probe", "stats"],
    ),
    ("src/occupancy", &["config", "error", "trace"]),
    ("src/power", &["config", "energy", "error", "simulation"]),
    ("src/output", &["error"]),
    (
        "src/probe",
        &[
            "config",
            "engine",
            "gpu::ChipCounters",
            "ids",
            "isa",
            "mem",
            "sm",
            "stats",
        ],
    ),
    ("src/progress", &[]),
    (
        "src/ptx",
        &["error", "hash", "isa", "memory_limit", "progress", "trace"],
    ),
    (
        "src/report",
        &[
            "config",
            "error",
            "gpu::ChipCounters",
            "isa",
            "mem::SECTOR_BYTES",
            "mem::dram",
            "output",
            "probe",
            "simulation",
            "stats",
            "trace",
        ],
    ),
    (
        "src/research",
        &[
            "config",
            "correlate",
            "energy",
            "engine",
            "error",
            "ids",
            "isa",
            "kernels",
            "mem",
            "memory_limit",
            "occupancy",
            "output",
            "power",
            "probe",
            "progress",
            "report",
            "session",
            "sm",
            "stats",
            "trace",
        ],
    ),
    (
        "src/sampling",
        &[
            "config",
            "engine",
            "error",
            "hash",
            "kernels",
            "occupancy",
            "output",
            "power",
            "probe",
            "session::MODEL_VERSION",
            "simulation",
            "stats",
            "trace",
        ],
    ),
    (
        "src/session",
        &[
            "config",
            "error",
            "kernels",
            "power",
            "probe",
            "ptx",
            "report",
            "sampling",
            "simulation",
            "trace",
        ],
    ),
    (
        "src/simulation",
        &[
            "config",
            "cta_scheduler",
            "engine",
            "error",
            "gpu",
            "hash",
            "ids",
            "mem::space",
            "mem::{LINE_BYTES",
            "memory_limit",
            "occupancy",
            "output",
            "probe",
            "sm::CtaDone",
            "sm::CtaStart",
            "sm::Program",
            "sm::{CtaDone",
            "sm::{Footprint",
            "trace",
        ],
    ),
    (
        "src/sm",
        &[
            "config",
            "engine",
            "error",
            "ids",
            "isa",
            "mem::FlightId",
            "mem::cache",
            "mem::l1",
            "mem::space",
            "mem::tlb",
            "mem::Re",
            "mem::LINE_BYTES",
            "mem::SECTOR",
            "mem::{",
            "probe",
            "stats",
            "trace",
        ],
    ),
    ("src/stats", &[]),
    (
        "src/sweep",
        &[
            "benchmark",
            "config",
            "error",
            "expression",
            "hash",
            "memory_limit",
            "model",
            "output",
            "progress",
            "ptx",
            "report",
            "sampling",
            "session",
            "trace",
        ],
    ),
    ("src/trace", &["error", "hash", "ids", "isa", "output"]),
    (
        "src/validate",
        &[
            "benchmark",
            "config",
            "error",
            "kernels",
            "model",
            "output",
            "power",
            "progress",
            "ptx",
            "report",
            "sampling",
            "session",
            "simulation",
            "trace",
        ],
    ),
];

/// What `code` of the file `name` names and may not.
fn crossed_borders(name: &str, code: &str) -> Vec<String> {
    let fitting = MAY_NAME.iter().filter(|(part, _)| name.starts_with(part));
    let Some((part, allowed)) = fitting.max_by_key(|(part, _)| part.len()) else {
        return match name {
            "src/lib.rs" | "src/main.rs" => Vec::new(),
            _ => vec![format!(
                "{name}: MAY_NAME in scripts/tidy.rs does not know it"
            )],
        };
    };
    let own = part.trim_start_matches("src/").trim_end_matches('/');
    let own = own.split('/').next().unwrap_or(own);
    let named = code.match_indices("crate::").map(|(at, _)| &code[at + 7..]);
    let foreign = named.filter(|rest| {
        let module: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let may =
            |a: &&str| *a == "*" || rest.starts_with(*a) && (a.contains("::") || *a == module);
        module != own && !allowed.iter().any(may)
    });
    let mut lines: Vec<String> = foreign
        .map(|rest| {
            let path: String = rest
                .chars()
                .take_while(|c| !c.is_whitespace() && *c != ';')
                .take(40)
                .collect();
            format!("{name}: {part} may not name `crate::{path}`")
        })
        .collect();
    lines.dedup();
    lines
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line begins a function, whoever may call it.
fn is_function(line: &str) -> bool {
    let rest = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or("", |(_, rest)| rest),
        Some(rest) => rest.trim_start(),
        None => line,
    };
    rest.trim_start_matches("const ").starts_with("fn ")
}

/// How many of `lines` are code.
fn code_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> usize {
    let lines = lines.into_iter().map(str::trim_start);
    lines
        .filter(|l| !l.is_empty() && !l.starts_with("//"))
        .count()
}

/// Code lines of the longest function: from `fn` to the closing brace of the same indent.
fn longest_function(text: &str) -> (usize, String) {
    let mut longest = (0, String::new());
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if !is_function(code) {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(last) = lines[start..].iter().position(|l| *l == close) {
            let length = code_lines(lines[start..=start + last].iter().copied());
            if length > longest.0 {
                longest = (length, code.chars().take(60).collect());
            }
        }
    }
    longest
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

#[test]
fn sources_are_tidy() {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    sources(Path::new("src"), &mut files);
    assert!(files.len() > 50, "run from the repository root");
    for path in files {
        let name = path.display().to_string().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            errors.push(format!("{name}: no module doc"));
        }
        let code = without_tests(&text);
        let length = code_lines(code.lines());
        if length > LINES_MAX && !DECLARATION.contains(&name.as_str()) {
            errors.push(format!(
                "{name}: {length} lines of code, at most {LINES_MAX}"
            ));
        }
        let (length, function) = longest_function(code);
        if length > FUNCTION_LINES_MAX && !DISPATCH.iter().any(|d| name.starts_with(d)) {
            errors.push(format!("{name}: `{function}` has {length} lines"));
        }
        for (needle, allowed, instead) in BANNED {
            if code.contains(needle) && !allowed.iter().any(|p| name.contains(p)) {
                errors.push(format!("{name}: `{needle}`: {instead}"));
            }
        }
        // Tests may build what they need from anywhere.
        let test =
            name.ends_with("tests.rs") || name.ends_with("_test.rs") || name.contains("/tests/");
        if !test {
            errors.extend(crossed_borders(&name, code));
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// The value of a TOML line, without its quote.
fn value_of(line: &str) -> &str {
    line.split_once(" = ")
        .map_or("", |(_, value)| value.trim_start_matches('"'))
}

#[test]
fn every_number_in_a_gpu_file_has_a_comment() {
    let mut files = Vec::new();
    for dir in ["configs/arch", "configs/gpus"] {
        files.extend(fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()));
    }
    assert!(files.len() >= 26);
    let mut errors = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let numbers = text
            .lines()
            .filter(|l| value_of(l).starts_with(|c: char| c.is_ascii_digit()));
        let bare = numbers.filter(|l| !l.contains('#')).count();
        if bare > 0 {
            errors.push(format!(
                "{}: {bare} numbers without a source",
                path.display()
            ));
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}
