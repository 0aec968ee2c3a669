//! Differences of accounts whose labels may still change.

use super::counters::BusCycles;

impl BusCycles {
    /// The account since `earlier`, whose sum is the CK between the two.
    ///
    /// A gap that was open at `earlier` had the label that it would have had if it had ended there; the burst that ended it
    /// may have given it another one. What a label has lost so is taken from those that have grown: the CK of that gap that
    /// lie behind `earlier` keep the new label, those before it stay where they were counted.
    pub fn relabelled_since(&self, earlier: &Self) -> Self {
        let mut lost = 0;
        let mut grown = |now: u64, then: u64| {
            lost += then.saturating_sub(now);
            now.saturating_sub(then)
        };
        let mut since = BusCycles {
            data: grown(self.data, earlier.data),
            idle: grown(self.idle, earlier.idle),
            activate_wait: grown(self.activate_wait, earlier.activate_wait),
            turnaround: grown(self.turnaround, earlier.turnaround),
            refresh: grown(self.refresh, earlier.refresh),
            column_wait: grown(self.column_wait, earlier.column_wait),
        };
        for label in [
            &mut since.activate_wait,
            &mut since.turnaround,
            &mut since.refresh,
            &mut since.column_wait,
            &mut since.idle,
            &mut since.data,
        ] {
            let cut = lost.min(*label);
            *label -= cut;
            lost -= cut;
        }
        debug_assert_eq!(lost, 0, "no time passes backwards");
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_gets_another_label_is_counted_once() {
        let earlier = BusCycles {
            data: 10,
            idle: 50,
            column_wait: 40,
            ..BusCycles::default()
        };
        // The 40 CK were part of a gap of 70, at whose end a row was opened.
        let later = BusCycles {
            data: 14,
            idle: 50,
            activate_wait: 70,
            ..BusCycles::default()
        };
        let since = later.relabelled_since(&earlier);
        let expected = BusCycles {
            data: 4,
            activate_wait: 30,
            ..BusCycles::default()
        };
        assert_eq!(since, expected);
        assert_eq!(since.total(), later.total() - earlier.total());
        assert_eq!(later.relabelled_since(&later), BusCycles::default());
        assert_eq!(later.relabelled_since(&BusCycles::default()), later);
    }
}
