//! Instructions as lines of an Accel-Sim trace.

use crate::isa::opcode::{BARRIER_ARRIVE_ONLY, Operand, Raw, decode};
use crate::isa::{MemSpace, OpClass, RegFile, RegRange, StaticInst};
use crate::trace::kernel::Code;
use crate::trace::stream::{Addresses, WarpStream, has_access};
use std::io::{self, Write};

/// The fixed text of one static instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    /// From the destinations to the sources.
    operands: String,
    /// Memory width; 0 without addresses.
    width: u8,
    imm: u64,
    exact: bool,
}

/// Prints the instructions of one kernel.
#[derive(Clone, Debug)]
pub struct LinePrinter<'a> {
    code: &'a Code,
    templates: Vec<Template>,
    version: u32,
}

impl<'a> LinePrinter<'a> {
    /// A printer for `code`, in the oldest tracer version that can name its registers.
    pub fn new(code: &'a Code) -> Self {
        let general = |r: &RegRange| r.count == 0 || r.file == RegFile::General;
        let plain = code
            .insts
            .iter()
            .all(|i| i.dst.iter().chain(&i.src).all(general));
        LinePrinter {
            code,
            templates: code.insts.iter().map(|i| template(i, code)).collect(),
            version: if plain { 5 } else { 6 },
        }
    }

    /// Tracer version of the lines: 5, or 6 when other than general registers are named.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The same printer for tracer version `version` if that is higher.
    pub fn at_least(mut self, version: u32) -> Self {
        self.version = self.version.max(version);
        self
    }

    /// Static instructions that an import of the text would understand otherwise.
    pub fn inexact(&self) -> impl Iterator<Item = &StaticInst> {
        let pairs = self.code.insts.iter().zip(&self.templates);
        pairs.filter(|(_, t)| !t.exact).map(|(inst, _)| inst)
    }

    /// Prints the chunk that `stream` holds, at most `limit` lines; returns how many it printed.
    pub fn chunk(
        &self,
        stream: &mut WarpStream,
        limit: u64,
        out: &mut impl Write,
    ) -> io::Result<u64> {
        let mut lanes = [0; 32];
        let mut printed = 0;
        while let Some(run) = stream.next_run() {
            for index in run.start..run.start + run.length {
                if printed == limit {
                    return Ok(printed);
                }
                printed += 1;
                let inst = &self.code.insts[index as usize];
                let template = &self.templates[index as usize];
                let count = if has_access(inst, run.mask) {
                    let access = stream.next_access(index, run.mask, &mut lanes);
                    self.expand(access, &mut lanes)
                } else {
                    0
                };
                write!(
                    out,
                    "{:04x} {:08x} {}",
                    inst.pc, run.mask, template.operands
                )?;
                addresses(template.width, run.mask, &lanes[..count], out)?;
                if self.version >= 6 {
                    writeln!(out, " {} NoVal", template.imm)?;
                } else {
                    writeln!(out, " {} ", template.imm)?;
                }
            }
        }
        Ok(printed)
    }

    /// Puts the addresses of all active lanes into `lanes`; returns their number.
    fn expand(&self, access: Addresses, lanes: &mut [u64; 32]) -> usize {
        match access {
            Addresses::List { count } => usize::from(count),
            Addresses::Pattern { base, pattern } => {
                let pattern = self.code.patterns.get(pattern as usize);
                let offsets = pattern.map_or(&[][..], |p| &p.offsets);
                for (lane, &offset) in lanes.iter_mut().zip(offsets) {
                    *lane = base.wrapping_add(i64::from(offset) as u64);
                }
                offsets.len().min(32)
            }
        }
    }
}

