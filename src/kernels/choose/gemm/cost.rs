//! How long a product would take: waves of CTAs, each as fast as the scarcest of the machine's own rates lets it be.

use super::super::together;
use crate::config::GpuSpec;
use crate::kernels::gemm::{Gemm, Merge, Work};
use crate::kernels::operator::Layout;
use crate::mem::dram::spec::grade;

/// Share of the peak that long streams from memory reach.
const STREAM: f64 = 0.9;
/// How much longer a load takes while all SMs load.
const QUEUED: f64 = 2.0;
/// Share of L2 that holds what is read again.
const KEPT: f64 = 0.7;

/// The estimate, and what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    /// Core cycles.
    pub cycles: f64,
    /// CTAs that an SM holds.
    pub resident: u32,
    /// Waves, the last one in part.
    pub waves: f64,
    /// What limits it.
    pub limit: &'static str,
}

/// CTAs of so many registers a thread, bytes of shared memory and warps that an SM of `gpu` holds.
fn resident((registers, smem_bytes, warps): (u32, u64, u32), gpu: &GpuSpec) -> u32 {
    let unit = gpu.sm.register_alloc_unit;
    let of_warp = (registers * 32).next_multiple_of(unit);
    let allocated = warps.next_multiple_of(u32::from(gpu.sm.warp_alloc_unit));
    let carveout = gpu.l1.carveouts_kib.iter().max().copied().unwrap_or(0);
    let smem = smem_bytes + u64::from(gpu.smem.reserved_per_cta_bytes);
    let of_smem = u64::from(carveout) * 1024 / smem.max(1);
    [
        u32::from(gpu.sm.ctas_max),
        u32::from(gpu.sm.warps_max) / warps,
        gpu.sm.registers / (of_warp * allocated),
        of_smem as u32,
    ]
    .into_iter()
    .min()
    .unwrap_or(0)
}

/// Bytes a core cycle of DRAM: a channel moves 16 in a command clock.
pub(super) fn dram_bytes(gpu: &GpuSpec) -> f64 {
    let clocks = f64::from(gpu.dram.clock_khz) / f64::from(gpu.core_clock_khz);
    f64::from(gpu.dram.channels) * 16.0 * clocks * STREAM
}

/// Bytes that a channel of DRAM could move between two openings of rows, which come no closer than tRRD and four in tFAW.
fn row_opened(gpu: &GpuSpec) -> f64 {
    let standard = grade(gpu.dram.standard);
    let timing = &standard.timing;
    let between = f64::from(timing.rrd_l.max(timing.rrd_s)).max(f64::from(timing.faw) / 4.0);
    between / f64::from(timing.bl) * f64::from(standard.org.burst_bytes)
}

/// Cycles to bring `bytes` from DRAM for `gemm`. A row is opened for each piece: all CTAs go along the depth together, so
/// that the next piece of a matrix's row comes too late to find it open. Where the depth lies side by side in the larger
/// matrix, pieces are as long as a stage is deep, or as what a hint of asynchronous loads makes L2 fetch.
fn streaming(gemm: &Gemm, bytes: f64, gpu: &GpuSpec) -> f64 {
    let size = gemm.data.bytes() as f64;
    let [a, b, _] = gemm.footprint();
    let along_depth = match a > b {
        true => matches!(gemm.layout, Layout::Nn | Layout::Nt),
        false => matches!(gemm.layout, Layout::Nt | Layout::Tt),
    };
    // `LTC128B`: the rest of the line comes with it.
    let hinted = match gemm.asynchronous(gpu.compute_capability) {
        true => f64::from(gpu.l1.line_bytes),
        false => 0.0,
    };
    let piece = match along_depth {
        true => (f64::from(gemm.tile.k) * size).max(hinted),
        // Neighbours read what is beside it at about the same time.
        false => 4.0 * f64::from(gemm.tile.m.min(gemm.tile.n)) * size,
    };
    bytes / dram_bytes(gpu) * (1.0 + (row_opened(gpu) / piece).powi(4)).powf(0.25)
}

/// Bytes a core cycle that all L2 slices give.
fn l2_bytes(gpu: &GpuSpec) -> f64 {
    f64::from(gpu.l2.slices) * f64::from(gpu.l2.slice_bytes_per_cycle) * STREAM
}

/// Cycles from a load that hits in L2 to its result.
fn hit_latency(gpu: &GpuSpec) -> f64 {
    let noc = &gpu.noc;
    [noc.request_latency, gpu.l2.hit_latency, noc.reply_latency]
        .map(f64::from)
        .iter()
        .sum()
}

