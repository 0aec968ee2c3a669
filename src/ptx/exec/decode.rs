//! Flat kernel to program: every string is looked at here, once.

mod arith;
mod bits;
mod call;
pub mod cfg;
pub(in crate::ptx) use matrix::{element as decoded_element, shape as decoded_shape};
mod control;
mod convert;
mod matrix;
mod memory;
mod modifiers;
mod parts;
mod warp;

use modifiers::{last_type, missing, mode, ty, types, unsupported, window_of};

use super::op::{List, Mode, Op, Pred, Slot};
use super::program::{Inst, Program};
use super::{CODE_STEP, CODE_WINDOW};
use crate::ptx::ast::{Number, Space, Type};
use crate::ptx::flat::{Arg, Flat, FlatInst, Special, Width, number_bits};
use std::collections::HashMap;

/// Why one instruction cannot be executed.
pub type Decoded<T> = Result<T, String>;

/// What a launch gives to a program.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Address of the module's variables in global memory.
    pub module_base: u64,
    /// Kernel parameters, laid out as the entry declares them.
    pub params: Vec<u8>,
    /// Dynamic shared memory, bytes.
    pub dynamic_shared_bytes: u64,
}

/// Decodes a kernel for a launch. Never fails: what cannot be executed is refused when it is.
pub fn decode(flat: &Flat<'_>, bindings: &Bindings) -> Program {
    let mut decoder = Decoder::new(flat, bindings);
    let mut insts = Vec::with_capacity(flat.insts.len());
    for (pc, inst) in (0u32..).zip(&flat.insts) {
        decoder.pc = pc;
        let (op, guard) = match decoder.inst(inst) {
            Ok((op, guard)) => (op, guard),
            Err(why) => {
                let guard = decoder.guard(inst).ok().flatten();
                (decoder.refuse(why), guard)
            }
        };
        insts.push(Inst {
            op,
            guard,
            line: inst.line,
        });
    }
    let mut program = decoder.finish();
    program.reconverge = cfg::meeting_points(flat, &insts, &program.targets);
    program.insts = insts;
    program
}

/// State of decoding.
pub struct Decoder<'a> {
    flat: &'a Flat<'a>,
    program: Program,
    words: HashMap<u32, u32>,
    doubles: HashMap<u64, u32>,
    specials: HashMap<Special, u32>,
    wide_specials: HashMap<Special, u32>,
    module_base: u64,
    // Base registers of the frames of recursive functions.
    frames: Vec<Option<u32>>,
    // Number of the instruction at hand.
    pc: u32,
    // For each register whether anything but an `atom` that returns it names it.
    read: Vec<bool>,
}

fn read(flat: &Flat<'_>) -> Vec<bool> {
    let mut read = vec![false; flat.registers.len()];
    let mut note = |r: u32| {
        if let Some(read) = read.get_mut(r as usize) {
            *read = true;
        }
    };
    for inst in &flat.insts {
        let written = usize::from(inst.opcode == "atom");
        let read = inst.args.iter().skip(written);
        read.for_each(|arg| arg.registers(&mut note));
        inst.guard.iter().for_each(|&(r, _)| note(r));
    }
    for function in &flat.functions {
        let formal = function.params.iter().chain(&function.returns);
        formal.for_each(|arg| arg.registers(&mut note));
    }
    read
}

