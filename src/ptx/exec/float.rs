//! Floating-point arithmetic over lanes.
//!
//! Basic operations are correctly rounded in every mode. The approximate ones (`ex2.approx`,
//! `sin.approx`, ...) are computed in double precision and rounded, which is inside the error bounds
//! that the PTX manual gives, but not bit for bit what a chip returns.

use super::numeric::{Round, Small, add_odd, fma32, from_small, odd, to_f32, to_small};
use super::op::{Flt, Mode};
use super::regs::Regs;

/// The NaN that instructions make.
const NAN32: u32 = 0x7fff_ffff;

#[inline(always)]
fn flush(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}

#[inline(always)]
fn canonical(x: f32) -> u32 {
    if x.is_nan() { NAN32 } else { x.to_bits() }
}

#[inline(always)]
fn plain(m: Mode) -> bool {
    m.round == Round::Nearest && !m.ftz && !m.sat
}

/// Operations on floats.
pub fn f32(regs: &mut Regs, f: Flt, m: Mode, d: u32, abc: [u32; 3], mask: u32) {
    let [a, b, _] = abc;
    let w = &mut regs.w;
    let v = f32::from_bits;
    if plain(m) {
        match f {
            Flt::Fma => return w.map3(d, abc, mask, |x, y, z| canonical(fma32(v(x), v(y), v(z)))),
            Flt::Add => return w.map2(d, a, b, mask, |x, y| canonical(v(x) + v(y))),
            Flt::Sub => return w.map2(d, a, b, mask, |x, y| canonical(v(x) - v(y))),
            Flt::Mul => return w.map2(d, a, b, mask, |x, y| canonical(v(x) * v(y))),
            _ => {}
        }
    }
    w.map3(d, abc, mask, |x, y, z| one32(f, m, [x, y, z]));
}

/// One lane of any operation on floats.
pub fn one32(f: Flt, m: Mode, bits: [u32; 3]) -> u32 {
    // Sign operations keep the payload of a NaN.
    match f {
        Flt::Copysign => return bits[1] & 0x7fff_ffff | bits[0] & 0x8000_0000,
        Flt::Abs if !m.ftz => return bits[0] & 0x7fff_ffff,
        Flt::Neg if !m.ftz => return bits[0] ^ 0x8000_0000,
        _ => {}
    }
    let mut v = bits.map(f32::from_bits);
    if m.ftz {
        v = v.map(flush);
    }
    let [x, y, z] = v;
    let (xd, yd, zd) = (f64::from(x), f64::from(y), f64::from(z));
    let mut out = match f {
        Flt::Add => to_f32(add_odd(xd, yd), m.round),
        Flt::Sub => to_f32(add_odd(xd, -yd), m.round),
        Flt::Mul => to_f32(xd * yd, m.round),
        Flt::Fma => to_f32(add_odd(xd * yd, zd), m.round),
        Flt::FmaRelu => to_f32(add_odd(xd * yd, zd), m.round).max(0.0),
        Flt::Div => to_f32(quotient_odd(xd, yd), m.round),
        Flt::Rcp => to_f32(quotient_odd(1.0, xd), m.round),
        Flt::Sqrt => to_f32(root_odd(xd), m.round),
        Flt::Rsqrt => (1.0 / xd.sqrt()) as f32,
        Flt::Sin => xd.sin() as f32,
        Flt::Cos => xd.cos() as f32,
        Flt::Lg2 => xd.log2() as f32,
        Flt::Ex2 => xd.exp2() as f32,
        Flt::Tanh => xd.tanh() as f32,
        Flt::Abs => x.abs(),
        Flt::Neg => -x,
        Flt::Min3 | Flt::Max3 | Flt::Min3Nan | Flt::Max3Nan => {
            let two = match f {
                Flt::Min3 => Flt::Min,
                Flt::Max3 => Flt::Max,
                Flt::Min3Nan => Flt::MinNan,
                _ => Flt::MaxNan,
            };
            minmax(two, minmax(two, x, y), z)
        }
        Flt::MinSigned | Flt::MaxSigned | Flt::MinNanSigned | Flt::MaxNanSigned => {
            let plain = match f {
                Flt::MinSigned => Flt::Min,
                Flt::MaxSigned => Flt::Max,
                Flt::MinNanSigned => Flt::MinNan,
                _ => Flt::MaxNan,
            };
            let magnitude = minmax(plain, x.abs(), y.abs());
            f32::from_bits(magnitude.to_bits() | (x.to_bits() ^ y.to_bits()) & 0x8000_0000)
        }
        _ => minmax(f, x, y),
    };
    if m.ftz {
        out = flush(out);
    }
    if m.sat {
        out = if out.is_nan() {
            0.0
        } else {
            out.clamp(0.0, 1.0)
        };
        out += 0.0;
    }
    canonical(out)
}

