//! Requests per second of one DRAM channel, one thread. Targets: 5 M/s sequential, 1.5 M/s random reads on HBM2_2000.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phantom_gpu::internals::mem::dram::replay::{Pattern, Replay, generate};
use phantom_gpu::internals::mem::dram::{ChannelSpec, NoDramProbe, standard};

fn channel(c: &mut Criterion) {
    let mut group = c.benchmark_group("dram");
    group.sample_size(10);
    let count = 200_000;
    group.throughput(Throughput::Elements(count as u64));
    let cases = [
        ("sequential_read", Pattern::Sequential, (0, 1)),
        ("sequential_write", Pattern::Sequential, (1, 1)),
        ("random_read", Pattern::Random { bytes: 32 }, (0, 1)),
        ("random_mixed", Pattern::Random { bytes: 128 }, (4, 12)),
        (
            "streams_8",
            Pattern::Streams {
                streams: 8,
                chunk: 128,
            },
            (0, 1),
        ),
    ];
    for name in ["HBM2_2000", "HBM3_6400", "GDDR6_14000"] {
        for (what, pattern, writes) in cases {
            let records = generate(pattern, count, writes, 1 << 28, 1);
            let spec = ChannelSpec::new(standard(name).expect("a built-in standard"));
            let replay = Replay {
                spec,
                mlp: None,
                every_cycle: false,
            };
            group.bench_function(format!("{name}/{what}"), |b| {
                b.iter(|| replay.run(&records, &mut NoDramProbe).cycles);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, channel);
criterion_main!(benches);
