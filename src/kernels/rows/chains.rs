//! Arithmetic as compilers emit it: what exp, a division or tanh costs in instructions.
//!
//! Recipes are texts of [`script`](super::script) over FP32 registers: `x` and `y` go in, `z` comes out, `t` to `w` and
//! the predicates `p`, `pp` are for their own use, `k` holds constants. Divisions and reciprocals check their operands
//! and branch round a routine for numbers near the ends of the range, which the usual numbers never enter: the check and
//! the branch are here, the routine is not.

use super::script::{Names, list, list_each};
use crate::kernels::builder::KernelBuilder;
use crate::kernels::operator::{DataType, Function};

/// exp(x) = 2^n 2^f, with n and f by rounding against a large constant; `t` gets 2^n and `v` 2^f.
const EXP_PARTS: &str = "
    FFMA.SAT t = x k
    FFMA.RM t = t k
    FADD v = t
    FFMA v = x v
    FFMA v = x v
    IMAD.SHL t = t
    MUFU.EX2 v = v";

/// z = x / y with the last bit right.
pub const DIVIDE: &str = "
    BSSY
    MUFU.RCP t = y
    FCHK p = x y
    FFMA u = y t
    FFMA t = t u t
    FFMA u = x t
    FFMA v = y u x
    FFMA z = t v u
    BRA p
    SKIP mov mov call mov
    BSYNC";

/// z = 1 / y with the last bit right.
pub const RECIPROCAL: &str = "
    IADD3 t = y
    BSSY
    LOP3.LUT t = t
    ISETP.GT.U32.AND p = t
    BRA p
    SKIP mov mov call bra
    MUFU.RCP t = y
    FFMA u = y t
    FADD.FTZ u = u
    FFMA z = t u t
    BSYNC";

/// z = 1 / sqrt(x), scaled when x is denormal.
pub const RSQRT: &str = "
    FSETP.GEU.AND p = x
    FMUL z = x p
    MUFU.RSQ z = z
    FMUL z = z p";

const TANH: &str = "
    FMUL t = x
    FSETP.GE.AND p = x
    MUFU.EX2 t = t
    FSETP.GE.AND pp = x
    FMUL v = x x
    FADD t = t
    FFMA w = v k
    MUFU.RCP t = t
    FFMA w = v w
    FFMA w = v w
    FFMA w = v w
    FFMA t = t k
    FSEL t = t pp
    LOP3.LUT t = t x
    FFMA z = x w x p t";

/// min(max(x, c3), c4), or x where it is no number.
const CLAMP: &str = "
    FSETP.GTU.AND p = x
    FMNMX t = x c3
    FMNMX u = t c4
    FSEL t = t u
    FSEL z = x t p";

/// A polynomial of one of two intervals.
const ERF: &str = "
    FSETP.GE.AND p = x
    FMUL u = x x
    FSEL u = x u p
    FSEL t = k p
    FSEL v = k p
    FFMA t = u t v
    FSEL v = k p
    FFMA t = u t v
    FSEL v = k p
    FFMA t = u t v
    FSEL v = k p
    FFMA t = u t v
    FSEL v = k p
    FFMA t = u t v
    FSEL v = k p
    FFMA t = u t v
    FSEL v = x p
    FFMA t = t v v
    MUFU.EX2 v = t p
    FADD v = v p
    LOP3.LUT z = v x t p";

