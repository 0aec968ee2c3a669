//! Integer arithmetic over lanes.

use super::op::{Int, Mixed, Prmt, Shift, Word};
use super::regs::{LANES, Regs, each};

macro_rules! integer_unit {
    ($name:ident, $file:ident, $store:ty, $u:ty, $s:ty, $double_u:ty, $double_s:ty) => {
        /// Carries an operation of this width out.
        pub fn $name(regs: &mut Regs, f: Int, d: u32, [a, b, c]: [u32; 3], mask: u32) {
            const BITS: u32 = <$u>::BITS;
            let r = &mut regs.$file;
            macro_rules! one {
                (|$x:ident| $e:expr) => {
                    r.map1(d, a, mask, |$x| {
                        let $x = $x as $u;
                        ($e) as $u as $store
                    })
                };
            }
            macro_rules! two {
                (|$x:ident, $y:ident| $e:expr) => {
                    r.map2(d, a, b, mask, |$x, $y| {
                        let ($x, $y) = ($x as $u, $y as $u);
                        ($e) as $u as $store
                    })
                };
            }
            macro_rules! three {
                (|$x:ident, $y:ident, $z:ident| $e:expr) => {
                    r.map3(d, [a, b, c], mask, |$x, $y, $z| {
                        let ($x, $y, $z) = ($x as $u, $y as $u, $z as $u);
                        ($e) as $u as $store
                    })
                };
            }
            let high_s = |x: $u, y: $u| {
                ((x as $s as $double_s).wrapping_mul(y as $s as $double_s) >> BITS) as $u
            };
            let high_u = |x: $u, y: $u| ((x as $double_u) * (y as $double_u) >> BITS) as $u;
            match f {
                Int::Add => two!(|x, y| x.wrapping_add(y)),
                Int::AddSat => two!(|x, y| (x as $s).saturating_add(y as $s)),
                Int::Sub => two!(|x, y| x.wrapping_sub(y)),
                Int::SubSat => two!(|x, y| (x as $s).saturating_sub(y as $s)),
                Int::Mul => two!(|x, y| x.wrapping_mul(y)),
                Int::MulHiS => two!(|x, y| high_s(x, y)),
                Int::MulHiU => two!(|x, y| high_u(x, y)),
                Int::Mad => three!(|x, y, z| x.wrapping_mul(y).wrapping_add(z)),
                Int::MadSat => three!(|x, y, z| (high_s(x, y) as $s).saturating_add(z as $s)),
                Int::MadHiS => three!(|x, y, z| high_s(x, y).wrapping_add(z)),
                Int::MadHiU => three!(|x, y, z| high_u(x, y).wrapping_add(z)),
                // Division by zero gives all ones, as the hardware's routine does.
                Int::DivS => two!(|x, y| match y {
                    0 => <$u>::MAX,
                    _ => (x as $s).wrapping_div(y as $s) as $u,
                }),
                Int::DivU => two!(|x, y| x.checked_div(y).unwrap_or(<$u>::MAX)),
                Int::RemS => two!(|x, y| match y {
                    0 => x,
                    _ => (x as $s).wrapping_rem(y as $s) as $u,
                }),
                Int::RemU => two!(|x, y| x.checked_rem(y).unwrap_or(x)),
                Int::MinS => two!(|x, y| (x as $s).min(y as $s)),
                Int::MinU => two!(|x, y| x.min(y)),
                Int::MaxS => two!(|x, y| (x as $s).max(y as $s)),
                Int::MaxU => two!(|x, y| x.max(y)),
                Int::Abs => one!(|x| (x as $s).wrapping_abs()),
                Int::Neg => one!(|x| x.wrapping_neg()),
                Int::And => two!(|x, y| x & y),
                Int::Or => two!(|x, y| x | y),
                Int::Xor => two!(|x, y| x ^ y),
                Int::Not => one!(|x| !x),
                Int::Cnot => one!(|x| u8::from(x == 0)),
                Int::Brev => one!(|x| x.reverse_bits()),
                Int::SadS => three!(|x, y, z| z.wrapping_add((x as $s).abs_diff(y as $s))),
                Int::SadU => three!(|x, y, z| z.wrapping_add(x.abs_diff(y))),
                Int::Lop3(table) => three!(|x, y, z| {
                    let mut out: $u = 0;
                    for row in 0..8u32 {
                        if table >> row & 1 != 0 {
                            out |= (if row & 4 != 0 { x } else { !x })
                                & (if row & 2 != 0 { y } else { !y })
                                & (if row & 1 != 0 { z } else { !z });
                        }
                    }
                    out
                }),
            }
        }
    };
}

