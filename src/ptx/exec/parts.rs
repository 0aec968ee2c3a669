//! Integer arithmetic on the bytes or halves of a word: packed 16-bit instructions and the video
//! instructions.

use super::op::{Cmp, Parts, PartsOp};
use super::regs::{Regs, each};

/// Carries `f` out on the words of `a` and `b`; `c` is what a sum or merge starts from.
pub fn run(regs: &mut Regs, f: Parts, d: u32, [a, b, c]: [u32; 3], mask: u32) {
    let [x, y, z] = [a, b, c].map(|r| regs.w.get(r));
    let out = each(|i| one(f, x[i], y[i], z[i]));
    regs.w.put(d, mask, &out);
}

fn one(f: Parts, x: u32, y: u32, z: u32) -> u32 {
    let bits = u32::from(f.bits);
    let ones = u32::MAX >> (32 - bits);
    let mut out = 0;
    let mut sum = z;
    for at in (0..32).step_by(bits as usize) {
        let (x, y) = (
            extend(x >> at & ones, bits, f.a_signed),
            extend(y >> at & ones, bits, f.b_signed),
        );
        let mut value = element(f.op, x, y);
        if f.relu {
            value = value.max(0);
        }
        if f.sat {
            value = match f.d_signed {
                true => value.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
                false => value.clamp(0, (1 << bits) - 1),
            };
        }
        sum = sum.wrapping_add(value as u32);
        out |= (value as u32 & ones) << at;
    }
    if f.sum { sum } else { out }
}

fn extend(part: u32, bits: u32, signed: bool) -> i64 {
    match signed {
        true => i64::from((part << (32 - bits)) as i32 >> (32 - bits)),
        false => i64::from(part),
    }
}

fn element(op: PartsOp, x: i64, y: i64) -> i64 {
    match op {
        PartsOp::Add => x + y,
        PartsOp::Sub => x - y,
        // Halves round away from zero.
        PartsOp::Average => (x + y + i64::from(x + y >= 0)) >> 1,
        PartsOp::Difference => (x - y).abs(),
        PartsOp::Min => x.min(y),
        PartsOp::Max => x.max(y),
        PartsOp::Set(cmp) => i64::from(match cmp {
            Cmp::Eq => x == y,
            Cmp::Ne => x != y,
            Cmp::Lt => x < y,
            Cmp::Le => x <= y,
            Cmp::Gt => x > y,
            _ => x >= y,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Parts = Parts {
        op: PartsOp::Add,
        bits: 16,
        a_signed: true,
        b_signed: true,
        d_signed: true,
        sat: false,
        relu: false,
        sum: false,
    };

    #[test]
    fn parts_do_not_carry_into_each_other() {
        assert_eq!(one(PLAIN, 0x0001_ffff, 0x0001_0001, 0), 0x0002_0000);
    }

    #[test]
    fn saturation_and_relu_clamp_each_part() {
        let sat = Parts { sat: true, ..PLAIN };
        assert_eq!(one(sat, 0x7fff_8000, 0x0001_ffff, 0), 0x7fff_8000);
        let relu = Parts {
            op: PartsOp::Max,
            relu: true,
            ..PLAIN
        };
        assert_eq!(one(relu, 0xfffe_0003, 0xffff_0002, 0), 0x0000_0003);
    }

    #[test]
    fn differences_add_up() {
        let sad = Parts {
            op: PartsOp::Difference,
            bits: 8,
            sum: true,
            ..PLAIN
        };
        // |1-3| + |-1-1| + 0 + 0, from 10.
        assert_eq!(one(sad, 0x0000_ff01, 0x0000_0103, 10), 14);
    }
}
