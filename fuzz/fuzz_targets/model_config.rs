//! Configurations of Hugging Face: whatever is read must be a graph that is sound or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phantom_gpu::internals::model::{hf, options::Bindings, summary::Summary};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(graph) = hf::read(&text, "config.json", "fuzz", &Bindings::default()) else {
        return;
    };
    if graph.check("config.json").is_ok() {
        let _ = Summary::of(&graph, "config.json");
    }
});
