//! Convolutions: Winograd's algorithm in four kernels or in two, implicit products, products, one thread a result.
//!
//! Libraries time the ways that they have and take the fastest, or one that a model of theirs ranks first. So does the
//! estimate here, by the rates of the machine: multiply-adds on their pipe, bytes of tensors to and from memory.

use super::{Candidate, Launch, Recorded, gemm, together};
use crate::config::GpuSpec;
use crate::isa::OpClass;
use crate::kernels::conv::depthwise::Depthwise;
use crate::kernels::conv::fused::FusedWinograd;
use crate::kernels::conv::implicit::Implicit;
use crate::kernels::conv::offsets::Offsets;
use crate::kernels::conv::relayout::Relayout;
use crate::kernels::conv::tensor::{TensorImplicit, VECTOR};
use crate::kernels::conv::transform::{Stage, Transform, tiles};
use crate::kernels::conv::{Geometry, array};
use crate::kernels::operator::{ConvOp, DataType, Direction, GemmOp, ImageLayout, Layout};
use crate::kernels::{self, Arrays, Fault, KernelGenerator, Places};
use crate::occupancy::{Demand, Occupancy};
use crate::sm::latency;
use crate::trace::{Code, Kernel};

/// Cycles from the end of a kernel to the first instruction of the next.
const NEXT_KERNEL: f64 = 1500.0;
/// Share of the peak that long streams from memory reach, and multiply-adds in these loops.
const STREAM: f64 = 0.85;
const MATH: f64 = 0.85;
/// Sub-cores of an SM.
const SUB_CORES: f64 = 4.0;
/// How much longer a loop takes whose warps are alone on their sub-cores: nothing hides what they wait for.
const ALONE: f64 = 1.5;

/// The ways to compute `op`.
pub(super) fn candidates(op: &ConvOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let op = &forward(op)?;
    let shape = Geometry::new(op)?;
    if shape.c == 1 && shape.groups > 1 && op.layout == ImageLayout::Nchw {
        return Ok(vec![depthwise(op)]);
    }
    let mut all = Vec::new();
    if op.layout == ImageLayout::Nhwc && is_pointwise(&shape) {
        all.extend(pointwise(op, &shape, gpu)?);
    }
    if op.data != DataType::F32 {
        for channels in [32, 64, 128] {
            all.push(tensor(op, &shape, channels, gpu)?);
        }
        return Ok(all);
    }
    if op.layout == ImageLayout::Nhwc {
        let what = "with 32-bit floats only filters of 1 x 1 in steps of one";
        return match all.is_empty() {
            true => Err(Fault::field("layout", "nhwc", what)),
            false => Ok(all),
        };
    }
    for channels in [32, 64, 128] {
        all.push(implicit(op, channels, gpu)?);
    }
    if let Ok(candidate) = fused(op, gpu) {
        all.push(candidate);
    }
    if let Ok(candidate) = nonfused(op, &shape, None, gpu) {
        all.push(candidate);
    }
    Ok(all)
}

/// The kernels that a library launched for `op`, if they are among ours.
pub(super) fn recorded(op: &ConvOp, recorded: &Recorded, gpu: &GpuSpec) -> Option<Candidate> {
    let op = &forward(op).ok()?;
    let shape = Geometry::new(op).ok()?;
    let named = |part: &str| recorded.kernels.iter().any(|name| name.contains(part));
    let mut candidate = if named("winograd_nonfused") || named("winogradForward") {
        nonfused(op, &shape, Some(recorded), gpu).ok()?
    } else if named("scudnn_winograd") {
        fused(op, gpu).ok()?
    } else {
        let main = recorded
            .kernels
            .iter()
            .find(|name| name.contains("scudnn_128x"))?;
        let (_, tile) = main.split_once("scudnn_128x")?;
        let digits = tile.find(|c: char| !c.is_ascii_digit())?;
        implicit(op, tile[..digits].parse().ok()?, gpu).ok()?
    };
    let main = recorded.kernels.first()?;
    for launch in &mut candidate.launches {
        launch.reason = format!("{main} was launched: {}", launch.reason);
    }
    Some(candidate)
}

