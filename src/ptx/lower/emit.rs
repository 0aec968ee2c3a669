//! Emits the machine instructions of each PTX instruction.

use super::operands::written;
use super::values::{Value, Values, float, words};
use super::{Lowered, Operand, Span};
use super::{expand, texts};
use crate::ptx::ast::{Space, Type};
use crate::ptx::exec::decode::decoded_shape;
use crate::ptx::flat::{Arg, Flat, FlatInst, Special, Width};
use std::collections::{BTreeMap, HashSet};

/// State of the pass.
pub struct Emitter<'a> {
    /// The kernel.
    pub flat: &'a Flat<'a>,
    /// What became of its registers.
    pub values: &'a Values,
    /// SASS version.
    pub sm: u16,
    /// Output.
    pub out: Vec<Lowered>,
    pc: u32,
    joined: BTreeMap<u32, Vec<u32>>,
    // Registers whose packed halves the second FP16 pipe wrote last.
    by_mma: HashSet<u32>,
}

/// Machine instructions and, for each PTX instruction, which are its own.
pub fn emit(flat: &Flat<'_>, values: &Values, sm: u16) -> (Vec<Lowered>, Vec<Span>) {
    let mut emitter = Emitter {
        flat,
        values,
        sm,
        out: Vec::with_capacity(flat.insts.len()),
        pc: 0,
        joined: super::join::groups(flat, values),
        by_mma: HashSet::new(),
    };
    let followers: HashSet<u32> = emitter
        .joined
        .iter()
        .flat_map(|(first, group)| group.iter().copied().filter(move |pc| pc != first))
        .collect();
    let mut spans = Vec::with_capacity(flat.insts.len());
    // Every kernel loads its stack pointer first.
    emitter.push("MOV", &[], &[]);
    if let Some(first) = emitter.out.last_mut() {
        first.constant = Some(0x28);
    }
    for (pc, inst) in flat.insts.iter().enumerate() {
        emitter.pc = pc as u32;
        let start = if pc == 0 { 0 } else { emitter.out.len() };
        let mut access_step = 0;
        let follows = followers.contains(&(pc as u32));
        if !follows && !values.gone.get(pc).copied().unwrap_or(false) {
            access_step = emitter.inst(inst);
        }
        spans.push(Span {
            start: start as u32,
            count: (emitter.out.len() - start) as u32,
            access_step,
            access_back: emitter.access_back(pc as u32),
        });
    }
    (emitter.out, spans)
}

impl<'a> Emitter<'a> {
    /// Appends an instruction.
    pub fn push(&mut self, text: &str, dst: &[Operand], src: &[Operand]) {
        self.out.push(Lowered {
            text: text.to_owned(),
            dst: dst.to_vec(),
            src: src.to_vec(),
            constant: None,
            imm: 0,
            pc: self.pc,
        });
    }

    /// The operand that a register is, if it is in one.
    pub fn operand(&self, r: u32) -> Option<Operand> {
        let root = self.values.root(r);
        match self.values.what(r) {
            Value::Constant(_) | Value::Immediate => return None,
            _ => {}
        }
        let width = self.flat.registers.get(root as usize)?.width;
        Some(match width {
            Width::Pred => Operand::Pred(root),
            width => Operand::Value(root, words(width)),
        })
    }

    /// Written operands of `inst`.
    pub fn dst(&self, inst: &FlatInst<'_>) -> Vec<Operand> {
        let mut out = Vec::new();
        for arg in inst.args.iter().take(written(inst)) {
            arg.registers(&mut |r| out.extend(self.operand(r)));
        }
        out
    }

    /// Read operands of `inst` with those of the instructions that were fused into it, the first
    /// constant-bank offset among them, and how many instructions were fused.
    pub fn src(&self, inst: &FlatInst<'_>) -> (Vec<Operand>, Option<u32>) {
        let mut out = Vec::new();
        let mut constant = None;
        self.sources(inst, &mut out, &mut constant, 0);
        if let Some((guard, _)) = inst.guard {
            out.extend(self.operand(guard));
        }
        (out, constant)
    }

    fn sources(
        &self,
        inst: &FlatInst<'_>,
        out: &mut Vec<Operand>,
        constant: &mut Option<u32>,
        depth: u32,
    ) {
        for arg in inst.args.iter().skip(written(inst)) {
            arg.registers(&mut |r| match self.values.what(r) {
                Value::Constant(offset) => *constant = constant.or(Some(offset)),
                Value::Fused if depth < 4 => {
                    let root = self.values.root(r);
                    let writer = self.values.writer.get(root as usize).copied().flatten();
                    if let Some(inner) = writer.and_then(|pc| self.flat.insts.get(pc as usize)) {
                        self.sources(inner, out, constant, depth + 1);
                    }
                }
                _ => out.extend(self.operand(r)),
            });
        }
    }

    /// One instruction with all operands of `inst`.
    pub fn simple(&mut self, text: &str, inst: &FlatInst<'_>) {
        let dst = self.dst(inst);
        let (src, constant) = self.src(inst);
        self.push(text, &dst, &src);
        if let Some(last) = self.out.last_mut() {
            last.constant = constant;
        }
    }

