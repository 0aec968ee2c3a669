//! What becomes of each virtual register: a register of its own, another name for one, a constant,
//! or nothing because the only instruction that reads it does its work too.

use super::operands::{has_effect, reads, writes, written};
use crate::ptx::ast::Space;
use crate::ptx::flat::{Arg, Flat, FlatInst, Width};

/// What becomes of a virtual register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It has machine registers.
    Own,
    /// The same as another one.
    Alias(u32),
    /// In constant bank 0 at this offset.
    Constant(u32),
    /// A number in the instruction.
    Immediate,
    /// Computed by the instruction that reads it.
    Fused,
}

/// What becomes of the virtual registers and instructions of a kernel.
#[derive(Clone, Debug)]
pub struct Values {
    /// By virtual register.
    pub value: Vec<Value>,
    /// The only instruction that writes a register, if there is only one.
    pub writer: Vec<Option<u32>>,
    /// How often each is read.
    pub reads: Vec<u32>,
    /// Instructions that vanish.
    pub gone: Vec<bool>,
}

/// Byte offset of the kernel parameters in constant bank 0.
pub fn parameter_base(sm: u16) -> u32 {
    match sm {
        100.. => 0x380,
        90.. => 0x210,
        _ => 0x160,
    }
}

impl Values {
    /// Decides for every register of `flat`.
    pub fn of(flat: &Flat<'_>, sm: u16) -> Values {
        let count = flat.registers.len();
        let mut values = Values {
            value: vec![Value::Own; count],
            writer: vec![None; count],
            reads: vec![0; count],
            gone: vec![false; flat.insts.len()],
        };
        let mut times = vec![0u32; count];
        for (pc, inst) in flat.insts.iter().enumerate() {
            writes(inst, &mut |r| {
                times[r as usize] += 1;
                values.writer[r as usize] = Some(pc as u32);
            });
            reads(inst, &mut |r| {
                if let Some(n) = values.reads.get_mut(r as usize) {
                    *n += 1;
                }
            });
        }
        for (writer, times) in values.writer.iter_mut().zip(&times) {
            if *times != 1 {
                *writer = None;
            }
        }
        values.drop_dead(flat);
        values.rename(flat, sm);
        values.fuse(flat);
        values
    }

    /// Follows aliases.
    pub fn root(&self, mut r: u32) -> u32 {
        // Chains end: an alias is made once, from a register that was not one.
        for _ in 0..1000 {
            match self.value.get(r as usize) {
                Some(Value::Alias(to)) => r = *to,
                _ => break,
            }
        }
        r
    }

    /// Whether any instruction that is kept reads register `r`.
    pub fn is_read(&self, r: u32) -> bool {
        // A copy may have taken its place.
        [r, self.root(r)]
            .iter()
            .any(|&r| self.reads.get(r as usize).is_some_and(|&n| n > 0))
    }

    /// What a register is, aliases followed.
    pub fn what(&self, r: u32) -> Value {
        let root = self.root(r);
        self.value.get(root as usize).copied().unwrap_or(Value::Own)
    }

    fn drop_dead(&mut self, flat: &Flat<'_>) {
        let mut changed = true;
        while changed {
            changed = false;
            for (pc, inst) in flat.insts.iter().enumerate().rev() {
                if self.gone[pc] || has_effect(inst) {
                    continue;
                }
                let mut used = false;
                writes(inst, &mut |r| used |= self.reads[r as usize] > 0);
                if used {
                    continue;
                }
                self.gone[pc] = true;
                changed = true;
                reads(inst, &mut |r| {
                    if let Some(n) = self.reads.get_mut(r as usize) {
                        *n = n.saturating_sub(1);
                    }
                });
            }
        }
    }

