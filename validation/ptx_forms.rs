//! Forms that compilers write and the corpus does not hold: each kernel traps where the result is
//! not the one that the language defines.

use phantom_gpu::internals::ptx::flat::flatten;
use phantom_gpu::internals::ptx::parse;
use phantom_gpu::internals::ptx::record::record;

/// The message of recording `body`, two warps of it, after `items` of the module; nothing for
/// success.
fn message(items: &str, body: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ptx, toml) = (folder.path().join("k.ptx"), folder.path().join("k.toml"));
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n{items}\n\
         .visible .entry k(.param .u64 p)\n{{\n\
         .reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<40>; .reg .b64 %rd<40>;\n\
         .reg .b128 %q<4>; .reg .f32 %f<9>; .shared .align 16 .b8 s[256];\n\
         ld.param.u64 %rd1, [p]; mov.u32 %r1, %tid.x;\n{body}\nret;\n}}\n"
    );
    std::fs::write(&ptx, text).expect("a writable folder");
    let launch = "grid = 1\nblock = 64\n\
        [[args]]\nname = \"p\"\ntype = \"u32\"\ncount = 64\ninit = \"iota\"\n";
    std::fs::write(&toml, launch).expect("a writable folder");
    match record(&ptx, &toml, false, 1) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

/// `body` ends well.
fn runs(items: &str, body: &str) {
    assert_eq!(message(items, body), "", "{body}");
}

/// PTX that traps unless register `register` is `value`.
fn is(register: &str, value: &str) -> String {
    format!("setp.ne.b32 %p8, {register}, {value}; @%p8 trap;\n")
}

#[test]
fn sums_of_32_bit_addresses_wrap() {
    let body = "mov.u32 %r2, s; sub.u32 %r3, %r2, 32; st.shared.u32 [%r3+32], 7;\n\
        ld.shared.u32 %r4, [s];\n";
    runs("", &format!("{body}{}", is("%r4", "7")));
}

#[test]
fn names_that_nobody_declares_have_meanings() {
    let body = "mov.u32 %r2, WARP_SZ; add.u32 %r3, %r2, WARP_SZ-1; mov.u32 %r4, (7 > 3 ? 5 : 6);\n\
        mov.u32 %r5, %envreg2; mov.pred %p1, %is_explicit_cluster; @%p1 trap;\n\
        mov.u32 %r6, %reserved_smem_offset_1; st.shared.u32 [%r6+64], 9;\n\
        mov.u32 %r7, %reserved_smem_offset_end; sub.u32 %r8, %r7, %r6;\n\
        ld.shared.u32 %r9, [%r6+64];\n";
    let checks = [
        is("%r2", "32"),
        is("%r3", "63"),
        is("%r4", "5"),
        is("%r5", "0"),
        is("%r8", "1024"),
        is("%r9", "9"),
    ];
    runs("", &format!("{body}{}", checks.concat()));
    let grid = message(
        "",
        "mov.u32 %r2, %envreg1; setp.eq.u32 %p1, %r2, 0; @%p1 trap;",
    );
    assert!(grid.contains("cooperative"), "{grid}");
    let text =
        ".version 8.0\n.target sm_80\n.visible .entry k()\n{\n.reg .b32 x[WARP_SZ*2];\nret;\n}";
    assert!(parse(text).is_ok());
}

#[test]
fn functions_read_parameters_by_address() {
    let items = ".func (.param .b32 o) f(.param .align 8 .b8 a[8])\n{\n.reg .b64 %x; .reg .b32 %y, %z;\n\
        mov.b64 %x, a; ld.param.b32 %y, [%x]; ld.param.b32 %z, [%x+4];\n\
        sub.u32 %y, %z, %y; st.param.b32 [o], %y; ret;\n}";
    let body = "{\n.param .align 8 .b8 a[8]; .param .b32 o;\n\
        st.param.b32 [a], 3; st.param.b32 [a+4], 10; call.uni (o), f, (a);\n\
        ld.param.b32 %r2, [o];\n}\n";
    runs(items, &format!("{body}{}", is("%r2", "7")));
}

