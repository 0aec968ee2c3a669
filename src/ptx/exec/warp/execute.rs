//! Instructions that do not change the flow of control.

mod moves;

use super::super::alu::{self, Conversion};
use super::super::fault::Ran;
use super::super::observe::Observer;
use super::super::op::{Int, Op, Slot};
use super::super::regs::{LANES, Lanes, each};
use super::super::{carry, float, int, parts};
use super::{Cx, Warp};

impl Warp {
    /// Any instruction that does not change the flow of control.
    #[inline]
    pub(super) fn execute<O: Observer>(
        &mut self,
        pc: u32,
        op: &Op,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let regs = &mut self.regs;
        match *op {
            Op::F32 { f, m, d, a, b, c } => float::f32(regs, f, m, d, [a, b, c], mask),
            Op::Ld {
                space,
                ty,
                polls,
                addr,
                d,
            } => {
                if polls {
                    self.poll(addr, mask);
                }
                return self.load(pc, space, ty, addr, d, mask, cx);
            }
            Op::St {
                space,
                bytes,
                addr,
                a,
            } => {
                return self.store(pc, space, bytes, addr, a, mask, cx);
            }
            Op::Mov32 { d, a } => {
                let value = *regs.w.get(a);
                regs.w.put(d, mask, &value);
            }
            Op::Mov64 { d, a } => {
                let value = *regs.x.get(a);
                regs.x.put(d, mask, &value);
            }
            Op::Int32 {
                f: Int::Add,
                d,
                a,
                b,
                ..
            } => {
                regs.w.map2(d, a, b, mask, |x, y| x.wrapping_add(y));
            }
            Op::Int64 {
                f: Int::Add,
                d,
                a,
                b,
                ..
            } => {
                regs.x.map2(d, a, b, mask, |x, y| x.wrapping_add(y));
            }
            Op::Int32 { f, d, a, b, c } => int::int32(regs, f, d, [a, b, c], mask),
            Op::Int64 { f, d, a, b, c } => int::int64(regs, f, d, [a, b, c], mask),
            Op::Int16 { f, d, a, b, c } => int::int16(regs, f, d, [a, b, c], mask),
            Op::Setp {
                cmp,
                ty,
                ftz,
                d,
                e,
                a,
                b,
                with,
            } => {
                let holds = alu::comparison(regs, cmp, ty, ftz, a, b);
                let value = alu::combine(regs, holds, with);
                let other = e.map(|_| alu::combine(regs, !holds, with));
                regs.put_pred(d, mask, value);
                if let (Some(e), Some(other)) = (e, other) {
                    regs.put_pred(e, mask, other);
                }
            }
            Op::Wide { signed, d, a, b } => int::wide(regs, signed, d, a, b, mask),
            Op::MadWide { signed, d, a, b, c } => int::mad_wide(regs, signed, d, [a, b, c], mask),
            Op::Shift32 { f, d, a, b } => int::shift32(regs, f, d, a, b, mask),
            Op::Shift64 { f, d, a, b } => int::shift64(regs, f, d, a, b, mask),
            Op::Sel32 { d, a, b, p } => {
                let p = regs.pred(p);
                let (x, y) = (*regs.w.get(a), *regs.w.get(b));
                regs.w.put(d, mask & p, &x);
                regs.w.put(d, mask & !p, &y);
            }
            Op::Sel64 { d, a, b, p } => {
                let p = regs.pred(p);
                let (x, y) = (*regs.x.get(a), *regs.x.get(b));
                regs.x.put(d, mask & p, &x);
                regs.x.put(d, mask & !p, &y);
            }
            _ => return self.execute_rarer(pc, op, mask, cx),
        }
        Ok(())
    }

