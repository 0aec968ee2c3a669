//! The code of an implicit product.

use super::{DEPTH, EDGE, FILTER_LOADS, Registers, Tile, Touch};
use crate::kernels::conv::lines::{Line, plain, plains, touching, weave};

/// Makes the code.
pub(super) struct Writer {
    pub tile: Tile,
    pub r: Registers,
    pub load: String,
    pub store: String,
    pub shared_load: &'static str,
    pub barrier: &'static str,
}

impl Writer {
    pub(super) fn setup(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let mut code: Vec<_> = plains("MOV r1 = c0; S2R r0; S2R r0; S2R r0").collect();
        for slot in 0..self.tile.slots() as u16 {
            // Pixel number to image, row and column: two divisions; the place under the filter; the bits of the padding.
            let (image, mask) = (r.image + 2 * slot, r.mask + slot);
            code.extend(plains(&format!(
                "IMAD.HI r{mask} = r0 c1; SHF.R.U32.HI r{mask} = r{mask}; IMAD r1 = r{mask} r0 c1
                 IMAD.HI r{image} = r1 c2; SHF.R.U32.HI r{image} = r{image}; IMAD r1 = r{image} r1 c2
                 IMAD r1 = r1 c3; IMAD r{image} = r{image} c3; IMAD r1 = r{image} r1 c4
                 IMAD.WIDE r{image} = r1 r0 c5"
            )));
            for _ in 0..6 {
                code.extend(plains(&format!(
                    "ISETP.GE.AND p1 = r1; ISETP.LT.AND p2 = r1 p1; SEL r0 = r1 p2; LOP3.LUT r{mask} = r{mask} r0"
                )));
            }
        }
        for place in r.put.iter().chain(&r.get) {
            code.extend(plains(&format!(
                "SHF.R.U32.HI r{place} = r0; LOP3.LUT r{place} = r0 r{place}; LEA r{place} = r0 r{place}"
            )));
        }
        let (filter, table, counter) = (r.filter, r.table, r.counter);
        code.extend(plains(&format!(
            "IMAD r1 = r0 c6; IMAD.WIDE r{filter} = r1 r0 c6; IMAD.WIDE r{table} = r0 c7; MOV r{counter} = c8"
        )));
        for sum in (r.sums..r.end).step_by(2) {
            code.push(plain(format!("CS2R r{sum}")));
        }
        code
    }

    /// Offsets of the depth of a tile, into the registers that its pixels come to.
    fn offsets(&self, tile: u64) -> Vec<Line<Touch>> {
        let each = self.tile.loads / self.tile.rows;
        let rows = 0..self.tile.rows;
        rows.map(|row| {
            let to = self.r.pixels + (row * each) as u16;
            let text = format!("{} r{to} = r{}", self.load, self.r.table);
            touching(text, Touch::Offset { tile, row })
        })
        .collect()
    }

    /// A tile's pixels and filters.
    fn loads(&self, tile: u64) -> Vec<Line<Touch>> {
        let (r, load_text) = (&self.r, &self.load);
        let each = self.tile.loads / self.tile.rows;
        let address = r.address;
        let mut code = Vec::new();
        for load in (0..self.tile.loads).rev() {
            let slot = (load % self.tile.slots()) as u16;
            let offset = r.pixels + (load / each * each) as u16;
            let (image, mask, to) = (r.image + 2 * slot, r.mask + slot, r.pixels + load as u16);
            code.push(plain(format!("LOP3.LUT p1 = r{mask} r{offset}")));
            code.push(plain(format!("IMAD.WIDE r{address} = r{offset} r{image}")));
            let text = format!("{load_text} r{to} = r{address} p1");
            code.push(touching(text, Touch::Image { tile, load }));
        }
        for load in 0..FILTER_LOADS {
            let to = r.filters + load as u16;
            let text = format!("{load_text} r{to} = r{} p2", r.filter);
            code.push(touching(text, Touch::Filter { tile, load }));
        }
        let filter = r.filter;
        code.extend(plains(&format!(
            "IADD3 r{filter} = r{filter}; IADD3.X r{0} = r{0}; ISETP.GE.AND p2 = r{1}",
            filter + 1,
            r.counter
        )));
        code
    }

