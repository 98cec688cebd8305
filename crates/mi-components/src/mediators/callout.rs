//! `<callout>` calls a SOAP service and puts the answer where `<target>` says. Deprecated in MI in favour of `<call>`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, codes, flow};
use mi_expr::Expr;
use mi_message::{Body, Envelope, Message, SoapVersion, Value, XmlValue};

pub(super) const SPEC: MediatorSpec = MediatorSpec { tag: "callout", parse };

/// MI: `CalloutMediator`.
#[derive(Debug)]
struct Callout {
    endpoint: Arc<Endpoint>,
    action: Option<String>,
    source: Source,
    target: Target,
}

#[derive(Clone, Debug)]
enum Source {
    Envelope,
    XPath(Expr),
    Key(Arc<str>),
}

#[derive(Clone, Debug)]
enum Target {
    XPath(Expr),
    Key(Arc<str>),
    Body,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    const KNOWN: [&str; 8] = [
        "serviceURL",
        "endpointKey",
        "action",
        "useServerConfig",
        "initAxis2ClientOptions",
        "description",
        "statistics",
        "trace",
    ];
    cx.report_all(el.unknown_attrs(&KNOWN));
    let endpoint = match (el.attr("endpointKey"), el.child("endpoint"), el.resolved_attr("serviceURL")?) {
        (Some(key), _, _) => mi_engine::endpoint::reference(&el.qualify(&key)?, cx),
        (None, Some(endpoint), _) => cx.endpoint(&endpoint)?,
        (None, None, Some(url)) if !url.trim().is_empty() => mi_engine::endpoint::for_address(url.trim()),
        _ => mi_engine::endpoint::implicit(),
    };
    Ok(Box::new(Callout {
        endpoint,
        action: el.attr("action").map(|it| it.into_owned()),
        source: parse_source(el)?,
        target: parse_target(el)?,
    }))
}

fn parse_source(el: &Element) -> Result<Source, Diagnostic> {
    let Some(source) = el.child("source") else { return Ok(Source::Envelope) };
    if let Some(xpath) = source.expr("xpath")? {
        return Ok(Source::XPath(xpath));
    }
    match source.attr("key") {
        Some(key) => Ok(Source::Key(key.as_ref().into())),
        None if source.attr("type").is_some_and(|it| it == "envelope") => Ok(Source::Envelope),
        None => Err(source.error("<source> needs one of 'xpath', 'key' and type=\"envelope\"")),
    }
}

fn parse_target(el: &Element) -> Result<Target, Diagnostic> {
    let Some(target) = el.child("target") else { return Ok(Target::Body) };
    if let Some(xpath) = target.expr("xpath")? {
        return Ok(Target::XPath(xpath));
    }
    match target.attr("key") {
        Some(key) => Ok(Target::Key(key.as_ref().into())),
        None => Err(target.error("<target> needs one of 'xpath' and 'key'")),
    }
}

impl Mediator for Callout {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let envelope = self.request(cx)?;
        Ok(Flow::wait(CalloutEffect {
            endpoint: self.endpoint.clone(),
            action: self.action.clone(),
            envelope,
            target: self.target.clone(),
        }))
    }
}

impl Callout {
    /// The envelope to send. MI: `CalloutMediator#getRequestPayload`.
    fn request(&self, cx: &Context) -> Result<Envelope, Fault> {
        let own = cx.message.body.envelope()?;
        match &self.source {
            Source::Envelope => Ok(own.clone()),
            Source::XPath(xpath) => {
                let nodes = xpath.eval_nodes(&cx.message, &*cx.snapshot)?;
                if nodes.is_empty() {
                    return Err(Fault::new(format!(
                        "The evaluation of the XPath expression : {} did not result in an OMNode",
                        xpath.source()
                    )));
                }
                let mut envelope = Envelope::empty(own.version());
                envelope.set_payload(own.document(), &nodes[..1]);
                Ok(envelope)
            }
            Source::Key(key) => match cx.message.properties.get(key) {
                Some(Value::Xml(xml)) => {
                    let mut envelope = Envelope::empty(own.version());
                    envelope.set_payload(&xml.document, &xml.nodes);
                    Ok(envelope)
                }
                _ => Err(Fault::new(format!("The property {key} of the callout's source holds no XML"))),
            },
        }
    }
}

struct CalloutEffect {
    endpoint: Arc<Endpoint>,
    action: Option<String>,
    envelope: Envelope,
    target: Target,
}

impl Effect for CalloutEffect {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let mut call = cx.fork(self.message(cx));
            let sent = self.endpoint.clone().send(&mut call).await;
            if let Err(fault) = sent {
                return Err(failed(&fault));
            }
            flow::build_body(&mut call).await?;
            if let Some(status) = call.message.axis2.get("HTTP_SC") {
                cx.message.axis2.set("HTTP_SC", status.clone());
            }
            put_answer(&self.target, cx, &call.message)?;
            Ok(Flow::Next)
        })
    }
}

impl CalloutEffect {
    /// A SOAP message with the flow's transport headers. MI: `CalloutMediator#getSynapseOutMsgCtx`.
    fn message(&self, cx: &Context) -> Message {
        let mut message = cx.message.copy();
        let mut envelope = self.envelope.clone();
        envelope.set_wrapped(false);
        let content_type = match envelope.version() {
            SoapVersion::Soap11 => "text/xml",
            SoapVersion::Soap12 => "application/soap+xml",
        };
        for name in ["Content-Type", "Content-Length", "SOAPAction"] {
            message.headers.remove(name);
        }
        message.rest = false;
        message.axis2 = mi_message::Properties::default();
        message.axis2.set("messageType", content_type);
        message.axis2.set("HTTP_METHOD", "POST");
        message.addressing.action.clone_from(&self.action);
        message.body = Body::from_envelope(envelope);
        message
    }
}

/// MI: `CalloutMediator#handleFault`: whatever the transport said, the code is that of the callout.
fn failed(fault: &Fault) -> Fault {
    let code =
        if fault.code == Some(codes::ENDPOINT_NOT_READY) { codes::ENDPOINT_NOT_READY } else { codes::CALLOUT_FAILED };
    Fault::coded(code, fault.message.clone(), fault.detail.clone())
}

fn put_answer(target: &Target, cx: &mut Context, answer: &Message) -> Result<(), Fault> {
    let received = answer.body.envelope()?;
    // An answer without a payload leaves the message as it is.
    let Some(payload) = received.payload() else { return Ok(()) };
    match target {
        Target::Key(key) => {
            cx.message.properties.set(key.clone(), Value::Xml(XmlValue::copy_of(received.document(), payload)));
        }
        Target::Body => {
            cx.message.body.envelope_mut()?.set_payload(received.document(), &[payload]);
        }
        Target::XPath(xpath) => {
            let places = xpath.eval_nodes(&cx.message, &*cx.snapshot)?;
            let Some(place) = places.first().copied() else {
                return Err(Fault::new(format!(
                    "Evaluation of target XPath expression : {} did not yeild an OMNode",
                    xpath.source()
                )));
            };
            let envelope = cx.message.body.envelope_mut()?;
            let document = envelope.document_mut();
            let copy = document.import(received.document(), payload);
            document.replace(place, copy);
            envelope.reindex();
        }
    }
    Ok(())
}
