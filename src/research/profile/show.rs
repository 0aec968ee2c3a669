//! Tables and figures of the profile.

use super::course::{self, Interval, Slots};
use super::hardware::{Hardware, MetricRow, PairRow};
use super::launch::{self, Launch, Room};
use super::memory::{self, Flow};
use super::section::*;
use super::units::{ChannelRow, SliceRow, SmRow, Spread, Units};
use crate::report::html::{Column, Curve, Scale, curves};
use crate::report::record::Field;
use crate::research::{Exhibits, Figure, Section, Table};
use serde_json::{Value as Json, json};

/// Instructions of a kernel in the table; the report has more.
const SOURCE_SHOWN: usize = 40;

impl Section for Profile {
    const NAME: &'static str = "profile";
    const SCHEMA: &'static [(&'static str, &'static [Field])] = &[
        ("", Profile::SCHEMA),
        ("ceilings.", Peaks::SCHEMA),
        ("kernels[].", KernelProfile::SCHEMA),
        ("kernels[].speed_of_light.", SpeedOfLight::SCHEMA),
        ("kernels[].launch.", Launch::SCHEMA),
        ("kernels[].launch.limits[].", Room::SCHEMA),
        ("kernels[].memory[].", Flow::SCHEMA),
        ("kernels[].roofline.", Roofline::SCHEMA),
        ("kernels[].mix[].", Opcode::SCHEMA),
        ("kernels[].stalls[].", Stall::SCHEMA),
        ("kernels[].source[].", Source::SCHEMA),
        ("units.", Units::SCHEMA),
        ("units.sms[].", SmRow::SCHEMA),
        ("units.slices[].", SliceRow::SCHEMA),
        ("units.channels[].", ChannelRow::SCHEMA),
        ("units.spread[].", Spread::SCHEMA),
        ("over_time[].", Interval::SCHEMA),
        ("over_time[].slots[].", Slots::SCHEMA),
        ("hardware.", Hardware::SCHEMA),
        ("hardware.metrics[].", MetricRow::SCHEMA),
        ("hardware.pairs[].", PairRow::SCHEMA),
    ];

    fn exhibits(&self) -> Exhibits {
        let mut exhibits = Exhibits {
            tables: vec![
                self.speed_of_light(),
                launch::table(self.kernels.iter().map(|k| k.launch.row(&k.name)).collect()),
                memory::table(self.each(|k| &k.memory, Flow::row)),
                self.rooflines(),
                self.stalls(),
                self.mix(),
                self.source(),
            ],
            figures: [Some(self.roofline()), self.memory_chart()]
                .into_iter()
                .flatten()
                .collect(),
        };
        exhibits.tables.extend(self.units.tables());
        if let Some(intervals) = &self.over_time {
            exhibits.figures.extend(course::figures(intervals));
        }
        if let Some(hardware) = &self.hardware {
            exhibits.tables.extend(hardware.tables());
            exhibits.figures.extend(hardware.figure());
        }
        exhibits
    }
}

impl Profile {
    /// A row for each element of a list of each kernel, the kernel's name first.
    fn each<T>(
        &self,
        list: impl Fn(&KernelProfile) -> &[T],
        row: impl Fn(&T) -> Vec<Json>,
    ) -> Vec<Vec<Json>> {
        let mut rows = Vec::new();
        for kernel in &self.kernels {
            for item in list(kernel) {
                rows.push([vec![json!(kernel.name)], row(item)].concat());
            }
        }
        rows
    }

    fn speed_of_light(&self) -> Table {
        let number = |name: &str| Column::number(name, 1);
        let row = |k: &KernelProfile| {
            let s = &k.speed_of_light;
            vec![
                json!(k.name),
                json!(s.bound),
                json!(s.issue_percent),
                json!(s.pipe_percent),
                json!(s.l1_percent),
                json!(s.l2_percent),
                json!(s.dram_percent),
            ]
        };
        Table {
            name: "speed_of_light",
            caption: "Speed of light: each part, % of what it could do".into(),
            columns: vec![
                Column::text("kernel"),
                Column::text("highest"),
                number("issue"),
                number("pipe"),
                number("L1"),
                number("L2"),
                number("DRAM"),
            ],
            rows: self.kernels.iter().map(row).collect(),
        }
    }

