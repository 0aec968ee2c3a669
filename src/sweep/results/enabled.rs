//! Answers to questions, and results as Parquet beside the CSV.

use super::columns::Columns;
use super::{FILE, Form, Question, export, has_points, query};
use crate::error::{Error, Result};
use crate::output;
use crate::sweep::manifest::Manifest;
use crate::sweep::store::Store;
use crate::sweep::table::Table;
use std::io::Write;

/// Answers `question`.
///
/// # Errors
/// A folder without a sweep, columns that do not exist, what is no SQL, a file that cannot be written.
pub fn ask(question: &Question) -> Result<()> {
    let form = question.export.as_deref().map(Form::of).transpose()?;
    let folder = &question.folder;
    let Some(manifest) = Manifest::read(folder)? else {
        let what = "there is no manifest.json of a sweep";
        let remedy = "name a folder that `phantom-gpu sweep -o` has written";
        return Err(Error::input(
            folder.display().to_string(),
            "whole folder",
            what,
            remedy,
        ));
    };
    has_points(folder)?;
    let table = Table::of(&manifest, &Store::at(folder));
    let answer = query::answer(&Columns::of(&manifest, &table), question)?;
    if let (Some(file), Some(form)) = (&question.export, form) {
        return export::write(&answer, form, file);
    }
    let bytes = export::bytes(&answer, question.form)?;
    output::print(|out| {
        out.write_all(&bytes)
            .map_err(|e| Error::io("standard output", e))
    })
}

/// Writes the results as Parquet to the folder of `store`.
///
/// # Errors
/// A file that cannot be written.
pub fn keep(manifest: &Manifest, table: &Table, store: &Store) -> Result<()> {
    let file = store.folder().join(FILE);
    export::write(&Columns::of(manifest, table), Form::Parquet, &file)
}
