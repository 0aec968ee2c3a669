//! The loop over tiles of depth, and how tiles come: what all kinds of products have in common.
//!
//! While a step's fragments are multiplied, those of the next are read into the other half of their registers. In the
//! last step of an iteration these come from the next tile, behind the one barrier of the iteration. From Ampere on
//! cp.async brings tiles `stages - 1` iterations ahead; before, and where rows are aligned to less than a cp.async
//! moves, registers hold the tile after the next one, and put it into the free half of shared memory.

use super::body::{Access, Body, Emit, weave};
use super::epilogue::Finish;
use super::lanes::Lanes;
use super::operand::{Operand, Shared};
use super::{Gemm, array};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, p, r, size_suffix};
use crate::kernels::control;
use crate::kernels::{Assembly, WarpGenerator, insts, per_warp};
use crate::trace::CtaEncoder;
use std::ops::Range;

/// Registers of a lane: one half of the fragments, and all sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragments {
    pub a: u16,
    pub b: u16,
    pub sums: u16,
}

/// What tells the kinds of products apart.
pub(super) trait Math {
    /// How tiles lie in shared memory.
    fn shared(&self) -> Shared;
    /// Chunks that the lanes of a phase read side by side from an operand.
    fn spread(&self, _edge: usize) -> u64 {
        1
    }
    /// Steps of a slice in an iteration; even.
    fn steps(&self) -> usize;
    /// Registers.
    fn fragments(&self) -> Fragments;
    /// Reads of a step's fragments into half `buffer` of their registers.
    fn reads(&self, code: &KernelBuilder, registers: &Registers, buffer: usize) -> Vec<Emit>;
    /// The lanes of these reads, from the start of a stage.
    fn read_lanes(
        &self,
        code: &mut KernelBuilder,
        operands: &[Operand; 2],
        step: usize,
    ) -> Vec<Lanes>;
    /// Arithmetic on half `buffer`.
    fn math(&self, registers: &Registers, buffer: usize) -> Vec<Emit>;
    /// Groups of rows that leave one after the other.
    fn units(&self) -> u64;
    /// Registers of a unit by piece.
    fn unit_sums(&self, registers: &Registers, unit: u64) -> Vec<[u16; 4]>;
    /// Rows (of the unit) and columns (of the warp's part) where the runs of a piece of a lane begin.
    fn piece_place(&self, lane: u64, piece: u64) -> Vec<(u64, u64)>;
    /// Rows of a unit.
    fn unit_rows(&self) -> u64;
    /// Row of the warp's part that row `row` of a unit is.
    fn row_of(&self, unit: u64, row: u64) -> u64;
    /// Registers for what the compiler keeps beside those named here.
    fn registers_besides(&self) -> u16;
    /// Registers of a thread.
    fn registers_of(&self, registers: &Registers) -> u16 {
        (registers.end + self.registers_besides()).next_multiple_of(8)
    }
    /// Name of the kernel.
    fn label(&self) -> &'static str;
}

/// Numbers of registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    /// Global addresses of A and B, pairs.
    pub global: [u16; 2],
    /// Where tiles are stored, and fragments read, in shared memory.
    pub write: [u16; 2],
    pub read: [u16; 2],
    pub counter: u16,
    pub scratch: u16,
    /// A and B on their way.
    staging: [u16; 2],
    halves: [[u16; 2]; 2],
    pub sums: u16,
    pub end: u16,
}

impl Registers {
    fn new(fragments: Fragments, staging: [u64; 2]) -> Self {
        let mut next = 12;
        let mut take = |count: u16| {
            let first = next;
            next = (next + count).next_multiple_of(4);
            first
        };
        let staging = staging.map(|count| take(count as u16));
        let halves = [0, 1].map(|_| [take(fragments.a), take(fragments.b)]);
        let sums = take(fragments.sums);
        Registers {
            global: [2, 4],
            write: [6, 7],
            read: [8, 9],
            counter: 10,
            scratch: 11,
            staging,
            halves,
            sums,
            end: next,
        }
    }

    /// First registers of A and B in half `buffer`.
    pub(super) fn fragments(&self, buffer: usize) -> [u16; 2] {
        self.halves[buffer % 2]
    }
}

/// How tiles reach shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// cp.async.
    Async,
    /// Loads into registers, stores from there.
    Registers,
}

struct Product {
    gemm: Gemm,
    operands: [Operand; 2],
    stages: u64,
    /// Bytes of a stage.
    stage: u64,
    /// Of each operand, by whether its edge and its depth are cut.
    loads: [[[Vec<Lanes>; 2]; 2]; 2],
    stores: [Vec<Lanes>; 2],
    /// By step.
    reads: Vec<Vec<Lanes>>,
    prologue: Body,
    iteration: Body,
    finish: Finish,
    /// `EXIT` of CTAs without a tile.
    empty: u32,
}

