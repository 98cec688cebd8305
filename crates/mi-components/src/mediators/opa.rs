//! `<opa>` asks an Open Policy Agent whether the request may go on; one that may not is answered with 403.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::endpoint::{self, Endpoint};
use mi_engine::fault::Fault;
use mi_engine::flow;
use mi_engine::mediator::{Effect, Flow, Mediator, Resume};
use mi_engine::snapshot::SequenceRef;
use mi_engine::spec::MediatorSpec;
use mi_message::{Body, Message, Value};
use serde_json::{Map, Value as Json};

use super::send::SendBack;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("opa", parse).attributes(&[]).children(&[
    "serverUrl",
    "accessKey",
    "policy",
    "rule",
    "requestGenerator",
    "additionalParameters",
]);

/// The only generator of requests that is no class of somebody's own.
const GENERATOR: &str = "org.apache.synapse.mediators.opa.OPASynapseRequestGenerator";
/// Sequence that a refused request runs through. MI: `OPAMediator`.
const HANDLER: &str = "_opa_policy_failure_handler_";

/// MI: `OPAMediator`.
#[derive(Debug)]
struct Opa(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    endpoint: Arc<Endpoint>,
    access_key: Option<String>,
    policy: String,
    rule: Option<String>,
    /// Properties of the message that the policy gets to see.
    properties: Vec<String>,
    handler: SequenceRef,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let text = |name: &str| el.child(name).map(|it| it.text().trim().to_owned()).filter(|text| !text.is_empty());
    let url = text("serverUrl").ok_or_else(|| el.error("<opa> needs a <serverUrl>"))?;
    let url = el.resolve(&url)?;
    let policy = text("policy").ok_or_else(|| el.error("<opa> needs a <policy>"))?;
    if let Some(generator) = el.child("requestGenerator")
        && generator.text().trim() != GENERATOR
    {
        let error = generator.error(format!("the request generator '{}' is Java code", generator.text().trim()));
        return Err(error.hint("leave it out; additionalMCProperties adds properties to the request"));
    }
    let mut properties = Vec::new();
    let mut handler = HANDLER.to_owned();
    for parameter in
        el.child("additionalParameters").iter().flat_map(|it| it.children_named("parameter").collect::<Vec<_>>())
    {
        let name = parameter.require_attr("name")?;
        match &*name {
            "additionalMCProperties" => properties = parameter.text().split(',').map(str::to_owned).collect(),
            "opaPolicyFailureHandler" => handler = parameter.text(),
            other => cx.report(parameter.warning(format!("the parameter '{other}' of <opa> has no effect"))),
        }
    }
    let rule = text("rule");
    let address = [Some(url.as_str()), Some(policy.as_str()), rule.as_deref()].into_iter().flatten();
    let address = address.collect::<Vec<_>>().join("/");
    Ok(Box::new(Opa(Arc::new(Settings {
        endpoint: endpoint::for_address(&address),
        access_key: text("accessKey").map(|key| el.resolve(&key)).transpose()?,
        policy,
        rule,
        properties,
        handler: cx.sequence_ref(&el.qualify(handler.trim())?),
    }))))
}

impl Mediator for Opa {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let question = self.0.question(cx);
        Ok(Flow::wait(Ask { settings: self.0.clone(), question }))
    }
}

impl Settings {
    /// What the policy gets to see. MI: `OPASynapseRequestGenerator#generateRequest`.
    fn question(&self, cx: &Context) -> Message {
        let message = &cx.message;
        let mut input = Map::new();
        let axis2 = |name: &str| message.axis2.get(name).map(|value| Json::from(value.to_text().into_owned()));
        input.insert("requestOrigin".into(), origin(message).into());
        input.extend(axis2("HTTP_METHOD").map(|method| ("method".to_owned(), method)));
        input.extend(axis2("TransportInURL").map(|path| ("path".to_owned(), path)));
        let headers = message.headers.iter().map(|(name, value)| (name.to_string(), Json::from(value.to_string())));
        input.insert("transportHeaders".into(), Json::Object(headers.collect()));
        for name in &self.properties {
            let value = message.properties.get(name).filter(|value| !value.is_null());
            input.extend(value.map(|value| (name.clone(), as_json(value))));
        }
        let mut question = Message::new();
        question.rest = true;
        question.axis2.set("HTTP_METHOD", "POST");
        question.axis2.set("messageType", "application/json");
        question.headers.set("Content-Type", "application/json");
        if let Some(key) = &self.access_key {
            question.headers.set("Authorization", key.as_str());
        }
        question.body = Body::from_json_text(serde_json::json!({ "input": input }).to_string());
        question
    }

