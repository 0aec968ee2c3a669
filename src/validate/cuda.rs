//! Hand-written kernels: rows that name a CUDA kernel whose definition is plain.
//!
//! The kernels are our own (`validation/kernels`), written from the definition, not from anybody's source; a row says
//! which algorithm it measured (`shape.kernel`), and with which sizes, grid and block. Their CTAs are executed as the
//! simulation asks for them.

use super::dataset::Row;
use super::operator::Unfit;
use crate::config::GpuSpec;
use crate::error::Result;
use crate::kernels::work::{Roofline, Work};
use crate::ptx::launch::run::{Memory, prepare};
use crate::ptx::launch::{Application, Value};
use crate::ptx::{lazy, parse};
use crate::trace::Kernel;
use std::fmt::Write;
use std::path::Path;

/// PTX of our kernels, by the name of its file.
const FILES: [(&str, &str); 4] = [
    (
        "streams.ptx",
        include_str!("../../validation/kernels/streams.ptx"),
    ),
    (
        "matrices.ptx",
        include_str!("../../validation/kernels/matrices.ptx"),
    ),
    (
        "reductions.ptx",
        include_str!("../../validation/kernels/reductions.ptx"),
    ),
    (
        "convolutions.ptx",
        include_str!("../../validation/kernels/convolutions.ptx"),
    ),
];

/// Bytes of all buffers of a row: two rows at once stay below 1 GiB with what their making takes.
const BUFFERS_MAX: u64 = 256 << 20;

/// What addresses are raised by: behind everything that generated kernels use.
const SHIFT: u64 = 1 << 44;

/// Threads of a CTA where a row does not say.
const THREADS: u64 = 256;

/// A kernel of a row, ready to be launched.
#[derive(Clone, Debug)]
pub struct Program {
    file: usize,
    application: Application,
    registers: Option<u16>,
    work: Work,
}

/// The launch of one of our kernels.
struct Plan {
    kernel: &'static str,
    file: usize,
    grid: [u64; 2],
    block: [u64; 2],
    args: Vec<Arg>,
    flops: f64,
}

enum Arg {
    /// A buffer of elements of this type.
    Buffer(&'static str, u64),
    /// An `int`.
    Int(u64),
    /// A `float`.
    Float,
}

use Arg::{Buffer, Float, Int};

/// Sizes of a row.
struct Sizes<'a>(&'a Row);

impl Sizes<'_> {
    fn get(&self, name: &str) -> std::result::Result<u64, Unfit> {
        self.or(name, 0).and_then(|n| match n {
            0 => Err(Unfit::Skip(format!("a hand-written kernel without {name}"))),
            n => Ok(n),
        })
    }

    fn or(&self, name: &str, default: u64) -> std::result::Result<u64, Unfit> {
        let Some(value) = self.0.shape.get(name) else {
            return Ok(default);
        };
        let whole = value.as_u64().filter(|n| *n < 1 << 31);
        whole.ok_or_else(|| Unfit::Fault(format!("shape: {name} = {value} is no size below 2^31")))
    }
}

