//! A launch: every CTA of the grid, in order.
//!
//! CTAs run one after the other, number 0 first. That is the defined order of atomics and of every
//! other access to global memory, whatever the number of threads of the host.

use super::cta::{Runner, Shape};
use super::fault::Fault;
use super::memory::Global;
use super::observe::Observer;
use super::program::Program;

/// Runs all CTAs, calling `after` with the observer at the end of each.
///
/// # Errors
/// The first fault, or what `after` says.
pub fn run<O: Observer, E>(
    program: &Program,
    shape: Shape,
    race_check: bool,
    global: &mut Global,
    observer: &mut O,
    mut after: impl FnMut(u64, &mut O) -> Result<(), E>,
) -> Result<u64, Stopped<E>> {
    let mut runner = Runner::default();
    let ctas = shape.grid.iter().map(|&d| u64::from(d)).product();
    for cta in 0..ctas {
        runner
            .run(program, shape, cta, race_check, global, observer)
            .map_err(Stopped::Fault)?;
        after(cta, observer).map_err(Stopped::Other)?;
    }
    Ok(runner.executed)
}

/// Why a run ended early.
#[derive(Clone, Debug)]
pub enum Stopped<E> {
    /// The kernel did something wrong.
    Fault(Box<Fault>),
    /// The observer gave up.
    Other(E),
}
