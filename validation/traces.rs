//! Trace formats: every version and encoding gives the same kernel, conversions lose nothing.
//! Damage is the matter of [`trace_damage`].

mod trace_damage;
mod trace_text;

use phantom_gpu::error::Result;
use phantom_gpu::internals::isa::StaticInst;
use phantom_gpu::trace::accelsim::export::{ExportPacking, export};
use phantom_gpu::trace::open::open;
use phantom_gpu::trace::pgt::encoded::EncodedCtas;
use phantom_gpu::trace::pgt::write_pgt;
use phantom_gpu::trace::{Command, Kernel, Workload};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use trace_text::{Mode, Step, Style, TestKernel, file, kernel, sample};

fn load(path: &Path) -> Result<Workload> {
    open(path.to_str().unwrap())
}

/// Opens and reads everything.
fn drain(path: &Path) -> Result<u64> {
    let workload = load(path)?;
    let mut insts = 0;
    for kernel in kernels(&workload) {
        let mut ctas = EncodedCtas::new(kernel);
        for cta in 0..kernel.header.cta_count() {
            insts += ctas.get(cta)?.1.0;
        }
    }
    Ok(insts)
}

fn kernels(workload: &Workload) -> Vec<&Kernel> {
    workload
        .commands
        .iter()
        .filter_map(|c| match c {
            Command::Launch(kernel) => Some(&**kernel),
            Command::MemcpyHtoD { .. } => None,
        })
        .collect()
}

fn assert_same(a: &Workload, b: &Workload) {
    assert_eq!(a.hash, b.hash);
    for (a, b) in kernels(a).iter().zip(kernels(b)) {
        assert_eq!(a.code.insts, b.code.insts);
        assert_eq!(a.code.patterns, b.code.patterns);
        assert_eq!(a.code.unknown, b.code.unknown);
        assert_eq!(a.totals, b.totals);
        let (mut left, mut right) = (EncodedCtas::new(a), EncodedCtas::new(b));
        for cta in 0..a.header.cta_count() {
            assert_eq!(left.get(cta).unwrap(), right.get(cta).unwrap());
        }
    }
}

fn packed(kind: &str, text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    match kind {
        "xz" => {
            let mut e = liblzma::write::XzEncoder::new(Vec::new(), 1);
            e.write_all(text).unwrap();
            e.finish().unwrap()
        }
        "gz" => {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            e.write_all(text).unwrap();
            e.finish().unwrap()
        }
        _ => zstd::bulk::compress(text, 1).unwrap(),
    }
}

#[test]
fn every_version_and_encoding_gives_the_same_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let k = sample();
    let reference = load(&file(dir.path(), "a", k.text(Style::default()))).unwrap();
    let totals = kernels(&reference)[0].totals.unwrap();
    assert_eq!(totals.warp_insts, k.warp_insts());
    assert_eq!(totals.thread_insts, k.thread_insts());
    for version in 1..=6 {
        for mode in [Mode::List, Mode::Deltas, Mode::StrideOrDeltas] {
            for lineinfo in [false, true] {
                for reversed_warps in [false, true] {
                    let style = Style {
                        version,
                        lineinfo,
                        mode,
                        reversed_warps,
                    };
                    let got = load(&file(dir.path(), "b", k.text(style))).unwrap();
                    if reversed_warps {
                        // Code is numbered in order of appearance, so only the totals are the same.
                        let t = kernels(&got)[0].totals.unwrap();
                        assert_eq!(
                            (t.warp_insts, t.thread_insts),
                            (totals.warp_insts, totals.thread_insts)
                        );
                    } else {
                        assert_same(&got, &reference);
                    }
                }
            }
        }
    }
    for kind in ["xz", "gz", "zst"] {
        let bytes = packed(kind, &k.text(Style::default()));
        assert_same(&load(&file(dir.path(), "c", bytes)).unwrap(), &reference);
    }
    for version in [5, 6] {
        let style = Style {
            version,
            ..Style::default()
        };
        for dictionary in [&b""[..], b"ffffffff 1 R1 LDG.E 2 R2 R255 R255"] {
            let bytes = k.tracez(style, dictionary);
            assert_same(&load(&file(dir.path(), "d", bytes)).unwrap(), &reference);
        }
    }
}

