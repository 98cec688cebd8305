//! What is wrong with a configuration, with the place and, where one is known, the way out.
//!
//! A parse reports everything it finds; an artifact with an error is not deployed, one with warnings is.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Does the finding keep the artifact from being deployed?
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The artifact is deployed; something in it has no effect or looks like a slip.
    Warning,
    /// The artifact is not deployed.
    Error,
}

/// One finding. `Display` gives `file:line:column: message (hint)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Name of the artifact, when it is known.
    pub artifact: Option<String>,
    /// File as in [`crate::SourceFile::name`].
    pub file: Arc<str>,
    /// Line from 1; 0 when the place within the file is not known.
    pub line: u32,
    /// Column from 1; 0 when the place within the file is not known.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding about a whole file.
    pub fn of_file(severity: Severity, file: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Self { severity, artifact: None, file: file.into(), line: 0, column: 0, message: message.into(), hint: None }
    }

    /// The same finding at a place.
    pub fn at(mut self, line: u32, column: u32) -> Self {
        (self.line, self.column) = (line, column);
        self
    }

    /// The same finding with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Is it an error?
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The findings of one parse, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Keeps the value, or notes the error and goes on without one.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|it| it.is_error()).count()
    }

    /// Is there an error?
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    /// Names the artifact in the findings from index `from` that name none yet.
    pub fn name_artifact(&mut self, from: usize, artifact: &str) {
        for it in self.0.iter_mut().skip(from).filter(|it| it.artifact.is_none()) {
            it.artifact = Some(artifact.to_owned());
        }
    }

    /// The findings as a plain list.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, iter: I) {
        self.0.extend(iter);
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The name of `known` that `name` is probably a slip of.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|candidate| (distance(name, candidate, allowed), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance without regard to case; more than `cap` counts as `cap + 1`.
fn distance(a: &str, b: &str, cap: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().map(|c| c.to_ascii_lowercase()).collect(), b.chars().map(|c| c.to_ascii_lowercase()).collect());
    if a.len().abs_diff(b.len()) > cap {
        return cap + 1;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_gives_place_and_hint() {
        let plain = Diagnostic::of_file(Severity::Error, "a.xml", "no root element");
        assert_eq!(plain.to_string(), "a.xml: no root element");
        let placed = plain.at(3, 7).hint("write one");
        assert_eq!(placed.to_string(), "a.xml:3:7: no root element (write one)");
    }

    #[test]
    fn slips_find_the_name_that_was_meant() {
        let known = ["inSequence", "outSequence", "transports"];
        assert_eq!(nearest("outSequenc", &known), Some("outSequence"));
        assert_eq!(nearest("ransports", &known), Some("transports"));
        assert_eq!(nearest("INSEQUENCE", &known), Some("inSequence"));
        assert_eq!(nearest("log", &known), None);
    }

    #[test]
    fn errors_are_counted_and_named() {
        let mut out = Diagnostics::new();
        out.push(Diagnostic::of_file(Severity::Warning, "a", "w"));
        assert!(!out.has_errors());
        assert_eq!(out.take::<()>(Err(Diagnostic::of_file(Severity::Error, "a", "e"))), None);
        assert_eq!(out.errors(), 1);
        out.name_artifact(1, "x");
        assert_eq!((out[0].artifact.as_deref(), out[1].artifact.as_deref()), (None, Some("x")));
    }
}
