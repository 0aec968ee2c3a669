//! Scores of the warps of an SM, and who is held back by them.

use crate::sm::cores::warp::Local;

const WARPS: usize = 64;

/// A warp's score: so much at a cycle, and one less each cycle after it, down to the base.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    points: u32,
    since: Local,
    /// Number among all warps that have started.
    age: u64,
}

/// The scores of an SM.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    base: u32,
    warps: Vec<Score>,
    live: u64,
    started: u64,
    /// From this cycle on every warp has the base score.
    until: Local,
    /// Who is held at `held_at`; worked out again when that has passed or something changed.
    held: u64,
    held_at: Option<Local>,
}

impl Scores {
    /// `warps` slots without a warp.
    pub(super) fn new(warps: usize, base: u32) -> Self {
        Scores {
            base,
            warps: vec![Score::default(); warps.min(WARPS)],
            live: 0,
            started: 0,
            until: 0,
            held: 0,
            held_at: None,
        }
    }

    pub(super) fn rebase(&mut self) {
        (self.until, self.held_at) = (0, None);
    }

    pub(super) fn launched(&mut self, slot: usize) {
        self.started += 1;
        self.live |= 1 << slot;
        self.warps[slot] = Score {
            points: 0,
            since: 0,
            age: self.started,
        };
        self.held_at = None;
    }

    pub(super) fn exited(&mut self, slot: usize) {
        self.live &= !(1 << slot);
        self.held_at = None;
    }

    /// The sum of the scores that may load.
    fn cutoff(&self) -> u64 {
        u64::from(self.live.count_ones()) * u64::from(self.base)
    }

    /// The score of `slot` at `now`.
    pub(super) fn of(&self, slot: usize, now: Local) -> u32 {
        let score = self.warps[slot];
        let fallen = score.points.saturating_sub(now - score.since.min(now));
        fallen.max(self.base)
    }

    /// The score of `slot` is at least `lost` / `issued` of the cutoff from `now` on, and at most the cutoff.
    pub(super) fn raise(&mut self, slot: usize, now: Local, lost: u64, issued: u64) {
        let cutoff = self.cutoff();
        let points = (lost * cutoff / issued).min(cutoff) as u32;
        if points > self.of(slot, now) {
            self.warps[slot].points = points;
            self.warps[slot].since = now;
            self.until = self.until.max(now + (points - self.base));
            self.held_at = None;
        }
    }

    /// Slots of warps that may not load at `now`.
    pub(super) fn held(&mut self, now: Local) -> u64 {
        if now >= self.until {
            return 0;
        }
        if self.held_at != Some(now) {
            (self.held, self.held_at) = (self.work_out(now), Some(now));
        }
        self.held
    }

    fn work_out(&self, now: Local) -> u64 {
        let mut order = [(u32::MAX, u64::MAX, 0u8); WARPS];
        let mut count = 0;
        for slot in (0..self.warps.len()).filter(|slot| self.live >> slot & 1 == 1) {
            let score = self.of(slot, now);
            order[count] = (u32::MAX - score, self.warps[slot].age, slot as u8);
            count += 1;
        }
        let order = &mut order[..count];
        order.sort_unstable();
        let (mut sum, mut held) = (0, 0);
        for (place, &(below, _, slot)) in order.iter().enumerate() {
            sum += u64::from(u32::MAX - below);
            if place > 0 && sum > self.cutoff() {
                held |= 1 << slot;
            }
        }
        held
    }
}
