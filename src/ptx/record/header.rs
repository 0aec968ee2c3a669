//! What a recording says of its kernel besides the streams.

use crate::error::{Error, Result, input};
use crate::ptx::exec::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::ptx::launch::data::Init;
use crate::ptx::launch::run::Prepared;
use crate::ptx::launch::{Launch, Value};
use crate::ptx::lower::{Machine, ptxas};
use crate::trace::source::{PTX, Source};
use crate::trace::{Command, KernelHeader};
use std::path::Path;

pub(super) fn header(
    file: &str,
    ptx: &Path,
    launch: &Launch,
    prepared: &Prepared<'_>,
    machine: &Machine,
    sm: u16,
) -> Result<KernelHeader> {
    let name = prepared.program.name.clone();
    let usage = match &launch.ptxas_v {
        None => None,
        Some(path) => {
            // One launch file serves the PTX of several architectures.
            let path = path.to_string_lossy().replace("{sm}", &sm.to_string());
            let fault = |what: String| {
                Error::input(
                    launch.path.display().to_string(),
                    "ptxas_v",
                    what,
                    "leave the key out, or run `ptxas -v` on the PTX file",
                )
            };
            let near = |base: &Path| base.parent().unwrap_or(Path::new("")).join(&path);
            let found = [near(ptx), near(&launch.path)]
                .into_iter()
                .find(|p| p.is_file())
                .ok_or_else(|| {
                    fault(format!(
                        "{path} is neither beside {file} nor beside the launch file"
                    ))
                })?;
            let text = input::text(&found, input::MADE_MAX, "what `ptxas -v` says")?;
            let usage = ptxas::usage(&text, &name)
                .ok_or_else(|| fault(format!("{path} says nothing of `{name}` of {file}")))?;
            Some(usage)
        }
    };
    let known = launch.registers.or(usage.map(|u| u.registers));
    let registers_per_thread = known.unwrap_or(machine.registers);
    let source_of_registers = match known {
        Some(_) => "registers given",
        None => "registers from liveness",
    };
    let file_name = ptx.file_name().map(|n| n.to_string_lossy().into_owned());
    Ok(KernelHeader {
        name,
        id: 1,
        grid: launch.grid,
        block: launch.block,
        cluster: [1; 3],
        registers_per_thread,
        smem_bytes: prepared.program.shared_bytes as u32,
        stream: 0,
        sm_version: sm,
        shared_base: SHARED_WINDOW,
        local_base: LOCAL_WINDOW,
        source: Source::Ptx(format!(
            "{PTX}{}, {source_of_registers}",
            file_name.unwrap_or_default()
        )),
    })
}

/// What a host would have copied to the device before the launch.
pub(super) fn copies(launch: &Launch, prepared: &Prepared<'_>) -> Vec<Command> {
    let arguments = launch.args.iter().zip(&prepared.buffers);
    let initialised = arguments.filter_map(|(argument, buffer)| match &argument.value {
        Value::Buffer { init, count } if !matches!(init, Init::None) => Some(Command::MemcpyHtoD {
            address: prepared.global.address((*buffer)?),
            bytes: count * u64::from(argument.element.bytes()),
        }),
        _ => None,
    });
    initialised.collect()
}
