//! What goes wrong in PTX files, launch files and kernels is reported with its place.

use phantom_gpu::internals::ptx::exec::decode::{Bindings, decode};
use phantom_gpu::internals::ptx::flat::{entries, flatten};
use phantom_gpu::internals::ptx::record::record;
use phantom_gpu::internals::ptx::{lower, parse};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn corpus(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("traces/ptx")
        .join(path)
}

/// The message of recording `body` in a kernel `k` of one pointer and one number.
fn message(body: &str, launch: &str, race_check: bool) -> String {
    message_of_threads(body, launch, race_check, 1)
}

fn message_of_threads(body: &str, launch: &str, race_check: bool, threads: usize) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ptx = folder.path().join("k.ptx");
    let toml = folder.path().join("k.toml");
    let text = format!(
        ".version 8.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 p, .param .u32 n)\n{{\n\
         .reg .pred %p<9>; .reg .b32 %r<99>; .reg .b64 %rd<99>; .shared .align 4 .b8 s[4096];\n\
         ld.param.u64 %rd1, [p];\n{body}\nret;\n}}\n"
    );
    std::fs::write(&ptx, text).expect("a writable folder");
    std::fs::write(&toml, launch).expect("a writable folder");
    match record(&ptx, &toml, race_check, threads) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

const LAUNCH: &str = "grid = 1\nblock = 64\n\
    [[args]]\nname = \"p\"\ntype = \"u32\"\ncount = 64\n\
    [[args]]\nname = \"n\"\ntype = \"u32\"\nvalue = 3\n";

#[test]
fn out_of_bounds_says_thread_line_and_buffer() {
    let body = "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 8; add.s64 %rd3, %rd1, %rd2;\n\
                st.global.u32 [%rd3], %r1;";
    let text = message(body, LAUNCH, false);
    assert!(text.contains("line 9"), "{text}");
    assert!(
        text.contains("thread (32, 0, 0)") && text.contains("right behind `p`"),
        "{text}"
    );
}

/// CTAs that read what those before them wrote, and CTAs that fail: as in order, at any number.
#[test]
fn dependent_and_failing_ctas_are_those_of_the_order() {
    let body = "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r1, 32, %r2;\n\
        mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd1, %rd2; ld.global.u32 %r4, [%rd3];\n\
        add.u32 %r4, %r4, 1; st.global.u32 [%rd3+128], %r4;";
    let launch = |count: u32, init: &str| {
        format!(
            "grid = 99\nblock = 32\n[[args]]\nname = \"p\"\ntype = \"u32\"\ncount = {count}\n\
             init = \"{init}\"\n[[args]]\nname = \"n\"\ntype = \"u32\"\nvalue = 1\n"
        )
    };
    for (launch, part) in [
        (launch(3200, "zeros"), ""),
        (launch(3199, "zeros"), "CTA (98, 0, 0)"),
        (launch(3200, "none"), "nobody wrote"),
    ] {
        let alone = message(body, &launch, false);
        assert!(
            alone.contains(part) && alone.is_empty() == part.is_empty(),
            "{alone}"
        );
        // The folder of the files differs.
        let place = |text: &str| text.split_once("k.ptx").map(|(_, rest)| rest.to_owned());
        for threads in [2, 3, 8] {
            let together = message_of_threads(body, &launch, false, threads);
            assert_eq!(place(&together), place(&alone));
        }
    }
}

