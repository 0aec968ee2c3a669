//! The simulator as an extension module of Python: commands, called with the words of the command line.
//!
//! A command runs on a thread of its own, without the interpreter's lock. The thread that called it waits, and asks the
//! interpreter now and then whether somebody pressed Ctrl-C: then the command is asked to end, and `KeyboardInterrupt` is
//! raised when it has.

use phantom_gpu::internals::cli::call::{Failure, call, interrupt};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::time::Duration;

create_exception!(
    phantom_gpu,
    PhantomGpuError,
    PyException,
    "A command that did not end well. `status` is its exit status: 1 for input and runs, 2 for usage."
);

/// Time between two looks at signals.
const INTERVAL: Duration = Duration::from_millis(20);

/// Runs a command and gives what it writes to standard output.
#[pyfunction]
fn run<'py>(py: Python<'py>, args: Vec<String>) -> PyResult<Bound<'py, PyBytes>> {
    let caller = std::thread::current();
    let work = move || {
        let done = call(&args);
        caller.unpark();
        done
    };
    let thread = std::thread::Builder::new().name("phantom-gpu".into());
    let thread = thread.spawn(work)?;
    let mut interrupted = None;
    while !thread.is_finished() {
        py.detach(|| std::thread::park_timeout(INTERVAL));
        if let Err(signal) = py.check_signals() {
            interrupt();
            interrupted = Some(signal);
        }
    }
    if let Some(signal) = interrupted {
        return Err(signal);
    }
    match thread.join() {
        Ok(Ok(bytes)) => Ok(PyBytes::new(py, &bytes)),
        Ok(Err(failure)) => Err(raised(py, &failure)),
        Err(_) => Err(PyRuntimeError::new_err(
            "the simulator failed, which is a fault of its own; see standard error",
        )),
    }
}

fn raised(py: Python<'_>, failure: &Failure) -> PyErr {
    let error = PhantomGpuError::new_err(failure.message.clone());
    match error.value(py).setattr("status", failure.status) {
        Ok(()) => error,
        Err(other) => other,
    }
}

#[pymodule]
fn _phantom_gpu(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("PhantomGpuError", module.py().get_type::<PhantomGpuError>())?;
    module.add_function(wrap_pyfunction!(run, module)?)
}
