//! Comparisons, selections, conversions, packing.

use super::numeric::{Round, Small, from_small, odd, to_f32, to_integral, to_small};
use super::op::{Bool, Cmp, Int, Mode, Pred, Slot, Ty};
use super::regs::{LANES, Regs, each};

/// Compares two values of type `ty`.
fn compare(cmp: Cmp, ty: Ty, ftz: bool, a: u64, b: u64) -> bool {
    if ty.float() {
        let (x, y) = (number(a, ty, ftz), number(b, ty, ftz));
        return compare_floats(cmp, x, y);
    }
    let order = match ty {
        Ty::S8 | Ty::S16 | Ty::S32 | Ty::S64 => extend(a, ty).cmp(&extend(b, ty)),
        _ => (extend(a, ty) as u64).cmp(&(extend(b, ty) as u64)),
    };
    match cmp {
        Cmp::Eq => order.is_eq(),
        Cmp::Ne => order.is_ne(),
        Cmp::Lt => order.is_lt(),
        Cmp::Le => order.is_le(),
        Cmp::Gt => order.is_gt(),
        _ => order.is_ge(),
    }
}

fn compare_floats(cmp: Cmp, x: f64, y: f64) -> bool {
    let unordered = x.is_nan() || y.is_nan();
    match cmp {
        Cmp::Eq => x == y,
        Cmp::Ne => !unordered && x != y,
        Cmp::Lt => x < y,
        Cmp::Le => x <= y,
        Cmp::Gt => x > y,
        Cmp::Ge => x >= y,
        Cmp::Equ => unordered || x == y,
        Cmp::Neu => x != y,
        Cmp::Ltu => unordered || x < y,
        Cmp::Leu => unordered || x <= y,
        Cmp::Gtu => unordered || x > y,
        Cmp::Geu => unordered || x >= y,
        Cmp::Num => !unordered,
        Cmp::Nan => unordered,
    }
}

/// The number that `bits` are, as a double.
fn number(bits: u64, ty: Ty, ftz: bool) -> f64 {
    match ty {
        Ty::F64 => f64::from_bits(bits),
        Ty::F32 => {
            let x = f32::from_bits(bits as u32);
            if ftz && x.is_subnormal() {
                return 0f64.copysign(f64::from(x));
            }
            f64::from(x)
        }
        Ty::Small(small) => f64::from(from_small(bits as u32, small)),
        _ => 0.0,
    }
}

/// An integer of type `ty`, extended to 64 bits by its sign or with zeros.
pub fn extend(bits: u64, ty: Ty) -> i64 {
    match ty {
        Ty::S8 => i64::from(bits as i8),
        Ty::U8 => i64::from(bits as u8),
        Ty::S16 => i64::from(bits as i16),
        Ty::U16 => i64::from(bits as u16),
        Ty::S32 => i64::from(bits as i32),
        Ty::U32 | Ty::F32 => i64::from(bits as u32),
        Ty::Small(small) if small.bytes() == 1 => i64::from(bits as u8),
        Ty::Small(small) if small.bytes() == 2 => i64::from(bits as u16),
        Ty::Small(_) => i64::from(bits as u32),
        Ty::S64 | Ty::U64 | Ty::F64 => bits as i64,
    }
}

/// A mask of the lanes where `test` holds.
#[inline(always)]
fn lanes(test: impl Fn(usize) -> bool) -> u32 {
    let mut out = 0;
    for lane in 0..LANES {
        out |= u32::from(test(lane)) << lane;
    }
    out
}

/// The lanes in which the comparison holds.
pub fn comparison(regs: &Regs, cmp: Cmp, ty: Ty, ftz: bool, a: u32, b: u32) -> u32 {
    if ty.bytes() == 8 {
        let (x, y) = (regs.x.get(a), regs.x.get(b));
        return match (ty, cmp) {
            (Ty::S64, Cmp::Gt) => lanes(|i| (x[i] as i64) > y[i] as i64),
            (Ty::S64, Cmp::Lt) => lanes(|i| (x[i] as i64) < y[i] as i64),
            (Ty::U64, Cmp::Gt) => lanes(|i| x[i] > y[i]),
            (Ty::U64, Cmp::Lt) => lanes(|i| x[i] < y[i]),
            _ => lanes(|i| compare(cmp, ty, ftz, x[i], y[i])),
        };
    }
    let (x, y) = (regs.w.get(a), regs.w.get(b));
    match (ty, cmp) {
        (Ty::S32 | Ty::U32, Cmp::Eq) => lanes(|i| x[i] == y[i]),
        (Ty::S32 | Ty::U32, Cmp::Ne) => lanes(|i| x[i] != y[i]),
        (Ty::S32, Cmp::Lt) => lanes(|i| (x[i] as i32) < y[i] as i32),
        (Ty::S32, Cmp::Le) => lanes(|i| (x[i] as i32) <= y[i] as i32),
        (Ty::S32, Cmp::Gt) => lanes(|i| (x[i] as i32) > y[i] as i32),
        (Ty::S32, Cmp::Ge) => lanes(|i| (x[i] as i32) >= y[i] as i32),
        (Ty::U32, Cmp::Lt) => lanes(|i| x[i] < y[i]),
        (Ty::U32, Cmp::Ge) => lanes(|i| x[i] >= y[i]),
        _ => lanes(|i| compare(cmp, ty, ftz, u64::from(x[i]), u64::from(y[i]))),
    }
}

