//! What `research.cache` shows.

use super::section::{Cache, Distance, Loads, Occupancy, Set, Sharers, share};
use crate::report::html::{Column, Curve, Scale, curves};
use crate::research::{Exhibits, Figure, Table};
use serde_json::json;

impl Cache {
    /// Tables and figures.
    pub fn show(&self) -> Exhibits {
        Exhibits {
            tables: vec![
                self.summary(),
                self.refusals(),
                self.reuse(),
                self.sharing(),
                self.sets(),
            ],
            figures: vec![self.occupancy_figure(), self.reuse_figure()],
        }
    }

    fn summary(&self) -> Table {
        let Loads {
            hits,
            merged,
            sector_misses,
            line_misses,
            ..
        } = self.loads;
        let rows = [
            ("loads: hits", json!(hits)),
            ("loads: merged", json!(merged)),
            ("loads: sector misses", json!(sector_misses)),
            ("loads: line misses", json!(line_misses)),
            ("sector miss on line hit", json!(self.sector_miss_line_hit)),
            ("MSHRs in use, mean", json!(self.mshr_mean)),
            ("loads of an MSHR", json!(self.loads_per_mshr)),
            ("L2 waits per kcycle", json!(self.l2_waits_per_kcycle)),
            ("write-mask coverage, L1", json!(self.write_mask_coverage)),
            (
                "write-mask coverage, L2",
                json!(self.l2_write_mask_coverage),
            ),
            ("streaming efficiency", json!(self.streaming_efficiency)),
        ];
        Table {
            name: "summary",
            caption: "L1 and L2".into(),
            columns: vec![Column::text("number"), Column::number("value", 4)],
            rows: rows.map(|(name, value)| vec![json!(name), value]).into(),
        }
    }

    fn refusals(&self) -> Table {
        let (refused, stood) = (
            &self.reservation_failures_per_kcycle,
            &self.stall_cycles_per_kcycle,
        );
        let rows = [
            ("line", refused.line, stood.line),
            ("MSHR entry", refused.mshr_entry, stood.mshr_entry),
            ("merge slot", refused.merge_slot, stood.merge_slot),
            ("miss queue", refused.miss_queue, stood.miss_queue),
        ];
        Table {
            name: "refusals",
            caption: "Reservation failures of an L1 per thousand cycles".into(),
            columns: vec![
                Column::text("cause"),
                Column::number("refusals", 3),
                Column::number("cycles of stall", 3),
            ],
            rows: rows
                .map(|(cause, refused, stood)| vec![json!(cause), json!(refused), json!(stood)])
                .into(),
        }
    }

    fn reuse(&self) -> Table {
        let levels = [
            ("L1", &self.reuse_distance.l1),
            ("L2", &self.reuse_distance.l2),
        ];
        let row = |level: &str, d: &Distance| {
            vec![
                json!(level),
                json!(d.from),
                json!(d.to),
                json!(d.accesses),
                json!(d.lru_hits),
            ]
        };
        Table {
            name: "reuse",
            caption: "Accesses by reuse distance in lines, and hits of a fully associative LRU cache of that size".into(),
            columns: vec![
                Column::text("level"),
                Column::number("from", 0),
                Column::number("to", 0),
                Column::number("accesses", 0),
                Column::number("LRU hits", 0),
            ],
            rows: levels
                .iter()
                .flat_map(|(level, rows)| rows.iter().map(|d| row(level, d)))
                .collect(),
        }
    }

    fn sharing(&self) -> Table {
        let names = ["SMs from", "SMs to", "lines", "requests"];
        let row = |s: &Sharers| [s.from_sms, s.to_sms, s.lines, s.requests];
        Table {
            name: "sharing",
            caption: "Lines of L2 by the number of SMs that asked for them".into(),
            columns: names.map(|name| Column::number(name, 0)).into(),
            rows: self
                .line_sharing
                .iter()
                .map(|s| row(s).map(|n| json!(n)).into())
                .collect(),
        }
    }

    fn sets(&self) -> Table {
        let names = ["set", "loads", "line misses"];
        let row = |s: &Set| [s.set, s.loads, s.line_misses];
        Table {
            name: "sets",
            caption: "Loads by set of L1, summed over SMs".into(),
            columns: names.map(|name| Column::number(name, 0)).into(),
            rows: self
                .set_pressure
                .iter()
                .map(|s| row(s).map(|n| json!(n)).into())
                .collect(),
        }
    }

    fn occupancy_figure(&self) -> Figure {
        let middle = |o: &Occupancy| (o.from_cycle + o.to_cycle) as f64 / 2.0;
        let curve = |name: &str, of: &dyn Fn(&Occupancy) -> f64| Curve {
            name: name.to_owned(),
            points: self
                .mshr_occupancy
                .iter()
                .map(|o| (middle(o), of(o)))
                .collect(),
        };
        let lines = [
            curve("mean of an SM", &|o| o.mean),
            curve("peak of one SM", &|o| o.peak as f64),
        ];
        Figure {
            name: "mshr",
            caption: "MSHRs of L1 in use over time".into(),
            svg: curves(
                "core cycle",
                "lines in flight",
                &lines,
                Scale::Linear,
                Scale::Linear,
            ),
        }
    }

    fn reuse_figure(&self) -> Figure {
        let curve = |name: &str, rows: &[Distance], far: u64| {
            let all = rows.last().map_or(0, |d| d.lru_hits) + far;
            Curve {
                name: name.to_owned(),
                points: rows
                    .iter()
                    .map(|d| ((d.to + 1) as f64, 100.0 * share(d.lru_hits, all)))
                    .collect(),
            }
        };
        let (reuse, far) = (&self.reuse_distance, &self.without_reuse_distance);
        let lines = [
            curve("L1", &reuse.l1, far.l1),
            curve("L2, by slice", &reuse.l2, far.l2),
        ];
        Figure {
            name: "reuse",
            caption: "Hits of a fully associative LRU cache, by its size".into(),
            svg: curves("lines", "% of accesses", &lines, Scale::Log, Scale::Linear),
        }
    }
}
