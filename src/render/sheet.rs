//! Rows of one type, written in the format asked for.

use std::io::{self, Write};

use super::rows::{Column, Field, Value};
use super::{Format, Look, csv, json, table};

/// Writes rows of type `T` by their fields.
pub struct Sheet<T: 'static, W: Write> {
    fields: &'static [Field<T>],
    columns: Vec<Column>,
    form: Form<W>,
}

enum Form<W: Write> {
    Table(table::Table<W>),
    Json(W, json::Array),
    Ndjson(W),
    Csv(Box<csv::Rows<W>>),
}

impl<T, W: Write> Sheet<T, W> {
    /// Begins to write; for CSV that is the header.
    ///
    /// # Errors
    /// Of the writer.
    pub fn begin(out: W, format: Format, look: Look, fields: &'static [Field<T>]) -> io::Result<Sheet<T, W>> {
        let columns: Vec<Column> = fields.iter().map(|field| field.column).collect();
        let form = match format {
            Format::Table => Form::Table(table::Table::new(out, look, columns.clone())),
            Format::Json => Form::Json(out, json::Array::default()),
            Format::Ndjson => Form::Ndjson(out),
            Format::Csv => Form::Csv(Box::new(csv::Rows::begin(out, columns.clone())?)),
        };
        Ok(Sheet { fields, columns, form })
    }

    /// Writes one row.
    ///
    /// # Errors
    /// Of the writer.
    pub fn row(&mut self, row: &T) -> io::Result<()> {
        let values = values(self.fields, row);
        match &mut self.form {
            Form::Table(table) => table.row(values),
            Form::Json(out, array) => array.element(out, &json::object(&self.columns, values)),
            Form::Ndjson(out) => json::line(out, &json::object(&self.columns, values)),
            Form::Csv(rows) => rows.row(values),
        }
    }

    /// Writes the end, and answers the names of columns that a table had no room for.
    ///
    /// # Errors
    /// Of the writer.
    pub fn finish(self) -> io::Result<Vec<&'static str>> {
        match self.form {
            Form::Table(table) => return table.finish(),
            Form::Json(mut out, array) => array.finish(&mut out)?,
            Form::Ndjson(_) => {}
            Form::Csv(rows) => rows.finish()?,
        }
        Ok(Vec::new())
    }
}

/// One row as a JSON object.
pub fn object<T>(fields: &[Field<T>], row: &T) -> serde_json::Value {
    let columns: Vec<Column> = fields.iter().map(|field| field.column).collect();
    json::object(&columns, values(fields, row))
}

fn values<T>(fields: &[Field<T>], row: &T) -> Vec<Value> {
    fields.iter().map(|field| (field.value)(row)).collect()
}
