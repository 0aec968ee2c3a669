//! The algorithms of a textbook's chapters, in programs of one or several launches.

use super::Sizes;
use super::plan::Arg::{Buffer, Int, Null, Shared};
use super::plan::{Arg, Plan, Planned, Step, skip, undefined};

/// The algorithm of a chapter.
pub fn plan((chapter, algorithm): (&str, &str), sizes: &Sizes<'_>) -> Planned {
    match chapter {
        "array_add" => array_add(algorithm, sizes),
        "convolution" => convolution(algorithm, sizes),
        "histogram" => histogram(algorithm, sizes),
        "image_to_grayscale" => gray(sizes),
        "mat_mat_mul" => product(algorithm, sizes),
        "mat_vec_mul" => matrix_vector(algorithm, sizes),
        "reduction" => reduction(algorithm, sizes),
        "scan" => scan(algorithm, sizes),
        _ => Err(undefined(algorithm)),
    }
}

/// The sum of two square matrices by CTAs of 16 x 16.
fn array_add(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let axis = sizes.get("Axis Size")?;
    let kernel = match algorithm {
        "Coalesced" => "add_along",
        "Not Coalesced" => "add_across",
        _ => return Err(undefined(algorithm)),
    };
    let array = || Buffer("f32", axis * axis);
    let args = vec![array(), array(), array(), Int(axis), Int(axis)];
    let step = Step::tiled(kernel, [axis; 2], [16; 2], args);
    Ok((step, axis * axis).into())
}

fn gray(sizes: &Sizes<'_>) -> Planned {
    let (axis, side) = (sizes.get("Axis Size")?, sizes.get("Num Threads")?);
    let n = axis * axis;
    let args = vec![Buffer("u8", 3 * n), Buffer("u8", n), Int(axis), Int(axis)];
    Ok((Step::tiled("gray", [axis; 2], [side; 2], args), 5 * n).into())
}

/// A convolution with a mask whose width is known at run time only, in a buffer or in constant memory.
fn convolution(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let width = sizes.get("Mask width")?;
    if let Some(kind) = algorithm.strip_prefix("Convolution 1D ") {
        let (n, block) = (sizes.get("Array size")?, sizes.get("Block dim")?);
        let (kernel, shared) = match kind {
            "Basic" => ("conv1d_basic", 0),
            "Constant Memory" => ("conv1d_constant", 0),
            "Tiled" => ("conv1d_halo", block + width - 1),
            "Tiled and Caching" => ("conv1d_cached", block),
            _ => return Err(undefined(algorithm)),
        };
        // Only these two look whether an element is there.
        if shared > 0 && !n.is_multiple_of(block) {
            return Err(skip(format!("{algorithm} of {n} elements by {block}")));
        }
        let mut args = arrays(kernel == "conv1d_basic", n, width);
        args.extend([Int(n), Int(width)]);
        let step = Step::flat(kernel, (n, block), args).with_shared(4 * shared);
        return Ok((step, 2 * n * width).into());
    }
    let (axis, side) = (sizes.get("Axis size")?, sizes.get("Block axis dim")?);
    let channels = sizes.or("Num channels", 1)?.max(1);
    if width > side {
        return Err(skip(format!("{algorithm} with a mask wider than a CTA")));
    }
    let (kernel, tile) = match algorithm {
        "Convolution 2D Basic" => ("conv2d_basic", side),
        "Convolution 2D Constant Memory" => ("conv2d_constant", side),
        "Convolution 2D Tiled" => ("conv2d_tile", side + 1 - width),
        _ => return Err(undefined(algorithm)),
    };
    let n = axis * axis * channels;
    let mut args = arrays(kernel == "conv2d_basic", n, width * width);
    args.extend([Int(width), Int(width), Int(axis), Int(channels)]);
    let step = Step {
        grid: [axis.div_ceil(tile); 2],
        ..Step::tiled(kernel, [axis; 2], [side; 2], args)
    };
    let shared = if kernel == "conv2d_tile" {
        side * side
    } else {
        0
    };
    Ok((step.with_shared(4 * shared), 2 * n * width * width).into())
}

/// Input, mask if it is a buffer, output.
fn arrays(mask: bool, n: u64, weights: u64) -> Vec<Arg> {
    let array = Buffer("f32", n);
    match mask {
        true => vec![array, Buffer("f32", weights), array],
        false => vec![array, array],
    }
}

fn histogram(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let (n, bins) = (sizes.get("Array Size")?, sizes.get("Num Bins")?);
    let block = sizes.get("Num Threads")?;
    let (kernel, shared) = match algorithm {
        "Simple Histogram" => ("histogram_global", 0),
        "Histogram Shared Bins" => ("histogram_private", bins),
        _ => return Err(undefined(algorithm)),
    };
    let args = vec![Buffer("u32", n), Buffer("u32", bins), Int(n), Int(bins)];
    let step = Step::flat(kernel, (n, block), args).with_shared(4 * shared);
    Ok((step, n).into())
}

