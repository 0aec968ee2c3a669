//! The table of predictions.

use super::super::SmallTags;
use crate::config::{L1Prefetch, L1Spec};
use crate::mem::Line;

/// What is known of a load of a warp.
#[derive(Clone, Copy, Debug, Default)]
struct Prediction {
    last: Line,
    stride: i64,
    /// How often in a row the stride came again.
    again: u16,
}

#[derive(Clone, Debug)]
struct Table {
    tags: SmallTags,
    predictions: Vec<Prediction>,
    threshold: u16,
}

/// The prefetcher of an L1, where it has one.
#[derive(Clone, Debug)]
pub struct Prefetcher(Option<Box<Table>>);

impl Prefetcher {
    /// That of `spec`, with an empty table.
    pub fn new(spec: &L1Spec) -> Self {
        let (stride, on) = (&spec.stride, spec.prefetch == L1Prefetch::Stride);
        let sets = u32::from(stride.entries / stride.ways);
        Prefetcher(on.then(|| {
            Box::new(Table {
                tags: SmallTags::new(sets, u32::from(stride.ways)),
                predictions: vec![Prediction::default(); usize::from(stride.entries)],
                threshold: stride.threshold,
            })
        }))
    }

    /// Whether accesses are to be told.
    pub fn learns(&self) -> bool {
        self.0.is_some()
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        if let Some(table) = &mut self.0 {
            table.tags.reset();
        }
    }

    /// Warp `warp` touches `line` with the load at `pc` of program slot `program`; the stride of the accesses to come, in
    /// lines, when it has come often enough.
    pub fn access(&mut self, program: u8, pc: u32, warp: u8, line: Line) -> Option<i64> {
        let table = self.0.as_mut()?;
        // Warps are the lowest digits, so that they spread over the sets.
        let key = u64::from(program) << 40 | u64::from(pc) << 8 | u64::from(warp);
        let Some(id) = table.tags.find(key) else {
            let id = table.tags.insert(key);
            table.predictions[id] = Prediction {
                last: line,
                ..Prediction::default()
            };
            return None;
        };
        table.tags.touch(id);
        let entry = &mut table.predictions[id];
        let stride = line.0.wrapping_sub(entry.last.0) as i64;
        if stride != 0 {
            entry.last = line;
            match stride == entry.stride {
                true => entry.again = entry.again.saturating_add(1),
                false => (entry.stride, entry.again) = (stride, 0),
            }
        }
        (stride != 0 && entry.again >= table.threshold).then_some(stride)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ahead;
    use super::*;

    fn prefetcher(sets: &[&str]) -> Prefetcher {
        let mut all = vec!["l1.prefetch=stride".to_owned()];
        all.extend(sets.iter().map(|s| (*s).to_owned()));
        Prefetcher::new(&crate::config::load("v100", &all).unwrap().spec.l1)
    }

    /// What is predicted at each of `lines`, which warp 3 touches at pc 64.
    fn predicted(prefetcher: &mut Prefetcher, lines: &[u64]) -> Vec<Option<i64>> {
        let access = |&line: &u64| prefetcher.access(0, 64, 3, Line(line));
        lines.iter().map(access).collect()
    }

    #[test]
    fn a_stride_is_predicted_when_it_has_come_again_often_enough() {
        let mut table = prefetcher(&["l1.stride.threshold=2"]);
        let seen = predicted(&mut table, &[100, 97, 94, 91, 88, 88, 85, 86, 87, 88, 89]);
        let (none, back, on) = (None, Some(-3), Some(1));
        // The same line again says nothing, another stride begins anew.
        assert_eq!(
            seen,
            [none, none, none, back, back, none, back, none, none, on, on]
        );
        table.reset();
        assert_eq!(predicted(&mut table, &[90, 91, 92]), [none; 3]);
    }

    #[test]
    fn loads_warps_and_programs_have_predictions_of_their_own() {
        let mut table = prefetcher(&["l1.stride.threshold=1"]);
        for step in 0..4 {
            for (program, pc, warp, stride) in
                [(0, 0, 0, 1), (0, 0, 1, 2), (0, 16, 0, 3), (1, 0, 0, 4)]
            {
                let line = Line(1000 * u64::from(warp) + step * stride);
                let seen = table.access(program, pc, warp, line);
                assert_eq!(seen, (step > 1).then_some(stride as i64), "{step} {stride}");
            }
        }
    }

    #[test]
    fn a_full_set_forgets_the_load_that_was_least_recently_used() {
        let mut table = prefetcher(&[
            "l1.stride.threshold=1",
            "l1.stride.entries=2",
            "l1.stride.ways=2",
        ]);
        let mut access = |pc, line| table.access(0, pc, 0, Line(line));
        for line in [10, 11] {
            access(0, line);
            access(16, line);
        }
        assert_eq!(access(0, 12), Some(1));
        // The load at 32 takes the place of that at 16.
        assert_eq!(access(32, 5), None);
        assert_eq!(access(0, 13), Some(1));
        assert_eq!(access(16, 12), None);
        assert_eq!(access(16, 13), None);
        assert_eq!(access(16, 14), Some(1));
    }

    #[test]
    fn a_prefetch_stays_on_the_page_of_its_access() {
        let page = 16384;
        assert_eq!(ahead(Line(page - 3), 1, 2), Some(Line(page - 1)));
        assert_eq!(ahead(Line(page - 3), 1, 3), None);
        assert_eq!(ahead(Line(page + 3), -1, 3), Some(Line(page)));
        assert_eq!(ahead(Line(page + 3), -1, 4), None);
        assert_eq!(ahead(Line(2), -1, 3), None, "below zero");
    }
}
