//! How far each SM had come at what time, and from that how fast it is in the loops of so many CTAs.
//!
//! A kernel's end says little about its loop: it moves by a third of an iteration with the order in which warps happen
//! to be picked. The rate at which an SM issues in the middle of the loops hardly moves at all. So the life of an SM is
//! taken apart at the starts and ends of its CTAs, and in each phase the rate is read off the middle, where nothing starts
//! or ends.

use crate::engine::Cycle;
use crate::simulation::{CtaSpan, Sample};
use crate::stats::ChipCounters;

/// The course of a run in which the loops of all CTAs were cut.
#[derive(Default)]
pub struct Course {
    samples: Vec<Sample>,
    /// The CTAs of each SM, in order of their end.
    ctas: Vec<Vec<(Cycle, Cycle)>>,
    /// Their numbers in order of their start.
    started: Vec<Vec<u64>>,
}

/// The middle of a CTA's life: behind the ramp, and before pipelines of some stages have no more to fetch.
const CLEAN: (f64, f64) = (0.35, 0.7);
/// The part of a phase that its rate is read off when there is no time at which all CTAs are in the middle of their lives:
/// most such phases begin because a CTA ended which none replaced, and end with the epilogue of another.
const DRAINING: (f64, f64) = (0.05, 0.5);
/// Samples in a time from which on a rate is read off it.
const SAMPLES_MIN: f64 = 6.0;

/// Share of the first phase of a run that another phase lasts at least, to be asked for its rate: in shorter ones most of
/// the time something starts or ends.
const LONG: f64 = 0.25;

/// How fast an SM makes its way through loops.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Warp instructions a cycle.
    pub value: f64,
    /// The same in the earlier half of the time in which it was seen.
    pub early: f64,
    /// The same in the later half.
    pub late: f64,
}

/// What counted while nothing but loops ran.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// For how long.
    pub cycles: f64,
    /// What was counted.
    pub gained: ChipCounters,
}

/// Instructions and cycles that were seen: in all of a time, in its earlier and in its later half.
#[derive(Clone, Copy, Debug, Default)]
struct Seen([(f64, f64); 3]);

impl Seen {
    fn add(&mut self, course: &Course, sm: usize, (from, to): (f64, f64)) {
        let half = (from + to) / 2.0;
        for (sum, (from, to)) in self
            .0
            .iter_mut()
            .zip([(from, to), (from, half), (half, to)])
        {
            sum.0 += course.issued(sm, to) - course.issued(sm, from);
            sum.1 += to - from;
        }
    }

    fn rate(&self) -> Option<Rate> {
        let rate = |(issued, cycles): (f64, f64)| issued / f64::max(cycles, 1.0);
        let [value, early, late] = self.0.map(rate);
        (early > 0.0 && late > 0.0).then_some(Rate { value, early, late })
    }
}

impl Course {
    /// Of the CTAs and samples of a run on `sms` SMs.
    pub fn new(ctas: &[CtaSpan], samples: Vec<Sample>, sms: usize) -> Self {
        let mut of_sm = vec![Vec::new(); sms];
        let mut starts = vec![Vec::new(); sms];
        for cta in ctas {
            of_sm[usize::from(cta.sm)].push(cta.span);
            starts[usize::from(cta.sm)].push((cta.span.0, cta.cta));
        }
        let numbers = |mut starts: Vec<(Cycle, u64)>| {
            starts.sort_unstable();
            starts.into_iter().map(|(_, cta)| cta).collect()
        };
        Course {
            samples,
            ctas: of_sm,
            started: starts.into_iter().map(numbers).collect(),
        }
    }

    /// The CTA that `sm` started as its number `at`.
    pub fn started(&self, sm: usize, at: usize) -> Option<u64> {
        self.started[sm].get(at).copied()
    }

