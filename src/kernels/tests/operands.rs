//! What lies in which window of a kernel.

use super::{gpu, walk};
use crate::isa::{MemKind, MemSpace};
use crate::kernels::choose::candidates;
use crate::kernels::operands;
use crate::kernels::operator::*;
use crate::kernels::{Arrays, Places, array};
use std::collections::BTreeSet;

/// Products, and attention.
fn products() -> Vec<Operator> {
    let gemm = GemmOp {
        m: 256,
        n: 256,
        k: 512,
        ..GemmOp::usual()
    };
    let biased = GemmOp {
        data: DataType::F16,
        layout: Layout::Nt,
        epilogue: Epilogue::Bias,
        ..gemm.clone()
    };
    let row = GemmOp {
        m: 1,
        ..gemm.clone()
    };
    let column = GemmOp {
        n: 1,
        layout: Layout::Nt,
        ..gemm.clone()
    };
    let attention = AttentionOp {
        batch: 1,
        heads: 2,
        queries: 64,
        head_dim: 64,
        data: DataType::F16,
        ..AttentionOp::usual()
    };
    let decoding = AttentionOp {
        queries: 1,
        keys: 4096,
        ..attention.clone()
    };
    vec![
        gemm.into(),
        biased.into(),
        row.into(),
        column.into(),
        attention.into(),
        decoding.into(),
    ]
}

/// Convolutions, by each kind of kernel.
fn convolutions() -> Vec<Operator> {
    let conv = ConvOp {
        n: 2,
        c: 16,
        h: 16,
        w: 16,
        k: 32,
        pad: 1,
        ..ConvOp::usual()
    };
    let half = ConvOp {
        data: DataType::F16,
        layout: ImageLayout::Nhwc,
        ..conv.clone()
    };
    let pointwise = ConvOp {
        r: 1,
        s: 1,
        pad: 0,
        ..half.clone()
    };
    let depthwise = ConvOp {
        groups: 16,
        k: 16,
        ..conv.clone()
    };
    vec![conv.into(), half.into(), pointwise.into(), depthwise.into()]
}

/// Elements and rows.
fn rows() -> Vec<Operator> {
    let each = |function, operands| ElementwiseOp {
        n: 1024,
        cols: 64,
        rows: 4,
        heads: 2,
        function,
        operands,
        ..ElementwiseOp::usual()
    };
    let gated = ElementwiseOp {
        style: Style::Vllm,
        data: DataType::F16,
        ..each(Function::SiluMul, Operands::Same)
    };
    let of = |function, cols, style| RowsOp {
        rows: 8,
        cols,
        style,
        ..RowsOp::usual(function)
    };
    let rope = RopeOp {
        rows: 4,
        heads: 2,
        kv_heads: 2,
        ..RopeOp::usual()
    };
    let lookup = EmbeddingOp {
        rows: 16,
        ..EmbeddingOp::usual()
    };
    let cat = CatOp {
        rows: 16,
        cols: 64,
        ..CatOp::usual()
    };
    vec![
        each(Function::Add, Operands::Same).into(),
        each(Function::Gelu, Operands::Same).into(),
        each(Function::Mul, Operands::Row).into(),
        each(Function::Copy, Operands::Heads).into(),
        gated.into(),
        of(RowFunction::Softmax, 256, Style::Torch).into(),
        of(RowFunction::Sum, 256, Style::Torch).into(),
        of(RowFunction::LayerNorm, 256, Style::Torch).into(),
        of(RowFunction::LayerNorm, 255, Style::Torch).into(),
        of(RowFunction::RmsNorm, 256, Style::Vllm).into(),
        of(RowFunction::AddRmsNorm, 256, Style::Vllm).into(),
        rope.into(),
        lookup.into(),
        cat.into(),
    ]
}

/// The kernels of every candidate read all that their operator reads and write all that it writes, where it says; and
/// nothing else is read that none of them has written, but for the tables of sizes and pointers that come with a launch.
#[test]
fn kernels_touch_the_windows_that_their_operator_names() {
    let gpu = gpu("a100-80");
    for operator in [products(), convolutions(), rows()].concat() {
        // Attention by products is made of operators of its own.
        let all = candidates(&operator, &gpu).unwrap();
        for candidate in all.iter().filter(|candidate| candidate.name != "math") {
            let places: Places = std::array::from_fn(|window| array(20 + window as u64));
            let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
            for number in 0..candidate.launches.len() {
                let kernel = candidate.build_at(number, &places, &gpu).unwrap();
                for cta in 0..kernel.header.cta_count() {
                    walk(&kernel, cta, |_, index, lanes| {
                        let mem = kernel.code.insts[index as usize].mem.unwrap();
                        if mem.space != MemSpace::Global {
                            return;
                        }
                        let windows = lanes.iter().map(|lane| ((lane - array(20)) >> 36) as usize);
                        match mem.kind {
                            MemKind::Store | MemKind::Reduction => written.extend(windows),
                            _ => read.extend(windows),
                        }
                    });
                }
            }
            let what = format!("{} of {operator:?}", candidate.name);
            assert!(
                read.iter()
                    .chain(&written)
                    .all(|window| *window < Arrays::MOST),
                "{what}"
            );
            let operands = operands::Operands::of(&operator, candidate.launches.len());
            let optional = |window: &&usize| match &operator {
                Operator::Gemm(op) => op.epilogue != Epilogue::None || **window != 3,
                _ => true,
            };
            for window in operands.reads.iter().filter(optional) {
                assert!(
                    read.contains(window),
                    "{what} does not read {window}: {read:?}"
                );
            }
            for window in &operands.writes {
                assert!(
                    written.contains(window),
                    "{what} does not write {window}: {written:?}"
                );
            }
            for window in operands
                .reads
                .iter()
                .filter(|window| !operands.writes.contains(window))
            {
                assert!(
                    !written.contains(window),
                    "{what} writes {window}, which it only reads"
                );
            }
        }
    }
}
