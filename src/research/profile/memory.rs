//! What moved between the levels of the memory: the memory chart.

use crate::mem::SECTOR_BYTES;
use crate::report::html::{Chart, Column, Link, Stage, chain};
use crate::report::record::record;
use crate::report::schema::Kernel;
use crate::research::Table;
use serde_json::{Value as Json, json};

record! {
    /// What moved between two levels.
    pub struct Flow {
        /// Level that is nearer to the cores: `cores`, `l1` or `l2`.
        pub level: &'static str,
        /// Level behind it.
        pub next: &'static str,
        /// Bytes that were read from the level behind it.
        pub read_bytes: u64 = "bytes", by "32 x sectors",
        /// Bytes that were written to it.
        pub written_bytes: u64 = "bytes", by "32 x sectors",
        /// Rate of both.
        pub gb_per_s: f64 = "GB/s", by "(read_bytes + written_bytes) / time",
        /// Share of the sectors read that the level behind it had; those on their way count as misses. Absent of DRAM, and without a read.
        pub hit_percent: Option<f64> = "%", by "100 l1.sector_hits / l1.sector_reads, 100 l2.read_hits / l2.sector_reads",
    }
}

/// Between the cores and DRAM, level by level.
pub(super) fn flows(kernel: &Kernel) -> Vec<Flow> {
    let (l1, l2, dram) = (
        &kernel.l1.counters,
        &kernel.l2.counters,
        &kernel.dram.counters,
    );
    let rate = |sectors: u64| match kernel.time_us > 0.0 {
        true => (SECTOR_BYTES * sectors) as f64 / kernel.time_us / 1e3,
        false => 0.0,
    };
    let hits = |hits: f64, reads: u64| (reads > 0).then_some(hits);
    let levels = [
        (
            ("cores", "l1"),
            (l1.sector_reads, l1.sector_writes),
            hits(kernel.l1.rates.hit_percent, l1.sector_reads),
        ),
        (
            ("l1", "l2"),
            (l2.sector_reads, l2.sector_writes),
            hits(kernel.l2.rates.read_present_percent, l2.sector_reads),
        ),
        (("l2", "dram"), (dram.reads, dram.writes), None),
    ];
    let flow = |((level, next), (read, written), hit_percent)| Flow {
        level,
        next,
        read_bytes: SECTOR_BYTES * read,
        written_bytes: SECTOR_BYTES * written,
        gb_per_s: rate(read + written),
        hit_percent,
    };
    levels.map(flow).into()
}

impl Flow {
    /// Its cells in the table.
    pub(super) fn row(&self) -> Vec<Json> {
        vec![
            json!(format!("{} - {}", self.level, self.next)),
            json!(self.read_bytes),
            json!(self.written_bytes),
            json!(self.gb_per_s),
            json!(self.hit_percent),
        ]
    }
}

/// The table of `rows`, each behind the name of its kernel.
pub(super) fn table(rows: Vec<Vec<Json>>) -> Table {
    Table {
        name: "memory",
        caption: "What moved between the levels of the memory".into(),
        columns: vec![
            Column::text("kernel"),
            Column::text("between"),
            Column::number("read bytes", 0),
            Column::number("written bytes", 0),
            Column::number("GB/s", 1),
            Column::number("hits %", 1),
        ],
        rows,
    }
}

/// The levels in a row with what moved between them: reads to the left, writes to the right.
pub(super) fn chart(flows: &[Flow]) -> Chart {
    let name = |level: &str| match level {
        "dram" | "l1" | "l2" => level.to_uppercase(),
        other => other.to_owned(),
    };
    let mut stages = vec![Stage {
        name: name("cores"),
        note: String::new(),
    }];
    stages.extend(flows.iter().map(|flow| {
        Stage {
            name: name(flow.next),
            note: flow
                .hit_percent
                .map_or(String::new(), |hits| format!("{hits:.1} % hits")),
        }
    }));
    let links: Vec<Link> = flows
        .iter()
        .map(|flow| Link {
            back: bytes(flow.read_bytes),
            forth: bytes(flow.written_bytes),
        })
        .collect();
    chain(&stages, &links)
}

/// A number of bytes with three digits.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB"].iter().peekable();
    while value >= 999.5 && units.len() > 1 {
        value /= 1e3;
        units.next();
    }
    let unit = units.next().unwrap_or(&"B");
    let digits = match value {
        _ if *unit == "B" => 0,
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (u64::MAX, "18447 PB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
