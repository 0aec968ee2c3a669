//! A list of kernels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::accelsim::list::parse_list;

fuzz_target!(|data: &[u8]| {
    let _ = parse_list("fuzz", data);
});
