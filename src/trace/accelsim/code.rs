//! The code table under construction, and the memory of how lines looked.
//!
//! A trace repeats a few hundred distinct lines millions of times. Each distinct line, its mask and
//! addresses aside, is a `Shape`; the shape that followed another last time is tried first, so that
//! most lines cost two comparisons and are never cut into fields.

use super::fields::{Fault, Fields, hexadecimal};
use super::line::{self, Layout, Mode, StaticFields};
use crate::isa::opcode::{Raw, decode};
use crate::isa::{MemKind, OpClass, StaticInst};
use crate::trace::kernel::Code;
use crate::trace::pattern::{PatternId, PatternTable};
use crate::trace::stream::{CtaEncoder, has_access};
use std::collections::HashMap;

/// More distinct instructions than any kernel has; a file with more is no trace.
const CODE_MAX: usize = 1 << 20;
/// New lane patterns that one instruction may add while it never repeats one.
const FRUITLESS_PATTERNS_MAX: u32 = 64;

/// One distinct line, mask and addresses aside.
#[derive(Debug)]
struct Shape {
    prefix: Box<[u8]>,
    rest: Box<[u8]>,
    imm: u64,
    index: u32,
    addresses: bool,
    next: u32,
}

/// What is remembered of a static instruction's accesses.
#[derive(Clone, Copy, Debug, Default)]
struct AccessMemory {
    access: bool,
    cp_async: bool,
    width_bytes: u8,
    mask: u32,
    stride: Option<i64>,
    pattern: PatternId,
    known: bool,
    fruitless: u32,
}

/// Turns instruction lines into code-table indices and stream records.
#[derive(Debug)]
pub struct CodeBuilder {
    layout: Layout,
    shapes: Vec<Shape>,
    shape_index: HashMap<Box<[u8]>, u32>,
    insts: Vec<StaticInst>,
    inst_index: HashMap<StaticInst, u32>,
    mnemonics: Vec<String>,
    mnemonic_index: HashMap<String, u16>,
    patterns: PatternTable,
    memory: Vec<AccessMemory>,
    counts: Vec<u64>,
    last: u32,
    mask_text: [u8; 8],
    mask: u32,
    key: Vec<u8>,
    lanes: [u64; 32],
    shared_base: u64,
    held: Option<Held>,
    held_lanes: [u64; 32],
    halves: u64,
}

/// An `LDGSTS` line with shared addresses. Tracers before version 5 write two lines for one
/// instruction, the shared side and then the global one; such a line waits for the next to show
/// whether it is half of a pair.
#[derive(Clone, Copy, Debug)]
struct Held {
    index: u32,
    mask: u32,
    mode: Mode,
}

/// Size of the shared window in the generic address space.
const SHARED_WINDOW_BYTES: u64 = 1 << 24;

impl CodeBuilder {
    /// An empty table for lines of `layout`, with the shared window at `shared_base`.
    pub fn new(layout: Layout, shared_base: u64) -> Self {
        CodeBuilder {
            layout,
            shapes: Vec::new(),
            shape_index: HashMap::new(),
            insts: Vec::new(),
            inst_index: HashMap::new(),
            mnemonics: Vec::new(),
            mnemonic_index: HashMap::new(),
            patterns: PatternTable::default(),
            memory: Vec::new(),
            counts: Vec::new(),
            last: 0,
            mask_text: [0; 8],
            mask: 0,
            key: Vec::new(),
            lanes: [0; 32],
            shared_base,
            held: None,
            held_lanes: [0; 32],
            halves: 0,
        }
    }

    /// Second records of `LDGSTS` instructions that were left out.
    pub fn halves(&self) -> u64 {
        self.halves
    }

    /// Ends a warp.
    pub fn end_warp(&mut self, encoder: &mut CtaEncoder) {
        self.release(None, encoder);
    }

