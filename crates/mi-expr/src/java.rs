//! Java's patterns for settings outside of expressions: names of files by regular expression, dates by
//! `SimpleDateFormat`.

use crate::java_date::{DateText, Flavour};
pub use crate::java_regex::FullMatch;
pub use crate::java_search::Search;

/// A date pattern of `java.text.SimpleDateFormat`, with English names.
#[derive(Clone, Debug)]
pub struct DatePattern(DateText);

impl DatePattern {
    /// Compiles a pattern. The error is Java's.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        DateText::compile(pattern, Flavour::Simple).map(Self).map_err(|error| error.0)
    }

    /// Prints a moment, in milliseconds since the epoch, in a zone with this offset. Empty for a moment that no
    /// calendar reaches.
    pub fn format(&self, millis: i64, offset_seconds: i32) -> String {
        self.0.format_instant(millis, offset_seconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates() {
        let pattern = FullMatch::compile("order-[0-9]+\\.txt").unwrap();
        assert!(pattern.fits("order-17.txt") && !pattern.fits("order-17.txt.lock") && !pattern.fits("xorder-17.txt"));
        assert!(FullMatch::compile("(").is_err());
        let date = DatePattern::compile("yyyy-MM-dd'_'HHmm").unwrap();
        assert_eq!(date.format(1_700_000_000_000, 3600), "2023-11-14_2313");
        assert!(DatePattern::compile("bbb").is_err());
    }
}
