//! A whole trace file as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::accelsim::import::Parser;

fuzz_target!(|data: &[u8]| {
    let Ok(mut parser) = Parser::new("fuzz") else {
        return;
    };
    if parser.feed(data).is_ok() {
        let _ = parser.finish();
    }
});
