//! Which kernels are launched, and the simulation of those that are not alike.
//!
//! What a kernel finds in L2 depends on the kernels before it and on which of its tensors they have touched. So two
//! launches are alike when they and those before them have the same kernels, and when the same of their tensors are the
//! same: tensors are numbered in the order in which the kernels of such a window name them, and lie where their numbers
//! say. A model whose layers repeat has one layer of each kind to simulate. Launches of kernels that replace what L2 held
//! before the part of them that is run ([`Sampler::alone`]) are alike whatever they follow.

use super::{Depth, Runner};
use crate::error::{Error, Result};
use crate::ids::LayerId;
use crate::kernels::choose::{Candidate, candidates};
use crate::kernels::operands::Operands;
use crate::kernels::operator::Operator;
use crate::kernels::{Arrays, Places, array};
use crate::model::lower::{Call, Layer, Lowered, Place, Plan, Precision};
use crate::sampling::{Sampler, Settings};
use crate::session::Session;
use crate::simulation::KernelRun;
use crate::trace::Kernel;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

/// Kernels before a kernel that it is simulated behind, at most; they leave more than L2 holds, unless they are tiny.
const BEFORE: usize = 6;
/// Times the bytes of L2 that kernels have to move before what was there earlier counts no more.
const TIMES_OF_L2: f64 = 1.5;

/// One launch of a kernel.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Index of its layer.
    pub layer: usize,
    /// Index of its call in the layer.
    pub call: usize,
    /// Index of its operator among the chosen.
    chosen: usize,
    /// Number among the kernels of the operator.
    number: usize,
    /// Where its windows lie.
    windows: [Place; Arrays::MOST],
    /// Bytes that it moves at least.
    bytes: f64,
    /// Operations of its operator.
    operations: f64,
    /// Index of its run in [`Simulated::runs`].
    pub run: usize,
}

/// What was simulated.
#[derive(Default)]
pub struct Simulated {
    /// All launches in order.
    pub launches: Vec<Launch>,
    /// Runs that differ, in the order of their first launches.
    pub runs: Vec<KernelRun>,
    /// Their kernels.
    pub kernels: Vec<Kernel>,
    /// Why operators have no kernel, by layer and call.
    pub missing: BTreeMap<(usize, usize), String>,
}

/// The kernels of an operator.
struct Chosen {
    candidate: std::result::Result<Candidate, String>,
}

/// Simulates what `lowered` launches on the machine of `session`. The run is one of many: what the end of the model leaves
/// in L2, its begin finds there.
///
/// # Errors
/// A failed or interrupted simulation.
pub fn simulate(
    lowered: &Lowered,
    plan: &Plan,
    session: &Session,
    runner: &Runner<'_>,
) -> Result<Simulated> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(runner.jobs)
        .build();
    let pool = pool.map_err(|e| Error::Run(format!("threads: {e}")))?;
    let (of_call, operators) = distinct_operators(lowered);
    let chosen: Vec<Chosen> = pool.install(|| {
        let each = operators.par_iter().map(|operator| Chosen {
            candidate: choose(operator, plan, session),
        });
        each.collect()
    });
    let mut simulated = launches(lowered, &of_call, &operators, &chosen);
    let sampler = Sampler {
        config: session.config(),
        settings: match runner.depth {
            Depth::Full => Settings {
                budget: u64::MAX,
                ..runner.settings
            },
            _ => runner.settings,
        },
        stop: Some(runner.stop),
        memory_limit: None,
        memo: runner.memo,
        progress: None,
    };
    let build = Build {
        chosen: &chosen,
        session,
    };
    let alone = pool.install(|| alone(&simulated.launches, &build, &sampler, runner))?;
    let l2 = session.spec().l2.bytes;
    let firsts = number_runs(&mut simulated.launches, l2, &|own| alone.contains_key(own));
    let rest = |&first: &usize| -> Result<Found> {
        if alone.contains_key(&own(&simulated.launches, first)) {
            return Ok(None);
        }
        let mut kernels = build.window(&simulated.launches, first)?;
        let kernel = kernels.pop().expect("the launch itself");
        let before: Vec<&Kernel> = kernels.iter().collect();
        let run = sampler.run(&kernel, &before)?;
        Ok(Some((run, kernel)))
    };
    let runs = pool.install(|| in_parallel(&simulated.launches, &firsts, runner, rest))?;
    for (first, run) in firsts.into_iter().zip(runs) {
        let known = || alone[&own(&simulated.launches, first)].clone();
        let (run, kernel) = run.unwrap_or_else(known);
        simulated.runs.push(run);
        simulated.kernels.push(kernel);
    }
    Ok(simulated)
}