/// The kernel that `row` measured.
///
/// # Errors
/// Impossible sizes; a kernel whose definition the row does not give, or that is too large.
pub fn program(row: &Row) -> std::result::Result<Program, Unfit> {
    let name = row.shape.get("kernel").and_then(|name| name.as_str());
    let name = name.ok_or_else(|| Unfit::Fault("shape has no kernel".to_owned()))?;
    let plan = plan(name, &Sizes(row))?;
    if let Some(grid) = row.shape.get("grid").and_then(|grid| grid.as_u64())
        && grid != plan.grid[0] * plan.grid[1]
    {
        return Err(Unfit::Skip(format!(
            "hand-written kernel {name} on another grid than its definition's"
        )));
    }
    let text = launch_file(&plan);
    let application = Application::parse(Path::new(&row.id), &text)
        .map_err(|e| Unfit::Fault(format!("a launch that no GPU has: {e}")))?;
    let buffers = application.launches.iter().flat_map(|launch| &launch.args);
    let bytes: u64 = buffers
        .map(|arg| match arg.value {
            Value::Buffer { count, .. } => count * u64::from(arg.element.bytes()),
            _ => 0,
        })
        .sum();
    if bytes > BUFFERS_MAX {
        let most = BUFFERS_MAX >> 20;
        return Err(Unfit::Skip(format!(
            "hand-written kernels on more than {most} MiB"
        )));
    }
    let registers = row.extra.get("regs").and_then(|regs| regs.as_u64());
    Ok(Program {
        file: plan.file,
        application,
        registers: registers
            .and_then(|n| u16::try_from(n).ok())
            .filter(|n| (1..=255).contains(n)),
        work: Work {
            flops: plan.flops,
            bytes: bytes as f64,
        },
    })
}

fn launch_file(plan: &Plan) -> String {
    let ([gx, gy], [bx, by]) = (plan.grid, plan.block);
    let mut text = format!(
        "kernel = \"{}\"\ngrid = [{gx}, {gy}]\nblock = [{bx}, {by}]\n",
        plan.kernel
    );
    for (i, arg) in plan.args.iter().enumerate() {
        let what = match arg {
            Buffer(element, count) => {
                format!("type = \"{element}\"\ncount = {count}\ninit = \"zeros\"")
            }
            Int(value) => format!("type = \"i32\"\nvalue = {value}"),
            Float => "type = \"f32\"\nvalue = 1.5".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "[[args]]\nname = \"p{i}\"\n{what}\n");
    }
    text
}

fn plan(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    match name {
        "vector_add" | "saxpy" | "atomic_hotspot" | "array_add: Coalesced" => stream(name, sizes),
        "reduce_sum" | "dot_product" | "histogram" => reduction(name, sizes),
        "naive_transpose" | "shared_transpose" => transpose(name, sizes),
        "matmul_naive"
        | "matmul_tiled"
        | "gemm_naive"
        | "gemm_tiled16"
        | "mat_mat_mul: Matrix Matrix Multiplication with Tiles" => product(name, sizes),
        "mat_vec_mul: Simple Matrix Vector Multiplication" => {
            let (rows, cols) = (sizes.get("Num Rows")?, sizes.get("Num Cols")?);
            let block = sizes.get("Num Threads")?;
            let args = vec![
                Buffer("u32", rows * cols),
                Buffer("u32", cols),
                Buffer("u32", rows),
                Int(rows),
                Int(cols),
            ];
            Ok(flat("matvec_u32", 1, (rows, block), args, 2 * rows * cols))
        }
        "conv2d_3x3" | "conv2d_7x7" => square(name, sizes),
        _ if name.starts_with("convolution: ") => masked(name, sizes),
        _ => Err(undefined(name)),
    }
}

/// A kernel of which a row says too little.
fn undefined(name: &str) -> Unfit {
    Unfit::Skip(format!(
        "hand-written kernel {name}, whose definition the row does not give,"
    ))
}

/// A convolution with a square mask of a known width.
fn square(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
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
    Ok(tiles(
        kernel,
        3,
        [cols, rows],
        side,
        args,
        2 * width * width * rows * cols,
    ))
}

