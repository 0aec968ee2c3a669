//! ONNX files: whatever is read must be a sound graph whose numbers can be computed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::internals::model::{onnx, options::Bindings, summary::Summary};

fuzz_target!(|data: &[u8]| {
    let bindings = Bindings {
        batch: Some(2),
        seq: Some(3),
        skip_unknown: true,
        ..Bindings::default()
    };
    let Ok(graph) = onnx::read(data, "fuzz.onnx", &bindings) else {
        return;
    };
    if graph.check("fuzz.onnx").is_ok() {
        let _ = Summary::of(&graph, "fuzz.onnx");
    }
});
