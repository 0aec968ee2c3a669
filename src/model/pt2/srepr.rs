//! Expressions as SymPy's `srepr` writes them, which newer exports have: `Add(Mul(Integer(2), Symbol('s0')), Integer(-1))`.

/// Most functions within one another.
const DEPTH_MAX: u32 = 64;

/// A fraction; what is below is positive.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fraction {
    above: i64,
    below: i64,
}

impl Fraction {
    fn new(above: i64, below: i64) -> Option<Self> {
        if below == 0 {
            return None;
        }
        let (mut a, mut b) = (above.checked_abs()?, below.checked_abs()?);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.max(1) * below.signum();
        Some(Fraction {
            above: above / divisor,
            below: below / divisor,
        })
    }

    fn whole(n: i64) -> Self {
        Fraction { above: n, below: 1 }
    }

    fn plus(self, other: Self) -> Option<Self> {
        let left = self.above.checked_mul(other.below)?;
        let right = other.above.checked_mul(self.below)?;
        Fraction::new(
            left.checked_add(right)?,
            self.below.checked_mul(other.below)?,
        )
    }

    fn times(self, other: Self) -> Option<Self> {
        Fraction::new(
            self.above.checked_mul(other.above)?,
            self.below.checked_mul(other.below)?,
        )
    }

    fn over(self, other: Self) -> Option<Self> {
        let turned = Fraction::new(other.below, other.above)?;
        self.times(turned)
    }

    fn power(self, exponent: Self) -> Option<Self> {
        let times = u32::try_from(exponent.above.checked_abs()?).ok()?;
        let power = Fraction {
            above: self.above.checked_pow(times)?,
            below: self.below.checked_pow(times)?,
        };
        match (exponent.below, exponent.above < 0) {
            (1, false) => Some(power),
            (1, true) => Fraction::whole(1).over(power),
            _ => None,
        }
    }

    fn floor(self) -> Self {
        Fraction::whole(self.above.div_euclid(self.below))
    }

    fn ceiling(self) -> Option<Self> {
        let down = self.times(Fraction::whole(-1))?.floor();
        down.times(Fraction::whole(-1))
    }

    fn modulo(self, other: Self) -> Option<Self> {
        let whole = self.over(other)?.floor().times(other)?;
        self.plus(whole.times(Fraction::whole(-1))?)
    }

    fn less(self, other: Self) -> Option<bool> {
        Some(self.above.checked_mul(other.below)? < other.above.checked_mul(self.below)?)
    }
}

/// The name in `Symbol('name', ...)`, if `text` is that and nothing else.
pub fn symbol(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("Symbol('")?.strip_suffix(')')?;
    let (name, rest) = inner.split_once('\'')?;
    (!rest.contains(['(', ')'])).then_some(name)
}

/// Every symbol in `text`.
pub fn symbols(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split("Symbol('").skip(1);
    behind.filter_map(|rest| rest.split_once('\'').map(|(name, _)| name))
}

/// The whole number that `text` stands for, with the numbers that `known` has for symbols.
pub fn value(text: &str, known: &dyn Fn(&str) -> Option<u64>) -> Option<i64> {
    let mut parser = Parser {
        rest: text.trim(),
        known,
        depth: 0,
    };
    let found = parser.term()?;
    (parser.rest.is_empty() && found.below == 1).then_some(found.above)
}

struct Parser<'t> {
    rest: &'t str,
    known: &'t dyn Fn(&str) -> Option<u64>,
    depth: u32,
}