    fn execute_rarer<O: Observer>(
        &mut self,
        pc: u32,
        op: &Op,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let executed = self.executed;
        let regs = &mut self.regs;
        match *op {
            Op::Cvt {
                from,
                to,
                m,
                integral,
                relu,
                d,
                a,
            } => {
                let how = Conversion {
                    from,
                    to,
                    m,
                    integral,
                    relu,
                };
                alu::convert(regs, how, d, a, mask);
            }
            Op::CvtPack {
                to,
                m,
                relu,
                d,
                a,
                b,
            } => {
                alu::convert_pack(regs, to, m, relu, d, [a, b], mask);
            }
            Op::F64 { f, m, d, a, b, c } => float::f64(regs, f, m, d, [a, b, c], mask),
            Op::F16 {
                f,
                m,
                small,
                packed,
                d,
                a,
                b,
                c,
            } => {
                float::half(regs, f, m, small, packed, d, [a, b, c], mask);
            }
            Op::F32x2 { f, m, d, a, b, c } => float::f32x2(regs, f, m, d, [a, b, c], mask),
            Op::F32Mixed {
                f,
                m,
                small,
                d,
                a,
                b,
                c,
            } => float::mixed(regs, f, m, small, d, [a, b, c], mask),
            Op::Parts { f, d, a, b, c } => parts::run(regs, f, d, [a, b, c], mask),
            Op::PredOp { f, d, a, b } => alu::predicates(regs, f, d, a, b, mask),
            Op::MovPred { d, a } => {
                let value = regs.pred(a);
                regs.put_pred(d, mask, value);
            }
            Op::Word { f, d, a, b, c } => int::word(regs, f, d, [a, b, c], mask),
            Op::Shift16 { f, d, a, b } => int::shift16(regs, f, d, a, b, mask),
            Op::Mixed { f, d, a } => int::mixed(regs, f, d, a, mask),
            Op::Bfe64 { signed, d, a, b, c } => int::bfe64(regs, signed, d, [a, b, c], mask),
            Op::Bfi32 { d, a, b, c, e } => int::bfi32(regs, d, [a, b, c, e], mask),
            Op::Bfi64 { d, a, b, c, e } => int::bfi64(regs, d, [a, b, c, e], mask),
            Op::Wide16 { signed, d, a, b, c } => int::wide16(regs, signed, d, [a, b, c], mask),
            Op::Carry32 { f, d, a, b, c } => carry::carry(regs, f, 32, d, [a, b, c], mask),
            Op::Carry64 { f, d, a, b, c } => carry::carry(regs, f, 64, d, [a, b, c], mask),
            Op::Clock { d, high } => {
                // A clock that only counts this warp's instructions, four cycles each.
                let now = 4 * executed;
                let value = if high { now >> 32 } else { now };
                for lane in 0..LANES {
                    if mask >> lane & 1 != 0 {
                        regs.put_lane(d, lane, value);
                    }
                }
            }
            Op::SetpPacked {
                cmp,
                small,
                d,
                e,
                a,
                b,
                with,
            } => {
                let (low, high) = alu::comparison_packed(regs, cmp, small, a, b);
                let value = alu::combine(regs, low, with);
                let other = alu::combine(regs, high, with);
                match e {
                    Some(e) => {
                        regs.put_pred(d, mask, value);
                        regs.put_pred(e, mask, other);
                    }
                    None => regs.put_pred(d, mask, value & other),
                }
            }
            Op::Set {
                cmp,
                ty,
                ftz,
                ones,
                d,
                a,
                b,
                with,
            } => {
                let holds = alu::comparison(regs, cmp, ty, ftz, a, b);
                let holds = alu::combine(regs, holds, with);
                let out: Lanes<u32> = each(|i| if holds >> i & 1 != 0 { ones } else { 0 });
                regs.w.put(d, mask, &out);
            }
            Op::Slct {
                wide,
                float,
                d,
                a,
                b,
                c,
            } => {
                let sign = regs.w.get(c);
                let mut first = 0u32;
                for (lane, &bits) in sign.iter().enumerate() {
                    let yes = match float {
                        true => f32::from_bits(bits) >= 0.0,
                        false => bits as i32 >= 0,
                    };
                    first |= u32::from(yes) << lane;
                }
                if wide {
                    let (x, y) = (*regs.x.get(a), *regs.x.get(b));
                    regs.x.put(d, mask & first, &x);
                    regs.x.put(d, mask & !first, &y);
                } else {
                    let (x, y) = (*regs.w.get(a), *regs.w.get(b));
                    regs.w.put(d, mask & first, &x);
                    regs.w.put(d, mask & !first, &y);
                }
            }
            Op::TestP { d, a, class } => {
                let wide = matches!(a, Slot::Double(_));
                let value = (0..LANES).fold(0, |m, lane| {
                    m | u32::from(float::test_class(class, regs.lane(a, lane), wide)) << lane
                });
                regs.put_pred(d, mask, value);
            }
            _ => return self.execute_moves(pc, op, mask, cx),
        }
        Ok(())
    }
}
