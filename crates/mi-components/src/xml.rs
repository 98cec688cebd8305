//! XML fragments of configurations and values: reading them, taking them out of their file, comparing what they are.

use std::sync::Arc;

use mi_config::Element;
use mi_message::XmlValue;
use mi_xml::{Document, NodeId, NodeKind};

/// Parses text that holds one element. MI: `AXIOMUtil#stringToOM`.
pub(crate) fn parse(text: &str) -> Result<XmlValue, String> {
    let document = Document::parse(text.as_bytes().to_vec()).map_err(|error| error.to_string())?;
    match document.root_element() {
        Some(root) => Ok(XmlValue { document: Arc::new(document), nodes: vec![root] }),
        None => Err("there is no element".to_owned()),
    }
}

/// True when the text is one or more elements one behind the other, as an XPath that selects several of them gives.
/// MI: `TemplateProcessor#isXML`, which looks at the first start tag only.
pub(crate) fn is_xml(text: &str) -> bool {
    let text = text.trim();
    if text.len() < 4 || !text.starts_with('<') || !text.ends_with('>') {
        return false;
    }
    if text.starts_with("<?xml") {
        return Document::parse(text.as_bytes().to_vec()).is_ok();
    }
    parse_padded(text)
        .is_ok_and(|document| document.root_element().is_some_and(|root| document.first_child_element(root).is_some()))
}

/// Parses the text as the content of an element.
pub(crate) fn parse_padded(text: &str) -> Result<Document, String> {
    Document::parse(format!("<p>{text}</p>").into_bytes()).map_err(|error| error.to_string())
}

/// An element of a configuration as a value of its own, with the namespaces that it needs.
pub(crate) fn element_value(element: &Element) -> XmlValue {
    XmlValue::copy_of(element.document(), element.node())
}

/// The element as XML that stands alone, without the white space between its elements.
pub(crate) fn without_indentation(document: &Document, node: NodeId) -> String {
    let mut copy = Document::new();
    let root = copy.import(document, node);
    copy.append_child(Document::ROOT, root);
    let blanks: Vec<NodeId> = copy
        .descendants(root)
        .filter(|it| copy.kind(*it) == NodeKind::Text && copy.value(*it).trim().is_empty())
        .collect();
    for blank in blanks {
        copy.detach(blank);
    }
    copy.to_xml(root)
}

/// Text for element content and attribute values. MI: `StringEscapeUtils#escapeXml10` of commons-lang.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(letter),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' => out.push_str(&format!("&#{};", letter as u32)),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escape, is_xml};

    #[test]
    fn what_counts_as_xml() {
        for (text, expected) in [
            ("<a/>", true),
            (" <a>1</a><a>2</a>\n", true),
            ("<?xml version='1.0'?><a/>", true),
            ("<a>", false),
            ("a < b >", false),
            ("<p:a/>", false),
            ("<>", false),
            ("text", false),
        ] {
            assert_eq!(is_xml(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_as_commons_lang_does() {
        assert_eq!(escape("a<b>&\"'\u{1}\u{7f}\n"), "a&lt;b&gt;&amp;&quot;&apos;&#127;\n");
    }
}
