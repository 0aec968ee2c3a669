//! The code up to the end of the loop.

use super::Gemm;
use super::body::{Access, Emit, weave};
use super::operand::Operand;
use super::pipeline::{Addresses, Copies, Math, Registers};
use crate::config::GpuSpec;
use crate::kernels::builder::{KernelBuilder, p, r, size_suffix};

/// How tiles reach shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// cp.async.
    Async,
    /// Loads into registers, stores from there.
    Registers,
}

/// Each right behind the one before it.
fn together(emits: impl IntoIterator<Item = Emit>) -> Vec<Emit> {
    let emits = emits.into_iter().enumerate();
    let close = |(number, emit): (usize, Emit)| if number > 0 { emit.close() } else { emit };
    emits.map(close).collect()
}

/// The predicate that guards load number `load`: three in turn, beside the loop's own.
fn guard(load: usize) -> u16 {
    1 + (load % 3) as u16
}

/// Makes the code.
pub(super) struct Writer<'a, M> {
    math: &'a M,
    code: KernelBuilder,
    operands: &'a [Operand; 2],
    registers: Registers,
    way: Way,
    stages: u64,
    pointers: bool,
}

impl<'a, M: Math> Writer<'a, M> {
    pub(super) fn new(gemm: &Gemm, math: &'a M, operands: &'a [Operand; 2], gpu: &GpuSpec) -> Self {
        let (way, stages) = match gemm.asynchronous(gpu.compute_capability) {
            true => (Way::Async, u64::from(gemm.stages)),
            false => (Way::Registers, 2),
        };
        let staging = operands.map(|of| match way {
            Way::Async => 0,
            Way::Registers => of.registers(),
        });
        let addresses = match (gemm.any_alignment, way) {
            (false, _) => Addresses::One,
            (true, Way::Async) => Addresses::Added,
            (true, Way::Registers) => Addresses::Multiplied,
        };
        Writer {
            registers: Registers::new(math.fragments(), staging, addresses),
            math,
            code: KernelBuilder::new(gpu.compute_capability),
            operands,
            way,
            stages,
            pointers: gemm.pointers,
        }
    }

    pub(super) fn registers(&self) -> Registers {
        self.registers
    }

    pub(super) fn into_code(self) -> KernelBuilder {
        self.code
    }

    pub(super) fn stages(&self) -> u64 {
        self.stages
    }

    /// Iterations that a tile is asked for ahead of its use.
    pub(super) fn ahead(&self) -> u64 {
        match self.way {
            Way::Async => self.stages - 1,
            Way::Registers => 1,
        }
    }

    /// Bytes of a stage in shared memory.
    pub(super) fn stage_bytes(&self) -> u64 {
        self.operands.iter().map(Operand::shared_bytes).sum()
    }

    /// Addresses, sums at zero. About what compilers need for a thread's places in tiles and matrices.
    pub(super) fn setup(&mut self) {
        let registers = self.registers;
        let code = &mut self.code;
        code.entry();
        for _ in 0..3 {
            code.inst("S2R", &[r(registers.scratch)], &[]);
        }
        let parameter = code.parameter(0);
        code.inst_const("IMAD", &[r(0)], &[r(registers.scratch), r(0)], parameter);
        let places = registers.write.iter().chain(&registers.read);
        for &place in places {
            code.inst("SHF.R.U32.HI", &[r(place)], &[r(0)]);
            code.inst("LOP3.LUT", &[r(0)], &[r(0), r(place)]);
            code.inst("LEA", &[r(place)], &[r(0), r(place)]);
        }
        for (number, &global) in registers.global.iter().enumerate() {
            let parameter = code.parameter(1 + number as u32);
            code.inst_const("IMAD", &[r(0)], &[r(0), r(1)], parameter);
            code.inst("ISETP.GE.AND", &[p(1)], &[r(0)]);
            code.inst_const("IMAD.WIDE", &[r(global)], &[r(0), r(1)], parameter);
        }
        self.masks();
        let code = &mut self.code;
        code.inst("IADD3", &[r(registers.counter)], &[r(0)]);
        for sum in (registers.sums..registers.end).step_by(2) {
            code.inst("CS2R", &[r(sum)], &[]);
        }
    }

    /// Which loads lie within the matrices, and the way from one to the next.
    fn masks(&mut self) {
        let registers = self.registers;
        let copies = registers.copies.iter().flatten();
        for (copies, of) in copies.zip(self.operands) {
            let mask = copies.mask;
            let code = &mut self.code;
            if let Some(pitch) = copies.pitch {
                code.inst("IMAD.WIDE", &[r(pitch)], &[r(0), r(1)]);
            }
            for _ in 0..of.loads() {
                code.inst("ISETP.LT.AND", &[p(1)], &[r(0)]);
                code.inst("SEL", &[r(1)], &[r(0), p(1)]);
                code.inst("LOP3.LUT", &[r(mask)], &[r(mask), r(1)]);
            }
        }
    }