/// x to the power y: log2 with a correction, a product in two parts, exp2; then the tests for special operands, up to
/// that of a negative base.
const POW: &str = "
    BSSY
    FMUL t = x
    FSETP.GEU.AND p = x
    FSEL t = t x p
    IADD3 u = t
    LOP3.LUT u = u
    IADD3 t = t u
    I2F u = u
    FADD v = t
    FADD w = t
    FSEL t = p
    MUFU.RCP v = v
    FADD s = w w
    FFMA t = u t
    FMUL u = v s
    FADD s = w u
    FADD s = s s
    FFMA s = w u s
    FMUL v = v s
    FMUL w = u u
    FFMA s = u t
    FADD t = t s
    FFMA t = u t
    FFMA t = v t
    FFMA t = u t
    FFMA z = w k
    FFMA z = w z
    FFMA z = w z
    FMUL w = w z
    FMUL z = w
    FFMA t = v z t
    FFMA t = u w t
    FADD u = s t
    FMUL v = y u
    FADD s = s u
    FRND w = v
    FFMA u = y u v
    FADD t = t s
    FFMA t = y t u
    FADD u = v w
    FSETP.GT.AND p = v
    FADD t = t u
    FSETP.GEU.AND pp = v
    F2I.NTZ u = v
    FSETP.GT.AND p = w
    SEL s = p
    IADD3 w = s
    LEA u = u s
    FFMA z = t k
    FFMA z = t z
    FFMA z = t z
    FFMA z = t z
    FFMA z = t z
    FFMA z = t z
    FMUL z = z w
    FMUL z = z u
    FSEL z = z pp p
    FSETP.NEU.AND p = y
    FSETP.EQ.OR p = x p
    MOV t = k
    BRA p
    FSETP.GTU.AND p = y
    FSETP.GTU.OR p = x p
    BRA p
    FMUL u = y
    FSETP.NEU.AND p = x
    FSETP.EQ.OR p = x p
    FRND.TRUNC u = u
    FSETP.GEU.OR pp = y p
    FADD t = x x p
    FADD u = u u
    LOP3.LUT t = t pp
    FADD u = y u
    FSETP.NEU.AND pp = u p
    LOP3.LUT t = t pp
    BRA p
    FSETP.NEU.AND p = y
    MOV t = k
    FSETP.EQ.AND pp = x
    BRA p
    FSETP.GEU.AND p = x
    MOV z = z
    BRA p
    SKIP frnd fsetp fsel fsetp fsel bra fadd
    BSYNC";

/// Some instructions of a chain, with other names for their registers than the recipe has.
#[derive(Clone, Copy)]
struct Part(&'static str, &'static [(&'static str, &'static str)]);

/// A function as instructions over FP32.
pub struct Chain {
    parts: Vec<Part>,
    /// Tensors read.
    pub inputs: u64,
}

/// Temporaries of a chain.
pub const TEMPORARIES: [&str; 5] = ["t", "u", "v", "w", "s"];

/// The instructions of `function` of one element; the scalar that it may have is parameter 3.
pub fn chain(function: Function) -> Chain {
    let one = |text| vec![Part(text, &[])];
    let exp = Part(EXP_PARTS, &[]);
    let (inputs, parts) = match function {
        Function::Add | Function::Sub => (2, one("FFMA z = y x c3")),
        Function::Mul => (2, one("FMUL z = x y")),
        Function::Div => (2, one(DIVIDE)),
        Function::PowTensor => (2, one(POW)),
        Function::Scale | Function::DivScalar => (1, one("FMUL z = x c3")),
        Function::AddScalar => (1, one("FFMA z = x c3")),
        Function::Square => (1, one("FMUL z = x x")),
        Function::Relu => (1, one(CLAMP)),
        Function::Gelu => {
            let end = Part("FMUL t = x; FADD z = z; FMUL z = z t", &[]);
            let erf = Part(ERF, &[("x", "s")]);
            (1, vec![Part("FMUL s = x", &[]), erf, end])
        }
        Function::GeluTanh => {
            let cube = "FMUL t = x; FMUL t = x t; FFMA t = x t x; FMUL s = t";
            let end = Part("FMUL u = x; FADD z = z; FMUL z = z u", &[]);
            (1, vec![Part(cube, &[]), Part(TANH, &[("x", "s")]), end])
        }
        Function::Silu => (1, vec![exp, ONE_PLUS, Part(DIVIDE, &[("y", "s")])]),
        Function::SiluMul => {
            let divide = Part(DIVIDE, &[("y", "s")]);
            (2, vec![exp, ONE_PLUS, divide, Part("FMUL z = z y", &[])])
        }
        Function::Tanh => (1, one(TANH)),
        Function::Sigmoid => (1, vec![exp, ONE_PLUS, Part(RECIPROCAL, &[("y", "s")])]),
        Function::Exp => (1, vec![exp, Part("FMUL z = t v", &[])]),
        Function::Pow => (1, vec![Part(POW, &[("y", "c3")])]),
        Function::Rsqrt => (1, one(RSQRT)),
        Function::Erf => (1, one(ERF)),
        Function::Copy | Function::Cast => (1, Vec::new()),
        // The mask is a tensor of bytes.
        Function::Mask => (2, one("ISETP.NE.AND p = y; FSEL z = x p c3")),
    };
    Chain { parts, inputs }
}

