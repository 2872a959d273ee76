//! JSON that is safe to paste into a page, a log or a terminal: text in it is escaped, and nothing is lost.

use std::io::{self, Write};

use serde_json::{Map, Value as Json};

use super::rows::{Column, Kind, Shown, Value};
use super::sanitize::acts_on_terminal;

/// Writes one indented document and a line break.
///
/// # Errors
/// Of the writer.
pub fn document(out: &mut impl Write, document: &Json) -> io::Result<()> {
    write_escaped(out, &format!("{document:#}"))?;
    out.write_all(b"\n")
}

/// Writes one document on one line.
///
/// # Errors
/// Of the writer.
pub fn line(out: &mut impl Write, document: &Json) -> io::Result<()> {
    write_escaped(out, &document.to_string())?;
    out.write_all(b"\n")
}

/// Writes an array, one element after the other, as one indented document.
#[derive(Debug, Default)]
pub struct Array {
    begun: bool,
}

impl Array {
    /// Writes the next element.
    ///
    /// # Errors
    /// Of the writer.
    pub fn element(&mut self, out: &mut impl Write, element: &Json) -> io::Result<()> {
        out.write_all(if self.begun { b",\n  " } else { b"[\n  " })?;
        self.begun = true;
        // Line breaks in text are escaped, so every one here is between elements.
        write_escaped(out, &format!("{element:#}").replace('\n', "\n  "))
    }

    /// Writes the end.
    ///
    /// # Errors
    /// Of the writer.
    pub fn finish(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(if self.begun { b"\n]\n" } else { b"[]\n" })
    }
}

/// One row as an object, without columns that are for tables only.
pub fn object(columns: &[Column], values: Vec<Value>) -> Json {
    let pairs = columns.iter().zip(values).filter(|(column, _)| !matches!(column.shown, Shown::Table { .. }));
    Json::Object(pairs.map(|(column, value)| (column.name.to_owned(), of(column.kind, value))).collect::<Map<_, _>>())
}

fn of(kind: Kind, value: Value) -> Json {
    match (kind, value) {
        // Text that is no JSON after all stays text.
        (Kind::Json, Value::Text(text)) => serde_json::from_str(&text).unwrap_or(Json::String(text)),
        (_, Value::Null) => Json::Null,
        (_, Value::Text(text)) => Json::String(text),
        (_, Value::Integer(number)) => number.into(),
        (_, Value::Share(share)) => share.into(),
        (_, Value::Flag(flag)) => flag.into(),
    }
}

/// Outside of strings JSON has no character that is escaped here but the line break between elements, so the text of a
/// document can be escaped as a whole.
fn write_escaped(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(unsafe_in_json) {
        let (plain, tail) = rest.split_at(at);
        out.write_all(plain.as_bytes())?;
        let mut characters = tail.chars();
        let mut units = [0; 2];
        for unit in characters.next().unwrap_or_default().encode_utf16(&mut units) {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())
}

fn unsafe_in_json(character: char) -> bool {
    matches!(character, '<' | '>' | '&') || (acts_on_terminal(character) && character != '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_comes_back_as_it_was_and_is_nowhere_plain() {
        let text = "</script>&\u{2028}\u{2029}\x1b]52;c;x\x07\u{9b}\u{202e}\u{200b}\u{e0041}\u{7f}\n\"\\ é 🙂";
        let mut out = Vec::new();
        document(&mut out, &serde_json::json!({ "text": text, "list": [1, 2] })).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert!(!written.trim_end().chars().any(unsafe_in_json), "{written}");
        assert!(written.contains("\\udb40\\udc41"), "{written}");
        assert_eq!(serde_json::from_str::<Json>(&written).unwrap()["text"], text);
    }

    #[test]
    fn an_array_is_one_document_however_many_elements() {
        for count in 0..3 {
            let mut out = Vec::new();
            let mut array = Array::default();
            for number in 0..count {
                array.element(&mut out, &serde_json::json!({ "a": number, "b\n": [] })).unwrap();
            }
            array.finish(&mut out).unwrap();
            let parsed: Json = serde_json::from_slice(&out).unwrap();
            assert_eq!(parsed.as_array().unwrap().len(), count);
        }
    }

    #[test]
    fn json_columns_are_values_not_text() {
        assert_eq!(of(Kind::Json, "[{\"a\":null}]".into()), serde_json::json!([{ "a": null }]));
        assert_eq!(of(Kind::Json, "[broken".into()), serde_json::json!("[broken"));
    }
}