    /// The mnemonic of a load of `width` bytes a lane.
    fn load_text(&self, width: u64) -> String {
        match (self.way, width) {
            // L2 is told to fetch the whole line: the next tiles of depth are in it.
            (Way::Async, 16) => "LDGSTS.E.BYPASS.LTC128B.128".to_owned(),
            (Way::Async, _) => format!("LDGSTS.E.LTC128B{}", size_suffix(width)),
            (Way::Registers, ..4) => format!("LDG.E.U{}", 8 * width),
            (Way::Registers, _) => self.code.global("LDG", width),
        }
    }

    /// What load number `load` needs: its guard, and behind the first one an address. They stay together, for arithmetic
    /// between two multiply-adds takes the operand that these share out of the reuse cache.
    fn prepare(&self, copies: &Copies, operand: usize, load: usize) -> Vec<Emit> {
        let mut all = vec![Emit::of("LOP3.LUT", &[p(guard(load))], &[r(copies.mask)])];
        if self.way == Way::Registers {
            // What is beyond the matrix is zero.
            let to = self.registers.staging[operand] + load as u16;
            all.push(Emit::new("MOV", &[to], &[]));
        }
        let to = self.address(copies, operand, load);
        match copies.pitch {
            _ if load == 0 => {}
            Some(pitch) => {
                let from = self.address(copies, operand, load - 1);
                all.push(Emit::new("IADD3", &[to], &[from, pitch]));
                all.push(Emit::new("IADD3.X", &[to + 1], &[from + 1, pitch + 1]));
            }
            None => {
                let from = self.address(copies, operand, 0);
                all.push(Emit::new("MOV", &[to + 1], &[]));
                all.push(Emit::new("IMAD.WIDE", &[to], &[to + 1, from]));
            }
        }
        together(all)
    }

    /// The register pair with the address of load number `load`.
    fn address(&self, copies: &Copies, operand: usize, load: usize) -> u16 {
        match load {
            0 => self.registers.global[operand],
            _ => copies.addresses[load % 2],
        }
    }

    /// The loads of an operand, each with a guard and an address of its own. These are made before the load in front of
    /// it.
    fn guarded(&self, ahead: u64, operand: usize, copies: &Copies) -> Vec<Emit> {
        let of = &self.operands[operand];
        let (text, count) = (self.load_text(of.vector), of.loads() as usize);
        let mut all = self.prepare(copies, operand, 0);
        for load in 0..count {
            if load + 1 < count {
                all.extend(self.prepare(copies, operand, load + 1));
            }
            let (from, guard) = (r(self.address(copies, operand, load)), p(guard(load)));
            let emit = match self.way {
                Way::Async => {
                    let to = r(self.registers.write[operand]);
                    Emit::of(&*text, &[], &[to, from, guard])
                }
                Way::Registers => {
                    let to = r(self.registers.staging[operand] + load as u16);
                    Emit::of(&*text, &[to], &[from, guard])
                }
            };
            all.push(emit.access(Access::Load {
                ahead,
                operand,
                load,
            }));
        }
        all
    }

    fn loads(&self, ahead: u64) -> Vec<Emit> {
        if let Some(copies) = &self.registers.copies {
            let guarded = |operand: usize| self.guarded(ahead, operand, &copies[operand]);
            return [0, 1].into_iter().flat_map(guarded).collect();
        }
        let mut all = Vec::new();
        for (operand, of) in self.operands.iter().enumerate() {
            let width = of.vector;
            let text = self.load_text(width);
            let global = self.registers.global[operand];
            for load in 0..of.loads() as usize {
                let to = self.registers.staging[operand] + (load as u64 * width.div_ceil(4)) as u16;
                let emit = match self.way {
                    Way::Async => Emit::new(&*text, &[], &[self.registers.write[operand], global]),
                    Way::Registers => Emit::new(&*text, &[to], &[global]),
                };
                all.push(emit.access(Access::Load {
                    ahead,
                    operand,
                    load,
                }));
            }
        }
        all
    }

    /// From registers to shared memory.
    fn stores(&self, ahead: u64) -> Vec<Emit> {
        let mut all = Vec::new();
        for (operand, of) in self.operands.iter().enumerate() {
            let text = match of.piece_bytes() {
                small @ ..4 => format!("STS.U{}", 8 * small),
                bytes => format!("STS{}", size_suffix(bytes)),
            };
            let step = of.piece_bytes().div_ceil(4);
            for store in 0..(of.loads() * of.pieces()) as usize {
                let from = self.registers.staging[operand] + (store as u64 * step) as u16;
                let emit = Emit::new(&*text, &[], &[self.registers.write[operand], from]);
                all.push(emit.access(Access::Store {
                    ahead,
                    operand,
                    store,
                }));
            }
        }
        all
    }

