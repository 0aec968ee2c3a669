//! Results on their way out: accesses of any width, conversions, activations.

use super::body::Emit;
use crate::kernels::builder::{KernelBuilder, size_suffix};

/// Mnemonic of an access to global memory of any width.
pub(super) fn global(code: &KernelBuilder, base: &str, width: u64) -> String {
    match width {
        ..4 => format!("{base}.E.U{}", 8 * width),
        _ => code.global(base, width),
    }
}

/// Mnemonic of a load from shared memory of any width.
pub(super) fn shared_load(code: &KernelBuilder, width: u64) -> String {
    match width {
        ..4 => format!("LDS.U{}", 8 * width),
        16 => code.shared_load_128().to_owned(),
        _ => format!("LDS{}", size_suffix(width)),
    }
}

/// Two results as halves. Volta converts one at a time.
pub(super) fn pack(code: &KernelBuilder, to: u16, pair: &[u16]) -> Vec<Emit> {
    match code.sm_version() {
        75.. => vec![Emit::new("F2FP.PACK_AB", &[to], pair)],
        _ => {
            let mut all: Vec<_> = pair
                .iter()
                .map(|&value| Emit::new("F2F.F16.F32", &[value], &[value]))
                .collect();
            all.push(Emit::new("PRMT", &[to], pair));
            all
        }
    }
}

/// GELU by tanh, as the epilogues of libraries have it.
pub(super) fn gelu(code: &KernelBuilder, value: u16, scratch: u16) -> Vec<Emit> {
    let mut all = vec![
        Emit::new("FMUL", &[scratch], &[value, value]),
        Emit::new("FFMA", &[scratch], &[scratch, value, value]),
        Emit::new("FMUL", &[scratch], &[scratch]),
    ];
    if code.sm_version() >= 75 {
        all.push(Emit::new("MUFU.TANH", &[scratch], &[scratch]));
    } else {
        all.push(Emit::new("MUFU.EX2", &[scratch], &[scratch]));
        all.push(Emit::new("FADD", &[scratch], &[scratch]));
        all.push(Emit::new("MUFU.RCP", &[scratch], &[scratch]));
        all.push(Emit::new("FFMA", &[scratch], &[scratch]));
    }
    all.push(Emit::new("FMUL", &[value], &[value]));
    all.push(Emit::new("FFMA", &[value], &[value, scratch, value]));
    all
}
