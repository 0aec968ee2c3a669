//! A build with energy.

use crate::config::GpuSpec;
use crate::energy::{Coefficients, Energy};
use crate::simulation::throttle::Governor;

/// What holds the kernels of `spec` within its limit; nothing unless `power.throttle`.
pub fn governor(spec: &GpuSpec) -> Option<Governor> {
    if !spec.power.throttle {
        return None;
    }
    let table = Coefficients::of(spec);
    let machine = spec.clone();
    Some(Governor {
        clocks: spec.power.clocks(spec.core_clock_khz),
        limit_w: spec.power.limit_w,
        watts: Box::new(move |counters, cycles, khz| {
            Energy::counted(counters, cycles, &machine.at_clock(khz), &table).average_w
        }),
    })
}