    fn rename(&mut self, flat: &Flat<'_>, sm: u16) {
        let valued = self.read_as_value(flat);
        for (pc, inst) in flat.insts.iter().enumerate() {
            if self.gone[pc] || inst.guard.is_some() {
                continue;
            }
            let Some(Arg::Reg(d)) = inst.args.first() else {
                continue;
            };
            let d = *d;
            if self.writer[d as usize].is_none() {
                self.join_copy(pc, inst, d);
                continue;
            }
            let value = match (inst.opcode, inst.args.get(1)) {
                (
                    "ld",
                    Some(Arg::Address {
                        base: None,
                        symbol: Some(s),
                        offset,
                    }),
                ) => match flat.symbols.get(*s as usize) {
                    Some(symbol) if symbol.space == Space::Param && symbol.entry_param => {
                        let at = symbol.offset as i64 + offset;
                        Some(Value::Constant(parameter_base(sm) + at as u32))
                    }
                    _ => None,
                },
                ("mov", Some(Arg::Imm(_) | Arg::Symbol(..))) => Some(Value::Immediate),
                ("mov" | "cvta", Some(Arg::Reg(s))) => self.same(*s),
                ("cvt", Some(Arg::Reg(s))) if keeps_bits(inst) => self.same(*s),
                // Signs of floating-point operands are free.
                ("neg" | "abs", Some(Arg::Reg(s))) if float(inst) => self.same(*s),
                ("not", Some(Arg::Reg(s))) if inst.has("pred") => self.same(*s),
                ("add" | "sub", Some(Arg::Reg(s))) => match inst.args.get(2) {
                    Some(Arg::Imm(_)) if !valued[d as usize] => self.same(*s),
                    _ => None,
                },
                _ => None,
            };
            if let Some(value) = value {
                self.value[d as usize] = value;
                self.gone[pc] = true;
            }
        }
    }

    /// `d` can be another name of `s` when both have one meaning throughout.
    fn same(&self, s: u32) -> Option<Value> {
        match self.writer.get(s as usize) {
            Some(Some(_)) => Some(Value::Alias(s)),
            _ => None,
        }
    }

    /// A copy into a register with several writers: if nothing else reads the source, its writer
    /// writes the target at once.
    fn join_copy(&mut self, pc: usize, inst: &FlatInst<'_>, d: u32) {
        let ("mov", Some(Arg::Reg(s))) = (inst.opcode, inst.args.get(1)) else {
            return;
        };
        let s = *s as usize;
        let own = self.value.get(s) == Some(&Value::Own);
        if own && self.reads[s] == 1 && self.writer[s].is_some() && self.root(d) != s as u32 {
            self.value[s] = Value::Alias(d);
            self.gone[pc] = true;
        }
    }

    /// For each register whether anything but an address reads it.
    fn read_as_value(&self, flat: &Flat<'_>) -> Vec<bool> {
        let mut out = vec![false; self.value.len()];
        for (pc, inst) in flat.insts.iter().enumerate() {
            if self.gone[pc] {
                continue;
            }
            for arg in inst.args.iter().skip(written(inst)) {
                if !matches!(arg, Arg::Address { .. }) {
                    arg.registers(&mut |r| out[r as usize] = true);
                }
            }
        }
        out
    }

    /// How often each register is an operand of a 64-bit addition.
    fn wide_additions(&self, flat: &Flat<'_>) -> Vec<u32> {
        let mut out = vec![0; self.value.len()];
        for (pc, inst) in flat.insts.iter().enumerate() {
            let adds = inst.opcode == "add" && width(flat, inst) == Some(Width::W64);
            if self.gone[pc] || !adds || inst.has("cc") || inst.has("f64") {
                continue;
            }
            reads(inst, &mut |r| {
                let root = self.root(r);
                out[root as usize] += 1;
            });
        }
        out
    }

