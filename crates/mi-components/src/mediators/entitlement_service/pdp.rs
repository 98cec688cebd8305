//! The policy decision point: the XACML question, the SOAP call to WSO2's `EntitlementService`, and decisions that are kept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::endpoint::{self, Endpoint};
use mi_engine::flow;
use mi_message::{Body, Envelope, Message, SoapVersion, XmlValue};
use mi_xml::Document;

use crate::resource::{self, Layout};
use crate::xml;

/// Namespaces of the services `EntitlementService` and `AuthenticationAdmin`.
const DECISION_NS: &str = "http://org.apache.axis2/xsd";
const LOGIN_NS: &str = "http://authentication.services.core.carbon.wso2.org";
/// In front of values that MI has encrypted with the key of the server. MI: `EntitlementConstants`.
pub(super) const ENCODED: &str = "enc:";
/// Most decisions that are kept, whatever is configured.
const MAX_KEPT: usize = 10_000;
/// How long `carbon` caches keep a decision, in milliseconds.
const CARBON_INTERVAL: i64 = 15 * 60 * 1000;

/// Who wants to do what.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) user: String,
    pub(super) resource: String,
    pub(super) action: String,
}

/// The answer, and what comes with it.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// `Permit`, `Deny`, `NotApplicable` or `Indeterminate`.
    pub(super) verdict: String,
    pub(super) obligations: Option<XmlValue>,
    pub(super) advice: Option<XmlValue>,
}

/// MI: `PEPProxy`.
#[derive(Debug)]
pub(super) struct Pdp {
    url: Setting,
    user: Setting,
    password: Setting,
    client: Client,
    /// The endpoint, when the address is no key.
    endpoint: Option<Arc<Endpoint>>,
    kept: Option<Kept>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// Every question carries the credentials.
    BasicAuth,
    /// Logs in before a question, and sends the session's cookie. MI: `SOAPEntitlementServiceClient`.
    Session,
}

/// A value, or the key of a resource that holds it.
#[derive(Debug)]
enum Setting {
    Value(String),
    Key(String),
}

impl Setting {
    fn parse(el: &Element, name: &str) -> Result<Self, Diagnostic> {
        if let Some(value) = el.resolved_attr(name)?.filter(|value| !value.trim().is_empty()) {
            return Ok(Self::Value(value));
        }
        let key = el.qualified_attr(&format!("{name}Key"))?.filter(|key| !key.is_empty());
        let missing = || el.error(format!("<entitlementService> needs the attribute '{name}' or '{name}Key'"));
        key.map(Self::Key).ok_or_else(missing)
    }

    fn value(&self, cx: &Context) -> Result<String, String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Key(key) => {
                let text = resource::text(&cx.snapshot, key, Layout::Verbatim);
                let text =
                    text.map(|text| text.trim().to_owned()).ok_or_else(|| format!("there is no resource {key}"))?;
                if text.starts_with(ENCODED) {
                    return Err(format!("the resource {key} is encrypted with the key of an MI server ('{ENCODED}')"));
                }
                Ok(text)
            }
        }
    }
}

/// The address of a service below `url`.
fn address(url: &str, service: &str) -> String {
    let url = url.trim();
    format!("{url}{}{service}", if url.ends_with('/') { "" } else { "/" })
}

impl Pdp {
    /// MI: `EntitlementMediatorFactory`, `PEPProxyFactory#getAppToPDPClientMap`.
    pub(super) fn parse(el: &Element) -> Result<Self, Diagnostic> {
        let client = match el.attr("client").as_deref() {
            None | Some("basicAuth") => Client::BasicAuth,
            Some("soap") => Client::Session,
            Some(other) => {
                let error = el.error(format!("EntitlementMediator initialization error: Unsupported client '{other}'"));
                return Err(error.hint("use 'basicAuth' or 'soap'"));
            }
        };
        let url = Setting::parse(el, "remoteServiceUrl")?;
        let endpoint = match &url {
            Setting::Value(url) => Some(endpoint::for_address(&address(url, "EntitlementService"))),
            Setting::Key(_) => None,
        };
        Ok(Self {
            url,
            user: Setting::parse(el, "remoteServiceUserName")?,
            password: Setting::parse(el, "remoteServicePassword")?,
            client,
            endpoint,
            kept: Kept::parse(el)?,
        })
    }

    /// The decision, or why there is none.
    pub(super) async fn decide(&self, question: &Question, cx: &mut Context) -> Result<Decision, String> {
        let now = cx.snapshot.services.clock.now_millis();
        if let Some(known) = self.kept.as_ref().and_then(|kept| kept.get(question, now)) {
            return Ok(known);
        }
        let decision = self.ask(question, cx).await?;
        if let Some(kept) = &self.kept {
            kept.put(question, decision.clone(), now);
        }
        Ok(decision)
    }

    async fn ask(&self, question: &Question, cx: &mut Context) -> Result<Decision, String> {
        let url = self.url.value(cx)?;
        let (user, password) = (self.user.value(cx)?, self.password.value(cx)?);
        let text = request(question);
        let mut asked = call(DECISION_NS, "getDecision", &[("request", &text)]);
        match self.client {
            Client::BasicAuth => {
                let pair = BASE64.encode(format!("{user}:{password}"));
                asked.headers.set("Authorization", format!("Basic {pair}"));
            }
            Client::Session => {
                let cookie = log_in(&address(&url, "AuthenticationAdmin"), &user, &password, cx).await?;
                asked.headers.set("Cookie", cookie);
            }
        }
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => endpoint::for_address(&address(&url, "EntitlementService")),
        };
        let answer = send(endpoint, asked, cx).await?;
        let text = returned(&answer)?.ok_or("Undefined Decision is received")?;
        read(&text)
    }
}

