//! The way of the results to C.
//!
//! A warp writes a unit of its rows to shared memory as it holds them, and reads them back as they lie in C: stores then
//! fill whole lines. Slices of the depth add up through shared memory before that, each for its part of the units.

mod store;

use super::body::{Access, Body, Emit};
use super::convert::{gelu, global, pack};
use super::lanes::Lanes;
use super::pipeline::{Math, Registers, pointer_lanes};
use super::place::Place;
use super::{Gemm, Merge, array};
use crate::kernels::builder::{KernelBuilder, size_suffix};
use crate::kernels::operator::{DataType, Epilogue};
use crate::trace::CtaEncoder;

/// A memory instruction behind the loop.
enum After {
    /// Of shared memory.
    Shared(Lanes),
    /// Of C (or the workspace), by whether rows and columns are cut.
    Result([[Lanes; 2]; 2]),
    /// Of C before it is written, likewise.
    Previous([[Lanes; 2]; 2]),
    /// Of the bias, by whether columns are cut.
    Bias([Lanes; 2]),
    /// Of the pointer to C.
    Pointer(Lanes),
}

/// Everything behind the loop.
pub(super) struct Finish {
    body: Body,
    accesses: Vec<After>,
    /// Where results go, bytes of an element, and of a part.
    to: usize,
    element: u64,
    part: u64,
    /// Shared memory that it needs.
    pub shared_bytes: u64,
}

impl Finish {
    /// Appends the code.
    pub(super) fn new(
        gemm: &Gemm,
        math: &impl Math,
        code: &mut KernelBuilder,
        registers: &mut Registers,
    ) -> Self {
        let element = gemm.result_bytes();
        let writer = Writer::new(gemm, math, registers, element);
        let (emits, accesses, shared_bytes) = writer.write(code);
        let workspace = gemm.split > 1 && gemm.merge == Merge::Workspace;
        let shape = &gemm.shape;
        Finish {
            body: Body::append(code, emits),
            accesses,
            to: if workspace {
                array::WORKSPACE
            } else {
                array::C
            },
            element,
            part: match workspace {
                true => shape.batch * shape.m * shape.n * element,
                false => 0,
            },
            shared_bytes,
        }
    }

    /// The code.
    pub(super) fn body(&self) -> &Body {
        &self.body
    }

    /// Access number `number` of a warp.
    pub(super) fn put(
        &self,
        gemm: &Gemm,
        place: &Place,
        (index, warp): (u32, u32),
        number: usize,
        out: &mut CtaEncoder,
    ) {
        let shape = &gemm.shape;
        let cut_row = place.row + u64::from(gemm.tile.m) > shape.m;
        let cut_column = place.column + u64::from(gemm.tile.n) > shape.n;
        match &self.accesses[number] {
            After::Shared(lanes) => lanes.put(index, warp, 0, out),
            After::Bias(lanes) => {
                let base = gemm.arrays.at(array::BIAS) + place.column * gemm.output.bytes();
                lanes[usize::from(cut_column)].put(index, warp, base, out);
            }
            After::Pointer(lanes) => {
                lanes.put(index, warp, gemm.pointer_at(array::C, place.batch), out);
            }
            After::Result(lanes) | After::Previous(lanes) => {
                let first = (place.batch * shape.m + place.row) * shape.n + place.column;
                let base = gemm.arrays.at(self.to) + place.part * self.part + first * self.element;
                lanes[usize::from(cut_row)][usize::from(cut_column)].put(index, warp, base, out);
            }
        }
    }
}

/// Makes the code.
struct Writer<'a, M> {
    gemm: &'a Gemm,
    math: &'a M,
    registers: &'a mut Registers,
    element: u64,
    warps: u64,
    slices: u64,
    /// Rows and columns of a warp's part.
    part: [u64; 2],
    /// First register that is free behind the loop.
    free: u16,
    emits: Vec<Emit>,
    accesses: Vec<After>,
}

