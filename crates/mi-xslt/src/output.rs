//! What a transformation gives: the result tree with the settings of `xsl:output`.

use std::collections::{HashMap, HashSet};

use mi_xml::{Document, NodeId};

/// How a result is meant to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `xml`
    Xml,
    /// `html`
    Html,
    /// `xhtml`
    Xhtml,
    /// `text`
    Text,
}

impl Method {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "xml" => Some(Self::Xml),
            "html" => Some(Self::Html),
            "xhtml" => Some(Self::Xhtml),
            "text" => Some(Self::Text),
            _ => None,
        }
    }
}

/// The serialization parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutputSettings {
    pub(crate) method: Option<Method>,
    pub(crate) encoding: Option<String>,
    pub(crate) omit_declaration: Option<bool>,
    pub(crate) standalone: Option<bool>,
    pub(crate) indent: Option<bool>,
    pub(crate) doctype_public: Option<String>,
    pub(crate) doctype_system: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) include_content_type: Option<bool>,
    pub(crate) version: Option<String>,
    /// Expanded names.
    pub(crate) cdata_elements: HashSet<String>,
    pub(crate) characters: HashMap<char, String>,
}

/// The result of a transformation.
#[derive(Debug)]
pub struct Output {
    /// The result tree.
    pub document: Document,
    /// The method of `xsl:output`, or the one that follows from the root of the result.
    pub method: Method,
    pub(crate) settings: OutputSettings,
    /// Texts written without escaping.
    pub(crate) raw: HashSet<NodeId>,
}

impl Output {
    /// The text of the result, which is all that the method `text` writes.
    pub fn text(&self) -> String {
        self.document.string_value(Document::ROOT).into_owned()
    }

    /// The value of `encoding` in `xsl:output`.
    pub fn encoding(&self) -> Option<&str> {
        self.settings.encoding.as_deref()
    }

    /// The value of `media-type` in `xsl:output`.
    pub fn media_type(&self) -> Option<&str> {
        self.settings.media_type.as_deref()
    }

    /// Whether writing gives markup that is not in the tree: unescaped text, character maps. Such a result has to be
    /// written and read again to be a tree.
    pub fn has_hidden_markup(&self) -> bool {
        !self.raw.is_empty() || !self.settings.characters.is_empty()
    }

    /// The result as text by the rules of its method and the settings of `xsl:output`.
    pub fn serialize(&self) -> String {
        crate::serialize::serialize(self)
    }
}
