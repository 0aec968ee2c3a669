//! Questions in SQL, to a table in memory. Names of columns have dots and stand unquoted, as in reports.

use super::Question;
use super::columns::{Cells, Column, Columns};
use crate::config::check::nearest;
use crate::error::{Error, Result};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeSet;

/// The answer to `question` by the rows of `columns`.
///
/// # Errors
/// Columns that do not exist, and what is no SQL.
pub fn answer(columns: &Columns, question: &Question) -> Result<Columns> {
    let names: Vec<&str> = columns
        .all
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let connection = load(columns).map_err(|e| Error::Run(format!("the table in memory: {e}")))?;
    let sql = sql(&names, question)?;
    let found = ask(&connection, &sql).map_err(|e| {
        Error::Usage(format!(
            "{}; columns are {}",
            // SQLite adds what it was asked, which the user has not written.
            e.to_string().split(" in SELECT").next().unwrap_or_default(),
            names.join(", ")
        ))
    })?;
    apart(&found)?;
    Ok(found)
}

/// Refuses columns of one name, of which JSON would keep one, and Parquet's readers none.
///
/// # Errors
/// The first such name.
fn apart(found: &Columns) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twice = found.all.iter().find(|column| !seen.insert(&column.name));
    twice.map_or(Ok(()), |column| {
        Err(Error::Usage(format!(
            "--columns: two columns are called {0}; name one of them otherwise: ... AS {0}_2",
            column.name
        )))
    })
}

/// All rows in a table of SQLite.
fn load(columns: &Columns) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    let declared: Vec<String> = columns
        .all
        .iter()
        .map(|column| {
            let kind = match column.cells {
                Cells::Whole(_) => "INTEGER",
                Cells::Real(_) => "REAL",
                Cells::Words(_) => "TEXT",
            };
            format!("{} {kind}", quoted(&column.name))
        })
        .collect();
    connection.execute(
        &format!("CREATE TABLE results ({})", declared.join(", ")),
        [],
    )?;
    let places = vec!["?"; columns.all.len()].join(", ");
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare(&format!("INSERT INTO results VALUES ({places})"))?;
        for row in 0..columns.rows {
            let value = |column: &Column| match &column.cells {
                Cells::Whole(cells) => cells[row].map_or(Value::Null, Value::Integer),
                Cells::Real(cells) => cells[row].map_or(Value::Null, Value::Real),
                Cells::Words(cells) => cells[row].clone().map_or(Value::Null, Value::Text),
            };
            insert.execute(params_from_iter(columns.all.iter().map(value)))?;
        }
    }
    transaction.commit()?;
    Ok(connection)
}

fn ask(connection: &Connection, sql: &str) -> rusqlite::Result<Columns> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found: Vec<Vec<Value>> = vec![Vec::new(); names.len()];
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (at, cells) in found.iter_mut().enumerate() {
            cells.push(match row.get_ref(at)? {
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
                ValueRef::Integer(n) => Value::Integer(n),
                ValueRef::Real(n) => Value::Real(n),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            });
        }
    }
    Ok(Columns {
        rows: found.first().map_or(0, Vec::len),
        all: names
            .into_iter()
            .zip(found)
            .map(|(name, values)| Column {
                name: name.replace('"', ""),
                cells: cells(values),
            })
            .collect(),
    })
}

/// Values of an answer in one type.
fn cells(values: Vec<Value>) -> Cells {
    let whole = |v: &Value| matches!(v, Value::Null | Value::Integer(_));
    let number = |v: &Value| whole(v) || matches!(v, Value::Real(_));
    if values.iter().all(whole) {
        let each = |v| {
            if let Value::Integer(n) = v {
                Some(n)
            } else {
                None
            }
        };
        return Cells::Whole(values.into_iter().map(each).collect());
    }
    if values.iter().all(number) {
        let each = |v| match v {
            Value::Integer(n) => Some(n as f64),
            Value::Real(n) => Some(n),
            _ => None,
        };
        return Cells::Real(values.into_iter().map(each).collect());
    }
    let each = |v| match v {
        Value::Text(text) => Some(text),
        Value::Integer(n) => Some(n.to_string()),
        Value::Real(n) => Some(n.to_string()),
        Value::Null | Value::Blob(_) => None,
    };
    Cells::Words(values.into_iter().map(each).collect())
}