impl Product {
    fn put(
        &self,
        (cta, warp): (&super::place::Place, u32),
        last: u64,
        iteration: u64,
        (index, access): (u32, Access),
        out: &mut CtaEncoder,
    ) {
        match access {
            Access::Load {
                ahead,
                operand,
                load,
            } => {
                let tile = iteration + ahead;
                if tile >= last {
                    return out.inst(index, 0);
                }
                let of = &self.operands[operand];
                let row = [cta.row, cta.column][operand];
                let depth = (cta.tiles.start + tile) * of.depth;
                let cut = [row + of.tile > of.edge, depth + of.depth > of.k].map(usize::from);
                let base = self.gemm.arrays.at(of.array) + cta.batch * of.bytes();
                self.loads[operand][cut[0]][cut[1]][load].put(
                    index,
                    warp,
                    base + of.base(row, depth),
                    out,
                );
            }
            Access::Store {
                ahead,
                operand,
                store,
            } => {
                let tile = iteration + ahead;
                if tile >= last {
                    return out.inst(index, 0);
                }
                let base = tile % self.stages * self.stage;
                let base = base + [0, self.operands[0].shared_bytes()][operand];
                self.stores[operand][store].put(index, warp, base, out);
            }
            Access::Read { ahead, step, read } => {
                let base = (iteration + ahead) % self.stages * self.stage;
                self.reads[step][read].put(index, warp, base, out);
            }
            Access::After(number) => {
                self.finish.put(&self.gemm, cta, (index, warp), number, out);
            }
        }
    }
}

impl WarpGenerator for Product {
    fn iterations(&self, cta: u64) -> u64 {
        let place = self.gemm.place(cta);
        place.map_or(0, |place| place.tiles.end - place.tiles.start)
    }

    fn warp(&self, cta: u64, warp: u32, iterations: Range<u64>, out: &mut CtaEncoder) {
        let Some(place) = self.gemm.place(cta) else {
            return insts(out, self.empty..self.empty + 1, FULL);
        };
        let (first, last) = (iterations.start, iterations.end);
        let at = (&place, warp);
        insts(out, 0..self.prologue.first, FULL);
        self.prologue.put(out, |index, access, out| {
            self.put(at, last, first, (index, access), out);
        });
        out.iterations(iterations, self.iteration.len() + 1, |iteration, out| {
            self.iteration.put(out, |index, access, out| {
                self.put(at, last, iteration, (index, access), out);
            });
            let more = iteration + 1 < last;
            out.inst(self.iteration.end, if more { FULL } else { 0 });
        });
        self.finish.body().put(out, |index, access, out| {
            self.put(at, last, last, (index, access), out);
        });
    }
}

/// Makes the code.
pub(super) struct Writer<'a, M> {
    math: &'a M,
    code: KernelBuilder,
    operands: &'a [Operand; 2],
    registers: Registers,
    way: Way,
    stages: u64,
}

impl<'a, M: Math> Writer<'a, M> {
    pub(super) fn new(gemm: &Gemm, math: &'a M, operands: &'a [Operand; 2], gpu: &GpuSpec) -> Self {
        // cp.async moves four bytes at least.
        let small = operands.iter().any(|of| of.vector < 4);
        let (way, stages) = match gpu.compute_capability >= 80 && !small {
            true => (Way::Async, u64::from(gemm.stages)),
            false => (Way::Registers, 2),
        };
        let staging = operands.map(|of| match way {
            Way::Async => 0,
            Way::Registers => of.registers(),
        });
        Writer {
            registers: Registers::new(math.fragments(), staging),
            math,
            code: KernelBuilder::new(gpu.compute_capability),
            operands,
            way,
            stages,
        }
    }

    pub(super) fn registers(&self) -> Registers {
        self.registers
    }

    pub(super) fn stages(&self) -> u64 {
        self.stages
    }

    /// Bytes of a stage in shared memory.
    pub(super) fn stage_bytes(&self) -> u64 {
        self.operands.iter().map(Operand::shared_bytes).sum()
    }

    /// Addresses, sums at zero. About what compilers need for a thread's places in tiles and matrices.
    fn setup(&mut self) {
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
        code.inst("IADD3", &[r(registers.counter)], &[r(0)]);
        for sum in (registers.sums..registers.end).step_by(2) {
            code.inst("CS2R", &[r(sum)], &[]);
        }
    }

