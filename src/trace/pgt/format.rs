//! What a `.pgt` file consists of, and the checks that make its index trustworthy.

use super::blocks::Frame;
use crate::isa::{OpClass, SASS_VERSIONS, StaticInst, known_sass_versions};
use crate::trace::kernel::{Code, KernelHeader, Totals};
use crate::trace::lines::Lines;
use crate::trace::pattern::LanePattern;
use bincode::{Decode, Encode};

/// First bytes of a file. Like PNG's, they show damage by text-mode transfer.
pub const MAGIC: [u8; 8] = *b"PGT\r\n\x1a\n\0";
/// Last bytes of a file.
pub const END_MAGIC: [u8; 8] = *b"PGT-END\n";
/// A file without lines of source; the footer has this number in all versions.
pub const VERSION: u32 = 1;
/// A file whose index has [`Sources`] behind it.
pub const VERSION_WITH_LINES: u32 = 2;
/// Bytes before the first kernel body.
pub const HEAD_BYTES: u64 = 16;
/// Bytes after the index.
pub const FOOTER_BYTES: u64 = 32;
/// No index may be larger when unpacked, nor make the decoder allocate more.
pub const INDEX_BYTES_MAX: usize = 1 << 30;

/// No operand spans more registers: fragments of matrices have the most.
const OPERAND_REGISTERS_MAX: u8 = 16;

/// The index of a file.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Index {
    /// Program and version that wrote it.
    pub tool: String,
    /// The source of the workload as it was named then.
    pub source: String,
    /// Content hash of the workload.
    pub hash: String,
    /// Notes of the import.
    pub notes: Vec<String>,
    /// Distinct kernels.
    pub kernels: Vec<KernelEntry>,
    /// Commands in program order.
    pub commands: Vec<CommandEntry>,
}

/// The lines of source of each kernel of the index, where they are known.
pub type Sources = Vec<Option<Lines>>;

/// One distinct kernel.
#[derive(Clone, Debug, Encode, Decode)]
pub struct KernelEntry {
    /// The launch.
    pub header: KernelHeader,
    /// Static code.
    pub code: Code,
    /// Totals.
    pub totals: Totals,
    /// First byte of its body.
    pub base: u64,
    /// Bytes of its body.
    pub bytes: u64,
    /// Head frames.
    pub frames: Vec<Frame>,
}

/// One command.
#[derive(Clone, Debug, Encode, Decode)]
pub enum CommandEntry {
    /// A copy to the device.
    Copy {
        /// First byte.
        address: u64,
        /// Length.
        bytes: u64,
    },
    /// Launch of a kernel of the index.
    Launch {
        /// Its number.
        kernel: u32,
    },
}

/// The fixed last bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// First byte of the index.
    pub offset: u64,
    /// Its bytes in the file.
    pub packed: u32,
    /// Its bytes unpacked.
    pub raw: u32,
    /// CRC-32 of the packed bytes.
    pub crc: u32,
}

impl Footer {
    /// The footer's bytes.
    pub fn to_bytes(self) -> [u8; FOOTER_BYTES as usize] {
        let mut out = [0; FOOTER_BYTES as usize];
        out[..8].copy_from_slice(&self.offset.to_le_bytes());
        out[8..12].copy_from_slice(&self.packed.to_le_bytes());
        out[12..16].copy_from_slice(&self.raw.to_le_bytes());
        out[16..20].copy_from_slice(&self.crc.to_le_bytes());
        out[20..24].copy_from_slice(&VERSION.to_le_bytes());
        out[24..].copy_from_slice(&END_MAGIC);
        out
    }

    /// The footer in `bytes`; `None` without its magic.
    pub fn from_bytes(bytes: &[u8; FOOTER_BYTES as usize]) -> Option<Self> {
        let u32_at = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        (bytes[24..] == END_MAGIC && u32_at(20) == VERSION).then(|| Footer {
            offset: u64::from(u32_at(0)) | u64::from(u32_at(4)) << 32,
            packed: u32_at(8),
            raw: u32_at(12),
            crc: u32_at(16),
        })
    }
}