    /// Tries the line at the start of `text` against the expected shape. Returns the bytes of the
    /// line with its newline, or `None` when it must be taken apart.
    #[inline]
    pub fn expected(&mut self, text: &[u8], encoder: &mut CtaEncoder) -> Option<usize> {
        let last = self.shapes.get(self.last as usize)?;
        let number = last.next;
        let shape = self.shapes.get(number as usize)?;
        let rest = text.strip_prefix(&*shape.prefix)?;
        let (mask_text, rest) = rest.split_first_chunk::<8>()?;
        let rest_len = rest.len();
        let rest = rest.strip_prefix(&*shape.rest)?;
        if rest.first().is_none_or(|&b| b > b' ') {
            return None;
        }
        if *mask_text != self.mask_text {
            self.mask = hexadecimal(mask_text).filter(|_| mask_text[1] != b'x')? as u32;
            self.mask_text = *mask_text;
        }
        let mask = self.mask;
        let mut f = Fields::new(text, text.len() - rest_len + shape.rest.len());
        let index = shape.index;
        let mode = if shape.addresses {
            line::addresses(&mut f, mask, &mut self.lanes).ok()?
        } else {
            Mode::Each
        };
        let imm = line::tail(&mut f, self.layout).ok()?;
        if imm != shape.imm || f.line.get(f.at) != Some(&b'\n') {
            return None;
        }
        self.last = number;
        self.emit(index, mask, mode, encoder);
        Some(f.at + 1)
    }

    /// Takes a line apart and appends it to the stream.
    pub fn line(&mut self, text: &[u8], encoder: &mut CtaEncoder) -> Result<(), Fault> {
        let fields = line::static_fields(text, self.layout)?;
        let mut f = Fields::new(text, fields.end);
        let mut mode = Mode::Each;
        let bulk = line::is_bulk_copy(fields.opcode);
        let imm = if bulk {
            0
        } else {
            if fields.width > 0 {
                mode = line::addresses(&mut f, fields.mask, &mut self.lanes)?;
            }
            line::tail(&mut f, self.layout)?
        };
        let index = self.index_of(&fields, imm, bulk)?;
        self.emit(index, fields.mask, mode, encoder);
        Ok(())
    }

    /// The finished code table.
    pub fn finish(self) -> Code {
        let mut unknown: Vec<(String, u64)> = Vec::new();
        for (inst, &count) in self.insts.iter().zip(&self.counts) {
            if inst.class != OpClass::Unknown {
                continue;
            }
            let name = &self.mnemonics[usize::from(inst.mnemonic)];
            match unknown.iter_mut().find(|(n, _)| n == name) {
                Some((_, total)) => *total += count,
                None => unknown.push((name.clone(), count)),
            }
        }
        Code {
            insts: self.insts,
            mnemonics: self.mnemonics,
            patterns: self.patterns.into_patterns(),
            unknown,
        }
    }

    fn index_of(&mut self, fields: &StaticFields<'_>, imm: u64, bulk: bool) -> Result<u32, Fault> {
        self.key.clear();
        self.key.extend_from_slice(fields.prefix);
        self.key.push(0);
        self.key.extend_from_slice(fields.rest);
        self.key.extend_from_slice(&imm.to_le_bytes());
        let addressed = fields.width > 0 || fields.mask == 0;
        // With a mask the same text claims an access, without one it does not matter.
        self.key.push(u8::from(addressed));
        if let Some(&number) = self.shape_index.get(&self.key[..]) {
            self.follow(number);
            return Ok(self.shapes[number as usize].index);
        }
        let index = self.intern(fields, imm, addressed)?;
        let number = self.shapes.len() as u32;
        let ambiguous = fields.width == 0 && self.memory[index as usize].access;
        let absent = fields.width == 0 && self.insts[index as usize].class == OpClass::CacheControl;
        // Version 1 and 2 lines carry their thread block: no two are alike.
        if bulk || ambiguous || absent || self.layout.version < 3 {
            return Ok(index);
        }
        self.shapes.push(Shape {
            prefix: fields.prefix.into(),
            rest: fields.rest.into(),
            imm,
            index,
            addresses: fields.width > 0,
            next: number + 1,
        });
        self.shape_index.insert(self.key[..].into(), number);
        self.follow(number);
        Ok(index)
    }

    fn follow(&mut self, number: u32) {
        if let Some(last) = self.shapes.get_mut(self.last as usize) {
            last.next = number;
        }
        self.last = number;
    }

