//! Properties of the source itself. Runs as an ordinary test.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 100;
/// Functions that are one `match` over all opcodes, a line or two each.
const DISPATCH: &[&str] = &["src/ptx/exec/warp/execute", "src/ptx/lower/expand"];

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
        ],
        "dense index tables in the model",
    ),
    (
        "Instant::now",
        &[
            "src/simulation",
            "src/trace",
            "src/cli",
            "src/mem/dram/replay",
            "src/mem/dram/research",
            "src/ptx",
            "src/microbench",
            "src/progress",
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
        &["src/cli"],
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

/// Modules that may not name others: the data flows one way.
const BORDERS: &[(&str, &[&str])] = &[
    (
        "src/engine",
        &[
            "crate::sm",
            "crate::mem",
            "crate::noc",
            "crate::gpu",
            "crate::trace",
        ],
    ),
    (
        "src/mem/",
        &[
            "crate::sm",
            "crate::gpu",
            "crate::noc",
            "crate::report",
            "crate::cli",
        ],
    ),
    (
        "src/sm",
        &[
            "crate::gpu",
            "crate::noc",
            "crate::report",
            "crate::cli",
            "mem::l2",
            "mem::shard",
        ],
    ),
    ("src/stats", &["crate::sm", "crate::mem", "crate::gpu"]),
    (
        "src/report",
        &["crate::sm::", "crate::mem::l", "crate::engine"],
    ),
];

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

/// Lines of the longest function: from `fn` to the closing brace of the same indent.
fn longest_function(text: &str) -> (usize, String) {
    let mut longest = (0, String::new());
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let is_fn = [
            "fn ",
            "pub fn ",
            "pub(super) fn ",
            "pub(crate) fn ",
            "const fn ",
            "pub const fn ",
        ]
        .iter()
        .any(|p| code.starts_with(p));
        if !is_fn {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|l| *l == close)
            && length + 1 > longest.0
        {
            longest = (length + 1, code.chars().take(60).collect());
        }
    }
    longest
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
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
        if text.lines().count() > LINES_MAX {
            errors.push(format!("{name}: longer than {LINES_MAX} lines"));
        }
        let code = without_tests(&text);
        let (length, function) = longest_function(code);
        if length > FUNCTION_LINES_MAX && !DISPATCH.iter().any(|d| name.starts_with(d)) {
            errors.push(format!("{name}: `{function}` has {length} lines"));
        }
        for (needle, allowed, instead) in BANNED {
            if code.contains(needle) && !allowed.iter().any(|p| name.contains(p)) {
                errors.push(format!("{name}: `{needle}`: {instead}"));
            }
        }
        for (module, others) in BORDERS {
            for other in others
                .iter()
                .filter(|o| name.starts_with(module) && code.contains(**o))
            {
                errors.push(format!("{name}: {module} may not name `{other}`"));
            }
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