#[test]
fn carries_and_parts_are_those_of_the_hardware() {
    // 5 - 7 borrows: the flag is clear, and the next subtraction takes one more.
    let borrow = "mov.u32 %r1, 5; sub.cc.u32 %r2, %r1, 7; addc.u32 %r3, 0, 0;\n\
        setp.ne.u32 %p1, %r3, 0; @%p1 trap;\n\
        sub.cc.u32 %r2, %r1, 3; addc.u32 %r3, 0, 0; setp.ne.u32 %p1, %r3, 1; @%p1 trap;\n\
        sub.cc.u32 %r2, %r1, 7; subc.u32 %r3, 9, 1; setp.ne.u32 %p1, %r3, 7; @%p1 trap;";
    assert_eq!(message(borrow, LAUNCH, false), "");
    let parts = "mov.u32 %r1, 0x0001ffff; add.s16x2 %r2, %r1, 0x00010001;\n\
        setp.ne.u32 %p1, %r2, 0x00020000; @%p1 trap;\n\
        vadd4.u32.u32.u32.sat %r2, %r1, 0x01010101, 0;\n\
        setp.ne.u32 %p1, %r2, 0x0102ffff; @%p1 trap;\n\
        mov.f32 %r3, 0f3f800000; max.f32 %r4, %r3, 0f40000000, 0f40400000;\n\
        setp.ne.u32 %p1, %r4, 0x40400000; @%p1 trap;";
    assert_eq!(message(parts, LAUNCH, false), "");
    let part = message("vadd.u32.u32.u32 %r1, %r1.b0, %r2;", LAUNCH, false);
    assert!(part.contains("not supported"), "{part}");
}

#[test]
fn endless_recursion_is_an_error() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.func f()\n{\ncall f, ();\nret;\n}\n\
        .visible .entry k()\n{\ncall f, ();\nret;\n}\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ptx, toml) = (folder.path().join("k.ptx"), folder.path().join("k.toml"));
    std::fs::write(&ptx, text).expect("a writable folder");
    std::fs::write(&toml, "grid = 1\nblock = 1\n").expect("a writable folder");
    let error = record(&ptx, &toml, false, 1).err().map(|e| e.to_string());
    assert!(
        error.as_ref().is_some_and(|e| e.contains("too deep")),
        "{error:?}"
    );
}

#[test]
fn misaligned_and_uninitialised_accesses_are_reported() {
    let text = message("st.global.u32 [%rd1+2], %r1;", LAUNCH, false);
    assert!(text.contains("misaligned access of 4 bytes"), "{text}");
    let text = message(
        "ld.global.u32 %r1, [%rd1+8];\nst.global.u32 [%rd1], %r1;",
        LAUNCH,
        false,
    );
    assert!(
        text.contains("nobody wrote") && text.contains("byte 8 of `p`"),
        "{text}"
    );
    let written = "st.global.u32 [%rd1+8], %r2;\nld.global.u32 %r1, [%rd1+8];";
    assert_eq!(message(written, LAUNCH, false), "");
}

#[test]
fn a_race_is_found_and_a_barrier_ends_it() {
    let race = |between: &str| {
        let body = format!(
            "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; xor.b32 %r3, %r2, 128;\n\
             st.shared.u32 [%r2], 0; bar.sync 0;\n\
             st.shared.u32 [%r2], %r1;\n{between}\nld.shared.u32 %r4, [%r3];\n\
             mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r4;"
        );
        message(&body, LAUNCH, true)
    };
    assert!(race("").contains("race: shared address"), "{}", race(""));
    assert_eq!(race("bar.sync 0;"), "");
    // Where nobody has written yet, the missing barrier shows without the check.
    let early = "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; xor.b32 %r3, %r2, 128;\n\
        st.shared.u32 [%r2], %r1;\nld.shared.u32 %r4, [%r3];";
    let text = message(early, LAUNCH, false);
    assert!(
        text.contains("nobody wrote so far") && text.contains("a barrier"),
        "{text}"
    );
}

#[test]
fn a_barrier_that_not_all_reach_is_an_error() {
    let body = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 40;\n@%p1 bar.sync 1, 64;";
    let text = message(body, LAUNCH, false);
    assert!(text.contains("never arrive"), "{text}");
}

#[test]
fn what_is_not_emulated_is_refused_only_when_executed() {
    let refused = message("mbarrier.init.shared.b64 [s], 1;", LAUNCH, false);
    assert!(
        refused.contains("mbarrier.init.shared.b64") && refused.contains("line 8"),
        "{refused}"
    );
    let skipped = "setp.eq.u32 %p1, 1, 2;\n@%p1 wgmma.fence.sync.aligned;\nbogus.s32 %r1;";
    let text = message(
        &format!("bra L;\n{skipped}\nL: st.global.u32 [%rd1], %r1;"),
        LAUNCH,
        false,
    );
    assert_eq!(text, "");
}

