//! A mutated configuration.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::simulate_config(data);
});
