//! Text with separators as XML, a record an element.

use std::iter::Peekable;
use std::str::Chars;

use crate::xml;

/// Most fields that a configuration may name or leave out.
pub(super) const MAX_FIELDS: usize = 100_000;
/// Largest result.
const MAX_BYTES: usize = 64 << 20;

/// A reader of CSV, with the values that the library takes when nothing is said.
#[derive(Debug)]
pub(super) struct Csv {
    pub(super) fields: Vec<Field>,
    pub(super) separator: char,
    pub(super) quote: char,
    pub(super) escape: char,
    /// Lines to leave out at the beginning.
    pub(super) skip: usize,
    pub(super) root: String,
    pub(super) record: String,
    pub(super) indent: bool,
    /// Leave records out that have too few fields.
    pub(super) strict: bool,
}

/// What becomes of a field, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Named(String),
    Ignored(usize),
    IgnoreRest,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            separator: ',',
            quote: '"',
            escape: '\\',
            skip: 0,
            root: "csv-set".to_owned(),
            record: "csv-record".to_owned(),
            indent: false,
            strict: true,
        }
    }
}

impl Csv {
    /// The records of a text; `prefix` leads what is said about those that are left out.
    pub(super) fn to_xml(&self, text: &str, prefix: &str) -> Result<String, String> {
        let wanted = self.fields.iter().map(|field| match field {
            Field::Named(_) => 1,
            Field::Ignored(many) => *many,
            Field::IgnoreRest => 0,
        });
        let wanted: usize = wanted.sum();
        let mut out = format!("<{}>", self.root);
        let mut rest = text;
        for _ in 0..self.skip {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let mut letters = rest.chars().peekable();
        let mut number = 0_usize;
        while let Some(values) = self.next_record(&mut letters) {
            number += 1;
            if values.len() < wanted && self.strict {
                log::warn!(
                    target: "SmooksMediator",
                    "{prefix}The CSV record {number} has {} fields, not {wanted}, and is left out", values.len()
                );
                continue;
            }
            self.write_record(&mut out, number, &values, values.len() < wanted);
            if out.len() > MAX_BYTES {
                return Err(format!("the result of smooks is larger than {MAX_BYTES} bytes"));
            }
        }
        if self.indent {
            out.push('\n');
        }
        Ok(out + "</" + &self.root + ">")
    }

    fn write_record(&self, out: &mut String, number: usize, values: &[String], is_truncated: bool) {
        let (outer, inner) = if self.indent { ("\n\t", "\n\t\t") } else { ("", "") };
        let truncated = if is_truncated { " truncated=\"true\"" } else { "" };
        out.push_str(&format!("{outer}<{} number=\"{number}\"{truncated}>", self.record));
        let mut values = values.iter();
        for field in &self.fields {
            match field {
                Field::IgnoreRest => break,
                Field::Ignored(many) => {
                    let _ = values.nth(many - 1);
                }
                Field::Named(name) => {
                    let Some(value) = values.next() else { break };
                    let value = xml::escape(value);
                    for part in [inner, "<", name, ">", &value, "</", name, ">"] {
                        out.push_str(part);
                    }
                }
            }
        }
        for part in [outer, "</", &self.record, ">"] {
            out.push_str(part);
        }
    }

    /// The fields of the next record; a quoted one may go over lines.
    fn next_record(&self, letters: &mut Peekable<Chars<'_>>) -> Option<Vec<String>> {
        letters.peek()?;
        let (mut values, mut value, mut quoted) = (Vec::new(), String::new(), false);
        while let Some(letter) = letters.next() {
            match letter {
                _ if quoted && letter == self.escape && self.is_escaped(letters.peek()) => value.extend(letters.next()),
                _ if quoted && letter == self.quote && letters.peek() == Some(&self.quote) => {
                    value.extend(letters.next());
                }
                _ if letter == self.quote => {
                    // Blanks before a quoted value do not count.
                    if !quoted && value.chars().all(char::is_whitespace) {
                        value.clear();
                    }
                    quoted = !quoted;
                }
                _ if letter == self.separator && !quoted => values.push(std::mem::take(&mut value)),
                '\r' if !quoted && letters.peek().is_none_or(|it| *it == '\n') => {}
                '\n' if !quoted => break,
                _ => value.push(letter),
            }
        }
        values.push(value);
        Some(values)
    }

    fn is_escaped(&self, next: Option<&char>) -> bool {
        next.is_some_and(|it| *it == self.quote || *it == self.escape)
    }
}

#[cfg(test)]
mod tests {
    use super::{Csv, Field};

    fn csv(strict: bool) -> Csv {
        let fields = ["a", "b"].map(|it| Field::Named(it.to_owned()));
        Csv { fields: fields.into(), strict, ..Csv::default() }
    }

    #[test]
    fn records() {
        for (text, expected) in [
            ("", ""),
            ("1,2", "<csv-record number=\"1\"><a>1</a><b>2</b></csv-record>"),
            ("1,2,3\r\n", "<csv-record number=\"1\"><a>1</a><b>2</b></csv-record>"),
            ("1, \"2,\n3\"\"\\\"4\"", "<csv-record number=\"1\"><a>1</a><b>2,\n3&quot;&quot;4</b></csv-record>"),
            ("only\n1,&\n", "<csv-record number=\"2\"><a>1</a><b>&amp;</b></csv-record>"),
        ] {
            assert_eq!(csv(true).to_xml(text, ""), Ok(format!("<csv-set>{expected}</csv-set>")), "{text:?}");
        }
    }

    #[test]
    fn short_records_and_indentation() {
        let short = "<csv-set><csv-record number=\"1\" truncated=\"true\"><a>1</a></csv-record></csv-set>";
        assert_eq!(csv(false).to_xml("1", "").as_deref(), Ok(short));
        let indented = Csv { indent: true, ..csv(true) };
        let expected =
            "<csv-set>\n\t<csv-record number=\"1\">\n\t\t<a>1</a>\n\t\t<b>2</b>\n\t</csv-record>\n</csv-set>";
        assert_eq!(indented.to_xml("1,2", "").as_deref(), Ok(expected));
    }

    #[test]
    fn fields_are_left_out() {
        let fields = vec![Field::Ignored(2), Field::Named("c".to_owned()), Field::IgnoreRest];
        let csv = Csv { fields, skip: 1, ..Csv::default() };
        let record = "<csv-set><csv-record number=\"1\"><c>3</c></csv-record></csv-set>";
        assert_eq!(csv.to_xml("head\n1,2,3,4,5\n", "").as_deref(), Ok(record));
        assert_eq!(csv.to_xml("head", "").as_deref(), Ok("<csv-set></csv-set>"));
    }
}
