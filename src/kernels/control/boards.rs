//! Which of the six scoreboards each wait gets.
//!
//! A scoreboard counts everything that was set on it, so who waits for one of two results waits for both. Results that
//! come from beyond the SM take many times as long as those of shared memory or of special functions: the two never share
//! a scoreboard while both are under way, as far as there are scoreboards. Among themselves, what ends at about the same
//! place shares one: then nothing waits long for what it does not need.

use std::ops::Range;

/// Scoreboards of a warp.
pub(super) const BOARDS: usize = 6;
/// Waits that lie apart by less than this part of their length share a scoreboard.
const NEAR: usize = 8;
/// Scoreboards of what comes from beyond the SM, where there are waits of both kinds.
const DISTANT: usize = 3;

/// What one instruction makes others wait for, each time it is executed: from its issue to the first that waits, as places
/// in a walk. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wait {
    /// Whether it comes from beyond the SM.
    pub distant: bool,
    /// One for each time.
    pub spans: Vec<Range<usize>>,
    /// All places where those that wait for it are executed: they wait there too, whatever is on its scoreboard then.
    pub waiters: Vec<usize>,
}

impl Wait {
    /// Whether one of those that wait for it would wait for `distant` with it.
    fn holds(&self, distant: &Wait) -> bool {
        let inside = |span: &Range<usize>| {
            self.waiters
                .iter()
                .any(|at| span.start < *at && *at < span.end)
        };
        distant.spans.iter().any(inside)
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// What is on a scoreboard.
#[derive(Clone, Debug, Default)]
struct Board(Vec<Wait>);

impl Board {
    /// How far apart the ends of `wait` and of what is under way with it are; nothing where nothing is.
    fn harm(&self, wait: &Wait) -> Option<usize> {
        let pairs = self.0.iter().flat_map(|other| &other.spans);
        let pairs = pairs.flat_map(|other| wait.spans.iter().map(move |span| (span, other)));
        let together = pairs.filter(|(span, other)| overlap(span, other));
        together
            .map(|(span, other)| span.end.abs_diff(other.end))
            .max()
    }

    /// Whether something of the other kind is under way with `wait`.
    fn mixes(&self, wait: &Wait) -> bool {
        let mut others = self.0.iter().filter(|other| other.distant != wait.distant);
        others.any(|other| {
            let (near, distant) = if wait.distant {
                (other, wait)
            } else {
                (wait, other)
            };
            let mut spans = near.spans.iter();
            let together = spans.any(|one| distant.spans.iter().any(|span| overlap(one, span)));
            together || near.holds(distant)
        })
    }

    /// The end of what was on it last before `place`.
    fn free_since(&self, place: usize) -> usize {
        let ends = self
            .0
            .iter()
            .flat_map(|wait| &wait.spans)
            .map(|span| span.end);
        ends.filter(|&end| end <= place).max().unwrap_or(0)
    }
}

/// The scoreboard of each of `waits`, which come in the order of their first execution.
pub(super) fn assign(waits: &[Wait]) -> Vec<u8> {
    let mut boards: [Board; BOARDS] = Default::default();
    let mut assigned = vec![0; waits.len()];
    let both = waits.iter().any(|wait| wait.distant) && waits.iter().any(|wait| !wait.distant);
    for distant in [true, false] {
        for (wait, to) in waits.iter().zip(&mut assigned) {
            if wait.distant == distant {
                let among = if both && distant { DISTANT } else { BOARDS };
                let board = choose(&boards[..among], wait);
                boards[board].0.push(wait.clone());
                *to = board as u8;
            }
        }
    }
    assigned
}

fn choose(boards: &[Board], wait: &Wait) -> usize {
    let unmixed: Vec<usize> = (0..boards.len())
        .filter(|&n| !boards[n].mixes(wait))
        .collect();
    let allowed = match unmixed.is_empty() {
        true => (0..boards.len()).collect(),
        false => unmixed,
    };
    let span = &wait.spans[0];
    let near = (span.end - span.start) / NEAR;
    let shared = allowed
        .iter()
        .filter_map(|&n| Some((boards[n].harm(wait)?, n)));
    let nearest = shared.min();
    let free = allowed.iter().filter(|&&n| boards[n].harm(wait).is_none());
    // The one that was free first: what was on it has surely come back.
    let free = free.min_by_key(|&&n| boards[n].free_since(span.start));
    match (nearest, free) {
        (Some((harm, nearest)), _) if harm <= near => nearest,
        (_, Some(&free)) => free,
        (Some((_, nearest)), None) => nearest,
        (None, None) => unreachable!("there are scoreboards"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(distant: bool, span: Range<usize>) -> Wait {
        Wait {
            distant,
            waiters: vec![span.end],
            spans: vec![span],
        }
    }

    #[test]
    fn what_ends_together_shares_a_scoreboard() {
        let of = assign(&[
            wait(false, 0..100),
            wait(false, 1..101),
            wait(false, 2..200),
        ]);
        assert_eq!(of[0], of[1]);
        assert_ne!(of[0], of[2]);
    }

    #[test]
    fn what_comes_from_far_keeps_apart_from_what_is_near() {
        // Eight short waits with ends far apart would take all six.
        let mut waits: Vec<_> = (0..8).map(|n| wait(false, n..20 + 20 * n)).collect();
        waits.push(wait(true, 8..1000));
        let of = assign(&waits);
        assert!(of[..8].iter().all(|&board| board != of[8]), "{of:?}");
        // Without the far one they do.
        let mut boards = assign(&waits[..8]);
        boards.sort_unstable();
        boards.dedup();
        assert_eq!(boards.len(), BOARDS);
    }

    #[test]
    fn every_execution_counts() {
        // A loop: the load of an iteration is under way while the next one reads shared memory.
        let near = Wait {
            distant: false,
            spans: vec![0..10, 100..110],
            waiters: vec![10, 110],
        };
        let far = wait(true, 50..150);
        let of = assign(&[near, far.clone()]);
        assert_ne!(of[0], of[1]);
        // Only the first execution has something to wait for, the second waits for what is there.
        let first = Wait {
            waiters: vec![10, 110],
            ..wait(false, 0..10)
        };
        let of = assign(&[first, far]);
        assert_ne!(of[0], of[1]);
    }

    #[test]
    fn more_waits_than_scoreboards_find_the_nearest() {
        let waits: Vec<_> = (0..7).map(|n| wait(true, n..1000 * (n + 1))).collect();
        let of = assign(&waits);
        assert_eq!(of[6], of[5], "{of:?}");
    }
}
