//! Which content type is built and written how.

use regex::Regex;

/// How a content type is built or written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain XML in a made-up envelope. MI: `ApplicationXMLBuilder`, `ApplicationXMLFormatter`.
    Xml,
    /// A SOAP envelope. MI: `SOAPBuilder`, `SOAPMessageFormatter`.
    Soap,
    /// JSON. MI: `JsonStreamBuilder`, `JsonStreamFormatter`.
    Json,
    /// A URL-encoded form. MI: `XFormURLEncodedBuilder`, `XFormURLEncodedFormatter`.
    Form,
    /// A form in parts. MI: `MultipartFormDataBuilder`, `MultipartFormDataFormatter`.
    MultipartForm,
    /// A root part with attachments. MI: `MIMEBuilder`, `MTOMBuilder`, `SOAPMessageFormatter`.
    MultipartRelated,
    /// Text. MI: `PlainTextBuilder`, `PlainTextFormatter`.
    Text,
    /// Bytes. MI: `BinaryRelayBuilder`, `ExpandingMessageFormatter`, `BinaryBuilder`, `BinaryFormatter`.
    Binary,
}

impl Kind {
    /// The kind that a Java class of `[[custom_message_builders]]` or `[[custom_message_formatters]]` stands for, by
    /// its simple name. `None` for a class that is not part of the product.
    pub fn from_class(class: &str) -> Option<Self> {
        let name = class.trim().rsplit('.').next()?;
        Some(match name {
            "ApplicationXMLBuilder" | "ApplicationXMLFormatter" => Self::Xml,
            "SOAPBuilder" | "SOAPMessageFormatter" => Self::Soap,
            "JsonStreamBuilder"
            | "JsonStreamFormatter"
            | "JsonBuilder"
            | "JsonFormatter"
            | "JSONBuilder"
            | "JSONMessageFormatter"
            | "JSONStreamBuilder"
            | "JSONStreamFormatter"
            | "JSONOMBuilder"
            | "JSONBadgerfishOMBuilder"
            | "JSONBadgerfishMessageFormatter" => Self::Json,
            "XFormURLEncodedBuilder" | "XFormURLEncodedFormatter" => Self::Form,
            "MultipartFormDataBuilder" | "MultipartFormDataFormatter" => Self::MultipartForm,
            "MIMEBuilder" | "MTOMBuilder" => Self::MultipartRelated,
            "PlainTextBuilder" | "PlainTextFormatter" => Self::Text,
            "BinaryRelayBuilder" | "BinaryBuilder" | "BinaryFormatter" | "ExpandingMessageFormatter" => Self::Binary,
            _ => return None,
        })
    }

    /// The product's table; `None` for a type that is not in it. `essence` is in lower case.
    fn of_product(essence: &str) -> Option<Self> {
        Some(match essence {
            "application/xml" | "" => Self::Xml,
            "text/xml" | "application/soap+xml" | "application/xop+xml" => Self::Soap,
            "application/json" | "application/json/badgerfish" | "text/javascript" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            "multipart/form-data" => Self::MultipartForm,
            "multipart/related" => Self::MultipartRelated,
            "text/plain" => Self::Text,
            "application/octet-stream"
            | "application/binary"
            | "application/pdf"
            | "application/msword"
            | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            | "application/vnd.ms-powerpoint"
            | "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            | "application/vnd.ms-excel"
            | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Self::Binary,
            // MI takes these for plain XML, on which the first can only fail.
            other if other.ends_with("+json") => Self::Json,
            other if other.ends_with("+xml") => Self::Xml,
            _ => return None,
        })
    }
}

/// The table of content types: the product's, with the entries of the configuration before it.
#[derive(Clone, Debug, Default)]
pub struct MediaTypes {
    builders: Vec<Entry>,
    formatters: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    essence: String,
    pattern: Option<Regex>,
    kind: Kind,
}

impl MediaTypes {
    /// Has `content_type` built as `kind`. As in MI it may be a pattern, which is tried when no entry fits exactly.
    pub fn add_builder(&mut self, content_type: &str, kind: Kind) {
        self.builders.push(Entry::new(content_type, kind));
    }

    /// Has `content_type` written as `kind`.
    pub fn add_formatter(&mut self, content_type: &str, kind: Kind) {
        self.formatters.push(Entry::new(content_type, kind));
    }

    /// How `essence` is built. A type that nobody named is plain XML.
    pub fn builder(&self, essence: &str) -> Kind {
        self.known_builder(essence).unwrap_or(Kind::Xml)
    }

    /// How `essence` is built; `None` for a type that nobody named. MI: `BuilderUtil#getBuilderFromSelector`.
    pub fn known_builder(&self, essence: &str) -> Option<Kind> {
        Self::find(&self.builders, essence)
    }

    /// How `essence` is written; `None` for a type that nobody named.
    pub fn formatter(&self, essence: &str) -> Option<Kind> {
        if essence.is_empty() {
            return None;
        }
        Self::find(&self.formatters, essence)
    }

    fn find(entries: &[Entry], essence: &str) -> Option<Kind> {
        let essence = essence.to_ascii_lowercase();
        let exact = entries.iter().rev().find(|entry| entry.essence == essence).map(|entry| entry.kind);
        exact.or_else(|| Kind::of_product(&essence)).or_else(|| {
            let fits = |entry: &&Entry| entry.pattern.as_ref().is_some_and(|pattern| pattern.is_match(&essence));
            entries.iter().find(fits).map(|entry| entry.kind)
        })
    }
}

impl Entry {
    fn new(content_type: &str, kind: Kind) -> Self {
        let essence = content_type.trim().to_ascii_lowercase();
        let pattern = Regex::new(&format!(r"\A(?:{essence})\z")).ok();
        Self { essence, pattern, kind }
    }
}