impl<'a> Decoder<'a> {
    fn new(flat: &'a Flat<'a>, bindings: &Bindings) -> Self {
        let [p, w, x] = flat.files.map(|n| n as usize);
        let shared = flat.shared_bytes.next_multiple_of(16) + bindings.dynamic_shared_bytes;
        let program = Program {
            name: flat
                .functions
                .first()
                .map(|f| f.name.clone())
                .unwrap_or_default(),
            files: [p, w, x],
            texts: flat.insts.iter().map(FlatInst::text).collect(),
            cooperative: flat.cooperative,
            constant: flat.constant.bytes.clone(),
            params: bindings.params.clone(),
            local_bytes: flat.local_bytes as usize,
            shared_bytes: match bindings.dynamic_shared_bytes {
                0 => flat.shared_bytes as usize,
                _ => shared as usize,
            },
            dynamic_shared_bytes: bindings.dynamic_shared_bytes as usize,
            ..Program::default()
        };
        let mut decoder = Decoder {
            flat,
            program,
            words: HashMap::new(),
            doubles: HashMap::new(),
            specials: HashMap::new(),
            wide_specials: HashMap::new(),
            module_base: bindings.module_base,
            frames: Vec::new(),
            pc: 0,
            read: read(flat),
        };
        decoder.frames();
        decoder
    }

    fn finish(self) -> Program {
        let mut program = self.program;
        // Hash maps only find registers again; their order is not used.
        program.words.sort_unstable();
        program.doubles.sort_unstable();
        program
    }

    /// Refuses what looks at the other CTAs of a cluster, where the kernel says that there are some.
    fn alone_in_cluster(&self, inst: &FlatInst<'_>) -> Decoded<()> {
        let ctas = self.flat.cluster.map_or(1, |dims| dims.iter().product());
        let looks = matches!(inst.opcode, "mapa" | "getctarank")
            || inst.opcode == "barrier" && inst.has("cluster")
            || inst.has("shared::cluster")
            || inst.args.contains(&Arg::Special(Special::Fixed(1)));
        match ctas > 1 && looks {
            true => Err(format!(
                "`{}`: clusters of more than one CTA are not emulated",
                inst.text()
            )),
            false => Ok(()),
        }
    }

    /// Whether the instruction at hand is the kernel's own, not one of a function that it calls.
    fn in_entry(&self) -> bool {
        let entry = self.flat.functions.first();
        entry.is_none_or(|f| self.pc < f.end)
    }

    fn refuse(&mut self, why: String) -> Op {
        self.program.refusals.push(why);
        Op::Refused(self.program.refusals.len() as u32 - 1)
    }

    fn inst(&mut self, inst: &FlatInst<'a>) -> Decoded<(Op, Option<Pred>)> {
        let guard = self.guard(inst)?;
        self.alone_in_cluster(inst)?;
        let op = match inst.opcode {
            "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "min" | "max" | "abs"
            | "neg" | "sad" | "rcp" | "sqrt" | "rsqrt" | "sin" | "cos" | "lg2" | "ex2" | "tanh"
            | "copysign" | "addc" | "subc" | "madc" | "testp" => self.arithmetic(inst)?,
            "and" | "or" | "xor" | "not" | "cnot" | "lop3" | "shf" | "shl" | "shr" | "bfe"
            | "bfi" | "bfind" | "brev" | "clz" | "popc" | "prmt" | "dp4a" | "dp2a" | "mul24"
            | "mad24" | "bmsk" | "szext" | "fns" => self.bits(inst)?,
            "vadd" | "vsub" | "vabsdiff" | "vmin" | "vmax" | "vset" | "vadd2" | "vsub2"
            | "vavrg2" | "vabsdiff2" | "vmin2" | "vmax2" | "vset2" | "vadd4" | "vsub4"
            | "vavrg4" | "vabsdiff4" | "vmin4" | "vmax4" | "vset4" => self.video(inst)?,
            "setp" | "set" | "selp" | "slct" | "cvt" | "cvta" | "mov" | "isspacep" => {
                self.conversion(inst)?
            }
            "mapa" | "getctarank" => self.cluster(inst)?,
            "ld" | "ldu" | "st" | "atom" | "red" | "cp" | "ldmatrix" | "stmatrix" | "prefetch"
            | "prefetchu" | "discard" | "applypriority" | "createpolicy" => self.memory(inst)?,
            "mma" | "wmma" | "wgmma" | "movmatrix" => self.matrices(inst)?,
            "shfl" | "vote" | "match" | "redux" | "activemask" | "elect" | "bar" | "barrier" => {
                self.collective(inst)?
            }
            "alloca" | "stacksave" | "stackrestore" => self.stack(inst)?,
            "bra" | "brx" | "call" | "ret" | "exit" | "trap" | "brkpt" => self.control(inst)?,
            "membar" | "fence" | "nanosleep" | "pmevent" | "griddepcontrol" | "setmaxnreg" => {
                Op::Nop
            }
            _ => return Err(unsupported(inst)),
        };
        Ok((op, guard))
    }

