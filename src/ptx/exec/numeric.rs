//! Exact rounding to small floating-point formats, by one function for all of them.

/// Rounding direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Round {
    /// Nearest, ties to even.
    #[default]
    Nearest,
    /// Nearest, ties away from zero.
    Away,
    /// Towards zero.
    Zero,
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
}

/// Floating-point formats below 32 bits, and TF32, which has the range of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Small {
    F16,
    Bf16,
    Tf32,
    E4m3,
    E5m2,
    E3m2,
    E2m3,
    E2m1,
    /// Powers of two, which scale blocks of other numbers.
    Ue8m0,
}

impl Small {
    /// Bytes of a value in memory.
    pub fn bytes(self) -> u32 {
        self.bits().div_ceil(8)
    }

    /// Bits of a value in a packed register.
    pub fn bits(self) -> u32 {
        match self {
            Small::F16 | Small::Bf16 => 16,
            Small::Tf32 => 32,
            Small::E2m1 => 4,
            // Six bits have a byte to themselves.
            _ => 8,
        }
    }

    /// The largest finite number.
    pub fn largest(self) -> f64 {
        shape(self).largest
    }

    /// Bits of the mantissa, bias of the exponent, place of the sign.
    fn layout(self) -> (i32, i32, i32) {
        match self {
            Small::F16 => (10, 15, 15),
            Small::Bf16 | Small::Tf32 => (7, 127, 15),
            Small::E4m3 => (3, 7, 7),
            Small::E5m2 => (2, 15, 7),
            Small::E3m2 => (2, 3, 5),
            Small::E2m3 => (3, 1, 5),
            Small::E2m1 => (1, 1, 3),
            Small::Ue8m0 => (0, 127, 8),
        }
    }
}

/// Precision and exponent range of a format.
#[derive(Clone, Copy, Debug)]
struct Shape {
    precision: i32,
    exponent_min: i32,
    largest: f64,
}

fn shape(small: Small) -> Shape {
    let (precision, exponent_min, largest) = match small {
        Small::F16 => (11, -14, 65504.0),
        Small::Bf16 => (8, -126, 3.3895313892515355e38),
        Small::Tf32 => (11, -126, 3.4011621342146535e38),
        Small::E4m3 => (4, -6, 448.0),
        Small::E5m2 => (3, -14, 57344.0),
        Small::E3m2 => (3, -2, 28.0),
        Small::E2m3 => (4, 0, 7.5),
        Small::E2m1 => (2, 0, 6.0),
        Small::Ue8m0 => (1, -127, 1.7014118346046923e38),
    };
    Shape {
        precision,
        exponent_min,
        largest,
    }
}

const FLOAT: Shape = Shape {
    precision: 24,
    exponent_min: -126,
    largest: f32::MAX as f64,
};

fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

fn integral(x: f64, round: Round) -> f64 {
    match round {
        Round::Nearest => x.round_ties_even(),
        Round::Away => x.round(),
        Round::Zero => x.trunc(),
        Round::Down => x.floor(),
        Round::Up => x.ceil(),
    }
}

/// `x` rounded to an integer.
pub fn to_integral(x: f64, round: Round) -> f64 {
    integral(x, round)
}

