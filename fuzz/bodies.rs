//! What is done with mutated inputs, for the fuzz targets and for the seeded test of the gate.
//!
//! What is accepted is simulated for some thousand cycles: refusing it is fine, as is a run that stands still,
//! but not a panic, a hang or a huge allocation.

use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;
use phantom_gpu::trace::pgt::blocks::crc32;
use phantom_gpu::trace::pgt::format::{FOOTER_BYTES, Footer};
use std::io::Write;

/// A GPU that is built in no time.
pub const TINY_GPU: &str = "t4";
/// Its size.
pub const TINY: [&str; 5] = [
    "gpu.sms=2",
    "gpu.gpcs=1",
    "l2.slices=4",
    "l2.bytes=512 KiB",
    "dram.channels=2",
];
/// The trace whose index is mutated.
const PGT: &[u8] = include_bytes!("../traces/tiny.pgt");
/// First byte of the data of [`simulate_trace`] where the rest is the index of a `.pgt` file.
pub const INDEX: u8 = 0;
/// The kernels of which [`simulate_config`] runs one.
pub const KERNELS: [&str; 8] = [
    "synth:stream?bytes=64KiB",
    "synth:sgemm?m=64&n=64&k=16",
    "synth:gather?per=4&grid=8",
    "synth:smem?grid=4&ways=4",
    "synth:atomics?grid=8&iters=2",
    "synth:barrier?grid=8&iters=4",
    "synth:ffma?grid=8&iters=2&control=on",
    "synth:hgemm?m=128&n=128&k=32",
];

fn options() -> Options<'static> {
    Options {
        max_cycles: Some(4000),
        ..Options::default()
    }
}

/// Simulates a trace: text, or after a byte [`INDEX`] the unpacked index of a `.pgt` file. Whether it was
/// accepted.
pub fn simulate_trace(data: &[u8]) -> bool {
    let bytes = match data.split_first() {
        Some((&INDEX, index)) => framed(index),
        _ => data.to_vec(),
    };
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("a writable file");
    let session = Session::new(TINY_GPU, &TINY).expect("a sound configuration");
    let path = file.path().to_str().expect("a plain path");
    let Ok(workload) = session.open(&[path]) else {
        return false;
    };
    session.run(&workload, &options()).is_ok()
}

/// Simulates a kernel on a GPU with changed keys, one `key=value` a line; the first byte chooses the kernel.
/// Whether it was accepted.
pub fn simulate_config(data: &[u8]) -> bool {
    let Some((&kernel, text)) = data.split_first() else {
        return false;
    };
    let text = String::from_utf8_lossy(text);
    let sets: Vec<&str> = TINY.into_iter().chain(text.lines()).collect();
    let Ok(session) = Session::new(TINY_GPU, &sets) else {
        return false;
    };
    let kernel = KERNELS[usize::from(kernel) % KERNELS.len()];
    let Ok(workload) = session.open(&[kernel]) else {
        return false;
    };
    session.run(&workload, &options()).is_ok()
}

/// The unpacked index of the trace.
pub fn index() -> Vec<u8> {
    let footer = footer();
    let packed = &PGT[footer.offset as usize..][..footer.packed as usize];
    zstd::bulk::decompress(packed, footer.raw as usize).expect("a sound file")
}

fn footer() -> Footer {
    let bytes = PGT.last_chunk::<{ FOOTER_BYTES as usize }>();
    bytes.and_then(Footer::from_bytes).expect("a sound file")
}

/// The trace with another index, checksums and all.
fn framed(index: &[u8]) -> Vec<u8> {
    let offset = footer().offset;
    let packed = zstd::bulk::compress(index, 1).expect("memory");
    let footer = Footer {
        offset,
        packed: packed.len() as u32,
        raw: index.len() as u32,
        crc: crc32(&packed),
    };
    let mut out = PGT[..offset as usize].to_vec();
    out.extend_from_slice(&packed);
    out.extend_from_slice(&footer.to_bytes());
    out
}
