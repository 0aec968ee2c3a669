//! The registers of a warp: 32 lanes side by side, so that loops over lanes are vector code.

/// Lanes of a warp.
pub const LANES: usize = 32;
/// All lanes.
pub const FULL: u32 = u32::MAX;

/// One register of all lanes.
pub type Lanes<T> = [T; LANES];

/// A register file.
#[derive(Clone, Debug, Default)]
pub struct File<T>(pub Vec<Lanes<T>>);

impl<T: Copy + Default> File<T> {
    /// Makes `count` registers, all zero.
    pub fn reset(&mut self, count: usize) {
        self.0.clear();
        self.0.resize(count, [T::default(); LANES]);
    }

    /// Register `r`.
    #[inline(always)]
    pub fn get(&self, r: u32) -> &Lanes<T> {
        &self.0[r as usize]
    }

    /// Writes the lanes of `mask`.
    #[inline(always)]
    pub fn put(&mut self, r: u32, mask: u32, value: &Lanes<T>) {
        let target = &mut self.0[r as usize];
        if mask == FULL {
            *target = *value;
            return;
        }
        for (lane, (t, v)) in target.iter_mut().zip(value).enumerate() {
            *t = if mask >> lane & 1 != 0 { *v } else { *t };
        }
    }

    /// `d = f(a)`
    #[inline(always)]
    pub fn map1(&mut self, d: u32, a: u32, mask: u32, f: impl Fn(T) -> T) {
        let a = self.get(a);
        let out = each(|i| f(a[i]));
        self.put(d, mask, &out);
    }

    /// `d = f(a, b)`
    #[inline(always)]
    pub fn map2(&mut self, d: u32, a: u32, b: u32, mask: u32, f: impl Fn(T, T) -> T) {
        let (a, b) = (self.get(a), self.get(b));
        let out = each(|i| f(a[i], b[i]));
        self.put(d, mask, &out);
    }

    /// `d = f(a, b, c)`
    #[inline(always)]
    pub fn map3(&mut self, d: u32, [a, b, c]: [u32; 3], mask: u32, f: impl Fn(T, T, T) -> T) {
        let (a, b, c) = (self.get(a), self.get(b), self.get(c));
        let out = each(|i| f(a[i], b[i], c[i]));
        self.put(d, mask, &out);
    }
}

/// A value for each lane. A plain loop, since that is what becomes vector code.
#[inline(always)]
pub fn each<T: Copy + Default>(f: impl Fn(usize) -> T) -> Lanes<T> {
    let mut out = [T::default(); LANES];
    for (i, o) in out.iter_mut().enumerate() {
        *o = f(i);
    }
    out
}

/// All registers of a warp.
#[derive(Clone, Debug, Default)]
pub struct Regs {
    /// Predicates, a bit a lane.
    pub p: Vec<u32>,
    /// Words; 16-bit registers in their low halves.
    pub w: File<u32>,
    /// Double words.
    pub x: File<u64>,
    /// The carry flag.
    pub carry: u32,
}

impl Regs {
    /// Predicate `p` as a mask, inverted on demand.
    #[inline(always)]
    pub fn pred(&self, p: super::op::Pred) -> u32 {
        let value = self.p[p.register as usize];
        if p.negated { !value } else { value }
    }

    /// Writes the lanes of `mask` of a predicate.
    #[inline(always)]
    pub fn put_pred(&mut self, d: u32, mask: u32, value: u32) {
        let target = &mut self.p[d as usize];
        *target = *target & !mask | value & mask;
    }

    /// One lane of a register of either file.
    #[inline(always)]
    pub fn lane(&self, slot: super::op::Slot, lane: usize) -> u64 {
        use super::op::Slot::*;
        match slot {
            Half(r) | Word(r) => u64::from(self.w.get(r)[lane]),
            Double(r) => self.x.get(r)[lane],
        }
    }

    /// Writes one lane of a register of either file.
    #[inline(always)]
    pub fn put_lane(&mut self, slot: super::op::Slot, lane: usize, value: u64) {
        use super::op::Slot::*;
        match slot {
            Half(r) => self.w.0[r as usize][lane] = value as u32 & 0xffff,
            Word(r) => self.w.0[r as usize][lane] = value as u32,
            Double(r) => self.x.0[r as usize][lane] = value,
        }
    }
}
