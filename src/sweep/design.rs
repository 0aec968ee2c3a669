//! Which points of the space of all axes are looked at: all, or some that are drawn.

use super::axis::{Axis, POINTS_MAX, Setting, Values, between};
use super::file::{File, Method, Sample};
use crate::error::{Error, Result, input};
use crate::expression;
use crate::output;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Draws for each point that is asked for, before it is believed that there are not so many.
const DRAWS: usize = 64;
/// Draws that are made in any case.
const DRAWS_LEAST: usize = 100_000;

/// Points of the axes: for each axis the number of its value.
#[derive(Clone, Debug)]
pub struct Design {
    /// Keys of each axis.
    pub keys: Vec<Vec<String>>,
    /// Values of each axis, with a setting for each of its keys.
    pub values: Vec<Vec<Vec<Setting>>>,
    /// Points, in their order.
    pub rows: Vec<Vec<u32>>,
}

/// The number of points of a grid, or `None` beyond what 128 bits hold.
fn grid_points(axes: &[Axis]) -> Option<u128> {
    axes.iter().try_fold(1u128, |all, axis| match &axis.values {
        Values::List(values) => all.checked_mul(values.len() as u128),
        Values::Between { .. } => None,
    })
}

/// The number that is drawn at `place` (0 to 1, which is not reached): all are as likely, or all orders of magnitude.
fn drawn_at(from: u64, to: u64, place: f64, log: bool) -> u64 {
    match log {
        true => between(from, to, place, true),
        false => (from + (place * ((to - from) as f64 + 1.0)) as u64).min(to),
    }
}

/// A place (0 to 1) on an axis for each of `points`.
fn column(method: Method, points: usize, random: &mut Pcg64Mcg) -> Vec<f64> {
    let mut strata: Vec<usize> = (0..points).collect();
    if method == Method::LatinHypercube {
        strata.shuffle(random);
    }
    let place = |stratum| match method {
        Method::Random => random.random::<f64>(),
        Method::LatinHypercube => (stratum as f64 + random.random::<f64>()) / points as f64,
    };
    strata.into_iter().map(place).collect()
}

impl Design {
    /// The points of `axes`; `times` is how often each is run (workloads times GPUs). Points that are drawn keep the
    /// constraints on all machines of `echoes`.
    ///
    /// # Errors
    /// More points than a sweep may have; constraints that are no comparisons.
    pub fn of(file: &File, axes: Vec<Axis>, times: u64, echoes: &[&Json]) -> Result<Self> {
        let (count, what) = match &file.written.sample {
            Some(sample) => (Some(u128::from(sample.points)), "sample"),
            None => (grid_points(&axes), "axis"),
        };
        let count = count.and_then(|n| n.checked_mul(u128::from(times)));
        let Some(count) = count.filter(|n| *n <= u128::from(POINTS_MAX)) else {
            let many = count.map_or("more than 10^38".to_owned(), |n| n.to_string());
            return Err(file.fault(
                what,
                format!("the sweep has {many} points, of which at most {POINTS_MAX} can be run"),
                "take fewer values, or draw some points with [sample]",
            ));
        };
        if count == 0 {
            return Err(file.fault("sample", "points = 0", "draw at least one point"));
        }
        let mut design = Design {
            keys: axes.iter().map(|axis| axis.keys.clone()).collect(),
            values: Vec::new(),
            rows: Vec::new(),
        };
        for axis in &axes {
            design.values.push(match &axis.values {
                Values::List(values) => values.clone(),
                Values::Between { .. } => Vec::new(),
            });
        }
        match &file.written.sample {
            None => design.grid(),
            Some(sample) => design.draw(file, &axes, sample, echoes)?,
        }
        Ok(design)
    }

    /// All points; the last axis moves fastest.
    fn grid(&mut self) {
        let lengths: Vec<u32> = self.values.iter().map(|v| v.len() as u32).collect();
        let mut row = vec![0; lengths.len()];
        loop {
            self.rows.push(row.clone());
            let Some(moves) = (0..row.len()).rev().find(|&at| row[at] + 1 < lengths[at]) else {
                return;
            };
            row[moves] += 1;
            row[moves + 1..].fill(0);
        }
    }

