//! Each SM, L2 slice and DRAM channel by itself, over the whole run, and how far apart they are.

use crate::report::derive::{percent, ratio};
use crate::report::html::Column;
use crate::report::record::record;
use crate::research::Table;
use crate::stats::{DramStats, L2Stats, Label, SmCounters, UnitCounters};
use serde_json::{Value as Json, json};

record! {
    /// Units of the chip.
    pub struct Units {
        /// By SM.
        pub sms: Vec<SmRow>,
        /// By L2 slice.
        pub slices: Vec<SliceRow>,
        /// By DRAM channel.
        pub channels: Vec<ChannelRow>,
        /// Each counter over the units of a kind.
        pub spread: Vec<Spread>,
    }
}

record! {
    /// An SM.
    pub struct SmRow {
        /// Its number.
        pub sm: usize = "SM",
        /// CTAs that it ran.
        pub ctas: u64 = "CTAs",
        /// Cycles with a warp.
        pub active_cycles: u64 = "cycles",
        /// Warp instructions.
        pub warp_instructions: u64 = "warp instructions",
        /// Issue slots in which it had a warp and none issued.
        pub stalled_slots: u64 = "issue slots", by "all labels but issued and no_warp",
        /// Sectors that loads read through its L1.
        pub l1_sector_reads: u64 = "sectors",
        /// Those that its L1 had.
        pub l1_sector_hits: u64 = "sectors",
        /// Share of them.
        pub l1_hit_percent: f64 = "%", by "100 l1_sector_hits / l1_sector_reads",
    }
}

record! {
    /// An L2 slice.
    pub struct SliceRow {
        /// Its number.
        pub slice: usize = "slice",
        /// Requests.
        pub requests: u64 = "requests",
        /// Cycles in which its data path was busy.
        pub busy_cycles: u64 = "cycles",
        /// Sectors that it was asked for.
        pub sector_reads: u64 = "sectors",
        /// Sectors written to it.
        pub sector_writes: u64 = "sectors",
        /// Sectors that it was asked for and had.
        pub read_hits: u64 = "sectors",
        /// Share of them.
        pub hit_percent: f64 = "%", by "100 read_hits / sector_reads",
    }
}

record! {
    /// A DRAM channel.
    pub struct ChannelRow {
        /// Its number.
        pub channel: usize = "channel",
        /// Bursts read.
        pub reads: u64 = "sectors",
        /// Bursts written.
        pub writes: u64 = "sectors",
        /// Requests whose row was open.
        pub row_hits: u64 = "requests",
        /// Requests that found another row open.
        pub row_conflicts: u64 = "requests",
        /// Cycles of the data bus with data.
        pub data_cycles: u64 = "CK",
    }
}

record! {
    /// A counter over all units of a kind.
    pub struct Spread {
        /// Kind: `sm`, `slice` or `channel`.
        pub unit: &'static str,
        /// The counter, a field of the units.
        pub counter: &'static str,
        /// Sum over units.
        pub sum: u64 = "of the counter",
        /// The least of them.
        pub min: u64 = "of the counter",
        /// The greatest.
        pub max: u64 = "of the counter",
        /// The mean.
        pub mean: f64 = "of the counter", by "sum / units",
        /// How far the units are apart: 0 when all have the same; null where the counter is 0.
        pub spread_percent: Option<f64> = "%", by "100 (max - min) / mean",
    }
}