/// Cycles from a load that misses everything to its result.
fn memory_latency(gpu: &GpuSpec) -> f64 {
    let behind = f64::from(gpu.l2.miss_latency) + f64::from(gpu.l2.fill_latency);
    hit_latency(gpu) + behind + 150.0
}

/// Cycles of an iteration when an SM has `ctas` CTAs of it, of `active` SMs, and what limits it.
fn iteration(work: &Work, (ctas, active): (f64, f64), gpu: &GpuSpec) -> (f64, &'static str) {
    let warps = f64::from(work.warps) * ctas;
    let of_core = (warps / 4.0).ceil();
    let reply = f64::from(gpu.noc.sm_reply_bytes_per_cycle);
    // A warp alone: its arithmetic, then the barrier and the first fragments.
    let sync = f64::from(gpu.sm.latency.barrier) + f64::from(gpu.smem.load_latency) + 10.0;
    let alone = work.math.max(work.instructions) * (f64::from(work.warps) / 4.0).ceil() + sync;
    // Tiles come so many iterations ahead; one by one they cannot come faster than memory answers.
    let alone = alone.max(memory_latency(gpu) * QUEUED / work.ahead + sync);
    let shared = [
        (of_core * work.math, "arithmetic"),
        (of_core * work.instructions, "issue"),
        (warps * work.passes, "shared memory"),
        (ctas * work.bytes / reply, "the SM's port"),
        (ctas * work.bytes * active / l2_bytes(gpu), "L2"),
    ];
    let most = shared.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let &(_, limit) = most.expect("there are limits");
    let together = together(shared.iter().map(|limit| limit.0));
    match alone > together {
        true => (alone, "one CTA's own latency"),
        false => (together, limit),
    }
}

/// Bytes from DRAM: matrices once if they stay in L2, else the panels of every wave.
fn traffic(gemm: &Gemm, in_wave: f64) -> f64 {
    let [a, b, c] = gemm.footprint();
    let tiles = [
        gemm.shape.m.div_ceil(gemm.tile.m.into()) as f64,
        gemm.shape.n.div_ceil(gemm.tile.n.into()) as f64,
    ];
    let parts = f64::from(gemm.split);
    let across = (in_wave / parts).max(1.0).min(tiles[1] * tiles[0]);
    // Neighbours in x are a row of tiles; a wave of less than a row reads one panel of A.
    let (columns, rows) = (across.min(tiles[1]), (across / tiles[1]).max(1.0));
    let waves = tiles[0] * tiles[1] / across;
    let panels = waves * (rows * a / tiles[0] + columns * b / tiles[1]);
    panels.max(a + b) + c
}

/// What `gemm` would take on `gpu`; nothing if no SM holds a CTA.
pub(super) fn cost(gemm: &Gemm, gpu: &GpuSpec) -> Option<Cost> {
    let work = gemm.work(gpu);
    let resident = resident((work.registers, work.smem_bytes, work.warps), gpu);
    if resident == 0 || work.registers > gpu.sm.registers_per_thread_max.into() {
        return None;
    }
    let sms = f64::from(gpu.sms);
    let ctas: f64 = gemm
        .launch_grid()
        .iter()
        .map(|&edge| f64::from(edge))
        .product();
    let of_wave = sms * f64::from(resident);
    let trips = (gemm.shape.k as f64 / f64::from(gemm.tile.k) / f64::from(gemm.split)).ceil();
    let result = if gemm.split > 1 {
        4.0
    } else {
        gemm.output.bytes() as f64
    };
    let wave = |ctas: f64| {
        let active = ctas.min(sms);
        let of_sm = (ctas / sms).ceil();
        let (cycles, limit) = iteration(&work, (of_sm, active), gpu);
        let warps = f64::from(work.warps) * of_sm;
        let results = f64::from(gemm.tile.m * gemm.tile.n) * result * of_sm;
        let port = f64::from(gpu.noc.sm_request_bytes_per_cycle);
        let finish = (warps / 4.0).ceil() * work.finish + results / port;
        (cycles * trips + finish + memory_latency(gpu), limit)
    };
    let full = (ctas / of_wave).floor();
    let rest = ctas - full * of_wave;
    let (of_full, limit) = wave(of_wave.min(ctas));
    let of_rest = if rest > 0.0 { wave(rest).0 } else { 0.0 };
    let busy = full * of_full + of_rest;
    let mut dram = traffic(gemm, of_wave.min(ctas));
    let kept = gpu.l2.bytes as f64 * KEPT;
    let [a, b, c] = gemm.footprint();
    if a + b < kept {
        dram = a + b + c;
    }
    let streamed = streaming(gemm, dram, gpu) + memory_latency(gpu);
    let limit = if streamed > busy { "DRAM" } else { limit };
    let mut cycles = together([streamed, busy]);
    cycles += merging(gemm, gpu);
    Some(Cost {
        cycles,
        resident,
        waves: ctas / of_wave,
        limit,
    })
}

