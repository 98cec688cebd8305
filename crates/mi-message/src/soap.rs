//! The SOAP envelope around every XML view of a body.
//!
//! Synapse sees each message as an envelope: plain XML (POX) is put into the Body of a made-up one, so that
//! `/soapenv:Envelope/soapenv:Body/x`, `$body/x` and `//x` find the same element whatever arrived.

mod addressing;
mod fault;
mod unparsed;

pub use addressing::{
    WSA_NS, WSA_SUBMISSION_NS, read_addressing, remove_addressing, remove_header, set_header, write_addressing,
};
pub use fault::{Detail, Fault, FaultCode, fault};
pub use unparsed::Extent;

use bytes::Bytes;
use mi_xml::{Document, NodeId};

use self::unparsed::Unparsed;

/// Namespace of SOAP 1.1 envelopes.
pub const SOAP11_NS: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of SOAP 1.2 envelopes.
pub const SOAP12_NS: &str = "http://www.w3.org/2003/05/soap-envelope";

/// Version of an envelope.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum SoapVersion {
    /// SOAP 1.1, `text/xml`.
    #[default]
    Soap11,
    /// SOAP 1.2, `application/soap+xml`.
    Soap12,
}

impl SoapVersion {
    /// The envelope namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Soap11 => SOAP11_NS,
            Self::Soap12 => SOAP12_NS,
        }
    }

    /// The version that an envelope namespace stands for.
    pub fn from_namespace(namespace: &str) -> Option<Self> {
        match namespace {
            SOAP11_NS => Some(Self::Soap11),
            SOAP12_NS => Some(Self::Soap12),
            _ => None,
        }
    }
}

/// A document whose root element is a SOAP envelope with exactly one Body.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Means nothing while there is `unparsed`.
    tree: Tree,
    unparsed: Option<Box<Unparsed>>,
    version: SoapVersion,
    wrapped: bool,
    /// Texts that MTOM brought as parts of their own.
    binary: Vec<NodeId>,
}

/// A document and the elements that make it a SOAP envelope.
#[derive(Clone, Debug)]
struct Tree {
    document: Document,
    root: NodeId,
    header: Option<NodeId>,
    body: NodeId,
}

impl Tree {
    /// The places of an envelope's elements in a document that is one, without the document.
    fn adopt(document: &Document) -> Option<(Self, SoapVersion)> {
        let root = document.root_element()?;
        let version = SoapVersion::from_namespace(document.namespace(root))?;
        let part =
            |name| document.child_elements(root).find(|child| document.has_name(*child, version.namespace(), name));
        (document.local_name(root) == "Envelope").then_some(())?;
        let (header, body) = (part("Header"), part("Body")?);
        Some((Self { document: Document::default(), root, header, body }, version))
    }

    fn holding(self, document: Document) -> Self {
        Self { document, ..self }
    }

    fn wrap(mut document: Document, payload: Option<NodeId>, version: SoapVersion) -> Self {
        let namespace = version.namespace();
        let envelope = document.create_element("soapenv", "Envelope", namespace);
        document.declare_namespace(envelope, "soapenv", namespace);
        let body = document.create_element("soapenv", "Body", namespace);
        document.append_child(envelope, body);
        if let Some(payload) = payload {
            document.detach(payload);
            document.append_child(body, payload);
        }
        document.append_child(Document::ROOT, envelope);
        Self { document, root: envelope, header: None, body }
    }

    fn nothing() -> Self {
        Self { document: Document::new(), root: Document::ROOT, header: None, body: Document::ROOT }
    }
}

impl Envelope {
    /// Notes texts that came as parts of their own, and go out as such when MTOM is on. MI: `OMText#isOptimized`.
    pub(crate) fn mark_binary(&mut self, texts: Vec<NodeId>) {
        self.binary = texts;
    }

    /// The texts that were noted, whatever has become of them.
    pub(crate) fn binary(&self) -> &[NodeId] {
        &self.binary
    }

