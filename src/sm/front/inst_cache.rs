//! Instruction caches of an SM.
//!
//! Fetch is evaluated only when a warp crosses into another line or jumps: within a line the
//! three-entry instruction buffer hides fetch and decode completely (Huerta et al., MICRO'25, 5.2).
//! An L0 miss goes to the SM's L1 through one port and starts the sub-core's stream buffer on the
//! lines that follow; an L1 miss is a request to L2 like any other.

use super::{CodeLine, tags};
use crate::config::FetchSpec;
use crate::mem::cache::SmallTags;
use crate::sm::cores::warp::{Local, PENDING};
use crate::stats::FetchStats;
use bincode::{Decode, Encode};
use std::collections::VecDeque;

#[derive(Clone, Debug, Encode, Decode)]
struct SubCoreFetch {
    l0: SmallTags,
    ready: Vec<Local>,
    last: Option<(CodeLine, Local)>,
    stream_first: CodeLine,
    stream: VecDeque<Local>,
}

/// The instruction caches of an SM.
#[derive(Clone, Debug, Encode, Decode)]
pub struct InstCaches {
    perfect: bool,
    l1_latency: u32,
    stream_lines: usize,
    stream_latency: u32,
    subs: Vec<SubCoreFetch>,
    l1: SmallTags,
    l1_free: Local,
    in_flight: Vec<CodeLine>,
    /// Lines to request from L2: (line, not before).
    pub requests: Vec<(CodeLine, Local)>,
}

