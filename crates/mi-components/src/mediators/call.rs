//! `<call>` sends the message and goes on with the answer in the same sequence.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, Sent, codes, flow, outflow};
use mi_expr::{Dynamic, Expr};
use mi_message::{Body, Headers, Native, Value, XmlValue};

use super::blocking;
use crate::payload;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("call", parse).attributes(&["blocking"]).children(&["endpoint", "source", "target"]);

/// MI: `CallMediator`. Blocking or not makes no difference to the thread here; what else is different about a blocking call
/// is in `blocking`.
#[derive(Debug)]
struct Call {
    endpoint: Option<Arc<Endpoint>>,
    blocking: bool,
    exchange: Arc<Exchange>,
}

/// What is sent instead of the body, and where the answer goes instead of the body.
#[derive(Debug, Default)]
struct Exchange {
    source: Option<Source>,
    content_type: Option<String>,
    target: Option<Target>,
    /// Whether the message is again what it was once the answer is in its target. `<source type="body">` alone keeps
    /// the answer as the body, too. MI: `CallMediatorFactory`, `isSourceAvailable`.
    restores: bool,
}

#[derive(Debug)]
enum Source {
    Custom(Expr),
    Property(String),
    InlineXml(XmlValue),
    InlineText(String),
}

#[derive(Debug)]
enum Target {
    Property(String),
    Variable(Dynamic),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let source_el = el.child("source");
    let source = source_el.as_ref().map(parse_source).transpose()?.flatten();
    let target = el.child("target").map(|it| parse_target(&it)).transpose()?.flatten();
    let exchange = Exchange {
        restores: target.is_some() && (source.is_some() || source_el.is_none()),
        content_type: source_el.as_ref().and_then(|it| it.attr("contentType").map(|it| it.into_owned())),
        source,
        target,
    };
    Ok(Box::new(Call {
        endpoint: el.child("endpoint").map(|endpoint| cx.endpoint(&endpoint)).transpose()?,
        blocking: el.bool_attr("blocking").unwrap_or(false),
        exchange: Arc::new(exchange),
    }))
}

/// MI: `CallMediatorFactory#populateSource`.
fn parse_source(el: &Element) -> Result<Option<Source>, Diagnostic> {
    let text = el.text().trim().to_owned();
    match el.attr("type").as_deref().unwrap_or("custom") {
        "custom" if text.is_empty() => Err(el.error("<source type=\"custom\"> needs an expression as its text")),
        "custom" => Ok(Some(Source::Custom(el.compile(&text)?))),
        "property" if text.is_empty() => {
            Err(el.error("<source type=\"property\"> needs the name of a property as its text"))
        }
        "property" => Ok(Some(Source::Property(text))),
        "inline" => match el.first_child() {
            Some(child) => Ok(Some(Source::InlineXml(XmlValue::copy_of(child.document(), child.node())))),
            None if text.is_empty() => Err(el.error("<source type=\"inline\"> needs a payload")),
            None => Ok(Some(Source::InlineText(text))),
        },
        "body" => Ok(None),
        other => Err(el.error(format!("unknown source type '{other}'")).hint("one of custom, property, inline, body")),
    }
}

/// MI: `CallMediatorFactory#populateTarget`.
fn parse_target(el: &Element) -> Result<Option<Target>, Diagnostic> {
    let text = el.text().trim().to_owned();
    match el.attr("type").as_deref().unwrap_or("body") {
        "body" => Ok(None),
        "property" | "variable" if text.is_empty() => Err(el.error("<target> needs a name as its text")),
        "property" => Ok(Some(Target::Property(text))),
        "variable" => {
            let name = Dynamic::parse(&text, &el.namespaces())
                .map_err(|error| el.error(format!("the variable name '{text}' is not valid: {error}")))?;
            Ok(Some(Target::Variable(name)))
        }
        other => Err(el.error(format!("unknown target type '{other}'")).hint("one of body, property, variable")),
    }
}

impl Mediator for Call {
    fn reads_body(&self) -> bool {
        self.blocking || self.exchange.source.is_some() || self.exchange.restores
    }

    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        let endpoint = self.endpoint.clone().unwrap_or_else(mi_engine::endpoint::implicit);
        Ok(Flow::wait(CallEffect { endpoint, blocking: self.blocking, exchange: self.exchange.clone() }))
    }
}

