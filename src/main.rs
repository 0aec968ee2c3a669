//! The `phantom-gpu` command.
use phantom_gpu::{config, probe::NoProbe, simulation, trace};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let spec = config::load(&args[2], &args[4..].to_vec()).unwrap().spec;
    let w = trace::open::open(&args[1]).unwrap();
    println!("import {:?}", w.import);
    let o = simulation::Options { threads: args[3].parse().unwrap(), no_skip: std::env::var("NOSKIP").is_ok(), ..Default::default() };
    let r = simulation::run::<NoProbe>(&w, &spec, &o).unwrap();
    let wi: u64 = r.kernels.iter().map(|k| k.warp_instructions).sum();
    println!("quantum {} cycles {} wall {:.3} winst {} ({:.2} M/s)", phantom_gpu::gpu::quantum(&spec), r.cycles, r.wall_s, wi, wi as f64 / r.wall_s / 1e6);
    for k in r.kernels.iter().take(20) {
        println!("{} {} cycles {} winst {} tinst {} occ {:?}", k.header.name, k.start, k.end - k.start, k.warp_instructions, k.thread_instructions, k.occupancy);
        let c = &k.counters;
        for (n, v) in phantom_gpu::stats::Label::NAMES.iter().zip(c.sm.issue.slots) { if v > 0 { print!("{n}={v} "); } }
        println!("sum {} expect {}", c.sm.issue.total(), (k.end - k.start) * 4 * u64::from(spec.sms));
        println!("{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}", c.sm.sm, c.sm.fetch, c.sm.lsu, c.sm.l1, c.noc, c.l2);
        println!("{:?}", c.dram);
    }
}
