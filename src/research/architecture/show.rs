//! Tables and figures of variants, slopes and perfect parts.

use super::section::{Architecture, Key, Measured, Slots, Variant};
use crate::report::derive::ratio;
use crate::report::html::{Bar, Column, bars};
use crate::research::{Exhibits, Figure, Table};
use serde_json::{Value as Json, json};

/// Labels that have a colour of their own.
const LABELS_SHOWN: usize = 7;
/// Labels that the table names.
const LABELS_NAMED: usize = 3;

impl Architecture {
    /// Tables and figures; those of nothing are left out.
    pub fn shown(&self) -> Exhibits {
        let mut tables = vec![self.variants_table()];
        tables.extend(self.kernels_table());
        tables.extend(self.left_out());
        let mut figures = Vec::new();
        if !self.ran().is_empty() {
            figures.push(self.speedups());
            figures.extend(self.cycles());
        }
        if !self.slopes.is_empty() {
            tables.push(self.slopes_table());
            figures.push(self.slopes_figure());
        }
        if !self.perfect.is_empty() {
            tables.push(self.perfect_table());
        }
        Exhibits { tables, figures }
    }

    /// Variants that ran, with what was measured.
    fn ran(&self) -> Vec<(&Variant, &Measured)> {
        let ran = self.variants.iter();
        ran.filter_map(|v| Some((v, v.measured.as_ref()?)))
            .collect()
    }

    fn variants_table(&self) -> Table {
        let row = |name: &str, m: &Measured, speedups: [Json; 2], energy: Json, went: String| {
            vec![
                json!(name),
                json!(m.cycles),
                speedups[0].clone(),
                speedups[1].clone(),
                json!(100.0 * m.l1_hit_rate),
                json!(100.0 * m.l2_hit_rate),
                json!((m.dram_read_bytes + m.dram_written_bytes) as f64 / 1e6),
                energy,
                json!(went),
            ]
        };
        let mut rows = Vec::new();
        if let Some(base) = &self.base {
            let one = [json!(1.0), json!(1.0)];
            let energy = base.energy_j.map_or(Json::Null, |_| json!(1.0));
            rows.push(row("(base)", base, one, energy, String::new()));
        }
        rows.extend(self.ran().into_iter().map(|(v, m)| {
            let speedups = [json!(v.speedup), json!(v.geomean_speedup)];
            let went = self.base.as_ref().map(|base| largest(&v.slots, m, base));
            let went = went.unwrap_or_default();
            row(&v.name, m, speedups, json!(v.energy_ratio), went)
        }));
        let mut columns = vec![
            Column::text("variant"),
            Column::number("cycles", 0),
            Column::number("speedup", 3),
            Column::number("geomean", 3),
            Column::number("L1 hits %", 1),
            Column::number("L2 hits %", 1),
            Column::number("DRAM MB", 2),
            Column::number("energy", 3),
            Column::text("cycles by label, % of the base's"),
        ];
        if self
            .base
            .as_ref()
            .is_none_or(|base| base.energy_j.is_none())
        {
            columns.remove(7);
            rows.iter_mut().for_each(|row| drop(row.remove(7)));
        }
        Table {
            name: "variants",
            caption: "The workload on variants of the machine".into(),
            columns,
            rows,
        }
    }

    /// Speedups kernel by kernel, where there are several.
    fn kernels_table(&self) -> Option<Table> {
        let several = self.variants.iter().any(|v| v.kernels.len() > 1);
        let rows = self.variants.iter().flat_map(|v| {
            let row = |k: &super::section::KernelSpeedup| {
                vec![
                    json!(v.name),
                    json!(k.kernel),
                    json!(k.name),
                    json!(k.cycles),
                    json!(k.speedup),
                    json!(k.carveout_kib),
                ]
            };
            v.kernels.iter().map(row)
        });
        several.then(|| Table {
            name: "kernels",
            caption: "Each kernel on each variant".into(),
            columns: vec![
                Column::text("variant"),
                Column::number("kernel", 0),
                Column::text("name"),
                Column::number("cycles", 0),
                Column::number("speedup", 3),
                Column::number("carve-out KiB", 0),
            ],
            rows: rows.collect(),
        })
    }

    /// Variants that did not run, or are the machine itself.
    fn left_out(&self) -> Option<Table> {
        let rows: Vec<Vec<Json>> = self
            .variants
            .iter()
            .filter(|v| v.status != "run")
            .map(|v| {
                let why = v.reason.as_deref().unwrap_or("the machine is so already");
                vec![json!(v.name), json!(v.status), json!(why)]
            })
            .collect();
        (!rows.is_empty()).then(|| Table {
            name: "left-out",
            caption: "Variants that were not run".into(),
            columns: vec![
                Column::text("variant"),
                Column::text("status"),
                Column::text("why"),
            ],
            rows,
        })
    }

    fn speedups(&self) -> Figure {
        let bar = |(v, _): (&Variant, &Measured)| Bar {
            name: v.name.clone(),
            parts: vec![v.speedup.unwrap_or(0.0)],
        };
        let all: Vec<Bar> = self.ran().into_iter().map(bar).collect();
        Figure {
            name: "speedup",
            caption: "Times as fast as the base".into(),
            svg: bars("x", &["speedup"], &all),
        }
    }

