//! Applications: several kernels in order on shared buffers; and our own kernels, whose results are computed here
//! once more.

use phantom_gpu::internals::ptx::launch::Application;
use phantom_gpu::internals::ptx::record::{How, Report, record_watched};
use phantom_gpu::trace::{Command, Workload};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/kernels")
}

pub(super) fn run(ptx: &str, text: &str) -> Result<(Workload, Report), String> {
    let launch = kernels().join("launch.toml");
    let application = Application::parse(&launch, text).map_err(|e| e.to_string())?;
    let how = How {
        race_check: true,
        threads: 1,
        memory_limit: None,
    };
    let ptx = kernels().join(ptx);
    record_watched(&ptx, &application, how, &Default::default()).map_err(|e| e.to_string())
}

fn atax() -> String {
    std::fs::read_to_string(kernels().join("atax.toml")).expect("part of the repository")
}

pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
    words.map(f32::from_le_bytes).collect()
}

/// Copies to the device: address and bytes.
fn copies(workload: &Workload) -> Vec<(u64, u64)> {
    let copy = |command: &Command| match command {
        Command::MemcpyHtoD { address, bytes } => Some((*address, *bytes)),
        Command::Launch(_) => None,
    };
    workload.commands.iter().filter_map(copy).collect()
}

#[test]
fn kernels_run_in_order_on_shared_buffers() {
    let (workload, report) = run("polybench.ptx", &atax()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((report.kernels, report.checks), (2, 2));
    let names: Vec<(&str, u32)> = workload
        .launches()
        .map(|k| (k.header.name.as_str(), k.header.id))
        .collect();
    assert_eq!(names, [("atax_first", 1), ("atax_second", 2)]);
    // Only what the host fills is copied, once.
    let sizes: Vec<u64> = copies(&workload).iter().map(|(_, bytes)| *bytes).collect();
    assert_eq!(sizes, [24_000, 240]);
    let [(path, bytes)] = report.dumps.as_slice() else {
        panic!("one dump");
    };
    assert_eq!((path, bytes.len()), (&kernels().join("y.bin"), 240));
    assert!(floats(bytes).iter().any(|y| y.abs() > 1.0));
}

/// A check sees what a kernel before has left: with the kernels the other way round nobody has written `t`.
#[test]
fn the_order_of_kernels_counts() {
    let text = atax();
    let (head, rest) = text.split_once("[[kernels]]").expect("two kernels");
    let (first, rest) = rest.split_once("[[kernels]]").expect("two kernels");
    let (second, dump) = rest.split_once("[[dump]]").expect("a dump");
    let turned = format!("{head}[[kernels]]{second}[[kernels]]{first}[[dump]]{dump}");
    let error = run("polybench.ptx", &turned)
        .err()
        .expect("unwritten input");
    assert!(error.contains("that nobody wrote"), "{error}");
}

#[test]
fn recordings_have_addresses_of_their_own() {
    let place = |text: &str| {
        let (workload, _) = run("polybench.ptx", text).unwrap_or_else(|e| panic!("{e}"));
        copies(&workload)[0].0
    };
    let own = place(&atax());
    assert_eq!(own, place(&atax()));
    let other = place(&atax().replace("seed = 2", "seed = 3"));
    assert!(own.abs_diff(other) >= 1 << 36, "{own:#x} and {other:#x}");
    let slots = [0u64, 3838].map(|slot| place(&format!("slot = {slot}\n{}", atax())));
    assert_eq!(slots[1] - slots[0], 3838 << 36);
    assert!(slots[1] < 1 << 48);
}

#[test]
fn faults_are_named_with_their_place() {
    let with = |from: &str, to: &str| atax().replacen(from, to, 1);
    let cases = [
        (
            with("{ buffer = \"x\", name = \"b\" }", "{ buffer = \"z\" }"),
            "kernels[0].args[1] (z): buffer = \"z\" is none of a, x, t, y",
        ),
        (
            with("buffer = \"y\"\npath", "buffer = \"q\"\npath"),
            "dump[0]: no buffer `q`; name one of [[buffers]]",
        ),
        (
            format!("grid = 1\n{}", atax()),
            "grid: with [[kernels]] it belongs into one of them",
        ),
        (format!("slot = 3839\n{}", atax()), "slot: 0 to 3838"),
        (with("count = 60\n", "value = 60\n"), "buffers[1] (x)"),
        (
            with("grid = 1\n", ""),
            "kernels[0].grid: one to three numbers are missing",
        ),
        (
            with("m = \"rows\"", "m = \"height\""),
            "kernels[0].check.operands.m: no argument `height`",
        ),
        (
            with("{ buffer = \"a\" }", "{ buffer = \"a\", type = \"f32\" }"),
            "`buffer` stands alone",
        ),
        (
            "block = 32\n".to_owned(),
            "grid: one to three numbers are missing",
        ),
        (
            with("init = \"random\"", "init = \"ring\"").replacen("\"f32\"", "\"u64\"", 1),
            "a ring of addresses belongs to one kernel",
        ),
    ];
    for (text, wanted) in cases {
        let error = run("polybench.ptx", &text).err();
        let error = error.unwrap_or_else(|| panic!("no fault where {wanted:?} is wanted"));
        assert!(error.contains(wanted), "{wanted:?} is not in\n{error}");
    }
}

/// A wrong result names the kernel; what was there before is known of shared buffers too.
#[test]
fn checks_name_their_kernel() {
    let wrong = atax()
        .replacen("n = \"cols\" } }", "n = \"cols\", k = 99 } }", 1)
        .replacen("k = \"rows\", ", "", 1);
    let error = run("polybench.ptx", &wrong).err().expect("a wrong result");
    assert!(error.contains("gemm of atax_second"), "{error}");
}

/// The command writes the buffers beside the launch file; an order that is left as it is changes no result.
#[test]
fn the_command_writes_dumps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let launch = folder.path().join("atax.toml");
    std::fs::write(&launch, atax()).expect("a writable folder");
    let dumped = |schedule: &str| {
        let done = Process::new(env!("CARGO_BIN_EXE_phantom-gpu"))
            .args(["trace", "record", "--schedule", schedule, "--launch"])
            .arg(&launch)
            .arg("-o")
            .arg(folder.path().join("atax.pgt"))
            .arg(kernels().join("polybench.ptx"))
            .output()
            .expect("the command");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        assert!(said.contains("verified by 2 checks of 2 kernels"), "{said}");
        std::fs::read(folder.path().join("y.bin")).expect("a dump")
    };
    assert_eq!(dumped("on"), dumped("off"));
}

