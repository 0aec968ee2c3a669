//! Pointer chase: one thread follows a random ring through a working set, one load at a time.

use super::builder::{KernelBuilder, p, r};
use super::params::{Param, Params};
use super::{Entry, Made, WarpGenerator, array, per_warp};
use crate::config::GpuSpec;
use crate::error::Result;
use crate::trace::{CtaEncoder, PatternId};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::sync::Arc;

pub(super) const PCHASE: Entry = Entry {
    name: "pchase",
    doc: "one thread, dependent loads along a random ring; cycles an iteration = latency of a load \
          (subtract a run with fewer iterations)",
    params: &[
        Param::bytes("bytes", 16 << 10, 32, 1 << 32, "working set"),
        Param::bytes("stride", 128, 4, 1 << 24, "distance of two elements"),
        Param::count("iters", 1000, 1, 100_000_000, "loads after the warm-up"),
        Param::count("warmup", 1, 0, 1000, "laps before them"),
        Param::name("cache", &["all", "l2"], "levels that keep the lines"),
        Param::name("order", &["random", "linear"], "order of the ring"),
        Param::count("seed", 1, 0, u64::MAX, "of the ring"),
    ],
    make,
};

/// Loads of an unrolled loop iteration.
const UNROLL: u64 = 64;

struct Chase {
    /// Elements in the order of the ring.
    ring: Arc<[u32]>,
    stride: u64,
    loads: u64,
    body: u32,
    pattern: PatternId,
}

impl WarpGenerator for Chase {
    fn warp(&self, _cta: u64, _warp: u32, out: &mut CtaEncoder) {
        for index in 0..self.body {
            out.inst(index, 1);
        }
        let mut ring = self.ring.iter().cycle();
        for n in 0..self.loads {
            let at = self.body + (n % UNROLL) as u32;
            out.inst(at, 1);
            let element = ring.next().expect("the ring is not empty");
            let address = array(0) + u64::from(*element) * self.stride;
            out.access_pattern(at, address, self.pattern);
            if n % UNROLL == UNROLL - 1 && n + 1 < self.loads {
                for index in at + 1..=at + 3 {
                    out.inst(index, 1);
                }
            }
        }
        let end = self.body + UNROLL as u32 + 3;
        out.inst(end, 1);
        out.inst(end + 1, 1);
    }
}

/// A random ring: a shuffled order, visited again and again.
fn ring(elements: u64, params: &Params) -> Arc<[u32]> {
    let mut order: Vec<u32> = (0..elements as u32).collect();
    if params.get("order") == 0 {
        // The generator's state is odd: its lowest bits do not count.
        let seed = u128::from(params.get("seed")) << 2;
        let mut random = Pcg64Mcg::from_seed(seed.to_le_bytes());
        for last in (1..order.len()).rev() {
            let other = random.random_range(0..=last);
            order.swap(last, other);
        }
    }
    order.into()
}

fn make(params: &Params, gpu: &GpuSpec) -> Result<Made> {
    let (bytes, stride) = (params.get("bytes"), params.get("stride"));
    if stride % 4 != 0 {
        return Err(params.fault("stride", "not a multiple of 4"));
    }
    let elements = bytes / stride;
    if elements == 0 {
        return Err(params.fault("bytes", format!("below stride={stride}")));
    }
    // The ring is kept in memory, four bytes an element.
    if elements > 1 << 26 {
        return Err(params.fault("bytes", "more than 2^26 elements; raise stride"));
    }
    let mut code = KernelBuilder::new(gpu.compute_capability);
    code.entry();
    let parameter = code.parameter(0);
    code.inst_const("MOV", &[r(2)], &[], parameter);
    code.inst_const("MOV", &[r(3)], &[], parameter + 4);
    code.inst("MOV", &[r(4)], &[]);
    let body = code.here();
    let load = match (params.get("cache"), code.sm_version()) {
        (0, _) => code.global("LDG", 4),
        _ => "LDG.E.STRONG.GPU".to_owned(),
    };
    for _ in 0..UNROLL {
        // The loaded value is the low half of the next address.
        code.inst(&load, &[r(2)], &[r(2)]);
    }
    code.inst_imm("IADD3", &[r(4)], &[r(4)], 1);
    code.inst("ISETP.NE.AND", &[p(0)], &[r(4)]);
    code.branch(body);
    code.inst("ISETP.NE.AND", &[p(1)], &[r(2)]);
    code.inst("EXIT", &[], &[]);
    let generator = Chase {
        ring: ring(elements, params),
        stride,
        loads: elements * params.get("warmup") + params.get("iters"),
        body,
        pattern: code.pattern(1, 4, |_| 0),
    };
    Ok(Made {
        name: "pchase",
        grid: [1, 1, 1],
        block: [1, 1, 1],
        registers: 16,
        smem_bytes: 0,
        code,
        generator: per_warp(1, generator),
    })
}