    /// Packed halves where two pipes work on them: ptxas deals dependent ones to both in turn,
    /// those of the second pipe as HFMA2.MMA whatever they do.
    pub fn packed_half(&mut self, text: &str, bf: &str, inst: &FlatInst<'_>) {
        let root = |operand: &Operand| match operand {
            Operand::Value(root, _) => Some(*root),
            _ => None,
        };
        let (src, _) = self.src(inst);
        let after_mma = src
            .iter()
            .filter_map(root)
            .any(|root| self.by_mma.contains(&root));
        for written in self.dst(inst).iter().filter_map(root) {
            match after_mma {
                true => self.by_mma.remove(&written),
                false => self.by_mma.insert(written),
            };
        }
        if after_mma {
            self.simple(text, inst);
        } else {
            self.simple(&format!("HFMA2.MMA{bf}"), inst);
        }
    }

    /// Further instructions that work on the result of `inst`.
    pub fn chain(&mut self, texts: &[&str], inst: &FlatInst<'_>) {
        let dst = self.dst(inst);
        let general: Vec<Operand> = dst
            .iter()
            .copied()
            .filter(|o| matches!(o, Operand::Value(..)))
            .collect();
        for text in texts {
            self.push(text, &dst, &general);
        }
    }

    /// The instruction that `r` was fused from.
    fn fused(&self, inst: &FlatInst<'_>) -> Option<&'a FlatInst<'a>> {
        let mut found = None;
        for arg in inst.args.iter().skip(1) {
            arg.registers(&mut |r| {
                if self.values.what(r) == Value::Fused {
                    let root = self.values.root(r);
                    let pc = self.values.writer.get(root as usize).copied().flatten();
                    found = pc.and_then(|pc| self.flat.insts.get(pc as usize));
                }
            });
        }
        found
    }

    /// Emits `inst`; returns the distance of its accesses when it makes several.
    fn inst(&mut self, inst: &FlatInst<'_>) -> u32 {
        let wide = inst.args.first().is_some_and(|a| match a {
            Arg::Reg(r) => self
                .flat
                .registers
                .get(*r as usize)
                .is_some_and(|r| r.width == Width::W64),
            _ => false,
        });
        match inst.opcode {
            "ld" | "ldu" | "st" | "atom" | "red" | "cp" | "ldmatrix" | "stmatrix" => {
                self.memory(inst);
            }
            "mma" | "wmma" => return self.matrix(inst),
            "wgmma" => {
                let text = texts::group_text(inst);
                if !text.is_empty() {
                    self.simple(&text, inst);
                }
            }
            "bra" | "brx" | "call" | "ret" | "exit" | "trap" => {
                let text = match inst.opcode {
                    "bra" => "BRA",
                    "brx" => "BRX",
                    "call" => "CALL.REL.NOINC",
                    "ret" if self.in_entry() => "EXIT",
                    "ret" => "RET.REL.NODEC",
                    "trap" => "BPT.TRAP",
                    _ => "EXIT",
                };
                self.simple(text, inst);
            }
            "bar" | "barrier" if inst.has("warp") => self.simple("WARPSYNC", inst),
            "bar" | "barrier" => {
                let text = match (inst.has("arrive"), inst.has("red"), self.sm) {
                    (true, ..) => "BAR.ARV",
                    (_, true, _) => "BAR.RED.POPC",
                    (_, _, 80..) => "BAR.SYNC.DEFER_BLOCKING",
                    _ => "BAR.SYNC",
                };
                self.simple(text, inst);
                if let (Some(last), Some(Arg::Imm(n))) = (self.out.last_mut(), inst.args.first()) {
                    last.imm = n.int().unwrap_or(0) as u64;
                }
            }
            "fence" if inst.has("proxy") => self.simple("FENCE.VIEW.ASYNC", inst),
            "membar" | "fence" => {
                let text = match (inst.has("cta"), inst.has("sys")) {
                    (true, _) => "MEMBAR.SC.CTA",
                    (_, true) => "MEMBAR.SC.SYS",
                    _ => "MEMBAR.SC.GPU",
                };
                self.simple(text, inst);
            }
            "mov" => self.mov(inst),
            "add" | "sub" if !float(inst) => self.addition(inst, wide),
            _ => expand::arithmetic(self, inst, wide),
        }
        0
    }

    /// Whether the instruction at hand is the kernel's own.
    pub fn in_entry(&self) -> bool {
        self.flat.functions.first().is_some_and(|f| self.pc < f.end)
    }

