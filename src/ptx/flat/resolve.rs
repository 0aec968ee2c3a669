//! Walks an entry and the functions that it reaches, and resolves every name.

use super::scope::{Binding, Scopes};
use super::{Arg, Flat, FlatInst, Register, Width};
use crate::ptx::ast::{
    Function, Instruction, Item, Module, Name, Operand, Space, Statement, Variable,
};
use std::collections::HashMap;

/// Why a kernel cannot be made flat.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlatError {
    /// No entry of that name.
    #[error("there is no kernel called `{0}`; the file has: {1}")]
    NoEntry(String, String),
    /// Something that the module says cannot be carried out.
    #[error("line {line}: {what}")]
    Content {
        /// Line.
        line: u32,
        /// What.
        what: String,
    },
}

/// A label that is still a name: scope, name.
pub(super) type Pending<'a> = (u32, usize, usize, u32, &'a str);

/// State of the walk.
pub struct Flattener<'a> {
    pub(super) module: &'a Module<'a>,
    pub(super) flat: Flat<'a>,
    pub(super) scopes: Scopes<'a>,
    pub(super) initial: Vec<(u32, Variable<'a>)>,
    // Shared variables of the module that nothing has named so far.
    pub(super) shared: HashMap<&'a str, &'a Variable<'a>>,
    pub(super) global_bytes: u64,
    pub(super) constant_bytes: u64,
    pub(super) labels: HashMap<(u32, &'a str), u32>,
    pub(super) targets: HashMap<(u32, &'a str), Vec<&'a str>>,
    pub(super) pending: Vec<Pending<'a>>,
    pub(super) functions: HashMap<&'a str, u32>,
    pub(super) bodies: Vec<Option<&'a Function<'a>>>,
    pub(super) current: u32,
    // Whether names of functions mean their addresses in the instruction at hand.
    takes: bool,
}

/// The kernels of a module, in order.
pub fn entries<'m, 'a>(module: &'m Module<'a>) -> impl Iterator<Item = &'m Function<'a>> {
    module.items.iter().filter_map(|item| match item {
        Item::Function(f) if f.entry && f.body.is_some() => Some(f),
        _ => None,
    })
}

/// Makes kernel `name` of `module` flat.
///
/// # Errors
/// When there is no such kernel, or a declaration cannot be carried out.
pub fn flatten<'a>(module: &'a Module<'a>, name: &str) -> Result<Flat<'a>, FlatError> {
    let Some(entry) = entries(module).find(|f| f.name == name) else {
        let names: Vec<_> = entries(module).map(|f| f.name).collect();
        return Err(FlatError::NoEntry(name.to_owned(), names.join(", ")));
    };
    let mut walk = Flattener {
        module,
        flat: Flat::default(),
        scopes: Scopes::default(),
        initial: Vec::new(),
        shared: HashMap::new(),
        global_bytes: 0,
        constant_bytes: 0,
        labels: HashMap::new(),
        targets: HashMap::new(),
        pending: Vec::new(),
        functions: HashMap::new(),
        bodies: Vec::new(),
        current: 0,
        takes: false,
    };
    walk.scopes.open();
    for item in &module.items {
        match item {
            Item::Variable(variable) if variable.space == Space::Shared => {
                walk.shared.insert(variable.name, variable);
            }
            Item::Variable(variable) => walk.declare(variable)?,
            _ => {}
        }
    }
    walk.function_number(entry.name);
    let mut next = 0;
    while let Some(body) = walk.bodies.get(next).copied() {
        walk.current = next as u32;
        walk.function(body)?;
        next += 1;
        if next == walk.bodies.len() {
            walk.take_tables();
        }
    }
    walk.find_recursion();
    walk.place_dynamic_shared();
    walk.images()
        .map_err(|what| FlatError::Content { line: 0, what })?;
    walk.settle_labels();
    walk.settle_calls();
    Ok(walk.flat)
}

impl<'a> Flattener<'a> {
    fn fault<T>(&self, line: u32, what: impl Into<String>) -> Result<T, FlatError> {
        Err(FlatError::Content {
            line,
            what: what.into(),
        })
    }

    fn function(&mut self, function: Option<&'a Function<'a>>) -> Result<(), FlatError> {
        let Some(function) = function else {
            return Ok(());
        };
        let number = self.current;
        self.scopes.open();
        let local = self.flat.local_bytes.next_multiple_of(16);
        self.flat.local_bytes = local;
        let files = self.flat.files;
        let mut params = Vec::new();
        let mut returns = Vec::new();
        for variable in &function.params {
            params.push(self.formal(variable, function.entry)?);
        }
        for variable in &function.returns {
            returns.push(self.formal(variable, false)?);
        }
        if function.entry {
            self.tuning(function);
        }
        let start = self.flat.insts.len() as u32;
        if let Some(body) = &function.body {
            self.block(body)?;
            // Running off the end returns.
            self.flat.insts.push(FlatInst {
                guard: None,
                opcode: "ret",
                modifiers: Vec::new(),
                args: Vec::new(),
                line: self
                    .flat
                    .insts
                    .last()
                    .map_or(function.place.line, |i| i.line),
            });
        }
        self.scopes.close();
        let end = self.flat.insts.len() as u32;
        if let Some(flat) = self.flat.functions.get_mut(number as usize) {
            flat.start = function.body.as_ref().map(|_| start);
            flat.end = end;
            flat.params = params;
            flat.returns = returns;
            flat.local = (local, self.flat.local_bytes);
            for ((range, from), to) in flat.files.iter_mut().zip(files).zip(self.flat.files) {
                *range = (from, to);
            }
        }
        Ok(())
    }

    fn formal(&mut self, variable: &'a Variable<'a>, entry: bool) -> Result<Arg, FlatError> {
        if variable.space == Space::Reg {
            self.declare(variable)?;
            return Ok(match self.scopes.find(variable.name) {
                Some(Binding::Registers(first, _)) => Arg::Reg(first),
                _ => Arg::Sink,
            });
        }
        let Some(number) = self.place(variable, entry) else {
            return self.fault(variable.place.line, "a parameter of more than 4 GiB");
        };
        if entry {
            let length = variable.dims.iter().map(|d| d.unwrap_or(0)).product();
            self.flat.params.push((number, variable.ty, length));
        }
        Ok(Arg::Symbol(number, 0))
    }

    fn declare(&mut self, variable: &Variable<'a>) -> Result<(), FlatError> {
        if variable.space != Space::Reg {
            return match self.place(variable, false) {
                Some(_) => Ok(()),
                None => self.fault(variable.place.line, "a variable of more than 4 GiB"),
            };
        }
        let (width, halves) = Width::of(variable.ty).map_or((Width::W64, 2), |w| (w, 1));
        let first = self.flat.registers.len() as u32;
        let each = u32::from(variable.vector) * halves;
        let names = variable.range.unwrap_or(1);
        let count = names * each;
        if u64::from(first) + u64::from(count) > 1 << 22 {
            return self.fault(variable.place.line, "more than four million registers");
        }
        let file = match width {
            Width::Pred => 0,
            Width::W16 | Width::W32 => 1,
            Width::W64 => 2,
        };
        for _ in 0..count {
            let Some(used) = self.flat.files.get_mut(file) else {
                break;
            };
            self.flat.registers.push(Register { width, slot: *used });
            *used += 1;
        }
        let binding = match halves {
            1 => Binding::Registers(first, each),
            _ => Binding::Wide(first),
        };
        match variable.range {
            Some(_) => self.scopes.bind_range(variable.name, binding, names),
            None => self.scopes.bind(variable.name, binding),
        }
        Ok(())
    }

    fn block(&mut self, body: &'a [Statement<'a>]) -> Result<(), FlatError> {
        self.scopes.open();
        let scope = self.scopes.current();
        for statement in body {
            match statement {
                Statement::Label(name) => {
                    let here = self.flat.insts.len() as u32;
                    self.labels.insert((scope, name), here);
                }
                Statement::Variable(variable) => self.declare(variable)?,
                Statement::Block(inner) => self.block(inner)?,
                Statement::Targets { name, targets, .. } => {
                    self.targets.insert((scope, name), targets.clone());
                }
                Statement::Instruction(instruction) => self.instruction(instruction),
                Statement::Pragma(_) | Statement::Prototype(_) => {}
            }
        }
        self.scopes.close();
        Ok(())
    }

    fn instruction(&mut self, instruction: &'a Instruction<'a>) {
        let number = self.flat.insts.len();
        let call = instruction.opcode == "call";
        self.takes = instruction.opcode == "mov";
        let guard = instruction
            .guard
            .map(|guard| match self.scopes.find(guard.name) {
                Some(Binding::Registers(first, _)) => (first, guard.negated),
                _ => (u32::MAX, guard.negated),
            });
        let mut args = Vec::with_capacity(instruction.operands.len());
        for (position, operand) in instruction.operands.iter().enumerate() {
            let arg = self.operand(operand, call, number, position);
            args.push(arg);
        }
        if call && !args.iter().any(|a| matches!(a, Arg::Function(_))) {
            self.calls_indirectly();
        }
        self.flat.insts.push(FlatInst {
            guard,
            opcode: instruction.opcode,
            modifiers: instruction.modifiers.clone(),
            args,
            line: instruction.place.line,
        });
    }

    fn operand(&mut self, operand: &'a Operand<'a>, call: bool, number: usize, at: usize) -> Arg {
        match operand {
            Operand::Name(name) => self.name(name, call, number, at),
            Operand::Number(value) => Arg::Imm(*value),
            Operand::Vector(list) => Arg::Vector(self.list(list, number, at)),
            Operand::Parameters(list) => match list.as_slice() {
                [Operand::Number(value)] if !call => Arg::Imm(*value),
                _ => Arg::Params(self.list(list, number, at)),
            },
            Operand::Pair(a, b) => {
                let first = self.name(a, false, number, at);
                let second = self.name(b, false, number, at);
                let part = |arg: Arg| match arg {
                    Arg::Reg(r) => Some(Some(r)),
                    Arg::Sink => Some(None),
                    _ => None,
                };
                match (part(first), part(second)) {
                    (Some(a), Some(b)) => Arg::Pair(a, b),
                    _ => Arg::Unknown(format!("{a}|{b}")),
                }
            }
            Operand::Address(list) => self.address(list, number, at),
        }
    }

    fn list(&mut self, list: &'a [Operand<'a>], number: usize, at: usize) -> Vec<Arg> {
        list.iter()
            .map(|o| self.operand(o, false, number, at))
            .collect()
    }

    fn address(&mut self, list: &'a [Operand<'a>], number: usize, at: usize) -> Arg {
        let (base, symbol, offset) = match list {
            [Operand::Number(value)] => (None, None, value.int().unwrap_or(0)),
            [Operand::Name(name)] => {
                let bare = Name { offset: 0, ..*name };
                match self.name(&bare, false, number, at) {
                    Arg::Reg(reg) => (Some(reg), None, name.offset),
                    Arg::Symbol(symbol, _) => (None, Some(symbol), name.offset),
                    Arg::Unknown(name) => return Arg::Unknown(name),
                    _ => return Arg::Complex,
                }
            }
            _ => return Arg::Complex,
        };
        Arg::Address {
            base,
            symbol,
            offset,
        }
    }

    fn name(&mut self, name: &Name<'a>, call: bool, number: usize, at: usize) -> Arg {
        if name.name == "_" {
            return Arg::Sink;
        }
        match self.find(name.name) {
            // Parts of a register (`%r1.b0`) only exist in video instructions.
            Some(Binding::Registers(_, 1)) if name.component.is_some() => return Arg::Complex,
            Some(Binding::Registers(first, count)) => {
                let index = match name.component {
                    None | Some("x" | "r") => 0,
                    Some("y" | "g") => 1,
                    Some("z" | "b") => 2,
                    Some(_) => 3,
                };
                let register = first + index.min(count.saturating_sub(1));
                return match name.negated {
                    true => Arg::Not(register),
                    false => Arg::Reg(register),
                };
            }
            Some(Binding::Wide(first)) => {
                return Arg::Vector(vec![Arg::Reg(first), Arg::Reg(first + 1)]);
            }
            Some(Binding::Symbol(symbol)) => return Arg::Symbol(symbol, name.offset),
            None => {}
        }
        if let Some(found) = self.builtin(name) {
            return found;
        }
        if call {
            return match self.function_number(name.name) {
                Some(function) => {
                    let current = self.current as usize;
                    if let Some(caller) = self.flat.functions.get_mut(current) {
                        caller.calls.push(function);
                    }
                    Arg::Function(function)
                }
                None => Arg::Unknown(name.name.to_owned()),
            };
        }
        if self.takes
            && let Some(function) = self.function_number(name.name)
        {
            if let Some(flat) = self.flat.functions.get_mut(function as usize) {
                flat.taken = true;
            }
            return Arg::Function(function);
        }
        // Labels may come later: settled at the end.
        self.pending
            .push((self.scopes.current(), number, at, self.current, name.name));
        Arg::Unknown(name.name.to_owned())
    }
}
