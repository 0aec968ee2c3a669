//! Operators, whose kernels are chosen.

use super::{Entry, operator};
use crate::kernels::operator::{
    AttentionOp, CatOp, ConvOp, ElementwiseOp, EmbeddingOp, GemmOp, Operator, RopeOp, RowFunction,
    RowsOp, ScanOp, SelectOp,
};

pub(super) const ENTRIES: &[Entry] = &[
    operator(
        "gemm",
        "C = A x B as libraries compute it: tile and split-K by shape",
        GemmOp::FIELDS,
        |values| Operator::Gemm(GemmOp::of(values)),
    ),
    operator(
        "elementwise",
        "a function of every element",
        ElementwiseOp::FIELDS,
        |values| Operator::Elementwise(ElementwiseOp::of(values)),
    ),
    operator("softmax", "softmax of rows", RowsOp::FIELDS, |values| {
        Operator::Rows(RowsOp::of(RowFunction::Softmax, values))
    }),
    operator(
        "layernorm",
        "layer norm of rows",
        RowsOp::FIELDS,
        |values| Operator::Rows(RowsOp::of(RowFunction::LayerNorm, values)),
    ),
    operator("rmsnorm", "RMS norm of rows", RowsOp::FIELDS, |values| {
        Operator::Rows(RowsOp::of(RowFunction::RmsNorm, values))
    }),
    operator(
        "add_rmsnorm",
        "residual addition and RMS norm of rows",
        RowsOp::FIELDS,
        |values| Operator::Rows(RowsOp::of(RowFunction::AddRmsNorm, values)),
    ),
    operator("sum", "sum of rows", RowsOp::FIELDS, |values| {
        Operator::Rows(RowsOp::of(RowFunction::Sum, values))
    }),
    operator("max", "maximum of rows", RowsOp::FIELDS, |values| {
        Operator::Rows(RowsOp::of(RowFunction::Max, values))
    }),
    operator(
        "rope",
        "rotary position embedding of queries and keys, in place",
        RopeOp::FIELDS,
        |values| Operator::Rope(RopeOp::of(values)),
    ),
    operator(
        "embedding",
        "rows of a table by index",
        EmbeddingOp::FIELDS,
        |values| Operator::Embedding(EmbeddingOp::of(values)),
    ),
    operator(
        "cat",
        "tensors side by side along a dimension",
        CatOp::FIELDS,
        |values| Operator::Cat(CatOp::of(values)),
    ),
    operator(
        "topk",
        "the greatest of rows, sorted",
        SelectOp::FIELDS,
        |values| Operator::Select(SelectOp::of(values)),
    ),
    operator(
        "cumsum",
        "running sums down the columns of matrices of integers",
        ScanOp::FIELDS,
        |values| Operator::Scan(ScanOp::of(values)),
    ),
    operator("conv", "convolution of images", ConvOp::FIELDS, |values| {
        Operator::Conv(ConvOp::of(values))
    }),
    operator(
        "attention",
        "softmax(Q K^T) V",
        AttentionOp::FIELDS,
        |values| Operator::Attention(AttentionOp::of(values)),
    ),
];