fn quantise(x: f64, shape: Shape, round: Round) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = (((x.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(shape.exponent_min);
    let ulp = exponent - shape.precision + 1;
    // Scaling by powers of two is exact in two steps within the range that occurs.
    let scaled = x * power(-ulp.clamp(-1000, 1000));
    let rounded = integral(scaled, round) * power(ulp.clamp(-1000, 1000));
    if rounded.abs() <= shape.largest {
        return if rounded == 0.0 {
            0f64.copysign(x)
        } else {
            rounded
        };
    }
    let towards_zero = match round {
        Round::Zero => true,
        Round::Down => x > 0.0,
        Round::Up => x < 0.0,
        Round::Nearest | Round::Away => false,
    };
    let limit = if towards_zero {
        shape.largest
    } else {
        f64::INFINITY
    };
    limit.copysign(x)
}

/// `x` as a float, rounded in direction `round`. Exact when `x` was rounded to odd before.
pub fn to_f32(x: f64, round: Round) -> f32 {
    match round {
        Round::Nearest => x as f32,
        _ => quantise(x, FLOAT, round) as f32,
    }
}

/// The bits of `x` in a small format.
pub fn to_small(x: f64, small: Small, round: Round) -> u32 {
    if small == Small::Tf32 {
        return (quantise(x, shape(small), round) as f32).to_bits();
    }
    if x.is_nan() {
        return match small {
            Small::F16 | Small::Bf16 => 0x7fff,
            Small::E4m3 | Small::E5m2 | Small::Tf32 => 0x7f,
            Small::Ue8m0 => 0xff,
            // These have no NaN.
            Small::E3m2 | Small::E2m3 => 0x1f,
            Small::E2m1 => 7,
        };
    }
    if small == Small::Ue8m0 {
        return power_of_two(x.abs(), round);
    }
    // Formats of eight bits or fewer are only reached with saturation to the largest number.
    let limit = shape(small).largest;
    let q = match small.bits() {
        ..=8 => quantise(x.clamp(-limit, limit), shape(small), round),
        _ => quantise(x, shape(small), round),
    };
    let (mantissa_bits, bias, sign_at) = small.layout();
    let sign = u32::from(q.is_sign_negative()) << sign_at;
    let magnitude = q.abs();
    if magnitude.is_infinite() {
        let ones = (1u32 << (sign_at - mantissa_bits)) - 1;
        return sign | ones << mantissa_bits;
    }
    let exponent_min = shape(small).exponent_min;
    if magnitude < power(exponent_min) {
        let steps = magnitude * power(mantissa_bits - exponent_min);
        return sign | steps as u32;
    }
    let bits = magnitude.to_bits();
    let exponent = ((bits >> 52) as i32 - 1023 + bias) as u32;
    let mantissa = (bits >> (52 - mantissa_bits)) as u32 & ((1 << mantissa_bits) - 1);
    sign | exponent << mantissa_bits | mantissa
}

/// The exponent of `x` alone, which is not negative.
fn power_of_two(x: f64, round: Round) -> u32 {
    let bits = x.to_bits();
    let down = (bits >> 52) as i32 - 1023 + 127;
    let more = round == Round::Up && bits << 12 != 0;
    (down + i32::from(more)).clamp(0, 254) as u32
}

/// The value of the bits of a small format.
pub fn from_small(bits: u32, small: Small) -> f32 {
    match small {
        Small::Bf16 => f32::from_bits(bits << 16),
        Small::Tf32 => f32::from_bits(bits & 0xffff_e000),
        Small::F16 => from_parts(bits, 5, 10, 15),
        Small::E5m2 => from_parts(bits, 5, 2, 7),
        Small::E4m3 if bits & 0x7f == 0x7f => f32::NAN,
        Small::Ue8m0 if bits & 0xff == 0xff => f32::NAN,
        Small::Ue8m0 => power((bits & 0xff) as i32 - 127) as f32,
        Small::E4m3 | Small::E3m2 | Small::E2m3 | Small::E2m1 => finite(bits, small),
    }
}

/// Formats without infinity.
fn finite(bits: u32, small: Small) -> f32 {
    let (mantissa_bits, bias, sign_at) = small.layout();
    let body = bits & ((1 << sign_at) - 1);
    let steps = 1 << mantissa_bits;
    let (e, m) = (
        (body >> mantissa_bits) as i32,
        (body % steps) as f32 / steps as f32,
    );
    let magnitude = match e {
        0 => m * power(1 - bias) as f32,
        _ => (1.0 + m) * power(e - bias) as f32,
    };
    match bits >> sign_at & 1 {
        0 => magnitude,
        _ => -magnitude,
    }
}

/// IEEE-like formats with an exponent of `e` bits.
#[inline(always)]
fn from_parts(bits: u32, e: u32, m: u32, sign_at: u32) -> f32 {
    let sign = (bits >> sign_at & 1) << 31;
    let body = bits & ((1 << sign_at) - 1);
    let ones = (1 << e) - 1;
    if body >> m == ones {
        let payload = (body & ((1 << m) - 1)) << (23 - m);
        return f32::from_bits(sign | 0x7f80_0000 | payload);
    }
    // Shifting puts the exponent too low by the difference of the biases; a multiplication mends
    // that, subnormal numbers included.
    let value = f32::from_bits(body << (23 - m));
    let lift = f32::from_bits((127 - (1 << (e - 1)) + 1 + 127) << 23);
    f32::from_bits((value * lift).to_bits() | sign)
}

/// `a + b` in double precision, rounded to odd: a later rounding to 50 bits or fewer is exact.
#[inline(always)]
pub fn add_odd(a: f64, b: f64) -> f64 {
    let s = a + b;
    let t = s - a;
    let error = (a - (s - t)) + (b - t);
    odd(s, error)
}

/// `x`, of which `error` is missing, rounded to odd.
#[inline(always)]
pub fn odd(x: f64, error: f64) -> f64 {
    let bits = x.to_bits();
    // An even last bit is replaced by the odd neighbour on the side of the error.
    let inexact = error != 0.0 && error.abs() < f64::INFINITY && bits & 1 == 0;
    let outward = (error > 0.0) == (x > 0.0);
    let step = if outward { 1 } else { u64::MAX };
    f64::from_bits(if inexact {
        bits.wrapping_add(step)
    } else {
        bits
    })
}

/// Fused multiply-add of floats. Where the target has no such instruction, the same result comes
/// from double precision, which is still faster than a library call.
#[inline(always)]
pub fn fma32(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_feature = "fma") {
        return a.mul_add(b, c);
    }
    fma32_portable(a, b, c)
}

#[inline(always)]
fn fma32_portable(a: f32, b: f32, c: f32) -> f32 {
    add_odd(f64::from(a) * f64::from(b), f64::from(c)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_half_survives_the_way_there_and_back() {
        for bits in 0..=0xffffu32 {
            for small in [Small::F16, Small::Bf16] {
                let x = from_small(bits, small);
                if !x.is_nan() {
                    assert_eq!(to_small(f64::from(x), small, Round::Nearest), bits);
                }
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_large_values_to_infinity() {
        assert_eq!(
            to_small(1.0 + 0.00048828125, Small::F16, Round::Nearest),
            0x3c00
        );
        assert_eq!(to_small(65520.0, Small::F16, Round::Nearest), 0x7c00);
        assert_eq!(to_small(65520.0, Small::F16, Round::Zero), 0x7bff);
        assert_eq!(to_small(500.0, Small::E4m3, Round::Nearest), 0x7e);
    }

    proptest! {
        #[test]
        fn fma_is_the_fused_one(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
            let (a, b, c) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
            let (got, want) = (fma32_portable(a, b, c), a.mul_add(b, c));
            prop_assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "{a:e} {b:e} {c:e}: {got:e} {want:e}");
        }

        #[test]
        fn directed_rounding_encloses(x in -1e30f64..1e30) {
            let (down, up) = (to_f32(x, Round::Down), to_f32(x, Round::Up));
            prop_assert!(f64::from(down) <= x && x <= f64::from(up));
            prop_assert!(down == up || down.next_up() == up);
        }
    }
}
