//! A format of XML that is known to be well-formed whatever well-formed values go in: its placeholders stand in text.
//!
//! What such a format renders to needs no parser before somebody looks into it; most payloads only go out again.

use std::sync::LazyLock;

use memchr::memmem;
use mi_message::soap::Extent;
use mi_message::{Envelope, SoapVersion};
use mi_xml::{Document, NodeKind};

/// Stands for a placeholder while the format is looked at. It is for private use, and no format has it.
const MARK: char = '\u{e000}';
/// The longest text that is not parsed at once.
const MAX_BYTES: usize = 16 << 20;

/// What has to be read before it is written: quotes that need no entity, declarations that unset nothing
/// (`super::read_xml`), and the end of a section, which may come about between a value and the format.
const NEEDS_READING: [&str; 5] = ["&quot;", "&apos;", "xmlns=\"\"", "xmlns=''", "]]>"];

static FINDERS: LazyLock<[memmem::Finder<'static>; 5]> = LazyLock::new(|| NEEDS_READING.map(memmem::Finder::new));
static LONG_EMPTY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"></"));

/// A format as it is written when it was read before.
#[derive(Debug)]
pub(super) struct Skeleton {
    /// What stands before, between and behind the placeholders.
    parts: Vec<String>,
    extent: Extent,
}

impl Skeleton {
    /// The skeleton of a format with placeholders at `places`, in order. `None` when a value may decide whether the result is
    /// well-formed, or what its first element is.
    pub(super) fn of(format: &str, places: impl Iterator<Item = (usize, usize)>) -> Option<Self> {
        if format.contains(MARK) {
            return None;
        }
        let (mut marked, mut end, mut count) = (String::with_capacity(format.len()), 0, 0);
        for (start, behind) in places {
            marked.push_str(&format[end..start]);
            marked.push(MARK);
            (end, count) = (behind, count + 1);
        }
        marked.push_str(&format[end..]);
        let (mut document, padding, first) = super::read_xml(marked.trim()).ok()?;
        if padding.is_none_or(|padding| document.children(padding).nth(1).is_some())
            || marks_in_text(&document) != count
        {
            return None;
        }
        let is_envelope = super::is_envelope(&document, first);
        super::make_root(&mut document, padding, first);
        let envelope = Envelope::from_document(document, SoapVersion::Soap11);
        let (written, extent) = if envelope.is_wrapped() {
            (envelope.document().to_xml(envelope.payload()?), Extent::Payload)
        } else {
            (envelope.document().to_xml(envelope.envelope()), Extent::Envelope(envelope.version()))
        };
        let clashes = extent == Extent::Payload && (is_envelope || written.contains("soapenv"));
        if clashes || !needs_no_reading(&written) {
            return None;
        }
        Some(Self { parts: written.split(MARK).map(str::to_owned).collect(), extent })
    }

    /// The format with the values in their places. `None` when the whole has to be read first.
    pub(super) fn fill<'v>(&self, values: impl Iterator<Item = &'v str>) -> Option<(String, Extent)> {
        let mut out = String::with_capacity(self.parts.iter().map(String::len).sum::<usize>() * 2);
        let mut values = values;
        for (number, part) in self.parts.iter().enumerate() {
            if number > 0 {
                out.push_str(values.next()?);
            }
            out.push_str(part);
        }
        needs_no_reading(&out).then_some((out, self.extent))
    }
}

fn needs_no_reading(text: &str) -> bool {
    text.len() <= MAX_BYTES
        && FINDERS.iter().all(|finder| finder.find(text.as_bytes()).is_none())
        && !has_long_empty_element(text.as_bytes())
        && mi_xml::first_illegal(text) == text.len()
}

/// An element without content that is not written as `<a/>`: an end tag behind a start tag.
fn has_long_empty_element(text: &[u8]) -> bool {
    LONG_EMPTY.find_iter(text).any(|at| {
        let tag = &text[memchr::memrchr(b'<', &text[..at]).unwrap_or(0)..at];
        !(tag.ends_with(b"/") || tag.starts_with(b"</") || tag.starts_with(b"<!--") || tag.starts_with(b"<?"))
    })
}

/// Marks that are text, as sections, comments, names and attributes are not.
fn marks_in_text(document: &Document) -> usize {
    let is_text = |node: &mi_xml::NodeId| document.kind(*node) == NodeKind::Text && !document.is_cdata(*node);
    let texts = document.descendants(Document::ROOT).filter(is_text);
    texts.map(|text| document.value(text).matches(MARK).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills the place of every `$` and tells the result, if there is one without reading.
    fn filled(format: &str, value: &str) -> Option<String> {
        let places: Vec<(usize, usize)> = format.match_indices('$').map(|(at, _)| (at, at + 1)).collect();
        let skeleton = Skeleton::of(format, places.iter().copied())?;
        skeleton.fill(places.iter().map(|_| value)).map(|(text, _)| text)
    }

    #[test]
    fn placeholders_in_text_are_filled() {
        for (format, value, expected) in [
            ("<a>$</a>", "1", "<a>1</a>"),
            (" <a b='x'>$-$</a> ", "1", "<a b='x'>1-1</a>"),
            ("<a><b></b>$</a>", "<c/>", "<a><b/><c/></a>"),
            ("<a xmlns=\"\">$</a>", "1", "<a>1</a>"),
            ("<a>it&apos;s $</a>", "1", "<a>it's 1</a>"),
            ("<a><b>$<!--c--></b></a>", "<c>1</c>", "<a><b><c>1</c><!--c--></b></a>"),
        ] {
            assert_eq!(filled(format, value).as_deref(), Some(expected), "{format}");
        }
        let soap = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>$</e:Body></e:Envelope>";
        assert!(filled(soap, "1").is_some());
    }

    #[test]
    fn what_a_value_may_break_is_read_first() {
        for format in [
            "<a b='$'>1</a>",
            "<a><![CDATA[$]]></a>",
            "<a><!--$--></a>",
            "<$>1</a>",
            "<a>$",
            "<a>$</a><b/>",
            "$<a>1</a>",
            "$",
            "<soapenv:a xmlns:soapenv='urn:x'>$</soapenv:a>",
            "<a>\u{e000}$</a>",
        ] {
            assert_eq!(filled(format, "1"), None, "{format}");
        }
        for value in ["", "&quot;", "<b></b>", "<b-></b->", "<b xmlns=\"\"/>", "]]>", "\u{1}", "\u{ffff}"] {
            assert_eq!(filled("<a>$</a>", value), None, "{value:?}");
        }
        assert_eq!(filled("<a>$></a>", "]]"), None);
    }
}
