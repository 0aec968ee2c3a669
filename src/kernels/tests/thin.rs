//! Products of few rows or columns, products that add to C, and batches found by pointers.

use super::rows::{assert_all, kernels, mix, touch};
use super::*;

/// Each element of the large matrix is read once, the small one by all, C is written once.
#[test]
fn thin_products_touch_their_matrices() {
    for (data, bytes) in [("f32", 4), ("f16", 2), ("bf16", 2)] {
        for (rows, k, small, batch, warps) in [
            (37, 1000, 1, 1, 1),
            (12, 999, 1, 3, 4),
            (9, 264, 5, 1, 4),
            (70, 128, 16, 1, 1),
            (2, 4096, 2, 1, 4),
        ] {
            for (at_once, results) in [(1, "apart"), (4, "together")] {
                let spec = format!(
                    "synth:gemv_kernel?rows={rows}&k={k}&small={small}&batch={batch}&type={data}&out={data}\
                     &results={results}&at_once={at_once}&warps={warps}"
                );
                let touched = touch(&kernels(&spec, "a100-80"));
                assert_all(&touched.read[1], 1, rows * k * bytes, 1, &spec);
                assert_all(&touched.written[2], 2, rows * small * bytes, 1, &spec);
                let smalls = small * batch * k * bytes;
                assert_eq!(touched.read[0].len() as u64, smalls, "{spec}");
            }
        }
        for (cols, k, small, batch, warps, split) in [
            (40, 100, 1, 1, 8, 1),
            (1030, 64, 1, 3, 4, 2),
            (257, 33, 1, 1, 16, 1),
            (516, 50, 7, 1, 4, 3),
            (64, 128, 16, 1, 4, 1),
        ] {
            let spec = format!(
                "synth:gemv_columns_kernel?cols={cols}&k={k}&small={small}&batch={batch}&type={data}&out={data}\
                 &warps={warps}&split={split}"
            );
            let touched = touch(&kernels(&spec, "v100"));
            assert_all(&touched.read[1], 1, cols * k * batch * bytes, 1, &spec);
            assert_eq!(
                touched.read[0].len() as u64,
                small * batch * k * bytes,
                "{spec}"
            );
            let results = cols * small * batch;
            match split {
                1 => assert_all(&touched.written[2], 2, results * bytes, 1, &spec),
                _ => assert_all(&touched.written[4], 4, results * split * 4, 1, &spec),
            }
        }
    }
}

#[test]
fn thin_products_execute_what_a_dot_product_needs() {
    // 4 rows a warp, 1024 of depth by 128 a trip: 8 trips of 4 rows and the small one.
    let made = kernels("synth:gemv_kernel?rows=16&k=1024", "a100-80");
    let of = mix(&made[0], 0);
    assert_eq!((of["LDG"], of["STG"]), (4 * 8 * 5, 16));
    assert_eq!(of["FFMA"], 4 * 8 * 4 * 4);
    assert_eq!((of["SHFL"], of["FADD"]), (4 * 4 * 5, 4 * 4 * 5));
    // Four warps share 4 rows: 2 trips each, 16 sums through shared memory of which one thread adds 12.
    let made = kernels("synth:gemv_kernel?rows=4&k=1024&warps=4", "a100-80");
    assert_eq!(made[0].header.smem_bytes, 64);
    let of = mix(&made[0], 0);
    assert_eq!(
        (of["LDG"], of["STG"], of["STS"], of["LDS"]),
        (4 * 2 * 5, 4, 16, 12)
    );
    // 128 columns, 64 of depth among 8 warps: a trip of 8 rows each; one warp adds the 8 sums of a lane's 4 columns.
    let made = kernels("synth:gemv_columns_kernel?cols=128&k=64", "a100-80");
    let of = mix(&made[0], 0);
    assert_eq!((of["LDG"], of["FFMA"]), (8 * (8 + 2), 8 * 8 * 4));
    assert_eq!(
        (of["STS"], of["LDS"], of["FADD"], of["STG"]),
        (8, 8, 4 * 7, 1)
    );
    assert_eq!(made[0].header.smem_bytes, 8 * 128 * 4);
}

