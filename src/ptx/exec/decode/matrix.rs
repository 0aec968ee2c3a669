//! Matrix instructions.

use super::super::matrix::{Element, Fragment, GroupOp, MatrixOp, Role, Source, places};
use super::super::op::{Op, Where};
use super::{Decoded, Decoder, unsupported};
use crate::ptx::ast::{Number, Type};
use crate::ptx::flat::{Arg, FlatInst};

impl<'a> Decoder<'a> {
    pub(super) fn matrices(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        match inst.opcode {
            "movmatrix" => Ok(Op::Movmatrix {
                d: self.dest(inst.args.first(), Type::B32)?,
                a: self.w(inst.args.get(1), Type::B32)?,
            }),
            "wgmma" if inst.has("mma_async") => self.group(inst),
            // Products are there at once, so nothing has to wait for them.
            "wgmma" => Ok(Op::Nop),
            "wmma" if inst.has("load") || inst.has("store") => self.wmma_access(inst),
            _ => self.multiplication(inst),
        }
    }

    fn multiplication(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let wmma = inst.opcode == "wmma";
        let (m, n, k) = shape(inst).ok_or_else(|| unsupported(inst))?;
        let types: Vec<Element> = inst.modifiers.iter().filter_map(|t| element(t)).collect();
        // D, A, B, C; the old f16 forms of wmma name D and C alone.
        let [d_type, a_type, b_type, c_type] = match types.as_slice() {
            [d, a, b, c] => [*d, *a, *b, *c],
            [d, c] if wmma => [*d, Element::F16, Element::F16, *c],
            _ => return Err(unsupported(inst)),
        };
        let volta = !wmma && (m, n, k) == (8, 8, 4) && a_type == Element::F16;
        let sparse = inst.modifiers.iter().any(|t| t.starts_with("sp"));
        let scaled = inst
            .modifiers
            .iter()
            .any(|t| t.starts_with("kind") && *t != "kind::f8f6f4" || *t == "block_scale");
        let columns = !(wmma || inst.has("row") && inst.has("col"));
        if volta || sparse || scaled || columns && a_type != Element::B1 {
            return Err(unsupported(inst));
        }
        if !wmma && (n != 8 || !matches!(m, 8 | 16)) || m * n * k > 32 * 32 * 256 {
            return Err(unsupported(inst));
        }
        let mut lists = Vec::with_capacity(4);
        for (i, element) in [d_type, a_type, b_type, c_type].iter().enumerate() {
            let ty = match element {
                Element::F64 => Type::B64,
                _ => Type::B32,
            };
            let slots = self.slots(inst.args.get(i), ty)?;
            lists.push(self.list(slots)?);
        }
        let [d, a, b, c] = lists.as_slice() else {
            return Err(unsupported(inst));
        };
        let mut op = MatrixOp {
            m,
            n,
            k,
            a_type,
            b_type,
            c_type,
            d_type,
            d: *d,
            a: *a,
            b: *b,
            c: *c,
            wmma,
            sat: inst.has("satfinite"),
            and: inst.has("and"),
            places: [const { Vec::new() }; 3],
        };
        op.places = [Role::A, Role::B, Role::C].map(|role| places(&op, role));
        self.program.matrices.push(op);
        Ok(Op::Mma {
            which: self.program.matrices.len() as u32 - 1,
        })
    }

