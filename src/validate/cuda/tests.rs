//! That plans can be launched, and which rows are left out.

use super::*;
use crate::validate::dataset;
use std::fmt::Write;

fn rows(list: &[&str]) -> Vec<std::result::Result<Program, Unfit>> {
    let mut text = "id,gpu,op,dtype,shape,latency_us,extra,source\n".to_owned();
    for shape in list {
        let shape = shape.replace('"', "\"\"");
        writeln!(text, "r,TITAN-V,cuda_kernel,fp32,\"{shape}\",1,\"{{}}\",x").unwrap();
    }
    let rows = dataset::parse(&text, "rows.csv").unwrap();
    rows.iter().map(program).collect()
}

/// Every plan has a kernel of our files, whose first CTA runs; the streams are those of the launch.
#[test]
fn every_plan_can_be_launched() {
    let all = rows(&[
        r#"{"kernel":"vector_add","N":1000,"grid":4,"block":256}"#,
        r#"{"kernel":"saxpy","N":1000,"grid":4,"block":256}"#,
        r#"{"kernel":"atomic_hotspot","N":512,"grid":2,"block":256,"iters":3}"#,
        r#"{"kernel":"reduce_sum","N":1024,"grid":4,"block":256}"#,
        r#"{"kernel":"dot_product","N":1024,"grid":4,"block":256}"#,
        r#"{"kernel":"histogram","N":1024,"grid":4,"block":256}"#,
        r#"{"kernel":"naive_transpose","rows":64,"cols":48,"grid":12,"block":256}"#,
        r#"{"kernel":"shared_transpose","rows":64,"cols":64,"grid":4,"block":1024}"#,
        r#"{"kernel":"matmul_naive","rows":64,"cols":64,"grid":16,"block":256}"#,
        r#"{"kernel":"matmul_tiled","rows":64,"cols":64,"grid":4,"block":1024}"#,
        r#"{"kernel":"gemm_tiled16","M":32,"N":48,"K":64}"#,
        r#"{"kernel":"mat_mat_mul: Matrix Matrix Multiplication with Tiles","Num Rows 1":32,"Num Cols 2":32,"Num Cols 1 / Rows 2":32,"Num Threads":16}"#,
        r#"{"kernel":"mat_vec_mul: Simple Matrix Vector Multiplication","Num Rows":100,"Num Cols":64,"Num Threads":32}"#,
        r#"{"kernel":"conv2d_3x3","rows":32,"cols":32,"grid":4,"block":256}"#,
        r#"{"kernel":"conv2d_7x7","rows":32,"cols":32,"grid":4,"block":256}"#,
        r#"{"kernel":"convolution: Convolution 1D Basic","Array size":1000,"Mask width":5,"Block dim":512}"#,
        r#"{"kernel":"convolution: Convolution 1D Constant Memory","Array size":1000,"Mask width":5,"Block dim":512}"#,
        r#"{"kernel":"convolution: Convolution 2D Basic","Axis size":64,"Mask width":5,"Block axis dim":16,"Num channels":1}"#,
        r#"{"kernel":"convolution: Convolution 2D Constant Memory","Axis size":64,"Mask width":5,"Block axis dim":16,"Num channels":1}"#,
        r#"{"kernel":"strided_copy_8","N":4096,"grid":16,"block":256}"#,
        r#"{"kernel":"vector_add_divergent","N":1000,"grid":4,"block":256}"#,
        r#"{"kernel":"random_access","N":1000,"grid":4,"block":256}"#,
        r#"{"kernel":"shared_bank_conflict","grid":1,"block":1024}"#,
        r#"{"kernel":"array_add: Coalesced","Axis Size":40}"#,
        r#"{"kernel":"convolution: Convolution 1D Tiled","Array size":1024,"Mask width":5,"Block dim":512}"#,
        r#"{"kernel":"convolution: Convolution 2D Tiled","Axis size":64,"Mask width":5,"Block axis dim":16,"Num channels":3}"#,
        r#"{"kernel":"reduction: Simple Reduction","Array Size":100000,"Num Threads":512}"#,
        r#"{"kernel":"scan: Hierarchical Scan Three-Phase","Num Elements":10000}"#,
        r#"{"kernel":"image_to_grayscale: Image to Grayscale","Axis Size":100,"Num Threads":16}"#,
        r#"{"suite":"polybench","benchmark":"atax","size":48,"blockDimX":8}"#,
        r#"{"suite":"polybench","benchmark":"3mm","size":48,"blockDimX":16}"#,
        r#"{"suite":"polybench","benchmark":"3dconv","size":48,"blockDimX":16}"#,
        r#"{"suite":"cuda-sdk","benchmark":"vectoradd","size":16384}"#,
        r#"{"suite":"cuda-sdk","benchmark":"fastwalshtransform","log2data":15,"log2kernel":12}"#,
        r#"{"benchmark":"emptykernel","blocks":64,"threads":96}"#,
        r#"{"benchmark":"ffmakernel","blocks":1,"threads":64,"iters":3}"#,
        r#"{"benchmark":"ffmakernel","variant":"straight20","blocks":4,"threads":16}"#,
    ]);
    let spec = crate::config::load("v100", &[]).unwrap().spec;
    for plan in all {
        for (kernel, _) in plan.unwrap().kernels(&spec).unwrap() {
            let warps = kernel.header.warps_per_cta() as usize;
            let mut streams = vec![crate::trace::WarpStream::default(); warps];
            let mut encoder = crate::trace::CtaEncoder::default();
            kernel.ctas.load(0, &mut streams, &mut encoder).unwrap();
            for stream in &mut streams {
                assert!(stream.next_run().is_some(), "{}", kernel.header.name);
            }
        }
    }
}

