//! From shared memory to C.

use super::super::Merge;
use super::super::body::Emit;
use super::super::convert::{global, shared_load};
use super::super::lanes::Lanes;
use super::super::pipeline::Math;
use super::{After, Writer};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::DataType;

impl<M: Math> Writer<'_, M> {
    /// From there to C.
    pub(super) fn store(&mut self, code: &mut KernelBuilder, round: u64, at: u64) {
        let added = self.gemm.split > 1 && self.gemm.merge == Merge::InPlace;
        let width = match added {
            true => 4,
            false => self.gemm.result_vector(),
        };
        let (element, pitch, unit) = (self.element, self.unit_pitch(), self.unit_bytes());
        let row_lanes = self.part[1] * element / width;
        let accesses = (self.math.unit_rows() * row_lanes).div_ceil(32);
        let (load, store) = match added {
            true => (
                "LDS".to_owned(),
                "RED.E.ADD.F32.FTZ.RN.STRONG.GPU".to_owned(),
            ),
            false => (shared_load(code, width), global(code, "STG", width)),
        };
        let kept = self.free;
        let (words, rows) = (width.div_ceil(4) as u16, self.math.unit_rows());
        // Reads go ahead of stores as far as registers do: as many numbers one by one as in vectors, if the loop leaves
        // registers for them.
        let idle = u64::from(self.registers.sums - self.free) / (1 + u64::from(self.adds()));
        let batch = match self.gemm.any_alignment {
            true => (idle / 4 * 4).clamp(4, 16).min(accesses),
            false => accesses.min(4),
        };
        let first = self.take(batch as u16 * words);
        let previous = match self.adds() {
            true => self.take(batch as u16 * words),
            false => first,
        };
        let of_lane = move |access: u64, thread: u64| {
            let number = access * 32 + thread % 32;
            let place = (number / row_lanes, number % row_lanes * width / element);
            (place.0 < rows).then_some(place)
        };
        for from in (0..accesses).step_by(batch as usize) {
            let present = from..(from + batch).min(accesses);
            let at_of = |access: u64| (access - from) as u16 * words;
            if self.adds() {
                let load = global(code, "LDG", width);
                for access in present.clone() {
                    let lanes =
                        self.result_lanes(code, round, width, |thread| of_lane(access, thread));
                    let to = previous + at_of(access);
                    let emit = Emit::new(&*load, &[to], &[self.registers.global[0]]);
                    self.access(emit, After::Previous(lanes));
                }
            }
            for access in present.clone() {
                let lanes = Lanes::new(code, self.all_warps(), width, |thread| {
                    let (row, column) = of_lane(access, thread)?;
                    Some(at + thread / 32 * unit + row * pitch + column * element)
                });
                let to = first + at_of(access);
                let emit = Emit::new(&*load, &[to], &[self.registers.read[1]]);
                self.access(emit, After::Shared(lanes));
            }
            for access in present {
                let lanes = self.result_lanes(code, round, width, |thread| of_lane(access, thread));
                let value = first + at_of(access);
                self.add_previous(value, previous + at_of(access), words);
                let emit = Emit::new(&*store, &[], &[self.registers.global[0], value]);
                self.access(emit, After::Result(lanes));
            }
        }
        self.free = kept;
    }

    /// Whether C is read here: parts that are added in place find it there, those of a workspace meet it later.
    fn adds(&self) -> bool {
        self.gemm.beta && self.gemm.split == 1
    }

    /// beta C: words of FP32 or of integers, or two halves at once.
    fn add_previous(&mut self, value: u16, previous: u16, words: u16) {
        let text = match (self.gemm.output, self.element) {
            _ if self.gemm.data == DataType::I8 => "IMAD",
            (DataType::Bf16, 2) => "HFMA2.BF16_V2",
            (_, 2) => "HFMA2",
            _ => "FFMA",
        };
        let words = if self.adds() { words } else { 0 };
        for word in 0..words {
            let (value, previous) = (value + word, previous + word);
            self.emits
                .push(Emit::new(text, &[value], &[previous, value]));
        }
    }

    fn result_lanes(
        &self,
        code: &mut KernelBuilder,
        round: u64,
        width: u64,
        of_lane: impl Fn(u64) -> Option<(u64, u64)>,
    ) -> [[Lanes; 2]; 2] {
        let (math, part, warps, slices) = (self.math, self.part, self.warps, self.slices);
        let (element, pitch) = (self.element, self.gemm.shape.n * self.element);
        let along_n = u64::from(self.gemm.warps[1]);
        [u64::from(self.gemm.tile.m), self.cut(0)].map(|rows| {
            [u64::from(self.gemm.tile.n), self.cut(1)].map(|columns| {
                Lanes::new(code, self.all_warps(), width, |thread| {
                    let (slice, warp) = (thread / 32 / warps, thread / 32 % warps);
                    let (row, column) = of_lane(thread)?;
                    let row = warp / along_n * part[0] + math.row_of(round * slices + slice, row);
                    let column = warp % along_n * part[1] + column;
                    (row < rows && column < columns).then_some(row * pitch + column * element)
                })
            })
        })
    }
}
