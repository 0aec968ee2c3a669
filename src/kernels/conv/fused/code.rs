//! The code of the fused kernel.

use super::{DEPTH, EDGE, FILTER_LOADS, OUT, PLACES, Touch};
use crate::kernels::conv::lines::{Line, plain, plains, touching, weave};

/// Registers: addresses, a tile and filters on their way, fragments of two steps, sums.
const IMAGE: u16 = 2;
const FILTER: u16 = 4;
const PUT: u16 = 6;
const GET: u16 = 7;
const COUNTER: u16 = 8;
const INSIDE: u16 = 9;
const TILE: u16 = 12;
const NEXT_FILTERS: u16 = 28;
const FRAGMENTS: u16 = 44;
const SUMS: u16 = FRAGMENTS + 2 * 2 * EDGE as u16 - 16;
pub(super) const REGISTERS: u16 = 126;

/// Registers of the tiles' and the filters' fragments of a step.
fn fragments(step: u64) -> [u16; 2] {
    match step % 2 {
        0 => [FRAGMENTS, FRAGMENTS + 8],
        // The filters' staging is free once they are in shared memory, until late in the iteration.
        _ => [NEXT_FILTERS, NEXT_FILTERS + 8],
    }
}

/// Of a result: its bank is never that of the tile.
fn sum(channel: u64, tile: u64) -> u16 {
    SUMS + (channel * EDGE + (tile ^ 1)) as u16
}

/// Makes the code.
pub(super) struct Writer {
    pub load: String,
    pub load_filter: String,
    pub store: String,
    pub shared_load: &'static str,
    pub barrier: &'static str,
    /// Results of a store.
    pub vector: u64,
}

impl Writer {
    pub(super) fn setup(&self) -> Vec<Line<Touch>> {
        let mut code: Vec<_> = plains(
            "MOV r1 = c0; S2R r0; S2R r10; S2R r10; S2R r11; IMAD.HI.U32 r3 = r10 c1; IMAD r10 = r3 r10 c1",
        )
        .collect();
        code.extend(plains(&format!(
            "SHF.R.U32.HI r{PUT} = r0; LOP3.LUT r{GET} = r0; LEA r{PUT} = r0 r{PUT}; LEA r{GET} = r0 r{GET}
             LEA r11 = r11 r0; IADD3 r11 = r11 c2; LEA r10 = r10 r0; IADD3 r10 = r10 c2
             IMAD r3 = r3 c3; IMAD r3 = r11 r3 c4; IADD3 r3 = r3 r10; MOV r1 = c5; IMAD.WIDE r{IMAGE} = r3 r1
             IMAD r1 = r0 c6; MOV r0 = c7; IMAD.WIDE r{FILTER} = r1 r0; MOV r{COUNTER} = c8"
        )));
        // Which of the 4 rows and 4 columns are inside, one bit each.
        for _ in 0..8 {
            code.extend(plains(&format!(
                "ISETP.LT.U32.AND p1 = r10; SEL r1 = r0 p1; LOP3.LUT r{INSIDE} = r{INSIDE} r1"
            )));
        }
        for sum in (SUMS..SUMS + (EDGE * EDGE) as u16).step_by(2) {
            code.push(plain(format!("CS2R r{sum}")));
        }
        code
    }

    /// The next tile of pixels, row by row.
    fn image(&self, ahead: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for number in 0..PLACES {
            if number % 4 == 0 {
                code.push(plain(format!("IMAD.WIDE r10 = r0 r{IMAGE}")));
            }
            code.push(plain(format!("LOP3.LUT p1 = r{INSIDE}")));
            let to = TILE + number as u16;
            let text = format!("{} r{to} = r10 p1", self.load);
            code.push(touching(text, Touch::Image { ahead, number }));
        }
        code.push(plain(format!("IADD3 r{IMAGE} = r{IMAGE}")));
        code.push(plain(format!("IADD3.X r{0} = r{0}", IMAGE + 1)));
        code
    }

    fn filters(&self, ahead: u64) -> Vec<Line<Touch>> {
        let mut code: Vec<_> = (0..FILTER_LOADS)
            .map(|load| {
                let to = NEXT_FILTERS + 4 * load as u16;
                let text = format!("{} r{to} = r{FILTER} p2", self.load_filter);
                touching(text, Touch::Filter { ahead, load })
            })
            .collect();
        code.push(plain(format!("IADD3 r{FILTER} = r{FILTER}")));
        code.push(plain(format!("IADD3.X r{0} = r{0}", FILTER + 1)));
        code
    }

