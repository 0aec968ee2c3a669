//! Tables and figures of `research.divergence`.

use super::section::*;
use crate::report::html::{Column, Curve, Scale, curves};
use crate::research::{Exhibits, Figure, Table};
use serde_json::{Value as Json, json};

/// The columns that name an instruction, and those behind them.
fn columns(numbers: &[(&str, usize)]) -> Vec<Column> {
    let words = ["kernel", "pc", "opcode"].map(Column::text);
    let numbers = numbers
        .iter()
        .map(|(name, digits)| Column::number(name, *digits));
    words.into_iter().chain(numbers).collect()
}

/// The cells that name an instruction, and those behind them.
fn cells<const N: usize>(at: &Listed, numbers: [Json; N]) -> Vec<Json> {
    let words = [
        json!(at.kernel),
        json!(place(at.place.pc)),
        json!(at.place.opcode),
    ];
    words.into_iter().chain(numbers).collect()
}

/// The line of the source, if it is known, and what stands there.
fn line(at: &Listed) -> (Option<u32>, &Option<String>) {
    (at.place.line, &at.place.source)
}

fn place(pc: u32) -> String {
    format!("{pc:#06x}")
}

impl Divergence {
    /// Tables and figures.
    pub(super) fn show(&self) -> Exhibits {
        Exhibits {
            tables: vec![
                self.summary(),
                self.instructions(),
                self.branch_table(),
                self.request_table(),
                self.shared_table(),
                self.evidence(),
                self.l2_evidence(),
                self.lanes(),
            ],
            figures: vec![self.lanes_figure()],
        }
    }

    fn summary(&self) -> Table {
        let thrashing = &self.thrashing;
        let found = if thrashing.detected { "yes" } else { "no" };
        let rows = [
            ("active lanes", json!(self.active_lanes)),
            ("active lanes at memory", json!(self.memory_active_lanes)),
            ("branches that split a warp", json!(self.split_share)),
            ("sectors per request", json!(self.sectors_per_request)),
            ("of dense lanes", json!(self.ideal_sectors_per_request)),
            (
                "shared-memory passes",
                json!(self.shared_passes_per_request),
            ),
            ("L1: sectors fetched", json!(thrashing.fetched_sectors)),
            ("fetched again", json!(thrashing.refetched_sectors)),
            ("share", json!(thrashing.refetched_share)),
            ("L2: sectors fetched", json!(thrashing.l2.fetched_sectors)),
            ("fetched again", json!(thrashing.l2.refetched_sectors)),
            ("share", json!(thrashing.l2.refetched_share)),
            ("thrashing", json!(found)),
        ];
        Table {
            name: "summary",
            caption: "Divergence of control and memory".into(),
            columns: vec![Column::text("number"), Column::number("value", 4)],
            rows: rows.map(|(name, value)| vec![json!(name), value]).into(),
        }
    }

    /// The report has those without an idle lane, too.
    fn instructions(&self) -> Table {
        let idle = || self.divergence.iter().filter(|r| r.idle_lanes > 0);
        let row = |r: &Instruction| {
            let numbers = [
                json!(r.executions),
                json!(r.active_lanes),
                json!(r.idle_lanes),
            ];
            cells(&r.at, numbers)
        };
        Table {
            name: "divergence",
            caption: "Instructions by the lanes that were idle in them".into(),
            columns: columns(&[("executions", 0), ("active lanes", 2), ("idle lanes", 0)]),
            rows: idle().map(row).collect(),
        }
        .with_lines(idle().map(|r| line(&r.at)))
    }

    fn branch_table(&self) -> Table {
        let row = |r: &BranchRow| {
            let numbers = [
                json!(r.executions),
                json!(r.active_lanes),
                json!(r.splits),
                json!(r.split_share),
            ];
            cells(&r.at, numbers)
        };
        Table {
            name: "branches",
            caption: "Branches by how often they split a warp".into(),
            columns: columns(&[
                ("executions", 0),
                ("active lanes", 2),
                ("splits", 0),
                ("share", 3),
            ]),
            rows: self.branches.iter().map(row).collect(),
        }
        .with_lines(self.branches.iter().map(|r| line(&r.at)))
    }