/// A counter of a unit by its name.
type Counter<T> = (&'static str, fn(&T) -> u64);
/// The same of a rate.
type Rate<T> = (&'static str, fn(&T) -> f64);

const OF_SM: &[Counter<SmRow>] = &[
    ("ctas", |row| row.ctas),
    ("active_cycles", |row| row.active_cycles),
    ("warp_instructions", |row| row.warp_instructions),
    ("stalled_slots", |row| row.stalled_slots),
    ("l1_sector_reads", |row| row.l1_sector_reads),
    ("l1_sector_hits", |row| row.l1_sector_hits),
];
const OF_SLICE: &[Counter<SliceRow>] = &[
    ("requests", |row| row.requests),
    ("busy_cycles", |row| row.busy_cycles),
    ("sector_reads", |row| row.sector_reads),
    ("sector_writes", |row| row.sector_writes),
    ("read_hits", |row| row.read_hits),
];
const OF_CHANNEL: &[Counter<ChannelRow>] = &[
    ("reads", |row| row.reads),
    ("writes", |row| row.writes),
    ("row_hits", |row| row.row_hits),
    ("row_conflicts", |row| row.row_conflicts),
    ("data_cycles", |row| row.data_cycles),
];

fn spread<T>(unit: &'static str, rows: &[T], counters: &[Counter<T>]) -> Vec<Spread> {
    let of = |&(counter, value): &Counter<T>| {
        let values = || rows.iter().map(value);
        let (min, max) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
        let sum: u64 = values().sum();
        let mean = ratio(sum, rows.len() as u64);
        Spread {
            unit,
            counter,
            sum,
            min,
            max,
            mean,
            spread_percent: (sum > 0).then(|| 100.0 * (max - min) as f64 / mean),
        }
    };
    counters.iter().map(of).collect()
}

fn sm((sm, counters): (usize, &SmCounters)) -> SmRow {
    let issue = &counters.issue;
    let used = issue.get(Label::Issued) + issue.get(Label::NoWarp);
    SmRow {
        sm,
        ctas: counters.sm.ctas_launched,
        active_cycles: counters.sm.active_cycles,
        warp_instructions: counters.sm.warp_instructions,
        stalled_slots: issue.total() - used,
        l1_sector_reads: counters.l1.sector_reads,
        l1_sector_hits: counters.l1.sector_hits,
        l1_hit_percent: percent(counters.l1.sector_hits, counters.l1.sector_reads),
    }
}

fn slice((slice, counters): (usize, &L2Stats)) -> SliceRow {
    SliceRow {
        slice,
        requests: counters.requests,
        busy_cycles: counters.busy_cycles,
        sector_reads: counters.sector_reads,
        sector_writes: counters.sector_writes,
        read_hits: counters.read_hits,
        hit_percent: percent(counters.read_hits, counters.sector_reads),
    }
}

fn channel((channel, counters): (usize, &DramStats)) -> ChannelRow {
    ChannelRow {
        channel,
        reads: counters.reads,
        writes: counters.writes,
        row_hits: counters.row_hits,
        row_conflicts: counters.row_conflicts,
        data_cycles: counters.bus.data,
    }
}

impl Units {
    /// Of `counters`.
    pub(super) fn new(counters: &UnitCounters) -> Self {
        let sms: Vec<SmRow> = counters.sms.iter().enumerate().map(sm).collect();
        let slices: Vec<SliceRow> = counters.slices.iter().enumerate().map(slice).collect();
        let channels: Vec<ChannelRow> = counters.channels.iter().enumerate().map(channel).collect();
        let spreads = [
            spread("sm", &sms, OF_SM),
            spread("slice", &slices, OF_SLICE),
            spread("channel", &channels, OF_CHANNEL),
        ];
        Units {
            sms,
            slices,
            channels,
            spread: spreads.concat(),
        }
    }

    /// Spread, SMs, slices and channels.
    pub(super) fn tables(&self) -> Vec<Table> {
        vec![
            self.spread_table(),
            table(
                ("sms", "SMs over the whole run", "SM"),
                OF_SM,
                &self.sms,
                Some(("L1 hit %", |row| row.l1_hit_percent)),
            ),
            table(
                ("slices", "L2 slices over the whole run", "slice"),
                OF_SLICE,
                &self.slices,
                Some(("hit %", |row| row.hit_percent)),
            ),
            table(
                ("channels", "DRAM channels over the whole run", "channel"),
                OF_CHANNEL,
                &self.channels,
                None,
            ),
        ]
    }

    fn spread_table(&self) -> Table {
        let row = |s: &Spread| {
            vec![
                json!(s.unit),
                json!(s.counter),
                json!(s.sum),
                json!(s.min),
                json!(s.max),
                json!(s.mean),
                json!(s.spread_percent),
            ]
        };
        Table {
            name: "units",
            caption: "SMs, L2 slices and DRAM channels: how far they are apart".into(),
            columns: vec![
                Column::text("unit"),
                Column::text("counter"),
                Column::number("sum", 0),
                Column::number("min", 0),
                Column::number("max", 0),
                Column::number("mean", 1),
                Column::number("spread %", 1),
            ],
            rows: self.spread.iter().map(row).collect(),
        }
    }
}

/// The rows of a kind of units, with a rate behind the counters.
fn table<T>(
    (name, caption, unit): (&'static str, &str, &str),
    counters: &[Counter<T>],
    rows: &[T],
    rate: Option<Rate<T>>,
) -> Table {
    let names = counters.iter().map(|(name, _)| name.replace('_', " "));
    let mut columns = vec![Column::number(unit, 0)];
    columns.extend(names.map(|name| Column::number(&name, 0)));
    columns.extend(rate.map(|(name, _)| Column::number(name, 1)));
    let row = |(number, row): (usize, &T)| -> Vec<Json> {
        let values = counters.iter().map(|(_, value)| json!(value(row)));
        let rate = rate.map(|(_, rate)| json!(rate(row)));
        [json!(number)]
            .into_iter()
            .chain(values)
            .chain(rate)
            .collect()
    };
    Table {
        name,
        caption: caption.into(),
        columns,
        rows: rows.iter().enumerate().map(row).collect(),
    }
}
