//! Kernels that libraries have.

use super::{Entry, entry};
use crate::kernels::Arrays;
use crate::kernels::attention::backward::Backward;
use crate::kernels::attention::backward::rows::{ConvertQueries, DotRows};
use crate::kernels::attention::combine::CombineSplits;
use crate::kernels::attention::efficient::Efficient;
use crate::kernels::attention::flash::Flash;
use crate::kernels::attention::flash1::Flash1;
use crate::kernels::attention::paged::Paged;
use crate::kernels::attention::paged::reduce::PagedReduce;
use crate::kernels::conv::depthwise::Depthwise;
use crate::kernels::conv::fused::FusedWinograd;
use crate::kernels::conv::implicit::Implicit;
use crate::kernels::conv::offsets::Offsets;
use crate::kernels::conv::relayout::Relayout;
use crate::kernels::conv::tensor::TensorImplicit;
use crate::kernels::conv::transform::Transform;
use crate::kernels::gemm::gemv::Gemv;
use crate::kernels::gemm::gemv_columns::GemvColumns;
use crate::kernels::gemm::reduce::SplitReduce;
use crate::kernels::gemm::{F16_FIELDS, F32_FIELDS, Gemm};
use crate::kernels::rows::cat::Cat;
use crate::kernels::rows::layer_norm::LayerNorm;
use crate::kernels::rows::layer_norm_scalar::{NormalizeRows, RowMoments};
use crate::kernels::rows::pointwise::Pointwise;
use crate::kernels::rows::reduce::{GatherRows, Reduce};
use crate::kernels::rows::rotary::Rotary;
use crate::kernels::rows::scan::ScanRows;
use crate::kernels::rows::small_sort::SmallSort;
use crate::kernels::rows::softmax::Softmax;
use crate::kernels::rows::strided::Strided;
use crate::kernels::rows::top_k::TopK;
use crate::kernels::rows::vllm::{RmsNorm, SiluAndMul};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "sgemm",
        "C = A x B in FP32 by one kernel, tiles of 128 x 128 x 8 unless others are asked for",
        F32_FIELDS,
        |values, gpu| Box::new(Gemm::of(values, gpu)),
    ),
    entry(
        "hgemm",
        "C = A x B on tensor cores by one kernel, FP16 unless another type is asked for, tiles of 128 x 128",
        F16_FIELDS,
        |values, gpu| Box::new(Gemm::of(values, gpu)),
    ),
    entry(
        "splitk_reduce",
        "the sum of the parts of a product whose depth was split",
        SplitReduce::FIELDS,
        |values, _| Box::new(SplitReduce::of(Arrays::default(), values)),
    ),
    entry(
        "gemv_kernel",
        "a product of few rows or columns, whose depth lies side by side: a warp or four for some rows",
        Gemv::FIELDS,
        |values, _| Box::new(Gemv::of(Arrays::default(), values)),
    ),
    entry(
        "gemv_columns_kernel",
        "a product of few rows or columns: a lane for some columns, warps share the depth",
        GemvColumns::FIELDS,
        |values, _| Box::new(GemvColumns::of(Arrays::default(), values)),
    ),
    entry(
        "pointwise",
        "PyTorch's kernel for the same function of every element",
        Pointwise::FIELDS,
        |values, _| Box::new(Pointwise::of(Arrays::default(), values)),
    ),
    entry(
        "softmax_kernel",
        "PyTorch's kernels for softmax",
        Softmax::FIELDS,
        |values, _| Box::new(Softmax::of(Arrays::default(), values)),
    ),
    entry(
        "layer_norm_kernel",
        "PyTorch's kernel for layer norm by vectors of 4",
        LayerNorm::FIELDS,
        |values, _| Box::new(LayerNorm::of(Arrays::default(), values)),
    ),
    entry(
        "rms_norm_kernel",
        "vLLM's kernels for RMS norm",
        RmsNorm::FIELDS,
        |values, _| Box::new(RmsNorm::of(Arrays::default(), values)),
    ),
    entry(
        "silu_and_mul_kernel",
        "vLLM's kernel for silu(a) * b",
        SiluAndMul::FIELDS,
        |values, _| Box::new(SiluAndMul::of(Arrays::default(), values)),
    ),
    entry(
        "rotary_kernel",
        "vLLM's kernel for rotary position embedding",
        Rotary::FIELDS,
        |values, _| Box::new(Rotary::of(Arrays::default(), values)),
    ),
    entry(
        "strided",
        "PyTorch's kernel for elements of tensors that lie differently",
        Strided::FIELDS,
        |values, _| Box::new(Strided::of(Arrays::default(), values)),
    ),
    entry(
        "reduce_kernel",
        "PyTorch's kernel for one number of each row",
        Reduce::FIELDS,
        |values, _| Box::new(Reduce::of(Arrays::default(), values)),
    ),
    entry(
        "gather_rows",
        "PyTorch's kernel for rows of a table by index",
        GatherRows::FIELDS,
        |values, _| Box::new(GatherRows::of(Arrays::default(), values)),
    ),
    entry(
        "row_moments_kernel",
        "PyTorch's kernel for means and deviations of rows that are no vectors",
        RowMoments::FIELDS,
        |values, _| Box::new(RowMoments::of(Arrays::default(), values)),
    ),
    entry(
        "normalize_rows_kernel",
        "PyTorch's kernel that makes a layer norm of these",
        NormalizeRows::FIELDS,
        |values, _| Box::new(NormalizeRows::of(Arrays::default(), values)),
    ),
    entry(
        "cat_kernel",
        "PyTorch's kernel that puts tensors side by side",
        Cat::FIELDS,
        |values, _| Box::new(Cat::of(Arrays::default(), values)),
    ),
    entry(
        "top_k_kernel",
        "PyTorch's kernel for the greatest of rows, in no order",
        TopK::FIELDS,
        |values, _| Box::new(TopK::of(Arrays::default(), values)),
    ),
    entry(
        "small_sort_kernel",
        "PyTorch's kernel that sorts rows of 32 elements at most",
        SmallSort::FIELDS,
        |values, _| Box::new(SmallSort::of(Arrays::default(), values)),
    ),
    entry(
        "scan_rows_kernel",
        "PyTorch's kernel for running sums down columns",
        ScanRows::FIELDS,
        |values, _| Box::new(ScanRows::of(Arrays::default(), values)),
    ),
    entry(
        "flash_kernel",
        "FlashAttention 2, forward",
        Flash::FIELDS,
        |values, _| Box::new(Flash::of(Arrays::default(), values)),
    ),
    entry(
        "flash1_kernel",
        "FlashAttention 1, forward",
        Flash1::FIELDS,
        |values, _| Box::new(Flash1::of(Arrays::default(), values)),
    ),
    entry(
        "combine_splits_kernel",
        "joins the parts of a FlashAttention whose keys are shared",
        CombineSplits::FIELDS,
        |values, _| Box::new(CombineSplits::of(Arrays::default(), values)),
    ),
    entry(
        "flash_backward_kernel",
        "FlashAttention 2, backward: the kernel that makes the gradients",
        Backward::FIELDS,
        |values, _| Box::new(Backward::of(Arrays::default(), values)),
    ),
    entry(
        "flash_backward_dot_kernel",
        "FlashAttention 2, backward: what goes before, a number of each row",
        Backward::FIELDS,
        |values, _| Box::new(DotRows(Backward::of(Arrays::default(), values))),
    ),
    entry(
        "flash_backward_convert_kernel",
        "FlashAttention 2, backward: what goes after, halves of the sums of gradients",
        Backward::FIELDS,
        |values, _| Box::new(ConvertQueries(Backward::of(Arrays::default(), values))),
    ),
    entry(
        "efficient_kernel",
        "the memory-efficient attention of PyTorch, forward",
        Efficient::FIELDS,
        |values, _| Box::new(Efficient::of(Arrays::default(), values)),
    ),
    entry(
        "paged_kernel",
        "vLLM's attention of one query a sequence over blocks of keys and values",
        Paged::FIELDS,
        |values, _| Box::new(Paged::of(Arrays::default(), values)),
    ),
    entry(
        "paged_reduce_kernel",
        "joins the parts of vLLM's attention",
        PagedReduce::FIELDS,
        |values, _| Box::new(PagedReduce::of(Arrays::default(), values)),
    ),
    entry(
        "conv_offsets_kernel",
        "the table that an implicit product reads",
        Offsets::FIELDS,
        |values, _| Box::new(Offsets::of(Arrays::default(), values)),
    ),
    entry(
        "conv_implicit_kernel",
        "a convolution in FP32 as a product, by precomputed offsets",
        Implicit::FIELDS,
        |values, _| Box::new(Implicit::of(Arrays::default(), values)),
    ),
    entry(
        "conv_tensor_kernel",
        "a convolution as a product on tensor cores, channels of a pixel side by side",
        TensorImplicit::FIELDS,
        |values, _| Box::new(TensorImplicit::of(Arrays::default(), values)),
    ),
    entry(
        "relayout_kernel",
        "matrices transposed: images from nchw to nhwc and back",
        Relayout::FIELDS,
        |values, _| Box::new(Relayout::of(Arrays::default(), values)),
    ),
    entry(
        "winograd_transform_kernel",
        "Winograd's transforms of images, filters and products",
        Transform::FIELDS,
        |values, _| Box::new(Transform::of(Arrays::default(), values)),
    ),
    entry(
        "winograd_fused_kernel",
        "a convolution by Winograd's algorithm in one kernel",
        FusedWinograd::FIELDS,
        |values, _| Box::new(FusedWinograd::of(Arrays::default(), values)),
    ),
    entry(
        "conv_depthwise_kernel",
        "PyTorch's kernel for convolutions whose channels are on their own",
        Depthwise::FIELDS,
        |values, _| Box::new(Depthwise::of(Arrays::default(), values)),
    ),
];
