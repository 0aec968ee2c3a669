//! Functions and their statements.

use super::variable::space;
use super::{Parsed, Parser};
use crate::ptx::ast::{
    Function, Guard, Instruction, Linkage, Number, Place, Prototype, Statement, Tuning,
};
use crate::ptx::lex::Kind;

impl<'a> Parser<'a> {
    /// `.entry name (...) ... { ... }` or `.func (...) name (...) ... { ... }`
    pub(super) fn function(&mut self, linkage: Linkage) -> Parsed<Function<'a>> {
        let place = self.place();
        let entry = self.take().text == "entry";
        while self.is_dot("attribute") {
            self.tuning_one()?;
        }
        let returns = if entry {
            Vec::new()
        } else {
            self.parameters()?
        };
        let name = self.word("the name of the function")?;
        let params = self.parameters()?;
        let tuning = self.tuning()?;
        let body = if self.accept(";") {
            None
        } else if self.is("{") {
            Some(self.block()?)
        } else {
            return self.fault("`{` or `;`");
        };
        Ok(Function {
            linkage,
            entry,
            name,
            returns,
            params,
            tuning,
            body,
            place,
        })
    }

    fn tuning(&mut self) -> Parsed<Vec<Tuning<'a>>> {
        let mut all = Vec::new();
        while self.token.kind == Kind::Dot {
            all.push(self.tuning_one()?);
        }
        Ok(all)
    }

    fn tuning_one(&mut self) -> Parsed<Tuning<'a>> {
        let mut tuning = Tuning {
            name: self.take().text,
            values: Vec::new(),
            text: None,
        };
        if tuning.name == "pragma" {
            tuning.text = Some(self.string()?);
            self.accept(";");
            return Ok(tuning);
        }
        if self.accept("(") {
            while !self.accept(")") {
                if matches!(self.token.kind, Kind::End | Kind::Stray) || self.is("{") {
                    return self.fault("`)`");
                }
                self.take();
            }
        }
        while self.token.kind == Kind::Number {
            tuning.values.push(self.integer()?);
            if !self.accept(",") {
                break;
            }
        }
        Ok(tuning)
    }

    fn block(&mut self) -> Parsed<Vec<Statement<'a>>> {
        self.expect("{")?;
        self.deeper(|parser| {
            let mut statements = Vec::new();
            while !parser.accept("}") {
                parser.statement(&mut statements)?;
            }
            Ok(statements)
        })
    }

    fn statement(&mut self, out: &mut Vec<Statement<'a>>) -> Parsed<()> {
        match (self.token.kind, self.token.text) {
            (Kind::Punctuation, ";") => {
                self.take();
            }
            (Kind::Punctuation, "{") => out.push(Statement::Block(self.block()?)),
            (Kind::Punctuation, "@") => {
                let place = self.place();
                let guard = self.guard()?;
                let opcode = self.word("an instruction")?;
                out.push(Statement::Instruction(self.instruction(
                    Some(guard),
                    opcode,
                    place,
                )?));
            }
            (Kind::Dot, "pragma") => {
                self.take();
                out.push(Statement::Pragma(self.string()?));
                self.expect(";")?;
            }
            (Kind::Dot, "section") => self.section()?,
            (Kind::Dot, name) if space(name).is_some() => {
                let variables = self.variables(Linkage::Local)?;
                out.extend(variables.into_iter().map(Statement::Variable));
            }
            (Kind::Dot, "visible" | "extern" | "weak" | "common") => {
                let linkage = self.linkage();
                let variables = self.variables(linkage)?;
                out.extend(variables.into_iter().map(Statement::Variable));
            }
            (Kind::Word, word) => {
                let place = self.place();
                self.take();
                if self.accept(":") {
                    self.labelled(word, out)?;
                } else {
                    out.push(Statement::Instruction(self.instruction(None, word, place)?));
                }
            }
            _ => return self.fault("a statement or `}`"),
        }
        Ok(())
    }

    fn labelled(&mut self, name: &'a str, out: &mut Vec<Statement<'a>>) -> Parsed<()> {
        let statement = match (self.token.kind, self.token.text) {
            (Kind::Dot, "callprototype") => {
                self.take();
                let returns = self.parameters()?;
                self.word("`_`")?;
                let params = self.parameters()?;
                let tuning = self.tuning()?;
                Statement::Prototype(Prototype {
                    name,
                    returns,
                    params,
                    tuning,
                })
            }
            (Kind::Dot, list @ ("branchtargets" | "calltargets")) => {
                self.take();
                let mut targets = vec![self.word("a target")?];
                while self.accept(",") {
                    targets.push(self.word("a target")?);
                }
                Statement::Targets {
                    name,
                    call: list == "calltargets",
                    targets,
                }
            }
            _ => {
                out.push(Statement::Label(name));
                return Ok(());
            }
        };
        out.push(statement);
        self.expect(";")
    }

    fn guard(&mut self) -> Parsed<Guard<'a>> {
        self.expect("@")?;
        let negated = self.accept("!");
        let name = self.word("a predicate register")?;
        Ok(Guard { name, negated })
    }

    fn instruction(
        &mut self,
        guard: Option<Guard<'a>>,
        opcode: &'a str,
        place: Place,
    ) -> Parsed<Instruction<'a>> {
        let mut modifiers = Vec::with_capacity(4);
        while self.token.kind == Kind::Dot {
            modifiers.push(self.take().text);
        }
        let operands = self.operands()?;
        if !self.is(";") {
            return self.fault("`,` or `;`");
        }
        self.take();
        Ok(Instruction {
            guard,
            opcode,
            modifiers,
            operands,
            place,
        })
    }
}

impl Number {
    /// The integer that this literal is, if it is one.
    pub fn int(self) -> Option<i64> {
        match self {
            Number::Int(value) => Some(value),
            _ => None,
        }
    }
}
