//! Matrix instructions: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix`.
//!
//! Products are exact and summed in double precision before one rounding to the accumulator, which
//! is at least as accurate as any tensor core; results differ from a chip's in the last bits.

use super::super::fault::{LaneFault, Ran};
use super::super::matrix::{Element, Fragment, MatrixOp, Role, share};
use super::super::numeric::{Round, Small, from_small, to_small};
use super::super::observe::Observer;
use super::super::op::{Addr, List, Slot, Where};
use super::super::regs::{FULL, LANES, Lanes, Regs};
use super::super::shared::Use;
use super::cells::{peek, poke};
use super::{Cx, Warp, lanes};

impl Warp {
    pub(super) fn whole(&self, mask: u32) -> Ran<()> {
        if mask == FULL {
            return Ok(());
        }
        Err(Box::new(LaneFault::new(
            (!mask).trailing_zeros() as usize,
            "a matrix instruction without all lanes of the warp",
            "all 32 threads must execute it together",
        )))
    }

    pub(super) fn multiply<O>(&mut self, which: u32, mask: u32, cx: &mut Cx<'_, O>) -> Ran<()> {
        self.whole(mask)?;
        let program = cx.program;
        let op = &program.matrices[which as usize];
        let (m, n, k) = (op.m as usize, op.n as usize, op.k as usize);
        let [at_a, at_b, at_c] = &op.places;
        let a = gather(&self.regs, op.a_type, program.list(op.a), at_a, m * k);
        let b = gather(&self.regs, op.b_type, program.list(op.b), at_b, k * n);
        let mut out = gather(&self.regs, op.c_type, program.list(op.c), at_c, m * n);
        for row in 0..m {
            let sums = &mut out[row * n..][..n];
            for depth in 0..k {
                let (x, factors) = (a[row * k + depth], &b[depth * n..][..n]);
                for (sum, y) in sums.iter_mut().zip(factors) {
                    *sum += match op.a_type {
                        Element::B1 if !op.and => f64::from(u8::from(x != *y)),
                        _ => x * y,
                    };
                }
            }
        }
        self.scatter(op, &out, program.list(op.d));
        Ok(())
    }

    fn scatter(&mut self, op: &MatrixOp, values: &[f64], slots: &[Slot]) {
        let count = share(op, Role::C);
        for (at, &place) in (0u32..).zip(&op.places[2]) {
            let x = values.get(usize::from(place)).copied().unwrap_or(0.0);
            let bits = rounded(x, op.d_type, op.sat);
            put_element(
                &mut self.regs,
                op.d_type,
                slots,
                at / count,
                at % count,
                bits,
            );
        }
    }

    pub(super) fn fragment<O: Observer>(
        &mut self,
        pc: u32,
        which: u32,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.whole(mask)?;
        let program = cx.program;
        let f = program.fragments[which as usize];
        let at = self.addresses(f.addr);
        let (lines, length) = match f.column_major {
            true => (f.columns, f.rows),
            false => (f.rows, f.columns),
        };
        let stride = f.stride.map_or(length, |r| self.regs.w.get(r)[0]);
        let share = f.rows * f.columns / 32;
        let bytes = u64::from(f.element.bits() / 8).max(1);
        // In the order of memory each lane has one piece; that is what is seen to be accessed.
        let address =
            |n: u32| at[0].wrapping_add(u64::from(n / length * stride + n % length) * bytes);
        let pieces: Lanes<u64> = std::array::from_fn(|l| address(l as u32 * share));
        cx.observer.access(self.number, pc, mask, &pieces);
        debug_assert_eq!(lines * length, f.rows * f.columns);
        let offsets: Vec<(u32, u64)> = (0..f.rows * f.columns)
            .map(|n| {
                let (line, along) = (n / length, n % length);
                let (row, column) = if f.column_major {
                    (along, line)
                } else {
                    (line, along)
                };
                (row * f.columns + column, address(n))
            })
            .collect();
        for (element, address) in offsets {
            self.move_element(&f, element, share, address, bytes, cx)?;
        }
        Ok(())
    }

