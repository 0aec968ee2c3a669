//! A launch: every CTA of the grid, with the result of running them in order.
//!
//! The defined order of atomics, and of every other access to global memory, is that of the CTAs,
//! number 0 first. They run at once on several threads all the same, a batch at a time, each on memory
//! as it was before the batch. Then they are taken in order: what a CTA did stands unless it read what
//! an earlier one of its batch wrote, or failed; then it is run again in its turn. So the number of
//! threads changes nothing. Updates whose old value nobody sees are no reads: they are done in the
//! CTA's turn ([`super::journal`]), so that sums and histograms stand.

mod team;

use super::cta::{Runner, Shape};
use super::fault::Fault;
use super::memory::{Arena, Global};
use super::observe::Parallel;
use super::program::Program;
use team::Team;

/// What is run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The kernel.
    pub program: &'a Program,
    /// Grid and block.
    pub shape: Shape,
    /// Looks for races in shared memory.
    pub race_check: bool,
    /// Threads of the host.
    pub threads: usize,
}

/// Why a run ended early.
#[derive(Clone, Debug)]
pub enum Stopped<E> {
    /// The kernel did something wrong.
    Fault(Box<Fault>),
    /// The observer gave up.
    Other(E),
}

/// Runs all CTAs, calling `after` in their order with what the observer has of each. Returns the
/// number of warp instructions.
///
/// # Errors
/// The first fault, or what `after` says.
pub fn run<O: Parallel, E>(
    run: Run<'_>,
    arena: &mut Arena,
    observer: &mut O,
    mut after: impl FnMut(O::Out) -> Result<(), E>,
) -> Result<u64, Stopped<E>> {
    let mut global = Global::of(std::mem::take(arena));
    let ctas = run.shape.grid.iter().map(|&d| u64::from(d)).product();
    let executed = if run.threads > 1 && ctas > 1 {
        Team::new(run, &mut global).run(ctas, observer, after)
    } else {
        (0..ctas)
            .try_fold(Runner::default(), |mut runner, cta| {
                let out = in_turn(run, cta, &mut runner, &mut global, observer);
                after(out.map_err(Stopped::Fault)?).map_err(Stopped::Other)?;
                Ok(runner)
            })
            .map(|runner| runner.executed)
    };
    *arena = global.arena;
    executed
}

fn in_turn<O: Parallel>(
    run: Run<'_>,
    cta: u64,
    runner: &mut Runner,
    global: &mut Global,
    observer: &mut O,
) -> Result<O::Out, Box<Fault>> {
    observer.begin();
    runner.run(
        run.program,
        run.shape,
        cta,
        run.race_check,
        global,
        observer,
    )?;
    Ok(observer.finish().0)
}
