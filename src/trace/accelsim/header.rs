//! The header of a trace file: `-key = value` lines in any order.

use super::fields::{Fault, decimal, excerpt, hexadecimal};
use super::line::Layout;
use crate::isa::{SASS_VERSIONS, known_sass_versions};
use crate::trace::kernel::{Dim3, KernelHeader};
use crate::trace::source::Source;

/// CTAs of a grid, threads of a block: more is refused before anything is allocated.
const GRID_MAX: u64 = 1 << 40;
const BLOCK_MAX: u64 = 1024;

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHeader {
    /// The launch.
    pub kernel: KernelHeader,
    /// How instruction lines look.
    pub layout: Layout,
    grid: bool,
    block: bool,
}

impl TraceHeader {
    /// A header before its first line, from `source`.
    pub fn new(source: &str) -> Self {
        TraceHeader {
            kernel: KernelHeader {
                name: String::new(),
                id: 0,
                grid: [0; 3],
                block: [0; 3],
                cluster: [1; 3],
                registers_per_thread: 0,
                smem_bytes: 0,
                stream: 0,
                sm_version: 0,
                shared_base: 0,
                local_base: 0,
                source: Source::accel_sim(source),
            },
            layout: Layout::default(),
            grid: false,
            block: false,
        }
    }

    /// Takes in one `-key = value` line; unknown keys are passed over.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let text = std::str::from_utf8(line)
            .map_err(|e| Fault::new(e.valid_up_to(), "the header is not text"))?;
        let Some((key, value)) = text.split_once('=') else {
            let what = format!("{} where \"-key = value\" is expected", excerpt(line));
            return Err(Fault::new(0, what));
        };
        let at = key.len() + 1;
        let value = value.trim();
        let mut words = key.trim_start_matches('-').split_ascii_whitespace();
        let key = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let kernel = &mut self.kernel;
        match key {
            ("kernel", "name") => kernel.name = value.to_string(),
            ("kernel", "id") => kernel.id = number(value, at, u32::MAX.into())? as u32,
            ("grid", "dim") => {
                kernel.grid = dimensions(value, at, GRID_MAX)?;
                self.grid = true;
            }
            ("block", "dim") => {
                kernel.block = dimensions(value, at, BLOCK_MAX)?;
                self.block = true;
            }
            ("cluster", "dim") => kernel.cluster = dimensions(value, at, 1024)?,
            ("shmem", "") => kernel.smem_bytes = number(value, at, 1 << 30)? as u32,
            ("nregs", _) => kernel.registers_per_thread = number(value, at, 1024)? as u16,
            ("binary", "version") => kernel.sm_version = architecture(value, at)?,
            ("cuda", "stream") => kernel.stream = number(value, at, u64::MAX)?,
            ("shmem", "base_addr") => kernel.shared_base = address(value, at)?,
            ("local", "mem") => kernel.local_base = address(value, at)?,
            ("accelsim", "tracer") => self.layout.version = number(value, at, 1000)? as u32,
            ("enable", "lineinfo") => self.layout.lineinfo = number(value, at, 1)? == 1,
            _ => {}
        }
        Ok(())
    }

    /// Checks that the header is complete.
    pub fn finish(&self) -> Result<(), Fault> {
        let missing = match (self.grid, self.block) {
            (false, _) => "-grid dim",
            (_, false) => "-block dim",
            _ if self.layout.version > 6 => {
                return Err(Fault {
                    remedy: "convert it with a tracer of version 3 to 6",
                    ..Fault::new(
                        0,
                        format!("tracer version {}, at most 6 is known", self.layout.version),
                    )
                });
            }
            _ => return Ok(()),
        };
        Err(Fault::new(
            0,
            format!("the header ends without \"{missing} = (x,y,z)\""),
        ))
    }
}

