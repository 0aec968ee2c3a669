//! Tests of the matrix multiplies.

use super::*;

/// Bytes of each matrix that a GEMM touches, in 16-byte (or 8-byte, for C) pieces.
fn gemm_footprint(spec: &str, name: &str) -> [u64; 3] {
    let kernel = kernel(spec, name);
    let mut touched = [(); 3].map(|()| std::collections::BTreeMap::new());
    for cta in 0..kernel.header.cta_count() {
        walk(&kernel, cta, |_, index, lanes| {
            let mem = kernel.code.insts[index as usize].mem.unwrap();
            if mem.space != MemSpace::Global {
                assert!(
                    lanes
                        .iter()
                        .all(|l| l + u64::from(mem.width_bytes)
                            <= u64::from(kernel.header.smem_bytes))
                );
                return;
            }
            for &lane in lanes {
                let matrix = (lane - array(0)) >> 36;
                touched[matrix as usize].insert(lane, u64::from(mem.width_bytes));
            }
        });
    }
    touched.map(|map| map.values().sum())
}

#[test]
fn gemms_touch_their_matrices_exactly() {
    for (m, n, k) in [(128, 128, 64), (130, 136, 40), (1, 8, 8), (300, 264, 72)] {
        let shape = format!("m={m}&n={n}&k={k}");
        let sgemm = gemm_footprint(&format!("synth:sgemm?{shape}"), "v100");
        assert_eq!(sgemm, [m * k * 4, k * n * 4, m * n * 4], "sgemm {shape}");
        for (name, stages) in [
            ("v100", 0),
            ("t4", 0),
            ("a100-80", 0),
            ("a100-80", 2),
            ("a100-80", 8),
        ] {
            let text = format!("synth:hgemm?{shape}&stages={stages}");
            let hgemm = gemm_footprint(&text, name);
            assert_eq!(hgemm, [m * k * 2, k * n * 2, m * n * 4], "{text} {name}");
        }
    }
}

#[test]
fn gemm_shared_accesses_do_not_conflict() {
    for (spec, name) in [("sgemm", "v100"), ("hgemm", "v100"), ("hgemm", "a100-80")] {
        let kernel = kernel(&format!("synth:{spec}?m=128&n=128&k=96"), name);
        walk(&kernel, 0, |_, index, lanes| {
            let inst = &kernel.code.insts[index as usize];
            let mem = inst.mem.unwrap();
            if mem.space == MemSpace::Shared {
                let ways = conflict(lanes, u64::from(mem.width_bytes));
                assert_eq!(
                    ways, 1,
                    "{} at {}",
                    kernel.code.mnemonics[inst.mnemonic as usize], inst.pc
                );
            }
        });
    }
}
