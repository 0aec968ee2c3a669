//! Arithmetic with the carry flag.

use super::op::{Carry, Half};
use super::regs::{LANES, Regs};

/// Arithmetic with the carry flag; `bits` is 32 or 64.
pub fn carry(regs: &mut Regs, f: Carry, bits: u32, d: u32, sources: [u32; 3], mask: u32) {
    let flags = regs.carry;
    let mut new_flags = flags;
    let ones = u64::MAX >> (64 - bits);
    let mut out = [0u64; LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        let [a, b, c] = sources.map(|r| match bits {
            32 => u64::from(regs.w.get(r)[lane]),
            _ => regs.x.get(r)[lane],
        });
        let (x, y) = match f.mul {
            None => (a, b),
            Some(half) => (multiply(a, b, half, f.signed, bits), c),
        };
        // A subtraction adds the complement and one, so its flag says that nothing was borrowed:
        // the compilers' division of 128-bit numbers takes it into additions.
        let carried = match f.takes {
            true => u128::from(flags >> lane & 1),
            false => u128::from(f.sub),
        };
        let y = if f.sub { !y & ones } else { y };
        let sum = u128::from(x) + u128::from(y) + carried;
        *out = sum as u64 & ones;
        if mask >> lane & 1 != 0 {
            let flag = u32::from(sum >> bits & 1 != 0);
            new_flags = new_flags & !(1 << lane) | flag << lane;
        }
    }
    if f.sets {
        regs.carry = new_flags;
    }
    match bits {
        32 => regs.w.put(d, mask, &out.map(|v| v as u32)),
        _ => regs.x.put(d, mask, &out),
    }
}

fn multiply(a: u64, b: u64, half: Half, signed: bool, bits: u32) -> u64 {
    let ones = u64::MAX >> (64 - bits);
    let extend = |v: u64| match (signed, bits) {
        (true, 32) => i128::from(v as u32 as i32),
        (true, _) => i128::from(v as i64),
        (false, _) => i128::from(v),
    };
    let product = extend(a).wrapping_mul(extend(b));
    (match half {
        Half::Low => product as u64,
        Half::High => (product >> bits) as u64,
    }) & ones
}
