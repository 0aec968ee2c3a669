//! Syntax tree to PTX text, which parses to the same tree.

use super::ast::*;
use std::fmt::{Display, Formatter, Result};

impl Display for Module<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, ".version {}", self.version)?;
        if !self.target.is_empty() {
            writeln!(f, ".target {}", self.target.join(", "))?;
        }
        writeln!(f, ".address_size {}", self.address_size)?;
        for item in &self.items {
            match item {
                Item::Variable(variable) => writeln!(f, "{variable};")?,
                Item::Function(function) => write!(f, "{function}")?,
                Item::Alias(name, target) => writeln!(f, ".alias {name}, {target};")?,
                Item::Pragma(text) => writeln!(f, ".pragma \"{text}\";")?,
            }
        }
        Ok(())
    }
}

fn linkage(linkage: Linkage) -> &'static str {
    match linkage {
        Linkage::Local => "",
        Linkage::Visible => ".visible ",
        Linkage::Extern => ".extern ",
        Linkage::Weak => ".weak ",
        Linkage::Common => ".common ",
    }
}

impl Space {
    /// Its directive without the dot.
    pub fn name(self) -> &'static str {
        match self {
            Space::Reg => "reg",
            Space::Param => "param",
            Space::Global => "global",
            Space::Shared => "shared",
            Space::Const => "const",
            Space::Local => "local",
            Space::Tex => "tex",
        }
    }
}

impl Display for Variable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}.{}", linkage(self.linkage), self.space.name())?;
        if let Some(align) = self.align {
            write!(f, " .align {align}")?;
        }
        if self.vector > 1 {
            write!(f, " .v{}", self.vector)?;
        }
        write!(f, " .{}", self.ty.name())?;
        if let Some(pointer) = self.pointer {
            write!(f, " .ptr")?;
            if let Some(space) = pointer.space {
                write!(f, " .{}", space.name())?;
            }
            if let Some(align) = pointer.align {
                write!(f, " .align {align}")?;
            }
        }
        write!(f, " {}", self.name)?;
        if let Some(range) = self.range {
            write!(f, "<{range}>")?;
        }
        for dim in &self.dims {
            match dim {
                Some(size) => write!(f, "[{size}]")?,
                None => write!(f, "[]")?,
            }
        }
        match &self.init {
            Some(init) => write!(f, " = {init}"),
            None => Ok(()),
        }
    }
}

impl Display for Init<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Init::Number(number) => write!(f, "{number}"),
            Init::List(list) => {
                write!(f, "{{")?;
                comma(f, list)?;
                write!(f, "}}")
            }
            Init::Address {
                name,
                offset,
                generic,
                mask,
            } => {
                if let Some(mask) = mask {
                    write!(f, "{mask:#x}(")?;
                }
                match generic {
                    true => write!(f, "generic({name})")?,
                    false => write!(f, "{name}")?,
                }
                if *offset != 0 {
                    write!(f, "{offset:+}")?;
                }
                write!(f, "{}", if mask.is_some() { ")" } else { "" })
            }
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Number::Int(value) => write!(f, "{value}"),
            Number::F32(bits) => write!(f, "0f{bits:08X}"),
            Number::F64(bits) => write!(f, "0d{bits:016X}"),
        }
    }
}

fn comma<T: Display>(f: &mut Formatter<'_>, list: &[T]) -> Result {
    for (i, item) in list.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl Display for Tuning<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, ".{} ", self.name)?;
        if let Some(text) = self.text {
            write!(f, "\"{text}\"")?;
        }
        comma(f, &self.values)
    }
}

impl Display for Function<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = if self.entry { ".entry" } else { ".func" };
        write!(f, "{}{kind} ", linkage(self.linkage))?;
        if !self.returns.is_empty() {
            write!(f, "(")?;
            comma(f, &self.returns)?;
            write!(f, ") ")?;
        }
        write!(f, "{}(", self.name)?;
        comma(f, &self.params)?;
        writeln!(f, ")")?;
        for tuning in &self.tuning {
            writeln!(f, "{tuning}")?;
        }
        match &self.body {
            Some(body) => block(f, body, 0),
            None => writeln!(f, ";"),
        }
    }
}

fn block(f: &mut Formatter<'_>, body: &[Statement<'_>], depth: usize) -> Result {
    let tabs = "\t".repeat(depth);
    writeln!(f, "{tabs}{{")?;
    for statement in body {
        match statement {
            Statement::Label(name) => writeln!(f, "{tabs}{name}:")?,
            Statement::Block(inner) => block(f, inner, depth + 1)?,
            Statement::Instruction(instruction) => writeln!(f, "{tabs}\t{instruction};")?,
            Statement::Variable(variable) => writeln!(f, "{tabs}\t{variable};")?,
            Statement::Pragma(text) => writeln!(f, "{tabs}\t.pragma \"{text}\";")?,
            Statement::Prototype(prototype) => writeln!(f, "{tabs}\t{prototype};")?,
            Statement::Targets {
                name,
                call,
                targets,
            } => {
                let kind = if *call {
                    "calltargets"
                } else {
                    "branchtargets"
                };
                writeln!(f, "{tabs}{name}: .{kind} {};", targets.join(", "))?;
            }
        }
    }
    writeln!(f, "{tabs}}}")
}

impl Display for Prototype<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}: .callprototype ", self.name)?;
        if !self.returns.is_empty() {
            write!(f, "(")?;
            comma(f, &self.returns)?;
            write!(f, ") ")?;
        }
        write!(f, "_ (")?;
        comma(f, &self.params)?;
        write!(f, ")")?;
        for tuning in &self.tuning {
            write!(f, " {tuning}")?;
        }
        Ok(())
    }
}

impl Display for Instruction<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if let Some(guard) = self.guard {
            write!(
                f,
                "@{}{} ",
                if guard.negated { "!" } else { "" },
                guard.name
            )?;
        }
        write!(f, "{}", self.opcode)?;
        for modifier in &self.modifiers {
            write!(f, ".{modifier}")?;
        }
        if !self.operands.is_empty() {
            write!(f, " ")?;
        }
        comma(f, &self.operands)
    }
}

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (open, list, close) = match self {
            Operand::Name(name) => return write!(f, "{name}"),
            Operand::Number(number) => return write!(f, "{number}"),
            Operand::Pair(first, second) => return write!(f, "{first}|{second}"),
            Operand::Vector(list) => ("{", list, "}"),
            Operand::Parameters(list) => ("(", list, ")"),
            Operand::Address(list) => ("[", list, "]"),
        };
        write!(f, "{open}")?;
        comma(f, list)?;
        write!(f, "{close}")
    }
}

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.name)?;
        if let Some(component) = self.component {
            write!(f, ".{component}")?;
        }
        if self.offset != 0 {
            write!(f, "{:+}", self.offset)?;
        }
        Ok(())
    }
}