    fn guard(&mut self, inst: &FlatInst<'_>) -> Decoded<Option<Pred>> {
        match inst.guard {
            None => Ok(None),
            Some((register, negated)) => {
                let mut pred = self.pred(&Arg::Reg(register))?;
                pred.negated ^= negated;
                Ok(Some(pred))
            }
        }
    }

    fn register(&self, number: u32) -> Decoded<(Width, u32)> {
        match self.flat.registers.get(number as usize) {
            Some(r) => Ok((r.width, r.slot)),
            None => Err("a guard that is not a predicate register".to_owned()),
        }
    }

    /// A new register of file `file`.
    fn fresh(&mut self, file: usize) -> u32 {
        let Some(count) = self.program.files.get_mut(file) else {
            return 0;
        };
        *count += 1;
        *count as u32 - 1
    }

    fn word(&mut self, value: u32) -> u32 {
        if let Some(&r) = self.words.get(&value) {
            return r;
        }
        let r = self.fresh(1);
        self.words.insert(value, r);
        self.program.words.push((r, value));
        r
    }

    fn double(&mut self, value: u64) -> u32 {
        if let Some(&r) = self.doubles.get(&value) {
            return r;
        }
        let r = self.fresh(2);
        self.doubles.insert(value, r);
        self.program.doubles.push((r, value));
        r
    }

    /// The address of a variable within its space; for globals, in memory.
    fn symbol(&self, number: u32, offset: i64) -> u64 {
        let Some(symbol) = self.flat.symbols.get(number as usize) else {
            return 0;
        };
        let base = match symbol.space {
            Space::Global => self.module_base,
            _ => 0,
        };
        (base + symbol.offset).wrapping_add(offset as u64)
    }

