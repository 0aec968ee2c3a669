//! The parts close, each follows from its counters, and voltage and clock act where they should.

use super::*;
use crate::config;
use crate::report::Report;
use crate::session::{Options, Session};

fn report(gpu: &str, input: &str, sets: &[&str]) -> (Report, GpuSpec) {
    let session = Session::new(gpu, sets).unwrap();
    let workload = session.open(&[input]).unwrap();
    let report = session.run(&workload, &Options::default()).unwrap().report;
    (report, session.spec().clone())
}

fn energy(gpu: &str, input: &str, sets: &[&str]) -> (Energy, Kernel) {
    let (report, spec) = report(gpu, input, sets);
    let kernel = report.kernels[0].clone();
    let table = Coefficients::of(&spec);
    (Energy::of(&kernel, &spec, &table), kernel)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

#[test]
fn parts_sum_to_the_whole_and_power_is_energy_by_time() {
    for gpu in [
        "v100", "t4", "a100-80", "rtx3090", "l4", "h100-sxm", "b200", "rtx5090",
    ] {
        let (energy, kernel) = energy(gpu, "synth:copy?bytes=256KiB", &[]);
        let sum: f64 = energy.parts().iter().map(|(_, joules)| joules).sum();
        assert!(close(energy.total_j, sum) && sum > 0.0, "{gpu}");
        assert!(
            close(energy.average_w * kernel.time_us * 1e-6, sum),
            "{gpu}"
        );
        for (part, joules) in energy.parts() {
            assert!(joules >= 0.0, "{gpu}: {part}");
        }
    }
}

/// 0.1 + 0.2 - 0.1 - 0.2 is not nothing.
#[test]
fn power_of_events_is_nothing_where_there_is_no_event() {
    let idle = Energy {
        constant_j: 0.1,
        static_j: 0.2,
        ..Energy::default()
    };
    assert_eq!(idle.summed(1.0).dynamic_w, 0.0);
}

/// A megabyte is read and one written: 2 x 2^20 x 8 bits, and the rows that were opened.
#[test]
fn memory_is_paid_by_the_bit_and_by_the_row() {
    let (energy, kernel) = energy("v100", "synth:copy?bytes=1MiB", &[]);
    let table = Coefficients::of(&config::load("v100", &[]).unwrap().spec);
    let dram = &kernel.dram.counters;
    assert_eq!(dram.reads, (1 << 20) / 32);
    let bits = ((dram.reads + dram.writes) * 256) as f64 * table.memory.bit_pj.value;
    let rows = (dram.activates * 1024) as f64 * table.memory.activate_byte_pj.value;
    assert!(dram.activates > 0);
    assert!(close(energy.dram_j, (bits + rows) * 1e-12));
}

/// Reads and writes of the report are all bursts, those of check bits among them.
#[test]
fn check_bits_are_paid_once() {
    let (energy, kernel) = energy("t4", "synth:copy?bytes=1MiB", &[]);
    let spec = config::load("t4", &[]).unwrap().spec;
    let table = Coefficients::of(&spec);
    let dram = &kernel.dram.counters;
    assert!(dram.ecc_reads > 0 && dram.reads >= (1 << 20) / 32 + dram.ecc_reads / 2);
    let row_bytes = u64::from(channel_spec(&spec.dram).standard.org.row_bytes);
    let rows = (dram.activates * row_bytes) as f64 * table.memory.activate_byte_pj.value;
    let bits = ((dram.reads + dram.writes) * 256) as f64 * table.memory.bit_pj.value;
    assert!(close(energy.dram_j, (bits + rows) * 1e-12));
}

/// DEVIATIONS.md, E7.
#[test]
fn the_constant_of_boards_of_70_watts_is_too_large() {
    let large = |gpu: &&str| {
        let spec = config::load(gpu, &[]).unwrap().spec;
        let constant = Coefficients::of(&spec).constant_w.value + f64::from(spec.power.board_w);
        constant > 0.5 * f64::from(spec.power.limit_w)
    };
    let found: Vec<&str> = config::names().into_iter().filter(large).collect();
    assert_eq!(found, ["t4", "gtx1650", "l4"]);
}

/// Twice the work of lanes is twice the energy of lanes; one lane of 32 pays a thirty-second.
#[test]
fn lanes_are_paid_one_by_one() {
    let of = |block: u32| {
        let input = format!("synth:ffma?grid=1&block={block}");
        energy("v100", &input, &[]).0
    };
    let (one, whole) = (of(1), of(32));
    let table = Coefficients::of(&config::load("v100", &[]).unwrap().spec);
    assert!(table.fma_lane_pj.value > 0.0);
    assert!(
        close(32.0 * one.lanes_j, whole.lanes_j),
        "{} {}",
        one.lanes_j,
        whole.lanes_j
    );
    assert!(close(one.front_end_j, whole.front_end_j));
}

/// Below the first point of its curve the voltage does not change: events cost the same at half the clock, and what leaks
/// leaks twice as long.
#[test]
fn a_slower_clock_at_the_same_voltage_costs_time_only() {
    let input = "synth:ffma?grid=80&block=256";
    let at = |clock: &str| energy("v100", input, &[clock]).0;
    let (fast, slow) = (
        at("gpu.core_clock_khz=800 MHz"),
        at("gpu.core_clock_khz=400 MHz"),
    );
    for (a, b) in [
        (fast.lanes_j, slow.lanes_j),
        (fast.register_file_j, slow.register_file_j),
        (fast.front_end_j, slow.front_end_j),
    ] {
        assert!(a > 0.0 && close(a, b), "{a} {b}");
    }
    assert!(slow.static_j > 1.9 * fast.static_j && slow.static_j < 2.1 * fast.static_j);
    // At the clock of the table, the square of 0.9124 / 0.75 volts dearer.
    let ratio = at("gpu.core_clock_khz=1417 MHz").lanes_j / fast.lanes_j;
    let volts: f64 = (0.9 + 0.15 * 37.0 / 247.0) / 0.75;
    assert!((ratio - volts.powi(2)).abs() < 1e-3, "{ratio}");
}

/// A board that takes more at all times, and one that runs at another voltage.
#[test]
fn a_board_has_its_own_constant_and_its_own_voltage() {
    let input = "synth:ffma?grid=80&block=256";
    let own = energy("v100", input, &[]).0;
    let (more, kernel) = energy("v100", input, &["power.board_w=30"]);
    let seconds = kernel.time_us * 1e-6;
    assert!(close(more.constant_j, own.constant_j + 30.0 * seconds));
    assert!(close(more.total_j, own.total_j + 30.0 * seconds));
    let low = energy("v100", input, &["power.voltage_milli=900"]).0;
    assert!(close(low.lanes_j, 0.81 * own.lanes_j) && own.lanes_j > 0.0);
    assert!(close(low.static_j, 0.81 * own.static_j));
    assert!(close(low.constant_j, own.constant_j) && close(low.dram_j, own.dram_j));
}
