//! Pages: one file with charts and tables, nothing loaded from elsewhere.
//!
//! Charts are SVG that the plotters crate draws. The numbers of a page stand in it as JSON, once; a few lines of script
//! of our own build the tables from it, and sort and filter them. Without the script the charts and the summary remain.
//! Colours of text and lines follow the reader's preference for dark or light.

mod blocks;
mod chain;
mod chart;
mod figure;

pub use blocks::{Bar, Field, bars, heat};
pub use chain::{Link, Stage, chain};
pub use chart::{Cloud, Curve, Roof, Scale, cloud, curves, largest, plane, roofline, scatter};
pub use figure::Chart;

use crate::error::Result;
use crate::output;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The script of every page.
const SCRIPT: &str = include_str!("page.js");
/// The style of every page.
const STYLE: &str = include_str!("page.css");

/// A page under construction.
#[derive(Clone, Debug, Default)]
pub struct Page {
    title: String,
    body: String,
    tables: Vec<Value>,
}

/// A column of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// Whether its cells are numbers.
    pub number: bool,
    /// Digits behind the point.
    pub digits: usize,
    /// Words of it that stand out: `good`, `bad` or `quiet`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<&'static str, &'static str>,
}

impl Column {
    /// Of words.
    pub fn text(name: &str) -> Self {
        Column {
            name: name.to_owned(),
            number: false,
            digits: 0,
            marks: BTreeMap::new(),
        }
    }

    /// Of numbers.
    pub fn number(name: &str, digits: usize) -> Self {
        Column {
            name: name.to_owned(),
            number: true,
            digits,
            marks: BTreeMap::new(),
        }
    }

    /// The same with words that stand out.
    pub fn marked(mut self, marks: &[(&'static str, &'static str)]) -> Self {
        self.marks = marks.iter().copied().collect();
        self
    }
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Page {
            title: title.to_owned(),
            ..Page::default()
        }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.body.push_str(&format!("<h2>{}</h2>", escape(text)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.body.push_str(&format!("<p>{}</p>", escape(text)));
    }

    /// A chart, as the functions of this module draw it, with what it shows. Its numbers belong into a
    /// [table](Page::table) of the same page.
    pub fn figure(&mut self, caption: &str, chart: &Chart) {
        let caption = escape(caption);
        self.body.push_str(&format!(
            "<figure><figcaption>{caption}</figcaption>{chart}</figure>"
        ));
    }

    /// A table that can be sorted and filtered; `rows` have a value for each column.
    pub fn table(&mut self, caption: &str, columns: &[Column], rows: Vec<Vec<Value>>) {
        let number = self.tables.len();
        self.body.push_str(&format!(
            "<section class=table id=table{number}><h3>{}</h3><noscript>The numbers are in this file as JSON; \
             a table of them needs the page's own script.</noscript></section>",
            escape(caption)
        ));
        let mut columns = columns.to_vec();
        for (at, column) in columns.iter_mut().enumerate() {
            // Digits behind the point say nothing of whole numbers.
            if rows
                .iter()
                .all(|row| row[at].as_f64().is_none_or(|n| n.fract() == 0.0))
            {
                column.digits = 0;
            }
        }
        self.tables
            .push(json!({ "columns": columns, "rows": rows }));
    }

    /// The page.
    pub fn render(&self) -> String {
        // In a script element `</script` ends the data early, and `<!--` with `<script` behind it ends it never.
        let data = Value::from(self.tables.clone())
            .to_string()
            .replace('<', "\\u003c");
        let title = escape(&self.title);
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <link rel=icon href=data:,>\
             <title>{title}</title><style>{STYLE}</style><body><h1>{title}</h1>{}\
             <script type=application/json id=data>{data}</script><script>{SCRIPT}</script></html>\n",
            self.body
        )
    }

    /// Writes the page to `file`, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        output::write_text(file, &self.render())
    }
}

/// `text` for HTML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_data_ends_the_page_early() {
        let hostile = "<!--<script>";
        let mut page = Page::new("<b><!--<script>");
        page.heading(hostile);
        page.paragraph("1 < 2 & \"3\"");
        page.paragraph(hostile);
        page.table(
            hostile,
            &[Column::text(hostile)],
            vec![
                vec![json!("</script><script>alert(1)")],
                vec![json!(hostile)],
            ],
        );
        let mut drawn = Page::new("t");
        let chart = curves(hostile, hostile, &[], Scale::Linear, Scale::Linear);
        drawn.figure(hostile, &chart);
        let drawn = drawn.render();
        assert_eq!(
            (drawn.matches("<script").count(), drawn.contains("<!--")),
            (2, false)
        );
        let html = page.render();
        assert_eq!(html.matches("</script>").count(), 2);
        assert_eq!(html.matches("<script").count(), 2);
        assert!(!html.contains("<!--"));
        let data = html.split("id=data>").nth(1).unwrap();
        let data = data.split("</script>").next().unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data[0]["rows"][1][0], hostile);
        assert!(html.contains("<title>&lt;b&gt;&lt;!--&lt;script&gt;</title>"));
        assert!(html.contains("1 &lt; 2 &amp; &quot;3&quot;"));
        assert!(
            !html.contains("http://") && !html.contains("https://"),
            "nothing is loaded"
        );
    }

    #[test]
    fn charts_have_a_mark_for_each_point_that_can_be_drawn() {
        let cloud = Cloud {
            name: "g".into(),
            points: vec![(1.0, 2.0), (10.0, 8.0), (f64::NAN, 1.0), (0.0, 1.0)],
        };
        let svg = scatter("measured", "predicted", &[cloud], 0.2).to_string();
        assert_eq!(svg.matches("<circle").count(), 2, "two points: {svg}");
        let curve = Curve {
            name: "c".into(),
            points: vec![(1.0, 1.0), (2.0, 3.0), (4.0, 2.0)],
        };
        let svg = curves("x", "y", &[curve], Scale::Log, Scale::Linear);
        assert!(svg.svg().contains("<polyline"));
        let empty = curves("x", "y", &[], Scale::Linear, Scale::Linear);
        assert!(empty.svg().contains("<svg"));
    }
}
