//! Texts of benchmark definitions with expressions in braces.

use crate::error::{Error, Result};
use crate::expression::evaluate;

/// Replaces every `{...}` of `template` by the value of the expression in it, as an integer when it
/// is one; `text` may give a replacement of its own first.
///
/// # Errors
/// As [`evaluate`], and an unclosed brace.
pub fn substitute(
    template: &str,
    text: &dyn Fn(&str) -> Option<String>,
    lookup: &dyn Fn(&str) -> Option<f64>,
) -> Result<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('}').map(|at| open + at);
        let Some(close) = close else {
            return Err(Error::input(
                template,
                "braces",
                "an unclosed {",
                "close it",
            ));
        };
        let inner = &rest[open + 1..close];
        match text(inner) {
            Some(given) => out.push_str(&given),
            None => out.push_str(&format!("{}", evaluate(inner, lookup)?.round())),
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(_: &str) -> Option<f64> {
        None
    }

    #[test]
    fn braces_are_replaced() {
        let text = |name: &str| (name == "p").then(|| "64x2".to_owned());
        let got = substitute("a={p}&b={2*3}", &text, &names).unwrap();
        assert_eq!(got, "a=64x2&b=6");
        assert!(substitute("a={p", &text, &names).is_err());
    }
}
