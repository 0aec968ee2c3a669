//! What the kernels of plans compute, against the host.

use super::plan::{Arg, Plan};
use super::*;
use crate::ptx::exec::observe::Unobserved;
use crate::ptx::launch::data::Init;
use crate::validate::dataset;

/// Buffers of a plan before and behind its launches, which are all executed. `most` is the largest random number.
fn outcome(shape: &str, most: f64) -> [Vec<Vec<f64>>; 2] {
    let text = shape.replace('"', "\"\"");
    let text = format!(
        "id,gpu,op,dtype,shape,latency_us,extra\nr,V100,cuda_kernel,f32,\"{text}\",1,\"{{}}\"\n"
    );
    let row = dataset::parse(&text, "rows.csv").unwrap().remove(0);
    let (_, mut plan) = plan(&row).unwrap();
    own_are_shared(&mut plan);
    let mut application = Application::parse(Path::new("plan"), &plan.launch_file()).unwrap();
    for (i, buffer) in application.buffers.iter_mut().enumerate() {
        if let Value::Buffer { init, .. } = &mut buffer.value {
            *init = Init::Random {
                seed: i as u64 + 1,
                min: 0.0,
                max: most,
            };
        }
    }
    let mut memory = Memory::of(&application).unwrap();
    let numbers = memory.shared.clone();
    let elements: Vec<_> = application.buffers.iter().map(|b| b.element).collect();
    let contents = |memory: &Memory| -> Vec<Vec<f64>> {
        let all = numbers.iter().zip(&elements);
        all.map(|(n, e)| e.numbers(memory.global.content(*n)))
            .collect()
    };
    let before = contents(&memory);
    for launch in &application.launches {
        let entry = format!(".entry {}(", launch.kernel.as_deref().unwrap());
        let (file, text) = FILES
            .iter()
            .find(|(_, text)| text.contains(&entry))
            .unwrap();
        let module = parse(text).unwrap();
        let mut prepared = prepare(file, &module, launch, memory).unwrap();
        prepared.schedule(80, None);
        prepared
            .run(file, (false, 1), &mut Unobserved, |()| Ok(()))
            .unwrap();
        memory = prepared.into_memory();
    }
    [before, contents(&memory)]
}

fn own_are_shared(plan: &mut Plan) {
    for arg in plan.steps.iter_mut().flat_map(|step| &mut step.args) {
        if let Arg::Buffer(element, count) = *arg {
            *arg = Arg::Shared(plan.buffers.len());
            plan.buffers.push((element, count));
        }
    }
}

fn near(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!(
            (a - b).abs() <= 1e-4 * b.abs().max(1.0),
            "{i}: {a}, not {b}"
        );
    }
}

