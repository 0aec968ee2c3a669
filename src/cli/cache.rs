//! `phantom-gpu cache`: one cache alone, fed by an address trace.

use super::common::JsonFile;
use crate::config::Replacement;
use crate::config::cache;
use crate::error::{Error, Result};
use crate::mem::cache::replace::Replace;
use crate::mem::cache::study::{self, Request};
use crate::output;
use crate::progress::{self, Progress};
use std::path::{Path, PathBuf};

/// One cache alone, fed by an address trace.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Needs a build with `--features cache-research`.

The trace is CSV with the columns cycle,sm,pc,address,bytes,op; `simulate --address-trace FILE` writes one, and
docs/cache-research.md says what each column and each number of the report means. A description of a cache:
  [l1]
  unified_bytes = \"32 KiB\"
  ways = 4
  set_hash = \"xor\"
  replacement = \"lru\"
  write = \"through_no_allocate\"
  local_write = \"back\"

Examples:
  phantom-gpu cache --config l1.toml --trace addresses.csv
  phantom-gpu cache --config l1.toml --trace addresses.csv --policy all --json policies.json
  phantom-gpu cache --config v100 --set l1.unified_bytes=32KiB --trace addresses.csv.gz --policy drrip --sm 0")]
pub struct Args {
    /// The cache: a TOML file with its keys, or a whole GPU (a file or a built-in name), whose L1 it is then.
    #[arg(long, value_name = "FILE.toml|NAME")]
    pub config: String,
    /// Override a configuration key, e.g. l1.ways=64 (repeatable).
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Address trace (.csv, .xz, .gz, or - for standard input).
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,
    /// Replacement policy, or `all` to compare all of them; the one of the configuration when not given.
    #[arg(long, value_name = "NAME|all")]
    pub policy: Option<String>,
    /// Only the accesses of this SM; without it those of all SMs go through the one cache.
    #[arg(long, value_name = "N")]
    pub sm: Option<u16>,
    /// The report as JSON.
    #[command(flatten)]
    pub json: JsonFile,
}

/// Runs the command.
///
/// # Errors
/// A build without the instruments, a bad configuration, a trace that is none.
pub fn run(args: &Args) -> Result<()> {
    if !study::ENABLED {
        return Err(Error::Usage(format!("cache {}", study::MISSING)));
    }
    let tables = output::check_all(&[("--json", &args.json.json)])?;
    output::spare(
        &[("--json", args.json.json.as_deref())],
        [args.trace.as_path(), Path::new(&args.config)],
    )?;
    let cache = cache::load(&args.config, &args.set)?;
    let request = Request {
        policies: policies(args.policy.as_deref(), cache.spec.replacement)?,
        cache,
        trace: args.trace.clone(),
        sm: args.sm,
    };
    let progress = Progress::of(0);
    let report = progress::watch(&progress, "rows", || study::run(&request, &progress.done))?;
    if let Some(path) = &args.json.json {
        let mut text = serde_json::to_string_pretty(&report).expect("reports have string keys");
        text.push('\n');
        output::write_text(path, &text)?;
    }
    tables.print(&report.text())
}

/// The policies that `name` means.
fn policies(name: Option<&str>, own: Replacement) -> Result<Vec<Replacement>> {
    match name {
        None => Ok(vec![own]),
        Some("all") => Ok(Replace::all().collect()),
        Some(name) => match Replacement::from_name(name).filter(|&p| Replace::has(p)) {
            Some(policy) => Ok(vec![policy]),
            None => {
                let names: Vec<&str> = Replace::all().map(Replacement::name).collect();
                Err(Error::Usage(format!(
                    "--policy {name}: unknown; expected one of {}, all",
                    names.join(", ")
                )))
            }
        },
    }
}
