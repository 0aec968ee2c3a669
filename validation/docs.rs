//! The documents name what exists: every path in backquotes, every link, and the borders that `scripts/tidy.rs` holds.

use regex::Regex;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of the repository whose files are named in backquotes.
const FOLDERS: &[&str] = &[
    "src/",
    "configs/",
    "scripts/",
    "validation/",
    "traces/",
    "benches/",
    "docs/",
    "fuzz/",
    "microbench/",
];

/// Markdown files of the root and of `docs/`.
fn documents() -> Vec<PathBuf> {
    let files = [".", "docs"].map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.into_iter().flatten().map(|e| e.unwrap().path());
    let found: Vec<PathBuf> = paths
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
        .collect();
    assert!(found.len() >= 8, "run from the repository root");
    found
}

/// What the first group of `pattern` finds in `file`, with the number of its line.
fn found(file: &Path, pattern: &str) -> Vec<(usize, String)> {
    let pattern = Regex::new(pattern).unwrap();
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(at, line)| {
            let hits = pattern.captures_iter(line);
            hits.map(move |hit| (at + 1, hit[1].to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether `path` is there; `*` in its last part stands for anything.
fn exists(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    match name.split_once('*') {
        None => Path::new(path).exists(),
        Some((head, tail)) => fs::read_dir(folder).is_ok_and(|entries| {
            let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
            let fits = |n: String| n.starts_with(head) && n.ends_with(tail);
            names.into_iter().any(fits)
        }),
    }
}

#[test]
fn every_path_in_backquotes_exists() {
    let (mut errors, mut checked) = (Vec::new(), 0);
    for file in documents() {
        for (line, path) in found(&file, "`([^` ]+)`") {
            if FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                checked += 1;
                if !exists(&path) {
                    errors.push(format!("{}:{line}: there is no {path}", file.display()));
                }
            }
        }
    }
    assert!(checked > 100, "only {checked} paths found");
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let mut errors = Vec::new();
    for file in documents() {
        for (line, target) in found(&file, r"\]\(([^)#]+)\)") {
            let there = file.parent().unwrap().join(&target).exists();
            if !there && !target.starts_with("https://") {
                errors.push(format!("{}:{line}: there is no {target}", file.display()));
            }
        }
    }
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

/// The readers of the README find every document.
#[test]
fn every_document_is_linked_from_another() {
    let linked: Vec<String> = documents()
        .iter()
        .flat_map(|file| found(file, r"[(`](?:docs/)?([a-zA-Z-]+\.md)[)`]"))
        .map(|(_, target)| target)
        .collect();
    for file in documents() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || linked.contains(&name),
            "{}: nobody links to it",
            file.display()
        );
    }
}

/// The parts of the crate with the modules that each may name, from the table in `scripts/tidy.rs`.
fn borders() -> BTreeMap<String, Vec<String>> {
    let tidy = fs::read_to_string("scripts/tidy.rs").unwrap();
    let (_, table) = tidy.split_once("const MAY_NAME").expect("the table");
    let (table, _) = table.split_once("\n];").expect("its end");
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut part = String::new();
    for hit in Regex::new("\"([^\"]+)\"").unwrap().captures_iter(table) {
        if hit[1].starts_with("src/") {
            part = hit[1].trim_end_matches('/').to_owned();
            parts.insert(part.clone(), Vec::new());
            continue;
        }
        let module = match hit[1].split("::").next() {
            Some("*") | None => "everything".to_owned(),
            Some(module) => module.to_owned(),
        };
        let modules = parts.get_mut(&part).expect("a part comes first");
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    parts
}

#[test]
fn the_code_map_has_the_borders_that_tidy_holds() {
    let row = r"^(\| `src/[^`]+` \|.*\|)$";
    let rows = found(Path::new("ARCHITECTURE.md"), row);
    let written: BTreeMap<String, Vec<String>> = rows
        .iter()
        .map(|(_, row)| row.trim_matches('|').split('|').collect::<Vec<_>>())
        .filter(|cells| cells.len() == 3)
        .map(|cells| {
            let part = cells[0].trim().trim_matches('`').trim_end_matches('/');
            let part = match part {
                "src/config/trial.rs" => part,
                file => file.trim_end_matches(".rs"),
            };
            let names = cells[2].trim().split(", ").filter(|n| *n != "nothing");
            (part.to_owned(), names.map(str::to_owned).collect())
        })
        .collect();
    assert_eq!(written, borders());
}