impl<'a, M: Math> Writer<'a, M> {
    fn new(gemm: &'a Gemm, math: &'a M, registers: &'a mut Registers, element: u64) -> Self {
        let [along_m, along_n] = gemm.warps.map(u64::from);
        Writer {
            gemm,
            math,
            free: registers.fragments(0)[0],
            registers,
            element,
            warps: along_m * along_n,
            slices: gemm.slices.into(),
            part: [
                u64::from(gemm.tile.m) / along_m,
                u64::from(gemm.tile.n) / along_n,
            ],
            emits: Vec::new(),
            accesses: Vec::new(),
        }
    }

    /// So many registers that the loop no longer needs, or new ones.
    fn take(&mut self, count: u16) -> u16 {
        let count = count.next_multiple_of(4);
        if self.free + count <= self.registers.sums {
            self.free += count;
            return self.free - count;
        }
        let first = self.registers.end;
        self.registers.end += count;
        first
    }

    fn access(&mut self, emit: Emit, after: After) {
        self.emits
            .push(emit.access(Access::After(self.accesses.len())));
        self.accesses.push(after);
    }

    /// Warps of the CTA.
    fn all_warps(&self) -> u64 {
        self.warps * self.slices
    }

    fn write(mut self, code: &mut KernelBuilder) -> (Vec<Emit>, Vec<After>, u64) {
        let in_flight = Emit::new("DEPBAR.LE", &[], &[]);
        if code.sm_version() >= 80 {
            self.emits.push(in_flight);
        }
        self.emits.push(Emit::new(code.barrier_text(), &[], &[]));
        self.addresses(code);
        let bias = self.bias(code);
        let added = self.slices * self.slices * self.warps * self.pieces() * 512;
        let staged = self.all_warps() * self.unit_bytes();
        let staging_at = if self.slices > 1 { added } else { 0 };
        for round in 0..self.math.units() / self.slices {
            let kept = self.free;
            let sums = match self.slices {
                1 => self.math.unit_sums(self.registers, round),
                _ => self.add_slices(code, round),
            };
            let sums = match self.math.packed_sums() && !self.stay_packed() {
                true => self.unpack(&sums),
                false => sums,
            };
            self.finish_values(code, &sums, bias);
            self.stage(code, &sums, staging_at);
            self.store(code, round, staging_at);
            self.free = kept;
        }
        self.emits.push(Emit::new("EXIT", &[], &[]));
        (self.emits, self.accesses, staging_at + staged)
    }

    /// Where the results go.
    fn addresses(&mut self, code: &mut KernelBuilder) {
        let (scratch, to) = (self.registers.scratch, self.registers.global[0]);
        for _ in 0..4 {
            self.emits
                .push(Emit::new("IMAD", &[scratch], &[scratch, 0]));
        }
        self.emits.push(Emit::new("ISETP.GE.AND", &[], &[scratch]));
        if self.gemm.pointers {
            let lanes = pointer_lanes(code, self.gemm);
            let load = Emit::new(code.global("LDG", 8), &[to], &[scratch]);
            self.access(load, After::Pointer(lanes));
        }
        self.emits
            .push(Emit::new("IMAD.WIDE", &[to], &[scratch, 0]));
    }

    fn pieces(&self) -> u64 {
        self.math.unit_sums(self.registers, 0).len() as u64
    }

    /// Columns of a run: results of a lane side by side.
    fn run(&self) -> u64 {
        4 / self.math.piece_place(0, 0).len() as u64
    }

