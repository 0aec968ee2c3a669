//! Gradients of functions of each element.

use super::super::Place;
use super::super::context::Lie;
use super::rules::Back;
use super::tape::Tape;
use crate::kernels::operands::Operands as Windows;
use crate::kernels::operator::{ElementwiseOp, Function, Operands, Operator, RowFunction, RowsOp};

/// What a function leaves to do on the way back.
enum Rule {
    /// The gradient as it is.
    Same,
    /// The gradient by the same function.
    Scaled,
    /// The gradient times something of as many elements.
    Times(Place),
    /// The same with a costly derivative.
    Derived(Place),
}

/// The gradients of what `op` read.
pub fn of(tape: &mut Tape<'_>, op: &ElementwiseOp, back: &Back<'_>) {
    let windows = Windows::of(&Operator::Elementwise(op.clone()), 1);
    let count = windows.reads.len().min(back.reads.len());
    let (own, small) = back.reads.split_at(count);
    first(tape, op, back, own);
    if let Some(&second) = own.get(1) {
        other(tape, op, back, [own[0], second]);
    }
    // What a fused kernel reads besides is smaller than the result, or the next part of it.
    let mut from = back.gradient();
    for &more in small {
        let size = tape.room(more, op.data).min(op.n);
        match op.function {
            Function::Copy => {
                tape.pass(more, size, from);
                from.offset += size * op.data.bytes();
            }
            _ => sum(tape, more, size, op.n, back.gradient()),
        }
    }
}

fn first(tape: &mut Tape<'_>, op: &ElementwiseOp, back: &Back<'_>, own: &[Place]) {
    let (x, gradient) = (own[0], back.gradient());
    let second = own.get(1).copied().unwrap_or(x);
    let lie = Lie {
        operands: op.operands,
        cols: op.cols,
        rows: op.rows,
        heads: op.heads,
    };
    let rule = match op.function {
        Function::Copy if matches!(op.operands, Operands::Heads | Operands::Transposed) => {
            return moved(tape, op, x, gradient);
        }
        Function::Cast => return converted(tape, op, x, gradient),
        Function::Copy | Function::Add | Function::Sub | Function::AddScalar => Rule::Same,
        Function::Scale | Function::DivScalar => Rule::Scaled,
        Function::Mul | Function::Div | Function::Mask => Rule::Times(second),
        Function::Relu | Function::Rsqrt | Function::Exp | Function::Sigmoid | Function::Tanh => {
            Rule::Times(back.result)
        }
        Function::Square | Function::Pow | Function::PowTensor => Rule::Times(x),
        Function::Gelu
        | Function::GeluTanh
        | Function::Silu
        | Function::SiluMul
        | Function::Erf => Rule::Derived(x),
    };
    let binary = own.len() > 1;
    match rule {
        Rule::Same => tape.pass(x, op.n, gradient),
        Rule::Scaled => tape.give(x, op.n, |tape, to| {
            tape.each_of(op.function, op.data, op.n, Lie::SAME, &[gradient], to);
        }),
        Rule::Times(by) => tape.give(x, op.n, |tape, to| {
            let lie = if binary { lie } else { Lie::SAME };
            tape.each_of(Function::Mul, op.data, op.n, lie, &[gradient, by], to);
        }),
        Rule::Derived(by) => tape.give(x, op.n, |tape, to| {
            tape.each_of(
                Function::SiluMul,
                op.data,
                op.n,
                Lie::SAME,
                &[gradient, by],
                to,
            );
        }),
    }
}

/// The second operand: as large as the first, or shared by rows or columns.
fn other(tape: &mut Tape<'_>, op: &ElementwiseOp, back: &Back<'_>, [x, second]: [Place; 2]) {
    let gradient = back.gradient();
    let size = match op.operands {
        Operands::Row => op.cols,
        Operands::Column => op.n / op.cols.max(1),
        _ => op.n,
    };
    let adds = matches!(op.function, Function::Add | Function::Sub);
    match (adds, size < op.n) {
        (true, false) => tape.pass(second, op.n, gradient),
        (true, true) => sum(tape, second, size, op.n, gradient),
        (false, false) => tape.give(second, op.n, |tape, to| {
            tape.each_of(Function::Mul, op.data, op.n, Lie::SAME, &[gradient, x], to);
        }),
        (false, true) if tape.needs(second) => {
            let products = tape.temporary(op.n);
            tape.each_of(
                Function::Mul,
                op.data,
                op.n,
                Lie::SAME,
                &[gradient, x],
                products,
            );
            sum(tape, second, size, op.n, products);
        }
        (false, true) => {}
    }
}

/// Elements that went to other places go back; those that went to several are added.
fn moved(tape: &mut Tape<'_>, op: &ElementwiseOp, x: Place, gradient: Place) {
    let size = tape.room(x, op.data).min(op.n);
    if size < op.n {
        return sum(tape, x, size, op.n, gradient);
    }
    let lie = match op.operands {
        Operands::Heads if op.rows <= 4096 => Lie {
            operands: op.operands,
            cols: op.cols,
            rows: op.heads,
            heads: op.rows,
        },
        Operands::Transposed => Lie {
            operands: op.operands,
            cols: op.rows,
            rows: op.cols,
            heads: 1,
        },
        _ => Lie::SAME,
    };
    tape.give(x, op.n, |tape, to| {
        tape.each_of(Function::Copy, op.data, op.n, lie, &[gradient], to);
    });
}

/// A conversion back.
fn converted(tape: &mut Tape<'_>, op: &ElementwiseOp, x: Place, gradient: Place) {
    tape.give(x, op.n, |tape, to| {
        let back = ElementwiseOp {
            data: op.output,
            output: op.data,
            ..op.clone()
        };
        tape.call(back, vec![gradient], to);
    });
}

/// The gradient of the `size` numbers at `x` that were used for all of `n`: sums of what lies at `from`.
pub fn sum(tape: &mut Tape<'_>, x: Place, size: u64, n: u64, from: Place) {
    if size == 0 || n < size {
        return;
    }
    if n / size == 1 {
        return tape.pass(x, size, from);
    }
    let op = sums(tape, size, n);
    tape.give(x, size, |tape, to| tape.call(op, vec![from], to));
}

/// `size` sums of all of `n` numbers.
pub fn sums(tape: &Tape<'_>, size: u64, n: u64) -> RowsOp {
    RowsOp {
        rows: size,
        cols: n / size,
        data: tape.data(),
        style: tape.style(),
        ..RowsOp::usual(RowFunction::Sum)
    }
}
