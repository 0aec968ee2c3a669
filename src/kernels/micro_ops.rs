//! Loops over one instruction (or two in turn), for latency and throughput of any execution unit.

use super::builder::{KernelBuilder, p, r, ur};
use super::compute::{Counter, Loop, assembly};
use super::fields::{Field, family};
use super::{Assembly, Fault, GRID_MAX, KernelGenerator};
use crate::config::GpuSpec;

/// How an instruction carries the chain.
#[derive(Clone, Copy)]
enum Form {
    /// Chain register and a constant register to chain register.
    Binary,
    /// Chain register to chain register.
    Unary,
    /// Three registers of which all have the parity of the chain register.
    OneBank,
    /// Three registers, one of the other parity.
    TwoBanks,
    /// Nothing to chain register; only the order of the two writes makes a chain.
    Source,
    /// Chain register to predicate.
    ToPredicate,
    /// Predicate to chain register.
    FromPredicate,
    /// Uniform chain register to itself.
    Uniform,
    /// Fragments to chain accumulator.
    Matrix,
}

/// An operation: instructions in turn, each on the result of the one before.
struct Op {
    name: &'static str,
    /// Instruction and how it carries the chain.
    steps: &'static [(&'static str, Form)],
}

const fn op(name: &'static str, steps: &'static [(&'static str, Form)]) -> Op {
    Op { name, steps }
}

use Form::{Binary, FromPredicate, Matrix, OneBank, Source, ToPredicate, TwoBanks, Unary, Uniform};

const TABLE: &[Op] = &[
    op("ffma", &[("FFMA", Binary)]),
    op("fadd", &[("FADD", Binary)]),
    op("fmul", &[("FMUL", Binary)]),
    op("fmnmx", &[("FMNMX", Binary)]),
    op("iadd3", &[("IADD3", Binary)]),
    op("lop3", &[("LOP3.LUT", Binary)]),
    op("shf", &[("SHF.L.U32", Binary)]),
    op("prmt", &[("PRMT", Binary)]),
    op("sel", &[("SEL", Binary)]),
    op("imnmx", &[("IMNMX", Binary)]),
    op("imad", &[("IMAD", Binary)]),
    op("imad_wide", &[("IMAD.WIDE", Binary)]),
    op("imad_hi", &[("IMAD.HI.U32", Binary)]),
    op("idp4a", &[("IDP.4A.S8.S8", Binary)]),
    op(
        "isetp_sel",
        &[("ISETP.NE.AND", ToPredicate), ("SEL", FromPredicate)],
    ),
    op("imad_lop3", &[("IMAD.IADD", Binary), ("LOP3.LUT", Binary)]),
    op("hfma2", &[("HFMA2", Binary)]),
    op("hfma2_pipes", &[("HFMA2", Binary), ("HFMA2.MMA", Binary)]),
    op("hadd2", &[("HADD2", Binary)]),
    op("dadd", &[("DADD", Binary)]),
    op("dmul", &[("DMUL", Binary)]),
    op("dfma", &[("DFMA", Binary)]),
    op("mufu", &[("MUFU.EX2", Unary)]),
    op("mufu_fmul", &[("FMUL", Binary), ("MUFU.SIN", Unary)]),
    op("i2f_f2i", &[("I2F", Unary), ("F2I", Unary)]),
    op("f2f", &[("F2F.F16.F32", Unary)]),
    op("popc", &[("POPC", Unary)]),
    op("flo", &[("FLO.U32", Unary)]),
    op("shfl", &[("SHFL.IDX", Binary)]),
    op("vote", &[("VOTE.ANY", Unary)]),
    op("s2r", &[("S2R", Source)]),
    op("cs2r", &[("CS2R.32", Source)]),
    op("uiadd3", &[("UIADD3", Uniform)]),
    op("ffma_one_bank", &[("FFMA", OneBank)]),
    op("ffma_two_banks", &[("FFMA", TwoBanks)]),
    op("hmma_884_f16", &[("HMMA.884.F16.F16.STEP0", Matrix)]),
    op("hmma_884_f32", &[("HMMA.884.F32.F32.STEP0", Matrix)]),
    op("hmma_1688_f16", &[("HMMA.1688.F16", Matrix)]),
    op("hmma_1688_f32", &[("HMMA.1688.F32", Matrix)]),
    op("hmma_16816_f16", &[("HMMA.16816.F16", Matrix)]),
    op("hmma_16816_f32", &[("HMMA.16816.F32", Matrix)]),
    op("hmma_16816_bf16", &[("HMMA.16816.F32.BF16", Matrix)]),
    op("hmma_1688_tf32", &[("HMMA.1688.F32.TF32", Matrix)]),
    op("hmma_1684_tf32", &[("HMMA.1684.F32.TF32", Matrix)]),
    op("imma_8816_s8", &[("IMMA.8816.S8.S8", Matrix)]),
    op("imma_16816_s8", &[("IMMA.16816.S8.S8", Matrix)]),
    op("imma_16832_s8", &[("IMMA.16832.S8.S8", Matrix)]),
    op("dmma_884", &[("DMMA.884", Matrix)]),
    op("qmma_16832_f8", &[("QMMA.16832.F32.E4M3.E4M3", Matrix)]),
];

const COUNT: usize = TABLE.len();

const NAMES: [&str; COUNT] = {
    let mut names = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        names[at] = TABLE[at].name;
        at += 1;
    }
    names
};

/// The same with `none` in front.
const SECOND: [&str; COUNT + 1] = {
    let mut names = ["none"; COUNT + 1];
    let mut at = 0;
    while at < COUNT {
        names[at + 1] = TABLE[at].name;
        at += 1;
    }
    names
};

/// An operation, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation(u8);

impl Operation {
    /// The names of all.
    pub const NAMES: &'static [&'static str] = &NAMES;

    /// The one called `name` (`ffma`, `mufu_fmul`, ...).
    pub fn named(name: &str) -> Option<Self> {
        let at = NAMES.iter().position(|known| *known == name)?;
        Some(Operation(at as u8))
    }

    fn op(self) -> &'static Op {
        &TABLE[usize::from(self.0)]
    }
}

