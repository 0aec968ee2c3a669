//! A whole trace file as text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::accelsim::import::Parser;
use phantom_gpu::trace::pgt::spool::SpoolSpace;

fuzz_target!(|data: &[u8]| {
    let Ok(mut parser) = Parser::new("fuzz", &SpoolSpace::new(1 << 20)) else {
        return;
    };
    if parser.feed(data).is_ok() {
        let _ = parser.finish();
    }
});