    fn move_element<O: Observer>(
        &mut self,
        f: &Fragment,
        element: u32,
        share: u32,
        address: u64,
        bytes: u64,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let (lane, i) = (element / share, element % share);
        let slots = cx.program.list(f.list);
        let all: Lanes<u64> = [address; LANES];
        self.by_space(f.space, &all, 1 << lane, |warp, space, at, mask| {
            let at = at[lane as usize];
            warp.check(space, lane as usize, at, bytes, !f.store, cx)?;
            if cx.shared.checked() && space == Where::Shared {
                let kind = if f.store { Use::Write } else { Use::Read };
                warp.check_races(&[at; LANES], bytes, mask, kind, cx)?;
            }
            if !f.store && space == Where::Global {
                cx.global.note_read(&[at; LANES], 1, bytes);
            }
            if f.store {
                let bits = element_bits(&warp.regs, f.element, slots, lane, i);
                poke(space, at, bytes as usize, bits, cx);
            } else {
                let bits = peek(space, at, bytes as usize, cx);
                let copies = capacity(f.element, slots) / share.max(1);
                for copy in 0..copies.max(1) {
                    put_element(
                        &mut warp.regs,
                        f.element,
                        slots,
                        lane,
                        copy * share + i,
                        bits,
                    );
                }
            }
            Ok(())
        })
    }

    pub(super) fn load_matrix<O: Observer>(
        &mut self,
        pc: u32,
        addr: Addr,
        trans: bool,
        d: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.whole(mask)?;
        let at = self.rows(pc, addr, d.count, Use::Read, cx)?;
        for (matrix, &slot) in cx.program.list(d).iter().enumerate() {
            for lane in 0..LANES {
                let mut word = 0;
                for half in 0..2 {
                    let (row, column) = matrix_place(lane, half, trans);
                    let from = at[8 * matrix + row] + 2 * column as u64;
                    word |= peek(Where::Shared, from, 2, cx) << (16 * half);
                }
                self.regs.put_lane(slot, lane, word);
            }
        }
        Ok(())
    }

    pub(super) fn store_matrix<O: Observer>(
        &mut self,
        pc: u32,
        addr: Addr,
        trans: bool,
        a: List,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        self.whole(mask)?;
        let at = self.rows(pc, addr, a.count, Use::Write, cx)?;
        for (matrix, &slot) in cx.program.list(a).iter().enumerate() {
            for lane in 0..LANES {
                let word = self.regs.lane(slot, lane);
                for half in 0..2 {
                    let (row, column) = matrix_place(lane, half, trans);
                    let to = at[8 * matrix + row] + 2 * column as u64;
                    poke(Where::Shared, to, 2, word >> (16 * half), cx);
                }
            }
        }
        Ok(())
    }

    /// Row addresses of `count` matrices, checked.
    fn rows<O: Observer>(
        &mut self,
        pc: u32,
        addr: Addr,
        count: u8,
        kind: Use,
        cx: &mut Cx<'_, O>,
    ) -> Ran<Lanes<u64>> {
        let used = FULL >> (32 - 8 * u32::from(count).clamp(1, 4));
        let mut at = self.addresses(addr);
        // Shared addresses, plain or generic.
        for a in &mut at {
            if super::access::window(*a) == super::super::SHARED_WINDOW {
                *a -= super::super::SHARED_WINDOW;
            }
        }
        cx.observer.access(self.number, pc, FULL, &at);
        super::cells::extent(&at, used, 16)?;
        for lane in lanes(used) {
            self.check(Where::Shared, lane, at[lane], 16, kind == Use::Read, cx)?;
        }
        if cx.shared.checked() {
            self.check_races(&at, 16, used, kind, cx)?;
        }
        Ok(at)
    }
}

/// Row and column of a half of a lane's register in an 8 x 8 matrix.
fn matrix_place(lane: usize, half: usize, trans: bool) -> (usize, usize) {
    let (row, column) = (lane / 4, lane % 4 * 2 + half);
    if trans { (column, row) } else { (row, column) }
}