/// One of our kernels on buffers `b0`, `b1` ... of so many elements, of which the last is the result, with numbers
/// behind them.
fn own(ptx: &str, kernel: &str, shape: &str, buffers: &[u64], numbers: &[i32]) -> Vec<Vec<f32>> {
    let mut text = shape.to_owned();
    let mut kernels = format!("[[kernels]]\nkernel = \"{kernel}\"\n");
    let mut args = Vec::new();
    let mut dumps = String::new();
    let list = std::mem::take(&mut text);
    kernels.push_str(&list);
    for (i, count) in buffers.iter().enumerate() {
        text.push_str(&format!(
            "[[buffers]]\nname = \"b{i}\"\ntype = \"f32\"\ncount = {count}\ninit = \"random\"\nseed = {}\n",
            i + 1
        ));
        args.push(format!("{{ buffer = \"b{i}\" }}"));
        dumps.push_str(&format!(
            "[[dump]]\nbuffer = \"b{i}\"\npath = \"b{i}.bin\"\n"
        ));
    }
    for (i, n) in numbers.iter().enumerate() {
        args.push(format!(
            "{{ name = \"n{i}\", type = \"i32\", value = {n} }}"
        ));
    }
    kernels.push_str(&format!("args = [{}]\n", args.join(", ")));
    let (_, report) =
        run(ptx, &format!("{text}{kernels}{dumps}")).unwrap_or_else(|e| panic!("{e}"));
    report
        .dumps
        .iter()
        .map(|(_, bytes)| floats(bytes))
        .collect()
}

pub(super) fn close(kernel: &str, got: &[f32], want: impl Iterator<Item = f64>) {
    let want: Vec<f64> = want.collect();
    assert_eq!(got.len(), want.len(), "{kernel}");
    let scale = want.iter().fold(1e-9f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        assert!(
            (f64::from(*g) - w).abs() <= 1e-5 * scale,
            "{kernel}[{i}]: {g}, not {w}"
        );
    }
}