    fn group(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let (m, n, k) = shape(inst).ok_or_else(|| unsupported(inst))?;
        let types: Vec<Element> = inst.modifiers.iter().filter_map(|t| element(t)).collect();
        let [d_type, a_type, b_type] = *types.as_slice() else {
            return Err(unsupported(inst));
        };
        let fits = m == 64 && n % 8 == 0 && k * a_type.bits() == 256;
        if !fits || inst.has("sp") || a_type.bits() != b_type.bits() {
            return Err(unsupported(inst));
        }
        let slots = self.slots(inst.args.first(), Type::B32)?;
        if slots.len() as u32 * 32 != n / 2 * d_type.bits() {
            return Err("the wrong number of accumulators".to_owned());
        }
        let d = self.list(slots)?;
        let in_registers = matches!(inst.args.get(1), Some(Arg::Vector(_)));
        let a = match in_registers {
            true => {
                let slots = self.slots(inst.args.get(1), Type::B32)?;
                Source::Registers(self.list(slots)?)
            }
            false => Source::Shared(self.x(inst.args.get(1), Type::B64)?),
        };
        let accumulate = match inst.args.get(3) {
            Some(arg) => self.pred(arg)?,
            None => return Err(super::missing(None)),
        };
        let number = |at: usize| immediate(inst, at);
        let transposed = match in_registers {
            true => [false, number(6) != 0],
            false => [number(6) != 0, number(7) != 0],
        };
        let b = self.x(inst.args.get(2), Type::B64)?;
        // Rows of A in registers lie as those of `mma` do.
        let like = MatrixOp {
            m: 16,
            n: 8,
            k,
            a_type,
            b_type,
            c_type: d_type,
            d_type,
            d,
            a: d,
            b: d,
            c: d,
            wmma: false,
            sat: false,
            and: false,
            places: [const { Vec::new() }; 3],
        };
        self.program.groups.push(GroupOp {
            places: places(&like, Role::A),
            n,
            k,
            a_type,
            b_type,
            d_type,
            a,
            b,
            d,
            accumulate,
            negated: (number(4) < 0) != (number(5) < 0),
            transposed,
            sat: inst.has("satfinite"),
        });
        Ok(Op::Wgmma {
            which: self.program.groups.len() as u32 - 1,
        })
    }

    fn wmma_access(&mut self, inst: &FlatInst<'a>) -> Decoded<Op> {
        let (m, n, k) = shape(inst).ok_or_else(|| unsupported(inst))?;
        let store = inst.has("store");
        let (rows, columns) = if inst.has("a") {
            (m, k)
        } else if inst.has("b") {
            (k, n)
        } else {
            (m, n)
        };
        let element = inst.modifiers.iter().rev().find_map(|t| element(t));
        let element = element
            .filter(|e| e.bits() >= 8)
            .ok_or_else(|| unsupported(inst))?;
        let space = inst
            .modifiers
            .iter()
            .find_map(|t| match t.split("::").next() {
                Some("global") => Some(Where::Global),
                Some("shared") => Some(Where::Shared),
                _ => None,
            });
        let (registers, address) = match store {
            true => (inst.args.get(1), inst.args.first()),
            false => (inst.args.first(), inst.args.get(1)),
        };
        let ty = if element == Element::F64 {
            Type::B64
        } else {
            Type::B32
        };
        let slots = self.slots(registers, ty)?;
        let list = self.list(slots)?;
        let addr = self.addr(address)?;
        let stride = match inst.args.get(2) {
            Some(arg) => Some(self.w(Some(arg), Type::B32)?),
            None => None,
        };
        self.program.fragments.push(Fragment {
            store,
            element,
            rows,
            columns,
            column_major: inst.has("col"),
            space: space.unwrap_or(Where::Generic),
            addr,
            stride,
            list,
        });
        Ok(Op::Fragment {
            which: self.program.fragments.len() as u32 - 1,
        })
    }
}

/// `m16n8k16`
pub(in crate::ptx) fn shape(inst: &FlatInst<'_>) -> Option<(u32, u32, u32)> {
    inst.modifiers.iter().find_map(|modifier| {
        let rest = modifier.strip_prefix('m')?;
        let (m, rest) = rest.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        let dims = (m.parse().ok()?, n.parse().ok()?, k.parse().ok()?);
        // Every lane has a whole share of each matrix.
        let (m, n, k): (u32, u32, u32) = dims;
        let small = m <= 64 && n <= 256 && k <= 256;
        (small && m * n % 32 == 0 && m * k % 32 == 0 && n * k % 32 == 0).then_some(dims)
    })
}

pub(in crate::ptx) fn element(modifier: &str) -> Option<Element> {
    Some(match modifier {
        "f16" => Element::F16,
        "bf16" => Element::Bf16,
        "tf32" => Element::Tf32,
        "f32" => Element::F32,
        "f64" => Element::F64,
        "s8" => Element::S8,
        "u8" => Element::U8,
        "s4" => Element::S4,
        "u4" => Element::U4,
        "b1" => Element::B1,
        "s32" => Element::S32,
        "e4m3" => Element::E4m3,
        "e5m2" => Element::E5m2,
        _ => return None,
    })
}

/// Argument `at` if it is a number, else 0.
fn immediate(inst: &FlatInst<'_>, at: usize) -> i64 {
    match inst.args.get(at) {
        Some(Arg::Imm(Number::Int(value))) => *value,
        _ => 0,
    }
}
