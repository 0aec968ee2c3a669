//! Programs of suites: PolyBench/GPU, samples of the CUDA toolkit, and the loops that measure a launch and a chain.

use super::Sizes;
use super::plan::Arg::{Buffer, Float, Int, Null, Shared};
use super::plan::{Plan, Planned, Step, skip, undefined};

/// The program `name` of `suite`.
pub fn plan(suite: &str, name: &str, sizes: &Sizes<'_>) -> Planned {
    match (suite, name) {
        ("polybench", _) => polybench(name, sizes),
        ("cuda-sdk", _) => sample(name, sizes),
        ("", "emptykernel") => launches(name, sizes),
        // Collectors have three names for it, by the number of CTAs.
        ("", "ffmakernel" | "ffmakernel-large" | "ffmakernel-large-large") => {
            launches("ffmakernel", sizes)
        }
        ("rodinia", _) => Err(skip("of Rodinia, of which its collectors made other ones,")),
        _ => Err(undefined(name)),
    }
}

/// An empty kernel, or dependent multiply-adds.
fn launches(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (blocks, threads) = (sizes.get("blocks")?, sizes.get("threads")?);
    let all = blocks * threads;
    let (step, flops) = match (name, sizes.text("variant"), sizes.or("iters", 0)?) {
        ("emptykernel", None, 0) => (Step::flat("nothing", (all, threads), Vec::new()), 0),
        ("ffmakernel", Some("straight20"), 0) => {
            let args = vec![Null];
            (Step::flat("chain20", (all, threads), args), 40 * all)
        }
        ("ffmakernel", None, iters) if iters > 0 => {
            let args = vec![Null, Int(iters)];
            let flops = 256 * iters * all;
            (Step::flat("chain128", (all, threads), args), flops)
        }
        _ => return Err(undefined(name)),
    };
    Ok((step, flops).into())
}

/// CTAs of (blockDimX, 8) threads, or of blockDimX; grids are rounded up.
fn polybench(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (n, width) = (sizes.get("size")?, sizes.get("blockDimX")?);
    let square = ("f32", n * n);
    let vector = ("f32", n);
    let line = |kernel, [a, x, y]: [usize; 3]| {
        let args = vec![Shared(a), Shared(x), Shared(y), Int(n), Int(n)];
        Step::flat(kernel, (n, width), args)
    };
    let area = |kernel, args| Step::tiled(kernel, [n, n], [width, 8], args);
    let product = |[a, b, c]: [usize; 3]| {
        let args = vec![Shared(a), Shared(b), Shared(c), Int(n), Int(n), Int(n)];
        area("product_add", args)
    };
    let (buffers, steps, flops) = match name {
        "atax" => {
            let buffers = vec![square, vector, vector, vector];
            let steps = vec![line("rows_add", [0, 1, 2]), line("columns_add", [0, 2, 3])];
            (buffers, steps, 4 * n * n)
        }
        "mvt" => {
            let buffers = vec![square, vector, vector, vector, vector];
            let steps = vec![line("rows_add", [0, 1, 2]), line("columns_add", [0, 3, 4])];
            (buffers, steps, 4 * n * n)
        }
        "bicg" => {
            let buffers = vec![square, vector, vector, vector, vector];
            let steps = vec![line("columns_set", [0, 1, 2]), line("rows_set", [0, 3, 4])];
            (buffers, steps, 4 * n * n)
        }
        "gesummv" => {
            let buffers = vec![square, square, vector, vector, vector];
            let mut args: Vec<_> = (0..5).map(Shared).collect();
            args.push(Int(n));
            let steps = vec![Step::flat("gesummv", (n, width), args)];
            (buffers, steps, 4 * n * n)
        }
        "2mm" => {
            let steps = vec![product([0, 1, 2]), product([2, 3, 4])];
            (vec![square; 5], steps, 4 * n * n * n)
        }
        "3mm" => {
            let steps = vec![product([0, 1, 2]), product([3, 4, 5]), product([2, 5, 6])];
            (vec![square; 7], steps, 6 * n * n * n)
        }
        "gemm" => {
            let args = vec![Shared(0), Shared(1), Shared(2), Int(n), Int(n), Int(n)];
            (vec![square; 3], vec![area("gemm", args)], 2 * n * n * n)
        }
        "syrk" => {
            let args = vec![Float, Float, Shared(0), Shared(1), Int(n), Int(n)];
            (vec![square; 2], vec![area("syrk", args)], 2 * n * n * n)
        }
        "2dconv" => {
            let args = vec![Shared(0), Shared(1), Int(n), Int(n)];
            (vec![square; 2], vec![area("stencil9", args)], 17 * n * n)
        }
        "3dconv" => return planes(n, width),
        _ => return Err(undefined(name)),
    };
    Ok(Plan {
        buffers,
        steps,
        flops: flops as f64,
    })
}