    /// Does the policy allow it? MI: `OPASynapseRequestGenerator#handleResponse`.
    fn allows(&self, answer: &Message) -> Result<bool, String> {
        let status = answer.axis2.get("HTTP_SC").map(|status| status.to_text().into_owned()).unwrap_or_default();
        if status != "200" {
            return Err(format!("Error while accessing the OPA server URL. {status}"));
        }
        let json = answer.body.json().map_err(|error| error.to_string())?;
        if json.as_object().is_some_and(Map::is_empty) {
            let rule = self.rule.as_deref().unwrap_or("null");
            return Err(format!("Empty result received for the OPA policy {} for rule {rule}", self.policy));
        }
        let holder = if self.rule.is_some() { Some(&**json) } else { json.get("allow") };
        match holder.and_then(|holder| holder.get("result")) {
            Some(Json::Bool(result)) => Ok(*result),
            Some(Json::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Json::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("the field \"result\" of the OPA response is missing or not a Boolean".to_owned()),
        }
    }
}

/// Numbers and truth values keep their type, so that a policy can compare them; the rest is text. Whole doubles have no
/// fraction. MI: `OPASynapseRequestGenerator#generateRequest` hands the objects to `JSONObject#put`.
fn as_json(value: &Value) -> Json {
    let double = match value {
        Value::Bool(truth) => return Json::from(*truth),
        Value::Int(number) => return Json::from(*number),
        Value::Long(number) => return Json::from(*number),
        Value::Float(number) => number.to_string().parse::<f64>().ok(),
        Value::Double(number) => Some(*number),
        _ => None,
    };
    let number = double.map(|number| number.to_string()).and_then(|text| text.parse::<serde_json::Number>().ok());
    number.map_or_else(|| Json::from(value.to_text().into_owned()), Json::Number)
}

/// The address of the client. MI: `OPAUtils#getRequestIp`.
fn origin(message: &Message) -> String {
    let forwarded = message.headers.get("X-Forwarded-For").filter(|value| !value.is_empty()).map(str::to_owned);
    let remote = || message.axis2.get("REMOTE_ADDR").map(|value| value.to_text().into_owned()).unwrap_or_default();
    let origin = forwarded.map_or_else(remote, |list| list.split(',').next().unwrap_or_default().to_owned());
    match origin.find(':') {
        Some(at) if at > 0 => origin[..at].to_owned(),
        _ => origin,
    }
}

struct Ask {
    settings: Arc<Settings>,
    question: Message,
}

impl Effect for Ask {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { settings, question } = *self;
            let mut asked = cx.fork(question);
            let answered = match settings.endpoint.clone().send(&mut asked).await {
                Ok(_) => flow::build_body(&mut asked).await,
                Err(fault) => Err(fault),
            };
            let allowed = answered.map_err(|fault| fault.message).and_then(|()| settings.allows(&asked.message));
            let refusal = match allowed {
                Ok(true) => return Ok(Flow::Next),
                Ok(false) => {
                    log::warn!(
                        target: "OPAMediator",
                        "{}Access revoked for the API request by the OPA policy.", cx.artifact.log_prefix
                    );
                    REVOKED
                }
                Err(why) => {
                    log::error!(target: "OPAMediator", "{}{why}", cx.artifact.log_prefix);
                    FAILED
                }
            };
            Ok(refusal.flow(cx, &settings.handler))
        })
    }
}

/// How a request that does not go on is answered. MI: `OPAUtils#handlePolicyFailure`.
#[derive(Clone, Copy)]
struct Refusal {
    status: i32,
    code: i32,
    message: &'static str,
    exception: &'static str,
}

const REVOKED: Refusal = Refusal {
    status: 403,
    code: 902_012,
    message: "Forbidden",
    exception: "Request validation failure at the remote authorization server",
};
const FAILED: Refusal = Refusal {
    status: 500,
    code: 902_011,
    message: "Internal Sever Error",
    exception: "Unexpected OPA mediator failure",
};

impl Refusal {
    fn flow(self, cx: &mut Context, handler: &SequenceRef) -> Flow {
        let properties = &mut cx.message.properties;
        properties.set("HTTP_RESPONSE_STATUS_CODE", self.status);
        properties.set("ERROR_CODE", self.code);
        properties.set("ERROR_MESSAGE", self.message);
        let exception = format!("org.apache.synapse.mediators.opa.OPASecurityException: {}", self.exception);
        properties.set("ERROR_EXCEPTION", exception);
        match cx.snapshot.sequence(handler) {
            Some(sequence) => Flow::EnterThen(sequence, Box::new(self)),
            None => self.answer(cx),
        }
    }

