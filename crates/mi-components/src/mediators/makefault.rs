//! `<makefault>` replaces the message by a SOAP or POX fault.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::{Envelope, Message, Native, SoapVersion, Value, XmlValue};
use mi_xml::{Document, NodeId};

use crate::{payload, xml};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("makefault", parse)
    .attributes(&["version", "response"])
    .children(&["code", "reason", "node", "role", "detail"]);

#[derive(Debug)]
struct MakeFault {
    kind: Kind,
    /// Whether the message counts as a response from here on.
    is_response: bool,
    code: Option<Code>,
    reason: Option<Dynamic>,
    node: Option<String>,
    role: Option<String>,
    detail: Option<Detail>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Soap(SoapVersion),
    Pox,
}

#[derive(Debug)]
enum Code {
    Name {
        prefix: String,
        namespace: String,
        local: String,
    },
    /// The local name, in the namespace of the envelope.
    Expression(Expr),
}

#[derive(Debug)]
enum Detail {
    Text(String),
    Expression(Expr),
    Elements(Vec<XmlValue>),
}

const SOAP11_CODES: [&str; 4] = ["VersionMismatch", "MustUnderstand", "Client", "Server"];
const SOAP12_CODES: [&str; 5] = ["VersionMismatch", "MustUnderstand", "DataEncodingUnknown", "Sender", "Receiver"];

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let kind = match el.attr("version").as_deref() {
        None | Some("soap11") => Kind::Soap(SoapVersion::Soap11),
        Some("soap12") => Kind::Soap(SoapVersion::Soap12),
        Some("pox") => Kind::Pox,
        Some(other) => return Err(el.error(format!("Invalid SOAP version '{other}'")).hint("soap11, soap12 or pox")),
    };
    let is_response = match el.attr("response").as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => {
            return Err(el.error(format!("Invalid value '{other}' passed as response. Expected 'true' or 'false'")));
        }
    };
    let code = el.child("code").map(|it| parse_code(&it, kind)).transpose()?;
    let reason = el.child("reason").map(|it| parse_reason(&it)).transpose()?;
    if kind != Kind::Pox {
        if code.is_none() {
            return Err(el.error("<makefault> needs a <code> unless its version is pox"));
        }
        if reason.is_none() {
            return Err(el.error("<makefault> needs a <reason> unless its version is pox"));
        }
    }
    let of_soap12 = |it: &Element| (kind != Kind::Soap(SoapVersion::Soap11)).then(|| it.text());
    Ok(Box::new(MakeFault {
        kind,
        is_response,
        code,
        reason,
        node: el.child("node").and_then(|it| of_soap12(&it)),
        role: el.child("role").map(|it| it.text()),
        detail: el.child("detail").map(|it| parse_detail(&it)).transpose()?,
    }))
}

fn parse_code(el: &Element, kind: Kind) -> Result<Code, Diagnostic> {
    let Some(value) = el.attr("value") else {
        return match el.expr("expression")? {
            Some(expr) => Ok(Code::Expression(expr)),
            None => Err(el.error("A 'value' or 'expression' attribute must specify the fault code")),
        };
    };
    let (prefix, local) =
        value.split_once(':').ok_or_else(|| el.error("A QName is expected for fault code as prefix:name"))?;
    let namespace = el.document().lookup_namespace(el.node(), prefix);
    let namespace =
        namespace.ok_or_else(|| el.error(format!("Invalid namespace prefix '{prefix}' in code attribute")))?;
    if let Kind::Soap(version) = kind {
        if namespace != version.namespace() {
            let error = el.error("Invalid namespace in fault code");
            return Err(error.hint(format!("Namespace should be corrected as {}.", version.namespace())));
        }
        let codes: &[&str] = if version == SoapVersion::Soap11 { &SOAP11_CODES } else { &SOAP12_CODES };
        if !codes.contains(&local) {
            let error = el.error(format!("Invalid code value '{local}'"));
            return Err(error.hint(format!("one of {}", codes.join(", "))));
        }
    }
    Ok(Code::Name { prefix: prefix.to_owned(), namespace: namespace.to_owned(), local: local.to_owned() })
}

fn parse_reason(el: &Element) -> Result<Dynamic, Diagnostic> {
    let reason = el.value_or_expression()?;
    reason.ok_or_else(|| el.error("A 'value' or 'expression' attribute must specify the fault reason"))
}

fn parse_detail(el: &Element) -> Result<Detail, Diagnostic> {
    if let Some(expr) = el.expr("expression")? {
        return Ok(Detail::Expression(expr));
    }
    let elements: Vec<XmlValue> = el.children().map(|child| xml::element_value(&child)).collect();
    Ok(if elements.is_empty() { Detail::Text(el.text()) } else { Detail::Elements(elements) })
}

