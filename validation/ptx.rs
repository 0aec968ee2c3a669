//! The PTX corpus: every kernel of every architecture runs and computes what it should.

use phantom_gpu::internals::isa::OpClass;
use phantom_gpu::internals::ptx::exec::observe::Unobserved;
use phantom_gpu::internals::ptx::launch::{Application, check, run};
use phantom_gpu::internals::ptx::parse;
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::session::Session;
use phantom_gpu::trace::pgt::encoded::EncodedCtas;
use phantom_gpu::trace::pgt::write_pgt;
use phantom_gpu::trace::{Command, WarpStream};
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/ptx")
}

/// Every launch file with the PTX files that it is for.
fn cases() -> Vec<(PathBuf, PathBuf)> {
    let mut cases = Vec::new();
    let mut launches: Vec<PathBuf> = std::fs::read_dir(corpus().join("launch"))
        .expect("the corpus is part of the repository")
        .map(|e| e.expect("a readable folder").path())
        .collect();
    launches.sort();
    for launch in launches {
        let name = launch
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(triton) = name.strip_prefix("triton_") {
            let file = match triton {
                "matmul" => "matmul_fp16_128x128x32",
                other => other,
            };
            cases.push((corpus().join(format!("triton_sm_80/{file}.ptx")), launch));
            continue;
        }
        let text = std::fs::read_to_string(&launch).expect("a readable file");
        let source = text.lines().next().and_then(|l| l.strip_prefix("# "));
        let source = source
            .and_then(|s| s.strip_suffix(".cu"))
            .expect("a source in line 1");
        for version in [70, 80, 90] {
            let ptx = corpus().join(format!("sm_{version}/{source}.ptx"));
            if ptx.is_file() {
                cases.push((ptx, launch.clone()));
            }
        }
    }
    cases.extend(dialects());
    cases
}

/// What other compilers make: `a.toml` and `a.kernel.toml` are for `a.ptx`.
fn dialects() -> Vec<(PathBuf, PathBuf)> {
    let folder = corpus().join("dialects");
    let entries = std::fs::read_dir(&folder).expect("part of the corpus");
    let mut cases: Vec<_> = entries
        .map(|e| e.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|launch| {
            let name = launch.file_name().unwrap_or_default().to_string_lossy();
            let stem = name.split('.').next().unwrap_or_default();
            (folder.join(format!("{stem}.ptx")), launch.clone())
        })
        .collect();
    cases.sort();
    cases
}

fn verify(ptx: &Path, launch: &Path) -> Result<u64, String> {
    let text = std::fs::read_to_string(ptx).map_err(|e| e.to_string())?;
    let file = ptx.display().to_string();
    let module = parse(&text).map_err(|e| e.to_string())?;
    let application = Application::load(launch).map_err(|e| e.to_string())?;
    let mut memory = run::Memory::of(&application).map_err(|e| e.to_string())?;
    let mut executed = 0;
    for launch in &application.launches {
        let mut prepared =
            run::prepare(&file, &module, launch, memory).map_err(|e| e.to_string())?;
        executed += prepared
            .run(&file, (false, 1), &mut Unobserved, |()| Ok(()))
            .map_err(|e| e.to_string())?;
        check::verify(launch, &prepared).map_err(|e| e.to_string())?;
        memory = prepared.into_memory();
    }
    Ok(executed)
}