#[test]
fn products_compute_what_they_should() {
    let (m, n, k) = (40usize, 50usize, 36usize);
    for (kernel, shape) in [
        ("matmul_naive", "grid = [4, 3]\nblock = [16, 16]\n"),
        ("matmul_tiled16", "grid = [4, 3]\nblock = [16, 16]\n"),
        ("matmul_tiled32", "grid = [2, 2]\nblock = [32, 32]\n"),
    ] {
        let sizes = [m * k, k * n, m * n].map(|n| n as u64);
        let all = own(
            "matrices.ptx",
            kernel,
            shape,
            &sizes,
            &[m as i32, n as i32, k as i32],
        );
        let (a, b) = (&all[0], &all[1]);
        let element = |i: usize| {
            let (row, col) = (i / n, i % n);
            (0..k)
                .map(|x| f64::from(a[row * k + x]) * f64::from(b[x * n + col]))
                .sum()
        };
        close(kernel, &all[2], (0..m * n).map(element));
    }
}

#[test]
fn transposes_compute_what_they_should() {
    let (rows, cols) = (64usize, 96usize);
    for (kernel, shape) in [
        ("naive_transpose", "grid = [6, 4]\nblock = [16, 16]\n"),
        ("shared_transpose", "grid = [3, 2]\nblock = [32, 32]\n"),
    ] {
        let size = (rows * cols) as u64;
        let all = own(
            "matrices.ptx",
            kernel,
            shape,
            &[size, size],
            &[rows as i32, cols as i32],
        );
        let element = |i: usize| f64::from(all[0][i % rows * cols + i / rows]);
        close(kernel, &all[1], (0..rows * cols).map(element));
    }
}

#[test]
fn reductions_compute_what_they_should() {
    let n = 1000u64;
    // Each CTA sums two elements a thread.
    let shape = "grid = 2\nblock = 256\n";
    let all = own("reductions.ptx", "reduce_sum", shape, &[n, 2], &[n as i32]);
    let sums = all[0]
        .chunks(512)
        .map(|part| part.iter().map(|x| f64::from(*x)).sum());
    close("reduce_sum", &all[1], sums);
    let all = own(
        "reductions.ptx",
        "dot_product",
        shape,
        &[n, n, 2],
        &[n as i32],
    );
    let products: Vec<f64> = all[0]
        .iter()
        .zip(&all[1])
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .collect();
    close(
        "dot_product",
        &all[2],
        products.chunks(512).map(|part| part.iter().sum()),
    );
}

#[test]
fn convolutions_compute_what_they_should() {
    let (rows, cols) = (20i64, 24i64);
    let pixel = |image: &[f32], y: i64, x: i64| match y >= 0 && y < rows && x >= 0 && x < cols {
        true => f64::from(image[(y * cols + x) as usize]),
        false => 0.0,
    };
    for (kernel, width) in [("conv2d_3x3", 3i64), ("conv2d_7x7", 7)] {
        let sizes = [rows * cols, width * width, rows * cols].map(|n| n as u64);
        let shape = "grid = [2, 2]\nblock = [16, 16]\n";
        let all = own(
            "convolutions.ptx",
            kernel,
            shape,
            &sizes,
            &[rows as i32, cols as i32],
        );
        let element = |i: i64| {
            let (y, x) = (i / cols - width / 2, i % cols - width / 2);
            let places = (0..width * width).map(|p| (p / width, p % width, p));
            places
                .map(|(r, c, p)| pixel(&all[0], y + r, x + c) * f64::from(all[1][p as usize]))
                .sum()
        };
        close(kernel, &all[2], (0..rows * cols).map(element));
    }
    let (n, width) = (700i64, 5i64);
    let all = own(
        "convolutions.ptx",
        "conv1d_basic",
        "grid = 2\nblock = 512\n",
        &[n as u64, width as u64, n as u64],
        &[n as i32, width as i32],
    );
    let element = |i: i64| {
        let inside = |at: &(i64, i64)| at.1 >= 0 && at.1 < n;
        let places = (0..width).map(|j| (j, i - width / 2 + j)).filter(inside);
        let sum: f64 = places
            .map(|(j, at)| f64::from(all[0][at as usize]) * f64::from(all[1][j as usize]))
            .sum();
        sum.clamp(0.0, 1.0)
    };
    close("conv1d_basic", &all[2], (0..n).map(element));
}

