//! The XML document: an arena tree with its own scanner, namespaces, edits and serializer.
//!
//! A [`Document`] keeps the received bytes and builds small records over them: text and attribute values are
//! ranges of the source until somebody changes them, names are interned, and an element knows where it stood.
//! A part nobody touched is therefore written back byte for byte, and only what was edited is written anew, with
//! the namespace declarations it needs at its new place.
//!
//! There is exactly one way to read XML in this project, [`Document::parse`], and it refuses document type
//! declarations: no entity is ever defined, and nothing outside of the given bytes is ever opened.
//!
//! ```
//! use mi_xml::Document;
//!
//! let mut doc = Document::parse("<o:order xmlns:o='urn:o'><o:symbol>IBM</o:symbol>  <o:note/></o:order>")?;
//! let order = doc.root_element().expect("a parsed document has a root");
//! let symbol = doc.first_child_element(order).expect("it is there");
//! assert_eq!((doc.namespace(symbol), doc.local_name(symbol)), ("urn:o", "symbol"));
//! doc.set_text(symbol, "R&D");
//! assert_eq!(doc.to_xml(order), "<o:order xmlns:o='urn:o'><o:symbol>R&amp;D</o:symbol>  <o:note/></o:order>");
//! assert_eq!(doc.to_xml(symbol), "<o:symbol xmlns:o=\"urn:o\">R&amp;D</o:symbol>");
//! # Ok::<(), mi_xml::ParseError>(())
//! ```
//!
//! Deliberately elsewhere: XPath (`mi-expr`), SOAP and the mapping to JSON (`mi-message`), schema validation.
//! The crate opens nothing and knows no clock.

mod arena;
mod declaration;
mod edit;
mod encoding;
mod escape;
mod import;
mod limits;
mod names;
mod namespaces;
mod order;
mod parser;
mod scanner;
mod serializer;
mod start_tag;
mod stream;
mod values;
mod vocabulary;

pub use arena::{Document, NodeId, NodeKind};
pub use escape::{escape_attribute, escape_text};
pub use limits::{Limits, ParseError, ParseOptions};
pub use names::NameId;
pub use scanner::{first_illegal, is_char, is_name, is_ncname};
pub use serializer::{Declaration, WriteOptions};
pub use stream::{Event, Sink, StartTag, stream};

/// The namespace every document binds to the prefix `xml`.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of namespace declarations themselves; no prefix but `xmlns` may be bound to it.
pub const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";
/// The namespace of `xsi:type` and `xsi:nil`.
pub const XSI_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema-instance";

#[cfg(test)]
mod tests;