    /// The rates of SMs by the CTAs that they hold less one, up to `holds`: over all times at which every CTA of an SM was in
    /// the middle of its life, or, where there was none, over all phases that are long enough. Nothing for numbers of CTAs
    /// that never stayed together for long.
    pub fn rates(&self, holds: u32) -> Vec<Option<Rate>> {
        let mut clean = vec![Seen::default(); holds as usize];
        let mut rough = clean.clone();
        for sm in 0..self.ctas.len() {
            let phases = self.phases(sm);
            let first = phases.first().map_or(0.0, |(from, to)| to - from);
            for (from, to) in phases {
                let resident = self.resident(sm, (from + to) / 2.0);
                let Some(at) = resident.checked_sub(1).filter(|at| *at < holds as usize) else {
                    continue;
                };
                let (begin, end) = self.middle(sm, from, to);
                if self.long(begin, end) {
                    clean[at].add(self, sm, (begin, end));
                }
                if to - from >= LONG * first && self.long(from, to) {
                    rough[at].add(self, sm, part(from, to, DRAINING));
                }
            }
        }
        let pairs = clean.iter().zip(&rough);
        pairs
            .map(|(clean, rough)| clean.rate().or(rough.rate()))
            .collect()
    }

    /// The part of a phase in which every CTA there is in the middle of its life.
    fn middle(&self, sm: usize, from: f64, to: f64) -> (f64, f64) {
        let spans = self.ctas[sm]
            .iter()
            .map(|span| (span.0 as f64, span.1 as f64));
        let there = spans.filter(|span| span.0 < to && from < span.1);
        there
            .map(|(start, end)| part(start, end, CLEAN))
            .fold((from, to), |(begin, end), cta| {
                (begin.max(cta.0), end.min(cta.1))
            })
    }

