//! A whole file, opened by its content and read to the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::trace::pgt::encoded::EncodedCtas;
use phantom_gpu::trace::{Command, open};
use std::io::Write;

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if file
        .write_all(PREFIX)
        .and_then(|()| file.write_all(data))
        .is_err()
    {
        return;
    }
    let Some(path) = file.path().to_str() else {
        return;
    };
    let Ok(workload) = open::open(path) else {
        return;
    };
    for command in &workload.commands {
        if let Command::Launch(kernel) = command {
            let mut ctas = EncodedCtas::new(kernel);
            for cta in 0..kernel.header.cta_count().min(100) {
                if ctas.get(cta).is_err() {
                    return;
                }
            }
        }
    }
});

/// Enough of a header that the file is taken for a `.tracez`.
const PREFIX: &[u8] = b"-grid dim = (1,1,1)\n-block dim = (32,1,1)\n\0";