impl Field for Operation {
    fn from_value(value: u64) -> Self {
        Operation(value as u8)
    }

    fn value(self) -> u64 {
        self.0.into()
    }
}

impl Field for Option<Operation> {
    fn from_value(value: u64) -> Self {
        value.checked_sub(1).map(Operation::from_value)
    }

    fn value(self) -> u64 {
        self.map_or(0, |operation| operation.value() + 1)
    }
}

family! {
    /// A loop of 128 operations, in dependent chains.
    pub struct Operations {
        /// CTAs
        pub grid: u64 = "grid" count(1, 1, GRID_MAX),
        /// threads of a CTA
        pub block: u32 = "block" count(32, 1, 1024),
        /// iterations of the loop
        pub iterations: u64 = "iters" count(4, 1, 1_000_000),
        /// independent chains of a thread
        pub chains: u64 = "chains" count(1, 1, 8),
        /// operation
        pub op: Operation = "op" name(Operation::NAMES),
        /// operation of every other instruction, in chains of its own
        pub with: Option<Operation> = "with" name(&SECOND),
    }
}

/// Operations of an iteration.
const UNROLL: u16 = 128;
/// Constant registers: of the other parity than the chains, and fragments.
const OTHER: u16 = 3;
const FRAGMENT_A: u16 = 4;
const FRAGMENT_B: u16 = 8;
/// First chain register.
const CHAINS: u16 = 16;

fn emit(code: &mut KernelBuilder, (text, form): (&str, Form), chain: u16) {
    let (reg, other) = (r(chain), r(OTHER));
    match form {
        Form::Binary => code.inst(text, &[reg], &[reg, other]),
        Form::Unary => code.inst(text, &[reg], &[reg]),
        Form::OneBank => code.inst(text, &[reg], &[reg, r(4), r(6)]),
        Form::TwoBanks => code.inst(text, &[reg], &[reg, r(5), r(6)]),
        Form::Source => code.inst(text, &[reg], &[]),
        Form::ToPredicate => code.inst(text, &[p(chain / 2 % 6 + 1)], &[reg, other]),
        Form::FromPredicate => code.inst(text, &[reg], &[other, p(chain / 2 % 6 + 1)]),
        Form::Uniform => code.inst(text, &[ur(chain / 2)], &[ur(chain / 2)]),
        Form::Matrix => code.inst(text, &[reg], &[r(FRAGMENT_A), r(FRAGMENT_B), reg]),
    };
}

impl KernelGenerator for Operations {
    fn name(&self) -> &'static str {
        "ops"
    }

    fn assemble(&self, gpu: &GpuSpec) -> Result<Assembly, Fault> {
        let chains = self.chains as u16;
        let first = self.op.op();
        let second = self.with.map(Operation::op);
        let matrix = |op: &Op| op.steps.iter().any(|(_, form)| matches!(form, Matrix));
        let wide = matrix(first) || second.is_some_and(matrix);
        let stride = if wide { 8 } else { 2 };
        let mut code = KernelBuilder::new(gpu.compute_capability);
        code.entry();
        let counter = Counter::of(&code);
        counter.set(&mut code);
        code.inst("MOV", &[r(2)], &[]);
        code.inst("MOV", &[r(OTHER)], &[]);
        let prologue = code.here();
        counter.advance(&mut code);
        for n in 0..UNROLL {
            let operation = second.filter(|_| n % 2 == 1).unwrap_or(first);
            let turn = if second.is_some() { n / 2 } else { n };
            let of_second = if second.is_some() && n % 2 == 1 {
                chains
            } else {
                0
            };
            let chain = CHAINS + stride * (turn % chains + of_second);
            let step = turn / chains;
            let steps = operation.steps;
            emit(&mut code, steps[usize::from(step) % steps.len()], chain);
            if n == 2 {
                counter.compare(&mut code);
            }
        }
        code.branch(prologue);
        let body = code.here();
        code.inst("EXIT", &[], &[]);
        let sets = if second.is_some() { 2 } else { 1 };
        let registers = (CHAINS + stride * chains * sets + 2).next_multiple_of(8);
        let generator = Loop::over(&code, (prologue, body), self.block, self.iterations);
        Ok(assembly(
            "ops",
            self.grid,
            code,
            registers.max(24),
            generator,
        ))
    }
}
