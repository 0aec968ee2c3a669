//! The code of a product on tensor cores.

use super::{BLOCK, PART, Plan, Touch};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::conv::lines::{Line, plain, plains, touching, weave};

/// Results of a lane.
const RESULTS: u16 = (PART[0] * PART[1] / 32) as u16;
/// Columns of a piece of results.
pub(super) const PIECE: u64 = 8;

/// Makes the code.
pub(super) struct Writer {
    pub(super) plan: Plan,
    load: String,
    offset: String,
    pub(super) store: String,
    barrier: &'static str,
    /// First offsets and bits of a thread's pixels.
    pixels: u16,
    /// Pixels and filters on their way.
    staging: [u16; 2],
    /// Fragments of both operands, twice.
    pub(super) halves: [[u16; 2]; 2],
    pub(super) sums: u16,
}

/// Registers: addresses, the offset of the depth, places in shared memory, the counter.
const IMAGE: u16 = 2;
const FILTER: u16 = 4;
const TABLE: u16 = 6;
pub(super) const ADDRESS: u16 = 8;
const OFFSET: u16 = 10;
pub(super) const PUT: [u16; 2] = [11, 12];
pub(super) const GET: [u16; 2] = [13, 14];
const COUNTER: u16 = 15;

impl Writer {
    pub(super) fn new(plan: Plan, code: &KernelBuilder) -> Self {
        let mut next = 16u16;
        let mut take = |count: u64| {
            let first = next;
            next = (next + count as u16).next_multiple_of(4);
            first
        };
        let pixels = take(2 * plan.loads(0));
        let staging = [0, 1].map(|edge| match plan.asynchronous() {
            true => 0,
            false => take(4 * plan.loads(edge)),
        });
        let halves = [(); 2].map(|()| {
            [0, 1].map(|edge| {
                let (reads, registers) = plan.reads(edge);
                take(reads * u64::from(registers))
            })
        });
        Writer {
            plan,
            load: code.global("LDG", 16),
            offset: code.global("LDG", 4),
            store: code.global("STG", 16),
            barrier: code.barrier_text(),
            pixels,
            staging,
            halves,
            sums: take(sum_registers(&plan).into()),
        }
    }

    pub(super) fn registers(&self) -> u16 {
        (self.sums + sum_registers(&self.plan) + 4).next_multiple_of(8)
    }

    pub(super) fn setup(&self) -> Vec<Line<Touch>> {
        let mut code: Vec<_> = plains("MOV r1 = c0; S2R r0; S2R r0; S2R r0").collect();
        for load in 0..self.plan.loads(0) as u16 {
            // Pixel number to image, row and column; the place under the filter; the bits of the padding.
            let (at, bits) = (self.pixels + 2 * load, self.pixels + 2 * load + 1);
            code.extend(plains(&format!(
                "IADD3 r1 = r0; IMAD.HI.U32 r{bits} = r1 c1; SHF.R.U32.HI r{bits} = r{bits}; IMAD r1 = r{bits} r1 c1
                 IMAD.HI.U32 r{at} = r1 c2; SHF.R.U32.HI r{at} = r{at}; IMAD r1 = r{at} r1 c2
                 IMAD r1 = r1 c3; IMAD r{at} = r{at} c3; IMAD r{at} = r{bits} r{at} c4; IMAD r{at} = r{at} r1 c5"
            )));
            for _ in 0..4 {
                code.extend(plains(&format!(
                    "ISETP.LT.U32.AND p1 = r1; SEL r0 = r1 p1; LOP3.LUT r{bits} = r{bits} r0"
                )));
            }
        }
        for place in PUT.iter().chain(&GET) {
            code.extend(plains(&format!(
                "SHF.R.U32.HI r{place} = r0; LOP3.LUT r{place} = r0 r{place}; LEA r{place} = r0 r{place}"
            )));
        }
        code.extend(plains(&format!(
            "MOV r{IMAGE} = c6; IMAD r1 = r0 c7; IMAD.WIDE r{FILTER} = r1 r0; IMAD.WIDE r{TABLE} = r0 r1
             MOV r{COUNTER} = c8"
        )));
        for sum in (self.sums..self.sums + sum_registers(&self.plan)).step_by(2) {
            code.push(plain(format!("CS2R r{sum}")));
        }
        code
    }

    fn offset(&self, tile: u64) -> Line<Touch> {
        let text = format!("{} r{OFFSET} = r{TABLE}", self.offset);
        touching(text, Touch::Offset { tile })
    }

    fn loads(&self, tile: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (edge, put) in PUT.into_iter().enumerate() {
            for load in 0..self.plan.loads(edge) {
                let address = match edge {
                    0 => {
                        let (at, bits) = (
                            self.pixels + 2 * load as u16,
                            self.pixels + 2 * load as u16 + 1,
                        );
                        code.extend(plains(&format!(
                            "LOP3.LUT p1 = r{bits} r{OFFSET}; IADD3 r{at} = r{at} r{OFFSET}
                             IMAD.WIDE r{ADDRESS} = r{at} r{IMAGE}"
                        )));
                        ADDRESS
                    }
                    _ => FILTER,
                };
                let to = self.staging[edge] + 4 * load as u16;
                let text = match self.plan.asynchronous() {
                    true => format!("LDGSTS.E.BYPASS.128 r{} r{address} p1", put),
                    false => format!("{} r{to} = r{address} p1", self.load),
                };
                code.push(touching(text, Touch::Load { tile, edge, load }));
            }
        }
        let high = FILTER + 1;
        code.extend(plains(&format!(
            "IADD3 r{FILTER} = r{FILTER}; IADD3.X r{high} = r{high}"
        )));
        if self.plan.asynchronous() {
            code.push(plain("LDGDEPBAR"));
        }
        code
    }

