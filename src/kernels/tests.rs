//! Tests of the generators: counts by hand, purity, valid streams, faults.

mod attention;
mod attention_more;
mod conv;
mod gemm;
mod operands;
mod rows;
mod rows_more;
mod specs;
mod thin;
mod values;

use super::synth::parse;
use super::*;
use crate::config;
use crate::isa::{MemSpace, OpClass};
use crate::trace::{Addresses, Command, WarpStream};
use specs::ALL;

fn gpu(name: &str) -> GpuSpec {
    config::load(name, &[]).unwrap().spec
}

fn kernel(spec: &str, gpu_name: &str) -> Kernel {
    let mut workload = parse(spec, &gpu(gpu_name)).unwrap_or_else(|error| panic!("{error}"));
    match workload.commands.remove(0) {
        Command::Launch(kernel) => *kernel,
        Command::MemcpyHtoD { .. } => panic!("no launch"),
    }
}

fn generator(kernel: &Kernel) -> &Arc<dyn CtaGenerator> {
    match &kernel.ctas {
        CtaSource::Generated(generator) => generator,
        _ => panic!("not generated"),
    }
}

/// Warp and thread instructions of one CTA.
fn counts(kernel: &Kernel, cta: u64) -> (u64, u64) {
    let mut out = CtaEncoder::default();
    kernel.ctas.generate(cta, &mut out);
    out.counts()
}

/// Decodes and validates every chunk of a CTA; calls `visit` with each access's instruction and lane addresses.
fn walk(kernel: &Kernel, cta: u64, mut visit: impl FnMut(u32, u32, &[u64])) {
    let warps = kernel.header.warps_per_cta();
    let mut stream = WarpStream::default();
    for warp in 0..warps {
        let mut chunk = Some(0);
        while let Some(number) = chunk {
            kernel
                .ctas
                .load_chunk(cta, warp, number, &mut stream)
                .unwrap();
            let checked = stream.validate(&kernel.code.insts, &kernel.code.patterns);
            checked.unwrap_or_else(|what| panic!("{}: {what}", kernel.header.source));
            while let Some(run) = stream.next_run() {
                for index in run.start..run.start + run.length {
                    let inst = &kernel.code.insts[index as usize];
                    if crate::trace::stream::has_access(inst, run.mask) {
                        let addresses = lanes(kernel, &mut stream, index, run.mask);
                        visit(warp, index, &addresses);
                    }
                }
            }
            chunk = stream.next_chunk();
        }
    }
}

fn lanes(kernel: &Kernel, stream: &mut WarpStream, index: u32, mask: u32) -> Vec<u64> {
    let mut list = [0; 32];
    match stream.next_access(index, mask, &mut list) {
        Addresses::List { count } => list[..usize::from(count)].to_vec(),
        Addresses::Pattern { base, pattern } => {
            let pattern = &kernel.code.patterns[pattern as usize];
            let offsets = pattern.offsets.iter();
            offsets
                .map(|&o| base.wrapping_add_signed(i64::from(o)))
                .collect()
        }
    }
}

#[test]
fn every_generator_is_pure_and_valid_on_every_architecture() {
    for name in [
        "v100", "t4", "a100-80", "rtx4090", "h100-sxm", "b200", "rtx5090",
    ] {
        for spec in ALL {
            let kernel = kernel(&format!("synth:{spec}"), name);
            let last = kernel.header.cta_count() - 1;
            let (mut first, mut second) = (CtaEncoder::default(), CtaEncoder::default());
            kernel.ctas.generate(last, &mut first);
            kernel.ctas.generate(0, &mut second);
            second.clear();
            kernel.ctas.generate(last, &mut second);
            assert_eq!(first.finish(), second.finish(), "{spec} on {name}");
            walk(&kernel, last, |_, _, _| {});
            let unknown = kernel
                .code
                .insts
                .iter()
                .find(|i| i.class == OpClass::Unknown);
            assert!(unknown.is_none(), "{spec} on {name}: {unknown:?}");
        }
    }
}

#[test]
fn control_bits_are_complete_and_legal() {
    for name in ["v100", "a100-80", "h100-sxm", "rtx3070"] {
        for spec in ALL {
            let separator = if spec.contains('?') { '&' } else { '?' };
            let kernel = kernel(&format!("synth:{spec}{separator}control=on"), name);
            for inst in &kernel.code.insts {
                let control = inst.control.expect("every instruction has control bits");
                assert!(
                    (1..=15).contains(&control.stall),
                    "{spec} on {name}: {inst:?}"
                );
                assert!(control.wait_mask < 64);
            }
        }
    }
}

#[test]
fn a_single_warp_is_the_same_as_in_its_cta() {
    let kernel = kernel("synth:hgemm?k=4096", "a100-80");
    let mut all = CtaEncoder::default();
    kernel.ctas.generate(5, &mut all);
    let all = all.finish().clone();
    for warp in [0, 1, 3] {
        let mut one = CtaEncoder::default();
        generator(&kernel).generate_warp(5, warp, 0..generator(&kernel).iterations(5), &mut one);
        let one = one.finish();
        let chunks = all.warp_chunks(warp);
        assert!(chunks.len() > 1, "the test needs several chunks");
        assert_eq!(chunks.len(), one.warp_chunks(warp).len());
        for (a, b) in chunks.iter().zip(one.warp_chunks(warp)) {
            assert_eq!(all.bytes(a), one.bytes(b));
        }
    }
}

