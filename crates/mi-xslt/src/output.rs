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
    pub(crate) escape_uris: Option<bool>,
    pub(crate) byte_order_mark: Option<bool>,
    pub(crate) version: Option<String>,
    /// Expanded names.
    pub(crate) cdata_elements: HashSet<String>,
    pub(crate) characters: HashMap<char, String>,
}

/// The attributes of `xsl:output` that [`OutputSettings::set`] knows.
pub(crate) const OUTPUT_ATTRIBUTES: [&str; 12] = [
    "method",
    "encoding",
    "doctype-public",
    "doctype-system",
    "media-type",
    "version",
    "omit-xml-declaration",
    "standalone",
    "indent",
    "include-content-type",
    "escape-uri-attributes",
    "byte-order-mark",
];

impl OutputSettings {
    /// Takes the value of an attribute; those without an effect here are ignored.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = || Some(value.to_owned());
        let switch = || match value.trim() {
            "yes" | "true" | "1" => Ok(Some(true)),
            "no" | "false" | "0" => Ok(Some(false)),
            "omit" if name == "standalone" => Ok(None),
            _ => Err(format!("`{value}` is no value of `{name}`: `yes` or `no` is")),
        };
        match name {
            "method" => {
                let local = value.trim();
                self.method = Some(Method::parse(local).ok_or_else(|| format!("`{local}` is no output method"))?);
            }
            "encoding" => self.encoding = text(),
            "doctype-public" => self.doctype_public = text(),
            "doctype-system" => self.doctype_system = text(),
            "media-type" => self.media_type = text(),
            "version" => self.version = text(),
            "omit-xml-declaration" => self.omit_declaration = switch()?,
            "standalone" => self.standalone = switch()?,
            "indent" => self.indent = switch()?,
            "escape-uri-attributes" => self.escape_uris = switch()?,
            "byte-order-mark" => self.byte_order_mark = switch()?,
            "include-content-type" => self.include_content_type = switch()?,
            _ => {}
        }
        Ok(())
    }
}

/// The result of a transformation.
#[derive(Debug)]
pub struct Output {
    /// The result tree.
    pub document: Document,
    /// The method of `xsl:output`, or the one that follows from the root of the result.
    pub method: Method,
    /// The results of `xsl:result-document` by the `href` they have, in the order in which they were finished.
    pub others: Vec<(String, Self)>,
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