    fn puts(&self, tile: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (edge, put) in PUT.into_iter().enumerate() {
            for load in 0..self.plan.loads(edge) {
                let from = self.staging[edge] + 4 * load as u16;
                let text = format!("STS.128 r{} r{from}", put);
                code.push(touching(text, Touch::Put { tile, edge, load }));
            }
        }
        code
    }

    fn reads(&self, tile: u64, step: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        let text = match self.plan.version {
            ..75 => "LDS.64",
            _ => "LDSM.16.M88.4",
        };
        for (edge, get) in GET.into_iter().enumerate() {
            let (reads, registers) = self.plan.reads(edge);
            for read in 0..reads {
                let to = self.halves[step as usize % 2][edge] + read as u16 * registers;
                let text = format!("{text} r{to} = r{}", get);
                let touch = Touch::Read {
                    tile,
                    edge,
                    step,
                    read,
                };
                code.push(touching(text, touch));
            }
        }
        code
    }

    /// Blocks of 16 pixels, forth and back over pieces of 8 channels.
    fn math(&self, step: u64) -> Vec<Line<Touch>> {
        let [a, b] = self.halves[step as usize % 2];
        let blocks = (PART[0] / BLOCK) as u16;
        let (kind, of_piece) = if self.plan.narrow {
            ("F16", 2)
        } else {
            ("F32", 4)
        };
        let mut code = Vec::new();
        let mut put = |text: &str, sum: u16, a: u16, b: u16| {
            code.push(plain(format!("{text} r{sum} = r{a} r{b} r{sum}")));
        };
        for i in 0..blocks {
            let columns = if self.plan.version < 75 {
                PART[1] / BLOCK
            } else {
                PART[1] / PIECE
            } as u16;
            for at in 0..columns {
                let j = if i % 2 == 0 { at } else { columns - 1 - at };
                match self.plan.version {
                    ..75 => {
                        let steps = if self.plan.narrow { 2 } else { 4 };
                        for part in 0..steps {
                            let sum = self.sums + 2 * (steps * (i * columns + j) + part);
                            let text = format!("HMMA.884.{kind}.{kind}.STEP{part}");
                            put(&text, sum, a + 2 * i, b + 2 * j);
                        }
                    }
                    75..80 => {
                        let sum = self.sums + of_piece * (i * columns + j);
                        put(&format!("HMMA.1688.{kind}"), sum, a + 2 * i, b + j);
                    }
                    _ => {
                        let sum = self.sums + of_piece * (i * columns + j);
                        let bfloat = if self.plan.bfloat { ".BF16" } else { "" };
                        put(
                            &format!("HMMA.16816.{kind}{bfloat}"),
                            sum,
                            a + 4 * i,
                            b + 2 * j,
                        );
                    }
                }
            }
        }
        code
    }

    /// The next tile is there, and all warps have done with the one before.
    pub(super) fn sync(&self) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        if self.plan.asynchronous() {
            code.push(plain("DEPBAR.LE"));
        }
        code.push(plain(self.barrier));
        code
    }

    pub(super) fn prologue(&self) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for tile in 0..self.plan.stages - 1 {
            code.push(self.offset(tile));
            code.extend(self.loads(tile));
        }
        if !self.plan.asynchronous() {
            code.extend(self.puts(0));
        }
        code.push(self.offset(self.plan.stages - 1));
        code.extend(self.sync());
        code.extend(self.reads(0, 0));
        code
    }

    pub(super) fn iteration(&self) -> Vec<Line<Touch>> {
        let (steps, ahead) = (self.plan.steps(), self.plan.stages - 1);
        let mut code: Vec<_> = plains(&format!(
            "IADD3 r{COUNTER} = r{COUNTER}; ISETP.NE.AND p0 = r{COUNTER}"
        ))
        .collect();
        for step in 0..steps {
            let mut side = Vec::new();
            if step == 0 {
                side.extend(self.loads(ahead));
            }
            if step + 1 < steps {
                side.extend(self.reads(0, step + 1));
            } else {
                if !self.plan.asynchronous() {
                    code.extend(self.puts(1));
                }
                code.extend(self.sync());
                side.extend(self.reads(1, 0));
                side.push(self.offset(ahead + 1));
                for place in PUT.iter().chain(&GET) {
                    side.push(plain(format!("IADD3 r{place} = r{place}")));
                }
                side.push(plain(format!("IADD3 r{TABLE} = r{TABLE}")));
            }
            code.extend(weave(self.math(step), side));
        }
        code
    }
}

/// Registers of a lane's sums.
fn sum_registers(plan: &Plan) -> u16 {
    if plan.narrow { RESULTS / 2 } else { RESULTS }
}
