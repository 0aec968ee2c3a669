//! Fragments of matrices: which lane holds which element.
//!
//! `mma.sync` has documented layouts, which one rule gives for all shapes with n = 8: lanes in
//! groups of four own a row (a column of B), registers hold neighbouring elements, further registers
//! are 8 rows down, then a block of columns to the right. The layouts of `wmma` are nobody's
//! business but its own; here lane `l` holds the elements from `l * share` on in row-major order,
//! and what registers are left over repeat them.

use super::op::{Addr, List, Pred, Where};

/// Element types of matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    F16,
    Bf16,
    Tf32,
    F32,
    F64,
    S8,
    U8,
    S4,
    U4,
    B1,
    S32,
    E4m3,
    E5m2,
}

impl Element {
    /// Bits of an element.
    pub fn bits(self) -> u32 {
        match self {
            Element::B1 => 1,
            Element::S4 | Element::U4 => 4,
            Element::S8 | Element::U8 | Element::E4m3 | Element::E5m2 => 8,
            Element::F16 | Element::Bf16 => 16,
            Element::Tf32 | Element::F32 | Element::S32 => 32,
            Element::F64 => 64,
        }
    }

    /// Bits of the registers that hold it.
    pub fn register_bits(self) -> u32 {
        self.bits().max(32)
    }
}

/// A matrix multiply-accumulate.
#[derive(Clone, Debug)]
pub struct MatrixOp {
    /// Rows of A and D.
    pub m: u32,
    /// Columns of B and D.
    pub n: u32,
    /// Depth.
    pub k: u32,
    /// Elements of A.
    pub a_type: Element,
    /// Elements of B.
    pub b_type: Element,
    /// Elements of C.
    pub c_type: Element,
    /// Elements of D.
    pub d_type: Element,
    /// D, A, B, C registers.
    pub d: List,
    /// A.
    pub a: List,
    /// B.
    pub b: List,
    /// C.
    pub c: List,
    /// `wmma`, else `mma`.
    pub wmma: bool,
    /// Integers clamp.
    pub sat: bool,
    /// Single bits: and instead of exclusive or.
    pub and: bool,
    /// Where in A, B and C, row by row, the elements of each lane lie (see [`places`]).
    pub places: [Vec<u16>; 3],
}

/// Where the first matrix of a warpgroup's multiplication is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In registers.
    Registers(List),
    /// In shared memory: double word with its descriptor.
    Shared(u32),
}

/// A matrix multiply-accumulate of four warps, 64 rows.
#[derive(Clone, Debug)]
pub struct GroupOp {
    /// Columns.
    pub n: u32,
    /// Depth.
    pub k: u32,
    /// Elements of A.
    pub a_type: Element,
    /// Elements of B.
    pub b_type: Element,
    /// Elements of D.
    pub d_type: Element,
    /// A.
    pub a: Source,
    /// Descriptor of B.
    pub b: u32,
    /// D.
    pub d: List,
    /// Whether D is added.
    pub accumulate: Pred,
    /// The product counts with the other sign.
    pub negated: bool,
    /// A and B lie transposed in shared memory: neighbours in a row, or column, of the result.
    pub transposed: [bool; 2],
    /// Integers clamp.
    pub sat: bool,
    /// Where in 16 rows of A the elements of each lane lie.
    pub places: Vec<u16>,
}

