//! Declarations of variables and their initialisers.

use super::{Parsed, Parser};
use crate::ptx::ast::{Init, Linkage, Number, Pointer, Space, Type, Variable};
use crate::ptx::lex::Kind;

/// Register ranges and arrays of registers beyond this are not code that anybody runs.
const RANGE_MAX: i64 = 1 << 20;

/// The space that `name` names.
pub(super) fn space(name: &str) -> Option<Space> {
    Some(match name {
        "reg" => Space::Reg,
        "param" => Space::Param,
        "global" => Space::Global,
        "shared" | "shared::cta" | "shared::cluster" => Space::Shared,
        "const" => Space::Const,
        "local" => Space::Local,
        "tex" => Space::Tex,
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    /// `.space .align n .type name, name = init, ...;`
    pub(super) fn variables(&mut self, linkage: Linkage) -> Parsed<Vec<Variable<'a>>> {
        let head = self.head(linkage)?;
        let mut variables = Vec::new();
        loop {
            let mut variable = head.clone();
            self.declarator(&mut variable)?;
            if self.accept("=") {
                variable.init = Some(self.initialiser()?);
            }
            variables.push(variable);
            if !self.accept(",") {
                break;
            }
        }
        self.expect(";")?;
        Ok(variables)
    }

    /// `(.param .b32 a, .param .b64 b)`, parentheses included; nothing when there is none.
    pub(super) fn parameters(&mut self) -> Parsed<Vec<Variable<'a>>> {
        let mut parameters = Vec::new();
        if !self.accept("(") || self.accept(")") {
            return Ok(parameters);
        }
        loop {
            let mut parameter = self.head(Linkage::Local)?;
            self.declarator(&mut parameter)?;
            parameters.push(parameter);
            if self.accept(")") {
                return Ok(parameters);
            }
            self.expect(",")?;
        }
    }

    fn head(&mut self, linkage: Linkage) -> Parsed<Variable<'a>> {
        let mut variable = Variable {
            linkage,
            space: Space::Reg,
            align: None,
            vector: 1,
            ty: Type::B32,
            pointer: None,
            name: "",
            range: None,
            dims: Vec::new(),
            init: None,
            place: self.place(),
        };
        let Some(first) = space(self.token.text).filter(|_| self.token.kind == Kind::Dot) else {
            return self.fault("a state space such as .reg, .param, .global or .shared");
        };
        self.take();
        variable.space = first;
        let mut typed = false;
        while self.token.kind == Kind::Dot {
            let text = self.token.text;
            match text {
                "align" => {
                    self.take();
                    let align = self.alignment()?;
                    match &mut variable.pointer {
                        Some(pointer) => pointer.align = Some(align),
                        None => variable.align = Some(align),
                    }
                }
                "ptr" => {
                    self.take();
                    variable.pointer = Some(Pointer::default());
                }
                "v2" | "v4" | "v8" => {
                    self.take();
                    variable.vector = text.as_bytes().get(1).map_or(1, |d| d - b'0');
                }
                "attribute" => self.attribute()?,
                _ => match (Type::of(text), space(text), &mut variable.pointer) {
                    (Some(ty), _, _) => {
                        self.take();
                        variable.ty = ty;
                        typed = true;
                    }
                    (_, Some(inner), Some(pointer)) => {
                        pointer.space = Some(inner);
                        self.take();
                    }
                    _ => return self.fault("a type, .align, .ptr or a vector size"),
                },
            }
        }
        if !typed {
            return self.fault("a type such as .b32");
        }
        Ok(variable)
    }

    fn alignment(&mut self) -> Parsed<u32> {
        let align = self.integer()?;
        match u32::try_from(align) {
            Ok(align) if align.is_power_of_two() && align <= 1 << 20 => Ok(align),
            _ => self.fault("an alignment that is a power of two"),
        }
    }

    /// `.attribute(.managed)`: no meaning here.
    fn attribute(&mut self) -> Parsed<()> {
        self.take();
        self.expect("(")?;
        while !self.is(")") {
            if matches!(self.token.kind, Kind::End | Kind::Stray) || self.is(";") {
                return self.fault("`)`");
            }
            self.take();
        }
        self.expect(")")
    }

    fn declarator(&mut self, variable: &mut Variable<'a>) -> Parsed<()> {
        variable.place = self.place();
        variable.name = self.word("a name")?;
        if self.accept("<") {
            // `<` `N` `>`: the count is a literal, since `>` is an operator too.
            let count = match self.token.kind {
                Kind::Number => self.literal()?,
                _ => return self.fault("a number of registers"),
            };
            match count {
                Number::Int(count @ 0..=RANGE_MAX) => variable.range = Some(count as u32),
                _ => return self.fault(format!("at most {RANGE_MAX} registers")),
            }
            self.expect(">")?;
        }
        while self.accept("[") {
            if self.accept("]") {
                variable.dims.push(None);
                continue;
            }
            let size = self.integer()?;
            let Ok(size) = u64::try_from(size) else {
                return self.fault("a size that is not negative");
            };
            variable.dims.push(Some(size));
            self.expect("]")?;
        }
        Ok(())
    }

    fn initialiser(&mut self) -> Parsed<Init<'a>> {
        if self.accept("{") {
            let mut list = Vec::new();
            while !self.accept("}") {
                list.push(self.deeper(Self::initialiser)?);
                if !self.accept(",") && !self.is("}") {
                    return self.fault("`,` or `}`");
                }
            }
            return Ok(Init::List(list));
        }
        if self.token.kind == Kind::Word {
            return self.address_initialiser(None);
        }
        let number = self.number()?;
        if let (Number::Int(mask), true) = (number, self.is("(")) {
            self.take();
            let init = self.address_initialiser(Some(mask as u64))?;
            self.expect(")")?;
            return Ok(init);
        }
        Ok(Init::Number(number))
    }

    fn address_initialiser(&mut self, mask: Option<u64>) -> Parsed<Init<'a>> {
        let word = self.word("a variable or a function")?;
        let generic = word == "generic" && self.accept("(");
        let name = if generic {
            self.word("a variable")?
        } else {
            word
        };
        let mut offset = 0i64;
        let inside = self.offset()?;
        if generic {
            self.expect(")")?;
            offset = self.offset()?;
        }
        Ok(Init::Address {
            name,
            offset: offset.wrapping_add(inside),
            generic,
            mask,
        })
    }

    fn offset(&mut self) -> Parsed<i64> {
        if self.is("+") || self.is("-") {
            return self.integer();
        }
        Ok(0)
    }
}