impl Mediator for MakeFault {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match self.kind {
            Kind::Soap(version) => self.soap(cx, version)?,
            Kind::Pox => self.pox(cx)?,
        }
        if self.is_response {
            cx.message.is_response = true;
            let addressing = &mut cx.message.addressing;
            addressing.to.clone_from(&addressing.reply_to);
        }
        Ok(Flow::Next)
    }
}

impl MakeFault {
    fn pox(&self, cx: &mut Context) -> Result<(), Fault> {
        let text = match (&self.detail, &self.reason) {
            (Some(Detail::Text(text)), _) => text.clone(),
            (Some(Detail::Expression(expr)), _) => expr.eval_string(&cx.message, &*cx.snapshot)?.to_string(),
            (_, Some(reason)) => reason.eval_string(&cx.message, &*cx.snapshot)?.to_string(),
            (_, None) => String::new(),
        };
        let envelope = cx.message.body.envelope_mut()?;
        let (old, body) = (envelope.payload(), envelope.body());
        let document = envelope.document_mut();
        if let Some(old) = old {
            document.detach(old);
        }
        let exception = document.create_element("", "Exception", "");
        document.set_text(exception, &text);
        document.append_child(body, exception);
        // MI: `MessageContext#setProcessingFault`; the answer gets the status of a fault.
        cx.message.axis2.set("PROCESSING_FAULT", true);
        Ok(())
    }

    fn soap(&self, cx: &mut Context, version: SoapVersion) -> Result<(), Fault> {
        let mut envelope = Envelope::empty(version);
        envelope.set_wrapped(false);
        envelope.header_or_create();
        copy_header_blocks(&cx.message, &mut envelope);
        let body = envelope.body();
        let mut writer = Writer { document: envelope.document_mut(), version };
        let fault = writer.child(body, "Fault", "Fault");
        self.write_code(cx, &mut writer, fault)?;
        let reason = match &self.reason {
            Some(reason) => reason.eval_string(&cx.message, &*cx.snapshot)?,
            None => "".into(),
        };
        writer.reason(fault, &reason);
        if let Some(node) = self.node.as_deref().filter(|_| version == SoapVersion::Soap12) {
            let element = writer.child(fault, "", "Node");
            writer.document.set_text(element, node);
        }
        if let Some(role) = &self.role {
            let element = writer.child(fault, "faultactor", "Role");
            writer.document.set_text(element, role);
        }
        self.write_detail(cx, &mut writer, fault)?;
        payload::set_native(&mut cx.message, Native::Xml(envelope));
        let id = payload::message_id(&mut cx.message, &*cx.snapshot);
        let addressing = &mut cx.message.addressing;
        addressing.to = addressing.fault_to.clone().or_else(|| addressing.reply_to.clone());
        addressing.relates_to = Some(id.to_string());
        Ok(())
    }

    fn write_code(&self, cx: &Context, writer: &mut Writer<'_>, fault: NodeId) -> Result<(), Fault> {
        let parent = writer.child(fault, "faultcode", "Code");
        let element = match writer.version {
            SoapVersion::Soap11 => parent,
            SoapVersion::Soap12 => writer.child(parent, "", "Value"),
        };
        let text = match &self.code {
            None => return Err(Fault::new("A valid fault code QName value or expression is required")),
            Some(Code::Name { prefix, namespace, local }) => {
                // The prefix of the configuration is kept: it stands in the text, where nobody else declares it.
                if prefix != PREFIX {
                    writer.document.declare_namespace(element, prefix, namespace);
                }
                format!("{prefix}:{local}")
            }
            Some(Code::Expression(expr)) => {
                format!("{PREFIX}:{}", expr.eval_string(&cx.message, &*cx.snapshot)?)
            }
        };
        writer.document.set_text(element, &text);
        Ok(())
    }

    fn write_detail(&self, cx: &Context, writer: &mut Writer<'_>, fault: NodeId) -> Result<(), Fault> {
        let Some(detail) = &self.detail else { return Ok(()) };
        let element = writer.child(fault, "detail", "Detail");
        let mut nodes: Vec<XmlValue> = Vec::new();
        match detail {
            Detail::Text(text) => writer.document.set_text(element, text),
            Detail::Elements(elements) => nodes.clone_from(elements),
            Detail::Expression(expr) => match expr.eval(&cx.message, &*cx.snapshot)? {
                Value::Xml(xml) => nodes.push(xml),
                _ => {
                    let text = expr.eval_string(&cx.message, &*cx.snapshot)?;
                    writer.document.set_text(element, &text);
                }
            },
        }
        for xml in &nodes {
            for node in &xml.nodes {
                let copy = writer.document.import(&xml.document, *node);
                writer.document.append_child(element, copy);
            }
        }
        Ok(())
    }
}