/// Width and addresses: a stride over a contiguous run of lanes, differences otherwise.
fn addresses(width: u8, mask: u32, lanes: &[u64], out: &mut impl Write) -> io::Result<()> {
    write!(out, " {width}")?;
    if width == 0 {
        return Ok(());
    }
    let Some(&base) = lanes.first() else {
        // What tracers write when no lane is active.
        return write!(out, " 1 0x0 0");
    };
    let step = |pair: &[u64]| pair[1].wrapping_sub(pair[0]) as i64;
    let shifted = u64::from(mask >> mask.trailing_zeros());
    let contiguous = shifted & (shifted + 1) == 0;
    let stride = lanes.get(1).map(|&second| second.wrapping_sub(base) as i64);
    match stride {
        Some(stride)
            if contiguous
                && i32::try_from(stride).is_ok()
                && lanes.windows(2).all(|p| step(p) == stride) =>
        {
            write!(out, " 1 {base:#x} {stride}")
        }
        _ => {
            write!(out, " 2 {base:#x}")?;
            for pair in lanes.windows(2) {
                write!(out, " {}", step(pair))?;
            }
            Ok(())
        }
    }
}

/// Finds the operand list that decodes to `inst`. Zero registers were dropped when `inst` was made,
/// but their position can decide how wide the others are, so placements of up to two are tried.
fn template(inst: &StaticInst, code: &Code) -> Template {
    let name = code
        .mnemonics
        .get(usize::from(inst.mnemonic))
        .map_or("NOP", String::as_str);
    let listed = |ranges: &[RegRange]| -> Vec<Operand> {
        let used = ranges.iter().filter(|r| r.count > 0);
        used.map(|r| Operand {
            file: r.file,
            number: r.first.into(),
        })
        .collect()
    };
    let dst = listed(&inst.dst);
    let src = listed(&inst.src);
    let imm = match inst.class {
        OpClass::Barrier => inst.imm & !BARRIER_ARRIVE_ONLY,
        OpClass::Membar => 0,
        _ => inst.imm,
    };
    // The format has neither constant operands nor control bits.
    let said = StaticInst {
        constant: None,
        control: None,
        ..inst.clone()
    };
    let matches = |src: &[Operand], addressed: bool| {
        let raw = Raw {
            pc: inst.pc,
            text: name,
            dst: &dst,
            src,
            imm,
            addressed,
        };
        decode(&raw, inst.mnemonic) == said
    };
    for addressed in [true, false] {
        for candidate in placements(&src) {
            if matches(&candidate, addressed) {
                return Template {
                    operands: operands(&dst, name, &candidate),
                    width: width(inst),
                    imm,
                    exact: said == *inst,
                };
            }
        }
    }
    Template {
        operands: operands(&dst, name, &src),
        width: width(inst),
        imm,
        exact: false,
    }
}

fn width(inst: &StaticInst) -> u8 {
    match inst.mem {
        Some(m) if m.space != MemSpace::Constant => m.width_bytes,
        _ => 0,
    }
}

/// `src` with none, one or two zero registers put in, fewest first.
fn placements(src: &[Operand]) -> Vec<Vec<Operand>> {
    let zero = Operand::r(255);
    let with = |list: &[Operand], at: usize| {
        let mut list = list.to_vec();
        list.insert(at, zero);
        list
    };
    let one: Vec<_> = (0..=src.len()).map(|at| with(src, at)).collect();
    let two: Vec<_> = one
        .iter()
        .flat_map(|list| (0..=list.len()).map(|at| with(list, at)))
        .collect();
    let mut all = vec![src.to_vec()];
    all.extend(one);
    all.extend(two);
    all
}

fn operands(dst: &[Operand], name: &str, src: &[Operand]) -> String {
    let mut text = dst.len().to_string();
    let push = |operand: &Operand| {
        let file = match operand.file {
            RegFile::General => "R",
            RegFile::Uniform => "UR",
            RegFile::Predicate => "P",
            RegFile::UniformPredicate => "UP",
        };
        format!(" {file}{}", operand.number)
    };
    let dst: String = dst.iter().map(push).collect();
    let src_text: String = src.iter().map(push).collect();
    text.push_str(&dst);
    text.push(' ');
    text.push_str(name);
    text.push_str(&format!(" {}{src_text}", src.len()));
    if name.contains("GMMA") {
        text.push_str(" 0");
    }
    text
}
