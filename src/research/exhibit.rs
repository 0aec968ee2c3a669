//! What a section shows: tables and figures, for the terminal, a page and a paper.

use crate::error::Result;
use crate::output;
use crate::report::html::{Chart, Column, Page};
use crate::report::table::table;
use serde_json::{Value as Json, json};
use std::path::Path;

/// Rows of a table that the terminal shows at most.
const ROWS_SHOWN: usize = 24;

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Stem of its file, unique within its section: `refusals`.
    pub name: &'static str,
    /// What it shows.
    pub caption: String,
    /// Headings.
    pub columns: Vec<Column>,
    /// A value for each column.
    pub rows: Vec<Vec<Json>>,
}

/// A figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Stem of its file, unique within its section.
    pub name: &'static str,
    /// What it shows.
    pub caption: String,
    /// The picture.
    pub svg: Chart,
}

/// Tables and figures of a section.
#[derive(Clone, Debug, Default)]
pub struct Exhibits {
    /// Tables, in order.
    pub tables: Vec<Table>,
    /// Figures, in order.
    pub figures: Vec<Figure>,
}

impl Table {
    /// With the `lines` of source of all rows in a last column, if any has one.
    pub fn with_lines<'a>(
        mut self,
        lines: impl Iterator<Item = (Option<u32>, &'a Option<String>)>,
    ) -> Self {
        let shown = |(line, text): (Option<u32>, &Option<String>)| {
            Some(json!(format!("{}: {}", line?, text.as_ref()?)))
        };
        let lines: Vec<Option<Json>> = lines.map(shown).collect();
        if lines.iter().any(Option::is_some) {
            self.columns.push(Column::text("source"));
            for (row, line) in self.rows.iter_mut().zip(lines) {
                row.push(line.unwrap_or_else(|| json!("")));
            }
        }
        self
    }

    /// The cell as text: counts as they are, measures with the digits of their column.
    fn cell(column: &Column, value: &Json) -> String {
        match value {
            Json::Null => "-".into(),
            Json::String(text) => text.clone(),
            Json::Number(number) => match (number.as_u64(), number.as_f64()) {
                (None, Some(real)) => format!("{real:.*}", column.digits),
                _ => number.to_string(),
            },
            other => other.to_string(),
        }
    }

    fn cells(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row);
            cells
                .map(|(column, value)| Self::cell(column, value))
                .collect()
        })
    }

    /// For the terminal; of a long table its begin.
    pub fn text(&self) -> String {
        let header: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        let words = self.columns.iter().take_while(|c| !c.number).count();
        let mut shown = table(&header, words);
        for row in self.cells().take(ROWS_SHOWN) {
            shown.add_row(row);
        }
        let mut text = format!("{}\n{shown}\n", self.caption);
        if self.rows.len() > ROWS_SHOWN {
            let more = self.rows.len() - ROWS_SHOWN;
            text.push_str(&format!("({more} more rows in --output and --html)\n"));
        }
        text
    }

    /// As a `table` of LaTeX with the rules of the package booktabs; `label` is what it is cited by.
    pub fn latex(&self, label: &str) -> String {
        let line = |cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|c| escape(c)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let places = self
            .columns
            .iter()
            .map(|c| if c.number { 'r' } else { 'l' });
        let header = self.columns.iter().map(|c| c.name.clone()).collect();
        format!(
            "\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\\label{{tab:{label}}}\n\\begin{{tabular}}{{{}}}\n\\toprule\n{}\
             \\midrule\n{}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n",
            escape(&self.caption),
            places.collect::<String>(),
            line(header),
            self.cells().map(line).collect::<String>()
        )
    }
}

impl Exhibits {
    /// For the terminal.
    pub fn text(&self) -> String {
        let texts: Vec<String> = self.tables.iter().map(Table::text).collect();
        texts.join("\n")
    }

    /// Puts all on `page`, under `heading`.
    pub fn show(&self, heading: &str, page: &mut Page) {
        page.heading(heading);
        for figure in &self.figures {
            page.figure(&figure.caption, &figure.svg);
        }
        for table in &self.tables {
            page.table(&table.caption, &table.columns, table.rows.clone());
        }
    }

    /// Writes a `.tex` for each table and an `.svg` for each figure to `folder`, each with `section` before its name.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, section: &str, folder: &Path) -> Result<()> {
        for table in &self.tables {
            let name = format!("{section}-{}", table.name);
            let file = folder.join(format!("{name}.tex"));
            output::write_text(&file, &table.latex(&name))?;
        }
        for figure in &self.figures {
            let file = folder.join(format!("{section}-{}.svg", figure.name));
            output::write_text(&file, &figure.svg.file())?;
        }
        Ok(())
    }
}

/// `text` for LaTeX.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', letter]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example() -> Table {
        Table {
            name: "t",
            caption: "50 % of a_b & c".into(),
            columns: vec![
                Column::text("name"),
                Column::number("n", 0),
                Column::number("share", 2),
            ],
            rows: vec![
                vec![json!("x{1}"), json!(12345), json!(0.5)],
                vec![json!("\\^~"), json!(null), json!(2)],
            ],
        }
    }

    #[test]
    fn a_table_is_the_same_in_every_form() {
        let latex = example().latex("cache-t");
        for part in [
            "\\begin{tabular}{lrr}\n",
            "\\caption{50 \\% of a\\_b \\& c}\n\\label{tab:cache-t}\n",
            "name & n & share \\\\\n\\midrule\n",
            "x\\{1\\} & 12345 & 0.50 \\\\\n",
            "\\textbackslash{}\\textasciicircum{}\\textasciitilde{} & - & 2 \\\\\n\\bottomrule\n",
        ] {
            assert!(latex.contains(part), "{part}\n{latex}");
        }
        let text = example().text();
        assert!(text.contains("12345") && text.contains("0.50"), "{text}");
    }

    #[test]
    fn the_terminal_shows_the_begin_of_a_long_table() {
        let mut long = example();
        long.rows = (0..100)
            .map(|n| vec![json!("r"), json!(n), json!(0)])
            .collect();
        let text = long.text();
        assert!(text.contains("(76 more rows"), "{text}");
        assert_eq!(long.latex("l").matches("r & ").count(), 100);
    }
}
