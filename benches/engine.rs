//! The calendar: messages in and sorted out again, in quanta of 20 cycles.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phantom_gpu::internals::engine::Calendar;
use phantom_gpu::internals::ids::SmId;
use phantom_gpu::internals::mem::{Line, ReplyTo, Request, RequestKind, SectorMask};

/// Requests of a quantum.
const MESSAGES: u64 = 256;
const QUANTUM: u64 = 20;
const QUANTA: u64 = 64;

fn request(at: u64, number: u32) -> Request {
    Request {
        at,
        sm: SmId((number % 80) as u16),
        ..Request::new(
            RequestKind::Read,
            Line(u64::from(number)),
            SectorMask::one(0),
            ReplyTo::Fill,
        )
    }
}

fn calendar(c: &mut Criterion) {
    let mut group = c.benchmark_group("calendar");
    group.throughput(Throughput::Elements(MESSAGES * QUANTA));
    for (name, ahead) in [("near", 1), ("far", 200)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut calendar = Calendar::new(QUANTUM);
                let mut out = Vec::new();
                let mut taken = 0;
                for quantum in 0..QUANTA + ahead {
                    for k in (0..MESSAGES).filter(|_| quantum < QUANTA) {
                        // Any order within the quantum.
                        let at = (quantum + ahead) * QUANTUM + k * 7919 % QUANTUM;
                        calendar.push(request(at, k as u32));
                    }
                    calendar.take(quantum, &mut out);
                    taken += out.len();
                }
                calendar.take(QUANTA + ahead, &mut out);
                taken + out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calendar);
criterion_main!(benches);
