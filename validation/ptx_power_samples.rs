//! More kernels whose power was measured on a board: transforms, sorts, random numbers, options.

use super::ptx_application::close;
use super::ptx_power::{Arg, as_floats, double, fractions, launched, words};

const PTX: &str = "power_samples.ptx";

/// Row `u` of the orthonormal matrix of cosines.
fn cosine(u: usize, x: usize) -> f64 {
    let scale = if u == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
    scale * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
}

#[test]
fn cosine_transforms_are_right() {
    let (rows, cols) = (16usize, 64usize);
    let image = fractions(rows * cols, 1);
    let matrix: Vec<f32> = (0..64).map(|i| cosine(i / 8, i % 8) as f32).collect();
    let element = |i: usize| -> f64 {
        let (r, c) = (i / cols, i % cols);
        let pixel = |p: usize| {
            let (y, x) = (p / 8, p % 8);
            cosine(r % 8, y)
                * cosine(c % 8, x)
                * double(image[(r / 8 * 8 + y) * cols + c / 8 * 8 + x])
        };
        (0..64).map(pixel).sum()
    };
    let args = [
        Arg::Floats(&image),
        Arg::Out(rows * cols),
        Arg::Int(cols as u32),
    ];
    let variables = [("cosines", Arg::Floats(&matrix))];
    let all = launched(
        PTX,
        "dct_matrix",
        "grid = [8, 2]\nblock = [8, 8]",
        &args,
        &variables,
    );
    close(
        "dct_matrix",
        &as_floats(&all[1]),
        (0..rows * cols).map(element),
    );
    let args = [
        Arg::Out(rows * cols),
        Arg::Floats(&image),
        Arg::Int(cols as u32),
    ];
    let all = launched(
        PTX,
        "dct_fast",
        "grid = [2, 1]\nblock = [8, 4, 2]",
        &args,
        &[],
    );
    close(
        "dct_fast",
        &as_floats(&all[0]),
        (0..rows * cols).map(element),
    );
}

#[test]
fn options_are_worth_what_the_tree_says() {
    let (spot, strike, years, rate, volatility) = (20.0f64, 21.0, 2.0, 0.03, 0.25);
    let step = years / 2048.0f64;
    let (up, discount) = ((volatility * step.sqrt()).exp(), (-rate * step).exp());
    let chance = ((rate * step).exp() - 1.0 / up) / (up - 1.0 / up);
    let option = [
        spot,
        strike,
        volatility * step.sqrt(),
        chance * discount,
        (1.0 - chance) * discount,
    ]
    .map(|v| v as f32);
    let mut options = vec![0.0f32; 5 * 1024];
    options[5..10].copy_from_slice(&option);
    let variables = [("options", Arg::Floats(&options))];
    let all = launched(
        PTX,
        "binomial_tree",
        "grid = 2\nblock = 128",
        &[Arg::Out(2)],
        &variables,
    );
    let [spot, strike, volatility, up, down] = option.map(double);
    let end = |i: usize| (spot * (volatility * (2.0 * i as f64 - 2048.0)).exp() - strike).max(0.0);
    let mut value: Vec<f64> = (0..=2048).map(end).collect();
    for left in (1..=2048).rev() {
        for i in 0..left {
            value[i] = up * value[i + 1] + down * value[i];
        }
    }
    let got = f64::from(f32::from_bits(all[0][1]));
    // 2048 roundings follow each other.
    assert!(
        (got - value[0]).abs() < 2e-4 * value[0],
        "{got}, not {}",
        value[0]
    );
}

/// One stage of a Walsh transform: sums and differences `step` apart.
fn walsh_stage(data: &mut [f64], step: usize) {
    for i in (0..data.len()).filter(|i| i & step == 0) {
        (data[i], data[i + step]) = (data[i] + data[i + step], data[i] - data[i + step]);
    }
}

#[test]
fn walsh_transforms_are_right() {
    let input = fractions(4096, 1);
    let args = [Arg::Out(4096), Arg::Floats(&input), Arg::Int(11)];
    let shape = "grid = 2\nblock = 512\ndynamic_shared_bytes = 8192";
    let all = launched(PTX, "walsh_shared", shape, &args, &[]);
    let mut want: Vec<f64> = input.iter().map(|v| double(*v)).collect();
    for stage in 0..11 {
        walsh_stage(&mut want, 1 << stage);
    }
    close("walsh_shared", &as_floats(&all[0]), want.into_iter());
    let args = [Arg::Out(4096), Arg::Floats(&input), Arg::Int(64)];
    let all = launched(PTX, "walsh_global", "grid = 4\nblock = 256", &args, &[]);
    let mut want: Vec<f64> = input.iter().map(|v| double(*v)).collect();
    walsh_stage(&mut want, 64);
    walsh_stage(&mut want, 128);
    close("walsh_global", &as_floats(&all[0]), want.into_iter());
}