/// Minimum and maximum with the manual's rules for NaN and signed zero.
fn minmax(f: Flt, x: f32, y: f32) -> f32 {
    let nan = matches!(f, Flt::MinNan | Flt::MaxNan);
    if x.is_nan() || y.is_nan() {
        if nan || x.is_nan() && y.is_nan() {
            return f32::NAN;
        }
        return if x.is_nan() { y } else { x };
    }
    let less = x < y || x == y && x.is_sign_negative();
    let min = matches!(f, Flt::Min | Flt::MinNan);
    if less == min { x } else { y }
}

fn quotient_odd(a: f64, b: f64) -> f64 {
    let q = a / b;
    if !q.is_finite() || q == 0.0 || b.is_infinite() {
        return q;
    }
    // The remainder's sign says on which side of the quotient the truth lies.
    let remainder = q.mul_add(-b, a);
    odd(q, remainder / b)
}

fn root_odd(a: f64) -> f64 {
    let root = a.sqrt();
    if !root.is_finite() || root == 0.0 {
        return root;
    }
    odd(root, root.mul_add(-root, a))
}

/// Operations on doubles.
pub fn f64(regs: &mut Regs, f: Flt, m: Mode, d: u32, abc: [u32; 3], mask: u32) {
    regs.x.map3(d, abc, mask, |x, y, z| one64(f, m, [x, y, z]));
}

