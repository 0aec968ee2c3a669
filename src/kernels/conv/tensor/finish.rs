//! The way of the results to memory: through shared memory, as halves, in full vectors.

use super::code::{ADDRESS, GET, PIECE, PUT, Writer};
use super::{BLOCK, PART, Touch};
use crate::kernels::conv::lines::{Line, plain, plains, touching};

/// Vectors that are read before the first of them is stored.
const BATCH: u64 = 4;

impl Writer {
    pub(super) fn finish(&self) -> Vec<Line<Touch>> {
        let mut code = self.sync();
        code.extend(plains(&format!(
            "IMAD r0 = r0 c9; IMAD.WIDE r{ADDRESS} = r0 c10; ISETP.GE.AND p1 = r0"
        )));
        match self.plan.run {
            None => self.pixels_out(&mut code),
            Some(run) => self.planes_out(run, &mut code),
        }
        code.push(plain("EXIT"));
        code
    }

    /// Scales a piece of 16 pixels and 8 channels; the register of its results of pixel 0 to 7 and that of 8 to 15, each
    /// two neighbouring channels. Volta converts one number at a time.
    fn scaled(&self, block: u64, piece: u64, code: &mut Vec<Line<Touch>>) -> [u16; 2] {
        let number = (block * (PART[1] / PIECE) + piece) as u16;
        if self.plan.narrow {
            let first = self.sums + 2 * number;
            for pair in [first, first + 1] {
                code.push(plain(format!("HMUL2 r{pair} = r{pair} c11")));
            }
            return [first, first + 1];
        }
        let first = self.sums + 4 * number;
        for sum in first..first + 4 {
            code.push(plain(format!("FMUL r{sum} = r{sum} c11")));
        }
        [first, first + 2].map(|sum| {
            code.extend(plains(&match self.plan.version {
                75.. => format!("F2FP.PACK_AB r{sum} = r{sum} r{}", sum + 1),
                _ => format!(
                    "F2F.F16.F32 r{sum} = r{sum}; F2F.F16.F32 r{0} = r{0}; PRMT r{sum} = r{sum} r{0}",
                    sum + 1
                ),
            }));
            sum
        })
    }

    /// Blocks of 16 pixels, one after the other.
    fn pixels_out(&self, code: &mut Vec<Line<Touch>>) {
        let free = self.halves[0][0];
        for block in 0..PART[0] / BLOCK {
            for piece in 0..PART[1] / PIECE {
                let packed = self.scaled(block, piece, code);
                for (half, pair) in (0..).zip(packed) {
                    let text = format!("STS r{} r{pair}", PUT[0]);
                    code.push(touching(text, Touch::PutOut { piece, half }));
                }
            }
            for half in 0..2 {
                let text = format!(
                    "{} r{} = r{}",
                    self.wide_read(),
                    free + 4 * half as u16,
                    GET[0]
                );
                code.push(touching(text, Touch::GetOut { half }));
            }
            for half in 0..2 {
                self.place(code);
                let text = format!("{} r{ADDRESS} r{} p2", self.store, free + 4 * half as u16);
                code.push(touching(text, Touch::Result { block, half }));
            }
        }
    }

    /// All pixels of a warp, each channel of them a row.
    fn planes_out(&self, run: u64, code: &mut Vec<Line<Touch>>) {
        let free = self.halves[0][0];
        for block in 0..PART[0] / BLOCK {
            for piece in 0..PART[1] / PIECE {
                let packed = self.scaled(block, piece, code);
                for (half, pair) in (0..).zip(packed) {
                    code.push(plain(format!("PRMT r{free} = r{pair}")));
                    for (right, from) in (0..).zip([pair, free]) {
                        let touch = Touch::PutPlane {
                            block,
                            piece,
                            half,
                            right,
                        };
                        code.push(touching(format!("STS.U16 r{} r{from}", PUT[0]), touch));
                    }
                }
            }
        }
        let (read, store) = match run {
            8 => (self.wide_read().to_owned(), self.store.clone()),
            4 => ("LDS.64".into(), self.store.replace("128", "64")),
            2 => ("LDS".into(), self.store.replace(".128", "")),
            _ => ("LDS.U16".into(), self.store.replace("128", "U16")),
        };
        for first in (0..self.plan.plane_accesses()).step_by(BATCH as usize) {
            let batch = first..(first + BATCH).min(self.plan.plane_accesses());
            let register = |access: u64| free + 4 * (access - first) as u16;
            for access in batch.clone() {
                let text = format!("{read} r{} = r{}", register(access), GET[0]);
                code.push(touching(text, Touch::GetPlane { access }));
            }
            for access in batch {
                self.place(code);
                let text = format!("{store} r{ADDRESS} r{} p2", register(access));
                code.push(touching(text, Touch::Plane { access }));
            }
        }
    }

    /// Where a vector goes, and whether it goes there.
    fn place(&self, code: &mut Vec<Line<Touch>>) {
        code.extend(plains(&format!(
            "ISETP.LT.AND p2 = r0 p1; IMAD.WIDE r{ADDRESS} = r0 r{ADDRESS}"
        )));
    }

    fn wide_read(&self) -> &'static str {
        if self.plan.version < 80 {
            "LDS.U.128"
        } else {
            "LDS.128"
        }
    }
}