/// `movmatrix`: transposes an 8 x 8 matrix of halves.
pub fn transpose(regs: &mut Regs, d: u32, a: u32, mask: u32) {
    let x = *regs.w.get(a);
    let out = std::array::from_fn(|lane| {
        (0..2).fold(0, |word, half| {
            let (row, column) = matrix_place(lane, half, true);
            let source = x[row * 4 + column / 2] >> (16 * (column % 2)) & 0xffff;
            word | source << (16 * half)
        })
    });
    regs.w.put(d, mask, &out);
}

/// A matrix of `size` elements, row by row, from the registers of all lanes.
pub(super) fn gather(
    regs: &Regs,
    element: Element,
    slots: &[Slot],
    places: &[u16],
    size: usize,
) -> Vec<f64> {
    let mut out = vec![0.0; size];
    let count = places.len() / LANES;
    let per = (element.register_bits() / element.bits()) as usize;
    let ones = u64::MAX >> (64 - element.bits());
    for (register, &slot) in slots.iter().enumerate() {
        for lane in 0..LANES {
            let word = regs.lane(slot, lane);
            for i in register * per..count.min((register + 1) * per) {
                let bits = word >> ((i - register * per) as u32 * element.bits()) & ones;
                if let Some(target) = out.get_mut(usize::from(places[lane * count + i])) {
                    *target = value(element, bits);
                }
            }
        }
    }
    out
}

fn capacity(element: Element, slots: &[Slot]) -> u32 {
    slots.len() as u32 * element.register_bits() / element.bits()
}

pub(super) fn element_bits(
    regs: &Regs,
    element: Element,
    slots: &[Slot],
    lane: u32,
    i: u32,
) -> u64 {
    let per = element.register_bits() / element.bits();
    let Some(&slot) = slots.get((i / per) as usize) else {
        return 0;
    };
    let ones = u64::MAX >> (64 - element.bits());
    regs.lane(slot, lane as usize) >> (i % per * element.bits()) & ones
}

pub(super) fn put_element(
    regs: &mut Regs,
    element: Element,
    slots: &[Slot],
    lane: u32,
    i: u32,
    bits: u64,
) {
    let per = element.register_bits() / element.bits();
    let Some(&slot) = slots.get((i / per) as usize) else {
        return;
    };
    let shift = i % per * element.bits();
    let ones = u64::MAX >> (64 - element.bits());
    let old = regs.lane(slot, lane as usize);
    regs.put_lane(
        slot,
        lane as usize,
        old & !(ones << shift) | (bits & ones) << shift,
    );
}

/// The bits of a sum as an element of the result.
pub(super) fn rounded(x: f64, element: Element, sat: bool) -> u64 {
    match element {
        Element::F64 => x.to_bits(),
        Element::F16 => u64::from(to_small(x, Small::F16, Round::Nearest)),
        Element::S32 if sat => {
            let (low, high) = (f64::from(i32::MIN), f64::from(i32::MAX));
            u64::from(x.clamp(low, high) as i32 as u32)
        }
        Element::S32 => u64::from(x as i64 as u32),
        _ => u64::from((x as f32).to_bits()),
    }
}

pub(super) fn value(element: Element, bits: u64) -> f64 {
    let small = |s: Small| f64::from(from_small(bits as u32, s));
    match element {
        Element::F16 => small(Small::F16),
        Element::Bf16 => small(Small::Bf16),
        Element::Tf32 => small(Small::Tf32),
        Element::E4m3 => small(Small::E4m3),
        Element::E5m2 => small(Small::E5m2),
        Element::F32 => f64::from(f32::from_bits(bits as u32)),
        Element::F64 => f64::from_bits(bits),
        Element::S8 => f64::from(bits as u8 as i8),
        Element::S4 => f64::from(((bits as u8) << 4) as i8 >> 4),
        Element::U8 | Element::U4 | Element::B1 => bits as f64,
        Element::S32 => f64::from(bits as u32 as i32),
    }
}