impl InstCaches {
    /// Empty caches for `sub_cores` sub-cores.
    pub fn new(spec: &FetchSpec, sub_cores: usize) -> Self {
        let l0 = tags(spec.l0_bytes, spec.line_bytes, spec.l0_ways);
        let l0_lines = (spec.l0_bytes / spec.line_bytes) as usize;
        InstCaches {
            perfect: spec.perfect,
            l1_latency: u32::from(spec.l1_latency),
            stream_lines: usize::from(spec.stream_buffer_lines),
            stream_latency: u32::from(spec.stream_latency),
            subs: vec![
                SubCoreFetch {
                    l0,
                    ready: vec![0; l0_lines.max(1)],
                    last: None,
                    stream_first: 0,
                    stream: VecDeque::new(),
                };
                sub_cores
            ],
            l1: tags(spec.l1_bytes, spec.line_bytes, spec.l1_ways),
            l1_free: 0,
            in_flight: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Kernel boundary: everything is invalid. No line may be in flight.
    pub fn invalidate(&mut self) {
        for sub in &mut self.subs {
            sub.l0.reset();
            sub.last = None;
            sub.stream.clear();
        }
        self.l1.reset();
    }

    /// When `line` is in the L0 of sub-core `k` for a fetch at `now`; [`PENDING`] when it comes from
    /// L2. Lines from `end` on do not exist and are not prefetched.
    pub fn fetch(
        &mut self,
        k: usize,
        line: CodeLine,
        end: CodeLine,
        now: Local,
        stats: &mut FetchStats,
    ) -> Local {
        if self.perfect {
            return now;
        }
        stats.l0_lookups += 1;
        if let Some((last, ready)) = self.subs[k].last
            && last == line
            && ready <= now
        {
            return now;
        }
        let ready = match self.subs[k].l0.find(line) {
            Some(entry) => {
                self.subs[k].l0.touch(entry);
                self.subs[k].ready[entry]
            }
            None => {
                stats.l0_misses += 1;
                let ready = self.fill_l0(k, line, end, now, stats);
                let entry = self.subs[k].l0.insert(line);
                self.subs[k].ready[entry] = ready;
                ready
            }
        };
        self.subs[k].last = Some((line, ready));
        ready.max(now)
    }

    fn fill_l0(
        &mut self,
        k: usize,
        line: CodeLine,
        end: CodeLine,
        now: Local,
        stats: &mut FetchStats,
    ) -> Local {
        let first = self.subs[k].stream_first;
        let inside = line >= first && line < first + self.subs[k].stream.len() as u64;
        let ready = if inside {
            stats.stream_buffer_hits += 1;
            let at = (line - first) as usize;
            let ready = self.subs[k].stream[at];
            self.subs[k].stream.drain(..=at);
            ready.max(now + self.stream_latency)
        } else {
            self.subs[k].stream.clear();
            self.ask_l1(line, now, stats)
        };
        self.subs[k].stream_first = line + 1;
        while self.subs[k].stream.len() < self.stream_lines {
            let next = line + 1 + self.subs[k].stream.len() as u64;
            if next >= end {
                break;
            }
            let ready = self.ask_l1(next, now, stats);
            self.subs[k].stream.push_back(ready);
        }
        ready
    }

    /// When `line` comes from L1; a miss is requested from L2 and is [`PENDING`].
    fn ask_l1(&mut self, line: CodeLine, now: Local, stats: &mut FetchStats) -> Local {
        let start = self.l1_free.max(now);
        self.l1_free = start + 1;
        if let Some(entry) = self.l1.find(line) {
            self.l1.touch(entry);
            return start + self.l1_latency;
        }
        if !self.in_flight.contains(&line) {
            stats.l1_misses += 1;
            self.in_flight.push(line);
            self.requests.push((line, start));
        }
        PENDING
    }

    /// `line` arrived from L2 at `now`. Returns when the sub-cores that wait for it have it.
    pub fn arrived(&mut self, line: CodeLine, now: Local) -> Local {
        self.in_flight.retain(|&l| l != line);
        if self.l1.find(line).is_none() {
            self.l1.insert(line);
        }
        let ready = now + self.l1_latency;
        for sub in &mut self.subs {
            if let Some(entry) = sub.l0.find(line) {
                sub.ready[entry] = sub.ready[entry].min(ready);
            }
            if let Some((last, at)) = &mut sub.last
                && *last == line
            {
                *at = (*at).min(ready);
            }
            let at = line.wrapping_sub(sub.stream_first) as usize;
            if let Some(slot) = sub.stream.get_mut(at) {
                *slot = (*slot).min(ready);
            }
        }
        ready
    }

    /// Lines on their way from L2.
    pub fn idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// All times move back by `by` (the SM's epoch moves forward). Only while idle.
    pub fn rebase(&mut self, by: Local) {
        self.l1_free = self.l1_free.saturating_sub(by);
        for sub in &mut self.subs {
            sub.ready.iter_mut().for_each(|t| *t = t.saturating_sub(by));
            sub.stream
                .iter_mut()
                .for_each(|t| *t = t.saturating_sub(by));
            sub.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> FetchSpec {
        FetchSpec {
            perfect: false,
            line_bytes: 128,
            l0_bytes: 1024,
            l0_ways: 4,
            l1_bytes: 16384,
            l1_ways: 4,
            l1_latency: 39,
            stream_buffer_lines: 4,
            stream_latency: 3,
        }
    }

    #[test]
    fn a_stream_is_prefetched_ahead_of_a_sequential_fetch() {
        let mut caches = InstCaches::new(&spec(), 4);
        let mut stats = FetchStats::default();
        assert_eq!(caches.fetch(0, 100, 120, 10, &mut stats), PENDING);
        assert_eq!(caches.requests.len(), 5);
        for line in 100..105 {
            caches.arrived(line, 300);
        }
        assert_eq!(caches.fetch(0, 100, 120, 338, &mut stats), 339);
        assert_eq!(caches.fetch(0, 101, 120, 350, &mut stats), 353);
        // From L0 it comes at once.
        assert_eq!(caches.fetch(0, 100, 120, 360, &mut stats), 360);
        assert_eq!((stats.l0_misses, stats.stream_buffer_hits), (2, 1));
        // Another sub-core finds the line in L1.
        assert_eq!(caches.fetch(1, 100, 120, 400, &mut stats), 439);
    }

    #[test]
    fn nothing_is_prefetched_past_the_end() {
        let mut caches = InstCaches::new(&spec(), 1);
        caches.fetch(0, 7, 8, 0, &mut FetchStats::default());
        assert_eq!(caches.requests, [(7, 0)]);
    }

    #[test]
    fn an_evicted_line_misses_again_but_hits_l1() {
        let mut caches = InstCaches::new(
            &FetchSpec {
                stream_buffer_lines: 0,
                ..spec()
            },
            1,
        );
        let mut stats = FetchStats::default();
        for line in 0..9 {
            caches.fetch(0, line, 99, 0, &mut stats);
            caches.arrived(line, 100);
        }
        assert_eq!(caches.fetch(0, 0, 99, 1000, &mut stats), 1039);
        assert_eq!(caches.fetch(0, 8, 99, 2000, &mut stats), 2000);
    }
}