/// A kernel without tiles: every warp goes through a loop whose loads it waits for.
pub(super) struct Thin {
    /// CTAs, and the warps of one.
    pub ctas: u64,
    pub warps: u64,
    /// Of a thread.
    pub registers: u16,
    /// Of a CTA.
    pub smem_bytes: u64,
    /// Times through the loop, and instructions of a warp in it.
    pub trips: u64,
    pub instructions: u64,
    /// Passes over L1 of a warp in it: 128 bytes each.
    pub passes: u64,
    /// Instructions of a warp behind it.
    pub finish: u64,
    /// Operands and results, each once.
    pub bytes: f64,
    /// What a CTA reads of the small matrix: L1 holds it for the CTA's warps, every CTA asks L2 for it.
    pub small_bytes: u64,
    /// How many times in a trip a warp waits for the small matrix, beyond the wait for the large one.
    pub waits: u64,
}

/// What `thin` would take on `gpu`.
pub(super) fn thin_cost(thin: &Thin, gpu: &GpuSpec) -> Option<Cost> {
    let held = (thin.registers.into(), thin.smem_bytes, thin.warps as u32);
    let resident = resident(held, gpu);
    if resident == 0 {
        return None;
    }
    let sms = f64::from(gpu.sms);
    let of_wave = sms * f64::from(resident);
    let ctas = thin.ctas as f64;
    let full = (ctas / of_wave).floor();
    let rest = ctas - full * of_wave;
    let (of_full, limit) = thin_wave(thin, of_wave.min(ctas), gpu);
    let of_rest = if rest > 0.0 {
        thin_wave(thin, rest, gpu).0
    } else {
        0.0
    };
    Some(Cost {
        cycles: full * of_full + of_rest + 2.0 * memory_latency(gpu),
        resident,
        waves: ctas / of_wave,
        limit,
    })
}

/// Cycles of a wave of so many CTAs of `thin`, and what limits it.
fn thin_wave(thin: &Thin, ctas: f64, gpu: &GpuSpec) -> (f64, &'static str) {
    let sms = f64::from(gpu.sms);
    let trips = thin.trips as f64;
    let instructions = trips * thin.instructions as f64 + thin.finish as f64;
    let warps = ctas * thin.warps as f64;
    // The large matrix's loads of a trip are under way together; the next trip waits for them.
    let waits = memory_latency(gpu) + thin.waits as f64 * hit_latency(gpu);
    let trip = waits * QUEUED + thin.instructions as f64;
    let bytes = thin.bytes * ctas / thin.ctas as f64;
    let small = ctas * thin.small_bytes as f64;
    let limits = [
        (bytes / dram_bytes(gpu), "DRAM"),
        ((bytes + small) / l2_bytes(gpu), "L2"),
        ((warps / (4.0 * sms)).ceil() * instructions, "issue"),
        ((warps / sms).ceil() * trips * thin.passes as f64, "L1"),
        (
            trips * trip + thin.finish as f64 * 4.0,
            "one warp's own latency",
        ),
    ];
    let most = limits.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let &(_, limit) = most.expect("there are limits");
    (together(limits.iter().map(|limit| limit.0)), limit)
}

/// What the parts of a split depth cost.
fn merging(gemm: &Gemm, gpu: &GpuSpec) -> f64 {
    if gemm.split == 1 {
        return 0.0;
    }
    let results = gemm.shape.m as f64 * gemm.shape.n as f64 * gemm.shape.batch as f64;
    let parts = f64::from(gemm.split) * results * 4.0;
    match gemm.merge {
        // A sector of 32 bytes a slice and interval.
        Merge::InPlace => {
            parts / 32.0 * f64::from(gpu.l2.atomic_interval) / f64::from(gpu.l2.slices)
        }
        Merge::Workspace => reducing(parts, gpu),
    }
}

/// Parts of so many bytes written, read, and the launch of the kernel that adds.
pub(super) fn reducing(parts: f64, gpu: &GpuSpec) -> f64 {
    let launch = &gpu.launch;
    let gap = launch.kernel_start + launch.kernel_end + launch.stream_gap;
    let kept = 2.0 * parts < gpu.l2.bytes as f64 * KEPT;
    let rate = if kept {
        l2_bytes(gpu) / 2.0
    } else {
        dram_bytes(gpu)
    };
    f64::from(gap) + 2.0 * memory_latency(gpu) + 2.0 * parts / rate
}