    fn loads(&self, ahead: u64) -> Vec<Emit> {
        let mut all = Vec::new();
        for (operand, of) in self.operands.iter().enumerate() {
            let width = of.vector;
            let text = match (self.way, width) {
                (Way::Async, 16) => "LDGSTS.E.BYPASS.128".to_owned(),
                (Way::Async, _) => format!("LDGSTS.E{}", size_suffix(width)),
                (Way::Registers, ..4) => {
                    format!("LDG.E.U{}", 8 * width)
                }
                (Way::Registers, _) => self.code.global("LDG", width),
            };
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

    /// All warps have done with the tile of this iteration, and the next one is there.
    fn sync(&self) -> Vec<Emit> {
        let mut all = Vec::new();
        if self.way == Way::Async {
            all.push(Emit::new("DEPBAR.LE", &[], &[]).imm(self.stages - 2));
        }
        all.push(Emit::new(self.code.barrier_text(), &[], &[]));
        all
    }

    fn prologue(&self) -> Vec<Emit> {
        let mut all = Vec::new();
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
                all.extend(self.loads(1));
            }
        }
        all.extend(self.sync());
        all.extend(self.reads(0, 0));
        all
    }

    /// Global addresses, places in shared memory.
    fn advance(&self) -> Vec<Emit> {
        let registers = &self.registers;
        let mut all = Vec::new();
        for global in registers.global {
            all.push(Emit::new("IADD3", &[global], &[global]));
            all.push(Emit::new("IADD3.X", &[global + 1], &[global + 1]));
        }
        for place in registers.write.iter().chain(&registers.read) {
            let text = if self.stages == 2 {
                "LOP3.LUT"
            } else {
                "IADD3"
            };
            all.push(Emit::new(text, &[*place], &[*place]));
        }
        all
    }

    pub(super) fn iteration(&self) -> Vec<Emit> {
        let registers = &self.registers;
        let steps = self.math.steps();
        let mut all = vec![
            Emit::new("IADD3", &[registers.counter], &[registers.counter]),
            Emit::of("ISETP.NE.AND", &[p(0)], &[r(registers.counter)]),
        ];
        let mut loads = match self.way {
            Way::Async => self.loads(self.stages - 1),
            Way::Registers => Vec::new(),
        };
        let each = loads.len().div_ceil(steps - 1);
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
                    side.extend(self.loads(2));
                }
                side.extend(self.advance());
            }
            all.extend(weave(math, side));
        }
        all
    }
}

/// The two operands.
pub(super) fn operands(gemm: &Gemm, math: &impl Math) -> [Operand; 2] {
    let along = gemm.along();
    let [a, b, _] = gemm.vectors();
    let of = |number: usize| Operand {
        array: [array::A, array::B][number],
        along: along[number],
        element: gemm.data.bytes(),
        tile: [gemm.tile.m, gemm.tile.n][number].into(),
        depth: gemm.tile.k.into(),
        edge: [gemm.shape.m, gemm.shape.n][number],
        k: gemm.shape.k,
        vector: [a, b][number],
        threads: gemm.threads().into(),
        shared: math.shared(),
        spread: math.spread(number),
    };
    [of(0), of(1)]
}

/// Kernel code and streams.
pub(super) fn assemble<M: Math>(gemm: &Gemm, math: M, gpu: &GpuSpec) -> Assembly {
    let operands = operands(gemm, &math);
    let mut writer = Writer::new(gemm, &math, &operands, gpu);
    writer.setup();
    let (stage, stages) = (writer.stage_bytes(), writer.stages);
    let (prologue, iteration) = (writer.prologue(), writer.iteration());
    let (mut registers, mut code) = (writer.registers, writer.code);
    let prologue = Body::append(&mut code, prologue);
    let iteration = Body::append(&mut code, iteration);
    code.branch(iteration.first);
    let finish = Finish::new(gemm, &math, &mut code, &mut registers);
    let empty = code.inst("EXIT", &[], &[]);
    let smem = (stage * stages).max(finish.shared_bytes);
    let name = gemm.title(math.label(), stages, gpu);
    let product = Product {
        gemm: gemm.clone(),
        loads: operands.map(|of| {
            [of.tile, of.edge % of.tile].map(|rows| {
                [of.depth, of.k % of.depth].map(|depth| of.loading(&mut code, (rows, depth)))
            })
        }),
        stores: operands.map(|of| of.storing(&mut code)),
        reads: (0..math.steps())
            .map(|step| math.read_lanes(&mut code, &operands, step))
            .collect(),
        operands,
        stages,
        stage,
        prologue,
        iteration,
        finish,
        empty,
    };
    control::annotate(code.code_mut(), gpu);
    Assembly {
        name,
        grid: gemm.launch_grid(),
        block: [gemm.threads(), 1, 1],
        registers: math.registers_of(&registers),
        smem_bytes: smem as u32,
        code,
        generator: per_warp(gemm.threads(), product),
    }
}
