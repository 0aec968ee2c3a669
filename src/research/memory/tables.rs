//! Tables and figures of `research.memory`.

use super::section::Memory;
use crate::report::html::{Column, Curve, Scale, curves};
use crate::research::{Exhibits, Figure, Table};
use serde_json::{Value as Json, json};

fn table(name: &'static str, caption: &str, columns: Vec<Column>, rows: Vec<Vec<Json>>) -> Table {
    Table {
        name,
        caption: caption.into(),
        columns,
        rows,
    }
}

impl Memory {
    pub(super) fn shown(&self) -> Exhibits {
        let mut tables = vec![
            self.summary(),
            self.coalescing_table(),
            self.carveout_table(),
            self.fetch_table(),
            self.slice_table(),
            self.traffic_table(),
        ];
        if let Some(tlb) = &self.tlb {
            tables.push(tlb_table(tlb));
        }
        Exhibits {
            tables,
            figures: vec![self.slice_figure()],
        }
    }

    fn summary(&self) -> Table {
        let misses = &self.miss_correlation;
        let rows = [
            ("coalescing efficiency", self.coalescing_efficiency),
            ("L1 bandwidth used", self.l1_bandwidth_utilisation),
            ("in active cycles", self.l1_bandwidth_utilisation_active),
            ("balance of slices", self.slice_balance),
            ("first misses of a line", misses.first),
            ("after one of the same CTA", misses.same_cta),
            ("of another CTA of the SM", misses.same_sm),
            ("of another SM of the GPC", misses.same_gpc),
            ("of another GPC", misses.other_gpc),
        ];
        table(
            "summary",
            "Accesses to global memory",
            vec![Column::text("number"), Column::number("value", 4)],
            rows.map(|(name, value)| vec![json!(name), json!(value)])
                .into(),
        )
    }

    fn coalescing_table(&self) -> Table {
        let rows = self.coalescing.iter().map(|row| {
            vec![
                json!(row.kernel),
                json!(format!("{:#06x}", row.place.pc)),
                json!(row.place.opcode),
                json!(row.requests),
                json!(row.sectors_per_request),
                json!(row.efficiency),
            ]
        });
        table(
            "coalescing",
            "Instructions that access global memory, by sectors",
            vec![
                Column::text("kernel"),
                Column::text("pc"),
                Column::text("opcode"),
                Column::number("requests", 0),
                Column::number("sectors/request", 2),
                Column::number("efficiency", 3),
            ],
            rows.collect(),
        )
        .with_lines(
            self.coalescing
                .iter()
                .map(|row| (row.place.line, &row.place.source)),
        )
    }

    fn carveout_table(&self) -> Table {
        let rows = self.carveout.iter().map(|row| {
            vec![
                json!(if row.best { "best" } else { "" }),
                json!(row.kib),
                json!(row.l1_kib),
                json!(row.cycles),
                json!(row.speedup),
                json!(row.l1_hit_rate),
            ]
        });
        let caption = format!(
            "{} alone, with each carve-out of shared memory",
            self.carveout_kernel
        );
        table(
            "carveout",
            &caption,
            vec![
                Column::text(""),
                Column::number("shared KiB", 0),
                Column::number("L1 KiB", 0),
                Column::number("cycles", 0),
                Column::number("speedup", 3),
                Column::number("L1 hit rate", 3),
            ],
            rows.collect(),
        )
    }

    fn fetch_table(&self) -> Table {
        let rows = self.fetch_policy.iter().map(|row| {
            vec![
                json!(row.name),
                json!(row.cycles),
                json!(row.speedup),
                json!(row.dram_read_bytes),
                json!(row.dram_written_bytes),
                json!(row.lazy_fetches),
            ]
        });
        table(
            "fetch-policy",
            "The workload with lazy fetch and with fetch on write in L2",
            vec![
                Column::text("policy"),
                Column::number("cycles", 0),
                Column::number("speedup", 3),
                Column::number("DRAM bytes read", 0),
                Column::number("written", 0),
                Column::number("lazy fetches", 0),
            ],
            rows.collect(),
        )
    }

    fn slice_table(&self) -> Table {
        let rows = self.slices.iter().map(|row| {
            vec![
                json!(row.hash),
                json!(row.balance),
                json!(row.camping),
                json!(row.cycles),
            ]
        });
        table(
            "slices",
            "Requests to L2 slices under each address hash",
            vec![
                Column::text("hash"),
                Column::number("balance", 3),
                Column::number("camping", 3),
                Column::number("cycles", 0),
            ],
            rows.collect(),
        )
    }

    fn traffic_table(&self) -> Table {
        let rows = self.dram_traffic.iter().map(|row| {
            vec![
                json!(row.kernel),
                json!(row.buffer),
                json!(row.launch),
                json!(row.read_bytes),
                json!(row.written_bytes),
            ]
        });
        table(
            "dram-traffic",
            "DRAM traffic of L2 by kernel and buffer, bytes",
            vec![
                Column::text("kernel"),
                Column::text("buffer"),
                Column::number("launch", 0),
                Column::number("read", 0),
                Column::number("written", 0),
            ],
            rows.collect(),
        )
    }

    fn slice_figure(&self) -> Figure {
        let curve = |row: &super::section::Slices| Curve {
            name: row.hash.to_owned(),
            points: row
                .sectors
                .iter()
                .enumerate()
                .map(|(slice, &sectors)| (slice as f64, sectors as f64))
                .collect(),
        };
        let lines: Vec<Curve> = self.slices.iter().map(curve).collect();
        Figure {
            name: "slices",
            caption: "Sectors asked of each L2 slice under each address hash".into(),
            svg: curves("slice", "sectors", &lines, Scale::Linear, Scale::Linear),
        }
    }
}

fn tlb_table(tlb: &Json) -> Table {
    let level = |(name, key): (&str, &str)| {
        let of = |counter: &str| tlb[key][counter].clone();
        vec![
            json!(name),
            of("lookups"),
            of("hits"),
            of("merged"),
            of("asked"),
            of("wait_cycles"),
        ]
    };
    let levels = [("SMs", "l1"), ("GPCs", "gpc"), ("L2", "l2")];
    table(
        "tlb",
        "Address translation",
        vec![
            Column::text("TLBs"),
            Column::number("lookups", 0),
            Column::number("hits", 0),
            Column::number("merged", 0),
            Column::number("asked", 0),
            Column::number("cycles waited", 0),
        ],
        levels.map(level).into(),
    )
}