/// The forward convolution that is as much work: a gradient of the input is one of the gradient of the result with
/// channels exchanged.
fn forward(op: &ConvOp) -> Result<ConvOp, Fault> {
    let refuse = |what: &str| {
        Err(Fault::field(
            "dir",
            Direction::NAMES[op.direction as usize],
            what,
        ))
    };
    match op.direction {
        Direction::Forward => Ok(op.clone()),
        Direction::WeightGradient => refuse("no kernels for it yet"),
        Direction::InputGradient => {
            let Some((height, width)) = op.output() else {
                return Ok(op.clone());
            };
            let (pad, strides) = (op.padding(), op.strides());
            if strides != (1, 1) || pad.0 >= op.r || pad.1 >= op.s {
                return refuse("only with steps of one and less padding than the filter");
            }
            Ok(ConvOp {
                c: op.k,
                k: op.c,
                h: height,
                w: width,
                pad: op.r - 1 - pad.0,
                pad_w: op.s - 1 - pad.1,
                direction: Direction::Forward,
                ..op.clone()
            })
        }
    }
}

fn launch(kernel: impl KernelGenerator + 'static, reason: impl Into<String>) -> Launch {
    Launch {
        kernel: Box::new(kernel),
        reason: reason.into(),
    }
}

fn depthwise(op: &ConvOp) -> Candidate {
    let kernel = Depthwise {
        op: op.clone(),
        arrays: Arrays::default(),
    };
    Candidate {
        name: "depthwise".into(),
        launches: vec![launch(
            kernel,
            "every channel is on its own: a thread a result",
        )],
        estimate: 0.0,
    }
}

/// Whether every result is a product of one pixel and its filter.
fn is_pointwise(shape: &Geometry) -> bool {
    let plain = shape.filter == [1, 1] && shape.stride == [1, 1] && shape.pad == [0, 0];
    plain && shape.groups == 1
}

/// With channels side by side that is a product of matrices.
fn pointwise(op: &ConvOp, shape: &Geometry, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let product = GemmOp {
        m: shape.pixels(),
        n: shape.k,
        k: shape.c,
        batch: 1,
        data: op.data,
        layout: Layout::Nt,
        ..GemmOp::usual()
    };
    // The matrices are the operator's tensors.
    let mut places: Places = std::array::from_fn(|window| kernels::array(window as u64));
    for (matrix, tensor) in [array::IMAGE, array::FILTER, array::RESULT]
        .iter()
        .enumerate()
    {
        places[matrix] = kernels::array(*tensor as u64);
    }
    let mut all = gemm::candidates(&product, gpu)?;
    for launch in all.iter_mut().flat_map(|candidate| &mut candidate.launches) {
        launch.reason = format!("filters of one pixel are a matrix: {}", launch.reason);
        if let Some(moved) = launch.kernel.moved(&places) {
            launch.kernel = moved;
        }
    }
    Ok(all)
}

/// A product on tensor cores; planes of a channel become channels side by side before it. It stores planes again itself,
/// as the kernels do that cuDNN calls `nhwc2nchw`.
fn tensor(op: &ConvOp, shape: &Geometry, channels: u64, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let planes = op.layout == ImageLayout::Nchw;
    let (from, to) = (
        shape.c.next_multiple_of(VECTOR),
        shape.k.next_multiple_of(VECTOR),
    );
    if !planes && (from, to) != (shape.c, shape.k) {
        let what = "tensor cores need channels of input and output that are multiples of 8";
        return Err(Fault::field("layout", "nhwc", what));
    }
    let usual = Arrays::default();
    // A filter of one place has its channels side by side in either layout.
    let same = shape.filter == [1, 1] && from == shape.c;
    let kernel = TensorImplicit {
        op: op.clone(),
        channels,
        planes,
        arrays: match planes {
            false => usual,
            true => {
                let filters = if same { array::FILTER } else { array::FILTERS };
                usual
                    .with(array::IMAGE, usual.at(array::IMAGES))
                    .with(array::FILTER, usual.at(filters))
            }
        },
    };
    let [image, filter] = relayouts(op, shape, from);
    let offsets = Offsets {
        op: op.clone(),
        arrays: usual,
    };
    let (cycles, reason) = loop_cycles(&kernel.build(gpu)?, gpu);
    let mut launches = Vec::new();
    if planes {
        launches.push(launch(image, "nchw to nhwc"));
        if !same {
            launches.push(launch(filter, "filters: nchw to nhwc"));
        }
    }
    launches.push(launch(offsets, "the offset of every depth of the product"));
    launches.push(launch(
        kernel,
        format!("128 pixels x {channels} channels, {reason}"),
    ));
    Ok(Candidate {
        name: format!("implicit_precomp_tensor_128x{channels}"),
        estimate: cycles.max(streamed(bytes(op), gpu)) + NEXT_KERNEL * launches.len() as f64,
        launches,
    })
}