#[test]
fn faults_of_a_launch_are_all_reported() {
    let text = message(
        "",
        "grid = 0\nblock = 2000\n[[args]]\ntype = \"f33\"\nvalue = 1\n",
        false,
    );
    for part in ["grid", "block", "f33"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let few = "grid = 1\nblock = 1\n[[args]]\ntype = \"u64\"\nvalue = 1\n";
    let text = message("", few, false);
    assert!(
        text.contains("1 where kernel `k`") && text.contains("2 parameters"),
        "{text}"
    );
    let text = message("", "grid = 1\nblok = 1\n", false);
    assert!(text.contains("line 2") && text.contains("blok"), "{text}");
}

#[test]
fn operands_of_checks_and_fields_of_structures_are_checked() {
    let check = |operands: &str| {
        let launch = format!("{LAUNCH}[check]\nname = \"softmax\"\noperands = {operands}\n");
        message("st.global.u32 [%rd1], 7;", &launch, false)
    };
    let text = check("{ x = \"q\", cols = [] }");
    assert!(
        text.contains("no argument `q`") && text.contains("operands.cols"),
        "{text}"
    );
    let launch = "grid = 1\nblock = 1\n[[args]]\nfields = [{ type = \"u8\", value = 1 }, \
        { type = \"u64\", value = 2 }]\n[[args]]\ntype = \"u32\"\nvalue = 3\n";
    let text = message("", launch, false);
    assert!(
        text.contains("16 bytes where the parameter .u64 has 8"),
        "{text}"
    );
}

#[test]
fn a_wrong_result_names_the_element() {
    let launch = format!("{LAUNCH}[check]\nname = \"counter\"\n").replace("\"p\"", "\"counter\"");
    let text = message("st.global.u32 [%rd1], 7;", &launch, false);
    assert!(text.contains("counter[0] is 7, expected 64"), "{text}");
}

/// `body` in a kernel of 64 threads, whose `p` is then compared with a file of these bytes.
fn compared(body: &str, args: &str, reference: &[u8], more: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("want.bin");
    std::fs::write(&path, reference).expect("a writable folder");
    let launch = format!(
        "grid = 1\nblock = 64\n{args}[check]\nbuffer = \"p\"\npath = {:?}\n{more}",
        path.display().to_string()
    );
    message(body, &launch, false)
}

const ARGS: &str = "[[args]]\nname = \"p\"\ntype = \"u32\"\ncount = 64\n\
    [[args]]\nname = \"n\"\ntype = \"u32\"\nvalue = 3\n";
const FILL: &str = "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2;\n\
    st.global.u32 [%rd3], %r1;";

#[test]
fn a_reference_of_another_size_than_its_buffer_is_refused() {
    let whole: Vec<u8> = (0u32..65).flat_map(u32::to_le_bytes).collect();
    for bytes in [0, 1, 4, 252, 255, 257, 260] {
        let text = compared(FILL, ARGS, &whole[..bytes], "");
        // A file that is too long is not read to its end.
        let found = match bytes > 256 {
            true => "more than 256".to_owned(),
            false => bytes.to_string(),
        };
        assert!(
            text.contains(&format!("has {found} bytes, expected the 256 bytes of `p`"))
                && text.contains("want.bin"),
            "{text}"
        );
    }
    assert_eq!(compared(FILL, ARGS, &whole[..256], ""), "");
    // Integers have to be the same, however large others are.
    let mut large = whole[..256].to_vec();
    large[253..256].fill(255);
    large[4] = 2;
    let body = format!("{FILL}\nmov.u32 %r2, 0xffffff3f; st.global.u32 [%rd1+252], %r2;");
    let text = compared(&body, ARGS, &large, "");
    assert!(text.contains("p[1] is 0x1, expected 0x2"), "{text}");
    assert_eq!(compared(&body, ARGS, &large, "tolerance = 1e-5\n"), "");
}

#[test]
fn what_nobody_compared_is_not_verified() {
    // Zeros are expected, and there are zeros, but no thread wrote them.
    let half = "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2;\n\
        setp.lt.u32 %p1, %r1, 32; @%p1 st.global.u32 [%rd3], 0;";
    let text = compared(half, ARGS, &[0; 256], "");
    assert!(
        text.contains("32 elements that somebody wrote, expected 64"),
        "{text}"
    );
    for tolerance in ["-1e-3", "nan", "inf", "1.0"] {
        let text = compared(FILL, ARGS, &[0; 256], &format!("tolerance = {tolerance}\n"));
        assert!(text.contains("0 to below 1"), "{tolerance}: {text}");
    }
    let vecadd = |init: &str, n: u32| {
        let launch = format!(
            "grid = 1\nblock = 64\n[[args]]\nname = \"c\"\ntype = \"u32\"\ncount = 64\n{init}\
             [[args]]\nname = \"n\"\ntype = \"u32\"\nvalue = {n}\n[check]\nname = \"vecadd\"\n\
             operands = {{ a = \"c\", b = \"c\" }}\n"
        );
        message(FILL, &launch, false)
    };
    assert!(vecadd("", 64).contains("needs an `init`"));
    assert!(vecadd("init = \"zeros\"\n", 0).contains("no element of `c` is compared"));
    assert!(vecadd("init = \"zeros\"\n", 1).is_empty());
    let empty = message("", &format!("{LAUNCH}[check]\n"), false);
    assert!(empty.contains("either `name`, or `buffer`"), "{empty}");
}

#[test]
fn initial_content_that_cannot_be_is_refused() {
    let launch = |init: &str| {
        let args = format!("[[args]]\nname = \"c\"\ntype = \"u8\"\ncount = 300\n{init}\n");
        message(FILL, &format!("grid = 1\nblock = 64\n{args}"), false)
    };
    let ring = launch("init = \"ring\"\nstride = 0");
    assert!(ring.contains("stride = 0: at least 1"), "{ring}");
    let iota = launch("init = \"iota\"");
    assert!(iota.contains("0 to 299 is more than u8 can hold"), "{iota}");
}

#[test]
fn a_result_without_a_finite_number_is_not_verified() {
    // All ones are the bits of a NaN, which both sides have.
    let fill = FILL.replace("], %r1", "], -1");
    let floats = ARGS.replacen("u32", "f32", 1);
    let text = compared(&fill, &floats, &[0xff; 256], "");
    assert!(text.contains("is expected to be finite"), "{text}");
}

#[test]
fn shared_memory_that_nobody_wrote_has_no_value() {
    let read = |before: &str, read: &str| message(&format!("{before}\n{read}"), LAUNCH, false);
    let address = "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2;";
    // Half of the threads write: the other half of the words has no value.
    let half =
        format!("{address}\nsetp.lt.u32 %p1, %r1, 40; @%p1 st.shared.u32 [%r2], %r1;\nbar.sync 0;");
    let text = read(&half, "ld.shared.u32 %r3, [%r2];");
    assert!(
        text.contains("thread (40, 0, 0) of CTA (0, 0, 0)")
            && text.contains("read of 4 bytes at shared address 0xa0 that nobody wrote so far")
            && text.contains("ld.shared.u32"),
        "{text}"
    );
    assert_eq!(read(&half, "@%p1 ld.shared.u32 %r3, [%r2];"), "");
    // Through generic addresses, atomics, matrices; wider than what was written.
    for bad in [
        "mov.u64 %rd2, s; cvta.shared.u64 %rd3, %rd2; ld.u32 %r3, [%rd3+512];",
        "atom.shared.add.u32 %r3, [%r2], 1;",
        "shl.b32 %r5, %r1, 4; ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r3, %r4}, [%r5];",
        "st.shared.u32 [2048], %r1; ld.shared.v2.u32 {%r3, %r4}, [2048];",
        "ld.shared.u32 %r3, [4092];",
    ] {
        assert!(read(&half, bad).contains("nobody wrote"), "{bad}");
    }
    // What is far apart is looked at as well: thread 63 reads where thread 31 would have written.
    let far = "mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 6; setp.ne.u32 %p1, %r1, 31;\n\
        @%p1 st.shared.u32 [%r2], %r1; bar.sync 0; xor.b32 %r2, %r2, 2048;";
    let text = read(far, "ld.shared.u32 %r3, [%r2];");
    assert!(text.contains("thread (63, 0, 0)"), "{text}");
    let guarded = "setp.ne.u32 %p2, %r1, 63; @%p2 ld.shared.u32 %r3, [%r2];";
    assert_eq!(read(far, guarded), "");
    // Copies fill the rest with zeros, which are a value.
    let copied = "mov.u32 %r2, 0; cp.async.ca.shared.global [%r2], [%rd1], 4, 0; \
        cp.async.wait_all; bar.sync 0;";
    assert_eq!(read(copied, "ld.shared.u32 %r3, [0];"), "");
}

#[test]
fn values_of_another_type_than_the_parameter_are_refused() {
    let launch = |n: &str| {
        format!(
            "grid = 1\nblock = 64\n[[args]]\nname = \"p\"\ntype = \"u32\"\ncount = 64\n\
             [[args]]\nname = \"n\"\n{n}\n"
        )
    };
    let text = message("", &launch("type = \"f32\"\nvalue = 3"), false);
    assert!(
        text.contains("args[1] (n): f32 where the parameter is .u32") && text.contains("its bits"),
        "{text}"
    );
    assert_eq!(
        message("", &launch("type = \"i32\"\nvalue = -3"), false),
        ""
    );
    for (lossy, part) in [
        ("type = \"f32\"\nvalue = 16777217", "does not fit f32"),
        ("type = \"f32\"\nvalue = 1e39", "is no f32"),
        ("type = \"u32\"\nvalue = 4294967296", "does not fit u32"),
        (
            "type = \"u8\"\ncount = 2\ninit = \"values\"\nvalues = [1, 256]",
            "256 is no u8",
        ),
        (
            "type = \"u8\"\ncount = 2\ninit = \"values\"\nvalues = [1.5]",
            "1.5 is no u8",
        ),
        (
            "type = \"u8\"\ncount = 2\ninit = \"values\"\nvalues = [1, 2, 3]",
            "3 values where",
        ),
        (
            "type = \"i32\"\ncount = 2\ninit = \"iota\"\nstep = 0.5",
            "are no i32",
        ),
    ] {
        let text = message("", &launch(lossy), false);
        assert!(text.contains(part), "{lossy}: {text}");
    }
}

#[test]
fn divergence_ends_where_paths_meet() {
    // Odd lanes add 5, even ones 9, all of them vote after that; spinning lanes let others go on.
    let body = "mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0;\n\
        @%p1 bra E;\nadd.u32 %r3, %r1, 5;\nbra.uni M;\nE: add.u32 %r3, %r1, 9;\nM:\n\
        vote.sync.ballot.b32 %r4, %p1, -1;\n\
        mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r4;\n\
        setp.ne.u32 %p2, %r4, 0x55555555; @%p2 trap;";
    assert_eq!(message(body, LAUNCH, false), "");
}

#[test]
fn producer_and_consumer_of_one_warp_make_progress() {
    let body = "mov.u32 %r1, %tid.x; st.global.u32 [%rd1], 0; bar.sync 0;\n\
        setp.eq.u32 %p1, %r1, 31; @%p1 bra P;\n\
        W: ld.volatile.global.u32 %r2, [%rd1]; atom.global.or.b32 %r3, [%rd1], 0;\n\
        setp.eq.u32 %p2, %r3, 0; @%p2 bra W; bra.uni D;\n\
        P: atom.global.exch.b32 %r4, [%rd1], 1;\nD: bar.sync 0;";
    assert_eq!(message(body, LAUNCH, false), "");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    /// Damaged files of the corpus are refused or carried through to the end of lowering.
    #[test]
    fn damage_is_no_panic(
        file in prop::sample::select(&["03_reduce_shfl", "05b_mma_sync_gemm", "11_bfs"][..]),
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        with in "[ -~]{0,6}",
    ) {
        let text = std::fs::read_to_string(corpus(&format!("sm_80/{file}.ptx"))).unwrap_or_default();
        let from = at.index(text.len());
        let to = (from + length).min(text.len());
        let damaged = format!("{}{with}{}", &text[..from], &text[to..]);
        if let Ok(module) = parse(&damaged) {
            for entry in entries(&module) {
                if let Ok(flat) = flatten(&module, entry.name) {
                    let program = decode(&flat, &Bindings::default());
                    let _ = lower::lower(&flat, &program, 80);
                }
            }
        }
    }
}
