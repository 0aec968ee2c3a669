//! Packing, address conversion, and what the other files of the warp carry out.

use super::super::super::fault::{LaneFault, Ran};
use super::super::super::observe::Observer;
use super::super::super::op::{Int, Op};
use super::super::super::regs::LANES;
use super::super::super::rmw::Update;
use super::super::super::{alu, int};
use super::super::{Cx, Warp, access, atomic, bits_of, lanes, matrices};

impl Warp {
    pub(super) fn execute_moves<O: Observer>(
        &mut self,
        pc: u32,
        op: &Op,
        mask: u32,
        cx: &mut Cx<'_, O>,
    ) -> Ran<()> {
        let regs = &mut self.regs;
        match *op {
            Op::SetPacked {
                cmp,
                small,
                ones,
                d,
                a,
                b,
                with,
            } => alu::set_packed(regs, (cmp, small, ones), d, [a, b], with, mask),
            Op::CvtTwo {
                from,
                to,
                m,
                relu,
                d,
                a,
            } => alu::convert_two(regs, [from, to], m, relu, d, a, mask),
            Op::Lop3Pred {
                table,
                any,
                d,
                p,
                abc: [a, b, c],
                with,
            } => {
                let with = regs.pred(with);
                int::int32(regs, Int::Lop3(table), d, [a, b, c], mask);
                let holds = regs.w.get(d).iter().enumerate();
                let holds = holds.fold(0, |m, (i, &x)| m | u32::from(x != 0) << i);
                regs.put_pred(p, mask, if any { holds | with } else { holds & with });
            }
            Op::MovList { d, a } => {
                let (to, from) = (cx.program.list(d), cx.program.list(a));
                for lane in lanes(mask) {
                    let values: Vec<u64> = from.iter().map(|&a| regs.lane(a, lane)).collect();
                    for (&d, value) in to.iter().zip(values) {
                        regs.put_lane(d, lane, value);
                    }
                }
            }
            Op::Pack { d, parts } => {
                let list = cx.program.list(parts);
                let bits = bits_of(d) / list.len().max(1) as u32;
                for lane in lanes(mask) {
                    let value = list.iter().rev().fold(0u64, |value, &part| {
                        let ones = u64::MAX >> (64 - bits.clamp(1, 64));
                        value.wrapping_shl(bits) | regs.lane(part, lane) & ones
                    });
                    regs.put_lane(d, lane, value);
                }
            }
            Op::Unpack { parts, a } => {
                let list = cx.program.list(parts);
                let bits = bits_of(a) / list.len().max(1) as u32;
                for lane in lanes(mask) {
                    let value = regs.lane(a, lane);
                    for (i, &part) in list.iter().enumerate() {
                        let ones = u64::MAX >> (64 - bits.clamp(1, 64));
                        regs.put_lane(part, lane, value >> (bits * i as u32) & ones);
                    }
                }
            }
            Op::Cvta {
                wide,
                base,
                to,
                d,
                a,
            } => {
                let by = if to { base.wrapping_neg() } else { base };
                if wide {
                    regs.x.map1(d, a, mask, |x| x.wrapping_add(by));
                } else {
                    regs.w.map1(d, a, mask, |x| x.wrapping_add(by as u32));
                }
            }
            Op::Mapa { wide, d, a, rank } => {
                let ranks = regs.w.get(rank);
                if let Some(lane) = lanes(mask).find(|&lane| ranks[lane] != 0) {
                    return Err(Box::new(LaneFault::new(
                        lane,
                        format!("an address of CTA {} of a cluster of one", ranks[lane]),
                        "clusters of more than one CTA are not emulated",
                    )));
                }
                if wide {
                    regs.x.map1(d, a, mask, |x| x);
                } else {
                    regs.w.map1(d, a, mask, |x| x);
                }
            }
            Op::Isspacep { d, a, base } => {
                let x = regs.x.get(a);
                let value = (0..LANES).fold(0, |m, lane| {
                    m | u32::from(access::window(x[lane]) == base) << lane
                });
                regs.put_pred(d, mask, value);
            }
            Op::Alloca { d, bytes, align } => {
                return self.take_stack(d, bytes, align, mask, cx.program);
            }
            Op::Activemask { d } => regs.w.put(d, mask, &[mask; LANES]),
            Op::Atom {
                space,
                f,
                ty,
                packed,
                addr,
                d,
                b,
                c,
            } => {
                let update = Update { f, ty, packed };
                let what = atomic::Atom { update, b, c };
                return self.atom(pc, space, what, addr, d, mask, cx);
            }
            Op::AtomVector {
                space,
                f,
                ty,
                packed,
                addr,
                d,
                b,
                c,
            } => {
                let update = Update { f, ty, packed };
                return self.atom_vector(pc, space, update, addr, (d, b, c), mask, cx);
            }
            Op::CpAsync {
                dst,
                src,
                bytes,
                size,
                ignore,
            } => {
                return self.copy_async(pc, [dst, src], bytes, size, ignore, mask, cx);
            }
            Op::Ldmatrix { addr, trans, d } => {
                return self.load_matrix(pc, addr, trans, d, mask, cx);
            }
            Op::Stmatrix { addr, trans, a } => {
                return self.store_matrix(pc, addr, trans, a, mask, cx);
            }
            Op::Mma { which } => return self.multiply(which, mask, cx),
            Op::Wgmma { which } => return self.multiply_group(which, mask, cx),
            Op::Fragment { which } => return self.fragment(pc, which, mask, cx),
            Op::Movmatrix { d, a } => matrices::transpose(regs, d, a, mask),
            Op::Refused(number) => {
                let why = cx
                    .program
                    .refusals
                    .get(number as usize)
                    .cloned()
                    .unwrap_or_default();
                return Err(Box::new(LaneFault::new(
                    mask.trailing_zeros() as usize,
                    why,
                    "the emulator cannot run this kernel; `trace info` lists all such instructions",
                )));
            }
            Op::Trap => {
                let remedy = match cx.program.cooperative {
                    true => {
                        "it may want to synchronise the whole grid (`%envreg`): cooperative \
                         launches are not emulated"
                    }
                    false => "an assertion of the kernel failed: look at its arguments",
                };
                return Err(Box::new(LaneFault::new(
                    mask.trailing_zeros() as usize,
                    "the kernel gave up (trap)",
                    remedy,
                )));
            }
            _ => {}
        }
        Ok(())
    }
}
