//! Matrix products: MatMul, Gemm, Einsum and their relatives.

use super::{Arg, Call, Infer, Made, fault, volume};
use crate::model::check::{broadcast, show};
use crate::model::graph::{Dtype, Kind, Product, Shape};
use std::collections::BTreeMap;

pub fn infer(call: &Call<'_>) -> Infer<Option<Made>> {
    let made = match call.node.op {
        "MatMul" => {
            let dtype = call.same(&[0, 1])?;
            matmul(call.arg(0)?, call.arg(1)?, false, false, dtype)?
        }
        "Gemm" => {
            let dtype = call.same(&[0, 1, 2])?;
            gemm(call, 0, 1, dtype)?
        }
        "MatMulInteger" => matmul(call.arg(0)?, call.arg(1)?, false, false, Dtype::Int32)?,
        "Einsum" => einsum(call)?,
        "Det" => {
            let x = call.arg(0)?;
            let rank = x.shape.len().saturating_sub(2);
            Made::one(
                Kind::Unsupported("the kernel library has no determinants".into()),
                x.dtype,
                &x.shape[..rank],
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// A x B over the last two dimensions, the others broadcast. `result` is the type that comes out.
pub fn matmul(a: &Arg, b: &Arg, trans_a: bool, trans_b: bool, result: Dtype) -> Infer {
    let fits_not = || {
        fault(format!(
            "matrices {} and {} cannot be multiplied",
            show(&a.shape),
            show(&b.shape)
        ))
    };
    let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
    if left.is_empty() || right.is_empty() {
        return fits_not();
    }
    let (row, column) = (left.len() == 1, right.len() == 1);
    if row {
        left.insert(0, 1);
    }
    if column {
        right.push(1);
    }
    let swap = |shape: &mut Shape, swap: bool| {
        let rank = shape.len();
        if swap {
            shape.swap(rank - 1, rank - 2);
        }
        (shape[rank - 2], shape[rank - 1])
    };
    let (m, k) = swap(&mut left, trans_a && !row);
    let (depth, n) = swap(&mut right, trans_b && !column);
    let (left, right) = (&left[..left.len() - 2], &right[..right.len() - 2]);
    let Some(mut shape) = broadcast(left, right).filter(|_| k == depth) else {
        return fits_not();
    };
    // One matrix for all of a batch: the rows of the batch are rows of one product.
    let batch = volume(&shape)?;
    let shared = right.iter().all(|&n| n == 1) && !trans_a;
    let (rows, batch) = match shared {
        true => (volume(&[batch, m])?, 1),
        false => (m, batch),
    };
    if !row {
        shape.push(m);
    }
    if !column {
        shape.push(n);
    }
    let product = Product {
        op: "matmul",
        m: rows,
        n,
        k,
        batch,
        dtype: a.dtype,
    };
    Ok(Made::one(Kind::MatMul, result, shape).with(vec![product]))
}

/// A x B + C of two-dimensional matrices; `a` and `b` are the inputs' numbers.
pub fn gemm(call: &Call<'_>, a: usize, b: usize, result: Dtype) -> Infer {
    let (a, b) = (call.ranked(a, 2)?, call.ranked(b, 2)?);
    let trans = |name| call.int(name, 0) != 0;
    let mut made = matmul(a, b, trans("transA"), trans("transB"), result)?;
    for product in &mut made.products {
        product.op = "gemm";
    }
    Ok(made)
}

/// The letters of an operand of an equation, an ellipsis as many capital letters as it stands for.
fn letters(text: &str, rank: Option<usize>, most: &mut usize) -> Infer<Vec<char>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let named = text.chars().filter(|c| c.is_ascii_alphabetic()).count();
    let hidden = match rank {
        Some(rank) => rank.saturating_sub(named),
        None => *most,
    };
    *most = (*most).max(hidden);
    let ellipsis: String = (0..hidden.min(26))
        .rev()
        .map(|i| char::from(b'0' + i as u8))
        .collect();
    let found: Vec<char> = text.replace("...", &ellipsis).chars().collect();
    match rank.is_none_or(|rank| rank == found.len()) && !found.contains(&'.') {
        true => Ok(found),
        false => fault(format!(
            "{text} does not name every dimension of its operand"
        )),
    }
}

fn einsum(call: &Call<'_>) -> Infer {
    let Some(equation) = call.text("equation") else {
        return fault("attribute equation is missing");
    };
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation, None),
    };
    let operands: Vec<&str> = left.split(',').collect();
    if operands.len() != call.inputs.len() || operands.len() > 2 {
        return fault(format!(
            "equation {equation} with {} operands; one or two are read",
            call.inputs.len()
        ));
    }
    let mut most = 0;
    let mut sizes: BTreeMap<char, u64> = BTreeMap::new();
    let mut named: Vec<Vec<char>> = Vec::new();
    for (index, text) in operands.iter().enumerate() {
        let shape = &call.arg(index)?.shape;
        let found = letters(text, Some(shape.len()), &mut most)?;
        for (&letter, &n) in found.iter().zip(shape) {
            let known = sizes.entry(letter).or_insert(n);
            if *known == 1 {
                *known = n;
            } else if n != 1 && n != *known {
                return fault(format!("{letter} of {equation} is {known} and {n}"));
            }
        }
        named.push(found);
    }
    let result = match right {
        Some(text) => letters(text, None, &mut most)?,
        // Without a right side: every letter that occurs once, in the order of the alphabet.
        None => {
            let all: Vec<char> = named.iter().flatten().copied().collect();
            let once = |c: &&char| all.iter().filter(|other| other == c).count() == 1;
            sizes.keys().filter(once).copied().collect()
        }
    };
    let size = |letters: &[char]| letters.iter().map(|c| sizes.get(c).copied()).collect();
    let Some(shape): Option<Shape> = size(&result) else {
        return fault(format!(
            "{equation} has a letter on the right that is not on the left"
        ));
    };
    let dtype = call.arg(0)?.dtype;
    let [a, b] = &named[..] else {
        return Ok(Made::one(Kind::Reduce, dtype, shape));
    };
    let extent = |keep: &dyn Fn(&char) -> bool| {
        let kept: Vec<u64> = sizes
            .iter()
            .filter(|(c, _)| keep(c))
            .map(|(_, &n)| n)
            .collect();
        volume(&kept)
    };
    let product = Product {
        op: "matmul",
        m: extent(&|c| a.contains(c) && !b.contains(c) && result.contains(c))?,
        n: extent(&|c| b.contains(c) && !a.contains(c) && result.contains(c))?,
        k: extent(&|c| !result.contains(c))?,
        batch: extent(&|c| a.contains(c) && b.contains(c) && result.contains(c))?,
        dtype,
    };
    // An equation that sums nothing multiplies element by element.
    Ok(match sizes.keys().all(|c| result.contains(c)) {
        true => Made::one(Kind::Elementwise, dtype, shape),
        false => Made::one(Kind::MatMul, dtype, shape).with(vec![product]),
    })
}
