//! Finds expressions inside text: `${…}` in templates, `{…}` in inline content and in JSON paths.

use std::ops::Range;

/// The `${…}` of a text: the range with the braces, and behind it the places where a longer one would end, should the
/// shortest not be an expression. MI: `InlineExpressionUtil`, `\$\{(.+?)}` on one line.
pub(crate) fn dollar(text: &str, from: usize) -> Option<(usize, Vec<usize>)> {
    let mut at = from;
    while let Some(found) = text[at..].find("${") {
        let start = at + found;
        let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |end| start + end);
        let ends: Vec<usize> = text[start + 2..line_end]
            .match_indices('}')
            .map(|(end, _)| start + 2 + end)
            .filter(|end| *end > start + 2)
            .take(16)
            .collect();
        if !ends.is_empty() {
            return Some((start, ends));
        }
        at = start + 2;
    }
    None
}

/// The first `{…}` without blanks, quotes, commas, angle brackets and closing brackets inside.
/// MI: `InlineExpressionUtil`, `(\{[^\s",<>}\]]+})`.
pub(crate) fn brace(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(found) = text[at..].find('{') {
        let start = at + found;
        let inside = text[start + 1..].find(|c: char| c.is_ascii_whitespace() || "\",<>}]".contains(c));
        match inside {
            Some(length) if length > 0 && text[start + 1 + length..].starts_with('}') => {
                return Some(start..start + length + 2);
            }
            _ => at = start + 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{brace, dollar};

    #[test]
    fn finds_expressions() {
        for (text, expected) in [
            ("a ${b} c", Some((2, vec![5]))),
            ("${a}}", Some((0, vec![3, 4]))),
            ("${}", None),
            ("${a\n}", None),
            ("$ {a}", None),
            ("${\n ${x}", Some((4, vec![7]))),
        ] {
            assert_eq!(dollar(text, 0), expected, "{text:?}");
        }
        for (text, expected) in [
            ("$.a.{$ctx:b}.c", Some(4..12)),
            ("{ \"a\": {$ctx:b}}", Some(7..15)),
            ("{a b}", None),
            ("{}", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(brace(text, 0), expected, "{text:?}");
        }
    }
}
