//! Header lines of a trace file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::accelsim::header::TraceHeader;

fuzz_target!(|data: &[u8]| {
    let mut header = TraceHeader::new("fuzz");
    for line in data.split(|&b| b == b'\n') {
        if header.line(line).is_err() {
            return;
        }
    }
    let _ = header.finish();
});
