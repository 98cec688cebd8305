//! Strings counted as Java counts them: in UTF-16 units. Text of ASCII only takes the short way.

/// `String#length`.
pub(crate) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// `String#substring`. The caller has checked that `from <= to <= length(text)`; a cut inside a character outside the
/// basic plane gives a replacement character.
pub(crate) fn substring(text: &str, from: usize, to: usize) -> String {
    if text.is_ascii() {
        return text.get(from..to).unwrap_or_default().to_owned();
    }
    let units: Vec<u16> = text.encode_utf16().skip(from).take(to.saturating_sub(from)).collect();
    String::from_utf16_lossy(&units)
}

/// `String#indexOf(part, from)`.
pub(crate) fn index_of(text: &str, part: &str, from: usize) -> Option<usize> {
    if text.is_ascii() {
        let start = from.min(text.len());
        return text[start..].find(part).map(|at| at + start);
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let part: Vec<u16> = part.encode_utf16().collect();
    let start = from.min(units.len());
    if part.is_empty() {
        return Some(start);
    }
    units[start..].windows(part.len()).position(|window| window == part).map(|at| at + start)
}

/// `String#trim`: drops everything up to the blank (U+0020) at both ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::{index_of, length, substring, trim};

    #[test]
    fn characters_outside_the_basic_plane_count_twice() {
        assert_eq!(length("a\u{1F600}b"), 4);
        assert_eq!(substring("a\u{1F600}b", 3, 4), "b");
        assert_eq!(index_of("a\u{1F600}b", "b", 0), Some(3));
        assert_eq!(index_of("abcabc", "b", 2), Some(4));
        assert_eq!(index_of("abc", "b", 50), None);
        assert_eq!(trim("\u{1}\t x\u{a0} "), "x\u{a0}");
    }
}