#[test]
fn the_ffma_kernel_has_the_counts_of_the_recorded_one() {
    // The recorded kernel: 1 CTA of 32 threads, 10 iterations; 1328 warp and 42432 thread instructions.
    let recorded = kernel("synth:ffma?grid=1&block=32&iters=10", "h100-pcie");
    assert_eq!(counts(&recorded, 0), (1328, 42432));
    let classes = |class| {
        recorded
            .code
            .insts
            .iter()
            .filter(|i| i.class == class)
            .count()
    };
    assert_eq!(classes(OpClass::Fp32), 128);
    assert_eq!(classes(OpClass::Uniform), 2);
    assert_eq!(recorded.code.insts.last().unwrap().pc, 0x8b0);
}

#[test]
fn counts_follow_from_the_parameters() {
    let per_warp = |spec: &str| counts(&kernel(spec, "v100"), 0).0;
    assert_eq!(per_warp("synth:empty?block=256"), 8 * 2);
    assert_eq!(
        per_warp("synth:ffma_ilp?block=32&ilp=4&iters=7"),
        6 + 2 * 4 + 7 * 123
    );
    assert_eq!(per_warp("synth:barrier?block=64&iters=5"), 2 * (3 + 5 * 4));
    // Four k-slices of four steps a wmma, of two with f16 accumulators.
    assert_eq!(
        per_warp("synth:wmma?unroll=3&iters=2"),
        3 + 2 * (3 * 16 + 3)
    );
    assert_eq!(per_warp("synth:wmma?type=f16&iters=0"), 3);
    assert_eq!(per_warp("synth:wmma?type=f16&iters=1"), 3 + 64 * 8 + 3);
    assert_eq!(per_warp("synth:stream?bytes=1MiB"), 8 * 15);
    assert_eq!(per_warp("synth:gather?block=32&per=9"), 6 + 9 * 4);
}

#[test]
fn stream_touches_each_byte_once() {
    for spec in [
        "stream?bytes=100KiB&block=64&elements=3",
        "triad?bytes=10032&width=8&block=96&elements=2",
    ] {
        let kernel = kernel(&format!("synth:{spec}"), "a100-80");
        let mut touched = std::collections::BTreeSet::new();
        for cta in 0..kernel.header.cta_count() {
            walk(&kernel, cta, |_, _, lanes| {
                for &lane in lanes {
                    assert!(touched.insert(lane), "{spec}: {lane:#x} twice");
                }
            });
        }
        let bytes: u64 = if spec.starts_with("stream") {
            100 << 10
        } else {
            10032
        };
        let width = if spec.starts_with("stream") { 4 } else { 8 };
        assert_eq!(touched.len() as u64, 3 * bytes / width);
        assert_eq!(*touched.first().unwrap(), array(0));
        assert_eq!(*touched.last().unwrap(), array(2) + bytes - width);
    }
}

/// The most lanes of a phase that touch different words of one bank.
fn conflict(addresses: &[u64], width: u64) -> usize {
    let lanes = (128 / width) as usize;
    let phases = addresses.chunks(lanes.min(32)).map(|phase| {
        let mut banks = [(); 32].map(|()| std::collections::BTreeSet::new());
        for address in phase {
            for word in address / 4..(address + width) / 4 {
                banks[word as usize % 32].insert(word);
            }
        }
        banks.iter().map(|b| b.len()).max().unwrap()
    });
    phases.max().unwrap()
}

#[test]
fn smem_patterns_conflict_as_asked() {
    for (width, code) in [(4, "4"), (8, "8"), (16, "16")] {
        for ways in [1, 2, 4, 8] {
            let kernel = kernel(&format!("synth:smem?ways={ways}&width={code}"), "v100");
            walk(&kernel, 0, |_, _, lanes| {
                assert_eq!(conflict(lanes, width), ways)
            });
        }
    }
}

#[test]
fn a_chase_visits_every_element_once_a_lap() {
    let kernel = kernel(
        "synth:pchase?bytes=64KiB&stride=128&iters=512&warmup=0",
        "h100-pcie",
    );
    let mut visited = std::collections::BTreeSet::new();
    walk(&kernel, 0, |_, _, lanes| {
        assert_eq!(lanes.len(), 1);
        assert!(visited.insert(lanes[0]));
    });
    assert_eq!(visited.len(), 512);
    let load = kernel
        .code
        .insts
        .iter()
        .find(|i| i.mem.is_some_and(|m| m.space == MemSpace::Global));
    let load = load.unwrap();
    assert_eq!(
        load.dst[0].first, load.src[0].first,
        "the chain goes through the address"
    );
}