#[test]
fn a_vector_has_kernels_without_tiles() {
    for (spec, name, form) in [
        ("m=1&n=4096&k=4096&layout=nt", "v100", "gemv2T"),
        ("m=1&n=4096&k=4096&layout=nn", "v100", "gemv2N"),
        ("m=8192&n=1&k=1024&layout=nn", "a100-80", "gemv2T"),
        ("m=4096&n=1&k=4096&layout=tn", "a100-80", "gemv2N"),
        ("m=1&n=4096&k=4096&layout=nt&type=f16", "v100", "gemv2T"),
    ] {
        let made = kernels(&format!("synth:gemm?{spec}"), name);
        let reason = made[0].reason.as_deref().unwrap();
        assert!(made[0].header.name.contains(form), "{spec}: {reason}");
    }
    // A thin C of a deep product is no case for one warp a row alone.
    let square = kernels("synth:gemm?m=512&n=512&k=512", "v100");
    assert!(square[0].header.name.contains("sgemm"));
}

#[test]
fn what_c_held_is_read_once_and_added() {
    for (kind, size, name) in [
        ("sgemm?m=130&n=68&k=64", 4, "v100"),
        ("sgemm?m=70&n=300&k=64", 4, "h100-sxm"),
        ("hgemm?m=130&n=136&k=64", 2, "a100-80"),
        ("hgemm?m=130&n=136&k=64&type=bf16", 2, "a100-80"),
        ("hgemm?m=130&n=136&k=64&type=i8&layout=nt", 4, "t4"),
    ] {
        let number = |key: &str| -> u64 {
            let pair = kind
                .split(['?', '&'])
                .find_map(|pair| pair.strip_prefix(key));
            pair.unwrap().parse().unwrap()
        };
        let results = number("m=") * number("n=") * size;
        let plain = touch(&kernels(&format!("synth:{kind}"), name));
        assert!(plain.read[2].is_empty());
        let spec = format!("synth:{kind}&beta=1");
        let made = kernels(&spec, name);
        let added = touch(&made);
        assert_all(&added.read[2], 2, results, 1, &spec);
        assert_all(&added.written[2], 2, results, 1, &spec);
    }
    // Kernels without tiles, results apart and side by side, of a warp and of four, with biases and without.
    for (kind, results) in [
        ("gemv_kernel?rows=37&k=1000&small=3&warps=4", 37 * 3),
        ("gemv_kernel?rows=12&k=64&small=5&results=together", 12 * 5),
        ("gemv_kernel?rows=12&k=64&epilogue=bias", 12),
        ("gemv_columns_kernel?cols=257&k=33", 257),
        (
            "gemv_columns_kernel?cols=516&k=50&small=7&warps=4&epilogue=bias",
            516 * 7,
        ),
    ] {
        for (data, size) in [("f32", 4), ("f16", 2)] {
            let spec = format!("synth:{kind}&type={data}&out={data}");
            assert!(touch(&kernels(&spec, "v100")).read[2].is_empty());
            let touched = touch(&kernels(&format!("{spec}&beta=1"), "v100"));
            assert_all(&touched.read[2], 2, results * size, 1, &spec);
            assert_all(&touched.written[2], 2, results * size, 1, &spec);
        }
    }
    let columns = "synth:gemv_columns_kernel?cols=64&k=128&split=2&beta=1";
    assert!(touch(&kernels(columns, "v100")).read[2].is_empty());
    // A split depth: in place, C is only added to; with a workspace the kernel that adds the parts reads it.
    let spec = "synth:sgemm?m=128&n=128&k=64&split=2&beta=1";
    assert!(touch(&kernels(spec, "v100")).written[2].is_empty());
    let spec = "synth:splitk_reduce?rows=64&cols=96&parts=5&out=f16&beta=1";
    let touched = touch(&kernels(spec, "a100-80"));
    assert_all(&touched.read[2], 2, 64 * 96 * 2, 1, spec);
    assert_all(&touched.written[2], 2, 64 * 96 * 2, 1, spec);
    let plain = kernels(
        "synth:splitk_reduce?rows=64&cols=96&parts=5&out=f16",
        "a100-80",
    );
    assert!(touch(&plain).read[2].is_empty());
}

#[test]
fn a_batch_by_pointers_reads_one_pointer_a_matrix() {
    let spec = "synth:hgemm?m=128&n=256&k=64&batch=3&pointers=1";
    let made = kernels(spec, "a100-80");
    let touched = touch(&made);
    // Two CTAs a product, four warps each.
    for operand in [5, 6, 7] {
        assert_all(&touched.read[operand], operand, 3 * 8, 2 * 4 * 32, spec);
    }
    let strided = kernels("synth:hgemm?m=128&n=256&k=64&batch=3", "a100-80");
    let loads = |made: &[Kernel]| mix(&made[0], 0).get("LDG").copied().unwrap_or(0);
    assert_eq!(loads(&made) - loads(&strided), 4 * 3);
    let all = |touched: &rows::Touched| touched.read[0].len() + touched.read[1].len();
    assert_eq!(all(&touched), all(&touch(&strided)));
}