    /// Loads the biases of a lane's columns; their first register.
    fn bias(&mut self, code: &mut KernelBuilder) -> Option<u16> {
        if self.gemm.epilogue == Epilogue::None {
            return None;
        }
        let (run, size) = (self.run(), self.gemm.output.bytes());
        let at_once = if self.gemm.shape.n.is_multiple_of(run) {
            run
        } else {
            1
        };
        let first = self.take((self.pieces() * run) as u16);
        let from = self.registers.global[1];
        let text = global(code, "LDG", at_once * size);
        for at in 0..self.pieces() * run / at_once {
            let (piece, skip) = (at * at_once / run, at * at_once % run);
            let (math, part, warps) = (self.math, self.part, self.warps);
            let columns_of_warps = u64::from(self.gemm.warps[1]);
            let cuts = [u64::from(self.gemm.tile.n), self.cut(1)].map(|columns| {
                Lanes::new(code, self.all_warps(), at_once * size, |thread| {
                    let warp = thread / 32 % warps;
                    let column = math.piece_place(thread % 32, piece)[0].1 + skip;
                    let column = warp % columns_of_warps * part[1] + column;
                    (column < columns).then_some(column * size)
                })
            });
            let to = first + (at * at_once) as u16;
            self.access(Emit::new(&*text, &[to], &[from]), After::Bias(cuts));
        }
        if size == 2 {
            for at in (0..(self.pieces() * run) as u16).rev() {
                let from = first + at - at % run as u16;
                self.emits
                    .push(Emit::new("HADD2.F32", &[first + at], &[from]));
            }
        }
        Some(first)
    }

    /// Rows or columns of the last tile.
    fn cut(&self, edge: usize) -> u64 {
        let (all, tile) = match edge {
            0 => (self.gemm.shape.m, self.gemm.tile.m),
            _ => (self.gemm.shape.n, self.gemm.tile.n),
        };
        all % u64::from(tile)
    }

    /// Every slice writes the units of a round; each then adds up one of them. The registers that hold it.
    fn add_slices(&mut self, code: &mut KernelBuilder, round: u64) -> Vec<[u16; 4]> {
        let (slices, warps, pieces) = (self.slices, self.warps, self.pieces());
        let store = format!("STS{}", size_suffix(16));
        let place = move |to: u64, from: u64, thread: u64, piece: u64| {
            let warp = thread / 32 % warps;
            Some((((to * slices + from) * warps + warp) * pieces + piece) * 512 + thread % 32 * 16)
        };
        let slice = move |thread: u64| thread / 32 / warps;
        for to in 0..slices {
            let sums = self.math.unit_sums(self.registers, round * slices + to);
            for (piece, sum) in (0..).zip(sums) {
                let lanes = Lanes::new(code, self.all_warps(), 16, |thread| {
                    place(to, slice(thread), thread, piece)
                });
                let first = *sum.iter().min().expect("four registers");
                let emit = Emit::new(&*store, &[], &[self.registers.write[0], first]);
                self.access(emit, After::Shared(lanes));
            }
        }
        self.emits.push(Emit::new(code.barrier_text(), &[], &[]));
        let total = self.free;
        let (sums, part) = (self.take((pieces * 4) as u16), self.take(4));
        for from in 0..slices {
            for piece in 0..pieces {
                let lanes = Lanes::new(code, self.all_warps(), 16, |thread| {
                    place(slice(thread), from, thread, piece)
                });
                let sum = sums + 4 * piece as u16;
                let to = if from == 0 { sum } else { part };
                let emit = Emit::new(code.shared_load_128(), &[to], &[self.registers.read[0]]);
                self.access(emit, After::Shared(lanes));
                for q in 0..if from == 0 { 0 } else { 4 } {
                    self.emits
                        .push(Emit::new("FADD", &[sum + q], &[sum + q, part + q]));
                }
            }
        }
        self.emits.push(Emit::new(code.barrier_text(), &[], &[]));
        self.free = total;
        let pieces = 0..pieces as u16;
        pieces
            .map(|piece| std::array::from_fn(|q| sums + 4 * piece + q as u16))
            .collect()
    }

    /// Whether sums of 16 bits leave as they are.
    fn stay_packed(&self) -> bool {
        self.math.packed_sums() && self.element == 2 && self.gemm.epilogue == Epilogue::None
    }

