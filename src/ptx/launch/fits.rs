//! Whether a launch file is one for this kernel.

use super::data::Element;
use super::{Argument, Launch, Value};
use crate::error::{Error, Result};
use crate::ptx::ast::Type;
use crate::ptx::flat::Flat;

/// The most bytes of shared memory that any GPU gives to one CTA.
const SHARED_BYTES_MAX: u64 = 228 << 10;

/// Everything about a launch that can be wrong before any memory is made.
pub(super) fn fits(file: &str, flat: &Flat<'_>, launch: &Launch) -> Result<()> {
    let mut faults = Vec::new();
    if flat.params.len() != launch.parameters.len() {
        let wanted: Vec<String> = flat
            .params
            .iter()
            .map(|(_, ty, length)| match length {
                1 => format!(".{}", ty.name()),
                n => format!(".{}[{n}]", ty.name()),
            })
            .collect();
        faults.push(format!(
            "args: {} where kernel `{}` of {file} has {} parameters ({})",
            launch.parameters.len(),
            flat.functions.first().map_or("", |f| &f.name),
            flat.params.len(),
            wanted.join(", "),
        ));
    }
    parameters(flat, launch, &mut faults);
    let threads: u64 = launch.block.iter().map(|&d| u64::from(d)).product();
    if let Some(required) = flat.threads_required
        && required != launch.block
    {
        faults.push(format!(
            "block = {:?}: the kernel requires {required:?}",
            launch.block
        ));
    }
    if flat.threads_max.is_some_and(|most| threads > most) {
        let most = flat.threads_max.unwrap_or(0);
        faults.push(format!(
            "block: {threads} threads where the kernel allows {most}"
        ));
    }
    let shared = flat.shared_bytes + launch.dynamic_shared_bytes;
    if shared > SHARED_BYTES_MAX {
        faults.push(format!(
            "{shared} bytes of shared memory, of which no GPU has that many"
        ));
    }
    if flat.local_bytes > 512 << 10 {
        faults.push(format!(
            "{} bytes of local memory a thread: at most 512 KiB",
            flat.local_bytes
        ));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Launch {
        file: launch.path.display().to_string(),
        faults,
    })
}

/// Each parameter against the arguments that make it up.
fn parameters(flat: &Flat<'_>, launch: &Launch, faults: &mut Vec<String>) {
    for (i, (given, (symbol, ty, length))) in launch.parameters.iter().zip(&flat.params).enumerate()
    {
        let bytes = flat.symbols.get(*symbol as usize).map_or(0, |s| s.bytes);
        let leaves: Vec<_> = launch.args.iter().filter(|a| a.parameter == i).collect();
        let name = leaves.first().map_or("", |a| &a.name);
        if bytes != *given {
            let array = match length {
                1 => String::new(),
                n => format!("[{n}], a structure (see `fields`),"),
            };
            faults.push(format!(
                "args[{i}] ({name}): {given} bytes where the parameter .{}{array} has {bytes}",
                ty.name()
            ));
        } else if *length == 1
            && let Some(leaf) = leaves.iter().find(|leaf| !holds(*ty, leaf))
        {
            let what = match leaf.value {
                Value::Buffer { .. } | Value::Shared(_) => "the address of a buffer",
                Value::Scalar(_) => leaf.element.name(),
            };
            faults.push(format!(
                "args[{i}] ({name}): {what} where the parameter is .{}; give it as {}",
                ty.name(),
                wanted(*ty)
            ));
        }
    }
}

/// Whether a parameter of type `ty` holds such a value: nothing is converted, and only untyped
/// parameters take any bits.
fn holds(ty: Type, leaf: &Argument) -> bool {
    let integer = match leaf.value {
        Value::Buffer { .. } | Value::Shared(_) => true,
        Value::Scalar(_) => !leaf.element.float(),
    };
    match ty {
        Type::B8 | Type::B16 | Type::B32 | Type::B64 | Type::B128 => true,
        Type::F16 => leaf.element == Element::F16,
        Type::Bf16 => leaf.element == Element::Bf16,
        Type::F32 => leaf.element == Element::F32,
        Type::F64 => leaf.element == Element::F64 && matches!(leaf.value, Value::Scalar(_)),
        _ => integer,
    }
}

/// What to write in the launch file for a parameter of type `ty`.
fn wanted(ty: Type) -> String {
    match ty {
        Type::F16 | Type::Bf16 | Type::F32 | Type::F64 => format!("type = \"{}\"", ty.name()),
        _ => "an integer of that size (of a float: its bits)".to_owned(),
    }
}