#[test]
fn reductions_and_scans_have_the_right_sums() {
    for name in [
        "Simple Reduction",
        "Reduction - Adjacent Threads",
        "Reduction - Sequential Addressing",
        "Reduction - Two Loads per Thread",
        "Reduction - Unroll Last Warp",
        "Reduction - Completely Unrolled",
        "Reduction - Multiple Loads",
    ] {
        // Those of the first kind look at the index in the CTA, not in the array: powers of two are what they are for.
        let [before, behind] = outcome(
            &format!(r#"{{"kernel":"reduction: {name}","Array Size":65536,"Num Threads":256}}"#),
            7.0,
        );
        let sum: f64 = before[0].iter().sum();
        assert_eq!(behind.last().unwrap(), &[sum], "{name}");
    }
    let shape = r#"{"kernel":"scan: Hierarchical Scan Three-Phase","Num Elements":9000}"#;
    let [before, behind] = outcome(shape, 7.0);
    let mut sum = 0.0;
    for (i, (value, found)) in before[0].iter().zip(&behind[1]).enumerate() {
        sum += value;
        assert_eq!(*found, sum, "element {i}");
    }
    for (name, length) in [("scan-short", 512), ("scan-long", 4096)] {
        let shape = format!(
            r#"{{"suite":"cuda-sdk","benchmark":"{name}","size":8192,"arrayLength":{length}}}"#
        );
        let [before, behind] = outcome(&shape, 7.0);
        for (array, found) in before[1].chunks(length).zip(behind[0].chunks(length)) {
            let mut sum = 0.0;
            for (value, found) in array.iter().zip(found) {
                assert_eq!(*found, sum, "{name}");
                sum += value;
            }
        }
    }
}

#[test]
fn a_walsh_convolution_is_that_of_its_definition() {
    let shape = r#"{"suite":"cuda-sdk","benchmark":"fastwalshtransform","log2data":12}"#;
    let [before, behind] = outcome(shape, 1.0);
    let n = before[0].len();
    for at in [0, 1, 77, n - 1] {
        let sum: f64 = (0..n).map(|i| before[0][i] * before[1][i ^ at]).sum();
        near(&[behind[0][at] / 1000.0], &[sum / 1000.0]);
    }
}

#[test]
fn polybench_has_the_right_results() {
    const N: usize = 20;
    let run = |name: &str| {
        let shape =
            format!(r#"{{"suite":"polybench","benchmark":"{name}","size":{N},"blockDimX":8}}"#);
        outcome(&shape, 1.0)
    };
    let row = |a: &[f64], x: &[f64], i: usize| -> f64 { (0..N).map(|j| a[i * N + j] * x[j]).sum() };
    let column =
        |a: &[f64], x: &[f64], j: usize| -> f64 { (0..N).map(|i| a[i * N + j] * x[i]).sum() };
    let product = |a: &[f64], b: &[f64], at: usize| -> f64 {
        (0..N).map(|s| a[at / N * N + s] * b[s * N + at % N]).sum()
    };
    let all = |n: usize, f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..n).map(f).collect() };

    let [b, a] = run("atax");
    near(&a[2], &all(N, &|i| b[2][i] + row(&b[0], &b[1], i)));
    near(&a[3], &all(N, &|j| b[3][j] + column(&b[0], &a[2], j)));
    let [b, a] = run("mvt");
    near(&a[2], &all(N, &|i| b[2][i] + row(&b[0], &b[1], i)));
    near(&a[4], &all(N, &|j| b[4][j] + column(&b[0], &b[3], j)));
    let [b, a] = run("bicg");
    near(&a[2], &all(N, &|j| column(&b[0], &b[1], j)));
    near(&a[4], &all(N, &|i| row(&b[0], &b[3], i)));
    let [b, a] = run("gesummv");
    let sums =
        |i: usize| 2.0 * (b[4][i] + row(&b[0], &b[2], i)) + 3.0 * (b[3][i] + row(&b[1], &b[2], i));
    near(&a[3], &all(N, &sums));
    let [b, a] = run("2mm");
    near(
        &a[2],
        &all(N * N, &|at| b[2][at] + product(&b[0], &b[1], at)),
    );
    near(
        &a[4],
        &all(N * N, &|at| b[4][at] + product(&a[2], &b[3], at)),
    );
    let [b, a] = run("3mm");
    near(
        &a[6],
        &all(N * N, &|at| b[6][at] + product(&a[2], &a[5], at)),
    );
    let [b, a] = run("gemm");
    near(
        &a[2],
        &all(N * N, &|at| {
            3.0 * b[2][at] + 2.0 * product(&b[0], &b[1], at)
        }),
    );
    let [b, a] = run("syrk");
    let square = |at: usize| -> f64 {
        let (i, j) = (at / N, at % N);
        let sum: f64 = (0..N).map(|s| b[0][i * N + s] * b[0][j * N + s]).sum();
        1.5 * b[1][at] + 1.5 * sum
    };
    near(&a[1], &all(N * N, &square));
    let [b, a] = run("2dconv");
    let stencil = |at: usize| -> f64 {
        let (i, j) = (at / N, at % N);
        if i < 1 || j < 1 || i >= N - 1 || j >= N - 1 {
            return b[1][at];
        }
        let weights = [0.2, 0.5, -0.8, -0.3, 0.6, -0.9, 0.4, 0.7, 0.1];
        let point = |w: usize| weights[w] * b[0][(i + w / 3 - 1) * N + j + w % 3 - 1];
        (0..9).map(point).sum()
    };
    near(&a[1], &all(N * N, &stencil));
}

/// A convolution of a one-dimensional array, limited to 0 to 1; masks in constant memory are zeros.
#[test]
fn convolutions_have_the_right_results() {
    let shape = r#"{"kernel":"convolution: Convolution 1D Basic","Array size":500,"Mask width":5,"Block dim":128}"#;
    let [b, a] = outcome(shape, 1.0);
    let sum = |i: usize| -> f64 {
        let inside = (0..5).filter(|j| (2..502).contains(&(i + j)));
        let sum: f64 = inside.map(|j| b[0][i + j - 2] * b[1][j]).sum();
        sum.min(1.0)
    };
    near(&a[2], &(0..500).map(sum).collect::<Vec<_>>());
    let shape = r#"{"kernel":"convolution: Convolution 2D Basic","Axis size":20,"Mask width":3,"Block axis dim":8,"Num channels":2}"#;
    let [b, a] = outcome(shape, 0.5);
    let sum = |at: usize| -> f64 {
        let (y, x, c) = (at / 40, at / 2 % 20, at % 2);
        let mut sum = 0.0;
        for (r, s) in (0..9).map(|w| (w / 3, w % 3)) {
            if (1..21).contains(&(y + r)) && (1..21).contains(&(x + s)) {
                sum += b[0][((y + r - 1) * 20 + x + s - 1) * 2 + c] * b[1][r * 3 + s];
            }
        }
        sum.min(1.0)
    };
    near(&a[2], &(0..800).map(sum).collect::<Vec<_>>());
    for shape in [
        r#"{"kernel":"convolution: Convolution 1D Tiled","Array size":512,"Mask width":5,"Block dim":128}"#,
        r#"{"kernel":"convolution: Convolution 1D Tiled and Caching","Array size":512,"Mask width":5,"Block dim":128}"#,
        r#"{"kernel":"convolution: Convolution 2D Tiled","Axis size":20,"Mask width":3,"Block axis dim":8,"Num channels":2}"#,
    ] {
        let [_, a] = outcome(shape, 1.0);
        assert!(a[1].iter().all(|x| *x == 0.0), "{shape}");
    }
}