    fn mov(&mut self, inst: &FlatInst<'_>) {
        match inst.args.get(1) {
            Some(Arg::Special(Special::Clock | Special::ClockHi | Special::Clock64)) => {
                let text = if self.sm >= 80 { "CS2R.32" } else { "CS2R" };
                self.simple(text, inst);
            }
            // Block sizes are kept in the constant bank.
            Some(Arg::Special(Special::Ntid(axis) | Special::Nctaid(axis))) => {
                let grid = matches!(inst.args.get(1), Some(Arg::Special(Special::Nctaid(_))));
                self.simple("MOV", inst);
                if let Some(last) = self.out.last_mut() {
                    last.constant = Some(if grid { 0xc } else { 0 } + 4 * u32::from(*axis));
                }
            }
            Some(Arg::Special(_)) => self.simple("S2R", inst),
            // Pairs of registers are allocated side by side: only halves need work.
            Some(Arg::Vector(_)) if inst.has("b64") => self.simple("MOV", inst),
            Some(Arg::Vector(_)) => self.simple("PRMT", inst),
            _ if matches!(inst.args.first(), Some(Arg::Vector(_))) => {
                self.simple(if inst.has("b64") { "MOV" } else { "PRMT" }, inst);
            }
            _ if inst.has("pred") => self.simple("PLOP3.LUT", inst),
            _ => {
                self.simple("MOV", inst);
                if inst
                    .modifiers
                    .iter()
                    .any(|m| matches!(*m, "b64" | "u64" | "s64" | "f64"))
                {
                    self.chain(&["MOV"], inst);
                }
            }
        }
    }

    fn addition(&mut self, inst: &FlatInst<'_>, wide: bool) {
        let fused = self.fused(inst).map(|f| f.opcode);
        match (wide, fused) {
            (true, Some("mul")) => self.simple("IMAD.WIDE", inst),
            (true, Some(_)) => {
                self.simple("LEA", inst);
                self.simple("LEA.HI.X", inst);
            }
            (true, None) => {
                self.simple("IADD3", inst);
                self.simple("IADD3.X", inst);
            }
            (false, Some("shl")) => self.simple("LEA", inst),
            (false, _) => self.simple("IADD3", inst),
        }
    }

    /// A joined load begins at its lowest address, whichever of its parts comes first in the text.
    fn access_back(&self, pc: u32) -> u32 {
        let group = self.joined.get(&pc);
        let place = group.and_then(|g| g.iter().position(|&member| member == pc));
        place.map_or(0, |i| 4 * i as u32)
    }

    /// One wide load for a group of neighbouring ones.
    fn joined_load(&mut self, inst: &FlatInst<'_>, group: &[u32]) {
        let mut dst = Vec::new();
        for pc in group {
            if let Some(member) = self.flat.insts.get(*pc as usize) {
                dst.extend(self.dst(member));
            }
        }
        let (src, _) = self.src(inst);
        let text = match (group.len(), self.sm) {
            (2, ..80) => "LDS.U.64",
            (2, _) => "LDS.64",
            (_, ..80) => "LDS.U.128",
            _ => "LDS.128",
        };
        self.push(text, &dst, &src);
    }

    fn memory(&mut self, inst: &FlatInst<'_>) {
        if let Some(group) = self.joined.get(&self.pc).cloned() {
            return self.joined_load(inst, &group);
        }
        let text = texts::memory_text(self, inst);
        if text == "LDGDEPBAR" || text == "DEPBAR.LE" {
            return self.simple(&text, inst);
        }
        // Parameters of calls travel in registers.
        let address = inst.args.iter().find(|a| matches!(a, Arg::Address { .. }));
        if let Some(Arg::Address {
            symbol: Some(s), ..
        }) = address
            && self
                .flat
                .symbols
                .get(*s as usize)
                .is_some_and(|s| s.space == Space::Param)
            && !text.starts_with("LDC")
        {
            return self.simple("MOV", inst);
        }
        let dst = match text.starts_with("RED") {
            true => Vec::new(),
            false => self.dst(inst),
        };
        let (src, constant) = self.src(inst);
        // The address comes first, then data.
        self.push(&text, &dst, &src);
        if let Some(last) = self.out.last_mut() {
            last.constant = constant.filter(|_| src.is_empty());
        }
    }

    fn matrix(&mut self, inst: &FlatInst<'_>) -> u32 {
        let Some((m, n, k)) = decoded_shape(inst) else {
            self.simple("HMMA", inst);
            return 0;
        };
        let access = inst.has("load") || inst.has("store");
        if !access {
            for text in texts::matrix_texts(self.sm, inst, (m, n, k)) {
                self.simple(&text, inst);
            }
            return 0;
        }
        let shared = inst.has("shared");
        let elements = match (inst.has("a"), inst.has("b")) {
            (true, _) => m * k,
            (_, true) => k * n,
            _ => m * n,
        };
        let element = inst.modifiers.iter().rev().find_map(|t| Type::of(t));
        let bytes = elements / 32 * element.map_or(4, Type::bytes);
        let base = match (inst.has("store"), shared) {
            (false, false) => "LDG.E",
            (false, true) => "LDS",
            (true, false) => "STG.E",
            (true, true) => "STS",
        };
        let (width, step) = if bytes >= 16 {
            (".128", 16)
        } else {
            (".64", 8)
        };
        for _ in 0..bytes.div_ceil(step).max(1) {
            self.simple(&format!("{base}{width}"), inst);
        }
        step
    }
}
