//! Keys without an effect on a run, each with the reason; keys that have one only while another key has a certain value.
//! `validation/liveness.rs` proves the first list right: every other key changes what a machine does, and these do not.

use serde_json::Value as Json;

/// Key and why no legal value of it changes what the machine does.
pub const INERT: &[(&str, &str)] = &[
    ("gpu.name", "a name, for reports"),
    ("gpu.product", "a name, for people"),
    (
        "gpu.architecture",
        "a label; it decides which gpu.compute_capability is allowed",
    ),
    (
        "sm.sub_cores",
        "one legal value: the model of the SM is built for four, as all parts since Volta have",
    ),
    (
        "l1.line_bytes",
        "one legal value: the line of all parts since Volta",
    ),
    (
        "l1.sector_bytes",
        "one legal value: the sector of all parts since Volta",
    ),
    (
        "l2.line_bytes",
        "one legal value: the line of all parts since Volta",
    ),
    (
        "l2.sector_bytes",
        "one legal value: the sector of all parts since Volta",
    ),
    (
        "dram.bytes",
        "for list-gpus; addresses wrap at what the channels of the standard hold",
    ),
];

/// Why `key` has no effect, if it has none.
pub fn reason(key: &str) -> Option<&'static str> {
    let found = INERT.iter().find(|(name, _)| *name == key);
    found.map(|(_, reason)| *reason)
}

/// What keys begin with that count only while another key has one value: the beginning, the other key, its value.
const SWITCHED: &[(&str, &str, &str)] = &[
    ("power.limit_w", "power.throttle", "true"),
    ("power.clock_", "power.throttle", "true"),
    ("tlb.", "tlb.enabled", "true"),
    ("sm.ccws.", "sm.scheduler", "ccws"),
    ("l1.stride.", "l1.prefetch", "stride"),
    ("noc.mesh_", "noc.topology", "mesh"),
];

/// A sentence for each key of `sets` (`key=value`) that has no effect on the machine whose keys are `echo`.
pub fn idle(echo: &Json, sets: &[String]) -> Vec<String> {
    let mut sentences = Vec::new();
    for (key, _) in sets.iter().filter_map(|setting| setting.split_once('=')) {
        let key = key.trim();
        let of =
            |(begin, switch, _): &&(&str, &str, &str)| key.starts_with(begin) && key != *switch;
        let Some((_, switch, wanted)) = SWITCHED.iter().find(of) else {
            continue;
        };
        let is = match switch.split('.').fold(echo, |at, part| &at[part]) {
            Json::String(name) => name.clone(),
            other => other.to_string(),
        };
        let sentence = format!("{key} has no effect: {switch} is {is}, and not {wanted}");
        if is != *wanted && !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::super::load;

    #[test]
    fn a_key_that_waits_for_another_one_is_named() {
        let idle = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            load("v100", &sets).unwrap().idle
        };
        assert_eq!(
            idle(&[
                "power.limit_w=100",
                "noc.mesh_columns = 3",
                "power.limit_w=90"
            ]),
            [
                "power.limit_w has no effect: power.throttle is false, and not true",
                "noc.mesh_columns has no effect: noc.topology is crossbar, and not mesh"
            ]
        );
        assert!(idle(&["power.throttle=false", "tlb.enabled=false", "l1.mshrs=100"]).is_empty());
        // Energy reads these whether clocks follow power or not.
        assert!(idle(&["power.board_w=20", "power.voltage_milli=950"]).is_empty());
        assert_eq!(
            idle(&["l1.stride.degree=2", "sm.ccws.throttle=5", "tlb.page=64KiB"]).len(),
            3
        );
    }

    #[test]
    fn switches_and_what_they_switch_exist() {
        let keys: Vec<String> = super::super::key_docs()
            .into_iter()
            .map(|doc| doc.key)
            .collect();
        for (begin, switch, _) in super::SWITCHED {
            assert!(keys.iter().any(|key| key == switch), "{switch}");
            assert!(
                keys.iter()
                    .any(|key| key.starts_with(begin) && key != switch),
                "{begin}"
            );
        }
    }
}