impl<'t> Parser<'t> {
    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?.trim_start();
        Some(())
    }

    /// What stands in front of `end`, which is left away.
    fn until(&mut self, end: char) -> Option<&'t str> {
        let (text, rest) = self.rest.split_once(end)?;
        self.rest = rest.trim_start();
        Some(text.trim())
    }

    fn term(&mut self) -> Option<Fraction> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let found = match self.until('(')? {
            "Symbol" => {
                self.eat("'")?;
                let name = self.until('\'')?;
                self.until(')')?;
                Some(Fraction::whole(i64::try_from((self.known)(name)?).ok()?))
            }
            "Integer" => Some(Fraction::whole(self.until(')')?.parse().ok()?)),
            "Rational" => {
                let above = self.until(',')?.parse().ok()?;
                Fraction::new(above, self.until(')')?.parse().ok()?)
            }
            function => self.function(function),
        };
        self.depth -= 1;
        found
    }

    fn function(&mut self, name: &str) -> Option<Fraction> {
        let mut all = vec![self.term()?];
        while self.eat(",").is_some() {
            all.push(self.term()?);
        }
        self.eat(")")?;
        let first = all[0];
        let fold = |f: fn(Fraction, Fraction) -> Option<Fraction>| {
            all[1..].iter().try_fold(first, |a, &b| f(a, b))
        };
        match (name, &all[1..]) {
            ("Add", _) => fold(Fraction::plus),
            ("Mul", _) => fold(Fraction::times),
            ("Max", _) => fold(|a, b| Some(if a.less(b)? { b } else { a })),
            ("Min", _) => fold(|a, b| Some(if a.less(b)? { a } else { b })),
            ("Pow" | "PowByNatural", &[exponent]) => first.power(exponent),
            ("FloorDiv", &[by]) => Some(first.over(by)?.floor()),
            ("CeilDiv", &[by]) => first.over(by)?.ceiling(),
            ("CleanDiv" | "IntTrueDiv" | "FloatTrueDiv", &[by]) => first.over(by),
            ("Mod" | "PythonMod", &[by]) => first.modulo(by),
            ("ModularIndexing", &[by, within]) => first.over(by)?.floor().modulo(within),
            ("floor" | "FloorToInt" | "TruncToInt", []) => Some(first.floor()),
            ("ceiling" | "CeilToInt", []) => first.ceiling(),
            ("ToFloat", []) => Some(first),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_symbols_are_computed() {
        let known = |name: &str| (name == "s0").then_some(225);
        let of = |text: &str| value(text, &known);
        let symbol = "Symbol('s0', positive=True, integer=True)";
        assert_eq!(of(symbol), Some(225));
        // The places of a window: (n - 1) // 16 + 1.
        let places = format!("Add(FloorDiv(Add({symbol}, Integer(-1)), Integer(16)), Integer(1))");
        assert_eq!(of(&places), Some(15));
        for (text, n) in [
            ("Mul(Rational(1, 3), Symbol('s0'))", 75),
            ("Pow(Symbol('s0'), Integer(2))", 50625),
            ("Mul(Symbol('s0'), Pow(Integer(5), Integer(-1)))", 45),
            ("Max(Integer(1), Symbol('s0'), Integer(300))", 300),
            ("Min(Integer(7), Symbol('s0'))", 7),
            ("Mod(Symbol('s0'), Integer(16))", 1),
            ("ceiling(Mul(Rational(1, 2), Symbol('s0')))", 113),
        ] {
            assert_eq!(of(text), Some(n), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        let known = |name: &str| (name == "s0").then_some(u64::MAX >> 2);
        for wrong in [
            "Symbol('s1')",
            "Rational(1, 2)",
            "FloorDiv(Integer(1), Integer(0))",
            "Pow(Symbol('s0'), Integer(9))",
            "Mul(Symbol('s0'), Symbol('s0'))",
            "Frobnicate(Integer(1))",
            "Add(Integer(1)",
            "Integer(1) Integer(2)",
            &"Add(".repeat(99),
            "",
        ] {
            assert_eq!(value(wrong, &known), None, "{wrong}");
        }
    }

    #[test]
    fn symbols_are_found() {
        assert_eq!(symbol("Symbol('s77', integer=True)"), Some("s77"));
        let sum = "Add(Symbol('s0', integer=True), Symbol('s1'))";
        assert_eq!(symbol(sum), None);
        assert_eq!(symbols(sum).collect::<Vec<_>>(), ["s0", "s1"]);
    }
}