/// A convolution with a mask whose width is known at run time only.
fn masked(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    match name {
        "convolution: Convolution 1D Basic" | "convolution: Convolution 1D Constant Memory" => {
            let (n, width) = (sizes.get("Array size")?, sizes.get("Mask width")?);
            let block = sizes.get("Block dim")?;
            let (kernel, mut args) =
                convolution(["conv1d_basic", "conv1d_constant"], name, n, width);
            args.extend([Int(n), Int(width)]);
            Ok(flat(kernel, 3, (n, block), args, 2 * n * width))
        }
        "convolution: Convolution 2D Basic" | "convolution: Convolution 2D Constant Memory" => {
            if sizes.or("Num channels", 1)? != 1 {
                return Err(Unfit::Skip(format!(
                    "hand-written kernel {name} on several channels"
                )));
            }
            let (size, width) = (sizes.get("Axis size")?, sizes.get("Mask width")?);
            let n = size * size;
            let (kernel, mut args) =
                convolution(["conv2d_basic", "conv2d_constant"], name, n, width * width);
            args.extend([Int(size), Int(width)]);
            let side = sizes.get("Block axis dim")?;
            Ok(tiles(
                kernel,
                3,
                [size, size],
                side,
                args,
                2 * n * width * width,
            ))
        }
        _ => Err(undefined(name)),
    }
}

