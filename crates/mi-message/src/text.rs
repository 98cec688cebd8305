//! Names and short texts that many messages share.

use std::ops::Deref;
use std::sync::Arc;

/// A text that is cheap to copy: known when the server is built, or counted. Names that every message carries are of the
/// first kind, so that setting them neither allocates nor touches a counter that other threads touch, too.
#[derive(Clone)]
pub enum Text {
    /// Part of the program.
    Fixed(&'static str),
    /// Made while it runs.
    Shared(Arc<str>),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Fixed("")
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Shared(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::Shared(text.as_str().into())
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<Text> for Arc<str> {
    fn from(text: Text) -> Self {
        match text {
            Text::Fixed(text) => text.into(),
            Text::Shared(text) => text,
        }
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        Self::Shared(text.into())
    }
}

impl From<std::borrow::Cow<'_, str>> for Text {
    fn from(text: std::borrow::Cow<'_, str>) -> Self {
        Self::Shared(text.into())
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&**self, formatter)
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_read_alike() {
        for text in [Text::Fixed("ab"), Text::from("ab"), Text::from("ab".to_owned()), Text::from(Arc::from("ab"))] {
            assert_eq!((&*text, text.to_string().as_str(), text.len()), ("ab", "ab", 2));
        }
    }
}