#[test]
fn gather_stays_in_its_span_and_warps_differ() {
    let kernel = kernel("synth:gather?span=1MiB&block=64&grid=2&per=4", "v100");
    let mut seen = std::collections::BTreeSet::new();
    for cta in 0..2 {
        walk(&kernel, cta, |_, _, lanes| {
            assert!(
                lanes
                    .iter()
                    .all(|&l| l >= array(0) && l < array(0) + (1 << 20))
            );
            assert!(
                seen.insert(lanes.to_vec()),
                "two warps read the same addresses"
            );
        });
    }
}

#[test]
fn faults_name_the_parameter_and_its_range() {
    let message = |spec: &str| {
        parse(spec, &gpu("t4"))
            .err()
            .map_or(String::new(), |e| e.to_string())
    };
    assert!(message("synth:strem").contains("did you mean stream?"));
    assert!(message("synth:stream?byte=1").contains("did you mean bytes?"));
    assert!(message("synth:stream?bytes=0").contains("bytes=0: allowed: 4 B to 64 GiB"));
    assert!(message("synth:stream?bytes=5&width=8").contains("not a multiple of width=8"));
    assert!(message("synth:stream?block=8&block=64").contains("given twice"));
    assert!(message("synth:sgemm?split=9&k=64").contains("split=9: there are 8 tiles of depth"));
    assert!(message("synth:smem?ways=16&width=16").contains("at most 8"));
    assert!(message("synth:pchase?bytes=64&stride=128").contains("below stride=128"));
    let two = message("synth:empty?grid=0&blok=3");
    assert!(
        two.contains("grid=0") && two.contains("did you mean block?"),
        "{two}"
    );
    for help in ["synth:", "synth:help"] {
        let text = message(help);
        assert!(
            synth::catalogue()
                .iter()
                .all(|entry| text.contains(entry.name))
        );
    }
    assert_eq!(parse("synth:x", &gpu("t4")).err().unwrap().exit_status(), 2);
}

#[test]
fn launches_share_code_and_have_ids_and_streams() {
    let workload = parse("synth:empty?launches=3&streams=2", &gpu("v100")).unwrap();
    let ids: Vec<(u32, u64)> = workload
        .commands
        .iter()
        .map(|command| match command {
            Command::Launch(kernel) => (kernel.header.id, kernel.header.stream),
            Command::MemcpyHtoD { .. } => panic!("no launch"),
        })
        .collect();
    assert_eq!(ids, [(1, 0), (2, 1), (3, 0)]);
    assert_eq!(
        workload.source,
        "synth:empty?grid=1&block=128&launches=3&control=off&streams=2"
    );
    let again = parse("synth:empty?streams=2&launches=3", &gpu("v100")).unwrap();
    assert_eq!(workload.hash, again.hash);
    let other = parse("synth:empty?streams=2&launches=3", &gpu("t4")).unwrap();
    assert_ne!(workload.hash, other.hash);
}

/// A warp of a billion instructions costs no more than the chunks that are asked for.
#[test]
fn a_long_warp_is_made_chunk_by_chunk() {
    let spec = crate::config::load("v100", &[]).unwrap().spec;
    for text in [
        "synth:ffma?iters=10000000&block=1024",
        "synth:hgemm?m=128&n=128&k=1048576",
    ] {
        let workload = synth::parse(text, &spec).unwrap();
        let kernel = workload.launches().next().unwrap();
        let warps = kernel.header.warps_per_cta() as usize;
        let mut streams = vec![WarpStream::default(); warps];
        let mut scratch = CtaEncoder::default();
        kernel.ctas.load(0, &mut streams, &mut scratch).unwrap();
        assert!(streams.iter().all(|s| s.next_chunk() == Some(1)), "{text}");
        let (insts, _) = scratch.counts();
        let chunk = u64::from(crate::trace::stream::CHUNK_INSTS);
        assert_eq!(
            insts,
            warps as u64 * (chunk + 1),
            "a chunk and the sign of more"
        );
        let mut one = WarpStream::default();
        kernel.ctas.load_chunk(0, 1, 7, &mut one).unwrap();
        assert_eq!(one.next_chunk(), Some(8));
        one.validate(&kernel.code.insts, &kernel.code.patterns)
            .unwrap();
    }
}

/// What is written to a file has every instruction, also of warps of many chunks.
#[test]
fn a_written_kernel_is_whole() {
    use crate::trace::pgt::encoded::EncodedCtas;
    for text in [
        "synth:ffma?grid=2&iters=300",
        "synth:gather?grid=2&per=5000",
        "synth:sgemm?m=128&n=128&k=8192",
    ] {
        let kernel = kernel(text, "v100");
        let mut whole = CtaEncoder::default();
        kernel.ctas.generate(1, &mut whole);
        let wanted = (whole.counts(), whole.finish().clone());
        assert!(wanted.1.warp_chunks(0).len() > 2, "{text}");
        let mut ctas = EncodedCtas::new(&kernel);
        let (cta, counts) = ctas.get(1).unwrap();
        assert_eq!(counts, wanted.0, "{text}");
        assert_eq!(cta.data, wanted.1.data, "{text}");
    }
}