/// Image and filter to channels side by side; rows of channels are so long there.
fn relayouts(op: &ConvOp, shape: &Geometry, from: u64) -> [Relayout; 2] {
    let usual = Arrays::default();
    let relayout = |[read, written]: [usize; 2], [batch, rows, cols]: [u64; 3]| Relayout {
        arrays: usual.with(0, usual.at(read)).with(1, usual.at(written)),
        batch,
        rows,
        cols,
        from_pitch: 0,
        to_pitch: 0,
        bytes: op.data.bytes(),
    };
    let (image, filter) = (shape.image.iter().product(), shape.filter.iter().product());
    [
        Relayout {
            to_pitch: from,
            ..relayout([array::IMAGE, array::IMAGES], [shape.n, shape.c, image])
        },
        Relayout {
            to_pitch: from,
            ..relayout([array::FILTER, array::FILTERS], [shape.k, shape.c, filter])
        },
    ]
}

fn implicit(op: &ConvOp, channels: u64, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let kernel = Implicit {
        op: op.clone(),
        channels,
        arrays: Arrays::default(),
    };
    let offsets = Offsets {
        op: op.clone(),
        arrays: Arrays::default(),
    };
    let (cycles, reason) = loop_cycles(&kernel.build(gpu)?, gpu);
    Ok(Candidate {
        name: format!("implicit_precomp_gemm_128x{channels}"),
        estimate: cycles.max(streamed(bytes(op), gpu)) + NEXT_KERNEL,
        launches: vec![
            launch(offsets, "the offset of every depth of the product"),
            launch(
                kernel,
                format!("128 pixels x {channels} channels, {reason}"),
            ),
        ],
    })
}

fn fused(op: &ConvOp, gpu: &GpuSpec) -> Result<Candidate, Fault> {
    let kernel = FusedWinograd {
        op: op.clone(),
        arrays: Arrays::default(),
    };
    let filters = Transform {
        op: op.clone(),
        stage: Stage::FusedFilters,
        arrays: Arrays::default(),
    };
    let (cycles, reason) = loop_cycles(&kernel.build(gpu)?, gpu);
    let filter_bytes = (op.k * op.c * (9 + 16) * 4) as f64;
    Ok(Candidate {
        name: "winograd_fused".into(),
        estimate: cycles.max(streamed(bytes(op), gpu)) + streamed(filter_bytes, gpu) + NEXT_KERNEL,
        launches: vec![
            launch(filters, "filters of 3 x 3 to 4 x 4"),
            launch(kernel, format!("8 x 16 pixels x 32 channels, {reason}")),
        ],
    })
}

/// Transforms around a batch of 36 products, by the kernel that was recorded or the best one.
fn nonfused(
    op: &ConvOp,
    shape: &Geometry,
    known: Option<&Recorded>,
    gpu: &GpuSpec,
) -> Result<Candidate, Fault> {
    let stage = |stage| Transform {
        op: op.clone(),
        stage,
        arrays: Arrays::default(),
    };
    stage(Stage::Images).build(gpu)?;
    let product = GemmOp {
        m: shape.k,
        n: tiles(shape),
        k: shape.c,
        batch: 36,
        data: op.data,
        layout: Layout::Nn,
        ..GemmOp::usual()
    };
    let known = known.and_then(|known| {
        let kernels = known.kernels.iter().filter(|name| name.contains("gemm"));
        let products = Recorded {
            kernels: kernels.cloned().collect(),
            ..known.clone()
        };
        gemm::recorded(&product, &products, gpu)
    });
    let best = || {
        let all = gemm::candidates(&product, gpu)?.into_iter();
        // The grid's third edge is the batch: nobody splits the depth as well. From Ampere on cuDNN was only ever seen to
        // launch the tile of 128 x 128 here, however few of either edge there are (28 rows, 28 times).
        let one = gpu.compute_capability >= 80;
        all.filter(|candidate| !candidate.name.contains("splitK"))
            .filter(|candidate| !one || candidate.name.contains("128x128"))
            .min_by(|a, b| a.estimate.total_cmp(&b.estimate))
            .ok_or_else(|| Fault::field("c", op.c, "no kernel for the batch of products"))
    };
    let products = known.map_or_else(best, Ok)?;
    let (filters, images, results) = (
        (shape.k * shape.c * (9 + 36) * 4) as f64,
        ((shape.n * shape.c * shape.image[0] * shape.image[1] + 36 * shape.c * product.n) * 4)
            as f64,
        ((shape.pixels() * shape.k + 36 * shape.k * product.n) * 4) as f64,
    );
    let transforms = [filters, images, results].map(|bytes| streamed(bytes, gpu) + NEXT_KERNEL);
    let mut launches = vec![
        launch(
            stage(Stage::Images),
            format!("{} tiles of 6 x 6 pixels", product.n),
        ),
        launch(stage(Stage::Filters), "filters of 3 x 3 to 6 x 6"),
    ];
    launches.extend(products.launches);
    launches.push(launch(stage(Stage::Products), "to 4 x 4 results"));
    Ok(Candidate {
        name: "winograd_nonfused".into(),
        estimate: products.estimate + transforms.iter().sum::<f64>(),
        launches,
    })
}

