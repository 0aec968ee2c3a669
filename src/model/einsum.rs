//! Einstein's summation: an equation as the matrix products that a framework makes of it.

use super::check::elements;
use super::graph::{Dtype, Kind, Product, Shape};
use std::collections::BTreeMap;

/// Most operands of an equation.
const OPERANDS_MAX: usize = 16;

/// Most letters of an equation in a message.
const SHOWN_MAX: usize = 100;

fn fault<T>(what: String) -> Result<T, String> {
    Err(what)
}

/// An equation as messages show it.
fn short(equation: &str) -> String {
    equation.chars().take(SHOWN_MAX).collect()
}

/// The letters of an operand of an equation, an ellipsis as many capital letters as it stands for.
fn letters(text: &str, rank: Option<usize>, most: &mut usize) -> Result<Vec<char>, String> {
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
            "{} does not name every dimension of its operand",
            short(&text)
        )),
    }
}

/// Shape of the result of `equation` on operands of `shapes`, and the products that it takes.
///
/// # Errors
/// An equation that does not fit to them.
pub fn read(
    equation: &str,
    shapes: &[&[u64]],
    dtype: Dtype,
) -> Result<(Shape, Vec<Product>), String> {
    let shown = short(equation);
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation, None),
    };
    let operands: Vec<&str> = left.split(',').collect();
    if operands.len() != shapes.len() || shapes.len() > OPERANDS_MAX {
        return fault(format!(
            "equation {shown} with {} operands, of which up to {OPERANDS_MAX} are read",
            shapes.len()
        ));
    }
    let mut most = 0;
    let mut sizes: BTreeMap<char, u64> = BTreeMap::new();
    let mut named: Vec<Vec<char>> = Vec::new();
    for (text, &shape) in operands.iter().zip(shapes) {
        let found = letters(text, Some(shape.len()), &mut most)?;
        for (&letter, &n) in found.iter().zip(shape) {
            let known = sizes.entry(letter).or_insert(n);
            if *known == 1 {
                *known = n;
            } else if n != 1 && n != *known {
                return fault(format!("{letter} of {shown} is {known} and {n}"));
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
            "{shown} has a letter on the right that is not on the left"
        ));
    };
    let products = contractions(&named, &result, &sizes, dtype)?;
    Ok((shape, products))
}

/// What an equation on operands of `shapes` with these products does.
pub fn kind(shapes: &[&[u64]], products: &[Product]) -> Kind {
    match shapes.len() {
        1 => Kind::Reduce,
        // An equation that sums nothing multiplies element by element.
        _ if products.is_empty() => Kind::Elementwise,
        _ => Kind::MatMul,
    }
}

/// The products of operands with these letters, from the left to the right. A letter is summed over as soon as no operand
/// that follows has it, and not the `result`; over one that a single operand has, before it is multiplied.
fn contractions(
    named: &[Vec<char>],
    result: &[char],
    sizes: &BTreeMap<char, u64>,
    dtype: Dtype,
) -> Result<Vec<Product>, String> {
    let mut products = Vec::new();
    let mut left = named[0].clone();
    for (index, right) in named.iter().enumerate().skip(1) {
        let later = &named[index + 1..];
        let kept = |c: &char| result.contains(c) || later.iter().any(|more| more.contains(c));
        let extent = |keep: &dyn Fn(&char) -> bool| {
            let here = sizes
                .iter()
                .filter(|(c, _)| left.contains(c) || right.contains(c));
            let kept: Vec<u64> = here.filter(|(c, _)| keep(c)).map(|(_, &n)| n).collect();
            elements(&kept)
        };
        let product = Product {
            op: "matmul",
            m: extent(&|c| !right.contains(c) && kept(c))?,
            n: extent(&|c| !left.contains(c) && kept(c))?,
            k: extent(&|c| left.contains(c) && right.contains(c) && !kept(c))?,
            batch: extent(&|c| left.contains(c) && right.contains(c) && kept(c))?,
            dtype,
        };
        let all = left.iter().chain(right);
        let mut together: Vec<char> = all.copied().filter(&kept).collect();
        together.sort_unstable();
        together.dedup();
        if left.iter().any(|c| right.contains(c) && !kept(c)) {
            products.push(product);
        }
        left = together;
    }
    Ok(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(equation: &str, shapes: &[&[u64]]) -> (Shape, Vec<[u64; 4]>) {
        let (shape, products) = read(equation, shapes, Dtype::Float32).unwrap();
        let products = products.iter().map(|p| [p.batch, p.m, p.n, p.k]);
        (shape, products.collect())
    }

    #[test]
    fn operands_are_contracted_from_the_left() {
        let shapes: [&[u64]; 3] = [&[2, 4, 5], &[2, 5, 6], &[2, 6, 7]];
        let found = of("bij,bjk,bkl->bil", &shapes);
        assert_eq!(found, (vec![2, 4, 7], vec![[2, 4, 6, 5], [2, 4, 7, 6]]));
        // A letter that a later operand has is kept until then, and what sums nothing is no product.
        let found = of("bi,oij,bj->bo", &[&[3, 8], &[10, 8, 9], &[3, 9]]);
        assert_eq!(found, (vec![3, 10], vec![[1, 3, 90, 8], [3, 10, 1, 9]]));
        assert_eq!(of("i,j->ij", &[&[3], &[4]]), (vec![3, 4], vec![]));
    }

    #[test]
    fn an_equation_that_does_not_fit_is_refused() {
        let wrong: [(&str, &[&[u64]]); 4] = [
            ("ij,jk->ik", &[&[2, 3]]),
            ("ij,jk->ik", &[&[2, 3], &[4, 5]]),
            ("ij->ijk", &[&[2, 3]]),
            ("i->i", &[&[2, 3]]),
        ];
        for (equation, shapes) in wrong {
            assert!(
                read(equation, shapes, Dtype::Float32).is_err(),
                "{equation}"
            );
        }
    }
}
