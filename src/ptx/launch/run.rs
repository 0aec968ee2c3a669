//! From a PTX file and a launch file to a program with its memory.

use super::data::{self, Init};
use super::{Launch, Value};
use crate::error::{Error, Result};
use crate::ptx::ast::Module;
use crate::ptx::ast::Space;
use crate::ptx::exec::cta::Shape;
use crate::ptx::exec::decode::{Bindings, decode};
use crate::ptx::exec::fault::Fault;
use crate::ptx::exec::memory::{Arena, Content};
use crate::ptx::exec::observe::Parallel;
use crate::ptx::exec::program::Program;
use crate::ptx::exec::{CODE_STEP, CODE_WINDOW, CONST_WINDOW, LOCAL_WINDOW, SHARED_WINDOW, grid};
use crate::ptx::flat::{Flat, FlatError, entries, flatten};

/// The most bytes of shared memory that any GPU gives to one CTA.
const SHARED_BYTES_MAX: u64 = 228 << 10;

/// A kernel that is ready to run.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    /// The kernel, flat.
    pub flat: Flat<'a>,
    /// The same, decoded.
    pub program: Program,
    /// Grid and block.
    pub shape: Shape,
    /// Global memory.
    pub global: Arena,
    /// For each argument the number of its buffer.
    pub buffers: Vec<Option<usize>>,
}

/// Prepares the kernel that `launch` names. `file` is the PTX file, for messages.
///
/// # Errors
/// No such kernel, arguments that do not fit its parameters, a block that it does not allow.
pub fn prepare<'a>(file: &str, module: &'a Module<'a>, launch: &Launch) -> Result<Prepared<'a>> {
    let name = kernel_name(file, module, launch)?;
    let mut flat = flatten(module, name).map_err(|e| {
        let remedy = match e {
            FlatError::NoEntry(..) => "name one of them as `kernel` in the launch file",
            FlatError::Content { .. } => "mend the PTX file",
        };
        Error::input(file, "the kernel", e.to_string(), remedy)
    })?;
    fits(file, &flat, launch)?;
    let mut global = Arena::default();
    let module_base = module_memory(file, launch, &mut flat, &mut global)?;
    let (params, buffers) = arguments(&flat, launch, &mut global)?;
    let program = decode(
        &flat,
        &Bindings {
            module_base,
            params,
            dynamic_shared_bytes: launch.dynamic_shared_bytes,
        },
    );
    Ok(Prepared {
        flat,
        program,
        shape: Shape {
            grid: launch.grid,
            block: launch.block,
        },
        global,
        buffers,
    })
}

fn kernel_name<'m>(file: &str, module: &'m Module<'_>, launch: &'m Launch) -> Result<&'m str> {
    if let Some(name) = &launch.kernel {
        return Ok(name);
    }
    let mut all = entries(module);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.name),
        (None, _) => Err(Error::input(
            file,
            "the file",
            "it has no kernel",
            "name another file",
        )),
        (Some(_), Some(_)) => {
            let names: Vec<_> = entries(module).map(|f| f.name).collect();
            Err(Error::input(
                launch.path.display().to_string(),
                "kernel",
                format!("{file} has several kernels: {}", names.join(", ")),
                "say which one with `kernel = \"...\"`",
            ))
        }
    }
}