/// Comparison of packed halves: lanes where the low and where the high ones compare.
pub fn comparison_packed(regs: &Regs, cmp: Cmp, small: Small, a: u32, b: u32) -> (u32, u32) {
    let (x, y) = (regs.w.get(a), regs.w.get(b));
    let at = |shift: u32| {
        lanes(|i| {
            let of = |bits: u32| f64::from(from_small(bits >> shift & 0xffff, small));
            compare_floats(cmp, of(x[i]), of(y[i]))
        })
    };
    (at(0), at(16))
}

/// `value` combined with a predicate.
pub fn combine(regs: &Regs, value: u32, with: Option<(Bool, Pred)>) -> u32 {
    match with {
        None => value,
        Some((Bool::And, p)) => value & regs.pred(p),
        Some((Bool::Or, p)) => value | regs.pred(p),
        Some((Bool::Xor, p)) => value ^ regs.pred(p),
    }
}

/// Logic of predicates.
pub fn predicates(regs: &mut Regs, f: Int, d: u32, a: Pred, b: Pred, mask: u32) {
    let (x, y) = (regs.pred(a), regs.pred(b));
    let value = match f {
        Int::And => x & y,
        Int::Or => x | y,
        Int::Xor => x ^ y,
        _ => !x,
    };
    regs.put_pred(d, mask, value);
}

/// What a conversion does, apart from its registers.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// Source type.
    pub from: Ty,
    /// Destination type.
    pub to: Ty,
    /// Rounding and clamping.
    pub m: Mode,
    /// Float to float, rounding to an integral value.
    pub integral: bool,
    /// Negative values become zero.
    pub relu: bool,
}

/// `cvt`.
pub fn convert(regs: &mut Regs, how: Conversion, d: Slot, a: Slot, mask: u32) {
    match (how.from, how.to, d, a) {
        (Ty::S32, Ty::S64 | Ty::U64, Slot::Double(d), Slot::Word(a)) if !how.m.sat => {
            let x = regs.w.get(a);
            let out = each(|i| i64::from(x[i] as i32) as u64);
            return regs.x.put(d, mask, &out);
        }
        (Ty::U32, Ty::S64 | Ty::U64, Slot::Double(d), Slot::Word(a)) if !how.m.sat => {
            let x = regs.w.get(a);
            let out = each(|i| u64::from(x[i]));
            return regs.x.put(d, mask, &out);
        }
        _ => {}
    }
    for lane in 0..LANES {
        if mask >> lane & 1 != 0 {
            let value = convert_one(how, regs.lane(a, lane));
            regs.put_lane(d, lane, value);
        }
    }
}

fn convert_one(how: Conversion, bits: u64) -> u64 {
    let out = match (how.from.float(), how.to.float()) {
        (false, false) => integers(how, bits),
        (true, false) => float_to_integer(how, bits),
        (false, true) => {
            let x = extend(bits, how.from);
            integer_to_float(how, x)
        }
        (true, true) => floats(how, bits),
    };
    // A destination wider than its type is filled by the sign of the value.
    match how.to.signed() {
        true => extend(out, how.to) as u64,
        false => out,
    }
}

fn integers(how: Conversion, bits: u64) -> u64 {
    let value = extend(bits, how.from);
    if !how.m.sat {
        return narrow(value as u64, how.to);
    }
    let wide = match how.from.signed() {
        true => i128::from(value),
        false => i128::from(value as u64),
    };
    let (low, high) = bounds(how.to);
    wide.clamp(low, high) as u64
}

fn narrow(value: u64, to: Ty) -> u64 {
    match to.bytes() {
        1 => value & 0xff,
        2 => value & 0xffff,
        4 => value & 0xffff_ffff,
        _ => value,
    }
}