    /// The word that holds `arg`, taken as type `ty`.
    fn w(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<u32> {
        match arg {
            Some(Arg::Reg(r)) => match self.register(*r)? {
                (Width::W16 | Width::W32, slot) => Ok(slot),
                (width, _) => Err(format!("a {width:?} register where 32 bits are expected")),
            },
            Some(Arg::Imm(number)) => {
                let bits = number_bits(*number, ty) as u32;
                let bits = if ty.bytes() == 2 { bits & 0xffff } else { bits };
                Ok(self.word(bits))
            }
            Some(Arg::Special(special)) => Ok(self.special(*special)),
            Some(Arg::Symbol(symbol, offset)) => {
                self.outside_frames(*symbol)?;
                let address = self.symbol(*symbol, *offset);
                Ok(self.word(address as u32))
            }
            other => Err(missing(other)),
        }
    }

    fn special(&mut self, special: Special) -> u32 {
        if let Some(&r) = self.specials.get(&special) {
            return r;
        }
        let r = self.fresh(1);
        self.specials.insert(special, r);
        self.program.specials.push((r, special));
        r
    }

    /// The double word that holds `arg`, taken as type `ty`.
    fn x(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<u32> {
        match arg {
            Some(Arg::Reg(r)) => match self.register(*r)? {
                (Width::W64, slot) => Ok(slot),
                (width, _) => Err(format!("a {width:?} register where 64 bits are expected")),
            },
            Some(Arg::Imm(number)) => {
                let bits = number_bits(*number, ty);
                Ok(self.double(bits))
            }
            Some(Arg::Special(special)) => {
                if let Some(&r) = self.wide_specials.get(special) {
                    return Ok(r);
                }
                let r = self.fresh(2);
                self.wide_specials.insert(*special, r);
                self.program.wide_specials.push((r, *special));
                Ok(r)
            }
            Some(Arg::Symbol(symbol, offset)) => {
                self.outside_frames(*symbol)?;
                let address = self.symbol(*symbol, *offset);
                Ok(self.double(address))
            }
            Some(Arg::Function(number)) => {
                Ok(self.double(CODE_WINDOW + CODE_STEP * u64::from(*number)))
            }
            other => Err(missing(other)),
        }
    }

    /// A source of whatever width type `ty` has.
    fn value(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<u32> {
        match ty.bytes() {
            8 => self.x(arg, ty),
            _ => self.w(arg, ty),
        }
    }

    /// A destination of the width of type `ty`.
    fn dest(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<u32> {
        match arg {
            Some(Arg::Sink) => Ok(match ty.bytes() {
                0 => self.fresh(0),
                8 => self.fresh(2),
                _ => self.fresh(1),
            }),
            Some(Arg::Reg(_)) if ty == Type::Pred => Ok(self.pred_reg(arg)?),
            Some(Arg::Reg(_)) => self.value(arg, ty),
            other => Err(missing(other)),
        }
    }

    /// A register of any width, or a constant put into one.
    fn slot(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<Slot> {
        match arg {
            Some(Arg::Reg(r)) => match self.register(*r)? {
                (Width::W16, slot) => Ok(Slot::Half(slot)),
                (Width::W32, slot) => Ok(Slot::Word(slot)),
                (Width::W64, slot) => Ok(Slot::Double(slot)),
                (Width::Pred, _) => Err("a predicate where a value is expected".to_owned()),
            },
            Some(Arg::Sink) if ty.bytes() == 8 => Ok(Slot::Double(self.fresh(2))),
            Some(Arg::Sink) => Ok(Slot::Word(self.fresh(1))),
            _ if ty.bytes() == 8 => Ok(Slot::Double(self.x(arg, ty)?)),
            _ => Ok(Slot::Word(self.w(arg, ty)?)),
        }
    }

    fn pred_reg(&mut self, arg: Option<&Arg>) -> Decoded<u32> {
        match arg {
            Some(Arg::Reg(r)) => match self.register(*r)? {
                (Width::Pred, slot) => Ok(slot),
                _ => Err("a register where a predicate is expected".to_owned()),
            },
            Some(Arg::Sink) => Ok(self.fresh(0)),
            other => Err(missing(other)),
        }
    }

    fn pred(&mut self, arg: &Arg) -> Decoded<Pred> {
        let negated = matches!(arg, Arg::Not(_));
        let register = match arg {
            Arg::Reg(r) | Arg::Not(r) => self.pred_reg(Some(&Arg::Reg(*r)))?,
            Arg::Imm(Number::Int(value)) => self.truth(*value != 0),
            // `%is_explicit_cluster`
            Arg::Special(Special::Fixed(value)) => self.truth(*value != 0),
            other => return Err(missing(Some(other))),
        };
        Ok(Pred { register, negated })
    }

    /// A predicate that holds a constant.
    fn truth(&mut self, value: bool) -> u32 {
        let register = self.fresh(0);
        self.program.truths.push((register, value));
        register
    }

    fn list(&mut self, slots: Vec<Slot>) -> Decoded<List> {
        let count = u8::try_from(slots.len()).map_err(|_| "too many registers".to_owned())?;
        let start = self.program.lists.len() as u32;
        self.program.lists.extend(slots);
        Ok(List { start, count })
    }

    /// Registers of a vector operand, or of a single one.
    fn slots(&mut self, arg: Option<&Arg>, ty: Type) -> Decoded<Vec<Slot>> {
        match arg {
            Some(Arg::Vector(parts)) => parts.iter().map(|p| self.slot(Some(p), ty)).collect(),
            other => Ok(vec![self.slot(other, ty)?]),
        }
    }
}
