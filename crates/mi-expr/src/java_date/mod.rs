//! Dates by the patterns of Java: `DateTimeFormatter` (expressions) and `SimpleDateFormat` (`SYSTEM_DATE`), with English
//! names and no other locale. Printing is in `format.rs`, reading in `parse.rs`.

mod format;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use format::Moment;

/// Which of Java's two classes a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// `java.time.format.DateTimeFormatter`.
    Formatter,
    /// `java.text.SimpleDateFormat`.
    Simple,
}

/// Why a pattern or a text cannot be used, in Java's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DateError(pub(crate) String);

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct DateText {
    items: Vec<Item>,
    flavour: Flavour,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Field { letter: char, count: usize },
    Optional(Vec<Item>),
}

/// Optional sections allowed inside each other.
const MAX_DEPTH: usize = 16;
/// Letters of one field; more are refused by Java or make no sense.
const MAX_COUNT: usize = 19;

/// Names of months, also of the pictures of XPath.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Monday first.
pub(crate) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl DateText {
    /// Compiles a pattern.
    pub(crate) fn compile(pattern: &str, flavour: Flavour) -> Result<Self, DateError> {
        let mut stack: Vec<Vec<Item>> = vec![Vec::new()];
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let item = match c {
                'a'..='z' | 'A'..='Z' => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    check_field(c, count, flavour)?;
                    Item::Field { letter: c, count }
                }
                '\'' => Item::Literal(quoted(&mut chars, pattern)?),
                '[' if flavour == Flavour::Formatter => {
                    if stack.len() > MAX_DEPTH {
                        return Err(DateError("Pattern nests too many optional sections".to_owned()));
                    }
                    stack.push(Vec::new());
                    continue;
                }
                ']' if flavour == Flavour::Formatter => match (stack.pop(), stack.is_empty()) {
                    (Some(section), false) => Item::Optional(section),
                    _ => return Err(DateError("Pattern invalid as it contains ] without previous [".to_owned())),
                },
                '{' | '}' | '#' if flavour == Flavour::Formatter => {
                    return Err(DateError(format!("Pattern includes reserved character: '{c}'")));
                }
                other => Item::Literal(other.to_string()),
            };
            if let Some(items) = stack.last_mut() {
                items.push(item);
            }
        }
        // A section that is not closed reaches to the end.
        while stack.len() > 1 {
            let section = stack.pop().unwrap_or_default();
            if let Some(items) = stack.last_mut() {
                items.push(Item::Optional(section));
            }
        }
        Ok(Self { items: stack.pop().unwrap_or_default(), flavour })
    }
}

/// The text between apostrophes; two of them are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, pattern: &str) -> Result<String, DateError> {
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') if text.is_empty() => return Ok("'".to_owned()),
            Some('\'') => return Ok(text),
            Some(other) => text.push(other),
            None => return Err(DateError(format!("Pattern ends with an incomplete string literal: {pattern}"))),
        }
    }
}

fn check_field(letter: char, count: usize, flavour: Flavour) -> Result<(), DateError> {
    let (known, most) = match flavour {
        Flavour::Simple => ("GyYMLwWDdFEuaHkKhmsSzZX", if letter == 'X' { 3 } else { MAX_COUNT }),
        Flavour::Formatter => (
            "GuyDMLdQqYwWEecFaHkKhmsSAnNVzOXxZ",
            match letter {
                'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' | 'w' | 'V' => 2,
                'D' => 3,
                'F' | 'W' | 'a' => 1,
                'S' => 9,
                'u' | 'y' | 'Y' | 'A' | 'n' | 'N' => MAX_COUNT,
                'z' | 'O' => 4,
                _ => 5,
            },
        ),
    };
    if !known.contains(letter) {
        return Err(DateError(match flavour {
            Flavour::Simple => format!("Illegal pattern character '{letter}'"),
            Flavour::Formatter => format!("Unknown pattern letter: {letter}"),
        }));
    }
    if count > most {
        return Err(DateError(format!("Too many pattern letters: {letter}")));
    }
    Ok(())
}