integer_unit!(int16, w, u32, u16, i16, u32, i32);
integer_unit!(int32, w, u32, u32, i32, u64, i64);
integer_unit!(int64, x, u64, u64, i64, u128, i128);

macro_rules! shifter {
    ($name:ident, $file:ident, $store:ty, $u:ty, $s:ty) => {
        /// Shifts; amounts beyond the width give what shifting bit by bit would.
        #[inline]
        pub fn $name(regs: &mut Regs, f: Shift, d: u32, a: u32, b: u32, mask: u32) {
            const BITS: u32 = <$u>::BITS;
            let (x, by) = (regs.$file.get(a), regs.w.get(b));
            let out: [$store; LANES] = match f {
                Shift::Left => each(|i| {
                    let y = (x[i] as $u).wrapping_shl(by[i]) as $store;
                    if by[i] < BITS { y } else { 0 }
                }),
                Shift::RightU => each(|i| {
                    let y = (x[i] as $u).wrapping_shr(by[i]) as $store;
                    if by[i] < BITS { y } else { 0 }
                }),
                Shift::RightS => {
                    each(|i| (x[i] as $u as $s).wrapping_shr(by[i].min(BITS - 1)) as $u as $store)
                }
            };
            regs.$file.put(d, mask, &out);
        }
    };
}

shifter!(shift16, w, u32, u16, i16);
shifter!(shift32, w, u32, u32, i32);
shifter!(shift64, x, u64, u64, i64);

/// Operations on words alone.
pub fn word(regs: &mut Regs, f: Word, d: u32, [a, b, c]: [u32; 3], mask: u32) {
    let (x, y, z) = (regs.w.get(a), regs.w.get(b), regs.w.get(c));
    let out = each(|i| one_word(f, x[i], y[i], z[i]));
    regs.w.put(d, mask, &out);
}

fn one_word(f: Word, x: u32, y: u32, z: u32) -> u32 {
    match f {
        Word::Popc => x.count_ones(),
        Word::Clz => x.leading_zeros(),
        Word::BfindU { shift } => bfind(u64::from(x), 32, shift),
        Word::BfindS { shift } => {
            let positive = if (x as i32) < 0 { !x } else { x };
            bfind(u64::from(positive), 32, shift)
        }
        Word::BfeS => bfe(i64::from(x as i32), y, z, 32) as u32,
        Word::BfeU => bfe_unsigned(u64::from(x), y, z) as u32,
        Word::Prmt(mode) => prmt(mode, x, y, z),
        Word::FunnelL { clamp } => {
            let n = if clamp { z.min(32) } else { z & 31 };
            ((u64::from(y) << 32 | u64::from(x)) << n >> 32) as u32
        }
        Word::FunnelR { clamp } => {
            let n = if clamp { z.min(32) } else { z & 31 };
            ((u64::from(y) << 32 | u64::from(x)) >> n) as u32
        }
        Word::Dp4a { a, b } => (0..4).fold(z, |sum, i| {
            sum.wrapping_add(byte(x, i, a).wrapping_mul(byte(y, i, b)) as u32)
        }),
        Word::Dp2a { a, b, high } => (0..2).fold(z, |sum, i| {
            let half = (x >> (16 * i)) as u16;
            let wide = if a {
                i32::from(half as i16)
            } else {
                i32::from(half)
            };
            let at = i + if high { 2 } else { 0 };
            sum.wrapping_add(wide.wrapping_mul(byte(y, at, b)) as u32)
        }),
        Word::Mad24 { signed, high } => mad24(signed, high, [x, y, z]),
        Word::Pack { bits, signed } => pack(bits, signed, [x, y, z]),
        Word::Bmsk { clamp } => {
            let (from, count) = if clamp {
                (x.min(32), y.min(32))
            } else {
                (x & 31, y & 31)
            };
            ((((1u64 << count) - 1) << from) & 0xffff_ffff) as u32
        }
        Word::SzextS { clamp } | Word::SzextU { clamp } => {
            let n = if clamp { y.min(32) } else { y & 31 };
            match (n, f) {
                (0, _) => 0,
                (_, Word::SzextS { .. }) => ((x << (32 - n)) as i32 >> (32 - n)) as u32,
                _ => x << (32 - n) >> (32 - n),
            }
        }
        Word::Fns => find_nth_set(x, y, z as i32),
    }
}

