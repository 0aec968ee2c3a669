//! Names that no file declares: special registers, the size of a warp, shared memory of the
//! system's own.

use super::resolve::Flattener;
use super::scope::{Binding, special};
use super::{Arg, Symbol};
use crate::ptx::ast::{Linkage, Name, Number, Space, WARP_SIZE};

/// Shared memory of a CTA that belongs to the system from sm_80 on; cooperative groups keep the
/// barriers of their tiles there.
const RESERVED_BYTES: u64 = 1024;
const RESERVED: &str = "%reserved_smem";

impl<'a> Flattener<'a> {
    /// What `name` means where nothing declares it.
    pub(super) fn builtin(&mut self, name: &Name<'a>) -> Option<Arg> {
        if name.name == "WARP_SZ" {
            return Some(Arg::Imm(Number::Int(name.offset.wrapping_add(WARP_SIZE))));
        }
        if let Some(place) = name.name.strip_prefix("%reserved_smem_offset_") {
            let offset = match place {
                "cap" => return Some(Arg::Imm(Number::Int(RESERVED_BYTES as i64))),
                "end" => RESERVED_BYTES as i64,
                _ => 0,
            };
            return Some(Arg::Symbol(self.reserved_shared(), offset));
        }
        self.flat.cooperative |= name.name.starts_with("%envreg");
        special(name.name, name.component).map(Arg::Special)
    }

    /// The reserved part of shared memory, which only kernels that name it get.
    fn reserved_shared(&mut self) -> u32 {
        let known = self.flat.symbols.iter().position(|s| s.name == RESERVED);
        if let Some(number) = known {
            return number as u32;
        }
        let offset = self.flat.shared_bytes.next_multiple_of(128);
        self.flat.shared_bytes = offset + RESERVED_BYTES;
        self.flat.symbols.push(Symbol {
            name: RESERVED.to_owned(),
            space: Space::Shared,
            entry_param: false,
            offset,
            bytes: RESERVED_BYTES,
            linkage: Linkage::Local,
            owner: 0,
        });
        self.flat.symbols.len() as u32 - 1
    }

    /// What `name` is bound to. Shared variables of the module get their place here: those that
    /// only other kernels use take none.
    pub(super) fn find(&mut self, name: &str) -> Option<Binding> {
        if let Some(found) = self.scopes.find(name) {
            return Some(found);
        }
        let variable = self.shared.remove(name)?;
        let binding = Binding::Symbol(self.place(variable, false)?);
        self.scopes.bind_module(variable.name, binding);
        Some(binding)
    }
}
