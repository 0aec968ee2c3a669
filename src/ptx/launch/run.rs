//! From a PTX file and a launch file to a program with its memory.

use super::data::{self, Init};
use super::fits::fits;
use super::{Application, Argument, Launch, Value};
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
use crate::ptx::lower::lower;
use crate::ptx::schedule::unroll::unroll;
use crate::ptx::schedule::{self, budget};

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
    /// For each argument that is a shared buffer what was in it before, where the launch has checks.
    pub before: Vec<Option<Vec<u8>>>,
    bindings: Bindings,
    shared: Vec<usize>,
}

/// What one kernel of an application leaves to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Global memory.
    pub global: Arena,
    /// Numbers of the buffers that all kernels share.
    pub shared: Vec<usize>,
    /// For each argument of the last kernel the number of its buffer.
    pub buffers: Vec<Option<usize>>,
    // Address of the module's variables.
    module_base: Option<u64>,
}

impl Memory {
    /// The shared buffers of `application` with their initial content.
    ///
    /// # Errors
    /// A file with initial content that cannot be read or does not fit.
    pub fn of(application: &Application) -> Result<Memory> {
        let mut memory = Memory::default();
        for buffer in &application.buffers {
            memory.shared.push(memory.global.allocations().len());
            allocate(buffer, &mut memory.global)?;
        }
        Ok(memory)
    }
}

/// Prepares the kernel that `launch` names, in `memory`. `file` is the PTX file, for messages.
///
/// # Errors
/// No such kernel, arguments that do not fit its parameters, a block that it does not allow.
pub fn prepare<'a>(
    file: &str,
    module: &'a Module<'a>,
    launch: &Launch,
    memory: Memory,
) -> Result<Prepared<'a>> {
    let name = kernel_name(file, module, launch)?;
    let mut flat = flatten(module, name).map_err(|e| {
        let remedy = match e {
            FlatError::NoEntry(..) => "name one of them as `kernel` in the launch file",
            FlatError::Content { .. } => "mend the PTX file",
        };
        Error::input(file, "the kernel", e.to_string(), remedy)
    })?;
    fits(file, &flat, launch)?;
    let Memory {
        mut global,
        shared,
        module_base,
        ..
    } = memory;
    let module_base = module_memory(file, launch, &mut flat, (&mut global, module_base))?;
    let (params, buffers) = arguments(&flat, launch, &mut global, &shared)?;
    let before = before(launch, &global, &buffers);
    let bindings = Bindings {
        module_base,
        params,
        dynamic_shared_bytes: launch.dynamic_shared_bytes,
    };
    let program = decode(&flat, &bindings);
    Ok(Prepared {
        flat,
        program,
        shape: Shape {
            grid: launch.grid,
            block: launch.block,
        },
        global,
        buffers,
        before,
        bindings,
        shared,
    })
}

/// What the checks of `launch` may have to know of shared buffers. One that somebody has yet to write is left out.
fn before(launch: &Launch, global: &Arena, buffers: &[Option<usize>]) -> Vec<Option<Vec<u8>>> {
    let content = |(argument, number): (&Argument, &Option<usize>)| {
        let shared = matches!(argument.value, Value::Shared(_)) && !launch.checks.is_empty();
        let number = (*number).filter(|_| shared)?;
        let whole = global.unwritten(number).is_none();
        whole.then(|| global.content(number).to_vec())
    };
    launch.args.iter().zip(buffers).map(content).collect()
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

/// Puts module variables into memory and returns where they are.
fn module_memory(
    file: &str,
    launch: &Launch,
    flat: &mut Flat<'_>,
    (global, known): (&mut Arena, Option<u64>),
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
            Value::Shared(_) => Vec::new(),
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
    // A kernel before has made them: all kernels of a module have the same variables at the same places.
    if let Some(base) = known {
        fix(flat, base);
        return Ok(base);
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

/// Makes the buffer of `argument`; its address.
fn allocate(argument: &Argument, global: &mut Arena) -> Result<u64> {
    let Value::Buffer { count, init } = &argument.value else {
        return Ok(0);
    };
    let bytes = count * u64::from(argument.element.bytes());
    let content = match data::content(argument.element, *count, init)? {
        Some(bytes) => Content::Data(bytes),
        None => Content::Uninitialised(bytes),
    };
    let address = global.allocate(&argument.name, content);
    if let Init::Ring { stride, .. } = init
        && argument.element.bytes() == 8
    {
        global.relocate(address, *count, *stride);
    }
    Ok(address)
}

fn arguments(
    flat: &Flat<'_>,
    launch: &Launch,
    global: &mut Arena,
    shared: &[usize],
) -> Result<Packed> {
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
            Value::Buffer { .. } => {
                buffers.push(Some(global.allocations().len()));
                (allocate(arg, global)?, 8)
            }
            Value::Shared(number) => {
                let number = shared.get(*number).copied();
                buffers.push(number);
                (number.map_or(0, |number| global.address(number)), 8)
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
    /// Unrolls loops and puts the instructions into the order of a list schedule for architecture `sm`, in which a thread holds
    /// `registers`, or as many as do not cost warps.
    pub fn schedule(&mut self, sm: u16, registers: Option<u16>) {
        if unroll(&mut self.flat, &self.program, sm) {
            self.program = decode(&self.flat, &self.bindings);
        }
        let budget = registers.unwrap_or_else(|| {
            let needed = lower(&self.flat, &self.program, sm).registers;
            budget::beside(needed, sm)
        });
        schedule::schedule(&mut self.flat, &self.program, sm, budget::values(budget));
        self.program = decode(&self.flat, &self.bindings);
    }

    /// What the next kernel of the application finds.
    pub fn into_memory(self) -> Memory {
        Memory {
            module_base: (!self.flat.global.bytes.is_empty()).then_some(self.bindings.module_base),
            global: self.global,
            shared: self.shared,
            buffers: self.buffers,
        }
    }

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

pub(in crate::ptx) fn located(file: &str, fault: &Fault) -> Error {
    let text = fault.to_string();
    let (place, what) = text.split_once(": ").unwrap_or(("the kernel", &text));
    Error::input(file, place, what, &fault.remedy)
}
