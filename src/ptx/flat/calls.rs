//! Which functions a kernel reaches, and how their calls pass parameters.

use super::resolve::Flattener;
use super::{Arg, FlatFunction, FlatInst};
use crate::ptx::ast::{Function, Init, Item};

impl<'a> Flattener<'a> {
    /// The number of function `name`, which will be walked in its turn.
    pub(super) fn function_number(&mut self, name: &str) -> Option<u32> {
        if let Some(&number) = self.functions.get(name) {
            return Some(number);
        }
        let mut found: Option<&'a Function<'a>> = None;
        let mut wanted = name;
        for item in &self.module.items {
            if let Item::Alias(alias, target) = item
                && *alias == name
            {
                wanted = target;
            }
        }
        for item in &self.module.items {
            if let Item::Function(f) = item
                && f.name == wanted
                && (found.is_none() || f.body.is_some())
            {
                found = Some(f);
            }
        }
        let function = found?;
        let number = self.bodies.len() as u32;
        self.functions.insert(function.name, number);
        self.bodies.push(Some(function));
        self.flat.functions.push(FlatFunction {
            name: function.name.to_owned(),
            ..FlatFunction::default()
        });
        Some(number)
    }

    /// The number that function `name` has already.
    pub(super) fn number_of(&self, name: &str) -> Option<u32> {
        self.functions.get(name).copied()
    }

    /// The function at hand calls what a register points to.
    pub(super) fn calls_indirectly(&mut self) {
        if let Some(caller) = self.flat.functions.get_mut(self.current as usize) {
            caller.indirect = true;
        }
    }

    /// Functions that stand in initialised tables may be called once anything calls indirectly.
    pub(super) fn take_tables(&mut self) {
        if !self.flat.functions.iter().any(|f| f.indirect) {
            return;
        }
        let mut names = Vec::new();
        for (_, variable) in &self.initial {
            if let Some(init) = &variable.init {
                addresses(init, &mut names);
            }
        }
        for name in names {
            if self.scopes.find(name).is_none()
                && let Some(number) = self.function_number(name)
                && let Some(function) = self.flat.functions.get_mut(number as usize)
            {
                function.taken = true;
            }
        }
    }

    /// Marks the functions that can reach themselves.
    pub(super) fn find_recursion(&mut self) {
        let functions = &self.flat.functions;
        let taken: Vec<u32> = (0u32..)
            .zip(functions)
            .filter(|(_, f)| f.taken)
            .map(|(n, _)| n)
            .collect();
        let next = |n: u32| {
            let function = functions.get(n as usize);
            let direct = function.map_or(&[][..], |f| &f.calls);
            let indirect = match function.is_some_and(|f| f.indirect) {
                true => &taken[..],
                false => &[],
            };
            direct.iter().chain(indirect).copied()
        };
        let recursive: Vec<bool> = (0..functions.len() as u32)
            .map(|start| {
                let mut seen = vec![false; functions.len()];
                let mut open: Vec<u32> = next(start).collect();
                while let Some(n) = open.pop() {
                    if let Some(flag) = seen.get_mut(n as usize)
                        && !std::mem::replace(flag, true)
                    {
                        open.extend(next(n));
                    }
                }
                seen.get(start as usize).copied().unwrap_or(false)
            })
            .collect();
        let insts = &self.flat.insts;
        let functions = self.flat.functions.iter_mut().enumerate();
        for ((number, function), recursive) in functions.zip(recursive) {
            // What a function takes from the stack it gives back when it returns.
            let body = function.start.unwrap_or(0) as usize..function.end as usize;
            let takes = |i: &FlatInst<'_>| i.opcode == "alloca";
            let grows = number > 0 && insts.get(body).is_some_and(|b| b.iter().any(takes));
            function.recursive = recursive || grows;
        }
    }

    /// The parameter variables of a call become those of the function, so that a call only jumps;
    /// unless the function is recursive, which copies them.
    pub(super) fn settle_calls(&mut self) {
        let mut moves = Vec::new();
        for inst in self.flat.insts.iter().filter(|i| i.opcode == "call") {
            let callee = inst
                .args
                .iter()
                .enumerate()
                .find_map(|(at, arg)| match arg {
                    Arg::Function(f) => self.flat.functions.get(*f as usize).map(|f| (at, f)),
                    _ => None,
                })
                .filter(|(_, f)| !f.recursive);
            let Some((at, function)) = callee else {
                continue;
            };
            for (position, arg) in inst.args.iter().enumerate() {
                let Arg::Params(actual) = arg else {
                    continue;
                };
                let formal = if position < at {
                    &function.returns
                } else {
                    &function.params
                };
                for pair in actual.iter().zip(formal) {
                    if let (Arg::Symbol(actual, _), Arg::Symbol(formal, _)) = pair {
                        moves.push((*actual, *formal));
                    }
                }
            }
        }
        for (actual, formal) in moves {
            let place = self.flat.symbols.get(formal as usize);
            let place = place.map(|s| (s.offset, s.owner));
            if let (Some(symbol), Some(place)) = (self.flat.symbols.get_mut(actual as usize), place)
            {
                (symbol.offset, symbol.owner) = place;
            }
        }
    }
}

/// The names whose addresses an initialiser holds.
fn addresses<'a>(init: &Init<'a>, out: &mut Vec<&'a str>) {
    match init {
        Init::List(list) => list.iter().for_each(|inner| addresses(inner, out)),
        Init::Address { name, .. } => out.push(name),
        Init::Number(_) => {}
    }
}