fn sql(names: &[&str], question: &Question) -> Result<String> {
    let each = |texts: &[String]| -> Result<Vec<String>> {
        texts.iter().map(|text| with_names(names, text)).collect()
    };
    let columns = match question.columns.is_empty() {
        true => "*".to_owned(),
        false => each(&question.columns)?.join(", "),
    };
    let mut sql = format!("SELECT {columns} FROM results");
    if let Some(filter) = &question.filter {
        sql.push_str(&format!(" WHERE ({})", with_names(names, filter)?));
    }
    if !question.group.is_empty() {
        sql.push_str(&format!(" GROUP BY {}", each(&question.group)?.join(", ")));
    }
    if !question.sort.is_empty() {
        let mut order = Vec::new();
        for by in &question.sort {
            order.push(match by.strip_prefix('-') {
                Some(by) => format!("{} DESC", with_names(names, by)?),
                None => with_names(names, by)?,
            });
        }
        sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
    }
    if let Some(limit) = question.limit {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    Ok(sql)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` with every name of a column in quotes; what stands in quotes already is left alone.
///
/// # Errors
/// A dotted name that no column has.
fn with_names(names: &[&str], text: &str) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            c if c.is_ascii_alphabetic() || c == '_' => rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
                .unwrap_or(rest.len()),
            c if c.is_ascii_digit() => rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (word, behind) = rest.split_at(length);
        rest = behind;
        let is_name = first.is_ascii_alphabetic() || first == '_';
        match names.contains(&word) {
            true if is_name => out.push_str(&quoted(word)),
            _ if is_name && word.contains('.') => {
                let near = nearest(word, names.iter().copied());
                let hint = near.map_or(String::new(), |near| format!(" did you mean {near}?"));
                return Err(Error::Usage(format!(
                    "{word}: no such column;{hint} columns are {}",
                    names.join(", ")
                )));
            }
            _ => out.push_str(word),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Columns {
        let column = |name: &str, cells| Column {
            name: name.into(),
            cells,
        };
        Columns {
            rows: 3,
            all: vec![
                column("l1.ways", Cells::Whole(vec![Some(4), Some(8), Some(16)])),
                column(
                    "sm.scheduler",
                    Cells::Words(vec![Some("gto".into()), Some("l1.ways".into()), None]),
                ),
                column("cycles", Cells::Real(vec![Some(3.5), Some(1.5), None])),
            ],
        }
    }

    fn question(filter: &str, sort: &[&str], columns: &[&str]) -> Question {
        let own = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect();
        Question {
            filter: (!filter.is_empty()).then(|| filter.to_owned()),
            sort: own(sort),
            columns: own(columns),
            ..Question::default()
        }
    }

    #[test]
    fn dotted_names_stand_unquoted_and_words_in_quotes_are_words() {
        let asked = question(
            "l1.ways > 4 and sm.scheduler = 'l1.ways'",
            &[],
            &["l1.ways", "cycles * 2 as twice"],
        );
        let found = answer(&table(), &asked).unwrap();
        assert_eq!(found.rows, 1);
        assert_eq!(found.all[0].cells, Cells::Whole(vec![Some(8)]));
        assert_eq!(
            (found.all[1].name.as_str(), &found.all[1].cells),
            ("twice", &Cells::Real(vec![Some(3.0)]))
        );
        let sorted = answer(
            &table(),
            &question("cycles is not null", &["-l1.ways"], &["l1.ways"]),
        )
        .unwrap();
        assert_eq!(sorted.all[0].cells, Cells::Whole(vec![Some(8), Some(4)]));
        let grouped = Question {
            group: vec!["sm.scheduler is null".into()],
            ..question("", &[], &["count(*)", "max(l1.ways)"])
        };
        assert_eq!(answer(&table(), &grouped).unwrap().rows, 2);
    }

    #[test]
    fn columns_of_one_name_are_refused() {
        for columns in [&["l1.ways", "cycles as l1.ways"][..], &["l1.ways, l1.ways"]] {
            let error = answer(&table(), &question("", &[], columns)).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            assert!(
                error.to_string().contains("two columns are called l1.ways"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_column_or_no_sql_is_refused_in_words() {
        for (filter, word) in [
            ("l1.way > 4", "did you mean l1.ways"),
            ("speed > 4", "no such column: speed"),
            ("l1.ways >", "syntax error"),
        ] {
            let error = answer(&table(), &question(filter, &[], &[])).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            let error = error.to_string();
            assert!(
                error.contains(word) && error.contains("columns are l1.ways"),
                "{error}"
            );
        }
    }
}
