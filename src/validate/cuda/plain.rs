//! Kernels of one launch whose name is their definition: streams, reductions, transposes, products, stencils.

use super::plan::Arg::{Buffer, Float, Int};
use super::plan::{Planned, Step, skip, undefined};
use super::{Sizes, THREADS};
use crate::validate::operator::Unfit;

/// The kernel of this name.
pub fn plan(name: &str, sizes: &Sizes<'_>) -> Planned {
    match name {
        "vector_add"
        | "saxpy"
        | "atomic_hotspot"
        | "strided_copy_8"
        | "vector_add_divergent"
        | "random_access"
        | "shared_bank_conflict" => stream(name, sizes),
        "reduce_sum" | "dot_product" | "histogram" => reduction(name, sizes),
        "naive_transpose" | "shared_transpose" => transpose(name, sizes),
        "matmul_naive" | "matmul_tiled" | "gemm_naive" | "gemm_tiled16" => product(name, sizes),
        "conv2d_3x3" | "conv2d_7x7" => square(name, sizes),
        _ => Err(undefined(name)),
    }
}

/// A convolution with a square mask of a known width.
fn square(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
    let (kernel, width) = match name {
        "conv2d_3x3" => ("conv2d_3x3", 3),
        _ => ("conv2d_7x7", 7),
    };
    let args = vec![
        Buffer("f32", rows * cols),
        Buffer("f32", width * width),
        Buffer("f32", rows * cols),
        Int(rows),
        Int(cols),
    ];
    let side = side(sizes.or("block", THREADS)?)?;
    let step = Step::tiled(kernel, [cols, rows], [side; 2], args);
    Ok((step, 2 * width * width * rows * cols).into())
}

/// The side of a square CTA of so many threads.
fn side(threads: u64) -> std::result::Result<u64, Unfit> {
    let side = threads.isqrt();
    match side * side == threads && side > 0 {
        true => Ok(side),
        false => Err(Unfit::Skip(format!(
            "hand-written kernels with CTAs of {threads} threads, no square,"
        ))),
    }
}

fn stream(name: &str, sizes: &Sizes<'_>) -> Planned {
    let block = sizes.or("block", THREADS)?.max(1);
    if name == "shared_bank_conflict" {
        let args = vec![Buffer("f32", 1024)];
        return Ok((
            Step::flat("shared_bank_conflict", (1024, 1024), args),
            1 << 20,
        )
            .into());
    }
    let n = sizes.get("N")?;
    let array = || Buffer("f32", n);
    let (kernel, threads, args, flops) = match name {
        "saxpy" => ("saxpy", n, vec![Float, array(), array(), Int(n)], 2 * n),
        "atomic_hotspot" => {
            let iters = sizes.get("iters")?;
            let args = vec![Buffer("u32", 1), Int(iters)];
            ("atomic_hotspot", n, args, n * iters)
        }
        "strided_copy_8" => {
            // Threads are as many as elements, of which seven of eight have nothing to do.
            ("strided_copy_8", n, vec![array(), array(), Int(n)], 0)
        }
        "random_access" => {
            let args = vec![array(), Buffer("i32", n), array(), Int(n)];
            ("random_access", n, args, 0)
        }
        "vector_add_divergent" => {
            let args = vec![array(), array(), array(), Int(n)];
            ("vector_add_divergent", n, args, n + 64 * n)
        }
        _ => ("vector_add", n, vec![array(), array(), array(), Int(n)], n),
    };
    Ok((Step::flat(kernel, (threads, block), args), flops).into())
}

fn reduction(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (n, block) = (sizes.get("N")?, sizes.or("block", THREADS)?);
    if block != THREADS {
        return Err(skip(format!("{name} with CTAs of other than 256 threads")));
    }
    // A thread of the sums has two elements.
    let pairs = n.div_ceil(2);
    let results = || Buffer("f32", pairs.div_ceil(block));
    let array = || Buffer("f32", n);
    let (kernel, threads, args, flops) = match name {
        "reduce_sum" => ("reduce_sum", pairs, vec![array(), results(), Int(n)], n),
        "dot_product" => {
            let args = vec![array(), array(), results(), Int(n)];
            ("dot_product", pairs, args, 2 * n)
        }
        _ => {
            let args = vec![Buffer("i32", n), Buffer("i32", 256), Int(n)];
            ("histogram", n, args, 0)
        }
    };
    Ok((Step::flat(kernel, (threads, block), args), flops).into())
}

fn transpose(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
    let n = rows * cols;
    let args = vec![Buffer("f32", n), Buffer("f32", n), Int(rows), Int(cols)];
    let side = side(sizes.or("block", THREADS)?)?;
    let kernel = match (name, side) {
        ("naive_transpose", _) => "naive_transpose",
        (_, 32) => "shared_transpose",
        _ => return Err(skip(format!("{name} with tiles of {side}"))),
    };
    Ok((Step::tiled(kernel, [cols, rows], [side; 2], args), 0).into())
}

fn product(name: &str, sizes: &Sizes<'_>) -> Planned {
    let (m, n, k) = match name {
        "gemm_naive" | "gemm_tiled16" => (sizes.get("M")?, sizes.get("N")?, sizes.get("K")?),
        _ => {
            let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
            (rows, cols, cols)
        }
    };
    let side = match name {
        "gemm_tiled16" => 16,
        _ => side(sizes.or("block", THREADS)?)?,
    };
    let kernel = match (name, side) {
        ("matmul_naive" | "gemm_naive", _) => "matmul_naive",
        ("gemm_tiled16" | "matmul_tiled", 16) => "matmul_tiled16",
        ("matmul_tiled", 32) => "matmul_tiled32",
        _ => return Err(skip(format!("{name} with tiles of {side}"))),
    };
    let args = vec![
        Buffer("f32", m * k),
        Buffer("f32", k * n),
        Buffer("f32", m * n),
        Int(m),
        Int(n),
        Int(k),
    ];
    let step = Step::tiled(kernel, [n, m], [side; 2], args);
    Ok((step, 2 * m * n * k).into())
}