fn one64(f: Flt, m: Mode, bits: [u64; 3]) -> u64 {
    match f {
        Flt::Abs => return bits[0] & (u64::MAX >> 1),
        Flt::Neg => return bits[0] ^ (1 << 63),
        Flt::Copysign => return bits[1] & (u64::MAX >> 1) | bits[0] & (1 << 63),
        _ => {}
    }
    let [x, y, z] = bits.map(f64::from_bits);
    // The value to nearest, and the sign of what it is short of the truth.
    let (value, error) = match f {
        Flt::Add => two_sum(x, y),
        Flt::Sub => two_sum(x, -y),
        Flt::Mul => (x * y, x.mul_add(y, -(x * y))),
        Flt::Fma | Flt::FmaRelu => fma_with_error(x, y, z),
        Flt::Div => (x / y, (-(x / y)).mul_add(y, x) * y.signum()),
        Flt::Rcp => (1.0 / x, (-(1.0 / x)).mul_add(x, 1.0) * x.signum()),
        Flt::Sqrt => (x.sqrt(), (-x.sqrt()).mul_add(x.sqrt(), x)),
        Flt::Rsqrt => (1.0 / x.sqrt(), 0.0),
        Flt::Sin => (x.sin(), 0.0),
        Flt::Cos => (x.cos(), 0.0),
        Flt::Lg2 => (x.log2(), 0.0),
        Flt::Ex2 => (x.exp2(), 0.0),
        Flt::Tanh => (x.tanh(), 0.0),
        _ => (minmax64(f, x, y), 0.0),
    };
    let mut out = directed(value, error, m.round);
    if m.sat {
        out = if out.is_nan() {
            0.0
        } else {
            out.clamp(0.0, 1.0)
        };
    }
    if out.is_nan() {
        return 0xfff8_0000_0000_0000;
    }
    out.to_bits()
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

fn fma_with_error(x: f64, y: f64, z: f64) -> (f64, f64) {
    let value = x.mul_add(y, z);
    let product = x * y;
    let low = x.mul_add(y, -product);
    let (sum, rest) = two_sum(product, z);
    (value, (sum - value) + (rest + low))
}

fn directed(value: f64, error: f64, round: Round) -> f64 {
    if error == 0.0 || error.is_nan() || !value.is_finite() {
        return value;
    }
    match round {
        Round::Nearest | Round::Away => value,
        Round::Down if error < 0.0 => value.next_down(),
        Round::Up if error > 0.0 => value.next_up(),
        Round::Zero if value > 0.0 && error < 0.0 => value.next_down(),
        Round::Zero if value < 0.0 && error > 0.0 => value.next_up(),
        _ => value,
    }
}

fn minmax64(f: Flt, x: f64, y: f64) -> f64 {
    if x.is_nan() {
        return y;
    }
    if y.is_nan() {
        return x;
    }
    let less = x < y || x == y && x.is_sign_negative();
    if less == matches!(f, Flt::Min | Flt::MinNan) {
        x
    } else {
        y
    }
}

/// Operations on half precision and bfloat16, `packed` two to a register.
#[allow(clippy::too_many_arguments)]
pub fn half(
    regs: &mut Regs,
    f: Flt,
    m: Mode,
    small: Small,
    packed: bool,
    d: u32,
    abc: [u32; 3],
    mask: u32,
) {
    regs.w.map3(d, abc, mask, |x, y, z| {
        let low = one_half(f, m, small, [x, y, z].map(|v| v & 0xffff));
        match packed {
            true => low | one_half(f, m, small, [x, y, z].map(|v| v >> 16)) << 16,
            false => low,
        }
    });
}

fn one_half(f: Flt, m: Mode, small: Small, bits: [u32; 3]) -> u32 {
    match f {
        Flt::Abs => return bits[0] & 0x7fff,
        Flt::Neg => return bits[0] ^ 0x8000,
        Flt::Copysign => return bits[1] & 0x7fff | bits[0] & 0x8000,
        _ => {}
    }
    let [x, y, z] = bits.map(|b| from_small(b, small));
    let (xd, yd, zd) = (f64::from(x), f64::from(y), f64::from(z));
    let mut value = match f {
        Flt::Add => add_odd(xd, yd),
        Flt::Sub => add_odd(xd, -yd),
        Flt::Mul => xd * yd,
        Flt::Fma => add_odd(xd * yd, zd),
        // A NaN stays one under relu.
        Flt::FmaRelu => match add_odd(xd * yd, zd) {
            v if v < 0.0 => 0.0,
            v => v,
        },
        _ => f64::from(f32::from_bits(one32(
            f,
            Mode::default(),
            [x, y, z].map(f32::to_bits),
        ))),
    };
    if m.sat {
        value = if value.is_nan() {
            0.0
        } else {
            value.clamp(0.0, 1.0)
        };
    }
    let out = to_small(value, small, m.round);
    let subnormal = small == Small::F16 && out & 0x7c00 == 0;
    if m.ftz && subnormal {
        out & 0x8000
    } else {
        out
    }
}

/// Float arithmetic with operands of a smaller format.
pub fn mixed(regs: &mut Regs, f: Flt, m: Mode, small: Small, d: u32, abc: [u32; 3], mask: u32) {
    let widened = |x: u32| from_small(x & 0xffff, small).to_bits();
    regs.w.map3(d, abc, mask, |x, y, z| match f {
        Flt::Fma => one32(f, m, [widened(x), widened(y), z]),
        _ => one32(f, m, [widened(x), y, z]),
    });
}

/// Two floats in a double word.
pub fn f32x2(regs: &mut Regs, f: Flt, m: Mode, d: u32, abc: [u32; 3], mask: u32) {
    regs.x.map3(d, abc, mask, |x, y, z| {
        let low = one32(f, m, [x, y, z].map(|v| v as u32));
        let high = one32(f, m, [x, y, z].map(|v| (v >> 32) as u32));
        u64::from(high) << 32 | u64::from(low)
    });
}

/// `testp`: whether a number is of a class; classes are those of [`super::decode`].
pub fn test_class(class: u8, bits: u64, wide: bool) -> bool {
    let x = match wide {
        true => f64::from_bits(bits),
        false => f64::from(f32::from_bits(bits as u32)),
    };
    let subnormal = match wide {
        true => x.is_subnormal(),
        false => f32::from_bits(bits as u32).is_subnormal(),
    };
    match class {
        0 => x.is_finite(),
        1 => x.is_infinite(),
        2 => !x.is_nan(),
        3 => x.is_nan(),
        4 => x.is_finite() && x != 0.0 && !subnormal,
        _ => subnormal,
    }
}
