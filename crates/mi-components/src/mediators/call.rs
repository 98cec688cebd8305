//! `<call>` sends the message and goes on with the answer in the same sequence.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, Sent, codes, flow, outflow};
use mi_expr::{Dynamic, Expr};
use mi_message::{Body, Envelope, Headers, Native, SoapVersion, Value, XmlValue};

use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec { tag: "call", parse };

/// MI: `CallMediator`. Blocking or not makes no difference to the thread here; a blocking call reports its failures
/// with the codes of MI's blocking sender.
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
    const KNOWN: [&str; 7] =
        ["blocking", "initAxis2ClientOptions", "axis2xml", "repository", "description", "statistics", "trace"];
    cx.report_all(el.unknown_attrs(&KNOWN));
    let source = el.child("source");
    let exchange = Exchange {
        source: source.as_ref().map(parse_source).transpose()?.flatten(),
        content_type: source.as_ref().and_then(|it| it.attr("contentType").map(|it| it.into_owned())),
        target: el.child("target").map(|it| parse_target(&it)).transpose()?.flatten(),
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
        self.blocking || self.exchange.source.is_some()
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
        for (name, value) in [("messageType", self.message_type), ("ContentType", self.content_type)] {
            if let Some(value) = value {
                message.axis2.set(name, value);
            }
        }
        if let Some(value) = self.no_entity_body {
            message.axis2.set("NO_ENTITY_BODY", value);
        }
    }
}

impl CallEffect {
    async fn run(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if !self.blocking {
            cx.exchange.note_send();
            outflow::acknowledge(cx);
        }
        if cx.message.properties.is_true("OUT_ONLY") {
            return self.run_one_way(cx).await;
        }
        let original = self.keep_original(cx);
        if let Some(source) = &self.exchange.source {
            put_source(source, self.exchange.content_type.as_deref(), cx)?;
        }
        match self.endpoint.clone().send(cx).await {
            Ok(Sent::Scattered) => return Ok(Flow::End),
            Ok(Sent::Answered | Sent::OneWay) => cx.continued |= !self.blocking,
            Err(fault) => return Err(self.failed(fault)),
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
        self.endpoint.clone().send(&mut copy).await.map_err(|fault| self.failed(fault))?;
        Ok(Flow::Next)
    }

    fn keep_original(&self, cx: &Context) -> Option<Original> {
        (self.exchange.source.is_some() && self.exchange.target.is_some()).then(|| Original::of(cx))
    }

    /// MI: `BlockingMsgSender#handleFault` gives failures of its own a code of the 401 family.
    fn failed(&self, fault: Fault) -> Fault {
        if self.blocking && fault.code.is_none() {
            return Fault { code: Some(codes::BLOCKING_CALL_FAILED), ..fault };
        }
        fault
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
        cx.message.axis2.set("messageType", content_type);
        cx.message.axis2.set("ContentType", content_type);
        cx.message.headers.set("Content-Type", content_type);
    }
    cx.message.axis2.remove("NO_ENTITY_BODY");
    Ok(())
}

/// Makes `value` the payload.
fn put_body(value: &Value, json: bool, cx: &mut Context) {
    let native = match value {
        Value::Xml(xml) => {
            let mut envelope = Envelope::empty(SoapVersion::Soap11);
            envelope.set_payload(&xml.document, &xml.nodes);
            Native::Xml(envelope)
        }
        Value::Json(json) => Native::Json(mi_message::JsonBody::from_value((**json).clone())),
        other if json => Native::Json(mi_message::JsonBody::from_text(other.to_text().into_owned())),
        other => Native::Text(other.to_text().into()),
    };
    payload::set_native(&mut cx.message, native);
}

/// The payload as a value of its own.
pub(super) async fn payload_value(cx: &mut Context) -> Result<Value, Fault> {
    if !cx.message.body.is_built() {
        flow::build_body(cx).await?;
    }
    Ok(match cx.message.body.native()? {
        Native::Empty => Value::Null,
        Native::Json(json) => Value::Json(json.value()?.clone()),
        Native::Xml(envelope) => match envelope.payload() {
            Some(payload) => Value::Xml(XmlValue::copy_of(envelope.document(), payload)),
            None => Value::Null,
        },
        Native::Text(text) => Value::String(text.clone()),
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