/// s = 1 + exp(-x), of the parts of exp.
const ONE_PLUS: Part = Part("FFMA s = t v", &[]);

impl Chain {
    /// Appends the function of elements that do not depend on each other, each with its registers: one behind the other
    /// where it branches, else line by line for all, as compilers interleave such chains.
    pub fn append(&self, code: &mut KernelBuilder, elements: &[Vec<(&str, u16)>]) {
        if self.branches() {
            for element in elements {
                self.append_parts(code, std::slice::from_ref(element));
            }
        } else {
            self.append_parts(code, elements);
        }
    }

    fn append_parts(&self, code: &mut KernelBuilder, elements: &[Vec<(&str, u16)>]) {
        for Part(text, renamed) in &self.parts {
            list_each(code, text, elements, renamed);
        }
    }

    /// Whether an element is done before the next one begins, so that both can have the same temporaries.
    pub fn branches(&self) -> bool {
        self.parts.iter().any(|Part(text, _)| text.contains("BRA"))
    }

    /// Whether no instruction is needed.
    pub fn is_copy(&self) -> bool {
        self.parts.is_empty()
    }
}

/// Appends z = exp(x).
pub fn exponential(code: &mut KernelBuilder, names: &[Vec<(&str, u16)>]) {
    list_each(code, EXP_PARTS, names, &[]);
    list_each(code, "FMUL z = t v", names, &[]);
}

/// Appends z = z + exp(x).
pub fn add_exponential(code: &mut KernelBuilder, names: &[Vec<(&str, u16)>]) {
    list_each(code, EXP_PARTS, names, &[]);
    for names in names {
        list(code, "FFMA z = t v z", names);
    }
}

/// Appends the conversion of `count` elements from `data` in registers from `from` to FP32 in registers from `to`.
/// FP32 stays where it is, and nothing is appended.
pub fn widen(code: &mut KernelBuilder, data: DataType, count: u16, from: u16, to: u16) {
    for element in 0..count {
        let names: Names<'_> = &[("x", from + element / 2), ("z", to + element)];
        match data {
            DataType::F16 => list(code, "HADD2.F32 z = x", names),
            DataType::Bf16 if element % 2 == 0 => list(code, "IMAD.U32 z = x", names),
            DataType::Bf16 => list(code, "LOP3.LUT z = x", names),
            _ => continue,
        };
    }
}

/// Appends the conversion of `count` elements of FP32 in registers from `from` to `data` in registers from `to`. Two
/// halves share a register; before Ampere each is converted alone.
pub fn narrow(code: &mut KernelBuilder, data: DataType, count: u16, from: u16, to: u16) {
    let pack = match (data, code.sm_version()) {
        (DataType::F16, 90..) => "F2FP.F16.F32.PACK_AB",
        (DataType::F16, 80..) => "F2FP.PACK_AB",
        (DataType::F16, _) => "F2F.F16.F32",
        (DataType::Bf16, 90..) => "F2FP.BF16.F32.PACK_AB",
        (DataType::Bf16, _) => "F2FP.BF16.PACK_AB",
        _ => return,
    };
    if pack.starts_with("F2FP") {
        for pair in 0..count.div_ceil(2) {
            let [x, y] = [0, 1].map(|half| from + (2 * pair + half).min(count - 1));
            let names: Names<'_> = &[("x", x), ("y", y), ("z", to + pair)];
            list(code, &format!("{pack} z = y x"), names);
        }
        return;
    }
    for element in 0..count {
        let alone = if count == 1 { to } else { from + element };
        list(
            code,
            "F2F.F16.F32 z = x",
            &[("x", from + element), ("z", alone)],
        );
    }
    for pair in 0..count / 2 {
        let (x, y) = (from + 2 * pair, from + 2 * pair + 1);
        list(
            code,
            "PRMT z = x y",
            &[("x", x), ("y", y), ("z", to + pair)],
        );
    }
}
