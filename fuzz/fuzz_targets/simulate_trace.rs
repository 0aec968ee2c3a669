//! A mutated trace: text, or the index of a `.pgt` file.
#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bodies::simulate_trace(data);
});