    fn request_table(&self) -> Table {
        let row = |r: &Request| {
            let numbers = [
                json!(r.requests),
                json!(r.active_lanes),
                json!(r.sectors_per_request),
                json!(r.ideal_sectors_per_request),
            ];
            cells(&r.at, numbers)
        };
        Table {
            name: "requests",
            caption: "Sectors of a request to global or local memory".into(),
            columns: columns(&[
                ("requests", 0),
                ("lanes", 2),
                ("sectors/request", 2),
                ("ideal", 2),
            ]),
            rows: self.requests.iter().map(row).collect(),
        }
        .with_lines(self.requests.iter().map(|r| line(&r.at)))
    }

    fn shared_table(&self) -> Table {
        let row = |r: &Shared| {
            let numbers = [
                json!(r.requests),
                json!(r.passes_per_request),
                json!(r.ideal_passes_per_request),
            ];
            cells(&r.at, numbers)
        };
        Table {
            name: "shared",
            caption: "Passes over the banks of a request to shared memory".into(),
            columns: columns(&[("requests", 0), ("passes/request", 2), ("ideal", 2)]),
            rows: self.shared.iter().map(row).collect(),
        }
        .with_lines(self.shared.iter().map(|r| line(&r.at)))
    }

    fn evidence(&self) -> Table {
        let access = |pc: u32, opcode: &str| json!(format!("{} {opcode}", place(pc)));
        let row = |r: &Evidence| {
            vec![
                json!(r.kernel),
                access(r.pc, &r.opcode),
                access(r.evicted_by_pc, &r.evicted_by_opcode),
                access(r.missed_by_pc, &r.missed_by_opcode),
                json!(r.lines),
                json!(r.refetched_sectors),
                json!(100.0 * r.other_cta_share),
                json!(r.gone_cycles),
            ]
        };
        Table {
            name: "thrashing",
            caption: "Lines that fell out of L1 and were fetched again".into(),
            columns: vec![
                Column::text("kernel"),
                Column::text("brought by"),
                Column::text("driven out by"),
                Column::text("missed by"),
                Column::number("lines", 0),
                Column::number("sectors", 0),
                Column::number("other CTA %", 1),
                Column::number("cycles gone", 0),
            ],
            rows: self.thrashing.evidence.iter().map(row).collect(),
        }
    }

    fn l2_evidence(&self) -> Table {
        let row = |r: &RefetchedBy| {
            vec![
                json!(format!("{} {}", r.fetched_by_launch, r.fetched_by)),
                json!(format!("{} {}", r.launch, r.kernel)),
                json!(r.refetched_sectors),
            ]
        };
        Table {
            name: "l2-thrashing",
            caption: "Sectors that fell out of L2 and were fetched from DRAM again".into(),
            columns: vec![
                Column::text("fetched by"),
                Column::text("fetched again by"),
                Column::number("sectors", 0),
            ],
            rows: self.thrashing.l2.evidence.iter().map(row).collect(),
        }
    }

    fn lanes(&self) -> Table {
        let row = |r: &Lanes| {
            [
                json!(r.lanes),
                json!(r.instructions),
                json!(r.memory_instructions),
            ]
        };
        let names = ["active lanes", "instructions", "at memory"];
        Table {
            name: "lanes",
            caption: "Warp instructions by active lanes".into(),
            columns: names.map(|name| Column::number(name, 0)).into(),
            rows: self
                .active_lane_histogram
                .iter()
                .map(|r| row(r).into())
                .collect(),
        }
    }

    fn lanes_figure(&self) -> Figure {
        let curve = |name: &str, of: &dyn Fn(&Lanes) -> u64| {
            let all: u64 = self.active_lane_histogram.iter().map(of).sum();
            let share = |r: &Lanes| 100.0 * of(r) as f64 / all.max(1) as f64;
            let points = self.active_lane_histogram.iter();
            Curve {
                name: name.to_owned(),
                points: points.map(|r| (r.lanes as f64, share(r))).collect(),
            }
        };
        let lines = [
            curve("all instructions", &|r| r.instructions),
            curve("at memory", &|r| r.memory_instructions),
        ];
        Figure {
            name: "lanes",
            caption: "Active lanes of warp instructions".into(),
            svg: curves(
                "active lanes",
                "% of warp instructions",
                &lines,
                Scale::Linear,
                Scale::Linear,
            ),
        }
    }
}
