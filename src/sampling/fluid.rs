//! The whole grid as a fluid: CTAs that flow through SMs at the rates that were measured.
//!
//! An SM that holds so many CTAs makes so many iterations of their loops a cycle; the oldest CTA gets the largest share,
//! for schedulers prefer it. A CTA spends some time beside its loop. That is all that is needed to say how a run of many
//! iterations differs from one of few: which waves overlap, how long SMs stand half empty at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rates of a machine for the CTAs of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Fluid {
    /// The speed of each SM for that of the mean.
    pub speeds: Vec<f64>,
    /// Iterations that an SM makes a cycle, all CTAs together, by the number of CTAs in their loops less one: as many
    /// entries as CTAs fit.
    pub rates: Vec<f64>,
    /// The share of a CTA for that of the next older one, at most 1.
    pub skew: f64,
    /// Cycles that a CTA spends beside its loop.
    pub overhead: f64,
}

/// A CTA on an SM.
#[derive(Clone, Copy, Debug)]
struct Cta {
    /// When its loop begins.
    from: f64,
    /// Iterations left.
    left: f64,
}

/// One SM.
#[derive(Clone, Debug, Default)]
struct Sm {
    /// The oldest first.
    ctas: Vec<Cta>,
    /// Up to when it has been followed.
    now: f64,
}

/// A time, in an order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct At(f64);

impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Iterations that count as none.
const DONE: f64 = 1e-6;

impl Fluid {
    /// Cycles until the last CTA has ended. `cta` gives the iterations of the next CTA of an SM that has room, by the SM's
    /// number, as long as there is one for it.
    pub fn makespan(&self, mut cta: impl FnMut(usize) -> Option<f64>) -> f64 {
        let mut sms = vec![Sm::default(); self.speeds.len()];
        for _ in 0..self.rates.len() {
            for (at, sm) in sms.iter_mut().enumerate() {
                let from = self.overhead;
                sm.ctas.extend(cta(at).map(|left| Cta { from, left }));
            }
        }
        let next = |(at, sm): (usize, &Sm)| {
            let event = self.next_event(sm, self.speeds[at])?;
            Some(Reverse((At(event), at)))
        };
        let mut events: BinaryHeap<_> = sms.iter().enumerate().filter_map(next).collect();
        let mut last = 0.0;
        while let Some(Reverse((At(now), at))) = events.pop() {
            let sm = &mut sms[at];
            let ended = self.advance(sm, now, self.speeds[at]);
            if ended > 0 {
                last = now;
            }
            for _ in 0..ended {
                let from = now + self.overhead;
                sm.ctas.extend(cta(at).map(|left| Cta { from, left }));
            }
            events.extend(next((at, sm)));
        }
        last
    }

    /// Iterations a cycle of each CTA in its loop, the oldest first, when there are `active`.
    fn shares(&self, active: usize) -> impl Iterator<Item = f64> {
        let rate = self.rates[active.clamp(1, self.rates.len()) - 1];
        let weight = |rank: usize| self.skew.powi(rank as i32);
        let all: f64 = (0..active).map(weight).sum();
        let skew = self.skew;
        (0..active).map(move |rank| rate * skew.powi(rank as i32) / all)
    }

    /// When the set of CTAs in their loops changes next.
    fn next_event(&self, sm: &Sm, speed: f64) -> Option<f64> {
        let active = sm.ctas.iter().filter(|cta| cta.from <= sm.now);
        let ends = self
            .shares(active.clone().count())
            .zip(active)
            .map(|(share, cta)| sm.now + cta.left / (share * speed));
        let begins = sm
            .ctas
            .iter()
            .map(|cta| cta.from)
            .filter(|from| *from > sm.now);
        ends.chain(begins).reduce(f64::min)
    }

    /// Follows `sm` to `now`, its next event. Returns the CTAs that ended.
    fn advance(&self, sm: &mut Sm, now: f64, speed: f64) -> usize {
        let elapsed = now - sm.now;
        let before = sm.now;
        let active = sm.ctas.iter().filter(|cta| cta.from <= before).count();
        let in_loop = sm.ctas.iter_mut().filter(|cta| cta.from <= before);
        for (cta, share) in in_loop.zip(self.shares(active)) {
            cta.left -= share * speed * elapsed;
        }
        sm.now = now;
        let held = sm.ctas.len();
        sm.ctas.retain(|cta| cta.from > before || cta.left > DONE);
        held - sm.ctas.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CTAs for whoever asks.
    fn queue(trips: impl IntoIterator<Item = f64>) -> impl FnMut(usize) -> Option<f64> {
        let mut trips = trips.into_iter();
        move |_| trips.next()
    }

    fn fluid(rates: &[f64], skew: f64, overhead: f64) -> Fluid {
        Fluid {
            speeds: vec![1.0; 2],
            rates: rates.to_vec(),
            skew,
            overhead,
        }
    }

    #[test]
    fn waves_follow_each_other_and_a_lone_cta_has_its_own_rate() {
        // Two SMs of two CTAs, 0.1 iterations a cycle together, 0.08 alone.
        let fluid = fluid(&[0.08, 0.1], 1.0, 7.0);
        assert_eq!(fluid.makespan(queue([])), 0.0);
        assert!((fluid.makespan(queue([8.0])) - 107.0).abs() < 1e-6);
        assert!((fluid.makespan(queue([8.0; 4])) - 167.0).abs() < 1e-6);
        assert!((fluid.makespan(queue([8.0; 8])) - 334.0).abs() < 1e-6);
        // The fifth begins with the others of its SM gone.
        assert!((fluid.makespan(queue([8.0; 5])) - 274.0).abs() < 1e-6);
    }

    #[test]
    fn the_older_cta_ends_first_and_the_next_one_takes_its_place() {
        // The older one has two thirds: it ends at 120, the younger has done 4 and is now the oldest.
        let fluid = Fluid {
            speeds: vec![1.0],
            ..fluid(&[0.1, 0.1], 0.5, 0.0)
        };
        assert!((fluid.makespan(queue([8.0; 2])) - 160.0).abs() < 1e-6);
        assert!((fluid.makespan(queue([8.0; 3])) - 240.0).abs() < 1e-6);
    }

    #[test]
    fn a_slower_sm_ends_later() {
        let fluid = Fluid {
            speeds: vec![1.0, 0.5],
            ..fluid(&[0.1], 1.0, 0.0)
        };
        assert!((fluid.makespan(queue([8.0; 2])) - 160.0).abs() < 1e-6);
    }

    #[test]
    fn work_is_conserved_when_one_cta_fills_an_sm() {
        // Whatever the skew and the order, an SM that is as fast with one CTA ends after all its iterations.
        for skew in [0.3, 0.7, 1.0] {
            let fluid = Fluid {
                speeds: vec![1.0],
                ..fluid(&[0.1; 4], skew, 0.0)
            };
            let trips: Vec<f64> = (1..30).map(|k| f64::from(k % 5 + 1)).collect();
            let work: f64 = trips.iter().sum();
            assert!((fluid.makespan(queue(trips)) - work / 0.1).abs() < 1e-3);
        }
    }
}
