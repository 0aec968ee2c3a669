//! FP32 loops: what surrounds their multiply-adds, and which registers these read.

use super::*;
use crate::isa::RegFile;

/// Hopper's FP32 kernels take rows that begin anywhere. Each copy has a bit of a mask as its guard, and each behind the
/// first of an operand an address: two additions. ptxas 12.9 gives a loop of this form on a tile of 128 x 128 1155 to 1172
/// instructions, some more than ours for the number of the stage.
#[test]
fn copies_of_any_alignment_have_guards_and_addresses() {
    for (tile, multiply_adds, reads, copies) in [
        ("", 1024, 48, [8, 8]),
        ("tile_n=64&", 512, 32, [8, 4]),
        ("tile_m=64&tile_n=64&warps_m=1&warps_n=4&", 256, 24, [4, 4]),
    ] {
        let kernel = product(&format!("sgemm?{tile}"), "m=256&n=256&k=256", "h100-sxm");
        let mix = mix(&kernel);
        let [a, b] = copies;
        assert_eq!(mix["LDGSTS"], a + b);
        assert_eq!(mix["LOP3"], a + b);
        // Beside those of copies: both pointers, four places in shared memory, the counter.
        let additions = 2 * (a - 1 + b - 1) + 2 * 2 + 4 + 1;
        assert_eq!(mix["IADD3"], additions);
        // And what counts and synchronises: ISETP, BRA, BAR, DEPBAR, LDGDEPBAR.
        let all = multiply_adds + reads + 2 * (a + b) + additions + 5;
        assert_eq!(body(&kernel).len(), all, "{tile}");
        for inst in body(&kernel) {
            if let Some(mem) = inst.mem.filter(|mem| mem.kind == MemKind::CpAsync) {
                assert_eq!(mem.width_bytes, 4);
                let guard = inst.src.iter().any(|of| of.file == RegFile::Predicate);
                assert!(guard, "{tile}");
            }
        }
    }
    // Kernels for rows that are aligned copy in vectors, with one address and no guards: 128 rows of 64 bytes of either
    // operand are four copies of 16 bytes for 128 threads, 128 rows of 32 bytes one for 256.
    let mix = |of: &str, gpu: &str| mix(&product(of, "m=256&n=256&k=256", gpu));
    let halves = mix("hgemm?", "a100-80");
    assert_eq!((halves["LDGSTS"], halves.get("LOP3")), (8, None));
    assert_eq!(mix("sgemm?", "v100")["LDG"], 2);
}

/// Where an SM issues an FFMA a cycle and sub-core, two ports for registers have to give three operands of each: a
/// multiply-add reads about one of each bank, for the third is kept. Copies' additions between them lose some.
#[test]
fn multiply_adds_read_one_register_of_each_bank() {
    for (name, most) in [("a100-80", 1.03), ("h100-sxm", 1.05)] {
        let kernel = product("sgemm?", "m=128&n=128&k=64", name);
        let program = crate::sm::Program::new(&kernel.code, &gpu(name));
        let ffma = kernel.code.insts.iter().zip(&program.ops);
        let ffma = ffma.filter(|(inst, _)| inst.class == OpClass::Fp32 && inst.src[2].count > 0);
        let (mut all, mut reads) = (0.0, [0.0; 2]);
        for (_, op) in ffma {
            all += 1.0;
            for (sum, of_bank) in reads.iter_mut().zip(op.reuse_reads) {
                *sum += f64::from(of_bank);
            }
        }
        for of_bank in reads {
            let each = of_bank / all;
            assert!(each > 0.95 && each < most, "{name}: {each}");
        }
    }
}

/// Every FFMA of a loop but the first of a row keeps an operand, so that it reads each bank at most once.
#[test]
fn multiply_adds_do_not_meet_in_a_register_bank() {
    for name in ["a100-80", "h100-sxm"] {
        let kernel = product("sgemm?", "m=128&n=128&k=64", name);
        let program = crate::sm::Program::new(&kernel.code, &gpu(name));
        let ffma = kernel.code.insts.iter().zip(&program.ops);
        let ffma = ffma.filter(|(inst, _)| inst.class == OpClass::Fp32 && inst.src[2].count > 0);
        let (mut all, mut meet) = (0, 0);
        for (_, op) in ffma {
            all += 1;
            meet += u32::from(op.reuse_reads.iter().any(|&reads| reads > 1));
        }
        assert!(all >= 512 && meet * 25 < all, "{name}: {meet} of {all}");
    }
}
