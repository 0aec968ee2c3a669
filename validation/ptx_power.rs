//! The kernels whose power was measured on a board (`validation/kernels/power`), at small sizes: every result is
//! computed here once more.

use super::ptx_application::{close, floats, run};
use phantom_gpu::internals::ptx::launch::Application;
use std::path::Path;

/// An argument, or a variable of the module: what a buffer holds before, its elements if nobody fills it, or a number.
pub(super) enum Arg<'a> {
    Floats(&'a [f32]),
    Words(&'a [u32]),
    Out(usize),
    Int(u32),
    Float(f32),
}

/// One kernel; what all its buffers hold behind it, in the order of the arguments, as words.
pub(super) fn launched(
    ptx: &str,
    kernel: &str,
    shape: &str,
    args: &[Arg],
    variables: &[(&str, Arg)],
) -> Vec<Vec<u32>> {
    let (mut buffers, mut list, mut dumps) = (String::new(), Vec::new(), String::new());
    let contents = |arg: &Arg| match arg {
        Arg::Floats(values) => format!(
            "type = \"f32\"\ncount = {}\ninit = \"values\"\nvalues = {values:?}\n",
            values.len()
        ),
        Arg::Words(values) => format!(
            "type = \"u32\"\ncount = {}\ninit = \"values\"\nvalues = {values:?}\n",
            values.len()
        ),
        Arg::Out(count) => format!("type = \"f32\"\ncount = {count}\n"),
        Arg::Int(_) | Arg::Float(_) => unreachable!("numbers are no buffers"),
    };
    for (i, arg) in args.iter().enumerate() {
        list.push(match arg {
            Arg::Int(value) => format!("{{ name = \"a{i}\", type = \"u32\", value = {value} }}"),
            Arg::Float(value) => {
                format!("{{ name = \"a{i}\", type = \"f32\", value = {value:?} }}")
            }
            buffer => {
                buffers.push_str(&format!(
                    "[[buffers]]\nname = \"a{i}\"\n{}",
                    contents(buffer)
                ));
                dumps.push_str(&format!(
                    "[[dump]]\nbuffer = \"a{i}\"\npath = \"a{i}.bin\"\n"
                ));
                format!("{{ buffer = \"a{i}\" }}")
            }
        });
    }
    for (name, value) in variables {
        dumps.push_str(&format!(
            "[[variables]]\nname = \"{name}\"\n{}",
            contents(value)
        ));
    }
    let text = format!(
        "{buffers}[[kernels]]\nkernel = \"{kernel}\"\n{shape}\nargs = [{}]\n{dumps}",
        list.join(", ")
    );
    let (_, report) = run(ptx, &text).unwrap_or_else(|e| panic!("{kernel}: {e}"));
    let words = |bytes: &[u8]| floats(bytes).iter().map(|f| f.to_bits()).collect();
    report.dumps.iter().map(|(_, bytes)| words(bytes)).collect()
}

pub(super) fn as_floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
}

/// Numbers without a pattern, below 2^31.
pub(super) fn words(count: usize, seed: u32) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state >> 1
    };
    (0..count).map(|_| next()).collect()
}

/// Numbers of 0 to 1.
pub(super) fn fractions(count: usize, seed: u32) -> Vec<f32> {
    let scaled = |w: &u32| (w >> 8) as f32 / (1 << 23) as f32;
    words(count, seed).iter().map(scaled).collect()
}

pub(super) fn double(value: f32) -> f64 {
    f64::from(value)
}