    /// Draws until there are as many points as `sample` says, all different and with the constraints kept, or until it
    /// has to be believed that there are not so many.
    fn draw(
        &mut self,
        file: &File,
        axes: &[Axis],
        sample: &Sample,
        echoes: &[&Json],
    ) -> Result<()> {
        let mut random = Pcg64Mcg::seed_from_u64(sample.seed);
        let points = sample.points as usize;
        let all = grid_points(axes);
        let most = DRAWS_LEAST.max(points.saturating_mul(DRAWS));
        let (mut draws, mut refused) = (0, 0);
        let mut drawn: Vec<BTreeMap<u64, u32>> = vec![BTreeMap::new(); axes.len()];
        let mut seen = std::collections::BTreeSet::new();
        while self.rows.len() < points && draws < most && all != Some(seen.len() as u128) {
            // The first points are those of the method; few that are missing are drawn with some to spare.
            let count = (points - self.rows.len()).max(if draws == 0 { 1 } else { DRAWS });
            let columns: Vec<Vec<f64>> = (0..axes.len())
                .map(|_| column(sample.method, count, &mut random))
                .collect();
            draws += count;
            for point in 0..count {
                let places = columns.iter().map(|column| column[point]);
                let row = self.place(axes, places, &mut drawn);
                if self.rows.len() == points || !seen.insert(row.clone()) {
                    continue;
                }
                match self.holds_everywhere(file, &row, echoes)? {
                    true => self.rows.push(row),
                    false => refused += 1,
                }
            }
        }
        if self.rows.len() < points {
            output::note(format_args!(
                "note: {}: sample: {} points instead of {points}: in {draws} draws there were {} different ones, of which \
                 the constraints refuse {refused}",
                file.path.display(),
                self.rows.len(),
                seen.len()
            ));
        }
        Ok(())
    }

    /// The row at `places` (0 to 1) of the axes; `drawn` has the numbers of ranges that were drawn before.
    fn place(
        &mut self,
        axes: &[Axis],
        places: impl Iterator<Item = f64>,
        drawn: &mut [BTreeMap<u64, u32>],
    ) -> Vec<u32> {
        let row = axes.iter().zip(places).enumerate();
        let row = row.map(|(at, (axis, place))| match &axis.values {
            Values::List(values) => {
                ((place * values.len() as f64) as usize).min(values.len() - 1) as u32
            }
            Values::Between { from, to, log } => {
                let number = drawn_at(*from, *to, place, *log);
                *drawn[at].entry(number).or_insert_with(|| {
                    self.values[at].push(vec![Setting::whole(number)]);
                    self.values[at].len() as u32 - 1
                })
            }
        });
        row.collect()
    }

    fn holds_everywhere(&self, file: &File, row: &[u32], echoes: &[&Json]) -> Result<bool> {
        for echo in echoes {
            if !self.holds(file, &file.written.constraints, echo, row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Settings of `row`, one for each key.
    pub fn settings<'a>(&'a self, row: &'a [u32]) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        row.iter().enumerate().flat_map(|(axis, value)| {
            let keys = self.keys[axis].iter().map(String::as_str);
            keys.zip(&self.values[axis][*value as usize])
        })
    }

