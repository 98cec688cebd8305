//! Caps on what a parse may build, and the error a parse ends with.

/// Caps on one parsed document. A document that exceeds one is refused with an error naming the cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Elements open at the same time.
    pub max_depth: u32,
    /// Nodes of all kinds, attributes and namespace declarations included.
    pub max_nodes: u32,
    /// Attributes and namespace declarations of one element.
    pub max_attributes: u32,
    /// Bytes of the document as received; not more than [`Limits::MAX_BYTES`].
    pub max_bytes: usize,
    /// Bytes of one element, attribute or processing instruction name, prefix included.
    pub max_name: usize,
}

impl Limits {
    /// The longest document that can be read at all: offsets are 32 bits wide, and names may take up to three times the
    /// room they take in the document.
    pub const MAX_BYTES: usize = 1 << 30;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 1000,
            max_nodes: 20_000_000,
            max_attributes: 1000,
            max_bytes: Self::MAX_BYTES,
            max_name: 4096,
        }
    }
}

/// How a document is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Caps on the document.
    pub limits: Limits,
    /// Stop at the end tag of the root element and ignore whatever follows; see [`Document::trailing`].
    ///
    /// [`Document::trailing`]: crate::Document::trailing
    pub stop_after_root: bool,
}

/// Why and where a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Offset in bytes; of the transcoded text when the document was not sent in UTF-8.
    pub offset: usize,
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What is wrong and, where it helps, what to do about it.
    pub message: String,
}

impl ParseError {
    /// An error at `offset` of `source`, which need not be valid UTF-8 behind that offset.
    pub(crate) fn at(source: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = &source[..offset.min(source.len())];
        let (line, column) = line_and_column(before);
        Self { offset, line, column, message: message.into() }
    }
}

/// Line and column of the character that follows `before`. A byte order mark takes no column.
fn line_and_column(before: &[u8]) -> (u32, u32) {
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    (line as u32, column_of(before, line_start))
}

/// Column of the character behind `before`, whose line starts at `line_start`.
pub(crate) fn column_of(before: &[u8], line_start: usize) -> u32 {
    let text = &before[line_start..];
    let text = if line_start == 0 { text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text) } else { text };
    // Continuation bytes belong to the character before them.
    let characters = text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    characters as u32 + 1
}