    /// The transform of a tile in place: B^T of F(2, 3) from both sides.
    fn transform(&self) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (step, across) in [(4, 1), (1, 4)] {
            for line in 0..4 {
                let x = |n: u16| TILE + line * across + n * step;
                // x1 + x2 is (x2 - x1) + 2 x1: no register is needed beside these.
                code.extend(plains(&format!(
                    "FADD r{0} = r{0} r{2}; FADD r{3} = r{1} r{3}; FADD r{2} = r{2} r{1}; FFMA r{1} = r{1} r{2}",
                    x(0),
                    x(1),
                    x(2),
                    x(3)
                )));
            }
        }
        code
    }

    fn puts(&self) -> Vec<Line<Touch>> {
        let image = (0..PLACES).map(|number| {
            let text = format!("STS r{PUT} r{}", TILE + number as u16);
            touching(text, Touch::PutImage(number))
        });
        let filters = (0..FILTER_LOADS).map(|load| {
            let text = format!("STS.128 r{PUT} r{}", NEXT_FILTERS + 4 * load as u16);
            touching(text, Touch::PutFilter(load))
        });
        image.chain(filters).collect()
    }

    fn reads(&self, step: u64) -> Vec<Line<Touch>> {
        let [tiles, filters] = fragments(step);
        let mut code = Vec::new();
        for group in 0..2 {
            let read =
                |to: u16| format!("{} r{} = r{GET}", self.shared_load, to + 4 * group as u16);
            code.push(touching(read(tiles), Touch::Tiles { step, group }));
            code.push(touching(read(filters), Touch::Filters { step, group }));
        }
        code
    }

    fn math(&self, step: u64) -> Vec<Line<Touch>> {
        let [tiles, filters] = fragments(step);
        let mut code = Vec::new();
        for channel in 0..EDGE {
            for at in 0..EDGE {
                let tile = if channel % 2 == 0 { at } else { EDGE - 1 - at };
                let sum = sum(channel, tile);
                let (a, b) = (filters + channel as u16, tiles + tile as u16);
                code.push(plain(format!("FFMA r{sum} = r{a} r{b} r{sum}")));
            }
        }
        code
    }

    pub(super) fn prologue(&self) -> Vec<Line<Touch>> {
        let mut code = self.filters(0);
        code.extend(self.image(0));
        code
    }

    /// Tiles and filters are there in registers; when they are in shared memory, the next pixels come while the
    /// present ones are multiplied, and filters in the last step.
    pub(super) fn iteration(&self) -> Vec<Line<Touch>> {
        let mut code = self.transform();
        code.push(plain(self.barrier));
        code.extend(self.puts());
        code.push(plain(self.barrier));
        code.extend(self.reads(0));
        code.extend(plains(&format!(
            "IADD3 r{COUNTER} = r{COUNTER}; ISETP.NE.AND p0 = r{COUNTER}; ISETP.GE.AND p2 = r{COUNTER}"
        )));
        let mut image = self.image(1).into_iter();
        let each = image.len().div_ceil(DEPTH as usize - 2);
        for step in 0..DEPTH {
            let mut side: Vec<_> = image.by_ref().take(each).collect();
            if step + 1 < DEPTH {
                side.extend(self.reads(step + 1));
            }
            code.extend(weave(self.math(step), side));
            if step + 1 == DEPTH {
                code.extend(self.filters(1));
            }
        }
        code
    }

    /// Half of the channels at a time through shared memory; of each half a thread has two tiles.
    pub(super) fn finish(&self) -> Vec<Line<Touch>> {
        let mut code: Vec<_> =
            plains("IMAD r0 = r0 c9; IMAD.WIDE r4 = r0 c10; ISETP.GE.AND p1 = r0").collect();
        for round in 0..2 {
            code.push(plain(self.barrier));
            for channel in 0..4 {
                for half in 0..2 {
                    let from = SUMS + ((round * 4 + channel) * EDGE + 4 * half) as u16;
                    let text = format!("STS.128 r{PUT} r{from}");
                    code.push(touching(text, Touch::PutOut { channel, half }));
                }
            }
            code.push(plain(self.barrier));
            for tile in 0..2 {
                for number in 0..PLACES {
                    let text = format!("LDS r{} = r{GET}", TILE + number as u16);
                    code.push(touching(text, Touch::GetOut { tile, number }));
                }
                code.extend(self.results(round, tile));
            }
        }
        code.push(plain("EXIT"));
        code
    }

    /// A^T of F(2, 3) from both sides, scaling and activation, stores.
    fn results(&self, round: u64, tile: u64) -> Vec<Line<Touch>> {
        let mut code = Vec::new();
        for (step, across, lines) in [(4, 1, 4), (1, 4, 2)] {
            for line in 0..lines {
                let x = |n: u16| TILE + line * across + n * step;
                code.extend(plains(&format!(
                    "FADD r{0} = r{0} r{1}; FADD r{1} = r{1} r{2}; FADD r{0} = r{0} r{2}; FADD r{1} = r{1} r{3}",
                    x(0),
                    x(1),
                    x(2),
                    x(3)
                )));
            }
        }
        for number in 0..OUT * OUT {
            let value = TILE + (number / OUT * 4 + number % OUT) as u16;
            code.extend(plains(&format!(
                "FMUL r{value} = r{value} c11; FMNMX r{value} = r{value}"
            )));
        }
        for number in (0..OUT * OUT).step_by(self.vector as usize) {
            let value = TILE + (number / OUT * 4 + number % OUT) as u16;
            code.extend(plains("ISETP.LT.AND p2 = r10 p1; IMAD.WIDE r4 = r0 r4"));
            let text = format!("{} r4 r{value} p2", self.store);
            code.push(touching(
                text,
                Touch::Result {
                    round,
                    tile,
                    number,
                },
            ));
        }
        code
    }
}