    /// Cycles of each run by label: issue slots over sub-cores, so that the bars are as long as the runs.
    fn cycles(&self) -> Option<Figure> {
        let base = self.base.as_ref()?;
        let ran = self.ran();
        let count = ran.first()?.0.slots.len();
        let most = |at: usize| {
            let of = |(v, m): &(&Variant, &Measured)| share(v.slots[at].variant, m);
            let own = ratio(ran[0].0.slots[at].base, base.issue_slots);
            ran.iter().map(of).fold(own, f64::max)
        };
        let mut order: Vec<usize> = (0..count).filter(|at| most(*at) > 0.0).collect();
        order.sort_by(|a, b| most(*b).total_cmp(&most(*a)));
        let rest = order.split_off(order.len().min(LABELS_SHOWN));
        let labels = &ran[0].0.slots;
        let mut kinds: Vec<&str> = order.iter().map(|at| labels[*at].label).collect();
        if !rest.is_empty() {
            kinds.push("others");
        }
        let bar = |name: &str, m: &Measured, slots: &dyn Fn(usize) -> u64| {
            let cycles = |at: &usize| share(slots(*at), m) * m.cycles as f64;
            let mut parts: Vec<f64> = order.iter().map(cycles).collect();
            if !rest.is_empty() {
                parts.push(rest.iter().map(cycles).sum());
            }
            Bar {
                name: name.to_owned(),
                parts,
            }
        };
        let mut all = vec![bar("(base)", base, &|at| labels[at].base)];
        all.extend(
            ran.iter()
                .map(|(v, m)| bar(&v.name, m, &|at| v.slots[at].variant)),
        );
        Some(Figure {
            name: "cycles",
            caption: "Where the cycles went, on average over all sub-cores".into(),
            svg: bars("", &kinds, &all),
        })
    }

    fn slopes_table(&self) -> Table {
        let text = |keys: &[Key], of: fn(&Key) -> &String| {
            let all: Vec<&str> = keys.iter().map(|key| of(key).as_str()).collect();
            all.join(", ")
        };
        let rows = self.slopes.iter().map(|s| {
            let moved = match &s.reason {
                Some(reason) => reason.clone(),
                None => format!(
                    "{} -> {}",
                    text(&s.keys, |k| &k.base),
                    text(&s.keys, |k| &k.value)
                ),
            };
            vec![
                json!(s.name),
                json!(moved),
                json!(s.step_percent),
                json!(s.time_percent),
                json!(s.slope),
            ]
        });
        Table {
            name: "slopes",
            caption: "What a step of each parameter does to the time".into(),
            columns: vec![
                Column::text("parameter"),
                Column::text("from -> to"),
                Column::number("step %", 2),
                Column::number("time %", 3),
                Column::number("slope", 3),
            ],
            rows: rows.collect(),
        }
    }

    fn slopes_figure(&self) -> Figure {
        let bar = |s: &super::section::Slope| {
            let slope = s.slope?;
            Some(Bar {
                name: s.name.clone(),
                parts: vec![slope.max(0.0), (-slope).max(0.0)],
            })
        };
        let all: Vec<Bar> = self.slopes.iter().filter_map(bar).collect();
        Figure {
            name: "slopes",
            caption: "Elasticity of speed to each parameter".into(),
            svg: bars("", &["more is faster", "more is slower"], &all),
        }
    }

    fn perfect_table(&self) -> Table {
        let row = |p: &super::section::Perfect| {
            vec![
                json!(p.name),
                json!(p.reason.as_deref().unwrap_or(p.text)),
                json!(p.cycles),
                json!(p.speedup),
            ]
        };
        Table {
            name: "perfect",
            caption: "What perfect parts would give".into(),
            columns: vec![
                Column::text("perfect"),
                Column::text("what"),
                Column::number("cycles", 0),
                Column::number("speedup", 3),
            ],
            rows: self.perfect.iter().map(row).collect(),
        }
    }
}

fn share(slots: u64, of: &Measured) -> f64 {
    ratio(slots, of.issue_slots)
}

/// The labels with the largest differences of cycles on average over sub-cores, in percent of all cycles of the base, so
/// that machines with more SMs can be compared. All labels together make the difference of the cycles.
fn largest(slots: &[Slots], variant: &Measured, base: &Measured) -> String {
    let percent = |s: &Slots| {
        let cycles = share(s.variant, variant) * variant.cycles as f64
            - share(s.base, base) * base.cycles as f64;
        100.0 * cycles / base.cycles.max(1) as f64
    };
    let mut parts: Vec<(&str, f64)> = slots.iter().map(|s| (s.label, percent(s))).collect();
    parts.retain(|(_, percent)| percent.abs() >= 0.05);
    parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let named = parts.iter().take(LABELS_NAMED);
    let named = named.map(|(label, percent)| format!("{label} {percent:+.1}"));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(cycles: u64, sub_cores: u64) -> Measured {
        Measured {
            cycles,
            time_us: 0.0,
            issue_slots: cycles * sub_cores,
            l1_bytes: 0,
            l1_hit_rate: 0.0,
            l2_bytes: 0,
            l2_hit_rate: 0.0,
            dram_read_bytes: 0,
            dram_written_bytes: 0,
            energy_j: None,
        }
    }

    /// Twice the sub-cores that share the same work: half of the cycles of each label.
    #[test]
    fn labels_are_compared_by_the_cycles_of_a_sub_core() {
        let (base, variant) = (measured(1000, 4), measured(500, 8));
        let slot = |label, base, variant: u64| Slots {
            label,
            base,
            variant,
            difference: variant as i64 - base as i64,
        };
        let slots = [
            slot("issued", 3000, 3000),
            slot("wait", 999, 999),
            slot("misc", 1, 1),
        ];
        let text = largest(&slots, &variant, &base);
        assert_eq!(text, "issued -37.5, wait -12.5");
    }
}