fn matrix_vector(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let (rows, cols) = (sizes.get("Num Rows")?, sizes.get("Num Cols")?);
    let block = sizes.get("Num Threads")?;
    let [a, x, y] = [rows * cols, cols, rows].map(|n| Buffer("u32", n));
    let sizes = [Int(rows), Int(cols)];
    let step = match algorithm {
        "Simple Matrix Vector Multiplication" => {
            let args = [[a, x, y].as_slice(), &sizes].concat();
            Step::flat("matvec_u32", (rows, block), args)
        }
        "Matrix Vector Multiplication with Shared Memory" => {
            // It stores without looking how many rows there are.
            if !rows.is_multiple_of(block) {
                return Err(skip(format!("{algorithm} of {rows} rows by {block}")));
            }
            let args = [[y, a, x].as_slice(), &sizes].concat();
            Step::flat("matvec_tiles", (rows, block), args).with_shared(4 * block)
        }
        _ => return Err(undefined(algorithm)),
    };
    Ok((step, 2 * rows * cols).into())
}

fn product(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let (m, n) = (sizes.get("Num Rows 1")?, sizes.get("Num Cols 2")?);
    let (k, side) = (sizes.get("Num Cols 1 / Rows 2")?, sizes.get("Num Threads")?);
    // The program of wide tiles launches a CTA for half a tile's columns: four times as many as have an output.
    let (kernel, wide): (_, u64) = match algorithm {
        "Simple Matrix Matrix Multiplication" => ("product_simple", 0),
        "Matrix Matrix Multiplication with Tiles" => ("product_tiles", 1),
        "Matrix Matrix Multiplication with Rectangular Tiles" => ("product_wide", 2),
        _ => return Err(undefined(algorithm)),
    };
    let [a, b, c] = [m * k, k * n, m * n].map(|n| Buffer("u32", n));
    let args = vec![a, b, c, Int(m), Int(n), Int(k)];
    let tile = if wide == 2 { (side / 2).max(1) } else { side };
    let step = Step {
        grid: [n.div_ceil(tile), m.div_ceil(side)],
        ..Step::tiled(kernel, [n, m], [side; 2], args)
    };
    let shared = match wide {
        0 => 0,
        wide => 4 * side * side * (1 + wide),
    };
    Ok((step.with_shared(shared), 2 * m * n * k).into())
}

/// Launches that reduce what the one before has left, until one number is.
fn reduction(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    let (n, block) = (sizes.get("Array Size")?, sizes.get("Num Threads")?);
    let (kernel, each) = match algorithm {
        "Simple Reduction" => ("reduce_spread", 1),
        "Reduction - Adjacent Threads" => ("reduce_adjacent", 1),
        "Reduction - Sequential Addressing" => ("reduce_halves", 1),
        "Reduction - Two Loads per Thread" => ("reduce_two", 2),
        "Reduction - Unroll Last Warp" => ("reduce_warp", 2),
        "Reduction - Completely Unrolled" => ("reduce_unrolled", 2),
        "Reduction - Multiple Loads" => ("reduce_many", 2),
        _ => return Err(undefined(algorithm)),
    };
    // The last warp of the unrolled ones reads 32 words on.
    if !block.is_power_of_two() || block < 64 {
        return Err(skip(format!("{algorithm} by CTAs of {block} threads")));
    }
    let mut buffers = vec![("u32", n)];
    let mut steps = Vec::new();
    let mut left = n;
    loop {
        let ctas = left.div_ceil(each * block);
        let from = buffers.len() - 1;
        buffers.push(("u32", ctas));
        let args = vec![Shared(from), Int(left), Shared(from + 1)];
        let step = Step::flat(kernel, (ctas * block, block), args);
        steps.push(step.with_shared(4 * block));
        left = ctas;
        if left == 1 {
            break;
        }
    }
    Ok(Plan {
        buffers,
        steps,
        flops: n as f64,
    })
}

/// Chunks of 4096 elements by 512 threads, a scan of their sums, and these added to all chunks but the first.
fn scan(algorithm: &str, sizes: &Sizes<'_>) -> Planned {
    const CHUNK: u64 = 4096;
    const BLOCK: u64 = 512;
    if algorithm != "Hierarchical Scan Three-Phase" {
        return Err(undefined(algorithm));
    }
    let n = sizes.get("Num Elements")?;
    let chunks = n.div_ceil(CHUNK);
    if chunks > CHUNK {
        return Err(skip(format!("{algorithm} of more than three launches")));
    }
    let phase = |[from, to]: [usize; 2], n: u64, tops| {
        let args = vec![Shared(from), Shared(to), Int(n), Int(CHUNK), tops];
        let threads = n.div_ceil(CHUNK) * BLOCK;
        Step::flat("scan_phases", (threads, BLOCK), args).with_shared(4 * CHUNK)
    };
    let mut steps = vec![phase([0, 1], n, Shared(2))];
    if chunks > 1 {
        steps.push(phase([2, 2], chunks, Null));
        let args = vec![Shared(1), Int(n), Shared(2), Int(CHUNK)];
        steps.push(Step::flat("scan_add", ((chunks - 1) * BLOCK, BLOCK), args));
    }
    Ok(Plan {
        buffers: vec![("u32", n), ("u32", n), ("u32", chunks)],
        steps,
        flops: n as f64,
    })
}
