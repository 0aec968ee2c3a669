//! Which rows are left out together.

use crate::validate::dataset::Row;
use std::collections::BTreeMap;

/// Fits without some shapes at most: one for each shape where there are no more than this.
const FOLDS_MAX: usize = 10;

/// The parts of a dataset that are left out in turn, shape by shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    /// The part of each row.
    pub of_row: Vec<usize>,
    /// Parts.
    pub count: usize,
    /// Shapes.
    pub shapes: usize,
}

impl Folds {
    /// Of `rows`: those of an operator and a shape are in the same part, whatever their numbers; shapes are dealt to parts in
    /// the order of the dataset.
    pub fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let shapes: Vec<usize> = rows
            .map(|row| {
                let key = format!("{} {:?}", row.op, row.shape);
                let next = seen.len();
                *seen.entry(key).or_insert(next)
            })
            .collect();
        let count = seen.len().min(FOLDS_MAX);
        Folds {
            of_row: shapes.iter().map(|shape| shape % count.max(1)).collect(),
            count,
            shapes: seen.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::dataset::parse;

    fn folds(shapes: impl Iterator<Item = (u64, &'static str)>) -> Folds {
        let rows =
            shapes.map(|(m, dtype)| format!("a,V100,gemm,{dtype},\"{{\"\"M\"\":{m}}}\",5\n"));
        let text = format!(
            "id,gpu,op,dtype,shape,latency_us\n{}",
            rows.collect::<String>()
        );
        Folds::of(parse(&text, "t.csv").unwrap().iter())
    }

    #[test]
    fn a_shape_is_in_one_part_whatever_its_numbers() {
        let found = folds([(1, "fp16"), (2, "fp16"), (1, "fp32"), (3, "fp16")].into_iter());
        assert_eq!(found.of_row, [0, 1, 0, 2]);
        assert_eq!((found.count, found.shapes), (3, 3));
        let many = folds((1..=25).map(|m| (m, "fp16")));
        assert_eq!((many.count, many.shapes), (FOLDS_MAX, 25));
        assert_eq!(many.of_row[11], 1);
    }
}
