//! The same function of every element of contiguous tensors, as PyTorch launches it: CTAs of 128 threads, each with
//! some elements; vectors where addresses allow, single elements in the last CTA.

use super::chains::{TEMPORARIES, chain, narrow, widen};
use super::program::Contiguous;
use super::script::{Access, Block, list};
use crate::config::GpuSpec;
use crate::kernels::builder::{FULL, KernelBuilder, first_lanes};
use crate::kernels::fields::{Field, family};
use crate::kernels::operator::{DataType, Function};
use crate::kernels::{
    Arrays, Assembly, Fault, GRID_MAX, KernelGenerator, WarpGenerator, line, moves_arrays, per_warp,
};
use crate::trace::CtaEncoder;
use std::ops::Range;

/// Threads of a CTA.
pub const THREADS: u64 = 128;
/// The operand that is written; those that are read are the first.
pub const OUTPUT: usize = 3;

family! {
    /// A function of every element. Operands: the tensors read, then (number 3) the one written.
    pub struct Pointwise of arrays: Arrays {
        /// elements
        pub n: u64 = "n" count(1 << 24, 1, 1 << 33),
        /// function
        pub function: Function = "fn" name(Function::NAMES),
        /// numbers
        pub data: DataType = "type" name(DataType::NAMES),
        /// numbers of the result of a cast; other functions keep theirs
        pub output: DataType = "to" name(DataType::NAMES),
        /// elements of an access; 1: as for misaligned operands and casts
        pub vector: u64 = "vector" count(4, 1, 16),
        /// elements of a thread
        pub elements: u64 = "elements" count(4, 1, 16),
    }
}

/// Bytes of an element of each operand.
struct Widths {
    inputs: Vec<u64>,
    output: u64,
}

impl Pointwise {
    /// Numbers of the result.
    fn result(&self) -> DataType {
        match self.function {
            Function::Cast => self.output,
            _ => self.data,
        }
    }

    fn widths(&self) -> Widths {
        let mut inputs = vec![self.data.bytes(); chain(self.function).inputs as usize];
        if self.function == Function::Mask {
            inputs[1] = 1;
        }
        Widths {
            inputs,
            output: self.result().bytes(),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        for data in [self.data, self.result()] {
            if data.bytes() == 1 {
                return Err(Fault::field(
                    "type",
                    data.name(),
                    "no elementwise kernels for it",
                ));
            }
        }
        let widest = self.data.bytes().max(self.result().bytes());
        let vectors = self.vector.is_power_of_two() && self.vector * widest <= 16;
        if !vectors || !self.elements.is_multiple_of(self.vector) {
            let what =
                "vectors are 1, 2, 4 or 8 elements, 16 bytes at most, and a part of `elements`";
            return Err(Fault::field("vector", self.vector, what));
        }
        if self.n.div_ceil(THREADS * self.elements) > GRID_MAX {
            return Err(Fault::field("n", self.n, "too many CTAs"));
        }
        Ok(())
    }
}

/// Registers of a thread's elements.
struct Registers {
    /// As loaded, by operand.
    raw: Vec<u16>,
    /// In FP32, by operand.
    wide: Vec<u16>,
    result: u16,
    /// As stored.
    packed: u16,
    temporaries: u16,
    elements: u16,
    shared_temporaries: bool,
}

impl Registers {
    /// The first ones hold addresses and indices.
    const FIRST: u16 = 16;

    fn new(kernel: &Pointwise, widths: &Widths) -> Self {
        let elements = kernel.elements as u16;
        let mut next = Self::FIRST;
        let mut take = |count: u16| {
            let first = next;
            next += count.next_multiple_of(4);
            first
        };
        // Narrow elements that are loaded one by one have a register each.
        let raw: Vec<u16> = widths.inputs.iter().map(|_| take(elements)).collect();
        let wide = raw
            .iter()
            .zip(&widths.inputs)
            .map(|(&raw, &width)| match width {
                4 => raw,
                _ => take(elements),
            });
        let wide: Vec<u16> = wide.collect();
        let result = match chain(kernel.function).is_copy() {
            true => wide[0],
            false => take(elements),
        };
        let packed = match widths.output {
            4 => result,
            _ => take(elements),
        };
        Registers {
            raw,
            wide,
            result,
            packed,
            temporaries: next,
            elements,
            shared_temporaries: chain(kernel.function).branches(),
        }
    }

