//! Throttling of a kernel that is sampled: the estimate is made again at other core clocks.

use super::Sampler;
use crate::config::Resolved;
use crate::error::Result;
use crate::hash::ContentHash;
use crate::simulation::KernelRun;
use crate::simulation::throttle::{Governor, Next, Search};
use crate::trace::Kernel;

/// The estimate of `kernel` at the clock that `governor` allows. Each clock is remembered by `key` and its number.
///
/// # Errors
/// As a simulation's.
pub(super) fn settled(
    sampler: &Sampler<'_>,
    governor: &Governor,
    key: &str,
    kernel: &Kernel,
    before: &[&Kernel],
) -> Result<KernelRun> {
    let mut search = Search::new(governor);
    let mut within = None;
    loop {
        let khz = search.clock_khz();
        let mut run = at(sampler, khz, key, kernel, before)?;
        let cycles = run.end - run.start;
        if run.partial {
            run.power = Some(search.broken_off(&run.counters, cycles));
            return Ok(run);
        }
        match search.ran(&run.counters, cycles) {
            Next::Again if search.was_within(khz) => within = Some(run),
            Next::Again => {}
            Next::Found(power, last) => {
                let found = if last { run } else { within.unwrap_or(run) };
                return Ok(KernelRun {
                    power: Some(power),
                    ..found
                });
            }
        }
    }
}

/// The estimate on the machine at `khz`.
fn at(
    sampler: &Sampler<'_>,
    khz: u32,
    key: &str,
    kernel: &Kernel,
    before: &[&Kernel],
) -> Result<KernelRun> {
    let mut hash = ContentHash::default();
    hash.bytes(key.as_bytes());
    hash.word(u64::from(khz));
    let config = Resolved {
        spec: sampler.config.spec.at_clock(khz),
        ..sampler.config.clone()
    };
    let slower = Sampler {
        config: &config,
        ..*sampler
    };
    slower.remembered(&hash.hex(), kernel, before)
}