/// Everything about a launch that can be wrong before any memory is made.
fn fits(file: &str, flat: &Flat<'_>, launch: &Launch) -> Result<()> {
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
    for (i, (given, (symbol, ty, length))) in launch.parameters.iter().zip(&flat.params).enumerate()
    {
        let bytes = flat.symbols.get(*symbol as usize).map_or(0, |s| s.bytes);
        if bytes != *given {
            let arg = launch.args.iter().find(|a| a.parameter == i);
            let array = match length {
                1 => String::new(),
                n => format!("[{n}], a structure (see `fields`),"),
            };
            faults.push(format!(
                "args[{i}] ({}): {given} bytes where the parameter .{}{array} has {bytes}",
                arg.map_or("", |a| &a.name),
                ty.name()
            ));
        }
    }
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

/// Puts module variables into memory and returns where they are.
fn module_memory(
    file: &str,
    launch: &Launch,
    flat: &mut Flat<'_>,
    global: &mut Arena,
) -> Result<u64> {
    for variable in &launch.variables {
        let symbol = flat
            .symbols
            .iter()
            .find(|s| s.name == variable.name && matches!(s.space, Space::Global | Space::Const));
        let place = format!("variables ({})", variable.name);
        let path = launch.path.display().to_string();
        let Some(symbol) = symbol.cloned() else {
            return Err(Error::input(
                path,
                place,
                format!("{file} has none"),
                "check the name",
            ));
        };
        let bytes = match &variable.value {
            Value::Scalar(bits) => bits.to_le_bytes()[..variable.element.bytes() as usize].to_vec(),
            Value::Buffer { count, init } => {
                data::content(variable.element, *count, init)?.unwrap_or_default()
            }
        };
        let image = match symbol.space {
            Space::Const => &mut flat.constant,
            _ => &mut flat.global,
        };
        let at = symbol.offset as usize;
        let fits = bytes.len() as u64 <= symbol.bytes;
        match image.bytes.get_mut(at..at + bytes.len()).filter(|_| fits) {
            Some(target) => target.copy_from_slice(&bytes),
            None => {
                let what = format!("{} bytes where it has {}", bytes.len(), symbol.bytes);
                return Err(Error::input(
                    path,
                    place,
                    what,
                    "make `count` and type agree",
                ));
            }
        }
    }
    if flat.global.bytes.is_empty() {
        fix(flat, 0);
        return Ok(0);
    }
    // The address follows from the order of allocation, so the image can be fixed before.
    let mut probe = global.clone();
    let base = probe.allocate("module", Content::Uninitialised(1));
    fix(flat, base);
    Ok(global.allocate("module variables", Content::Data(flat.global.bytes.clone())))
}

/// Adds addresses to the images.
fn fix(flat: &mut Flat<'_>, base: u64) {
    let symbols = &flat.symbols;
    for image in [&mut flat.global, &mut flat.constant] {
        for fixup in &image.fixups {
            let target = match (fixup.function, symbols.get(fixup.symbol as usize)) {
                (true, _) => CODE_WINDOW + CODE_STEP * u64::from(fixup.symbol),
                (false, Some(symbol)) => {
                    let window = match (symbol.space, fixup.generic) {
                        (Space::Global, _) => base,
                        (Space::Shared, true) => SHARED_WINDOW,
                        (Space::Local, true) => LOCAL_WINDOW,
                        (Space::Const, true) => CONST_WINDOW,
                        _ => 0,
                    };
                    window + symbol.offset
                }
                (false, None) => continue,
            };
            let address = target.wrapping_add(fixup.offset as u64) >> fixup.shift.min(63);
            let at = fixup.at as usize;
            if let Some(target) = image.bytes.get_mut(at..at + fixup.bytes as usize) {
                for (t, b) in target.iter_mut().zip(address.to_le_bytes()) {
                    *t = b;
                }
            }
        }
    }
}

type Packed = (Vec<u8>, Vec<Option<usize>>);

fn arguments(flat: &Flat<'_>, launch: &Launch, global: &mut Arena) -> Result<Packed> {
    let mut params = vec![0; flat.param_bytes as usize];
    let mut buffers = Vec::new();
    for arg in &launch.args {
        let Some((symbol, _, _)) = flat.params.get(arg.parameter) else {
            continue;
        };
        let (bits, width) = match &arg.value {
            Value::Scalar(bits) => {
                buffers.push(None);
                (*bits, arg.element.bytes() as usize)
            }
            Value::Buffer { count, init } => {
                let bytes = count * u64::from(arg.element.bytes());
                let content = match data::content(arg.element, *count, init)? {
                    Some(bytes) => Content::Data(bytes),
                    None => Content::Uninitialised(bytes),
                };
                buffers.push(Some(global.allocations().len()));
                let address = global.allocate(&arg.name, content);
                if let Init::Ring { stride, .. } = init
                    && arg.element.bytes() == 8
                {
                    global.relocate(address, *count, *stride);
                }
                (address, 8)
            }
        };
        let start = flat.symbols.get(*symbol as usize).map_or(0, |s| s.offset);
        let at = (start + arg.offset) as usize;
        if let Some(slot) = params.get_mut(at..at + width) {
            for (s, b) in slot.iter_mut().zip(bits.to_le_bytes()) {
                *s = b;
            }
        }
    }
    Ok((params, buffers))
}

impl Prepared<'_> {
    /// Runs the whole grid; `after` gets what the observer has of each CTA, in order.
    ///
    /// # Errors
    /// The first fault of the kernel, with its place in `file`, or what `after` says.
    pub fn run<O: Parallel>(
        &mut self,
        file: &str,
        (race_check, threads): (bool, usize),
        observer: &mut O,
        after: impl FnMut(O::Out) -> Result<()>,
    ) -> Result<u64> {
        let run = grid::Run {
            program: &self.program,
            shape: self.shape,
            race_check,
            threads,
        };
        let ran = grid::run(run, &mut self.global, observer, after);
        ran.map_err(|stopped| match stopped {
            grid::Stopped::Fault(fault) => located(file, &fault),
            grid::Stopped::Other(error) => error,
        })
    }
}

fn located(file: &str, fault: &Fault) -> Error {
    let text = fault.to_string();
    let (place, what) = text.split_once(": ").unwrap_or(("the kernel", &text));
    Error::input(file, place, what, &fault.remedy)
}
