//! XML that somebody put together and nobody has looked into: its text stands for the tree until a step asks for that.
//!
//! A payload that only goes out again is never parsed. Whoever makes one answers for its being well-formed.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use memchr::memmem;
use mi_xml::{Document, Limits, ParseOptions};

use super::{SoapVersion, Tree};

/// Opens and closes the envelope that is made around a payload.
const WRAPPERS: [(SoapVersion, &str, &str); 2] = [
    (
        SoapVersion::Soap11,
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>",
        "</soapenv:Body></soapenv:Envelope>",
    ),
    (
        SoapVersion::Soap12,
        "<soapenv:Envelope xmlns:soapenv=\"http://www.w3.org/2003/05/soap-envelope\"><soapenv:Body>",
        "</soapenv:Body></soapenv:Envelope>",
    ),
];

/// What a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A SOAP envelope of that version, with one Body.
    Envelope(SoapVersion),
    /// The element in the Body of an envelope that is yet to be made. It must not use the prefix `soapenv`.
    Payload,
}

/// The text, with the tree when somebody has asked for it.
pub(super) struct Unparsed {
    text: Bytes,
    is_payload: bool,
    tree: OnceLock<Tree>,
}

impl Unparsed {
    pub(super) fn new(text: Bytes, is_payload: bool) -> Self {
        Self { text, is_payload, tree: OnceLock::new() }
    }

    /// The tree, parsed once.
    pub(super) fn tree(&self, version: SoapVersion) -> &Tree {
        self.tree.get_or_init(|| self.parse(version))
    }

    pub(super) fn into_tree(self, version: SoapVersion) -> Tree {
        let Self { text, is_payload, tree } = self;
        tree.into_inner().unwrap_or_else(|| Self::new(text, is_payload).parse(version))
    }

    fn parse(&self, version: SoapVersion) -> Tree {
        // What the parts were allowed, they are allowed together.
        let limits = Limits {
            max_depth: u32::MAX,
            max_nodes: u32::MAX,
            max_attributes: u32::MAX,
            max_name: usize::MAX,
            max_bytes: Limits::MAX_BYTES,
        };
        let options = ParseOptions { limits, ..ParseOptions::default() };
        let parsed = Document::parse_with(self.text.clone(), &options).unwrap_or_else(|error| {
            debug_assert!(false, "{error}: {:?}", self.text);
            Document::new()
        });
        let adopted = if self.is_payload { None } else { Tree::adopt(&parsed) };
        match adopted {
            Some((tree, _)) => tree.holding(parsed),
            None => {
                let root = parsed.root_element();
                Tree::wrap(parsed, root, version)
            }
        }
    }

    /// The payload as it stands, if the text is one.
    pub(super) fn payload(&self) -> Option<&Bytes> {
        self.is_payload.then_some(&self.text)
    }

    /// Writes the envelope.
    pub(super) fn write(&self, version: SoapVersion, out: &mut Vec<u8>) {
        let wrapper = WRAPPERS.iter().find(|(of, ..)| *of == version).filter(|_| self.is_payload);
        let (before, behind) = wrapper.map_or(("", ""), |(_, before, behind)| (*before, *behind));
        out.reserve(before.len() + self.text.len() + behind.len());
        for part in [before.as_bytes(), &self.text, behind.as_bytes()] {
            out.extend_from_slice(part);
        }
    }

    /// Whether the word occurs anywhere in the text.
    pub(super) fn mentions(&self, word: &str) -> bool {
        memmem::find(&self.text, word.as_bytes()).is_some()
    }
}

impl Clone for Unparsed {
    /// The copy parses for itself.
    fn clone(&self) -> Self {
        Self::new(self.text.clone(), self.is_payload)
    }
}

