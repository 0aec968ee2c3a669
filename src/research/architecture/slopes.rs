//! How much a parameter is worth: a step of it, and parts that have no limit at all.

use super::change::scaled;
use super::compare::{STOPPED, faster, moved};
use super::machine::Base;
use super::runs::{Ran, Runs};
use super::section::{Perfect, Slope};
use crate::config::field::Kind;
use crate::config::{Resolved, check};
use crate::error::{Error, Result};

/// Part of a value that a step should be, in percent.
const STEP_PERCENT: f64 = 10.0;
/// Finest part of a value that is tried where a tenth is not allowed.
const PARTS_MAX: u64 = 64;

/// Parameters by name: what they are, and the keys that move together; the first of them says how far.
const PARAMETERS: &[(&str, &str, &[&str])] = &[
    (
        "core-clock",
        "clock of SMs, crossbar and L2",
        &["gpu.core_clock_khz"],
    ),
    ("sms", "SMs", &["gpu.sms"]),
    (
        "fp32-interval",
        "cycles that an FP32 instruction holds its pipe",
        &["sm.pipes.fp32_interval"],
    ),
    (
        "lsu-interval",
        "cycles between two instructions in the shared memory pipe",
        &["lsu.issue_interval"],
    ),
    ("registers", "registers of an SM", &["sm.registers"]),
    (
        "l1-size",
        "L1 and shared memory of an SM, by ways",
        &["l1.ways", "l1.unified_bytes"],
    ),
    ("l1-bandwidth", "data path of L1", &["l1.bytes_per_cycle"]),
    ("l1-mshrs", "lines in flight of an L1", &["l1.mshrs"]),
    (
        "noc-latency",
        "crossbar, both ways",
        &["noc.request_latency", "noc.reply_latency"],
    ),
    (
        "noc-bandwidth",
        "ports of SMs, CPCs and GPCs",
        &[
            "noc.sm_reply_bytes_per_cycle",
            "noc.sm_request_bytes_per_cycle",
            "noc.cpc_reply_bytes_per_cycle",
            "noc.gpc_reply_bytes_per_cycle",
            "noc.gpc_request_bytes_per_cycle",
        ],
    ),
    ("l2-size", "L2, by ways", &["l2.ways", "l2.bytes"]),
    (
        "l2-bandwidth",
        "data paths of L2 slices",
        &["l2.slice_bytes_per_cycle"],
    ),
    ("l2-mshrs", "lines in flight of an L2 slice", &["l2.mshrs"]),
    (
        "dram-clock",
        "command clock of DRAM: its bandwidth",
        &["dram.clock_khz"],
    ),
    (
        "dram-latency",
        "controller and interface of DRAM",
        &["dram.controller_latency"],
    ),
    (
        "dram-queue",
        "reads that a channel chooses from",
        &["dram.read_queue"],
    ),
];

/// Parts without a limit, and the key that makes them so.
const PERFECT: &[(&str, &str, &str)] = &[
    ("L1", "every load of L1 hits", "l1.perfect=true"),
    (
        "interconnect",
        "no message waits for another; latencies stay",
        "noc.topology=\"ideal\"",
    ),
    ("L2", "every access of L2 hits", "l2.perfect=true"),
    (
        "DRAM",
        "every read takes what one of an open row takes in an idle channel",
        "dram.perfect=true",
    ),
];

/// A parameter that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    name: String,
    text: String,
    keys: Vec<String>,
}

/// The parameters that `words` name, or keys; the usual ones without words.
///
/// # Errors
/// A name that is neither a parameter nor a key that is a number.
pub fn asked(words: &[String]) -> Result<Vec<Asked>> {
    let of = |(name, text, keys): &(&str, &str, &[&str])| Asked {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    if words.is_empty() {
        return Ok(PARAMETERS.iter().map(of).collect());
    }
    let mut all: Vec<Asked> = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        let known = PARAMETERS.iter().find(|(name, ..)| *name == word);
        let parameter = match known {
            Some(parameter) => of(parameter),
            None => key(word)?,
        };
        if !all.contains(&parameter) {
            all.push(parameter);
        }
    }
    Ok(all)
}

