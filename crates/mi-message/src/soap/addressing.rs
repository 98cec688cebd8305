//! WS-Addressing header blocks of an envelope.

use mi_xml::{Document, NodeId};

use super::Envelope;
use crate::Addressing;

/// WS-Addressing 1.0.
pub const WSA_NS: &str = "http://www.w3.org/2005/08/addressing";
/// The member submission of 2004.
pub const WSA_SUBMISSION_NS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";

fn is_addressing(document: &Document, node: NodeId) -> bool {
    document.is_element(node) && matches!(document.namespace(node), WSA_NS | WSA_SUBMISSION_NS)
}

/// The fields that the header blocks of an envelope give. Blocks of the final namespace win over those of the
/// submission; of several blocks with one name the first counts. MI: `AddressingInHandler`.
pub fn read_addressing(envelope: &Envelope) -> Addressing {
    let mut addressing = Addressing::default();
    let Some(header) = envelope.header() else { return addressing };
    let document = envelope.document();
    for namespace in [WSA_NS, WSA_SUBMISSION_NS] {
        for block in document.child_elements(header).filter(|block| document.namespace(*block) == namespace) {
            let field = match document.local_name(block) {
                "To" => &mut addressing.to,
                "From" => &mut addressing.from,
                "ReplyTo" => &mut addressing.reply_to,
                "FaultTo" => &mut addressing.fault_to,
                "Action" => &mut addressing.action,
                "MessageID" => &mut addressing.message_id,
                "RelatesTo" => &mut addressing.relates_to,
                _ => continue,
            };
            if field.is_none() {
                *field = content(document, block, namespace);
            }
        }
    }
    addressing
}

