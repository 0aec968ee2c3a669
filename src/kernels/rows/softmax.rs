//! Softmax of rows as PyTorch has it: a warp a row up to 1024 elements, a CTA a row beyond.

use super::chains::{DIVIDE, add_exponential, exponential, narrow, widen};
use super::combine::{Combine, butterfly, serial, shuffled};
use super::program::{Contiguous, Place, RowPlace, RowProgram, Script, SharedPlace, Span, Who};
use super::script::list;
use crate::config::GpuSpec;
use crate::kernels::builder::KernelBuilder;
use crate::kernels::fields::{family, names};
use crate::kernels::operator::{DataType, EDGE_MAX};
use crate::kernels::{Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, line, per_warp};

names! {
    /// Which kernel.
    pub enum SoftmaxForm {
        /// A warp for one or two rows of 1024 elements at most.
        Warp = "warp",
        /// A CTA a row, which is read three times.
        Block = "block",
        /// A CTA a row, which is read once and kept in shared memory.
        Shared = "shared",
    }
}

family! {
    /// exp(a - max) / sum of each row. Operands: the rows, the result.
    pub struct Softmax of arrays: Arrays {
        /// rows
        pub rows: u64 = "rows" count(4096, 1, EDGE_MAX),
        /// elements of a row
        pub cols: u64 = "cols" count(1024, 1, EDGE_MAX),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// which kernel
        pub form: SoftmaxForm = "form" name(SoftmaxForm::NAMES),
        /// sums over a CTA by one thread of values that lanes have added one by one, as up to PyTorch 2.1: 1
        pub serial: u64 = "serial" count(1, 0, 1),
    }
}

/// Most elements of a row that a warp takes.
pub const WARP_COLS: u64 = 1024;

impl Softmax {
    /// Elements of 16 bytes.
    fn vector(&self) -> u64 {
        16 / self.data.bytes()
    }

    /// Threads of a CTA that has a row.
    pub fn threads(&self) -> u64 {
        match (self.form, self.serial) {
            (SoftmaxForm::Warp, _) => 128,
            (SoftmaxForm::Block, 1) => {
                let most = (self.cols / self.vector()).min(1024);
                let mut threads = 1;
                while threads < most / 2 {
                    threads *= 2;
                }
                threads.max(32)
            }
            _ => self.cols.min(1024).next_power_of_two().max(32),
        }
    }

    /// Bytes of shared memory in which a row can lie.
    pub fn row_bytes_max(&self) -> u64 {
        (48 << 10) - self.threads() / 32 * 4
    }

    fn check(&self) -> Result<(), Fault> {
        if self.data.bytes() == 1 {
            return Err(Fault::field(
                "type",
                self.data.name(),
                "no softmax kernel for it",
            ));
        }
        if self.rows > GRID_MAX {
            return Err(Fault::field("rows", self.rows, "too many CTAs"));
        }
        let what = match self.form {
            SoftmaxForm::Warp if self.cols > WARP_COLS => "1024 elements a warp at most",
            SoftmaxForm::Shared
                if self.cols * self.data.bytes() >= self.row_bytes_max()
                    || !self.cols.is_multiple_of(self.vector()) =>
            {
                "rows of whole vectors that fit shared memory"
            }
            _ => return Ok(()),
        };
        Err(Fault::field("cols", self.cols, what))
    }

    fn row(&self, operand: usize) -> RowPlace {
        RowPlace::rows(operand, self.data.bytes(), self.cols)
    }
}

/// Registers: r2 thread, r4 and r6 addresses of the row and of the result, r8 index, r12 to r16 sums and row values.
const MAXIMUM: u16 = 12;
const SUM: u16 = 13;
const OWN: u16 = 16;
/// As loaded, then in FP32, results, temporaries.
const DATA: u16 = 32;
const WIDE: u16 = 40;
const RESULT: u16 = 48;
const TEMPORARY: u16 = 56;

