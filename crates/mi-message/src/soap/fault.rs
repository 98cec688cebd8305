//! Fault envelopes.

use mi_xml::{Document, NodeId};

use super::{Envelope, SoapVersion};

/// The qualified name in a fault code.
#[derive(Copy, Clone, Debug)]
pub struct FaultCode<'f> {
    /// Prefix; it is kept as it was configured.
    pub prefix: &'f str,
    /// Namespace, `""` for none.
    pub namespace: &'f str,
    /// Local name.
    pub local: &'f str,
}

/// What a fault says in its detail.
#[derive(Copy, Clone, Debug, Default)]
pub enum Detail<'f> {
    /// No detail element.
    #[default]
    None,
    /// A text.
    Text(&'f str),
    /// Copies of nodes of a document.
    Nodes(&'f Document, &'f [NodeId]),
}

/// The contents of a fault.
#[derive(Copy, Clone, Debug)]
pub struct Fault<'f> {
    /// `faultcode`, `Code/Value`.
    pub code: FaultCode<'f>,
    /// `faultstring`, `Reason/Text`.
    pub reason: &'f str,
    /// `Node`; SOAP 1.1 has none.
    pub node: Option<&'f str>,
    /// `faultactor`, `Role`.
    pub role: Option<&'f str>,
    /// `detail`, `Detail`.
    pub detail: Detail<'f>,
}

/// An envelope with a fault in its Body. It counts as received, so that it is written with its envelope.
/// MI: `FaultMediator#makeSOAPFault`.
pub fn fault(version: SoapVersion, fault: &Fault<'_>) -> Envelope {
    let mut envelope = Envelope::empty(version);
    envelope.set_wrapped(false);
    let body = envelope.body();
    let mut writer = Writer { document: envelope.document_mut(), namespace: version.namespace() };
    let root = writer.soap("Fault", body);
    match version {
        SoapVersion::Soap11 => writer.soap11(root, fault),
        SoapVersion::Soap12 => writer.soap12(root, fault),
    }
    envelope
}

struct Writer<'d> {
    document: &'d mut Document,
    namespace: &'static str,
}

impl Writer<'_> {
    fn soap11(&mut self, root: NodeId, fault: &Fault<'_>) {
        let code = self.plain("faultcode", root);
        self.code(code, &fault.code);
        let reason = self.plain("faultstring", root);
        self.document.set_text(reason, fault.reason);
        if let Some(role) = fault.role {
            let actor = self.plain("faultactor", root);
            self.document.set_text(actor, role);
        }
        if !matches!(fault.detail, Detail::None) {
            let detail = self.plain("detail", root);
            self.detail(detail, fault.detail);
        }
    }

    fn soap12(&mut self, root: NodeId, fault: &Fault<'_>) {
        let code = self.soap("Code", root);
        let value = self.soap("Value", code);
        self.code(value, &fault.code);
        let reason = self.soap("Reason", root);
        let text = self.soap("Text", reason);
        self.document.set_attribute(text, "xml", "lang", mi_xml::XML_NAMESPACE, "en");
        self.document.set_text(text, fault.reason);
        for (name, value) in [("Node", fault.node), ("Role", fault.role)] {
            if let Some(value) = value {
                let element = self.soap(name, root);
                self.document.set_text(element, value);
            }
        }
        if !matches!(fault.detail, Detail::None) {
            let detail = self.soap("Detail", root);
            self.detail(detail, fault.detail);
        }
    }

    fn soap(&mut self, name: &str, parent: NodeId) -> NodeId {
        let element = self.document.create_element("soapenv", name, self.namespace);
        self.document.append_child(parent, element);
        element
    }

    fn plain(&mut self, name: &str, parent: NodeId) -> NodeId {
        let element = self.document.create_element("", name, "");
        self.document.append_child(parent, element);
        element
    }

    fn code(&mut self, element: NodeId, code: &FaultCode<'_>) {
        let FaultCode { prefix, namespace, local } = *code;
        if namespace.is_empty() {
            self.document.set_text(element, local);
            return;
        }
        let prefix = match (prefix, namespace == self.namespace) {
            ("", true) => "soapenv",
            ("", false) => "axis2ns1",
            (prefix, _) => prefix,
        };
        if self.document.lookup_namespace(element, prefix) != Some(namespace) {
            self.document.declare_namespace(element, prefix, namespace);
        }
        self.document.set_text(element, &format!("{prefix}:{local}"));
    }

    fn detail(&mut self, element: NodeId, detail: Detail<'_>) {
        match detail {
            Detail::None => {}
            Detail::Text(text) => self.document.set_text(element, text),
            Detail::Nodes(source, nodes) => {
                for node in nodes {
                    let copy = self.document.import(source, *node);
                    self.document.append_child(element, copy);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mi_xml::Document;

    use super::*;
    use crate::soap::{SOAP11_NS, SOAP12_NS};

    #[track_caller]
    fn check(version: SoapVersion, contents: &Fault<'_>, expected: &str) {
        let envelope = fault(version, contents);
        assert!(envelope.has_fault() && !envelope.is_wrapped());
        let xml = envelope.document().to_xml(envelope.envelope());
        let body = &xml[xml.find("<soapenv:Fault").unwrap()..xml.find("</soapenv:Body>").unwrap()];
        assert_eq!(body, expected);
        Document::parse(xml).unwrap();
    }

    #[test]
    fn soap11() {
        let detail = Document::parse("<d xmlns='urn:d'>x</d>").unwrap();
        let nodes = [detail.root_element().unwrap()];
        let contents = Fault {
            code: FaultCode { prefix: "soap11Env", namespace: SOAP11_NS, local: "Server" },
            reason: "a < b",
            node: Some("http://node"),
            role: Some("http://role"),
            detail: Detail::Nodes(&detail, &nodes),
        };
        check(
            SoapVersion::Soap11,
            &contents,
            "<soapenv:Fault><faultcode xmlns:soap11Env=\"http://schemas.xmlsoap.org/soap/envelope/\">soap11Env:Server\
             </faultcode><faultstring>a &lt; b</faultstring><faultactor>http://role</faultactor><detail><d xmlns='urn:d'>\
             x</d></detail></soapenv:Fault>",
        );
        let contents = Fault {
            code: FaultCode { prefix: "", namespace: SOAP11_NS, local: "Client" },
            reason: "",
            node: None,
            role: None,
            detail: Detail::None,
        };
        check(
            SoapVersion::Soap11,
            &contents,
            "<soapenv:Fault><faultcode>soapenv:Client</faultcode><faultstring/></soapenv:Fault>",
        );
    }

    #[test]
    fn soap12() {
        let contents = Fault {
            code: FaultCode { prefix: "soapenv", namespace: SOAP12_NS, local: "Receiver" },
            reason: "no",
            node: Some("urn:n"),
            role: Some("urn:r"),
            detail: Detail::Text("why"),
        };
        check(
            SoapVersion::Soap12,
            &contents,
            "<soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:Receiver</soapenv:Value></soapenv:Code><soapenv:Reason>\
             <soapenv:Text xml:lang=\"en\">no</soapenv:Text></soapenv:Reason><soapenv:Node>urn:n</soapenv:Node>\
             <soapenv:Role>urn:r</soapenv:Role><soapenv:Detail>why</soapenv:Detail></soapenv:Fault>",
        );
    }
}