/// The text of a block, or of the Address in an endpoint reference.
fn content(document: &Document, block: NodeId, namespace: &str) -> Option<String> {
    let address = document
        .child_elements(block)
        .find(|child| document.local_name(*child) == "Address" && document.namespace(*child) == namespace);
    let text = document.text(address.unwrap_or(block)).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Sets a header block to a text: the first block of that name keeps its place, others of it go.
pub fn set_header(envelope: &mut Envelope, prefix: &str, local: &str, namespace: &str, text: &str) {
    let block = new_block(envelope, prefix, local, namespace);
    envelope.document_mut().set_text(block, text);
}

/// Removes the header blocks of a name; true when there was one.
pub fn remove_header(envelope: &mut Envelope, namespace: &str, local: &str) -> bool {
    let found = blocks(envelope, namespace, local);
    for block in &found {
        envelope.document_mut().detach(*block);
    }
    !found.is_empty()
}

/// Removes all WS-Addressing header blocks. MI: `MessageHelper#removeAddressingHeaders`.
pub fn remove_addressing(envelope: &mut Envelope) {
    if !envelope.may_have_addressing() {
        return;
    }
    let Some(header) = envelope.header() else { return };
    let document = envelope.document_mut();
    let found: Vec<NodeId> = document.children(header).filter(|node| is_addressing(document, *node)).collect();
    for block in found {
        document.detach(block);
    }
}

/// Writes the fields as header blocks, but for those that have one already: whoever does not want to keep them removes them
/// before. MI: `AddressingOutHandler`, which has no order to replace headers.
pub fn write_addressing(envelope: &mut Envelope, addressing: &Addressing, namespace: &str) {
    let Addressing { to, from, reply_to, fault_to, action, message_id, relates_to } = addressing;
    let fields = [
        ("To", to, false),
        ("ReplyTo", reply_to, true),
        ("From", from, true),
        ("FaultTo", fault_to, true),
        ("MessageID", message_id, false),
        ("Action", action, false),
        ("RelatesTo", relates_to, false),
    ];
    for (name, value, is_reference) in fields {
        let Some(value) = value else { continue };
        if !blocks(envelope, namespace, name).is_empty() {
            continue;
        }
        let block = new_block(envelope, "wsa", name, namespace);
        let document = envelope.document_mut();
        if is_reference {
            let address = document.create_element("wsa", "Address", namespace);
            document.set_text(address, value);
            document.append_child(block, address);
        } else {
            document.set_text(block, value);
        }
    }
    declare_once(envelope, namespace);
}

/// Declares the prefix on the header, once for all blocks.
fn declare_once(envelope: &mut Envelope, namespace: &str) {
    let Some(header) = envelope.header() else { return };
    let document = envelope.document_mut();
    document.declare_namespace(header, "wsa", namespace);
    let blocks: Vec<NodeId> = document.child_elements(header).collect();
    for block in blocks {
        let same = |it: &NodeId| document.local_name(*it) == "wsa" && document.value(*it) == namespace;
        let superfluous = document.namespace_decls(block).find(same);
        if let Some(declaration) = superfluous {
            document.detach(declaration);
        }
    }
}

fn blocks(envelope: &Envelope, namespace: &str, local: &str) -> Vec<NodeId> {
    let Some(header) = envelope.header() else { return Vec::new() };
    let document = envelope.document();
    document.child_elements(header).filter(|block| document.has_name(*block, namespace, local)).collect()
}

/// An empty block in the place of the first one of its name, else behind the others.
fn new_block(envelope: &mut Envelope, prefix: &str, local: &str, namespace: &str) -> NodeId {
    let old = blocks(envelope, namespace, local);
    let header = envelope.header_or_create();
    let document = envelope.document_mut();
    let block = document.create_element(prefix, local, namespace);
    match old.split_first() {
        Some((first, others)) => {
            document.replace(*first, block);
            for other in others {
                document.detach(*other);
            }
        }
        None => document.append_child(header, block),
    }
    block
}

#[cfg(test)]
mod tests {
    use mi_xml::Document;

    use super::*;
    use crate::SoapVersion;

    fn envelope(header: &str) -> Envelope {
        let xml = format!(
            "<s:Envelope xmlns:s=\"{}\" xmlns:a=\"{WSA_NS}\" xmlns:b=\"{WSA_SUBMISSION_NS}\">{header}<s:Body/></s:Envelope>",
            super::super::SOAP11_NS
        );
        Envelope::from_document(Document::parse(xml).unwrap(), SoapVersion::Soap11)
    }

    #[test]
    fn fields_are_read() {
        let addressing = read_addressing(&envelope(
            "<s:Header><b:To>old</b:To><a:To> http://a </a:To><a:To>second</a:To><a:Action>urn:x</a:Action>\
             <a:ReplyTo><a:Address>http://r</a:Address></a:ReplyTo><b:MessageID>urn:1</b:MessageID><a:FaultTo/></s:Header>",
        ));
        assert_eq!(addressing.to.as_deref(), Some("http://a"));
        assert_eq!(addressing.action.as_deref(), Some("urn:x"));
        assert_eq!(addressing.reply_to.as_deref(), Some("http://r"));
        assert_eq!(addressing.message_id.as_deref(), Some("urn:1"));
        assert_eq!((addressing.fault_to, addressing.from), (None, None));
        assert!(read_addressing(&envelope("")).to.is_none());
    }

    #[test]
    fn blocks_are_set_and_removed() {
        let mut soap = envelope("<s:Header><a:To>1</a:To><x/><a:To>2</a:To></s:Header>");
        set_header(&mut soap, "wsa", "To", WSA_NS, "new");
        let header = soap.header().unwrap();
        let names: Vec<_> = soap.document().child_elements(header).map(|it| soap.document().local_name(it)).collect();
        assert_eq!(names, ["To", "x"]);
        assert_eq!(read_addressing(&soap).to.as_deref(), Some("new"));
        assert!(remove_header(&mut soap, "", "x") && !remove_header(&mut soap, "", "x"));
        remove_addressing(&mut soap);
        assert_eq!(soap.document().child_elements(header).count(), 0);
        set_header(&mut envelope(""), "", "y", "", "v");
    }

    #[test]
    fn a_block_that_is_there_is_kept() {
        let mut soap = envelope("<s:Header><a:Action>urn:own</a:Action></s:Header>");
        let fields = Addressing { to: Some("http://t".into()), action: Some("urn:a".into()), ..Addressing::default() };
        write_addressing(&mut soap, &fields, WSA_NS);
        let read = read_addressing(&soap);
        assert_eq!((read.to.as_deref(), read.action.as_deref()), (Some("http://t"), Some("urn:own")));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut soap = envelope("<s:Header><x/></s:Header>");
        let fields = Addressing {
            to: Some("http://t".into()),
            from: Some("http://f".into()),
            action: Some("urn:a".into()),
            relates_to: Some("urn:r".into()),
            ..Addressing::default()
        };
        write_addressing(&mut soap, &fields, WSA_SUBMISSION_NS);
        let read = read_addressing(&soap);
        assert_eq!(
            (read.to, read.from, read.action, read.relates_to),
            (fields.to, fields.from, fields.action, fields.relates_to)
        );
        let reparsed = Document::parse(soap.document().to_xml(soap.envelope())).unwrap();
        assert_eq!(
            read_addressing(&Envelope::from_document(reparsed, SoapVersion::Soap11)).from.as_deref(),
            Some("http://f")
        );
    }
}