struct CallEffect {
    endpoint: Arc<Endpoint>,
    blocking: bool,
    exchange: Arc<Exchange>,
}

impl Effect for CallEffect {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move { self.run(cx).await })
    }
}

/// The message as it was before something whose answer goes elsewhere.
pub(super) struct Original {
    body: Body,
    headers: Headers,
    message_type: Option<Value>,
    content_type: Option<Value>,
    no_entity_body: Option<Value>,
}

impl Clone for Original {
    fn clone(&self) -> Self {
        Self {
            body: self.body.copy(),
            headers: self.headers.clone(),
            message_type: self.message_type.clone(),
            content_type: self.content_type.clone(),
            no_entity_body: self.no_entity_body.clone(),
        }
    }
}

impl Original {
    pub(super) fn of(cx: &Context) -> Self {
        Self {
            body: cx.message.body.copy(),
            headers: cx.message.headers.clone(),
            message_type: cx.message.axis2.get("messageType").cloned(),
            content_type: cx.message.axis2.get("ContentType").cloned(),
            no_entity_body: cx.message.axis2.get("NO_ENTITY_BODY").cloned(),
        }
    }

    pub(super) fn restore(self, cx: &mut Context) {
        let message = &mut cx.message;
        message.body = self.body;
        message.headers = self.headers;
        message.axis2.set_or_remove("messageType", self.message_type);
        message.axis2.set_or_remove("ContentType", self.content_type);
        message.axis2.set_or_remove("NO_ENTITY_BODY", self.no_entity_body);
    }
}

impl CallEffect {
    async fn run(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if !self.blocking {
            outflow::acknowledge(cx);
        }
        if cx.message.properties.is_true("OUT_ONLY") {
            return self.run_one_way(cx).await;
        }
        let original = self.exchange.restores.then(|| Original::of(cx));
        if let Some(source) = &self.exchange.source {
            put_source(source, self.exchange.content_type.as_deref(), cx)?;
        }
        let endpoint = self.endpoint.clone();
        let sent =
            if self.blocking { blocking::send(cx, endpoint).await } else { outflow::send_noted(cx, endpoint).await };
        match sent.map_err(unsendable)? {
            Sent::Scattered => return Ok(Flow::End),
            Sent::Answered | Sent::OneWay => cx.continued |= !self.blocking,
        }
        if let Some(target) = &self.exchange.target {
            take_answer(target, cx).await?;
            if let Some(original) = original {
                original.restore(cx);
            }
        }
        Ok(Flow::Next)
    }

    /// The flow goes on with its own message while a copy is on its way. MI clones the context for it.
    async fn run_one_way(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        let mut copy = cx.fork(cx.message.copy());
        if let Some(source) = &self.exchange.source {
            put_source(source, self.exchange.content_type.as_deref(), &mut copy)?;
        }
        copy.blocking = self.blocking;
        let sent = self.endpoint.clone().send(&mut copy).await;
        if let (true, Err(fault)) = (self.blocking, &sent) {
            blocking::note_failure(cx, &copy.message, fault);
        }
        sent?;
        Ok(Flow::Next)
    }
}

/// A message that could not even be given to a transport. MI: `CallMediator#handleFault`.
fn unsendable(fault: Fault) -> Fault {
    match fault.message.strip_prefix("Unexpected error during sending message out. ") {
        Some(cause) if fault.code.is_none() => {
            Fault { code: Some(codes::CALL_FAILED), message: cause.to_owned(), ..fault }
        }
        _ => fault,
    }
}

fn put_source(source: &Source, content_type: Option<&str>, cx: &mut Context) -> Result<(), Fault> {
    let value = match source {
        Source::Custom(expression) => expression.eval(&cx.message, &*cx.snapshot)?,
        Source::Property(name) => cx
            .message
            .properties
            .get(name)
            .cloned()
            .ok_or_else(|| Fault::new(format!("The property {name} of the call mediator's source is not set")))?,
        Source::InlineXml(xml) => Value::Xml(xml.clone()),
        Source::InlineText(text) => Value::from(text.as_str()),
    };
    let json = content_type.map_or_else(
        || cx.message.axis2.get_str("messageType").is_some_and(|it| it.contains("json")),
        |wanted| wanted.contains("json"),
    );
    put_body(&value, json, cx);
    if let Some(content_type) = content_type {
        payload::set_message_type(&mut cx.message, &Value::from(content_type));
    }
    cx.message.axis2.remove("NO_ENTITY_BODY");
    Ok(())
}

