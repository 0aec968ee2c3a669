//! Answers in the forms that other programs and papers take.

use super::Form;
use super::columns::{Cells, Columns};
use crate::error::{Error, Result};
use crate::output;
use crate::report::table::table;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::{Map, Value as Json};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

impl Form {
    /// The form that the ending of `file` says.
    ///
    /// # Errors
    /// An ending that says none.
    pub fn of(file: &Path) -> Result<Self> {
        let ending = file.extension().and_then(|e| e.to_str()).unwrap_or("");
        Ok(match ending {
            "csv" => Form::Csv,
            "json" => Form::Json,
            "md" => Form::Markdown,
            "tex" => Form::Latex,
            "parquet" => Form::Parquet,
            _ => {
                return Err(Error::Usage(format!(
                    "--export {}: its ending says no form; name it .csv, .json, .md, .tex or .parquet",
                    file.display()
                )));
            }
        })
    }
}

/// `columns` in `form`.
///
/// # Errors
/// What the form cannot hold.
pub fn bytes(columns: &Columns, form: Form) -> Result<Vec<u8>> {
    Ok(match form {
        Form::Table => people(columns).into_bytes(),
        Form::Csv => csv(columns)?,
        Form::Json => json(columns),
        Form::Markdown => markdown(columns).into_bytes(),
        Form::Latex => latex(columns).into_bytes(),
        Form::Parquet => {
            parquet(columns).map_err(|e| Error::Run(format!("results as Parquet: {e}")))?
        }
    })
}

/// Writes `columns` to `file` in `form`, whole or not at all.
///
/// # Errors
/// As [`bytes`], and a file that cannot be written.
pub fn write(columns: &Columns, form: Form, file: &Path) -> Result<()> {
    let bytes = bytes(columns, form)?;
    output::write(file, |out| {
        out.write_all(&bytes).map_err(|e| Error::io(file, e))
    })
}

fn names(columns: &Columns) -> Vec<&str> {
    columns
        .all
        .iter()
        .map(|column| column.name.as_str())
        .collect()
}

fn rows(columns: &Columns) -> impl Iterator<Item = Vec<String>> {
    let row = |row| {
        (0..columns.all.len())
            .map(|at| columns.text(at, row))
            .collect()
    };
    (0..columns.rows).map(row)
}

fn people(columns: &Columns) -> String {
    let words = columns
        .all
        .iter()
        .take_while(|column| matches!(column.cells, Cells::Words(_)));
    let mut text = table(&names(columns), words.count());
    rows(columns).for_each(|row| {
        text.add_row(row);
    });
    format!("{text}\n")
}

fn csv(columns: &Columns) -> Result<Vec<u8>> {
    let fault = |e: csv::Error| Error::Run(format!("results as CSV: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names(columns)).map_err(fault)?;
    for row in rows(columns) {
        writer.write_record(row).map_err(fault)?;
    }
    writer
        .into_inner()
        .map_err(|e| Error::Run(format!("results as CSV: {e}")))
}

fn json(columns: &Columns) -> Vec<u8> {
    let value = |cells: &Cells, row: usize| match cells {
        Cells::Whole(cells) => Json::from(cells[row]),
        Cells::Real(cells) => Json::from(cells[row]),
        Cells::Words(cells) => Json::from(cells[row].clone()),
    };
    let object = |row| {
        let pairs = columns.all.iter();
        let pairs = pairs.map(|column| (column.name.clone(), value(&column.cells, row)));
        Json::Object(pairs.collect::<Map<String, Json>>())
    };
    let all: Vec<Json> = (0..columns.rows).map(object).collect();
    let mut bytes = serde_json::to_vec_pretty(&all).expect("string keys");
    bytes.push(b'\n');
    bytes
}

fn markdown(columns: &Columns) -> String {
    let line = |cells: &[String]| {
        let escaped: Vec<String> = cells.iter().map(|cell| in_markdown(cell)).collect();
        format!("| {} |\n", escaped.join(" | "))
    };
    let header: Vec<String> = names(columns).into_iter().map(str::to_owned).collect();
    let rule: Vec<String> = columns
        .all
        .iter()
        .map(|column| match column.cells {
            Cells::Words(_) => "---".to_owned(),
            Cells::Whole(_) | Cells::Real(_) => "---:".to_owned(),
        })
        .collect();
    let mut text = line(&header) + &line(&rule);
    rows(columns).for_each(|row| text.push_str(&line(&row)));
    text
}

/// `cell` in a table of Markdown: it ends neither its cell nor its line.
fn in_markdown(cell: &str) -> String {
    let mut out = String::new();
    let mut letters = cell.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '|' => out.push_str("\\|"),
            '\\' => out.push_str("\\\\"),
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' | '\r' => out.push_str("<br>"),
            '<' => out.push_str("&lt;"),
            other => out.push(other),
        }
    }
    out
}

fn latex(columns: &Columns) -> String {
    let line = |cells: &[String]| {
        let escaped: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("{} \\\\\n", escaped.join(" & "))
    };
    let kinds: String = columns
        .all
        .iter()
        .map(|column| {
            if matches!(column.cells, Cells::Words(_)) {
                'l'
            } else {
                'r'
            }
        })
        .collect();
    let header: Vec<String> = names(columns).into_iter().map(str::to_owned).collect();
    let mut text =
        format!("% needs \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{kinds}}}\n\\toprule\n");
    text.push_str(&line(&header));
    text.push_str("\\midrule\n");
    rows(columns).for_each(|row| text.push_str(&line(&row)));
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    text
}