#[test]
fn what_is_not_plain_is_skipped_with_its_reason() {
    let all = rows(&[
        r#"{"kernel":"bfs"}"#,
        r#"{"kernel":"vector_add","N":1000,"grid":5,"block":256}"#,
        r#"{"kernel":"vector_add","N":100000000,"grid":390625,"block":256}"#,
        r#"{"kernel":"matmul_tiled","rows":64,"cols":64,"grid":64,"block":64}"#,
        r#"{"suite":"rodinia","benchmark":"bfs","size":64,"degree":3}"#,
        r#"{"suite":"cuda-sdk","benchmark":"transpose","dimX":64,"dimY":64,"kernelID":5}"#,
    ]);
    let reasons: Vec<String> = all
        .into_iter()
        .map(|plan| match plan {
            Err(Unfit::Skip(reason)) => reason,
            other => panic!("{other:?}"),
        })
        .collect();
    for (reason, word) in reasons.iter().zip([
        "definition",
        "another grid",
        "MiB",
        "tiles of 8",
        "Rodinia",
        "variant 5",
    ]) {
        assert!(reason.contains(word), "{reason}");
    }
    let [fault] = rows(&[r#"{"kernel":"vector_add","N":-4}"#])
        .try_into()
        .unwrap();
    assert!(matches!(fault, Err(Unfit::Fault(what)) if what.contains("N = -4")));
}

/// Of kernels that the row could not have run, and of times that are not theirs.
#[test]
fn what_did_not_run_alone_is_left_out() {
    let row = |shape: &str, extra: &str| {
        let [shape, extra] = [shape, extra].map(|text| text.replace('"', "\"\""));
        let text = format!(
            "id,gpu,op,dtype,shape,latency_us,extra\nr,V100,cuda_kernel,f32,\"{shape}\",1,\"{extra}\"\n"
        );
        program(&dataset::parse(&text, "rows.csv").unwrap()[0])
    };
    let conflict = r#"{"kernel":"shared_bank_conflict"}"#;
    let add = r#"{"kernel":"vector_add","N":1000}"#;
    assert!(row(conflict, r#"{"regs":64}"#).is_ok());
    assert!(row(add, r#"{"batch_us":3.5}"#).is_ok());
    for (shape, extra, word) in [
        (conflict, r#"{"regs":206}"#, "more registers"),
        (add, r#"{"batch_us":null}"#, "allocations"),
        (add, r#"{"profiler":"ncu"}"#, "base clock"),
    ] {
        match row(shape, extra) {
            Err(Unfit::Skip(reason)) => assert!(reason.contains(word), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