    /// An envelope with an empty Body.
    pub fn empty(version: SoapVersion) -> Self {
        Self::wrap_into(Document::new(), None, version)
    }

    /// Takes a parsed document: a SOAP envelope is used as it is, any other root becomes the child of a new Body.
    /// A document without a root element gives an empty Body.
    pub fn from_document(document: Document, version: SoapVersion) -> Self {
        match Tree::adopt(&document) {
            Some((tree, version)) => Self::of(tree.holding(document), version, false),
            None => Self::wrap(document, version),
        }
    }

    /// Puts a parsed document into a new Body, also when its root is an envelope itself.
    pub fn wrap(document: Document, version: SoapVersion) -> Self {
        let root = document.root_element();
        Self::wrap_into(document, root, version)
    }

    /// Takes XML that was put together out of well-formed parts; it is parsed when somebody looks into it. `version` is
    /// that of the envelope around a payload. `text` must be one well-formed element, written as [`Document::write`]
    /// writes one; what is no envelope, or no XML at all, is found too late for a good error.
    pub fn from_text(text: impl Into<Bytes>, extent: Extent, version: SoapVersion) -> Self {
        let (version, is_payload) = match extent {
            Extent::Envelope(version) => (version, false),
            Extent::Payload => (version, true),
        };
        let unparsed = Some(Box::new(Unparsed::new(text.into(), is_payload)));
        Self { unparsed, ..Self::of(Tree::nothing(), version, is_payload) }
    }

    fn of(tree: Tree, version: SoapVersion, wrapped: bool) -> Self {
        Self { tree, unparsed: None, version, wrapped, binary: Vec::new() }
    }

    fn wrap_into(document: Document, payload: Option<NodeId>, version: SoapVersion) -> Self {
        Self::of(Tree::wrap(document, payload, version), version, true)
    }

    fn tree(&self) -> &Tree {
        match &self.unparsed {
            Some(unparsed) => unparsed.tree(self.version),
            None => &self.tree,
        }
    }

    fn tree_mut(&mut self) -> &mut Tree {
        if let Some(unparsed) = self.unparsed.take() {
            self.tree = unparsed.into_tree(self.version);
        }
        &mut self.tree
    }

    /// The payload as text, while nobody has looked into it and it stands alone.
    pub(crate) fn payload_text(&self) -> Option<&Bytes> {
        self.unparsed.as_ref().and_then(|unparsed| unparsed.payload())
    }

    /// About how many bytes [`Envelope::write`] will write, to make room in advance; never much.
    pub(crate) fn size_hint(&self) -> usize {
        match &self.unparsed {
            // Makes its own room.
            Some(_) => 0,
            None => self.tree.document.size_hint(),
        }
    }

