//! A script for Slurm: an array of shards of one folder. There is no scheduler of our own.

use super::plan::Study;
use crate::error::{Error, Result};
use std::path::Path;

/// What the script asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster<'a> {
    /// Tasks of the array.
    pub shards: usize,
    /// Processors of a task.
    pub jobs: usize,
    /// Most memory of a simulated machine, bytes.
    pub memory_limit: Option<u64>,
    /// Further options of each task that name files, where they are given.
    pub files: &'a [(&'a str, Option<&'a Path>)],
}

/// Memory of a process beside its machines, MiB.
const PROCESS_MIB: u64 = 512;

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn absolute(path: &Path) -> Result<String> {
    let whole = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
    whole
        .to_str()
        .map(quoted)
        .ok_or_else(|| Error::Usage(format!("{}: the path is no text", path.display())))
}

impl Cluster<'_> {
    /// Options of a task beside those that say which it is, each on a line of its own.
    fn options(&self) -> Result<String> {
        let mut more = String::new();
        if let Some(bytes) = self.memory_limit {
            more.push_str(&format!(" \\\n    --memory-limit {bytes}"));
        }
        for (option, file) in self.files {
            if let Some(file) = file {
                more.push_str(&format!(" \\\n    {option} {}", absolute(file)?));
            }
        }
        Ok(more)
    }
}

/// The script that runs `study`, which is `file`, into `folder` on a cluster.
///
/// # Errors
/// Paths that no script can name.
pub fn script(study: &Study, folder: &Path, cluster: Cluster<'_>) -> Result<String> {
    let program = std::env::current_exe().map_err(|e| Error::Run(format!("this program: {e}")))?;
    let (program, file, folder) = (
        absolute(&program)?,
        absolute(&study.file.path)?,
        absolute(folder)?,
    );
    let Cluster { shards, jobs, .. } = cluster;
    let limit = cluster.memory_limit.unwrap_or(u64::MAX);
    let machine = study.largest_machine_bytes().min(limit).div_ceil(1 << 20);
    let more = cluster.options()?;
    let memory = PROCESS_MIB + machine * jobs as u64;
    let name: String = study
        .manifest
        .name
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    let time = match study.file.written.limits.time_s {
        Some(s) => {
            let points = study.manifest.owners().len().div_ceil(shards).div_ceil(jobs);
            let minutes = (s * points as f64 / 60.0).ceil() as u64 + 5;
            format!("#SBATCH --time={minutes} # minutes: the limit of a point times the points of a task\n")
        }
        None => "##SBATCH --time=60 # minutes; a task that is ended and queued again goes on where it was\n".to_owned(),
    };
    Ok(format!(
        "#!/bin/bash
# {points} points in {shards} tasks, all into one folder. A task that is killed, requeued or run twice does no harm: a
# result is stored whole or not at all, and is not made again. Submit with: sbatch THIS_FILE
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --cpus-per-task={jobs}
#SBATCH --mem={memory}M
#SBATCH --requeue
#SBATCH --open-mode=append
{time}
program={program}
sweep={file}
folder={folder}

# The last task to end makes the tables of all; `\"$program\" sweep merge \"$folder\"` makes them again at any time.
exec \"$program\" sweep \"$sweep\" -o \"$folder\" --resume \\
    --shard \"$SLURM_ARRAY_TASK_ID/{shards}\" --jobs \"${{SLURM_CPUS_PER_TASK:-{jobs}}}\"{more}
",
        points = study.manifest.points.len(),
        last = shards - 1,
    ))
}