fn bounds(ty: Ty) -> (i128, i128) {
    let bits = 8 * ty.bytes();
    match ty.signed() {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    }
}

fn float_to_integer(how: Conversion, bits: u64) -> u64 {
    let x = number(bits, how.from, how.m.ftz);
    if x.is_nan() {
        return match how.to {
            Ty::S64 | Ty::U64 => 1 << 63,
            _ if how.from == Ty::F64 => 1 << 31,
            _ => 0,
        };
    }
    let (low, high) = bounds(how.to);
    let rounded = to_integral(x, how.m.round);
    narrow((rounded as i128).clamp(low, high) as u64, how.to)
}

fn integer_to_float(how: Conversion, x: i64) -> u64 {
    let wide = match how.from {
        Ty::U64 => i128::from(x as u64),
        _ => i128::from(x),
    };
    // A double with the part that it misses says all about the integer.
    let high = wide as f64;
    let exact = odd(high, (wide - high as i128) as f64);
    match how.to {
        Ty::F64 => {
            let value = match how.m.round {
                Round::Nearest | Round::Away => high,
                Round::Down | Round::Zero if (high as i128) > wide && wide > 0 => high.next_down(),
                Round::Down if (high as i128) > wide => high.next_down(),
                Round::Up if (high as i128) < wide => high.next_up(),
                Round::Zero if (high as i128) < wide && wide < 0 => high.next_up(),
                _ => high,
            };
            value.to_bits()
        }
        Ty::F32 => u64::from(to_f32(exact, how.m.round).to_bits()),
        Ty::Small(small) => u64::from(to_small(exact, small, how.m.round)),
        _ => 0,
    }
}

fn floats(how: Conversion, bits: u64) -> u64 {
    let mut x = number(bits, how.from, how.m.ftz);
    if how.integral {
        x = to_integral(x, how.m.round);
    }
    if how.m.sat {
        x = if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
    }
    match how.to {
        Ty::F64 => x.to_bits(),
        Ty::F32 => {
            let y = to_f32(x, how.m.round);
            let y = if how.m.ftz && y.is_subnormal() {
                0f32.copysign(y)
            } else {
                y
            };
            u64::from(if y.is_nan() { 0x7fff_ffff } else { y.to_bits() })
        }
        Ty::Small(small) => u64::from(shortened(x, small, how.m, how.relu)),
        _ => 0,
    }
}

/// `cvt` of two floats into one register, the first into the high half.
pub fn convert_pack(
    regs: &mut Regs,
    to: Small,
    m: Mode,
    relu: bool,
    d: u32,
    [a, b]: [u32; 2],
    mask: u32,
) {
    regs.w.map2(d, a, b, mask, |x, y| {
        let one = |bits: u32| shortened(f64::from(f32::from_bits(bits)), to, m, relu);
        one(x) << to.bits() | one(y)
    });
}

/// Two packed values of one small format to two of another, the first to the low part.
pub fn convert_two(
    regs: &mut Regs,
    [from, to]: [Small; 2],
    m: Mode,
    relu: bool,
    d: u32,
    a: u32,
    mask: u32,
) {
    let ones = (1 << from.bits()) - 1;
    regs.w.map1(d, a, mask, |x| {
        let one = |bits: u32| shortened(f64::from(from_small(bits & ones, from)), to, m, relu);
        one(x >> from.bits()) << to.bits() | one(x)
    });
}

/// The bits of `value` in a small format.
fn shortened(value: f64, to: Small, m: Mode, relu: bool) -> u32 {
    let value = if relu && value < 0.0 { 0.0 } else { value };
    let largest = to.largest();
    let value = if m.finite && !value.is_nan() {
        value.clamp(-largest, largest)
    } else {
        value
    };
    to_small(value, to, m.round)
}

/// `set` on packed values: each half becomes `ones` or zero.
pub fn set_packed(
    regs: &mut Regs,
    (cmp, small, ones): (Cmp, Small, u16),
    d: u32,
    [a, b]: [u32; 2],
    with: Option<(Bool, Pred)>,
    mask: u32,
) {
    let (low, high) = comparison_packed(regs, cmp, small, a, b);
    let (low, high) = (combine(regs, low, with), combine(regs, high, with));
    let half = |holds: u32, lane: usize| match holds >> lane & 1 {
        0 => 0,
        _ => u32::from(ones),
    };
    let out = each(|lane| half(low, lane) | half(high, lane) << 16);
    regs.w.put(d, mask, &out);
}