/// Prefix of the envelopes that are made here.
const PREFIX: &str = "soapenv";

struct Writer<'a> {
    document: &'a mut Document,
    version: SoapVersion,
}

impl Writer<'_> {
    /// Appends a part of the fault. In SOAP 1.1 the parts inside of the fault have no namespace.
    fn child(&mut self, parent: NodeId, soap11: &str, soap12: &str) -> NodeId {
        let element = match self.version {
            SoapVersion::Soap11 if soap11 != "Fault" => self.document.create_element("", soap11, ""),
            version => self.document.create_element(PREFIX, soap12, version.namespace()),
        };
        self.document.append_child(parent, element);
        element
    }

    fn reason(&mut self, fault: NodeId, text: &str) {
        let reason = self.child(fault, "faultstring", "Reason");
        if self.version == SoapVersion::Soap11 {
            self.document.set_text(reason, text);
            return;
        }
        let element = self.child(reason, "", "Text");
        self.document.set_attribute(element, "xml", "lang", "http://www.w3.org/XML/1998/namespace", "en");
        self.document.set_text(element, text);
    }
}

fn copy_header_blocks(message: &Message, to: &mut Envelope) {
    let Ok(Native::Xml(from)) = message.body.native() else { return };
    let Some(header) = from.header() else { return };
    let target = to.header_or_create();
    for block in from.document().child_elements(header) {
        let document = to.document_mut();
        let copy = document.import(from.document(), block);
        document.append_child(target, copy);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const SOAP11: &str = "xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'";
    const SOAP12: &str = "xmlns:s='http://www.w3.org/2003/05/soap-envelope'";

    /// Runs the mediator and compares the content of the SOAP Body.
    #[track_caller]
    fn check(xml: &str, expected: &str) {
        let outcome = Flowing::of(xml).xml("<x>1</x>").run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), expected);
    }

    #[test]
    fn soap11() {
        check(
            &format!(
                "<makefault {SOAP11}><code value='s:Server'/><reason expression='//x'/><role>r</role><detail>d</detail></makefault>"
            ),
            "<soapenv:Fault xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><faultcode xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">s:Server</faultcode>\
             <faultstring>1</faultstring><faultactor>r</faultactor><detail>d</detail></soapenv:Fault>",
        );
    }

    #[test]
    fn soap12() {
        check(
            &format!(
                "<makefault version='soap12' {SOAP12}><code value='s:Sender'/><reason value='r'/><node>http://n</node><detail><a/><b/></detail></makefault>"
            ),
            "<soapenv:Fault xmlns:soapenv=\"http://www.w3.org/2003/05/soap-envelope\"><soapenv:Code><soapenv:Value xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">s:Sender</soapenv:Value></soapenv:Code>\
             <soapenv:Reason><soapenv:Text xml:lang=\"en\">r</soapenv:Text></soapenv:Reason><soapenv:Node>http://n</soapenv:Node><soapenv:Detail><a/><b/></soapenv:Detail></soapenv:Fault>",
        );
    }

    #[test]
    fn pox() {
        check(
            "<makefault version='pox'><reason value='r'/><detail expression='//x'/></makefault>",
            "<Exception>1</Exception>",
        );
    }

    #[test]
    fn the_message_becomes_a_response() {
        let with = |response: &str| {
            format!("<makefault response='{response}' {SOAP11}><code value='s:Server'/><reason value='r'/></makefault>")
        };
        assert!(Flowing::of(&with("true")).run().message().is_response);
        assert!(!Flowing::of(&with("false")).run().message().is_response);
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            (format!("<makefault {SOAP11}><reason value='r'/></makefault>"), "needs a <code>"),
            (
                format!("<makefault {SOAP11}><code value='s:Sender'/><reason value='r'/></makefault>"),
                "Invalid code value 'Sender'",
            ),
            (
                format!("<makefault {SOAP12}><code value='s:Server'/><reason value='r'/></makefault>"),
                "Invalid namespace in fault code",
            ),
            (
                format!("<makefault {SOAP11}><code value='Server'/><reason value='r'/></makefault>"),
                "A QName is expected",
            ),
            ("<makefault version='soap13'/>".to_owned(), "Invalid SOAP version"),
        ] {
            let error = Flowing::error_of(&xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