/// A launch for each inner plane of a volume. All do the same on other planes, so the one in the middle stands for them,
/// behind the one in front of it.
fn planes(n: u64, width: u64) -> Planned {
    if n < 5 {
        return Err(skip("3dconv on fewer than three inner planes"));
    }
    let plane = |i, times| Step {
        times,
        ..Step::tiled(
            "stencil_plane",
            [n, n],
            [width, 8],
            vec![Shared(0), Shared(1), Int(i), Int(n), Int(n), Int(n)],
        )
    };
    Ok(Plan {
        buffers: vec![("f32", n * n * n); 2],
        steps: vec![plane(n / 2 - 1, 0), plane(n / 2, n - 2)],
        flops: (29 * n * n * n) as f64,
    })
}

/// Samples of the CUDA toolkit.
fn sample(name: &str, sizes: &Sizes<'_>) -> Planned {
    match name {
        "vectoradd" => {
            let n = sizes.get("size")?;
            let array = || Buffer("f32", n);
            let args = vec![array(), array(), array(), Int(n)];
            Ok((Step::flat("vector_add", (n, 256), args), n).into())
        }
        "transpose" => match sizes.get("kernelID")? {
            // The sample's list of variants begins with two copies: plain, and by way of shared memory.
            1 => {
                let (x, y) = (sizes.get("dimX")?, sizes.get("dimY")?);
                let array = || Buffer("f32", x * y);
                let args = vec![array(), array(), Int(x), Int(y)];
                Ok((Step::tiled("shared_copy", [x, y], [16; 2], args), 0).into())
            }
            other => Err(skip(format!("transpose, variant {other}"))),
        },
        "scalarprod" => {
            let (vectors, elements) = (sizes.get("vectorN")?, sizes.get("elementN")?);
            let array = || Buffer("f32", vectors * elements);
            let args = vec![
                Buffer("f32", vectors),
                array(),
                array(),
                Int(vectors),
                Int(elements),
            ];
            let step = Step::flat("scalar_products", (128 * 256, 256), args);
            Ok((step, 2 * vectors * elements).into())
        }
        "scan-short" | "scan-long" => scan(name, sizes.get("size")?, sizes.get("arrayLength")?),
        "fastwalshtransform" => walsh(sizes.get("log2data")?),
        _ => Err(undefined(name)),
    }
}

/// Exclusive sums of arrays of `length` in `n` elements: 256 threads have a tile of 1024.
fn scan(name: &str, n: u64, length: u64) -> Planned {
    let whole = length.is_power_of_two() && length >= 4 && n.is_multiple_of(1024.max(length));
    let (buffers, steps) = match (name, length) {
        _ if !whole => {
            return Err(skip(format!(
                "{name} of {n} elements in arrays of {length}"
            )));
        }
        ("scan-short", 4..=1024) => {
            let args = vec![Shared(0), Shared(1), Int(length)];
            let one = Step::flat("scan_short", (n / 4, 256), args);
            (vec![("u32", n); 2], vec![one])
        }
        ("scan-long", 2048..=262_144) => {
            let tiles = n / 1024;
            let tile = vec![Shared(0), Shared(1), Int(1024)];
            let tops = vec![
                Shared(2),
                Shared(0),
                Shared(1),
                Int(tiles),
                Int(length / 1024),
            ];
            let add = vec![Shared(0), Shared(2)];
            let steps = vec![
                Step::flat("scan_short", (n / 4, 256), tile),
                Step::flat("scan_tops", (tiles, 256), tops),
                Step::flat("add_tops", (n / 4, 256), add),
            ];
            (vec![("u32", n), ("u32", n), ("u32", tiles)], steps)
        }
        _ => return Err(skip(format!("{name} of arrays of {length}"))),
    };
    Ok(Plan {
        buffers,
        steps,
        flops: n as f64,
    })
}

/// A convolution by Walsh transforms of 2^log2n numbers: of the data, of the kernel, a product, and the transform back.
fn walsh(log2n: u64) -> Planned {
    /// What a CTA transforms in shared memory.
    const INNER: u64 = 11;
    if !(2..=24).contains(&log2n) {
        return Err(skip(format!("fastwalshtransform of 2^{log2n} numbers")));
    }
    let n = 1 << log2n;
    let transform = |buffer| {
        let mut left = log2n;
        let mut steps = Vec::new();
        while left > INNER {
            let args = vec![Shared(buffer), Shared(buffer), Int(1 << (left - 2))];
            steps.push(Step::flat("walsh_global", (n / 4, 256), args));
            left -= 2;
        }
        let inner = 1 << left;
        let args = vec![Shared(buffer), Shared(buffer), Int(left)];
        let last = Step::flat("walsh_shared", (n / 4, inner / 4), args);
        steps.push(last.with_shared(4 * inner));
        steps
    };
    let product = Step::flat(
        "multiply",
        (128 * 256, 256),
        vec![Shared(0), Shared(1), Int(n)],
    );
    let steps = [transform(0), transform(1), vec![product], transform(0)].concat();
    Ok(Plan {
        buffers: vec![("f32", n); 2],
        steps,
        flops: (3 * n * log2n) as f64,
    })
}