/// The parameter that is one key.
fn key(word: &str) -> Result<Asked> {
    let kind = check::kind(word);
    let number = matches!(
        kind,
        Ok(Kind::Count(..) | Kind::Cycles(..) | Kind::Bytes(..) | Kind::Kilohertz(..))
    );
    if !number {
        let names: Vec<&str> = PARAMETERS.iter().map(|(name, ..)| *name).collect();
        let near = check::nearest(word, names.iter().copied());
        let near = near.map_or(String::new(), |near| format!("did you mean {near}? "));
        return Err(Error::Usage(format!(
            "--slopes {word}: neither a parameter nor a key that is a number; {near}there are {}, and the keys of \
             `phantom-gpu list-hardware --verbose`",
            names.join(", ")
        )));
    }
    let docs = check::key_docs();
    let doc = docs.iter().find(|doc| doc.key == word);
    Ok(Asked {
        name: word.to_owned(),
        text: doc.map_or(String::new(), |doc| doc.doc.to_owned()),
        keys: vec![word.to_owned()],
    })
}

/// A step of a parameter.
struct Step {
    machine: Resolved,
    /// Times what the first key was.
    ratio: f64,
}

/// Machines a step away, and those with a perfect part.
pub struct Steps<'a> {
    steps: Vec<(&'a Asked, std::result::Result<Step, String>)>,
    perfect: Vec<std::result::Result<Resolved, String>>,
}

impl<'a> Steps<'a> {
    /// From `base`.
    pub fn of(asked: &'a [Asked], base: &Base) -> Self {
        Steps {
            steps: asked
                .iter()
                .map(|asked| (asked, step(asked, base)))
                .collect(),
            perfect: PERFECT
                .iter()
                .map(|(.., set)| base.with(&[(*set).to_owned()]))
                .collect(),
        }
    }

    /// All of them are to be run.
    pub fn want(&self, runs: &mut Runs) {
        let steps = self.steps.iter().filter_map(|(_, step)| step.as_ref().ok());
        steps.for_each(|step| runs.want(&step.machine));
        self.perfect
            .iter()
            .flatten()
            .for_each(|machine| runs.want(machine));
    }

    /// What came of the steps.
    pub fn slopes(&self, base: &Base, runs: &Runs) -> Vec<Slope> {
        let row = |(asked, step): &(&Asked, std::result::Result<Step, String>)| {
            let mut slope = Slope {
                name: asked.name.clone(),
                text: asked.text.clone(),
                keys: Vec::new(),
                step_percent: None,
                reason: None,
                speedup: None,
                time_percent: None,
                slope: None,
            };
            let speedup = step.as_ref().map_err(Clone::clone).and_then(|step| {
                let keys = asked.keys.iter();
                slope.keys = keys
                    .map(|key| moved(key, &base.config, &step.machine))
                    .collect();
                slope.step_percent = Some(100.0 * (step.ratio - 1.0));
                Ok((speedup(&step.machine, base, runs)?, step.ratio))
            });
            match speedup {
                Ok(((_, speedup), ratio)) => {
                    slope.speedup = Some(speedup);
                    slope.time_percent = Some(100.0 * (1.0 / speedup - 1.0));
                    slope.slope = Some(speedup.ln() / ratio.ln());
                }
                Err(reason) => slope.reason = Some(reason),
            }
            slope
        };
        self.steps.iter().map(row).collect()
    }

    /// What came of the perfect parts.
    pub fn perfect(&self, base: &Base, runs: &Runs) -> Vec<Perfect> {
        let row = |((name, text, _), machine): (&(&'static str, &'static str, &str), _)| {
            let machine: &std::result::Result<Resolved, String> = machine;
            let found = machine.as_ref().map_err(Clone::clone);
            let found = found.and_then(|machine| speedup(machine, base, runs));
            Perfect {
                name,
                text,
                reason: found.as_ref().err().cloned(),
                cycles: found.as_ref().ok().map(|(cycles, _)| *cycles),
                speedup: found.ok().map(|(_, speedup)| speedup),
            }
        };
        PERFECT.iter().zip(&self.perfect).map(row).collect()
    }
}

/// Cycles on `machine`, and how many times as fast as the base.
fn speedup(
    machine: &Resolved,
    base: &Base,
    runs: &Runs,
) -> std::result::Result<(u64, f64), String> {
    match (runs.get(&base.config), runs.get(machine)) {
        (Ran::Whole(own), Ran::Whole(run)) => {
            let before = (own.cycles, &base.config.spec);
            let speedup = faster(before, (run.cycles, &machine.spec));
            Ok((run.cycles, speedup))
        }
        (_, Ran::Unfit(reason)) => Err(reason.clone()),
        _ => Err(STOPPED.to_owned()),
    }
}

