//! Kernels as values: what they refuse, and that text means the same.

use super::*;
use crate::kernels::gather::Gather;
use crate::kernels::gemm::{Gemm, Numbers, Shape, Tile};
use crate::kernels::micro_ops::{Operation, Operations};
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
    for name in ["v100", "a100-80"] {
        for (numbers, text) in [(Numbers::F32, "sgemm"), (Numbers::F16, "hgemm")] {
            let shape = Shape {
                m: 130,
                n: 136,
                k: 40,
            };
            let gemm = Gemm::new(numbers, shape, &gpu(name));
            assert_same(&gemm, &format!("synth:{text}?m=130&n=136&k=40"), name);
        }
    }
    let gemm = Gemm {
        stages: 5,
        ..Gemm::new(
            Numbers::F16,
            Shape {
                m: 64,
                n: 64,
                k: 64,
            },
            &gpu("a100-80"),
        )
    };
    assert_same(&gemm, "synth:hgemm?m=64&n=64&k=64&stages=5", "a100-80");
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
    };
    let of = |name: &str| Gemm::new(Numbers::F16, shape, &gpu(name));
    let narrow = Gemm {
        tile: Tile {
            m: 64,
            n: 128,
            k: 32,
        },
        ..of("a100-80")
    };
    assert_eq!(
        refusal(&narrow, "a100-80"),
        "tile=64x128x32: on a100-80 there are tiles of 128x128x32"
    );
    // What is usual on one GPU may not exist on another.
    assert!(refusal(&of("a100-80"), "v100").contains("tiles of 128x128x16"));
    let warps = Gemm {
        warps: [4, 2],
        ..of("a100-80")
    };
    assert!(refusal(&warps, "a100-80").contains("has 2x4 warps"));
    for (name, stages, why) in [
        ("v100", 3, "two stages without cp.async"),
        ("v100", 1, "two stages without cp.async"),
        ("a100-80", 0, "2 to 8 stages"),
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
    let odd = Gemm::new(Numbers::F32, Shape { n: 6, ..shape }, &gpu("t4"));
    assert_eq!(refusal(&odd, "t4"), "n=6: not a multiple of 4");
}

#[test]
fn more_stages_take_more_shared_memory_and_prefetch_further() {
    let shape = Shape {
        m: 128,
        n: 128,
        k: 64,
    };
    for stages in 2..=8u32 {
        let gemm = Gemm {
            stages,
            ..Gemm::new(Numbers::F16, shape, &gpu("a100-80"))
        };
        let kernel = gemm.build(&gpu("a100-80")).unwrap();
        // A stage has 128 x 32 halves of A and of B.
        assert_eq!(kernel.header.smem_bytes, stages * 16384);
        // Five instructions a stage before the loop.
        let prologue = 109 + 5 * (u64::from(stages) - 1);
        assert_eq!(counts(&kernel, 0).0, 8 * (prologue + 2 * 56));
    }
}
