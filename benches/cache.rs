//! Coalescer, L1 and one L2 slice, each alone.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phantom_gpu::config::{self, GpuSpec};
use phantom_gpu::internals::mem::cache::Access;
use phantom_gpu::internals::mem::l1::L1;
use phantom_gpu::internals::mem::l2::{Action, Slice};
use phantom_gpu::internals::mem::{Line, ReplyTo, Request, RequestKind, SectorMask};
use phantom_gpu::internals::sm::memory::banks::{Banks, Service, bank_passes};
use phantom_gpu::internals::sm::memory::coalesce::{Lines, coalesce};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const ACCESSES: u64 = 10_000;

fn spec() -> GpuSpec {
    config::load("v100", &[]).expect("a built-in GPU").spec
}

fn coalescer(c: &mut Criterion) {
    let mut group = c.benchmark_group("coalescer");
    group.throughput(Throughput::Elements(1));
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let shapes: [(&str, Vec<u64>); 3] = [
        ("contiguous", (0..32).map(|lane| 4096 + 4 * lane).collect()),
        ("strided", (0..32).map(|lane| 4096 + 256 * lane).collect()),
        (
            "random",
            (0..32)
                .map(|_| random.random_range(0..1 << 26) * 4)
                .collect(),
        ),
    ];
    let banks = Banks {
        count: 32,
        word_bytes: 4,
    };
    let mut lines = Lines::default();
    for (name, addresses) in &shapes {
        group.bench_function(format!("{name}/lines"), |b| {
            b.iter(|| {
                coalesce(addresses, 4, &mut lines);
                lines.as_slice().len()
            });
        });
        group.bench_function(format!("{name}/banks"), |b| {
            b.iter(|| bank_passes(addresses, u32::MAX, 4, banks, Service::Other).passes);
        });
    }
    group.finish();
}

fn l1(c: &mut Criterion) {
    let mut group = c.benchmark_group("l1");
    group.throughput(Throughput::Elements(ACCESSES));
    let spec = spec();
    for (name, lines) in [("hits", 256), ("streams", u64::MAX)] {
        group.bench_function(name, |b| {
            let mut cache = L1::<u32>::new(&spec.l1);
            cache.flush(0);
            let mut at = 0;
            b.iter(|| {
                let mut done = 0;
                for _ in 0..ACCESSES {
                    at += 1;
                    let line = Line(at % lines);
                    let read = cache
                        .read(line, SectorMask::ALL, 0, Access::default())
                        .expect("one line in flight");
                    if !read.request.is_empty() {
                        std::hint::black_box(cache.fill(line, read.request, |_| done += 1));
                    }
                }
                done
            });
        });
    }
    group.finish();
}

fn slice(c: &mut Criterion) {
    let mut group = c.benchmark_group("l2_slice");
    group.throughput(Throughput::Elements(ACCESSES));
    let spec = spec();
    let cases = [
        ("read_hits", RequestKind::Read, 64),
        ("read_streams", RequestKind::Read, u64::MAX),
        ("write_streams", RequestKind::Write, u64::MAX),
        ("reductions", RequestKind::Reduction, 64),
    ];
    for (name, kind, lines) in cases {
        group.bench_function(name, |b| {
            let mut slice = Slice::new(&spec.l2, &spec.noc);
            let mut actions = Vec::new();
            let mut now = 0;
            b.iter(|| {
                for _ in 0..ACCESSES {
                    now += 2;
                    let request = request(now, now / 2 % lines, kind);
                    slice.serve(&request, now, true, &mut actions);
                    fill(&mut slice, now, &mut actions);
                }
                slice.stats.requests
            });
        });
    }
    group.finish();
}

/// Answers what the slice fetched at once.
fn fill(slice: &mut Slice, now: u64, actions: &mut Vec<Action>) {
    let fetch = actions.drain(..).find_map(|action| match action {
        Action::Fetch { line, sectors, .. } => Some((line, sectors)),
        _ => None,
    });
    if let Some((line, sectors)) = fetch {
        slice.arrived(line, sectors, now, true, actions);
        actions.clear();
    }
}

fn request(at: u64, line: u64, kind: RequestKind) -> Request {
    Request {
        at,
        full: SectorMask::ALL,
        atomic_cycles: 1,
        ..Request::new(kind, Line(line), SectorMask::ALL, ReplyTo::Fill)
    }
}

criterion_group!(benches, coalescer, l1, slice);
criterion_main!(benches);
