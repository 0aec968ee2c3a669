//! Keys without an effect on a run, each with the reason. `validation/liveness.rs` proves both lists right: every
//! other key changes what a machine does, and these do not.

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