    /// Sums of 16 bits in registers of their own.
    fn unpack(&mut self, sums: &[[u16; 4]]) -> Vec<[u16; 4]> {
        let first = self.take(4 * sums.len() as u16);
        let mut all = Vec::new();
        for (piece, packed) in (0..).zip(sums) {
            let to: [u16; 4] = std::array::from_fn(|q| first + 4 * piece + q as u16);
            for (to, &from) in to.iter().zip(packed) {
                self.emits.push(Emit::new("HADD2.F32", &[*to], &[from]));
            }
            all.push(to);
        }
        all
    }

    /// Scaling, bias and activation.
    fn finish_values(&mut self, code: &KernelBuilder, sums: &[[u16; 4]], bias: Option<u16>) {
        if self.gemm.data == DataType::I8 {
            return;
        }
        if self.stay_packed() {
            for [first, _, second, _] in sums {
                for &pair in [first, second] {
                    self.emits.push(Emit::new("HMUL2", &[pair], &[pair]));
                }
            }
            return;
        }
        let (run, scratch) = (self.run() as u16, self.registers.scratch);
        for (piece, sums) in (0..).zip(sums) {
            for (q, &sum) in (0..).zip(sums) {
                self.emits.push(Emit::new("FMUL", &[sum], &[sum]));
                if let Some(bias) = bias {
                    let of = bias + piece * run + q % run;
                    self.emits.push(Emit::new("FADD", &[sum], &[sum, of]));
                }
                match self.gemm.epilogue {
                    Epilogue::None | Epilogue::Bias => {}
                    Epilogue::Relu => self.emits.push(Emit::new("FMNMX", &[sum], &[sum])),
                    Epilogue::Gelu => self.emits.extend(gelu(code, sum, scratch)),
                }
            }
        }
    }

    /// Bytes of a row of a unit in shared memory: what lanes write, and read back, do not conflict.
    fn unit_pitch(&self) -> u64 {
        let row = self.part[1] * self.element;
        match (self.run(), self.element) {
            (2, 2) => row + 16,
            (2, _) => row.next_multiple_of(128) + 32,
            _ => row.next_multiple_of(128) + if row < 128 { 64 } else { 0 } + self.odd_rows(),
        }
    }

    /// Rows of less than 128 bytes a phase take turns with the next row.
    fn odd_rows(&self) -> u64 {
        let of_phase = self.math.piece_place(7, 0)[0].0;
        if of_phase > 0 && self.part[1] * self.element >= 128 {
            64
        } else {
            0
        }
    }

    fn unit_bytes(&self) -> u64 {
        self.math.unit_rows() * self.unit_pitch()
    }

    /// From registers to the warp's place in shared memory, as numbers of C.
    fn stage(&mut self, code: &mut KernelBuilder, sums: &[[u16; 4]], at: u64) {
        let (run, element) = (self.run(), self.element);
        let (pitch, unit) = (self.unit_pitch(), self.unit_bytes());
        let width = run * element;
        let text = format!("STS{}", size_suffix(width));
        let kept = self.free;
        let packed = self.take(4);
        for (piece, sums) in (0..).zip(sums) {
            for (number, values) in (0..).zip(sums.chunks(run as usize)) {
                let from = match element {
                    2 if self.stay_packed() => values[0],
                    2 => {
                        for (half, pair) in (0..).zip(values.chunks(2)) {
                            self.emits.extend(pack(code, packed + half, pair));
                        }
                        packed
                    }
                    _ => *values.iter().min().expect("a run of results"),
                };
                let math = self.math;
                let lanes = Lanes::new(code, self.all_warps(), width, |thread| {
                    let (row, column) = math.piece_place(thread % 32, piece)[number];
                    Some(at + thread / 32 * unit + row * pitch + column * element)
                });
                let emit = Emit::new(&*text, &[], &[self.registers.write[1], from]);
                self.access(emit, After::Shared(lanes));
            }
        }
        self.free = kept;
    }
}