/// Subtracts the maximum and gives the exponential of `count` elements in `WIDE` to `use_it`, four at a time.
fn exponentials(code: &mut KernelBuilder, first: u16, count: u16, sum: Option<u16>) {
    for group in (0..count).step_by(4) {
        let elements = group..count.min(group + 4);
        let names = |e: u16| {
            let own = TEMPORARY + 2 * (e - group);
            let z = sum.unwrap_or(first + e);
            vec![
                ("x", first + e),
                ("m", MAXIMUM),
                ("z", z),
                ("t", own),
                ("v", own + 1),
                ("k", 3),
            ]
        };
        let names: Vec<_> = elements.map(names).collect();
        for names in &names {
            list(code, "FADD x = x m", names);
        }
        match sum {
            Some(_) => add_exponential(code, &names),
            None => exponential(code, &names),
        }
    }
}

/// Divides registers from `from` by the sum, into registers from `to`.
fn divide(code: &mut KernelBuilder, [from, to, sum]: [u16; 3], count: u16) {
    for e in 0..count {
        let names = [
            ("x", from + e),
            ("y", sum),
            ("z", to + e),
            ("t", TEMPORARY),
            ("u", TEMPORARY + 1),
            ("v", TEMPORARY + 2),
            ("p", 0),
        ];
        list(code, DIVIDE, &names);
    }
}

/// Where a loop over a row reads.
const ADDRESS: &str = "IMAD.WIDE r4 = r8 r6";
/// The end of a loop's body.
const AGAIN: &str = "IADD3 r8 = r8; IMAD.SHL r9 = r8; ISETP.GE.AND p0 = r9; BRA p0";

/// What is done with the elements of a row.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Maximum,
    Sum,
    Write,
}

impl Softmax {
    /// The body of a loop over vectors of `vector` elements.
    fn body(&self, code: &mut KernelBuilder, pass: Pass, vector: u64) {
        let bytes = vector * self.data.bytes();
        let load = code.global("LDG", bytes);
        list(code, &format!("{ADDRESS}; {load} d = r4"), &[("d", DATA)]);
        let count = vector as u16;
        let wide = if self.data.bytes() == 4 { DATA } else { WIDE };
        widen(code, self.data, count, DATA, wide);
        self.process(code, pass, wide, count);
        if pass == Pass::Write {
            let store = code.global("STG", bytes);
            let packed = if self.data.bytes() == 4 { RESULT } else { DATA };
            narrow(code, self.data, count, RESULT, packed);
            list(
                code,
                &format!("IMAD.WIDE r10 = r8 r6; {store} r10 d"),
                &[("d", packed)],
            );
        }
        list(code, AGAIN, &[]);
    }

    /// What `pass` does with `count` elements in registers from `wide`.
    fn process(&self, code: &mut KernelBuilder, pass: Pass, wide: u16, count: u16) {
        match pass {
            Pass::Maximum => {
                for e in 0..count {
                    let names = [("a", MAXIMUM), ("b", wide + e), ("p", 0)];
                    list(code, Combine::Max.text(), &names);
                }
            }
            Pass::Sum => exponentials(code, wide, count, Some(SUM)),
            Pass::Write => {
                exponentials(code, wide, count, None);
                divide(code, [wide, RESULT, SUM], count);
            }
        }
    }