#[test]
fn bytes_are_counted() {
    let quads = 2 * 64 * 15usize;
    let data: Vec<u32> = words(4 * quads, 1).iter().map(|w| w ^ (w << 9)).collect();
    let args = [Arg::Out(128), Arg::Words(&data), Arg::Int(quads as u32)];
    let all = launched(PTX, "histogram_bytes", "grid = 2\nblock = 64", &args, &[]);
    let mut want = vec![0u32; 128];
    for (i, word) in data.iter().enumerate() {
        for byte in word.to_le_bytes() {
            want[i / 4 / 64 % 2 * 64 + usize::from(byte >> 2)] += 1;
        }
    }
    assert_eq!(all[0], want);
}

#[test]
fn sorting_is_stable() {
    let keys: Vec<u32> = words(2048, 1).iter().map(|w| w % 700).collect();
    let values: Vec<u32> = (0..2048).collect();
    let args = [
        Arg::Out(2048),
        Arg::Out(2048),
        Arg::Words(&keys),
        Arg::Words(&values),
    ];
    let all = launched(
        PTX,
        "merge_sort_shared",
        "grid = 2\nblock = 512",
        &args,
        &[],
    );
    let mut pairs: Vec<(u32, u32)> = keys.into_iter().zip(values).collect();
    pairs.chunks_mut(1024).for_each(|part| part.sort());
    let (keys, values): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
    assert_eq!((&all[0], &all[1]), (&keys, &values));
}

#[test]
fn pieces_are_merged() {
    let keys: Vec<u32> = words(4096, 1).iter().map(|w| w % 3000).collect();
    let mut pairs: Vec<(u32, u32)> = keys.into_iter().zip(0..).collect();
    pairs.chunks_mut(1024).for_each(|part| part.sort());
    let (keys, values): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
    let args = [
        Arg::Words(&keys),
        Arg::Out(32),
        Arg::Out(32),
        Arg::Int(1024),
    ];
    let cuts = launched(PTX, "cut", "grid = 1\nblock = 32", &args, &[]);
    let args = [
        Arg::Out(4096),
        Arg::Out(4096),
        Arg::Words(&keys),
        Arg::Words(&values),
        Arg::Words(&cuts[1]),
        Arg::Words(&cuts[2]),
        Arg::Int(1024),
    ];
    let all = launched(PTX, "merge_pieces", "grid = 32\nblock = 128", &args, &[]);
    pairs.chunks_mut(2048).for_each(|part| part.sort());
    let (keys, values): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
    assert_eq!((&all[0], &all[1]), (&keys, &values));
}

/// The exclusive or of the numbers whose bits are set.
fn mixed(bits: u32, numbers: &[u32]) -> u32 {
    let set = numbers
        .iter()
        .enumerate()
        .filter(|(b, _)| bits >> b & 1 == 1);
    set.fold(0, |x, (_, number)| x ^ number)
}

#[test]
fn sequences_mix_their_direction_numbers() {
    let (count, tables) = (500usize, words(93, 1));
    let args = [Arg::Out(3 * count), Arg::Int(77), Arg::Int(count as u32)];
    let variables = [("directions", Arg::Words(&tables))];
    let all = launched(
        PTX,
        "niederreiter",
        "grid = 2\nblock = [64, 3]",
        &args,
        &variables,
    );
    let point = |i: usize| {
        let x = mixed((77 + i % count) as u32, &tables[i / count * 31..][..31]);
        (f64::from(x) + 1.0) / f64::from(1u32 << 31)
    };
    close(
        "niederreiter",
        &as_floats(&all[0]),
        (0..3 * count).map(point),
    );
    let (points, dimensions) = (700usize, 3usize);
    let tables: Vec<u32> = words(32 * dimensions, 2)
        .iter()
        .map(|w| w ^ (w << 13))
        .collect();
    let args = [
        Arg::Int(points as u32),
        Arg::Words(&tables),
        Arg::Out(points * dimensions),
    ];
    let all = launched(PTX, "sobol", "grid = [2, 3]\nblock = 64", &args, &[]);
    let point = |i: usize| {
        let n = (i % points) as u32;
        f64::from(mixed(n ^ n >> 1, &tables[i / points * 32..][..32])) / 2f64.powi(32)
    };
    close(
        "sobol",
        &as_floats(&all[1]),
        (0..points * dimensions).map(point),
    );
}

/// The share of a normal distribution below `z`: its density, integrated by Simpson's rule.
fn normal_share(z: f64) -> f64 {
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let steps = 200;
    let h = z / f64::from(steps);
    let weight = |i: i32| match i {
        0 => 1.0,
        i if i == steps => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    let terms = (0..=steps).map(|i| weight(i) * density(h * f64::from(i)));
    0.5 + h / 3.0 * terms.sum::<f64>()
}

#[test]
fn the_normal_distribution_is_inverted() {
    let (count, distance) = (1000u32, u32::MAX / 1001);
    let args = [
        Arg::Out(count as usize),
        Arg::Int(count),
        Arg::Int(distance),
    ];
    let all = launched(PTX, "normal_grid", "grid = 3\nblock = 128", &args, &[]);
    for (i, z) in as_floats(&all[0]).iter().enumerate() {
        let (share, want) = (
            normal_share(double(*z)),
            (i as f64 + 1.0) * f64::from(distance) / 2f64.powi(32),
        );
        assert!(
            (share - want).abs() < 1e-6,
            "{i}: {z} has {share} below it, not {want}"
        );
    }
}
