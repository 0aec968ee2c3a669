//! Machines side by side: speed, where the cycles went, traffic, energy.

use super::change::Change;
use super::joules;
use super::machine::{Base, Fit, value};
use super::runs::{Ran, Runs};
use super::section::{KernelSpeedup, Key, Measured, Slots, Variant};
use super::variant::Variant as Asked;
use crate::config::field::Kind;
use crate::config::{GpuSpec, Resolved, check, units};
use crate::mem::SECTOR_BYTES;
use crate::report::derive::{microseconds, ratio};
use crate::report::schema::Kernel;
use crate::research::Again;
use crate::stats::{ChipCounters, SmCounters};
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};

/// Why a machine was not run to its end.
pub const STOPPED: &str = "it was ended by Ctrl-C or --max-cycles, or the run itself was";

/// A run of the workload on one machine, or on the best of several for each kernel.
pub struct Side<'a> {
    cycles: u64,
    spec: &'a GpuSpec,
    counters: ChipCounters,
    /// Kernels, each with its machine.
    kernels: Vec<(&'a Kernel, &'a GpuSpec)>,
}

/// The machines of `fit` are to be run.
pub fn want(fit: &Fit, runs: &mut Runs) {
    if let Fit::Machines(machines) = fit {
        machines.iter().for_each(|machine| runs.want(machine));
    }
}

/// Times as fast as `base`, in time; exactly 1 when cycles and clocks are equal.
pub fn faster(base: (u64, &GpuSpec), run: (u64, &GpuSpec)) -> f64 {
    let of = |cycles: u64, other: &GpuSpec| cycles as f64 * f64::from(other.core_clock_khz);
    of(base.0, run.1) / of(run.0.max(1), base.1)
}

/// What was counted while `kernel` ran.
fn counters(kernel: &Kernel) -> ChipCounters {
    ChipCounters {
        sm: SmCounters {
            issue: kernel.issue,
            sm: kernel.sm.counters,
            fetch: kernel.fetch.counters,
            lsu: kernel.lsu.counters,
            l1: kernel.l1.counters,
        },
        noc: kernel.noc.counters,
        l2: kernel.l2.counters,
        dram: kernel.dram.counters,
    }
}

impl<'a> Side<'a> {
    /// One machine.
    pub fn of(run: &'a Again, spec: &'a GpuSpec) -> Self {
        Side {
            cycles: run.cycles,
            spec,
            counters: run.counters,
            kernels: run.kernels.iter().map(|kernel| (kernel, spec)).collect(),
        }
    }

    /// Each kernel on that of `runs` where it takes the least cycles; what is between kernels is that of the last. Where
    /// kernels overlap they cannot be told apart, and the best of the whole runs is taken.
    fn best(runs: &[(&'a Again, &'a GpuSpec)]) -> Option<Self> {
        let &(last, spec) = runs.last()?;
        let overlapped = runs
            .iter()
            .any(|(run, _)| run.kernels.iter().any(|k| k.overlapped));
        let alike = runs
            .iter()
            .all(|(run, _)| run.kernels.len() == last.kernels.len());
        if overlapped || !alike {
            let best = runs.iter().rev().min_by_key(|(run, _)| run.cycles)?;
            return Some(Side::of(best.0, best.1));
        }
        let mut side = Side::of(last, spec);
        let mut all = ChipCounters::default();
        for kernel in &last.kernels {
            all += &counters(kernel);
            side.cycles -= kernel.cycles;
        }
        side.counters = side.counters.since(&all);
        for (at, place) in side.kernels.iter_mut().enumerate() {
            let of = runs
                .iter()
                .rev()
                .map(|(run, spec)| (&run.kernels[at], *spec));
            if let Some(best) = of.min_by_key(|(kernel, _)| kernel.cycles) {
                *place = best;
            }
            side.cycles += place.0.cycles;
            side.counters += &counters(place.0);
        }
        Some(side)
    }

    /// The kernel here that is number `at` of `base`, for each of them: the same in the order of those of its name.
    fn partners(&self, base: &Side) -> Vec<Option<(&'a Kernel, &'a GpuSpec)>> {
        let mut named: BTreeMap<&str, VecDeque<(&'a Kernel, &'a GpuSpec)>> = BTreeMap::new();
        for &(kernel, spec) in &self.kernels {
            named
                .entry(&kernel.name)
                .or_default()
                .push_back((kernel, spec));
        }
        let mut partner = |name: &str| named.get_mut(name)?.pop_front();
        base.kernels
            .iter()
            .map(|(kernel, _)| partner(&kernel.name))
            .collect()
    }

    fn kernels(&self, base: &Side) -> Vec<KernelSpeedup> {
        let pairs = base.kernels.iter().zip(self.partners(base));
        let row = |(&(before, before_spec), after): (
            &(&Kernel, &GpuSpec),
            Option<(&Kernel, &GpuSpec)>,
        )| {
            let (kernel, spec) = after?;
            Some(KernelSpeedup {
                kernel: before.index,
                name: before.name.clone(),
                cycles: kernel.cycles,
                speedup: faster((before.cycles, before_spec), (kernel.cycles, spec)),
                carveout_kib: kernel.occupancy.carveout_bytes / 1024,
            })
        };
        pairs.filter_map(row).collect()
    }