    /// The registers of element `e` for its chain.
    fn names(&self, e: u16) -> Vec<(&'static str, u16)> {
        let own = if self.shared_temporaries { 0 } else { e };
        let mut names = vec![("x", self.wide[0] + e), ("z", self.result + e), ("k", 15)];
        names.extend(self.wide.get(1).map(|&y| ("y", y + e)));
        names.extend([("p", own % 3), ("pp", 3 + own % 3)]);
        let first = self.temporaries + own * TEMPORARIES.len() as u16;
        names.extend(TEMPORARIES.iter().copied().zip(first..));
        names
    }
}

/// What a compiler needs for these chains; none needs so many that fewer CTAs fit.
fn registers(kernel: &Pointwise) -> u16 {
    let inputs = chain(kernel.function).inputs as u16;
    let data = kernel.elements as u16 * kernel.data.bytes() as u16 / 4;
    (14 + (inputs + 1) * data).clamp(18, 40).next_multiple_of(2)
}

struct PointwiseWarps {
    kernel: Pointwise,
    widths: Widths,
    prologue: Block,
    whole: Block,
    /// The same element by element: loads, arithmetic of each element, stores.
    loads: Block,
    arithmetic: Vec<Block>,
    stores: Block,
    patterns: Contiguous,
}

impl PointwiseWarps {
    fn place(&self, operand: usize, width: u64, element: u64, per_lane: u64, lanes: u64) -> Access {
        match first_lanes(lanes) {
            0 => Access::Off,
            mask => Access::Pattern {
                mask,
                base: self.kernel.arrays.at(operand) + element * width,
                pattern: self.patterns.lanes(width * per_lane, lanes),
            },
        }
    }

    /// A CTA whose elements are all there.
    fn vectors(&self, first: u64, warp: u64, out: &mut CtaEncoder) {
        let vector = self.kernel.vector;
        let chunks = (self.kernel.elements / vector) as usize;
        let inputs = self.widths.inputs.len();
        self.whole.emit(FULL, out, |n| {
            let (operand, width) = match n / chunks {
                operand if operand < inputs => (operand, self.widths.inputs[operand]),
                _ => (OUTPUT, self.widths.output),
            };
            let chunk = (n % chunks) as u64;
            let element = first + (chunk * THREADS + warp * 32) * vector;
            self.place(operand, width, element, vector, 32)
        });
    }

