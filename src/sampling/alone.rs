//! Kernels whose samples depend on nothing that ran before them.
//!
//! Of a kernel of many waves the last are run, behind what its other CTAs leave in L2. Where these have replaced everything
//! that was there, it makes no difference what that was, and one sample stands for all launches of the kernel on the same
//! tensors, whatever they follow.

use super::{Plan, Sampler, memo};
use crate::error::Result;
use crate::power;
use crate::simulation::{self, KernelRun};
use crate::trace::Kernel;

/// Stands in a key for the kernels before.
const ALONE: &str = "behind itself";

impl Sampler<'_> {
    /// The run of `kernel` behind any others. Nothing where it depends on them: CTAs that are left out do not replace what
    /// L2 held, or so many have to be run that they no longer do. L2 holds what an earlier launch of the kernel leaves.
    ///
    /// # Errors
    /// As a simulation's.
    pub fn alone(&self, kernel: &Kernel) -> Result<Option<KernelRun>> {
        let spec = &self.config.spec;
        // At another clock a kernel has another key, which is that of its predecessors, too.
        if power::governor(spec).is_some() {
            return Ok(None);
        }
        let shape = self.shape(kernel, &[kernel])?;
        let replaces = |plan: &Plan| {
            let left_out = 0..shape.ctas - plan.ctas;
            simulation::replaces(kernel, left_out, spec)
        };
        match self.plans(&shape).first() {
            Some(first) if replaces(first)? => {}
            _ => return Ok(None),
        }
        let mut contents = memo::contents(&[kernel])?;
        contents.push(ALONE.to_owned());
        let key = memo::key(self.config, &self.settings, &contents);
        let run = self.memo.get_or_run(&key, kernel, spec, || {
            let run = self.by_parts(kernel, &[kernel], &shape, replaces)?;
            Ok(run.expect("the first part is one that replaces"))
        })?;
        Ok(match self.will_do(&run) {
            true => Some(run),
            false if shape.total_work() > self.settings.patience => Some(self.stays_wide(run)),
            false => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memo, Settings};
    use super::*;
    use crate::session::Session;
    use crate::trace::Workload;

    /// Behind another kernel it takes as long, and one whose waves all count is nobody's but its predecessors'.
    #[test]
    fn a_kernel_that_replaces_what_was_there_is_alike_whatever_it_follows() {
        let session = Session::new::<&str>("v100", &[]).unwrap();
        let memo = Memo::default();
        let sampler = Sampler {
            config: session.config(),
            settings: Settings {
                ci: 0.05,
                budget: 3_000_000,
                ..Settings::default()
            },
            stop: None,
            memory_limit: None,
            memo: &memo,
            progress: None,
        };
        let open = |input: &str| session.open(&[input]).unwrap();
        let first = |workload: &Workload| workload.launches().next().unwrap().clone();
        let kernel = first(&open("synth:copy?bytes=64MiB&width=16"));
        let alone = sampler.alone(&kernel).unwrap().expect("waves are left out");
        for other in ["synth:stream?bytes=16MiB", "synth:copy?bytes=12MiB"] {
            let behind = sampler.run(&kernel, &[&first(&open(other))]).unwrap();
            let ratio = (behind.end - behind.start) as f64 / (alone.end - alone.start) as f64;
            assert!((ratio - 1.0).abs() < 0.02, "{other}: {ratio}");
        }
        let small = first(&open("synth:copy?bytes=2MiB"));
        assert!(sampler.alone(&small).unwrap().is_none());
    }
}
