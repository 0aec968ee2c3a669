//! What PyTorch launches for the greatest of rows and for running sums.

use super::rows::{launch, only};
use super::{Candidate, Fault};
use crate::config::GpuSpec;
use crate::kernels::Arrays;
use crate::kernels::operator::{ScanOp, SelectOp};
use crate::kernels::rows::scan::ScanRows;
use crate::kernels::rows::small_sort::SmallSort;
use crate::kernels::rows::top_k::TopK;

/// The greatest of each row, then sorted.
pub(super) fn select(op: &SelectOp, gpu: &GpuSpec) -> Result<Vec<Candidate>, Fault> {
    let arrays = Arrays::default();
    if op.k > op.cols {
        return Err(Fault::field("k", op.k, "more than a row has"));
    }
    let found = TopK {
        arrays,
        rows: op.rows,
        cols: op.cols,
        k: op.k,
        data: op.data,
    };
    let mut launches = vec![launch(found, "a CTA a row, two bits after the other")];
    // One element is in order.
    if op.k > 1 {
        let sort = SmallSort {
            arrays,
            rows: op.rows,
            k: op.k,
            data: op.data,
            together: 16,
        }
        .spread(gpu);
        launches.push(launch(sort, "32 elements at most: 16 threads a row"));
    }
    Ok(only("topk", launches))
}

/// A thread a column.
pub(super) fn scan(op: &ScanOp) -> Result<Vec<Candidate>, Fault> {
    let kernel = ScanRows {
        arrays: Arrays::default(),
        matrices: op.matrices,
        rows: op.rows,
        cols: op.cols,
    };
    Ok(only(
        "scan",
        vec![launch(kernel, "a thread a column, row after row")],
    ))
}