    fn slots(&self, base: &Side) -> Vec<Slots> {
        let (before, after) = (&base.counters.sm.issue, &self.counters.sm.issue);
        let both = before.named().zip(after.named());
        let row = |((label, base), (_, variant)): ((&'static str, u64), (&str, u64))| Slots {
            label,
            base,
            variant,
            difference: variant as i64 - base as i64,
        };
        both.map(row).collect()
    }
}

impl Measured {
    /// Of a run.
    pub fn of(side: &Side) -> Self {
        let ChipCounters { sm, l2, dram, .. } = &side.counters;
        let bytes = |sectors: u64| sectors * SECTOR_BYTES;
        let energies = side
            .kernels
            .iter()
            .map(|(kernel, spec)| joules(kernel, spec));
        Measured {
            cycles: side.cycles,
            time_us: microseconds(side.cycles, side.spec),
            issue_slots: sm.issue.total(),
            l1_bytes: bytes(sm.l1.sector_reads + sm.l1.sector_writes + sm.l1.sector_atomics),
            l1_hit_rate: ratio(sm.l1.sector_hits, sm.l1.sector_reads),
            l2_bytes: bytes(l2.sector_reads + l2.sector_writes + l2.sector_atomics),
            l2_hit_rate: ratio(l2.read_hits, l2.sector_reads),
            dram_read_bytes: bytes(dram.reads),
            dram_written_bytes: bytes(dram.writes),
            energy_j: energies.sum(),
        }
    }
}

/// What came of `asked`.
pub fn variant(asked: &Asked, fit: &Fit, base: &Base, runs: &Runs, own: Option<&Side>) -> Variant {
    let mut row = Variant {
        name: asked.name.clone(),
        text: asked.text.clone(),
        keys: Vec::new(),
        status: "unfit",
        reason: None,
        speedup: None,
        geomean_speedup: None,
        energy_ratio: None,
        measured: None,
        slots: Vec::new(),
        kernels: Vec::new(),
    };
    let machines = match fit {
        Fit::Machines(machines) => machines,
        Fit::Not(reason) => {
            row.reason = Some(reason.clone());
            return row;
        }
    };
    row.keys = keys(asked, machines, &base.config);
    let side = match (side(machines, runs), own) {
        (Ok(Some(side)), Some(own)) => Some((side, own)),
        (Err(reason), _) => {
            row.reason = Some(reason);
            return row;
        }
        _ => None,
    };
    let Some((side, own)) = side else {
        row.status = "stopped";
        row.reason = Some(STOPPED.to_owned());
        return row;
    };
    let same = machines
        .iter()
        .all(|machine| machine.hash == base.config.hash);
    row.status = if same { "base" } else { "run" };
    let (measured, before) = (Measured::of(&side), Measured::of(own));
    row.speedup = Some(faster((own.cycles, own.spec), (side.cycles, side.spec)));
    row.kernels = side.kernels(own);
    row.geomean_speedup = geomean(&row.kernels);
    row.slots = side.slots(own);
    row.energy_ratio = measured.energy_j.zip(before.energy_j).map(|(a, b)| a / b);
    row.measured = Some(measured);
    row
}

/// The run on `machines`; nothing where one was stopped, and why where none can run the workload.
fn side<'a>(machines: &'a [Resolved], runs: &'a Runs) -> Result<Option<Side<'a>>, String> {
    let mut whole = Vec::new();
    let mut why = String::new();
    for machine in machines {
        match runs.get(machine) {
            Ran::Whole(run) => whole.push((&**run, &machine.spec)),
            Ran::Stopped => return Ok(None),
            Ran::Unfit(reason) => why.clone_from(reason),
        }
    }
    match &whole[..] {
        [] => Err(why),
        [(run, spec)] => Ok(Some(Side::of(run, spec))),
        several => Ok(Side::best(several)),
    }
}

fn geomean(kernels: &[KernelSpeedup]) -> Option<f64> {
    let sum: f64 = kernels.iter().map(|kernel| kernel.speedup.ln()).sum();
    (!kernels.is_empty()).then(|| (sum / kernels.len() as f64).exp())
}

/// The keys that `asked` names, before and after.
fn keys(asked: &Asked, machines: &[Resolved], base: &Resolved) -> Vec<Key> {
    let row = |(key, change): &(String, Change)| match change {
        Change::Best => Key {
            key: key.clone(),
            base: shown(key, value(base, key)),
            value: "best".into(),
        },
        _ => moved(key, base, &machines[0]),
    };
    asked.changes.iter().map(row).collect()
}

/// `key` before and after.
pub fn moved(key: &str, base: &Resolved, machine: &Resolved) -> Key {
    Key {
        key: key.to_owned(),
        base: shown(key, value(base, key)),
        value: shown(key, value(machine, key)),
    }
}

/// A value for people.
fn shown(key: &str, value: &Json) -> String {
    match (value, check::kind(key)) {
        (Json::String(text), _) => text.clone(),
        (Json::Number(n), Ok(Kind::Bytes(..))) => {
            n.as_u64().map_or_else(|| n.to_string(), units::show_bytes)
        }
        (Json::Number(n), Ok(Kind::Kilohertz(..))) => format!("{n} kHz"),
        (other, _) => other.to_string(),
    }
}
