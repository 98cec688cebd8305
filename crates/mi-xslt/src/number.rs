//! Numbers as `xsl:number` writes them: `1`, `01`, `a`, `A`, `i`, `I`, words, with separators.

use mi_expr::numerals::{letters, ordinal_suffix, roman, title, words};

/// How a list of numbers is written.
pub(crate) struct NumberFormat<'a> {
    pub(crate) format: &'a str,
    pub(crate) separator: &'a str,
    pub(crate) size: usize,
    pub(crate) ordinal: bool,
}

/// Writes numbers by a format such as `1.a`.
pub(crate) fn write(numbers: &[i64], settings: &NumberFormat<'_>) -> String {
    let (prefix, tokens, suffix) = tokens(settings.format);
    // Punctuation alone stands on both sides.
    let suffix = if tokens.is_empty() { prefix } else { suffix };
    let mut out = prefix.to_owned();
    for (at, number) in numbers.iter().enumerate() {
        let (separator, token) = tokens.get(at).or(tokens.last()).copied().unwrap_or((".", "1"));
        if at > 0 {
            out.push_str(if separator.is_empty() { "." } else { separator });
        }
        out.push_str(&one(*number, token, settings));
    }
    out.push_str(suffix);
    out
}

/// Punctuation at the start, alphanumeric tokens each with what is before it, punctuation at the end.
fn tokens(format: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let mut rest = format;
    let mut tokens = Vec::new();
    let mut prefix = "";
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let end = rest[start..].find(|c: char| !c.is_alphanumeric()).map_or(rest.len(), |at| start + at);
        if tokens.is_empty() {
            prefix = &rest[..start];
            tokens.push(("", &rest[start..end]));
        } else {
            tokens.push((&rest[..start], &rest[start..end]));
        }
        rest = &rest[end..];
    }
    if tokens.is_empty() { (format, tokens, "") } else { (prefix, tokens, rest) }
}

fn one(number: i64, token: &str, settings: &NumberFormat<'_>) -> String {
    let first = token.chars().next().unwrap_or('1');
    match token {
        "a" | "A" if number > 0 => letters(number, first as u8),
        "i" if number > 0 && number < 5000 => roman(number).to_lowercase(),
        "I" if number > 0 && number < 5000 => roman(number),
        "w" => words(number),
        "W" => words(number).to_uppercase(),
        "Ww" => title(&words(number)),
        _ => {
            let width = if first.is_ascii_digit() { token.chars().count().min(100) } else { 1 };
            let digits = format!("{:0>width$}", number.unsigned_abs());
            let mut out = if number < 0 { "-".to_owned() } else { String::new() };
            out.push_str(&grouped(&digits, settings));
            if settings.ordinal {
                out.push_str(ordinal_suffix(number));
            }
            out
        }
    }
}

fn grouped(digits: &str, settings: &NumberFormat<'_>) -> String {
    if settings.size == 0 || settings.separator.is_empty() {
        return digits.to_owned();
    }
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(settings.size) {
            out.push_str(settings.separator);
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{NumberFormat, write};

    #[test]
    fn formats() {
        for (numbers, format, expected) in [
            (&[7_i64][..], "1", "7"),
            (&[7], "001", "007"),
            (&[28], "a", "ab"),
            (&[26], "A", "Z"),
            (&[14], "i", "xiv"),
            (&[1999], "I", "MCMXCIX"),
            (&[1, 2, 3], "1.1", "1.2.3"),
            (&[1, 2], "(1-a)", "(1-b)"),
            (&[121], "Ww", "One Hundred and Twenty One"),
            (&[0], "w", "zero"),
        ] {
            let settings = NumberFormat { format, separator: "", size: 0, ordinal: false };
            assert_eq!(write(numbers, &settings), expected, "{numbers:?} {format}");
        }
        let settings = NumberFormat { format: "1", separator: ",", size: 3, ordinal: true };
        assert_eq!(write(&[1_234_567, 12], &settings), "1,234,567th.12th");
    }
}
