//! `<callout>` calls a SOAP service and puts the answer where `<target>` says. Deprecated in MI in favour of `<call>`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, flow};
use mi_expr::Expr;
use mi_message::{Body, Envelope, Message, Native, SoapVersion, Value, XmlValue};

use super::blocking;
use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("callout", parse)
    .attributes(&["serviceURL", "endpointKey", "action"])
    .children(&["endpoint", "source", "target", "enableSec"]);

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
    if let Some(security) = el.child("enableSec") {
        let text = "WS-Security (<enableSec>) is not applied by this version; messages go out without it";
        cx.report(security.warning(text));
    }
    // MI: with `serviceURL` the key is not looked at, and an endpoint inside wins over the URL.
    let url = el.resolved_attr("serviceURL")?;
    let key = el.attr("endpointKey").filter(|_| url.is_none());
    let endpoint = match (key, el.child("endpoint"), url) {
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
        // A JSON payload goes out whole, whatever the source says.
        let envelope = if cx.message.body.is_json() { None } else { Some(self.request(cx)?) };
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
    /// `None`: the JSON of the message.
    envelope: Option<Envelope>,
    target: Target,
}

impl Effect for CalloutEffect {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let mut call = cx.fork(self.message(cx));
            call.blocking = true;
            if let Err(fault) = self.endpoint.clone().send(&mut call).await {
                blocking::note_failure(cx, &call.message, &fault);
                return Err(fault);
            }
            flow::build_body(&mut call).await?;
            if let Some(status) = call.message.axis2.get("HTTP_SC") {
                cx.message.axis2.set("HTTP_SC", status.clone());
            }
            put_answer(&self.target, cx, &call.message)?;
            if blocking::wants_headers(&cx.message) {
                blocking::take_headers(&mut cx.message, call.message.headers.clone());
            }
            Ok(Flow::Next)
        })
    }
}

impl CalloutEffect {
    /// The message to send, with the flow's transport headers. MI: `CalloutMediator#mediate`.
    fn message(&self, cx: &Context) -> Message {
        let mut message = cx.message.copy();
        for name in ["Content-Type", "Content-Length", "SOAPAction"] {
            message.headers.remove(name);
        }
        let content_type = match self.envelope.as_ref().map(Envelope::version) {
            None => "application/json",
            Some(SoapVersion::Soap11) => "text/xml",
            Some(SoapVersion::Soap12) => "application/soap+xml",
        };
        message.axis2 = mi_message::Properties::default();
        message.axis2.set("messageType", content_type);
        message.axis2.set("HTTP_METHOD", "POST");
        message.addressing.action.clone_from(&self.action);
        message.rest = self.envelope.is_none();
        if let Some(envelope) = &self.envelope {
            let mut envelope = envelope.clone();
            envelope.set_wrapped(false);
            message.body = Body::from_envelope(envelope);
        }
        message
    }
}

fn put_answer(target: &Target, cx: &mut Context, answer: &Message) -> Result<(), Fault> {
    if let Native::Json(json) = answer.body.native()? {
        payload::set_json_text(&mut cx.message, json.text().clone());
        payload::set_message_type(&mut cx.message, &Value::from("application/json"));
        return Ok(());
    }
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

#[cfg(test)]
mod tests {
    use crate::testing::{Flowing, Outcome};

    const ANSWER: &str =
        "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><r>2</r></e:Body></e:Envelope>";

    fn run(inside: &str) -> Outcome {
        Flowing::of(&format!("<callout serviceURL='http://b:1/x' action='urn:go'>{inside}</callout>"))
            .xml("<o><n>1</n><m/></o>")
            .with(|message| message.properties.set("p", "no XML"))
            .answer("text/xml", ANSWER)
            .run()
    }

    /// What was sent in the Body, and what the payload is afterwards.
    #[track_caller]
    fn check(inside: &str, sent: &str, payload: &str) {
        let outcome = run(inside);
        assert_eq!(outcome.fault(), None);
        let [request] = outcome.received() else { panic!("{:?}", outcome.received()) };
        assert_eq!((request.url.as_str(), request.content_type.as_str()), ("http://b:1/x", "text/xml; charset=UTF-8"));
        assert!(request.body.contains(&format!("Body>{sent}</")), "{}", request.body);
        assert_eq!(outcome.payload_xml(), payload);
    }

    #[test]
    fn sources_and_targets() {
        const ALL: &str = "<o><n>1</n><m/></o>";
        check("", ALL, "<r>2</r>");
        check("<source type='envelope'/><target key='a'/>", ALL, ALL);
        check("<source xpath='//n'/><target xpath='//m'/>", "<n>1</n>", "<o><n>1</n><r>2</r></o>");
        assert_eq!(run("<target key='a'/>").property("a").as_deref(), Some("<r>2</r>"));
    }

    #[test]
    fn what_cannot_be_found_is_a_fault() {
        for (inside, part) in [
            ("<source xpath='//none'/>", "did not result in an OMNode"),
            ("<source key='p'/>", "holds no XML"),
            ("<target xpath='//none'/>", "did not yeild an OMNode"),
        ] {
            let fault = run(inside).fault().unwrap_or_default();
            assert!(fault.contains(part), "{fault}");
        }
        let outcome = Flowing::of("<callout serviceURL='http://b:1/x'/>").xml("<o/>").run();
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("401002"));
    }

    #[test]
    fn json_goes_out_and_comes_back_whole() {
        let outcome =
            Flowing::of("<callout serviceURL='http://b:1/x'><source xpath='//n'/><target key='a'/></callout>")
                .json("{\"n\":1}")
                .answer("application/json", "{\"r\":2}")
                .run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.received()[0].body, "{\"n\":1}");
        assert_eq!(outcome.payload_text(), "{\"r\":2}");
    }

    #[test]
    fn what_has_no_effect_is_reported() {
        let warnings = Flowing::of(
            "<callout serviceURL='http://b:1/x' useServerConfig='true' initAxis2ClientOptions='false'>\
             <configuration axis2xml='a'/><enableSec policy='p'/></callout>",
        )
        .warnings();
        for part in ["'useServerConfig'", "'initAxis2ClientOptions'", "<configuration>", "without it"] {
            assert!(warnings.iter().any(|it| it.contains(part)), "{part}: {warnings:?}");
        }
        assert!(Flowing::error_of("<callout><source/></callout>").contains("<source> needs one of"));
        assert!(Flowing::error_of("<callout><target/></callout>").contains("<target> needs one of"));
    }
}
