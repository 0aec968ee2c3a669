//! One instruction line: its static fields and its addresses.
//!
//! ```text
//! [tb_x tb_y tb_z warp] [line] pc mask n [dst…] OPCODE n [src…] [gmma] width [mode addresses…] [imm…]
//! ```

use super::fields::{Fault, Fields, decimal, excerpt};
use crate::isa::RegFile;
use crate::isa::opcode::Operand;

/// How the lines of a file are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Tracer version: below 3 four thread fields lead, from 5 an immediate trails, 6 has values.
    pub version: u32,
    /// A source line number leads.
    pub lineinfo: bool,
}

/// The most registers that a line may name on each side.
pub const OPERANDS_MAX: usize = 8;

/// Registers of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operands {
    list: [Operand; OPERANDS_MAX],
    count: usize,
}

impl Operands {
    /// As a slice.
    pub fn as_slice(&self) -> &[Operand] {
        &self.list[..self.count]
    }
}

/// The static fields of a line.
#[derive(Clone, Copy, Debug)]
pub struct StaticFields<'a> {
    /// Everything before the mask.
    pub prefix: &'a [u8],
    /// Byte offset of the instruction.
    pub pc: u32,
    /// Active lanes.
    pub mask: u32,
    /// Destinations.
    pub dst: Operands,
    /// Full mnemonic.
    pub opcode: &'a str,
    /// Sources.
    pub src: Operands,
    /// The tracer's memory width: 0 means no addresses.
    pub width: u64,
    /// From the end of the mask to the end of the width.
    pub rest: &'a [u8],
    /// Where the dynamic fields begin.
    pub end: usize,
}

/// Cuts the static fields of `line`.
pub fn static_fields(line: &[u8], layout: Layout) -> Result<StaticFields<'_>, Fault> {
    let mut f = Fields::new(line, 0);
    if layout.version < 3 {
        for name in ["block x", "block y", "block z", "a warp number"] {
            f.decimal(name)?;
        }
    }
    if layout.lineinfo {
        f.decimal("a source line number")?;
    }
    let pc = f.hexadecimal("a hexadecimal pc")?;
    let pc = u32::try_from(pc)
        .map_err(|_| Fault::new(0, format!("pc {pc:#x} is beyond 4 GiB of code")))?;
    f.skip_space();
    let prefix = &line[..f.at];
    let mask = f.hexadecimal("a hexadecimal lane mask")?;
    let mask =
        u32::try_from(mask).map_err(|_| Fault::new(f.at, "the lane mask has more than 32 bits"))?;
    let rest_from = f.at;
    let dst = operands(&mut f, "a number of destination registers")?;
    let opcode = f.token();
    let opcode = std::str::from_utf8(opcode)
        .ok()
        .filter(|o| o.starts_with(|c: char| c.is_ascii_alphabetic()) && o.len() <= 120)
        .ok_or_else(|| f.fault(opcode, "an opcode"))?;
    let src = operands(&mut f, "a number of source registers")?;
    if layout.version >= 6 && opcode.contains("GMMA") {
        f.decimal("a commit-group flag")?;
    }
    let width = f.decimal("a memory width")?;
    Ok(StaticFields {
        prefix,
        pc,
        mask,
        dst,
        opcode,
        src,
        width,
        rest: &line[rest_from..f.at],
        end: f.at,
    })
}

fn operands(f: &mut Fields<'_>, expected: &str) -> Result<Operands, Fault> {
    let count = f.decimal(expected)?;
    if count > OPERANDS_MAX as u64 {
        let what = format!("{count} registers on one side, at most {OPERANDS_MAX}");
        return Err(Fault::new(f.at, what));
    }
    let mut out = Operands::default();
    for slot in out.list.iter_mut().take(count as usize) {
        let token = f.token();
        *slot = register(token).ok_or_else(|| f.fault(token, "a register"))?;
    }
    out.count = count as usize;
    Ok(out)
}

