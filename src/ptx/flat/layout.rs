//! Where variables lie in their spaces, and the images that initialisers make.

use super::resolve::Flattener;
use super::scope::Binding;
use super::{Fixup, Image, Symbol};
use crate::ptx::ast::{Init, Linkage, Number, Space, Type, Variable};

/// The most bytes that one variable may have; more is a slip of the pen.
const VARIABLE_BYTES_MAX: u64 = 1 << 32;

/// Bytes of all elements of `variable`; 0 for `[]`.
pub fn size(variable: &Variable<'_>) -> Option<u64> {
    let element = u64::from(variable.ty.bytes()).checked_mul(u64::from(variable.vector))?;
    let mut bytes = element;
    let dims = variable.dims.iter().enumerate();
    for (i, dim) in dims {
        let length = match (dim, &variable.init) {
            (Some(length), _) => *length,
            (None, Some(Init::List(list))) if i == 0 => list.len() as u64,
            (None, _) => 0,
        };
        bytes = bytes.checked_mul(length)?;
    }
    (bytes <= VARIABLE_BYTES_MAX).then_some(bytes)
}

fn alignment(variable: &Variable<'_>) -> u64 {
    let natural = u64::from(variable.ty.bytes().max(1)) * u64::from(variable.vector);
    u64::from(variable.align.unwrap_or(0)).max(natural.next_power_of_two())
}

/// `at` rounded up to a multiple of `align`.
fn align_up(at: u64, align: u64) -> u64 {
    at.next_multiple_of(align.max(1))
}

impl<'a> Flattener<'a> {
    /// Places a variable that is not a register and binds its name.
    pub(super) fn place(&mut self, variable: &Variable<'a>, entry_param: bool) -> Option<u32> {
        let bytes = size(variable)?;
        let align = alignment(variable);
        let flat = &mut self.flat;
        let end = match variable.space {
            Space::Param if entry_param => &mut flat.param_bytes,
            Space::Param | Space::Local => &mut flat.local_bytes,
            Space::Shared => &mut flat.shared_bytes,
            Space::Const => &mut self.constant_bytes,
            _ => &mut self.global_bytes,
        };
        // Global variables stand apart, so that running over one is noticed.
        let align = match variable.space {
            Space::Global => align.max(256),
            _ => align,
        };
        let offset = align_up(*end, align);
        let dynamic = variable.linkage == Linkage::Extern && variable.space == Space::Shared;
        if !dynamic {
            *end = offset.checked_add(bytes)?;
        }
        if variable.space == Space::Local {
            flat.local_variable_bytes += bytes;
        }
        let number = flat.symbols.len() as u32;
        flat.symbols.push(Symbol {
            name: variable.name.to_owned(),
            space: variable.space,
            entry_param,
            offset,
            bytes,
            linkage: variable.linkage,
            owner: self.current,
        });
        self.scopes.bind(variable.name, Binding::Symbol(number));
        if matches!(variable.space, Space::Global | Space::Const) {
            self.initial.push((number, variable.clone()));
        }
        Some(number)
    }

    /// Dynamic shared memory begins where the static part ends.
    pub(super) fn place_dynamic_shared(&mut self) {
        let start = align_up(self.flat.shared_bytes, 16);
        for symbol in &mut self.flat.symbols {
            if symbol.space == Space::Shared && symbol.linkage == Linkage::Extern {
                symbol.offset = start;
            }
        }
    }

    /// The images of initialised variables.
    pub(super) fn images(&mut self) -> Result<(), String> {
        let resized = |bytes: u64| {
            usize::try_from(bytes)
                .map(|n| vec![0; n])
                .map_err(|_| "module variables do not fit into memory".to_owned())
        };
        self.flat.global.bytes = resized(self.global_bytes)?;
        self.flat.constant.bytes = resized(self.constant_bytes)?;
        for (number, variable) in std::mem::take(&mut self.initial) {
            let Some(symbol) = self.flat.symbols.get(number as usize) else {
                continue;
            };
            let (at, bytes) = (symbol.offset, symbol.bytes);
            let mut image = std::mem::take(match variable.space {
                Space::Const => &mut self.flat.constant,
                _ => &mut self.flat.global,
            });
            if let Some(init) = &variable.init {
                let mut cursor = at;
                self.fill(&mut image, init, variable.ty, &mut cursor, at + bytes)?;
                image.initialised.push((at, bytes));
            } else if variable.space == Space::Const || variable.linkage != Linkage::Extern {
                // Module variables without initialiser are zero.
                image.initialised.push((at, bytes));
            }
            match variable.space {
                Space::Const => self.flat.constant = image,
                _ => self.flat.global = image,
            }
        }
        Ok(())
    }

    fn fill(
        &self,
        image: &mut Image,
        init: &Init<'a>,
        ty: Type,
        at: &mut u64,
        end: u64,
    ) -> Result<(), String> {
        let width = ty.bytes().max(1);
        if !matches!(init, Init::List(_)) && *at + u64::from(width) > end {
            return Err("an initialiser has more elements than its variable".to_owned());
        }
        match init {
            Init::List(list) => {
                for inner in list {
                    self.fill(image, inner, ty, at, end)?;
                }
                return Ok(());
            }
            Init::Number(number) => {
                let bits = number_bits(*number, ty);
                let start = *at as usize;
                let target = image.bytes.get_mut(start..start + width as usize);
                if let Some(target) = target {
                    for (i, byte) in target.iter_mut().enumerate() {
                        *byte = (bits >> (8 * i.min(7))) as u8;
                    }
                }
            }
            Init::Address {
                name,
                offset,
                generic,
                mask,
            } => {
                // The addresses of functions that nothing here can call stay zero.
                let target = match (self.scopes.find(name), self.number_of(name)) {
                    (Some(Binding::Symbol(symbol)), _) => Some((symbol, false)),
                    (None, Some(function)) => Some((function, true)),
                    _ => None,
                };
                if let Some((symbol, function)) = target {
                    image.fixups.push(Fixup {
                        at: *at,
                        bytes: width,
                        symbol,
                        function,
                        shift: mask.map_or(0, u64::trailing_zeros),
                        offset: *offset,
                        generic: *generic,
                    });
                }
            }
        }
        *at += u64::from(width);
        Ok(())
    }
}

/// The bits of a literal as a value of type `ty`.
pub fn number_bits(number: Number, ty: Type) -> u64 {
    match (number, ty) {
        (Number::Int(value), Type::F32) => u64::from((value as f32).to_bits()),
        (Number::Int(value), Type::F64) => (value as f64).to_bits(),
        (Number::Int(value), _) => value as u64,
        (Number::F32(bits), Type::F64) => f64::from(f32::from_bits(bits)).to_bits(),
        (Number::F32(bits), _) => u64::from(bits),
        (Number::F64(bits), Type::F64 | Type::B64 | Type::U64 | Type::S64) => bits,
        (Number::F64(bits), _) => u64::from((f64::from_bits(bits) as f32).to_bits()),
    }
}
