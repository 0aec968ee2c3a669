//! Constant caches of an SM.

use super::{CodeLine, tags};
use crate::config::ConstCacheSpec;
use crate::mem::cache::SmallTags;
use crate::sm::cores::warp::{Local, PENDING};
use crate::stats::FetchStats;
use bincode::{Decode, Encode};

/// Launch constants and parameters of a kernel at most, bytes from the bank's start on.
const PARAMETER_BYTES: u32 = 0x210 + 4096;

/// The constant caches of an SM: a small first level and level 1.5, then L2.
#[derive(Clone, Debug, Encode, Decode)]
pub struct ConstCaches {
    perfect: bool,
    l15_latency: u32,
    l1: SmallTags,
    l15: SmallTags,
    /// First line of the launch that was loaded last.
    launched: CodeLine,
    launch_lines: u32,
    in_flight: Vec<CodeLine>,
    /// Lines to request from L2.
    pub requests: Vec<(CodeLine, Local)>,
}

impl ConstCaches {
    /// Empty caches.
    pub fn new(spec: &ConstCacheSpec) -> Self {
        ConstCaches {
            perfect: spec.perfect,
            l15_latency: u32::from(spec.l15_latency),
            l1: tags(spec.l1_bytes, spec.line_bytes, spec.l1_ways),
            l15: tags(spec.l15_bytes, spec.line_bytes, spec.l15_ways),
            launched: 0,
            launch_lines: if spec.launch_fills {
                PARAMETER_BYTES.div_ceil(spec.line_bytes)
            } else {
                0
            },
            in_flight: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// A CTA of a launch whose constants are `lines` lines from `first` on starts: its parameters
    /// are there, if it is the first one.
    pub fn launch(&mut self, first: CodeLine, lines: u32) {
        if std::mem::replace(&mut self.launched, first) == first {
            return;
        }
        for line in first..first + u64::from(lines.min(self.launch_lines)) {
            if self.l15.find(line).is_none() {
                self.l15.insert(line);
            }
        }
    }

    /// Kernel boundary.
    pub fn invalidate(&mut self) {
        self.launched = 0;
        self.l1.reset();
        self.l15.reset();
    }

    /// When `line` is in the first level for an access at `now`.
    pub fn access(&mut self, line: CodeLine, now: Local, stats: &mut FetchStats) -> Local {
        stats.const_accesses += 1;
        if self.perfect {
            return now;
        }
        if let Some(entry) = self.l1.find(line) {
            self.l1.touch(entry);
            return now;
        }
        stats.const_misses += 1;
        if let Some(entry) = self.l15.find(line) {
            self.l15.touch(entry);
            self.l1.insert(line);
            return now + self.l15_latency;
        }
        if !self.in_flight.contains(&line) {
            self.in_flight.push(line);
            self.requests.push((line, now));
        }
        PENDING
    }

    /// `line` arrived from L2 at `now`; returns when its waiters have it.
    pub fn arrived(&mut self, line: CodeLine, now: Local) -> Local {
        self.in_flight.retain(|&l| l != line);
        for tags in [&mut self.l1, &mut self.l15] {
            if tags.find(line).is_none() {
                tags.insert(line);
            }
        }
        now + self.l15_latency
    }

    /// No line is on its way.
    pub fn idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_there_when_the_first_cta_starts() {
        let gpu = crate::config::load("h100-pcie", &[]).unwrap().spec;
        let l15 = u32::from(gpu.const_cache.l15_latency);
        let mut stats = FetchStats::default();
        let mut caches = ConstCaches::new(&gpu.const_cache);
        caches.launch(1000, 2000);
        let last = 1000 + u64::from(PARAMETER_BYTES.div_ceil(64)) - 1;
        assert_eq!(caches.access(1000, 10, &mut stats), 10 + l15);
        assert_eq!(caches.access(last, 10, &mut stats), 10 + l15);
        assert_eq!(caches.access(last + 1, 10, &mut stats), PENDING);
        caches.arrived(last + 1, 20);
        caches.invalidate();
        caches.launch(1000, 1);
        assert_eq!(caches.access(1000, 30, &mut stats), 30 + l15);
        assert_eq!(caches.access(1001, 30, &mut stats), PENDING, "not named");
        let spec = ConstCacheSpec {
            launch_fills: false,
            ..gpu.const_cache
        };
        let mut caches = ConstCaches::new(&spec);
        caches.launch(1000, 1);
        assert_eq!(caches.access(1000, 10, &mut stats), PENDING);
    }
}