    fn intern(
        &mut self,
        fields: &StaticFields<'_>,
        imm: u64,
        addressed: bool,
    ) -> Result<u32, Fault> {
        let mnemonic = match self.mnemonic_index.get(fields.opcode) {
            Some(&number) => number,
            None => {
                let number = u16::try_from(self.mnemonics.len())
                    .map_err(|_| Fault::new(0, "more than 65536 distinct mnemonics"))?;
                self.mnemonics.push(fields.opcode.to_string());
                self.mnemonic_index
                    .insert(fields.opcode.to_string(), number);
                number
            }
        };
        let raw = Raw {
            pc: fields.pc,
            text: fields.opcode,
            dst: fields.dst.as_slice(),
            src: fields.src.as_slice(),
            imm,
            addressed,
        };
        let inst = decode(&raw, mnemonic);
        if let Some(&index) = self.inst_index.get(&inst) {
            return Ok(index);
        }
        if self.insts.len() >= CODE_MAX {
            return Err(Fault::new(0, "more than 1048576 distinct instructions"));
        }
        let index = self.insts.len() as u32;
        self.memory.push(AccessMemory {
            access: has_access(&inst, 1),
            cp_async: inst.mem.is_some_and(|m| m.kind == MemKind::CpAsync),
            width_bytes: inst.mem.map_or(0, |m| m.width_bytes),
            ..AccessMemory::default()
        });
        self.counts.push(0);
        self.inst_index.insert(inst.clone(), index);
        self.insts.push(inst);
        Ok(index)
    }

    #[inline]
    fn emit(&mut self, index: u32, mask: u32, mode: Mode, encoder: &mut CtaEncoder) {
        if self.held.is_some() {
            self.release(Some((index, mask)), encoder);
        }
        if self.memory[index as usize].cp_async && mask != 0 && self.is_shared(self.lanes[0]) {
            self.held = Some(Held { index, mask, mode });
            self.held_lanes = self.lanes;
            return;
        }
        self.append(index, mask, mode, encoder);
    }

    fn is_shared(&self, address: u64) -> bool {
        let window = address.wrapping_sub(self.shared_base) < SHARED_WINDOW_BYTES;
        address < SHARED_WINDOW_BYTES || self.shared_base != 0 && window
    }

    /// Appends the line that is held, unless `next` is the global half of the same instruction.
    #[cold]
    fn release(&mut self, next: Option<(u32, u32)>, encoder: &mut CtaEncoder) {
        let Some(held) = self.held.take() else { return };
        if next == Some((held.index, held.mask)) && !self.is_shared(self.lanes[0]) {
            self.halves += 1;
            return;
        }
        std::mem::swap(&mut self.lanes, &mut self.held_lanes);
        self.append(held.index, held.mask, held.mode, encoder);
        std::mem::swap(&mut self.lanes, &mut self.held_lanes);
    }

    #[inline]
    fn append(&mut self, index: u32, mask: u32, mode: Mode, encoder: &mut CtaEncoder) {
        let i = index as usize;
        self.counts[i] += 1;
        encoder.inst(index, mask);
        if mask == 0 || !self.memory[i].access {
            return;
        }
        match self.pattern_of(i, mask, mode) {
            Some(pattern) => encoder.access_pattern(index, self.lanes[0], pattern),
            None => {
                encoder.access_list(index, &self.lanes[..mask.count_ones() as usize]);
            }
        }
    }

    /// The pattern of the addresses in `lanes`; `None` when they are better listed.
    #[inline]
    fn pattern_of(&mut self, i: usize, mask: u32, mode: Mode) -> Option<PatternId> {
        let memory = &mut self.memory[i];
        let stride = match mode {
            Mode::Stride(stride) => Some(stride),
            Mode::Each => None,
        };
        let lanes = &self.lanes[..mask.count_ones() as usize];
        if memory.known && memory.mask == mask {
            if stride.is_some() && stride == memory.stride {
                return Some(memory.pattern);
            }
            let pattern = self.patterns.patterns().get(memory.pattern as usize)?;
            let same = pattern
                .offsets
                .iter()
                .zip(lanes)
                .all(|(&offset, &address)| {
                    address.wrapping_sub(lanes[0]) == i64::from(offset) as u64
                });
            if same {
                memory.stride = stride;
                return Some(memory.pattern);
            }
        }
        if memory.fruitless >= FRUITLESS_PATTERNS_MAX {
            return None;
        }
        let before = self.patterns.patterns().len();
        let pattern = self.patterns.intern(mask, memory.width_bytes, lanes)?;
        let fresh = self.patterns.patterns().len() > before;
        memory.fruitless = if fresh { memory.fruitless + 1 } else { 0 };
        memory.known = true;
        memory.mask = mask;
        memory.stride = stride;
        memory.pattern = pattern;
        Some(pattern)
    }
}
