//! What must stay in order: which instructions nothing may pass, and which accesses may be of one place.

use crate::ptx::ast::{Space, Type};
use crate::ptx::exec::decode::decoded_shape;
use crate::ptx::flat::{Arg, Flat, FlatInst, Special};
use crate::ptx::lower::join::{Base, follow};
use crate::ptx::lower::values::Values;

/// Memory of which two accesses may be of the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Global,
    Shared,
    Local,
    Any,
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    window: Window,
    store: bool,
    // Base with offset and bytes, where both are known.
    place: Option<(Base, i64, i64)>,
}

impl Access {
    /// Whether it may write.
    pub fn stores(&self) -> bool {
        self.store
    }

    /// The register that the address is relative to.
    pub fn base(&self) -> Option<u32> {
        match self.place {
            Some((Base::Register(r), ..)) => Some(r),
            _ => None,
        }
    }

    /// Whether `self` and a later access may be of the same place, one of them writing it. `same_base`: nothing
    /// has written the base register in between.
    pub fn conflicts(&self, later: &Access, same_base: bool) -> bool {
        let apart = self.window != later.window
            && self.window != Window::Any
            && later.window != Window::Any;
        if apart || !(self.store || later.store) {
            return false;
        }
        match (self.place, later.place) {
            (Some((a, from, bytes)), Some((b, other, others))) if a == b && same_base => {
                from < other.saturating_add(others) && other < from.saturating_add(bytes)
            }
            _ => true,
        }
    }
}

/// How an instruction is bound to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only by its operands.
    Plain,
    /// Exchanges values between lanes: such instructions keep their order.
    Exchange,
    /// An access to memory.
    Memory(Access),
    /// Keeps its place among all accesses: atomic, volatile, or an asynchronous copy.
    Ordered,
    /// Nothing passes it.
    Fence,
}

/// How `inst` is bound to its place.
pub fn kind(flat: &Flat<'_>, values: &Values, inst: &FlatInst<'_>) -> Kind {
    match inst.opcode {
        "add" | "sub" | "mul" | "mad" | "fma" | "div" | "rem" | "min" | "max" | "abs" | "neg"
        | "sad" | "rcp" | "sqrt" | "rsqrt" | "sin" | "cos" | "lg2" | "ex2" | "tanh"
        | "copysign" | "addc" | "subc" | "madc" | "testp" | "and" | "or" | "xor" | "not"
        | "cnot" | "lop3" | "shf" | "shl" | "shr" | "bfe" | "bfi" | "bfind" | "brev" | "clz"
        | "popc" | "prmt" | "dp4a" | "dp2a" | "mul24" | "mad24" | "bmsk" | "szext" | "fns"
        | "setp" | "set" | "selp" | "slct" | "cvt" | "cvta" | "isspacep" | "mma" | "vadd"
        | "vsub" | "vabsdiff" | "vmin" | "vmax" | "vset" | "vadd2" | "vsub2" | "vavrg2"
        | "vabsdiff2" | "vmin2" | "vmax2" | "vset2" | "vadd4" | "vsub4" | "vavrg4"
        | "vabsdiff4" | "vmin4" | "vmax4" | "vset4" => Kind::Plain,
        "mov" if timed(inst) => Kind::Fence,
        "mov" => Kind::Plain,
        "shfl" | "vote" | "match" | "redux" | "activemask" | "elect" | "movmatrix" => {
            Kind::Exchange
        }
        "wmma" if inst.has("mma") => Kind::Plain,
        "ld" | "ldu" | "st" | "ldmatrix" | "stmatrix" | "wmma" => access(flat, values, inst),
        "atom" | "red" | "cp" | "prefetch" | "prefetchu" => Kind::Ordered,
        _ => Kind::Fence,
    }
}

/// Whether `inst` reads a clock.
fn timed(inst: &FlatInst<'_>) -> bool {
    matches!(
        inst.args.get(1),
        Some(Arg::Special(
            Special::Clock
                | Special::ClockHi
                | Special::Clock64
                | Special::GlobalTimer
                | Special::GlobalTimerLo
                | Special::GlobalTimerHi
        ))
    )
}

fn access(flat: &Flat<'_>, values: &Values, inst: &FlatInst<'_>) -> Kind {
    let ordered = ["volatile", "acquire", "release", "relaxed", "mmio"];
    if ordered.iter().any(|word| inst.has(word)) {
        return Kind::Ordered;
    }
    let store = matches!(inst.opcode, "st" | "stmatrix") || inst.has("store");
    let address = inst.args.iter().find_map(|arg| match arg {
        Arg::Address {
            base,
            symbol,
            offset,
        } => Some((*base, *symbol, *offset)),
        _ => None,
    });
    let symbol = address.and_then(|(_, symbol, _)| flat.symbols.get(symbol? as usize));
    let named = inst
        .modifiers
        .iter()
        .find_map(|m| match m.split("::").next() {
            Some("global") => Some(Space::Global),
            Some("shared") => Some(Space::Shared),
            Some("local") => Some(Space::Local),
            Some("const") => Some(Space::Const),
            Some("param") => Some(Space::Param),
            _ => None,
        });
    let window = match named.or(symbol.map(|s| s.space)) {
        Some(Space::Const) => return Kind::Plain,
        Some(Space::Param) => {
            // Those of the kernel never change; those of calls are part of the call.
            return match symbol {
                Some(symbol) if symbol.entry_param && !store => Kind::Plain,
                _ => Kind::Fence,
            };
        }
        Some(Space::Global) if inst.has("nc") => return Kind::Plain,
        Some(Space::Global) => Window::Global,
        Some(Space::Shared) => Window::Shared,
        Some(Space::Local) => Window::Local,
        _ => Window::Any,
    };
    // Matrix tiles are of all lanes' addresses.
    let plain = matches!(inst.opcode, "ld" | "ldu" | "st") && decoded_shape(inst).is_none();
    let place = match address.filter(|_| plain) {
        Some((Some(r), _, offset)) => {
            let (base, offset) = follow(flat, values, r, offset);
            Some((base, offset, bytes(inst)))
        }
        Some((None, Some(symbol), offset)) => Some((Base::Symbol(symbol), offset, bytes(inst))),
        _ => None,
    };
    Kind::Memory(Access {
        window,
        store,
        place,
    })
}

fn bytes(inst: &FlatInst<'_>) -> i64 {
    let ty = inst.modifiers.iter().rev().find_map(|t| Type::of(t));
    let lanes = match () {
        () if inst.has("v8") => 8,
        () if inst.has("v4") => 4,
        () if inst.has("v2") => 2,
        () => 1,
    };
    lanes * i64::from(ty.map_or(16, Type::bytes))
}