/// A kernel and its run, or nothing.
type Found = Option<(KernelRun, Kernel)>;

/// What `one` makes of each of `firsts`, in their order; the first fault of them. Kernels whose run nobody waits for end
/// soon after the runner is stopped.
fn in_parallel(
    launches: &[Launch],
    firsts: &[usize],
    runner: &Runner<'_>,
    one: impl Fn(&usize) -> Result<Found> + Sync,
) -> Result<Vec<Found>> {
    let progress = runner.progress;
    let total = firsts.len() as u64;
    progress.total.fetch_add(total, Ordering::Relaxed);
    let interrupted = || Error::Run("interrupted".into());
    // Those with most to do first: none of them is begun when other threads have nothing left.
    let mut order: Vec<usize> = (0..firsts.len()).collect();
    let operations = |at: &usize| launches[firsts[*at]].operations;
    order.sort_by(|a, b| operations(b).total_cmp(&operations(a)));
    let each = order.par_iter().with_max_len(1).map(|&at| {
        // What is left to L2 by the kernels before takes its time, too.
        if runner.stop.load(Ordering::Relaxed) {
            return (at, Err(interrupted()));
        }
        let found = one(&firsts[at]);
        progress.advance();
        match found {
            Ok(Some((run, _))) if run.partial => (at, Err(interrupted())),
            found => (at, found),
        }
    });
    // All are waited for, so that the fault that is told does not depend on threads.
    let mut found: Vec<(usize, Result<Found>)> = each.collect();
    found.sort_unstable_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, found)| found).collect()
}

/// The kernels that run alike whatever they follow, by [`own`] keys.
fn alone(
    launches: &[Launch],
    build: &Build<'_>,
    sampler: &Sampler<'_>,
    runner: &Runner<'_>,
) -> Result<BTreeMap<Vec<u64>, (KernelRun, Kernel)>> {
    let mut known = BTreeSet::new();
    let firsts: Vec<usize> = (0..launches.len())
        .filter(|&at| known.insert(own(launches, at)))
        .collect();
    let found = in_parallel(launches, &firsts, runner, |&first| {
        // Where its window puts its tensors: banks and channels move a product by some percent.
        let mut window = build.window(launches, first)?;
        let kernel = window.pop().expect("the launch itself");
        let run = sampler.alone(&kernel)?;
        Ok(run.map(|run| (run, kernel)))
    })?;
    let pairs = firsts.into_iter().zip(found);
    let pairs = pairs.filter_map(|(at, found)| Some((own(launches, at), found?)));
    Ok(pairs.collect())
}

/// The kernels of `lowered`, each once, in the order of their first launches and at the places of those; and why the
/// operators that have none have none.
///
/// # Errors
/// A kernel that cannot be built.
pub fn each_once(
    lowered: &Lowered,
    plan: &Plan,
    session: &Session,
) -> Result<(Vec<Kernel>, Vec<String>)> {
    let (of_call, operators) = distinct_operators(lowered);
    let chosen: Vec<Chosen> = operators
        .iter()
        .map(|operator| Chosen {
            candidate: choose(operator, plan, session),
        })
        .collect();
    let simulated = launches(lowered, &of_call, &operators, &chosen);
    let build = Build {
        chosen: &chosen,
        session,
    };
    let mut known = BTreeSet::new();
    let mut names = Names::default();
    let mut kernels = Vec::new();
    for launch in &simulated.launches {
        if known.insert((launch.chosen, launch.number)) {
            kernels.push(build.kernel(launch, &mut names)?);
        }
    }
    let why = |(&(layer, _), why): (&(usize, usize), &String)| {
        format!("{}: {why}", lowered.layers[layer].name)
    };
    Ok((kernels, simulated.missing.iter().map(why).collect()))
}

/// Builds the kernels of launches.
struct Build<'a> {
    chosen: &'a [Chosen],
    session: &'a Session,
}