/// The step up that is nearest to a tenth and that gives a machine.
fn step(asked: &Asked, base: &Base) -> std::result::Result<Step, String> {
    let first = &asked.keys[0];
    let from = base.value(first).as_u64().unwrap_or(0);
    if from == 0 {
        return Err(format!("{first} = {} has no tenth", base.value(first)));
    }
    let mut why = None;
    for to in candidates(from) {
        let set = |key: &String| {
            let value = base.value(key).as_u64().unwrap_or(0);
            format!("{key}={}", scaled(value, to, from))
        };
        let sets: Vec<String> = asked.keys.iter().map(set).collect();
        match base.with(&sets) {
            Ok(machine) => {
                let ratio = to as f64 / from as f64;
                return Ok(Step { machine, ratio });
            }
            Err(reason) => {
                why.get_or_insert(reason);
            }
        }
    }
    Err(why.unwrap_or_default())
}

/// Values above `from`, those nearest to a tenth more first: that itself, and whole parts of the value.
fn candidates(from: u64) -> Vec<u64> {
    let whole = (from as f64 * (1.0 + STEP_PERCENT / 100.0)).round() as u64;
    let mut all = vec![whole.max(from + 1)];
    for parts in (1..=PARTS_MAX).filter(|parts| from.is_multiple_of(*parts)) {
        all.extend((1..=parts.div_ceil(2)).map(|part| from + part * (from / parts)));
    }
    let away = |to: &u64| (*to as f64 / from as f64 - 1.0 - STEP_PERCENT / 100.0).abs();
    all.sort_by(|a, b| away(a).total_cmp(&away(b)).then(a.cmp(b)));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(gpu: &str) -> Base {
        Base::of(gpu, &[]).unwrap()
    }

    #[test]
    fn a_step_is_a_tenth_or_the_nearest_that_is_allowed() {
        assert_eq!(candidates(1_380_000)[0], 1_518_000);
        assert_eq!(candidates(32)[..2], [35, 36]);
        assert_eq!(candidates(1)[0], 2);
        assert_eq!(candidates(2)[0], 3);
        let v100 = base("v100");
        for (name, first, value) in [
            ("l2-size", "l2.ways", 26),
            ("l1-size", "l1.ways", 282),
            ("fp32-interval", "sm.pipes.fp32_interval", 3),
            ("dram-clock", "dram.clock_khz", 964_700),
            // Whole sets of all slices: a thirty-second part is the least, three of them the nearest.
            ("l2.bytes", "l2.bytes", (6 << 20) / 32 * 35),
        ] {
            let asked = asked(&[name.to_owned()]).unwrap();
            let step = step(&asked[0], &v100).unwrap_or_else(|why| panic!("{name}: {why}"));
            let found = super::super::machine::value(&step.machine, first);
            assert_eq!(found.as_u64(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_parameter_that_cannot_move_says_why() {
        let asked = asked(&["sm.warps_max".to_owned(), "noc.far_extra".to_owned()]).unwrap();
        let why = step(&asked[0], &base("v100")).err().unwrap();
        assert!(
            why.contains("sm.warps_max") && why.contains("1 to 64"),
            "{why}"
        );
        let why = step(&asked[1], &base("v100")).err().unwrap();
        assert_eq!(why, "noc.far_extra = 0 has no tenth");
    }

    #[test]
    fn every_parameter_has_a_step_on_most_gpus() {
        let gpus = ["v100", "t4", "a100-80", "rtx3090", "rtx4090", "h100-sxm"].map(base);
        for asked in asked(&[]).unwrap() {
            let found = gpus.iter().filter(|gpu| step(&asked, gpu).is_ok()).count();
            assert!(found >= 4, "{}: {found}", asked.name);
        }
    }

    #[test]
    fn a_name_that_is_no_number_lists_the_parameters() {
        for word in ["core-clok", "sm.scheduler", "l1.carveouts_kib", "l1.wayz"] {
            let error = asked(&[word.to_owned()]).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            let error = error.to_string();
            assert!(
                error.contains(word) && error.contains("dram-clock"),
                "{error}"
            );
        }
    }
}