/// MI: `XACMLRequetBuilder#buildXACML3Request`.
fn request(question: &Question) -> String {
    let mut out = String::from(
        "<Request xmlns=\"urn:oasis:names:tc:xacml:3.0:core:schema:wd-17\" CombinedDecision=\"false\" ReturnPolicyIdList=\"false\">",
    );
    for (category, id, value) in [
        (
            "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject",
            "urn:oasis:names:tc:xacml:1.0:subject:subject-id",
            &question.user,
        ),
        (
            "urn:oasis:names:tc:xacml:3.0:attribute-category:action",
            "urn:oasis:names:tc:xacml:1.0:action:action-id",
            &question.action,
        ),
        (
            "urn:oasis:names:tc:xacml:3.0:attribute-category:resource",
            "urn:oasis:names:tc:xacml:1.0:resource:resource-id",
            &question.resource,
        ),
    ] {
        out += &format!(
            "<Attributes Category=\"{category}\"><Attribute AttributeId=\"{id}\" IncludeInResult=\"false\">\
             <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#string\">{}</AttributeValue></Attribute></Attributes>",
            xml::escape(value)
        );
    }
    out + "</Request>"
}

/// A SOAP call of an operation whose parameters are texts.
fn call(namespace: &str, operation: &str, parameters: &[(&str, &str)]) -> Message {
    let mut document = Document::new();
    let root = document.create_element("xsd", operation, namespace);
    document.append_child(Document::ROOT, root);
    for (name, value) in parameters {
        let element = document.create_element("xsd", name, namespace);
        document.set_text(element, value);
        document.append_child(root, element);
    }
    let mut envelope = Envelope::from_document(document, SoapVersion::Soap11);
    envelope.set_wrapped(false);
    let mut message = Message::new();
    message.axis2.set("HTTP_METHOD", "POST");
    message.axis2.set("messageType", "text/xml");
    message.addressing.action = Some(format!("urn:{operation}"));
    message.body = Body::from_envelope(envelope);
    message
}

async fn send(endpoint: Arc<Endpoint>, message: Message, cx: &mut Context) -> Result<Message, String> {
    let mut asked = cx.fork(message);
    endpoint.send(&mut asked).await.map_err(|fault| fault.message)?;
    flow::build_body(&mut asked).await.map_err(|fault| fault.message)?;
    Ok(*asked.message)
}

/// The cookie of a new session. MI: `Authenticator#authenticate`.
async fn log_in(address: &str, user: &str, password: &str, cx: &mut Context) -> Result<String, String> {
    let parameters = [("username", user), ("password", password), ("remoteAddress", "localhost")];
    let answer = send(endpoint::for_address(address), call(LOGIN_NS, "login", &parameters), cx).await?;
    if returned(&answer)?.as_deref() != Some("true") {
        return Err("Authentication Failed".to_owned());
    }
    let cookie = answer.headers.get("Set-Cookie").and_then(|cookie| cookie.split(';').next());
    cookie.map(str::to_owned).ok_or_else(|| "the log-in brought no session".to_owned())
}

/// The text of the element `return`.
fn returned(answer: &Message) -> Result<Option<String>, String> {
    let envelope = answer.body.envelope().map_err(|error| error.to_string())?;
    if envelope.has_fault() {
        return Err("the service answered a fault".to_owned());
    }
    let document = envelope.document();
    let found = document
        .descendants(envelope.body())
        .find(|node| document.is_element(*node) && document.local_name(*node) == "return");
    Ok(found.map(|node| document.text(node).trim().to_owned()))
}

fn read(text: &str) -> Result<Decision, String> {
    let response = xml::parse(text)?;
    let document = &response.document;
    let child = |parent, name: &str| document.child_elements(parent).find(|node| document.local_name(*node) == name);
    let result =
        response.nodes.first().and_then(|root| child(*root, "Result")).ok_or("the response has no <Result>")?;
    let decision = child(result, "Decision").ok_or("the <Result> has no <Decision>")?;
    let part = |name: &str| child(result, name).map(|node| XmlValue::copy_of(document, node));
    Ok(Decision {
        verdict: document.text(decision).into_owned(),
        obligations: part("Obligations"),
        advice: part("AssociatedAdvice"),
    })
}

/// Decisions by question, the first ones leave first. MI: `PEPProxyCache`.
#[derive(Debug)]
struct Kept {
    interval: i64,
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_question: HashMap<String, (Decision, i64)>,
    order: VecDeque<String>,
}

impl Kept {
    fn parse(el: &Element) -> Result<Option<Self>, Diagnostic> {
        let interval = el.int_attr("invalidationInterval")?.unwrap_or(0);
        let most = el.int_attr("maxCacheEntries")?.unwrap_or(0);
        let (interval, most) = match el.attr("cacheType").as_deref() {
            Some("simple") => (interval, usize::try_from(most).unwrap_or(0).min(MAX_KEPT)),
            Some("carbon") => (CARBON_INTERVAL, MAX_KEPT),
            _ => return Ok(None),
        };
        Ok(Some(Self { interval, most, entries: Mutex::default() }))
    }

    fn key(question: &Question) -> String {
        format!("{}\n{}\n{}", question.user, question.action, question.resource)
    }

    fn get(&self, question: &Question, now: i64) -> Option<Decision> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (decision, at) = entries.by_question.get(&Self::key(question))?;
        (at.saturating_add(self.interval) > now).then(|| decision.clone())
    }

    fn put(&self, question: &Question, decision: Decision, now: i64) {
        let key = Self::key(question);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.by_question.insert(key.clone(), (decision, now)).is_none() {
            entries.order.push_back(key);
        }
        while entries.order.len() > self.most {
            if let Some(oldest) = entries.order.pop_front() {
                entries.by_question.remove(&oldest);
            }
        }
    }
}