impl Build<'_> {
    /// The kernel of `launch`, where `names` put its tensors.
    fn kernel(&self, launch: &Launch, names: &mut Names) -> Result<Kernel> {
        let places: Places = launch
            .windows
            .map(|place| array(names.of(place.buffer)) + place.offset);
        let candidate = self.chosen[launch.chosen].candidate.as_ref();
        let candidate = candidate.expect("launches are of operators that have kernels");
        let mut kernel = candidate.build_at(launch.number, &places, self.session.spec())?;
        kernel.layer = Some(LayerId(launch.layer as u32));
        Ok(kernel)
    }

    /// The kernels of the window of launch `at`, itself at the end, where its numbers put their tensors.
    fn window(&self, launches: &[Launch], at: usize) -> Result<Vec<Kernel>> {
        let mut names = Names::default();
        let window = window_of(launches, at, self.session.spec().l2.bytes);
        let kernels = window.map(|index| self.kernel(&launches[index], &mut names));
        kernels.collect()
    }
}

/// The launches of each of so many layers.
pub fn by_layer(launches: &[Launch], layers: usize) -> Vec<&[Launch]> {
    let mut rest = launches;
    let each = (0..layers).map(|layer| {
        let (own, others) = rest.split_at(rest.partition_point(|launch| launch.layer == layer));
        rest = others;
        own
    });
    each.collect()
}

/// Layers in the order in which they run, each with the number of its run: neighbours that run equally often are a step, and
/// take turns.
pub fn order(layers: &[Layer]) -> impl Iterator<Item = (usize, u64)> {
    let mut begin = 0;
    layers
        .chunk_by(|a, b| a.times == b.times)
        .flat_map(move |step| {
            let own = begin..begin + step.len();
            begin = own.end;
            (0..step[0].times).flat_map(move |round| own.clone().map(move |layer| (layer, round)))
        })
}

/// The operators that differ, and for each call which it is.
fn distinct_operators(lowered: &Lowered) -> (Vec<usize>, Vec<Operator>) {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut operators = Vec::new();
    let calls = lowered.layers.iter().flat_map(|layer| &layer.calls);
    let of_call = calls.map(|call| {
        *known
            .entry(format!("{:?}", call.operator))
            .or_insert_with(|| {
                operators.push(call.operator.clone());
                operators.len() - 1
            })
    });
    let of_call = of_call.collect();
    (of_call, operators)
}

/// The best candidate that the GPU can run.
fn choose(
    operator: &Operator,
    plan: &Plan,
    session: &Session,
) -> std::result::Result<Candidate, String> {
    if plan.precision == Precision::Int4 && matches!(operator, Operator::Gemm(_)) {
        return Err("no kernel here unpacks weights of 4 bits".into());
    }
    let spec = session.spec();
    let all = candidates(operator, spec).map_err(|fault| fault.to_string())?;
    let mut first = None;
    for candidate in all {
        match candidate.build(spec) {
            Ok(_) => return Ok(candidate),
            Err(fault) => first = first.or(Some(fault.to_string())),
        }
    }
    Err(first.unwrap_or_else(|| "no kernel fits".into()))
}

/// Every launch, with the places of its windows.
fn launches(
    lowered: &Lowered,
    of_call: &[usize],
    operators: &[Operator],
    chosen: &[Chosen],
) -> Simulated {
    let mut simulated = Simulated::default();
    let mut calls = of_call.iter();
    for (layer, of) in lowered.layers.iter().enumerate() {
        for (call, of) in of.calls.iter().enumerate() {
            let &number = calls.next().expect("one for each call");
            let candidate = match &chosen[number].candidate {
                Ok(candidate) => candidate,
                Err(why) => {
                    simulated.missing.insert((layer, call), why.clone());
                    continue;
                }
            };
            let kernels = candidate.launches.len();
            let windows = windows(of, &operators[number], kernels, lowered.buffers.len());
            simulated.launches.extend((0..kernels).map(|kernel| Launch {
                layer,
                call,
                chosen: number,
                number: kernel,
                windows,
                bytes: operators[number].work().bytes / kernels as f64,
                operations: operators[number].work().flops,
                run: 0,
            }));
        }
    }
    simulated
}