#[test]
fn products_have_the_right_results() {
    for (name, threads) in [
        ("Simple Matrix Matrix Multiplication", 16),
        ("Matrix Matrix Multiplication with Tiles", 8),
        ("Matrix Matrix Multiplication with Rectangular Tiles", 8),
    ] {
        let [b, a] = outcome(
            &format!(
                r#"{{"kernel":"mat_mat_mul: {name}","Num Rows 1":20,"Num Cols 2":36,"Num Cols 1 / Rows 2":12,"Num Threads":{threads}}}"#
            ),
            9.0,
        );
        let sum = |at: usize| -> f64 {
            (0..12)
                .map(|s| b[0][at / 36 * 12 + s] * b[1][s * 36 + at % 36])
                .sum()
        };
        near(&a[2], &(0..720).map(sum).collect::<Vec<_>>());
    }
    let shape = r#"{"kernel":"mat_vec_mul: Matrix Vector Multiplication with Shared Memory","Num Rows":64,"Num Cols":50,"Num Threads":32}"#;
    let [b, a] = outcome(shape, 9.0);
    let sum = |i: usize| -> f64 { (0..50).map(|j| b[1][i * 50 + j] * b[2][j]).sum() };
    near(&a[0], &(0..64).map(sum).collect::<Vec<_>>());
    let [b, a] = outcome(
        r#"{"kernel":"reduce_sum","N":1000,"grid":4,"block":256}"#,
        1.0,
    );
    let sums: Vec<f64> = b[0].chunks(512).map(|part| part.iter().sum()).collect();
    near(&a[1], &sums);
    let [b, a] = outcome(
        r#"{"kernel":"dot_product","N":1000,"grid":2,"block":256}"#,
        1.0,
    );
    let dot = |at: usize| b[0][at] * b[1][at];
    near(
        &a[2],
        &[(0..512).map(dot).sum(), (512..1000).map(dot).sum()],
    );
    let shape = r#"{"kernel":"histogram: Histogram Shared Bins","Array Size":3000,"Num Bins":16,"Num Threads":128}"#;
    let [b, a] = outcome(shape, 15.0);
    let count = |bin: usize| b[1][bin] + b[0].iter().filter(|x| **x == bin as f64).count() as f64;
    near(&a[1], &(0..16).map(count).collect::<Vec<_>>());
}

#[test]
fn copies_and_updates_have_the_right_results() {
    let shape = r#"{"suite":"cuda-sdk","benchmark":"transpose","dimX":40,"dimY":24,"kernelID":1}"#;
    let [b, a] = outcome(shape, 1.0);
    assert_eq!(a[0], b[1]);
    let shape = r#"{"suite":"cuda-sdk","benchmark":"scalarprod","vectorN":130,"elementN":1030}"#;
    let [b, a] = outcome(shape, 1.0);
    let dot = |v: usize| -> f64 { (v * 1030..(v + 1) * 1030).map(|i| b[1][i] * b[2][i]).sum() };
    near(&a[0], &(0..130).map(dot).collect::<Vec<_>>());
    let shape =
        r#"{"kernel":"image_to_grayscale: Image to Grayscale","Axis Size":20,"Num Threads":16}"#;
    let [b, a] = outcome(shape, 200.0);
    let gray = |i: usize| 0.21 * b[0][3 * i] + 0.71 * b[0][3 * i + 1] + 0.07 * b[0][3 * i + 2];
    assert!((0..400).all(|i| (a[1][i] - gray(i).floor()).abs() <= 1.0));
    for name in ["Coalesced", "Not Coalesced"] {
        let [b, a] = outcome(
            &format!(r#"{{"kernel":"array_add: {name}","Axis Size":20}}"#),
            1.0,
        );
        near(
            &a[2],
            &(0..400).map(|i| b[0][i] + b[1][i]).collect::<Vec<_>>(),
        );
    }
    let [b, a] = outcome(
        r#"{"kernel":"atomic_hotspot","N":600,"iters":7,"block":256}"#,
        5.0,
    );
    // CTAs are whole: 768 threads.
    assert_eq!(a[0], [b[0][0] + 768.0 * 7.0]);
    let [b, a] = outcome(r#"{"kernel":"strided_copy_8","N":800,"block":256}"#, 1.0);
    assert!((0..800).all(|i| a[1][i] == if i % 8 == 0 { b[0][i] } else { b[1][i] }));
}