    /// The rows for which all of `constraints` hold, on the machine whose other keys are `echo`.
    ///
    /// # Errors
    /// What is no comparison, or names something that is no number.
    pub fn kept(&self, file: &File, constraints: &[String], echo: &Json) -> Result<Vec<usize>> {
        let mut kept = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            if self.holds(file, constraints, echo, row)? {
                kept.push(at);
            }
        }
        Ok(kept)
    }

    /// Whether all of `constraints` hold for `row`; all are looked at.
    fn holds(&self, file: &File, constraints: &[String], echo: &Json, row: &[u32]) -> Result<bool> {
        let lookup = |name: &str| {
            let own = self.settings(row).find(|(key, _)| *key == name);
            match own {
                Some((_, setting)) => setting.number,
                None => echo
                    .pointer(&format!("/{}", name.replace('.', "/")))?
                    .as_f64(),
            }
        };
        let mut holds = true;
        for constraint in constraints {
            holds &= expression::holds(constraint, &lookup).map_err(|e| {
                let what = match e {
                    Error::Input { place, what, .. } => format!("{what} at {place}"),
                    other => other.to_string(),
                };
                let shown = input::shorten(constraint.as_bytes());
                file.fault(
                    format!("constraint {shown:?}"),
                    what,
                    "compare numbers and keys that are numbers, e.g. \"l1.ways * 4 <= l1.mshrs\"",
                )
            })?;
        }
        Ok(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use crate::sweep::axis;
    use crate::sweep::file::Usual;

    fn design(text: &str) -> Result<Design> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        let text = format!("gpus = [\"v100\"]\n{text}\n[[workload]]\nsynth = \"synth:empty\"\n");
        std::fs::write(&path, text).unwrap();
        let file = File::read(&path, &Usual::default())?;
        let layers = Layers::of("v100")?;
        let drawn = file.written.sample.is_some();
        let axes = (0..file.written.axis.len())
            .map(|at| axis::read(&file, at, &layers, drawn))
            .collect::<Result<_>>()?;
        let echo = layers.with(&[])?.echo;
        Design::of(&file, axes, 1, &[&echo])
    }

    const TWO: &str = "[[axis]]\nkey = \"l1.mshrs\"\nrange = { from = 1, to = 100 }\n\
                       [[axis]]\nkey = \"sm.scheduler\"\nvalues = [\"gto\", \"lrr\"]";

    #[test]
    fn the_last_axis_of_a_grid_moves_fastest() {
        let text = "[[axis]]\nkey = \"l1.mshrs\"\nvalues = [8, 16]\n\
                    [[axis]]\nkey = \"l1.mshr_merges\"\nvalues = [1, 2, 4]";
        let rows = design(text).unwrap().rows;
        assert_eq!(rows.len(), 6);
        assert_eq!(
            (&rows[0][..], &rows[1][..], &rows[3][..]),
            (&[0, 0][..], &[0, 1][..], &[1, 0][..])
        );
    }

    #[test]
    fn a_million_millions_of_points_are_refused_before_any_is_made() {
        let axis = |key: &str| {
            format!("[[axis]]\nkey = \"{key}\"\nrange = {{ from = 1, to = 1000, step = 1 }}\n")
        };
        let text: String = ["l1.mshrs", "l1.hit_latency", "l2.mshrs", "l2.hit_latency"]
            .map(axis)
            .concat();
        let error = design(&text).unwrap_err().to_string();
        assert!(
            error.contains("1000000000000 points") && error.contains("at most 1000000"),
            "{error}"
        );
    }

    #[test]
    fn every_stratum_of_a_latin_hypercube_has_a_point() {
        let sample = "[sample]\nmethod = \"latin-hypercube\"\npoints = 100\nseed = 3\n";
        let drawn = design(&format!("{TWO}\n{sample}")).unwrap();
        assert_eq!(drawn.rows.len(), 100);
        assert_eq!(drawn.values[0].len(), 100, "each number once");
        let gto = drawn.rows.iter().filter(|row| row[1] == 0).count();
        assert_eq!(gto, 50);
        let again = design(&format!("{TWO}\n{sample}")).unwrap();
        assert_eq!(drawn.rows, again.rows, "the seed decides");
        let other = sample.replace("seed = 3", "seed = 4");
        assert_ne!(drawn.rows, design(&format!("{TWO}\n{other}")).unwrap().rows);
    }

    #[test]
    fn points_that_constraints_take_away_are_drawn_again() {
        for method in ["random", "latin-hypercube"] {
            let text = format!(
                "constraints = [\"l1.mshrs < 6\"]\n{TWO}\n[sample]\nmethod = \"{method}\"\n"
            );
            let drawn = |points: usize| design(&format!("{text}points = {points}\n")).unwrap();
            // 5 numbers of MSHRs and 2 schedulers: 10 points, all of which are found, and no more.
            for (asked, made) in [(7, 7), (10, 10), (20, 10)] {
                let drawn = drawn(asked);
                assert_eq!(drawn.rows.len(), made, "{method}");
                for row in &drawn.rows {
                    let mshrs = drawn.settings(row).next().unwrap().1.number.unwrap();
                    assert!(mshrs < 6.0, "{method}: {mshrs}");
                }
            }
            assert_eq!(drawn(7).rows, drawn(7).rows, "the seed decides");
        }
    }

    #[test]
    fn constraints_see_axes_and_other_keys() {
        let text = "[[axis]]\nkey = \"l1.mshrs\"\nvalues = [8, 16, 32]";
        let drawn = design(text).unwrap();
        let echo = Layers::of("v100").unwrap().with(&[]).unwrap().echo;
        let file = File {
            path: "s.toml".into(),
            written: toml::from_str("gpus = []\nworkload = []").unwrap(),
        };
        let kept = |text: &str| drawn.kept(&file, &[text.to_owned()], &echo);
        assert_eq!(kept("l1.mshrs * 2 <= 32").unwrap(), [0, 1]);
        assert_eq!(kept("l1.mshrs > gpu.sms").unwrap(), [] as [usize; 0]);
        let error = kept("l1.mshr > 2").unwrap_err().to_string();
        assert!(error.contains("no value l1.mshr"), "{error}");
    }
}
