//! The TOML of a launch file, and its check.

mod argument;
mod check;

use super::data::Init;
use super::{Application, Argument, Dump, Launch, SLOTS, Value};
use argument::{Arg, arguments};
use check::RawChecks;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One to three dimensions.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Dims {
    One(u32),
    More(Vec<u32>),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Switch {
    On,
    Off,
}

/// A launch file: one kernel, or several with what they share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    kernel: Option<String>,
    grid: Option<Dims>,
    block: Option<Dims>,
    dynamic_shared_bytes: Option<u64>,
    args: Option<Vec<Arg>>,
    #[serde(default)]
    check: RawChecks,
    registers: Option<u16>,
    #[serde(default)]
    buffers: Vec<Arg>,
    #[serde(default)]
    kernels: Vec<Kernel>,
    #[serde(default)]
    dump: Vec<RawDump>,
    #[serde(default)]
    variables: Vec<Arg>,
    ptxas_v: Option<PathBuf>,
    schedule: Option<Switch>,
    slot: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kernel {
    kernel: Option<String>,
    grid: Option<Dims>,
    block: Option<Dims>,
    dynamic_shared_bytes: Option<u64>,
    args: Option<Vec<Arg>>,
    #[serde(default)]
    check: RawChecks,
    registers: Option<u16>,
    ptxas_v: Option<PathBuf>,
    schedule: Option<Switch>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDump {
    buffer: String,
    path: PathBuf,
}

/// What the kernels of a file have in common.
struct Common<'a> {
    path: &'a Path,
    folder: &'a Path,
    buffers: Vec<Argument>,
    variables: Vec<Argument>,
    ptxas_v: Option<PathBuf>,
    schedule: Option<Switch>,
}

impl File {
    /// The checked file; only right where `faults` stays empty.
    pub fn check(mut self, path: &Path, faults: &mut Vec<String>) -> Application {
        let folder = path.parent().unwrap_or(Path::new(""));
        let (buffers, _) = arguments("buffers", &self.buffers, (folder, &[]), faults);
        for (i, buffer) in buffers.iter().enumerate() {
            if !matches!(buffer.value, Value::Buffer { .. }) {
                faults.push(format!(
                    "buffers[{i}] ({}): `count`, not `value`",
                    buffer.name
                ));
            }
            if let Value::Buffer {
                init: Init::Ring { .. },
                ..
            } = buffer.value
                && buffer.element.bytes() == 8
            {
                faults.push(format!(
                    "buffers[{i}] ({}): a ring of addresses belongs to one kernel: give it to `args`",
                    buffer.name
                ));
            }
        }
        let (variables, _) = arguments("variables", &self.variables, (folder, &[]), faults);
        let common = Common {
            path,
            folder,
            buffers,
            variables,
            ptxas_v: self.ptxas_v.take(),
            schedule: self.schedule,
        };
        let several = !self.kernels.is_empty();
        let single = self.single(several, faults);
        let launches: Vec<Launch> = single
            .into_iter()
            .map(|kernel| (String::new(), kernel))
            .chain(
                self.kernels
                    .into_iter()
                    .enumerate()
                    .map(|(i, kernel)| (format!("kernels[{i}]."), kernel)),
            )
            .map(|(place, kernel)| kernel.check(&place, &common, faults))
            .collect();
        if self.slot.is_some_and(|slot| slot >= SLOTS) {
            faults.push(format!("slot: 0 to {}", SLOTS - 1));
        }
        let mut application = Application {
            path: path.to_path_buf(),
            buffers: common.buffers,
            launches,
            dumps: Vec::new(),
            slot: self.slot,
        };
        application.dumps = dumps(self.dump, &application, folder, faults);
        application
    }

    /// The one kernel of a file without `[[kernels]]`.
    fn single(&mut self, several: bool, faults: &mut Vec<String>) -> Option<Kernel> {
        let kernel = Kernel {
            kernel: self.kernel.take(),
            grid: self.grid.take(),
            block: self.block.take(),
            dynamic_shared_bytes: self.dynamic_shared_bytes.take(),
            args: self.args.take(),
            check: std::mem::take(&mut self.check),
            registers: self.registers.take(),
            ..Kernel::default()
        };
        let given = [
            ("kernel", kernel.kernel.is_some()),
            ("grid", kernel.grid.is_some()),
            ("block", kernel.block.is_some()),
            (
                "dynamic_shared_bytes",
                kernel.dynamic_shared_bytes.is_some(),
            ),
            ("args", kernel.args.is_some()),
            ("check", !matches!(kernel.check, RawChecks::None)),
            ("registers", kernel.registers.is_some()),
        ];
        if !several {
            return Some(kernel);
        }
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            faults.push(format!(
                "{key}: with [[kernels]] it belongs into one of them"
            ));
        }
        None
    }
}

