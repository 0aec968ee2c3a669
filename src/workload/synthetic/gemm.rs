//! What the matrix multiplies have in common: their prologue and the end of their loop.

use super::builder::{KernelBuilder, p, r};
use std::ops::Range;

/// Global addresses in R2 and R4, addresses in shared memory (and a counter) in `shared`, cleared
/// results.
pub(super) fn append_prologue(code: &mut KernelBuilder, shared: &[u16], results: Range<u16>) {
    code.entry();
    code.thread_number();
    for (address, parameter) in [(2, 0), (4, 1)] {
        let parameter = code.parameter(parameter);
        code.inst_const("IMAD.WIDE", &[r(address)], &[r(0), r(3)], parameter);
    }
    for &address in shared {
        code.inst("LEA", &[r(address)], &[r(3)]);
    }
    for result in results {
        code.inst("MOV", &[r(result)], &[]);
    }
}

/// Advances both global addresses and the counter, and branches back to instruction `body`.
/// Returns the index after the loop.
pub(super) fn append_loop_end(code: &mut KernelBuilder, counter: u16, body: u32) -> u32 {
    for address in [2, 4, counter] {
        code.inst("IADD3", &[r(address)], &[r(address)]);
    }
    code.inst("ISETP.NE.AND", &[p(0)], &[r(counter)]);
    code.branch(body);
    code.here()
}