/// A loop that sums what it loads: from `start` by `step` while it compares with `bound`; how often it went is
/// stored, and the last place.
fn counted(compare: &str, ty: &str, step: i32) -> String {
    format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\
.visible .entry counted(.param .u64 table, .param .u64 out, .param .u32 first, .param .u32 bound)\n{{\n\
.reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .pred %p<3>;\n\
ld.param.u64 %rd1, [table];\nld.param.u64 %rd2, [out];\nld.param.u32 %r1, [first];\nld.param.u32 %r2, [bound];\n\
mov.u32 %r3, %tid.x;\nmul.wide.u32 %rd3, %r3, 4;\nadd.s64 %rd4, %rd1, %rd3;\nadd.s64 %rd6, %rd2, %rd3;\n\
mov.f32 %f1, 0f00000000;\nmov.u32 %r4, 0;\n\
LOOP:\n\
ld.global.f32 %f2, [%rd4];\nld.global.f32 %f3, [%rd4+8];\n\
fma.rn.f32 %f1, %f1, %f2, %f3;\nadd.s32 %r4, %r4, 1;\nadd.s32 %r1, %r1, {step};\n\
xor.b32 %r5, %r4, %r3;\nand.b32 %r6, %r5, 1;\nsetp.eq.s32 %p2, %r6, 0;\n@%p2 add.f32 %f1, %f1, %f2;\n\
add.s64 %rd4, %rd4, 4;\nsetp.{compare}.{ty} %p1, %r1, %r2;\n@%p1 bra LOOP;\n\
st.global.f32 [%rd6], %f1;\nst.global.u32 [%rd6+128], %r4;\nst.global.u32 [%rd6+256], %r1;\n\
sub.s64 %rd7, %rd4, %rd1;\nst.global.u32 [%rd6+384], %r6;\nst.global.u32 [%rd6+512], %rd7;\nret;\n}}\n"
    )
}

/// An unrolled loop makes the iterations of the loop, whatever the comparison, and however few there are.
#[test]
fn unrolled_loops_do_what_the_loop_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ptx = folder.path().join("k.ptx");
    let mut unrolled = 0;
    for (compare, ty, step) in [
        ("ne", "s32", 1),
        ("ne", "u32", -2),
        ("lt", "s32", 3),
        ("le", "u32", 2),
        ("gt", "s32", -1),
        ("ge", "u32", -3),
        ("lt", "u32", 1),
    ] {
        std::fs::write(&ptx, counted(compare, ty, step)).expect("a writable folder");
        for iterations in (1..=13).chain([40]) {
            for first in [100i64, 2_147_483_640, 4_294_967_290] {
                let bound = first + i64::from(step) * iterations;
                let (from, to) = (first as u32, bound as u32);
                let run = |schedule: &str| {
                    let text = format!(
                        "kernel = \"counted\"\ngrid = 1\nblock = 32\nschedule = \"{schedule}\"\n\
args = [{{ name = \"t\", type = \"f32\", count = 200000, init = \"random\" }},\n\
{{ name = \"o\", type = \"u32\", count = 160 }},\n\
{{ name = \"a\", type = \"u32\", value = {from} }}, {{ name = \"b\", type = \"u32\", value = {to} }}]\n\
[[dump]]\nbuffer = \"o\"\npath = \"o.bin\"\n"
                    );
                    let application = Application::parse(&ptx, &text).expect("a launch file");
                    let how = How {
                        race_check: false,
                        threads: 1,
                        memory_limit: None,
                    };
                    record_watched(&ptx, &application, how, &Default::default())
                };
                let what = format!("{compare}.{ty} by {step}, {iterations} from {first}");
                match (run("off"), run("on")) {
                    (Ok((plain, want)), Ok((workload, got))) => {
                        assert_eq!(want.dumps, got.dumps, "{what}");
                        let code =
                            |w: &Workload| w.launches().next().expect("one").code.insts.len();
                        unrolled += u32::from(code(&workload) > 2 * code(&plain));
                    }
                    // Where the counter wraps, the loop runs out of its table, in either form.
                    (Err(_), Err(_)) => {}
                    (plain, unrolled) => {
                        panic!("{what}: {:?} and {:?}", plain.err(), unrolled.err())
                    }
                }
            }
        }
    }
    assert!(unrolled > 100, "{unrolled}");
}
