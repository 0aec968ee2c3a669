//! The loop over tiles of depth, and how tiles come: what all kinds of products have in common.
//!
//! While a step's fragments are multiplied, those of the next are read into the other half of their registers. In the
//! last step of an iteration these come from the next tile, behind the one barrier of the iteration. From Ampere on
//! cp.async brings tiles `stages - 1` iterations ahead; before, in FP32 kernels of two stages, and where rows are aligned to
//! less than a cp.async moves, registers hold the tile after the next one, and put it into the free half of shared memory.

use super::body::{Access, Body, Emit};
use super::epilogue::Finish;
use super::lanes::Lanes;
use super::operand::{Operand, Shared};
use super::writer::Writer;
use super::{Gemm, array};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder};
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
    /// Passes of a step's reads: one for each register, if no lanes share it.
    fn passes(&self) -> f64 {
        let Fragments { a, b, .. } = self.fragments();
        f64::from(a + b)
    }
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
    /// Whether sums have 16 bits, two in a register.
    fn packed_sums(&self) -> bool {
        false
    }
    /// Registers of a unit by piece; two neighbours are one register where sums are packed.
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
        let besides = match registers.complete {
            true => 0,
            false => self.registers_besides(),
        };
        (registers.end + besides).next_multiple_of(8)
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
    pub staging: [u16; 2],
    /// Of A and B, where each load has a guard and an address of its own.
    pub copies: Option<[Copies; 2]>,
    halves: [[u16; 2]; 2],
    pub sums: u16,
    pub end: u16,
    /// The kernel has no others: how many it has is known.
    pub complete: bool,
}

/// Numbers of registers for the loads of an operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copies {
    /// Addresses of the loads behind the first, in turn: pairs.
    pub addresses: [u16; 2],
    /// From one load to the next in memory, a pair; nothing where a parameter of the kernel is multiplied for each.
    pub pitch: Option<u16>,
    /// A bit for each load, set where it lies within the matrix.
    pub mask: u16,
}

/// Of no lasting use: in the loop, the mask of loads whose addresses are multiplied.
const SCRATCH: u16 = 11;

/// How loads find their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// One for all, with offsets.
    One,
    /// Each load adds the pitch to the address of the one before it.
    Added,
    /// Each load adds a multiple of the pitch to the first one's address, as ptxas 12.9 has it for sm_80 where registers
    /// are few: `ampere_sgemm` kernels have 14 beside sums, fragments and the numbers on their way (122 for 128x64, 82
    /// and 86 for 64x32 and 32x32 with a sliced depth).
    Multiplied,
}

impl Addresses {
    fn copies(self, mut take: impl FnMut(u16) -> u16) -> Option<[Copies; 2]> {
        match self {
            Addresses::One => None,
            Addresses::Added => Some([0, 1].map(|_| {
                let first = take(7);
                Copies {
                    addresses: [first, first + 2],
                    pitch: Some(first + 4),
                    mask: first + 6,
                }
            })),
            Addresses::Multiplied => {
                let copies = Copies {
                    addresses: [0, take(2)],
                    pitch: None,
                    mask: SCRATCH,
                };
                Some([copies; 2])
            }
        }
    }
}

impl Registers {
    pub(super) fn new(fragments: Fragments, staging: [u64; 2], addresses: Addresses) -> Self {
        let mut next = 12;
        let mut take = |count: u16| {
            let first = next;
            next = (next + count).next_multiple_of(4);
            first
        };
        let staging = staging.map(|count| take(count as u16));
        let copies = addresses.copies(&mut take);
        let halves = [0, 1].map(|_| [take(fragments.a), take(fragments.b)]);
        let sums = take(fragments.sums);
        Registers {
            global: [2, 4],
            write: [6, 7],
            read: [8, 9],
            counter: 10,
            scratch: SCRATCH,
            staging,
            copies,
            halves,
            sums,
            end: next,
            complete: addresses == Addresses::Multiplied,
        }
    }

    /// First registers of A and B in half `buffer`.
    pub(super) fn fragments(&self, buffer: usize) -> [u16; 2] {
        self.halves[buffer % 2]
    }
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
    /// A pointer, read by all lanes.
    pointer: Lanes,
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
            Access::Pointer(operand) => {
                self.pointer
                    .put(index, warp, self.gemm.pointer_at(operand, cta.batch), out)
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

/// The two operands.
pub(super) fn operands(gemm: &Gemm, math: &impl Math) -> [Operand; 2] {
    let along = gemm.along();
    let [a, b] = gemm.vectors();
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

/// All lanes of all warps at one pointer.
pub(super) fn pointer_lanes(code: &mut KernelBuilder, gemm: &Gemm) -> Lanes {
    match gemm.pointers {
        true => Lanes::new(code, u64::from(gemm.threads() / 32), 8, |_| Some(0)),
        false => Lanes::default(),
    }
}

/// Kernel code and streams.
pub(super) fn assemble<M: Math>(gemm: &Gemm, math: M, gpu: &GpuSpec) -> Assembly {
    let operands = operands(gemm, &math);
    let mut writer = Writer::new(gemm, &math, &operands, gpu);
    writer.setup();
    let (stage, stages) = (writer.stage_bytes(), writer.stages());
    let (prologue, iteration) = (writer.prologue(), writer.iteration());
    let mut registers = writer.registers();
    let mut code = writer.into_code();
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
        pointer: pointer_lanes(&mut code, gemm),
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
