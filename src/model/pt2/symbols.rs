//! Extents that an export leaves open: symbols, and sums and products of them.

use super::schema::{Module, Size};
use super::srepr;
use crate::error::{Error, Result};
use crate::model::check::show;
use crate::model::options::Bindings;
use std::collections::BTreeMap;

/// Numbers for symbols.
#[derive(Debug)]
pub struct Symbols<'a> {
    values: BTreeMap<&'a str, u64>,
}

/// Whether `text` is one symbol.
fn is_symbol(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(char::is_alphabetic)
        && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// The symbol that `text` is, as older exports write it or newer ones.
fn named(text: &str) -> Option<&str> {
    srepr::symbol(text).or(is_symbol(text).then_some(text))
}

/// Takes the symbols that an extent such as `8*s0` is computed from, as far as the user names them; `open` gets the others.
fn compound<'a>(
    text: &'a str,
    bindings: &Bindings,
    values: &mut BTreeMap<&'a str, u64>,
    names: &mut Vec<String>,
    mut open: impl FnMut(&'a str),
) {
    for symbol in srepr::symbols(text) {
        names.push(symbol.to_owned());
        match bindings.dim(symbol, false) {
            Some(n) => {
                values.entry(symbol).or_insert(n);
            }
            None => open(symbol),
        }
    }
}

/// Asks for the symbols in `open`, each with the input that has it.
fn ask(file: &str, open: &BTreeMap<&str, &str>) -> Error {
    let list: Vec<String> = open
        .iter()
        .map(|(symbol, input)| format!("{symbol} of input {input}"))
        .collect();
    let first = open.keys().next().copied().unwrap_or_default();
    Error::Usage(format!(
        "{file}: the model leaves open: {}; give numbers, such as --dim {first}=8",
        list.join(", ")
    ))
}

impl<'a> Symbols<'a> {
    /// Takes the symbols of the inputs from what the user says.
    ///
    /// # Errors
    /// Symbols that stay open, and shapes that do not fit.
    pub fn bind(file: &str, module: &'a Module, bindings: &Bindings) -> Result<Self> {
        let mut values: BTreeMap<&'a str, u64> = BTreeMap::new();
        let mut open: BTreeMap<&'a str, &'a str> = BTreeMap::new();
        let mut names = Vec::new();
        let mut inputs = Vec::new();
        for spec in &module.signature.input_specs {
            if let Some(input) = spec.given() {
                inputs.push(input.to_owned());
                let Some(meta) = module.graph.tensor_values.get(input) else {
                    continue;
                };
                let given = bindings.shape(input);
                if let Some(given) = given
                    && given.len() != meta.sizes.len()
                {
                    return Err(Error::Usage(format!(
                        "--input-shape {input}={}: the input has {} dimensions",
                        show(given),
                        meta.sizes.len()
                    )));
                }
                for (i, size) in meta.sizes.iter().enumerate() {
                    let told = given.map(|given| given[i]);
                    let symbol = match size {
                        Size::AsInt(n) => {
                            if told.is_some_and(|told| told as i64 != *n) {
                                return Err(Error::Usage(format!(
                                    "--input-shape {input}: extent {i} is {n} in the model"
                                )));
                            }
                            continue;
                        }
                        Size::AsExpr(text) => &text.expr_str[..],
                    };
                    let Some(symbol) = named(symbol) else {
                        compound(symbol, bindings, &mut values, &mut names, |symbol| {
                            open.insert(symbol, input);
                        });
                        continue;
                    };
                    names.push(symbol.to_owned());
                    // Symbols have no names that say what they are; the first extent is the batch.
                    let by_place = if i == 0 { bindings.batch } else { None };
                    match told.or(bindings.dim(symbol, false)).or(by_place) {
                        Some(n) => {
                            if *values.entry(symbol).or_insert(n) != n {
                                return Err(Error::Usage(format!(
                                    "--input-shape {input}: {symbol} has another number elsewhere"
                                )));
                            }
                        }
                        None => {
                            open.insert(symbol, input);
                        }
                    }
                }
            }
        }
        bindings.all_used(&names, &inputs)?;
        open.retain(|symbol, _| !values.contains_key(symbol));
        match open.is_empty() {
            true => Ok(Symbols { values }),
            false => Err(ask(file, &open)),
        }
    }

    /// The number of an extent.
    ///
    /// # Errors
    /// What cannot be computed, and negative numbers.
    pub fn size(&self, size: &Size) -> std::result::Result<u64, String> {
        let n = match size {
            Size::AsInt(n) => *n,
            Size::AsExpr(text) => {
                let mut parser = Parser {
                    symbols: self,
                    rest: text.expr_str.trim(),
                    depth: 0,
                };
                let sum = parser.sum().filter(|_| parser.rest.is_empty());
                let known = |name: &str| self.values.get(name).copied();
                match sum.or_else(|| srepr::value(&text.expr_str, &known)) {
                    Some(n) => n,
                    None => {
                        let shown: String = text.expr_str.chars().take(100).collect();
                        return Err(format!("extent {shown} cannot be computed here"));
                    }
                }
            }
        };
        u64::try_from(n).map_err(|_| format!("an extent of {n}"))
    }
}

struct Parser<'t> {
    symbols: &'t Symbols<'t>,
    rest: &'t str,
    depth: u32,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Option<i64> {
        let mut sum = self.product()?;
        loop {
            if self.eat("+") {
                sum = sum.checked_add(self.product()?)?;
            } else if self.eat("-") {
                sum = sum.checked_sub(self.product()?)?;
            } else {
                return Some(sum);
            }
        }
    }

    fn product(&mut self) -> Option<i64> {
        let mut product = self.factor()?;
        loop {
            if self.eat("//") {
                product = product.checked_div_euclid(self.factor()?)?;
            } else if !self.rest.starts_with("**") && self.eat("*") {
                product = product.checked_mul(self.factor()?)?;
            } else {
                return Some(product);
            }
        }
    }

    fn factor(&mut self) -> Option<i64> {
        self.depth += 1;
        if self.depth > 64 {
            return None;
        }
        let value = if self.eat("-") {
            self.factor()?.checked_neg()
        } else if self.eat("(") {
            let inner = self.sum()?;
            self.eat(")").then_some(inner)
        } else {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.trim_start();
            match word.parse() {
                Ok(n) => Some(n),
                Err(_) => self.symbols.values.get(word).map(|&n| n as i64),
            }
        };
        self.depth -= 1;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Expression;
    use super::*;

    #[test]
    fn expressions_are_computed() {
        let symbols = Symbols {
            values: BTreeMap::from([("s0", 8), ("s77", 3)]),
        };
        let size = |text: &str| {
            symbols.size(&Size::AsExpr(Expression {
                expr_str: text.into(),
            }))
        };
        assert_eq!(size("s0"), Ok(8));
        assert_eq!(size("2*s0 + s77 - 1"), Ok(18));
        assert_eq!(size("(s0 + 1)//2"), Ok(4));
        assert_eq!(size("-s77 + s0"), Ok(5));
        for wrong in [
            "s1",
            "s0 +",
            "s77 - s0",
            "(s0",
            "s0**2",
            "Max(1, s0)",
            &"(".repeat(99),
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
