//! Memory operation of a mnemonic: kind, space, width, cache operator.

use super::{Mnemonic, Raw};
use crate::isa::{CacheOp, MemKind, MemOp, MemSpace, PrefetchHint, RegFile};

/// Bytes per lane that the modifiers name; 4 without a width.
pub fn width_bytes(name: &Mnemonic<'_>) -> u8 {
    if matches!(name.base, "LDSM" | "STSM") {
        return 4 * matrices(name);
    }
    let packed = name
        .modifiers()
        .any(|m| m.ends_with("x2") || m.ends_with("X2") || m == "BF16_V2");
    for modifier in name.modifiers() {
        match modifier {
            "U8" | "S8" | "8" => return 1,
            "U16" | "S16" | "16" | "F16" | "BF16" if !packed => return 2,
            "64" | "U64" | "S64" | "F64" => return 8,
            "128" | "256" => return 16,
            _ => {}
        }
    }
    4
}

/// 8 × 8 matrices of an `LDSM` or `STSM`; each is one register a lane.
fn matrices(name: &Mnemonic<'_>) -> u8 {
    match name.modifiers().last() {
        Some("4") => 4,
        Some("2") => 2,
        _ => 1,
    }
}

/// The operation of a memory-class instruction; `None` when the trace has no addresses for it.
pub fn operation(name: &Mnemonic<'_>, raw: &Raw<'_>) -> Option<MemOp> {
    let (kind, space) = kind_and_space(name.base)?;
    if space != MemSpace::Constant && !raw.addressed {
        return None;
    }
    Some(MemOp {
        kind,
        space,
        width_bytes: width_bytes(name),
        cache: cache_operator(name, kind),
        uniform_address: uniform_address(name, kind, raw),
        cas: name.has("CAS") || name.has("CAST"),
    })
}

fn kind_and_space(base: &str) -> Option<(MemKind, MemSpace)> {
    use MemKind::*;
    use MemSpace::*;
    Some(match base {
        "LD" => (Load, Generic),
        "LDG" | "LDU" => (Load, Global),
        "LDL" => (Load, Local),
        "LDS" | "LDSLK" => (Load, Shared),
        "LDSM" => (LoadMatrix, Shared),
        "LDC" | "LDCU" | "ULDC" => (Load, Constant),
        "LDGSTS" => (CpAsync, Global),
        "ST" => (Store, Generic),
        "STG" => (Store, Global),
        "STL" => (Store, Local),
        "STS" | "STSCUL" => (Store, Shared),
        "STSM" => (StoreMatrix, Shared),
        "ATOM" => (Atomic, Generic),
        "ATOMG" => (Atomic, Global),
        "ATOMS" => (Atomic, Shared),
        "RED" | "REDG" => (Reduction, Global),
        _ => return None,
    })
}

fn cache_operator(name: &Mnemonic<'_>, kind: MemKind) -> CacheOp {
    if kind == MemKind::CpAsync {
        // cp.async.cg passes L1 by; .ACCESS (cp.async.ca) does not.
        return if name.has("BYPASS") {
            CacheOp::Global
        } else {
            CacheOp::All
        };
    }
    let strong = name.has("STRONG");
    if name.has("MMIO") || name.has("CV") || strong && name.has("SYS") {
        CacheOp::Volatile
    } else if name.has("CG") || name.has("BYPASS") || strong && name.has("GPU") {
        CacheOp::Global
    } else if name.has("EF") || name.has("NA") || name.has("CS") {
        CacheOp::Streaming
    } else if name.has("LU") {
        CacheOp::LastUse
    } else {
        CacheOp::All
    }
}

/// What the mnemonic `text` asks L2 to fetch beyond its data.
pub fn prefetch_hint(text: &str) -> PrefetchHint {
    let mut modifiers = Mnemonic::new(text).modifiers();
    modifiers
        .find_map(|modifier| match modifier {
            "LTC64B" => Some(PrefetchHint::Half),
            "LTC128B" => Some(PrefetchHint::Line),
            "LTC256B" => Some(PrefetchHint::Pair),
            _ => None,
        })
        .unwrap_or_default()
}

/// A load without a general base register, or a store with its data register alone, takes its
/// address from a uniform register, a constant or an immediate.
fn uniform_address(name: &Mnemonic<'_>, kind: MemKind, raw: &Raw<'_>) -> bool {
    if matches!(name.base, "LDCU" | "ULDC") {
        return true;
    }
    let general = raw
        .src
        .iter()
        .filter(|s| s.file == RegFile::General)
        .count();
    let data = match kind {
        MemKind::Load | MemKind::LoadMatrix | MemKind::CpAsync => 0,
        MemKind::Atomic if name.has("CAS") => 2,
        MemKind::Atomic if name.has("POPC") => 0,
        MemKind::Store | MemKind::StoreMatrix | MemKind::Atomic | MemKind::Reduction => 1,
    };
    general <= data && !matches!(kind, MemKind::CpAsync)
}
