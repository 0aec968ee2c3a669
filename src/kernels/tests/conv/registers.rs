//! Operands of what convolutions compute.

use super::*;

/// What a transform computes goes to a register, and comes from registers that its threads have.
#[test]
fn arithmetic_of_winograd_has_results() {
    for way in ["winograd_nonfused", "winograd_fused"] {
        for kernel in named("n=1&c=8&h=8&w=8&k=8&pad=1", way, "v100") {
            let registers = kernel.header.registers_per_thread;
            let insts = kernel.code.insts.iter();
            for inst in insts.filter(|inst| inst.class == OpClass::Fp32) {
                let name = &kernel.header.name;
                assert_eq!(inst.dst[0].count, 1, "{name}: {:#x}", inst.pc);
                let all = inst
                    .dst
                    .iter()
                    .chain(&inst.src)
                    .filter(|range| range.count > 0);
                for range in all {
                    let last = u16::from(range.first) + u16::from(range.count);
                    assert!(last <= registers, "{name}: {:#x}", inst.pc);
                }
            }
        }
    }
}