    fn reads(&self, ahead: u64, step: usize) -> Vec<Emit> {
        let reads = self.math.reads(&self.code, &self.registers, step);
        let reads = reads.into_iter().enumerate();
        reads
            .map(|(read, emit)| emit.access(Access::Read { ahead, step, read }))
            .collect()
    }

    /// The loads of a tile that registers hold, in two parts: those right behind the stores that free their registers,
    /// and those of the next iteration. All at once they would wait in the queue to L1, and hold up what is behind them.
    fn halves(&self, ahead: u64) -> (Vec<Emit>, Vec<Emit>) {
        let mut first = self.loads(ahead);
        let second = first.split_off(first.len().div_ceil(2));
        (first, second)
    }

    /// All warps have done with the tile of this iteration, and the next one is there.
    fn sync(&self) -> Vec<Emit> {
        let mut all = Vec::new();
        if self.way == Way::Async {
            all.push(Emit::new("DEPBAR.LE", &[], &[]).imm(self.stages - 2));
        }
        all.push(Emit::new(self.code.barrier_text(), &[], &[]));
        all
    }

    /// The pointers of A and B, and what was an offset becomes an address.
    fn pointers(&self) -> Vec<Emit> {
        let (global, from) = (self.registers.global, self.registers.read[0]);
        // Where fragments will be.
        let free = self.registers.fragments(0)[0];
        let text = self.code.global("LDG", 8);
        let load = |operand: usize| {
            let to = free + 2 * operand as u16;
            Emit::new(&*text, &[to], &[from]).access(Access::Pointer(operand))
        };
        let add = |operand: usize| {
            let (to, from) = (global[operand], free + 2 * operand as u16);
            [
                Emit::new("IADD3", &[to], &[to, from]),
                Emit::new("IADD3.X", &[to + 1], &[to + 1, from + 1]),
            ]
        };
        let mut all = vec![load(0), load(1)];
        all.extend([0, 1].into_iter().flat_map(add));
        all
    }

    pub(super) fn prologue(&self) -> Vec<Emit> {
        let mut all = match self.pointers {
            true => self.pointers(),
            false => Vec::new(),
        };
        match self.way {
            Way::Async => {
                for ahead in 0..self.stages - 1 {
                    all.extend(self.loads(ahead));
                    all.push(Emit::new("LDGDEPBAR", &[], &[]));
                }
            }
            Way::Registers => {
                all.extend(self.loads(0));
                all.extend(self.stores(0));
                all.extend(self.halves(1).0);
            }
        }
        all.extend(self.sync());
        all.extend(self.reads(0, 0));
        all
    }

    /// Global addresses, places in shared memory. Beside guarded loads each kind stays together: see `prepare`. Both
    /// low halves of the addresses come first, for the carries take a latency to the high ones.
    fn advance(&self) -> Vec<Emit> {
        let registers = &self.registers;
        let text = match self.stages {
            2 => "LOP3.LUT",
            _ => "IADD3",
        };
        let of = |text: &str, register: u16| Emit::new(text, &[register], &[register]);
        let [a, b] = registers.global;
        let places = registers.write.iter().chain(&registers.read);
        let places = places.map(|&place| of(text, place));
        if registers.copies.is_none() {
            let each = [a, b].map(|low| [of("IADD3", low), of("IADD3.X", low + 1)]);
            return each.into_iter().flatten().chain(places).collect();
        }
        let halves = [of("IADD3", a), of("IADD3", b)];
        let carried = [a, b].map(|low| of("IADD3.X", low + 1));
        let mut all = together(halves.into_iter().chain(carried));
        all.extend(together(places));
        all
    }

    pub(super) fn iteration(&self) -> Vec<Emit> {
        let registers = &self.registers;
        let steps = self.math.steps();
        let mut all = vec![
            Emit::new("IADD3", &[registers.counter], &[registers.counter]),
            Emit::of("ISETP.NE.AND", &[p(0)], &[r(registers.counter)]),
        ];
        // What registers hold is stored in the last step but one, and has to be there by then.
        let (mut loads, over) = match self.way {
            Way::Async => (self.loads(self.stages - 1), steps - 1),
            Way::Registers => (self.halves(1).1, (steps / 4).max(1)),
        };
        let each = loads.len().div_ceil(over);
        for step in 0..steps {
            let math = self.math.math(registers, step);
            let mut side = Vec::new();
            if step + 1 < steps {
                side.extend(self.reads(0, step + 1));
                side.extend(loads.drain(..each.min(loads.len())));
            }
            if step + 2 == steps {
                match self.way {
                    Way::Async => side.push(Emit::new("LDGDEPBAR", &[], &[])),
                    Way::Registers => side.extend(self.stores(1)),
                }
            }
            if step + 1 == steps {
                all.extend(self.sync());
                side.extend(self.reads(1, 0));
                if self.way == Way::Registers {
                    side.extend(self.halves(2).0);
                }
                side.extend(self.advance());
            }
            all.extend(weave(math, side));
        }
        all
    }
}