    /// Writes the whole envelope, without XML declaration.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.unparsed {
            Some(unparsed) => unparsed.write(self.version, out),
            None => self.tree.document.write(self.tree.root, out),
        }
    }

    /// False when there is certainly no header block of WS-Addressing.
    pub fn may_have_addressing(&self) -> bool {
        match &self.unparsed {
            Some(unparsed) => unparsed.payload().is_none() && unparsed.mentions("addressing"),
            None => self.tree.header.is_some(),
        }
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.tree().document
    }

    /// The document for editing. Replacing the Envelope or Body element itself needs [`Envelope::reindex`] after it.
    pub fn document_mut(&mut self) -> &mut Document {
        &mut self.tree_mut().document
    }

    /// Finds Header and Body again after an edit that may have replaced them. False when the document is no envelope
    /// any more; the old handles are kept then.
    pub fn reindex(&mut self) -> bool {
        let tree = self.tree_mut();
        let Some((found, version)) = Tree::adopt(&tree.document) else { return false };
        (tree.root, tree.header, tree.body) = (found.root, found.header, found.body);
        self.version = version;
        true
    }

    /// The Envelope element.
    pub fn envelope(&self) -> NodeId {
        self.tree().root
    }

    /// The Body element.
    pub fn body(&self) -> NodeId {
        self.tree().body
    }

    /// The Header element, when there is one.
    pub fn header(&self) -> Option<NodeId> {
        match &self.unparsed {
            Some(unparsed) if unparsed.payload().is_some() => None,
            _ => self.tree().header,
        }
    }

    /// The Header element; it is made when absent.
    pub fn header_or_create(&mut self) -> NodeId {
        let namespace = self.version.namespace();
        let tree = self.tree_mut();
        if let Some(header) = tree.header {
            return header;
        }
        let prefix = tree.document.prefix(tree.root).to_owned();
        let header = tree.document.create_element(&prefix, "Header", namespace);
        tree.document.insert_before(tree.body, header);
        tree.header = Some(header);
        header
    }

    /// The first element in the Body: what MI calls the payload.
    pub fn payload(&self) -> Option<NodeId> {
        let tree = self.tree();
        tree.document.first_child_element(tree.body)
    }

    /// True when the payload is a SOAP Fault of this envelope's version.
    pub fn has_fault(&self) -> bool {
        if self.unparsed.as_ref().is_some_and(|unparsed| !unparsed.mentions("Fault")) {
            return false;
        }
        let (document, namespace) = (self.document(), self.version.namespace());
        self.payload().is_some_and(|payload| document.has_name(payload, namespace, "Fault"))
    }

    /// SOAP version.
    pub fn version(&self) -> SoapVersion {
        self.version
    }

    /// True when the envelope was made around plain XML and was not received as one.
    pub fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// Says whether the envelope counts as one that was received (or made by `payloadFactory`, `makefault`).
    pub fn set_wrapped(&mut self, wrapped: bool) {
        self.wrapped = wrapped;
    }

    /// Removes everything from the Body.
    pub fn clear_body(&mut self) {
        let tree = self.tree_mut();
        tree.document.remove_children(tree.body);
    }

    /// Replaces the content of the Body by copies of `nodes` of another document.
    pub fn set_payload(&mut self, source: &Document, nodes: &[NodeId]) {
        self.clear_body();
        let tree = self.tree_mut();
        for node in nodes {
            let copy = tree.document.import(source, *node);
            tree.document.append_child(tree.body, copy);
        }
    }

    /// Puts an element that was written as text in the place of the payload, without reading either: the text of the
    /// envelope stays around it. False, and nothing is done, when the envelope was changed since it was received, or when
    /// declarations of the envelope and the element may say the same or the opposite.
    ///
    /// `text` must be as [`Document::write`] writes an element that stands alone.
    pub fn replace_payload(&mut self, text: &str) -> bool {
        let replaced = if self.unparsed.is_none() && self.binary.is_empty() { self.around(text) } else { None };
        let Some((text, is_payload)) = replaced else { return false };
        self.unparsed = Some(Box::new(Unparsed::new(text.into(), is_payload)));
        self.tree = Tree::nothing();
        true
    }

    /// The text of the envelope with another payload; a payload alone where the envelope was made for it.
    fn around(&self, text: &str) -> Option<(String, bool)> {
        let Tree { document, root, header, body } = &self.tree;
        let mut content = document.children(*body);
        let payload = content.next().filter(|first| document.is_element(*first))?;
        if document.unchanged_source(*root).is_none() {
            let is_made = self.wrapped && header.is_none() && content.next().is_none();
            return (is_made && !text.contains("soapenv")).then(|| (text.to_owned(), true));
        }
        let clashes = document.in_scope_namespaces(*body).into_iter().any(|(prefix, uri)| {
            if prefix.is_empty() { !uri.is_empty() } else { text.contains(&format!("xmlns:{prefix}=")) }
        });
        let (whole, part) = (document.source_range(*root)?, document.source_range(payload)?);
        let source = document.source_of(*root)?;
        let before = source.get(..part.start.checked_sub(whole.start)?)?;
        let behind = source.get(part.end.checked_sub(whole.start)?..)?;
        (!clashes).then(|| ([before, text, behind].concat(), false))
    }

    /// The same Header blocks and Body content in an envelope of another version.
    pub fn to_version(&self, version: SoapVersion) -> Self {
        if version == self.version {
            return self.clone();
        }
        if self.payload_text().is_some() {
            return Self { version, ..self.clone() };
        }
        let mut other = Self::empty(version);
        other.wrapped = self.wrapped;
        let Tree { document, header, body, .. } = self.tree();
        if let Some(header) = header {
            let target = other.header_or_create();
            for block in document.children(*header) {
                let copy = other.document_mut().import(document, block);
                other.document_mut().append_child(target, copy);
            }
        }
        let content: Vec<NodeId> = document.children(*body).collect();
        other.set_payload(document, &content);
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACES: [(SoapVersion, &str); 2] = [(SoapVersion::Soap11, SOAP11_NS), (SoapVersion::Soap12, SOAP12_NS)];

    fn parse(xml: &str) -> Document {
        Document::parse(xml.to_owned()).unwrap()
    }

    #[test]
    fn envelopes_are_adopted() {
        for (version, namespace) in NAMESPACES {
            let xml = format!(
                "<e:Envelope xmlns:e='{namespace}'><e:Header><h/></e:Header><e:Body><e:Fault/><b/></e:Body></e:Envelope>"
            );
            let envelope = Envelope::from_document(parse(&xml), SoapVersion::Soap11);
            assert_eq!(envelope.version(), version);
            assert!(!envelope.is_wrapped() && envelope.has_fault() && envelope.header().is_some());
            assert!(Envelope::wrap(parse(&xml), version).is_wrapped());
        }
    }

    #[test]
    fn other_documents_are_wrapped() {
        for xml in ["<a/>", "<Envelope/>", "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'/>"] {
            let mut envelope = Envelope::from_document(parse(xml), SoapVersion::Soap12);
            assert!(envelope.is_wrapped() && envelope.header().is_none(), "{xml}");
            assert_eq!(envelope.document().to_xml(envelope.payload().unwrap()), xml);
            let header = envelope.header_or_create();
            assert_eq!(envelope.document().next_sibling(header), Some(envelope.body()));
            assert_eq!(envelope.header_or_create(), header);
        }
        assert!(Envelope::from_document(Document::new(), SoapVersion::Soap11).payload().is_none());
    }

    #[test]
    fn versions_change_with_header_and_body() {
        let xml =
            format!("<e:Envelope xmlns:e='{SOAP11_NS}'><e:Header><h/></e:Header><e:Body>t<b/></e:Body></e:Envelope>");
        let other = Envelope::from_document(parse(&xml), SoapVersion::Soap11).to_version(SoapVersion::Soap12);
        assert_eq!(other.version(), SoapVersion::Soap12);
        assert!(!other.is_wrapped());
        let again = Envelope::from_document(parse(&other.document().to_xml(other.envelope())), SoapVersion::Soap11);
        assert_eq!(again.version(), SoapVersion::Soap12);
        assert_eq!(again.document().string_value(again.body()), "t");
        assert_eq!(again.document().child_elements(again.header().unwrap()).count(), 1);
    }

    #[test]
    fn payloads_and_parts_are_replaced() {
        let mut envelope = Envelope::from_document(parse("<a/>"), SoapVersion::Soap11);
        let source = parse("<r><x/>y</r>");
        let nodes: Vec<NodeId> = source.children(source.root_element().unwrap()).collect();
        envelope.set_payload(&source, &nodes);
        assert_eq!(envelope.document().string_value(envelope.body()), "y");
        let body = envelope.document_mut().create_element("soapenv", "Body", SOAP11_NS);
        let old = envelope.body();
        envelope.document_mut().replace(old, body);
        assert!(envelope.reindex() && envelope.body() == body && envelope.is_wrapped());
        envelope.document_mut().detach(body);
        assert!(!envelope.reindex());
    }
}
