//! Gives the crate a name for its own source, so that state which one build has stored is never read by another.

use std::path::{Path, PathBuf};

#[path = "../src/hash.rs"]
#[allow(dead_code, unreachable_pub, reason = "the crate uses more of it")]
mod hash;

/// All files below `folder`.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => all.extend(files(&path)?),
            false => all.push(path),
        }
    }
    Ok(all)
}

fn main() -> std::io::Result<()> {
    let mut all = files(Path::new("src"))?;
    all.sort();
    let mut source = hash::ContentHash::default();
    for path in &all {
        source.bytes(path.to_string_lossy().as_bytes());
        source.bytes(&std::fs::read(path)?);
    }
    let mut features: Vec<String> = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("CARGO_FEATURE_"))
        .collect();
    features.sort();
    source.bytes(features.join(" ").as_bytes());
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=scripts/build.rs");
    println!("cargo::rustc-env=PHANTOM_GPU_SOURCE={}", source.hex());
    Ok(())
}