impl Kernel {
    fn check(self, place: &str, common: &Common<'_>, faults: &mut Vec<String>) -> Launch {
        let first = faults.len();
        let grid = dims(
            "grid",
            self.grid.as_ref(),
            [0x7fff_ffff, 65535, 65535],
            faults,
        );
        let block = dims("block", self.block.as_ref(), [1024, 1024, 64], faults);
        if block.iter().map(|&d| u64::from(d)).product::<u64>() > 1024 {
            faults.push(format!("block = {block:?}: more than 1024 threads"));
        }
        let dynamic_shared_bytes = self.dynamic_shared_bytes.unwrap_or(0);
        if dynamic_shared_bytes > 256 << 10 {
            faults.push("dynamic_shared_bytes: more than 256 KiB".to_owned());
        }
        let list = self.args.unwrap_or_default();
        let (args, parameters) = arguments("args", &list, (common.folder, &common.buffers), faults);
        let checks = self.check.check(&args, common.folder, faults);
        if self.registers.is_some_and(|r| !(1..=255).contains(&r)) {
            faults.push("registers: 1 to 255".to_owned());
        }
        for fault in faults.iter_mut().skip(first) {
            fault.insert_str(0, place);
        }
        Launch {
            path: common.path.to_path_buf(),
            kernel: self.kernel,
            grid,
            block,
            dynamic_shared_bytes,
            args,
            parameters,
            variables: common.variables.clone(),
            checks,
            ptxas_v: self.ptxas_v.or_else(|| common.ptxas_v.clone()),
            registers: self.registers,
            schedule: self.schedule.or(common.schedule) != Some(Switch::Off),
        }
    }
}

/// Buffers that are written to files: shared ones, or those of a single kernel.
fn dumps(
    list: Vec<RawDump>,
    application: &Application,
    folder: &Path,
    faults: &mut Vec<String>,
) -> Vec<Dump> {
    let mut out: Vec<Dump> = Vec::new();
    for (i, dump) in list.into_iter().enumerate() {
        let place = format!("dump[{i}]");
        if application.place(&dump.buffer).is_none() {
            let remedy = match application.buffers.is_empty() {
                true => "name one of `args` that has a `count`",
                false => "name one of [[buffers]]",
            };
            faults.push(format!("{place}: no buffer `{}`; {remedy}", dump.buffer));
        }
        let path = folder.join(&dump.path);
        if out.iter().any(|other| other.path == path) {
            faults.push(format!("{place}: {} is written twice", dump.path.display()));
        }
        out.push(Dump {
            buffer: dump.buffer,
            path,
        });
    }
    out
}

fn dims(key: &str, dims: Option<&Dims>, most: [u32; 3], faults: &mut Vec<String>) -> [u32; 3] {
    let Some(dims) = dims else {
        faults.push(format!("{key}: one to three numbers are missing"));
        return [1; 3];
    };
    let list = match dims {
        Dims::One(x) => vec![*x],
        Dims::More(list) => list.clone(),
    };
    if !(1..=3).contains(&list.len()) {
        faults.push(format!("{key}: one to three numbers, not {}", list.len()));
    }
    let mut out = [1; 3];
    for (i, (o, value)) in out.iter_mut().zip(&list).enumerate() {
        if *value == 0 || *value > most[i] {
            faults.push(format!("{key}: {value} is not in 1..={}", most[i]));
        }
        *o = (*value).max(1);
    }
    out
}