impl fmt::Debug for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparsed").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Envelope, SOAP11_NS, SOAP12_NS, remove_addressing};
    use super::*;

    const VERSIONS: [(SoapVersion, &str); 2] = [(SoapVersion::Soap11, SOAP11_NS), (SoapVersion::Soap12, SOAP12_NS)];

    fn written(envelope: &Envelope) -> String {
        let mut out = Vec::new();
        envelope.write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    /// What is written without a tree is what is written with one.
    #[test]
    fn a_text_stands_for_its_tree() {
        for (version, namespace) in VERSIONS {
            let payload = "<m:a xmlns:m=\"urn:m\" k='1'><b/>t&amp;<!--c--></m:a>";
            let whole = format!("<e:Envelope xmlns:e='{namespace}'><e:Header/><e:Body>{payload}</e:Body></e:Envelope>");
            for (text, extent) in [(payload.to_owned(), Extent::Payload), (whole, Extent::Envelope(version))] {
                let mut envelope = Envelope::from_text(text, extent, version);
                assert_eq!((envelope.version(), envelope.is_wrapped()), (version, extent == Extent::Payload));
                let unparsed = written(&envelope);
                let copy = envelope.clone();
                assert_eq!(copy.payload_text().is_some(), extent == Extent::Payload);
                envelope.document_mut();
                assert_eq!(envelope.payload_text(), None);
                assert_eq!(written(&envelope), unparsed);
                let document = envelope.document();
                let found = document.to_xml(envelope.payload().expect("a payload"));
                assert_eq!(found, payload);
                assert_eq!(document.to_xml(copy.envelope()), unparsed);
                assert_eq!(envelope.header().is_some(), extent != Extent::Payload);
            }
        }
    }

    #[test]
    fn another_version_is_another_envelope_around_the_same_text() {
        let envelope = Envelope::from_text("<a/>".to_owned(), Extent::Payload, SoapVersion::Soap11);
        let other = envelope.to_version(SoapVersion::Soap12);
        assert_eq!(other.payload_text(), Some(&Bytes::from("<a/>")));
        assert!(written(&other).contains(SOAP12_NS));
        let whole = format!("<e:Envelope xmlns:e='{SOAP11_NS}'><e:Body><a/></e:Body></e:Envelope>");
        let envelope = Envelope::from_text(whole, Extent::Envelope(SoapVersion::Soap11), SoapVersion::Soap11);
        assert!(written(&envelope.to_version(SoapVersion::Soap12)).contains(SOAP12_NS));
    }

    #[test]
    fn a_payload_is_replaced_between_the_texts_of_its_envelope() {
        let soap = |attributes: &str, content: &str| {
            format!(
                "<e:Envelope xmlns:e='{SOAP11_NS}'{attributes}> <e:Header/><e:Body>{content}</e:Body>\n</e:Envelope>"
            )
        };
        let parsed = |text: &str| {
            let document = Document::parse(format!("<?xml version='1.0'?>\n{text}")).expect("well-formed");
            Envelope::from_document(document, SoapVersion::Soap11)
        };
        let mut envelope = parsed(&soap("", "<a><b/></a>"));
        assert!(envelope.replace_payload("<c x=\"1\">2</c>"));
        assert_eq!(written(&envelope), soap("", "<c x=\"1\">2</c>"));
        assert!(!envelope.is_wrapped() && envelope.payload_text().is_none());
        let mut plain = parsed("<a/>");
        assert!(plain.replace_payload("<c/>"));
        assert_eq!(plain.payload_text(), Some(&Bytes::from("<c/>")));
        // What would be another text, or mean something else, takes a tree.
        for (envelope, text) in [
            (soap("", "<a/>"), format!("<e:c xmlns:e=\"{SOAP11_NS}\"/>")),
            (soap(" xmlns='urn:d'", "<a/>"), "<c/>".to_owned()),
            (soap("", "t<a/>"), "<c/>".to_owned()),
            (soap("", ""), "<c/>".to_owned()),
            ("<a/>".to_owned(), "<soapenv:c xmlns:soapenv='urn:c'/>".to_owned()),
        ] {
            let mut envelope = parsed(&envelope);
            let before = written(&envelope);
            assert!(!envelope.replace_payload(&text), "{text}");
            assert_eq!(written(&envelope), before);
        }
        let mut changed = parsed(&soap("", "<a/>"));
        changed.header_or_create();
        assert!(changed.replace_payload("<c/>"), "there is a header");
        let mut changed = parsed(&soap("", "<a/>"));
        let header = changed.header_or_create();
        changed.document_mut().detach(header);
        assert!(!changed.replace_payload("<c/>"));
    }

    #[test]
    fn faults_and_addresses_are_seen() {
        let fault = format!("<e:Envelope xmlns:e='{SOAP11_NS}'><e:Body><e:Fault/></e:Body></e:Envelope>");
        let extent = Extent::Envelope(SoapVersion::Soap11);
        assert!(Envelope::from_text(fault, extent, SoapVersion::Soap11).has_fault());
        let plain = Envelope::from_text("<Fault/>".to_owned(), Extent::Payload, SoapVersion::Soap11);
        assert!(!plain.has_fault());
        let addressed = format!(
            "<e:Envelope xmlns:e='{SOAP11_NS}' xmlns:w='{}'><e:Header><w:To>x</w:To></e:Header><e:Body/></e:Envelope>",
            super::super::WSA_NS
        );
        let mut envelope = Envelope::from_text(addressed, extent, SoapVersion::Soap11);
        assert!(envelope.may_have_addressing());
        remove_addressing(&mut envelope);
        assert!(!written(&envelope).contains("To"));
        let quiet = format!("<e:Envelope xmlns:e='{SOAP11_NS}'><e:Header/><e:Body/></e:Envelope>");
        assert!(!Envelope::from_text(quiet, extent, SoapVersion::Soap11).may_have_addressing());
    }
}
