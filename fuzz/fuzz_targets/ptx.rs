//! PTX text: what parses must print and parse to the same, and decode and lower without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::internals::ptx::exec::decode::{Bindings, decode};
use phantom_gpu::internals::ptx::flat::{entries, flatten};
use phantom_gpu::internals::ptx::{lower, parse};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(module) = parse(&text) else {
        return;
    };
    let printed = module.to_string();
    assert_eq!(parse(&printed).as_ref(), Ok(&module));
    for entry in entries(&module) {
        if let Ok(flat) = flatten(&module, entry.name) {
            let program = decode(&flat, &Bindings::default());
            let _ = lower::lower(&flat, &program, 80);
        }
    }
});