fn escape(cell: &str) -> String {
    let mut out = String::new();
    for letter in cell.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(letter);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            // An empty line would end the paragraph, which a cell must not.
            '\n' | '\r' if out.ends_with(' ') => {}
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

fn parquet(columns: &Columns) -> parquet::errors::Result<Vec<u8>> {
    let mut fields = Vec::new();
    for column in &columns.all {
        let (physical, logical) = match column.cells {
            Cells::Whole(_) => (Physical::INT64, None),
            Cells::Real(_) => (Physical::DOUBLE, None),
            Cells::Words(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        fields.push(Arc::new(field));
    }
    let schema = Type::group_type_builder("results")
        .with_fields(fields)
        .build()?;
    let properties = WriterProperties::builder()
        .set_created_by(concat!("phantom-gpu ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for column in &columns.all {
        add(&mut group, &column.cells)?;
    }
    group.close()?;
    writer.into_inner()
}

/// Writes one column: which rows have a value, and the values.
fn add(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: &Cells,
) -> parquet::errors::Result<()> {
    fn levels<T>(cells: &[Option<T>]) -> Vec<i16> {
        cells.iter().map(|cell| i16::from(cell.is_some())).collect()
    }
    let Some(mut column) = group.next_column()? else {
        return Ok(());
    };
    match cells {
        Cells::Whole(cells) => {
            let values: Vec<i64> = cells.iter().flatten().copied().collect();
            column
                .typed::<Int64Type>()
                .write_batch(&values, Some(&levels(cells)), None)?;
        }
        Cells::Real(cells) => {
            let values: Vec<f64> = cells.iter().flatten().copied().collect();
            column
                .typed::<DoubleType>()
                .write_batch(&values, Some(&levels(cells)), None)?;
        }
        Cells::Words(cells) => {
            let words = cells.iter().flatten().map(|w| ByteArray::from(w.as_str()));
            let values: Vec<ByteArray> = words.collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&levels(cells)), None)?;
        }
    }
    column.close()
}

#[cfg(test)]
mod tests {
    use super::super::columns::Column;
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn table() -> Columns {
        let column = |name: &str, cells| Column {
            name: name.into(),
            cells,
        };
        Columns {
            rows: 2,
            all: vec![
                column(
                    "sm.scheduler",
                    Cells::Words(vec![Some("two_level".into()), None]),
                ),
                column("cycles", Cells::Whole(vec![Some(4819), Some(7)])),
                column("ipc", Cells::Real(vec![None, Some(0.1)])),
            ],
        }
    }

    fn text(form: Form) -> String {
        String::from_utf8(bytes(&table(), form).unwrap()).unwrap()
    }

    #[test]
    fn every_form_has_the_same_numbers() {
        assert_eq!(
            text(Form::Csv),
            "sm.scheduler,cycles,ipc\ntwo_level,4819,\n,7,0.1\n"
        );
        assert_eq!(
            text(Form::Markdown),
            "| sm.scheduler | cycles | ipc |\n| --- | ---: | ---: |\n| two_level | 4819 |  |\n|  | 7 | 0.1 |\n"
        );
        assert!(text(Form::Latex).contains("two\\_level & 4819 &  \\\\\n & 7 & 0.1 \\\\"));
        let json: Json = serde_json::from_str(&text(Form::Json)).unwrap();
        assert_eq!(
            (&json[0]["cycles"], &json[0]["ipc"]),
            (&Json::from(4819), &Json::Null)
        );
        assert!(text(Form::Table).contains("two_level"));
    }

    #[test]
    fn words_stay_in_their_cell_of_a_table() {
        let columns = Columns {
            rows: 1,
            all: vec![Column {
                name: "a|b".into(),
                cells: Cells::Words(vec![Some("x\\|y\r\nz\n<w> 5% #".into())]),
            }],
        };
        let text = |form| String::from_utf8(bytes(&columns, form).unwrap()).unwrap();
        assert_eq!(
            text(Form::Markdown),
            "| a\\|b |\n| --- |\n| x\\\\\\|y<br>z<br>&lt;w> 5% # |\n"
        );
        let latex = text(Form::Latex);
        let row = latex.lines().find(|line| line.contains("y z")).unwrap();
        assert!(
            row.contains("x\\textbackslash{}|y z <w> 5\\% \\#"),
            "{latex}"
        );
    }

    #[test]
    fn parquet_is_read_back() {
        let bytes = bytes(&table(), Form::Parquet).unwrap();
        assert_eq!(bytes, super::bytes(&table(), Form::Parquet).unwrap());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().to_string())
            .collect();
        assert_eq!(rows.len(), 2);
        assert!(
            rows[0].contains("two_level") && rows[0].contains("4819"),
            "{rows:?}"
        );
        assert!(
            rows[1].contains("null") && rows[1].contains("0.1"),
            "{rows:?}"
        );
    }
}