    fn fuse(&mut self, flat: &Flat<'_>) {
        // An address product that only additions read is worth computing in each of them.
        let additions = self.wide_additions(flat);
        for (pc, inst) in flat.insts.iter().enumerate() {
            if self.gone[pc] {
                continue;
            }
            let mut room = match (inst.opcode, width(flat, inst)) {
                ("add", Some(Width::W64)) => 1,
                ("add" | "and" | "or" | "xor", _) if !float(inst) => 1,
                _ => 0,
            };
            if inst.has("cc") {
                room = 0;
            }
            for arg in inst.args.iter().skip(1) {
                let (Arg::Reg(r) | Arg::Not(r)) = arg else {
                    continue;
                };
                let r = self.root(*r);
                let shared = self.reads.get(r as usize) == additions.get(r as usize);
                let again = room > 0 && shared && self.value[r as usize] == Value::Fused;
                if again {
                    room -= 1;
                    continue;
                }
                if room == 0 || !self.fusible(flat, inst, r, shared) {
                    continue;
                }
                room -= 1;
                self.value[r as usize] = Value::Fused;
                if let Some(writer) = self.writer[r as usize] {
                    self.gone[writer as usize] = true;
                }
            }
        }
    }

    /// Whether the instruction that writes `r` can be part of `reader`.
    fn fusible(&self, flat: &Flat<'_>, reader: &FlatInst<'_>, r: u32, shared: bool) -> bool {
        let (Some(Some(pc)), Some(times)) =
            (self.writer.get(r as usize), self.reads.get(r as usize))
        else {
            return false;
        };
        let Some(inst) = flat.insts.get(*pc as usize) else {
            return false;
        };
        if self.gone[*pc as usize] || self.value[r as usize] != Value::Own || inst.guard.is_some() {
            return false;
        }
        if *times != 1 && !(shared && inst.opcode == "mul" && inst.has("wide")) {
            return false;
        }
        // A fused instruction must not have been fused into itself.
        let mut plain = true;
        reads(inst, &mut |s| plain &= self.what(s) != Value::Fused);
        let logic = |op: &str| matches!(op, "and" | "or" | "xor" | "not");
        let predicate = reader.has("pred");
        let wide = width(flat, reader) == Some(Width::W64);
        let shifted = inst.opcode == "shl" && matches!(inst.args.get(2), Some(Arg::Imm(_)));
        match (reader.opcode, inst.opcode) {
            (op, "setp") if logic(op) && predicate => true,
            (op, other) if logic(op) && logic(other) && !predicate => plain && !wide,
            ("add", "mul") if wide => plain && inst.has("wide"),
            ("add", _) if wide => plain && shifted,
            ("add", "add" | "sub") => plain && !float(inst),
            ("add", _) => plain && shifted,
            _ => false,
        }
    }
}

/// Whether `inst` works on floating-point numbers.
pub fn float(inst: &FlatInst<'_>) -> bool {
    let is = |m: &&str| matches!(*m, "f32" | "f64" | "f16" | "f16x2" | "bf16" | "bf16x2");
    inst.modifiers.iter().any(is)
}

/// Width of the first operand.
pub fn width(flat: &Flat<'_>, inst: &FlatInst<'_>) -> Option<Width> {
    match inst.args.first() {
        Some(Arg::Reg(r)) => flat.registers.get(*r as usize).map(|r| r.width),
        _ => None,
    }
}

/// Conversions between integers that only rename bits: to zeros above, or to fewer bits.
fn keeps_bits(inst: &FlatInst<'_>) -> bool {
    let types: Vec<&str> = inst
        .modifiers
        .iter()
        .copied()
        .filter(|m| *m != "rn")
        .collect();
    let [to, from] = types.as_slice() else {
        return false;
    };
    let bits = |t: &str| t.get(1..).and_then(|n| n.parse::<u32>().ok());
    let integer = |t: &str| t.starts_with(['u', 's', 'b']);
    match (bits(to), bits(from)) {
        (Some(a), Some(b)) if integer(to) && integer(from) => a <= b || !from.starts_with('s'),
        _ => false,
    }
}

/// Words of a register of each width.
pub fn words(width: Width) -> u8 {
    match width {
        Width::Pred => 0,
        Width::W16 | Width::W32 => 1,
        Width::W64 => 2,
    }
}