fn register(token: &[u8]) -> Option<Operand> {
    let letters = token.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let (name, digits) = token.split_at(letters);
    let (file, zero) = match name {
        b"R" => (RegFile::General, false),
        b"RZ" => (RegFile::General, true),
        b"UR" => (RegFile::Uniform, false),
        b"URZ" => (RegFile::Uniform, true),
        b"P" => (RegFile::Predicate, false),
        b"PT" => (RegFile::Predicate, true),
        b"UP" => (RegFile::UniformPredicate, false),
        b"UPT" => (RegFile::UniformPredicate, true),
        _ => return None,
    };
    let number = match (zero, digits.is_empty()) {
        (true, true) => 255,
        (false, false) => u16::try_from(decimal(digits)?).ok()?,
        _ => return None,
    };
    // Some tracers of version 5 name uniform registers as R256 and on.
    match file {
        RegFile::General if number >= 256 => Some(Operand {
            file: RegFile::Uniform,
            number: number - 256,
        }),
        _ => Some(Operand { file, number }),
    }
}

/// How the addresses of a line were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One by one, or by differences.
    Each,
    /// Base and stride over the active lanes.
    Stride(i64),
}

/// Reads mode and addresses of the lanes in `mask` into `out`, active lanes only.
#[inline]
pub fn addresses(f: &mut Fields<'_>, mask: u32, out: &mut [u64; 32]) -> Result<Mode, Fault> {
    let lanes = mask.count_ones() as usize;
    match f.decimal("an address mode")? {
        0 => {
            for slot in &mut out[..lanes] {
                *slot = f.hexadecimal("an address for each active lane")?;
            }
            Ok(Mode::Each)
        }
        1 => {
            let base = f.hexadecimal("a base address")?;
            let stride = f.signed("a stride")?;
            for (lane, slot) in out[..lanes].iter_mut().enumerate() {
                *slot = base.wrapping_add((stride as u64).wrapping_mul(lane as u64));
            }
            Ok(Mode::Stride(stride))
        }
        2 => {
            let mut address = f.hexadecimal("a base address")?;
            for (lane, slot) in out[..lanes].iter_mut().enumerate() {
                if lane > 0 {
                    let delta = f.signed("a difference for each further active lane")?;
                    address = address.wrapping_add(delta as u64);
                }
                *slot = address;
            }
            Ok(Mode::Each)
        }
        mode => Err(Fault::new(
            f.at,
            format!("address mode {mode}, expected 0 (list), 1 (stride) or 2 (differences)"),
        )),
    }
}

/// Reads what follows the addresses: the immediate from version 5 on; checks that no more follows.
#[inline]
pub fn tail(f: &mut Fields<'_>, layout: Layout) -> Result<u64, Fault> {
    if layout.version >= 5 {
        if f.at_end() {
            return Ok(0);
        }
        let imm = f.signed("an immediate")? as u64;
        if layout.version >= 6 {
            // A second immediate and register values may follow; neither is used.
            f.at += f.remaining().len();
            return Ok(imm);
        }
        return end(f).map(|()| imm);
    }
    // Some writers add one difference more than there are lanes, others an immediate.
    if !f.at_end() {
        f.signed("the end of the line")?;
    }
    end(f).map(|()| 0)
}

#[inline]
fn end(f: &mut Fields<'_>) -> Result<(), Fault> {
    if f.at_end() {
        return Ok(());
    }
    let what = format!(
        "{} after the last field of the line",
        excerpt(f.remaining())
    );
    Err(Fault::new(f.at, what))
}