/// Bytes of image, filter and result.
fn bytes(op: &ConvOp) -> f64 {
    crate::kernels::operator::Operator::Conv(op.clone())
        .work()
        .bytes
}

/// Cycles that so many bytes take from or to memory.
fn streamed(bytes: f64, gpu: &GpuSpec) -> f64 {
    let clocks = f64::from(gpu.dram.clock_khz) / f64::from(gpu.core_clock_khz);
    // A channel moves 32 bytes in two clocks.
    bytes / (f64::from(gpu.dram.channels) * 16.0 * clocks * STREAM)
}

/// Cycles of the multiply-adds of a kernel whose warps go through one loop, and what that is made of.
fn loop_cycles(kernel: &Kernel, gpu: &GpuSpec) -> (f64, String) {
    let header = &kernel.header;
    let demand = Demand {
        threads: header.block.iter().map(|&edge| u64::from(edge)).product(),
        registers_per_thread: header.registers_per_thread,
        smem_bytes: header.smem_bytes,
    };
    let resident = Occupancy::of(&demand, gpu).map_or(1, |of| of.ctas_per_sm);
    let ctas = header.cta_count() as f64;
    let (sms, warps) = (f64::from(gpu.sms), f64::from(header.warps_per_cta()));
    let trips = kernel.ctas.iterations(0) as f64;
    let [math, passes] = loop_cost(&kernel.code, gpu);
    // Both are busy at once, and wait for each other now and then.
    let of_cta = warps * trips * together([math / SUB_CORES, passes]) / MATH;
    // One CTA alone waits for its own instructions.
    let alone = trips * math * ALONE * (warps / SUB_CORES).ceil();
    let waves = ctas / (sms * f64::from(resident));
    let of_sm = (ctas / sms).ceil();
    let cycles = (of_sm * of_cta).max(waves.ceil() * alone.min(of_cta * f64::from(resident)));
    (cycles, format!("{waves:.2} waves of {resident} CTAs an SM"))
}

/// Cycles that the arithmetic of a loop holds its sub-core's pipe, and that its accesses hold the pipe to L1 and shared
/// memory, which the sub-cores share.
fn loop_cost(code: &Code, gpu: &GpuSpec) -> [f64; 2] {
    let branch = code
        .insts
        .iter()
        .position(|inst| inst.class == OpClass::Branch);
    let branch = branch.expect("the kernel has a loop");
    let body = &code.insts[(code.insts[branch].imm / 16) as usize..branch];
    let mut cost = [0.0; 2];
    for inst in body {
        let text = &code.mnemonics[usize::from(inst.mnemonic)];
        if text.starts_with('F') || text.starts_with('H') {
            cost[0] += f64::from(latency::timing(inst, text, gpu).interval);
        }
        let width = inst.mem.map_or(0, |mem| u64::from(mem.width_bytes));
        let pass = u64::from(gpu.smem.banks) * u64::from(gpu.smem.bank_bytes);
        cost[1] += (32 * width).div_ceil(pass) as f64;
    }
    cost
}