/// Where the windows of a call's kernels lie: operands where their tensors are, the rest in work space that all calls share.
fn windows(
    call: &Call,
    operator: &Operator,
    kernels: usize,
    buffers: usize,
) -> [Place; Arrays::MOST] {
    let mut places = std::array::from_fn(|window| Place {
        buffer: buffers + window,
        offset: 0,
    });
    let operands = Operands::of(operator, kernels);
    let named = [
        (operands.reads, &call.reads),
        (operands.writes, &call.writes),
    ];
    for (windows, tensors) in named {
        for (window, place) in windows.into_iter().zip(tensors) {
            places[window] = *place;
        }
    }
    places
}

/// The launch at `at` and those before it, the oldest first: as many as fill L2 of `l2` bytes some times.
fn window_of(launches: &[Launch], at: usize, l2: u64) -> impl Iterator<Item = usize> {
    let count = launches.len();
    let back = move |n: usize| (at + count - n % count) % count;
    let (mut before, mut bytes) = (0, 0.0);
    while before < BEFORE.min(count) && bytes < TIMES_OF_L2 * l2 as f64 {
        before += 1;
        bytes += launches[back(before)].bytes;
    }
    (0..=before).rev().map(back)
}

/// Gives equal numbers to launches that are alike, and finds the first of each. Those whose own key is `alone` are alike
/// whatever they follow.
fn number_runs(launches: &mut [Launch], l2: u64, alone: &dyn Fn(&Vec<u64>) -> bool) -> Vec<usize> {
    let mut known: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
    let mut firsts = Vec::new();
    for at in 0..launches.len() {
        let own = own(launches, at);
        let key = match alone(&own) {
            true => own,
            false => key_of(launches, window_of(launches, at, l2)),
        };
        launches[at].run = *known.entry(key).or_insert_with(|| {
            firsts.push(at);
            firsts.len() - 1
        });
    }
    firsts
}

/// The kernels of some launches in a row, and which of their tensors are the same.
fn key_of(launches: &[Launch], window: impl Iterator<Item = usize>) -> Vec<u64> {
    let mut names = Names::default();
    let mut key = Vec::new();
    for launch in window.map(|index| &launches[index]) {
        key.extend([launch.chosen as u64, launch.number as u64]);
        let windows = launch.windows.iter();
        key.extend(windows.flat_map(|place| [names.of(place.buffer), place.offset]));
    }
    key
}

/// The key of the launch at `at` by itself: shorter than any with a launch before it.
fn own(launches: &[Launch], at: usize) -> Vec<u64> {
    key_of(launches, std::iter::once(at))
}

/// Numbers of buffers in the order in which they are named.
#[derive(Default)]
struct Names(BTreeMap<usize, u64>);

impl Names {
    fn of(&mut self, buffer: usize) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(buffer).or_insert(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(chosen: usize, buffers: [usize; 2]) -> Launch {
        let mut windows = std::array::from_fn(|_| Place {
            buffer: 99,
            offset: 0,
        });
        for (window, buffer) in windows.iter_mut().zip(buffers) {
            window.buffer = buffer;
        }
        Launch {
            layer: 0,
            call: 0,
            chosen,
            number: 0,
            windows,
            bytes: 1.0,
            operations: 1.0,
            run: 0,
        }
    }

    /// Layers that repeat are alike whatever their tensors are called, from the second on; and one whose tensors are tied
    /// otherwise is not.
    #[test]
    fn layers_that_repeat_are_simulated_once() {
        let chain = |tensor: usize| launch(tensor % 2, [tensor, tensor + 1]);
        let mut launches: Vec<Launch> = (0..40).map(chain).collect();
        let firsts = number_runs(&mut launches, 1 << 20, &|_| false);
        assert!(firsts.len() <= 2 + 2 * BEFORE, "{firsts:?}");
        assert_eq!(launches[20].run, launches[22].run);
        assert_ne!(launches[20].run, launches[21].run);
        launches[21].windows[0].buffer = 3;
        number_runs(&mut launches, 1 << 20, &|_| false);
        assert_ne!(launches[19].run, launches[21].run);
        // What fills L2 hides what was before it.
        launches[21].windows[0].buffer = 21;
        launches.iter_mut().for_each(|launch| launch.bytes = 1e6);
        assert_eq!(number_runs(&mut launches, 1 << 10, &|_| false).len(), 2 + 1);
        // Where nothing before it matters, there is one run of each kernel on its tensors.
        assert_eq!(number_runs(&mut launches, 1 << 20, &|_| true).len(), 2);
    }
}