    fn answer(self, cx: &mut Context) -> Flow {
        cx.message.axis2.set("HTTP_SC", Value::Int(self.status));
        cx.message.addressing.to = None;
        cx.message.is_response = true;
        Flow::wait(SendBack::ending())
    }
}

/// A handler that drops the message, or answers itself, ends the flow.
impl Resume for Refusal {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        Ok(self.answer(cx))
    }
}

#[cfg(test)]
mod tests {
    use mi_message::Value;

    use crate::testing::{Flowing, Outcome};

    fn opa(inside: &str, answer: Option<&str>) -> Flowing {
        let xml = format!(
            "<opa><serverUrl>http://opa:8181/v1/data</serverUrl><accessKey>Bearer k</accessKey><policy>p</policy>{inside}</opa>\
             <property name='after' value='1'/>"
        );
        let flowing = Flowing::of(&xml).json("{}").with(|message| {
            message.headers.set("X-Forwarded-For", "10.0.0.7:99, 10.0.0.1");
            message.axis2.set("HTTP_METHOD", "GET");
            message.properties.set("role", "admin");
        });
        match answer {
            Some(answer) => flowing.answer("application/json", answer),
            None => flowing,
        }
    }

    fn status(outcome: &Outcome) -> Option<u16> {
        outcome.reply().map(|reply| reply.status.as_u16())
    }

    const RULE: &str = "<rule>allow</rule>";

    #[test]
    fn what_is_asked() {
        let more = "<additionalParameters><parameter name='additionalMCProperties'>role,none</parameter></additionalParameters>";
        let outcome = opa(&format!("{RULE}{more}"), Some("{\"result\":true}")).run();
        assert_eq!(outcome.property("after").as_deref(), Some("1"));
        let [asked] = outcome.received() else { panic!("{:?}", outcome.received()) };
        assert_eq!(asked.url, "http://opa:8181/v1/data/p/allow");
        assert_eq!(
            asked.body,
            r#"{"input":{"requestOrigin":"10.0.0.7","method":"GET","transportHeaders":{"X-Forwarded-For":"10.0.0.7:99, 10.0.0.1"},"role":"admin"}}"#
        );
        assert_eq!(outcome.payload_text(), "{}");
    }

    #[test]
    fn properties_keep_their_types() {
        let more = "<additionalParameters><parameter name='additionalMCProperties'>level,whole,part,yes</parameter></additionalParameters>";
        let outcome = opa(&format!("{RULE}{more}"), Some("{\"result\":true}"))
            .with(|message| {
                message.properties.set("level", Value::Int(3));
                message.properties.set("whole", Value::Double(4.0));
                message.properties.set("part", Value::Double(0.5));
                message.properties.set("yes", Value::Bool(true));
            })
            .run();
        let body = &outcome.received()[0].body;
        assert!(body.contains(r#""level":3,"whole":4,"part":0.5,"yes":true"#), "{body}");
    }

    #[test]
    fn answers() {
        for (inside, answer, expected) in [
            (RULE, Some("{\"result\":false}"), Some((403, "902012", "Forbidden"))),
            ("", Some("{\"allow\":{\"result\":true}}"), None),
            ("", Some("{\"result\":true}"), Some((500, "902011", "Internal Sever Error"))),
            (RULE, Some("{}"), Some((500, "902011", "Internal Sever Error"))),
            (RULE, Some("no JSON"), Some((500, "902011", "Internal Sever Error"))),
            (RULE, None, Some((500, "902011", "Internal Sever Error"))),
        ] {
            let outcome = opa(inside, answer).run();
            assert_eq!(outcome.fault(), None);
            assert_eq!(outcome.property("after").is_some(), expected.is_none(), "{answer:?}");
            if let Some((code, error, message)) = expected {
                assert_eq!(status(&outcome), Some(code), "{answer:?}");
                assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some(error));
                assert_eq!(outcome.property("ERROR_MESSAGE").as_deref(), Some(message));
            }
        }
    }

    #[test]
    fn a_handler_may_answer_itself() {
        let refused = || opa(RULE, Some("{\"result\":false}"));
        let noted = refused().sequence("_opa_policy_failure_handler_", "<property name='h' value='1'/>").run();
        assert_eq!((noted.property("h").as_deref(), status(&noted)), (Some("1"), Some(403)));
        let dropped = refused().sequence("_opa_policy_failure_handler_", "<drop/>").run();
        assert!(dropped.stopped() && status(&dropped).is_none());
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<opa><policy>p</policy></opa>", "<serverUrl>"),
            ("<opa><serverUrl>http://a</serverUrl></opa>", "<policy>"),
            (
                "<opa><serverUrl>http://a</serverUrl><policy>p</policy><requestGenerator>org.acme.G</requestGenerator></opa>",
                "'org.acme.G' is Java code",
            ),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