#[test]
fn lanes_that_name_different_members_are_groups_of_their_own() {
    // Eight lanes a group: ballots, sums and elections are those of the group.
    let masks = "and.b32 %r2, %r1, 24; mov.u32 %r3, 255; shl.b32 %r3, %r3, %r2;\n";
    let body = "setp.ne.u32 %p1, %r1, 8;\n\
        vote.sync.ballot.b32 %r4, %p1, %r3; and.b32 %r5, %r3, 0xfffffeff;\n\
        setp.gt.u32 %p2, %r1, 31; selp.b32 %r5, %r3, %r5, %p2;\n\
        setp.ne.u32 %p8, %r4, %r5; @%p8 trap;\n\
        redux.sync.add.u32 %r6, 2, %r3;\n\
        elect.sync _|%p3, %r3; selp.u32 %r7, 1, 0, %p3;\n\
        and.b32 %r8, %r1, 7; setp.eq.u32 %p4, %r8, 0; selp.u32 %r9, 1, 0, %p4;\n\
        setp.ne.u32 %p8, %r7, %r9; @%p8 trap;\n";
    runs("", &format!("{masks}{body}{}", is("%r6", "16")));
    // Groups whose members come at different times wait for their own members only.
    let apart = "and.b32 %r10, %r1, 1; setp.eq.u32 %p5, %r10, 0; @%p5 bra E;\n\
        mov.u32 %r11, 1; bra.uni M;\nE: mov.u32 %r11, 2;\nM2: shfl.sync.bfly.b32 %r12, %r11, 1, 31, %r3;\n\
        bra.uni D;\nM: shfl.sync.bfly.b32 %r12, %r11, 1, 31, %r3;\nD: add.u32 %r13, %r11, %r12;\n";
    let late = message("", &format!("{masks}{apart}"));
    assert!(late.contains("never arrive"), "{late}");
}

#[test]
fn loads_that_poll_let_other_lanes_go_on() {
    let body = "st.global.u32 [%rd1], 0; bar.sync 0; setp.eq.u32 %p1, %r1, 31; @%p1 bra P;\n\
        W: ld.relaxed.gpu.global.u32 %r2, [%rd1]; setp.eq.u32 %p2, %r2, 0; @%p2 bra W; bra.uni D;\n\
        P: st.release.gpu.global.u32 [%rd1], 1;\nD: bar.sync 0;\n";
    runs("", body);
}

#[test]
fn timers_go_on() {
    let body = "mov.u64 %rd2, %globaltimer;\n\
        W: mov.u64 %rd3, %globaltimer; sub.u64 %rd4, %rd3, %rd2;\n\
        setp.lt.u64 %p1, %rd4, 1000; @%p1 bra W;\n";
    runs("", body);
}

#[test]
fn stack_is_taken_and_given_back() {
    // 100 calls that take 4 KiB each would fill the stack otherwise.
    let items = ".func (.param .b32 o) f(.param .b32 n)\n{\n.reg .b64 %a, %s; .reg .b32 %n, %m;\n\
        ld.param.b32 %n, [n]; mov.u64 %s, 4096; alloca.u64 %a, %s, 16;\n\
        st.local.b32 [%a+4092], %n; ld.local.b32 %m, [%a+4092]; st.param.b32 [o], %m; ret;\n}";
    let body = "mov.u32 %r2, 0; mov.u32 %r3, 0;\n\
        W:\n{\n.param .b32 a; .param .b32 b;\nst.param.b32 [a], %r2; call (b), f, (a);\n\
        ld.param.b32 %r4, [b];\n}\nadd.u32 %r3, %r3, %r4; add.u32 %r2, %r2, 1;\n\
        setp.lt.u32 %p1, %r2, 100; @%p1 bra W;\n";
    runs(items, &format!("{body}{}", is("%r3", "4950")));
    let kept = "stacksave.u64 %rd2; mov.u64 %rd3, 30000; mov.u32 %r2, 0;\n\
        L: alloca.u64 %rd4, %rd3; stackrestore.u64 %rd2; add.u32 %r2, %r2, 1;\n\
        setp.lt.u32 %p1, %r2, 5; @%p1 bra L;\n";
    runs("", kept);
    let full = message("", "mov.u64 %rd3, 40000; alloca.u64 %rd4, %rd3;");
    assert!(full.contains("alloca"), "{full}");
}