fn number(value: &str, at: usize, max: u64) -> Result<u64, Fault> {
    decimal(value.as_bytes())
        .filter(|&v| v <= max)
        .ok_or_else(|| {
            let found = excerpt(value.as_bytes());
            Fault::new(
                at,
                format!("{found} where a number up to {max} is expected"),
            )
        })
}

/// A SASS version; 0 is what tools write that do not know it.
fn architecture(value: &str, at: usize) -> Result<u16, Fault> {
    let version = number(value, at, u16::MAX.into())? as u16;
    if version == 0 || SASS_VERSIONS.contains(&version) {
        return Ok(version);
    }
    let known = known_sass_versions();
    Err(Fault {
        remedy: "record the trace again, or correct the line",
        ..Fault::new(
            at,
            format!("binary version {version} is no architecture; known are {known}"),
        )
    })
}

fn address(value: &str, at: usize) -> Result<u64, Fault> {
    hexadecimal(value.as_bytes()).ok_or_else(|| {
        let found = excerpt(value.as_bytes());
        Fault::new(
            at,
            format!("{found} where a hexadecimal address is expected"),
        )
    })
}

/// `(x,y,z)` or `x,y,z`.
pub fn triple(value: &str) -> Option<Dim3> {
    let inner = value.trim();
    let inner = match inner.strip_prefix('(') {
        Some(open) => open.strip_suffix(')')?,
        None => inner,
    };
    let mut parts = inner.split(',').map(|p| {
        let value = decimal(p.trim().as_bytes())?;
        u32::try_from(value).ok()
    });
    let dims = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(dims)
}

fn dimensions(value: &str, at: usize, max: u64) -> Result<Dim3, Fault> {
    let product = |d: &Dim3| {
        d.iter()
            .try_fold(1u64, |p, &d| p.checked_mul(u64::from(d)))
            .unwrap_or(u64::MAX)
    };
    triple(value)
        .filter(|d| (1..=max).contains(&product(d)))
        .ok_or_else(|| {
            let found = excerpt(value.as_bytes());
            Fault::new(
                at,
                format!("{found} where (x,y,z) with a product of 1 to {max} is expected"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Result<TraceHeader, Fault> {
        let mut header = TraceHeader::new("t");
        for line in lines {
            header.line(line.as_bytes())?;
        }
        header.finish().map(|()| header)
    }

    #[test]
    fn keys_come_in_any_order() {
        let h = parse(&[
            "-accelsim tracer version = 5",
            "-block dim = (32,2,1)",
            "-shmem base_addr = 0x00007f0000000000",
            "-grid dim = (4,5,6)",
            "-kernel name = a = b",
            "-something new = 9",
            "-shmem = 1024",
        ])
        .unwrap();
        assert_eq!(h.kernel.grid, [4, 5, 6]);
        assert_eq!(h.kernel.name, "a = b");
        assert_eq!(
            (h.kernel.smem_bytes, h.kernel.shared_base),
            (1024, 0x7f00_0000_0000)
        );
        assert_eq!(h.layout.version, 5);
    }

    #[test]
    fn absurd_or_missing_values_are_refused() {
        let grid = "-grid dim = (1,1,1)";
        let block = "-block dim = (32,1,1)";
        assert!(parse(&[grid]).is_err());
        assert!(parse(&[block]).is_err());
        assert!(parse(&[grid, "-block dim = (2048,1,1)"]).is_err());
        assert!(parse(&["-grid dim = (0,1,1)", block]).is_err());
        assert!(parse(&["-grid dim = (4294967295,4294967295,4294967295)", block]).is_err());
        assert!(parse(&[grid, block, "-nregs = -1"]).is_err());
        assert!(parse(&[grid, block, "-accelsim tracer version = 7"]).is_err());
        let version = parse(&[grid, block, "-binary version = 7000"]).unwrap_err();
        assert!(version.what.contains("7000") && version.what.contains(" 70, 72, 75,"));
        assert!(parse(&[grid, block, "-binary version = 90"]).is_ok());
        assert!(parse(&[grid, block]).is_ok());
    }
}