    fn singles(&self, first: u64, warp: u64, out: &mut CtaEncoder) {
        let of = |e: u64| first + e * THREADS + warp * 32;
        let lanes = |e: u64| self.kernel.n.saturating_sub(of(e)).min(32);
        let inputs = self.widths.inputs.len();
        self.loads.emit(FULL, out, |n| {
            let (e, operand) = ((n / inputs) as u64, n % inputs);
            self.place(operand, self.widths.inputs[operand], of(e), 1, lanes(e))
        });
        for (e, block) in (0..).zip(&self.arithmetic) {
            block.emit_plain(first_lanes(lanes(e)), out);
        }
        self.stores.emit(FULL, out, |n| {
            let e = n as u64;
            self.place(OUTPUT, self.widths.output, of(e), 1, lanes(e))
        });
    }
}

impl WarpGenerator for PointwiseWarps {
    fn warp(&self, cta: u64, warp: u32, _iterations: Range<u64>, out: &mut CtaEncoder) {
        let of_cta = THREADS * self.kernel.elements;
        let first = cta * of_cta;
        self.prologue.emit_plain(FULL, out);
        if self.kernel.vector > 1 && first + of_cta <= self.kernel.n {
            self.vectors(first, warp.into(), out);
        } else {
            self.singles(first, warp.into(), out);
        }
    }
}

/// Registers: r2, r4, r6, r8 addresses of the operands, the output's last; r10 thread, r11 first element, r12 how many
/// there are.
fn append_prologue(code: &mut KernelBuilder, inputs: u16, vectors: bool) -> Block {
    let start = code.entry();
    list(
        code,
        "S2R r11; MOV r13; S2R r10; SHF r11 = r11; IADD3 r12 = r11 c0",
        &[],
    );
    for operand in 0..=inputs {
        let text = format!("IMAD.WIDE.U32 a = r11 r13 c{}", 1 + operand);
        list(code, &text, &[("a", 2 + 2 * operand)]);
    }
    if vectors {
        list(code, "ISETP.GE.AND p0 = r12; BRA p0", &[]);
    }
    Block::from(code, start)
}

/// Conversion to FP32, function, conversion back, of some elements.
fn append_arithmetic(
    code: &mut KernelBuilder,
    kernel: &Pointwise,
    registers: &Registers,
    elements: Range<u16>,
) {
    let count = elements.end - elements.start;
    for (&raw, &wide) in registers.raw.iter().zip(&registers.wide) {
        if raw != wide {
            widen(
                code,
                kernel.data,
                count,
                raw + elements.start,
                wide + elements.start,
            );
        }
    }
    if kernel.function == Function::Mask {
        for e in elements.clone() {
            let mask = [
                ("m", registers.raw[1] + elements.start),
                ("y", registers.wide[1] + e),
            ];
            list(code, "PRMT y = m", &mask);
        }
    }
    let names: Vec<_> = elements.clone().map(|e| registers.names(e)).collect();
    chain(kernel.function).append(code, &names);
    let [result, packed] = [registers.result, registers.packed].map(|first| first + elements.start);
    narrow(code, kernel.result(), count, result, packed);
}

fn append_vectors(code: &mut KernelBuilder, kernel: &Pointwise, registers: &Registers) -> Block {
    let start = code.here();
    let widths = kernel.widths();
    let chunks = (kernel.elements / kernel.vector) as u16;
    for (operand, &width) in widths.inputs.iter().enumerate() {
        let address = 2 + 2 * operand as u16;
        list(code, "IMAD.WIDE a = r10 a", &[("a", address)]);
        let bytes = kernel.vector * width;
        let load = code.global("LDG", bytes);
        for chunk in 0..chunks {
            let data = registers.raw[operand] + chunk * (bytes.div_ceil(4) as u16);
            list(
                code,
                &format!("{load} d = a"),
                &[("a", address), ("d", data)],
            );
        }
    }
    let address = 2 + 2 * widths.inputs.len() as u16;
    list(code, "IMAD.WIDE a = r10 a", &[("a", address)]);
    append_arithmetic(code, kernel, registers, 0..registers.elements);
    let bytes = kernel.vector * widths.output;
    let store = code.global("STG", bytes);
    for chunk in 0..chunks {
        let data = registers.packed + chunk * (bytes.div_ceil(4) as u16);
        list(
            code,
            &format!("{store} a d"),
            &[("a", address), ("d", data)],
        );
    }
    list(code, "EXIT", &[]);
    Block::from(code, start)
}

/// What a cast does for an element beside converting it: a jump by the type that it has in memory.
const TYPE_SWITCH: &str = "ISETP.GT.AND p6 = r14; LDC r14 = r14; BRX r14; SKIP case case";

fn append_singles(
    code: &mut KernelBuilder,
    kernel: &Pointwise,
    registers: &Registers,
) -> (Block, Vec<Block>, Block) {
    let start = code.here();
    let widths = kernel.widths();
    let cast = kernel.function == Function::Cast;
    for operand in 0..=widths.inputs.len() as u16 {
        list(code, "IMAD.WIDE a = r10 a", &[("a", 2 + 2 * operand)]);
    }
    for e in 0..registers.elements {
        list(code, "IADD3 r15 = r10; ISETP.GE.AND p0 = r15 r12", &[]);
        for (operand, &width) in widths.inputs.iter().enumerate() {
            let data = registers.raw[operand] + e;
            let names = [("a", 2 + 2 * operand as u16), ("d", data)];
            list(code, "MOV d", &names);
            if cast {
                list(code, TYPE_SWITCH, &[]);
            }
            let load = code.global("LDG", width);
            list(code, &format!("{load} d = a p0"), &names);
        }
    }
    let loads = Block::from(code, start);
    let arithmetic = (0..registers.elements).map(|e| {
        let start = code.here();
        append_arithmetic(code, kernel, registers, e..e + 1);
        Block::from(code, start)
    });
    let arithmetic = arithmetic.collect();
    let start = code.here();
    let address = 2 + 2 * widths.inputs.len() as u16;
    let store = code.global("STG", widths.output);
    for e in 0..registers.elements {
        if cast {
            list(code, TYPE_SWITCH, &[]);
        }
        let data = registers.packed + e;
        let names = [("a", address), ("d", data)];
        list(
            code,
            &format!("ISETP.GE.AND p0 = r10 r12; {store} a d p0"),
            &names,
        );
    }
    list(code, "EXIT", &[]);
    (loads, arithmetic, Block::from(code, start))
}

impl KernelGenerator for Pointwise {
    moves_arrays!();

    fn name(&self) -> &'static str {
        "pointwise"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        self.check()?;
        let widths = self.widths();
        let mut code = KernelBuilder::new(gpu.compute_capability);
        let used = Registers::new(self, &widths);
        let prologue = append_prologue(&mut code, widths.inputs.len() as u16, self.vector > 1);
        let whole = append_vectors(&mut code, self, &used);
        let (loads, arithmetic, stores) = append_singles(&mut code, self, &used);
        let patterns = Contiguous::new(&mut code);
        let form = match self.vector {
            1 => "unrolled_elementwise_kernel".to_owned(),
            vector => format!("vectorized_elementwise_kernel<{vector}>"),
        };
        let function = Function::NAMES[self.function.value() as usize];
        let generator = PointwiseWarps {
            kernel: self.clone(),
            widths,
            prologue,
            whole,
            loads,
            arithmetic,
            stores,
            patterns,
        };
        Ok(Assembly {
            name: format!("{form} {function} {}", self.data.name()),
            grid: line(self.n.div_ceil(THREADS * self.elements)),
            block: [THREADS as u32, 1, 1],
            registers: registers(self),
            smem_bytes: 0,
            code,
            generator: per_warp(THREADS as u32, generator),
        })
    }
}