#[test]
fn line_ends_of_other_systems_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let text = sample().text(Style::default());
    let reference = load(&file(dir.path(), "a", &text)).unwrap();
    let crlf = text.replace('\n', "\r\n");
    assert_same(&load(&file(dir.path(), "b", crlf)).unwrap(), &reference);
    let unfinished = text.trim_end();
    assert_same(
        &load(&file(dir.path(), "c", unfinished)).unwrap(),
        &reference,
    );
}

#[test]
fn a_list_keeps_order_and_imports_each_file_once() {
    let dir = tempfile::tempdir().unwrap();
    file(
        dir.path(),
        "kernel-1.traceg.xz",
        packed("xz", &sample().text(Style::default())),
    );
    let list = "MemcpyHtoD,0x00007f4000000000,4096\nkernel-1.traceg\n\nMemcpyDtoH,0x1,2\nkernel-1.traceg\n";
    let list = file(dir.path(), "kernelslist.g", list);
    let workload = load(&list).unwrap();
    assert_eq!(workload.commands.len(), 3);
    assert!(matches!(
        workload.commands[0],
        Command::MemcpyHtoD {
            address: 0x7f40_0000_0000,
            bytes: 4096
        }
    ));
    let both = kernels(&workload);
    assert!(Arc::ptr_eq(&both[0].code, &both[1].code));
    assert_eq!(workload.notes.len(), 1);
    assert_eq!(load(dir.path()).unwrap().hash, workload.hash);
    let pgt = dir.path().join("w.pgt");
    write_pgt(&workload, &pgt).unwrap();
    assert_same(&load(&pgt).unwrap(), &workload);
}

#[test]
fn the_shared_half_of_a_copy_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = |base: u64| (0..32).map(|l| base + l * 16).collect();
    let step = |op, base| Step {
        op,
        mask: u32::MAX,
        lanes: lanes(base),
    };
    // Op 8 is LDGSTS: a pair, a lone shared record, one at the end of a warp.
    let warp = vec![
        step(8, 0x400),
        step(8, 0x7f40_0000_0000),
        step(8, 0x800),
        step(6, 0),
        step(8, 0x7f41_0000_0000),
        step(8, 0xc00),
    ];
    let k = TestKernel {
        ctas: vec![vec![warp; 3]],
    };
    let workload = load(&file(dir.path(), "a", k.text(Style::default()))).unwrap();
    assert_eq!(kernels(&workload)[0].totals.unwrap().warp_insts, 3 * 5);
    assert!(workload.notes[0].contains("3 shared-memory records"));
}

fn long_warp() -> TestKernel {
    let step = |i: usize| Step {
        op: [3, 6, 2, 10][i % 4],
        mask: u32::MAX >> (i / 1000 % 3),
        lanes: (0..32)
            .map(|l| (i as u64 * 9973) % 100_000 + l * 8)
            .collect(),
    };
    let warp: Vec<Step> = (0..9500).map(step).collect();
    TestKernel {
        ctas: vec![vec![warp.clone(), warp[..4096].to_vec(), warp[..4097].to_vec()]; 2],
    }
}

#[test]
fn long_warps_are_paged() {
    let dir = tempfile::tempdir().unwrap();
    let k = long_warp();
    let workload = load(&file(dir.path(), "a", k.text(Style::default()))).unwrap();
    let pgt = dir.path().join("a.pgt");
    write_pgt(&workload, &pgt).unwrap();
    assert_same(&load(&pgt).unwrap(), &workload);
    assert_eq!(drain(&pgt).unwrap(), k.warp_insts());
    let list = dir.path().join("out/kernelslist.g");
    assert_eq!(
        export(&workload, &list, ExportPacking::Xz).unwrap(),
        Vec::<String>::new()
    );
    assert_same(&load(&list).unwrap(), &workload);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn conversions_lose_nothing(k in kernel(60), version in 3u32..7, list in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let mode = if list { Mode::List } else { Mode::StrideOrDeltas };
        let style = Style { version, mode, ..Style::default() };
        let first = load(&file(dir.path(), "a", k.text(style))).unwrap();
        let totals = kernels(&first)[0].totals.unwrap();
        prop_assert_eq!(totals.warp_insts, k.warp_insts());
        prop_assert_eq!(totals.thread_insts, k.thread_insts());
        let pgt = dir.path().join("a.pgt");
        write_pgt(&first, &pgt).unwrap();
        let second = load(&pgt).unwrap();
        assert_same(&second, &first);
        let out = dir.path().join("out/kernelslist.g");
        prop_assert_eq!(export(&second, &out, ExportPacking::Plain).unwrap(), Vec::<String>::new());
        assert_same(&load(&out).unwrap(), &first);
    }
}