/// Bulk-copy instructions whose version-6 lines have fields of their own, which are not used.
pub fn is_bulk_copy(opcode: &str) -> bool {
    [
        "UTMALDG", "UTMASTG", "UTMAPF", "UTMAREDG", "UBLKCP", "UBLKPF", "UBLKRED",
    ]
    .iter()
    .any(|name| opcode.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V4: Layout = Layout {
        version: 4,
        lineinfo: false,
    };

    fn lanes(text: &str, mask: u32, version: u32) -> Result<(Vec<u64>, u64), Fault> {
        let layout = Layout { version, ..V4 };
        let mut f = Fields::new(text.as_bytes(), 0);
        let mut out = [0; 32];
        addresses(&mut f, mask, &mut out)?;
        let imm = tail(&mut f, layout)?;
        Ok((out[..mask.count_ones() as usize].to_vec(), imm))
    }

    #[test]
    fn every_address_mode() {
        assert_eq!(lanes("0 0x10 0x30", 0x11, 4), Ok((vec![0x10, 0x30], 0)));
        assert_eq!(lanes("1 0x10 -8", 0b111, 4), Ok((vec![16, 8, 0], 0)));
        assert_eq!(lanes("2 0x10 4 -8 ", 0b1011, 4), Ok((vec![16, 20, 12], 0)));
        assert_eq!(lanes("2 0x10", 0x80, 4), Ok((vec![16], 0)));
        assert_eq!(lanes("2 0x10 7", 0x80, 5), Ok((vec![16], 7)));
        assert_eq!(lanes("2 0x10 7", 0x80, 4), Ok((vec![16], 0)));
        assert!(lanes("3 0x10", 1, 4).is_err());
        assert!(lanes("0 0x10", 3, 4).is_err());
        assert_eq!(lanes("1 0x10 4 9", 3, 4), Ok((vec![16, 20], 0)));
        assert!(lanes("1 0x10 4 9 9", 3, 4).is_err());
        assert!(lanes("1 0x10 4 9 9", 3, 5).is_err());
    }

    #[test]
    fn every_layout() {
        let cut = |line: &'static str, version, lineinfo| {
            static_fields(line.as_bytes(), Layout { version, lineinfo })
        };
        let f = cut("0030 ffff0000 1 R0 LDG.E 1 R4 4 1 0x10 4", 4, false).unwrap();
        assert_eq!(
            (f.pc, f.mask, f.opcode, f.width),
            (0x30, 0xffff_0000, "LDG.E", 4)
        );
        assert_eq!(f.rest, b" 1 R0 LDG.E 1 R4 4");
        let f = cut("0 1 2 3 0030 00000001 0 EXIT 0 0", 2, false).unwrap();
        assert_eq!((f.pc, f.opcode), (0x30, "EXIT"));
        let f = cut("77 0030 00000001 0 EXIT 0 0", 4, true).unwrap();
        assert_eq!((f.pc, f.prefix), (0x30, &b"77 0030 "[..]));
        let f = cut("0030 1 1 P0 ISETP 3 R1 UR4 UP0 0 5 NoVal", 6, false).unwrap();
        assert_eq!(f.dst.as_slice()[0].file, RegFile::Predicate);
        assert_eq!(f.src.as_slice()[1].file, RegFile::Uniform);
        let f = cut("0030 1 0 HGMMA.64x8x16.F32 1 R24 1 0 3 NoVal", 6, false).unwrap();
        assert_eq!(f.width, 0);
        let f = cut("0030 1 1 R260 R2UR 1 RZ 0", 5, false).unwrap();
        assert_eq!(f.dst.as_slice()[0].file, RegFile::Uniform);
        assert!(f.src.as_slice()[0].is_zero());
        for bad in [
            "",
            "zz",
            "0030 fffffffff 0 X 0 0",
            "0030 f 9",
            "0030 f 1 Q1 X 0 0",
            "0 f 0 9X 0 0",
        ] {
            assert!(cut(bad, 4, false).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(line in prop::collection::vec(any::<u8>(), 0..80), version in 0u32..8) {
            let layout = Layout { version, lineinfo: version == 4 };
            if let Ok(fields) = static_fields(&line, layout) {
                let mut f = Fields::new(&line, fields.end);
                let mut out = [0; 32];
                let _ = addresses(&mut f, fields.mask, &mut out);
                let _ = tail(&mut f, layout);
            }
        }
    }
}