#[test]
fn every_kernel_computes_what_it_should() {
    let cases = cases();
    assert!(cases.len() >= 116, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for (ptx, launch) in &cases {
        if let Err(what) = verify(ptx, launch) {
            wrong.push(format!(
                "{} with {}: {what}",
                ptx.display(),
                launch.display()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// CTAs on several threads give the bytes that one thread gives.
#[test]
fn threads_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (ptx, launch) in cases() {
        let bytes = |threads: usize| {
            let (workload, report) = record(&ptx, &launch, false, threads)
                .unwrap_or_else(|e| panic!("{} on {threads} threads: {e}", ptx.display()));
            let file = folder.path().join("k.pgt");
            write_pgt(&workload, &file).expect("a writable folder");
            (std::fs::read(&file).expect("a file"), report.executed)
        };
        assert!(bytes(1) == bytes(3), "{} differs", launch.display());
    }
}

/// Every chunk of a recording decodes, and the counts of the file are those of the streams.
#[test]
fn every_recording_is_a_sound_trace() {
    for (ptx, launch) in cases() {
        let (workload, report) = record(&ptx, &launch, true, 1)
            .unwrap_or_else(|e| panic!("{} with {}: {e}", ptx.display(), launch.display()));
        assert!(report.verified && report.executed > 0);
        let kernel = workload.launches().next().expect("one launch");
        let mut ctas = EncodedCtas::new(kernel);
        let mut stream = WarpStream::default();
        let mut insts = 0;
        for cta in 0..kernel.header.cta_count() {
            let (encoded, counts) = ctas.get(cta).expect("a readable CTA");
            insts += counts.0;
            for chunk in &encoded.chunks {
                stream.fill(encoded.bytes(chunk), chunk.runs_bytes, 0, 1);
                let sound = stream.validate(&kernel.code.insts, &kernel.code.patterns);
                assert_eq!(sound, Ok(()), "{}", ptx.display());
            }
        }
        assert_eq!(kernel.totals.map(|t| t.warp_insts), Some(insts));
        assert!(kernel.code.unknown.is_empty());
        for (inst, name) in kernel
            .code
            .insts
            .iter()
            .map(|i| (i, usize::from(i.mnemonic)))
        {
            let known = inst.class != OpClass::Unknown;
            assert!(
                known,
                "{}: {:?}",
                ptx.display(),
                kernel.code.mnemonics.get(name)
            );
        }
    }
}

/// 50,000 instructions in a fifth of a second, by a wide margin.
#[test]
fn large_files_parse_fast() {
    let text = std::fs::read_to_string(corpus().join("sm_80/04_sgemm_tiled.ptx")).expect("a file");
    let (head, body) = text.split_at(text.find(".visible").expect("a kernel"));
    let mut large = head.to_owned();
    for _ in 0..80 {
        large.push_str(body);
    }
    let start = std::time::Instant::now();
    let module = parse(&large).expect("PTX");
    let seconds = start.elapsed().as_secs_f64();
    let count = large.matches(";\n").count();
    eprintln!(
        "{count} statements, {} bytes in {seconds:.3} s",
        large.len()
    );
    assert!(module.items.len() >= 160 && count > 50_000);
    // Unoptimised builds and busy machines get a margin.
    assert!(seconds < 2.0, "{seconds} s");
}

#[test]
fn printing_and_parsing_the_corpus_are_inverse() {
    for (ptx, _) in cases() {
        let text = std::fs::read_to_string(&ptx).expect("a readable file");
        let module = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", ptx.display()));
        let printed = module.to_string();
        let again = parse(&printed).unwrap_or_else(|e| panic!("{}: {e}", ptx.display()));
        assert!(again == module, "{}", ptx.display());
    }
}

/// The registers come from the `ptxas -v` output of the target's own folder, wherever the PTX file lies.
#[test]
fn a_launch_file_serves_ptx_that_lies_elsewhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = corpus().join("launch/sgemm_reg4x4.toml");
    for version in [70, 80, 90] {
        let original = corpus().join(format!("sm_{version}/04_sgemm_tiled.ptx"));
        let moved = folder.path().join("moved.ptx");
        std::fs::copy(&original, &moved).expect("a writable folder");
        let registers = |ptx: &Path| {
            let (workload, _) = record(ptx, &launch, false, 1).unwrap_or_else(|e| panic!("{e}"));
            workload
                .commands
                .iter()
                .find_map(|c| match c {
                    Command::Launch(kernel) => Some(kernel.header.registers_per_thread),
                    _ => None,
                })
                .expect("a launch")
        };
        assert_eq!(registers(&moved), registers(&original), "sm_{version}");
    }
    let lost = folder.path().join("lost.toml");
    let text = std::fs::read_to_string(&launch).expect("part of the corpus");
    std::fs::write(&lost, text).expect("a writable folder");
    let error = record(&folder.path().join("moved.ptx"), &lost, false, 1).err();
    let error = error.expect("no ptxas output there").to_string();
    assert!(
        error.contains("ptxas_v") && error.contains("is neither beside"),
        "{error}"
    );
}

/// Writes 64 words of local memory in step, then reads one whose place is its thread's.
const LOCAL: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry spill(.param .u64 out)
{
  .local .align 4 .b8 words[256];
  .reg .b64 %rd<8>; .reg .b32 %r<8>; .reg .pred %p<2>;
  mov.u64 %rd1, words;
  ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, 0;
STORE:
  mul.wide.u32 %rd3, %r2, 4;
  add.u64 %rd4, %rd1, %rd3;
  add.u32 %r3, %r1, %r2;
  st.local.u32 [%rd4], %r3;
  add.u32 %r2, %r2, 1;
  setp.lt.u32 %p1, %r2, 64;
  @%p1 bra STORE;
  and.b32 %r4, %r1, 63;
  mul.wide.u32 %rd3, %r4, 4;
  add.u64 %rd4, %rd1, %rd3;
  ld.local.u32 %r5, [%rd4];
  mul.wide.u32 %rd6, %r1, 4;
  add.u64 %rd7, %rd2, %rd6;
  st.global.u32 [%rd7], %r5;
  ret;
}
";

/// Recorded offsets in local memory become lines by the warp's place: words in step share a line, words at 32
/// places of their own are a sector each, and none of them leaves L1.
#[test]
fn local_memory_lies_as_the_hardware_lays_it_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ptx, launch) = (folder.path().join("k.ptx"), folder.path().join("k.toml"));
    std::fs::write(&ptx, LOCAL).expect("a writable folder");
    let text = "kernel = \"spill\"\ngrid = 4\nblock = 128\n[[args]]\nname = \"out\"\ntype = \"u32\"\ncount = 128\n";
    std::fs::write(&launch, text).expect("a writable folder");
    let (workload, _) = record(&ptx, &launch, false, 1).unwrap_or_else(|e| panic!("{e}"));
    let session = Session::new::<&str>("v100", &[]).expect("a built-in GPU");
    let outcome = session.run(&workload, &Options::default()).expect("a run");
    let l1 = outcome.run.kernels[0].counters.sm.l1;
    // 16 warps: 64 stores of four sectors, 32 sectors of loads, four sectors of results.
    assert_eq!(l1.sector_local_writes, 16 * 64 * 4);
    assert_eq!((l1.sector_reads, l1.sector_hits), (16 * 32, 16 * 32));
    assert_eq!(l1.sector_writes - l1.sector_local_writes, 16 * 4);
    assert_eq!(l1.sector_writebacks, 0);
}

/// Updates of one global word: unread results, one read through a copy, exchanges.
const UPDATES: &str = ".version 7.0
.target sm_80
.address_size 64
.visible .entry updates(.param .u64 p)
{
    .reg .u32 %r<9>;
    .reg .u64 %rd<3>;
    ld.param.u64 %rd1, [p];
    atom.global.add.u32 %r1, [%rd1], 1;
    red.global.max.u32 [%rd1], 7;
    atom.global.or.b32 %r2, [%rd1], 8;
    mov.u32 %r3, %r2;
    st.global.u32 [%rd1+4], %r3;
    atom.global.exch.b32 %r4, [%rd1], 9;
    atom.global.cas.b32 %r5, [%rd1], 9, 10;
    ret;
}
";

/// The mnemonics that begin with one of `prefixes` in the recording of kernel `name` of `ptx`, whose
/// one argument has two words.
fn mnemonics(name: &str, ptx: &str, prefixes: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, launch) = (folder.path().join("k.ptx"), folder.path().join("k.toml"));
    std::fs::write(&file, ptx).expect("a writable folder");
    let text = format!(
        "kernel = \"{name}\"\ngrid = 1\nblock = 32\nschedule = \"off\"\n[[args]]\nname = \"p\"\ntype = \"u32\"\ncount = 2\ninit = \"zeros\"\n"
    );
    std::fs::write(&launch, text).expect("a writable folder");
    let (workload, _) = record(&file, &launch, false, 1).unwrap_or_else(|e| panic!("{e}"));
    let kernel = workload.launches().next().expect("one launch");
    let names = kernel.code.insts.iter();
    let names = names.filter_map(|i| kernel.code.mnemonics.get(usize::from(i.mnemonic)));
    let wanted = |name: &&String| prefixes.iter().any(|p| name.starts_with(p));
    names.filter(wanted).cloned().collect()
}

/// As ptxas does: an update whose result nobody reads is a reduction, of which exchanges have none.
#[test]
fn updates_whose_results_nobody_reads_are_reductions() {
    let expected = [
        "RED.E.ADD.STRONG.GPU",
        "RED.E.MAX.STRONG.GPU",
        "ATOMG.E.OR.STRONG.GPU",
        "ATOMG.E.EXCH.STRONG.GPU",
        "ATOMG.E.CAS.STRONG.GPU",
    ];
    assert_eq!(mnemonics("updates", UPDATES, &["RED", "ATOM"]), expected);
}

const CONVERSIONS: &str = "
.version 8.0
.target sm_70
.address_size 64
.visible .entry conversions(.param .u64 p)
{
    .reg .b32 %r<2>;
    .reg .f32 %f<3>;
    .reg .f64 %fd<3>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [p];
    ld.global.u32 %r1, [%rd1];
    cvt.rn.f32.s32 %f1, %r1;
    cvt.f64.f32 %fd1, %f1;
    cvt.sat.f64.f64 %fd2, %fd1;
    cvt.rn.f32.f64 %f2, %fd2;
    st.global.f32 [%rd1], %f2;
    ret;
}
";

/// As ptxas does: a double is limited by two comparisons, and from sm_86 on 32-bit integers are converted by the ALU.
#[test]
fn conversions_are_those_of_the_machine() {
    for (target, integer) in [
        ("sm_70", "I2F"),
        ("sm_80", "I2F"),
        ("sm_86", "I2FP.F32.S32"),
        ("sm_90", "I2FP.F32.S32"),
    ] {
        let ptx = CONVERSIONS.replace("sm_70", target);
        let found = mnemonics("conversions", &ptx, &["I2F", "F2F", "FRND", "DSETP"]);
        let double = [
            "F2F.F64.F32",
            "DSETP.MAX.AND",
            "DSETP.MIN.AND",
            "F2F.F32.F64",
        ];
        assert_eq!(found, [[integer].as_slice(), &double].concat(), "{target}");
    }
}

const NEIGHBOURS: &str = "
.version 8.0
.target sm_80
.address_size 64
.global .align 16 .b8 g[16];
.visible .entry neighbours(.param .u64 p)
{
    .shared .align 16 .b8 s[16];
    .reg .f32 %f<9>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [p];
    mov.u64 %rd2, g;
    ld.global.f32 %f1, [%rd2];
    ld.global.f32 %f2, [%rd2+4];
    ld.global.f32 %f3, [%rd2+8];
    ld.global.f32 %f4, [%rd2+12];
    st.shared.v4.f32 [s], {%f1, %f2, %f3, %f4};
    bar.sync 0;
    ld.shared.f32 %f5, [s];
    ld.shared.f32 %f6, [s+4];
    ld.shared.f32 %f7, [s+8];
    ld.shared.f32 %f8, [s+12];
    st.global.f32 [%rd2], %f8;
    st.global.f32 [%rd2+4], %f7;
    st.global.f32 [%rd2+8], %f6;
    st.global.f32 [%rd2+12], %f5;
    ret;
}
";

/// ptxas joins neighbours in shared memory and leaves those in global memory as they are, aligned or not (docs/ptx.md).
#[test]
fn neighbours_in_global_memory_are_not_joined() {
    let found = mnemonics("neighbours", NEIGHBOURS, &["LDG", "STG", "LDS"]);
    let wide = |name: &str| {
        found
            .iter()
            .filter(|n| n.starts_with(name))
            .collect::<Vec<_>>()
    };
    assert_eq!((wide("LDG").len(), wide("STG").len()), (4, 4), "{found:?}");
    assert_eq!(wide("LDS"), ["LDS.128"], "{found:?}");
}

const HALVES: &str = "
.version 8.0
.target sm_90
.address_size 64
.visible .entry halves(.param .u64 p)
{
    .reg .b16 %h<3>;
    .reg .b32 %r<5>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [p];
    cvta.to.global.u64 %rd2, %rd1;
    ld.global.u32 %r1, [%rd2];
    ld.global.u16 %h1, [%rd2+4];
    fma.rn.f16x2 %r2, %r1, %r1, %r1;
    add.f16x2 %r2, %r2, %r1;
    mul.f16x2 %r2, %r2, %r1;
    fma.rn.bf16x2 %r2, %r2, %r1, %r1;
    fma.rn.f16 %h1, %h1, %h1, %h1;
    fma.rn.f16 %h1, %h1, %h1, %h1;
    st.global.u32 [%rd2], %r2;
    st.global.u16 [%rd2+4], %h1;
    ret;
}
";

/// As ptxas does on GA100 and GH100: dependent packed halves take both pipes in turn, single ones
/// the first.
#[test]
fn packed_halves_take_both_pipes_where_there_are_two() {
    let of = |target: &str| {
        let ptx = HALVES.replace("sm_90", target);
        mnemonics("halves", &ptx, &["HFMA2", "HADD2", "HMUL2"])
    };
    let two = [
        "HFMA2.MMA",
        "HADD2",
        "HFMA2.MMA",
        "HFMA2.BF16_V2",
        "HFMA2",
        "HFMA2",
    ];
    let one = ["HFMA2", "HADD2", "HMUL2", "HFMA2.BF16_V2", "HFMA2", "HFMA2"];
    assert_eq!(
        (of("sm_80"), of("sm_90")),
        (
            two.map(str::to_owned).to_vec(),
            two.map(str::to_owned).to_vec()
        )
    );
    assert_eq!(of("sm_86"), one);
}

/// Every access of a recording names the line of its file: scheduling, fusion and the way through a `.pgt` file keep it.
#[test]
fn instructions_know_the_line_of_ptx_that_they_come_from() {
    let ptx = corpus().join("sm_80/04_sgemm_tiled.ptx");
    let text = std::fs::read_to_string(&ptx).unwrap();
    let source: Vec<&str> = text.lines().collect();
    let launch = corpus().join("launch/sgemm_reg4x4.toml");
    let (workload, _) = record(&ptx, &launch, false, 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("k.pgt");
    write_pgt(&workload, &file).unwrap();
    let read = phantom_gpu::trace::pgt::read_pgt(&file).unwrap();
    let kernel = read.launches().next().unwrap();
    let mut found = 0;
    for inst in &kernel.code.insts {
        let mnemonic = &kernel.code.mnemonics[usize::from(inst.mnemonic)];
        let says = match mnemonic.split('.').next() {
            Some("LDG") => "ld.global",
            Some("STG") => "st.global",
            Some("LDS") => "ld.shared",
            Some("STS") => "st.shared",
            Some("BAR") => "bar.sync",
            Some("FFMA") => "fma.rn.f32",
            _ => continue,
        };
        let (line, words) = kernel.line(inst.pc).unwrap();
        assert_eq!(source[line as usize - 1].trim(), words);
        assert!(words.contains(says), "{mnemonic} at {}: {words}", inst.pc);
        found += 1;
    }
    assert!(found > 50, "{found}");
}
