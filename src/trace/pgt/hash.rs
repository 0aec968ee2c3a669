//! The content hash of a workload: what a simulation sees, and not the container it came in.
//!
//! Headers without their source, code, patterns, streams and copies count, so that a trace keeps its
//! hash when it is converted to `.pgt`, or exported and imported again.

use crate::hash::ContentHash;
use crate::trace::kernel::{Command, Kernel};
use crate::trace::source::Source;

/// The hash of `commands`. A kernel without totals (generated on demand) counts by its header alone,
/// source included, which names its generator.
pub fn workload_hash(commands: &[Command]) -> String {
    let mut hash = ContentHash::default();
    for command in commands {
        match command {
            Command::MemcpyHtoD { address, bytes } => {
                hash.word(0);
                hash.word(*address);
                hash.word(*bytes);
            }
            Command::Launch(kernel) => {
                hash.word(1);
                kernel_hash(kernel, &mut hash);
            }
        }
    }
    hash.hex()
}

fn kernel_hash(kernel: &Kernel, hash: &mut ContentHash) {
    let mut header = kernel.header.clone();
    if let Some(totals) = &kernel.totals {
        header.source = Source::AccelSim(String::new());
        hash.update(&totals.content.to_le_bytes());
    }
    let config = bincode::config::legacy();
    // Encoding into memory cannot fail for these types.
    if let Ok(bytes) = bincode::encode_to_vec(&header, config) {
        hash.bytes(&bytes);
    }
    if let Ok(bytes) = bincode::encode_to_vec(&*kernel.code, config) {
        hash.bytes(&bytes);
    }
}
