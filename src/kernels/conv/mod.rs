//! Convolutions as libraries compute them: implicit products with precomputed offsets, Winograd's transforms around a
//! batch of products or fused with it, and one thread an output where every channel is on its own.
//!
//! Kernels hand tensors to each other by [`array`]; the places of a batch of products are those of
//! [`gemm`](super::gemm).

pub mod depthwise;
pub mod fused;
pub mod implicit;
mod lines;
pub mod offsets;
pub mod relayout;
pub mod tensor;
pub mod transform;

use super::Fault;
use super::fields::Param;
use super::operator::ConvOp;

/// Places among the arrays of every kernel here.
pub mod array {
    /// Transformed filters: the left matrices of a batch of products.
    pub const FILTERS: usize = 0;
    /// Transformed images: the right ones.
    pub const IMAGES: usize = 1;
    /// Their products.
    pub const PRODUCTS: usize = 2;
    /// Offsets of an implicit product's depth.
    pub const OFFSETS: usize = 4;
    /// The operator's image, filter and result.
    pub const IMAGE: usize = 5;
    /// See [`IMAGE`].
    pub const FILTER: usize = 6;
    /// See [`IMAGE`].
    pub const RESULT: usize = 7;
}

/// `first`, then `second`: the fields of a kernel that has those of an operator. `N` is how many there are.
pub(super) const fn join<const N: usize>(first: &[Param], second: &[Param]) -> [Param; N] {
    assert!(N == first.len() + second.len());
    let mut all = [first[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() {
            first[at]
        } else {
            second[at - first.len()]
        };
        at += 1;
    }
    all
}

/// A convolution's sizes, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub n: u64,
    /// Channels of input and output in a group.
    pub c: u64,
    /// See `c`.
    pub k: u64,
    /// Groups.
    pub groups: u64,
    /// Height and width of the image.
    pub image: [u64; 2],
    /// Of the filter.
    pub filter: [u64; 2],
    /// Of the result.
    pub result: [u64; 2],
    /// Padding above and on the left.
    pub pad: [u64; 2],
    /// Steps down and to the right.
    pub stride: [u64; 2],
}

/// Bytes of a tensor at most: arrays lie that far apart.
const TENSOR_MAX: u128 = 1 << 36;

impl Geometry {
    /// Of `op`.
    ///
    /// # Errors
    /// A filter larger than the padded image, groups that do not divide the channels, tensors beyond 64 GiB.
    pub fn new(op: &ConvOp) -> Result<Self, Fault> {
        let Some((height, width)) = op.output() else {
            let what = "the filter is larger than the padded image";
            return Err(Fault::field("r", op.r, what));
        };
        if !op.c.is_multiple_of(op.groups) || !op.k.is_multiple_of(op.groups) {
            let what = "groups divide the channels of input and output";
            return Err(Fault::field("groups", op.groups, what));
        }
        let size = u128::from(op.data.bytes());
        let bytes = |edges: &[u64]| {
            let edges = edges.iter().map(|&edge| u128::from(edge));
            edges.product::<u128>() * size
        };
        let tensors = [
            ("h", op.h, bytes(&[op.n, op.c, op.h, op.w])),
            ("c", op.c, bytes(&[op.k, op.c / op.groups, op.r, op.s])),
            ("k", op.k, bytes(&[op.n, op.k, height, width])),
        ];
        if let Some((name, value, _)) = tensors.iter().find(|of| of.2 > TENSOR_MAX) {
            return Err(Fault::field(name, value, "a tensor has more than 64 GiB"));
        }
        let (pad, stride) = (op.padding(), op.strides());
        Ok(Geometry {
            n: op.n,
            c: op.c / op.groups,
            k: op.k / op.groups,
            groups: op.groups,
            image: [op.h, op.w],
            filter: [op.r, op.s],
            result: [height, width],
            pad: [pad.0, pad.1],
            stride: [stride.0, stride.1],
        })
    }

    /// Pixels of a result's plane.
    pub fn plane(&self) -> u64 {
        self.result[0] * self.result[1]
    }

    /// Pixels of all images of the result.
    pub fn pixels(&self) -> u64 {
        self.n * self.plane()
    }

    /// Multiply-adds of a result.
    pub fn depth(&self) -> u64 {
        self.c * self.filter[0] * self.filter[1]
    }

    /// Where row `row` and column `column` of a place that begins at `first` (padding counts as negative) lie in the
    /// plane; nothing in the padding.
    fn pixel(&self, first: [i64; 2], [row, column]: [u64; 2]) -> Option<u64> {
        let row = u64::try_from(first[0] + row as i64).ok()?;
        let column = u64::try_from(first[1] + column as i64).ok()?;
        let inside = row < self.image[0] && column < self.image[1];
        inside.then(|| row * self.image[1] + column)
    }

    /// First row and column of the image under the filter at a pixel of the result.
    fn under(&self, at: [u64; 2]) -> [i64; 2] {
        [0, 1].map(|edge| (at[edge] * self.stride[edge]) as i64 - self.pad[edge] as i64)
    }
}

/// The most CTAs of a grid in y or z.
const GRID_YZ_MAX: u64 = 65_535;

/// A grid of `ctas`, if it is one.
fn grid(ctas: [u64; 3]) -> Result<crate::trace::Dim3, Fault> {
    if ctas[0] > super::GRID_MAX || ctas[1] > GRID_YZ_MAX || ctas[2] > GRID_YZ_MAX {
        let what = format!("a grid of {ctas:?} CTAs; fewer images or channels, please");
        return Err(Fault::field("n", ctas[0], what));
    }
    Ok(ctas.map(|edge| edge as u32))
}