/// Checks one kernel of an index, so that nothing behind the reader meets an impossible one.
pub fn check_kernel(kernel: &KernelEntry) -> Result<(), String> {
    let header = &kernel.header;
    let product = |dims: &[u32; 3]| {
        dims.iter()
            .try_fold(1u64, |p, &d| p.checked_mul(u64::from(d)))
            .unwrap_or(u64::MAX)
    };
    let limits = [
        ("grid", &header.grid, 1 << 40),
        ("block", &header.block, 1024),
        ("cluster", &header.cluster, 1 << 20),
    ];
    for (name, dims, max) in limits {
        if !(1..=max).contains(&product(dims)) {
            return Err(format!("{name} {dims:?}, its product must be 1 to {max}"));
        }
    }
    let version = header.sm_version;
    if version != 0 && !SASS_VERSIONS.contains(&version) {
        let known = known_sass_versions();
        return Err(format!(
            "sm_{version} is no architecture; known are {known}"
        ));
    }
    for (number, inst) in kernel.code.insts.iter().enumerate() {
        check_inst(inst, &kernel.code).map_err(|what| format!("instruction {number}: {what}"))?;
    }
    for (number, pattern) in kernel.code.patterns.iter().enumerate() {
        check_pattern(pattern).map_err(|what| format!("pattern {number}: {what}"))?;
    }
    let mut next = 0;
    for frame in &kernel.frames {
        let end = frame.offset.checked_add(u64::from(frame.packed));
        if frame.first_cta != next || frame.ctas == 0 || end.is_none_or(|e| e > kernel.bytes) {
            return Err(format!("frame of thread block {next} is out of place"));
        }
        next += u64::from(frame.ctas);
    }
    if next != header.cta_count() {
        return Err(format!(
            "{next} thread blocks in a grid of {}",
            header.cta_count()
        ));
    }
    Ok(())
}

fn check_inst(inst: &StaticInst, code: &Code) -> Result<(), String> {
    if usize::from(inst.mnemonic) >= code.mnemonics.len() {
        return Err(format!("no mnemonic {}", inst.mnemonic));
    }
    if (inst.class == OpClass::Memory) != inst.mem.is_some()
        || (inst.class == OpClass::Tensor) != inst.tensor.is_some()
    {
        return Err(format!("class {:?} with the wrong detail", inst.class));
    }
    let width = inst.mem.map_or(4, |m| m.width_bytes);
    check_width(width)?;
    let ranges = inst.dst.iter().chain(&inst.src);
    for range in ranges {
        let end = u16::from(range.first) + u16::from(range.count);
        if end > 256 || range.count > OPERAND_REGISTERS_MAX {
            return Err(format!(
                "registers from {} on: {}",
                range.first, range.count
            ));
        }
    }
    if inst
        .tensor
        .is_some_and(|t| t.m == 0 || t.n == 0 || t.k == 0)
    {
        return Err("an empty matrix shape".into());
    }
    Ok(())
}

fn check_width(width: u8) -> Result<(), String> {
    match width {
        1 | 2 | 4 | 8 | 16 => Ok(()),
        _ => Err(format!("{width} bytes a lane")),
    }
}

fn check_pattern(pattern: &LanePattern) -> Result<(), String> {
    // Wider lanes would touch more lines than the machine has room for.
    check_width(pattern.width_bytes)?;
    let lanes = pattern.mask.count_ones() as usize;
    if lanes == 0 || pattern.offsets.len() != lanes || pattern.offsets[0] != 0 {
        return Err(format!(
            "{} offsets for mask {:08x}, the first must be 0",
            pattern.offsets.len(),
            pattern.mask
        ));
    }
    Ok(())
}