    fn pass(&self, script: &mut Script<'_>, pass: Pass) {
        let row = Place::Row(self.row(0));
        let places = match pass {
            Pass::Write => vec![row, Place::Row(self.row(1))],
            _ => vec![row],
        };
        let vector = self.vector();
        if !self.cols.is_multiple_of(vector) {
            script.each(Span::Head(vector), places.clone(), |code| {
                self.body(code, pass, 1)
            });
        }
        // The remainder of the row by the vectors of all threads.
        script.once(Who::All, vec![], |code| {
            let remainder =
                "IMAD.HI r9 = r3; IMAD r9 = r9; ISETP.GE.U32.AND p0 = r9; IADD3 r9 = r9 p0";
            list(code, remainder, &[]);
            list(
                code,
                "IADD3 r9 = r9; ISETP.GE.AND p0 = r8 r9; BSSY; BRA p0",
                &[],
            );
        });
        script.each(Span::Body(vector), places.clone(), |code| {
            self.body(code, pass, vector)
        });
        script.once(Who::All, vec![], |code| {
            list(
                code,
                "BSYNC; IADD3 r8 = r2 r9; BSSY; ISETP.GE.AND p0 = r8; BRA p0",
                &[],
            );
        });
        script.each(Span::Tail(vector), places, |code| self.body(code, pass, 1));
        script.once(Who::All, vec![], |code| {
            list(code, "BSYNC; MOV r8 = r2", &[]);
        });
    }

    fn combine(&self, script: &mut Script<'_>, how: Combine, value: u16) {
        match self.serial {
            1 => serial(script, how, self.threads(), [value, value, OWN]),
            _ => shuffled(script, how, self.threads(), [value, value, OWN]),
        }
    }

    fn block_steps(&self, script: &mut Script<'_>) {
        script.once(Who::All, vec![], |code| {
            code.entry();
            list(code, BLOCK_PROLOGUE, &[]);
        });
        self.pass(script, Pass::Maximum);
        self.combine(script, Combine::Max, MAXIMUM);
        self.pass(script, Pass::Sum);
        self.combine(script, Combine::Sum, SUM);
        self.pass(script, Pass::Write);
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }

    /// Behind the sums that are combined lies the row.
    fn shared_steps(&self, script: &mut Script<'_>) {
        let (vector, bytes) = (self.vector(), self.data.bytes());
        let count = vector as u16;
        let row = Place::Row(self.row(0));
        // The row is in shared memory as in memory: lanes 16 bytes apart.
        let kept = Place::Shared(SharedPlace {
            base: self.threads() / 32 * 4,
            lane: 16,
            warp: 512,
        });
        let wide = if bytes == 4 { DATA } else { WIDE };
        let load = script.code.global("LDG", 16);
        let shared_load = script.code.shared_load_128();
        script.once(Who::All, vec![], |code| {
            code.entry();
            list(code, BLOCK_PROLOGUE, &[]);
        });
        script.each(Span::Vectors(vector), vec![row, kept], |code| {
            list(code, &format!("{ADDRESS}; {load} d = r4"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Maximum, wide, count);
            list(code, &format!("STS.128 r8 d; {AGAIN}"), &[("d", DATA)]);
        });
        self.combine(script, Combine::Max, MAXIMUM);
        script.each(Span::Vectors(vector), vec![kept], |code| {
            list(code, &format!("{shared_load} d = r8"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Sum, wide, count);
            list(code, AGAIN, &[]);
        });
        self.combine(script, Combine::Sum, SUM);
        let places = vec![kept, Place::Row(self.row(1))];
        let store = script.code.global("STG", 16);
        script.each(Span::Vectors(vector), places, |code| {
            list(code, &format!("{shared_load} d = r8"), &[("d", DATA)]);
            widen(code, self.data, count, DATA, wide);
            self.process(code, Pass::Write, wide, count);
            let packed = if bytes == 4 { RESULT } else { DATA };
            narrow(code, self.data, count, RESULT, packed);
            list(
                code,
                &format!("{ADDRESS}; {store} r4 d; {AGAIN}"),
                &[("d", packed)],
            );
        });
        script.once(Who::All, vec![], |code| {
            list(code, "EXIT", &[]);
        });
    }
}

/// Addresses of the row, and the reciprocal by which a remainder is found.
const BLOCK_PROLOGUE: &str = "
    S2R r9
    S2R r2
    IMAD.WIDE r4 = r9 c2
    IMAD.WIDE r6 = r9 c2
    LEA r4 = r4 c1
    LEA.HI.X r5 = r5 c1
    LEA r6 = r6 c0
    LEA.HI.X r7 = r7 c0
    LOP3.LUT r9 = r4
    ISETP.NE.AND p2 = r9
    BRA p2
    I2F.U32.RP r3 = r3
    MUFU.RCP r3 = r3
    IADD3 r3 = r3
    F2I.FTZ.U32.TRUNC.NTZ r3 = r3
    IMAD r10 = r3
    IMAD.HI.U32 r3 = r3 r10
    MOV r12
    MOV r13
    MOV r8 = r2
    LOP3.LUT r15 = r2
    ISETP.GT.U32.OR p1 = r15";

/// The shape of the warp form.
struct WarpShape {
    /// Lanes of a row.
    lanes: u64,
    /// Elements of a lane.
    each: u16,
    /// Rows of a lane.
    rows: u16,
}

impl WarpShape {
    fn of(cols: u64) -> Self {
        let padded = cols.next_power_of_two();
        let lanes = padded.min(32);
        WarpShape {
            lanes,
            each: (padded / lanes) as u16,
            rows: if padded <= 128 { 2 } else { 1 },
        }
    }

    fn register(&self, row: u16, each: u16) -> u16 {
        64 + row * self.each + each
    }
}

impl Softmax {
    /// The elements of both rows, in the order of the code.
    fn warp_places(&self, shape: &WarpShape, operand: usize) -> Vec<Place> {
        let of_row = |row: u16| {
            let lanes = shape.lanes;
            (0..shape.each).map(move |n| (u64::from(n) * lanes, u64::from(row)))
        };
        let all = (0..shape.rows).flat_map(of_row);
        all.map(|first| {
            Place::Row(RowPlace {
                first,
                ..self.row(operand)
            })
        })
        .collect()
    }

    fn warp_steps(&self, script: &mut Script<'_>, shape: &WarpShape) {
        script.once(Who::All, self.warp_places(shape, 0), |code| {
            self.warp_loads(code, shape)
        });
        script.once(Who::All, vec![], |code| {
            let all = || (0..shape.rows).map(|row| (row, shape.register(row, 0)));
            for (row, first) in all() {
                list(code, "MOV m = x", &[("m", MAXIMUM + row), ("x", first)]);
                for n in 1..shape.each {
                    let names = [("a", MAXIMUM + row), ("b", first + n), ("p", 0)];
                    list(code, Combine::Max.text(), &names);
                }
                butterfly(code, Combine::Max, shape.lanes, MAXIMUM + row, OWN);
            }
            for (row, first) in all() {
                exponentials(code, first, shape.each, None);
                list(code, "MOV s", &[("s", SUM + 2 + row)]);
                for n in 0..shape.each {
                    let names = [("a", SUM + 2 + row), ("b", first + n), ("p", 0)];
                    list(code, Combine::Sum.text(), &names);
                }
                butterfly(code, Combine::Sum, shape.lanes, SUM + 2 + row, OWN);
            }
        });
        script.once(Who::All, self.warp_places(shape, 1), |code| {
            self.warp_stores(code, shape)
        });
    }

    fn warp_loads(&self, code: &mut KernelBuilder, shape: &WarpShape) {
        code.entry();
        let start = "S2R r3; S2R r9; S2R r2; IMAD r3 = r3 r9; SHF r8 = r2; IMAD.WIDE r4 = r3 r2 c2; \
            ISETP.GE.AND p1 = r3; SEL r9 = c3 p1; SHF.L r6 = r4; SHF.L.U64.HI r7 = r4 r5; \
            IADD3 r4 = r6 c1; IADD3.X r5 = r7 c1";
        list(code, start, &[]);
        let load = code.global("LDG", self.data.bytes());
        for row in 0..shape.rows {
            for n in 0..shape.each {
                let names = [("d", shape.register(row, n))];
                let text = "IADD3 r10 = r2; ISETP.GE.AND p0 = r10 r9; MOV d";
                list(code, &format!("{text}; {load} d = r4 p0"), &names);
            }
        }
        for row in 0..shape.rows {
            for n in 0..shape.each {
                let at = shape.register(row, n);
                widen(code, self.data, 1, at, at);
            }
        }
    }

    fn warp_stores(&self, code: &mut KernelBuilder, shape: &WarpShape) {
        let store = code.global("STG", self.data.bytes());
        list(code, "IADD3 r6 = r6 c0; IADD3.X r7 = r7 c0", &[]);
        for row in 0..shape.rows {
            list(code, "ISETP.LT.AND p1 = r9; BRA p1", &[]);
            for n in 0..shape.each {
                list(code, "IADD3 r10 = r2; ISETP.GE.AND p1 = r10; BRA p1", &[]);
                let at = shape.register(row, n);
                divide(code, [at, RESULT, SUM + 2 + row], 1);
                narrow(code, self.data, 1, RESULT, RESULT);
                list(code, &format!("{store} r6 d"), &[("d", RESULT)]);
            }
        }
        list(code, "EXIT", &[]);
    }
}

impl KernelGenerator for Softmax {
    fn name(&self) -> &'static str {
        "softmax_kernel"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let patterns = Contiguous::new(&mut code);
        let (shape, threads) = (WarpShape::of(self.cols.min(WARP_COLS)), self.threads());
        let mut script = Script {
            code: &mut code,
            steps: Vec::new(),
        };
        let warp = self.form == SoftmaxForm::Warp;
        match self.form {
            SoftmaxForm::Warp => self.warp_steps(&mut script, &shape),
            SoftmaxForm::Block => self.block_steps(&mut script),
            SoftmaxForm::Shared => self.shared_steps(&mut script),
        }
        let steps = script.steps;
        let lane_rows = if warp { 32 / shape.lanes } else { 1 };
        let cta_rows = if warp {
            4 * lane_rows * u64::from(shape.rows)
        } else {
            1
        };
        let program = RowProgram {
            arrays: self.arrays,
            rows: self.rows,
            cols: self.cols,
            row_warps: if warp { 1 } else { threads as u32 / 32 },
            cta_warp_rows: if warp { 4 } else { 1 },
            warp_rows: if warp { shape.rows.into() } else { 1 },
            lane_rows,
            threads: if warp { 32 } else { threads },
            steps,
            patterns,
        };
        let name = match self.form {
            SoftmaxForm::Warp => format!(
                "softmax_warp_forward<{}>",
                self.cols.next_power_of_two().ilog2()
            ),
            SoftmaxForm::Block => format!("cunn_SoftMaxForward<{}>", self.vector()),
            SoftmaxForm::Shared => format!("cunn_SoftMaxForwardSmem<{}>", self.vector()),
        };
        let block = match self.form {
            SoftmaxForm::Warp => [shape.lanes as u32, 128 / shape.lanes as u32, 1],
            _ => [threads as u32, 1, 1],
        };
        Ok(Assembly {
            name: format!("{name} {}", self.data.name()),
            grid: line(self.rows.div_ceil(cta_rows)),
            block,
            registers: match self.form {
                SoftmaxForm::Warp => 24 + shape.each.max(8),
                _ if gpu.compute_capability < 80 || self.data.bytes() == 2 => 40,
                _ => 32,
            },
            smem_bytes: match self.form {
                SoftmaxForm::Warp => 0,
                SoftmaxForm::Block if self.serial == 1 => threads as u32 * 4,
                SoftmaxForm::Block => threads as u32 / 32 * 4,
                SoftmaxForm::Shared => 48 << 10,
            },
            code,
            generator: per_warp(threads as u32, program),
        })
    }
}