    /// From registers to shared memory.
    fn puts(&self, tile: u64) -> Vec<Line<Touch>> {
        let r = &self.r;
        let pixels = (0..self.tile.loads).map(|load| {
            let text = format!("STS r{} r{}", r.put[0], r.pixels + load as u16);
            touching(text, Touch::PutImage { tile, load })
        });
        let filters = (0..FILTER_LOADS).map(|load| {
            let text = format!("STS r{} r{}", r.put[1], r.filters + load as u16);
            touching(text, Touch::PutFilter { tile, load })
        });
        pixels.chain(filters).collect()
    }

    fn reads(&self, tile: u64, step: u64) -> Vec<Line<Touch>> {
        let half = self.r.halves[step as usize % 2];
        let mut code = Vec::new();
        for group in 0..2 {
            let [pixels, channels] = [0, 1].map(|edge| {
                let to = half[edge] + 4 * group as u16;
                format!("{} r{to} = r{}", self.shared_load, self.r.get[edge])
            });
            code.push(touching(pixels, Touch::Pixels { tile, step, group }));
            code.push(touching(channels, Touch::Channels { tile, step, group }));
        }
        code
    }

    /// Channel by channel, forth and back over the pixels.
    fn math(&self, step: u64) -> Vec<Line<Touch>> {
        let [pixels, channels] = self.r.halves[step as usize % 2];
        let mut code = Vec::new();
        for channel in 0..EDGE {
            for at in 0..EDGE {
                let pixel = if channel % 2 == 0 { at } else { EDGE - 1 - at };
                let sum = self.r.sum(channel, pixel);
                let (a, b) = (channels + channel as u16, pixels + pixel as u16);
                code.push(plain(format!("FFMA r{sum} = r{a} r{b} r{sum}")));
            }
        }
        code
    }

    pub(super) fn prologue(&self) -> Vec<Line<Touch>> {
        let mut code = self.offsets(0);
        code.extend(self.loads(0));
        code.extend(self.puts(0));
        code.extend(self.offsets(1));
        code.push(plain(self.barrier));
        code.extend(self.reads(0, 0));
        code
    }

    pub(super) fn iteration(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let mut code: Vec<_> = plains(&format!(
            "IADD3 r{0} = r{0}; ISETP.NE.AND p0 = r{0}",
            r.counter
        ))
        .collect();
        let mut loads = self.loads(1).into_iter();
        // A third of the iteration brings the next tile, the rest of it waits for that.
        let each = loads.len().div_ceil(3);
        for step in 0..DEPTH {
            let mut side = Vec::new();
            if step + 1 < DEPTH {
                side.extend(self.reads(0, step + 1));
                side.extend(loads.by_ref().take(each));
            } else {
                code.push(plain(self.barrier));
                side.extend(self.reads(1, 0));
                side.extend(self.offsets(2));
                for place in r.put.iter().chain(&r.get) {
                    side.push(plain(format!("LOP3.LUT r{place} = r{place}")));
                }
                side.push(plain(format!("IADD3 r{0} = r{0}", r.table)));
            }
            if step + 2 == DEPTH {
                side.extend(self.puts(1));
            }
            code.extend(weave(self.math(step), side));
        }
        code
    }

    pub(super) fn finish(&self) -> Vec<Line<Touch>> {
        let r = &self.r;
        let (to, free) = (r.address, r.halves[0][0]);
        let mut code = vec![plain(self.barrier)];
        code.extend(plains(&format!(
            "IMAD r0 = r0 c9; IMAD.WIDE r{to} = r0 c10; ISETP.GE.AND p1 = r0"
        )));
        for round in 0..EDGE {
            for pixel in 0..EDGE {
                let sum = r.sum(round, pixel);
                code.extend(plains(&format!(
                    "FMUL r{sum} = r{sum} c11; FMNMX r{sum} = r{sum}"
                )));
            }
            for group in 0..2 {
                let from = r.sums + (round * EDGE + 4 * group) as u16;
                let text = format!("STS.128 r{} r{from}", r.put[0]);
                code.push(touching(text, Touch::PutOut { group }));
            }
            for piece in 0..EDGE {
                let text = format!("LDS r{} = r{}", free + piece as u16, r.get[0]);
                code.push(touching(text, Touch::GetOut { piece }));
            }
            for piece in 0..EDGE {
                code.extend(plains(&format!(
                    "ISETP.LT.AND p2 = r0 p1; IMAD.WIDE r{to} = r0 r{to}"
                )));
                let text = format!("{} r{to} r{} p2", self.store, free + piece as u16);
                code.push(touching(text, Touch::Result { round, piece }));
            }
        }
        code.push(plain("EXIT"));
        code
    }
}