/// What `power.csv` names is there: a launch file that can be read, its kernel in the PTX, the machine, or a generated
/// kernel.
#[test]
fn the_list_of_kernels_can_be_run() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/kernels");
    let text = |name: &str| {
        let path = kernels.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let list = text("power/power.csv");
    let mut rows = csv::Reader::from_reader(list.as_bytes());
    let mut count = 0;
    for row in rows.records() {
        let row = row.expect("a row of as many fields as the first");
        let [name, ptx, entry, launch, gpu] = [0, 1, 2, 3, 4].map(|i| &row[i]);
        assert!(text(gpu).contains("base = "), "{name}");
        let watts: f64 = row[6].parse().expect("a number of watts");
        assert!((100.0..250.0).contains(&watts), "{name}: {watts} W");
        match ptx {
            "" => assert!(launch.starts_with("synth:"), "{name}: {launch}"),
            ptx => {
                let asked = text(launch);
                let application = Application::parse(&kernels.join(launch), &asked);
                assert!(application.is_ok(), "{name}: {:?}", application.err());
                assert!(asked.contains(&format!("kernel = \"{entry}\"\n")), "{name}");
                assert!(text(ptx).contains(&format!(".entry {entry}(")), "{name}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 25);
}

#[test]
fn a_layer_goes_forward() {
    let (rows, units) = (32usize, 16usize);
    let (input, weights) = (fractions(rows + 1, 1), fractions((rows + 1) * 17, 2));
    let args = [
        Arg::Floats(&input),
        Arg::Floats(&weights),
        Arg::Out(rows / 16 * units),
        Arg::Int(units as u32),
    ];
    let all = launched(
        "power.ptx",
        "layer_forward",
        "grid = [1, 2]\nblock = [16, 16]",
        &args,
        &[],
    );
    // A row holds the sum of those that its place in the tree has under it.
    let sum = |row: usize, count: usize, unit: usize| -> f64 {
        let product = |r: usize| double(weights[(r + 1) * 17 + unit + 1]) * double(input[r + 1]);
        (row..row + count).map(product).sum()
    };
    let under = |row: usize| {
        if row.is_multiple_of(16) {
            16
        } else {
            1 << (row % 16).trailing_zeros()
        }
    };
    let kept = (0..(rows + 1) * 17).map(|i| match (i / 17, i % 17) {
        (0, _) | (_, 0) => double(weights[i]),
        (row, unit) => sum(row - 1, under(row - 1), unit - 1),
    });
    close("layer_forward: weights", &as_floats(&all[1]), kept);
    let sums = (0..rows / 16 * units).map(|i| sum(i / units * 16, 16, i % units));
    close("layer_forward", &as_floats(&all[2]), sums);
}

#[test]
fn a_layer_is_adjusted() {
    let rows = 32usize;
    let (delta, input) = (fractions(17, 1), fractions(rows + 1, 2));
    let (weights, before) = (fractions((rows + 1) * 17, 3), fractions((rows + 1) * 17, 4));
    let args = [
        Arg::Floats(&delta),
        Arg::Int(16),
        Arg::Floats(&input),
        Arg::Floats(&weights),
        Arg::Floats(&before),
    ];
    let all = launched(
        "power.ptx",
        "layer_adjust",
        "grid = [1, 2]\nblock = [16, 16]",
        &args,
        &[],
    );
    // The bias of a unit is in row 0, as if its input were 1.
    let step = |i: usize| {
        let input = if i < 17 { 1.0 } else { double(input[i / 17]) };
        0.3 * double(delta[i % 17]) * input + 0.3 * double(before[i])
    };
    let cells = 0..weights.len();
    let moved = |i: usize| if i.is_multiple_of(17) { 0.0 } else { step(i) };
    let new = cells.clone().map(|i| double(weights[i]) + moved(i));
    close("layer_adjust", &as_floats(&all[2]), new);
    let kept = cells.map(|i| {
        if i % 17 == 0 {
            double(before[i])
        } else {
            step(i)
        }
    });
    close("layer_adjust: steps", &as_floats(&all[3]), kept);
}

#[test]
fn heat_spreads() {
    let (rows, cols) = (30usize, 40usize);
    let (power, start) = (fractions(rows * cols, 1), fractions(rows * cols, 2));
    let [step, capacity, x, y, z] = [0.5f32, 2.0, 8.0, 6.0, 20.0];
    let args = [
        Arg::Floats(&power),
        Arg::Floats(&start),
        Arg::Out(rows * cols),
        Arg::Int(2),
        Arg::Int(rows as u32),
        Arg::Int(cols as u32),
        Arg::Float(step),
        Arg::Float(capacity),
        Arg::Float(x),
        Arg::Float(y),
        Arg::Float(z),
    ];
    let all = launched(
        "power.ptx",
        "heat",
        "grid = [4, 3]\nblock = [16, 16]",
        &args,
        &[],
    );
    let mut now: Vec<f64> = start.iter().map(|t| double(*t)).collect();
    for _ in 0..2 {
        let at = |r: usize, c: usize| now[r.min(rows - 1) * cols + c.min(cols - 1)];
        let then = (0..rows * cols).map(|i| {
            let (r, c, t) = (i / cols, i % cols, now[i]);
            let vertical = at(r + 1, c) + at(r.saturating_sub(1), c) - 2.0 * t;
            let horizontal = at(r, c + 1) + at(r, c.saturating_sub(1)) - 2.0 * t;
            let flow = vertical / double(y) + horizontal / double(x) + (80.0 - t) / double(z);
            t + double(step / capacity) * (double(power[i]) + flow)
        });
        now = then.collect();
    }
    close("heat", &as_floats(&all[2]), now.into_iter());
}

#[test]
fn the_cheapest_way_is_found() {
    let (cols, steps) = (500usize, 20usize);
    let costs = |n, seed| -> Vec<u32> { words(n, seed).iter().map(|w| w % 10).collect() };
    let (wall, from) = (costs(cols * (steps + 3), 1), costs(cols, 2));
    let args = [
        Arg::Int(steps as u32),
        Arg::Words(&wall),
        Arg::Words(&from),
        Arg::Out(cols),
        Arg::Int(cols as u32),
        Arg::Int(3),
    ];
    let all = launched(
        "power.ptx",
        "cheapest_way",
        "grid = 3\nblock = 256",
        &args,
        &[],
    );
    let mut now = from;
    for row in 3..3 + steps {
        let least = |c: usize| {
            now[c.saturating_sub(1)]
                .min(now[c])
                .min(now[(c + 1).min(cols - 1)])
        };
        now = (0..cols).map(|c| least(c) + wall[row * cols + c]).collect();
    }
    assert_eq!(all[2], now);
}

#[test]
fn speckle_diffuses() {
    let (rows, cols, q0) = (30usize, 20usize, 0.05f32);
    let image: Vec<f32> = fractions(rows * cols, 1).iter().map(|v| 1.0 + v).collect();
    let before = |n: usize| -> Vec<u32> { (0..n).map(|i| i.saturating_sub(1) as u32).collect() };
    let after = |n: usize| -> Vec<u32> { (0..n).map(|i| (i + 1).min(n - 1) as u32).collect() };
    let (north, south, west, east) = (before(rows), after(rows), before(cols), after(cols));
    let out = || Arg::Out(rows * cols);
    let args = [
        Arg::Int(rows as u32),
        Arg::Int(cols as u32),
        Arg::Words(&north),
        Arg::Words(&south),
        Arg::Words(&west),
        Arg::Words(&east),
        out(),
        out(),
        out(),
        out(),
        Arg::Float(q0),
        out(),
        Arg::Floats(&image),
    ];
    let all = launched(
        "power.ptx",
        "diffusion",
        "grid = 2\nblock = 512",
        &args,
        &[],
    );
    let at = |r: u32, c: u32| double(image[r as usize + rows * c as usize]);
    let differences = |i: usize| {
        let (r, c) = (i % rows, i / rows);
        let here = at(r as u32, c as u32);
        let near = [
            at(north[r], c as u32),
            at(south[r], c as u32),
            at(r as u32, west[c]),
            at(r as u32, east[c]),
        ];
        (here, near.map(|v| v - here))
    };
    for (side, got) in all[4..8].iter().enumerate() {
        let want = (0..rows * cols).map(|i| differences(i).1[side]);
        close("diffusion: differences", &as_floats(got), want);
    }
    let coefficient = |i: usize| {
        let (here, d) = differences(i);
        let gradient = d.iter().map(|v| v * v).sum::<f64>() / (here * here);
        let laplace = d.iter().sum::<f64>() / here;
        let q = (0.5 * gradient - laplace * laplace / 16.0) / (1.0 + 0.25 * laplace).powi(2);
        (1.0 / (1.0 + (q - double(q0)) / (double(q0) * (1.0 + double(q0))))).clamp(0.0, 1.0)
    };
    close(
        "diffusion",
        &as_floats(&all[8]),
        (0..rows * cols).map(coefficient),
    );
}
