//! Element types and initial content of buffers.

use crate::error::{Error, Result, input};
use crate::ptx::exec::numeric::{Round, Small, from_small, to_small};
use std::path::PathBuf;

/// Type of a scalar, or of the elements of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

const ALL: [(Element, &str); 12] = [
    (Element::I8, "i8"),
    (Element::U8, "u8"),
    (Element::I16, "i16"),
    (Element::U16, "u16"),
    (Element::I32, "i32"),
    (Element::U32, "u32"),
    (Element::I64, "i64"),
    (Element::U64, "u64"),
    (Element::F16, "f16"),
    (Element::Bf16, "bf16"),
    (Element::F32, "f32"),
    (Element::F64, "f64"),
];

impl Element {
    /// The type called `name`.
    pub fn of(name: &str) -> Option<Element> {
        ALL.iter().find(|(_, n)| *n == name).map(|(e, _)| *e)
    }

    /// All names.
    pub fn names() -> String {
        ALL.map(|(_, n)| n).join(", ")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(e, _)| *e == self).map_or("", |(_, n)| n)
    }

    /// Bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Element::I8 | Element::U8 => 1,
            Element::I16 | Element::U16 | Element::F16 | Element::Bf16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::U64 | Element::F64 => 8,
        }
    }

    /// Whether it is a floating-point type.
    pub fn float(self) -> bool {
        matches!(
            self,
            Element::F16 | Element::Bf16 | Element::F32 | Element::F64
        )
    }

    /// The bits of an integer, if it fits: in a floating-point type, without rounding.
    pub fn from_integer(self, value: i64) -> Option<u64> {
        if self.float() {
            let bits = self.from_number(value as f64);
            return (self.number(bits) as i128 == i128::from(value)).then_some(bits);
        }
        let ones = u64::MAX >> (64 - 8 * self.bytes());
        self.in_range(i128::from(value))
            .then_some(value as u64 & ones)
    }

    /// Whether the type has a value for `x`: the number itself for integers, one beside it for floats.
    pub fn reaches(self, x: f64) -> bool {
        match self.float() {
            true => !x.is_finite() || self.number(self.from_number(x)).is_finite(),
            false => x.fract() == 0.0 && x.abs() < 2e19 && self.in_range(x as i128),
        }
    }

    /// Whether an integer type has `value`; a mask may be written as a negative number.
    fn in_range(self, value: i128) -> bool {
        let bits = 8 * self.bytes();
        let signed = matches!(
            self,
            Element::I8 | Element::I16 | Element::I32 | Element::I64
        );
        value >= -(1 << (bits - 1)) && value < 1 << (bits - u32::from(signed))
    }

    /// The bits of a number, rounded to the type.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_number(self, x: f64) -> u64 {
        match self {
            Element::F64 => x.to_bits(),
            Element::F32 => u64::from((x as f32).to_bits()),
            Element::F16 => u64::from(to_small(x, Small::F16, Round::Nearest)),
            Element::Bf16 => u64::from(to_small(x, Small::Bf16, Round::Nearest)),
            Element::U64 => x as u64,
            _ => x as i64 as u64 & (u64::MAX >> (64 - 8 * self.bytes())),
        }
    }

    /// The number that `bits` are.
    pub fn number(self, bits: u64) -> f64 {
        match self {
            Element::I8 => f64::from(bits as i8),
            Element::U8 => f64::from(bits as u8),
            Element::I16 => f64::from(bits as i16),
            Element::U16 => f64::from(bits as u16),
            Element::I32 => f64::from(bits as i32),
            Element::U32 => f64::from(bits as u32),
            Element::I64 => bits as i64 as f64,
            Element::U64 => bits as f64,
            Element::F16 => f64::from(from_small(bits as u32 & 0xffff, Small::F16)),
            Element::Bf16 => f64::from(from_small(bits as u32 & 0xffff, Small::Bf16)),
            Element::F32 => f64::from(f32::from_bits(bits as u32)),
            Element::F64 => f64::from_bits(bits),
        }
    }

    /// The numbers of a buffer.
    pub fn numbers(self, bytes: &[u8]) -> Vec<f64> {
        let words = bytes.chunks_exact(self.bytes() as usize);
        words.map(|chunk| self.number(word(chunk))).collect()
    }
}