    /// Warp instructions that SMs holding `holds` CTAs from the beginning had issued when the first of them ended: the mean
    /// over SMs. Nothing when no SM held so many.
    pub fn issued_at_first_end(&self, holds: u32) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (sm, ctas) in self.ctas.iter().enumerate() {
            let Some(start) = ctas.iter().map(|span| span.0).min() else {
                continue;
            };
            let end = ctas.iter().map(|span| span.1).min().unwrap_or(start) as f64;
            if self.resident(sm, (start as f64 + end) / 2.0) == holds as usize {
                sum += self.issued(sm, end);
                count += 1.0;
            }
        }
        (count > 0.0).then_some(sum / count)
    }

    /// How fast each SM is in its first phase, for the mean of all. What only chance made faster in one
    /// half of the time is not so in the other, so a factor is taken as far as both halves agree on it.
    pub fn speeds(&self) -> Vec<f64> {
        let halves: Vec<Option<(f64, f64)>> = (0..self.ctas.len())
            .map(|sm| {
                let (from, to) = *self.phases(sm).first()?;
                let half = (CLEAN.0 + CLEAN.1) / 2.0;
                let rate = |window| {
                    let (from, to) = part(from, to, window);
                    (self.issued(sm, to) - self.issued(sm, from)) / f64::max(to - from, 1.0)
                };
                let halves = (rate((CLEAN.0, half)), rate((half, CLEAN.1)));
                (self.long(from, to) && halves.0 > 0.0 && halves.1 > 0.0).then_some(halves)
            })
            .collect();
        let seen = halves.iter().flatten();
        let count = f64::max(seen.clone().count() as f64, 1.0);
        let early = seen.clone().map(|pair| pair.0).sum::<f64>() / count;
        let late = seen.clone().map(|pair| pair.1).sum::<f64>() / count;
        let off = |pair: &(f64, f64)| (pair.0 / early - 1.0, pair.1 / late - 1.0);
        let (mut both, mut each) = (0.0, 0.0);
        for (a, b) in seen.map(off) {
            both += a * b;
            each += (a * a + b * b) / 2.0;
        }
        let agree = (both / f64::max(each, f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        let factor = |pair: Option<(f64, f64)>| {
            pair.map_or(1.0, |pair| {
                let (a, b) = off(&pair);
                1.0 + agree * (a + b) / 2.0
            })
        };
        halves.into_iter().map(factor).collect()
    }

    /// CTAs on `sm` at `time`.
    fn resident(&self, sm: usize, time: f64) -> usize {
        let there = |span: &&(Cycle, Cycle)| (span.0 as f64) < time && time < span.1 as f64;
        self.ctas[sm].iter().filter(there).count()
    }

    /// What the counters of the whole chip gained in some time in which nothing but loops ran, of `each` instructions an
    /// iteration: all CTAs that had started were past their ramp, and none had ended. CTAs that go in step access memory at
    /// some times and not at others, so both ends of that time are means over an iteration, and whole iterations lie between
    /// them. Nothing when there is no such time.
    pub fn steady(&self, each: u64) -> Option<Steady> {
        let spans = || self.ctas.iter().flatten();
        let begin = spans().map(|span| span.0).min()? as f64;
        let (from, to) = part(begin, spans().map(|span| span.1).min()? as f64, CLEAN);
        let resident = spans().filter(|span| (span.0 as f64) < from).count() as u64;
        let round = each * resident;
        let samples = self.samples.get(self.index(from)..=self.index(to))?;
        let issued =
            |sample: &Sample| issued_of(&sample.counters) - issued_of(&samples[0].counters);
        let rounds = issued(samples.last()?).checked_div(round)?;
        let behind =
            |rounds: u64| samples.partition_point(|sample| issued(sample) < rounds * round);
        let last = rounds.checked_sub(1).filter(|last| *last > 0)?;
        let (at_0, counters_0) = mean(&samples[..behind(1)])?;
        let (at_1, counters_1) = mean(&samples[behind(last)..behind(last + 1)])?;
        Some(Steady {
            cycles: at_1 - at_0,
            gained: counters_1.since(&counters_0),
        })
    }

    /// The times between which the CTAs of `sm` stay the same.
    fn phases(&self, sm: usize) -> Vec<(f64, f64)> {
        let ctas = &self.ctas[sm];
        let mut times: Vec<Cycle> = ctas.iter().flat_map(|span| [span.0, span.1]).collect();
        times.sort_unstable();
        times.dedup();
        let pair = |pair: &[Cycle]| (pair[0] as f64, pair[1] as f64);
        times.windows(2).map(pair).collect()
    }

    /// Whether there are enough samples from `from` to `to` to read a rate off a part of them.
    fn long(&self, from: f64, to: f64) -> bool {
        let step = match self.samples.as_slice() {
            [.., a, b] => (b.at - a.at) as f64,
            _ => f64::INFINITY,
        };
        to - from >= SAMPLES_MIN * step
    }

    /// The first sample at or behind `time`.
    fn index(&self, time: f64) -> usize {
        self.samples
            .partition_point(|sample| (sample.at as f64) < time)
    }

    /// Warp instructions that `sm` had issued at `time`, between two samples by proportion.
    fn issued(&self, sm: usize, time: f64) -> f64 {
        let at = self.index(time);
        let point = |sample: &Sample| (sample.at as f64, sample.units.issued[sm] as f64);
        match (
            at.checked_sub(1).and_then(|at| self.samples.get(at)),
            self.samples.get(at),
        ) {
            (Some(before), Some(after)) => {
                let ((x0, y0), (x1, y1)) = (point(before), point(after));
                y0 + (y1 - y0) * (time - x0) / (x1 - x0).max(1.0)
            }
            (Some(last), None) => point(last).1,
            (None, first) => first.map_or(0.0, |first| point(first).1),
        }
    }
}

/// The mean time of `samples` and their mean counters.
fn mean(samples: &[Sample]) -> Option<(f64, ChipCounters)> {
    let count = u64::try_from(samples.len())
        .ok()
        .filter(|count| *count > 0)?;
    let mut sum = ChipCounters::default();
    samples.iter().for_each(|sample| sum += &sample.counters);
    let at: f64 = samples.iter().map(|sample| sample.at as f64).sum();
    let counters = sum.blend(&sum, &mut |_, sum, _| sum / count);
    Some((at / count as f64, counters))
}

fn issued_of(counters: &ChipCounters) -> u64 {
    counters.sm.sm.warp_instructions
}

/// From `window.0` to `window.1` of the time from `from` to `to`.
fn part(from: f64, to: f64, window: (f64, f64)) -> (f64, f64) {
    let at = |share: f64| from + share * (to - from);
    (at(window.0), at(window.1))
}