/// Buffers of a convolution whose mask is a buffer, or in constant memory.
fn convolution(
    kernels: [&'static str; 2],
    name: &str,
    n: u64,
    weights: u64,
) -> (&'static str, Vec<Arg>) {
    match name.contains("Constant") {
        false => (
            kernels[0],
            vec![Buffer("f32", n), Buffer("f32", weights), Buffer("f32", n)],
        ),
        true => (kernels[1], vec![Buffer("f32", n), Buffer("f32", n)]),
    }
}

/// A launch of `n` threads in CTAs of `block`.
fn flat(
    kernel: &'static str,
    file: usize,
    (n, block): (u64, u64),
    args: Vec<Arg>,
    flops: u64,
) -> Plan {
    Plan {
        kernel,
        file,
        grid: [n.div_ceil(block), 1],
        block: [block, 1],
        args,
        flops: flops as f64,
    }
}

/// A launch of a thread for each place of an area, in square CTAs.
fn tiles(
    kernel: &'static str,
    file: usize,
    area: [u64; 2],
    side: u64,
    args: Vec<Arg>,
    flops: u64,
) -> Plan {
    Plan {
        kernel,
        file,
        grid: area.map(|n| n.div_ceil(side)),
        block: [side; 2],
        args,
        flops: flops as f64,
    }
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

fn stream(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    let n = match name {
        "array_add: Coalesced" => sizes.get("Axis Size").map(|axis| axis * axis)?,
        _ => sizes.get("N")?,
    };
    let block = sizes.or("block", THREADS)?.max(1);
    let array = || Buffer("f32", n);
    Ok(match name {
        "saxpy" => flat(
            "saxpy",
            0,
            (n, block),
            vec![Float, array(), array(), Int(n)],
            2 * n,
        ),
        "atomic_hotspot" => {
            let iters = sizes.get("iters")?;
            let args = vec![Buffer("f32", 1), Int(n), Int(iters)];
            flat("atomic_hotspot", 0, (n, block), args, n * iters)
        }
        _ => flat(
            "vector_add",
            0,
            (n, block),
            vec![array(), array(), array(), Int(n)],
            n,
        ),
    })
}

fn reduction(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    let (n, block) = (sizes.get("N")?, sizes.or("block", THREADS)?);
    if block != THREADS {
        return Err(Unfit::Skip(format!(
            "hand-written kernel {name} with CTAs of other than 256 threads"
        )));
    }
    let results = || Buffer("f32", n.div_ceil(block));
    let array = || Buffer("f32", n);
    Ok(match name {
        "reduce_sum" => flat(
            "reduce_sum",
            2,
            (n, block),
            vec![array(), results(), Int(n)],
            n,
        ),
        "dot_product" => {
            let args = vec![array(), array(), results(), Int(n)];
            flat("dot_product", 2, (n, block), args, 2 * n)
        }
        _ => {
            let args = vec![Buffer("i32", n), Buffer("i32", 256), Int(n)];
            flat("histogram", 2, (n, block), args, 0)
        }
    })
}

fn transpose(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
    let args = vec![
        Buffer("f32", rows * cols),
        Buffer("f32", rows * cols),
        Int(rows),
        Int(cols),
    ];
    let side = side(sizes.or("block", THREADS)?)?;
    match (name, side) {
        ("naive_transpose", _) => Ok(tiles("naive_transpose", 1, [cols, rows], side, args, 0)),
        (_, 32) => Ok(tiles("shared_transpose", 1, [cols, rows], side, args, 0)),
        _ => Err(Unfit::Skip(format!(
            "hand-written kernel {name} with tiles of {side}"
        ))),
    }
}

fn product(name: &str, sizes: &Sizes<'_>) -> std::result::Result<Plan, Unfit> {
    let (m, n, k) = match name {
        "gemm_naive" | "gemm_tiled16" => (sizes.get("M")?, sizes.get("N")?, sizes.get("K")?),
        "matmul_naive" | "matmul_tiled" => {
            let (rows, cols) = (sizes.get("rows")?, sizes.get("cols")?);
            (rows, cols, cols)
        }
        _ => (
            sizes.get("Num Rows 1")?,
            sizes.get("Num Cols 2")?,
            sizes.get("Num Cols 1 / Rows 2")?,
        ),
    };
    let side = match name {
        "gemm_tiled16" => 16,
        "mat_mat_mul: Matrix Matrix Multiplication with Tiles" => sizes.get("Num Threads")?,
        _ => side(sizes.or("block", THREADS)?)?,
    };
    let (kernel, element) = match (name, side) {
        ("matmul_naive" | "gemm_naive", _) => ("matmul_naive", "f32"),
        ("gemm_tiled16" | "matmul_tiled", 16) => ("matmul_tiled16", "f32"),
        ("matmul_tiled", 32) => ("matmul_tiled32", "f32"),
        ("mat_mat_mul: Matrix Matrix Multiplication with Tiles", 16) => {
            ("matmul_tiled16_u32", "u32")
        }
        _ => {
            return Err(Unfit::Skip(format!(
                "hand-written kernel {name} with tiles of {side}"
            )));
        }
    };
    let args = vec![
        Buffer(element, m * k),
        Buffer(element, k * n),
        Buffer(element, m * n),
        Int(m),
        Int(n),
        Int(k),
    ];
    Ok(tiles(kernel, 1, [n, m], side, args, 2 * m * n * k))
}

impl Program {
    /// The kernel for the machine of `spec`.
    ///
    /// # Errors
    /// A fault of the kernel's first CTA.
    pub fn kernel(&self, spec: &GpuSpec) -> Result<Kernel> {
        let (name, text) = FILES[self.file];
        let module = parse(text).expect("tests parse our own files");
        let launch = &self.application.launches[0];
        let memory = Memory::of(&self.application)?;
        let prepared = prepare(name, &module, launch, memory)?;
        let machine = (spec.compute_capability, SHIFT);
        lazy::kernel(Path::new(name), prepared, launch, self.registers, machine)
    }

    /// The time at published peaks.
    pub fn roofline(&self, spec: &GpuSpec) -> Roofline {
        Roofline::fp32(&self.work, spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::dataset;

    fn rows(list: &[&str]) -> Vec<std::result::Result<Program, Unfit>> {
        let mut text = "id,gpu,op,dtype,shape,latency_us,extra,source\n".to_owned();
        for shape in list {
            let shape = shape.replace('"', "\"\"");
            writeln!(text, "r,TITAN-V,cuda_kernel,fp32,\"{shape}\",1,\"{{}}\",x").unwrap();
        }
        let rows = dataset::parse(&text, "rows.csv").unwrap();
        rows.iter().map(program).collect()
    }

    /// Every plan has a kernel of our files, whose first CTA runs; the streams are those of the launch.
    #[test]
    fn every_plan_can_be_launched() {
        let all = rows(&[
            r#"{"kernel":"vector_add","N":1000,"grid":4,"block":256}"#,
            r#"{"kernel":"saxpy","N":1000,"grid":4,"block":256}"#,
            r#"{"kernel":"atomic_hotspot","N":512,"grid":2,"block":256,"iters":3}"#,
            r#"{"kernel":"reduce_sum","N":1024,"grid":4,"block":256}"#,
            r#"{"kernel":"dot_product","N":1024,"grid":4,"block":256}"#,
            r#"{"kernel":"histogram","N":1024,"grid":4,"block":256}"#,
            r#"{"kernel":"naive_transpose","rows":64,"cols":48,"grid":12,"block":256}"#,
            r#"{"kernel":"shared_transpose","rows":64,"cols":64,"grid":4,"block":1024}"#,
            r#"{"kernel":"matmul_naive","rows":64,"cols":64,"grid":16,"block":256}"#,
            r#"{"kernel":"matmul_tiled","rows":64,"cols":64,"grid":4,"block":1024}"#,
            r#"{"kernel":"gemm_tiled16","M":32,"N":48,"K":64}"#,
            r#"{"kernel":"mat_mat_mul: Matrix Matrix Multiplication with Tiles","Num Rows 1":32,"Num Cols 2":32,"Num Cols 1 / Rows 2":32,"Num Threads":16}"#,
            r#"{"kernel":"mat_vec_mul: Simple Matrix Vector Multiplication","Num Rows":100,"Num Cols":64,"Num Threads":32}"#,
            r#"{"kernel":"conv2d_3x3","rows":32,"cols":32,"grid":4,"block":256}"#,
            r#"{"kernel":"conv2d_7x7","rows":32,"cols":32,"grid":4,"block":256}"#,
            r#"{"kernel":"convolution: Convolution 1D Basic","Array size":1000,"Mask width":5,"Block dim":512}"#,
            r#"{"kernel":"convolution: Convolution 1D Constant Memory","Array size":1000,"Mask width":5,"Block dim":512}"#,
            r#"{"kernel":"convolution: Convolution 2D Basic","Axis size":64,"Mask width":5,"Block axis dim":16,"Num channels":1}"#,
            r#"{"kernel":"convolution: Convolution 2D Constant Memory","Axis size":64,"Mask width":5,"Block axis dim":16,"Num channels":1}"#,
        ]);
        let spec = crate::config::load("v100", &[]).unwrap().spec;
        for plan in all {
            let program = plan.unwrap();
            let kernel = program.kernel(&spec).unwrap();
            let warps = kernel.header.warps_per_cta() as usize;
            let mut streams = vec![crate::trace::WarpStream::default(); warps];
            let mut encoder = crate::trace::CtaEncoder::default();
            kernel.ctas.load(0, &mut streams, &mut encoder).unwrap();
            for stream in &mut streams {
                assert!(stream.next_run().is_some(), "{}", kernel.header.name);
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_skipped_with_its_reason() {
        let all = rows(&[
            r#"{"kernel":"bfs"}"#,
            r#"{"kernel":"vector_add","N":1000,"grid":5,"block":256}"#,
            r#"{"kernel":"vector_add","N":100000000,"grid":390625,"block":256}"#,
            r#"{"kernel":"matmul_tiled","rows":64,"cols":64,"grid":64,"block":64}"#,
        ]);
        let reasons: Vec<String> = all
            .into_iter()
            .map(|plan| match plan {
                Err(Unfit::Skip(reason)) => reason,
                other => panic!("{other:?}"),
            })
            .collect();
        for (reason, word) in
            reasons
                .iter()
                .zip(["definition", "another grid", "MiB", "tiles of 8"])
        {
            assert!(reason.contains(word), "{reason}");
        }
        let [fault] = rows(&[r#"{"kernel":"vector_add","N":-4}"#])
            .try_into()
            .unwrap();
        assert!(matches!(fault, Err(Unfit::Fault(what)) if what.contains("N = -4")));
    }
}