    fn rooflines(&self) -> Table {
        let row = |k: &KernelProfile| {
            let r = &k.roofline;
            vec![
                json!(k.name),
                json!(r.flop_per_s / 1e9),
                json!(r.l1_intensity),
                json!(r.l2_intensity),
                json!(r.dram_intensity),
            ]
        };
        Table {
            name: "rooflines",
            caption: "Arithmetic: rate, and operations for each byte of each level".into(),
            columns: vec![
                Column::text("kernel"),
                Column::number("Gflop/s", 1),
                Column::number("flop/B L1", 3),
                Column::number("flop/B L2", 3),
                Column::number("flop/B DRAM", 3),
            ],
            rows: self.kernels.iter().map(row).collect(),
        }
    }

    fn stalls(&self) -> Table {
        Table {
            name: "stalls",
            caption: "Why warps waited: issue slots".into(),
            columns: vec![
                Column::text("kernel"),
                Column::text("reason"),
                Column::number("slots", 0),
                Column::number("%", 1),
            ],
            rows: self.each(
                |k| &k.stalls,
                |s| vec![json!(s.reason), json!(s.slots), json!(s.percent)],
            ),
        }
    }

    fn mix(&self) -> Table {
        Table {
            name: "mix",
            caption: "Warp instructions by opcode".into(),
            columns: vec![
                Column::text("kernel"),
                Column::text("opcode"),
                Column::number("executed", 0),
                Column::number("%", 1),
            ],
            rows: self.each(
                |k| &k.mix,
                |o| {
                    vec![
                        json!(o.opcode),
                        json!(o.warp_instructions),
                        json!(o.percent),
                    ]
                },
            ),
        }
    }

    fn source(&self) -> Table {
        fn shown(kernel: &KernelProfile) -> &[Source] {
            &kernel.source[..kernel.source.len().min(SOURCE_SHOWN)]
        }
        let row = |s: &Source| {
            vec![
                json!(s.instruction),
                json!(format!("{:#x}", s.pc)),
                json!(s.reason),
                json!(s.issued),
                json!(s.active_lanes),
                json!(s.lost),
                json!(s.percent),
            ]
        };
        Table {
            name: "source",
            caption: "Instructions that cost the most slots".into(),
            columns: vec![
                Column::text("kernel"),
                Column::text("instruction"),
                Column::text("pc"),
                Column::text("waits for"),
                Column::number("executed", 0),
                Column::number("lanes", 1),
                Column::number("lost", 0),
                Column::number("%", 1),
            ],
            rows: self.each(shown, row),
        }
        .with_lines(
            self.kernels
                .iter()
                .flat_map(shown)
                .map(|s| (s.line, &s.source)),
        )
    }

    /// The memory of the kernel that moved most.
    fn memory_chart(&self) -> Option<Figure> {
        let moved = |k: &&KernelProfile| -> u64 {
            let bytes = |flow: &Flow| flow.read_bytes + flow.written_bytes;
            k.memory.iter().map(bytes).sum()
        };
        let most = self.kernels.iter().rev().max_by_key(moved)?;
        Some(Figure {
            name: "memory",
            caption: format!("Bytes read (to the left) and written by {}", most.name),
            svg: memory::chart(&most.memory),
        })
    }

    /// The roofs of DRAM, L2 and L1, and the kernels under them.
    fn roofline(&self) -> Figure {
        let peaks = &self.ceilings;
        let levels = [
            ("DRAM", peaks.dram_bytes_per_s),
            ("L2", peaks.l2_bytes_per_s),
            ("L1", peaks.l1_bytes_per_s),
        ];
        let roof = |(name, bytes_per_s): (&str, f64)| Curve {
            name: format!("roof of {name}"),
            points: [0.01, peaks.fp32_flops / bytes_per_s, 1000.0]
                .map(|x| (x, (x * bytes_per_s).min(peaks.fp32_flops) / 1e9))
                .to_vec(),
        };
        let mut lines: Vec<Curve> = levels.into_iter().map(roof).collect();
        for kernel in &self.kernels {
            let r = &kernel.roofline;
            let rate = r.flop_per_s / 1e9;
            lines.push(Curve {
                name: kernel.name.clone(),
                points: vec![
                    (r.l1_intensity, rate),
                    (r.l2_intensity, rate),
                    (r.dram_intensity, rate),
                ],
            });
        }
        Figure {
            name: "roofline",
            caption: "Roofline with the ceilings of L1, L2 and DRAM; a kernel's points are its intensities at each level".into(),
            svg: curves("flop/B", "Gflop/s", &lines, Scale::Log, Scale::Log),
        }
    }
}
