//! Kernels as values: what they refuse, and that text means the same.

use super::*;
use crate::kernels::gather::Gather;
use crate::kernels::gemm::{Gemm, Merge, Raster, Shape, Tile};
use crate::kernels::micro_ops::{Operation, Operations};
use crate::kernels::operator::{DataType, Layout};
use crate::kernels::shared::SharedAccesses;
use crate::kernels::stream::{Stream, StreamOp};

/// Code, launch and every stream are the same, and so is the source but for what all texts have.
fn assert_same(value: &dyn KernelGenerator, text: &str, gpu_name: &str) {
    let made = value.build(&gpu(gpu_name)).unwrap();
    let parsed = kernel(text, gpu_name);
    assert_eq!(made.code, parsed.code, "{text}");
    let common = "&launches=1&control=off&streams=1";
    let mut header = made.header.clone();
    header.source = Source::Synthetic(format!("{}{common}", made.header.source));
    assert_eq!(header, parsed.header);
    for cta in 0..made.header.cta_count() {
        let streams = [&made, &parsed].map(|kernel| {
            let mut out = CtaEncoder::default();
            kernel.ctas.generate(cta, &mut out);
            out.finish().clone()
        });
        assert_eq!(streams[0], streams[1], "{text}");
    }
}

#[test]
fn a_value_and_its_text_make_the_same_kernel() {
    let gather = Gather {
        loads: 3,
        grid: 2,
        block: 40,
        width: Width::B16,
        ..Gather::usual()
    };
    assert_same(
        &gather,
        "synth:gather?per=3&grid=2&block=40&width=16",
        "v100",
    );
    let triad = Stream {
        bytes: 1000,
        width: Width::B8,
        ..Stream::usual(StreamOp::Triad)
    };
    assert_same(&triad, "synth:triad?bytes=1000&width=8", "h100-sxm");
    let operations = Operations {
        op: Operation::named("hfma2").unwrap(),
        with: Operation::named("ffma"),
        ..Operations::usual()
    };
    assert_same(&operations, "synth:ops?op=hfma2&with=ffma", "a100-80");
}

/// A product says all its fields, so that its own text makes it again, and the short text makes the usual one.
#[test]
fn a_product_is_made_again_from_its_text() {
    let shape = Shape {
        m: 130,
        n: 136,
        k: 72,
        batch: 2,
    };
    for (name, data) in [
        ("v100", DataType::F32),
        ("v100", DataType::F16),
        ("a100-80", DataType::Bf16),
    ] {
        let usual = Gemm::new(data, shape, &gpu(name));
        let special = Gemm {
            layout: Layout::Nt,
            tile: Tile {
                m: 64,
                ..usual.tile
            },
            warps: [2, 2],
            split: 2,
            merge: Merge::Workspace,
            raster: Raster::Rows,
            swizzle: 1,
            ..usual.clone()
        };
        let short = format!("synth:hgemm?m=130&n=136&k=72&batch=2&type={}", data.name());
        let texts = [(&usual, Some(short)), (&special, None)];
        for (gemm, short) in texts {
            let made = gemm.build(&gpu(name)).unwrap();
            let long = made.header.source.to_string();
            for text in short.into_iter().chain([long]) {
                let again = kernel(&text, name);
                assert_eq!(made.code, again.code, "{text}");
                assert_eq!(made.header.grid, again.header.grid, "{text}");
            }
        }
    }
}

fn refusal(value: &dyn KernelGenerator, gpu_name: &str) -> String {
    match value.build(&gpu(gpu_name)) {
        Ok(kernel) => panic!("{} was made", kernel.header.source),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn values_out_of_range_are_refused_as_text_is() {
    let usual = Gather::usual();
    let wide = Gather {
        block: 2000,
        ..usual.clone()
    };
    assert_eq!(refusal(&wide, "v100"), "block=2000: allowed: 1 to 1024");
    let none = Gather { loads: 0, ..usual };
    assert_eq!(refusal(&none, "v100"), "per=0: allowed: 1 to 100000");
    let ways = SharedAccesses {
        ways: 16,
        width: Width::B16,
        ..SharedAccesses::usual()
    };
    assert!(refusal(&ways, "t4").contains("at most 8"));
    let split = Stream {
        bytes: 12,
        width: Width::B8,
        ..Stream::usual(StreamOp::Copy)
    };
    assert!(refusal(&split, "t4").contains("not a multiple of width=8"));
}

#[test]
fn products_are_refused_rather_than_changed() {
    let shape = Shape {
        m: 256,
        n: 256,
        k: 64,
        batch: 1,
    };
    let of = |name: &str| Gemm::new(DataType::F16, shape, &gpu(name));
    let tile = |m, n, k| Gemm {
        tile: Tile { m, n, k },
        ..of("a100-80")
    };
    assert!(refusal(&tile(96, 128, 32), "a100-80").contains("powers of two"));
    assert!(refusal(&tile(16, 128, 32), "a100-80").contains("a warp has 8 x 64"));
    assert!(refusal(&tile(512, 128, 32), "a100-80").contains("512 results of a thread"));
    assert!(refusal(&tile(128, 128, 16), "a100-80").contains("two steps"));
    for (name, stages, why) in [
        ("v100", 3, "two stages without cp.async"),
        ("v100", 1, "two stages without cp.async"),
        ("a100-80", 1, "2 to 8 stages"),
        ("a100-80", 9, "allowed: 0 to 8"),
        ("rtx3070", 8, "131072 bytes of shared memory a CTA"),
    ] {
        let gemm = Gemm { stages, ..of(name) };
        let refused = refusal(&gemm, name);
        assert!(
            refused.contains(why),
            "{name} with {stages} stages: {refused}"
        );
    }
    let of = |data| Gemm::new(data, shape, &gpu("v100"));
    assert!(refusal(&of(DataType::Bf16), "v100").contains("lack it"));
    let wide = Gemm {
        split: 2,
        ..of(DataType::F16)
    };
    assert!(refusal(&wide, "v100").contains("not added in place"));
    let split = Gemm {
        split: 9,
        ..of(DataType::F32)
    };
    assert_eq!(
        refusal(&split, "v100"),
        "split=9: there are 8 tiles of depth"
    );
    let huge = Gemm::new(
        DataType::F32,
        Shape {
            m: 1 << 32,
            ..shape
        },
        &gpu("v100"),
    );
    assert!(refusal(&huge, "v100").contains("64 GiB"));
}

#[test]
fn more_stages_take_more_shared_memory_and_prefetch_further() {
    let shape = Shape {
        m: 128,
        n: 128,
        k: 64,
        batch: 1,
    };
    let of = |stages| {
        let gemm = Gemm {
            stages,
            ..Gemm::new(DataType::F16, shape, &gpu("a100-80"))
        };
        gemm.build(&gpu("a100-80")).unwrap()
    };
    for stages in 2..8u32 {
        let (kernel, next) = (of(stages), of(stages + 1));
        // A stage has 128 x 32 halves of A and of B.
        assert_eq!(kernel.header.smem_bytes, stages * 16384);
        // Eight loads and the end of their group for each of four warps.
        assert_eq!(counts(&next, 0).0 - counts(&kernel, 0).0, 4 * 9);
    }
}
