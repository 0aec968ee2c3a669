//! More kernels whose power was measured on a board: centres, trees, products, Fourier sums.

use super::ptx_application::{close, floats, run};
use super::ptx_power::{Arg, as_floats, double, fractions, launched};

#[test]
fn the_nearest_centre_is_found() {
    let (count, dims, clusters) = (300usize, 34usize, 5usize);
    let (points, centres) = (fractions(count * dims, 1), fractions(clusters * dims, 2));
    let args = [
        Arg::Floats(&points),
        Arg::Int(dims as u32),
        Arg::Int(count as u32),
        Arg::Int(clusters as u32),
        Arg::Out(count),
    ];
    let variables = [("centres", Arg::Floats(&centres))];
    let all = launched(
        "power.ptx",
        "nearest_centre",
        "grid = [2, 1]\nblock = 256",
        &args,
        &variables,
    );
    let far = |i: usize, c: usize| -> f64 {
        let difference = |d: usize| double(points[d * count + i]) - double(centres[c * dims + d]);
        (0..dims).map(|d| difference(d).powi(2)).sum()
    };
    let nearest = |i: usize| (0..clusters).min_by(|a, b| far(i, *a).total_cmp(&far(i, *b)));
    let want: Vec<u32> = (0..count)
        .map(|i| nearest(i).expect("some") as u32)
        .collect();
    assert_eq!(all[1], want);
}

/// A tree of 3 x 5 leaves of 7 keys and `kernel`, whose last buffer is the result.
fn tree(kernel: &str, buffers: &[(&str, Vec<u32>)], more: &str) -> Vec<u32> {
    let nodes = 1 + 3 + 15;
    let mut text = format!(
        "[[buffers]]\nname = \"nodes\"\ntype = \"u8\"\ncount = {}\n\
         [[buffers]]\nname = \"records\"\ntype = \"i32\"\ncount = 105\n",
        nodes * 2068
    );
    let queries = buffers[0].1.len();
    let mut args = String::new();
    for (name, values) in buffers {
        // Numbers of nodes have 64 bits.
        let bits = if name.starts_with('n') { 64 } else { 32 };
        text.push_str(&format!(
            "[[buffers]]\nname = \"{name}\"\ntype = \"i{bits}\"\ncount = {queries}\ninit = \"values\"\nvalues = {values:?}\n"
        ));
        args.push_str(&format!("{{ buffer = \"{name}\" }},"));
    }
    let number = |name: &str, value: usize| {
        format!("{{ name = \"{name}\", type = \"i32\", value = {value} }}, ")
    };
    let planted = [number("inner", 3), number("fan", 5), number("width", 7)].concat();
    text.push_str(&format!(
        "[[kernels]]\nkernel = \"plant\"\ngrid = {nodes}\nblock = 256\n\
         args = [{{ buffer = \"nodes\" }}, {{ buffer = \"records\" }}, {planted}]\n\
         [[kernels]]\nkernel = \"{kernel}\"\ngrid = {queries}\nblock = 256\n\
         args = [{}{{ buffer = \"nodes\" }}, {}{more}{args}]\n\
         [[dump]]\nbuffer = \"{}\"\npath = \"out.bin\"\n",
        number("height", 2),
        number("count", nodes),
        buffers.last().expect("a result").0
    ));
    let (_, report) = run("power.ptx", &text).unwrap_or_else(|e| panic!("{kernel}: {e}"));
    floats(&report.dumps[0].1)
        .iter()
        .map(|f| f.to_bits())
        .collect()
}

#[test]
fn trees_are_searched() {
    let zeros = vec![0u32; 12];
    let keys: Vec<u32> = vec![0, 6, 7, 34, 35, 36, 69, 70, 77, 103, 104, 50];
    let answers = [
        ("now", zeros.clone()),
        ("next", zeros.clone()),
        ("queries", keys.clone()),
        ("answers", zeros.clone()),
    ];
    let found = tree("tree_find", &answers, "{ buffer = \"records\" }, ");
    assert_eq!(found, keys.iter().map(|k| 3 * k).collect::<Vec<_>>());
    let ends: Vec<u32> = keys.iter().map(|k| (k + 40).min(104)).collect();
    let length: Vec<u32> = keys.iter().zip(&ends).map(|(a, b)| b - a + 1).collect();
    let ranges = [
        ("now", zeros.clone()),
        ("next", zeros.clone()),
        ("now_end", zeros.clone()),
        ("next_end", zeros.clone()),
        ("starts", keys),
        ("ends", ends),
        ("first", zeros.clone()),
        ("length", zeros),
    ];
    assert_eq!(tree("tree_range", &ranges, ""), length);
}

#[test]
fn rows_of_a_product_are_right() {
    let (m, n, k) = (128usize, 32usize, 24usize);
    let (a, b, c) = (
        fractions(m * k, 1),
        fractions(n * k, 2),
        fractions(m * n, 3),
    );
    let args = [
        Arg::Floats(&a),
        Arg::Int(m as u32),
        Arg::Floats(&b),
        Arg::Int(n as u32),
        Arg::Floats(&c),
        Arg::Int(m as u32),
        Arg::Int(k as u32),
        Arg::Float(1.5),
        Arg::Float(0.5),
    ];
    let all = launched(
        "power.ptx",
        "sgemm_rows",
        "grid = [1, 2]\nblock = [16, 8]",
        &args,
        &[],
    );
    let element = |i: usize| {
        let (row, col) = (i % m, i / m);
        let product = |x: usize| double(a[row + x * m]) * double(b[col + x * n]);
        0.5 * double(c[i]) + 1.5 * (0..k).map(product).sum::<f64>()
    };
    close("sgemm_rows", &as_floats(&all[2]), (0..m * n).map(element));
}

#[test]
fn samples_are_summed() {
    let (voxels, count) = (256usize, 40usize);
    let samples = fractions(4 * count, 1);
    let [x, y, z, re, im] = [2, 3, 4, 5, 6].map(|seed| fractions(voxels, seed));
    let places = [&x, &y, &z, &re, &im].map(|v| Arg::Floats(v));
    let mut args = vec![Arg::Int(count as u32)];
    args.extend(places);
    let mut all_samples = samples.clone();
    all_samples.resize(4096, 0.0);
    let variables = [("samples", Arg::Floats(&all_samples))];
    let all = launched(
        "power.ptx",
        "fourier_sum",
        "grid = 1\nblock = 256",
        &args,
        &variables,
    );
    let sum = |i: usize, part: fn(f64) -> f64| -> f64 {
        let sample = |s: &[f32]| {
            let angle = double(s[0]) * double(x[i])
                + double(s[1]) * double(y[i])
                + double(s[2]) * double(z[i]);
            double(s[3]) * part(std::f64::consts::TAU * angle)
        };
        samples.chunks(4).map(sample).sum()
    };
    let real = (0..voxels).map(|i| double(re[i]) + sum(i, f64::cos));
    close("fourier_sum", &as_floats(&all[3]), real);
    let imaginary = (0..voxels).map(|i| double(im[i]) + sum(i, f64::sin));
    close("fourier_sum", &as_floats(&all[4]), imaginary);
}