/// Makes `value` the payload.
fn put_body(value: &Value, json: bool, cx: &mut Context) {
    let message = &mut cx.message;
    match value {
        Value::Xml(xml) => payload::set_elements(message, &xml.document, &xml.nodes),
        Value::Json(json) => payload::set_json(message, (**json).clone()),
        other if json => payload::set_json_text(message, other.to_text().into_owned()),
        other => payload::set_native(message, Native::Text(other.to_text().into())),
    }
}

/// The payload as a value of its own.
pub(super) async fn payload_value(cx: &mut Context) -> Result<Value, Fault> {
    if !cx.message.body.is_built() {
        flow::build_body(cx).await?;
    }
    Ok(match cx.message.body.native()? {
        Native::Empty => Value::Null,
        Native::Json(json) => Value::Json(json.value()?.clone()),
        Native::Xml(envelope) => payload::element(envelope).map_or(Value::Null, Value::Xml),
        Native::Text(text) => Value::from(text.clone()),
        Native::Binary(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
    })
}

/// What a variable holds of an answer: `payload`, `headers` and `attributes`. MI: `Target#insertElement`.
pub(super) fn answer_map(payload: Option<Value>, cx: &Context) -> Value {
    let headers = cx.message.headers.iter().map(|(name, value)| (name.to_string(), value.to_string().into())).collect();
    let mut attributes = serde_json::Map::new();
    if let Some(status) = cx.message.axis2.get("HTTP_SC") {
        let value = match status {
            Value::Int(code) => serde_json::Value::from(*code),
            other => other.to_text().into_owned().into(),
        };
        attributes.insert("statusCode".into(), value);
    }
    let mut entries: Vec<(Arc<str>, Value)> = payload.map(|it| ("payload".into(), it)).into_iter().collect();
    entries.push(("headers".into(), Value::Json(Arc::new(serde_json::Value::Object(headers)))));
    entries.push(("attributes".into(), Value::Json(Arc::new(serde_json::Value::Object(attributes)))));
    Value::Map(Arc::new(entries))
}

/// Stores the answer. MI: `CallMediator#postMediate`, `MediatorEnrichUtil#doEnrich`.
async fn take_answer(target: &Target, cx: &mut Context) -> Result<(), Fault> {
    let value = payload_value(cx).await?;
    match target {
        Target::Property(name) => cx.message.properties.set(name.as_str(), value),
        Target::Variable(name) => {
            let name = name.eval_string(&cx.message, &*cx.snapshot)?;
            let answer = answer_map(Some(value), cx);
            cx.message.variables.set(name, answer);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const ENDPOINT: &str = "<endpoint><address uri='http://b:1/x'/></endpoint>";

    /// Calls with `<o><n>1</n></o>`, answered with `{"a":1}`: what was sent, what the message is afterwards, and its
    /// type.
    #[track_caller]
    fn check(inside: &str, sent: &str, payload: &str, message_type: Option<&str>) {
        let outcome = Flowing::of(&format!("<call>{inside}{ENDPOINT}</call>"))
            .xml("<o><n>1</n></o>")
            .with(|message| message.rest = true)
            .answer("application/json", "{\"a\":1}")
            .run();
        assert_eq!(outcome.fault(), None);
        let bodies: Vec<&str> = outcome.received().iter().map(|it| it.body.as_str()).collect();
        assert_eq!(bodies, [sent]);
        let is_json = outcome.message().body.is_json();
        assert_eq!(if is_json { outcome.payload_text() } else { outcome.payload_xml() }, payload);
        assert_eq!(outcome.message().axis2.get_str("messageType"), message_type);
        if inside.contains("<target") {
            assert_eq!(outcome.property("answer").as_deref(), Some("{\"a\":1}"));
        }
    }

    const TARGET: &str = "<target type='property'>answer</target>";
    const SOURCE: &str = "<source type='custom'>//n</source>";

    #[test]
    fn what_is_sent_and_what_the_message_becomes() {
        const ALL: &str = "<o><n>1</n></o>";
        check(SOURCE, "<n>1</n>", "{\"a\":1}", Some("application/json"));
        check(TARGET, ALL, ALL, None);
        check(&format!("{SOURCE}{TARGET}"), "<n>1</n>", ALL, None);
        check(&format!("<source type='body'/>{TARGET}"), ALL, "{\"a\":1}", Some("application/json"));
        check(&format!("<source type='inline' contentType='application/json'>[2]</source>{TARGET}"), "[2]", ALL, None);
        check(&format!("<source type='inline'><i/></source>{TARGET}"), "<i/>", ALL, None);
    }

    #[test]
    fn a_source_keeps_the_soap_header_and_version() {
        let envelope = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Header><h/></e:Header>\
            <e:Body><o><n>1</n></o></e:Body></e:Envelope>";
        let outcome = Flowing::of(&format!("<call>{SOURCE}{TARGET}{ENDPOINT}</call>"))
            .xml(envelope)
            .answer("application/json", "{}")
            .run();
        assert_eq!(outcome.fault(), None);
        let expected = envelope.replace("<o><n>1</n></o>", "<n>1</n>");
        assert!(outcome.received()[0].body.ends_with(&expected), "{:?}", outcome.received());
    }

    #[test]
    fn answers_in_variables_have_headers_and_a_status() {
        let outcome = Flowing::of(&format!(
            "<call><target type='variable'>{{concat('v', 1)}}</target>{ENDPOINT}</call>\
             <property name='a' expression='${{vars.v1.payload.a}}'/>\
             <property name='status' expression='${{vars.v1.attributes.statusCode}}'/>"
        ))
        .xml("<o/>")
        .answer("application/json", "{\"a\":1}")
        .run();
        assert_eq!(outcome.property("a").as_deref(), Some("1"));
        assert_eq!(outcome.property("status").as_deref(), Some("200"));
    }

    #[test]
    fn a_back_end_that_cannot_be_reached_is_a_fault() {
        let outcome = Flowing::of(&format!("<call>{ENDPOINT}</call>")).xml("<o/>").run();
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("101503"));
    }

    /// The message after a blocking call whose request was a GET with XML, answered with JSON.
    #[test]
    fn a_blocking_call_keeps_what_the_request_was() {
        let run = |before: &str| {
            Flowing::of(&format!("{before}<call blocking='true'>{ENDPOINT}</call>"))
                .xml("<o/>")
                .with(|message| {
                    message.rest = true;
                    message.axis2.set("messageType", "application/xml");
                    message.headers.set("X-Own", "1");
                    message.addressing.to = Some("/here".to_owned());
                })
                .answer("application/json; charset=utf-8", "{\"a\":1}")
                .run()
        };
        let kept = run("");
        assert_eq!(kept.fault(), None);
        assert_eq!(kept.message().axis2.get_str("messageType"), Some("application/xml"));
        assert_eq!(
            (kept.message().headers.get("X-Own"), kept.message().headers.get("Content-Type")),
            (Some("1"), None)
        );
        assert_eq!(kept.message().addressing.to.as_deref(), Some("/here"));
        assert_eq!(kept.payload_text(), "{\"a\":1}");
        assert_eq!(kept.property("blocking.sender.error").as_deref(), Some("false"));
        assert_eq!(kept.message().axis2.get_str("HTTP_SC"), Some("200"));
        let taken = run("<property name='BLOCKING_SENDER_PRESERVE_REQ_HEADERS' value='false'/>");
        assert_eq!(taken.message().axis2.get_str("messageType"), Some("application/json"));
        assert_eq!(taken.message().headers.get("X-Own"), None);
        assert_eq!(taken.message().headers.get("Content-Type"), Some("application/json; charset=utf-8"));
    }

    #[test]
    fn a_blocking_call_that_fails_has_codes_of_its_own() {
        let outcome = Flowing::of(&format!("<call blocking='true'>{ENDPOINT}</call>")).xml("<o/>").run();
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("401002"));
        assert_eq!(outcome.property("blocking.sender.error").as_deref(), Some("true"));
    }

    #[test]
    fn a_message_for_a_relative_address_has_a_code_of_its_own() {
        let outcome = Flowing::of("<call/>").xml("<o/>").with(|it| it.addressing.to = Some("/a".to_owned())).run();
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some("401003"));
        assert!(outcome.property("ERROR_MESSAGE").is_some_and(|it| it.starts_with("Unable to find the transport")));
    }

    #[track_caller]
    fn check_status(status: u16, before: &str, expected: Option<&str>) {
        let outcome = Flowing::of(&format!("{before}<call blocking='true'>{ENDPOINT}</call>"))
            .xml("<o/>")
            .answer("application/xml", "<a/>")
            .answer_status(status)
            .run();
        assert_eq!(outcome.property("ERROR_MESSAGE").as_deref(), expected, "{status}");
        let code = expected.map(|_| status.to_string());
        assert_eq!(outcome.property("ERROR_CODE"), code);
        let noted = outcome.message().axis2.get("HTTP_SC").map(|it| it.to_text().into_owned());
        assert_eq!(noted, Some(status.to_string()));
    }

    #[test]
    fn statuses_that_a_blocking_call_takes_for_an_error() {
        let list = |name: &str, value: &str| format!("<property name='{name}' value='{value}' scope='axis2'/>");
        check_status(404, "", Some("Transport error: 404 Error: Not Found"));
        check_status(503, "", Some("Transport error: 503 Error: Service Unavailable"));
        check_status(404, &list("non.error.http.status.codes", "403, 404"), None);
        check_status(201, "", None);
        check_status(500, "", None);
        check_status(400, "", None);
        check_status(
            500,
            &list("error.http.status.codes", "500"),
            Some("Transport error: 500 Error: Internal Server Error"),
        );
    }

    #[test]
    fn wrong_configurations_are_refused_or_reported() {
        for (inside, part) in [
            ("<source type='custom'/>", "needs an expression"),
            ("<source type='inline'/>", "needs a payload"),
            ("<source type='envelope'/>", "unknown source type 'envelope'"),
            ("<target type='variable'/>", "needs a name"),
            ("<target type='soap'/>", "unknown target type 'soap'"),
        ] {
            let error = Flowing::error_of(&format!("<call>{inside}</call>"));
            assert!(error.contains(part), "{error}");
        }
        let warnings = Flowing::of("<call axis2xml='a'><targt/></call>").warnings().join("\n");
        assert!(warnings.contains("'axis2xml' of <call> has no effect"), "{warnings}");
        assert!(warnings.contains("did you mean 'target'?"), "{warnings}");
    }

    #[test]
    fn the_wsdl_of_an_endpoint_names_the_address() {
        const WSDL: &str = "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' \
            xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'><w:service name='S'>\
            <w:port name='A'><s:address location='http://a:1/x'/></w:port>\
            <w:port name='B'><s:address location='http://b:1/x'/></w:port></w:service></w:definitions>";
        for (inside, expected) in [
            ("<wsdl uri='file:s.wsdl' service='S' port='B'/>".to_owned(), Ok("http://b:1/x")),
            (format!("<wsdl service='S' port='A'>{WSDL}</wsdl>"), Ok("http://a:1/x")),
            ("<wsdl uri='http://c:1/x?wsdl' service='S' port='A'/>".to_owned(), Ok("http://c:1/x")),
            ("<wsdl uri='file:s.wsdl' service='S' port='C'/>".to_owned(), Err("no such service and port")),
            ("<wsdl uri='file:none.wsdl' service='S' port='A'/>".to_owned(), Err("cannot be read")),
        ] {
            let flowing = || {
                let call = format!("<call><endpoint>{inside}</endpoint></call>");
                // A local entry stands for the file.
                Flowing::of(&call).local_entry("file:s.wsdl", WSDL).xml("<o/>").answer("text/xml", "<a/>")
            };
            let warnings = flowing().warnings().join("\n");
            let outcome = flowing().run();
            let sent: Vec<&str> = outcome.received().iter().map(|it| it.url.as_str()).collect();
            match expected {
                Ok(url) => assert_eq!((sent, warnings.as_str()), (vec![url], ""), "{inside}"),
                Err(part) => {
                    assert!(warnings.contains(part), "{inside}: {warnings}");
                    assert!(outcome.fault().is_some_and(|it| it.contains(part)), "{inside}");
                }
            }
        }
    }
}
