//! The arithmetic of read-modify-write operations.

use super::alu::extend;
use super::numeric::{Round, Small, from_small, to_small};
use super::op::{Rmw, Ty};

/// What an atomic instruction makes of a value in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// Operation.
    pub f: Rmw,
    /// Type of the value.
    pub ty: Ty,
    /// Two values of a small format.
    pub packed: bool,
}

impl Update {
    /// Bytes of the value.
    #[inline]
    pub fn bytes(self) -> u64 {
        u64::from(self.ty.bytes()) * if self.packed { 2 } else { 1 }
    }

    /// The new value; bits beyond its size mean nothing. `c` is what a compare-and-swap puts.
    #[inline]
    pub fn apply(self, old: u64, b: u64, c: u64) -> u64 {
        if self.packed
            && let Ty::Small(small) = self.ty
        {
            let half = |shift: u32| {
                let (old, b) = ((old >> shift) as u32, (b >> shift) as u32);
                u64::from(small_result(self.f, small, old, b))
            };
            return half(0) | half(16) << 16;
        }
        match self.f {
            Rmw::Exch => b,
            Rmw::Cas => {
                let ones = u64::MAX >> (64 - 8 * self.ty.bytes());
                if old & ones == b & ones { c } else { old }
            }
            _ => match self.ty {
                Ty::F32 => f32_result(self.f, old as u32, b as u32),
                Ty::F64 => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
                Ty::Small(small) => u64::from(small_result(self.f, small, old as u32, b as u32)),
                _ => integer(self, old, b),
            },
        }
    }

    /// The operand that does at once what `first` and then `second` do, if there is one. Sums of
    /// floating-point numbers have none: they round after each.
    pub fn join(self, first: u64, second: u64) -> Option<u64> {
        match self.f {
            Rmw::Add | Rmw::Min | Rmw::Max | Rmw::And | Rmw::Or | Rmw::Xor if !self.ty.float() => {
                Some(integer(self, first, second))
            }
            Rmw::Exch => Some(second),
            _ => None,
        }
    }
}

fn f32_result(f: Rmw, old: u32, b: u32) -> u64 {
    let (x, y) = (f32::from_bits(old), f32::from_bits(b));
    let out = match f {
        Rmw::Add => x + y,
        Rmw::Min => x.min(y),
        _ => x.max(y),
    };
    u64::from(if out.is_nan() {
        0x7fff_ffff
    } else {
        out.to_bits()
    })
}

fn small_result(f: Rmw, small: Small, old: u32, b: u32) -> u32 {
    let (x, y) = (
        from_small(old & 0xffff, small),
        from_small(b & 0xffff, small),
    );
    let out = match f {
        Rmw::Add => f64::from(x) + f64::from(y),
        Rmw::Min => f64::from(x.min(y)),
        _ => f64::from(x.max(y)),
    };
    to_small(out, small, Round::Nearest)
}

#[inline]
fn integer(what: Update, old: u64, b: u64) -> u64 {
    let (x, y) = (extend(old, what.ty), extend(b, what.ty));
    let less = match what.ty.signed() {
        true => x < y,
        false => (x as u64) < y as u64,
    };
    match what.f {
        Rmw::Add => old.wrapping_add(b),
        Rmw::Min if less => old,
        Rmw::Max if !less => old,
        Rmw::Min | Rmw::Max => b,
        Rmw::And => old & b,
        Rmw::Or => old | b,
        Rmw::Xor => old ^ b,
        Rmw::Inc if x as u64 >= y as u64 => 0,
        Rmw::Inc => old.wrapping_add(1),
        Rmw::Dec if x == 0 || x as u64 > y as u64 => b,
        Rmw::Dec => old.wrapping_sub(1),
        Rmw::Exch | Rmw::Cas => b,
    }
}