/// A little-endian number of up to eight bytes.
pub fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b))
}

/// Initial content of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Nobody writes it before the kernel; reading it is a fault.
    None,
    /// Zeros.
    Zeros,
    /// `start`, `start + step`, ...
    Iota {
        /// First.
        start: f64,
        /// Difference.
        step: f64,
    },
    /// Uniformly distributed.
    Random {
        /// Seed.
        seed: u64,
        /// Least.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// A ring of addresses for pointer chases: every `stride`-th element holds the address of
    /// another, and all are visited before the first comes again.
    Ring {
        /// Seed of the order.
        seed: u64,
        /// Distance of the elements that are used.
        stride: u64,
    },
    /// These, then zeros.
    Values(Vec<f64>),
    /// Content of a file.
    File(PathBuf),
}

/// A small generator of random numbers, the same everywhere (splitmix64).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }
}

/// The content of a buffer of `count` elements; `None` when nobody initialises it. Ring elements
/// are offsets from the buffer's start until its address is known.
pub fn content(element: Element, count: u64, init: &Init) -> Result<Option<Vec<u8>>> {
    let width = element.bytes() as usize;
    let mut out = vec![0u8; count as usize * width];
    let put = |slot: &mut [u8], bits: u64| {
        let bytes = bits.to_le_bytes();
        for (s, b) in slot.iter_mut().zip(bytes) {
            *s = b;
        }
    };
    match init {
        Init::None => return Ok(None),
        Init::Zeros => {}
        Init::Iota { start, step } => {
            for (i, slot) in out.chunks_exact_mut(width).enumerate() {
                put(slot, element.from_number(start + step * i as f64));
            }
        }
        Init::Random { seed, min, max } => {
            let mut random = Random::new(*seed);
            for slot in out.chunks_exact_mut(width) {
                let unit = random.unit();
                let x = match element.float() {
                    true => min + (max - min) * unit,
                    false => (min + (max - min + 1.0) * unit).floor().min(*max),
                };
                put(slot, element.from_number(x));
            }
        }
        Init::Ring { seed, stride } => {
            let places = count.div_ceil(*stride);
            let mut order: Vec<u64> = (0..places).collect();
            let mut random = Random::new(*seed);
            for i in (1..places).rev() {
                order.swap(i as usize, random.below(i + 1) as usize);
            }
            for (i, &from) in order.iter().enumerate() {
                let to = order.get(i + 1).or(order.first()).copied().unwrap_or(0);
                let at = (from * stride) as usize * width;
                if let Some(slot) = out.get_mut(at..at + width) {
                    // Pointers are 64 bits wide; anything else holds numbers of elements.
                    let scale = if width == 8 { 8 } else { 1 };
                    put(slot, to * stride * scale);
                }
            }
        }
        Init::Values(values) => {
            for (slot, value) in out.chunks_exact_mut(width).zip(values) {
                put(slot, element.from_number(*value));
            }
        }
        Init::File(path) => {
            // One byte more than fits shows a file that is too long, without reading all of it.
            let bytes = input::start(path, out.len() as u64 + 1)?;
            if bytes.len() != out.len() {
                let found = match bytes.len() > out.len() {
                    true => format!("more than {}", out.len()),
                    false => bytes.len().to_string(),
                };
                return Err(Error::input(
                    path.display().to_string(),
                    "its size",
                    format!("{found} bytes where the buffer has {}", out.len()),
                    "make count and file agree",
                ));
            }
            out = bytes;
        }
    }
    Ok(Some(out))
}
