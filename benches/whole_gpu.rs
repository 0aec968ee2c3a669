//! Whole kernels on a V100, in warp instructions per second; the hash of each report is printed, so that a
//! change of speed is not taken for one when it is a change of work.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use phantom_gpu::internals::hash::ContentHash;
use phantom_gpu::internals::probe::{Instruments, NoProbe, Probe};
use phantom_gpu::internals::research::{BuildProbe, FEATURES};
use phantom_gpu::internals::simulation::Options;
use phantom_gpu::report::Report;
use phantom_gpu::session::Session;

const INPUTS: &[&str] = &[
    "synth:ffma?grid=160&block=256&iters=4",
    "synth:copy?bytes=1MiB",
    "synth:gather?grid=16&per=4",
    "synth:sgemm?m=256&n=256&k=64",
    "synth:hgemm?m=256&n=256&k=64",
];

fn report<P: Probe + Sync>(input: &str) -> Report {
    let session = Session::new::<&str>("v100", &[]).expect("a built-in GPU");
    let workload = session.open(&[input]).expect("a built-in workload");
    let options = Options {
        instruments: Instruments {
            chosen: FEATURES.iter().map(|f| f.name).collect(),
            ..Instruments::default()
        },
        ..Options::default()
    };
    let outcome = session.run_with::<P>(&workload, &options);
    outcome.expect("a kernel that fits").report
}

/// Hash of what a report says about the simulated machine.
fn hash(report: &Report) -> String {
    let mut value = serde_json::to_value(report).expect("plain data");
    if let Some(map) = value.as_object_mut() {
        map.remove("simulation");
    }
    ContentHash::of(value.to_string().as_bytes()).hex()
}

fn whole_gpu(c: &mut Criterion) {
    let mut group = c.benchmark_group("whole_gpu");
    group.sample_size(10);
    for input in INPUTS {
        let report_of_input = report::<NoProbe>(input);
        println!("{input}: report {}", hash(&report_of_input));
        let count = report_of_input.totals.warp_instructions;
        group.throughput(Throughput::Elements(count));
        group.bench_function(*input, |b| {
            b.iter(|| report::<NoProbe>(input).totals.cycles)
        });
        if size_of::<BuildProbe>() > 0 {
            group.bench_function(format!("{input}/probes"), |b| {
                b.iter(|| report::<BuildProbe>(input).totals.cycles)
            });
        }
    }
    group.finish();
}

criterion_group!(benches, whole_gpu);
criterion_main!(benches);