fn mad24(signed: bool, high: bool, [x, y, z]: [u32; 3]) -> u32 {
    let wide = |v: u32| match signed {
        true => i64::from((v << 8) as i32 >> 8),
        false => i64::from(v & 0xff_ffff),
    };
    let product = wide(x) * wide(y);
    let part = if high { product >> 16 } else { product };
    (part as u32).wrapping_add(z)
}

/// Two integers clamped to `bits` bits, below the low bits of `z`.
fn pack(bits: u8, signed: bool, [x, y, z]: [u32; 3]) -> u32 {
    let (low, high) = match signed {
        true => (-1i64 << (bits - 1), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    };
    let part = |v: u32| {
        let clamped = i64::from(v as i32).clamp(low, high);
        clamped as u64 & ((1 << bits) - 1)
    };
    (u64::from(z) << (2 * bits) | part(x) << bits | part(y)) as u32
}

fn byte(word: u32, i: u32, signed: bool) -> i32 {
    let byte = (word >> (8 * i)) as u8;
    if signed {
        i32::from(byte as i8)
    } else {
        i32::from(byte)
    }
}

fn bfind(x: u64, bits: u32, shift: bool) -> u32 {
    if x == 0 {
        return u32::MAX;
    }
    let found = 63 - x.leading_zeros();
    if shift { bits - 1 - found } else { found }
}

fn bfe_unsigned(x: u64, position: u32, length: u32) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    let moved = x.checked_shr(position).unwrap_or(0);
    match length {
        64.. => moved,
        _ => moved & ((1 << length) - 1),
    }
}

fn bfe(x: i64, position: u32, length: u32, bits: u32) -> i64 {
    let (position, length) = (position & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    // Bits beyond the sign are copies of it.
    let moved = x >> position.min(63);
    let top = length.min(bits - position.min(bits - 1));
    if top >= 64 {
        return moved;
    }
    moved << (64 - top) >> (64 - top)
}

fn find_nth_set(mask: u32, base: u32, offset: i32) -> u32 {
    let base = base & 31;
    if offset == 0 {
        return if mask >> base & 1 != 0 {
            base
        } else {
            u32::MAX
        };
    }
    let step = offset.signum();
    let mut at = base as i32;
    let mut left = offset.abs();
    while (0..32).contains(&at) {
        if mask >> at & 1 != 0 {
            left -= 1;
            if left == 0 {
                return at as u32;
            }
        }
        at += step;
    }
    u32::MAX
}

fn prmt(mode: Prmt, x: u32, y: u32, z: u32) -> u32 {
    let bytes = u64::from(y) << 32 | u64::from(x);
    let selector = match (mode, z & 3) {
        (Prmt::Index, _) => z,
        (Prmt::F4e, n) => 0x3210 + 0x1111 * n,
        (Prmt::B4e, n) => [0x5670, 0x6701, 0x7012, 0x0123][n as usize],
        (Prmt::Rc8, n) => 0x1111 * n,
        (Prmt::Ecl, n) => [0x3210, 0x3211, 0x3222, 0x3333][n as usize],
        (Prmt::Ecr, n) => [0x0000, 0x1110, 0x2210, 0x3210][n as usize],
        (Prmt::Rc16, n) => [0x1010, 0x3232][(n & 1) as usize],
    };
    (0..4).fold(0, |out, i| {
        let nibble = selector >> (4 * i) & 15;
        let byte = (bytes >> (8 * (nibble & 7))) as u8;
        let byte = match nibble & 8 {
            0 => byte,
            _ => (byte as i8 >> 7) as u8,
        };
        out | u32::from(byte) << (8 * i)
    })
}

/// Counts of double words.
pub fn mixed(regs: &mut Regs, f: Mixed, d: u32, a: u32, mask: u32) {
    let x = regs.x.get(a);
    let out = each(|i| match f {
        Mixed::Popc => x[i].count_ones(),
        Mixed::Clz => x[i].leading_zeros(),
        Mixed::BfindU { shift } => bfind(x[i], 64, shift),
        Mixed::BfindS { shift } => bfind(if (x[i] as i64) < 0 { !x[i] } else { x[i] }, 64, shift),
    });
    regs.w.put(d, mask, &out);
}

/// `bfe` of double words.
pub fn bfe64(regs: &mut Regs, signed: bool, d: u32, [a, b, c]: [u32; 3], mask: u32) {
    let (x, y, z) = (regs.x.get(a), regs.w.get(b), regs.w.get(c));
    let out = each(|i| match signed {
        true => bfe(x[i] as i64, y[i], z[i], 64) as u64,
        false => bfe_unsigned(x[i], y[i], z[i]),
    });
    regs.x.put(d, mask, &out);
}

fn bfi(a: u64, b: u64, position: u32, length: u32, bits: u32) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    if position >= bits {
        return b;
    }
    let ones = if length >= 64 {
        u64::MAX
    } else {
        (1 << length) - 1
    };
    let field = ones << position;
    b & !field | a << position & field
}