#[test]
fn rarer_arithmetic_is_that_of_the_manual() {
    let cases = [
        (
            "min.xorsign.abs.f32 %f1, 0fC0400000, 0f40A00000; mov.b32 %r2, %f1;",
            "0xC0400000",
        ),
        (
            "max.xorsign.abs.f32 %f1, 0fC0400000, 0fC0A00000; mov.b32 %r2, %f1;",
            "0x40A00000",
        ),
        ("mul24.hi.u32 %r2, 0x00ffffff, 0x00ffffff;", "0xfffffe00"),
        ("mul24.lo.s32 %r2, 0x00ffffff, 5;", "-5"),
        (
            "cvt.pack.sat.s8.s32.b32 %r2, 300, -5, 0x1234;",
            "0x12347ffb",
        ),
        ("cvt.pack.sat.u16.s32 %r2, 70000, -5;", "0xffff0000"),
        ("lop3.or.b32 %r2|%p1, 0, 0, 0, 0x80, 1; @!%p1 trap;", "0"),
        (
            "lop3.and.b32 _|%p1, 1, 1, 1, 0x80, 1; @!%p1 trap; mov.u32 %r2, 4;",
            "4",
        ),
        (
            "cvt.rn.satfinite.e2m1x2.f32 %h1, 0f40A00000, 0fBF000000; cvt.u32.u16 %r2, %h1;",
            "0x69",
        ),
        (
            "mov.u16 %h1, 0x69; cvt.rn.f16x2.e2m1x2 %r2, %h1;",
            "0x4400b800",
        ),
        (
            "cvt.rn.satfinite.e3m2x2.f32 %h1, 0f42C80000, 0f3F800000; cvt.u32.u16 %r2, %h1;",
            "0x1f0c",
        ),
        (
            "mov.u16 %h1, 0x1f0c; cvt.rn.f16x2.e3m2x2 %r2, %h1;",
            "0x4f003c00",
        ),
        (
            "cvt.rp.satfinite.ue8m0x2.f32 %h1, 0f40400000, 0f3F800000; cvt.u32.u16 %r2, %h1;",
            "0x817f",
        ),
        (
            "mov.u16 %h1, 0x817f; cvt.rn.bf16x2.ue8m0x2 %r2, %h1;",
            "0x40803f80",
        ),
        (
            "cvt.rn.satfinite.bf16x2.f32 %r2, 0f7F800000, 0f3F800000;",
            "0x7f7f3f80",
        ),
    ];
    for (body, value) in cases {
        runs("", &format!("{body}\n{}", is("%r2", value)));
    }
}

#[test]
fn registers_of_128_bits_are_pairs() {
    let body = "setp.ne.u32 %p1, %r1, 0; @%p1 ret;\n\
        ld.global.b128 %q1, [%rd1+16]; mov.b128 {%rd2, %rd3}, %q1; mov.b128 %q2, {%rd3, %rd2};\n\
        st.global.b128 [%rd1], %q2; ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd1];\n\
        atom.global.exch.b128 %q3, [%rd1+32], %q1; mov.b128 {%rd4, %rd5}, %q3;\n\
        cvt.u32.u64 %r6, %rd5; atom.global.cas.b128 %q3, [%rd1+32], %q1, %q2;\n\
        ld.global.u32 %r7, [%rd1+32]; atom.global.cas.b128 %q3, [%rd1+32], %q1, %q1;\n\
        ld.global.u32 %r8, [%rd1+32];\n";
    let checks = [
        is("%r2", "6"),
        is("%r5", "5"),
        is("%r6", "10"),
        is("%r7", "6"),
        is("%r8", "6"),
    ];
    runs("", &format!("{body}{}", checks.concat()));
}

#[test]
fn one_cta_is_a_cluster_and_more_are_refused() {
    let body = "mov.u32 %r2, s; mapa.shared::cluster.u32 %r3, %r2, 0; st.shared.u32 [%r2], 8;\n\
        ld.shared::cluster.u32 %r4, [%r3]; getctarank.shared::cluster.u32 %r5, %r3;\n\
        barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;\n";
    runs("", &format!("{body}{}{}", is("%r4", "8"), is("%r5", "0")));
    let other = message("", "mov.u32 %r2, s; mapa.shared::cluster.u32 %r3, %r2, 1;");
    assert!(other.contains("cluster"), "{other}");
    let text =
        ".version 8.0\n.target sm_90\n.visible .entry k() .reqnctapercluster 2, 1, 1\n{\nret;\n}";
    let module = parse(text).expect("PTX");
    let flat = flatten(&module, "k").expect("a kernel");
    assert_eq!(flat.cluster, Some([2, 1, 1]));
}

#[test]
fn shared_variables_of_other_kernels_take_no_room() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.shared .align 4 .b8 a[1000];\n\
        .shared .align 4 .b8 b[400];\n.extern .shared .align 16 .b8 dynamic[];\n\
        .func f()\n{\n.reg .b32 %r;\nld.shared.u32 %r, [b];\nret;\n}\n\
        .visible .entry one()\n{\n.reg .b32 %r;\nld.shared.u32 %r, [a];\nret;\n}\n\
        .visible .entry two()\n{\n.reg .b32 %r;\nld.shared.u32 %r, [dynamic];\ncall f, ();\nret;\n}\n";
    let module = parse(text).expect("PTX");
    for (kernel, bytes) in [("one", 1000), ("two", 400)] {
        let flat = flatten(&module, kernel).expect("a kernel");
        assert_eq!(flat.shared_bytes, bytes);
    }
}