/// The shared address of an element of a matrix that `descriptor` describes; `across` counts along
/// the rows or columns of the result, `depth` along what is summed.
pub fn described(descriptor: u64, transposed: bool, bytes: u64, across: u64, depth: u64) -> u64 {
    let field = |at: u32| (descriptor >> at & 0x3fff) << 4;
    let (start, leading, stride) = (field(0), field(16), field(32));
    // Chunks of 16 bytes in a row of the swizzled pattern.
    let chunks = match descriptor >> 62 {
        0 => 1,
        1 => 8,
        2 => 4,
        _ => 2,
    };
    let per = 16 / bytes;
    let (fast, slow) = if transposed {
        (across, depth)
    } else {
        (depth, across)
    };
    let (chunk, row, block) = (fast / per, slow % 8, slow / 8);
    let offset = match (chunks, transposed) {
        (1, false) => row * 16 + block * stride + chunk * leading,
        (1, true) => row * 16 + block * leading + chunk * stride,
        (_, false) => row * 16 * chunks + block * stride + chunk * 16,
        (_, true) => {
            row * 16 * chunks + block * stride + chunk % chunks * 16 + chunk / chunks * leading
        }
    };
    let address = start + offset + fast % per * bytes;
    address ^ (address >> 7 & (chunks - 1)) << 4
}

/// Which matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    A,
    B,
    C,
}

/// A `wmma` load or store.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    /// Store, else load.
    pub store: bool,
    /// Elements.
    pub element: Element,
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Columns lie together in memory.
    pub column_major: bool,
    /// Space.
    pub space: Where,
    /// Where.
    pub addr: Addr,
    /// Word with the stride in elements; without, the matrix is dense.
    pub stride: Option<u32>,
    /// Registers.
    pub list: List,
}

/// Row and column of element `i` of lane `lane` of an `mma` fragment.
pub fn place(op: &MatrixOp, role: Role, lane: u32, i: u32) -> (u32, u32) {
    let (group, within) = (lane / 4, lane % 4);
    match role {
        Role::A | Role::B => {
            let bits = if role == Role::A {
                op.a_type
            } else {
                op.b_type
            };
            let per = (bits.register_bits() / bits.bits()).max(1);
            let (register, j) = (i / per, i % per);
            let (down, right) = match role {
                Role::A if op.m == 16 => (register & 1, register >> 1),
                _ => (0, register),
            };
            let along = right * 4 * per + within * per + j;
            match role {
                Role::A => (group + 8 * down, along),
                _ => (along, group),
            }
        }
        Role::C => (group + 8 * (i / 2), within * 2 + i % 2),
    }
}

/// For the elements of lane 0, then those of lane 1, and so on: their place in the matrix, row by row.
pub fn places(op: &MatrixOp, role: Role) -> Vec<u16> {
    let columns = match role {
        Role::A => op.k,
        Role::B | Role::C => op.n,
    };
    let count = share(op, role);
    (0..32 * count)
        .map(|at| match op.wmma {
            true => at as u16,
            false => {
                let (row, column) = place(op, role, at / count, at % count);
                (row * columns + column) as u16
            }
        })
        .collect()
}

/// Elements of a fragment that a lane holds.
pub fn share(op: &MatrixOp, role: Role) -> u32 {
    match role {
        Role::A => op.m * op.k / 32,
        Role::B => op.k * op.n / 32,
        Role::C => op.m * op.n / 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swizzled_rows_are_permuted_within_128_bytes() {
        // Rows of 128 bytes from 0x400 on, groups of eight 1024 bytes apart.
        let descriptor = 1 << 62 | (1024 >> 4) << 32 | 1 << 16 | 0x400 >> 4;
        assert_eq!(described(descriptor, false, 2, 0, 9), 0x400 + 18);
        assert_eq!(
            described(descriptor, false, 2, 3, 0),
            0x400 + 3 * 128 + 3 * 16
        );
        assert_eq!(
            described(descriptor, false, 2, 11, 0),
            0x800 + 3 * 128 + 3 * 16
        );
        assert_eq!(
            described(descriptor, true, 2, 8, 2),
            0x400 + 2 * 128 + (1 ^ 2) * 16
        );
    }

    #[test]
    fn without_swizzle_eight_rows_are_one_block() {
        let descriptor = (256 >> 4) << 32 | (128 >> 4) << 16;
        assert_eq!(described(descriptor, false, 2, 9, 10), 256 + 16 + 128 + 4);
    }
}
