//! What a recording says of its kernel besides the streams.

use crate::error::{Error, Result, input};
use crate::ptx::exec::{LOCAL_WINDOW, SHARED_WINDOW};
use crate::ptx::launch::data::Init;
use crate::ptx::launch::run::{Memory, Prepared};
use crate::ptx::launch::{Argument, Launch, Value};
use crate::ptx::lower::{Machine, ptxas};
use crate::trace::source::{PTX, Source};
use crate::trace::{Command, KernelHeader};
use std::path::Path;

/// Registers of a thread of `kernel`, where the launch file or the output of `ptxas -v` that it names has them.
pub(super) fn known_registers(
    file: &str,
    ptx: &Path,
    launch: &Launch,
    kernel: &str,
    sm: u16,
) -> Result<Option<u16>> {
    let Some(path) = &launch.ptxas_v else {
        return Ok(launch.registers);
    };
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
    let usage = ptxas::usage(&text, kernel)
        .ok_or_else(|| fault(format!("{path} says nothing of `{kernel}` of {file}")))?;
    Ok(Some(launch.registers.unwrap_or(usage.registers)))
}

/// The header of the kernel of `prepared`; `known` are the registers that a thread is known to have.
pub(in crate::ptx) fn header(
    ptx: &Path,
    launch: &Launch,
    prepared: &Prepared<'_>,
    (machine, known): (&Machine, Option<u16>),
    sm: u16,
) -> KernelHeader {
    let source_of_registers = match known {
        Some(_) => "registers given",
        None => "registers from liveness",
    };
    let order = match launch.schedule {
        true => "scheduled",
        false => "in the order of the file",
    };
    let file_name = ptx.file_name().map(|n| n.to_string_lossy().into_owned());
    KernelHeader {
        name: prepared.program.name.clone(),
        id: 1,
        grid: launch.grid,
        block: launch.block,
        cluster: [1; 3],
        registers_per_thread: known.unwrap_or(machine.registers),
        smem_bytes: prepared.program.shared_bytes as u32,
        stream: 0,
        sm_version: sm,
        shared_base: SHARED_WINDOW,
        local_base: LOCAL_WINDOW,
        source: Source::Ptx(format!(
            "{PTX}{}, {source_of_registers}, {order}",
            file_name.unwrap_or_default()
        )),
    }
}

/// What a host would have copied to the device before the first launch: `buffers`, which all kernels share.
pub(super) fn copies(buffers: &[Argument], memory: &Memory, shift: u64) -> Vec<Command> {
    let copy = |(buffer, number): (&Argument, &usize)| {
        copied(buffer, memory.global.address(*number) + shift)
    };
    buffers
        .iter()
        .zip(&memory.shared)
        .filter_map(copy)
        .collect()
}

/// The same of the buffers of one kernel.
pub(super) fn own_copies(launch: &Launch, prepared: &Prepared<'_>, shift: u64) -> Vec<Command> {
    let arguments = launch.args.iter().zip(&prepared.buffers);
    let copies = arguments.filter_map(|(argument, number)| {
        copied(argument, prepared.global.address((*number)?) + shift)
    });
    copies.collect()
}

fn copied(argument: &Argument, address: u64) -> Option<Command> {
    match &argument.value {
        Value::Buffer { init, count } if !matches!(init, Init::None) => Some(Command::MemcpyHtoD {
            address,
            bytes: count * u64::from(argument.element.bytes()),
        }),
        _ => None,
    }
}
