//! Where the lanes of a memory instruction lie: in shared memory, or in rows of an operand.

use crate::kernels::Arrays;

/// Lanes in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct SharedPlace {
    /// First byte.
    pub base: u64,
    /// Bytes from one lane to the next.
    pub lane: u64,
    /// Bytes from one warp to the next.
    pub warp: u64,
}

/// Elements of a row of an operand.
#[derive(Clone, Copy, Debug)]
pub struct RowPlace {
    /// Operand.
    pub operand: usize,
    /// Bytes of an element.
    pub bytes: u64,
    /// Elements from one row to the next; 0: all rows have the same.
    pub pitch: u64,
    /// Elements in front of the first.
    pub offset: u64,
    /// The element of the row that the first lane has, in straight code; and rows after that of the warp.
    pub first: (u64, u64),
    /// Rows of the kernel, one behind the other, that have the same row of the operand, and elements from where one of
    /// them begins to where the next does.
    pub shared_by: u64,
    pub part: u64,
    /// Elements that a row of the operand has, where those of the kernel may be more.
    pub limit: u64,
    /// How elements are grouped: as many lie side by side, groups are so far apart.
    pub groups: Option<(u64, u64)>,
    /// Rows of a table of which each row of the kernel takes one at random; 0: none.
    pub table: u64,
}

impl RowPlace {
    /// Rows of `cols` elements, one behind the other.
    pub fn rows(operand: usize, bytes: u64, cols: u64) -> Self {
        RowPlace {
            operand,
            bytes,
            pitch: cols,
            offset: 0,
            first: (0, 0),
            shared_by: 1,
            part: 0,
            limit: u64::MAX,
            groups: None,
            table: 0,
        }
    }

    /// One row for all.
    pub fn shared(operand: usize, bytes: u64) -> Self {
        RowPlace::rows(operand, bytes, 0)
    }

    /// Where element `index` of `row` lies in its row of the operand.
    pub(super) fn index(&self, row: u64, index: u64) -> u64 {
        let index = match self.groups {
            None => index,
            Some((size, pitch)) => index / size * pitch + index % size,
        };
        row % self.shared_by * self.part + index
    }

    /// Address of element `index` of `row`.
    pub(super) fn address(&self, arrays: &Arrays, row: u64, index: u64) -> u64 {
        let of_operand = match self.table {
            0 => row / self.shared_by,
            table => scatter(row) % table,
        };
        let index = self.index(row, index) + self.offset;
        arrays.at(self.operand) + (of_operand * self.pitch + index) * self.bytes
    }

    /// Whether elements `first..first + count` lie side by side.
    pub(super) fn together(&self, first: u64, count: u64) -> bool {
        match self.groups {
            None => true,
            Some((size, pitch)) => {
                size == pitch || count == 0 || first / size == (first + count - 1) / size
            }
        }
    }
}

/// A number that looks random.
fn scatter(n: u64) -> u64 {
    let mixed = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}