/// Generated kernels can be written in both forms, which then agree on every instruction.
#[test]
fn generated_workloads_are_written_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let session = phantom_gpu::session::Session::new::<&str>("v100", &[]).unwrap();
    for spec in [
        "synth:stream?bytes=256KiB",
        "synth:ffma?grid=3&iters=4",
        "synth:empty?grid=5&block=96",
    ] {
        let made = session.open(&[spec]).unwrap();
        let pgt = dir.path().join("s.pgt");
        write_pgt(&made, &pgt).unwrap();
        let stored = load(&pgt).unwrap();
        let list = dir.path().join("kernelslist.g");
        // The notes name what the format cannot say: constant operands.
        export(&made, &list, ExportPacking::Plain).unwrap();
        let imported = load(&list).unwrap();
        let of = |w: &Workload| {
            let mut insts = Vec::new();
            for kernel in kernels(w) {
                let mut ctas = EncodedCtas::new(kernel);
                for cta in 0..kernel.header.cta_count() {
                    insts.push(ctas.get(cta).unwrap().1);
                }
            }
            insts
        };
        assert_eq!(of(&made), of(&stored), "{spec}");
        assert_eq!(of(&made), of(&imported), "{spec}");
        let (made, imported) = (kernels(&made)[0], kernels(&imported)[0]);
        for inst in &imported.code.insts {
            let same = |m: &StaticInst| {
                let plain = StaticInst {
                    constant: None,
                    mnemonic: inst.mnemonic,
                    ..m.clone()
                };
                plain == *inst
            };
            assert!(made.code.insts.iter().any(same), "{spec}: {inst:?}");
        }
    }
}

/// The table of `traces/README.md`.
#[test]
fn the_committed_traces_have_their_counts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let table = [
        ("alu", 640, 2_723_840, 87_162_880),
        ("stream", 16_384, 1_835_008, 58_720_256),
        ("hgemm", 80, 1_570_560, 50_257_920),
        ("sgemm", 80, 2_871_040, 91_873_280),
        ("sgemm.pgt", 80, 2_871_040, 91_873_280),
        ("tiny_list", 4, 768, 24_576),
        ("tiny_delta", 4, 768, 24_576),
        ("tiny.pgt", 4, 768, 24_576),
    ];
    for (name, ctas, warp_insts, thread_insts) in table {
        let path = folder.join(name);
        let workload = load(&path).unwrap();
        let kernel = kernels(&workload)[0];
        let totals = kernel.totals.unwrap();
        assert_eq!(kernel.header.cta_count(), ctas, "{name}");
        assert_eq!(
            (totals.warp_insts, totals.thread_insts),
            (warp_insts, thread_insts),
            "{name}"
        );
        assert_eq!(drain(&path).unwrap(), warp_insts, "{name}");
        assert_eq!(kernel.code.unknown, [], "{name}");
    }
    assert_same(
        &load(&folder.join("sgemm.pgt")).unwrap(),
        &load(&folder.join("sgemm")).unwrap(),
    );
}

#[test]
fn writing_leaves_no_partial_file() {
    let dir = tempfile::tempdir().unwrap();
    let workload = load(&file(dir.path(), "a", sample().text(Style::default()))).unwrap();
    assert!(write_pgt(&workload, &dir.path().join("no/such/dir.pgt")).is_err());
    write_pgt(&workload, &dir.path().join("b.pgt")).unwrap();
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 2);
}
