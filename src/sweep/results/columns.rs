//! Rows as columns, each with the type that all of its values have.

use crate::sweep::manifest::Manifest;
use crate::sweep::table::Table;

/// A table by columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Columns in their order.
    pub all: Vec<Column>,
    /// Rows.
    pub rows: usize,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Values, one for each row.
    pub cells: Cells,
}

/// Values of one type; nothing where a row has none.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Other numbers.
    Real(Vec<Option<f64>>),
    /// Words.
    Words(Vec<Option<String>>),
}

/// Columns that are words, whatever they look like.
const WORDS: &[&str] = &["workload", "gpu", "status", "error"];

impl Columns {
    /// The results of a sweep.
    pub fn of(manifest: &Manifest, table: &Table) -> Self {
        let header = table.header(manifest);
        let rows: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| table.cells(manifest, row))
            .collect();
        let column = |(at, name): (usize, String)| {
            let cells: Vec<&str> = rows.iter().map(|row| row[at].as_str()).collect();
            Column {
                cells: Cells::of(&cells, WORDS.contains(&name.as_str())),
                name,
            }
        };
        Columns {
            all: header.into_iter().enumerate().map(column).collect(),
            rows: rows.len(),
        }
    }

    /// The value of column `column` in row `row` as text; empty where it has none.
    pub fn text(&self, column: usize, row: usize) -> String {
        match &self.all[column].cells {
            Cells::Whole(cells) => cells[row].map_or(String::new(), |n| n.to_string()),
            Cells::Real(cells) => cells[row].map_or(String::new(), |n| n.to_string()),
            Cells::Words(cells) => cells[row].clone().unwrap_or_default(),
        }
    }
}

impl Cells {
    /// The narrowest type that all of `cells` have; empty ones have none.
    fn of(cells: &[&str], words: bool) -> Self {
        let each = |cell: &&str| {
            Some(*cell)
                .filter(|cell| !cell.is_empty())
                .map(str::to_owned)
        };
        let whole = |cell: &&str| cell.is_empty() || cell.parse::<i64>().is_ok();
        let real = |cell: &&str| cell.is_empty() || cell.parse::<f64>().is_ok_and(f64::is_finite);
        if !words && cells.iter().all(whole) {
            return Cells::Whole(cells.iter().map(|cell| cell.parse().ok()).collect());
        }
        if !words && cells.iter().all(real) {
            return Cells::Real(cells.iter().map(|cell| cell.parse().ok()).collect());
        }
        Cells::Words(cells.iter().map(each).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_the_narrowest_type_of_all_its_values() {
        assert_eq!(
            Cells::of(&["1", "", "3"], false),
            Cells::Whole(vec![Some(1), None, Some(3)])
        );
        assert_eq!(
            Cells::of(&["1", "2.5"], false),
            Cells::Real(vec![Some(1.0), Some(2.5)])
        );
        assert_eq!(
            Cells::of(&["1", "gto"], false),
            Cells::Words(vec![Some("1".into()), Some("gto".into())])
        );
        assert_eq!(
            Cells::of(&["1"], true),
            Cells::Words(vec![Some("1".into())])
        );
    }
}
