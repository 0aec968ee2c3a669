//! Dynamic counts of a kernel's static instructions.

use crate::error::Result;
use crate::trace::Kernel;
use crate::trace::pgt::encoded::EncodedCtas;
use crate::trace::stream::WarpStream;

/// What one pass over all streams counts.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Executions of each static instruction.
    pub warp: Vec<u64>,
    /// Active lanes of each, summed.
    pub thread: Vec<u64>,
    /// Executions of each with at least one active lane.
    pub active: Vec<u64>,
    /// Bytes of the encoded streams.
    pub encoded_bytes: u64,
}

/// Counts over all CTAs of `kernel`.
pub fn census(kernel: &Kernel) -> Result<Census> {
    let insts = kernel.code.insts.len();
    // Runs are counted as steps up and down, and summed at the end.
    let mut steps = [(); 3].map(|()| vec![0i64; insts + 1]);
    let mut ctas = EncodedCtas::new(kernel);
    let mut stream = WarpStream::default();
    let mut encoded_bytes = 0;
    for cta in 0..kernel.header.cta_count() {
        let (encoded, _) = ctas.get(cta)?;
        encoded_bytes += encoded.data.len() as u64;
        for chunk in &encoded.chunks {
            stream.fill(encoded.bytes(chunk), chunk.runs_bytes, 0, 1);
            while let Some(run) = stream.next_run() {
                let weights = [
                    1,
                    i64::from(run.mask.count_ones()),
                    i64::from(run.mask != 0),
                ];
                for (step, weight) in steps.iter_mut().zip(weights) {
                    step[run.start as usize] += weight;
                    step[(run.start + run.length) as usize] -= weight;
                }
            }
        }
    }
    let [warp, thread, active] = steps.map(|step| {
        let mut sum = 0;
        let running = step[..insts].iter().map(|s| {
            sum += s;
            sum as u64
        });
        running.collect()
    });
    Ok(Census {
        warp,
        thread,
        active,
        encoded_bytes,
    })
}
