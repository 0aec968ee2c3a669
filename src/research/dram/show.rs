//! What `research.dram` shows.

use super::section::{Channel, Dram, Latency};
use crate::report::html::{Column, Curve, Field, Scale, curves, heat};
use crate::research::{Exhibits, Figure, Table};
use serde_json::json;

impl Dram {
    /// Tables and figures.
    pub fn show(&self) -> Exhibits {
        Exhibits {
            tables: vec![
                self.summary(),
                self.latency_table(),
                self.buffer_table(),
                self.policy_table(),
                self.bank_table(),
                self.channel_table(),
            ],
            figures: vec![self.latency_figure(), self.channel_figure()],
        }
    }

    fn summary(&self) -> Table {
        let rows = [
            ("row hit rate", self.row_hit_rate),
            ("conflict rate", self.conflict_rate),
            ("accesses per activate", self.accesses_per_activate),
            ("bank parallelism", self.bank_parallelism),
            ("bank-group parallelism", self.bank_group_parallelism),
            ("lost to turnaround", self.turnaround_loss),
            ("lost to refresh", self.refresh_loss),
        ];
        Table {
            name: "summary",
            caption: "DRAM channels".into(),
            columns: vec![Column::text("number"), Column::number("value", 4)],
            rows: rows
                .map(|(name, value)| vec![json!(name), json!(value)])
                .into(),
        }
    }

    fn latency_table(&self) -> Table {
        Table {
            name: "latency",
            caption: "DRAM read latency within the channel by row outcome, ns".into(),
            columns: vec![
                Column::text("row"),
                Column::number("reads", 0),
                Column::number("mean", 1),
                Column::number("p50", 1),
                Column::number("p95", 1),
                Column::number("p99", 1),
                Column::number("p99.9", 1),
                Column::number("max", 1),
            ],
            rows: self
                .latency_percentiles
                .iter()
                .map(|l| {
                    vec![
                        json!(l.class),
                        json!(l.count),
                        json!(l.mean_ns),
                        json!(l.p50_ns),
                        json!(l.p95_ns),
                        json!(l.p99_ns),
                        json!(l.p999_ns),
                        json!(l.max_ns),
                    ]
                })
                .collect(),
        }
    }

    fn buffer_table(&self) -> Table {
        Table {
            name: "buffers",
            caption: "DRAM reads by buffer".into(),
            columns: vec![
                Column::text("buffer"),
                Column::number("reads", 0),
                Column::number("row hits", 3),
                Column::number("conflicts", 3),
                Column::number("banks", 2),
                Column::number("latency ns", 1),
            ],
            rows: self
                .buffers
                .iter()
                .map(|b| {
                    vec![
                        json!(b.buffer),
                        json!(b.reads),
                        json!(b.row_hit_rate),
                        json!(b.conflict_rate),
                        json!(b.bank_parallelism),
                        json!(b.read_latency_ns),
                    ]
                })
                .collect(),
        }
    }

    fn policy_table(&self) -> Table {
        Table {
            name: "policies",
            caption: "The same workload under every DRAM scheduler".into(),
            columns: vec![
                Column::text("scheduler"),
                Column::number("cycles", 0),
                Column::number("speedup over FCFS", 3),
                Column::number("row hits %", 1),
                Column::number("latency ns", 1),
            ],
            rows: self
                .policies
                .iter()
                .map(|p| {
                    vec![
                        json!(p.name),
                        json!(p.cycles),
                        json!(p.speedup),
                        json!(p.row_hit_percent),
                        json!(p.read_latency_ns),
                    ]
                })
                .collect(),
        }
    }

    fn bank_table(&self) -> Table {
        Table {
            name: "banks",
            caption: "DRAM requests by bank, summed over channels".into(),
            columns: [
                "bank",
                "hits",
                "misses",
                "conflicts",
                "activates",
                "longest run",
            ]
            .map(|name| Column::number(name, 0))
            .into(),
            rows: self
                .banks
                .iter()
                .map(|b| {
                    let counts = [
                        b.hits,
                        b.misses,
                        b.conflicts,
                        b.activates,
                        b.longest_row_run,
                    ];
                    let bank = std::iter::once(json!(b.bank));
                    bank.chain(counts.map(|n| json!(n))).collect()
                })
                .collect(),
        }
    }

    /// Banks of a channel.
    fn banks_each(&self) -> usize {
        let banks = self.channels.iter().map(|c| c.requests.len());
        banks.max().unwrap_or(0)
    }

    fn channel_table(&self) -> Table {
        let banks = self.banks_each();
        let names = (0..banks).map(|bank| format!("bank {bank}"));
        let names = std::iter::once("channel".to_owned()).chain(names);
        let row = |c: &Channel| {
            let requests = |bank: usize| json!(c.requests.get(bank).copied().unwrap_or(0));
            let banks = (0..banks).map(requests);
            std::iter::once(json!(c.channel)).chain(banks).collect()
        };
        Table {
            name: "channels",
            caption: "DRAM requests by channel and bank".into(),
            columns: names.map(|name| Column::number(&name, 0)).collect(),
            rows: self.channels.iter().map(row).collect(),
        }
    }

    fn channel_figure(&self) -> Figure {
        let banks = self.banks_each();
        let row = |c: &Channel| {
            let of = |bank: usize| c.requests.get(bank).copied().unwrap_or(0) as f64;
            (
                format!("channel {}", c.channel),
                (0..banks).map(of).collect(),
            )
        };
        let field = Field {
            x: ("bank".into(), 0.0, banks.saturating_sub(1) as f64),
            unit: "requests".into(),
            rows: self.channels.iter().map(row).collect(),
        };
        Figure {
            name: "channels",
            caption: "DRAM requests by channel and bank".into(),
            svg: heat(&field),
        }
    }

    fn latency_figure(&self) -> Figure {
        let curve = |l: &Latency| Curve {
            name: match l.class {
                "all" => "all reads".to_owned(),
                class => format!("row {class}"),
            },
            points: vec![
                (l.p50_ns, 50.0),
                (l.p95_ns, 5.0),
                (l.p99_ns, 1.0),
                (l.p999_ns, 0.1),
            ],
        };
        let seen = self.latency_percentiles.iter().filter(|l| l.count > 0);
        let lines: Vec<Curve> = seen.map(curve).collect();
        Figure {
            name: "latency",
            caption: "DRAM reads that take longer within the channel".into(),
            svg: curves("ns", "% of reads", &lines, Scale::Linear, Scale::Log),
        }
    }
}