/// `bfi` of words.
pub fn bfi32(regs: &mut Regs, d: u32, [a, b, c, e]: [u32; 4], mask: u32) {
    let [x, y, z, n] = [a, b, c, e].map(|r| regs.w.get(r));
    let out = each(|i| bfi(u64::from(x[i]), u64::from(y[i]), z[i], n[i], 32) as u32);
    regs.w.put(d, mask, &out);
}

/// `bfi` of double words.
pub fn bfi64(regs: &mut Regs, d: u32, [a, b, c, e]: [u32; 4], mask: u32) {
    let (x, y) = (regs.x.get(a), regs.x.get(b));
    let (z, n) = (regs.w.get(c), regs.w.get(e));
    let out = each(|i| bfi(x[i], y[i], z[i], n[i], 64));
    regs.x.put(d, mask, &out);
}

/// `mul.wide` and `mad.wide` from words.
#[inline]
pub fn wide(regs: &mut Regs, signed: bool, d: u32, a: u32, b: u32, mask: u32) {
    let (x, y) = (regs.w.get(a), regs.w.get(b));
    let out = product(signed, x, y);
    regs.x.put(d, mask, &out);
}

#[inline(always)]
fn product(signed: bool, x: &[u32; LANES], y: &[u32; LANES]) -> [u64; LANES] {
    match signed {
        true => each(|i| (i64::from(x[i] as i32) * i64::from(y[i] as i32)) as u64),
        false => each(|i| u64::from(x[i]) * u64::from(y[i])),
    }
}

/// `mad.wide` from words.
pub fn mad_wide(regs: &mut Regs, signed: bool, d: u32, [a, b, c]: [u32; 3], mask: u32) {
    let mut out = product(signed, regs.w.get(a), regs.w.get(b));
    for (o, z) in out.iter_mut().zip(regs.x.get(c)) {
        *o = o.wrapping_add(*z);
    }
    regs.x.put(d, mask, &out);
}

/// `mul.wide` and `mad.wide` from half words.
pub fn wide16(regs: &mut Regs, signed: bool, d: u32, [a, b, c]: [u32; 3], mask: u32) {
    let w = &mut regs.w;
    w.map3(d, [a, b, c], mask, |x, y, z| {
        let product = match signed {
            true => (i32::from(x as u16 as i16) * i32::from(y as u16 as i16)) as u32,
            false => (x & 0xffff) * (y & 0xffff),
        };
        product.wrapping_add(z)
    });
}
