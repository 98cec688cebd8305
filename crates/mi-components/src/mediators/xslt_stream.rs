//! `<xslt>` and `<fastXSLT>` on a payload that nobody has looked into, with a stylesheet that needs no tree: the message goes
//! from its bytes to the bytes of the result.
//!
//! Whatever takes a tree is left to the ordinary way: other stylesheets, headers of WS-Addressing, other character sets.

use futures_util::future::BoxFuture;
use memchr::memmem;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow};
use mi_engine::{flow, incoming};
use mi_message::media::raw_xml;
use mi_message::soap::{Extent, SOAP11_NS, SOAP12_NS};
use mi_message::{Envelope, Message, Native, SoapVersion};
use mi_xslt::{Place, Stylesheet};

use super::xslt::Stylesheets;

/// A mediator that transforms the payload.
pub(super) trait Transforms: Send + Sync + 'static {
    fn stylesheets(&self) -> &Stylesheets;
    /// The ordinary way, on a payload that is built.
    fn transform_built(&self, cx: &mut Context) -> Result<Flow, Fault>;
}

/// Reads the payload and transforms it, in one go if that can be done.
pub(super) struct Streaming<T>(pub(super) T);

impl<T: Transforms> Effect for Streaming<T> {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            // What is wrong with the stylesheet is for the ordinary way to say.
            let stylesheet = self.0.stylesheets().current(cx).ok().filter(|it| it.streams());
            if let Some(stylesheet) = stylesheet {
                flow::read_body(cx).await?;
                if transform(&stylesheet, &mut cx.message) {
                    return Ok(Flow::Next);
                }
            }
            flow::build_body(cx).await?;
            self.0.transform_built(cx)
        })
    }
}

/// Transforms the payload; false, and nothing has happened, when that takes a tree.
fn transform(stylesheet: &Stylesheet, message: &mut Message) -> bool {
    let Some(raw) = raw_xml(&message.body).filter(|_| !incoming::is_gzip(&message.headers)) else { return false };
    if raw.soap.is_some() && memmem::find(raw.bytes, b"addressing").is_some() {
        return false;
    }
    let mut version = None;
    let mut place = |depth: usize, namespace: &str, local: &str| match depth {
        0 if raw.soap.is_some() && local == "Envelope" && [SOAP11_NS, SOAP12_NS].contains(&namespace) => {
            version = SoapVersion::from_namespace(namespace);
            Place::Around
        }
        1 if local == "Body" && SoapVersion::from_namespace(namespace) == version => Place::Around,
        1 => Place::Aside,
        _ => Place::Root,
    };
    let Some(text) = stylesheet.stream(raw.bytes.clone(), raw.charset, &mut place) else { return false };
    let envelope = match (version, raw.soap) {
        (Some(version), _) => Envelope::from_text(text, Extent::Envelope(version), version),
        // Without an envelope this type is an error.
        (None, Some(SoapVersion::Soap12)) => return false,
        (None, _) if text.contains("soapenv") => return false,
        (None, _) => Envelope::from_text(text, Extent::Payload, SoapVersion::Soap11),
    };
    message.body.set(Native::Xml(envelope));
    incoming::note_plain_xml(message);
    true
}

#[cfg(test)]
mod tests {
    use mi_message::{Body, Message};

    use crate::testing::{Flowing, Outcome};

    const SHEET: &str = "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>\
        <xsl:template match='@*|node()'><xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>\
        <xsl:template match='b'><c><xsl:apply-templates select='@*|node()'/></c></xsl:template></xsl:stylesheet>";

    /// Transforms bytes that were received with a content type, as they are or after somebody looked into them.
    fn run(mediator: &str, content_type: &str, body: &str, built: bool) -> Outcome {
        let content_type = content_type.to_owned();
        let body = body.to_owned();
        let before = if built { "<property name='x' expression='string-length($body)'/>" } else { "" };
        let flow = format!("<rules>{before}{mediator}</rules>");
        let flowing = Flowing::of(&flow).local_entry("s", SHEET);
        let received = move |message: &mut Message| {
            message.rest = content_type == "application/xml";
            message.body = Body::from_bytes(body, Some(content_type.as_str().into()));
        };
        flowing.with(received).run()
    }

    fn written(outcome: &Outcome) -> String {
        let bytes = mi_message::media::format(outcome.message()).expect("XML").bytes;
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }

    /// Both ways give the same message.
    #[track_caller]
    fn check(content_type: &str, body: &str, expected: &str) {
        for mediator in ["<xslt key='s'/>", "<fastXSLT key='s'/>"] {
            for built in [false, true] {
                let outcome = run(mediator, content_type, body, built);
                assert_eq!(outcome.fault(), None, "{mediator}");
                assert_eq!(written(&outcome), expected, "{mediator} {built}");
                assert_eq!(outcome.payload_xml(), "<a k='1'><c>2</c></a>", "{mediator} {built}");
            }
        }
    }

    #[test]
    fn a_payload_is_transformed_without_a_tree() {
        let payload = "<a k='1'><b>2</b></a>";
        check("application/xml", &format!("<?xml version='1.0'?>\n{payload}"), "<a k='1'><c>2</c></a>");
        check("text/xml; charset=UTF-8", payload, "<a k='1'><c>2</c></a>");
        let soap = |namespace: &str, payload: &str| {
            format!(
                "<e:Envelope xmlns:e='{namespace}'><e:Header><b/></e:Header><e:Body>{payload}</e:Body></e:Envelope>"
            )
        };
        for (content_type, namespace) in [("text/xml", super::SOAP11_NS), ("application/soap+xml", super::SOAP12_NS)] {
            let expected =
                format!("<?xml version='1.0' encoding='UTF-8'?>{}", soap(namespace, "<a k='1'><c>2</c></a>"));
            check(content_type, &soap(namespace, payload), &expected);
        }
    }

    #[test]
    fn the_ordinary_way_says_what_is_wrong() {
        for (content_type, body) in [("text/xml", "<a><b></a>"), ("application/soap+xml", "<a/>")] {
            for built in [false, true] {
                let outcome = run("<xslt key='s'/>", content_type, body, built);
                let fault = outcome.fault().expect("a fault");
                assert!(fault.contains("Error while building message"), "{fault}");
            }
        }
        let outcome = run("<xslt key='none'/>", "text/xml", "<a/>", false);
        assert!(outcome.fault().expect("a fault").contains("Unable to perform XSLT transformation using : none"));
    }
}
